"""Backups of the ledger, recoveries from damage, and what is held back after one."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from locum.core.model import Mark, OccurrenceKey, Phase
from locum.errors import TransientError
from locum.ledger import Database, Ledger, LedgerError
from locum.ledger.backup import OpenedLedger, keep_backup, names_that_last, open_ledger
from locum.ledger.hold import Hold
from tests.integration.ledger_writer import (
    NOW,
    WORK,
    claim,
    end,
    key,
    let_in,
    phases,
    read_all,
    read_calendar,
    run_writer,
    stay,
)

DAY = timedelta(days=1)
PAGE = 4096


def open_at(folder: Path) -> OpenedLedger:
    return open_ledger(folder / "ledger.sqlite3", backups=folder / "backups", now=NOW)


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """Open a ledger that is whole, and close it in order."""
    with closing(open_at(folder).database) as database:
        yield Ledger(database)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten sessions, a backup in the middle, closed in order. To be copied."""
    folder = tmp_path_factory.mktemp("sound")
    with opened(folder) as ledger:
        read_calendar(ledger, range(10))
        for number in range(10):
            claim(ledger, number)
            let_in(ledger, number)
            if number == 4:
                assert keep_backup(ledger.database, folder / "backups", now=NOW)
        end(ledger, 0)
        ledger.calendars.set_mark(OccurrenceKey("event-9"), Mark.STOP, at=NOW)
    return folder


@pytest.fixture
def filled(sound: Path, tmp_path: Path) -> Path:
    """A state directory of a test's own with that ledger."""
    return Path(shutil.copytree(sound, tmp_path, dirs_exist_ok=True))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger whose process was killed: the newest commits are in its -wal. To be copied."""
    folder = tmp_path_factory.mktemp("killed")
    written = run_writer(folder)
    assert written.status == 0, written.stderr
    return folder


def damage_table(path: Path, name: str) -> None:
    """Overwrite the first page of a table, as a bad sector would."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ── keeping ──────────────────────────────────────────────────────────────────────────────


def test_a_backup_is_a_sound_copy_of_what_was_committed(tmp_path: Path) -> None:
    """It stands alone, holds what only the -wal has, and nobody else may read it."""
    with opened(tmp_path) as ledger:
        read_calendar(ledger, range(3))
        claim(ledger, 1)
        path = keep_backup(ledger.database, tmp_path / "backups", now=NOW)
        assert path == tmp_path / "backups" / "ledger-2026-11-22.sqlite3"
        assert names_in(path.parent) == [path.name]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        expected = read_all(ledger)
    copy = tmp_path / "elsewhere.sqlite3"
    shutil.copy(path, copy)
    with closing(Database(copy)) as database:
        assert read_all(Ledger(database)) == expected


def test_a_backup_is_made_once_a_day(tmp_path: Path) -> None:
    """The second call of a day leaves the file as it is; the next day has its own."""
    with opened(tmp_path) as ledger:
        backups = tmp_path / "backups"
        first = keep_backup(ledger.database, backups, now=NOW)
        assert first is not None
        before = first.stat()
        ledger.calendars.set_mark(OccurrenceKey("event-1"), Mark.SKIP, at=NOW)
        assert keep_backup(ledger.database, backups, now=NOW + timedelta(hours=11)) == first
        assert (first.stat().st_ino, first.stat().st_mtime_ns) == (
            before.st_ino,
            before.st_mtime_ns,
        )
        second = keep_backup(ledger.database, backups, now=NOW + DAY)
        assert second is not None
        assert second.name == "ledger-2026-11-23.sqlite3"


def test_old_backups_are_pruned_and_nothing_else_is(tmp_path: Path) -> None:
    """Seven are kept; a person's own file stays, and so does what is newer."""
    backups = tmp_path / "backups"
    with opened(tmp_path) as ledger:
        for day in range(10):
            assert keep_backup(ledger.database, backups, now=NOW + day * DAY)
            (backups / "ledger-mine.sqlite3").touch()
    assert names_in(backups) == [
        *(f"ledger-2026-{month}.sqlite3" for month in ("11-25", "11-26", "11-27", "11-28")),
        *(f"ledger-2026-{month}.sqlite3" for month in ("11-29", "11-30", "12-01")),
        "ledger-mine.sqlite3",
    ]


