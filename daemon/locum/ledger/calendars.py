"""What the calendars said last, what people said of it, and what was decided.

Events stay here while a calendar can't be read: a dead token or a lost network cancels
nothing. An event that is merely absent from a reading is gone only when the next one agrees.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from locum.core.model import (
    BY_HAND,
    CalendarAccess,
    CalendarEvent,
    CalendarReading,
    CalendarRef,
    Code,
    EventStatus,
    Judged,
    Mark,
    MeetingKey,
    OccurrenceKey,
    OptOut,
    SeriesKey,
)
from locum.database import read_instant, read_optional_instant, write_instant
from locum.ledger.database import Database

_EVENT = TypeAdapter(CalendarEvent)
_LONGEST_NAME = 300
_ENDLESS = timedelta(hours=24)
"""How long an event without an end is kept after its start."""


@dataclass(frozen=True)
class Applied:
    """What a reading changed.

    `unconfirmed` events are absent and wait for a second look: `absent` are those; `vanished`
    ones were absent at that too and are dropped, though nothing told of their end.
    """

    changed: int = 0
    unconfirmed: int = 0
    vanished: int = 0
    absent: tuple[CalendarEvent, ...] = ()


@dataclass(frozen=True)
class CalendarState:
    calendar: CalendarRef
    read_at: datetime | None
    access: CalendarAccess
    sync_token: str | None
    failing_since: datetime | None
    problem: str | None


@dataclass(frozen=True)
class DecisionEntry:
    """One decision as it was recorded, for `why`."""

    occurrence: OccurrenceKey
    meeting: MeetingKey
    title: str
    starts_at: datetime
    at: datetime
    join: bool
    code: Code
    reason: str
    trace: tuple[str, ...]


class CalendarBook:
    def __init__(self, database: Database) -> None:
        self._db = database

    # ── events ───────────────────────────────────────────────────────────────────────────

    def events(self) -> tuple[CalendarEvent, ...]:
        rows = self._db.rows("SELECT body FROM events ORDER BY starts_at, event_id")
        return tuple(_EVENT.validate_json(row["body"]) for row in rows)

    def events_of(self, calendar: CalendarRef) -> tuple[CalendarEvent, ...]:
        rows = self._db.rows(
            "SELECT body FROM events WHERE account = ? AND calendar_id = ? "
            "ORDER BY starts_at, event_id",
            (calendar.account, calendar.calendar_id),
        )
        return tuple(_EVENT.validate_json(row["body"]) for row in rows)

    def apply(self, reading: CalendarReading) -> Applied:
        """Take over a complete reading, in one commit."""
        account, calendar_id = reading.calendar.account, reading.calendar.calendar_id
        seen = {event.event_id: event for event in reading.events}
        removed = set(reading.removed_ids)
        unread = {malformed.item_id for malformed in reading.malformed}
        changed = vanished = 0
        absent = []
        with self._db.transaction():
            known = {
                row["event_id"]: row
                for row in self._db.rows(
                    "SELECT * FROM events WHERE account = ? AND calendar_id = ?",
                    (account, calendar_id),
                )
            }
            for event_id, event in seen.items():
                row = known.get(event_id)
                if row is None or row["absences"] or row["revision"] != event.revision:
                    self._put(event)
                    changed += 1
            for event_id, row in known.items():
                if event_id in seen or event_id in unread:
                    continue
                if event_id in removed:
                    changed += self._cancel(_EVENT.validate_json(row["body"]))
                elif read_instant(row["starts_at"]) >= reading.window.end:
                    continue  # Found where no reading looks yet: see `put_found`.
                elif not _touches(row["starts_at"], row["ends_at"], reading):
                    changed += self._drop(reading.calendar, event_id)
                elif row["absences"]:
                    vanished += self._drop(reading.calendar, event_id)
                else:
                    self._miss(reading.calendar, event_id)
                    absent.append(_EVENT.validate_json(row["body"]))
            self._note_reading(reading)
        return Applied(changed + vanished, len(absent), vanished, tuple(absent))

    def put_found(self, event: CalendarEvent) -> None:
        """Take over an event that was missing from a reading, and was asked for by itself.

        Beyond the horizon it stays as it is until a reading gets there.
        """
        with self._db.transaction():
            self._put(event)

    def put_by_hand(self, event: CalendarEvent) -> None:
        """Add an event that no calendar holds: a person asked for this meeting."""
        with self._db.transaction():
            self._put(event)

    def drop_ended_by_hand(self, before: datetime) -> int:
        """Drop the meetings asked for by hand that ended long ago: no reading retires them."""
        with self._db.transaction():
            return self._db.execute(
                "DELETE FROM events WHERE account = ? AND calendar_id = ? AND ends_at < ?",
                (BY_HAND.account, BY_HAND.calendar_id, write_instant(before)),
            )

    def forget_calendars(self, watched: Iterable[CalendarRef]) -> int:
        """Drop the events of calendars that the config no longer names."""
        kept = {(ref.account, ref.calendar_id) for ref in (*watched, BY_HAND)}
        dropped = 0
        with self._db.transaction():
            for row in self._db.rows("SELECT DISTINCT account, calendar_id FROM events"):
                if (row["account"], row["calendar_id"]) not in kept:
                    values = (row["account"], row["calendar_id"])
                    dropped += self._db.execute(
                        "DELETE FROM events WHERE account = ? AND calendar_id = ?", values
                    )
            for row in self._db.rows("SELECT account, calendar_id FROM calendars"):
                if (row["account"], row["calendar_id"]) not in kept:
                    self._db.execute(
                        "DELETE FROM calendars WHERE account = ? AND calendar_id = ?",
                        (row["account"], row["calendar_id"]),
                    )
        return dropped

    def _put(self, event: CalendarEvent) -> None:
        end = event.end if event.end is not None else event.start + _ENDLESS
        self._db.execute(
            "INSERT OR REPLACE INTO events "
            "(account, calendar_id, event_id, revision, starts_at, ends_at, absences, body) "
            "VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            (
                event.calendar.account,
                event.calendar.calendar_id,
                event.event_id,
                event.revision,
                write_instant(event.start),
                write_instant(max(end, event.start)),
                _EVENT.dump_json(event).decode(),
            ),
        )

    def _cancel(self, event: CalendarEvent) -> int:
        if event.status is EventStatus.CANCELLED:
            return 0
        self._put(
            replace(event, status=EventStatus.CANCELLED, revision=f"{event.revision}/removed")
        )
        return 1

    def _drop(self, calendar: CalendarRef, event_id: str) -> int:
        return self._db.execute(
            "DELETE FROM events WHERE account = ? AND calendar_id = ? AND event_id = ?",
            (calendar.account, calendar.calendar_id, event_id),
        )

    def _miss(self, calendar: CalendarRef, event_id: str) -> None:
        self._db.execute(
            "UPDATE events SET absences = absences + 1 "
            "WHERE account = ? AND calendar_id = ? AND event_id = ?",
            (calendar.account, calendar.calendar_id, event_id),
        )

    # ── calendars ────────────────────────────────────────────────────────────────────────

    def states(self) -> Mapping[CalendarRef, CalendarState]:
        rows = self._db.rows("SELECT * FROM calendars ORDER BY account, calendar_id")
        return {state.calendar: state for state in map(_state, rows)}

    def state(self, calendar: CalendarRef) -> CalendarState | None:
        """Answer what is known of one calendar; None if it was never asked."""
        row = self._db.row(
            "SELECT * FROM calendars WHERE account = ? AND calendar_id = ?",
            (calendar.account, calendar.calendar_id),
        )
        return None if row is None else _state(row)

    def note_failure(
        self, calendar: CalendarRef, *, at: datetime, problem: str, refused: bool = False
    ) -> bool:
        """Write that a calendar can't be read; answers whether that is news.

        `refused` says that it is gone, or not shared any more, rather than out of reach.
        """
        with self._db.transaction():
            row = self._db.row(
                "SELECT failing_since FROM calendars WHERE account = ? AND calendar_id = ?",
                (calendar.account, calendar.calendar_id),
            )
            self._db.execute(
                "INSERT INTO calendars "
                "(account, calendar_id, failing_since, problem, refused_since) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET problem = excluded.problem, "
                "failing_since = coalesce(failing_since, excluded.failing_since), "
                "refused_since = coalesce(refused_since, excluded.refused_since)",
                (
                    calendar.account,
                    calendar.calendar_id,
                    write_instant(at),
                    problem[:2000],
                    write_instant(at if refused else None),
                ),
            )
        return row is None or row["failing_since"] is None

    def drop_refused(self, calendar: CalendarRef, *, now: datetime, keep: timedelta) -> int:
        """Drop what lies ahead on a calendar that has been refused for `keep`; answers how much.

        What is running stays, to its end: it may be what we sit in.
        """
        whose = (calendar.account, calendar.calendar_id)
        with self._db.transaction():
            row = self._db.row(
                "SELECT refused_since FROM calendars WHERE account = ? AND calendar_id = ?",
                whose,
            )
            since = None if row is None else read_optional_instant(row["refused_since"])
            if since is None or now - since < keep:
                return 0
            return self._db.execute(
                "DELETE FROM events "
                "WHERE account = ? AND calendar_id = ? AND NOT (starts_at <= ? AND ends_at > ?)",
                (*whose, write_instant(now), write_instant(now)),
            )

    def note_sync_token(self, calendar: CalendarRef, token: str | None) -> None:
        # An older token after a power cut tells of more changes, never of fewer: not worth a
        # wait for the disk at every poll of a thousand calendars.
        with self._db.transaction(durable=False):
            self._db.execute(
                "UPDATE calendars SET sync_token = ? WHERE account = ? AND calendar_id = ?",
                (token, calendar.account, calendar.calendar_id),
            )

    def _note_reading(self, reading: CalendarReading) -> None:
        self._db.execute(
            "INSERT INTO calendars (account, calendar_id, read_at, access) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET read_at = excluded.read_at, access = excluded.access, "
            "failing_since = NULL, problem = NULL, refused_since = NULL",
            (
                reading.calendar.account,
                reading.calendar.calendar_id,
                write_instant(reading.fetched_at),
                reading.access.value,
            ),
        )

    # ── what people said ─────────────────────────────────────────────────────────────────

    def marks(self) -> Mapping[OccurrenceKey, Mark]:
        """Answer what stands of each occurrence, and under a series' key that it was opted out."""
        rows = self._db.rows("SELECT occurrence, mark FROM marks")
        marks = {OccurrenceKey(row["occurrence"]): Mark(row["mark"]) for row in rows}
        return marks | {OccurrenceKey(each.series): Mark.OPT_OUT for each in self.opt_outs()}

    def set_mark(self, occurrence: OccurrenceKey, mark: Mark | None, *, at: datetime) -> None:
        """Remember what a person said of an occurrence; None takes it back."""
        with self._db.transaction():
            if mark is None:
                self._db.execute("DELETE FROM marks WHERE occurrence = ?", (occurrence,))
            else:
                self._db.execute(
                    "INSERT OR REPLACE INTO marks (occurrence, mark, at) VALUES (?, ?, ?)",
                    (occurrence, mark.value, write_instant(at)),
                )

    def opt_outs(self) -> tuple[OptOut, ...]:
        """Answer the series in which somebody wants no stand-in, the newest first."""
        return tuple(
            OptOut(
                series=SeriesKey(row["series"]),
                at=read_instant(row["at"]),
                by=row["said_by"],
                title=row["title"],
            )
            for row in self._db.rows("SELECT * FROM opt_outs ORDER BY at DESC, series")
        )

    def opt_out(self, said: OptOut) -> None:
        """Remember it; who said so first stays."""
        with self._db.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO opt_outs (series, at, said_by, title) VALUES (?, ?, ?, ?)",
                (
                    said.series,
                    write_instant(said.at),
                    said.by[:_LONGEST_NAME],
                    said.title[:_LONGEST_NAME],
                ),
            )

    def opt_in(self, series: SeriesKey) -> bool:
        """Take an opt-out back; answers whether there was one."""
        with self._db.transaction():
            gone = self._db.execute("DELETE FROM opt_outs WHERE series = ?", (series,))
        return gone > 0

    # ── what was decided ─────────────────────────────────────────────────────────────────

    def last_decisions(self) -> dict[OccurrenceKey, tuple[MeetingKey, Code]]:
        """Answer each occurrence's newest recorded decision."""
        rows = self._db.rows(
            "SELECT occurrence, meeting, code FROM decisions "
            "WHERE id IN (SELECT max(id) FROM decisions GROUP BY occurrence)"
        )
        return {
            OccurrenceKey(row["occurrence"]): (MeetingKey(row["meeting"]), Code(row["code"]))
            for row in rows
        }

    def record_decisions(self, judged: Iterable[Judged], *, at: datetime) -> None:
        with self._db.transaction():
            self._db.execute_many(
                'INSERT INTO decisions (occurrence, meeting, title, starts_at, at, "join", code, '
                "reason, trace) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        item.event.occurrence,
                        item.event.meeting,
                        item.event.title,
                        write_instant(item.event.start),
                        write_instant(at),
                        int(item.decision.join),
                        item.decision.code.value,
                        item.decision.reason,
                        json.dumps(item.decision.trace),
                    )
                    for item in judged
                ],
            )

    def decisions(self, occurrence: OccurrenceKey) -> tuple[DecisionEntry, ...]:
        rows = self._db.rows(
            "SELECT * FROM decisions WHERE occurrence = ? ORDER BY id", (occurrence,)
        )
        return tuple(
            DecisionEntry(
                occurrence=OccurrenceKey(row["occurrence"]),
                meeting=MeetingKey(row["meeting"]),
                title=row["title"],
                starts_at=read_instant(row["starts_at"]),
                at=read_instant(row["at"]),
                join=bool(row["join"]),
                code=Code(row["code"]),
                reason=row["reason"],
                trace=tuple(json.loads(row["trace"])),
            )
            for row in rows
        )

    def find_occurrences(self, text: str, limit: int = 20) -> tuple[OccurrenceKey, ...]:
        """Find occurrences by key or by a part of the title, newest decision first."""
        pattern = f"%{text.replace('%', '')}%"
        rows = self._db.rows(
            "SELECT occurrence, max(id) AS newest FROM decisions WHERE occurrence = ? "
            "OR meeting = ? OR title LIKE ? GROUP BY occurrence ORDER BY newest DESC LIMIT ?",
            (text, text, pattern, limit),
        )
        return tuple(OccurrenceKey(row["occurrence"]) for row in rows)


def _state(row: sqlite3.Row) -> CalendarState:
    return CalendarState(
        calendar=CalendarRef(row["account"], row["calendar_id"]),
        read_at=read_optional_instant(row["read_at"]),
        access=CalendarAccess(row["access"] or "details"),
        sync_token=row["sync_token"],
        failing_since=read_optional_instant(row["failing_since"]),
        problem=row["problem"],
    )


def _touches(starts_at: str, ends_at: str, reading: CalendarReading) -> bool:
    """Whether the reading would have shown an event of that time."""
    return reading.window.overlaps(read_instant(starts_at), read_instant(ends_at))
