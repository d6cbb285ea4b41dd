"""The JSON twin of a summary, and the schema that it follows.

Instants are in UTC (ISO 8601), days are YYYY-MM-DD, and null stands where something isn't known.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timezone
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from locum.core.identity import Identity
from locum.core.minutes import ActionItem, Claim, Commitment, Minutes, Topic
from locum.core.model import EndReason
from locum.core.transcript import Source, Transcript
from locum.ports import Summary

SCHEMA_VERSION = 1
"""Of the JSON twin; raised when a reader of the old form would misread the new one."""


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class TwinIdentity(_Part):
    """As whom the stand-in joined: SHA-256 in hex."""

    digest: str = Field(pattern="^[0-9a-f]{64}$")
    version: int | None
    image: str
    voice_id: str
    sample: str | None
    consents: list[str]


class TwinAttendance(_Part):
    joined_at: datetime | None
    left_at: datetime | None
    end_reason: EndReason | None
    detail: str
    attempts: int


class TwinNote(_Part):
    """Something that the engine gave back, word for word."""

    source: str
    text: str


class TwinCost(_Part):
    amount: float
    currency: Literal["USD"]


class TwinUtterance(_Part):
    id: str
    speaker: str
    """As shown by its source; empty where nobody can tell."""
    person: str | None
    """The address of the invited person whom that is; null where it couldn't be resolved."""
    text: str
    at: datetime | None
    until: datetime | None
    source: Source
    by_us: bool
    """Whether the stand-in itself said it."""


class TwinEvidence(_Part):
    utterance: str
    """The id of an utterance of this file's transcript."""
    quote: str
    """Stands in that utterance word for word."""


class TwinClaim(_Part):
    text: str
    evidence: list[TwinEvidence] = Field(min_length=1)


class TwinAction(TwinClaim):
    owner: str | None
    due: date | None
    due_said: str | None
    """How it was said ("by Friday")."""


class TwinTopic(_Part):
    title: str
    first: str
    last: str
    began_at: datetime | None
    ended_at: datetime | None
    points: list[TwinClaim]


class TwinShare(_Part):
    speaker: str
    turns: int
    words: int
    seconds: float | None


class TwinMinutes(_Part):
    """What the meeting came to; every claim has its evidence in the transcript."""

    written_by: str
    remark: str
    language: str
    tldr: list[TwinClaim]
    decisions: list[TwinClaim]
    actions: list[TwinAction]
    questions: list[TwinClaim]
    asked: list[TwinClaim]
    topics: list[TwinTopic]
    shares: list[TwinShare]
    unclear: list[TwinClaim]
    dropped: int
    """How many claims were left out because nothing in the transcript proves them."""


class TwinCommitment(_Part):
    """Promised in an earlier meeting of the series, and not known to be done."""

    text: str
    owner: str | None
    due: date | None
    promised_at: datetime
    is_late: bool


class Twin(_Part):
    """One summary of one attended meeting, as filed by locum."""

    schema_version: Literal[1] = Field(alias="schema")
    key: str
    session: str
    edition: int
    """Counts up when more became known after the first was filed."""
    title: str
    start: datetime
    end: datetime
    room: str
    organizer: str | None
    invited: list[str]
    present: list[str]
    """Who was there besides the stand-in, where a source tells; otherwise empty."""
    owner: str
    """Whom the stand-in stood in for."""
    persona: str
    identity: TwinIdentity | None
    engine: str
    attendance: TwinAttendance
    source: str
    awaited: list[str]
    notes: list[TwinNote]
    unknown: list[str]
    estimated_cost: TwinCost | None
    carried: list[TwinCommitment]
    minutes: TwinMinutes | None
    transcript: list[TwinUtterance]


