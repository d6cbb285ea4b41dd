"""The daemon is killed at any instant, again and again; the promises hold all the same.

What is compared is the stage's own books: who was in which room when, what was billed, and
which files there are. LOCUM_CRASH_RUNS makes more runs than the usual three.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from locum.errors import LocumError
from locum.rehearsal.pikastate import SessionState
from locum.rehearsal.play import _DaemonProcess
from locum.rehearsal.scenario import parse_scenario
from locum.rehearsal.stage import Stage, write_config

RUNS = int(os.environ.get("LOCUM_CRASH_RUNS", "3"))
KILLS = 4
SPEED = 12.0
_AFTER_END = timedelta(seconds=60)
_FINAL = frozenset({"filed", "missed", "refused", "failed"})

pytestmark = pytest.mark.timeout(120)

_SCENARIO = """
title = "A morning of meetings"
[owner]
email = "alex@example.com"
name = "Alex"
[pikastream]
ready_after = 2
[[events]]
id = "first"
title = "First half"
starts_at = 15
duration = 40
organizer = "alex@example.com"
meet = "one-room-two"
[[events]]
id = "second"
title = "Second half"
starts_at = 55
duration = 40
organizer = "alex@example.com"
meet = "one-room-two"
[[events]]
id = "beside"
title = "At the same time"
starts_at = 25
duration = 75
organizer = "dana@example.com"
meet = "bes-ides-abc"
attendees = [{ email = "alex@example.com", answer = "accepted" }]
[[events]]
id = "long"
title = "A long one"
starts_at = 20
duration = 130
organizer = "alex@example.com"
meet = "lon-gone-abc"
[[events]]
id = "late"
title = "A late one"
starts_at = 100
duration = 50
organizer = "alex@example.com"
meet = "lat-eone-abc"
[[events]]
id = "stranger"
title = "A stranger's"
starts_at = 15
duration = 130
organizer = "mallory@example.net"
meet = "str-ange-rrr"
attendees = [{ email = "alex@example.com", answer = "needsAction" }]
[[events]]
id = "declined"
title = "Declined"
starts_at = 15
duration = 130
organizer = "dana@example.com"
meet = "dec-line-ddd"
attendees = [{ email = "alex@example.com", answer = "declined" }]
"""

_FAULTS = (
    # An answer that is lost although the join ran.
    """
[[faults]]
target = "pikastream"
at = 0
method = "POST"
path = "/proxy/realtime/meeting-session"
skip = 2
after = true
""",
    # Leaving fails, for a while.
    """
[[faults]]
target = "pikastream"
at = 0
method = "DELETE"
path = "/proxy/realtime/session/"
times = 6
status = 500
""",
    # Joins are refused, looks fail, answers are slow.
    """
