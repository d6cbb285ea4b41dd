"""A scene with the meeting page: rooms on a clock that a test moves, the server, and a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from locum.rehearsal.clock import HandClock
from locum.rehearsal.meet import MeetStage, PageSettings, Phase, Seen
from locum.rehearsal.meet.serving import served_meet
from locum.rehearsal.rooms import Rooms

START = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)
ROOM = "abc-defg-hij"
PATIENCE_S = 20.0


@dataclass
class Scene:
    clock: HandClock
    rooms: Rooms
    stage: MeetStage
    url: str

    @property
    def page(self) -> str:
        return f"{self.url}/{ROOM}"

    def later(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def begin(self, **settings: Any) -> None:
        """Let the next test find everything as new: settings, and nobody anywhere."""
        self.stage.set_settings(**{**vars(PageSettings()), **settings})
        for visit in self.rooms.present(ROOM):
            if visit.is_bot:
                self.rooms.end_visit(visit.id, self.clock.now())
        self.rooms.enter(ROOM, "Dana Reyes")

    def inside(self) -> list[Seen]:
        return [one for one in self.stage.participants(ROOM) if one.phase is Phase.IN]

    def kinds(self) -> list[str]:
        """What the page's log says happened, in order."""
        return [one.kind for one in self.stage.happenings(ROOM)]


@contextlib.contextmanager
def a_scene(*, media: bool = False, **settings: Any) -> Iterator[Scene]:
    clock = HandClock(START)
    rooms = Rooms(now=clock.now)
    stage = MeetStage(now=clock.now, rooms=rooms, settings=PageSettings(**settings))
    with served_meet(stage, media=media, addresses=("127.0.0.1",)) as server:
        scene = Scene(clock, rooms, stage, server.base_url)
        scene.begin(**settings)
        yield scene


def until(holds: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    """Wait for something that stays true once it is."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:g} s")
        time.sleep(0.02)


# ── without a page ───────────────────────────────────────────────────────────────────────────


class Talker:
    """Speaks the page's protocol over a socket of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def say(self, kind: str, **message: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **message}))

    async def hear(self, *kinds: str) -> dict[str, Any]:
        """Answer the next message of one of these kinds; the others are kept in `heard`."""
        while True:
            frame = await asyncio.wait_for(self.socket.recv(), PATIENCE_S)
            message: dict[str, Any] = json.loads(frame)
            self.heard.append(message)
            if message["type"] in kinds:
                return message

    async def is_cut(self) -> bool:
        """Hear until the server hangs up."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.wait_for(self.socket.recv(), PATIENCE_S)
        return True

    async def enter(self, name: str, **hello: Any) -> dict[str, Any]:
        await self.say("hello", room=ROOM, **hello)
        await self.say("knock", name=name, microphone=True, camera=True)
        return await self.hear("admitted", "refused")


@contextlib.asynccontextmanager
async def a_talker(scene: Scene, **options: Any) -> Any:
    address = scene.url.replace("http", "ws") + "/ws"
    async with connect(address, max_size=2**22, **options) as socket:
        yield Talker(socket)


# ── with one ─────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def a_browser() -> Iterator[Browser]:
    """A Chromium with a fake camera, which ends with this process; skips where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Debian's package chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        flags = (
            "--pdeathsig KILL -- {chromium} --user-data-dir={profile} "
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
            "--disable-background-networking --disable-component-update --disable-sync "
            "--remote-debugging-pipe --no-startup-window --mute-audio "
            "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream=fps=5 "
            "--allow-loopback-in-peer-connection --disable-features=WebRtcHideLocalIpsWithMdns"
        )
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("setpriv"),
            ignore_default_args=True,
            args=flags.format(chromium=chromium, profile=profile).split(),
        )
        browser = context.browser
        try:
            assert browser is not None
            yield browser
        finally:
            context.close()


@contextlib.contextmanager
def a_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page of its own cookies, on which every script error is the test's failure."""
    allowed = {"locale": "en-US", "permissions": ["microphone", "camera"]}
    context = browser.new_context(**{**allowed, **options})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert "; ".join(wrong) == ""
