"""Memory's file: opened, or put aside where it is damaged, for it can be made anew.

What a person said of memory (forget this, that is right) can't be made anew. It stands in a
little file of its own: see `locum.memory.wishes`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import datetime
from pathlib import Path

import structlog

from locum.core.model import instant_label
from locum.database import SQLiteFile, is_damage
from locum.errors import LocumError, TransientError
from locum.memory.schema import MAKE_INDEX, MIGRATIONS

_log = structlog.get_logger(__name__)

_SIDES = ("", "-wal", "-shm", "-journal")


class MemoryFileError(LocumError):
    """Memory can't be read or written; the message names the file and the cause."""


class MemoryDamagedError(TransientError):
    """What is in the file is damaged. `open_file` puts it aside and begins a new one."""


class MemoryFile(SQLiteFile):
    """Memory's tables, with a full-text index where SQLite has FTS5."""

    migrations = MIGRATIONS
    called = "memory"
    unusable = MemoryFileError
    damaged = MemoryDamagedError

    def __init__(self, path: Path, *, read_only: bool = False, use_fts: bool = True) -> None:
        super().__init__(path, read_only=read_only)
        try:
            # What is deleted is to be gone from the disk, not only from the tables.
            self.execute("PRAGMA secure_delete = ON")
            self.has_fts = use_fts and self._has_fts5()
            if read_only:
                self.has_fts = self.has_fts and self._has_index() and not self._index_is_stale
            elif self.has_fts:
                self._bring_index_up_to_date()
        except BaseException:
            self.close()
            raise

    def _has_fts5(self) -> bool:
        query = "SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"
        return self.row(query) is not None

    def _has_index(self) -> bool:
        return self.row("SELECT 1 FROM sqlite_master WHERE name = 'found'") is not None

    @property
    def _index_is_stale(self) -> bool:
        return self.row("SELECT 1 FROM meta WHERE name = 'index_stale'") is not None

    def _bring_index_up_to_date(self) -> None:
        is_new = not self._has_index()
        if not is_new and not self._index_is_stale:
            return
        with self.transaction():
            if is_new:
                self.execute(MAKE_INDEX)
            self.execute("INSERT INTO found (found) VALUES ('rebuild')")
            self.execute("DELETE FROM meta WHERE name = 'index_stale'")

    # ── the index follows `lines` ────────────────────────────────────────────────────────

    def note_written_without_index(self) -> None:
        """Have the index made anew by the next one who can; inside a transaction."""
        if not self.has_fts and not self._index_is_stale:
            self.execute("INSERT INTO meta VALUES ('index_stale', 'yes')")

    def index(self, number: int, said: str, around: str) -> None:
        if self.has_fts:
            self.execute(
                "INSERT INTO found (rowid, said, around) VALUES (?, ?, ?)",
                (number, said, around),
            )

    def drop_lines(self, numbers: list[int]) -> None:
        """Delete lines, with all that hangs on them, from the tables and the index."""
        for number in numbers:
            if self.has_fts:
                # The index knows only words: it must be told which ones to take out.
                self.execute(
                    "INSERT INTO found (found, rowid, said, around) "
                    "SELECT 'delete', number, said, around FROM lines WHERE number = ?",
                    (number,),
                )
            self.execute("DELETE FROM lines WHERE number = ?", (number,))

    def scrub(self) -> None:
        """Have what was deleted gone from the disk: from the index and from the -wal too."""
        if self.has_fts:
            with self.transaction():
                self.execute("INSERT INTO found (found) VALUES ('optimize')")
        self.row("PRAGMA wal_checkpoint(TRUNCATE)")


def open_file(path: Path, *, now: datetime, use_fts: bool = True) -> tuple[MemoryFile, bool]:
    """Open memory to write it; answers it, and whether it is a new one that knows nothing.

    The caller holds the state directory's lock, and has the file open nowhere else. A damaged
    file goes into `quarantine/<instant>/` beside it, with its -wal and -shm, and a new one
    takes its place.

    Raises:
        MemoryFileError: It can't be used, for another reason than damage.
        TransientError: The disk is full or failing.
    """
    is_new = not path.exists()
    problem = None if is_new else _damage_of(path)
    if problem is None:
        try:
            return MemoryFile(path, use_fts=use_fts), is_new
        except MemoryDamagedError as error:
            problem = str(error)
        except MemoryFileError as error:
            if not isinstance(error.__cause__, sqlite3.Error) or not is_damage(error.__cause__):
                raise
            problem = str(error)
    _put_aside(path, problem, now)
    return MemoryFile(path, use_fts=use_fts), True


def _damage_of(path: Path) -> str | None:
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            connection.execute("PRAGMA busy_timeout = 5000")
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:
        return None  # The disk, or another's file mode: opening it says so in our words.
    except sqlite3.Error as error:
        return str(error) if is_damage(error) else None
    return None if verdict == "ok" else " ".join(str(verdict).split())


def _put_aside(path: Path, problem: str, now: datetime) -> None:
    parent = path.parent.absolute() / "quarantine"
    name, number = f"{instant_label(now)}-memory", 1
    while (parent / name).exists():
        number += 1
        name = f"{instant_label(now)}-memory-{number}"
    try:
        (parent / name).mkdir(mode=0o700, parents=True)
        for side in _SIDES:
            there = path.with_name(f"{path.name}{side}")
            if there.exists():
                there.rename(parent / name / there.name)
    except OSError as error:
        raise MemoryFileError(
            f"The memory {path} is damaged ({problem}), and can't be put aside: {error}. "
            "See to the disk, and start again."
        ) from error
    _log.error("memory_put_aside", problem=problem, quarantined=str(parent / name))
