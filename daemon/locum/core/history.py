"""What was attended before: whether an occurrence may be entered again, when, and as which session.

It only reads records. A record speaks of the meetings that it reached: one that stood later
in the same presence, and had not begun when that ended, was never attended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from locum.core.lifecycle import FINAL_FOR_OCCURRENCE, MAY_RETURN, WORTH_ANOTHER_TRY
from locum.core.model import (
    Code,
    EndReason,
    Meeting,
    OccurrenceKey,
    Phase,
    SessionKey,
    SessionRecord,
)

_OVER = frozenset({EndReason.MEETING_OVER, EndReason.ROOM_EMPTY})


class History:
    """The open sessions and those that ended lately, by occurrence."""

    def __init__(
        self, records: Iterable[SessionRecord], now: datetime, *, grace: timedelta
    ) -> None:
        self._now = now
        self._grace = grace
        self._keys: set[str] = set()
        self._by_occurrence: dict[OccurrenceKey, list[SessionRecord]] = defaultdict(list)
        for record in records:
            self._keys.add(record.key)
            for occurrence in record.occurrences:
                self._by_occurrence[occurrence].append(record)

    def _of(self, occurrence: OccurrenceKey) -> list[SessionRecord]:
        return self._by_occurrence.get(occurrence, [])

    def free_key(self, meeting: Meeting) -> SessionKey:
        """Answer a key that no session has: the meeting's own, or that with a number."""
        key, number = str(meeting.key), 1
        while key in self._keys:
            number += 1
            key = f"{meeting.key}~{number}"
        return SessionKey(key)

    def verdict(self, meeting: Meeting) -> tuple[Code, str] | None:
        """Answer why this meeting must not be entered again, or None."""
        for record in self._of(meeting.occurrence):
            reason = record.end_reason
            # A failed attempt that waits for its next one has a reason, but hasn't ended.
            if reason is None or (record.is_open and record.phase is not Phase.LEAVING):
                continue
            if not self._reached(record, meeting.occurrence):
                continue
            if reason is EndReason.STOPPED_BY_USER:
                return Code.STOPPED_BY_USER, "you made the stand-in leave it"
            if reason in FINAL_FOR_OCCURRENCE:
                return Code.REMOVED_BEFORE, f"the room sent us away ({reason.value})"
            if reason in MAY_RETURN or self._has_own_grace(record, meeting):
                continue
            if _speaks_of(record, meeting):
                return Code.ENDED_BEFORE, _told(record, reason)
        return None

    def begins_at_start(self, meeting: Meeting) -> bool:
        """Whether we were early and sent off with who met before: no second try ahead of time."""
        return any(
            record.end_reason in _OVER
            and record.ended_at is not None
            and record.ended_at < meeting.start
            and self._reached(record, meeting.occurrence)
            for record in self._of(meeting.occurrence)
        )

    def attended(self, meeting: Meeting) -> bool:
        """Whether a session that is over was this meeting's, or was this occurrence's then."""
        return any(
            (record.ended_at is not None and record.ended_at >= meeting.start)
            or (
                any(each.key == meeting.key for each in record.meetings)
                and self._reached(record, meeting.occurrence)
            )
            for record in self._of(meeting.occurrence)
            if not record.is_open
        )

    def _has_own_grace(self, record: SessionRecord, meeting: Meeting) -> bool:
        """Whether a presence was given up for an earlier meeting's sake, in this one's grace.

        The later meetings of a room stand in the same session, which is tried for as long as
        the grace of the one that opened it.
        """
        return (
            record.end_reason in WORTH_ANOTHER_TRY | {EndReason.ENGINE_REFUSED}
            and record.meetings[0].occurrence != meeting.occurrence
            and record.ended_at is not None
            and record.ended_at < meeting.start + self._grace
        )

    def _reached(self, record: SessionRecord, occurrence: OccurrenceKey) -> bool:
        left_at = record.ended_at or self._now
        return record.meetings[0].occurrence == occurrence or any(
            each.occurrence == occurrence and each.start <= left_at for each in record.meetings
        )


def _speaks_of(record: SessionRecord, meeting: Meeting) -> bool:
    """Whether what ended there was this meeting: its time, its room, and all that we may stay."""
    if record.phase is Phase.MISSED and record.attempts == 0:
        return False  # Nothing was tried: it merely stood there as over.
    if record.end_reason in _OVER and (
        record.ended_at is not None and record.ended_at < meeting.start
    ):
        return False  # Those who met before have left.
    if record.end_reason is EndReason.LENGTH_CAP and len(record.meetings) > 1:
        # The cap is for one meeting; the later ones of a presence had less of it.
        return record.meetings[0].key == meeting.key
    return any(
        each.key == meeting.key and each.room.id == meeting.room.id for each in record.meetings
    )


def _told(record: SessionRecord, reason: EndReason) -> str:
    if record.admitted_at is None:
        return f"it was tried, in vain ({reason.value})"
    return f"we were there, and it ended ({reason.value})"
