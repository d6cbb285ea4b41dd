"""One section of an observer's connection: its packets decoded, and what is kept of them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locum.rehearsal.meet.media.assembling import Assembler, Picture
from locum.rehearsal.meet.media.sound import OpusEar
from locum.rehearsal.meet.media.streams import Inlet
from locum.rehearsal.meet.media.wire import (
    AUDIO_HZ,
    CLOCKS,
    SILENCE,
    Packet,
    after_32,
    wall_from_ntp,
)

_MOST_BEHIND = 20
_BIN = AUDIO_HZ // 200
_MOST_KEPT = 1_000_000


@dataclass(frozen=True)
class Region:
    """A part of a picture, in fractions of its width and height from the top left."""

    name: str
    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        inside = self.x >= 0 and self.y >= 0 and self.width > 0 and self.height > 0
        if not inside or self.x + self.width > 1.0001 or self.y + self.height > 1.0001:
            raise ValueError(f"region {self.name}: must lie within 0 … 1 on both sides.")

    @classmethod
    def parse(cls, text: str) -> Region:
        """From "mouth=0.4,0.6,0.2,0.15".

        Raises:
            ValueError: It isn't written so, or lies outside.
        """
        name, _, numbers = text.partition("=")
        parts = numbers.split(",")
        if not name or len(parts) != 4:
            raise ValueError(f"{text}: write NAME=X,Y,WIDTH,HEIGHT in fractions.")
        return cls(name, *(float(each) for each in parts))

    def cut(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The region of a plane (height × width); a pixel at least."""
        height, width = plane.shape
        left, top = min(int(self.x * width), width - 1), min(int(self.y * height), height - 1)
        right = max(left + 1, round((self.x + self.width) * width))
        bottom = max(top + 1, round((self.y + self.height) * height))
        return plane[top:bottom, left:right]


@dataclass(frozen=True)
class Seen:
    """A picture as it came.

    `at`: when its last packet came (loop's seconds). `sent`: when it was captured, as the
    sender's reports say (seconds since 1970), None before they do. `luma` (mean, 0 … 255) and
    `thumbs` (8×8 luma, 64 bytes) are of each region in turn; empty for a picture that wasn't
    decoded, as are its width and height. `timestamp` is RTP's, 90 kHz.
    """

    at: float
    sent: float | None
    width: int
    height: int
    luma: tuple[float, ...]
    thumbs: tuple[bytes, ...]
    timestamp: int


@dataclass(frozen=True)
class Heard:
    """A packet of sound as it came.

    `at` and `sent` as of `Seen`; `place` is its timestamp in seconds, of an origin of its
    own. `source` is the contributing source. `level` is as the packet says it (0 loud … 127),
    `envelope` the RMS of each 5 ms as it was decoded. `timestamp` is RTP's, 48 kHz.
    """

    at: float
    sent: float | None
    place: float
    source: int | None
    level: int
    envelope: tuple[float, ...]
    timestamp: int