def test_a_backup_dated_into_the_future_is_the_first_to_go(tmp_path: Path) -> None:
    """A clock that was wrong for a day must not keep its copy as the newest for ever."""
    backups = tmp_path / "backups"
    with opened(tmp_path) as ledger:
        for day in (9000, 0, 1, 2):
            assert keep_backup(ledger.database, backups, now=NOW + day * DAY, keep=2)
    assert names_in(backups) == ["ledger-2026-11-23.sqlite3", "ledger-2026-11-24.sqlite3"]


def test_what_a_killed_backup_left_is_cleared_away(tmp_path: Path) -> None:
    """A half copy is never taken for a backup, nor does it stay."""
    backups = tmp_path / "backups"
    backups.mkdir()
    for name in ("ledger-2026-11-22.part", "ledger-2026-11-21.part"):
        (backups / name).write_bytes(b"half")
    with opened(tmp_path) as ledger:
        assert keep_backup(ledger.database, backups, now=NOW)
    assert names_in(backups) == ["ledger-2026-11-22.sqlite3"]


def test_a_damaged_ledger_is_not_backed_up(filled: Path, tmp_path: Path) -> None:
    """It would push out the sound copies, of which none is pruned meanwhile."""
    damage_table(tmp_path / "ledger.sqlite3", "decisions")
    backups = tmp_path / "backups"
    with closing(Database(tmp_path / "ledger.sqlite3")) as database, capture_logs() as logged:
        assert keep_backup(database, backups, now=NOW + DAY, keep=1) is None
    assert [entry["event"] for entry in logged] == ["ledger_backup_failed"]
    assert names_in(backups) == ["ledger-2026-11-22.sqlite3"]


@pytest.mark.parametrize("obstacle", ["a file", "unwritable"])
def test_a_backup_that_cannot_be_made_is_logged(tmp_path: Path, obstacle: str) -> None:
    """Nothing is raised: the daemon has more important things to do."""
    backups = tmp_path / "backups"
    if obstacle == "a file":
        backups.touch()
    else:
        backups.symlink_to("/proc/self/fdinfo")
    with opened(tmp_path) as ledger, capture_logs() as logged:
        assert keep_backup(ledger.database, backups, now=NOW) is None
    assert [entry["event"] for entry in logged] == ["ledger_backup_failed"]
    assert str(backups) in logged[0]["problem"] or "fdinfo" in str(logged[0])


def test_a_backup_in_a_thread_is_of_one_instant(tmp_path: Path) -> None:
    """While the loop writes on, each copy holds whole transactions and hinders none."""
    with opened(tmp_path) as ledger:
        read_calendar(ledger, range(200))
        copies: list[Path | None] = []

        def copy() -> None:
            copies.extend(
                keep_backup(ledger.database, tmp_path / "backups", now=NOW + day * DAY)
                for day in range(5)
            )

        thread = threading.Thread(target=copy)
        thread.start()
        for number in range(200):
            if not thread.is_alive():
                break
            claim(ledger, number)
            let_in(ledger, number)
        thread.join()
        assert ledger.database.row("PRAGMA integrity_check")[0] == "ok"  # type: ignore[index]
    counts = []
    for path in copies:
        assert path is not None
        with closing(Database(path)) as database:
            counts.append(len(read_all(Ledger(database))))
    assert counts == sorted(counts)


# ── recovering ───────────────────────────────────────────────────────────────────────────


def test_a_sound_ledger_is_simply_opened(filled: Path, tmp_path: Path) -> None:
    """Nothing is moved, nothing held, nothing said."""
    with capture_logs() as logged:
        opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        assert opened_ledger.recovered is None
        assert database.recovered_at is None
        assert Hold.of(database) is None
    assert logged == []
    assert names_in(tmp_path) == ["backups", "ledger.sqlite3"]


