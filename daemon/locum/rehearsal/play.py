"""`locum rehearse`: the real daemon, in a process of its own, through a scenario on the stage.

It watches from outside, as a user would: the control socket, the rooms, the bills and the
files. At the end it compares what happened with what was promised.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from locum.control import call_daemon
from locum.errors import LocumError, PermanentError
from locum.rehearsal.receiver import Received
from locum.rehearsal.rooms import RoomEvent
from locum.rehearsal.scenario import Scenario
from locum.rehearsal.stage import Stage, write_config

Tell = Callable[[str], None]

_LOOK_S = 0.2
_START_S = 60.0
_STOP_S = 90.0
_SLACK = timedelta(seconds=120)
"""How long after the scenario's end everything may still take to be filed (stage time)."""

_FINAL = frozenset({"filed", "missed", "refused", "failed"})


@dataclass(frozen=True)
class Outcome:
    """What a rehearsal came to. `problems` is empty where every promise held."""

    summaries: tuple[Path, ...]
    sessions: tuple[Mapping[str, Any], ...]
    problems: tuple[str, ...]
    spent_usd: float
    folder: Path
    notices: tuple[Received, ...] = ()
    """What its owner was told, where the extra for that is installed."""


def rehearse(scenario: Scenario, folder: Path, *, speed: float, tell: Tell) -> Outcome:
    """Play `scenario` in `folder` and tell what happens, line by line.

    Raises:
        PermanentError: The daemon doesn't start, or ends by itself.
    """
    stage = Stage(scenario, speed=speed)
    with stage.open() as addresses:
        tell(f"Google Calendar on stage at {addresses.google}")
        tell(f"PikaStream on stage at {addresses.pikastream}")
        config = write_config(stage, addresses, folder, notices=True)
        daemon = _DaemonProcess(config, tell)
        try:
            daemon.start()
            with stage.playing():
                _Watcher(stage, daemon, tell).watch()
            sessions = tuple(daemon.status()["sessions"])
        finally:
            exit_code = daemon.stop()
        problems = [*_broken_promises(stage, sessions)]
        if exit_code != 0:
            problems.append(
                f"the daemon ended with exit code {exit_code}: see {daemon.log_path}"
            )
    return Outcome(
        summaries=tuple(_summaries(sessions)),
        sessions=sessions,
        problems=tuple(problems),
        spent_usd=sum(float(bill.credits) for bill in stage.pikastream.bills) / 100,
        folder=folder,
        notices=stage.receiver.received,
    )


