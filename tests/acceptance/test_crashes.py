"""The daemon is killed again and again; the promises hold all the same.

Some 130 kills of the real process: at each point of persistence, at system calls, after
disks have failed, at any instant. `python -m tests.campaign --kills N` plays more of them.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
from pathlib import Path

import pytest

from locum.ledger import Database, Ledger
from locum.rehearsal.configuring import write_config
from locum.rehearsal.play import _DaemonProcess
from locum.rehearsal.scenario import parse_scenario
from locum.rehearsal.stage import Stage
from tests.acceptance.surroundings import until
from tests.campaign.kills import Campaign
from tests.campaign.verdict import Promises
from tests.integration.ledger_writer import claim, key, let_in, read_calendar

KILLS = 132
SPEED = 12.0

_SCENARIO = """
title = "Three at a time"
[owner]
email = "alex@example.com"
name = "Alex"
[pikastream]
ready_after = 2
[[events]]
id = "one"
title = "Meeting one"
starts_at = 15
duration = 10000
organizer = "alex@example.com"
meet = "one-room-two"
[[events]]
id = "two"
title = "Meeting two"
starts_at = 15
duration = 10000
organizer = "alex@example.com"
meet = "bes-ides-abc"
[[events]]
id = "three"
title = "Meeting three"
starts_at = 15
duration = 10000
organizer = "alex@example.com"
meet = "lon-gone-abc"
"""


@pytest.mark.timeout(1500)  # 80 s alone on two cores; it isn't to fail on a busy machine.
def test_it_is_killed_at_each_point_and_at_any_instant() -> None:
    """Nothing acknowledged is lost, never two in a room, nothing left running."""
    assert Campaign(KILLS, jobs=4).play() == 0


@pytest.mark.timeout(600)
def test_kills_find_a_planted_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the row written after the call, a kill between them would leave a presence alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # Where it keeps what failed.
    plant = "joins_are_written_after_the_post"
    campaign = Campaign(2, ways=("schema.done", "post.after"), plant=plant)
    assert campaign.play() == 1
    assert campaign.verdict.kills == 2
    assert campaign.verdict.counts["orphans"] >= 1
    assert campaign.verdict.counts["double"] >= 1


def test_what_was_acknowledged_and_is_gone_is_named(tmp_path: Path) -> None:
    """A row that a process had committed and that its successor doesn't find is a loss."""
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(Database(path)) as database:
        ledger = Ledger(database)
        read_calendar(ledger, range(2))
        for number in range(2):
            claim(ledger, number)
        let_in(ledger, 0)
        rows = database.rows("SELECT id, session, after FROM transitions")
        promises = Promises(
            moves={tuple(row) for row in rows}, handles={(str(key(0)), "handle-0")}
        )
        assert list(promises.missing(path)) == []
        database.execute("DELETE FROM transitions WHERE session = ?", (key(1),))
        database.execute("UPDATE attempts SET handle = NULL")
        gone = list(promises.missing(path))
        assert len(gone) == 2
        assert str(key(1)) in gone[0]
        assert "handle-0" in gone[1]
        assert list(promises.missing(path)) == []  # Told once.


def test_told_to_stop_twice_and_during_the_start(tmp_path: Path) -> None:
    """SIGTERM while it starts, and twice while it runs: always in order, nothing left."""
    scenario = parse_scenario(_SCENARIO.encode())
    stage = Stage(scenario, speed=SPEED)
    with stage.open() as addresses:
        config = write_config(stage, addresses, tmp_path)
        # What a slow start makes late is not to be given up.
        config.write_text(config.read_text().replace('grace = "60s"', 'grace = "1h"'))
        daemon = _DaemonProcess(config, print)
        try:
            daemon.start()
            with stage.playing():
                until(lambda: len(stage.pikastream.live_sessions()) == 3, "three presences")
                for _ in range(2):
                    daemon._process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
                assert daemon.stop() == 0
                assert stage.pikastream.live_sessions() == ()
                # Started again, and stopped as soon as it answers.
                daemon.start()
                assert daemon.stop() == 0
                assert stage.pikastream.live_sessions() == ()
        finally:
            daemon.stop()
            print((tmp_path / "daemon.log").read_text())
        assert stage.pikastream.peak_in_room == 1
