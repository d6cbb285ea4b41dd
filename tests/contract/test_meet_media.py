"""The stage's media between real peers on loopback: forwarded as they came, to whom they may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import numpy as np
import pytest

from locum.rehearsal.meet.media.connection import Connection
from locum.rehearsal.meet.media.observer import Region
from locum.rehearsal.meet.media.room import MediaRoom, MediaServer
from locum.rehearsal.meet.media.sound import FRAME
from locum.rehearsal.meet.media.streams import Inlet
from locum.rehearsal.meet.media.wire import AUDIO_HZ, VIDEO_HZ, Packet, after_32
from tests.contract.meet_media_rig import (
    LOOPBACK,
    Peer,
    Told,
    a_room,
    an_observer,
    sees,
    syllables,
    until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("meet_media")]

TONE = np.sin(np.arange(FRAME) * 0.04).astype(np.float32) * np.float32(0.4)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def staged(anyio_backend: str) -> AsyncIterator[tuple[MediaRoom, Told]]:
    room, told = a_room()
    yield room, told
    await room.aclose()


class Listener:
    """Keeps every packet that it receives."""

    def __init__(self) -> None:
        self.connection = Connection(addresses=LOOPBACK)
        self.packets: dict[str, list[Packet]] = {"audio": [], "video": []}
        self.reports: dict[str, tuple[float, int]] = {}
        self.inlets: list[Inlet] = []
        for kind in ("audio", "video"):
            inlet = self.connection.want(kind)
            inlet.packet = lambda _ssrc, packet, kind=kind: self.packets[kind].append(packet)
            self.inlets.append(inlet)

    async def join(self, room: MediaRoom, name: str = "listener") -> None:
        async def exchange(offer: str) -> str:
            return await room.negotiate(name, offer)

        await self.connection.negotiate(exchange)
        await until(lambda: self.connection.connectionState == "connected")
        self.connection.begin_reports()


async def test_timestamps_keep_their_distances(staged: tuple[MediaRoom, Told]) -> None:
    """Between packets of one kind exactly; and sound is as far from picture as it was sent."""
    room, _ = staged
    peer, listener = Peer(room, "ann"), Listener()
    await peer.join()
    await listener.join(room)
    await peer.perform(2.0, loud=syllables)
    await until(lambda: len(listener.packets["audio"]) > 80)
    audio = [each.timestamp for each in listener.packets["audio"]]
    video = list(dict.fromkeys(each.timestamp for each in listener.packets["video"]))
    assert {after_32(b, a) for a, b in pairwise(audio)} == {AUDIO_HZ // 50}
    assert {after_32(b, a) for a, b in pairwise(video)} == {VIDEO_HZ // 25}
    await listener.connection.close()
    await peer.close()


async def test_lips_are_as_late_as_they_were_sent(staged: tuple[MediaRoom, Told]) -> None:
    """An observer finds the distance of sound and picture that the sender gave them."""
    room, _ = staged
    late_s = 0.12
    peer = Peer(room, "ann")
    await peer.join()
    observer = an_observer(room, "ann", regions=[Region("mouth", 0.2, 0.2, 0.5, 0.5)])
    await observer.join()
    performing = asyncio.create_task(peer.perform(6.0, late_s=late_s, loud=syllables))
    seen = await observer.watch(6.0)
    await performing
    await observer.leave()
    await peer.close()
    # By the sender's stamps: how busy this machine is must not decide a test. A change is seen
    # 20 ms late on average (a frame stays for 40), heard 10 (a packet is 20) and 6.5 (Opus).
    offsets = seen.lips("mouth", room.number("ann"), clock="sender")
    assert offsets.p50_ms == pytest.approx(1_000 * late_s + 3.5, abs=12)
    assert seen.lips("mouth", room.number("ann"), clock="arrival").windows_ms
    assert seen.sizes().keys() == {"160x96"}
    assert seen.level_db() == pytest.approx(-11, abs=3)


async def test_whoever_comes_late_gets_a_key_frame(staged: tuple[MediaRoom, Told]) -> None:
    """The sender makes one only when asked; the room asks for the newcomer."""
    room, _ = staged
    peer, first = Peer(room, "ann"), an_observer(room, "ann", name="first")
    await peer.join()
    await first.join()
    performing = asyncio.create_task(peer.perform(60.0, loud=syllables))
    assert await sees(first)
    asked = peer.key_frames_asked
    late = an_observer(room, "ann", name="late")
    await late.join()
    assert await sees(late)
    performing.cancel()
    assert peer.key_frames_asked > asked
    await first.leave()
    await late.leave()
    await peer.close()


async def test_lost_packets_are_sent_again(staged: tuple[MediaRoom, Told]) -> None:
    """Every tenth packet is lost on the way to the receiver; its pictures are whole anyhow."""
    room, _ = staged
    peer, listener = Peer(room, "ann"), Listener()
    await peer.join()
    # Before it is decrypted, as a network loses it.
    way, lost, count = listener.inlets[1].transport.transport, set[int](), 0
    receive = way._recv

    async def lossy() -> bytes:
        nonlocal count
        while True:
            data: bytes = await receive()
            number = int.from_bytes(data[2:4], "big")
            if data[0] >> 6 == 2 and data[1] & 0x7F == 97 and number not in lost:
                count += 1
                if count % 10 == 0:
                    lost.add(number)
                    continue
            return data

    way._recv = lossy
    await listener.join(room)
    performing = asyncio.create_task(peer.perform(20.0, loud=syllables))
    await until(lambda: len(lost) > 3)
    gone = frozenset(lost)
    await until(lambda: gone <= {each.sequence for each in listener.packets["video"]})
    performing.cancel()
    await listener.connection.close()
    await peer.close()


async def test_slots_say_whose_picture_and_sources_say_whose_sound(
    staged: tuple[MediaRoom, Told],
) -> None:
    """Who joins and leaves gets and frees a slot, without a new offer."""
    room, told = staged
    observer = an_observer(room)
    await observer.join()
    assert told.shown_to("observer") == []
    ann = await room.add_person("ann", picture_seed=1)
    ben = await room.add_person("ben", picture_seed=2)
    assert told.shown_to("observer") == ["ann", "ben"]
    saying = asyncio.gather(ann.say("One two three."), ben.say("Four five six."))
    seen = await observer.watch(2.0)
    await saying
    assert {each.source for each in seen.sounds} == {room.number("ann"), room.number("ben")}
    assert await sees(observer)
    await ann.leave()
    assert told.shown_to("observer") == ["ben"]
    assert room.participants() == ("observer", "ben")
    await observer.leave()


async def test_three_sounds_at_once_and_a_fourth_when_one_is_silent(
    staged: tuple[MediaRoom, Told],
) -> None:
    """The audio slots go to those who speak, as those who are silent yield theirs."""
    room, told = staged
    observer = an_observer(room)
    await observer.join()
    people = [await room.add_person(name, picture_seed=0) for name in ("a", "b", "c", "d")]

    async def speak() -> None:
        await asyncio.gather(*(each.say("Hello everybody.") for each in people[:3]))
        await people[3].say("And I come last, after all of you have fallen silent again.")

    speaking, heard = asyncio.create_task(speak()), set[int | None]()
    while not speaking.done():
        sounds = (await observer.watch(0.5)).sounds
        heard |= {each.source for each in sounds if max(each.envelope, default=0) > 0.02}
    await speaking
    assert heard == {room.number(name) for name in ("a", "b", "c", "d")}
    assert ("d", True) in told.speaking
    await observer.leave()


async def test_the_host_mutes(staged: tuple[MediaRoom, Told]) -> None:
    """Nothing of a muted participant is heard or marked as speech until it is let again."""
    room, told = staged
    peer, listener = Peer(room, "ann"), Listener()
    await peer.join()
    await listener.join(room)
    await peer.perform(1.0, loud=lambda _: True)
    await until(lambda: len(listener.packets["audio"]) > 40)
    assert told.speaking == [("ann", True)]
    room.hear("ann", allowed=False)
    assert told.speaking == [("ann", True), ("ann", False)]
    assert not room.stats("ann").heard
    before, came = len(listener.packets["audio"]), room.stats("ann").sends_audio_packets
    for number in range(50, 100):
        await peer.sound(TONE, number / 50)
    await until(lambda: room.stats("ann").sends_audio_packets >= came + 50)
    assert len(listener.packets["audio"]) <= before + 2
    assert not room.stats("ann").speaking
    room.hear("ann", allowed=True)
    for number in range(100, 120):
        await peer.sound(TONE, number / 50)
    await until(lambda: len(listener.packets["audio"]) >= before + 15)
    numbers = [each.sequence for each in listener.packets["audio"]]
    assert (numbers[-1] - numbers[0]) & 0xFFFF == len(numbers) - 1  # The pause is no loss.
    await listener.connection.close()
    await peer.close()


async def test_a_new_offer_replaces_the_connection_and_nobody_else_renegotiates(
    staged: tuple[MediaRoom, Told],
) -> None:
    """The others' connections stay; on the same slot, under the same number, it goes on."""
    room, told = staged
    first, observer = Peer(room, "ann"), an_observer(room, "ann")
    await first.join()
    await observer.join()
    performing = asyncio.create_task(first.perform(30.0, loud=syllables))
    before = await observer.watch(1.5)
    assert await sees(observer)
    performing.cancel()
    told_before, shown = len(told.connection), told.shown_to("observer")
    again = Peer(room, "ann")
    await again.join()
    performing = asyncio.create_task(again.perform(30.0, loud=syllables))
    assert await sees(observer)
    after = await observer.watch(1.0)
    performing.cancel()
    await first.close()
    assert {each.source for each in (*before.sounds, *after.sounds)} == {room.number("ann")}
    assert told.shown_to("observer") == shown == ["ann"]
    assert "observer" not in {who for who, _ in told.connection[told_before:]}
    await again.close()
    await observer.leave()


async def test_a_failed_connection_is_told_of(staged: tuple[MediaRoom, Told]) -> None:
    """A page that goes without a word closes its connection; the room's owner hears of it."""
    room, told = staged
    peer = Peer(room, "ann")
    await peer.join()
    await until(lambda: ("ann", "connected") in told.connection)
    await peer.close()
    await until(lambda: told.connection[-1] in {("ann", "closed"), ("ann", "failed")})
    assert room.participants() == ("ann",)


async def test_rooms_do_not_hear_each_other(anyio_backend: str) -> None:
    """A server keeps its rooms by code, apart, and ends them."""
    server = MediaServer(addresses=LOOPBACK)
    one, other = server.room("one"), server.room("other")
    assert server.room("one") is one
    ann = await one.add_person("ann")
    observer = an_observer(other)
    await observer.join()
    saying = asyncio.create_task(ann.say("Is anybody there?"))
    seen = await observer.watch(1.0)
    saying.cancel()
    assert not seen.sounds
    assert not seen.pictures
    await observer.leave()
    await server.aclose()
    assert one.participants() == other.participants() == ()
