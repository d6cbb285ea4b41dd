"""One SQLite file: its schema, its transactions, and what SQLite says of its failures.

What a file is for (the ledger, the memory) its own package says; here is what they share.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

from locum.errors import LocumError, TransientError


def write_instant(instant: datetime | None) -> str | None:
    """Write an instant as sortable UTC text, to the microsecond."""
    if instant is None:
        return None
    return instant.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


def read_optional_instant(text: str | None) -> datetime | None:
    return None if text is None else read_instant(text)


class DatabaseError(LocumError):
    """The file can't be read or written; the message names it and the cause."""


class DamagedError(TransientError):
    """What is in the file is damaged."""


class SQLiteFile:
    """One connection in WAL mode; a commit is on the disk when it returns.

    Each kind of file is a class of its own, with its schema: every text of `migrations` moves
    it one version on, and the version stands in PRAGMA user_version.

    A commit that isn't `durable` is on the disk with the next one that is, or after `sync`:
    it survives the death of our process, but not a power cut.
    """

    migrations: ClassVar[tuple[str, ...]]
    called: ClassVar[str]
    unusable: ClassVar[type[LocumError]] = DatabaseError
    damaged: ClassVar[type[TransientError]] = DamagedError

    def __init__(self, path: Path, *, read_only: bool = False, migrate: bool = True) -> None:
        """Open or make the file; without `migrate`, one that is there and of our version.

        Raises:
            DatabaseError: It can't be opened, is none of its kind, or a newer locum made it. Or
                what its class names as `unusable`.
        """
        self.path = path
        self.damage: str | None = None
        """What SQLite said when it first met damage in the file; only a new start mends it."""
        self.on_damage: Callable[[], None] | None = None
        """Called once, when `damage` is first set."""
        self._syncing: asyncio.Future[None] | None = None
        self._synchronous = ""
        self._within = False
        self._may_migrate = migrate
        if not (migrate or path.exists()):
            raise self.unusable(f"The {self.called} {path} isn't there.")
        try:
            self._connection = _connect(path, read_only=read_only)
            try:
                self._prepare(read_only=read_only)
            except BaseException:
                self._connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise self.unusable(
                f"The {self.called} {path} can't be opened: {error}."
            ) from error

    def _prepare(self, *, read_only: bool) -> None:
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA busy_timeout = 5000")
        self._connection.execute("PRAGMA foreign_keys = ON")
        if not read_only:
            self._enter_wal()
            self._synchronize("FULL")
        self._migrate(read_only=read_only)

    def _enter_wal(self) -> None:
        # On a failing disk this pragma keeps the old mode without a word.
        mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise self.unusable(
                f"The {self.called} {self.path} can't be opened: SQLite stays in its {mode} mode. "
                "Is the disk failing, or a network's? Give locum a state_dir on a local disk."
            )

    def _synchronize(self, level: str) -> None:
        if self._synchronous != level:
            self._connection.execute(f"PRAGMA synchronous = {level}")
            self._synchronous = level

    def _migrate(self, *, read_only: bool) -> None:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        self.version = version if read_only else len(self.migrations)
        if version > len(self.migrations):
            raise self.unusable(
                f"The {self.called} {self.path} was written by a newer locum (its version "
                f"{version}, ours {len(self.migrations)}). Update locum."
            )
        self.outdated = read_only and version < len(self.migrations)
        """An older locum wrote it, and who only reads can't bring it up to date."""
        if read_only:
            return
        if version < len(self.migrations) and not self._may_migrate:
            raise self.unusable(
                f"The {self.called} {self.path} was written by an older locum, which runs. "
                "Start that one anew."
            )
        for number, script in enumerate(self.migrations[version:], start=version + 1):
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;"
            )

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """Do all or nothing. Nested in another one, it is a part of it.

        Raises:
            TransientError: The disk is full or failing; nothing was written.
        """
        if self._within:
            yield
            return
        with self._translated("written"):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")  # An earlier one failed to be undone.
            self._synchronize("FULL" if durable else "NORMAL")
            self._connection.execute("BEGIN IMMEDIATE")
            self._within = True
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite undoes some failures by itself.
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._within = False

    async def sync(self) -> None:
        """Wait until all that was committed is on the disk; many at once share one wait.

        The loop goes on meanwhile: two hundred joins must not queue for two hundred fsyncs.
        """
        if self._syncing is None:
            self._syncing = asyncio.ensure_future(self._sync_all())
        await asyncio.shield(self._syncing)

    async def _sync_all(self) -> None:
        await asyncio.sleep(0)  # Let everybody who is about to ask, ask.
        self._syncing = None  # What is committed from here on isn't covered any more.
        await asyncio.to_thread(sync_file, self.path.with_name(f"{self.path.name}-wal"))

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside a transaction: undo only this part if it raises."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO part")
            self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    def execute(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; answers how many rows it changed."""
        with self._translated("used"):
            return self._connection.execute(statement, values).rowcount

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._translated("used"):
            self._connection.executemany(statement, rows)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._translated("used"):
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        with self._translated("used"):
            found: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
            return found

    @contextlib.contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        """Say in our own words that a disk fails, outside of a transaction too."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            told = f"The {self.called} {self.path} can't be {verb}: {error}."
            if is_damage(error):
                self.note_damage(str(error))
                # It too is told as something that passes: whoever holds a presence keeps it,
                # and nobody claims a new one, until a restart has mended the file.
                raise self.damaged(told) from error
            if not isinstance(error, sqlite3.OperationalError):
                raise
            raise TransientError(told) from error

    def note_damage(self, problem: str) -> None:
        """Take the file for damaged from now on, whoever met it."""
        if self.damage is None:
            self.damage = problem
            if self.on_damage is not None:
                self.on_damage()

    def close(self) -> None:
        if self.damage is None:
            self._connection.close()
            return
        # Whoever closes a ledger last moves the pages of its -wal into it, unchecked: a
        # damaged -wal would spoil what is sound. So somebody who can't write closes last.
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(sqlite3.Error):
                last = _connect(self.path, read_only=True)
                stack.callback(last.close)
                last.execute("PRAGMA schema_version").fetchone()
            self._connection.close()


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file's content is at fault, rather than the disk or a statement of ours.

    Python 3.10 tells no error codes: SQLITE_CORRUPT and SQLITE_NOTADB are what it raises as
    plain DatabaseError, SQLITE_TOOBIG (a record's header gone mad) as DataError.
    """
    undecodable = "could not decode to utf-8" in str(error).lower()
    return undecodable or type(error) in {sqlite3.DatabaseError, sqlite3.DataError}


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if read_only:
        address = f"{path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(address, uri=True, isolation_level=None)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return sqlite3.connect(path, isolation_level=None)


def sync_file(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # Checkpointed and gone: its content was synced before.
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise TransientError(f"{path} can't be written: {error.strerror}.") from error
    finally:
        os.close(descriptor)
