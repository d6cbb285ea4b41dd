"""The ledger is damaged, before a start and under a running daemon.

What is damaged is kept aside and the ledger restored; nobody is joined on its word alone,
nobody is joined twice, and no paid presence is forgotten.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from locum.ledger import Database
from locum.ledger.schema import MIGRATIONS
from locum.rehearsal.faults import Fault
from tests.acceptance.surroundings import Site, meeting, on_stage, until

pytestmark = pytest.mark.timeout(240)

PAGE = 4096
GARBAGE = b"\xa5"
LONG, SHORT = "Long", "Short"


def spoil(path: Path, *, at: int = 0, size: int | None = None) -> None:
    """Overwrite a part of a file, or all of it from there, as a failing disk would."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(GARBAGE * (path.stat().st_size - at if size is None else size))


def spoil_table(ledger: Path, name: str) -> None:
    """Overwrite the first page of a table, once all of it is in the file itself.

    Then write something, so that whoever has the page in memory reads it anew.
    """
    with contextlib.closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)
        ).fetchone()
        spoil(ledger, at=(page - 1) * PAGE, size=PAGE)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('written by a test', '')")


# ── at the start ─────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Path]]:
    """A daemon that was killed in a meeting, which goes on; and a copy of what it left."""
    folder = tmp_path_factory.mktemp("killed")
    with on_stage(folder, meeting(LONG, 5, 100_000), speed=4) as site, site.playing():
        site.until_phase(LONG, "live")
        until(lambda: list((site.state / "backups").iterdir()), "the daily backup")
        site.daemon.kill()
        left = folder / "left"
        shutil.copytree(site.state, left, ignore=shutil.ignore_patterns("*.sock"))
        yield site, left


def header(ledger: Path) -> None:
    spoil(ledger, size=100)


def table(name: str) -> Callable[[Path], None]:
    return lambda ledger: spoil_table(ledger, name)


def wal(ledger: Path) -> None:
    spoil(ledger.with_name(f"{ledger.name}-wal"))


def cut(ledger: Path) -> None:
    with contextlib.closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with ledger.open("r+b") as file:
        file.truncate(PAGE + 17)


def empty(ledger: Path) -> None:
    ledger.write_bytes(b"")


@pytest.mark.xdist_group("damaged-ledger")
@pytest.mark.parametrize(
    ("damage", "knows_it"),
    [
        pytest.param(table("events"), True, id="a page beside the sessions"),
        pytest.param(table("sessions"), False, id="the page of the sessions"),
        pytest.param(header, True, id="the header"),
        pytest.param(wal, False, id="the -wal"),
        pytest.param(cut, False, id="cut off"),
        pytest.param(empty, False, id="empty"),
    ],
)
def test_a_damaged_ledger_doubles_nobody(
    killed: tuple[Site, Path], damage: Callable[[Path], None], *, knows_it: bool
) -> None:
    """It is kept aside and restored; who is in its meeting is adopted, or left alone."""
    site, left = killed
    shutil.rmtree(site.state)
    shutil.copytree(left, site.state)
    site.daemon.log_path.write_text("")
    damage(site.ledger)
    spoiled = site.ledger.read_bytes()
    joins = site.joins()
    site.daemon.start()
    try:
        (told,) = site.daemon.logged("ledger_recovered")
        (kept,) = (site.state / "quarantine").iterdir()
        assert told["quarantined"] == str(kept)
        assert (kept / site.ledger.name).read_bytes() == spoiled
        recovery = site.daemon.status()["ledger_recovery"]
        assert recovery["quarantined"] == str(kept)
        assert recovery["sessions_known"] is knows_it
        if knows_it:
            until(lambda: site.daemon.logged("session_adopted"), "the adoption")
            until(lambda: site.daemon.logged("ledger_reconciled"), "the end of the hold")
            assert site.daemon.status()["ledger_recovery"]["reconciled"]
        else:
            held = until(lambda: site.daemon.logged("join_held_back"), "word of the hold")
            until(
                lambda: [
                    s for s in site.daemon.logged("join_held_back") if "lost" in s["reason"]
                ],
                f"the reason for the hold, beside {held}",
            )
            (title,) = {each["title"] for each in site.daemon.status()["held_back"]}
            assert title == LONG
        assert site.joins() == joins
        assert len(site.live_rooms()) == 1
        assert site.daemon.logged("pass_failed") == []
    finally:
        site.daemon.kill()


def test_nothing_is_joined_before_the_calendar_was_read_again(tmp_path: Path) -> None:
    """The restored events are of the backup: a meeting that is due waits for a reading."""
    skip = '\n[[rules]]\nmatch = { title = "Short" }\naction = "skip"\n'
    with on_stage(tmp_path, meeting(SHORT, 1, 10_000)) as site:
        good = site.config.read_text()
        site.config.write_text(good + skip)  # So that it isn't joined before all is damaged.
        with site.playing():
            until(lambda: site.daemon.status()["left_alone"], "the invitation in the plan")
            assert site.daemon.stop() == 0
            shutil.rmtree(site.state / "backups")
            site.daemon.start()
            (backup,) = until(
                lambda: list((site.state / "backups").glob("*.sqlite3")), "a backup"
            )
            site.daemon.kill()
            spoil_table(site.ledger, "events")
            site.config.write_text(good)
            site.stage.google.faults.add(Fault(path="/events", status=503, times=None))
            site.daemon.start()
            assert site.daemon.logged("ledger_recovered")[0]["restored_from"] == str(backup)
            held = until(lambda: site.daemon.status()["held_back"], "the hold")
            assert [each["title"] for each in held] == [SHORT]
            assert "wasn't read" in held[0]["reason"]
            assert "Not joined yet" in _status(site)
            until(lambda: site.daemon.status()["calendars"][0]["failing_since"], "a failure")
            assert site.joins() == 0
            site.stage.google.faults.clear()
            site.until_phase(SHORT, "live")
            assert site.daemon.status()["held_back"] == []
            assert site.daemon.stop() == 0
            assert site.joins() == 1


