"""Sessions, their transitions and their attempts: who is, was or may be in a room.

Every change is one commit, checked against the table of lives and against what was there
before: a stale actor changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from locum.core.identity import Identity
from locum.core.lifecycle import may_follow
from locum.core.model import (
    EndReason,
    Meeting,
    Phase,
    Room,
    SessionHandle,
    SessionKey,
    SessionRecord,
    Stay,
)
from locum.core.money import Refused, organizer_of
from locum.database import read_instant, read_optional_instant, write_instant
from locum.errors import LocumError
from locum.ledger.database import Database
from locum.ledger.purse import BudgetError, Grant, Purse, Tally, settled
from locum.ports import EngineNote, Remains

_MEETINGS = TypeAdapter(tuple[Meeting, ...])
_ROOM = TypeAdapter(Room)
_NOTES = TypeAdapter(tuple[EngineNote, ...])
_IDENTITY = TypeAdapter(Identity)

_UNFINISHED = "('joining', 'ambiguous', 'waiting', 'live', 'leaving', 'ended')"


class RoomTakenError(LocumError):
    """A session of ours holds that room already."""


class StaleError(LocumError):
    """What was to be changed is not what it was: plan anew."""


@dataclass(frozen=True)
class Attempt:
    """One call to an engine that may have begun a presence, and what became of it."""

    session: SessionKey
    number: int
    engine: str
    price_per_minute: float
    claimed_at: datetime
    handle: SessionHandle | None
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    notes: tuple[EngineNote, ...]
    identity: Identity | None = None  #: As whom it asked; None if it never came to that.

    @property
    def cost(self) -> float:
        """Estimate what it cost, by the started minute; 0 if it never ran or still does."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        minutes = -(-(self.ended_at - self.answered_at) // timedelta(minutes=1))
        return max(minutes, 1) * self.price_per_minute


@dataclass(frozen=True)
class Transition:
    at: datetime
    before: Phase | None
    after: Phase
    reason: str | None
    detail: str


