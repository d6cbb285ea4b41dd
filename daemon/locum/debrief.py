"""From an ended session to filed summaries: what is known, where it came from, nothing more.

Summaries are written to the outbox in one commit before any sink is tried, so a crash or a
full disk costs delay only; sinks replace rather than add, so trying again never files twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from locum.core.model import EndReason, Meeting, Phase, SessionKey, SessionRecord
from locum.errors import LocumError
from locum.ledger import Attempt, Filing, Ledger, identity_of
from locum.metrics import Metrics
from locum.persona import PersonaCard
from locum.ports import (
    Attendance,
    Clock,
    EngineNote,
    EngineTraits,
    PresenceEngine,
    Summary,
    SummarySink,
)

_log = structlog.get_logger(__name__)

_FIRST_RETRY = timedelta(seconds=5)
_SLOWEST_RETRY = timedelta(minutes=15)


class Debrief:
    """Writes up ended sessions. `sinks` and the rest may be exchanged by a reload."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        metrics: Metrics,
        *,
        sinks: Sequence[SummarySink],
        engines: Mapping[str, PresenceEngine],
        personas: Mapping[str, PersonaCard],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._metrics = metrics
        self.sinks = sinks
        self.engines = engines
        self.personas = personas

    async def write_up(self, key: SessionKey) -> None:
        """File the summaries of one ended session, as far as it goes now.

        The session becomes FILED when every sink has every summary; otherwise its next try
        stands in `retry_at`.
        """
        record = self._ledger.sessions.get(key)
        if record is None or record.phase is not Phase.ENDED:
            return
        with structlog.contextvars.bound_contextvars(session_key=key):
            sinks = {sink.name: sink for sink in self.sinks}
            for summary in self._summaries(record):
                self._ledger.outbox.put(summary, tuple(sinks), at=self._clock.now())
            for filing in self._ledger.outbox.of(key):
                await self._file(filing, sinks.get(filing.sink))
            self._conclude(key, frozenset(sinks))

    async def _file(self, filing: Filing, sink: SummarySink | None) -> None:
        now = self._clock.now()
        if filing.filed_at is not None or (
            filing.retry_at is not None and filing.retry_at > now
        ):
            return
        if sink is None:
            return  # See `_conclude`.
        try:
            location = await sink.file(filing.summary)
        except LocumError as error:
            now = self._clock.now()
            wait = min(_FIRST_RETRY * 2 ** min(filing.attempts, 16), _SLOWEST_RETRY)
            self._ledger.outbox.failed(filing, retry_at=now + wait, problem=str(error))
            self._metrics.debrief_finished(outcome="failed")
            _log.warning(
                "summary_not_filed", sink=filing.sink, problem=str(error), retry_s=wait.seconds
            )
        else:
            self._ledger.outbox.filed(filing, at=self._clock.now(), location=location)
            self._metrics.debrief_finished(outcome="filed")
            _log.info("summary_filed", sink=filing.sink, location=location)

    def _conclude(self, key: SessionKey, names: frozenset[str]) -> None:
        now = self._clock.now()
        filings = self._ledger.outbox.of(key)
        unfiled = [filing for filing in filings if filing.filed_at is None]
        # One whose sink a reload took away waits for nobody: the sinks that there are now
        # have the summary, and the outbox keeps it.
        waiting = [filing for filing in unfiled if filing.sink in names]
        for filing in unfiled:
            if filing.sink not in names:
                _log.warning("summary_withdrawn", sink=filing.sink, meeting=filing.meeting)
        if names != {sink.name for sink in self.sinks}:
            retry_at = now  # A reload came in between: the new ones want it too.
        elif waiting:
            retry_at = min(filing.retry_at or now for filing in waiting)
        else:
            self._ledger.sessions.transition(key, Phase.FILED, at=now, retry_at=None)
            return
        self._ledger.sessions.transition(key, Phase.ENDED, at=now, retry_at=retry_at)

    def _summaries(self, record: SessionRecord) -> list[Summary]:
        attempts = self._ledger.sessions.attempts(record.key)
        detail = self._ledger.sessions.detail(record.key)
        left_at = record.ended_at or self._clock.now()
        # A later meeting of the room that we never got to is nobody's minute.
        attended = [m for m in record.meetings if m.start < left_at] or [record.meetings[0]]
        traits = self._traits(record.engine)
        return [
            self._summary(record, meeting, attempts, detail, traits, shares=len(attended) > 1)
            for meeting in attended
        ]

    def _summary(
        self,
        record: SessionRecord,
        meeting: Meeting,
        attempts: Sequence[Attempt],
        detail: str,
        traits: EngineTraits | None,
        *,
        shares: bool,
    ) -> Summary:
        notes = tuple(note for attempt in attempts for note in attempt.notes)
        joined_at, left_at = _presence(record, meeting, shares=shares)
        identity = identity_of(attempts)
        billed = traits is not None and traits.billed
        return Summary(
            key=meeting.key,
            session=record.key,
            title=meeting.title,
            start=meeting.start,
            end=meeting.end,
            room=meeting.room,
            organizer=meeting.organizer,
            invited=tuple(attendee.person.label for attendee in meeting.attendees),
            persona=self._tile(record) if identity is None else identity.tile,
            engine=record.engine,
            attendance=Attendance(
                joined_at=joined_at,
                left_at=left_at,
                end_reason=record.end_reason,
                detail=detail,
                attempts=len(attempts),
            ),
            source=_source(record, traits, notes),
            notes=notes,
            unknown=_unknown(record, traits, notes, shares=shares),
            estimated_cost=sum(attempt.cost for attempt in attempts) if billed else None,
            identity=identity,
        )

    def _tile(self, record: SessionRecord) -> str:
        card = self.personas.get(record.persona)
        return record.persona if card is None else card.tile

    def _traits(self, engine: str) -> EngineTraits | None:
        found = self.engines.get(engine)
        return None if found is None else found.traits