def _status(site: Site) -> str:
    """Answer what `locum status` tells a person."""
    command = [sys.executable, "-m", "locum", "status", "--config", str(site.config)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_join_without_a_name_is_settled_after_a_recovery(tmp_path: Path) -> None:
    """Killed before the answer came: the balance tells that nothing runs, then it is joined."""
    with on_stage(tmp_path, meeting(SHORT, 10, 10_000)) as site, site.playing():
        site.stage.pikastream.faults.add(
            Fault(path="/meeting-session", method="POST", drop=True)
        )
        site.until_phase(SHORT, "ambiguous")
        site.daemon.kill()
        spoil_table(site.ledger, "events")
        site.daemon.start()
        assert site.daemon.logged("ledger_recovered")
        assert site.live_rooms() == []
        site.until_phase(SHORT, "live")
        (settled,) = site.daemon.logged("join_retry_scheduled")
        assert "nothing is running" in settled["detail"]
        assert (site.joins(), site.stage.pikastream.peak_live) == (2, 1)
        assert site.daemon.stop() == 0


def test_what_is_no_ledger_of_ours_is_refused_and_kept(tmp_path: Path) -> None:
    """A directory, and the ledger of a newer locum: exit 1, a clear word, nothing changed."""
    with on_stage(tmp_path, meeting(SHORT, 3, 600)) as site, site.stage.playing():
        site.ledger.mkdir(parents=True)
        site.daemon.spawn()
        assert site.daemon.ends() == 1
        assert "is no file. Move away what is there." in site.daemon.log()
        site.ledger.rmdir()
        Database(site.ledger).close()
        with contextlib.closing(sqlite3.connect(site.ledger)) as connection:
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
            connection.execute("CREATE TABLE of_the_future (name TEXT)")
        before = site.ledger.read_bytes()
        site.daemon.spawn()
        assert site.daemon.ends() == 1
        assert "was written by a newer locum" in site.daemon.log()
        assert site.ledger.read_bytes() == before
        assert not (site.state / "quarantine").exists()
        assert site.joins() == 0


# ── while it runs ────────────────────────────────────────────────────────────────────────


def test_damage_met_while_running_hands_the_meeting_over(tmp_path: Path) -> None:
    """It ends with an error and leaves nobody; the next start restores, adopts and files."""
    with on_stage(tmp_path, meeting(LONG, 5, 200)) as site, site.playing():
        site.until_phase(LONG, "live")
        spoil_table(site.ledger, "events")
        assert site.daemon.ends() == 1
        assert site.daemon.logged("ledger_damaged")
        assert "Start again" in site.daemon.log()
        (presence,) = site.stage.pikastream.live_sessions()
        site.daemon.start()
        assert site.daemon.logged("ledger_recovered")
        until(lambda: site.daemon.logged("session_adopted"), "the adoption")
        site.assert_all_well(LONG)
        assert [each.id for each in site.stage.pikastream.sessions()] == [presence.id]
        assert site.daemon.stop() == 0


def test_a_presence_whose_name_would_be_lost_is_ended_first(tmp_path: Path) -> None:
    """The sessions themselves are damaged: it leaves, and goes back in once that is proved."""
    with on_stage(tmp_path, meeting(LONG, 5, 10_000)) as site, site.playing():
        site.until_phase(LONG, "live")
        spoil_table(site.ledger, "sessions")
        assert site.daemon.ends() == 1
        assert site.live_rooms() == []
        site.daemon.start()
        assert not site.daemon.status()["ledger_recovery"]["sessions_known"]
        until(lambda: site.daemon.logged("lost_sessions_settled"), "the balance's word")
        until(site.live_rooms, "the way back in")
        first, second = site.stage.pikastream.sessions()
        assert first.ended is not None
        assert first.ended <= second.started
        assert site.daemon.stop() == 0
        assert site.live_rooms() == []


# ── backups ──────────────────────────────────────────────────────────────────────────────


def test_the_daily_backup_is_kept_and_old_ones_go(tmp_path: Path) -> None:
    """A copy of today that opens and knows what was; of the older ones the newest six stay."""
    with on_stage(tmp_path, meeting(SHORT, 5, 30)) as site, site.playing():
        site.assert_all_well(SHORT)
        assert site.daemon.stop() == 0
        backups = site.state / "backups"
        (today,) = backups.iterdir()
        today.unlink()
        now = site.stage.clock.now()
        older = [f"ledger-{now - timedelta(days=n):%Y-%m-%d}.sqlite3" for n in range(2, 11)]
        for name in (*older, "ledger-of-mine.sqlite3"):
            (backups / name).write_bytes(b"old")
        site.daemon.start()
        until(lambda: len(site.daemon.logged("ledger_backup_kept")) == 2, "the backup")
        until(lambda: len(list(backups.iterdir())) == 8, "the pruning")
        assert {each.name for each in backups.iterdir()} == {
            f"ledger-{site.stage.clock.now():%Y-%m-%d}.sqlite3",
            *older[:6],
            "ledger-of-mine.sqlite3",
        }
        with contextlib.closing(Database(today, read_only=True)) as database:
            (row,) = database.rows("SELECT phase, meetings FROM sessions")
        assert row["phase"] == "filed"
        assert SHORT in row["meetings"]
