"""Participants without a browser: a drawn tile that moves, and a voice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from locum.rehearsal.meet.media.timing import SenderClock
from locum.rehearsal.meet.media.wire import AUDIO_HZ, VIDEO_HZ, Packet, describe_vp8

Take = Callable[[int, Packet], Awaitable[None]]

_PACKET_BYTES = 1_100
_FRAME_S = 0.02
# As Opus does in a silence (DTX): a sign of life now and then, and nothing in between.
_SILENT_EVERY_S = 0.4


class Person:
    """Somebody in a room who has no page; made by `MediaRoom.add_person`.

    Args:
        participant: The room's id for it.
        leave: Takes it out of its room.
        picture_seed: Whose tile: the same seed, the same picture.
    """

    def __init__(
        self, participant: str, leave: Callable[[], Awaitable[None]], *, picture_seed: int
    ) -> None:
        self.participant = participant
        self._leave = leave
        self._seed = picture_seed
        self._turn = asyncio.Lock()
        self._speaking = False
        self._tasks: list[asyncio.Task[None]] = []
        self._restart = self._gone = False
        self._loops: dict[bool, tuple[bytes, ...]] = {}
        self._hear: Take | None = None
        self._see: Take | None = None
        self._ssrcs = (random.getrandbits(32), random.getrandbits(32))
        self._began = 0.0
        self._audio_sequence = self._video_sequence = 0

    async def begin(self, *, hear: Take, see: Take, clock: SenderClock) -> None:
        """Appear: called by the room, which takes the packets."""
        from locum.rehearsal.meet.media import speaking, tiles

        self._hear, self._see = hear, see
        silent = await asyncio.to_thread(speaking.quiet)
        frames = await asyncio.to_thread(tiles.tile, self._seed)
        if self._gone:
            return
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        # Both clocks count from here, so sound and picture are on one time by construction.
        for kind in ("audio", "video"):
            now = time.time()
            clock.report(kind, theirs=now, timestamp=0, arrived=now)
        self._loops = {False: frames}
        self._tasks = [
            loop.create_task(self._move(tiles.RATE), name=f"tile {self.participant}"),
            loop.create_task(self._breathe(silent), name=f"silence {self.participant}"),
        ]

    async def want_key_frame(self) -> None:
        """Somebody new looks: the loop begins again, which it does with a key frame."""
        self._restart = True

    async def say(
        self,
        text: str | None = None,
        recording: Path | None = None,
        *,
        began: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Speak, and return when the last sound is out. Two calls speak one after the other.

        Args:
            text: Said with espeak-ng's voice where that is installed, else as a warble of
                the length that the text would take.
            recording: A file of speech (WAV of 16 bit, or Opus), played instead of any voice.
            began: Is told when the first sound goes out, in the loop's seconds.

        Raises:
            ValueError: Neither is given, or the recording can't be read.
        """
        from locum.rehearsal.meet.media import speaking, tiles

        if recording is not None:
            samples = await asyncio.to_thread(speaking.read_sound, recording)
        elif text:
            samples = await speaking.voice(text)
        else:
            raise ValueError(
                f"{self.participant} has nothing to say: give text or a recording."
            )
        async with self._turn:
            if True not in self._loops:  # Most never say a word, and need no such picture.
                self._loops[True] = await asyncio.to_thread(
                    tiles.tile, self._seed, speaking=True
                )
            self._speaking = self._restart = True
            try:
                await self._utter(speaking.packets(samples), began)
            finally:
                self._speaking = False
                self._restart = True

    async def _utter(self, said: Iterator[Any], began: Callable[[float], None]) -> None:
        loop = asyncio.get_running_loop()
        first = round((loop.time() - self._began) / _FRAME_S)
        began(self._began + first * _FRAME_S)
        for number, each in enumerate(said, first):
            # Encoding a packet takes 0.3 ms, so it is done as one goes.
            await _until(self._began + number * _FRAME_S)
            await self._sound(each, number, marker=number == first)

    async def _breathe(self, silent: Any) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._speaking:
                number = round((loop.time() - self._began) / _FRAME_S)
                await self._sound(silent, number, marker=False)
            await asyncio.sleep(_SILENT_EVERY_S)

    async def _sound(self, said: Any, number: int, *, marker: bool) -> None:
        if self._hear is None:
            return
        self._audio_sequence = (self._audio_sequence + 1) & 0xFFFF
        await self._hear(
            self._ssrcs[0],
            Packet(
                self._audio_sequence,
                round(number * _FRAME_S * AUDIO_HZ) & 0xFFFFFFFF,
                marker,
                said.payload,
                asyncio.get_running_loop().time(),
                said.level,
            ),
        )

    async def _move(self, rate: int) -> None:
        loop = asyncio.get_running_loop()
        frames, at, number = self._loops[False], 0, 0
        while True:
            number = max(number + 1, int((loop.time() - self._began) * rate))
            await _until(self._began + number / rate)
            if self._restart or at == len(frames):
                self._restart, at = False, 0
                frames = self._loops.get(self._speaking, frames)
            await self._picture(frames[at], number, round(number / rate * VIDEO_HZ))
            at += 1

    async def _picture(self, frame: bytes, number: int, timestamp: int) -> None:
        for start in range(0, len(frame), _PACKET_BYTES):
            if self._see is None:
                return
            self._video_sequence = (self._video_sequence + 1) & 0xFFFF
            piece = frame[start : start + _PACKET_BYTES]
            await self._see(
                self._ssrcs[1],
                Packet(
                    self._video_sequence,
                    timestamp & 0xFFFFFFFF,
                    start + _PACKET_BYTES >= len(frame),
                    describe_vp8(begins_frame=start == 0, picture_id=number) + piece,
                    asyncio.get_running_loop().time(),
                ),
            )

    async def leave(self) -> None:
        """Go; what is being said is cut off."""
        await self._leave()

    async def stop(self) -> None:
        """Send nothing more: called by the room when the person is out."""
        self._gone = True
        self._hear = self._see = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _until(at: float) -> None:
    await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
