"""One server of a stage in a process of its own, so that it can be stopped like any process.

`python -m tests.acceptance.stage_process SPEC` reads {"clock", "events", "folder"} and, for
a Google, {"pikastream"}: the other's address, for the config that it writes. It prints its
address, plays from the first line on its stdin on, and goes when that ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from locum.rehearsal.clock import StageClock
from locum.rehearsal.configuring import write_config
from locum.rehearsal.stage import Stage
from tests.acceptance.surroundings import meeting, scenario


class StageProcess:
    """The parent's end of it."""

    def __init__(self, folder: Path, clock: StageClock, events: list[Any], **more: str) -> None:
        spec = folder / f"stage-{'google' if more else 'pikastream'}.json"
        wanted = {
            "clock": [clock.speed, clock.epoch.isoformat(), clock.epoch_host.isoformat()],
            "events": events,
            "folder": str(folder),
            **more,
        }
        spec.write_text(json.dumps(wanted))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.stage_process", str(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def play(self) -> datetime:
        """Begin; answers the instant from which the events' offsets count."""
        assert self._process.stdin is not None
        self._process.stdin.write("play\n")
        self._process.stdin.flush()
        return datetime.fromisoformat(self._answer())

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    speed, epoch, epoch_host = spec["clock"]
    clock = StageClock(
        speed=speed,
        epoch=datetime.fromisoformat(epoch),
        epoch_host=datetime.fromisoformat(epoch_host),
    )
    stage = Stage(scenario(*(meeting(*each) for each in spec["events"])), clock=clock)
    with stage.open() as own:
        address = own.pikastream
        if "pikastream" in spec:
            address = own.google
            addresses = replace(own, pikastream=spec["pikastream"])
            write_config(stage, addresses, Path(spec["folder"]))
        print(address, flush=True)
        sys.stdin.readline()
        with stage.playing():
            print(stage.beginning, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
