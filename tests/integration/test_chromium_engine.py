"""Our own engine whole, on the stage: joins that are proved, ends that leave nothing behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("playwright")
pytest.importorskip("aiortc")

from locum.clock import SystemClock
from locum.core.model import EndReason, Platform, Room, SessionHandle, SessionKey
from locum.core.transcript import Source
from locum.engines.chromium import processes
from locum.engines.chromium.engine import ChromiumEngine, address_of
from locum.engines.chromium.joining import RoomMark
from locum.engines.chromium.session import ChromiumSession
from locum.engines.chromium.settings import ChromiumSettings
from locum.errors import HumanNeededError, PermanentError, TransientError
from locum.ports import (
    Admitted,
    Ended,
    Face,
    JoinRequest,
    LostJoin,
    Picture,
    Roster,
    Said,
    SessionEvent,
    Waiting,
)
from locum.rehearsal.meet import Consent, Guests, Lobby, MeetStage, PageSettings
from locum.rehearsal.meet.serving import served_meet
from locum.rehearsal.rooms import Rooms
from tests import needs

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("chromium_driver"), needs.chromium]

CODE = "abc-defg-hij"
TILE = "Robin (AI stand-in for Ada)"
LONG = 60.0


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class World:
    """A stage with one room, and an engine that goes there as a guest."""

    stage: MeetStage
    rooms: Rooms
    engine: ChromiumEngine
    state: Path
    events: list[SessionEvent] = field(default_factory=list)

    async def join(self, *, patience: timedelta = timedelta(seconds=60)) -> ChromiumSession:
        request = JoinRequest(
            SessionKey("meeting"),
            Room(Platform.GOOGLE_MEET, CODE, f"https://meet.google.com/{CODE}"),
            Face(TILE, Picture.of(b"no picture"), ""),
            "",
            SystemClock().now() + patience,
        )
        session = await asyncio.wait_for(self.engine.join(request), LONG)
        assert isinstance(session, ChromiumSession)
        return session

    def read(self, session: ChromiumSession) -> asyncio.Task[None]:
        async def reading() -> None:
            async for event in session.events():
                self.events.append(event)

        return asyncio.ensure_future(reading())

    def told(self, kind: type[SessionEvent]) -> list[SessionEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def browsers(self) -> tuple[processes.Process, ...]:
        """Answer what runs of any browser of ours."""
        folders = (self.state / "chromium").rglob("profile")
        mains = [each for folder in folders for each in processes.using_folder(folder)]
        below = [each for main in mains for each in processes.descendants(main.pid)]
        return (*mains, *below)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = SystemClock()
    rooms = Rooms(now=clock.now)
    settings = PageSettings(guests=Guests.OPEN, generation=2)
    stage = MeetStage(now=clock.now, rooms=rooms, settings=settings)
    with served_meet(stage) as server:
        engine = ChromiumEngine(
            ChromiumSettings(
                state_dir=tmp_path,
                account="",
                sandbox=os.geteuid() != 0,
                width=320,
                height=180,
                meet_url=server.base_url,
            ),
            clock=clock,
        )
        yield World(stage, rooms, engine, tmp_path)
        await engine.aclose()


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so that stays so."""

    async def wait() -> None:
        while not true():  # noqa: ASYNC110 - What is waited for tells nobody.
            await asyncio.sleep(0.05)

    await asyncio.wait_for(wait(), LONG)


