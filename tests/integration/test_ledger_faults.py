"""The ledger on bad ground: flipped and cut files, full and failing disks, kills at each fsync.

One promise under all of it: what was acknowledged is there, or a recovery says that it may
not be; what failed left nothing half-written; and the ledger opens again.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from locum.core.model import OPEN_PHASES, Phase, SessionKey
from locum.errors import TransientError
from locum.ledger import Database, Ledger, LedgerError
from locum.ledger.backup import OpenedLedger, keep_backup, open_ledger
from tests.integration.ledger_writer import (
    NOTHING_LEFT,
    NOW,
    Written,
    claim,
    end,
    key,
    let_in,
    phases,
    read_all,
    read_calendar,
    run_writer,
)

PAGE = 4096
WHOLE = 30
"""How many sessions the process of `killed` writes, after ten whose ledger was closed."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Written]:
    """A ledger with a backup and a good part in its -wal, whose process is gone. To be copied."""
    folder = tmp_path_factory.mktemp("killed")
    written = run_writer(folder, sessions=WHOLE)
    assert written.status == 0, written.stderr
    assert len(written.acknowledged) == WHOLE
    return folder, written


@pytest.fixture(scope="module")
def sound(killed: tuple[Path, Written], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, closed in order: one file and its backup. To be copied."""
    folder = tmp_path_factory.mktemp("sound")
    shutil.copytree(killed[0], folder, dirs_exist_ok=True)
    open_at(folder).database.close()
    assert not (folder / "ledger.sqlite3-wal").exists()
    return folder


def open_at(folder: Path) -> OpenedLedger:
    return open_ledger(folder / "ledger.sqlite3", backups=folder / "backups", now=NOW)


def check(folder: Path, acknowledged: dict[SessionKey, Phase]) -> bool:
    """Open what is left; answers whether it was recovered.

    If it wasn't, all that was acknowledged is there. If it was, the damaged files are kept as
    they were, what the backup held is there, and joins are held back.
    """
    path = folder / "ledger.sqlite3"
    damaged = {
        side: side.read_bytes()
        for side in (path, path.with_name(f"{path.name}-wal"))
        if side.exists()
    }
    opened = open_at(folder)
    with closing(opened.database) as database:
        found = phases(Ledger(database))
        if opened.recovered is None:
            read_all(Ledger(database))
            assert database.recovered_at is None
            assert found == acknowledged
            return False
        quarantined = opened.recovered.quarantined
        assert {side: (quarantined / side.name).read_bytes() for side in damaged} == damaged
        assert database.recovered_at == NOW
        assert database.row("PRAGMA integrity_check")[0] == "ok"  # type: ignore[index]
        # The writer's backup has its first third; the later phases may be carried over.
        assert found.keys() >= {key(number) for number in range(WHOLE // 3)}
        assert found.keys() <= acknowledged.keys()
        if opened.recovered.sessions_known:
            assert found == acknowledged
    return True


# ── damaged files ────────────────────────────────────────────────────────────────────────


def test_flipped_bytes_are_found_or_harmless(
    killed: tuple[Path, Written], sound: Path, tmp_path: Path
) -> None:
    """60 seeds, 1 to 64 bytes: in the file, in its -wal, and in a file that has none."""
    recovered = {"killed": 0, "killed, -wal": 0, "closed": 0}
    for seed in range(60):
        luck = random.Random(seed)
        which = sorted(recovered)[seed % 3]
        folder = sound if which == "closed" else killed[0]
        case = Path(shutil.copytree(folder, tmp_path / str(seed)))
        path = case / ("ledger.sqlite3-wal" if which.endswith("-wal") else "ledger.sqlite3")
        content = bytearray(path.read_bytes())
        for place in luck.sample(range(len(content)), luck.choice((1, 8, 64))):
            content[place] ^= luck.randrange(1, 256)
        path.write_bytes(content)
        recovered[which] += check(case, killed[1].acknowledged)
        shutil.rmtree(case)
    # No byte of a -wal is spare. Most pages of the file beside it are in it anew; in a closed
    # one, a letter of a title can be flipped without anybody's knowing.
    assert recovered["killed, -wal"] == 20
    assert 10 <= recovered["closed"] < 20


def cuts(size: int) -> list[int]:
    borders = range(0, size, PAGE)
    odd = (1, 15, 16, 17, 50, 99, 100, 101, PAGE - 1, PAGE + 1, size - 100, size - 1)
    return sorted({*borders, *(cut for cut in odd if 0 <= cut < size)})


def some_of(places: list[int]) -> list[int]:
    """All at the two ends, where the headers are, and some between."""
    return [*places[:9], *places[9 : -4 : len(places) // 6], *places[-4:]]


@pytest.mark.parametrize("name", ["ledger.sqlite3", "ledger.sqlite3-wal"])
def test_a_cut_file_is_found(killed: tuple[Path, Written], tmp_path: Path, name: str) -> None:
    """At page borders and at odd places; what the -wal still holds isn't lost."""
    folder, written = killed
    size = (folder / name).stat().st_size
    assert size > 20 * PAGE
    places = some_of(cuts(size))
    outcomes = []
    for cut in places:
        case = Path(shutil.copytree(folder, tmp_path / str(cut)))
        os.truncate(case / name, cut)
        outcomes.append(check(case, written.acknowledged))
        shutil.rmtree(case)
    assert any(outcomes)
    assert outcomes[0], "an empty file beside what isn't empty is damage"


def test_a_cut_file_without_a_wal_is_found(
    sound: Path, killed: tuple[Path, Written], tmp_path: Path
) -> None:
    """Closed in order, every byte is needed."""
    places = some_of(cuts((sound / "ledger.sqlite3").stat().st_size))
    for cut in places:
        case = Path(shutil.copytree(sound, tmp_path / str(cut)))
        os.truncate(case / "ledger.sqlite3", cut)
        assert check(case, killed[1].acknowledged), f"cut after {cut} bytes"
        shutil.rmtree(case)


def test_a_lost_file_beside_its_wal_is_found(
    killed: tuple[Path, Written], tmp_path: Path
) -> None:
    """SQLite itself would delete the -wal and begin anew."""
    folder, written = killed
    case = Path(shutil.copytree(folder, tmp_path / "case"))
    (case / "ledger.sqlite3").unlink()
    assert check(case, written.acknowledged)


def test_a_ledger_that_was_moved_away_begins_anew(sound: Path, tmp_path: Path) -> None:
    """A person may do that; backups that are there are mentioned."""
    case = Path(shutil.copytree(sound, tmp_path / "case"))
    (case / "ledger.sqlite3").unlink()
    with capture_logs() as logged:
        opened = open_at(case)
    with closing(opened.database) as database:
        assert opened.recovered is None
        assert phases(Ledger(database)) == {}
    assert [entry["event"] for entry in logged] == ["ledger_missing"]


@pytest.mark.parametrize(
    "content", [b"no ledger at all" * 400, b"\0" * 8192, b"SQLite format 3\0"]
)
def test_what_is_no_database_goes_to_quarantine(tmp_path: Path, content: bytes) -> None:
    """Without any backup there is a ledger, empty, and it says that it knows nothing."""
    (tmp_path / "ledger.sqlite3").write_bytes(content)
    opened = open_at(tmp_path)
    with closing(opened.database) as database:
        assert opened.recovered is not None
        assert opened.recovered.restored_from is None
        assert not opened.recovered.sessions_known
        assert database.recovered_at == NOW
        assert (opened.recovered.quarantined / "ledger.sqlite3").read_bytes() == content


# ── places that can't be used ────────────────────────────────────────────────────────────


def test_a_directory_in_its_place_is_named(tmp_path: Path) -> None:
    """A person put it there: a person takes it away."""
    (tmp_path / "ledger.sqlite3" / "mine").mkdir(parents=True)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3 is no file\. Move away"):
        open_at(tmp_path)
    assert (tmp_path / "ledger.sqlite3" / "mine").exists()


@pytest.fixture
def not_root(tmp_path: Path) -> Iterator[None]:
    """Run as a user whom permissions bind."""
    if os.geteuid():
        yield
        return
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/") and folder.stat().st_uid == 0:
            folder.chmod(0o755)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def mine(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "state"))


