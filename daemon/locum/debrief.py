"""From an ended session to its summaries: what is known, where it came from, nothing more.

A summary is written to the outbox in one commit before any sink is tried, so a crash or a full
disk costs delay only. When more becomes known of a meeting, such as a transcript that is made
only afterwards, `renew` has a new edition written; it replaces the one before where it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog

from locum.composing import Material, attended, compose, occasion_of, part_of
from locum.core.minutes import Commitment, Minutes, hold_to_evidence
from locum.core.model import Meeting, MeetingKey, Phase, SessionKey, SessionRecord
from locum.core.speakers import is_stand_in
from locum.core.transcript import Transcript, Utterance, numbered
from locum.errors import LocumError
from locum.filing import Filer
from locum.ledger import Addressee, Edition, Ledger
from locum.metrics import Metrics
from locum.persona import PersonaCard
from locum.ports import Brain, Clock, EngineTraits, PresenceEngine, Summary, SummarySink

_log = structlog.get_logger(__name__)

_HOLD = timedelta(minutes=30)

_T = TypeVar("_T")


def _in_order(utterances: Sequence[Utterance], _meeting: Meeting) -> Transcript:
    return numbered(utterances)


async def _beside(said: Sequence[Utterance], work: Callable[[], _T]) -> _T:
    """Do work on a transcript beside the loop: a long one takes seconds, contacts are a file."""
    if not said:
        return work()
    return await asyncio.to_thread(work)


class Debrief:
    """Writes up ended sessions. What is public may be exchanged by a reload."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        metrics: Metrics,
        *,
        sinks: Sequence[SummarySink],
        engines: Mapping[str, PresenceEngine],
        personas: Mapping[str, PersonaCard],
        brain: Brain | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._filer = Filer(ledger, clock, metrics)
        self.sinks = sinks
        self.engines = engines
        self.personas = personas
        self.brain = brain
        self._news: set[SessionKey] = set()
        self.hold = _HOLD
        """How long a sink that can't take anything back waits for what is still awaited."""
        self.transcribe: Callable[[Sequence[Utterance], Meeting], Transcript] = _in_order
        """Merges what several sources have of a meeting, and tells who is who."""
        self.awaited: Callable[[SessionKey, MeetingKey], tuple[str, ...]] = lambda *_: ()
        """Names the sources that may still tell more."""
        self.none_from: Callable[[SessionKey, MeetingKey], tuple[str, ...]] = lambda *_: ()
        """Says of the other sources why they tell nothing."""
        self.recall: Callable[[Meeting], tuple[Commitment, ...]] = lambda _: ()
        """Answers the open commitments of a meeting's series from before."""
        self.remember: Callable[[Summary], None] = lambda _: None
        """Takes what a summary says into memory."""

    async def write_up(self, key: SessionKey) -> None:
        """File the summaries of one ended session, as far as it goes now.

        The session becomes FILED when every sink has every summary; otherwise its next try
        stands in `retry_at`.
        """
        record = self._ledger.sessions.get(key)
        if record is None or record.phase is not Phase.ENDED:
            return
        self._news.discard(key)
        with structlog.contextvars.bound_contextvars(session_key=key):
            sinks = {sink.name: sink for sink in self.sinks}
            await self._write_editions(record)
            await self._filer.file(key, sinks)
            self._conclude(key, frozenset(sinks))

    def renew(self, key: SessionKey) -> None:
        """Have a session's summaries looked at anew: more may be known of it now.

        The next pass does it, in this process or the next one.
        """
        record = self._ledger.sessions.get(key)
        if record is not None and record.phase in {Phase.FILED, Phase.ENDED}:
            now = self._clock.now()
            self._news.add(key)  # Should it be written up at this moment.
            self._ledger.sessions.transition(key, Phase.ENDED, at=now, retry_at=now)

    # ── writing ──────────────────────────────────────────────────────────────────────────

    async def _write_editions(self, record: SessionRecord) -> None:
        editions = self._ledger.outbox.editions(record.key)
        for meeting in attended(record, record.ended_at or self._clock.now()):
            material = await self._material(record, meeting)
            before = editions.get(meeting.key)
            if before is not None and before.material in {"", material.hash}:
                # Nothing new; but a reload may have brought a sink that is to have it too.
                summary = before.summary
            else:
                summary = await self._write(material, before)
            self._ledger.outbox.put(
                summary,
                self._addressees(record, summary),
                at=self._clock.now(),
                material=material.hash,
                said=material.said,
            )
            if before is None or before.summary.edition != summary.edition:
                self._take_into_memory(summary)

    async def _material(self, record: SessionRecord, meeting: Meeting) -> Material:
        key = record.key
        meetings = attended(record, record.ended_at or self._clock.now())
        said = part_of(meeting, meetings, self._ledger.transcripts.of(key))
        fetches = self._ledger.fetches.of(key, meeting.key)
        card = self.personas.get(record.persona)
        people = (person.label for fetch in fetches for person in fetch.participants)
        return Material(
            record,
            meeting,
            tuple(self._ledger.sessions.attempts(key)),
            self._ledger.sessions.detail(key),
            await _beside(said, lambda: self.transcribe(said, meeting)),
            self.awaited(key, meeting.key),
            self.none_from(key, meeting.key),
            shares=len(meetings) > 1,
            present=tuple(
                dict.fromkeys(
                    p for p in people if card is None or not is_stand_in(p, card.tile)
                )
            ),
            found=tuple(note for fetch in fetches for note in fetch.notes),
        )

    async def _write(self, material: Material, before: Edition | None) -> Summary:
        record = material.record
        card = self.personas.get(record.persona)
        carried = self._carried(material.meeting)
        minutes, failure = await self._minutes(material, card, carried)
        return compose(
            material,
            card,
            self._traits(record.engine),
            minutes=minutes,
            failure=failure,
            carried=carried,
            edition=1 if before is None else before.summary.edition + 1,
        )

    async def _minutes(
        self, material: Material, card: PersonaCard | None, carried: Sequence[Commitment]
    ) -> tuple[Minutes | None, str]:
        """Have the minutes written; answers why there are none, if that failed."""
        brain, transcript = self.brain, material.transcript
        if brain is None or not transcript.utterances:
            return None, ""
        occasion = occasion_of(material, card, carried)
        try:
            minutes = await brain.write_minutes(transcript, occasion)
        except LocumError as error:
            # The record doesn't wait for it: what was said is filed without.
            _log.error("minutes_failed", brain=brain.name, problem=str(error))
            return None, str(error)
        said = transcript.utterances
        deferrals = self._ledger.transcripts.deferred(material.record.key)

        def held() -> Minutes:
            # Nothing but this needs all the words that promise: a tenth of a second.
            from locum.core.deferring import with_ours

            proved = hold_to_evidence(minutes, transcript)
            return with_ours(proved, transcript, deferrals, occasion)

        minutes = await _beside(said, held)
        _log.info(
            "minutes_written",
            brain=minutes.written_by,
            utterances=len(transcript.utterances),
            dropped=minutes.dropped,
        )
        return minutes, ""

    def _carried(self, meeting: Meeting) -> tuple[Commitment, ...]:
        try:
            return self.recall(meeting)
        except LocumError as error:
            _log.error("memory_failed", problem=str(error))
            return ()

    def _take_into_memory(self, summary: Summary) -> None:
        try:
            self.remember(summary)
        except LocumError as error:
            # It can be built anew from the outbox, and is looked at with every start.
            _log.error("memory_failed", problem=str(error))

    def _addressees(self, record: SessionRecord, summary: Summary) -> list[Addressee]:
        held = (record.ended_at or self._clock.now()) + self.hold if summary.awaited else None
        return [
            Addressee(sink.name, sink.can_revise, None if sink.can_revise else held)
            for sink in self.sinks
        ]

    def _traits(self, engine: str) -> EngineTraits | None:
        found = self.engines.get(engine)
        return None if found is None else found.traits

    # ── concluding ───────────────────────────────────────────────────────────────────────

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
        if key in self._news or names != {sink.name for sink in self.sinks}:
            retry_at = now  # More became known in between; or new sinks, which want it too.
        elif waiting:
            retry_at = min(filing.retry_at or now for filing in waiting)
        else:
            self._ledger.sessions.transition(key, Phase.FILED, at=now, retry_at=None)
            return
        self._ledger.sessions.transition(key, Phase.ENDED, at=now, retry_at=retry_at)
