"""Carries out what a pass found to be done, each action for itself.

Nothing is tried twice in here: the next pass finds what is still to be done.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from locum.controller.judging import Judging
from locum.controller.setting import Setting
from locum.core.model import (
    Action,
    Adopt,
    Amend,
    EndReason,
    GiveUp,
    Join,
    Leave,
    OccurrenceKey,
    Phase,
    SessionKey,
    SessionRecord,
    Stay,
    WriteUp,
)
from locum.debrief import Debrief
from locum.errors import LocumError
from locum.ledger import BudgetError, Ledger, StaleError
from locum.metrics import Metrics
from locum.ports import Clock, Dispatcher
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_CRASH_PAUSE_S = 5.0
"""How long a debrief that crashed (the ledger's disk is full) waits before the next try."""


class Executor:
    """Moves the ledger, the sessions and what is written of them. `ask` asks for a pass."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        dispatcher: Dispatcher,
        debrief: Debrief,
        metrics: Metrics,
        judging: Judging,
        setting: Callable[[], Setting],
        ask: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._dispatcher = dispatcher
        self._debrief = debrief
        self._metrics = metrics
        self._judging = judging
        self._setting = setting
        self._ask = ask
        self._writing = Tasks(on_end=lambda _: ask())

    def carry_out(self, actions: Sequence[Action], now: datetime) -> Collection[OccurrenceKey]:
        """Do all of these; answers what was missed, and couldn't be written down as that."""
        for action in actions:
            if isinstance(action, Leave):
                # Before all that writes: a full disk keeps nobody in a meeting.
                self._dispatcher.stop(action.key, action.reason)
        with each_for_itself("join"):
            self._join_all([action for action in actions if isinstance(action, Join)], now)
        untold: set[OccurrenceKey] = set()
        for action in actions:
            with each_for_itself(type(action).__name__, untold, _missed_by(action)):
                self._apply(action, now)
        return untold

    # ── joining ──────────────────────────────────────────────────────────────────────────

    def _join_all(self, joins: Sequence[Join], now: datetime) -> None:
        """Claim everything that is due in one commit, then let all of it begin."""
        fresh = [action.stay for action in joins if action.record is None]
        outcome = self._claim(fresh, now) if fresh else {}
        for action in joins:
            if action.record is not None:
                with each_for_itself("join again"):
                    self._join_again(action.record, action.stay, now)
        for stay in fresh:
            error = outcome[stay.key]
            if isinstance(error, BudgetError):
                self._note_over_budget(stay, error, now)
            elif error is not None:
                _log.warning("claim_refused", session_key=stay.key, problem=str(error))
        if any(isinstance(error, StaleError) for error in outcome.values()):
            self._judging.events_changed()

    def _claim(
        self, stays: Sequence[Stay], now: datetime
    ) -> Mapping[SessionKey, LocumError | None]:
        setting = self._setting()
        outcome = self._ledger.sessions.claim(
            stays,
            now=now,
            grace=setting.policy.grace,
            prices=setting.prices,
            purse=setting.purse,
        )
        # First of all start what was claimed: what is claimed and not started must be taken
        # for sent by whoever finds it.
        for stay in stays:
            if outcome[stay.key] is None:
                self._dispatcher.start(stay.key, claimed_now=True)
                self._judging.decisions.allow({meeting.occurrence for meeting in stay.meetings})
        return outcome

    def _note_over_budget(self, stay: Stay, error: BudgetError, now: datetime) -> None:
        """Say once that a cap is in the way. It is asked again: a session's end frees money."""
        news = {m.occurrence for m in stay.meetings} - self._judging.decisions.over_budget
        if not news:
            return
        _log.error("join_over_budget", session_key=stay.key, problem=str(error))
        near = self._judging.agenda.near(now, timedelta(0), frozenset(news))
        refused = (item for item in near if item.event.occurrence in news)
        self._judging.decisions.refuse(refused, error.refused.reason)

    def _join_again(self, record: SessionRecord, stay: Stay, now: datetime) -> None:
        setting = self._setting()
        engines = setting.engines
        if record.engine not in engines and stay.meetings[-1].decision.engine in engines:
            # A reload put another engine in its place: a session of that one's takes over.
            phase = Phase.ENDED if record.is_owed_summary else Phase.MISSED
            self._give_up(GiveUp(record.key, phase, EndReason.UNWANTED), now)
            return
        try:
            self._ledger.sessions.claim_again(
                record, stay, now=now, prices=setting.prices, purse=setting.purse
            )
        except BudgetError as error:
            self._note_over_budget(stay, error, now)
            return
        self._dispatcher.start(record.key, claimed_now=True)

    # ── all the rest ─────────────────────────────────────────────────────────────────────

    def _apply(self, action: Action, now: datetime) -> None:
        if isinstance(action, Adopt):
            self._dispatcher.start(action.record.key, claimed_now=False)
            self._ask()  # It may have to leave at once: that is seen only while it runs.
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
            purse=self._setting().purse,
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
        self._ask()

    def _left_at(self, action: GiveUp, now: datetime) -> datetime:
        """Answer when a session that is given up was last in its room, if it ever was."""
        attempts = self._ledger.sessions.attempts(action.key)
        left = [each.ended_at for each in attempts if each.handle and each.ended_at]
        return left[-1] if left and action.phase is Phase.ENDED else now

    # ── writing up ───────────────────────────────────────────────────────────────────────

    @property
    def writing(self) -> frozenset[SessionKey]:
        """The sessions that are being written up."""
        return frozenset(SessionKey(str(name)) for name in self._writing.names())

    def wind_up(self, record: SessionRecord) -> None:
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

    def _write_up(self, key: SessionKey) -> None:
        self._writing.start(key, self._debrief_or_pause(key))

    async def _debrief_or_pause(self, key: SessionKey) -> None:
        try:
            await self._debrief.write_up(key)
        except Exception:  # noqa: BLE001 - The task's outermost frame: the next pass tries again.
            _log.exception("debrief_crashed", session_key=key)
            # That pass comes as soon as this ends.
            await asyncio.sleep(_CRASH_PAUSE_S)

    async def stop(self, filing: timedelta | None = None) -> None:
        """End what is being written up; in `filing`, where that is given, it may still be filed."""
        if filing is not None:
            await self._writing.wait(filing.total_seconds())
        await self._writing.cancel()


def _missed_by(action: Action) -> frozenset[OccurrenceKey]:
    """Answer what an action tells to have been missed."""
    if isinstance(action, GiveUp) and action.stay is not None:
        return frozenset(meeting.occurrence for meeting in action.stay.meetings)
    return frozenset()


@contextlib.contextmanager
def each_for_itself(
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
