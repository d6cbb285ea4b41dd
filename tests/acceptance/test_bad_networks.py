"""Our own engine over a wire that loses, delays, narrows and is cut for ten seconds."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.wire import OUR_ADDRESS, Wire, relayed, why_no_wire, wired

pytestmark = [
    pytest.mark.skipif(
        shutil.which("chromium") is None or shutil.which("espeak-ng") is None,
        reason="chromium or espeak-ng isn't installed",
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("aiortc") is None, reason="the extra stage isn't installed"
    ),
    pytest.mark.xdist_group("browser"),
]

_ROOM = "far-away-abc"
_PATIENCE_S = 60.0
_ROOT = Path(__file__).parent.parent.parent


class _Far:
    """The persona's process at the other end of the wire, and what it tells."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[dict[str, Any]] = []
        self._heard = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.startswith(b"{"):
                self.told.append(json.loads(line))
                self._heard.set()

    async def tells(self, word: str) -> dict[str, Any]:
        """Wait until it has told something with that word."""
        async with _bounded(_PATIENCE_S):
            while True:
                found = next((each for each in self.told if word in each), None)
                if found is not None:
                    return found
                assert not self._reading.done(), self.told
                self._heard.clear()
                await self._heard.wait()
        raise AssertionError

    async def leave(self) -> list[str]:
        assert self._process.stdin is not None
        self._process.stdin.close()
        notes = await self.tells("notes")
        await asyncio.wait_for(self._process.wait(), _PATIENCE_S)
        return [str(each) for each in notes["notes"]]

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    task = asyncio.current_task()
    assert task is not None
    timer = asyncio.get_running_loop().call_later(seconds, task.cancel)
    try:
        yield
    finally:
        timer.cancel()


@asynccontextmanager
async def _far(wire: Wire, url: str, folder: Path) -> AsyncIterator[_Far]:
    command = [sys.executable, "-m", "tests.presence_process", url, _ROOM, "640x360"]
    process = await asyncio.create_subprocess_exec(
        *wire.inside([*command, str(folder)]),
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    far = _Far(process)
    try:
        yield far
    finally:
        await far.end()


def test_sound_stays_picture_yields_and_a_cut_wire_is_survived(tmp_path: Path) -> None:
    """Loss costs picture before sound; a cut is survived, and what was missed is said."""
    reason = why_no_wire()
    if reason:
        pytest.skip(reason)
    from locum.rehearsal.meet import MeetStage
    from locum.rehearsal.meet.serving import served_meet
    from locum.rehearsal.meet.settings import Guests, PageSettings
    from locum.rehearsal.rooms import Rooms

    def now() -> datetime:
        return datetime.now(timezone.utc)

    rooms = Rooms(now=now)
    page = PageSettings(guests=Guests.OPEN, reconnect_within=timedelta(seconds=40))
    stage = MeetStage(now=now, rooms=rooms, settings=page)
    with (
        wired() as wire,
        served_meet(stage, addresses=[OUR_ADDRESS, "127.0.0.1"]) as server,
        relayed(wire, int(server.base_url.rpartition(":")[2])),
    ):
        rooms.enter(_ROOM, "Dana Reyes")
        asyncio.run(_scenario(wire, server.base_url, tmp_path))
        assert rooms.peak_bots() == 1


async def _scenario(wire: Wire, url: str, folder: Path) -> None:
    from locum.rehearsal.meet.media.observer import Observer
    from locum.rehearsal.meet.media.signalling import SocketSignalling
    from tests.presence_process import TILE

    async with _far(wire, url, folder) as far:
        await far.tells("live_after_s")
        observer = Observer(SocketSignalling(f"{url}/{_ROOM}", name="Observer"), watch=TILE)
        await observer.join()
        try:
            clear = await observer.watch(4)
            wire.change(loss=0.05, delay_s=0.04, jitter_s=0.01)
            lossy = await observer.watch(5)
            wire.change(loss=0.0, rate=250_000.0)
            narrow = await _found_out(observer, clear)
            wire.change(loss=0.0, delay_s=0.0, jitter_s=0.0, rate=None, cut=True)
            cut = await observer.watch(10)
            wire.change(cut=False)
            back = await _seen_again(observer)
        finally:
            await observer.leave()
        assert not any(each.get("event") == "Ended" for each in far.told), far.told
        notes = await far.leave()
    assert clear.flow().per_second > 15
    # An Opus packet is 20 ms: what is lost on the way is made good, or nearly so.
    assert _sounded(lossy) > 0.9 * _sounded(clear)
    assert _sounded(narrow) > 0.85 * _sounded(clear), "the picture didn't yield"
    assert _pixels(narrow) < 0.8 * _pixels(clear)
    assert _sounded(cut) < 0.5 * _sounded(clear)  # It really was cut.
    assert _pixels(back) > 0
    assert any("Not heard from" in note for note in notes), notes


async def _found_out(observer: Any, clear: Any) -> Any:
    """Watch until it has found out how wide the wire is, which takes a busy machine longer."""
    until = time.monotonic() + 45
    await observer.watch(6)
    while True:
        seen = await observer.watch(5)
        if _sounded(seen) > 0.85 * _sounded(clear) or time.monotonic() > until:
            return seen


async def _seen_again(observer: Any) -> Any:
    """Watch until both picture and sound are there again."""
    until = time.monotonic() + 45
    while time.monotonic() < until:
        seen = await observer.watch(3)
        if seen.flow().per_second > 8 and _sounded(seen) > 20:
            return seen
    raise AssertionError("it didn't come back")


def _sounded(seen: Any) -> float:
    """Answer packets of sound a second."""
    return len(seen.sounds) / float(seen.seconds)


def _pixels(seen: Any) -> float:
    """Answer how many pixels a second came in."""
    total = 0
    for size, count in seen.sizes().items():
        width, _, height = size.partition("x")
        total += int(width) * int(height) * count
    return total / float(seen.seconds)