async def test_whole_visit(world: World) -> None:
    """Asked, let in, proved; heard and read; cut off and back; gone, and nothing is left."""
    world.stage.set_settings(guests=Guests.ASK, lobby=Lobby.ADMIT, consents=(Consent.RECORDED,))
    world.rooms.enter(CODE, "Ana Example")
    session = await world.join()
    reading = world.read(session)
    await until(lambda: world.told(Admitted))
    assert world.told(Waiting)
    [seen] = world.stage.participants(CODE)
    assert (seen.name, seen.microphone, seen.camera) == (TILE, True, True)

    await session.post("Hello, I am Robin.")
    await until(lambda: world.stage.participants(CODE)[0].captions)
    world.rooms.say(CODE, "Ana Example", "Good morning, Robin.")
    await until(lambda: world.told(Said))
    [said] = world.told(Said)
    assert isinstance(said, Said)
    assert (said.speaker, said.text) == ("Ana Example", "Good morning, Robin.")
    assert said.source is Source.CAPTIONS
    assert world.told(Roster)

    world.stage.drop(CODE)
    await until(lambda: any("Not heard from" in note for note in session._record.notes))
    remains = await asyncio.wait_for(session.leave(), LONG)

    assert [line.text for line in world.stage.chat(CODE)] == ["Hello, I am Robin."]
    texts = [note.text for note in remains.notes]
    assert any("This meeting is recorded" in text for text in texts)
    assert await session.leave() is remains
    assert [each.why_out for each in world.stage.participants(CODE, gone=True)][-1] == "left"
    assert world.browsers == ()
    assert await world.engine.reattach(session.handle) is None
    assert not RoomMark(world.state, "", CODE).is_fresh()
    reading.cancel()


async def test_page_that_hangs_and_browser_that_dies(world: World) -> None:
    """Each ends the session with its reason, and none keeps us from being out."""
    session = await world.join()
    reading = world.read(session)
    await until(lambda: world.told(Admitted))
    page = session._presence.page
    hung = asyncio.ensure_future(page._page.evaluate("() => { for (;;) {} }"))
    await until(lambda: world.told(Ended))
    await asyncio.wait_for(session.leave(), LONG)
    hung.cancel()
    await asyncio.gather(hung, reading, return_exceptions=True)
    [ended] = world.told(Ended)
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.ENGINE_LOST
    assert "doesn't answer" in ended.detail
    assert (world.state / "failures").is_dir()
    assert world.browsers == ()

    world.events.clear()
    session = await world.join()
    reading = world.read(session)
    await until(lambda: world.told(Admitted))
    await processes.end(world.browsers, patience=timedelta(seconds=10))
    await until(lambda: world.told(Ended))
    [ended] = world.told(Ended)
    assert isinstance(ended, Ended)
    assert (ended.reason, "crashed" in ended.detail) == (EndReason.ENGINE_LOST, True)
    await asyncio.wait_for(session.leave(), LONG)
    assert world.browsers == ()
    reading.cancel()


async def test_join_that_fails_raises_what_helps_and_leaves_nothing(world: World) -> None:
    """Somebody must act, or time must pass, or it is no use; in none a browser stays."""
    world.stage.set_settings(guests=Guests.BLOCKED)
    with pytest.raises(HumanNeededError, match="locum meet login"):
        await world.join()
    [kept] = (world.state / "failures").iterdir()
    assert {each.name for each in kept.iterdir()} == {"page.jpg", "page.json"}
    assert world.browsers == ()

    world.stage.set_settings(guests=Guests.OPEN, unknown_rooms=(CODE,))
    with pytest.raises(PermanentError, match="doesn't know"):
        await world.join()
    world.stage.url = ""
    gone = ChromiumEngine(
        ChromiumSettings(
            state_dir=world.state,
            account="",
            sandbox=os.geteuid() != 0,
            meet_url="http://127.0.0.1:9/",
        ),
        clock=SystemClock(),
    )
    world.engine = gone
    with pytest.raises(TransientError, match="doesn't load"):
        await world.join()
    assert world.browsers == ()


async def test_what_was_lost_is_over(world: World) -> None:
    """No browser outlives its process, so a lost join never runs on."""
    assert await world.engine.settle_lost_join(others_running=3) is LostJoin.NEVER_RAN
    assert await world.engine.reattach(SessionHandle("chromium-gone")) is None
    await world.engine.afford(1e9)
    await world.engine.prepare()


def test_address_is_built_anew_and_asks_for_english() -> None:
    """A link's text never opens anything; another platform's room isn't ours."""
    room = Room(Platform.GOOGLE_MEET, CODE, "https://evil.test/")

    assert (
        address_of(room, "https://meet.google.com/") == f"https://meet.google.com/{CODE}?hl=en"
    )
    with pytest.raises(PermanentError, match="Google Meet alone"):
        address_of(Room(Platform.ZOOM, "123", ""), "https://meet.google.com/")
