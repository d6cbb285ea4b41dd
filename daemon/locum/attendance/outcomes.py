"""What comes of an attempt that is over: another one, or the session's end.

Nothing runs any more when this is asked. An attempt that failed by nobody's wish is repeated
while the grace lasts, and never in such a way that an engine is paid for failing all day long.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from locum.attendance.company import Company, StopSignal
from locum.attendance.entry import Entry
from locum.core.lifecycle import WORTH_ANOTHER_TRY, closing_phase
from locum.core.model import EndReason, Phase
from locum.ports import Ended

_log = structlog.get_logger(__name__)

_WORTH_A_GRACE = timedelta(minutes=1)
"""A presence that was lost after this long is tried for again as if it were a new one."""

_AT_ONCE = timedelta(seconds=1)
"""How soon after a loss we come back, where nothing speaks for a pause."""

_LOSSES_AT_ONCE, _LOSSES_WITHIN = 5, timedelta(minutes=10)
"""How many losses of an unbilled presence, and in how long, are nothing but bad luck. After
that it may be the room that drops us: tries grow apart."""


class Outcomes:
    """One session's."""

    def __init__(self, entry: Entry, company: Company, stop: StopSignal) -> None:
        self._key = entry.record.key
        self._entry = entry
        self._company = company
        self._stop = stop
        self._sessions = company.ledger.sessions

    async def ended_by_itself(self, ended: Ended) -> None:
        """It ended from the other side, or was never let in."""
        if ended.reason not in WORTH_ANOTHER_TRY:
            await self.out(ended.reason, ended.detail)
        elif self._stop.asked:
            await self.out(self._stop.reason, ended.detail)
        else:
            await self.try_later(ended.reason, ended.detail)

    async def out(self, reason: EndReason, detail: str = "") -> None:
        """It is proved over: what ran at all is owed a record, unless the room refused us."""
        if self._entry.record.admitted_at is None and reason is EndReason.DENIED:
            await self.close(reason, detail)
        else:
            await self._end(reason, detail)

    # ── another attempt ──────────────────────────────────────────────────────────────────

    async def try_later(
        self, reason: EndReason, detail: str, *, after: timedelta = timedelta(0)
    ) -> None:
        """Wait for the next attempt, or give up where the grace or the meeting ends first."""
        if self._stop.asked:
            await self.close(self._stop.reason, detail)
            return
        now = self._company.clock.now()
        policy = self._company.policy
        record = self._entry.record
        give_up_at = record.give_up_at
        retry_at = now + max(policy.retry.delay_after(self._failures()), after)
        if record.phase is Phase.LIVE and self._lasted(now) >= _WORTH_A_GRACE:
            # We were in and were dropped: a grace of its own, and the first retry at once.
            # An engine that drops us each time we come in isn't paid for that all day long.
            give_up_at = min(now + policy.grace, record.leave_by)
            retry_at = now + _AT_ONCE
        elif record.phase is Phase.LIVE and self._lost_by_chance(now):
            retry_at = now + max(_AT_ONCE, after)
        if retry_at >= give_up_at:
            await self.close(reason, detail)
            return
        await self._entry.move(
            Phase.JOINING,
            reason,
            detail,
            at=now,
            handle=None,
            retry_at=retry_at,
            give_up_at=give_up_at,
            # Who was there before is no company for the presence to come.
            others_present=None,
        )
        self._company.metrics.join_finished(outcome=reason.value, engine=record.engine)
        wait = round((retry_at - now).total_seconds(), 1)
        _log.warning("join_retry_scheduled", reason=reason.value, detail=detail, wait_s=wait)

    def _failures(self) -> int:
        """Answer after how many failures the wait is: where nothing is billed, since we were in."""
        record = self._entry.record
        engine = self._company.engines.get(record.engine)
        if engine is None or engine.traits.billed:
            return record.attempts
        moves = self._sessions.transitions(self._key)
        lived = max((move.at for move in moves if move.after is Phase.LIVE), default=None)
        attempts = self._sessions.attempts(self._key)
        return sum(lived is None or each.claimed_at > lived for each in attempts)

    def _lost_by_chance(self, now: datetime) -> bool:
        """Whether coming back at once costs nothing, and isn't what we do all the time."""
        engine = self._company.engines.get(self._entry.record.engine)
        if engine is None or engine.traits.billed:
            return False
        answered = (each.answered_at for each in self._sessions.attempts(self._key))
        lately = [each for each in answered if each and each > now - _LOSSES_WITHIN]
        return len(lately) <= _LOSSES_AT_ONCE

    def _lasted(self, now: datetime) -> timedelta:
        attempts = self._sessions.attempts(self._key)
        began = attempts[-1].answered_at if attempts else None
        return now - (began or now)

    # ── the end ──────────────────────────────────────────────────────────────────────────

    async def close(self, reason: EndReason, detail: str) -> None:
        """Nothing more will be tried. What was attended at all is owed a summary."""
        if self._entry.record.is_owed_summary:
            await self._end(reason, detail)
            return
        now = self._company.clock.now()
        phase = closing_phase(reason)
        await self._entry.move(phase, reason, detail, at=now, ended_at=now, retry_at=None)
        engine = self._entry.record.engine
        self._company.metrics.join_finished(outcome=phase.value, engine=engine)
        _log.error("session_given_up", phase=phase.value, reason=reason.value, detail=detail)

    async def _end(self, reason: EndReason, detail: str = "") -> None:
        now = self._company.clock.now()
        await self._entry.move(Phase.ENDED, reason, detail, at=now, ended_at=now, retry_at=None)
        record = self._entry.record
        cost = sum(attempt.cost for attempt in self._sessions.attempts(self._key))
        self._company.metrics.money_spent(engine=record.engine, usd=cost)
        lasted = timedelta(0) if record.admitted_at is None else now - record.admitted_at
        _log.info(
            "session_ended",
            persona=record.persona,
            engine=record.engine,
            reason=reason.value,
            admitted=record.admitted_at is not None,
            lasted_s=round(lasted.total_seconds(), 1),
            attempts=record.attempts,
            cost_usd=round(cost, 3),
        )
