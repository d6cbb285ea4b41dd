"""Offers that no honest page makes: refused in words, and nobody else notices."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator

import pytest

from locum.rehearsal.meet.media.connection import Connection
from locum.rehearsal.meet.media.room import MediaRoom, OfferRefusedError
from tests.contract.meet_media_rig import LOOPBACK, Told, a_room, an_observer, sees

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("meet_media")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def staged(anyio_backend: str) -> AsyncIterator[tuple[MediaRoom, Told]]:
    room, told = a_room()
    yield room, told
    await room.aclose()


@pytest.fixture
async def offer(anyio_backend: str) -> AsyncIterator[str]:
    """A good one."""
    connection = Connection(addresses=LOOPBACK)
    connection.give("audio")
    connection.give("video")
    connection.want("video")
    await connection.setLocalDescription(await connection.createOffer())
    yield connection.localDescription.sdp
    await connection.close()


HOSTILE = {
    "nothing": ("", "no SDP"),
    "garbage": ("\x00\xff" * 50, "no SDP"),
    "huge": ("v=0\r\n" + "a=x\r\n" * 60_000, "characters"),
    "no media": ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "without media"),
    "many sections": ("v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 99, "sections"),
    "a data channel": (
        "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
        "only audio",
    ),
    "torn": (
        "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n",
        "lacks a=",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_refused_with_what_to_send_instead(
    staged: tuple[MediaRoom, Told], kind: str
) -> None:
    """Each says what is wrong with it, and its sender isn't in the room."""
    room, told = staged
    text, says = HOSTILE[kind]
    with pytest.raises(OfferRefusedError, match=says):
        await room.negotiate("mallory", text)
    assert room.participants() == ()
    assert told.slots == []


@pytest.mark.parametrize(
    ("pattern", "into", "says"),
    [
        (r"a=candidate:.*\r\n", "", "iceGatheringState"),
        (r"VP8/90000", "AV1/90000", "lacks VP8"),
        (r"a=ice-pwd:.*\r\n", "", "ice-pwd"),
        (r"a=fingerprint:.*\r\n", "", "fingerprint"),
        (r"a=rtcp-mux\r\n", "", "can't be read"),
    ],
)
async def test_a_good_offer_without_something(
    staged: tuple[MediaRoom, Told], offer: str, pattern: str, into: str, says: str
) -> None:
    """What is missing is named."""
    room, _ = staged
    with pytest.raises(OfferRefusedError, match=says):
        await room.negotiate("mallory", re.sub(pattern, into, offer))
    assert room.participants() == ()


async def test_mangled_offers_hurt_nobody(staged: tuple[MediaRoom, Told], offer: str) -> None:
    """Cut, doubled and flipped at random: refused or answered, and the others go on watching."""
    room, told = staged
    await room.add_person("ann")
    observer = an_observer(room, "ann")
    await observer.join()
    dice = random.Random(6)
    lines = offer.splitlines(keepends=True)
    for _ in range(60):
        mangled = lines[:]
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(1, len(mangled))
            line = mangled[place]
            cut = dice.randrange(len(line) + 1)
            mangled[place] = dice.choice(
                [
                    "",
                    line * 2,
                    line[:cut],
                    line[:cut] + chr(dice.randrange(1, 0x2FF)) + line[cut:],
                ]
            )
        try:
            await room.negotiate("mallory", "".join(mangled))
        except OfferRefusedError:
            continue
        await room.leave("mallory")
    assert await sees(observer)
    assert ("observer", "failed") not in told.connection
    await observer.leave()
    assert room.participants() == ("ann",)


async def test_a_refused_offer_of_somebody_who_is_in_changes_nothing(
    staged: tuple[MediaRoom, Told],
) -> None:
    """The connection that he has goes on."""
    room, told = staged
    await room.add_person("ann")
    observer = an_observer(room, "ann")
    await observer.join()
    with pytest.raises(OfferRefusedError):
        await room.negotiate("observer", "v=0\r\n")
    assert await sees(observer)
    assert ("observer", "closed") not in told.connection
    await observer.leave()


async def test_a_full_and_a_closed_room_refuse(
    staged: tuple[MediaRoom, Told], offer: str
) -> None:
    """There is an end to how many may come, and nobody comes after the end."""
    room, _ = staged
    for number in range(64):
        room._publisher(f"p{number}")
    with pytest.raises(OfferRefusedError, match="full"):
        await room.negotiate("one more", offer)
    await room.aclose()
    with pytest.raises(OfferRefusedError, match="closed"):
        await room.negotiate("late", offer)
