"""What the others saw and heard, as a file to look at.

The picture of one participant as it came (nothing is encoded again) and the mix of all that
was said, in WebM. Written a second at a time: a process that is killed leaves a file that
plays up to its last second, though its header can't say how long it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import structlog

from locum.rehearsal.meet.media.assembling import Assembler, Picture
from locum.rehearsal.meet.media.publishing import Publisher
from locum.rehearsal.meet.media.wire import AUDIO_HZ, CLOCKS, VIDEO_HZ, Packet, after_32

_log = structlog.get_logger(__name__)

_MOST_WAITING = 20_000
# Sound is mixed so long after it was said: what comes later isn't heard in the file.
_MIXED_AFTER_S = 0.6
_PICTURE_WITHIN_S = 5.0
_DRIFT_S = 0.08


@dataclass(frozen=True)
class _Came:
    kind: str
    source: object
    packet: Packet
    at: float
    exact: bool


class _Line:
    """One source's timestamps on the recording's time, which begins with 0."""

    def __init__(self, kind: str) -> None:
        self._clock_hz = CLOCKS[kind]
        self._anchor: tuple[int, float] | None = None
        self._exact = False

    def place(self, came: _Came) -> float:
        """Seconds into the recording; steady from packet to packet."""
        timestamp = came.packet.timestamp
        if self._anchor is not None:
            at, where = self._anchor
            place = where + after_32(timestamp, at) / self._clock_hz
            off = abs(place - came.at) > _DRIFT_S
            if (self._exact or not came.exact) and not off:
                self._anchor = (timestamp, place)
                return place
        self._exact = came.exact
        self._anchor = (timestamp, came.at)
        return came.at


class Recorder:
    """A recording in progress; made by `MediaRoom.record`.

    Args:
        picture_of: Whose picture.
        file: Written over if it is there.
        max_seconds: Where it ends by itself.
        max_bytes: Likewise; overrun by a second at most.
        on_end: Called on the loop when it has ended, however it came.

    Raises:
        OSError: The file can't be written.
    """

    def __init__(
        self,
        picture_of: str,
        file: Path,
        *,
        max_seconds: float,
        max_bytes: int,
        on_end: Callable[[Recorder], None],
    ) -> None:
        with file.open("wb"):
            pass
        self.picture_of = picture_of
        self.file = file
        self.lost = 0
        self._max_seconds = max_seconds
        self._max_bytes = max_bytes
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._began = time.time()
        self._waiting: queue.Queue[_Came | None] = queue.Queue(_MOST_WAITING)
        self._tape = _Tape(file)
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """How much is in the file."""
        return self._tape.seconds

    @property
    def ended(self) -> bool:
        """Nothing more is written: it was stopped, or reached a bound."""
        return not self._thread.is_alive()

    def take(
        self, kind: str, publisher: Publisher, ssrc: int, packet: Packet, sent_at: float | None
    ) -> None:
        """A packet passes; nothing is done here but to keep it for the writing thread."""
        if kind == "video" and publisher.participant != self.picture_of:
            return
        at = (time.time() if sent_at is None else sent_at) - self._began
        source = publisher.source(kind, ssrc)
        try:
            self._waiting.put_nowait(_Came(kind, source, packet, at, sent_at is not None))
        except queue.Full:
            self.lost += 1

    def _write(self) -> None:
        """The thread's whole life; what goes wrong ends the recording, not the meeting."""
        try:
            while (came := self._next()) is not None:
                if came.kind:
                    self._tape.add(came)
                elapsed = time.time() - self._began
                self._tape.mix_until(elapsed - _MIXED_AFTER_S)
                if elapsed > self._max_seconds or self._too_large():
                    break
            self._tape.finish(min(time.time() - self._began, self._max_seconds))
        except Exception:  # noqa: BLE001 - a thread's outermost frame.
            _log.exception("recording_failed", file=str(self.file))
        with contextlib.suppress(RuntimeError):  # The loop may be gone by now.
            self._loop.call_soon_threadsafe(self._on_end, self)

    def _next(self) -> _Came | None:
        try:
            return self._waiting.get(timeout=0.5)
        except queue.Empty:
            return _Came("", None, Packet(0, 0, False, b"", 0.0), 0.0, False)

    def _too_large(self) -> bool:
        return self.file.exists() and self.file.stat().st_size > self._max_bytes

    async def stop(self) -> float:
        """Finish the file; its length in seconds (0.0: nothing came, there is no file)."""
        self._on_end(self)
        while self._thread.is_alive():
            try:
                self._waiting.put_nowait(None)
                break
            except queue.Full:
                await asyncio.sleep(0.1)
        await asyncio.to_thread(self._thread.join)
        return self._tape.seconds


