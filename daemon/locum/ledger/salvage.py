"""What can still be read of a damaged ledger: each row that parses is newer than a backup's.

Reads only copies and by read-only connections: the damaged file stays as it was found.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from locum.core.model import Mark, Phase, SessionKey
from locum.database import read_instant
from locum.ledger.damage import bad_header, reading
from locum.ledger.database import Database
from locum.ledger.outbox import Outbox
from locum.ledger.sessions import Sessions
from locum.ledger.transcripts import parse_utterance

_CARRIED: Mapping[str, tuple[str, ...]] = {
    "sessions": ("key",),
    "attempts": ("session", "number"),
    "transitions": ("id",),
    "marks": ("occurrence",),
    "utterances": ("id",),
    "deferrals": ("id",),
    "summaries": ("session", "meeting"),
    "filings": ("session", "meeting", "sink"),
}
"""What no calendar tells again, with its keys; parents come before their children."""


def carry_over(path: Path, database: Database) -> bool:
    """Take from a damaged file each row that can be read and parsed: it is newer.

    Answers whether all its sessions are known now.
    """
    if not path.exists():
        return False
    if bad_header(path) is None:
        return _carry_from(path, database)
    with _with_a_new_header(path, database) as copy:
        return copy is not None and _carry_from(copy, database)


def _carry_from(path: Path, database: Database) -> bool:
    known = True
    carried: set[str] = set()
    try:
        with contextlib.closing(reading(path)) as connection, database.transaction():
            connection.text_factory = bytes
            for table in _CARRIED:
                complete = _carry_table(connection, database, table, carried)
                known = known and (complete or table not in {"sessions", "attempts"})
    except (sqlite3.Error, ValueError):  # Even its message can be undecodable.
        return False
    return known


@contextlib.contextmanager
def _with_a_new_header(path: Path, database: Database) -> Iterator[Path | None]:
    """Make a copy whose first hundred bytes say again what those of every ledger say.

    None where there is nothing behind them. The layout:
    https://www.sqlite.org/fileformat2.html#the_database_header
    """
    (page_size,) = database.rows("PRAGMA page_size")[0]
    if path.stat().st_size < page_size:
        yield None
        return
    copy = path.with_name(f"{path.name}.mended")
    sides = [path.with_name(f"{path.name}{side}") for side in ("", "-wal")]
    try:
        for side in sides:
            if side.exists():
                shutil.copyfile(side, copy.with_name(side.name.replace(path.name, copy.name)))
        with copy.open("r+b") as file:
            file.write(_header(page_size))
        yield copy
    finally:
        for name in ("", "-wal", "-shm"):
            copy.with_name(f"{copy.name}{name}").unlink(missing_ok=True)


def _header(page_size: int) -> bytes:
    """Write a header in WAL mode, without free pages, that leaves the size to the file's."""
    size = page_size if page_size < 65536 else 1
    start = struct.pack(">16sH", b"SQLite format 3\0", size) + b"\2\2\0\x40\x20\x20"
    numbers = (1, 0, 0, 0, 1, 4, 0, 0, 1, 0, 0, 0)
    return (start + struct.pack(">12I", *numbers)).ljust(100, b"\0")


def _carry_table(
    connection: sqlite3.Connection, database: Database, table: str, carried: set[str]
) -> bool:
    """Take over the rows of a table; of what belongs to a session, only with the session.

    Otherwise an old session would have a newer history, or the reverse.
    """
    rows, complete = readable_rows(connection, table)
    ours = {row["name"] for row in database.rows(f"PRAGMA table_info({table})")}
    for read in rows:
        if not ours.issuperset(read):
            return False  # Its schema is damaged: what stands where can't be told.
        try:
            row = decoded(read)
            if row.get("session", "") not in {"", *carried}:
                complete = False
                continue
            with database.savepoint():
                _carry_row(database, table, row)
        except (sqlite3.Error, ValueError):
            complete = False
        else:
            carried.update([row["key"]] if table == "sessions" else [])
    return complete


def readable_rows(
    connection: sqlite3.Connection, table: str
) -> tuple[list[dict[str, Any]], bool]:
    """Answer what can be read of a table, and whether that is all of it."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    complete = True
    try:
        verdict = connection.execute(f"PRAGMA integrity_check({table})").fetchone()[0]
        complete = verdict == b"ok"
    except (sqlite3.Error, ValueError):
        complete = False
    # From both ends: what lies behind a damaged page is reached from the other side.
    for order in ("ASC", "DESC"):
        try:
            cursor = connection.execute(f"SELECT * FROM {table} ORDER BY rowid {order}")  # noqa: S608 - Our own tables.
            names = [column[0] for column in cursor.description]
            for row in cursor:
                found[row] = dict(zip(names, row, strict=True))
        except (sqlite3.Error, ValueError):
            complete = False
    return list(found.values()), complete


def decoded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _carry_row(database: Database, table: str, row: Mapping[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    values = ", ".join("?" for _ in row)
    updates = ", ".join(f'"{name}" = excluded."{name}"' for name in row)
    database.execute(
        f"INSERT INTO {table} ({names}) VALUES ({values}) "  # noqa: S608 - Our own tables.
        f"ON CONFLICT ({', '.join(_CARRIED[table])}) DO UPDATE SET {updates}",
        tuple(row.values()),
    )
    # Parsed before it counts: a row that can't be read would fail every pass.
    if table == "sessions":
        Sessions(database).get(SessionKey(row["key"]))
    elif table == "attempts":
        Sessions(database).attempts(SessionKey(row["session"]))
    elif table == "transitions":
        read_instant(row["at"])
        Phase(row["after"])
    elif table == "marks":
        Mark(row["mark"])
    elif table == "utterances":
        parse_utterance(row)
    elif table == "deferrals":
        read_instant(row["at"])
    elif table == "summaries":
        Outbox(database).editions(SessionKey(row["session"]))
    else:
        Outbox(database).of(SessionKey(row["session"]))