@pytest.mark.parametrize(
    ("name", "mode"), [("ledger.sqlite3", 0o400), ("ledger.sqlite3", 0), (".", 0o500)]
)
def test_what_may_not_be_written_is_no_damage(
    mine: Path, not_root: None, name: str, mode: int
) -> None:
    """It is named with the next step, and stays where it is."""
    (mine / name).chmod(mode)
    try:
        with pytest.raises(LedgerError, match=r"can't be written by user .* \(chown, chmod\)"):
            open_at(mine)
        assert not (mine / "quarantine").exists()
    finally:
        (mine / name).chmod(0o700)
    with closing(open_at(mine).database) as database:
        assert len(phases(Ledger(database))) == WHOLE


def test_a_ledger_that_is_locked_is_no_damage(mine: Path) -> None:
    """Somebody works on it with another tool: nothing is moved meanwhile."""
    with closing(sqlite3.connect(mine / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="locked"):
            open_at(mine)
    assert not (mine / "quarantine").exists()


# ── a full disk ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """768 KiB, an eighth of which is taken by a file that can be removed to make room."""
    if os.geteuid():
        pytest.skip("a tmpfs is mounted by root only")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    (folder / "ballast").write_bytes(b"\0" * 96 * 1024)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(small_disk: Path) -> None:
    """What was committed stays, what failed left nothing, and with room again it goes on."""
    with closing(open_at(small_disk).database) as database:
        ledger = Ledger(database)
        read_calendar(ledger, range(60))
        committed: dict[SessionKey, Phase] = {}
        with pytest.raises(TransientError, match="disk is full"):
            write_until_it_fails(ledger, committed)
        assert len(committed) > 3
        for number in (len(committed), len(committed) + 1):
            with pytest.raises(TransientError, match="disk is full"):
                claim(ledger, number)
        # A smaller commit may still fit where the larger one was taken back.
        ends = _ends(ledger, 0)
        if ends:
            committed[key(0)] = Phase.ENDED
        assert read_all(ledger) == committed
        with closing(Database(small_disk / "ledger.sqlite3", read_only=True)) as other:
            assert read_all(Ledger(other)) == committed
        (small_disk / "ballast").unlink()
        if not ends:
            end(ledger, 0)
        claim(ledger, 59)
        committed |= {key(0): Phase.ENDED, key(59): Phase.JOINING}
    opened = open_at(small_disk)
    with closing(opened.database) as database:
        assert opened.recovered is None
        assert read_all(Ledger(database)) == committed


def _ends(ledger: Ledger, number: int) -> bool:
    try:
        end(ledger, number)
    except TransientError:
        return False
    return True


def write_until_it_fails(ledger: Ledger, committed: dict[SessionKey, Phase]) -> None:
    for number in range(60):
        claim(ledger, number)
        committed[key(number)] = Phase.JOINING
        let_in(ledger, number)
        committed[key(number)] = Phase.WAITING


def test_a_full_disk_keeps_no_backup(small_disk: Path) -> None:
    """It is logged and nothing remains of it; the ledger itself goes on."""
    backups = small_disk / "backups"
    with closing(open_at(small_disk).database) as database:
        fill_up(small_disk, leaving=32 * 1024)
        with capture_logs() as logged:
            assert keep_backup(database, backups, now=NOW) is None
        assert [entry["event"] for entry in logged] == ["ledger_backup_failed"]
        assert "full" in logged[0]["problem"] or "space" in logged[0]["problem"]
        assert list(backups.iterdir()) == []
        (small_disk / "ballast").unlink()
        (small_disk / "filler").unlink()
        assert keep_backup(database, backups, now=NOW) is not None
        read_calendar(Ledger(database), range(2))


def fill_up(folder: Path, *, leaving: int) -> None:
    free = shutil.disk_usage(folder).free
    (folder / "filler").write_bytes(b"\0" * max(free - leaving, 0))


def test_a_recovery_on_a_full_disk_moves_nothing(small_disk: Path, sound: Path) -> None:
    """The damaged ledger stays where it is until there is room to restore it."""
    small = small_disk / "state"
    with closing(open_at(small).database) as database:
        read_calendar(Ledger(database), range(2))
        claim(Ledger(database), 1)
    path = small / "ledger.sqlite3"
    with path.open("r+b") as file:
        file.seek(2 * PAGE)
        file.write(b"\xa5" * PAGE)
    damaged = path.read_bytes()
    fill_up(small_disk, leaving=48 * 1024)
    with pytest.raises(LedgerError, match=r"restored after damage .*(full|space|I/O)"):
        open_at(small)
    assert path.read_bytes() == damaged
    assert not (small / "quarantine").exists()
    assert not list(small.glob("*.rest*"))
    (small_disk / "filler").unlink()
    opened = open_at(small)
    opened.database.close()
    assert opened.recovered is not None
    assert (opened.recovered.quarantined / "ledger.sqlite3").read_bytes() == damaged


# ── transactions on a disk that fails ────────────────────────────────────────────────────


def test_a_failed_begin_leaves_commits_durable(tmp_path: Path) -> None:
    """A quick commit that couldn't even begin must not make the next ones quick as well."""
    path = tmp_path / "ledger.sqlite3"
    with closing(open_at(tmp_path).database) as database:
        database.execute("PRAGMA busy_timeout = 0")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(TransientError), database.transaction(durable=False):
                pytest.fail("the other one has it")
            other.execute("ROLLBACK")
        with database.transaction():
            assert database.row("PRAGMA synchronous")[0] == 2  # type: ignore[index]
        with database.transaction(durable=False):
            assert database.row("PRAGMA synchronous")[0] == 1  # type: ignore[index]


def test_what_was_left_open_is_not_taken_for_an_outer_transaction(tmp_path: Path) -> None:
    """Else nothing would ever be committed again, and nobody would hear of it."""
    path = tmp_path / "ledger.sqlite3"
    with closing(open_at(tmp_path).database) as database:
        database._connection.execute("BEGIN IMMEDIATE")  # As a failed ROLLBACK leaves it.
        read_calendar(Ledger(database), range(2))
        with closing(Database(path, read_only=True)) as other:
            assert len(Ledger(other).calendars.events()) == 2


# ── strace: EIO, ENOSPC and kills where it hurts ─────────────────────────────────────────


@pytest.fixture(scope="module")
def strace() -> str:
    """strace, if it is there and may trace here."""
    path = shutil.which("strace")
    if path is None:
        pytest.skip("strace isn't installed")
    probe = [path, "-f", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1", "true"]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace can't trace here: {tried.stderr.strip()[-200:]}")
    return path


def tracer(strace: str, injection: str) -> list[str]:
    calls = injection.partition(":")[0]
    quiet = [strace, "-f", "-qq", "-o", "/dev/null"]
    return [*quiet, "-e", f"trace={calls}", "-e", f"inject={injection}"]


def run_all(
    strace: str, folder: Path, injections: Sequence[str], task: str
) -> list[tuple[str, Path, Written]]:
    """Let a process write under each injection, two at a time."""

    def run(number: int) -> tuple[str, Path, Written]:
        place = folder / str(number)
        place.mkdir()
        injection = injections[number]
        return injection, place, run_writer(place, task=task, tracer=tracer(strace, injection))

    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(run, range(len(injections))))