def test_sessions_since_the_backup_are_carried_over(filled: Path, tmp_path: Path) -> None:
    """Damage elsewhere: what the backup doesn't know is still known, and newer phases win."""
    path = tmp_path / "ledger.sqlite3"
    damage_table(path, "events")
    damaged = path.read_bytes()
    with capture_logs() as logged:
        opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        ledger = Ledger(database)
        recovery = opened_ledger.recovered
        assert recovery is not None
        assert recovery.sessions_known
        assert recovery.restored_from == tmp_path / "backups" / "ledger-2026-11-22.sqlite3"
        assert (recovery.quarantined / "ledger.sqlite3").read_bytes() == damaged
        expected = {key(number): Phase.WAITING for number in range(1, 10)}
        assert read_all(ledger) == {**expected, key(0): Phase.ENDED}
        assert ledger.sessions.get(key(7)).handle == "handle-7"  # type: ignore[union-attr]
        assert ledger.calendars.marks() == {OccurrenceKey("event-9"): Mark.STOP}
        assert database.recovered_at == NOW
        assert len(ledger.calendars.events()) == 10
    [entry] = logged
    assert (entry["event"], entry["log_level"]) == ("ledger_recovered", "error")
    assert entry["may_lack_all_since"] is None


def test_behind_a_damaged_header_all_can_be_read(filled: Path, tmp_path: Path) -> None:
    """The first hundred bytes are those of every ledger: the sessions are all known after it."""
    path = tmp_path / "ledger.sqlite3"
    with opened(tmp_path) as ledger:
        before = phases(ledger)
    with path.open("r+b") as file:
        file.write(b"\xa5" * 100)
    spoiled = path.read_bytes()
    opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        assert opened_ledger.recovered is not None
        assert opened_ledger.recovered.sessions_known
        assert phases(Ledger(database)) == before
    kept = opened_ledger.recovered.quarantined
    assert (kept / "ledger.sqlite3").read_bytes() == spoiled
    assert names_in(tmp_path) == ["backups", "ledger.sqlite3", "quarantine"]


def test_lost_sessions_are_told(filled: Path, tmp_path: Path) -> None:
    """Damage in the sessions themselves: the log names since when they may be unknown."""
    damage_table(tmp_path / "ledger.sqlite3", "sessions")
    with capture_logs() as logged:
        opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        assert opened_ledger.recovered is not None
        assert not opened_ledger.recovered.sessions_known
        known = read_all(Ledger(database))
        assert set(known) >= {key(number) for number in range(5)}
    [entry] = logged
    assert entry["may_lack_all_since"] == "2026-11-22T12:00:05.000000Z"
    assert "cost money" in entry["next_step"]


def test_the_newest_sound_backup_is_taken(filled: Path, tmp_path: Path) -> None:
    """A damaged backup is passed over, and said to be damaged."""
    backups = tmp_path / "backups"
    good = backups / "ledger-2026-11-22.sqlite3"
    good.rename(backups / "ledger-2026-11-20.sqlite3")
    (backups / "ledger-2026-11-21.sqlite3").write_bytes(b"\0" * 9000)
    (tmp_path / "ledger.sqlite3").write_bytes(b"no ledger" * 1000)
    with capture_logs() as logged:
        opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        assert opened_ledger.recovered is not None
        assert opened_ledger.recovered.restored_from == backups / "ledger-2026-11-20.sqlite3"
        assert len(read_all(Ledger(database))) == 5
    assert [entry["event"] for entry in logged] == [
        "ledger_backup_damaged",
        "ledger_recovered",
    ]


def test_without_a_backup_it_begins_anew(filled: Path, tmp_path: Path) -> None:
    """With what can be read of the damaged file."""
    shutil.rmtree(tmp_path / "backups")
    damage_table(tmp_path / "ledger.sqlite3", "events")
    opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        assert opened_ledger.recovered is not None
        assert opened_ledger.recovered.restored_from is None
        assert len(read_all(Ledger(database))) == 10
        assert Ledger(database).calendars.events() == ()


