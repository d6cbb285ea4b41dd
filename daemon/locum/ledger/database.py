"""The file, its schema, its transactions, and the lock that makes us its only writer."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from locum.errors import LocumError, PermanentError, TransientError

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE sessions (
        key TEXT PRIMARY KEY,
        phase TEXT NOT NULL,
        room_id TEXT NOT NULL,
        room TEXT NOT NULL,
        engine TEXT NOT NULL,
        persona TEXT NOT NULL,
        join_at TEXT NOT NULL,
        leave_by TEXT NOT NULL,
        meetings TEXT NOT NULL,
        claimed_at TEXT NOT NULL,
        give_up_at TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        handle TEXT,
        retry_at TEXT,
        admitted_at TEXT,
        ended_at TEXT,
        end_reason TEXT,
        detail TEXT NOT NULL DEFAULT '',
        others_present INTEGER
    ) STRICT;
    -- Never two of us in a room: the database itself refuses the second.
    CREATE UNIQUE INDEX sessions_room_held ON sessions (room_id)
        WHERE phase IN ('joining', 'ambiguous', 'waiting', 'live', 'leaving');
    CREATE INDEX sessions_phase ON sessions (phase, ended_at);

    CREATE TABLE transitions (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (key),
        at TEXT NOT NULL,
        before TEXT,
        after TEXT NOT NULL,
        reason TEXT,
        detail TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX transitions_session ON transitions (session, id);

    CREATE TABLE attempts (
        session TEXT NOT NULL REFERENCES sessions (key),
        number INTEGER NOT NULL,
        engine TEXT NOT NULL,
        price_per_minute REAL NOT NULL,
        claimed_at TEXT NOT NULL,
        handle TEXT,
        answered_at TEXT,
        ended_at TEXT,
        outcome TEXT,
        notes TEXT,
        bodies TEXT,
        PRIMARY KEY (session, number)
    ) STRICT;

    CREATE TABLE calendars (
        account TEXT NOT NULL,
        calendar_id TEXT NOT NULL,
        read_at TEXT,
        access TEXT,
        sync_token TEXT,
        failing_since TEXT,
        problem TEXT,
        PRIMARY KEY (account, calendar_id)
    ) STRICT;

    CREATE TABLE events (
        account TEXT NOT NULL,
        calendar_id TEXT NOT NULL,
        event_id TEXT NOT NULL,
        revision TEXT NOT NULL,
        starts_at TEXT NOT NULL,
        ends_at TEXT NOT NULL,
        absences INTEGER NOT NULL DEFAULT 0,
        body TEXT NOT NULL,
        PRIMARY KEY (account, calendar_id, event_id)
    ) STRICT;

    CREATE TABLE marks (
        occurrence TEXT PRIMARY KEY,
        mark TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT;

    CREATE TABLE decisions (
        id INTEGER PRIMARY KEY,
        occurrence TEXT NOT NULL,
        meeting TEXT NOT NULL,
        title TEXT NOT NULL,
        starts_at TEXT NOT NULL,
        at TEXT NOT NULL,
        "join" INTEGER NOT NULL,
        code TEXT NOT NULL,
        reason TEXT NOT NULL,
        trace TEXT NOT NULL
    ) STRICT;
    CREATE INDEX decisions_occurrence ON decisions (occurrence, id);

    CREATE TABLE filings (
        meeting TEXT NOT NULL,
        session TEXT NOT NULL,
        sink TEXT NOT NULL,
        summary TEXT NOT NULL,
        put_at TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        retry_at TEXT,
        filed_at TEXT,
        location TEXT,
        problem TEXT,
        PRIMARY KEY (session, meeting, sink)
    ) STRICT;
    CREATE INDEX filings_open ON filings (filed_at, retry_at);
    """,
    """
    -- What the ledger knows of itself: see `Database.recovered_at`.
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
    """,
    """
    -- Money, in millionths of a dollar: what is set aside until an attempt is proved over, and
    -- what it cost. It goes on the account of the meeting that opened its session.
    ALTER TABLE attempts ADD COLUMN reserved_micros INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE attempts ADD COLUMN cost_micros INTEGER;
    ALTER TABLE attempts ADD COLUMN occurrence TEXT NOT NULL DEFAULT '';
    ALTER TABLE attempts ADD COLUMN organizer TEXT;
    UPDATE attempts SET occurrence = coalesce(
        (SELECT json_extract(meetings, '$[0].occurrence') FROM sessions WHERE key = session), ''
    ), organizer = (
        SELECT lower(json_extract(meetings, '$[0].organizer.email'))
        FROM sessions WHERE key = session
    );
    UPDATE attempts SET cost_micros = CAST(round(price_per_minute * 1000000) AS INTEGER) * max(1,
        (strftime('%s', ended_at) - strftime('%s', answered_at) + 59) / 60
    ) WHERE ended_at IS NOT NULL AND answered_at IS NOT NULL;
    UPDATE attempts SET cost_micros = 0 WHERE ended_at IS NOT NULL AND answered_at IS NULL;
    CREATE INDEX attempts_money
        ON attempts (claimed_at, cost_micros, reserved_micros, ended_at, organizer);
    CREATE INDEX attempts_organizer
        ON attempts (organizer, claimed_at, cost_micros, reserved_micros, ended_at);
    CREATE INDEX attempts_occurrence
        ON attempts (occurrence, cost_micros, reserved_micros, ended_at);
    CREATE INDEX attempts_unproved ON attempts (session) WHERE ended_at IS NULL;
    """,
    """
    -- Series in which somebody wants no stand-in.
    CREATE TABLE opt_outs (
        series TEXT PRIMARY KEY,
        at TEXT NOT NULL,
        said_by TEXT NOT NULL,
        title TEXT NOT NULL
    ) STRICT;
    """,
    """
    -- Whether anybody else was ever seen in the room: only then can it have emptied.
    ALTER TABLE sessions ADD COLUMN accompanied INTEGER NOT NULL DEFAULT 0;
    -- Since when a calendar is gone, or not shared any more; NULL while it merely fails.
    ALTER TABLE calendars ADD COLUMN refused_since TEXT;
    """,
    """
    -- What the owner was told, and which target has it: see `NoticeBook`.
    CREATE TABLE notices (
        key TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        name TEXT NOT NULL,
        starts_at TEXT,
        put_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        severity TEXT NOT NULL,
        title TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX notices_put ON notices (put_at);
    CREATE TABLE notice_deliveries (
        notice TEXT NOT NULL REFERENCES notices (key) ON DELETE CASCADE,
        target TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        problem TEXT,
        settled_at TEXT,
        outcome TEXT,
        PRIMARY KEY (notice, target)
    ) STRICT;
    CREATE INDEX notice_deliveries_open ON notice_deliveries (target) WHERE settled_at IS NULL;
    """,
    """
    -- Push channels, from before they are asked for until they are over.
    CREATE TABLE channels (
        id TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        calendar_id TEXT NOT NULL,
        address TEXT NOT NULL,
        token_hash TEXT NOT NULL,
        state TEXT NOT NULL,
        asked_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        resource_id TEXT,
        heard_at TEXT
    ) STRICT;
    """,
    """
    -- As whom each attempt asked to join: an identity's hashes, as JSON.
    ALTER TABLE attempts ADD COLUMN identity TEXT;
    """,
    """
    -- Whether a presence ended while nobody watched: it may have been in, and is owed a summary.
    ALTER TABLE sessions ADD COLUMN unseen INTEGER NOT NULL DEFAULT 0;
    """,
)
"""Each text moves the file one version on; the version stands in PRAGMA user_version."""


