"""How a summary is known where it is filed: by the same name every time, and by nobody's words.

A title can be anything; what a mail, a document or a message is recognised by is made of the
session's and the meeting's keys alone.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

from locum.core.model import MeetingKey, SessionKey


def filing_key(session: SessionKey, meeting: MeetingKey) -> str:
    """Name the summary of one meeting of one session, in 64 hex digits, whatever its edition."""
    identity = f"{session}\n{meeting}".encode(errors="backslashreplace")
    return hashlib.sha256(identity).hexdigest()


def edition_key(session: SessionKey, meeting: MeetingKey, edition: int) -> str:
    """Name one edition of it, for places that get each: filed twice, it is the same name."""
    return f"{filing_key(session, meeting)[:32]}.{edition}"


def event_of(meeting: MeetingKey) -> tuple[str, datetime | None]:
    """Answer a meeting's iCalendar UID, and the start its series gives it (None: no series).

    See `CalendarEvent.meeting` for how keys are written.
    """
    occurrence, _, _start = meeting.rpartition("@")
    uid, _, label = occurrence.rpartition("/")
    try:
        original = datetime.strptime(label, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return occurrence, None
    return uid, original
