"""The JSON twin of a summary; `locum.rendering.schema` is what it follows.

Instants are in UTC (ISO 8601), days are YYYY-MM-DD, and null stands where something isn't known.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from locum.core.identity import Identity
from locum.core.minutes import ActionItem, Claim, Commitment, Minutes, Topic
from locum.core.transcript import Transcript
from locum.ports import Summary

SCHEMA_VERSION = 1
"""Of the JSON twin; raised when a reader of the old form would misread the new one."""


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