class Watcher:
    """Takes what comes on one section. Decodes pictures only while `looking`."""

    def __init__(self, inlet: Inlet, regions: tuple[Region, ...]) -> None:
        self.inlet = inlet
        self.mid = ""
        inlet.packet, inlet.report = self.packet, self.report
        self.pictures: list[Seen] = []
        self.sounds: list[Heard] = []
        self.skipped = 0
        self._looking = False
        self._regions = regions
        self._assembler = Assembler()
        self._ear = OpusEar() if inlet.kind == "audio" else None
        self._decoder: Any = None
        self._thread: ThreadPoolExecutor | None = None
        self._decoding: set[asyncio.Future[Seen]] = set()
        self._needs_key = True
        self._mapping: tuple[float, int] | None = None
        self._origin: int | None = None
        self._last_place = 0

    @property
    def looking(self) -> bool:
        """Whether this section's pictures are measured."""
        return self._looking

    @looking.setter
    def looking(self, on: bool) -> None:
        if on != self._looking:
            self._looking = on
            self._assembler, self._needs_key = Assembler(), True

    def clear(self) -> None:
        """Forget what was measured."""
        self.pictures, self.sounds, self.skipped = [], [], 0

    def report(self, ntp: int, timestamp: int, _arrived: float) -> None:
        """How the sender's timestamps lie on its clock; what came before is stamped too."""
        first = self._mapping is None
        self._mapping = (wall_from_ntp(ntp), timestamp)
        if first:
            self.pictures[:] = [
                replace(each, sent=self._sent(each.timestamp)) for each in self.pictures
            ]
            self.sounds[:] = [
                replace(each, sent=self._sent(each.timestamp)) for each in self.sounds
            ]

    def _sent(self, timestamp: int) -> float | None:
        if self._mapping is None:
            return None
        at, reported = self._mapping
        return at + after_32(timestamp, reported) / CLOCKS[self.inlet.kind]

    async def packet(self, _ssrc: int, packet: Packet) -> None:
        """One packet of this section's stream."""
        if self._ear is not None:
            self._hear(packet)
            return
        if not self._looking:
            return
        for picture in self._assembler.add(packet):
            self._see(picture)
        if self._assembler.broken:
            await self.inlet.want_key_frame()

    def _hear(self, packet: Packet) -> None:
        assert self._ear is not None  # noqa: S101 - a section of sound has one.
        if self._origin is None:
            self._origin = packet.timestamp
        self._last_place += after_32(packet.timestamp, self._origin)
        self._origin = packet.timestamp
        samples = self._ear.decode(packet.payload)
        whole = len(samples) // _BIN * _BIN
        bins = np.sqrt(np.mean(np.square(samples[:whole].reshape(-1, _BIN)), axis=1))
        if len(self.sounds) < _MOST_KEPT:
            self.sounds.append(
                Heard(
                    packet.arrived,
                    self._sent(packet.timestamp),
                    self._last_place / AUDIO_HZ,
                    packet.contributor,
                    SILENCE if packet.level is None else packet.level,
                    tuple(float(each) for each in bins),
                    packet.timestamp,
                )
            )

    def _see(self, picture: Picture) -> None:
        sent = self._sent(picture.timestamp)
        self._needs_key = self._needs_key and not picture.key
        if (
            self._needs_key
            or len(self._decoding) > _MOST_BEHIND
            or len(self.pictures) > _MOST_KEPT
        ):
            # It came; that this machine can't decode it in time is not the sender's fault.
            self.skipped += 1
            self._needs_key = True
            self.pictures.append(Seen(picture.arrived, sent, 0, 0, (), (), picture.timestamp))
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="observer")
        loop, kept = asyncio.get_running_loop(), self.pictures
        done = loop.run_in_executor(self._thread, self._decode, picture, sent)
        self._decoding.add(done)
        done.add_done_callback(lambda future: self._decoded(future, kept))

    def _decoded(self, future: asyncio.Future[Seen], kept: list[Seen]) -> None:
        self._decoding.discard(future)
        if not future.cancelled() and future.exception() is None:
            kept.append(future.result())

    def _decode(self, picture: Picture, sent: float | None) -> Seen:
        import av

        if self._decoder is None:
            self._decoder = av.CodecContext.create("libvpx", "r")
        try:
            frames = self._decoder.decode(av.Packet(picture.data))
        except av.FFmpegError:
            frames = []
        if not frames:
            return Seen(picture.arrived, sent, 0, 0, (), (), picture.timestamp)
        plane = frames[-1].planes[0]
        luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        luma = luma[: frames[-1].height, : frames[-1].width]
        cuts = [each.cut(luma) for each in self._regions]
        return Seen(
            picture.arrived,
            sent,
            frames[-1].width,
            frames[-1].height,
            # A quarter of the pixels tells as much about a mean.
            tuple(float(each[::2, ::2].mean()) for each in cuts),
            tuple(_thumb(each) for each in cuts),
            picture.timestamp,
        )

    async def settle(self) -> None:
        """Wait until what has come is decoded."""
        await asyncio.gather(*self._decoding, return_exceptions=True)

    async def aclose(self) -> None:
        if self._thread is not None:
            await asyncio.to_thread(self._thread.shutdown)


def _thumb(cut: NDArray[np.uint8]) -> bytes:
    """8×8 means of a region; every other pixel of a large one is enough for them."""
    step = max(1, min(cut.shape) // 64)
    small = cut[::step, ::step].astype(np.float32)
    rows = np.linspace(0, small.shape[0], 9).astype(int)
    columns = np.linspace(0, small.shape[1], 9).astype(int)
    sums = np.add.reduceat(
        np.add.reduceat(small, np.minimum(rows[:-1], small.shape[0] - 1), axis=0),
        np.minimum(columns[:-1], small.shape[1] - 1),
        axis=1,
    )
    counts = np.outer(np.maximum(np.diff(rows), 1), np.maximum(np.diff(columns), 1))
    return bytes((sums / counts).clip(0, 255).astype(np.uint8).tobytes())