def test_two_recoveries_at_one_instant_have_a_quarantine_each(
    filled: Path, tmp_path: Path
) -> None:
    """What was put away is never put upon."""
    quarantined = []
    for _ in range(2):
        (tmp_path / "ledger.sqlite3").write_bytes(b"no ledger" * 1000)
        opened_ledger = open_at(tmp_path)
        opened_ledger.database.close()
        assert opened_ledger.recovered is not None
        quarantined.append(opened_ledger.recovered.quarantined)
    assert quarantined == [
        tmp_path / "quarantine" / "20261122T120000Z",
        tmp_path / "quarantine" / "20261122T120000Z-2",
    ]
    assert all((folder / "ledger.sqlite3").exists() for folder in quarantined)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sessions SET phase = 'lhve' WHERE rowid = 3",
        "UPDATE sessions SET meetings = '[{' WHERE rowid = 3",
        "UPDATE events SET body = CAST(x'7bff7d' AS TEXT) WHERE rowid = 3",
        "UPDATE marks SET mark = 'stip'",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 258",
        "ALTER TABLE sessions RENAME COLUMN handle TO candle",
        "DROP INDEX sessions_room_held",
        "DROP TABLE marks",
    ],
)
def test_values_that_would_fail_every_pass_are_damage(
    filled: Path, tmp_path: Path, statement: str
) -> None:
    """SQLite finds them in order; a daemon that starts with them would attend nothing."""
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
        connection.execute(statement)
        connection.commit()
    opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        assert opened_ledger.recovered is not None
        read_all(Ledger(database))
        assert len(read_all(Ledger(database))) >= 5


def test_a_ledger_of_a_newer_locum_is_refused_and_left_alone(
    filled: Path, tmp_path: Path
) -> None:
    """A downgrade isn't damage."""
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE dreams (at TEXT)")
        connection.execute("DROP TABLE marks")
        connection.execute("PRAGMA user_version = 99")
        connection.commit()
    with pytest.raises(LedgerError, match=r"newer locum.*Update locum"):
        open_at(tmp_path)
    assert names_in(tmp_path)[:2] == ["backups", "ledger.sqlite3"]
    assert not (tmp_path / "quarantine").exists()


def test_a_ledger_of_an_older_locum_is_moved_on(tmp_path: Path) -> None:
    """Its version is no damage either, and neither is an index that a person has added."""
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
        from locum.ledger.schema import MIGRATIONS

        connection.executescript(MIGRATIONS[0] + "CREATE INDEX mine ON marks (at);")
        connection.execute("PRAGMA user_version = 1")
    opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        assert opened_ledger.recovered is None
        assert database.recovered_at is None
    with closing(Database(tmp_path / "ledger.sqlite3", read_only=True)) as database:
        assert database.recovered_at is None


def test_an_old_ledger_that_is_only_read_knows_of_no_recovery(tmp_path: Path) -> None:
    """`locum status` may look at a ledger that no daemon has moved on yet."""
    from locum.ledger.schema import MIGRATIONS

    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(MIGRATIONS[0])
        connection.execute("PRAGMA user_version = 1")
    with closing(Database(path, read_only=True)) as database:
        assert database.recovered_at is None


def test_damage_met_while_running_loses_no_presence(filled: Path, tmp_path: Path) -> None:
    """It reads as a disk that fails: what is held is held on to, and nothing new is claimed."""
    path = tmp_path / "ledger.sqlite3"
    damage_table(path, "sessions")
    with closing(Database(path)) as database:
        ledger = Ledger(database)
        assert database.damage is None
        with pytest.raises(TransientError, match="malformed"):
            phases(ledger)
        with pytest.raises(TransientError, match="malformed"):
            end(ledger, 3)
        assert "malformed" in str(database.damage)