class Sessions:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._finished: dict[str, SessionRecord] = {}
        self._unfinished: dict[str, tuple[tuple[object, ...], SessionRecord]] = {}

    # ── reading ──────────────────────────────────────────────────────────────────────────

    def get(self, key: SessionKey) -> SessionRecord | None:
        row = self._db.row("SELECT * FROM sessions WHERE key = ?", (key,))
        return None if row is None else _record(row)

    def unfinished_and_since(self, since: datetime) -> tuple[SessionRecord, ...]:
        """Answer the sessions that aren't finished, and those that ended after `since`."""
        unfinished = self._db.rows(
            f"SELECT * FROM sessions WHERE phase IN {_UNFINISHED} ORDER BY key"  # noqa: S608 - A constant.
        )
        finished = self._db.rows(
            f"SELECT key FROM sessions WHERE phase NOT IN {_UNFINISHED} AND ended_at >= ?",  # noqa: S608
            (write_instant(since),),
        )
        # A finished session never changes, so it is read from its row only once.
        self._finished = {
            row["key"]: self._finished.get(row["key"]) or self._must_get(row["key"])
            for row in finished
        }
        # Of two hundred open sessions few have changed since the last pass: parse only those.
        seen = ((tuple(row), row) for row in unfinished)
        self._unfinished = {
            row["key"]: (values, self._parsed_before(row["key"], values) or _record(row))
            for values, row in seen
        }
        return (*(record for _, record in self._unfinished.values()), *self._finished.values())

    def _parsed_before(self, key: str, values: tuple[object, ...]) -> SessionRecord | None:
        known = self._unfinished.get(key)
        return known[1] if known is not None and known[0] == values else None

    @staticmethod
    def parse(row: Mapping[str, Any]) -> SessionRecord:
        """Read the values of a row, wherever they come from.

        Raises:
            ValueError, KeyError: It is none of ours.
        """
        return _record(row)

    def _must_get(self, key: str) -> SessionRecord:
        record = self.get(SessionKey(key))
        if record is None:
            raise StaleError(f"The session {key} has vanished.")
        return record

    def newest(self, limit: int = 20) -> tuple[SessionRecord, ...]:
        rows = self._db.rows(
            "SELECT * FROM sessions ORDER BY claimed_at DESC LIMIT ?", (limit,)
        )
        return tuple(_record(row) for row in rows)

    def detail(self, key: SessionKey) -> str:
        row = self._db.row("SELECT detail FROM sessions WHERE key = ?", (key,))
        return "" if row is None else str(row["detail"])

    def transitions(self, key: SessionKey) -> tuple[Transition, ...]:
        rows = self._db.rows("SELECT * FROM transitions WHERE session = ? ORDER BY id", (key,))
        return tuple(
            Transition(
                at=read_instant(row["at"]),
                before=None if row["before"] is None else Phase(row["before"]),
                after=Phase(row["after"]),
                reason=row["reason"],
                detail=row["detail"],
            )
            for row in rows
        )

    def attempts(self, key: SessionKey) -> tuple[Attempt, ...]:
        rows = self._db.rows("SELECT * FROM attempts WHERE session = ? ORDER BY number", (key,))
        return tuple(_attempt(row) for row in rows)

    # ── claiming ─────────────────────────────────────────────────────────────────────────

    def claim(
        self,
        stays: Sequence[Stay],
        *,
        now: datetime,
        grace: timedelta,
        prices: Mapping[str, float],
        purse: Purse | None = None,
    ) -> dict[SessionKey, LocumError | None]:
        """Write the JOINING row and the first attempt of each stay, in one commit.

        It comes before any call to an engine, so that a crash after it can't leave a
        presence that nobody knows of. Answers for each stay None, or why it wasn't claimed:
        `RoomTakenError`, or `StaleError` where the event was edited meanwhile, or
        `BudgetError`. With a `purse`, what the stay can cost is set aside in that commit; of
        meetings that follow in one room, only the first may be claimed.
        """
        outcome: dict[SessionKey, LocumError | None] = {}
        tally = None if purse is None else purse.tally(now)
        with self._db.transaction():
            for stay in stays:
                try:
                    with self._db.savepoint():
                        self._check_revisions(stay)
                        # However early we come: nobody lets anyone in before the start.
                        patience = max(now, stay.meetings[0].start) + grace
                        grant = _grant(tally, stay, prices)
                        self._insert(
                            grant.stay, Phase.JOINING, now, min(patience, grant.stay.leave_by)
                        )
                        self._add_attempt(stay.key, 1, grant, now, prices)
                    if tally is not None:
                        tally.take(grant)
                    outcome[stay.key] = None
                except sqlite3.IntegrityError:
                    outcome[stay.key] = RoomTakenError(f"The room {stay.room.id} is taken.")
                except (StaleError, BudgetError) as error:
                    outcome[stay.key] = error
        return outcome

    def claim_again(
        self,
        record: SessionRecord,
        stay: Stay,
        *,
        now: datetime,
        prices: Mapping[str, float],
        purse: Purse | None = None,
    ) -> None:
        """Write the next attempt of a session whose last one failed.

        Raises:
            StaleError: Somebody else moved it on.
            BudgetError: What is left of the stay can't be paid.
        """
        stay = replace(stay, key=record.key, engine=record.engine)
        with self._db.transaction():
            grant = _grant(None if purse is None else purse.tally(now), stay, prices)
            changed = self._db.execute(
                "UPDATE sessions SET attempts = attempts + 1, retry_at = NULL, leave_by = ?, "
                "meetings = ?, end_reason = NULL, detail = '' "
                "WHERE key = ? AND phase = 'joining' AND attempts = ? AND retry_at IS NOT NULL",
                (
                    write_instant(grant.stay.leave_by),
                    _MEETINGS.dump_json(grant.stay.meetings).decode(),
                    record.key,
                    record.attempts,
                ),
            )
            if not changed:
                raise StaleError(f"The session {record.key} is not waiting to be tried again.")
            self._add_attempt(record.key, record.attempts + 1, grant, now, prices)
            self._log(record.key, now, Phase.JOINING, Phase.JOINING, "trying again", "")

    def record_missed(self, stay: Stay, *, now: datetime, reason: EndReason) -> None:
        """Write down a meeting that went by without us. Nothing happens if it is known."""
        with self._db.transaction():
            known = self._db.row("SELECT 1 FROM sessions WHERE key = ?", (stay.key,))
            if known is None:
                self._insert(stay, Phase.MISSED, now, now, reason)

    def _check_revisions(self, stay: Stay) -> None:
        for meeting in stay.meetings:
            if meeting.calendar is None:
                continue
            row = self._db.row(
                "SELECT revision FROM events "
                "WHERE account = ? AND calendar_id = ? AND event_id = ?",
                (meeting.calendar.account, meeting.calendar.calendar_id, meeting.event_id),
            )
            if row is None or row["revision"] != meeting.revision:
                raise StaleError(f'"{meeting.title}" was edited meanwhile.')

    def _insert(
        self,
        stay: Stay,
        phase: Phase,
        now: datetime,
        give_up_at: datetime,
        reason: EndReason | None = None,
    ) -> None:
        joining = phase is Phase.JOINING
        self._db.execute(
            "INSERT INTO sessions (key, phase, room_id, room, engine, persona, join_at, leave_by, "
            "meetings, claimed_at, give_up_at, attempts, ended_at, end_reason) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stay.key,
                phase.value,
                stay.room.id,
                _ROOM.dump_json(stay.room).decode(),
                stay.engine,
                stay.persona,
                write_instant(stay.join_at),
                write_instant(stay.leave_by),
                _MEETINGS.dump_json(stay.meetings).decode(),
                write_instant(now),
                write_instant(give_up_at),
                1 if joining else 0,
                None if joining else write_instant(now),
                None if reason is None else reason.value,
            ),
        )
        self._log(stay.key, now, None, phase, None if reason is None else reason.value, "")

    def _add_attempt(
        self,
        key: SessionKey,
        number: int,
        grant: Grant,
        now: datetime,
        prices: Mapping[str, float],
    ) -> None:
        engine, first = grant.stay.engine, grant.stay.meetings[0]
        self._db.execute(
            "INSERT INTO attempts (session, number, engine, price_per_minute, claimed_at, "
            "reserved_micros, occurrence, organizer) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                number,
                engine,
                prices.get(engine, 0.0),
                write_instant(now),
                grant.reserved,
                first.occurrence,
                organizer_of(first),
            ),
        )

    # ── living ───────────────────────────────────────────────────────────────────────────

    def transition(
        self,
        key: SessionKey,
        to: Phase,
        *,
        at: datetime,
        reason: EndReason | None = None,
        detail: str = "",
        durable: bool = True,
        **changes: Any,
    ) -> SessionRecord:
        """Move a session on, with a reason, in one commit; answers what it is now.

        One that isn't `durable` is on the disk after the database's `sync`. `changes` may set handle, retry_at, give_up_at, admitted_at, ended_at, others_present, unseen.

        Raises:
            StaleError: The table of lives doesn't allow it from where the session is.
        """
        with self._db.transaction(durable=durable):
            row = self._db.row("SELECT phase FROM sessions WHERE key = ?", (key,))
            before = None if row is None else Phase(row["phase"])
            if before is None or not may_follow(before, to):
                raise StaleError(
                    f"The session {key} can't go from {before and before.value} to {to.value}."
                )
            values: dict[str, Any] = {"phase": to.value, **changes}
            if reason is not None:
                values["end_reason"] = reason.value
            if reason is not None or detail:
                values["detail"] = detail[:2000]
            assignments = ", ".join(f"{name} = ?" for name in values)
            self._db.execute(
                f"UPDATE sessions SET {assignments} WHERE key = ?",  # noqa: S608 - Our own names.
                (*(_plain(value) for value in values.values()), key),
            )
            self._log(key, at, before, to, None if reason is None else reason.value, detail)
            if changes.get("handle") is not None:
                self._db.execute(
                    "UPDATE attempts SET handle = ?, answered_at = ? "
                    "WHERE session = ? AND number = "
                    "(SELECT max(number) FROM attempts WHERE session = ?) AND handle IS NULL",
                    (changes["handle"], write_instant(at), key, key),
                )
        return self._must_get(key)

    def amend(
        self,
        key: SessionKey,
        *,
        leave_by: datetime,
        meetings: tuple[Meeting, ...],
        purse: Purse | None = None,
        now: datetime | None = None,
    ) -> Refused | None:
        """Change the end and the meetings of a session.

        With a `purse` (and `now`), an end that can't be paid is refused, with the cap: then
        all stays as it was.
        """
        with self._db.transaction():
            if purse is not None and now is not None:
                refused = purse.extend(key, leave_by, now=now)
                if refused is not None:
                    return refused
            self._db.execute(
                "UPDATE sessions SET leave_by = ?, meetings = ? WHERE key = ?",
                (write_instant(leave_by), _MEETINGS.dump_json(meetings).decode(), key),
            )
        return None

    def others_present(self, key: SessionKey, others: int) -> None:
        with self._db.transaction():
            self._db.execute(
                "UPDATE sessions SET others_present = ?, accompanied = max(accompanied, ?) "
                "WHERE key = ?",
                (others, int(others > 0), key),
            )

    def joined_as(self, key: SessionKey, identity: Identity) -> None:
        """Write as whom the newest attempt asked to join."""
        self._db.execute(
            "UPDATE attempts SET identity = ? WHERE session = ? AND number = "
            "(SELECT max(number) FROM attempts WHERE session = ?)",
            (_IDENTITY.dump_json(identity).decode(), key, key),
        )

    def close_attempt(
        self, key: SessionKey, *, at: datetime, outcome: str, remains: Remains | None = None
    ) -> None:
        """Write that the newest attempt is proved over, what it left, and what it cost.

        One whose answer was lost costs all that was set aside for it, unless its outcome is
        `NEVER_RAN`.
        """
        with self._db.transaction():
            row = self._db.row(
                "SELECT * FROM attempts WHERE session = ? AND ended_at IS NULL AND number = "
                "(SELECT max(number) FROM attempts WHERE session = ?)",
                (key, key),
            )
            if row is None:
                return
            self._db.execute(
                "UPDATE attempts SET ended_at = ?, outcome = ?, cost_micros = ?, "
                "notes = coalesce(?, notes), bodies = coalesce(?, bodies) "
                "WHERE session = ? AND number = ?",
                (
                    write_instant(at),
                    outcome,
                    settled(row, at, outcome),
                    None if remains is None else _NOTES.dump_json(remains.notes).decode(),
                    None if remains is None else json.dumps(remains.bodies),
                    key,
                    row["number"],
                ),
            )

    def forget_heard(self, key: SessionKey) -> None:
        """Delete what was heard in a session and what engines gave back, in all its attempts."""
        with self._db.transaction():
            self._db.execute("DELETE FROM utterances WHERE session = ?", (key,))
            self._db.execute("DELETE FROM deferrals WHERE session = ?", (key,))
            self._db.execute(
                "UPDATE attempts SET notes = NULL, bodies = NULL WHERE session = ?", (key,)
            )

    def _log(  # noqa: PLR0917 - One row, in the order of its columns.
        self,
        key: SessionKey,
        at: datetime,
        before: Phase | None,
        after: Phase,
        reason: str | None,
        detail: str,
    ) -> None:
        self._db.execute(
            "INSERT INTO transitions (session, at, before, after, reason, detail) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                key,
                write_instant(at),
                None if before is None else before.value,
                after.value,
                reason,
                detail[:2000],
            ),
        )


