"""The ledger's file: all or nothing, one writer, and what a crash can't take."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import anyio
import pytest

from locum.core.model import (
    CalendarRef,
    Mark,
    OccurrenceKey,
    Phase,
)
from locum.database import read_instant, write_instant
from locum.errors import PermanentError, TransientError
from locum.ledger import (
    Database,
    Ledger,
    LedgerError,
    StateLock,
)
from locum.ledger.schema import MIGRATIONS
from tests.integration.ledger_rig import (
    claimed,
    phase_of,
)
from tests.unit.builders import TEN, at, event, only


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger(Database(path))
    yield opened
    opened.close()


# ── the file ─────────────────────────────────────────────────────────────────────────────


def test_instants_are_written_sortably_and_exactly() -> None:
    """To the microsecond, in UTC, whatever zone they came in."""
    odd = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5.75)))
    text = write_instant(odd)
    assert text == "2026-03-28T19:45:00.123456Z"
    assert read_instant(text) == odd
    assert write_instant(None) is None


def test_a_transaction_is_all_or_nothing(ledger: Ledger) -> None:
    """An exception in the middle undoes what came before it, nested ones included."""
    database = ledger.database

    def fail() -> None:
        ledger.calendars.set_mark(OccurrenceKey("weekly"), Mark.SKIP, at=TEN)
        raise ZeroDivisionError

    def fail_in(part: AbstractContextManager[None]) -> None:
        with part:
            fail()

    with pytest.raises(ZeroDivisionError):
        fail_in(database.transaction())
    assert ledger.calendars.marks() == {}
    with database.transaction(), pytest.raises(ZeroDivisionError):
        fail_in(database.savepoint())
    assert ledger.calendars.marks() == {}
    with database.transaction(durable=False):
        ledger.calendars.set_mark(OccurrenceKey("weekly"), Mark.SKIP, at=TEN)
    assert ledger.calendars.marks() != {}


def test_a_ledger_is_private_and_opened_again_with_all_that_was_in_it(path: Path) -> None:
    """Nobody else on the machine reads whom one meets."""
    first = Ledger(Database(path))
    key = claimed(first)
    first.close()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    again = Ledger(Database(path))
    assert phase_of(again, key) is Phase.JOINING
    again.close()


def test_reading_beside_the_daemon(ledger: Ledger, path: Path) -> None:
    """A command may read while the daemon writes, and can't write by mistake."""
    key = claimed(ledger)
    reader = Ledger(Database(path, read_only=True))
    assert phase_of(reader, key) is Phase.JOINING
    with pytest.raises(TransientError, match=r"ledger\.db can't be used.*readonly"):
        reader.calendars.set_mark(OccurrenceKey("weekly"), Mark.SKIP, at=TEN)
    reader.close()


