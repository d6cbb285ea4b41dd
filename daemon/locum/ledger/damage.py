"""Is a ledger's file what it was when it was written? As far as that can be told.

What this calls damage is replaced by a backup, so it must never say so of a file that a full
or failing disk keeps from being read: such errors are raised, not answered.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from locum.core.model import Phase
from locum.database import is_damage
from locum.errors import TransientError
from locum.ledger.calendars import CalendarBook
from locum.ledger.database import Database
from locum.ledger.schema import MIGRATIONS
from locum.ledger.sessions import Sessions

_MEMORY = timedelta(days=7)


def reading(path: Path) -> sqlite3.Connection:
    """Connect in a way that changes nothing: no checkpoint when it is closed, for one."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None
    )
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def damage_of(path: Path, now: datetime) -> str | None:
    """Answer what is wrong with a file's content, None if it can be relied upon."""
    try:
        found = bad_header(path) or _bad_structure(path)
        if found is None:
            _read_as_a_pass_does(path, now)
    except TransientError as error:
        if not isinstance(error.__cause__, sqlite3.Error) or not is_damage(error.__cause__):
            raise
        return str(error.__cause__)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return str(error)
    except ValueError as error:
        # A value that we would trip over at every pass. The message could quote a meeting.
        return f"a value in it can't be parsed ({type(error).__name__})"
    return found


def bad_header(path: Path) -> str | None:
    """Check what would otherwise pass for an unwritable disk or an unknown version.

    The layout: https://www.sqlite.org/fileformat2.html#the_database_header
    """
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100:
        return f"it is cut off after {len(header)} bytes" if header else "it is empty"
    if header[:16] != b"SQLite format 3\0":
        return "it is not an SQLite file"
    versions, fractions, encoding = header[18:20], header[21:24], header[56:60]
    if versions not in {b"\1\1", b"\2\2"} or fractions != b"\x40\x20\x20":
        return "its header is damaged"
    if encoding not in {b"\0\0\0\0", b"\0\0\0\1"}:
        return "its header names another text encoding"
    return None


def _bad_structure(path: Path) -> str | None:
    with contextlib.closing(reading(path)) as connection:
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            return " ".join(str(verdict).split())
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        shape = _shape(connection)
    if version > len(MIGRATIONS):
        # Of a newer locum, which `Database` refuses in better words; or it is our own shape.
        return "its version is damaged" if shape == _shape_of(len(MIGRATIONS)) else None
    if version == 0 and shape:
        return "it holds something else than a ledger"
    if not shape >= _shape_of(version):
        return f"its tables are not those of a ledger of version {version}"
    return None


def _shape(connection: sqlite3.Connection) -> frozenset[tuple[str, ...]]:
    tables = connection.execute(
        "SELECT m.name, c.name, c.type FROM sqlite_master AS m, pragma_table_info(m.name) AS c "
        "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
    ).fetchall()
    indexes = connection.execute(
        "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    return frozenset((*tables, *indexes))


def _shape_of(version: int) -> frozenset[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for script in MIGRATIONS[:version]:
            connection.executescript(script)
        return _shape(connection)


def _read_as_a_pass_does(path: Path, now: datetime) -> None:
    """Parse what every pass does: what can't be parsed would fail each of them, for ever."""
    with contextlib.closing(reading(path)) as connection:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version != len(MIGRATIONS):
        return  # Read by a code that doesn't know it yet, or not any more.
    with contextlib.closing(Database(path, read_only=True)) as database:
        for row in database.rows("SELECT DISTINCT phase FROM sessions"):
            Phase(row["phase"])  # In none that is known, it would be seen by nobody.
        sessions, calendars = Sessions(database), CalendarBook(database)
        for record in sessions.unfinished_and_since(now - _MEMORY):
            sessions.attempts(record.key)
        calendars.events()
        calendars.states()
        calendars.marks()
        calendars.last_decisions()


@dataclass(frozen=True)
class WalIndex:
    """What the -shm says of the -wal: how many pages it holds, and how many are in the file.

    Written at each commit, and left behind by a process that was killed. The layout:
    https://www.sqlite.org/walformat.html#the_wal_index_header
    """

    pages: int
    copied: int
    salts: bytes

    def lost(self, found: WalIndex | None) -> int:
        """Answer how many pages were there and were not found again."""
        if found is not None and found.pages and found.salts != self.salts:
            return 0  # After a power cut it can be that of an older -wal: it proves nothing.
        there = max(self.copied, 0 if found is None else found.pages)
        return max(self.pages - there, 0)


def wal_index(path: Path) -> WalIndex | None:
    try:
        with path.with_name(f"{path.name}-shm").open("rb") as file:
            index = file.read(100)
    except FileNotFoundError:
        return None
    if len(index) < 100 or index[:48] != index[48:96] or not index[12]:
        return None
    first = second = 0
    for left, right in struct.iter_unpack("=II", index[:40]):
        first = (first + left + second) & 0xFFFFFFFF
        second = (second + right + first) & 0xFFFFFFFF
    if (first, second) != struct.unpack("=II", index[40:48]):
        return None
    (pages,) = struct.unpack("=I", index[16:20])
    (copied,) = struct.unpack("=I", index[96:100])
    return WalIndex(pages=pages, copied=copied, salts=index[32:40])
