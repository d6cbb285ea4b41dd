"""What stand-ins ask their owner for: written here by whoever attends, decided by the daemon.

A request is begun once at most, whatever dies between its approval and its end.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from locum.core.model import SessionKey
from locum.core.requests import Request, RequestState
from locum.database import read_instant, write_instant
from locum.ledger.database import Database

_LONGEST = 4000
_KEPT = timedelta(days=30)


class RequestBook:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, request: Request) -> None:
        """Write down a new one; those of long ago go."""
        with self._db.transaction():
            old = (write_instant(request.at - _KEPT),)
            self._db.execute("DELETE FROM requests WHERE at < ?", old)
            self._db.execute(
                "INSERT INTO requests (id, session, persona, title, tool, what, asked_by, at, "
                "expires_at, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')",
                (
                    request.id,
                    request.session,
                    request.persona,
                    request.title[:_LONGEST],
                    request.tool,
                    request.what[:_LONGEST],
                    request.asked_by[:_LONGEST],
                    write_instant(request.at),
                    write_instant(request.expires_at),
                ),
            )

    def get(self, request: str) -> Request | None:
        found = self._select("WHERE id = ?", (request,))
        return found[0] if found else None

    def open(self, now: datetime) -> tuple[Request, ...]:
        """Answer those that wait for the owner, the oldest first."""
        return self._select("WHERE state = 'open' AND expires_at > ?", (write_instant(now),))

    def newest(self, limit: int = 20) -> tuple[Request, ...]:
        return tuple(reversed(self._select("", ())[-limit:]))

    def decide(self, request: str, *, approved: bool, at: datetime) -> bool:
        """Write the owner's answer; False where it doesn't wait for one (any more)."""
        state = RequestState.APPROVED if approved else RequestState.DENIED
        with self._db.transaction():
            return bool(
                self._db.execute(
                    "UPDATE requests SET state = ?, decided_at = ? "
                    "WHERE id = ? AND state = 'open' AND expires_at > ?",
                    (state.value, write_instant(at), request, write_instant(at)),
                )
            )

    def begin(self, request: str) -> bool:
        """Write that what was approved begins now; False where it may not, or has begun."""
        with self._db.transaction():
            return bool(
                self._db.execute(
                    "UPDATE requests SET state = 'running' WHERE id = ? AND state = 'approved'",
                    (request,),
                )
            )

    def settle(
        self, request: str, state: RequestState, *, at: datetime, problem: str = ""
    ) -> None:
        """Write how it ended; one that has ended stays as it is."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE requests SET state = ?, ended_at = ?, problem = ? "
                "WHERE id = ? AND state IN ('open', 'approved', 'running')",
                (state.value, write_instant(at), problem[:_LONGEST], request),
            )

    def _select(self, clause: str, values: tuple[object, ...]) -> tuple[Request, ...]:
        rows = self._db.rows(
            f"SELECT * FROM requests {clause} ORDER BY at, id",  # noqa: S608 - Our own clauses.
            values,
        )
        return tuple(
            Request(
                id=row["id"],
                session=SessionKey(row["session"]),
                persona=row["persona"],
                title=row["title"],
                tool=row["tool"],
                what=row["what"],
                asked_by=row["asked_by"],
                at=read_instant(row["at"]),
                expires_at=read_instant(row["expires_at"]),
                state=RequestState(row["state"]),
                problem=row["problem"],
            )
            for row in rows
        )