[[faults]]
target = "pikastream"
at = 0
method = "POST"
path = "/proxy/realtime/meeting-session"
times = 3
status = 503
[[faults]]
target = "pikastream"
at = 30
method = "GET"
path = "/proxy/realtime/session/"
times = 10
status = 503
[[faults]]
target = "pikastream"
at = 60
method = "POST"
path = "/proxy/realtime/meeting-session"
times = "always"
delay_s = 0.3
""",
)


@dataclass
class Run:
    """What one run left behind."""

    stage: Stage
    folder: Path
    sessions: tuple[Mapping[str, Any], ...]
    running_at_the_end: frozenset[str]
    exit_code: int

    @property
    def suspected(self) -> frozenset[str]:
        """Answer the rooms of which the daemon says that an unnamed presence may be there."""
        return frozenset(
            session["room"].rpartition("/")[2]
            for session in self.sessions
            if session["end_reason"] == "lost_join"
        )

    def by_room(self) -> Mapping[str, list[SessionState]]:
        rooms = defaultdict(list)
        for session in self.stage.pikastream.sessions():
            rooms[session.request.room].append(session)
        return rooms

    def filed(self) -> Counter[str]:
        """Answer how often each title was filed, by the files themselves."""
        twins = (self.folder / "summaries").rglob("*.json")
        return Counter(str(json.loads(twin.read_text())["title"]) for twin in twins)


@contextlib.contextmanager
def _killed_within(daemon: _DaemonProcess, seconds: float) -> Iterator[None]:
    """Kill whatever process there is then: in the middle of its start, if that is soon."""

    def kill() -> None:
        if daemon._process is not None:
            daemon._process.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _play(seed: int, folder: Path) -> Run:
    dice = random.Random(seed)
    text = _SCENARIO + _FAULTS[seed % len(_FAULTS)]
    scenario = parse_scenario(text.encode())
    stage = Stage(scenario, speed=SPEED)
    with stage.open() as addresses:
        config = write_config(stage, addresses, folder)
        config.write_text(config.read_text().replace('grace = "60s"', 'grace = "150s"'))
        daemon = _DaemonProcess(config, print)
        try:
            daemon.start()
            with stage.playing():
                for _ in range(KILLS):
                    time.sleep(dice.uniform(0.2, 2.5))
                    print(f"{stage.offset().total_seconds():6.1f} s killed")
                    daemon._process.kill()  # type: ignore[union-attr]
                    daemon._process.wait()  # type: ignore[union-attr]
                    if dice.random() < 0.5:
                        with _killed_within(daemon, dice.uniform(0.3, 2.0)):
                            with contextlib.suppress(LocumError):
                                daemon.start()
                            time.sleep(0.1)
                        daemon._process.kill()  # type: ignore[union-attr]
                        daemon._process.wait()  # type: ignore[union-attr]
                    daemon.start()
                # A slow machine may still have been starting it at the end.
                _sleep_until(stage, max(scenario.ends_at, stage.offset()) + _AFTER_END)
                running = frozenset(s.request.room for s in stage.pikastream.live_sessions())
                _until_final(daemon)
                sessions = tuple(daemon.status()["sessions"])
        finally:
            exit_code = daemon.stop()
            print((folder / "daemon.log").read_text())
        return Run(stage, folder, sessions, running, exit_code)


def _sleep_until(stage: Stage, offset: timedelta) -> None:
    left = (offset - stage.offset()) / SPEED
    time.sleep(max(left.total_seconds(), 0))


def _until_final(daemon: _DaemonProcess) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if all(session["phase"] in _FINAL for session in daemon.status()["sessions"]):
            return
        time.sleep(0.1)


def _peak(sessions: list[SessionState]) -> int:
    """Answer the most of these that ran at the same time."""
    edges: list[tuple[datetime, int]] = []
    for session in sessions:
        edges.append((session.started, 1))
        if session.ended is not None:
            edges.append((session.ended, -1))
    running = most = 0
    for _, step in sorted(edges):
        running += step
        most = max(most, running)
    return most


@pytest.mark.parametrize("seed", range(RUNS))
def test_killed_at_any_instant(seed: int, tmp_path: Path) -> None:
    """Never twice, never left running, nothing lost, nobody where we aren't wanted."""
    run = _play(seed, tmp_path)
    rooms = run.by_room()
    print({room: [(s.started, s.ended) for s in rooms[room]] for room in rooms})
    assert run.exit_code == 0
    # Never uninvited.
    assert not set(rooms) & {"str-ange-rrr", "dec-line-ddd"}
    # Never twice, never left running; but for what was said to be beyond our reach.
    twice = {room for room, sessions in rooms.items() if _peak(sessions) > 1}
    assert twice <= run.suspected
    assert run.running_at_the_end <= run.suspected
    # Never missed unheard: a room that nobody went to has a session that says why.
    told = {session["room"].rpartition("/")[2] for session in run.sessions}
    assert told == {"one-room-two", "bes-ides-abc", "lon-gone-abc", "lat-eone-abc"}
    # What a lost join may have left behind is nobody's session; all others are known by name.
    entered = {room for room in rooms if _was_in(run.stage, room)} - run.suspected
    # Nothing lost, and nothing told twice.
    assert [s for s in run.sessions if s["phase"] not in _FINAL] == []
    filed = run.filed()
    assert not [title for title, times in filed.items() if times > 1]
    attended = {
        meeting["title"]
        for session in run.sessions
        for meeting in session["meetings"]
        if session["admitted_at"] and meeting["start"] < session["ended_at"]
    }
    assert attended <= set(filed)
    # A presence that ran and wasn't seen to be let in is told of as well, and nothing else.
    assert set(filed) <= {
        meeting["title"]
        for session in run.sessions
        for meeting in session["meetings"]
        if session["phase"] == "filed"
    }
    assert entered <= {
        session["room"].rpartition("/")[2] for session in run.sessions if session["admitted_at"]
    }


def _was_in(stage: Stage, room: str) -> bool:
    return any(v.is_bot and v.entered_at is not None for v in stage.rooms.visits(room))


def test_told_to_stop_twice_and_during_the_start(tmp_path: Path) -> None:
    """SIGTERM while it starts, and twice while it runs: always in order, nothing left."""
    scenario = parse_scenario(_SCENARIO.encode())
    stage = Stage(scenario, speed=SPEED)
    with stage.open() as addresses:
        config = write_config(stage, addresses, tmp_path)
        daemon = _DaemonProcess(config, print)
        try:
            daemon.start()
            with stage.playing():
                _sleep_until(stage, timedelta(seconds=40))
                assert len(stage.pikastream.live_sessions()) == 3
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
