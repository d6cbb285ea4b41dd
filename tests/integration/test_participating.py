"""Our part in a meeting before there is a conversation: what people write isn't lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from locum.conversation.conversation import Conversation
from locum.conversation.parts import Settings, Tell
from locum.core.calling import Names
from locum.core.model import SessionKey
from locum.introducing import Introduction
from locum.ledger import Database, Ledger
from locum.listening import Listener
from locum.participating import Participation, Seat
from locum.ports import Said
from tests.campaign.loop import VirtualLoop, VirtualTime
from tests.integration.conversation_rig import (
    BEGAN,
    CLOCK,
    FINE,
    PacedVoice,
    People,
    Room,
    ScriptedMind,
    SureEndpointer,
    says,
    seconds,
)
from tests.integration.daemon_rig import card
from tests.integration.ledger_rig import claimed
from tests.unit.builders import meeting

QUESTION = "Robin, is the gauge at Brixham working?"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(Database(tmp_path / "ledger.sqlite3"))
    yield opened
    opened.close()


class Presence:
    """A room that we have just come into, with all that takes part there."""

    def __init__(self, ledger: Ledger, key: SessionKey) -> None:
        self.room = Room()
        self.voice = PacedVoice()
        self.part = Participation(
            listener=Listener(key, ledger),
            introduction=Introduction(can_chat=True, voice=self.voice),
            converse=self._open,
            opted_out=lambda: None,
            now=CLOCK.now,
        )
        self.card = card(Path("face.png"))

    @asynccontextmanager
    async def _open(self, seat: Seat, tell: Tell) -> AsyncIterator[Conversation]:
        yield Conversation(
            self.room,
            voice=self.voice,
            mind=ScriptedMind(says(FINE)),
            hearing=People(),
            endpointer=SureEndpointer(),
            settings=Settings(
                names=Names.of("Robin", "Alex"),
                owner="Alex",
                the_truth=lambda _: "I am an AI stand-in for Alex.",
            ),
            clock=CLOCK,
            tell=tell,
        )

    async def take_part(self) -> None:
        async def once(call: Callable[[], Awaitable[None]]) -> None:
            await call()

        seat = Seat(self.room, meeting(), self.card, "ours", listens_only=False)
        await self.part.take_part(seat, once, anew=False)

    def write(self, text: str, *, ago: timedelta = timedelta(0)) -> None:
        said = Said(CLOCK.now() - ago, "Dana", text, in_chat=True)
        self.part.take(said, names=self.card.tile)


def play(ledger: Ledger, scene: Callable[[Presence], Awaitable[None]]) -> Presence:
    """Come into a room on virtual time, and let `scene` happen from then on."""
    presence = Presence(ledger, claimed(ledger))

    async def played() -> None:
        taking_part = asyncio.ensure_future(presence.take_part())
        try:
            await scene(presence)
        finally:
            taking_part.cancel()
            await asyncio.wait({taking_part})

    with VirtualTime(BEGAN) as virtual:
        loop = VirtualLoop(virtual)
        try:
            loop.run_until_complete(played())
        finally:
            loop.close()
    return presence


def test_what_is_written_during_the_greeting_is_answered_after_it(ledger: Ledger) -> None:
    """Nobody has to ask twice because we were still saying who we are."""

    async def scene(here: Presence) -> None:
        await CLOCK.sleep(seconds(3))
        assert not here.room.sounded, "the greeting is over already"
        here.write(QUESTION)
        await CLOCK.sleep(seconds(30))

    here = play(ledger, scene)
    assert len(here.room.sounded) > 0
    assert here.room.chat[1:] == [FINE]


def test_what_is_written_before_we_said_who_we_are_stays_unread(ledger: Ledger) -> None:
    """Until the others know who listens, nothing of theirs is taken in; nor what is long past."""

    async def scene(here: Presence) -> None:
        await CLOCK.sleep(seconds(0.01))
        assert here.room.chat == []
        here.write(QUESTION)
        await CLOCK.sleep(seconds(3))
        assert len(here.room.chat) == 1
        here.write(QUESTION, ago=timedelta(minutes=5))
        await CLOCK.sleep(seconds(30))

    assert len(play(ledger, scene).room.chat) == 1