def test_only_names_that_a_recovery_finds_are_relied_upon(filled: Path, tmp_path: Path) -> None:
    """Of a damaged file: the open sessions with a name, where their page can be read."""
    path = tmp_path / "ledger.sqlite3"
    keys = [key(number) for number in range(12)]
    with opened(tmp_path) as ledger:
        read_calendar(ledger, range(11))
        claim(ledger, 10)
        ended, unnamed, unknown = key(0), key(10), key(11)
        found = names_that_last(path, keys)
        assert found == frozenset(keys) - {ended, unnamed, unknown}
        assert names_that_last(path, [key(3), unnamed]) == {key(3)}
    damage_table(path, "events")
    found_in_damage = names_that_last(path, keys)
    damage_table(path, "sessions")
    assert names_that_last(path, keys) == frozenset()
    assert found_in_damage == found


def test_a_damaged_ledger_is_closed_as_it_is(filled: Path, tmp_path: Path) -> None:
    """Its -wal isn't moved into it: what is sound there may be all that is."""
    path = tmp_path / "ledger.sqlite3"
    database = Database(path)
    database.set_meta("newest", "only in the -wal")
    before = path.read_bytes()
    database.damage = "as if it had been met"
    database.close()
    assert path.read_bytes() == before
    assert path.with_name(f"{path.name}-wal").stat().st_size > 0


# ── commits that are gone ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["deleted", "cut", "flipped", "garbage header"])
def test_lost_commits_are_noticed(killed: Path, tmp_path: Path, fault: str) -> None:
    """SQLite goes on without a word from what a damaged -wal leaves; the -shm knows better."""
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    wal = tmp_path / "ledger.sqlite3-wal"
    content = bytearray(wal.read_bytes())
    assert len(content) > 10 * PAGE
    if fault == "deleted":
        wal.unlink()
    elif fault == "cut":
        wal.write_bytes(content[: 5 * PAGE + 77])
    elif fault == "flipped":
        content[5 * PAGE + 77] ^= 1
        wal.write_bytes(content)
    else:
        wal.write_bytes(b"\xff" * 32 + content[32:])
    opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        recovery = opened_ledger.recovered
        assert recovery is not None
        assert "pages of the last commits are lost" in recovery.reason
        assert not recovery.sessions_known
        assert (recovery.quarantined / "ledger.sqlite3").exists()
        assert set(read_all(Ledger(database))) <= {key(number) for number in range(6)}
        assert database.recovered_at == NOW


def test_a_backup_newer_than_the_checkpoint_is_taken(tmp_path: Path) -> None:
    """A file without its -wal can be older than yesterday's copy."""
    assert run_writer(tmp_path, task="no-checkpoint").status == 0
    (tmp_path / "ledger.sqlite3-wal").unlink()
    opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        assert opened_ledger.recovered is not None
        backup = tmp_path / "backups" / "ledger-2026-11-22.sqlite3"
        assert opened_ledger.recovered.restored_from == backup
        assert sorted(read_all(Ledger(database))) == [key(0), key(1), key(2)]


# ── holding back ─────────────────────────────────────────────────────────────────────────


def recovered(folder: Path, table: str) -> Database:
    damage_table(folder / "ledger.sqlite3", table)
    return open_at(folder).database


def test_nothing_is_joined_before_the_calendars_were_read(filled: Path, tmp_path: Path) -> None:
    """The restored events are of yesterday: cancelled, moved or declined since, perhaps."""
    with closing(recovered(tmp_path, "events")) as database:
        ledger, hold = Ledger(database), Hold.of(database)
        assert hold is not None
        earlier = NOW - timedelta(seconds=1)
        read_calendar(ledger, range(10), earlier)
        states = ledger.calendars.states()
        assert "work/primary" in str(hold.reason(stay(12), states, ()))
        assert "work/primary" in str(hold.reason(stay(12), {}, ()))
        assert not hold.is_over(states.values(), (), NOW)
        assert not hold.is_over([None], (), NOW)
        read_calendar(ledger, range(10), NOW)
        states = ledger.calendars.states()
        assert hold.reason(stay(12), states, ()) is None
        assert hold.is_over(states.values(), (), NOW)


