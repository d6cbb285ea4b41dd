"""Reads the calendars into the ledger: when, through which lane, and what failing means.

A failed read changes nothing that is armed. It is told once when it begins and once when it
ends, not at every try.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from locum.core.model import CalendarAccess, CalendarRef, TimeWindow
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ledger import Ledger
from locum.metrics import Metrics
from locum.ports import CalendarSource, Clock, Delta

_log = structlog.get_logger(__name__)

_LOOK_BACK = timedelta(hours=12)
_FULL_READ = timedelta(hours=1)
"""The delta lane never shows what merely slides into the horizon: read all of it this often."""

_NEAR = timedelta(minutes=15)
_CONFIRM = timedelta(seconds=3)
_BLOCKED = timedelta(minutes=5)
_FIRST_BACKOFF = timedelta(seconds=15)
_SLOWEST_BACKOFF = timedelta(minutes=15)
_JITTER = 0.1


@dataclass(frozen=True)
class Pace:
    """How often to look. `delta_from`: with that many calendars, ask for changes first.

    `safety` is for a calendar that rings by itself: what its lost messages cost at most.
    """

    near: timedelta
    idle: timedelta
    horizon: timedelta
    delta_from: int
    safety: timedelta = timedelta(0)


class Polling:
    """`poll` one calendar; the answer is when to poll it again.

    Args:
        ledger: Where readings go.
        clock: Dates them.
        metrics: Counts polls.
        sources: Where the calendars are read.
        pace: How often.
        busy: Whether a meeting to join runs at an instant, or begins within a duration of it.
        on_change: Called when a reading brought news.
        rings: Whether a calendar tells of its changes by itself.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        metrics: Metrics,
        sources: Sequence[CalendarSource],
        pace: Pace,
        busy: Callable[[datetime, timedelta], bool],
        on_change: Callable[[], None],
        rings: Callable[[CalendarRef], bool] = lambda _calendar: False,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._metrics = metrics
        self._busy = busy
        self._on_change = on_change
        self._rings = rings
        self._jitter = random.Random()  # noqa: S311 - Spreads polls; no secret.
        self._failures: dict[CalendarRef, int] = {}
        self._read_in_full: dict[CalendarRef, datetime] = {}
        self.change(sources, pace)

    def change(self, sources: Sequence[CalendarSource], pace: Pace) -> None:
        self._sources: Mapping[CalendarRef, CalendarSource] = {
            calendar: source for source in sources for calendar in source.calendars
        }
        self._pace = pace

    @property
    def calendars(self) -> tuple[CalendarRef, ...]:
        return tuple(self._sources)

    def read_all_in_full(self) -> None:
        """Let the next poll of each calendar be a full read: time itself has jumped."""
        self._read_in_full.clear()

    def is_failing(self, calendar: CalendarRef) -> bool:
        """Whether its last look failed, so that it is tried again later and later."""
        return calendar in self._failures

    async def poll(self, calendar: CalendarRef) -> timedelta | None:
        """Look at one calendar; answers the wait before the next look, None if it is unwatched.

        Raises nothing on purpose: what failed stands in the ledger and is tried again.
        """
        source = self._sources.get(calendar)
        if source is None:
            return None
        try:
            wait = await self._look(source, calendar)
        except TransientError as error:
            failures = self._failed(calendar, "transient", error)
            backoff = min(_FIRST_BACKOFF * 2 ** min(failures - 1, 10), _SLOWEST_BACKOFF)
            wait = max(error.retry_after, backoff)
        except HumanNeededError as error:
            wait = _BLOCKED
            self._failed(calendar, "sign_in", error)
        except PermanentError as error:
            wait = _BLOCKED
            self._failed(calendar, "refused", error)
        else:
            if self._failures.pop(calendar, 0):
                _log.info("calendar_read_again", calendar=str(calendar))
            self._metrics.calendar_polled(account=calendar.account, outcome="ok")
        return wait * (1 + self._jitter.uniform(-_JITTER, _JITTER))

    async def _look(self, source: CalendarSource, calendar: CalendarRef) -> timedelta:
        now = self._clock.now()
        last_full = self._read_in_full.get(calendar)
        due_in_full = last_full is None or now - last_full >= _FULL_READ
        # The end of a failure is written by a reading: an idle delta lane would hide it.
        due_in_full = due_in_full or calendar in self._failures
        delta = None if due_in_full else await self._delta(source, calendar)
        if delta is None or delta.changed:
            unconfirmed = await self._read(source, calendar)
            if unconfirmed:
                return _CONFIRM
            self._read_in_full[calendar] = now
        if delta is not None:
            # Not before what it told of was read: a change whose reading failed is told again.
            self._ledger.calendars.note_sync_token(calendar, delta.sync_token)
        return self._pause(calendar)

    def _pause(self, calendar: CalendarRef) -> timedelta:
        """Answer how long a calendar that was just looked at is left alone."""
        pace, now = self._pace, self._clock.now()
        if self._busy(now, _NEAR):
            return pace.near
        # Not past the time when a meeting gets near: a message may be lost then too.
        if self._rings(calendar) and not self._busy(now, _NEAR + pace.safety):
            return max(pace.idle, pace.safety)
        return pace.idle

    async def _delta(self, source: CalendarSource, calendar: CalendarRef) -> Delta | None:
        """Ask what changed; None where a full reading is due in any case."""
        if len(self._sources) < self._pace.delta_from:
            return None
        state = self._ledger.calendars.states().get(calendar)
        token = state.sync_token if state is not None else None
        delta = await source.changes(calendar, token or "")
        # Without a token nothing is known of what changed until now.
        return delta if token else replace(delta, changed=True)

    async def _read(self, source: CalendarSource, calendar: CalendarRef) -> int:
        now = self._clock.now()
        window = TimeWindow(now - _LOOK_BACK, now + self._pace.horizon)
        reading = await source.read(calendar, window)
        if calendar not in self._sources:
            return 0  # A reload has dropped it meanwhile, and with it what it shows.
        for malformed in reading.malformed:
            _log.warning(
                "event_skipped",
                calendar=str(calendar),
                event_id=malformed.item_id,
                problem=malformed.problem,
            )
        before = self._ledger.calendars.states().get(calendar)
        if reading.access is CalendarAccess.FREE_BUSY and (
            before is None or before.access is not CalendarAccess.FREE_BUSY
        ):
            _log.warning("calendar_without_details", calendar=str(calendar))
        applied = self._ledger.calendars.apply(reading)
        if applied.changed:
            _log.info("calendar_changed", calendar=str(calendar), events=applied.changed)
            self._on_change()
        return applied.unconfirmed

    def _failed(self, calendar: CalendarRef, outcome: str, error: LocumError) -> int:
        """Tell of a failed look; answers how many there were in a row."""
        self._failures[calendar] = self._failures.get(calendar, 0) + 1
        self._metrics.calendar_polled(account=calendar.account, outcome=outcome)
        is_news = self._ledger.calendars.note_failure(
            calendar, at=self._clock.now(), problem=str(error)
        )
        log = _log.error if is_news else _log.debug
        log("calendar_unreadable", calendar=str(calendar), kind=outcome, problem=str(error))
        return self._failures[calendar]