class _DaemonProcess:
    """`locum run` as a child; can be killed and started again."""

    def __init__(self, config: Path, tell: Tell) -> None:
        self._config = config
        self._tell = tell
        self.log_path = config.parent / "daemon.log"
        self._socket = config.parent / "state" / "control.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; `stop` ends it, however far it came.

        Raises:
            PermanentError: It ends at once, or doesn't answer in time.
        """
        # Nothing of the caller's own set-up may reach a daemon on the stage.
        foreign = ("PIKA_", "LOCUM_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")
        environ = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        command = [sys.executable, "-m", "locum", "run", "--config", str(self._config)]
        with self.log_path.open("ab") as log:
            process = self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ
            )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise PermanentError(
                    f"The daemon ended at once, with exit code {process.returncode}:\n"
                    f"{_tail(self.log_path)}"
                )
            with contextlib.suppress(LocumError):
                call_daemon(self._socket, "status")
                self._tell(
                    f"The daemon runs (process {process.pid}), its log is {self.log_path}"
                )
                return
            time.sleep(0.05)
        process.kill()
        raise PermanentError(
            f"The daemon didn't start in {_START_S:.0f} s; see {self.log_path}."
        )

    def status(self) -> Mapping[str, Any]:
        """Ask the daemon how it is.

        Raises:
            PermanentError: It has ended.
            LocumError: It doesn't answer now.
        """
        if self._process is None or self._process.poll() is not None:
            code = None if self._process is None else self._process.returncode
            raise PermanentError(
                f"The daemon ended by itself, with exit code {code}:\n{_tail(self.log_path)}"
            )
        return call_daemon(self._socket, "status")

    def kill_and_restart(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.start()

    def stop(self) -> int:
        """End it in order, or else by force; answers its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class _Watcher:
    """Tells what happens on the stage and in the daemon until all of it is over."""

    def __init__(self, stage: Stage, daemon: _DaemonProcess, tell: Tell) -> None:
        self._stage = stage
        self._daemon = daemon
        self._tell = tell
        self._told_rooms = 0
        self._told_notices = 0
        self._told_phases: dict[str, str] = {}
        self._told_plan: set[tuple[str, str]] = set()
        self._kills = sorted(stage.scenario.kill_daemon_at)

    def watch(self) -> None:
        until = self._stage.scenario.ends_at + _SLACK
        while self._stage.offset() < until:
            time.sleep(_LOOK_S)
            if self._kills and self._stage.offset() >= self._kills[0]:
                self._kills.pop(0)
                self._tell(f"{self._when()} the daemon is killed, and started again")
                self._daemon.kill_and_restart()
            self._tell_rooms()
            self._tell_notices()
            status = self._daemon.status()
            self._tell_plan(status)
            self._tell_phases(status)
            if self._is_over(status):
                return
        self._tell(f"{self._when()} the scenario is over, and not everything was filed")

    def _is_over(self, status: Mapping[str, Any]) -> bool:
        """Everything has been filed, and nothing more is going to happen."""
        quiet = self._stage.offset() >= self._last_entry() and not self._kills
        done = all(
            session["phase"] in _FINAL and not session["awaited"]
            for session in status["sessions"]
        )
        return bool(quiet and status["sessions"] and done and not status["next"])

    def _last_entry(self) -> timedelta:
        """Answer the last instant at which the scenario can still ask for something."""
        scenario = self._stage.scenario
        return max(
            (
                *(event.starts_at for event in scenario.events),
                *(edit.at for edit in scenario.edits),
                *(edit.to for edit in scenario.edits if edit.to is not None),
                timedelta(0),
            )
        )

    def _tell_rooms(self) -> None:
        log = self._stage.rooms.log()
        for entry in log[self._told_rooms :]:
            self._tell(f"{self._when()} {_room_line(entry)}")
        self._told_rooms = len(log)

    def _tell_notices(self) -> None:
        received = self._stage.receiver.received
        for notice in received[self._told_notices :]:
            self._tell(f"{self._when()} locum tells its owner: {notice.title}")
        self._told_notices = len(received)

    def _tell_plan(self, status: Mapping[str, Any]) -> None:
        for event in (*status["next"], *status["left_alone"]):
            news = (event["title"], event["reason"])
            if news not in self._told_plan:
                self._told_plan.add(news)
                does = "will go to" if event["decision"] == "join" else "leaves alone"
                self._tell(f'{self._when()} locum {does} "{news[0]}": {news[1]}')

    def _tell_phases(self, status: Mapping[str, Any]) -> None:
        for session in status["sessions"]:
            if self._told_phases.get(session["key"]) != session["phase"]:
                self._told_phases[session["key"]] = session["phase"]
                reason = f" ({session['end_reason']})" if session["end_reason"] else ""
                self._tell(
                    f'{self._when()} locum: "{session["title"]}" is {session["phase"]}{reason}'
                )

    def _when(self) -> str:
        return f"{self._stage.offset().total_seconds():6.1f} s"


def _room_line(entry: RoomEvent) -> str:
    if entry.kind == "said":
        return f"[{entry.room}] {entry.name}: {entry.text}"
    return f"[{entry.room}] {entry.name} {entry.kind}".rstrip()


def _broken_promises(stage: Stage, sessions: tuple[Mapping[str, Any], ...]) -> Iterator[str]:
    """Compare the stage's own books with what locum promises."""
    bots = stage.pikastream.sessions()
    if stage.pikastream.live_sessions():
        yield "a paid session is still running"
    if stage.pikastream.peak_in_room > 1:
        yield "two stand-ins were in one room"
    for session in sessions:
        if session["phase"] not in _FINAL:
            yield f'"{session["title"]}" isn\'t filed: it is {session["phase"]}'
        for summary in session["summaries"]:
            if summary["location"] is None:
                yield f'"{session["title"]}" has no summary: {summary["problem"]}'
    if not bots:
        yield "nobody went to any meeting"
    if not any(session["admitted_at"] for session in sessions):
        yield "nobody got into any meeting"


def _summaries(sessions: tuple[Mapping[str, Any], ...]) -> Iterator[Path]:
    # The newest session comes first in the status; its summary is told last.
    for session in reversed(sessions):
        for summary in session["summaries"]:
            if summary["location"] is not None:
                yield Path(summary["location"])


def _tail(path: Path, size: int = 4000) -> str:
    try:
        return path.read_bytes()[-size:].decode("utf-8", "replace")
    except OSError as error:
        return f"({path} can't be read: {error.strerror})"
