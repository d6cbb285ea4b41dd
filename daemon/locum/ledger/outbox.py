"""Summaries on their way: written here before any sink is tried, and kept until it took them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from locum.core.model import MeetingKey, SessionKey
from locum.database import read_optional_instant, write_instant
from locum.ledger.database import Database
from locum.ports import Summary

_SUMMARY = TypeAdapter(Summary)


@dataclass(frozen=True)
class Filing:
    """One summary for one sink; filed once `filed_at` is set."""

    meeting: MeetingKey
    session: SessionKey
    sink: str
    summary: Summary
    attempts: int
    retry_at: datetime | None
    filed_at: datetime | None
    location: str | None
    problem: str | None


class Outbox:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, summary: Summary, sinks: Sequence[str], *, at: datetime) -> None:
        """Add a summary for each sink. Putting the same one again changes nothing."""
        with self._db.transaction():
            for sink in sinks:
                self._db.execute(
                    "INSERT OR IGNORE INTO filings (meeting, session, sink, summary, put_at) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (
                        summary.key,
                        summary.session,
                        sink,
                        _SUMMARY.dump_json(summary).decode(),
                        write_instant(at),
                    ),
                )

    def of(self, session: SessionKey) -> tuple[Filing, ...]:
        return self._select("WHERE session = ? ORDER BY meeting, sink", (session,))

    def newest(self, limit: int = 20) -> tuple[Filing, ...]:
        return self._select("ORDER BY put_at DESC LIMIT ?", (limit,))

    def filed(self, filing: Filing, *, at: datetime, location: str) -> None:
        with self._db.transaction():
            self._db.execute(
                "UPDATE filings SET filed_at = ?, location = ?, attempts = attempts + 1, "
                "retry_at = NULL, problem = NULL WHERE session = ? AND meeting = ? AND sink = ?",
                (write_instant(at), location, filing.session, filing.meeting, filing.sink),
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
                summary=_SUMMARY.validate_json(row["summary"]),
                attempts=row["attempts"],
                retry_at=read_optional_instant(row["retry_at"]),
                filed_at=read_optional_instant(row["filed_at"]),
                location=row["location"],
                problem=row["problem"],
            )
            for row in rows
        )
