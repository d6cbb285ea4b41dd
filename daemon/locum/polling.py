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

from locum.core.model import (
    CalendarAccess,
    CalendarEvent,
    CalendarRef,
    EventStatus,
    TimeWindow,
)
from locum.errors import (
    GoneError,
    HumanNeededError,
    LocumError,
    PermanentError,
    TransientError,
)
from locum.ledger import Applied, Ledger
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

_EARLY = timedelta(hours=1)
"""The longest lead: that early we may be in."""

_MOST_SOUGHT = 20
"""How many events are asked for by themselves: a reading that lost a thousand is at fault."""


@dataclass(frozen=True)
class Pace:
    """How often to look. `delta_from`: with that many calendars, ask for changes first.

    `keep_refused`: how long what is armed outlives its calendar.
    `safety` is for a calendar that rings by itself: what its lost messages cost at most.
    """

    near: timedelta
    idle: timedelta
    horizon: timedelta
    delta_from: int
    keep_refused: timedelta = timedelta(hours=24)
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
            if isinstance(error, GoneError):
                self._let_go(calendar)
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
            applied = await self._read(source, calendar)
            if applied.unconfirmed:
                return _CONFIRM
            if applied.vanished:
                # Nobody told of their end, and nobody will tell if this was a mistake.
                self._read_in_full.pop(calendar, None)
            else:
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

    async def _read(self, source: CalendarSource, calendar: CalendarRef) -> Applied:
        now = self._clock.now()
        window = TimeWindow(now - _LOOK_BACK, now + self._pace.horizon)
        reading = await source.read(calendar, window)
        if calendar not in self._sources:
            return Applied()  # A reload has dropped it meanwhile, and with it what it shows.
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
        found = await self._seek(source, applied.absent, window)
        if applied.changed or found:
            changed = applied.changed + found
            _log.info("calendar_changed", calendar=str(calendar), events=changed)
            self._on_change()
        return replace(applied, unconfirmed=applied.unconfirmed - found)

    async def _seek(
        self, source: CalendarSource, absent: Sequence[CalendarEvent], window: TimeWindow
    ) -> int:
        """Ask for what is missing while it should be running; answers how many turned up.

        Moved beyond the horizon, it is in no reading, and yet not gone: whoever sits in it
        must know that.
        """
        now = self._clock.now()
        found = 0
        running = [each for each in absent if _may_be_on(each, now)]
        for event in running[:_MOST_SOUGHT]:
            try:
                seen = await source.find(event.calendar, event.event_id)
            except LocumError as error:
                _log.info("event_not_sought", event_id=event.event_id, problem=str(error))
                break  # The second look decides.
            if seen is None or seen.event_id != event.event_id:
                continue
            shown = window.overlaps(seen.start, seen.end or seen.start)
            # What the reading should have shown is for the next one to show.
            if seen.status is EventStatus.CANCELLED or not shown:
                self._ledger.calendars.put_found(seen)
                found += 1
        return found

    def _failed(self, calendar: CalendarRef, outcome: str, error: LocumError) -> int:
        """Tell of a failed look; answers how many there were in a row."""
        self._failures[calendar] = self._failures.get(calendar, 0) + 1
        self._metrics.calendar_polled(account=calendar.account, outcome=outcome)
        is_news = self._ledger.calendars.note_failure(
            calendar,
            at=self._clock.now(),
            problem=str(error),
            refused=isinstance(error, GoneError),
        )
        log = _log.error if is_news else _log.debug
        log("calendar_unreadable", calendar=str(calendar), kind=outcome, problem=str(error))
        return self._failures[calendar]

    def _let_go(self, calendar: CalendarRef) -> None:
        """Drop what a calendar that is gone has armed, once it has been gone for long enough."""
        keep = self._pace.keep_refused
        dropped = self._ledger.calendars.drop_refused(
            calendar, now=self._clock.now(), keep=keep
        )
        if dropped:
            _log.warning("calendar_let_go", calendar=str(calendar), events=dropped)
            self._on_change()


def _may_be_on(event: CalendarEvent, now: datetime) -> bool:
    is_over = event.end is not None and event.start < event.end <= now
    return event.start - _EARLY <= now and not is_over
