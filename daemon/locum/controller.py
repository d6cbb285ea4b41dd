"""The loop's body: snapshot, plan, actions. One pass is one function.

A restart, a suspended machine, a lost timer, an edited event and an edited config all come
out here, on the same path: whoever notices anything asks for a pass, and the pass looks at
what is. Timers and notices carry no meaning of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from locum.agenda import Agenda
from locum.core.consent import series_of
from locum.core.model import (
    Action,
    Adopt,
    Amend,
    CalendarEvent,
    CalendarRef,
    EndReason,
    GiveUp,
    Join,
    Judged,
    Leave,
    Mark,
    OccurrenceKey,
    OptOut,
    Phase,
    Plan,
    SeriesKey,
    SessionKey,
    SessionRecord,
    Stay,
    WriteUp,
)
from locum.core.planning import arrange
from locum.core.policy import Policy
from locum.core.reconcile import reconcile
from locum.debrief import Debrief
from locum.decisions import Decisions
from locum.errors import LocumError
from locum.foresight import PREPARE, Foresight, instants
from locum.funding import Shortage, Terms
from locum.ledger import BudgetError, Ledger, Purse, StaleError
from locum.ledger.hold import Hold
from locum.metrics import Metrics
from locum.ports import Clock, Dispatcher, PresenceEngine
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_MEMORY = timedelta(days=7)
"""How long a finished session is looked at when deciding whether to return: a meeting of
several days must not be entered anew because we have forgotten that we were sent away."""

_CRASH_PAUSE_S = 5.0
"""How long a debrief that crashed (the ledger's disk is full) waits before the next try."""


@dataclass(frozen=True)
class Setting:
    """What a reload may exchange; sessions that are running keep what they began with."""

    policy: Policy
    engines: Mapping[str, PresenceEngine]
    prices: Mapping[str, float]
    purse: Purse | None = None
    notice: timedelta = timedelta(0)
    """How long before a join the owner is told; zero is never."""
    funds_ahead: timedelta = timedelta(0)
    """How long before a billed join its engine's account is looked at; zero is never."""


class Controller:
    """Holds the agenda, and moves the ledger towards what it says."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        dispatcher: Dispatcher,
        debrief: Debrief,
        metrics: Metrics,
        setting: Setting,
        arm: Callable[[Sequence[datetime]], None],
        on_pass: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._dispatcher = dispatcher
        self._debrief = debrief
        self._metrics = metrics
        self._setting = setting
        self._arm = arm
        self._on_pass = on_pass
        self._agenda = Agenda()
        self._asked = asyncio.Event()
        self._stopping = False
        self._events_are_news = False
        self._looks_back = False
        self._writing = Tasks(on_end=lambda _: self.ask())
        self._foresight = Foresight(clock, on_change=self.ask)
        self._decisions = Decisions(ledger, clock)
        self._moved: frozenset[OccurrenceKey] = frozenset()
        self._opt_outs: tuple[OptOut, ...] = ()
        self._last_pass = time.monotonic()
        self._held_back: Mapping[SessionKey, tuple[str, str]] = {}

    # ── what others call ─────────────────────────────────────────────────────────────────

    def ask(self) -> None:
        """Ask for a pass. Many at once become one."""
        self._asked.set()

    @property
    def agenda(self) -> Agenda:
        return self._agenda

    @property
    def setting(self) -> Setting:
        return self._setting

    @property
    def shortages(self) -> tuple[Shortage, ...]:
        """The engines' accounts that can't pay for what comes next."""
        return self._foresight.shortages

    def change_setting(self, setting: Setting) -> None:
        self._setting = setting
        self._foresight.forget()
        self._decisions.allow()
        self.events_changed()

    @property
    def held_back(self) -> tuple[tuple[str, str], ...]:
        """What isn't joined because of a restored ledger: titles, each with its reason."""
        return tuple(self._held_back.values())

    @property
    def stopping(self) -> bool:
        return self._stopping

    def events_changed(self) -> None:
        """Look at the ledger's events again, and ask for a pass."""
        # Should this fail, the next pass tries again: whoever told us won't tell us twice.
        self._events_are_news = True
        self._agenda.take(self._ledger.calendars.events())
        self.rejudge()
        self._events_are_news = False

    def look_back(self) -> None:
        """Ask for a pass that sees what went by unseen: time has jumped, or stood still."""
        self._looks_back = True
        self.ask()

    def calendar_changed(self, calendar: CalendarRef) -> frozenset[CalendarRef]:
        """Look at one calendar's events again, and ask for a pass.

        Answers the other calendars that show what changed as it was before.
        """
        if self._events_are_news:
            self.events_changed()
            return frozenset()
        self._events_are_news = True
        book = self._ledger.calendars
        changed = self._agenda.take_calendar(calendar, book.events_of(calendar))
        judged = self._agenda.rejudge_some(changed, self._setting.policy, book.marks())
        self._note_moved(judged)
        self._events_are_news = False
        self.ask()
        self._decisions.note_judged(judged, self._setting.policy)
        return self._agenda.disagreeing(calendar, changed)

    def rejudge(self) -> None:
        """Decide everything anew: the policy, or what a person said, has changed."""
        self._judge()
        self.ask()
        self._decisions.note_judged(self._agenda.judged, self._setting.policy)

    def _judge(self) -> None:
        opt_outs = self._ledger.calendars.opt_outs()
        self._agenda.rejudge(self._setting.policy, self._ledger.calendars.marks())
        self._opt_outs = opt_outs
        self._note_moved(self._agenda.judged)

    def _note_moved(self, judged: Iterable[Judged]) -> None:
        """Keep what was moved far into the past: not near any more, it was missed all the same."""
        self._moved |= self._decisions.moved(judged)

    def begin(self) -> None:
        """Take up where the ledger says that the last process stopped."""
        self._decisions.begin()
        self._agenda.take(self._ledger.calendars.events())
        self._judge()
        # What went by while we were down was missed: look back as far as the calendar did.
        self._looks_back = True
        self._pass_or_log()
        self._decisions.note_judged(self._agenda.judged, self._setting.policy)
        self.ask()

    async def run(self) -> None:
        """Pass whenever asked, until `stop`."""
        while not self._stopping:
            await self._asked.wait()
            self._asked.clear()
            if not self._stopping:
                self._pass_or_log()

    async def stop(self, within: timedelta, *, filing: timedelta) -> None:
        """Stop passing; end every session, `within`, and write up what ended, in `filing`."""
        self._stopping = True
        self.ask()
        for key in self._dispatcher.running():
            self._dispatcher.stop(key, EndReason.SHUTDOWN)
        await self._dispatcher.drain(within)
        with _each_for_itself("wind up"):
            for record in self._records():
                with _each_for_itself("wind up"):
                    self._wind_up(record)
        await self._writing.wait(filing.total_seconds())
        await self._writing.cancel()
        await self._foresight.stop()

    async def hand_over(self, keys: Collection[SessionKey], within: timedelta) -> None:
        """Stop passing; let the next process adopt the sessions of `keys`, and end the others.

        For a ledger that only a new start can mend: nothing is written up.
        """
        self._stopping = True
        self.ask()
        for key in self._dispatcher.running().difference(keys):
            self._dispatcher.stop(key, EndReason.SHUTDOWN)
        await self._dispatcher.hand_over(keys)
        await self._dispatcher.drain(within)
        await self._writing.cancel()
        await self._foresight.stop()

    def _wind_up(self, record: SessionRecord) -> None:
        """Write up what is over, and what was in its room and waits to be tried again.

        A join that waits and never was in goes on after a restart.
        """
        waits = record.phase is Phase.JOINING and record.retry_at is not None
        if waits and record.admitted_at is not None:
            now = self._clock.now()
            self._give_up(GiveUp(record.key, Phase.ENDED, EndReason.SHUTDOWN), now)
        elif record.phase is not Phase.ENDED:
            return
        self._write_up(record.key)

    def _pass_or_log(self) -> None:
        try:
            self.pass_once()
            self._last_pass = time.monotonic()
        except Exception:  # noqa: BLE001 - The loop's outermost frame: it outlives any one pass.
            _log.exception("pass_failed")
        self._on_pass()

    # ── one pass ─────────────────────────────────────────────────────────────────────────

    def pass_once(self) -> None:
        """Look at the present once, and act."""
        if self._events_are_news:
            self.events_changed()
        elif self._ledger.calendars.opt_outs() != self._opt_outs:
            self.rejudge()  # Said in a meeting: its attendance wrote it down, wherever it ran.
        records = self._records()
        also = self._moved.union(*(record.occurrences for record in records if record.is_open))
        if self._looks_back:
            begun = self._agenda.begun_by(self._clock.now() + self._ahead, also)
            self._looks_back = not self._pass(begun)
            return
        self._pass(tuple(self._agenda.near(self._clock.now(), self._ahead, also)))
        self._moved = frozenset()

    def outlook(
        self, ahead: timedelta, also: frozenset[OccurrenceKey]
    ) -> tuple[Plan, tuple[SessionRecord, ...]]:
        """Answer what is planned from now to `ahead`, and of `also`, with the sessions that count.

        It changes nothing.
        """
        now = self._clock.now()
        records = self._records()
        serving = (o for record in records if record.is_open for o in record.occurrences)
        near = self._agenda.near(now, max(ahead, self._ahead), also.union(serving))
        return arrange(near, self._setting.policy, records, now), records

    @property
    def over_budget(self) -> frozenset[OccurrenceKey]:
        """The occurrences that a cap keeps us from."""
        return self._decisions.over_budget

    @property
    def _ahead(self) -> timedelta:
        policy = self._setting.policy
        return policy.lead + policy.merge_window + PREPARE

    def _pass(self, judged: tuple[Judged, ...]) -> bool:
        """Answer whether all that was missed among these is written down."""
        now = self._clock.now()
        policy = self._setting.policy
        records = self._records()
        once_joinable = self._decisions.once_joinable(judged)
        plan = arrange(judged, policy, records, now, once_joinable=once_joinable)
        running = self._dispatcher.running() | {
            SessionKey(str(name)) for name in self._writing.names()
        }
        actions = self._hold_back(reconcile(plan, records, running, policy, now), records, now)
        for action in actions:
            if isinstance(action, Leave):
                # Before all that writes: a full disk keeps nobody in a meeting.
                self._dispatcher.stop(action.key, action.reason)
        with _each_for_itself("join"):
            self._join_all([action for action in actions if isinstance(action, Join)], now)
        untold: set[OccurrenceKey] = set()
        for action in actions:
            with _each_for_itself(type(action).__name__, untold, _missed_by(action)):
                self._apply(action, now)
        self._look_ahead(plan, records, now)
        # What couldn't be written down as missed isn't noted as over: the next pass looks again.
        self._decisions.note([j for j in plan.judged if j.event.occurrence not in untold])
        self._metrics.sessions_counted(sum(record.phase is Phase.LIVE for record in records))
        self._metrics.meetings_armed(self._agenda.armed)
        self._metrics.pass_finished(now)
        return not untold

    def _hold_back(
        self, actions: tuple[Action, ...], records: Sequence[SessionRecord], now: datetime
    ) -> tuple[Action, ...]:
        """Leave out what a restored ledger can't answer for yet."""
        hold = Hold.of(self._ledger.database)
        held: dict[SessionKey, tuple[str, str]] = {}
        kept: set[SessionKey] = set()
        if hold is not None:
            states = self._ledger.calendars.states()
            kept = {record.key for record in records if hold.keeps(record, states, now)}
            used = self._agenda.rooms_used_by(hold.since)
            for action in actions:
                if isinstance(action, Join) and (
                    reason := hold.reason(action.stay, states, records, used_before=used)
                ):
                    held[action.stay.key] = action.stay.meetings[0].title, reason
        for key, (_, reason) in held.items():
            if self._held_back.get(key, ("", ""))[1] != reason:
                _log.warning("join_held_back", session_key=key, reason=reason)
        self._held_back = held
        return tuple(action for action in actions if not _is_held(action, held, kept))

    def _records(self) -> tuple[SessionRecord, ...]:
        return self._ledger.sessions.unfinished_and_since(self._clock.now() - _MEMORY)

    def _join_all(self, joins: Sequence[Join], now: datetime) -> None:
        """Claim everything that is due in one commit, then let all of it begin."""
        fresh = [action.stay for action in joins if action.record is None]
        outcome = self._claim(fresh, now) if fresh else {}
        for action in joins:
            if action.record is not None:
                with _each_for_itself("join again"):
                    self._join_again(action.record, action.stay, now)
        for stay in fresh:
            error = outcome[stay.key]
            if isinstance(error, BudgetError):
                self._note_over_budget(stay, error, now)
            elif error is not None:
                _log.warning("claim_refused", session_key=stay.key, problem=str(error))
        if any(isinstance(error, StaleError) for error in outcome.values()):
            self.events_changed()

    def _claim(
        self, stays: Sequence[Stay], now: datetime
    ) -> Mapping[SessionKey, LocumError | None]:
        outcome = self._ledger.sessions.claim(
            stays,
            now=now,
            grace=self._setting.policy.grace,
            prices=self._setting.prices,
            purse=self._setting.purse,
        )
        # First of all start what was claimed: what is claimed and not started must be taken
        # for sent by whoever finds it.
        for stay in stays:
            if outcome[stay.key] is None:
                self._dispatcher.start(stay.key, claimed_now=True)
                self._decisions.allow({meeting.occurrence for meeting in stay.meetings})
        return outcome

    def _note_over_budget(self, stay: Stay, error: BudgetError, now: datetime) -> None:
        """Say once that a cap is in the way. It is asked again: a session's end frees money."""
        news = {m.occurrence for m in stay.meetings} - self._decisions.over_budget
        if not news:
            return
        _log.error("join_over_budget", session_key=stay.key, problem=str(error))
        near = self._agenda.near(now, timedelta(0), frozenset(news))
        refused = (item for item in near if item.event.occurrence in news)
        self._decisions.refuse(refused, error.refused.reason)

    def _join_again(self, record: SessionRecord, stay: Stay, now: datetime) -> None:
        engines = self._setting.engines
        if record.engine not in engines and stay.meetings[-1].decision.engine in engines:
            # A reload put another engine in its place: a session of that one's takes over.
            phase = Phase.ENDED if record.is_owed_summary else Phase.MISSED
            self._give_up(GiveUp(record.key, phase, EndReason.UNWANTED), now)
            return
        setting = self._setting
        try:
            self._ledger.sessions.claim_again(
                record, stay, now=now, prices=setting.prices, purse=setting.purse
            )
        except BudgetError as error:
            self._note_over_budget(stay, error, now)
            return
        self._dispatcher.start(record.key, claimed_now=True)

    def _apply(self, action: Action, now: datetime) -> None:
        if isinstance(action, Adopt):
            self._dispatcher.start(action.record.key, claimed_now=False)
            self.ask()  # It may have to leave at once: that is seen only while it runs.
        elif isinstance(action, Amend):
            self._amend(action, now)
        elif isinstance(action, GiveUp):
            self._give_up(action, now)
        elif isinstance(action, WriteUp):
            self._write_up(action.key)

    def _amend(self, action: Amend, now: datetime) -> None:
        refused = self._ledger.sessions.amend(
            action.record.key,
            leave_by=action.leave_by,
            meetings=action.meetings,
            purse=self._setting.purse,
            now=now,
        )
        if refused is None:
            _log.info(
                "session_amended",
                session_key=action.record.key,
                leave_by=action.leave_by.isoformat(),
                meetings=len(action.meetings),
            )
        elif now >= action.record.leave_by:
            # What was paid for is over, and the longer stay can't be.
            _log.error(
                "stay_over_budget", session_key=action.record.key, problem=refused.reason
            )
            self._dispatcher.stop(action.record.key, EndReason.SCHEDULED_END)

    def _give_up(self, action: GiveUp, now: datetime) -> None:
        if action.stay is not None:
            if self._ledger.sessions.get(action.key) is not None:
                return  # Told long ago.
            self._ledger.sessions.record_missed(action.stay, now=now, reason=action.reason)
            _log.error(
                "meeting_missed",
                session_key=action.key,
                ended=action.stay.leave_by.isoformat(),
            )
        else:
            self._ledger.sessions.transition(
                action.key,
                action.phase,
                at=now,
                reason=action.reason,
                detail=self._ledger.sessions.detail(action.key),
                ended_at=self._left_at(action, now),
                retry_at=None,
            )
            _log.error("session_given_up", session_key=action.key, reason=action.reason.value)
        engine = action.stay.engine if action.stay is not None else ""
        self._metrics.join_finished(outcome=action.phase.value, engine=engine)
        self.ask()

    def _left_at(self, action: GiveUp, now: datetime) -> datetime:
        """Answer when a session that is given up was last in its room, if it ever was."""
        attempts = self._ledger.sessions.attempts(action.key)
        left = [each.ended_at for each in attempts if each.handle and each.ended_at]
        return left[-1] if left and action.phase is Phase.ENDED else now

    def _write_up(self, key: SessionKey) -> None:
        self._writing.start(key, self._debrief_or_pause(key))

    async def _debrief_or_pause(self, key: SessionKey) -> None:
        try:
            await self._debrief.write_up(key)
        except Exception:  # noqa: BLE001 - The task's outermost frame: the next pass tries again.
            _log.exception("debrief_crashed", session_key=key)
            # That pass comes as soon as this ends.
            await asyncio.sleep(_CRASH_PAUSE_S)

    # ── what is done ahead ───────────────────────────────────────────────────────────────

    def _look_ahead(self, plan: Plan, records: Sequence[SessionRecord], now: datetime) -> None:
        setting = self._setting
        policy = setting.policy
        self._foresight.prepare(plan, setting.engines, now)
        terms = Terms(
            setting.engines,
            setting.prices,
            policy.max_length,
            policy.grace,
            setting.funds_ahead,
        )
        with _each_for_itself("look after funds"):
            self._foresight.look_after_funds(
                lambda ahead: self.outlook(ahead, frozenset()), terms, policy, now
            )
        ahead = (setting.notice, setting.funds_ahead)
        self._arm(instants(self._agenda, plan, records, now, lead=policy.lead, ahead=ahead))

    # ── what a person asks for ───────────────────────────────────────────────────────────

    def mark(self, occurrence: OccurrenceKey, mark: Mark | None) -> None:
        self._ledger.calendars.set_mark(occurrence, mark, at=self._clock.now())
        self.rejudge()

    def opt_out(self, event: CalendarEvent, *, by: str) -> None:
        """Leave this event's series and never go there again; what runs is left at once."""
        now = self._clock.now()
        said = OptOut(series_of(event.occurrence), now, by=by, title=event.title)
        self._ledger.calendars.opt_out(said)
        self.rejudge()

    def opt_in(self, series: SeriesKey) -> bool:
        """Take an opt-out back; answers whether there was one."""
        found = self._ledger.calendars.opt_in(series)
        self.rejudge()
        return found

    def stop_session(self, record: SessionRecord) -> None:
        """Leave now, and never again for the occurrences that have begun."""
        self._dispatcher.stop(record.key, EndReason.STOPPED_BY_USER)
        now = self._clock.now()
        for meeting in record.meetings:
            if meeting.start - self._setting.policy.lead <= now:
                self._ledger.calendars.set_mark(meeting.occurrence, Mark.STOP, at=now)
        self.rejudge()

    @property
    def pass_age(self) -> timedelta:
        """How long ago a pass went through to its end, in the host's time."""
        return timedelta(seconds=time.monotonic() - self._last_pass)


def _is_held(
    action: Action, held: Collection[SessionKey], kept: Collection[SessionKey]
) -> bool:
    if isinstance(action, Join):
        return action.stay.key in held
    if isinstance(action, Amend):
        return action.record.key in kept
    return isinstance(action, (Leave, GiveUp)) and action.key in kept


def _missed_by(action: Action) -> frozenset[OccurrenceKey]:
    """Answer what an action tells to have been missed."""
    if isinstance(action, GiveUp) and action.stay is not None:
        return frozenset(meeting.occurrence for meeting in action.stay.meetings)
    return frozenset()


@contextlib.contextmanager
def _each_for_itself(
    what: str,
    failed: set[OccurrenceKey] | None = None,
    occurrences: Collection[OccurrenceKey] = (),
) -> Iterator[None]:
    """Let one action fail without the others; the next pass finds what is still to be done.

    The `occurrences` of one that fails are added to `failed`.
    """
    try:
        yield
    except LocumError as error:
        if failed is not None:
            failed.update(occurrences)
        _log.error("action_failed", action=what, problem=str(error))
