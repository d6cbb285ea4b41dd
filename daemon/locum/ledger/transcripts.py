"""What was said in each session, written as it is heard: a crash loses none of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from locum.core.model import SessionKey
from locum.core.transcript import Deferral, Source, Utterance
from locum.database import SQLiteFile, read_instant, read_optional_instant, write_instant

_LONGEST_TEXT = 20_000
"""Characters of one utterance that are kept; nobody says more in one go."""

_LONGEST_SPEAKER = 200


class TranscriptBook:
    """Utterances by session, from each source for itself; merging them is the core's."""

    def __init__(self, database: SQLiteFile) -> None:
        self._db = database

    def add(self, session: SessionKey, utterances: Sequence[Utterance]) -> None:
        """Write what was heard; its ids are given here.

        It is on the disk with the next durable commit: it survives our own death at once.
        """
        with self._db.transaction(durable=False):
            self._db.execute_many(
                "INSERT INTO utterances (session, source, at, until, speaker, text, by_us) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        session,
                        each.source.value,
                        write_instant(each.at),
                        write_instant(each.until),
                        each.speaker[:_LONGEST_SPEAKER],
                        each.text[:_LONGEST_TEXT],
                        int(each.by_us),
                    )
                    for each in utterances
                ],
            )

    def replace_source(
        self, session: SessionKey, source: Source, utterances: Sequence[Utterance]
    ) -> None:
        """Let a source that tells all at once have told just this."""
        with self._db.transaction():
            self._db.execute(
                "DELETE FROM utterances WHERE session = ? AND source = ?",
                (session, source.value),
            )
            self.add(session, utterances)

    def of(self, session: SessionKey) -> tuple[Utterance, ...]:
        """Answer all that is known of a session, in the order in which it became known."""
        rows = self._db.rows(
            "SELECT * FROM utterances WHERE session = ? ORDER BY id", (session,)
        )
        return tuple(parse_utterance(row) for row in rows)

    def defer(self, session: SessionKey, deferrals: Sequence[Deferral]) -> None:
        """Write what was asked of the owner; as durable as `add`."""
        with self._db.transaction(durable=False):
            self._db.execute_many(
                "INSERT INTO deferrals (session, at, said_by, question) VALUES (?, ?, ?, ?)",
                [
                    (
                        session,
                        write_instant(each.at),
                        each.by[:_LONGEST_SPEAKER],
                        each.question[:_LONGEST_TEXT],
                    )
                    for each in deferrals
                ],
            )

    def deferred(self, session: SessionKey) -> tuple[Deferral, ...]:
        """Answer what was asked of the owner in a session, in its order."""
        rows = self._db.rows(
            "SELECT * FROM deferrals WHERE session = ? ORDER BY id", (session,)
        )
        return tuple(
            Deferral(read_instant(row["at"]), row["said_by"], row["question"]) for row in rows
        )

    def forget(self, session: SessionKey) -> None:
        with self._db.transaction():
            self._db.execute("DELETE FROM utterances WHERE session = ?", (session,))
            self._db.execute("DELETE FROM deferrals WHERE session = ?", (session,))


def parse_utterance(row: sqlite3.Row | Mapping[str, Any]) -> Utterance:
    return Utterance(
        id=str(row["id"]),
        speaker=row["speaker"],
        text=row["text"],
        at=read_optional_instant(row["at"]),
        until=read_optional_instant(row["until"]),
        source=Source(row["source"]),
        by_us=bool(row["by_us"]),
    )