def test_a_ledger_that_is_not_there_is_not_made_by_reading_it(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(LedgerError, match="absent"):
        Database(tmp_path / "absent.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    """An older locum must not misread, let alone change, what a newer one wrote."""
    Database(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    newer.close()
    for read_only in (False, True):
        with pytest.raises(LedgerError, match=r"newer locum .* Update locum"):
            Database(path, read_only=read_only)


@pytest.mark.parametrize("content", [b"not a database, but long enough " * 50, b"\x00" * 4096])
def test_a_file_that_is_no_database_is_refused_by_name(path: Path, content: bytes) -> None:
    """It stays as it is, and the message says which file."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"ledger\.db can't be opened"):
        Database(path)
    assert path.read_bytes() == content


def test_a_folder_in_the_way_is_named(path: Path) -> None:
    """As is a state directory that is a file."""
    path.mkdir(parents=True)
    with pytest.raises(LedgerError, match=r"ledger\.db can't be opened"):
        Database(path)
    (path.parent / "file").touch()
    with pytest.raises(LedgerError, match="file"):
        Database(path.parent / "file" / "ledger.db")


def test_a_locked_database_is_a_matter_of_time(ledger: Ledger, path: Path) -> None:
    """Somebody else's open write is no reason to die, and nothing is half-written."""
    ledger.database.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match="locked"):
        ledger.calendars.set_mark(OccurrenceKey("weekly"), Mark.SKIP, at=TEN)
    other.execute("ROLLBACK")
    other.close()
    ledger.calendars.set_mark(OccurrenceKey("weekly"), Mark.SKIP, at=TEN)
    assert len(ledger.calendars.marks()) == 1


@pytest.mark.anyio
async def test_many_waits_for_the_disk_are_one(ledger: Ledger) -> None:
    """Two hundred joins at once share an fsync, and the loop goes on meanwhile."""
    claimed(ledger)
    async with anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(ledger.database.sync)
    await ledger.database.sync()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


WRITER = textwrap.dedent(
    """
    import sys
    from datetime import timedelta
    from pathlib import Path
    from locum.core.model import EndReason, Phase
    from locum.ledger import Database, Ledger
    from tests.integration.ledger_rig import claim, reading
    from tests.unit.builders import at, event, only, room

    ledger = Ledger(Database(Path(sys.argv[1])))
    number = int(sys.argv[2])
    while True:
        made = event(f"e{number}", room=room(f"r{number}"))
        ledger.calendars.apply(reading(made))
        [refused] = claim(ledger, only([made], at(-60)))
        assert refused is None
        key = only([made], at(-60)).key
        ledger.sessions.transition(key, Phase.WAITING, at=at(1), handle=f"h{number}")
        ledger.sessions.transition(
            key, Phase.LIVE, at=at(2), admitted_at=at(2), durable=number % 2 == 0
        )
        print(number, flush=True)
        number += 1
    """
)


def write_until_killed(path: Path, first: int, after: int) -> int:
    """Let a process write until it has acknowledged so many, kill it, answer the last one."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{root / 'daemon'}:{root}"},
    )
    assert process.stdout is not None
    with process, process.stdout:
        last = -1
        for _ in range(after):
            last = int(process.stdout.readline())
        # Somewhere in the middle of the next commits.
        time.sleep(0.003 * (first % 5))
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            last = int(line)
        process.wait(10)
    return last


def test_a_kill_in_the_middle_of_commits_loses_nothing_acknowledged(path: Path) -> None:
    """Killed five times while it writes: every acknowledged session is there, whole."""
    first = 0
    for _ in range(5):
        last = write_until_killed(path, first, after=8)
        ledger = Ledger(Database(path))
        for number in range(first, last + 1):
            key = only([event(f"e{number}")], at(-60)).key
            record = ledger.sessions.get(key)
            assert record is not None
            assert (record.phase, record.handle) == (Phase.LIVE, f"h{number}")
            assert len(ledger.sessions.transitions(key)) == 3
            assert [each.handle for each in ledger.sessions.attempts(key)] == [f"h{number}"]
        [check] = ledger.database.rows("PRAGMA integrity_check")
        assert tuple(check) == ("ok",)
        for record in ledger.sessions.newest(100):
            assert len(ledger.sessions.attempts(record.key)) == 1
        ledger.close()
        first = last + 2


# ── one writer ───────────────────────────────────────────────────────────────────────────

HOLDER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from locum.ledger import StateLock
    lock = StateLock(Path(sys.argv[1]))
    print("held", flush=True)
    sys.stdin.read()
    """
)


def test_a_second_daemon_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    """By its process id and the state directory; a killed holder holds nothing."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root / "daemon")},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(PermanentError, match=rf"process {holder.pid}\).*state_dir"):
            StateLock(tmp_path)
        holder.kill()
    lock = StateLock(tmp_path)
    assert lock.path.read_text() == f"{os.getpid()}\n"
    with pytest.raises(PermanentError, match=str(os.getpid())):
        StateLock(tmp_path)
    lock.release()
    StateLock(tmp_path).release()


def test_a_state_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A file in its place, or a link where the lock should be."""
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="file can't be used"):
        StateLock(tmp_path / "file")
    (tmp_path / "locum.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match="can't be used"):
        StateLock(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_calendar_has_a_name_for_people() -> None:
    """As it stands in logs and messages."""
    assert str(CalendarRef("work", "primary")) == "work/primary"
