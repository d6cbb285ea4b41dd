"""The money in the ledger: what is set aside before a join, and what it came to in the end.

It is a part of the attempts, not a book of its own: the commit that claims a room is the one
that sets its money aside, and the commit that proves an attempt over is the one that settles
it, so that no crash can come between. Nobody is asked here whether a presence really runs.

An attempt counts in the calendar day and month in which it was claimed, for the organizer
and the occurrence of the meeting that opened it. What follows in the same room counts there
too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from locum.core.model import EndReason, SessionKey, Stay, TimeWindow
from locum.core.money import (
    Allowed,
    Caps,
    Refused,
    Spending,
    cost,
    day_of,
    month_of,
    organizer_of,
    verdict,
    worst_case,
    worst_case_until,
)
from locum.database import read_instant, write_instant
from locum.errors import LocumError
from locum.ledger.database import Database

NEVER_RAN = "never_ran"
"""The outcome of an attempt whose answer was lost and that surely never ran: it was free.

Any other way to close one as lost (`EndReason.LOST_JOIN`) takes all of its reservation for
spent, because it may have been.
"""

_SUMS = (
    "coalesce(sum(cost_micros), 0) AS spent, "
    "coalesce(sum(reserved_micros) FILTER (WHERE ended_at IS NULL), 0) AS reserved "
    "FROM attempts WHERE"
)


class BudgetError(LocumError):
    """A cap of the budget leaves no room for this stay; `refused` says which."""

    def __init__(self, title: str, refused: Refused) -> None:
        super().__init__(f'"{title}" isn\'t joined: {refused.reason}.')
        self.refused = refused


@dataclass(frozen=True)
class Sums:
    """Micro-dollars that are spent, and those that are set aside for what may be running."""

    spent: int = 0
    reserved: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.spent + other.spent, self.reserved + other.reserved)


@dataclass(frozen=True)
class Grant:
    """What may be claimed of a stay, and the micro-dollars that are set aside for it."""

    stay: Stay
    reserved: int


class Purse:
    """Judges by the caps, over the ledger's attempts. Cheap: made anew with each config.

    Args:
        database: The ledger's.
        caps: What may be spent at most.
        max_length: The longest presence (`attend.max_length`).
        zone: Whose midnight begins a day and a month.
    """

    def __init__(
        self, database: Database, caps: Caps, *, max_length: timedelta, zone: tzinfo
    ) -> None:
        self._db = database
        self.caps = caps
        self.max_length = max_length
        self.zone = zone

    def tally(self, now: datetime) -> Tally:
        """Begin to judge the stays that are claimed at one instant, in one transaction."""
        return self.tally_at(now, now=now)

    def tally_at(self, at: datetime, *, now: datetime) -> Tally:
        """Judge as of `now` what would be claimed at another instant."""
        return Tally(self._db, self, at=at, now=now)

    def extend(self, key: SessionKey, leave_by: datetime, *, now: datetime) -> Refused | None:
        """Fit what is set aside for a session to another end; None if that may be spent.

        It counts where its newest attempt does. Refused, everything stays as it was; so does
        it where nothing is open.
        """
        row = self._db.row(
            "SELECT * FROM attempts WHERE session = ? AND ended_at IS NULL "
            "ORDER BY number DESC LIMIT 1",
            (key,),
        )
        if row is None:
            return None
        began = read_instant(row["claimed_at"])
        wanted = worst_case_until(
            leave_by, row["price_per_minute"], began=began, longest=began + self.max_length
        )
        extra = wanted - row["reserved_micros"]
        if extra > 0:
            counted = Tally(self._db, self, at=began, now=now).spending(
                row["occurrence"], row["organizer"]
            )
            found = verdict(self.caps, *counted, extra)
            if isinstance(found, Refused):
                return found
        elif row["answered_at"] is None:
            return None  # What can't be named can't be made to end sooner.
        self._db.execute(
            "UPDATE attempts SET reserved_micros = ? WHERE session = ? AND number = ?",
            (wanted, key, row["number"]),
        )
        return None

    # ── for those who ask ────────────────────────────────────────────────────────────────

    def day(self, now: datetime) -> Sums:
        """Answer what this calendar day has cost, and what is set aside of it."""
        return Tally(self._db, self, at=now, now=now).in_window(day_of(now, self.zone))

    def month(self, now: datetime) -> Sums:
        return Tally(self._db, self, at=now, now=now).in_window(month_of(now, self.zone))

    def by_organizer(self, now: datetime) -> dict[str, Sums]:
        """Answer this calendar month's sums by address; "" is whose organizer isn't seen."""
        window = month_of(now, self.zone)
        rows = self._db.rows(
            f"SELECT organizer, {_SUMS} organizer IS NOT NULL AND claimed_at >= ? "
            "AND claimed_at < ? GROUP BY organizer ORDER BY organizer",
            (write_instant(window.start), write_instant(window.end)),
        )
        return {row["organizer"]: Sums(row["spent"], row["reserved"]) for row in rows}


@dataclass(frozen=True)
class _Excess:
    """An open attempt that has cost more than was set aside: its daemon was dead."""

    claimed_at: datetime
    occurrence: str
    organizer: str | None
    amount: int


class Tally:
    """What counts with an attempt that is claimed `at`, as of `now`.

    The sums of day and month are read once, because two hundred meetings can begin at the
    same time; what is granted meanwhile is told to it by `take`.
    """

    def __init__(
        self, database: Database, purse: Purse, *, at: datetime, now: datetime
    ) -> None:
        self._db = database
        self._purse = purse
        self._at = at
        self._now = now
        self._taken = 0
        self._known_excesses: tuple[_Excess, ...] | None = None
        self._windows: dict[TimeWindow, Sums] = {}

    def admit(self, stay: Stay, price_per_minute: float) -> Grant:
        """Answer what may be claimed of a stay: all of it, or else its first meetings.

        Raises:
            BudgetError: Not even its first meeting.
        """
        first = stay.meetings[0]
        counted = Spending(), Spending()
        if price_per_minute:
            counted = self.spending(first.occurrence, organizer_of(first))
        refusals = []
        for part in (stay, *_shortened(stay, self._now)):
            wanted = worst_case(part, price_per_minute, self._now, self._purse.max_length)
            found = verdict(self._purse.caps, *counted, wanted)
            if isinstance(found, Allowed):
                return Grant(part, found.amount)
            refusals.append(found)
        raise BudgetError(stay.title, refusals[-1])

    def take(self, grant: Grant) -> None:
        """Count what was granted, once it is written."""
        self._taken += grant.reserved

    def spending(self, occurrence: str, organizer: str | None) -> tuple[Spending, Spending]:
        """Answer what is spent, and what is set aside, under each cap that there is."""
        caps, zone = self._purse.caps, self._purse.zone
        day = month = meeting = of_organizer = Sums()
        taken = Sums(reserved=self._taken)
        if caps.per_day is not None:
            day = self._in_window_once(day_of(self._at, zone)) + taken
        if caps.per_month is not None:
            month = self._in_window_once(month_of(self._at, zone)) + taken
        if caps.per_meeting is not None:
            meeting = self._of_occurrence(occurrence)
        if caps.per_organizer_month is not None and organizer is not None:
            of_organizer = self._of_organizer(organizer, month_of(self._at, zone))
        each = (meeting, day, month, of_organizer)
        return Spending(*(s.spent for s in each)), Spending(*(s.reserved for s in each))

    def in_window(self, window: TimeWindow) -> Sums:
        return self._sums(
            "claimed_at >= ? AND claimed_at < ?",
            (write_instant(window.start), write_instant(window.end)),
            lambda each: window.start <= each.claimed_at < window.end,
        )

    def _in_window_once(self, window: TimeWindow) -> Sums:
        if window not in self._windows:
            self._windows[window] = self.in_window(window)
        return self._windows[window]

    def _of_occurrence(self, occurrence: str) -> Sums:
        return self._sums(
            "occurrence = ?", (occurrence,), lambda each: each.occurrence == occurrence
        )

    def _of_organizer(self, organizer: str, window: TimeWindow) -> Sums:
        return self._sums(
            "organizer = ? AND claimed_at >= ? AND claimed_at < ?",
            (organizer, write_instant(window.start), write_instant(window.end)),
            lambda each: (
                each.organizer == organizer and window.start <= each.claimed_at < window.end
            ),
        )

    def _sums(
        self, where: str, values: Sequence[str | None], counts: Callable[[_Excess], bool]
    ) -> Sums:
        row = self._db.row(f"SELECT {_SUMS} {where}", values)
        if row is None:
            return Sums()
        excess = sum(each.amount for each in self._excesses() if counts(each))
        return Sums(row["spent"], row["reserved"] + excess)

    def _excesses(self) -> tuple[_Excess, ...]:
        if self._known_excesses is None:
            rows = self._db.rows(
                "SELECT * FROM attempts WHERE ended_at IS NULL AND answered_at IS NOT NULL"
            )
            self._known_excesses = tuple(excess(row, self._now) for row in rows)
        return self._known_excesses


def _shortened(stay: Stay, now: datetime) -> Iterator[Stay]:
    """Answer the stay with ever fewer of its meetings, as long as there is any time in it."""
    for count in range(len(stay.meetings) - 1, 0, -1):
        meetings = stay.meetings[:count]
        leave_by = min(stay.leave_by, max(meeting.end for meeting in meetings))
        if leave_by > now:
            yield replace(stay, meetings=meetings, leave_by=leave_by)


def excess(row: sqlite3.Row, now: datetime) -> _Excess:
    lasted = max(now - read_instant(row["answered_at"]), timedelta(0))
    return _Excess(
        claimed_at=read_instant(row["claimed_at"]),
        occurrence=row["occurrence"],
        organizer=row["organizer"],
        amount=max(cost(lasted, row["price_per_minute"]) - row["reserved_micros"], 0),
    )


def settled(row: sqlite3.Row, at: datetime, outcome: str) -> int:
    """Answer what an attempt, as its row stands, cost when it is proved over, in micro-dollars.

    One that was never answered was free, unless its answer is what was lost. Where it ended
    before it began, by a clock that was set back meanwhile, nobody knows how long it was: then
    it cost all that was set aside for it.
    """
    reserved = int(row["reserved_micros"])
    if row["answered_at"] is None:
        return reserved if outcome == EndReason.LOST_JOIN.value else 0
    lasted = at - read_instant(row["answered_at"])
    if lasted < timedelta(0):
        return max(reserved, cost(timedelta(0), row["price_per_minute"]))
    return cost(lasted, row["price_per_minute"])
