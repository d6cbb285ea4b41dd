"""How often can each calendar be read within a quota? Arithmetic only: the time is given.

Wishes come first (a calendar with a meeting near is read more often), then what the quota
leaves of them, and last a bucket for each quota, which holds even where the sums were wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)

_AT_ONCE = 0.1
"""Which part of a quota may be used at one moment; the rest comes evenly."""

_FOR_POLLS = 0.9
"""Which part of what comes evenly is planned for; changes and long lists take the rest."""

_MOST_IDLE = 3
"""How many times longer the others' period gets before what is near is read less often."""


@dataclass(frozen=True)
class Limits:
    """The most requests: of one account in any minute, and of all in any minute and day.

    Nine tenths of what Google allows: some of it is for `locum doctor`, and for others who
    ask as the same user.
    """

    per_minute: int = 540
    project_per_minute: int = 9000
    project_per_day: int = 900_000

    def account_bucket(self, now: datetime) -> Bucket:
        return Bucket(self.per_minute, _MINUTE, now)

    def project_buckets(self, now: datetime) -> tuple[Bucket, ...]:
        # Every start of ours begins a new count: a tenth of a tenth of a day is for each.
        day = Bucket(self.project_per_day, _DAY, now, filled=0.1)
        return Bucket(self.project_per_minute, _MINUTE, now), day

    def polls_of_account(self) -> float:
        """Answer how many polls a minute one account can count on."""
        return _FOR_POLLS * (_MINUTE / _every(self.per_minute, _MINUTE))

    def polls_of_project(self) -> float:
        """Answer how many polls a minute all accounts together can count on."""
        slower = max(
            _every(self.project_per_minute, _MINUTE), _every(self.project_per_day, _DAY)
        )
        return _FOR_POLLS * (_MINUTE / slower)


class Bucket:
    """Lets through at most `limit` in any stretch of `per`, however they come.

    Kept as the instant at which all that went would have gone, had it come evenly (the
    "generic cell rate algorithm"): it may lie ahead by as much as may go at once. A clock
    that is set back takes that instant along.
    """

    def __init__(
        self, limit: int, per: timedelta, now: datetime, *, filled: float = 1.0
    ) -> None:
        self._every = _every(limit, per)
        self._ahead = self._every * (_at_once(limit) - 1)
        self._due = now + self._ahead * (1 - filled)
        self._at = now

    def wait(self, now: datetime) -> timedelta:
        """Answer how long until one more may go; nothing if it may now."""
        self._follow(now)
        return max(self._due - self._ahead - now, timedelta(0))

    def take(self, now: datetime, count: int = 1) -> None:
        """Count what goes. More than there is becomes a debt, which waits for later."""
        self._follow(now)
        self._due = max(self._due, now) + self._every * count

    def rest(self, now: datetime, duration: timedelta) -> None:
        """Let nothing through for `duration`, and no burst after it."""
        self._follow(now)
        self._due = max(self._due, now + duration + self._ahead)

    def _follow(self, now: datetime) -> None:
        self._due += min(now - self._at, timedelta(0))
        self._at = now


def _at_once(limit: int) -> int:
    return max(int(limit * _AT_ONCE), 1)


def _every(limit: int, per: timedelta) -> timedelta:
    """Answer how far apart they go, so that with what goes at once it stays in `limit`."""
    evenly = max(limit - _at_once(limit), 1)
    return timedelta(microseconds=-(-per // timedelta(microseconds=1) // evenly))


@dataclass(frozen=True)
class Periods:
    """From one look at a calendar to the next: with a meeting near, and without."""

    near: timedelta
    idle: timedelta

    def polls_per_minute(self, near: int, idle: int) -> float:
        return near * (_MINUTE / self.near) + idle * (_MINUTE / self.idle)


@dataclass(frozen=True)
class AccountPace:
    """At what pace an account's calendars are read; `near` and `idle` count them."""

    near: int
    idle: int
    periods: Periods
    is_stretched: bool


def paces(
    counts: Mapping[str, tuple[int, int]], wanted: Periods, limits: Limits
) -> dict[str, AccountPace]:
    """Answer each account's pace. `counts`: its calendars near a meeting, and its others.

    Whoever has few calendars isn't slowed down by another account's many, unless all of them
    together are too much for the project.
    """
    near = sum(each for each, _ in counts.values())
    idle = sum(each for _, each in counts.values())
    shared = stretched(wanted, near, idle, limits.polls_of_project())
    found = {}
    for account, (own_near, own_idle) in counts.items():
        own = stretched(wanted, own_near, own_idle, limits.polls_of_account())
        periods = Periods(max(own.near, shared.near), max(own.idle, shared.idle))
        found[account] = AccountPace(own_near, own_idle, periods, periods != wanted)
    return found


def stretched(wanted: Periods, near: int, idle: int, per_minute: float) -> Periods:
    """Answer the periods at which so many calendars make at most `per_minute` polls.

    What is near keeps its pace for as long as the others can wait for it; when they wait
    three times as long as they should, everything is stretched alike.
    """
    if wanted.polls_per_minute(near, idle) <= per_minute:
        return wanted
    left = per_minute - wanted.polls_per_minute(near, 0)
    # What is left may be next to nothing, and so the period longer than any that can be told.
    if idle and left > 0 and idle / left <= _MOST_IDLE * (wanted.idle / _MINUTE):
        return Periods(wanted.near, max(_MINUTE * (idle / left), wanted.idle))
    slow = Periods(wanted.near, _MOST_IDLE * wanted.idle)
    factor = slow.polls_per_minute(near, idle) / per_minute
    return Periods(slow.near * factor, slow.idle * factor)
