"""Peers for the stage's media: one that sends what it is told to, packet by packet, and waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np

from locum.rehearsal.meet.media.connection import Connection
from locum.rehearsal.meet.media.observer import Observer
from locum.rehearsal.meet.media.room import Hooks, MediaRoom
from locum.rehearsal.meet.media.signalling import RoomSignalling
from locum.rehearsal.meet.media.sound import FRAME, OpusMouth, level_of
from locum.rehearsal.meet.media.wire import AUDIO_HZ, VIDEO_HZ, Packet, describe_vp8

LOOPBACK = ("127.0.0.1",)
PATIENCE_S = 20.0


async def until(holds: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    """Wait for something that stays true once it is."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:g} s")
        await asyncio.sleep(0.02)


@dataclass
class Told:
    """All that a room has told its owner."""

    speaking: list[tuple[str, bool]] = field(default_factory=list)
    slots: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    connection: list[tuple[str, str]] = field(default_factory=list)

    def hooks(self) -> Hooks:
        return Hooks(
            speaking=lambda *news: self.speaking.append(news),
            slots=lambda *news: self.slots.append(news),
            connection=lambda *news: self.connection.append(news),
        )

    def shown_to(self, participant: str) -> list[str]:
        """Whose pictures the newest slots of a participant carry."""
        newest = [message for who, message in self.slots if who == participant][-1]
        return [each["participant"] for each in newest["video"] if each["participant"]]


def a_room() -> tuple[MediaRoom, Told]:
    told = Told()
    return MediaRoom("abc-defg-hij", hooks=told.hooks(), addresses=LOOPBACK), told


def an_observer(room: MediaRoom, watch: str | None = None, **more: Any) -> Observer:
    name = more.pop("name", "observer")
    return Observer(RoomSignalling(room, name), watch=watch, addresses=LOOPBACK, **more)


async def sees(observer: Observer, count: int = 5) -> bool:
    """Whether an observer decodes so many pictures, however long this machine takes to."""
    seen, end = 0, time.monotonic() + PATIENCE_S
    while seen < count and time.monotonic() < end:
        seen += sum((await observer.watch(0.3)).sizes().values())
    return seen >= count


class Peer:
    """A participant that sends what a test gives it, over a connection of its own."""

    def __init__(self, room: MediaRoom, participant: str) -> None:
        self.room = room
        self.participant = participant
        self.connection = Connection(addresses=LOOPBACK)
        self.audio = self.connection.give("audio")
        self.video = self.connection.give("video")
        self.key_frames_asked = 0
        self.video.key_frame_wanted = self._asked
        self._mouth = OpusMouth()
        self._sequences = {"audio": 0, "video": 0}
        self._encoder: Any = None
        self._asked_for = True

    async def _asked(self) -> None:
        self.key_frames_asked += 1
        self._asked_for = True

    async def join(self) -> None:
        async def exchange(offer: str) -> str:
            return await self.room.negotiate(self.participant, offer)

        await self.connection.negotiate(exchange)
        await until(lambda: self.audio.open and self.video.open)
        self.connection.begin_reports()

    async def close(self) -> None:
        await self.connection.close()

    async def sound(self, samples: Any, at: float, *, wall: float | None = None) -> None:
        """Send 20 ms of sound that was heard at `at` seconds of the sender's own time."""
        for payload in self._mouth.encode(samples):
            await self.audio.forward(
                self.participant,
                self._packet("audio", payload, at, marker=False, level=level_of(samples)),
                csrc=None,
                sent_at=wall,
            )

    async def picture(self, light: int, at: float, *, wall: float | None = None) -> None:
        """Send an evenly light picture; a key frame if one was asked for."""
        data = self._encoded(light, at)
        for start in range(0, len(data), 1_000):
            head = describe_vp8(begins_frame=start == 0, picture_id=self._sequences["video"])
            payload = head + data[start : start + 1_000]
            packet = self._packet("video", payload, at, marker=start + 1_000 >= len(data))
            await self.video.forward(self.participant, packet, csrc=None, sent_at=wall)

    def _packet(
        self, kind: str, payload: bytes, at: float, *, marker: bool, level: int | None = None
    ) -> Packet:
        self._sequences[kind] += 1
        hz = AUDIO_HZ if kind == "audio" else VIDEO_HZ
        return Packet(
            self._sequences[kind] & 0xFFFF,
            round(at * hz) & 0xFFFFFFFF,
            marker,
            payload,
            asyncio.get_running_loop().time(),
            level,
        )

    def _encoded(self, light: int, at: float) -> bytes:
        if self._encoder is None:
            self._encoder = av.CodecContext.create("libvpx", "w")
            self._encoder.width, self._encoder.height = 160, 96
            self._encoder.pix_fmt = "yuv420p"
            self._encoder.time_base = Fraction(1, VIDEO_HZ)
            self._encoder.gop_size = 100_000
            self._encoder.options = {
                "deadline": "realtime",
                "cpu-used": "8",
                "lag-in-frames": "0",
            }
        plane = np.full((144, 160), 128, np.uint8)
        plane[:96] = light
        frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
        frame.pts, frame.time_base = round(at * VIDEO_HZ), Fraction(1, VIDEO_HZ)
        if self._asked_for:
            self._asked_for = False
            frame.pict_type = av.video.frame.PictureType.I
        return b"".join(bytes(each) for each in self._encoder.encode(frame))

    async def perform(
        self, seconds: float, *, late_s: float = 0.0, loud: Callable[[float], bool]
    ) -> None:
        """Sound and picture in real time: loud and dark together, the picture `late_s` after."""
        loop = asyncio.get_running_loop()
        began, wall = loop.time(), time.time()
        for number in range(int(seconds * 50)):
            at = number / 50
            await asyncio.sleep(max(0.0, began + at - loop.time()))
            tone = np.sin(np.arange(FRAME) * 0.04).astype(np.float32)
            await self.sound(tone * (0.4 if loud(at) else 0.0), at, wall=wall + at)
            if number % 2 == 0:
                await self.picture(20 if loud(at - late_s) else 235, at, wall=wall + at)


def syllables(at: float) -> bool:
    """An uneven rhythm, which only fits itself when it lies right."""
    return bool(0b1011001110100101 >> int(at * 6) % 16 & 1)
