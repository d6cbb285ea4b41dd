"""Reads the calendars into the ledger: when, through which lane, and what failing means.

A failed read changes nothing that is armed. It is told once when it begins and once when it
ends, not at every try.

A calendar is read at the pace of its own meetings, as far as the quota goes; and where it
turns out to have changed, so are the others that show the same meetings.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from locum.core.model import (
    CalendarAccess,
    CalendarEvent,
    CalendarRef,
    EventStatus,
    TimeWindow,
)
from locum.core.pacing import AccountPace, Limits, Periods, paces
from locum.errors import (
    GoneError,
    HumanNeededError,
    LocumError,
    OutOfQuotaError,
    PermanentError,
    TransientError,
)
from locum.ledger import Applied, Ledger
from locum.metrics import Metrics
from locum.ports import CalendarSource, Clock, Delta
from locum.turns import Turn, Turns

_log = structlog.get_logger(__name__)

_LOOK_BACK = timedelta(hours=12)
_FULL_READ = timedelta(hours=1)
"""The delta lane never shows what merely slides into the horizon: read all of it this often."""

_CONFIRM = timedelta(seconds=3)
_BLOCKED = timedelta(minutes=5)
_FIRST_BACKOFF = timedelta(seconds=15)
_SLOWEST_BACKOFF = timedelta(minutes=15)
_JITTER = 0.1

_EARLY = timedelta(hours=1)
"""The longest lead: that early we may be in."""

_MOST_SOUGHT = 20
"""How many events are asked for by themselves: a reading that lost a thousand is at fault."""
_NEAR_MARGIN = timedelta(minutes=15)
"""How long before a meeting its calendars are read at the near pace."""

_COUNTED_FOR = timedelta(seconds=15)
"""How long a count of the calendars near a meeting is good enough."""

_SPREAD = timedelta(seconds=0.05)
_MOST_SPREAD = timedelta(seconds=5)
_NOW = timedelta(0)
_SECOND = timedelta(seconds=1)


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
    limits: Limits = field(default_factory=Limits)
    safety: timedelta = timedelta(0)

    @property
    def wanted(self) -> Periods:
        return Periods(self.near, self.idle)


@dataclass(frozen=True)
class _Rest:
    """An account is out of quota, for the how manieth time in a row."""

    times: int
    began: datetime
    duration: timedelta


class Polling:
    """`poll` one calendar; the answer is when to poll it again.

    Args:
        near_from: Answers, for a calendar, the present and a margin, from when on it must be
            watched closely; None where nothing lies ahead.
        on_change: Called when a calendar has changed; answers which other ones show the
            same meetings as they were before.
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
        near_from: Callable[[CalendarRef, datetime, timedelta], datetime | None],
        on_change: Callable[[CalendarRef], Iterable[CalendarRef]],
        rings: Callable[[CalendarRef], bool] = lambda _calendar: False,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._metrics = metrics
        self._near_from = near_from
        self._on_change = on_change
        self._rings = rings
        self._jitter = random.Random()  # noqa: S311 - Spreads polls; no secret.
        self._failures: dict[CalendarRef, int] = {}
        self._rests: dict[str, _Rest] = {}
        self._read_in_full: dict[CalendarRef, datetime] = {}
        self._due: dict[CalendarRef, datetime] = {}
        self._outdated: set[CalendarRef] = set()
        self._paces: Mapping[str, AccountPace] = {}
        self._counted_at: datetime | None = None
        self._turns = Turns(clock, pace.limits)
        self.change(sources, pace)

    def change(self, sources: Sequence[CalendarSource], pace: Pace) -> None:
        self._sources: Mapping[CalendarRef, CalendarSource] = {
            calendar: source for source in sources for calendar in source.calendars
        }
        self._pace = pace
        self._turns.change(pace.limits)
        self._counted_at = None

    @property
    def calendars(self) -> tuple[CalendarRef, ...]:
        return tuple(self._sources)

    def read_all_in_full(self) -> None:
        """Let the next poll of each calendar be a full read: time itself has jumped."""
        self._read_in_full.clear()

    def is_failing(self, calendar: CalendarRef) -> bool:
        """Whether its last look failed, so that it is tried again later and later."""
        return calendar in self._failures

    # ── when ─────────────────────────────────────────────────────────────────────────────

    def first_waits(self) -> Mapping[CalendarRef, timedelta]:
        """Answer when to poll each calendar, where all of them are due: the near ones first.

        The rest a little apart, for Google has other clients that were woken just now. How
        many are let through is the quota's affair.
        """
        now = self._clock.now()
        spread = min(_SPREAD * len(self._sources), _MOST_SPREAD)
        return {
            calendar: _NOW
            if self._is_near(calendar, now)
            else spread * self._jitter.uniform(0.1, 1)
            for calendar in self._sources
        }

    def take_outdated(self) -> frozenset[CalendarRef]:
        """Answer which calendars another one's change has outdated: they are to be polled now.

        Each is answered once.
        """
        outdated = frozenset(self._outdated & self._sources.keys())
        self._outdated.clear()
        for calendar in outdated:
            self.hurry(calendar)
        return outdated

    def hurry(self, calendar: CalendarRef) -> None:
        """Let a calendar's next poll go before all that are merely due."""
        now = self._clock.now()
        self._due[calendar] = now - self._period(calendar, now)
        self._turns.hurry(calendar, now)

    def paces(self) -> Mapping[str, AccountPace]:
        """Answer at what pace each account's calendars are read now."""
        now = self._clock.now()
        at = self._counted_at
        if at is None or not at <= now < at + _COUNTED_FOR:
            self._count(now)
        return self._paces

    def _count(self, now: datetime) -> None:
        near: Counter[str] = Counter()
        every: Counter[str] = Counter()
        for calendar in self._sources:
            every[calendar.account] += 1
            near[calendar.account] += self._is_near(calendar, now)
        counts = {name: (near[name], every[name] - near[name]) for name in every}
        before, self._paces = self._paces, paces(counts, self._pace.wanted, self._pace.limits)
        self._counted_at = now
        for account, pace in self._paces.items():
            self._metrics.calendars_paced(
                account=account, near=pace.periods.near, idle=pace.periods.idle
            )
            was_stretched = account in before and before[account].is_stretched
            if pace.is_stretched != was_stretched:
                _tell_pace(account, pace)

    def _is_near(self, calendar: CalendarRef, now: datetime) -> bool:
        since = self._near_from(calendar, now, _NEAR_MARGIN)
        return since is not None and since <= now

    def _period(self, calendar: CalendarRef, now: datetime) -> timedelta:
        """Answer how long after one look the next one is due."""
        pace = self.paces().get(calendar.account)
        periods = pace.periods if pace is not None else self._pace.wanted
        # What a message that was lost costs at most, where messages come.
        idle = max(periods.idle, self._pace.safety) if self._rings(calendar) else periods.idle
        near_from = self._near_from(calendar, now, _NEAR_MARGIN)
        if near_from is None:
            return idle
        # An idle calendar's next look comes when it begins to be near, at the latest.
        return periods.near if near_from <= now else min(idle, near_from - now)

    async def poll(self, calendar: CalendarRef) -> timedelta | None:
        """Look at one calendar; answers the wait before the next look, None if it is unwatched.

        None too where it waits for its turn already: whoever waits there has the answer.
        Raises nothing on purpose: what failed stands in the ledger and is tried again.
        """
        if calendar not in self._sources or self._turns.is_waiting(calendar):
            return None
        now = self._clock.now()
        due = self._due.setdefault(calendar, now)
        async with self._turns.turn(calendar, due + self._period(calendar, now)) as turn:
            source = self._sources.get(calendar)
            if turn is None and source is not None:
                return _NOW  # With the same urgency as before.
            del self._due[calendar]
            if turn is None or source is None:
                return None
            wait = await self._look_or_note(source, calendar, turn)
        return wait * (1 + self._jitter.uniform(-_JITTER, _JITTER))

    # ── one look ─────────────────────────────────────────────────────────────────────────

    async def _look_or_note(
        self, source: CalendarSource, calendar: CalendarRef, turn: Turn
    ) -> timedelta:
        try:
            wait = await self._look(source, calendar, turn)
        except OutOfQuotaError as error:
            # Told of the account, not of each of its thousand calendars.
            self._failed(calendar, "out_of_quota", error, is_told=True)
            return self._rest(calendar, error)
        except TransientError as error:
            failures = self._failed(calendar, "transient", error)
            return max(error.retry_after, _backoff(failures))
        except HumanNeededError as error:
            self._failed(calendar, "sign_in", error)
            return _BLOCKED
        except PermanentError as error:
            self._failed(calendar, "refused", error)
            if isinstance(error, GoneError):
                self._let_go(calendar)
            return _BLOCKED
        if self._failures.pop(calendar, 0):
            _log.info("calendar_read_again", calendar=str(calendar))
        if self._rests.pop(calendar.account, None) is not None:
            _log.info("account_in_quota_again", account=calendar.account)
        self._metrics.calendar_polled(account=calendar.account, outcome="ok")
        return wait

    def _rest(self, calendar: CalendarRef, error: OutOfQuotaError) -> timedelta:
        """Let the whole account rest: asking for its other calendars would only prolong it."""
        now, account = self._clock.now(), calendar.account
        last = self._rests.get(account)
        if last is not None and _NOW <= now - last.began < last.duration:
            return last.began + last.duration - now  # What was under way is refused as well.
        times = 1 if last is None else last.times + 1
        duration = max(error.retry_after, _backoff(times))
        self._rests[account] = _Rest(times, now, duration)
        self._turns.rest(account, duration)
        log = _log.error if times == 1 else _log.debug
        log("account_out_of_quota", account=account, rests_s=round(duration / _SECOND))
        return duration

    async def _look(
        self, source: CalendarSource, calendar: CalendarRef, turn: Turn
    ) -> timedelta:
        now = self._clock.now()
        last_full = self._read_in_full.get(calendar)
        due_in_full = last_full is None or now - last_full >= _FULL_READ
        # The end of a failure is written by a reading: an idle delta lane would hide it.
        due_in_full = due_in_full or calendar in self._failures
        delta = None if due_in_full else await self._delta(source, calendar, turn)
        if delta is None or delta.changed:
            applied = await self._read(source, calendar, turn)
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
        return self._period(calendar, self._clock.now())

    async def _delta(
        self, source: CalendarSource, calendar: CalendarRef, turn: Turn
    ) -> Delta | None:
        """Ask what changed; None where a full reading is due in any case."""
        if len(self._sources) < self._pace.delta_from:
            return None
        state = self._ledger.calendars.state(calendar)
        token = state.sync_token if state is not None else None
        delta = await source.changes(calendar, token or "")
        turn.spent(delta.requests)
        # Without a token nothing is known of what changed until now.
        return delta if token else replace(delta, changed=True)

    async def _read(self, source: CalendarSource, calendar: CalendarRef, turn: Turn) -> Applied:
        now = self._clock.now()
        window = TimeWindow(now - _LOOK_BACK, now + self._pace.horizon)
        reading = await source.read(calendar, window)
        turn.spent(reading.requests)
        if calendar not in self._sources:
            return Applied()  # A reload has dropped it meanwhile, and with it what it shows.
        for malformed in reading.malformed:
            _log.warning(
                "event_skipped",
                calendar=str(calendar),
                event_id=malformed.item_id,
                problem=malformed.problem,
            )
        before = self._ledger.calendars.state(calendar)
        if reading.access is CalendarAccess.FREE_BUSY and (
            before is None or before.access is not CalendarAccess.FREE_BUSY
        ):
            _log.warning("calendar_without_details", calendar=str(calendar))
        applied = self._ledger.calendars.apply(reading)
        found = await self._seek(source, applied.absent, window, turn)
        if applied.changed or found:
            changed = applied.changed + found
            _log.info("calendar_changed", calendar=str(calendar), events=changed)
            self._outdated.update(self._on_change(calendar))
        return replace(applied, unconfirmed=applied.unconfirmed - found)

    async def _seek(
        self,
        source: CalendarSource,
        absent: Sequence[CalendarEvent],
        window: TimeWindow,
        turn: Turn,
    ) -> int:
        """Ask for what is missing while it should be running; answers how many turned up.

        Moved beyond the horizon, it is in no reading, and yet not gone: whoever sits in it
        must know that.
        """
        now = self._clock.now()
        found = 0
        running = [
            each
            for each in absent
            if each.status is not EventStatus.CANCELLED and _may_be_on(each, now)
        ]
        for event in running[:_MOST_SOUGHT]:
            turn.spent(1)
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

    def _failed(
        self, calendar: CalendarRef, outcome: str, error: LocumError, *, is_told: bool = False
    ) -> int:
        """Tell of a failed look; answers how many there were in a row."""
        self._failures[calendar] = self._failures.get(calendar, 0) + 1
        self._metrics.calendar_polled(account=calendar.account, outcome=outcome)
        is_news = self._ledger.calendars.note_failure(
            calendar,
            at=self._clock.now(),
            problem=str(error),
            refused=isinstance(error, GoneError),
        )
        log = _log.error if is_news and not is_told else _log.debug
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
            self._outdated.update(self._on_change(calendar))


def _may_be_on(event: CalendarEvent, now: datetime) -> bool:
    is_over = event.end is not None and event.start < event.end <= now
    return event.start - _EARLY <= now and not is_over


def _backoff(failures: int) -> timedelta:
    """Answer the wait after so many failures in a row."""
    return min(_FIRST_BACKOFF * (1 << min(failures - 1, 10)), _SLOWEST_BACKOFF)


def _tell_pace(account: str, pace: AccountPace) -> None:
    if not pace.is_stretched:
        _log.info("calendar_pace_restored", account=account)
        return
    _log.warning(
        "calendar_pace_stretched",
        account=account,
        calendars=pace.near + pace.idle,
        near=pace.near,
        near_every_s=round(pace.periods.near / _SECOND),
        idle_every_s=round(pace.periods.idle / _SECOND),
    )
