"""The loop's body: snapshot, plan, actions. One pass is one function.

A restart, a suspended machine, a lost timer, an edited event and an edited config all come
out here, on the same path: whoever notices anything asks for a pass, and the pass looks at
what is. Timers and notices carry no meaning of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import structlog

from locum.agenda import Agenda
from locum.controller.execution import Executor, each_for_itself
from locum.controller.judging import Judging
from locum.controller.restraint import Restraint
from locum.controller.setting import Setting
from locum.core.consent import series_of
from locum.core.model import (
    CalendarEvent,
    CalendarRef,
    EndReason,
    Judged,
    Mark,
    OccurrenceKey,
    OptOut,
    Phase,
    Plan,
    SeriesKey,
    SessionKey,
    SessionRecord,
)
from locum.core.planning import arrange
from locum.core.reconcile import reconcile
from locum.debrief import Debrief
from locum.foresight import PREPARE, Foresight, instants
from locum.funding import Shortage, Terms
from locum.ledger import Ledger
from locum.metrics import Metrics
from locum.ports import Clock, Dispatcher

_log = structlog.get_logger(__name__)

_MEMORY = timedelta(days=7)
"""How long a finished session is looked at when deciding whether to return: a meeting of
several days must not be entered anew because we have forgotten that we were sent away."""


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
        self._metrics = metrics
        self._setting = setting
        self._arm = arm
        self._on_pass = on_pass
        self._asked = asyncio.Event()
        self._stopping = False
        self._looks_back = False
        self._last_pass = time.monotonic()
        self._judging = Judging(
            ledger, clock, policy=lambda: self._setting.policy, on_judged=self.ask
        )
        self._agenda, self._decisions = self._judging.agenda, self._judging.decisions
        self._restraint = Restraint(ledger, self._agenda)
        self._executor = Executor(
            ledger=ledger,
            clock=clock,
            dispatcher=dispatcher,
            debrief=debrief,
            metrics=metrics,
            judging=self._judging,
            setting=lambda: self._setting,
            ask=self.ask,
        )
        self._foresight = Foresight(clock, on_change=self.ask)

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
        return tuple(self._restraint.held.values())

    @property
    def stopping(self) -> bool:
        return self._stopping

    def events_changed(self) -> None:
        """Look at the ledger's events again, and ask for a pass."""
        self._judging.events_changed()

    def look_back(self) -> None:
        """Ask for a pass that sees what went by unseen: time has jumped, or stood still."""
        self._looks_back = True
        self.ask()

    def calendar_changed(self, calendar: CalendarRef) -> frozenset[CalendarRef]:
        """Look at one calendar's events again, and ask for a pass.

        Answers the other calendars that show what changed as it was before.
        """
        return self._judging.calendar_changed(calendar)

    def rejudge(self) -> None:
        """Decide everything anew: the policy, or what a person said, has changed."""
        self._judging.rejudge()

    def begin(self) -> None:
        """Take up where the ledger says that the last process stopped."""
        self._judging.begin()
        # What went by while we were down was missed: look back as far as the calendar did.
        self._looks_back = True
        self._pass_or_log()
        self._judging.note()
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
        with each_for_itself("wind up"):
            for record in self._records():
                with each_for_itself("wind up"):
                    self._executor.wind_up(record)
        await self._executor.stop(filing)
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
        await self._executor.stop()
        await self._foresight.stop()

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
        self._judging.catch_up()
        records = self._records()
        open_now = (record.occurrences for record in records if record.is_open)
        also = self._judging.moved.union(*open_now)
        if self._looks_back:
            begun = self._agenda.begun_by(self._clock.now() + self._ahead, also)
            self._looks_back = not self._pass(begun)
            return
        self._pass(tuple(self._agenda.near(self._clock.now(), self._ahead, also)))
        self._judging.moved = frozenset()

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
        running = self._dispatcher.running() | self._executor.writing
        actions = reconcile(plan, records, running, policy, now)
        actions = self._restraint.hold_back(actions, records, now)
        untold = self._executor.carry_out(actions, now)
        self._look_ahead(plan, records, now)
        # What couldn't be written down as missed isn't noted as over: the next pass looks again.
        self._decisions.note([j for j in plan.judged if j.event.occurrence not in untold])
        self._metrics.sessions_counted(sum(record.phase is Phase.LIVE for record in records))
        self._metrics.meetings_armed(self._agenda.armed)
        self._metrics.pass_finished(now)
        return not untold

    def _records(self) -> tuple[SessionRecord, ...]:
        return self._ledger.sessions.unfinished_and_since(self._clock.now() - _MEMORY)

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
        with each_for_itself("look after funds"):
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
