"""The ledger's file, what it knows of itself, and the lock that makes us its only writer."""

from __future__ import annotations

import fcntl
import os
from datetime import datetime
from pathlib import Path

from locum.database import SQLiteFile, read_optional_instant
from locum.errors import LocumError, PermanentError, TransientError
from locum.ledger.schema import MIGRATIONS


class LedgerError(LocumError):
    """The ledger can't be read or written; the message names the file and the cause."""


class LedgerDamagedError(TransientError):
    """What is in the file is damaged. It passes only with a new start, which restores it."""


class Database(SQLiteFile):
    """The ledger's file; `locum.ledger.backup.open_ledger` mends it where it is damaged."""

    migrations = MIGRATIONS
    called = "ledger"
    unusable = LedgerError
    damaged = LedgerDamagedError

    def meta(self, name: str) -> str | None:
        if self.version < 2:
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


def daemon_of(state_dir: Path) -> int | None:
    """Answer the process that holds a state directory's lock, None if nobody does.

    Raises:
        LedgerError: The directory can't be used.
    """
    try:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(state_dir / "locum.lock", flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(f"The state directory {state_dir} can't be used: {error}.") from error
    try:
        # Shared, so that of two who look at the same time neither takes the other for a daemon.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        return int(holder) if holder.isdigit() else None
    finally:
        os.close(descriptor)
    return None
