"""A presence of our own engine, measured by who receives it: `python -m tests.bench.presence`.

Three processes: the stage (its page, its SFU, the others who talk), the persona (as `locum attend`
runs it: the engine, its Chromium, its voice), and an observer, a participant that decodes what it
gets. Cores and memory are of the persona's whole tree; what the other side costs is apart. Each
row is `name value unit`; a name's middle says how many others there were, and the size asked for.

    python -m tests.bench.presence                     all of it, some three minutes
    python -m tests.bench.presence --seconds 10 --sizes 640x360 --others 1
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum import logs, processes
from tests.presence_process import TILE

ROOM = "abc-defg-hij"
_ME = "tests.bench.presence"
_TICK = os.sysconf("SC_CLK_TCK")
_LIP = ("lip", 0.47, 0.678, 0.06, 0.03)
"""A strip just below the resting lips of the drawn face, in fractions: the lower lip enters it
as the jaw drops."""

_STILL = ("hair", 0.46, 0.08, 0.08, 0.06)
_SETTLE_S = 6.0


# ── the stage's process ──────────────────────────────────────────────────────────────────


def stage(others: int) -> None:
    """Serve a room with `others` who take turns at talking, until stdin is closed."""
    from locum.rehearsal.meet import MeetStage
    from locum.rehearsal.meet.serving import served_meet
    from locum.rehearsal.meet.settings import Guests, PageSettings
    from locum.rehearsal.rooms import Rooms

    def now() -> datetime:
        return datetime.now(timezone.utc)

    rooms = Rooms(now=now)
    made = MeetStage(now=now, rooms=rooms, settings=PageSettings(guests=Guests.OPEN))
    with served_meet(made) as server:
        names = [f"Person {number + 1}" for number in range(others)]
        for name in names:
            rooms.enter(ROOM, name)
        print(json.dumps({"url": server.base_url}), flush=True)
        import threading

        over = threading.Event()

        def until_closed() -> None:
            sys.stdin.read()
            over.set()

        threading.Thread(target=until_closed, daemon=True).start()
        turn = 0
        while not over.wait(4):
            rooms.say(ROOM, names[turn % len(names)], "We should look at the numbers again.")
            made.pump()
            turn += 1


# ── measuring ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Spent:
    """Seconds of a core, by kind of process, for those that live."""

    at: float
    seconds: dict[int, tuple[str, float]]

    @classmethod
    def of(cls, root: int) -> Spent:
        found = {}
        for pid in processes.descendants((root,), processes.all_processes()):
            with contextlib.suppress(OSError, IndexError, ValueError):
                stat = Path(f"/proc/{pid}/stat").read_text()
                fields = stat[stat.rindex(")") + 2 :].split()
                spent = (int(fields[11]) + int(fields[12])) / _TICK
                found[pid] = (_kind(pid), spent)
        return cls(time.monotonic(), found)

    def cores_since(self, earlier: Spent) -> dict[str, float]:
        cores: dict[str, float] = {}
        for pid, (kind, spent) in self.seconds.items():
            before = earlier.seconds.get(pid, (kind, 0.0))[1]
            share = (spent - before) / (self.at - earlier.at)
            cores[kind] = cores.get(kind, 0.0) + share
        return cores


def _kind(pid: int) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    for word, kind in (
        ("--type=renderer", "page"),
        ("--type=gpu", "gpu"),
        ("--type=", "browser"),
        ("chromium", "browser"),
        ("/node", "driver"),
        ("espeak_process", "voice"),
    ):
        if word in command:
            return kind
    return "python"


async def _begun(
    module: str, *arguments: str, says: str
) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    while line := await asyncio.wait_for(process.stdout.readline(), 90):
        # Lines of the log come in between.
        told = json.loads(line) if line.startswith(b"{") else {}
        if says in told:
            return process, told
    raise SystemExit(f"{module} ended before it had begun")


async def _drained(process: asyncio.subprocess.Process) -> None:
    """Read on, so that it never waits for us."""
    while process.stdout is not None and await process.stdout.readline():
        pass


async def _over(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), 30)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()


async def _observe(url: str, seconds: float, folder: Path) -> dict[str, Any]:
    out = folder / "seen.json"
    regions = []
    for name, *numbers in (_LIP, _STILL):
        regions += ["--region", f"{name}={','.join(map(str, numbers))}"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "locum.rehearsal.meet.media.observer", f"{url}/{ROOM}"),
        *("--seconds", str(seconds), "--out", str(out), "--watch", TILE, *regions),
    )
    if await asyncio.wait_for(process.wait(), seconds + 60):
        raise SystemExit("the observer failed")
    return dict(json.loads(out.read_text()))


async def measured(
    others: int, size: tuple[int, int], seconds: float, folder: Path
) -> Iterator[tuple[str, float, str]]:
    """Play one room, and answer its rows."""
    room, told = await _begun(_ME, "stage", str(others), says="url")
    try:
        home = folder / f"{others}-{size[0]}"
        body, live = await _begun(
            "tests.presence_process",
            *(told["url"], ROOM, f"{size[0]}x{size[1]}", str(home)),
            says="live_after_s",
        )
        draining = asyncio.ensure_future(_drained(body))
        try:
            await asyncio.sleep(_SETTLE_S)
            before = Spent.of(body.pid)
            seen = await _observe(told["url"], seconds, folder)
            cores = Spent.of(body.pid).cores_since(before)
            memory = processes.memory_of_tree(body.pid)
        finally:
            await _over(body)
            await draining
    finally:
        await _over(room)
    return _rows(seen, live["live_after_s"], cores, memory)


def _rows(
    seen: dict[str, Any], live_after_s: float, cores: dict[str, float], memory: int
) -> Iterator[tuple[str, float, str]]:
    picture = seen["picture"]
    yield "launch_to_live", live_after_s, "s"
    yield "received_fps", picture["per_second"], "fps"
    sizes: dict[str, int] = picture["sizes"]
    for name, count in sorted(sizes.items(), key=lambda item: -item[1]):
        yield f"frames_of_{name}", count, "frames"
    yield "skipped_by_the_observer", picture["skipped"], "frames"
    yield "freezes", len(picture["gaps"]), ""
    yield "longest_freeze", picture["longest_s"] * 1000, "ms"
    for clock in ("arrival", "sender"):
        lips = seen["lips"]["lip"][clock]
        for part in ("p50_ms", "p95_ms"):
            if lips[part] is not None:
                yield f"lips_{clock}_{part[:3]}", lips[part], "ms"
        yield f"lips_{clock}_windows", len(lips["windows_ms"]), ""
    # Who talks all the time sends most packets: it is the persona.
    sound = max(seen["sound"].values(), key=lambda each: each["count"], default=None)
    if sound is not None:
        yield "sound_level", sound["level_db"] or -100.0, "dBFS"
        yield "sound_gaps", len(sound["gaps"]), ""
        yield "longest_sound_gap", sound["longest_s"] * 1000, "ms"
    for kind in sorted(cores):
        yield f"cores_{kind}", cores[kind], "cores"
    page = sum(cores.get(kind, 0.0) for kind in ("page", "gpu", "browser"))
    yield "cores_face_and_page", page, "cores"
    yield "cores_all", sum(cores.values()), "cores"
    yield "memory_pss", memory / 2**20, "MiB"


# ── what it costs the daemon, and what an hour does to a face ────────────────────────────


def daemons_rows(folder: Path) -> Iterator[tuple[str, float, str]]:
    """Let the real daemon attend a rehearsal, and look at its own process, idle and meanwhile."""
    from locum.rehearsal.configuring import write_config
    from locum.rehearsal.engine import StageEngine
    from locum.rehearsal.meet.state import PASSWORD
    from locum.rehearsal.play import _DaemonProcess
    from locum.rehearsal.scenario import find_scenario, load_scenario
    from locum.rehearsal.signing import sign_in
    from locum.rehearsal.stage import ACCOUNT, Stage

    scenario = load_scenario(find_scenario("default"))
    made = Stage(scenario)
    with made.open() as addresses:
        config = write_config(made, addresses, folder, engine=StageEngine.CHROMIUM)
        sign_in(config, ACCOUNT, scenario.owner.email, PASSWORD)
        daemon = _DaemonProcess(config, lambda _: None)
        try:
            daemon.start()
            process = daemon._process
            assert process is not None
            time.sleep(3)
            yield from _alone(process.pid, "idle", 5)
            with made.playing():
                until = time.monotonic() + 60
                while time.monotonic() < until:
                    if any(each["phase"] == "live" for each in daemon.status()["sessions"]):
                        break
                    time.sleep(0.5)
                else:
                    raise SystemExit("the daemon's session didn't come to be live")
                yield from _alone(process.pid, "in_a_meeting", 15)
        finally:
            daemon.stop()


def _alone(pid: int, when: str, seconds: float) -> Iterator[tuple[str, float, str]]:
    before = Spent.of(pid)
    time.sleep(seconds)
    after = Spent.of(pid)
    spent = after.seconds[pid][1] - before.seconds[pid][1]
    yield f"daemon.cores_{when}", spent / (after.at - before.at), "cores"
    yield f"daemon.memory_{when}", processes.memory_of(pid) / 2**20, "MiB"


async def identity_rows(seconds: int = 3600) -> list[tuple[str, float, str]]:
    """Draw an hour of a face's life, sampled, and see whether the same instant looks the same."""
    from locum.core.visemes import VISEMES
    from locum.engines.chromium.browser import BrowserSettings
    from locum.engines.chromium.easel import Mood, Shot, open_easel
    from locum.persona.rigging.store import RigStore
    from locum.ports import Picture
    from locum.rehearsal.face import face_png

    with tempfile.TemporaryDirectory(prefix="locum-bench-") as folder:
        rig = await RigStore(Path(folder)).rig_of(Picture.of(face_png()))
    mouths = list(VISEMES.values())
    shots = [
        Shot(timedelta(seconds=at), mouths[at % len(mouths)], Mood(speaking=bool(at % 3)))
        for at in range(0, seconds, 2)
    ]
    async with open_easel(BrowserSettings(sandbox=os.geteuid() != 0)) as easel:
        face = await easel.face(rig, 640, 360)
        first = await face.digests(shots[:50])
        await face.digests(shots)
        again = await face.digests(shots[:50])
    shifted = sum(one != other for one, other in zip(first, again, strict=True))
    return [
        ("identity.frames_drawn", len(shots) + 100, "frames"),
        ("identity.shifts_after_an_hour", shifted, ""),
    ]


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