def survives(place: Path, written: Written, injection: str) -> None:
    """Open it again: nothing acknowledged is lost, and at most one whole step is there more."""
    opened = open_at(place)
    with closing(opened.database) as database:
        assert opened.recovered is None, f"{injection}: {opened.recovered}"
        found = read_all(Ledger(database))
    for session, phase in written.acknowledged.items():
        order = (Phase.JOINING, Phase.WAITING, Phase.ENDED)
        assert session in found, f"{injection}: {session} was acknowledged and is lost"
        assert order.index(found[session]) >= order.index(phase), f"{injection}: {session}"
    ahead = [
        session for session in found if found[session] != written.acknowledged.get(session)
    ]
    assert len(ahead) <= 1 + len(written.failed), f"{injection}: {ahead}"


def test_kill_at_each_fsync_loses_nothing_acknowledged(strace: str, tmp_path: Path) -> None:
    """From the making of the file over commits, a backup and a checkpoint."""
    injections = [f"fsync,fdatasync:signal=KILL:when={number}" for number in range(1, 36)]
    acknowledged = 0
    for injection, place, written in run_all(strace, tmp_path, injections, "write"):
        assert written.status in {-9, 137}, f"{injection}: {written}"
        acknowledged += len(written.acknowledged)
        survives(place, written, injection)
    assert acknowledged > 10


