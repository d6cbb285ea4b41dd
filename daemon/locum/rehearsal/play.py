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
from locum.rehearsal.configuring import write_config
from locum.rehearsal.conversing import Conversation
from locum.rehearsal.engine import StageEngine
from locum.rehearsal.judging import Judged, judge
from locum.rehearsal.meet.state import PASSWORD
from locum.rehearsal.receiver import Received
from locum.rehearsal.recordings import Recordings
from locum.rehearsal.rooms import RoomEvent
from locum.rehearsal.scenario import Scenario
from locum.rehearsal.signing import sign_in
from locum.rehearsal.stage import ACCOUNT, Addresses, Stage

Tell = Callable[[str], None]

_LOOK_S = 0.2
_START_S = 60.0
_STOP_S = 90.0
_SLACK = timedelta(seconds=120)
"""How long after the scenario's end everything may still take to be filed (stage time)."""

_EARLIER_SPEED = 20.0

_INSTALL_STAGE = "Install what it runs on: `pip install 'locum[chromium,stage]'`."

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
    recordings: tuple[Path, ...] = ()
    """What the others saw and heard of our own engine's stand-in, where that was kept."""
    judged: Judged | None = None
    """The conversation, line by line, and a verdict on each demand, where there was one."""


def rehearse(
    scenario: Scenario,
    folder: Path,
    *,
    speed: float,
    tell: Tell,
    engine: StageEngine = StageEngine.PIKASTREAM,
    keep_recording: Path | None = None,
    lines_from: Path | None = None,
) -> Outcome:
    """Play `scenario` in `folder` and tell what happens, line by line.

    `lines_from` is the folder of the lines that it has as recordings, where they don't come
    along.

    Raises:
        PermanentError: The daemon doesn't start, or ends by itself; or the extra is missing
            that the stage's meeting page runs on; or a recording.
    """
    began_at = _EARLIER_SPEED if scenario.earlier is not None else speed
    stage = Stage(scenario, speed=began_at, recordings=lines_from)
    with stage.open() as addresses:
        tell(f"Google Calendar on stage at {addresses.google}")
        if engine is StageEngine.PIKASTREAM:
            tell(f"PikaStream on stage at {addresses.pikastream}")
        elif addresses.meet:
            tell(f"A meeting page with real WebRTC on stage at {addresses.meet}")
        else:
            raise PermanentError(f"The stage has no meeting page. {_INSTALL_STAGE}")
        play = _Play(stage, addresses, folder, tell)
        if scenario.earlier is not None:
            play.earlier()
        return play.now(engine, keep_recording)


class _Play:
    """One rehearsal on an open stage."""

    def __init__(self, stage: Stage, addresses: Addresses, folder: Path, tell: Tell) -> None:
        self._stage = stage
        self._addresses = addresses
        self._folder = folder
        self._tell = tell

    def _config(self, engine: StageEngine) -> Path:
        stage, folder = self._stage, self._folder
        return write_config(stage, self._addresses, folder, notices=True, engine=engine)

    def earlier(self) -> None:
        """Let the real daemon attend the series' last meeting, quickly, and file it.

        Raises:
            PermanentError: It couldn't.
        """
        self._tell("The week before, at 20 times the speed, by the stage's PikaStream:")
        daemon = _DaemonProcess(self._config(StageEngine.PIKASTREAM), self._tell)
        try:
            daemon.start()
            with self._stage.playing_earlier():
                _Watcher(self._stage, daemon, self._tell).watch()
                sessions = tuple(daemon.status()["sessions"])
        finally:
            daemon.stop()
        if broken := [*_broken_promises(self._stage, sessions)]:
            raise PermanentError(f"The earlier meeting came to nothing: {'; '.join(broken)}.")
        self._tell("A week later:")

    def now(self, engine: StageEngine, keep_recording: Path | None) -> Outcome:
        """Play the scenario itself."""
        stage, scenario = self._stage, self._stage.scenario
        config = self._config(engine)
        # "At noon" is the same hour for the people of a scenario and for who looks it up.
        environ = {} if scenario.begins is None else {"TZ": "UTC"}
        daemon = _DaemonProcess(config, self._tell, environ)
        recordings = None if keep_recording is None else Recordings(stage, keep_recording)
        if engine is StageEngine.CHROMIUM:
            owner = scenario.owner.email
            self._tell(f"Its browser is signed in as {owner}, once: locum meet login {ACCOUNT}")
            sign_in(config, ACCOUNT, owner, PASSWORD)
        talk = scenario.talk
        conversation = None if talk is None else Conversation(stage, talk, self._tell)
        try:
            daemon.start()
            with stage.playing():
                _Watcher(stage, daemon, self._tell, recordings, conversation).watch()
            sessions = tuple(daemon.status()["sessions"])
        finally:
            exit_code = daemon.stop()
            dialogue = None if conversation is None else conversation.finish()
            kept = () if recordings is None else recordings.finish()
        problems = [*_broken_promises(stage, sessions)]
        if exit_code != 0:
            problems.append(
                f"the daemon ended with exit code {exit_code}: see {daemon.log_path}"
            )
        summaries = tuple(_summaries(sessions))
        judged = None
        if dialogue is not None:
            twin = summaries[-1].with_suffix(".json") if summaries else None
            judged = judge(scenario, dialogue, twin)
            problems += (
                f"{each.demand}: {each.found}" for each in judged.verdicts if not each.holds
            )
        return Outcome(
            summaries=summaries,
            sessions=sessions,
            problems=tuple(problems),
            spent_usd=sum(float(bill.credits) for bill in stage.pikastream.bills) / 100,
            folder=self._folder,
            notices=stage.receiver.received,
            recordings=kept,
            judged=judged,
        )


