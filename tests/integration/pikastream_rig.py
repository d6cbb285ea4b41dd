"""What the PikaStream tests share: a stage, a clock that jumps, and an engine between them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from locum.core.model import Platform, Room, SessionKey
from locum.core.secret import Secret
from locum.engines.pikastream import PikaStreamEngine, PikaStreamSettings
from locum.engines.pikastream_session import PikaStreamSession
from locum.ports import Face, JoinRequest, Picture, SessionEvent
from locum.rehearsal.clock import HandClock
from locum.rehearsal.face import face_png
from locum.rehearsal.pikastream import PikaSettings, PikaStage, pikastream_app
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.serving import served

KEY = "dk_planted-0123456789-canary"
START = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)
CODE = "abc-defg-hij"
CREATE = "/proxy/realtime/meeting-session"
SESSION = "/proxy/realtime/session/"
BALANCE = "/developer/balance"


class JumpingClock(HandClock):
    """Sleeping moves the time at once, for the stage as well: hours pass in milliseconds."""

    async def sleep(self, duration: timedelta) -> None:
        await anyio.lowlevel.checkpoint()
        self.advance(max(duration, timedelta(0)))

    def host_duration(self, duration: timedelta) -> timedelta:
        return duration * 0


@dataclass
class Rig:
    """One engine at one stage."""

    stage: PikaStage
    clock: JumpingClock
    engine: PikaStreamEngine
    image: Path
    base_url: str
    extra_engines: list[PikaStreamEngine] = field(default_factory=list)

    def request(self, code: str = CODE, **changes: Any) -> JoinRequest:
        wanted: dict[str, Any] = {
            "key": SessionKey("k"),
            "room": Room(Platform.GOOGLE_MEET, code, f"https://meet.google.com/{code}"),
            "face": Face(
                "Ada (AI stand-in for Bo)",
                Picture.of(self.image.read_bytes()),
                "English_radiant_girl",
            ),
            "system_prompt": "Be brief.\r\n--boundary\r\nStay polite. ☂",
            "admit_by": self.clock.now() + timedelta(minutes=10),
        }
        return JoinRequest(**{**wanted, **changes})

    async def joined(self) -> PikaStreamSession:
        return await self.engine.join(self.request())

    def another_engine(self, **changes: Any) -> PikaStreamEngine:
        """Answer an engine with other settings, closed at the end of the test."""
        engine = PikaStreamEngine(
            settings_for(**{"base_url": self.base_url, **changes}), clock=self.clock
        )
        self.extra_engines.append(engine)
        return engine

    def calls(self, path: str, method: str | None = None) -> int:
        return len(self.stage.log.matching(path, method))


def settings_for(*, base_url: str, **changes: Any) -> PikaStreamSettings:
    wanted: dict[str, Any] = {
        "base_url": base_url,
        "key": lambda: Secret(KEY),
        "request_deadline": timedelta(seconds=10),
        "join_deadline": timedelta(seconds=10),
    }
    return PikaStreamSettings(**{**wanted, **changes})


@contextlib.asynccontextmanager
async def rigged(folder: Path) -> AsyncIterator[Rig]:
    image = folder / "face.png"
    image.write_bytes(face_png(64) + b"\0" * 2048)
    clock = JumpingClock(START)
    stage = PikaStage(
        now=clock.now, rooms=Rooms(now=clock.now), settings=PikaSettings(api_key=KEY)
    )
    with served(pikastream_app(stage)) as server:
        engine = PikaStreamEngine(settings_for(base_url=server.base_url), clock=clock)
        rig = Rig(stage, clock, engine, image, server.base_url)
        try:
            yield rig
        finally:
            for each in (engine, *rig.extra_engines):
                await each.aclose()


async def eventually(condition: Callable[[], object]) -> None:
    """Wait, in the host's time, for something that happens in the stage's thread."""
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - An event can't cross to that thread.
            await anyio.sleep(0.002)


async def until_over(session: PikaStreamSession, *, most: int = 50) -> list[SessionEvent]:
    """Collect a session's events to its end.

    Raises:
        AssertionError: There are too many of them.
    """
    seen: list[SessionEvent] = []
    async for event in session.events():
        seen.append(event)
        if len(seen) > most:
            raise AssertionError(f"no end after {most} events: {seen[-3:]}")
    return seen
