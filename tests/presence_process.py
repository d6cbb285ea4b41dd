"""A presence of our own engine in a process of its own, which talks: for benches and tests.

    python -m tests.presence_process BASE_URL ROOM WIDTHxHEIGHT FOLDER

It joins as a guest, writes what happens as lines of JSON on stdout, talks all the time, and leaves
when its stdin is closed; its last line is what it leaves for the record.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum.app.chromium import chromium_engine
from locum.clock import SystemClock
from locum.core.model import Platform, Room, SessionKey
from locum.engines.chromium.settings import ChromiumSettings
from locum.ports import Admitted, Embodied, Face, JoinRequest, MeetingSession, Picture
from locum.rehearsal.face import face_png
from locum.voices.espeak import EspeakVoice

TILE = "Robin (AI stand-in for Alex Winter)"
WORDS = (
    "Papa made about a half of a far bigger mark above. Bob may barb a palm, and Emma may map "
    "a farm. How far apart are our arms? Abba, papa, mama, a calm bath, a warm lamb. "
)


def tell(**words: Any) -> None:
    print(json.dumps(words, default=str), flush=True)


async def attend(base: str, room: str, size: tuple[int, int], folder: Path) -> None:
    settings = ChromiumSettings(
        state_dir=folder,
        account="",
        width=size[0],
        height=size[1],
        sandbox=os.geteuid() != 0,
        meet_url=base + "/",
    )
    engine = chromium_engine(settings, SystemClock())
    face = Face(TILE, Picture.of(face_png()), "")
    if engine._rigger is not None:
        await engine._rigger().rig_of(face.image)  # Made once in a persona's life.
    began = time.monotonic()
    session = await engine.join(
        JoinRequest(
            SessionKey("bench"),
            Room(Platform.GOOGLE_MEET, room, f"https://meet.google.com/{room}"),
            face,
            "",
            datetime.now(timezone.utc) + timedelta(minutes=2),
        )
    )
    assert isinstance(session, Embodied)
    voice = EspeakVoice()
    live = asyncio.Event()
    tasks = [
        asyncio.ensure_future(_follow(session, began, live)),
        asyncio.ensure_future(_listen(session.sounds())),
        asyncio.ensure_future(_talk(session, voice, live)),
    ]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await voice.aclose()
    remains = await session.leave()
    await engine.aclose()
    tell(notes=[note.text for note in remains.notes], doubt=remains.doubt)


async def _follow(session: MeetingSession, began: float, live: asyncio.Event) -> None:
    async for event in session.events():
        if isinstance(event, Admitted) and not live.is_set():
            tell(live_after_s=time.monotonic() - began)
            live.set()
        tell(event=type(event).__name__, what=str(event))


async def _talk(session: Embodied, voice: EspeakVoice, live: asyncio.Event) -> None:
    await live.wait()
    while True:
        await session.say(voice.speak(WORDS))


async def _listen(sounds: AsyncIterator[Any]) -> None:
    async for _ in sounds:
        pass


def main() -> None:
    base, room, size, folder = sys.argv[1:]
    width, _, height = size.partition("x")
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    asyncio.run(attend(base, room, (int(width), int(height)), home))


if __name__ == "__main__":
    main()