class _DaemonProcess:
    """`locum run` as a child; can be killed and started again."""

    def __init__(
        self, config: Path, tell: Tell, environ: Mapping[str, str] | None = None
    ) -> None:
        self._config = config
        self._environ = environ or {}
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
        environ |= self._environ
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

    def __init__(
        self,
        stage: Stage,
        daemon: _DaemonProcess,
        tell: Tell,
        recordings: Recordings | None = None,
        conversation: Conversation | None = None,
    ) -> None:
        self._recordings = recordings
        self._conversation = conversation
        self._stage = stage
        self._daemon = daemon
        self._tell = tell
        self._told_rooms = len(stage.rooms.log())
        self._told_notices = 0
        self._told_phases: dict[str, str] = {}
        self._told_plan: set[tuple[str, str]] = set()
        self._told_awaited: dict[str, tuple[str, ...]] = {}
        self._kills = sorted(stage.scenario.kill_daemon_at)

    def watch(self) -> None:
        until = self._ends_at() + _SLACK
        if self._conversation is not None:
            self._conversation.begin()
        while self._stage.offset() < until:
            time.sleep(_LOOK_S)
            if self._kills and self._stage.offset() >= self._kills[0]:
                self._kills.pop(0)
                self._tell(f"{self._when()} the daemon is killed, and started again")
                self._daemon.kill_and_restart()
            if self._recordings is not None:
                self._recordings.look()
            self._tell_rooms()
            self._tell_notices()
            status = self._daemon.status()
            self._tell_plan(status)
            self._tell_phases(status)
            self._tell_awaited(status)
            if self._is_over(status):
                return
        self._tell(f"{self._when()} the scenario is over, and not everything was filed")

    def _is_over(self, status: Mapping[str, Any]) -> bool:
        """Everything has been filed, and nothing more is going to happen."""
        quiet = self._stage.offset() >= self._last_entry() and not self._kills
        if self._conversation is not None:
            quiet = self._conversation.over
        done = all(
            session["phase"] in _FINAL and not session["awaited"]
            for session in status["sessions"]
        )
        return bool(quiet and status["sessions"] and done and not status["next"])

    def _ends_at(self) -> timedelta:
        """Answer when nothing more is planned; of a talk's calendar its own event counts alone."""
        scenario = self._stage.scenario
        if scenario.talk is None:
            return scenario.ends_at
        room = scenario.talk.room
        return max(event.ends_at for event in scenario.events if event.meet == room)

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

    def _tell_awaited(self, status: Mapping[str, Any]) -> None:
        for session in status["sessions"]:
            awaited = tuple(session["awaited"])
            before = self._told_awaited.get(session["key"], ())
            self._told_awaited[session["key"]] = awaited
            for source in (each for each in awaited if each not in before):
                self._tell(f'{self._when()} locum awaits {source} of "{session["title"]}"')
            for source in (each for each in before if each not in awaited):
                self._tell(f"{self._when()} {source} is settled")

    def _when(self) -> str:
        return f"{self._stage.offset().total_seconds():6.1f} s"


def _room_line(entry: RoomEvent) -> str:
    if entry.kind == "said":
        return f"[{entry.room}] {entry.name}: {entry.text}"
    return f"[{entry.room}] {entry.name} {entry.kind}".rstrip()


def _broken_promises(stage: Stage, sessions: tuple[Mapping[str, Any], ...]) -> Iterator[str]:
    """Compare the stage's own books with what locum promises."""
    visits = [visit for visit in stage.rooms.visits() if visit.is_bot]
    if stage.pikastream.live_sessions():
        yield "a paid session is still running"
    if any(visit.present for visit in visits):
        yield "a stand-in is still in a room"
    if max(stage.pikastream.peak_in_room, stage.rooms.peak_bots()) > 1:
        yield "two stand-ins were in one room"
    for session in sessions:
        if session["phase"] not in _FINAL:
            yield f'"{session["title"]}" isn\'t filed: it is {session["phase"]}'
        for summary in session["summaries"]:
            if summary["location"] is None:
                yield f'"{session["title"]}" has no summary: {summary["problem"]}'
    if not visits:
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