async def _all(sizes: list[tuple[int, int]], others: list[int], seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="locum-bench-") as folder:
        for size in sizes:
            for count in others:
                print(f"# {count} others, {size[0]}x{size[1]}, {seconds:g} s", file=sys.stderr)
                for name, value, unit in await measured(count, size, seconds, Path(folder)):
                    print(f"{count}_others.{size[1]}p.{name} {value:.3f} {unit}".rstrip())
                sys.stdout.flush()
        for name, value, unit in daemons_rows(Path(folder) / "daemon"):
            print(f"{name} {value:.3f} {unit}".rstrip(), flush=True)
    for name, value, unit in await identity_rows():
        print(f"{name} {value:.0f} {unit}".rstrip(), flush=True)
    load = os.getloadavg()
    print(f"machine.load_1min {load[0]:.2f}")


def main() -> None:
    """Print one `name value unit` a line."""
    if sys.argv[1:2] == ["stage"]:
        stage(int(sys.argv[2]))
        return
    logs.configure(json=False, level="error")  # stdout holds nothing but rows.
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--sizes", type=_size, nargs="+", default=[(640, 360), (1280, 720)])
    parser.add_argument("--others", type=int, nargs="+", default=[1, 6])
    given = parser.parse_args()
    asyncio.run(_all(given.sizes, given.others, given.seconds))


if __name__ == "__main__":
    main()