def _presence(
    record: SessionRecord, meeting: Meeting, *, shares: bool
) -> tuple[datetime | None, datetime | None]:
    joined_at, left_at = record.admitted_at, record.ended_at
    if joined_at is None or left_at is None:
        return None, None
    if shares:
        joined_at, left_at = max(joined_at, meeting.start), min(left_at, meeting.end)
        if joined_at >= left_at:
            return None, None
    return joined_at, left_at


def _source(
    record: SessionRecord, traits: EngineTraits | None, notes: Sequence[EngineNote]
) -> str:
    engine = record.engine
    if notes:
        return "what the engine gave back, word for word"
    if record.end_reason is EndReason.OPTED_OUT:
        return "none: somebody opted out, and nothing that was heard is kept"
    if traits is not None and not traits.reports_transcript:
        return f"none: the engine {engine} returns no transcript or notes"
    return f"none: the engine {engine} returned nothing"


def _unknown(
    record: SessionRecord,
    traits: EngineTraits | None,
    notes: Sequence[EngineNote],
    *,
    shares: bool,
) -> tuple[str, ...]:
    unknown = []
    if not notes:
        unknown.append(
            "What was said, decided or promised: nothing came back from the meeting."
        )
    if traits is None or not traits.sees_roster:
        unknown.append("Who was there: the engine doesn't see the participants.")
    if record.admitted_at is None:
        unknown.append("Everything: the stand-in was never seen to be let in.")
    if record.unseen:
        unknown.append(
            "Whether the stand-in was in while locum wasn't running, and until when: a presence "
            "was over when locum came back."
        )
    if record.end_reason in {EndReason.ENGINE_LOST, EndReason.LOST_JOIN}:
        unknown.append("What came after the engine was lost.")
    if shares and record.admitted_at is not None:
        unknown.append(
            "Which notes belong to which meeting: several met in this room in one presence."
        )
    return tuple(unknown)