class LedgerError(LocumError):
    """The ledger can't be read or written; the message names the file and the cause."""


def write_instant(instant: datetime | None) -> str | None:
    """Write an instant as sortable UTC text, to the microsecond."""
    if instant is None:
        return None
    return instant.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


def read_optional_instant(text: str | None) -> datetime | None:
    return None if text is None else read_instant(text)


class LedgerDamagedError(TransientError):
    """What is in the file is damaged. It passes only with a new start, which restores it."""


class Database:
    """One connection in WAL mode; a commit is on the disk when it returns.

    A commit that isn't `durable` is on the disk with the next one that is, or after `sync`:
    it survives the death of our process, but not a power cut.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or make the file.

        Raises:
            LedgerError: It can't be opened, is no ledger, or was made by a newer locum.
        """
        self.path = path
        self.damage: str | None = None
        """What SQLite said when it first met damage in the file; only a new start, which goes
        through `open_ledger`, mends it."""
        self.on_damage: Callable[[], None] | None = None
        """Called once, when `damage` is first set."""
        self._syncing: asyncio.Future[None] | None = None
        self._synchronous = ""
        self._within = False
        try:
            self._connection = _connect(path, read_only=read_only)
            try:
                self._prepare(read_only=read_only)
            except BaseException:
                self._connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(f"The ledger {path} can't be opened: {error}.") from error

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
            raise LedgerError(
                f"The ledger {self.path} can't be opened: SQLite stays in its {mode} mode. "
                "Is the disk failing, or a network's? Give locum a state_dir on a local disk."
            )

    def _synchronize(self, level: str) -> None:
        if self._synchronous != level:
            self._connection.execute(f"PRAGMA synchronous = {level}")
            self._synchronous = level

    def _migrate(self, *, read_only: bool) -> None:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise LedgerError(
                f"The ledger {self.path} was written by a newer locum (its version {version}, "
                f"ours {len(MIGRATIONS)}). Update locum."
            )
        self._describes_itself = version >= 2 or not read_only
        self.outdated = read_only and version < len(MIGRATIONS)
        """An older locum wrote it, and who only reads can't bring it up to date."""
        if read_only:
            return
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
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
            told = f"The ledger {self.path} can't be {verb}: {error}."
            if is_damage(error):
                self._note_damage(str(error))
                # It too is told as something that passes: whoever holds a presence keeps it,
                # and nobody claims a new one, until a restart has mended the file.
                raise LedgerDamagedError(told) from error
            if not isinstance(error, sqlite3.OperationalError):
                raise
            raise TransientError(told) from error

    def _note_damage(self, problem: str) -> None:
        if self.damage is None:
            self.damage = problem
            if self.on_damage is not None:
                self.on_damage()

    # ── what the ledger knows of itself ──────────────────────────────────────────────────

    def meta(self, name: str) -> str | None:
        if not self._describes_itself:
            return None
        row = self.row("SELECT value FROM meta WHERE name = ?", (name,))
        return None if row is None else str(row["value"])

    def set_meta(self, name: str, value: str | None) -> None:
        with self.transaction():
            if value is None:
                self.execute("DELETE FROM meta WHERE name = ?", (name,))
            else:
                self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    @property
    def recovered_at(self) -> datetime | None:
        """When it was restored from older or damaged content, until `reconciled`.

        Meanwhile it may not know of sessions that run: see `locum.ledger.hold.Hold`.
        """
        return read_optional_instant(self.meta("recovered_at"))

    def reconciled(self) -> None:
        """Note that what is in the ledger agrees with the world again."""
        self.set_meta("recovered_at", None)

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


class StateLock:
    """Held by the one daemon of a state directory, until its process ends."""

    def __init__(self, state_dir: Path) -> None:
        """Take the lock.

        Raises:
            PermanentError: Another daemon holds it.
            LedgerError: The directory can't be written.
        """
        self.path = state_dir / "locum.lock"
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise LedgerError(
                f"The state directory {state_dir} can't be used: {error}."
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise PermanentError(
                f"Another locum daemon (process {holder or 'unknown'}) uses {state_dir}. "
                "Stop it first, or give this one a state_dir of its own."
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        os.close(self._descriptor)
