"""What a presence can cost at most, and whether that may be spent: settled before it begins.

Anybody can send an invitation, so a cap is judged by what might be spent, never by what is
expected: all that a stay can cost counts from before its join until its end is proved.
Amounts are whole micro-dollars, because sums of them must come out exactly at the cap.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo

from locum.core.model import BY_HAND, Meeting, Stay, TimeWindow

MICROS = 1_000_000
"""So many make a dollar."""

OVERTIME = timedelta(minutes=5)
"""How far past its end a presence may go until it leaves unasked; paid for beforehand too."""

_MINUTE = timedelta(minutes=1)


def micros(dollars: float) -> int:
    """Turn US dollars into micro-dollars.

    Raises:
        ValueError: Less than nothing, or no number.
    """
    if not 0 <= dollars < float("inf"):
        raise ValueError(f"{dollars!r} is no amount of money")
    return round(dollars * MICROS)


def in_dollars(amount: int) -> str:
    return f"${amount / MICROS:,.2f}"


# ── caps ─────────────────────────────────────────────────────────────────────────────────


class Cap(enum.Enum):
    """What a cap counts together; the values are the keys of `[budget]`."""

    PER_MEETING = "per_meeting"  #: One occurrence, however often it is entered.
    PER_DAY = "per_day"
    PER_MONTH = "per_month"
    PER_ORGANIZER_MONTH = "per_organizer_month"


_WORDS = {
    Cap.PER_MEETING: "a meeting",
    Cap.PER_DAY: "a day",
    Cap.PER_MONTH: "a month",
    Cap.PER_ORGANIZER_MONTH: "a month for one organizer",
}


@dataclass(frozen=True)
class Caps:
    """The most that may be spent, in micro-dollars; None is no cap."""

    per_meeting: int | None = None
    per_day: int | None = None
    per_month: int | None = None
    per_organizer_month: int | None = None

    @classmethod
    def of_dollars(
        cls,
        *,
        per_meeting: float | None = None,
        per_day: float | None = None,
        per_month: float | None = None,
        per_organizer_month: float | None = None,
    ) -> Caps:
        """Make them of US dollars, as the config has them."""
        return cls(
            *(
                None if each is None else micros(each)
                for each in (per_meeting, per_day, per_month, per_organizer_month)
            )
        )

    def limits(self) -> Iterator[tuple[Cap, int]]:
        """Answer the caps that there are, the narrowest first."""
        for cap, limit in (
            (Cap.PER_MEETING, self.per_meeting),
            (Cap.PER_DAY, self.per_day),
            (Cap.PER_MONTH, self.per_month),
            (Cap.PER_ORGANIZER_MONTH, self.per_organizer_month),
        ):
            if limit is not None:
                yield cap, limit


@dataclass(frozen=True)
class Spending:
    """Sums of money in micro-dollars, by what counts together; 0 where nobody asks."""

    per_meeting: int = 0
    per_day: int = 0
    per_month: int = 0
    per_organizer_month: int = 0

    def under(self, cap: Cap) -> int:
        return {
            Cap.PER_MEETING: self.per_meeting,
            Cap.PER_DAY: self.per_day,
            Cap.PER_MONTH: self.per_month,
            Cap.PER_ORGANIZER_MONTH: self.per_organizer_month,
        }[cap]


@dataclass(frozen=True)
class Allowed:
    amount: int


@dataclass(frozen=True)
class Refused:
    """`reason` says which cap, how far it is used up, and what was wanted."""

    cap: Cap
    reason: str


def verdict(caps: Caps, spent: Spending, reserved: Spending, wanted: int) -> Allowed | Refused:
    """Answer whether `wanted` more may be set aside; what costs nothing always may.

    Args:
        caps: The most that may be spent.
        spent: What has been spent, as far as is known.
        reserved: What is set aside for presences whose end isn't proved.
        wanted: In micro-dollars.
    """
    if wanted <= 0:
        return Allowed(0)
    for cap, limit in caps.limits():
        gone, held = spent.under(cap), reserved.under(cap)
        if gone + held + wanted > limit:
            return Refused(
                cap,
                f"over budget: at most {in_dollars(limit)} {_WORDS[cap]} "
                f"(budget.{cap.value}); {in_dollars(gone)} spent, {in_dollars(held)} set "
                f"aside, and this may cost {in_dollars(wanted)}",
            )
    return Allowed(wanted)


# ── costs ────────────────────────────────────────────────────────────────────────────────


def started_minutes(lasted: timedelta) -> int:
    """Answer how many minutes are billed: each one that began, and one at least."""
    return max(-(-lasted // _MINUTE), 1)


def cost(lasted: timedelta, price_per_minute: float) -> int:
    """Answer what a presence of that length costs, in micro-dollars."""
    return started_minutes(lasted) * micros(price_per_minute)


def worst_case(
    stay: Stay, price_per_minute: float, now: datetime, max_length: timedelta
) -> int:
    """Answer the most that one attempt at this stay can cost, in micro-dollars.

    It is billed from the join, or from now if that is later, until it leaves unasked. The
    lead before the start is in `join_at`.
    """
    began = max(now, stay.join_at)
    return worst_case_until(
        stay.leave_by, price_per_minute, began=began, longest=began + max_length
    )


def worst_case_until(
    leave_by: datetime, price_per_minute: float, *, began: datetime, longest: datetime
) -> int:
    """Answer the same of an attempt that `began`, should it have to leave by then."""
    lasts = max(min(leave_by, longest) - began, timedelta(0))
    return cost(lasts + OVERTIME, price_per_minute)


# ── what counts together ─────────────────────────────────────────────────────────────────


def day_of(instant: datetime, zone: tzinfo) -> TimeWindow:
    """Answer the calendar day that an instant is in, from midnight to midnight in `zone`."""
    today = instant.astimezone(zone).date()
    return TimeWindow(_midnight(today, zone), _midnight(today + timedelta(days=1), zone))


def month_of(instant: datetime, zone: tzinfo) -> TimeWindow:
    """Answer the calendar month that an instant is in, in `zone`."""
    first = instant.astimezone(zone).date().replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return TimeWindow(_midnight(first, zone), _midnight(following, zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(timezone.utc)


def organizer_of(meeting: Meeting) -> str | None:
    """Answer on whose account a meeting goes; None where it is on nobody's.

    What one asked for by hand has no organizer to blame. All whose organizer can't be seen
    share one account, "", or a cap could be got round by hiding.
    """
    if meeting.calendar == BY_HAND:
        return None
    return "" if meeting.organizer is None else meeting.organizer.email.strip().lower()
