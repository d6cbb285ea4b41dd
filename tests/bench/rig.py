"""A real daemon, a stage's Google and a stamping PikaStream, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import random
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx

from locum.control import call_daemon
from locum.errors import LocumError
from locum.rehearsal.face import face_png

OWNER = "owner@example.com"


@dataclass(frozen=True)
class Planned:
    """One meeting of a bench."""

    start: datetime
    end: datetime


@dataclass
class Rig:
    """What a bench looks at."""

    folder: Path
    google: str
    pikastream: str
    pid: int
    started_s: float

    def status(self) -> dict[str, Any]:
        return dict(call_daemon(self.folder / "state" / "control.sock", "status"))

    def join_times(self) -> list[float]:
        """Answer when each join arrived, in the host's seconds since 1970."""
        return list(httpx.get(f"{self.pikastream}/_times").json())

    def rooms_joined(self) -> dict[str, float]:
        """Answer when the first join of each room arrived, by its code."""
        return dict(httpx.get(f"{self.pikastream}/_rooms").json())

    def google_traffic(self) -> dict[str, int]:
        return dict(httpx.get(f"{self.google}/_stage/requests").json())

    def rss_mb(self) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return float("nan")

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def codes(count: int) -> Iterator[str]:
    """Answer Meet codes, always the same ones."""
    dice = random.Random(7)
    for _ in range(count):
        letters = "".join(dice.choices(string.ascii_lowercase, k=10))
        yield f"{letters[:3]}-{letters[3:7]}-{letters[7:]}"


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[dict[str, Any]]:
    with subprocess.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        try:
            yield json.loads(running.stdout.readline())
        finally:
            running.kill()


@contextlib.contextmanager
def rig(
    meetings: Sequence[Planned],
    *,
    speed: float = 1.0,
    poll: str = "45s",
    settings: str = "",
    restart: bool = False,
) -> Iterator[Rig]:
    """Start everything; `restart` measures a second start over the same ledger."""
    with tempfile.TemporaryDirectory(prefix="locum-bench-") as name:
        folder = Path(name)
        now = datetime.now(timezone.utc)
        events = [
            {
                "title": f"Meeting {number}",
                "start": meeting.start.isoformat(),
                "end": meeting.end.isoformat(),
                "meet": code,
            }
            for number, (meeting, code) in enumerate(
                zip(meetings, codes(len(meetings)), strict=True)
            )
        ]
        clock = {"speed": speed, "epoch": now.isoformat(), "epoch_host": now.isoformat()}
        spec = {"email": OWNER, "clock": clock, "events": events}
        (folder / "spec.json").write_text(json.dumps(spec))
        with (
            process("tests.bench.google_process", str(folder / "spec.json")) as google,
            process("tests.bench.pika_process") as pikastream,
        ):
            (folder / "token.json").write_text(json.dumps(google["token"]))
            (folder / "face.png").write_bytes(face_png())
            (folder / "locum.toml").write_text(f"""\
state_dir = "state"
runtime_dir = "state"
[calendar]
api_root = "{google["address"]}/"
token_uri = "{google["address"]}/token"
poll_near = "{poll}"
[[calendar.accounts]]
name = "bench"
token_file = "token.json"
[attend]
lead = "0s"
capacity = 1000
[personas.robin]
display_name = "Robin"
owner = "Alex"
image = "face.png"
[engines.pikastream]
type = "pikastream"
base_url = "{pikastream["address"]}"
[stage]
speed = {speed!r}
epoch_host = {now.isoformat()}
epoch = {now.isoformat()}
{settings}
""")
            with running_daemon(folder) as (pid, took):
                armed = Rig(folder, google["address"], pikastream["address"], pid, took)
                _until_armed(armed, len(meetings))
                if not restart:
                    yield armed
            if restart:
                with running_daemon(folder, len(meetings)) as (pid, took):
                    yield Rig(folder, google["address"], pikastream["address"], pid, took)


@contextlib.contextmanager
def running_daemon(folder: Path, armed: int = 0) -> Iterator[tuple[int, float]]:
    begun = time.monotonic()
    with (folder / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "locum", "run", "--config", str(folder / "locum.toml")],
            stdout=log,
            stderr=log,
            env={**os.environ, "PIKA_DEV_KEY": "dk_bench"},
        )
    try:
        while True:
            if process.poll() is not None:
                raise RuntimeError((folder / "daemon.log").read_text()[-4000:])
            with contextlib.suppress(LocumError):
                status = call_daemon(folder / "state" / "control.sock", "status")
                if status["armed"] >= armed:
                    break
            time.sleep(0.01)
        yield process.pid, time.monotonic() - begun
    finally:
        process.terminate()
        process.wait()


def _until_armed(armed: Rig, count: int) -> None:
    deadline = time.monotonic() + 120
    while armed.status()["armed"] < count:
        if time.monotonic() > deadline:
            raise RuntimeError((armed.folder / "daemon.log").read_text()[-4000:])
        time.sleep(0.05)


def soon(seconds: float) -> datetime:
    """Answer a whole second about `seconds` from now."""
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).replace(microsecond=0)
