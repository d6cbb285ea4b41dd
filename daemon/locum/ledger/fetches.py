"""Which source is still to be asked for which meeting: what comes only afterwards.

Written before anybody is asked, so that a restart goes on where it stood; a row stays after it
is settled, and says what became of it.
"""

from __future__ import annotations

import enum
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from locum.core.model import MeetingKey, Person, SessionKey
from locum.database import SQLiteFile, read_instant, read_optional_instant, write_instant
from locum.ports import EngineNote

_PEOPLE = TypeAdapter(tuple[Person, ...])
_NOTES = TypeAdapter(tuple[EngineNote, ...])


class FetchOutcome(enum.Enum):
    """What became of asking a source for a meeting."""

    CAME = "came"
    NONE = "none"  #: It says that there is nothing, and never will be.
    GAVE_UP = "gave_up"  #: It had nothing until the deadline.
    WITHDRAWN = (
        "withdrawn"  #: It isn't to be asked any more: somebody opted out, or the config.
    )


@dataclass(frozen=True)
class Fetch:
    """One source's word on one meeting; settled once `outcome` is set.

    `label` names the source for people. `problem` is what the last try met, or why it was
    settled without anything; `needs_person` that only a person can help.
    """

    session: SessionKey
    meeting: MeetingKey
    source: str
    label: str
    next_at: datetime
    deadline: datetime
    attempts: int = 0
    problem: str = ""
    needs_person: bool = False
    settled_at: datetime | None = None
    outcome: FetchOutcome | None = None
    participants: tuple[Person, ...] = ()
    notes: tuple[EngineNote, ...] = ()


class FetchBook:
    def __init__(self, database: SQLiteFile) -> None:
        self._db = database

    def put(self, fetch: Fetch) -> None:
        """Write that a source is to be asked. One that is known already stays as it is."""
        # Lost to a power cut, it is put anew: see `unasked`.
        with self._db.transaction(durable=False):
            self._db.execute(
                "INSERT OR IGNORE INTO fetches "
                "(session, meeting, source, label, next_at, deadline) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    fetch.session,
                    fetch.meeting,
                    fetch.source,
                    fetch.label,
                    write_instant(fetch.next_at),
                    write_instant(fetch.deadline),
                ),
            )

    def of(self, session: SessionKey, meeting: MeetingKey | None = None) -> tuple[Fetch, ...]:
        if self._db.outdated:
            return ()  # An older locum's file, that is only read.
        rows = self._db.rows(
            "SELECT * FROM fetches WHERE session = ? AND meeting = coalesce(?, meeting) "
            "ORDER BY meeting, source",
            (session, meeting),
        )
        return tuple(_fetch(row) for row in rows)

    def awaited(self, session: SessionKey) -> tuple[str, ...]:
        """Answer the sources that may still tell more of a session, by their labels."""
        found = (each.label for each in self.of(session) if each.outcome is None)
        return tuple(dict.fromkeys(found))

    def open(self) -> tuple[Fetch, ...]:
        """Answer what isn't settled, the next to be asked first."""
        rows = self._db.rows(
            "SELECT * FROM fetches WHERE settled_at IS NULL "
            "ORDER BY next_at, session, meeting, source"
        )
        return tuple(_fetch(row) for row in rows)

    def unasked(self, since: datetime) -> tuple[SessionKey, ...]:
        """Answer the sessions that were in, ended after `since`, and have nothing here."""
        rows = self._db.rows(
            "SELECT key FROM sessions WHERE ended_at >= ? AND admitted_at IS NOT NULL "
            "AND phase IN ('ended', 'filed') "
            "AND NOT EXISTS (SELECT 1 FROM fetches WHERE session = key) ORDER BY ended_at",
            (write_instant(since),),
        )
        return tuple(SessionKey(row["key"]) for row in rows)

    def postpone(
        self, fetch: Fetch, *, next_at: datetime, problem: str = "", needs_person: bool = False
    ) -> None:
        """Note a try that brought nothing yet."""
        with self._db.transaction(durable=False):
            self._db.execute(
                "UPDATE fetches SET attempts = attempts + 1, next_at = ?, problem = ?, "
                "needs_person = ? WHERE session = ? AND meeting = ? AND source = ?",
                (write_instant(next_at), problem[:2000], int(needs_person), *_key(fetch)),
            )

    def reopen(self, fetch: Fetch, *, at: datetime) -> None:
        """Have one asked at an instant, settled or not; after its deadline, that once."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE fetches SET settled_at = NULL, outcome = NULL, problem = '', "
                "needs_person = 0, next_at = ?, deadline = ? "
                "WHERE session = ? AND meeting = ? AND source = ?",
                (write_instant(at), write_instant(max(fetch.deadline, at)), *_key(fetch)),
            )

    def settle(
        self,
        fetch: Fetch,
        outcome: FetchOutcome,
        *,
        at: datetime,
        problem: str = "",
        participants: tuple[Person, ...] = (),
        notes: tuple[EngineNote, ...] = (),
    ) -> None:
        """Write what became of it, with what came beside what was said."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE fetches SET settled_at = ?, outcome = ?, problem = ?, needs_person = 0, "
                "attempts = attempts + ?, participants = ?, notes = ? "
                "WHERE session = ? AND meeting = ? AND source = ?",
                (
                    write_instant(at),
                    outcome.value,
                    problem[:2000],
                    int(outcome is not FetchOutcome.WITHDRAWN),
                    _PEOPLE.dump_json(participants).decode(),
                    _NOTES.dump_json(notes).decode(),
                    *_key(fetch),
                ),
            )


def _key(fetch: Fetch) -> tuple[str, str, str]:
    return fetch.session, fetch.meeting, fetch.source


def _fetch(row: sqlite3.Row) -> Fetch:
    return Fetch(
        session=SessionKey(row["session"]),
        meeting=MeetingKey(row["meeting"]),
        source=row["source"],
        label=row["label"],
        next_at=read_instant(row["next_at"]),
        deadline=read_instant(row["deadline"]),
        attempts=row["attempts"],
        problem=row["problem"],
        needs_person=bool(row["needs_person"]),
        settled_at=read_optional_instant(row["settled_at"]),
        outcome=None if row["outcome"] is None else FetchOutcome(row["outcome"]),
        participants=_PEOPLE.validate_json(row["participants"]),
        notes=_NOTES.validate_json(row["notes"]),
    )