class _Tape:
    """The file itself, used by the writing thread alone."""

    def __init__(self, file: Path) -> None:
        self.seconds = 0.0
        self._file = file
        self._container: Any = None
        self._video: Any = None
        self._audio: Any = None
        self._lines: dict[object, _Line] = {}
        self._ears: dict[object, Any] = {}
        self._assembler = Assembler()
        self._assembled: object = None
        self._mixed: dict[int, Any] = {}
        self._mixed_until = 0
        self._last_ms = -1
        self._heard = False

    def add(self, came: _Came) -> None:
        line = self._lines.setdefault(came.source, _Line(came.kind))
        if came.kind == "audio":
            self._hear(came, line.place(came))
            return
        if came.source != self._assembled:
            self._assembled, self._assembler = came.source, Assembler()
        place = line.place(came)
        for picture in self._assembler.add(came.packet):
            earlier = after_32(came.packet.timestamp, picture.timestamp) / VIDEO_HZ
            self._see(picture, place - earlier)

    def _hear(self, came: _Came, place: float) -> None:
        import numpy as np

        from locum.rehearsal.meet.media.sound import FRAME, OpusEar

        ear = self._ears.get(came.source)
        if ear is None:
            ear = self._ears[came.source] = OpusEar()
        samples = ear.decode(came.packet.payload)
        self._heard = True
        start = round(place * AUDIO_HZ)
        while len(samples):
            number, offset = divmod(start, FRAME)
            part = samples[: FRAME - offset]
            if number >= self._mixed_until:
                bucket = self._mixed.setdefault(number, np.zeros(FRAME, np.float32))
                bucket[offset : offset + len(part)] += part
            samples = samples[len(part) :]
            start += len(part)

    def _see(self, picture: Picture, place: float) -> None:
        import av

        if self._container is None:
            self._open(picture.size or (1280, 720))
        ms = max(self._last_ms + 1, round(place * 1_000), 0)
        self._last_ms = ms
        packet = av.Packet(picture.data)
        packet.stream = self._video
        packet.time_base = Fraction(1, 1_000)
        packet.pts = packet.dts = ms
        packet.is_keyframe = picture.key
        self._container.mux(packet)
        self.seconds = max(self.seconds, ms / 1_000)

    def mix_until(self, seconds: float) -> None:
        """Write the sound up to there; nothing is left out, silence is written too."""
        if self._container is None:
            if not self._heard or seconds < _PICTURE_WITHIN_S:
                return
            self._open((1280, 720))
        import av
        import numpy as np

        from locum.rehearsal.meet.media.sound import FRAME

        end = int(seconds * AUDIO_HZ / FRAME)
        while self._mixed_until < end:
            bucket = self._mixed.pop(self._mixed_until, None)
            mixed = np.zeros(FRAME, np.float32) if bucket is None else np.clip(bucket, -1, 1)
            frame = av.AudioFrame.from_ndarray(
                mixed.reshape(1, -1), format="flt", layout="mono"
            )
            frame.sample_rate = AUDIO_HZ
            frame.time_base = Fraction(1, AUDIO_HZ)
            frame.pts = self._mixed_until * FRAME
            for packet in self._audio.encode(frame):
                self._container.mux(packet)
            self._mixed_until += 1
        self.seconds = max(self.seconds, end * FRAME / AUDIO_HZ)

    def _open(self, size: tuple[int, int]) -> None:
        import av

        self._container = av.open(
            str(self._file),
            "w",
            format="webm",
            options={"cluster_time_limit": "1000", "flush_packets": "1"},
        )
        # Its encoder is never used: it only tells the file what VP8 is.
        self._video = self._container.add_stream("libvpx", rate=30)
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        self._video.time_base = Fraction(1, 1_000)
        self._audio = self._container.add_stream("libopus", rate=AUDIO_HZ)
        self._audio.codec_context.format = "flt"
        self._audio.codec_context.layout = "mono"
        self._audio.codec_context.bit_rate = 48_000

    def finish(self, seconds: float) -> None:
        if self._container is None and self._heard:
            self._open((1280, 720))
        if self._container is None:
            self._file.unlink(missing_ok=True)
            return
        self.mix_until(seconds)
        for packet in self._audio.encode(None):
            self._container.mux(packet)
        self._container.close()
