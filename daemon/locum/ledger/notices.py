"""What the owner was told: written here before it is sent, and once it has arrived.

A notice is written once, under its key, with a delivery for each target. A delivery that was
sent is written down when its target has answered: killed between the two, it is sent again
after the restart, because a notice told twice does less harm than one that is lost.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from locum.core.notices import Kind, Notice, Severity, Told
from locum.database import read_instant, read_optional_instant, write_instant
from locum.ledger.database import Database

_LASTING = (Kind.CALENDAR.value, Kind.CONFIG.value, Kind.LEDGER.value)


class Outcome(enum.Enum):
    """What became of a delivery."""

    SENT = "sent"
    EXPIRED = "expired"  #: It was worth nothing any more before it could be sent.
    WITHDRAWN = "withdrawn"  #: It had become untrue before it could be sent.
    REFUSED = "refused"  #: The target will never take it.
    NO_TARGET = "no_target"  #: The config has dropped its target.


@dataclass(frozen=True)
class Delivery:
    """One notice for one target; settled once `outcome` is set."""

    notice: Notice
    target: str
    attempts: int
    problem: str | None
    settled_at: datetime | None
    outcome: Outcome | None


class NoticeBook:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, notices: Iterable[Notice], targets: Collection[str], *, at: datetime) -> None:
        """Write notices, with a delivery for each target that needs it, in one commit.

        One whose key is there changes nothing.
        """
        # Lost to a power cut, it is as due as before.
        with self._db.transaction(durable=False):
            for notice in notices:
                for key, subject in ((notice.key, notice.subject), *notice.also_told):
                    added = self._add(key, subject, notice, at)
                    if not added or key != notice.key:
                        continue
                    wanted = targets if notice.only_to is None else notice.only_to
                    self._db.execute_many(
                        "INSERT INTO notice_deliveries (notice, target) VALUES (?, ?)",
                        [(key, target) for target in sorted(wanted)],
                    )

    def _add(self, key: str, subject: str, notice: Notice, at: datetime) -> int:
        return self._db.execute(
            "INSERT OR IGNORE INTO notices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                notice.kind.value,
                subject,
                notice.name,
                write_instant(notice.starts_at),
                write_instant(at),
                write_instant(notice.expires_at),
                notice.severity.value,
                notice.title,
                notice.body,
            ),
        )

    def told(self, since: datetime) -> tuple[Told, ...]:
        """Answer what was told since then, and what lasts and hasn't ended, in that order."""
        rows = self._db.rows(
            "SELECT n.*, "
            "(SELECT group_concat(target) FROM notice_deliveries AS d "
            " WHERE d.notice = n.key AND d.outcome = 'sent') AS reached, "
            "EXISTS (SELECT 1 FROM notice_deliveries AS d "
            " WHERE d.notice = n.key AND d.settled_at IS NULL) AS pending "
            "FROM notices AS n WHERE put_at >= ? OR starts_at >= ? OR (kind IN (?, ?, ?) "
            " AND NOT EXISTS (SELECT 1 FROM notices AS o WHERE o.key = n.key || '/over')) "
            "ORDER BY put_at, key",
            (write_instant(since), write_instant(since), *_LASTING),
        )
        return tuple(
            Told(
                key=row["key"],
                kind=Kind(row["kind"]),
                subject=row["subject"],
                name=row["name"],
                starts_at=read_optional_instant(row["starts_at"]),
                reached=frozenset((row["reached"] or "").split(",")) - {""},
                pending=bool(row["pending"]),
            )
            for row in rows
        )

    def open(self, target: str) -> tuple[Delivery, ...]:
        """Answer what waits for a target; what is worthless soonest comes first."""
        return self._select("WHERE target = ? AND settled_at IS NULL", (target,))

    def of(self, key: str) -> tuple[Delivery, ...]:
        return self._select("WHERE notice = ?", (key,))

    def newest(self, limit: int = 100) -> tuple[Delivery, ...]:
        """Answer deliveries, the newest notices' first."""
        found = self._select("", ())
        return tuple(reversed(found))[:limit]

    def waiting_targets(self) -> frozenset[str]:
        rows = self._db.rows(
            "SELECT DISTINCT target FROM notice_deliveries WHERE settled_at IS NULL"
        )
        return frozenset(row["target"] for row in rows)

    def failed(self, delivery: Delivery, *, problem: str) -> None:
        """Note a try that failed; it goes on waiting."""
        with self._db.transaction(durable=False):
            self._db.execute(
                "UPDATE notice_deliveries SET attempts = attempts + 1, problem = ? "
                "WHERE notice = ? AND target = ?",
                (problem[:2000], delivery.notice.key, delivery.target),
            )

    def settle(
        self, delivery: Delivery, outcome: Outcome, *, at: datetime, problem: str | None = None
    ) -> None:
        """Write what became of a delivery. What was sent stays sent."""
        tried = outcome in {Outcome.SENT, Outcome.REFUSED}
        with self._db.transaction():
            self._db.execute(
                "UPDATE notice_deliveries SET settled_at = ?, outcome = ?, "
                "attempts = attempts + ?, problem = coalesce(?, problem) "
                "WHERE notice = ? AND target = ? AND outcome IS NOT 'sent'",
                (
                    write_instant(at),
                    outcome.value,
                    int(tried),
                    None if problem is None else problem[:2000],
                    delivery.notice.key,
                    delivery.target,
                ),
            )

    def withdraw(self, keys: Iterable[str], *, at: datetime) -> None:
        """Let what waits of these notices not be sent any more."""
        with self._db.transaction(durable=False):
            self._db.execute_many(
                "UPDATE notice_deliveries SET settled_at = ?, outcome = 'withdrawn' "
                "WHERE notice = ? AND settled_at IS NULL",
                [(write_instant(at), key) for key in keys],
            )

    def forget(self, before: datetime) -> int:
        """Drop what was told before then, but what lasts and hasn't ended."""
        with self._db.transaction():
            return self._db.execute(
                "DELETE FROM notices WHERE put_at < ? AND (kind NOT IN (?, ?, ?) OR "
                "EXISTS (SELECT 1 FROM notices AS o WHERE o.key = notices.key || '/over') "
                "OR key LIKE '%/over')",
                (write_instant(before), *_LASTING),
            )

    def _select(self, clause: str, values: tuple[object, ...]) -> tuple[Delivery, ...]:
        rows = self._db.rows(
            f"SELECT * FROM notice_deliveries JOIN notices ON key = notice {clause} "  # noqa: S608 - Our own clauses.
            "ORDER BY expires_at, put_at, key, target",
            values,
        )
        return tuple(
            Delivery(
                notice=Notice(
                    key=row["key"],
                    kind=Kind(row["kind"]),
                    subject=row["subject"],
                    title=row["title"],
                    body=row["body"],
                    severity=Severity(row["severity"]),
                    expires_at=read_instant(row["expires_at"]),
                    name=row["name"],
                    starts_at=read_optional_instant(row["starts_at"]),
                ),
                target=row["target"],
                attempts=row["attempts"],
                problem=row["problem"],
                settled_at=read_optional_instant(row["settled_at"]),
                outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
            )
            for row in rows
        )