@pytest.mark.parametrize("task", ["write", "give-up"])
def test_a_failing_disk_loses_nothing_acknowledged(
    strace: str, tmp_path: Path, task: str
) -> None:
    """One EIO or ENOSPC somewhere; the writer goes on after it, or ends at once."""
    first = 1 if task == "write" else 3
    injections = [
        *(f"fsync,fdatasync:error=EIO:when={number}" for number in range(first, 30, 4)),
        *(f"pwrite64:error=EIO:when={number}" for number in (first, 120 * first)),
        *(f"pwrite64:error=ENOSPC:when={number}" for number in (220, 300, 400)),
    ]
    failed = unopened = 0
    for injection, place, written in run_all(strace, tmp_path, injections, task):
        assert not any("half-written" in line for line in written.failed), written
        assert written.status in {0, 1, NOTHING_LEFT}, f"{injection}: {written}"
        failed += len(written.failed)
        unopened += written.status == NOTHING_LEFT
        if written.status == NOTHING_LEFT:
            assert "ledger.sqlite3" in written.stderr
        survives(place, written, injection)
    assert failed >= 3
    assert unopened >= 1


def test_a_disk_that_fails_for_good_loses_nothing_acknowledged(
    strace: str, tmp_path: Path
) -> None:
    """From some fsync on each one fails: all is refused from there, and no word is a lie."""
    injections = [f"fsync,fdatasync:error=EIO:when={number}+" for number in (8, 14)]
    for injection, place, written in run_all(strace, tmp_path, injections, "write"):
        assert written.status in {0, NOTHING_LEFT}, f"{injection}: {written}"
        assert not any("half-written" in line for line in written.failed), written
        survives(place, written, injection)


