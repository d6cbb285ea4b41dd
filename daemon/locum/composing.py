"""One meeting's summary, put together from what is known; what isn't is said to be unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from locum.core.minutes import Commitment, Minutes, Occasion
from locum.core.model import EndReason, Meeting, SessionRecord
from locum.core.transcript import Transcript, Utterance
from locum.ledger import Attempt, identity_of
from locum.persona import PersonaCard
from locum.ports import OBSERVED, Attendance, EngineNote, EngineTraits, Summary

_BRAIN_FAILED = "What it came to: the minutes could not be written"


@dataclass(frozen=True)
class Material:
    """All that a summary is written from.

    `transcript` is what was said in this meeting; `awaited` names the sources that may still
    tell more, and `none_from` says of others why they tell nothing. `shares` says that several
    meetings met in the room in one presence. `present` are those who were there besides us, and
    `found` notes, from a source that was asked afterwards.
    """

    record: SessionRecord
    meeting: Meeting
    attempts: tuple[Attempt, ...]
    detail: str
    transcript: Transcript
    awaited: tuple[str, ...] = ()
    none_from: tuple[str, ...] = ()
    shares: bool = False
    present: tuple[str, ...] = ()
    found: tuple[EngineNote, ...] = ()

    @property
    def notes(self) -> tuple[EngineNote, ...]:
        given = tuple(note for attempt in self.attempts for note in attempt.notes)
        return (*given, *self.found)

    @property
    def tells(self) -> bool:
        """Whether any note tells of the meeting itself, not only of our presence there."""
        return any(note.source != OBSERVED for note in self.notes)

    @property
    def said(self) -> str:
        """Answer a hash of what was said."""
        told = [
            (each.source.value, str(each.at), each.who, each.text)
            for each in self.transcript.utterances
        ]
        return _hashed((told, [(note.source, note.text) for note in self.notes]))

    @property
    def hash(self) -> str:
        """Answer a hash of all of it: another one is worth another edition."""
        return _hashed((self.said, self.awaited, self.none_from, self.present))


def _hashed(value: object) -> str:
    return hashlib.sha256(repr(value).encode(errors="backslashreplace")).hexdigest()


def attended(record: SessionRecord, left_at: datetime) -> tuple[Meeting, ...]:
    """Answer the meetings of a session that we were there for.

    A later meeting of the room that we never got to is nobody's minute.
    """
    found = tuple(m for m in record.meetings if m.start < left_at)
    return found or record.meetings[:1]


def part_of(
    meeting: Meeting, meetings: Sequence[Meeting], utterances: Sequence[Utterance]
) -> tuple[Utterance, ...]:
    """Answer what of a session was said in one of its meetings.

    One ends where the next begins: whoever overruns is still in the old one until then, and
    who is early waits for nobody else. What has no instant can't be told apart, and is
    everybody's.
    """
    begins: datetime | None = None
    ends: datetime | None = None
    for before, after in pairwise(sorted(meetings, key=lambda each: each.start)):
        if after.key == meeting.key:
            begins = after.start
        if before.key == meeting.key:
            ends = after.start
    return tuple(
        each
        for each in utterances
        if each.at is None
        or ((begins is None or each.at >= begins) and (ends is None or each.at < ends))
    )


def occasion_of(
    material: Material, card: PersonaCard | None, carried: Sequence[Commitment]
) -> Occasion:
    meeting = material.meeting
    offset = meeting.start.astimezone().utcoffset()
    people = [attendee.person for attendee in meeting.attendees]
    if meeting.organizer is not None:
        people.append(meeting.organizer)
    return Occasion(
        title=meeting.title,
        start=meeting.start,
        end=meeting.end,
        owner="" if card is None else card.owner,
        stand_in="" if card is None else card.display_name,
        people=tuple(dict.fromkeys(people)),
        utc_offset_minutes=0 if offset is None else int(offset.total_seconds() // 60),
        carried=tuple(carried),
    )


def compose(
    material: Material,
    card: PersonaCard | None,
    traits: EngineTraits | None,
    *,
    minutes: Minutes | None,
    failure: str = "",
    carried: Sequence[Commitment] = (),
    edition: int = 1,
) -> Summary:
    """Put a summary together; `failure` says why there are no `minutes`, if they were tried."""
    record, meeting = material.record, material.meeting
    joined_at, left_at = _presence(record, meeting, shares=material.shares)
    identity = identity_of(material.attempts)
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
        persona=_tile(record, card) if identity is None else identity.tile,
        engine=record.engine,
        attendance=Attendance(
            joined_at=joined_at,
            left_at=left_at,
            end_reason=record.end_reason,
            detail=material.detail,
            attempts=len(material.attempts),
        ),
        source=_source(material, traits),
        notes=material.notes,
        unknown=_unknown(material, traits, failure),
        estimated_cost=sum(each.cost for each in material.attempts) if billed else None,
        identity=identity,
        transcript=material.transcript,
        minutes=minutes,
        carried=tuple(carried),
        owner="" if card is None else card.owner,
        edition=edition,
        awaited=material.awaited,
        present=material.present,
        attendees=meeting.attendees,
        attendees_complete=bool(meeting.attendees) and not meeting.attendees_omitted,
    )


def _tile(record: SessionRecord, card: PersonaCard | None) -> str:
    return record.persona if card is None else card.tile


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


def _source(material: Material, traits: EngineTraits | None) -> str:
    engine = material.record.engine
    if material.record.end_reason is EndReason.OPTED_OUT and not material.transcript.utterances:
        return "none: somebody opted out, and nothing that was heard is kept"
    told = [source.label for source in material.transcript.sources]
    given = (note for attempt in material.attempts for note in attempt.notes)
    if any(note.source != OBSERVED for note in given):
        told.append("what the engine gave back, word for word")
    told += dict.fromkeys(note.source for note in material.found)
    if told:
        return "; ".join(told)
    if material.awaited:
        return f"none yet: {' and '.join(material.awaited)} is awaited"
    missing = list(material.none_from)
    if traits is not None and not traits.reports_transcript:
        missing.append(f"the engine {engine} returns no transcript or notes")
    else:
        missing.append(f"the engine {engine} returned nothing")
    return f"none: {'; '.join(missing)}"


def _unknown(material: Material, traits: EngineTraits | None, failure: str) -> tuple[str, ...]:
    record = material.record
    is_heard = bool(material.transcript.utterances)
    unknown = []
    if failure:
        unknown.append(f"{_BRAIN_FAILED}: {failure}")
    if not is_heard and not material.tells:
        unknown.append(
            "What was said, decided or promised: nothing came back from the meeting."
        )
    if not material.present and (traits is None or not traits.sees_roster):
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
    if material.shares and record.admitted_at is not None and (material.tells or not is_heard):
        unknown.append(
            "Which notes belong to which meeting: several met in this room in one presence."
        )
    return tuple(unknown)