def _grant(tally: Tally | None, stay: Stay, prices: Mapping[str, float]) -> Grant:
    if tally is None:
        return Grant(stay, 0)
    return tally.admit(stay, prices.get(stay.engine, 0.0))


def _plain(value: Any) -> Any:
    return write_instant(value) if isinstance(value, datetime) else value


def _record(row: sqlite3.Row | Mapping[str, Any]) -> SessionRecord:
    return SessionRecord(
        key=SessionKey(row["key"]),
        phase=Phase(row["phase"]),
        room=_ROOM.validate_json(row["room"]),
        engine=row["engine"],
        persona=row["persona"],
        join_at=read_instant(row["join_at"]),
        leave_by=read_instant(row["leave_by"]),
        meetings=_MEETINGS.validate_json(row["meetings"]),
        claimed_at=read_instant(row["claimed_at"]),
        give_up_at=read_instant(row["give_up_at"]),
        attempts=row["attempts"],
        handle=None if row["handle"] is None else SessionHandle(row["handle"]),
        retry_at=read_optional_instant(row["retry_at"]),
        admitted_at=read_optional_instant(row["admitted_at"]),
        ended_at=read_optional_instant(row["ended_at"]),
        end_reason=None if row["end_reason"] is None else EndReason(row["end_reason"]),
        others_present=row["others_present"],
        # A file of an older version that is only read, by `locum reap` say, has no such columns.
        accompanied="accompanied" in row.keys() and bool(row["accompanied"]),  # noqa: SIM118
        unseen="unseen" in row.keys() and bool(row["unseen"]),  # noqa: SIM118
    )


def _attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        session=SessionKey(row["session"]),
        number=row["number"],
        engine=row["engine"],
        price_per_minute=row["price_per_minute"],
        claimed_at=read_instant(row["claimed_at"]),
        handle=None if row["handle"] is None else SessionHandle(row["handle"]),
        answered_at=read_optional_instant(row["answered_at"]),
        ended_at=read_optional_instant(row["ended_at"]),
        outcome=row["outcome"],
        notes=() if row["notes"] is None else _NOTES.validate_json(row["notes"]),
        identity=None if row["identity"] is None else _IDENTITY.validate_json(row["identity"]),
    )


def identity_of(attempts: Iterable[Attempt]) -> Identity | None:
    """Answer as whom a session joined: its last attempt that asked at all tells."""
    asked = [attempt.identity for attempt in attempts if attempt.identity is not None]
    return asked[-1] if asked else None


def total_cost(attempts: Iterable[Attempt]) -> float:
    return sum(attempt.cost for attempt in attempts)
