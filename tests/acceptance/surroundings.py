"""The real process and what surrounds it: a stage, servers that stall, damaged files.

`locum run` is a child of its own, and the stage plays on whatever becomes of it. Waiting is
for things that must come true; how long the host takes is nobody's promise.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from locum.control import call_daemon
from locum.errors import LocumError
from locum.rehearsal.configuring import write_config
from locum.rehearsal.pikastate import PikaSettings
from locum.rehearsal.scenario import Owner, Scenario, ScenarioEvent
from locum.rehearsal.stage import Stage

T = TypeVar("T")

FINAL = frozenset({"filed", "missed", "refused", "failed"})
OWNER = Owner("alex@example.com", "Alex")
SPEED = 12.0
_PATIENCE_S = 60.0
_FOREIGN = ("PIKA_", "LOCUM_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")


def until(found: Callable[[], T | None], what: str, *, within: float = _PATIENCE_S) -> T:
    """Wait, in the host's seconds, for the first answer that counts as true; answer it."""
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(LocumError):  # The daemon isn't there yet, or not now.
            if answer := found():
                return answer
        if time.monotonic() > deadline:
            pytest.fail(f"waited {within:.0f} s for: {what}")
        time.sleep(0.05)


class DaemonProcess:
    """`locum run` as a child; `wrapper` is what runs it, `environ` what it finds besides."""

    def __init__(
        self,
        config: Path,
        *,
        wrapper: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        socket: Path | None = None,
    ) -> None:
        self.log_path = config.with_suffix(".log")
        self._command = [*wrapper, sys.executable, "-m", "locum", "run", "--log-json"]
        self._command += ["--config", str(config)]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        self._environ = {**inherited, "TZ": "UTC", **(environ or {})}
        self._socket = socket or config.parent / "state" / "control.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def exit_code(self) -> int | None:
        return self.process.poll()

    def spawn(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
            )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.spawn()

        def answers() -> bool:
            if self.exit_code is not None:
                pytest.fail(f"it ended at once, with exit code {self.exit_code}: {self.log()}")
            return bool(self.status())

        until(answers, "the daemon's answer")

    def status(self) -> Mapping[str, Any]:
        """Ask how it is.

        Raises:
            LocumError: It doesn't answer now.
        """
        return call_daemon(self._socket, "status")

    def until_read(self) -> None:
        """Wait for the first reading of the calendars."""
        until(
            lambda: [each for each in self.status()["calendars"] if each["read_at"]],
            "the first reading",
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ends(self) -> int:
        """Wait for it to end by itself; answers its exit code."""
        return self.process.wait(timeout=_PATIENCE_S)

    def stop(self) -> int:
        if self.exit_code is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -1

    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Answer what was logged under that name, oldest first."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def close(self) -> None:
        """Make sure that nothing of it is left; its log is shown where the test has failed."""
        if self._process is not None and self.exit_code is None:
            self.kill()
        print(f"── {self.log_path.name}\n{self.log()}")


def meeting(name: str, starts_at: float, lasts: float) -> ScenarioEvent:
    """A meeting that the owner organizes, in a room of its own, named by its first letter."""
    letter = name[0].casefold()
    return ScenarioEvent(
        id=name.casefold(),
        title=name,
        starts_at=timedelta(seconds=starts_at),
        duration=timedelta(seconds=lasts),
        organizer=OWNER.email,
        meet=f"{letter * 3}-{letter * 4}-{letter * 3}",
    )


def scenario(*events: ScenarioEvent) -> Scenario:
    pika = PikaSettings(ready_after=timedelta(seconds=2))
    return Scenario(title="Surroundings", owner=OWNER, events=events, pikastream=pika)


@dataclass
class Site:
    """A stage that can be looked at from here, and a daemon with a config for it."""

    stage: Stage
    folder: Path
    config: Path
    daemon: DaemonProcess
    others: list[DaemonProcess] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def ledger(self) -> Path:
        return self.state / "ledger.sqlite3"

    def edit(self, before: str, after: str) -> None:
        """Change the config, as an editor that writes in place does."""
        text = self.config.read_text()
        assert before in text
        self.config.write_text(text.replace(before, after))

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """Start the daemon; play once it has read the calendar: a slow start costs no meeting."""
        self.daemon.start()
        self.daemon.until_read()
        with self.stage.playing():
            yield

    def wait_until(self, offset: float) -> None:
        """Wait for that second of the stage."""
        left = (timedelta(seconds=offset) - self.stage.offset()) / self.stage.clock.speed
        time.sleep(max(left.total_seconds(), 0.0))

    def until_phase(self, title: str, phase: str) -> Mapping[str, Any]:
        """Wait until a session of that meeting is in that phase, and answer it."""

        def reached() -> Mapping[str, Any] | None:
            sessions: list[Mapping[str, Any]] = self.daemon.status()["sessions"]
            found = (s for s in sessions if s["phase"] == phase and s["title"] == title)
            return next(found, None)

        return until(reached, f'"{title}" to be {phase}')

    def live_rooms(self) -> list[str]:
        return sorted(s.request.room for s in self.stage.pikastream.live_sessions())

    def joins(self) -> int:
        """Count the paid requests, answered or not."""
        return len(self.stage.pikastream.log.matching("/meeting-session", "POST"))

    def filed(self) -> Counter[str]:
        """Answer how often each title was filed, by the files themselves."""
        twins = (self.folder / "summaries").rglob("*.json")
        return Counter(str(json.loads(twin.read_text())["title"]) for twin in twins)

    def assert_all_well(self, *titles: str) -> None:
        """Each was attended and filed once; nobody was doubled; nothing runs any more."""
        for title in titles:
            self.until_phase(title, "filed")
        until(lambda: not self.live_rooms(), "nothing to run any more")
        assert self.filed() == Counter(titles)
        assert self.stage.pikastream.peak_in_room == 1


@contextlib.contextmanager
def on_stage(
    folder: Path, *events: ScenarioEvent, speed: float = SPEED, **daemon: Any
) -> Iterator[Site]:
    """Set a stage up, not playing yet, and a daemon, not started yet, in `folder`."""
    stage = Stage(scenario(*events), speed=speed)
    with stage.open() as addresses:
        config = write_config(stage, addresses, folder)
        site = Site(stage, folder, config, DaemonProcess(config, **daemon))
        # What a test makes wait is not to be given up on a slow machine.
        site.edit('grace = "60s"', 'grace = "1h"')
        try:
            yield site
        finally:
            for process in (site.daemon, *site.others):
                process.close()
