"""Summaries on their way: written here before any sink is tried, and kept until it took them.

A meeting has one summary, in its newest edition, and a filing for each sink that is to have
it. A new edition makes every filing wait anew, but those of sinks that can't take back what
they sent, unless it says more of what was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from locum.core.model import MeetingKey, SessionKey
from locum.database import SQLiteFile, read_instant, read_optional_instant, write_instant
from locum.ports import Summary

_SUMMARY = TypeAdapter(Summary)


@dataclass(frozen=True)
class Filing:
    """One summary for one sink; filed once `filed_at` is set."""

    meeting: MeetingKey
    session: SessionKey
    sink: str
    attempts: int
    retry_at: datetime | None
    filed_at: datetime | None
    location: str | None
    problem: str | None


@dataclass(frozen=True)
class Edition:
    """A summary as it stands; `material` is a hash of what it was written from."""

    summary: Summary
    material: str
    put_at: datetime


@dataclass(frozen=True)
class Addressee:
    """A sink that is to have a summary: not before `not_before`, if that is given."""

    sink: str
    can_revise: bool = True
    not_before: datetime | None = None


class Outbox:
    def __init__(self, database: SQLiteFile) -> None:
        self._db = database

    def put(
        self,
        summary: Summary,
        addressees: Sequence[Addressee],
        *,
        at: datetime,
        material: str = "",
        said: str = "",
    ) -> None:
        """Keep a summary, and have it filed by each sink. The same edition twice changes nothing.

        `material` is a hash of all that it was written from, `said` of what was said alone.
        """
        place = (summary.session, summary.key)
        with self._db.transaction():
            before = self._db.row(
                "SELECT edition, said FROM summaries WHERE session = ? AND meeting = ?", place
            )
            if before is None or before["edition"] < summary.edition:
                self._db.execute(
                    "INSERT OR REPLACE INTO summaries "
                    "(session, meeting, edition, material, said, put_at, body) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        *place,
                        summary.edition,
                        material,
                        said,
                        write_instant(at),
                        _SUMMARY.dump_json(summary).decode(),
                    ),
                )
                for each in addressees:
                    if each.can_revise or (before is not None and before["said"] != said):
                        self._wait_anew(place, each)
            for each in addressees:
                self._db.execute(
                    "INSERT OR IGNORE INTO filings (meeting, session, sink, put_at, retry_at) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (
                        summary.key,
                        summary.session,
                        each.sink,
                        write_instant(at),
                        write_instant(each.not_before),
                    ),
                )

    def _wait_anew(self, place: tuple[SessionKey, MeetingKey], addressee: Addressee) -> None:
        self._db.execute(
            "UPDATE filings SET filed_at = NULL, attempts = 0, problem = NULL, retry_at = ? "
            "WHERE session = ? AND meeting = ? AND sink = ?",
            (write_instant(addressee.not_before), *place, addressee.sink),
        )

    def release(self, session: SessionKey, sink: str) -> None:
        """Let what was held back for a sink go at once, and try anew what failed."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE filings SET retry_at = NULL "
                "WHERE session = ? AND sink = ? AND filed_at IS NULL",
                (session, sink),
            )

    def again(self, session: SessionKey, sink: str | None = None) -> int:
        """Have a session's summaries filed once more; answers how many filings wait now."""
        with self._db.transaction():
            return self._db.execute(
                "UPDATE filings SET filed_at = NULL, attempts = 0, problem = NULL, "
                "retry_at = NULL WHERE session = ? AND (? IS NULL OR sink = ?)",
                (session, sink, sink),
            )

    def of(self, session: SessionKey) -> tuple[Filing, ...]:
        return self._select("WHERE session = ? ORDER BY meeting, sink", (session,))

    def newest(self, limit: int = 20) -> tuple[Filing, ...]:
        return self._select("ORDER BY put_at DESC LIMIT ?", (limit,))

    def open(self, limit: int = 1000) -> tuple[Filing, ...]:
        """Answer what isn't filed yet, the oldest first."""
        return self._select("WHERE filed_at IS NULL ORDER BY put_at LIMIT ?", (limit,))

    def editions(self, session: SessionKey) -> dict[MeetingKey, Edition]:
        """Answer a session's summaries as they stand."""
        rows = self._db.rows("SELECT * FROM summaries WHERE session = ?", (session,))
        return {
            MeetingKey(row["meeting"]): Edition(
                summary=_SUMMARY.validate_json(row["body"]),
                material=row["material"],
                put_at=read_instant(row["put_at"]),
            )
            for row in rows
        }

    def summary(self, session: SessionKey, meeting: MeetingKey) -> Summary | None:
        row = self._db.row(
            "SELECT body FROM summaries WHERE session = ? AND meeting = ?", (session, meeting)
        )
        return None if row is None else _SUMMARY.validate_json(row["body"])

    def meetings(self) -> tuple[tuple[SessionKey, MeetingKey], ...]:
        """Answer which meetings have a summary, the oldest first."""
        rows = self._db.rows("SELECT session, meeting FROM summaries ORDER BY put_at, rowid")
        return tuple((SessionKey(row["session"]), MeetingKey(row["meeting"])) for row in rows)

    def forget(self, session: SessionKey) -> None:
        """Delete a session's summaries and their filings."""
        with self._db.transaction():
            self._db.execute("DELETE FROM summaries WHERE session = ?", (session,))
            self._db.execute("DELETE FROM filings WHERE session = ?", (session,))

    def filed(self, filing: Filing, *, at: datetime, location: str, edition: int = 0) -> None:
        """Note that a sink has it, unless a newer edition than `edition` came meanwhile."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE filings SET filed_at = ?, location = ?, attempts = attempts + 1, "
                "retry_at = NULL, problem = NULL WHERE session = ? AND meeting = ? AND sink = ? "
                "AND (? = 0 OR ? >= (SELECT edition FROM summaries AS s "
                "WHERE s.session = filings.session AND s.meeting = filings.meeting))",
                (
                    write_instant(at),
                    location,
                    filing.session,
                    filing.meeting,
                    filing.sink,
                    edition,
                    edition,
                ),
            )

    def failed(self, filing: Filing, *, retry_at: datetime, problem: str) -> None:
        with self._db.transaction():
            self._db.execute(
                "UPDATE filings SET attempts = attempts + 1, retry_at = ?, problem = ? "
                "WHERE session = ? AND meeting = ? AND sink = ?",
                (
                    write_instant(retry_at),
                    problem[:2000],
                    filing.session,
                    filing.meeting,
                    filing.sink,
                ),
            )

    def _select(self, clause: str, values: Sequence[object]) -> tuple[Filing, ...]:
        rows = self._db.rows(f"SELECT * FROM filings {clause}", values)  # noqa: S608 - Our own clauses.
        return tuple(
            Filing(
                meeting=MeetingKey(row["meeting"]),
                session=SessionKey(row["session"]),
                sink=row["sink"],
                attempts=row["attempts"],
                retry_at=read_optional_instant(row["retry_at"]),
                filed_at=read_optional_instant(row["filed_at"]),
                location=row["location"],
                problem=row["problem"],
            )
            for row in rows
        )
