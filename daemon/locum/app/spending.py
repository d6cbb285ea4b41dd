"""What `locum spend` tells, as plain JSON values: a month's money, and what is ahead of it.

The sums are the purse's own, which the caps are judged by. The forecast is the worst case, as
the purse will judge it: each stay that the ledger knows of, at the most that it can cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from locum.core.model import Stay, TimeWindow
from locum.core.money import (
    MICROS,
    Allowed,
    Cap,
    Refused,
    Spending,
    day_of,
    month_of,
    organizer_of,
    verdict,
    worst_case,
)
from locum.core.planning import arrange, judge
from locum.core.policy import Policy
from locum.ledger import Ledger, Purse
from locum.ledger.purse import Sums
from locum.ledger.spending import Entry, Settlement, add_up, entries, total

_MEMORY = timedelta(days=7)
_TOLD = {
    Settlement.NEVER_RAN: "its answer was lost, and it never ran: free",
    Settlement.ASSUMED: "its answer was lost, and it may have run: all that was set aside",
    Settlement.NOT_BEGUN: "refused before it began: free",
}


@dataclass(frozen=True)
class Outlook:
    """What the forecast needs. `horizon` is how far ahead the calendars are read."""

    policy: Policy
    prices: Mapping[str, float]
    horizon: timedelta


def report(
    ledger: Ledger, purse: Purse, month: datetime, *, now: datetime, outlook: Outlook | None
) -> dict[str, Any]:
    """Add one calendar month up; instants in ISO 8601, amounts in US dollars.

    Args:
        ledger: Only read.
        purse: Whose caps and time zone count.
        month: Any instant of it.
        now: The present.
        outlook: None without a usable config: then nothing is known of caps, nor of what is
            ahead. Of a month that isn't this one, nothing is ahead either.
    """
    window = month_of(month, purse.zone)
    found = entries(ledger.database, window, now=now)
    current = window.start <= now < window.end
    local = window.start.astimezone(purse.zone)
    return {
        "month": f"{local:%Y-%m}",
        "from": window.start.isoformat(),
        "until": window.end.isoformat(),
        **_sums(total(found)),
        "caps": None if outlook is None else list(_caps(purse, now, window, current=current)),
        "by_meeting": _meetings(found, purse, now),
        "by_persona": _groups(found, "persona", lambda entry: entry.persona),
        "by_organizer": _organizers(found, purse),
        "by_engine": _groups(found, "engine", lambda entry: entry.engine),
        "by_day": _groups(found, "day", lambda entry: _day(entry, purse)),
        "settled_without_count": [_odd(entry) for entry in found if entry.settlement in _TOLD],
        "forecast": None
        if outlook is None or not current
        else _forecast(ledger, purse, outlook, window, now),
    }


def dollars(amount: int) -> float:
    return round(amount / MICROS, 6)


def _sums(sums: Sums) -> dict[str, float]:
    return {"spent_usd": dollars(sums.spent), "set_aside_usd": dollars(sums.reserved)}


def _left(limit: int | None, sums: Sums) -> dict[str, float | None]:
    """Answer what is left of a cap: None where there is none, and 0 where it was lowered since."""
    left = None if limit is None else dollars(max(limit - sums.spent - sums.reserved, 0))
    return {"left_usd": left}


# ── what was ─────────────────────────────────────────────────────────────────────────────


def _caps(
    purse: Purse, now: datetime, window: TimeWindow, *, current: bool
) -> Iterable[dict[str, Any]]:
    """Answer what is left of the caps that count all together; others stand at their rows."""
    counted = {Cap.PER_MONTH: purse.tally(now).in_window(window)}
    if current:
        counted[Cap.PER_DAY] = purse.day(now)
    for cap, limit in purse.caps.limits():
        if cap in counted:
            sums = counted[cap]
            yield {
                "cap": cap.value,
                "limit_usd": dollars(limit),
                **_sums(sums),
                **_left(limit, sums),
            }
        elif cap in {Cap.PER_MEETING, Cap.PER_ORGANIZER_MONTH}:
            yield {"cap": cap.value, "limit_usd": dollars(limit)}


def _groups(
    found: Iterable[Entry], name: str, by: Callable[[Entry], str]
) -> list[dict[str, Any]]:
    return [{name: key, **_sums(sums)} for key, sums in add_up(found, by).items()]


def _meetings(found: tuple[Entry, ...], purse: Purse, now: datetime) -> list[dict[str, Any]]:
    firsts = {entry.occurrence: entry for entry in reversed(found)}
    tries = Counter(entry.occurrence for entry in found)
    return [
        {
            "title": firsts[key].title,
            "occurrence": key,
            "began": firsts[key].claimed_at.isoformat(),
            "persona": firsts[key].persona,
            "organizer": firsts[key].organizer,
            "joins": tries[key],
            **_sums(sums),
            **_left(purse.caps.per_meeting, _of_meeting(purse, key, now)),
        }
        for key, sums in add_up(found, lambda entry: entry.occurrence).items()
    ]


def _of_meeting(purse: Purse, occurrence: str, now: datetime) -> Sums:
    """Its cap counts every attempt at it, whatever month that was in."""
    spent, reserved = purse.tally(now).spending(occurrence, None)
    return Sums(spent.per_meeting, reserved.per_meeting)


def _organizers(found: tuple[Entry, ...], purse: Purse) -> list[dict[str, Any]]:
    """None is who asks by hand: nobody's account, and under no organizer's cap."""
    limit = purse.caps.per_organizer_month
    return [
        {
            "organizer": organizer,
            **_sums(sums),
            **_left(None if organizer is None else limit, sums),
        }
        for organizer, sums in add_up(found, lambda entry: entry.organizer).items()
    ]


def _day(entry: Entry, purse: Purse) -> str:
    return f"{entry.claimed_at.astimezone(purse.zone):%Y-%m-%d}"


def _odd(entry: Entry) -> dict[str, Any]:
    return {
        "title": entry.title,
        "occurrence": entry.occurrence,
        "at": entry.claimed_at.isoformat(),
        "settlement": entry.settlement.value,
        "meaning": _TOLD[entry.settlement],
        **_sums(entry.sums),
    }


# ── what is ahead ────────────────────────────────────────────────────────────────────────


def _forecast(
    ledger: Ledger, purse: Purse, outlook: Outlook, window: TimeWindow, now: datetime
) -> dict[str, Any]:
    """Add up what is planned and not begun, each stay under what the earlier ones may cost."""
    until = _known_until(ledger, outlook.horizon)
    counted = _Ahead(purse, now)
    planned = []
    for stay in _stays(ledger, outlook, now):
        price = outlook.prices.get(stay.engine, 0.0)
        if not price or stay.join_at >= window.end:
            continue
        wanted = worst_case(stay, price, now, purse.max_length)
        refused = counted.take(stay, wanted)
        planned.append(
            {
                "title": stay.title,
                "join_at": stay.join_at.isoformat(),
                "leave_by": stay.leave_by.isoformat(),
                "persona": stay.persona,
                "at_most_usd": dollars(wanted),
                "refused": None if refused is None else refused.reason,
            }
        )
    return {
        "known_until": None if until is None else until.isoformat(),
        "at_most_usd": dollars(counted.taken),
        "stays": planned,
    }


def _known_until(ledger: Ledger, horizon: timedelta) -> datetime | None:
    """Answer up to when every calendar was read; None where one never was."""
    read = [state.read_at for state in ledger.calendars.states().values()]
    known = [each for each in read if each is not None]
    return min(known) + horizon if known and len(known) == len(read) else None


def _stays(ledger: Ledger, outlook: Outlook, now: datetime) -> list[Stay]:
    """Answer what is planned and not begun, in the order of its joins."""
    records = ledger.sessions.unfinished_and_since(now - _MEMORY)
    judged = judge(ledger.calendars.events(), outlook.policy, ledger.calendars.marks())
    plan = arrange(judged, outlook.policy, records, now)
    begun = {record.key for record in records}
    ahead = [
        stay for stay in plan.stays.values() if stay.key not in begun and stay.leave_by > now
    ]
    return sorted(ahead, key=lambda stay: (stay.join_at, stay.key))


class _Ahead:
    """What is taken by stays that are only planned, under each cap that it counts for."""

    def __init__(self, purse: Purse, now: datetime) -> None:
        self._purse = purse
        self._now = now
        self._by_cap: Counter[tuple[Cap, Any]] = Counter()
        self.taken = 0

    def take(self, stay: Stay, wanted: int) -> Refused | None:
        first, zone = stay.meetings[0], self._purse.zone
        at = max(stay.join_at, self._now)
        organizer, month = organizer_of(first), month_of(at, zone)
        places = {
            Cap.PER_MEETING: first.occurrence,
            Cap.PER_DAY: day_of(at, zone),
            Cap.PER_MONTH: month,
            Cap.PER_ORGANIZER_MONTH: None if organizer is None else (organizer, month),
        }
        tally = self._purse.tally_at(at, now=self._now)
        spent, reserved = tally.spending(first.occurrence, organizer)
        reserved = Spending(
            **{
                cap.value: reserved.under(cap) + self._by_cap[cap, place]
                for cap, place in places.items()
            }
        )
        found = verdict(self._purse.caps, spent, reserved, wanted)
        if not isinstance(found, Allowed):
            return found
        self.taken += wanted
        for cap, place in places.items():
            if place is not None:
                self._by_cap[cap, place] += wanted
        return None
