"""Copies of the ledger, and what happens when it is damaged.

A daemon that no one watches must neither stay down because of a flipped bit, nor go on as if
nothing had been lost.

Nothing is ever deleted here but old backups: a damaged file goes to quarantine. No file is
called damaged because a disk is full or failing, or because it can't be read or written.

Nothing here but `keep_backup` and `names_that_last` may run while this process has the same
file open otherwise: closing any descriptor of a file drops the process's locks on it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import structlog

from locum.core.model import (
    SessionKey,
    instant_label,
)
from locum.database import sync_file, write_instant
from locum.errors import TransientError
from locum.ledger.damage import damage_of, reading, wal_index
from locum.ledger.database import Database, LedgerError
from locum.ledger.salvage import carry_over, decoded, readable_rows
from locum.ledger.sessions import Sessions

_log = structlog.get_logger(__name__)

_SIDES = ("", "-wal", "-shm", "-journal")
_BACKUPS = "ledger-[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].sqlite3"


# ── keeping backups ──────────────────────────────────────────────────────────────────────


def keep_backup(
    database: Database, folder: Path, *, now: datetime, keep: int = 7
) -> Path | None:
    """Copy the ledger once a day (in UTC); answers today's copy, None if there is none.

    Costs one look at a name when today's exists, so call it as often as you like; else about
    5 ms a megabyte. May run in a thread: it reads through a connection of its own, while the
    ledger is written. A copy gets its name when it was checked and is on the disk. What fails
    (a full disk, a damaged ledger) is logged, leaves the older copies alone, and is tried
    again by the next call.
    """
    target = folder / _backup_name(now)
    part = target.with_suffix(".part")
    try:
        if target.exists():
            return target
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob("ledger-*.part*"):
            left.unlink()
        try:
            _copy(database.path, part)
            damage = damage_of(part, now)
            if damage is not None:
                raise LedgerError(f"The ledger {database.path} is damaged: {damage}.")
            sync_file(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(folder)
        for old in _newest_first(folder, now)[max(keep, 1) :]:
            old.unlink()
    except (sqlite3.Error, OSError, LedgerError, TransientError) as error:
        _log.error("ledger_backup_failed", folder=str(folder), problem=str(error))
        return target if target.exists() else None
    _log.info("ledger_backup_kept", path=str(target), size_bytes=target.stat().st_size)
    return target


def _backup_name(now: datetime) -> str:
    return f"ledger-{now.astimezone(timezone.utc):%Y-%m-%d}.sqlite3"


def _newest_first(folder: Path, now: datetime) -> list[Path]:
    """List the backups; what a clock gone wrong dated into the future comes last."""
    today = _backup_name(now)
    return sorted(
        folder.glob(_BACKUPS), key=lambda path: (path.name <= today, path.name), reverse=True
    )


def _copy(source: Path, target: Path) -> None:
    """Copy a database, with what its -wal holds, into one new file that stands alone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    os.close(os.open(target, flags, 0o600))
    with (
        contextlib.closing(reading(source)) as origin,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = MEMORY")
        origin.backup(copy)
        # It came over in WAL mode, which would need two more files to be read.
        copy.execute("PRAGMA journal_mode = DELETE")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ── when damage is met ───────────────────────────────────────────────────────────────────


def names_that_last(path: Path, keys: Collection[SessionKey]) -> frozenset[SessionKey]:
    """Answer of which sessions a recovery of this damaged file will know how to end them.

    They are open, and what their engine calls them is read from the file anew, in the way in
    which `open_ledger` carries it over. Whoever runs a session that isn't among them must end
    it before the name is lost.
    """
    try:
        with contextlib.closing(reading(path)) as connection:
            connection.text_factory = bytes
            rows, _ = readable_rows(connection, "sessions")
    except (sqlite3.Error, ValueError):
        return frozenset()
    found = set()
    for row in rows:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            record = Sessions.parse(decoded(row))
            if record.is_open and record.handle is not None:
                found.add(record.key)
    return frozenset(found.intersection(keys))


# ── opening ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Recovery:
    """What was done about a damaged ledger.

    `restored_from` is None where no sound backup was found; it lies in `quarantined` where
    only the newest commits were lost. `sessions_known` says that every session of the damaged
    file could be read and stands in the ledger now; otherwise some may run unknown to it.
    """

    quarantined: Path
    restored_from: Path | None
    reason: str
    sessions_known: bool


@dataclass(frozen=True)
class OpenedLedger:
    database: Database
    recovered: Recovery | None


def open_ledger(path: Path, *, backups: Path, now: datetime) -> OpenedLedger:
    """Open the ledger; one that is damaged is put into quarantine and restored first.

    The caller holds the `StateLock`. A damaged file goes, with its -wal and -shm, into
    `quarantine/<instant>/` beside it. In its place comes the newest backup that is sound, or
    an empty ledger; into that is carried over what can still be read of the damaged file's
    sessions, attempts, transitions, marks and filings, which are newer. Killed in the middle,
    it is completed by the next call.

    What can't be known afterwards:
    - Sessions that began after the backup and couldn't be read from the damaged file. They may
      be in their rooms and cost money, and have no name by which to end them; no cap counts
      them. An engine can tell at most that nothing of ours runs (`settle_lost_join`), which
      the daemon asks it: see `locum.app.recovery`. Until then the log says `ledger_recovered`
      with the instant since which all may be lost, and asks a person to look into the rooms
      of that time, and at the engine's account.
    - That a session of the backup ended, moved on or was told to stop since. It is taken up
      by its handle, and the engine tells.
    - Edits of text in place: SQLite has no checksums in its pages. A changed letter in a title
      goes unseen; one in what we parse (phases, instants, JSON) does not.
    - Commits that only a deleted or cut -wal held, if its -shm is gone too or is stale (after
      a power cut): then the file looks like one that was closed in order.

    From a recovery until `Database.reconciled`, `Database.recovered_at` is set, over restarts
    too; `locum.ledger.hold.Hold` says what mustn't be joined meanwhile.

    Raises:
        LedgerError: It can't be opened, for another reason than damage; or it is damaged and
            couldn't be restored (a full disk): then it lies where it lay.
    """
    _require_usable(path)
    restored = path.with_name(f"{path.name}.restored")
    problem = "opened"
    try:
        finishing = restored.exists() and damage_of(restored, now) is None
        damage = None if finishing else _damage_in_place(path, backups, now)
        if damage is not None:
            problem = f"restored after damage ({damage.reason})"
            _restore(path, restored, damage, backups=backups, now=now)
            finishing = True
        if finishing:
            _put_in_place(path, restored)
    except (sqlite3.Error, OSError, TransientError, LedgerError) as error:
        raise LedgerError(
            f"The ledger {path} can't be {problem}: {str(error).rstrip('.')}. Nothing was "
            "lost by that: see to the disk, and start again."
        ) from error
    database = Database(path)
    return OpenedLedger(database, _report(database) if finishing else None)


def _require_usable(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_symlink():
            # Its lock, its -wal and its quarantine would be sought where it isn't.
            raise LedgerError(
                f"The ledger {path} is a link. Set state_dir to the folder that it leads to."
            )
        if path.exists() and not path.is_file():
            raise LedgerError(f"The ledger {path} is no file. Move away what is there.")
    except OSError as error:
        raise LedgerError(f"The ledger {path} can't be opened: {error}.") from error
    for needed in (path.parent, path):
        if needed.exists() and not os.access(needed, os.R_OK | os.W_OK, effective_ids=True):
            raise LedgerError(
                f"The ledger {path} can't be opened: {needed} can't be written by user "
                f"{os.geteuid()}. Give it to the user that the daemon runs as (chown, chmod)."
            )


def _report(database: Database) -> Recovery:
    restored_from = database.meta("restored_from")
    recovery = Recovery(
        quarantined=Path(database.meta("quarantined") or ""),
        restored_from=None if restored_from is None else Path(restored_from),
        reason=database.meta("damage") or "",
        sessions_known=database.meta("sessions_known") == "yes",
    )
    _log.error(
        "ledger_recovered",
        reason=recovery.reason,
        quarantined=str(recovery.quarantined),
        restored_from=None if restored_from is None else restored_from,
        may_lack_all_since=None if recovery.sessions_known else database.meta("known_until"),
        next_step="The open sessions that are known are taken up again. "
        + (
            "All sessions are known."
            if recovery.sessions_known
            else "Others may be in their rooms and cost money: look into the rooms of the "
            "meetings since then, and at the engine's account."
        ),
    )
    return recovery


# ── finding damage ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Damage:
    reason: str
    sound: bool = False  #: All is in order, as of some instant before the last commits.
    commits_lost: bool = False  #: What is left may be older than a backup.


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _damage_in_place(path: Path, backups: Path, now: datetime) -> _Damage | None:
    journal = path.with_name(f"{path.name}-journal")
    if _size(path) and journal.exists():
        # Killed while it was made; only one who may write can undo what was begun.
        with (
            contextlib.closing(sqlite3.connect(path)) as connection,
            contextlib.suppress(sqlite3.DatabaseError),
        ):
            connection.execute("PRAGMA schema_version")
    size = _size(path)
    if not size:
        if _size(path.with_name(f"{path.name}-wal")):
            return _Damage(f"it is {'gone' if size is None else 'empty'}, and its -wal is not")
        kept = _newest_first(backups, now)
        if kept and size is None:
            _log.warning("ledger_missing", path=str(path), newest_backup=str(kept[0]))
        return _Damage("it is empty, and backups of it are not") if kept and size == 0 else None
    before = wal_index(path)
    damage = damage_of(path, now)
    lost = 0 if before is None else before.lost(wal_index(path))
    if damage is None and lost:
        damage = f"its -wal is damaged or gone: {lost} pages of the last commits are lost"
        return _Damage(damage, sound=True, commits_lost=True)
    return None if damage is None else _Damage(damage, commits_lost=lost > 0)


# ── restoring ────────────────────────────────────────────────────────────────────────────


def _restore(
    path: Path, restored: Path, damage: _Damage, *, backups: Path, now: datetime
) -> None:
    """Make the file that will take the damaged one's place; once it has its name, it is whole."""
    part = path.with_name(f"{path.name}.restoring")
    quarantine = _new_quarantine(path, now)
    try:
        for side in _SIDES:
            part.with_name(f"{part.name}{side}").unlink(missing_ok=True)
        source = _sound_backup(backups, now)
        if damage.sound and (source is None or _known_until(path) >= _known_until(source)):
            source = path
        if source is not None:
            _copy(source, part)
        known_until = "" if source is None else _known_until(part)
        with contextlib.closing(Database(part)) as database:
            known = not damage.commits_lost and carry_over(path, database)
            where = quarantine / path.name if source == path else source
            with database.transaction():
                database.set_meta("recovered_at", write_instant(now))
                database.set_meta("restored_at", write_instant(now))  # Kept for `status`.
                database.set_meta("quarantined", str(quarantine))
                database.set_meta("restored_from", None if where is None else str(where))
                database.set_meta("damage", damage.reason)
                database.set_meta("sessions_known", "yes" if known else "no")
                database.set_meta("known_until", known_until or None)
            database.row("PRAGMA journal_mode = DELETE")  # One file, to be renamed as one.
        sync_file(part)
        part.replace(restored)
    finally:
        for side in _SIDES:
            part.with_name(f"{part.name}{side}").unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sound_backup(backups: Path, now: datetime) -> Path | None:
    for backup in _newest_first(backups, now):
        try:
            damage = damage_of(backup, now)
        except (sqlite3.Error, OSError, LedgerError, TransientError) as error:
            damage = str(error)
        if damage is None:
            return backup
        _log.warning("ledger_backup_damaged", path=str(backup), problem=damage)
    return None


def _known_until(path: Path) -> str:
    """Answer the newest instant that a sound file tells of; instants sort as texts."""
    with contextlib.closing(reading(path)) as connection:
        (tables,) = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('transitions', 'calendars')"
        ).fetchone()
        if tables < 2:
            return ""  # Closed, or cut off, before its first version was written.
        (newest,) = connection.execute(
            "SELECT max(at) FROM (SELECT max(at) AS at FROM transitions "
            "UNION ALL SELECT max(read_at) FROM calendars)"
        ).fetchone()
    return str(newest or "")


def _new_quarantine(path: Path, now: datetime) -> Path:
    folder = path.parent.absolute() / "quarantine"
    name, number = instant_label(now), 1
    while (folder / name).exists():
        number += 1
        name = f"{instant_label(now)}-{number}"
    return folder / name


def _put_in_place(path: Path, restored: Path) -> None:
    """Swap the damaged ledger for the restored one; begun again after a kill, it goes on."""
    with contextlib.closing(Database(restored, read_only=True)) as database:
        quarantine = Path(database.meta("quarantined") or "")
    quarantine.mkdir(mode=0o700, parents=True, exist_ok=True)
    for side in _SIDES:
        there = path.with_name(f"{path.name}{side}")
        if there.exists():
            there.rename(quarantine / there.name)
    _sync_folder(quarantine)
    _sync_folder(quarantine.parent)
    restored.rename(path)
    _sync_folder(path.parent)