def test_a_recovery_that_is_killed_is_completed(
    strace: str, killed: tuple[Path, Written], tmp_path: Path
) -> None:
    """At each of its fsyncs and renames: the next start ends it, and the damaged file is kept."""
    folder, written = killed
    kills = [
        *(f"fsync,fdatasync:signal=KILL:when={number}" for number in (1, 6, 11, 12)),
        *(f"rename:signal=KILL:when={number}" for number in range(1, 6)),
    ]
    died = 0
    for number, injection in enumerate(kills):
        case = Path(shutil.copytree(folder, tmp_path / str(number)))
        (case / "ledger.sqlite3").write_bytes(b"no ledger" * 5000)
        tried = run_writer(case, task="open", tracer=tracer(strace, injection))
        died += tried.status in {-9, 137}
        with closing(open_at(case).database) as database:
            assert database.recovered_at == NOW, injection
            found = phases(Ledger(database))
        assert found.keys() >= {key(number) for number in range(WHOLE // 3)}, injection
        assert all(phase in {*OPEN_PHASES, Phase.ENDED} for phase in found.values())
        kept = [path.read_bytes()[:9] for path in case.glob("quarantine/*/ledger.sqlite3")]
        assert kept == [b"no ledger"], injection
        assert list(case.glob("quarantine/*/ledger.sqlite3-wal")), injection
        assert written.acknowledged.keys() >= found.keys()
    assert died >= 7
