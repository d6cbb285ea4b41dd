"""A real browser in a meeting's own process: killed with its process, or alone, it is back.

The whole tree, and every way in which it can lose a part, is in `test_attend_kills`; here is
what only a Chromium can show: that nothing of it is left.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from locum import processes
from locum.rehearsal.meet import Guests, MeetStage, PageSettings
from locum.rehearsal.meet.serving import served_meet
from locum.rehearsal.rooms import Rooms
from tests.acceptance.surroundings import Site, meeting, on_stage, until

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("attend_kills"),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium"),
]

_ENGINE = """\
[engines.chromium]
type = "chromium"
guest = true
sandbox = false
width = 640
height = 360
meet_url = "{url}/"

"""


def _tree(daemon: int) -> tuple[dict[str, int], dict[int, int]]:
    """Answer the child and the browser's main process by name, and all below the daemon."""
    there = processes.all_processes()
    below = processes.descendants((daemon,), there) - {daemon}
    named = {}
    for pid in below:
        command = _command(pid)
        if " attend " in command:
            named["child"] = pid
        elif "--user-data-dir=" in command and "--type=" not in command:
            named["browser"] = pid
        elif " run-driver" in command:
            named["driver"] = pid
    return named, {pid: there[pid].started for pid in below}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _is_gone(tree: Mapping[int, int]) -> bool:
    found = ((started, processes.process(pid)) for pid, started in tree.items())
    return not any(
        now is not None and now.started == started and not now.is_zombie
        for started, now in found
    )


def _live(site: Site, attempts: int) -> bool:
    sessions = site.daemon.status()["sessions"]
    return any((s["phase"], s["attempts"]) == ("live", attempts) for s in sessions)


def test_a_real_browser_is_killed(tmp_path: Path) -> None:
    """With its process, and alone: it is gone with all that belongs to it, and back."""
    with on_stage(tmp_path, meeting("Meeting", 3, 10_000), speed=1.0) as site:
        now = site.stage.clock.now
        rooms = Rooms(now=now)
        stage = MeetStage(now=now, rooms=rooms, settings=PageSettings(guests=Guests.OPEN))
        with served_meet(stage, media=True, addresses=["127.0.0.1"]) as server:
            text = site.config.read_text()
            before, _, rest = text.partition("[engines.pikastream]")
            engine = _ENGINE.format(url=server.base_url)
            site.config.write_text(f"{before}{engine}[[sinks]]{rest.partition('[[sinks]]')[2]}")
            rooms.enter("mmm-mmmm-mmm", "Ada")
            trees = []
            with site.playing():
                daemon = site.daemon.process.pid
                for attempt, victim in enumerate(("child", "browser", "driver"), start=1):
                    until(functools.partial(_live, site, attempt), "the presence")
                    named, tree = _tree(daemon)
                    trees.append(tree)
                    os.kill(named[victim], signal.SIGKILL)
                    killed_at = time.monotonic()
                    until(functools.partial(_live, site, attempt + 1), f"it without {victim}")
                    print(f"{victim}: live again after {time.monotonic() - killed_at:.1f} s")
                assert all(map(_is_gone, trees))
                trees.append(_tree(daemon)[1])
                assert site.daemon.stop() == 0
            assert all(map(_is_gone, trees))
