"""One session, from its join to its end: the only place that holds a live presence.

It knows its key and reads the rest from the ledger, so it can run in this process or in
another, and be taken up again after either has died. Whatever an engine has begun for us,
this ends, and goes on trying until the end is proved: a presence that nobody watches costs
money and embarrasses people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import anyio
import structlog

from locum.attendance.company import Company, StopSignal
from locum.attendance.entry import Entry
from locum.attendance.outcomes import Outcomes
from locum.core.lifecycle import WORTH_ANOTHER_TRY
from locum.core.model import EndReason, Meeting, Phase, SessionHandle, SessionKey, SessionRecord
from locum.core.money import OVERTIME
from locum.errors import (
    AmbiguousError,
    HumanNeededError,
    LocumError,
    PermanentError,
    TransientError,
)
from locum.introducing import Introduction
from locum.ledger import NEVER_RAN, LedgerDamagedError
from locum.listening import Listener
from locum.participating import Participation, Seat
from locum.persona import Appearance, PersonaCard, compile_prompt
from locum.ports import (
    Admitted,
    Ended,
    JoinRequest,
    LostJoin,
    MeetingSession,
    PresenceEngine,
    Roster,
    SessionEvent,
    Waiting,
)

_log = structlog.get_logger(__name__)

_LENGTH_GUARD = OVERTIME
"""How far past its end a session leaves by itself, should nobody have told it to."""

_ENGINE_MAY_COME = timedelta(seconds=60)
"""How long one whose engine the config has dropped waits before it is looked at again."""


class Attendance:
    """Carries one session; `run` returns when it is over or waits to be tried again."""

    def __init__(self, key: SessionKey, company: Company, stop: StopSignal) -> None:
        self._key = key
        self._company = company
        self._stop = stop
        self._ledger = company.ledger
        self._clock = company.clock
        self._entry: Entry
        self._outcomes: Outcomes
        self._part: Participation
        self._listener = Listener(key, company.ledger)
        self._appearance: Appearance | None = None

    async def run(self, *, claimed_now: bool) -> None:
        """Attend, or take up again what an earlier process left.

        Raises nothing on purpose: every outcome stands in the ledger, unless that is damaged,
        and it was told to leave.
        """
        record = self._ledger.sessions.get(self._key)
        if record is None or not record.is_open:
            return
        self._entry = Entry(record, self._company, self._stop)
        self._outcomes = Outcomes(self._entry, self._company, self._stop)
        engine = self._company.engines.get(record.engine)
        self._part = Participation(
            listener=self._listener,
            introduction=Introduction(
                can_chat=engine is not None and engine.traits.can_chat,
                voice=self._company.voices.get(record.engine),
            ),
            converse=self._company.converse,
            opted_out=lambda: self._stop.ask(EndReason.OPTED_OUT),
            now=self._clock.now,
        )
        with structlog.contextvars.bound_contextvars(session_key=self._key):
            try:
                await self._attend(claimed_now=claimed_now)
            except LedgerDamagedError as error:
                if not self._stop.asked:
                    raise
                # What the engine still had to do was done before; a new start finds it over.
                _log.error("session_end_unwritten", problem=str(error))

    async def _attend(self, *, claimed_now: bool) -> None:
        record = self._record
        engine = self._company.engines.get(record.engine)
        if engine is None:
            await self._without_engine(claimed_now=claimed_now)
        elif record.handle is not None:
            await self._take_up(record.handle, engine)
        elif claimed_now:
            await self._join(engine)
        else:
            why = self._company.lost_because or "the process ended while it was joining"
            await self._settle(engine, why)

    @property
    def _record(self) -> SessionRecord:
        """What the ledger says, and what it can't say yet."""
        return self._entry.record

    # ── getting in ───────────────────────────────────────────────────────────────────────

    async def _join(self, engine: PresenceEngine) -> None:
        record = self._record
        card = self._persona()
        if card is None:
            reason = f'there is no persona "{record.persona}" in the config'
            await self._outcomes.close(EndReason.ENGINE_REFUSED, reason)
            return
        if self._stop.asked:
            await self._outcomes.close(
                self._stop.reason, "told to stop before anything was sent"
            )
            return
        now = asked_at = self._clock.now()
        meeting = self._present_meeting(now)
        try:
            dressed = await self._company.wardrobe.appear(card, engine=record.engine, now=now)
            self._appearance = dressed
            self._entry.identity = dressed.identity
            brief = self._company.brief
            known = "" if brief is None else await brief(meeting)
            asked_at = self._clock.now()
            session = await engine.join(
                JoinRequest(
                    key=record.key,
                    room=record.room,
                    face=dressed.face,
                    system_prompt=compile_prompt(dressed.card, meeting, known),
                    admit_by=record.give_up_at,
                )
            )
        except AmbiguousError as error:
            await self._settle(engine, str(error))
        except TransientError as error:
            await self._outcomes.try_later(
                EndReason.ENGINE_LOST, str(error), after=error.retry_after
            )
        except HumanNeededError as error:
            # A person may act within the grace: a top-up helps the next try.
            _log.warning("join_blocked", problem=str(error))
            await self._outcomes.try_later(EndReason.ENGINE_REFUSED, str(error))
        except PermanentError as error:
            await self._outcomes.close(EndReason.ENGINE_REFUSED, str(error))
        else:
            self._entry.named(session.handle, self._clock.now())
            self._company.metrics.join_finished(
                outcome="answered",
                engine=record.engine,
                late_by=asked_at - record.join_at if record.attempts == 1 else None,
            )
            await self._follow(session)

    def _present_meeting(self, now: datetime) -> Meeting:
        """Answer, of those that follow each other in this room, the one that is on or next."""
        meetings = self._record.meetings
        return next((m for m in meetings if m.end > now), meetings[-1])

    def _persona(self) -> PersonaCard | None:
        """Answer who goes; one that the config has dropped makes way for who goes instead.

        Once it has joined, it stays who it was then.
        """
        if self._appearance is not None:
            return self._appearance.card
        personas = self._company.personas
        instead = self._record.meetings[-1].decision.persona
        return personas.get(self._record.persona) or personas.get(instead)

    async def _settle(self, engine: PresenceEngine, why: str) -> None:
        """A paid join may be running without a name: find out before anything else."""
        if self._record.phase is not Phase.AMBIGUOUS:
            at = self._clock.now()

            def lost() -> None:
                with self._ledger.database.transaction():
                    self._entry.write_identity()
                    self._entry.transition(Phase.AMBIGUOUS, at=at, detail=why)

            await self._entry.write(lost)
        _log.warning("join_answer_lost", detail=why)
        if engine.traits.billed:
            found = await engine.settle_lost_join(others_running=self._others_billed())
        else:
            found = LostJoin.NEVER_RAN
        if found is LostJoin.NEVER_RAN:
            at = self._clock.now()
            await self._entry.write(
                lambda: self._ledger.sessions.close_attempt(self._key, at=at, outcome=NEVER_RAN)
            )
            await self._outcomes.try_later(EndReason.ENGINE_LOST, f"nothing is running: {why}")
            return
        await self._suspect_orphan(why)

    def _others_billed(self) -> int:
        """Count the sessions that let the balance fall by themselves.

        Those without a name don't: they are being settled too, and a balance that stands
        still says of all of them that they never ran.
        """
        return sum(
            other.is_open
            and other.handle is not None
            and other.key != self._key
            and other.engine == self._record.engine
            for other in self._ledger.sessions.unfinished_and_since(self._clock.now())
        )

    async def _suspect_orphan(self, why: str) -> None:
        _log.error("orphan_suspected", detail=why, room=self._record.room.id)
        await self._outcomes.close(
            EndReason.LOST_JOIN,
            "a join's answer was lost and it may be running and costing money: "
            "check the room and PikaStream's account",
        )

    async def _take_up(self, handle: SessionHandle, engine: PresenceEngine) -> None:
        session = await self._entry.patiently("reattach", lambda: engine.reattach(handle))
        leaving = self._record.phase is Phase.LEAVING
        reason = self._record.end_reason or EndReason.UNWANTED
        if session is None and leaving:
            await self._outcomes.out(reason, "it was over already")
            return
        if session is None:
            if self._record.admitted_at is None:
                # After the last look of the dead process it may have been let in.
                self._entry.went_unseen()
            why = self._company.lost_because or "it ended without us"
            lost = Ended(self._clock.now(), EndReason.ENGINE_LOST, why)
            await self._outcomes.ended_by_itself(lost)
            return
        _log.info("session_adopted", phase=self._record.phase.value)
        await (self._leave(session, reason) if leaving else self._follow(session))

    async def _without_engine(self, *, claimed_now: bool) -> None:
        detail = f'there is no engine "{self._record.engine}" in the config'
        if self._record.handle is not None:
            # It may be running; only its own engine could end it.
            _log.error("session_unreachable", engine=self._record.engine, detail=detail)
            wait = self._clock.host_duration(_ENGINE_MAY_COME).total_seconds()
            with anyio.move_on_after(wait):
                await self._stop.wait()
                if self._stop.reason is not EndReason.SHUTDOWN:
                    await anyio.sleep_forever()
        elif claimed_now:
            await self._outcomes.close(EndReason.ENGINE_REFUSED, detail)
        else:
            await self._suspect_orphan(detail)

    # ── being in ─────────────────────────────────────────────────────────────────────────

    async def _follow(self, session: MeetingSession) -> None:
        watching = asyncio.ensure_future(self._watch(session))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            while True:
                # Even if it is to leave at once: the watch says first whether it was in.
                wait = self._clock.host_duration(self._left()).total_seconds()
                await asyncio.wait(
                    (watching, stopping),
                    timeout=max(wait, 0.0),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                self._entry.refresh()
                if watching.done() or stopping.done() or self._left() <= timedelta(0):
                    break
            over = watching.done()
        finally:
            for task in (watching, stopping):
                task.cancel()
            await asyncio.gather(watching, stopping, return_exceptions=True)
        failure = watching.exception() if over else None
        if not over or (failure is not None and self._stop.asked):
            await self._leave(session, self._reason_to_leave())
        elif failure is None:
            await self._leave_after(watching.result(), session)
        else:
            if self._entry.is_unnamed:
                # Whoever takes this up again couldn't name it.
                await self._leave(session, EndReason.ENGINE_LOST)
            raise failure

    def _left(self) -> timedelta:
        """Answer how long it may go on at most, should nobody tell it to leave."""
        until = min(self._capped_at, self._record.leave_by)
        return until + _LENGTH_GUARD - self._clock.now()

    @property
    def _capped_at(self) -> datetime:
        return self._record.claimed_at + self._company.policy.max_length

    def _reason_to_leave(self) -> EndReason:
        if self._stop.asked:
            return self._stop.reason
        leave_by = self._record.leave_by
        _log.error("session_left_unasked", leave_by=leave_by.isoformat())
        return EndReason.LENGTH_CAP if self._capped_at <= leave_by else EndReason.SCHEDULED_END

    async def _watch(self, session: MeetingSession) -> Ended:
        if self._entry.is_unnamed:
            # Until this is on the disk, nobody but us knows the session's name.
            await self._entry.write(self._entry.write_name)
            await self._entry.patiently("sync", self._ledger.database.sync)
        taking_part: asyncio.Task[None] | None = None
        try:
            async for event in session.events():
                if isinstance(event, Ended):
                    return event
                if isinstance(event, Admitted) and taking_part is None:
                    # Beside the rest: a chat that fails keeps nobody from opting out.
                    taking_part = asyncio.ensure_future(
                        self._take_part(session, anew=self._record.admitted_at is not None)
                    )
                await self._note(event)
        finally:
            if taking_part is not None:
                taking_part.cancel()
                await asyncio.gather(taking_part, return_exceptions=True)
        return Ended(self._clock.now(), EndReason.ENGINE_LOST, "the engine fell silent")

    async def _take_part(self, session: MeetingSession, *, anew: bool) -> None:
        card = self._persona()
        if card is None:
            return

        async def patiently(call: Callable[[], Awaitable[None]]) -> None:
            await self._entry.patiently("post", call, TransientError)

        meeting = self._present_meeting(self._clock.now())
        seat = Seat(session, meeting, card, self._record.engine, meeting.decision.listen_only)
        await self._part.take_part(seat, patiently, anew=anew)

    async def _note(self, event: SessionEvent) -> None:
        card = self._persona()
        self._part.take(event, names="" if card is None else card.tile)
        if isinstance(event, Admitted):
            await self._admitted(event.at)
        elif isinstance(event, Waiting):
            _log.info("session_waiting", detail=event.detail)
        elif isinstance(event, Roster):
            others = event.others
            await self._entry.write(
                lambda: self._ledger.sessions.others_present(self._key, others)
            )
            self._company.on_change()

    async def _admitted(self, at: datetime) -> None:
        self._entry.admitted(at)
        if self._record.phase is Phase.LIVE:
            return
        # Lost to a power cut, it is told anew by the engine.
        await self._entry.write(
            lambda: self._entry.transition(Phase.LIVE, at=at, durable=False)
        )
        self._company.metrics.join_finished(outcome="admitted", engine=self._record.engine)
        await self._note_voice(at)
        _log.info(
            "session_admitted",
            persona=self._record.persona,
            engine=self._record.engine,
            after_s=round((at - self._record.claimed_at).total_seconds(), 1),
        )

    async def _note_voice(self, at: datetime) -> None:
        dressed = self._appearance
        if dressed is not None:
            engine = self._record.engine
            wardrobe = self._company.wardrobe
            await wardrobe.used(dressed.identity, dressed.card, engine=engine, now=at)

    # ── getting out ──────────────────────────────────────────────────────────────────────

    async def _leave(self, session: MeetingSession, reason: EndReason) -> None:
        doubt = await self._prove_over(session, reason)
        await self._outcomes.out(reason, doubt)

    async def _leave_after(self, ended: Ended, session: MeetingSession) -> None:
        """It ended from the other side; what the engine may still hold is ended too."""
        await self._prove_over(session, ended.reason)
        await self._outcomes.ended_by_itself(ended)

    async def _prove_over(self, session: MeetingSession, reason: EndReason) -> str:
        """End it for sure; answers what is doubtful about that, if anything."""
        if reason not in WORTH_ANOTHER_TRY:
            self._note_leaving(reason)
        remains = await self._entry.patiently("leave", session.leave)
        at = self._clock.now()
        card = self._persona()
        told = self._part.told_by(remains.utterances, tile="" if card is None else card.tile)

        def close() -> None:
            with self._ledger.database.transaction():
                self._entry.write_name()
                self._listener.write_opt_out(self._record)
                self._ledger.sessions.close_attempt(
                    self._key, at=at, outcome=reason.value, remains=remains
                )
                self._ledger.transcripts.add(self._key, told)
                if reason is EndReason.OPTED_OUT and self._company.policy.forget_on_opt_out:
                    self._ledger.sessions.forget_heard(self._key)

        # Not in that commit: were it undone, what was said would be taken for written.
        await self._entry.write(self._listener.write_down)
        await self._entry.write(close)
        self._entry.refresh()
        return remains.doubt

    def _note_leaving(self, reason: EndReason) -> None:
        """Write down that we leave, and why, for whoever takes it up should we die now."""
        try:
            self._listener.write_opt_out(self._record)
            self._entry.write_name()
            self._entry.transition(Phase.LEAVING, at=self._clock.now(), reason=reason)
        except LocumError as error:
            # Leaving itself doesn't wait for the disk.
            _log.error("ledger_write_failed", problem=str(error))


AttendanceFactory = Callable[[SessionKey, StopSignal], Attendance]


def attendances(company: Callable[[], Company]) -> AttendanceFactory:
    """Make attendances under the company of the moment; one keeps what it began with."""
    return lambda key, stop: Attendance(key, company(), stop)