def test_nothing_is_joined_before_open_sessions_are_settled(
    filled: Path, tmp_path: Path
) -> None:
    """One that was joining has no name yet: two could end up in one room."""
    with closing(recovered(tmp_path, "events")) as database:
        ledger, hold = Ledger(database), Hold.of(database)
        assert hold is not None
        read_calendar(ledger, range(10), NOW)
        states = ledger.calendars.states()
        record = ledger.sessions.get(key(3))
        assert record is not None
        for phase in (Phase.JOINING, Phase.AMBIGUOUS):
            unsettled = replace(record, phase=phase, claimed_at=NOW - DAY)
            assert hold.reason(stay(12), states, [unsettled]) is not None
            assert not hold.is_over(states.values(), [unsettled], NOW)
            mine = replace(unsettled, claimed_at=NOW + DAY)
            assert hold.reason(stay(12), states, [mine]) is None
            waits = replace(unsettled, retry_at=NOW)
            assert hold.is_over(states.values(), [waits], NOW)
        assert hold.reason(stay(12), states, [record]) is None


def test_a_meeting_that_had_begun_is_not_entered_a_second_time(
    filled: Path, tmp_path: Path
) -> None:
    """Where sessions were lost, one of them may be in that room; the next one is joined."""
    with closing(recovered(tmp_path, "sessions")) as database:
        ledger, hold = Ledger(database), Hold.of(database)
        assert hold is not None
        read_calendar(ledger, range(10), NOW)
        states = ledger.calendars.states()
        begun = replace(stay(8), join_at=NOW - timedelta(minutes=1))
        assert "lost" in str(hold.reason(begun, states, ()))
        assert hold.reason(stay(8), states, ()) is None
        rooms = {stay(8).room.id}
        assert "lost" in str(hold.reason(stay(8), states, (), used_before=rooms))
        assert hold.reason(stay(9), states, (), used_before=rooms) is None
        assert not hold.is_over(states.values(), (), NOW + timedelta(hours=23))
        assert hold.is_over(states.values(), (), NOW + timedelta(hours=24))
        known = replace(hold, sessions_known=True)
        assert known.reason(begun, states, (), used_before=rooms) is None


def test_nobody_is_walked_out_on_before_the_calendars_were_read(
    filled: Path, tmp_path: Path
) -> None:
    """The backup's events may lack the meeting that we are in: the record counts until then."""
    with closing(recovered(tmp_path, "events")) as database:
        ledger, hold = Ledger(database), Hold.of(database)
        assert hold is not None
        record = ledger.sessions.get(key(3))
        assert record is not None
        before_its_end = record.leave_by - timedelta(seconds=1)
        assert hold.keeps(record, {}, before_its_end)
        assert not hold.keeps(record, {}, record.leave_by)
        read_calendar(ledger, range(10), NOW)
        assert not hold.keeps(record, ledger.calendars.states(), before_its_end)


def test_a_recovery_is_remembered_until_it_is_reconciled(filled: Path, tmp_path: Path) -> None:
    """A restart in between changes nothing."""
    recovered(tmp_path, "sessions").close()
    opened_ledger = open_at(tmp_path)
    with closing(opened_ledger.database) as database:
        assert opened_ledger.recovered is None
        assert database.recovered_at == NOW
        assert Hold.of(database) == Hold(NOW, sessions_known=False)
        database.reconciled()
        assert Hold.of(database) is None
    with opened(tmp_path) as ledger:
        assert ledger.database.recovered_at is None


def test_a_meeting_asked_for_by_hand_needs_no_calendar(tmp_path: Path) -> None:
    """No reading ever tells of it."""
    by_hand = replace(stay(1), meetings=(replace(stay(1).meetings[0], calendar=None),))
    assert Hold(NOW, sessions_known=True).reason(by_hand, {}, ()) is None
    assert stay(1).meetings[0].calendar == WORK
    assert Hold(NOW, sessions_known=True).reason(stay(1), {}, ()) is not None
