"""What the ledger says, as plain JSON values: one form for the socket, the CLI and scripts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from locum.core.model import Judged, OccurrenceKey, SessionRecord
from locum.core.pacing import AccountPace
from locum.core.planning import meeting_of
from locum.core.policy import Policy
from locum.database import read_optional_instant
from locum.errors import PermanentError
from locum.ledger import Attempt, Ledger, identity_of
from locum.ledger.hold import Hold
from locum.push import PushReport

_MINUTE = timedelta(minutes=1)
_TOLD_FOR = timedelta(days=7)


def planned(item: Judged, policy: Policy, prices: Mapping[str, float]) -> dict[str, Any]:
    """One event of `locum plan`: instants in ISO 8601, UTC; the cost is the worst case."""
    event, decision = item.event, item.decision
    meeting = meeting_of(item, policy)
    cost = None
    if meeting is not None and decision.engine in prices:
        length = min(meeting.end - meeting.start, policy.max_length) + policy.lead
        cost = round(-(-length // _MINUTE) * prices[decision.engine], 2)
    return {
        "title": event.title,
        "start": event.start.isoformat(),
        "end": None if event.end is None else event.end.isoformat(),
        "all_day": event.all_day,
        "decision": decision.verdict,
        "code": decision.code.value,
        "reason": decision.reason,
        "meet_url": None if event.room is None else event.room.url,
        "join_at": (event.start - policy.lead).isoformat() if decision.join else None,
        "persona": decision.persona or None,
        "engine": decision.engine or None,
        "estimated_cost_usd": cost,
        "organizer": None if event.organizer is None else event.organizer.email,
        "answer": event.answer.value,
        "calendars": [str(calendar) for calendar in item.sightings or (event.calendar,)],
        "occurrence": event.occurrence,
    }


def session(record: SessionRecord, ledger: Ledger) -> dict[str, Any]:
    """One session, with what it cost and where its summaries are."""
    attempts = ledger.sessions.attempts(record.key)
    return {
        "key": record.key,
        "title": record.meetings[0].title,
        "meetings": [
            {
                "title": meeting.title,
                "occurrence": meeting.occurrence,
                "start": meeting.start.isoformat(),
                "end": meeting.end.isoformat(),
            }
            for meeting in record.meetings
        ],
        "phase": record.phase.value,
        "room": record.room.url,
        "persona": record.persona,
        "identity": _identity(attempts),
        "engine": record.engine,
        "join_at": record.join_at.isoformat(),
        "leave_by": record.leave_by.isoformat(),
        "admitted_at": _iso(record.admitted_at),
        "ended_at": _iso(record.ended_at),
        "end_reason": None if record.end_reason is None else record.end_reason.value,
        "detail": ledger.sessions.detail(record.key),
        "attempts": record.attempts,
        "retry_at": _iso(record.retry_at),
        "estimated_cost_usd": round(sum(attempt.cost for attempt in attempts), 4),
        "awaited": list(ledger.fetches.awaited(record.key)),
        "summaries": [
            {"sink": filing.sink, "location": filing.location, "problem": filing.problem}
            for filing in ledger.outbox.of(record.key)
        ],
    }


def _identity(attempts: Iterable[Attempt]) -> dict[str, Any] | None:
    """Write as whom it joined; hashes are SHA-256, in hex."""
    found = identity_of(attempts)
    return None if found is None else dataclasses.asdict(found)


def recovery(ledger: Ledger, now: datetime) -> dict[str, Any] | None:
    """What became of a damaged ledger; None if none was restored in the last week.

    `reconciled` says that nothing is held back any more because of it.
    """
    database = ledger.database
    at = read_optional_instant(database.meta("restored_at"))
    hold = Hold.of(database)
    if at is None or (hold is None and now - at > _TOLD_FOR):
        return None
    return {
        "at": at.isoformat(),
        "damage": database.meta("damage"),
        "quarantined": database.meta("quarantined"),
        "restored_from": database.meta("restored_from"),
        "sessions_known": database.meta("sessions_known") == "yes",
        "known_until": database.meta("known_until"),
        "reconciled": hold is None,
    }


def calendars(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {
            "calendar": str(state.calendar),
            "read_at": _iso(state.read_at),
            "failing_since": _iso(state.failing_since),
            "problem": state.problem,
        }
        for state in ledger.calendars.states().values()
    ]


def push(report: PushReport) -> dict[str, Any]:
    """How one calendar's push does: `heard_at` None while nothing proves that it works."""
    return {
        "calendar": str(report.calendar),
        "expires_at": _iso(report.expires_at),
        "heard_at": _iso(report.heard_at),
        "problem": report.problem,
    }


def opt_outs(ledger: Ledger) -> list[dict[str, Any]]:
    """The series in which somebody wants no stand-in, the newest first."""
    return [
        {
            "series": said.series,
            "title": said.title,
            "at": said.at.isoformat(),
            "by": said.by,
        }
        for said in ledger.calendars.opt_outs()
    ]


def paces(found: Mapping[str, AccountPace]) -> list[dict[str, Any]]:
    """How often each account's calendars are read.

    `stretched`: less often than the config asks for, because of the quota.
    """
    return [
        {
            "account": account,
            "near": pace.near,
            "idle": pace.idle,
            "near_every_s": round(pace.periods.near.total_seconds(), 1),
            "idle_every_s": round(pace.periods.idle.total_seconds(), 1),
            "stretched": pace.is_stretched,
        }
        for account, pace in found.items()
    ]


def why(ledger: Ledger, text: str) -> dict[str, Any]:
    """The full trace of one occurrence: each decision about it, and each session's steps.

    Raises:
        PermanentError: Nothing, or more than one thing, goes by that name.
    """
    found = ledger.calendars.find_occurrences(text)
    occurrence = _only_one(text, found, ledger)
    sessions = [
        record for record in ledger.sessions.newest(1000) if occurrence in record.occurrences
    ]
    return {
        "occurrence": occurrence,
        "decisions": [
            {
                "at": entry.at.isoformat(),
                "title": entry.title,
                "start": entry.starts_at.isoformat(),
                "decision": "join" if entry.join else "skip",
                "code": entry.code.value,
                "reason": entry.reason,
                "trace": list(entry.trace),
            }
            for entry in ledger.calendars.decisions(occurrence)
        ],
        "sessions": [
            {
                **session(record, ledger),
                "steps": [
                    {
                        "at": step.at.isoformat(),
                        "before": None if step.before is None else step.before.value,
                        "after": step.after.value,
                        "reason": step.reason,
                        "detail": step.detail,
                    }
                    for step in ledger.sessions.transitions(record.key)
                ],
            }
            for record in reversed(sessions)
        ],
    }


def _only_one(text: str, found: Iterable[OccurrenceKey], ledger: Ledger) -> OccurrenceKey:
    found = tuple(found)
    if not found:
        raise PermanentError(
            f'Nothing that was decided on is called "{text}". See `locum plan` for names.'
        )
    if len(found) > 1 and text not in found:
        entries = [ledger.calendars.decisions(occurrence)[-1] for occurrence in found[:5]]
        names = "; ".join(
            f'"{entry.title}" {entry.starts_at:%Y-%m-%d %H:%M} UTC: {entry.occurrence}'
            for entry in entries
        )
        raise PermanentError(f'"{text}" fits {len(found)} events; name one by its key: {names}')
    return text_or_only(text, found)


def text_or_only(text: str, found: tuple[OccurrenceKey, ...]) -> OccurrenceKey:
    return OccurrenceKey(text) if text in found else found[0]


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