def json_schema() -> dict[str, Any]:
    """Answer the JSON schema of the twin."""
    schema = Twin.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def as_json(summary: Summary) -> dict[str, Any]:
    """Answer the twin as plain JSON values."""
    attendance = summary.attendance
    return {
        "schema": SCHEMA_VERSION,
        "key": summary.key,
        "session": summary.session,
        "edition": summary.edition,
        "title": summary.title,
        "start": _iso(summary.start),
        "end": _iso(summary.end),
        "room": summary.room.url,
        "organizer": None if summary.organizer is None else summary.organizer.label,
        "invited": list(summary.invited),
        "present": list(summary.present),
        "owner": summary.owner,
        "persona": summary.persona,
        "identity": _identity(summary.identity),
        "engine": summary.engine,
        "attendance": {
            "joined_at": _iso(attendance.joined_at),
            "left_at": _iso(attendance.left_at),
            "end_reason": None
            if attendance.end_reason is None
            else attendance.end_reason.value,
            "detail": attendance.detail,
            "attempts": attendance.attempts,
        },
        "source": summary.source,
        "awaited": list(summary.awaited),
        "notes": [{"source": note.source, "text": note.text} for note in summary.notes],
        "unknown": list(summary.unknown),
        "estimated_cost": None
        if summary.estimated_cost is None
        else {"amount": round(summary.estimated_cost, 4), "currency": summary.currency},
        "carried": [_commitment(each) for each in summary.carried],
        "minutes": None if summary.minutes is None else minutes_as_json(summary.minutes),
        "transcript": transcript_as_json(summary.transcript),
    }


def _identity(identity: Identity | None) -> dict[str, Any] | None:
    if identity is None:
        return None
    return {
        "digest": identity.digest,
        "version": identity.version,
        "image": identity.image,
        "voice_id": identity.voice_id,
        "sample": identity.sample or None,
        "consents": list(identity.consents),
    }


def minutes_as_json(minutes: Minutes) -> dict[str, Any]:
    return {
        "written_by": minutes.written_by,
        "remark": minutes.remark,
        "language": minutes.language,
        "tldr": _claims(minutes.tldr),
        "decisions": _claims(minutes.decisions),
        "actions": [_action(each) for each in minutes.actions],
        "questions": _claims(minutes.questions),
        "asked": _claims(minutes.asked),
        "topics": [_topic(each) for each in minutes.topics],
        "shares": [
            {
                "speaker": each.speaker,
                "turns": each.turns,
                "words": each.words,
                "seconds": None if each.seconds is None else round(each.seconds, 1),
            }
            for each in minutes.shares
        ],
        "unclear": _claims(minutes.unclear),
        "dropped": minutes.dropped,
    }


def _claims(claims: Iterable[Claim]) -> list[dict[str, Any]]:
    return [_claim(each) for each in claims]


def _claim(claim: Claim) -> dict[str, Any]:
    return {
        "text": claim.text,
        "evidence": [
            {"utterance": each.utterance, "quote": each.quote} for each in claim.evidence
        ],
    }


def _action(item: ActionItem) -> dict[str, Any]:
    due = None if item.due is None else item.due.isoformat()
    return {**_claim(item), "owner": item.owner, "due": due, "due_said": item.due_said}


def _topic(topic: Topic) -> dict[str, Any]:
    return {
        "title": topic.title,
        "first": topic.first,
        "last": topic.last,
        "began_at": _iso(topic.began_at),
        "ended_at": _iso(topic.ended_at),
        "points": _claims(topic.points),
    }


def _commitment(commitment: Commitment) -> dict[str, Any]:
    return {
        "text": commitment.text,
        "owner": commitment.owner,
        "due": None if commitment.due is None else commitment.due.isoformat(),
        "promised_at": _iso(commitment.promised_at),
        "is_late": commitment.is_late,
    }


def transcript_as_json(transcript: Transcript) -> list[dict[str, Any]]:
    return [
        {
            "id": each.id,
            "speaker": each.speaker,
            "person": None if each.person is None else each.person.email,
            "text": each.text,
            "at": _iso(each.at),
            "until": _iso(each.until),
            "source": each.source.value,
            "by_us": each.by_us,
        }
        for each in transcript.utterances
    ]


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(timezone.utc).isoformat()
