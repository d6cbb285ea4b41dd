"""One participant's own sound and picture on their way into a room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from locum.rehearsal.meet.media.timing import SenderClock, SpeechMark
from locum.rehearsal.meet.media.wire import SILENCE, Packet, parse_vp8


class Publisher:
    """What one participant sends: counted, judged, and marked with whose it is.

    Outlives its connections: with a new one it begins a new `epoch`, and receivers renumber.
    """

    def __init__(self, participant: str, number: int) -> None:
        self.participant = participant
        self.number = number
        self.clock = SenderClock()
        self.speech = SpeechMark()
        self.shows = False
        self.epoch = 0
        self.audio_packets = self.video_packets = self.video_frames = self.bytes = 0
        self.width = self.height = 0
        self.ask_key_frame: Callable[[], Awaitable[None]] | None = None
        self._opus: Any = None

    def begin(
        self, *, shows: bool, ask_key_frame: Callable[[], Awaitable[None]] | None
    ) -> None:
        """Packets come from a new place from now on."""
        self.epoch += 1
        self.clock.forget()
        self.shows = shows
        self.ask_key_frame = ask_key_frame
        self._opus = None

    def source(self, kind: str, ssrc: int) -> tuple[str, str, int, int]:
        """Whose numbering a packet is in."""
        return (kind, self.participant, self.epoch, ssrc)

    def count_audio(self, packet: Packet) -> int:
        """Count a packet of sound; how loud it is (0 loud … 127 silence)."""
        self.audio_packets += 1
        self.bytes += len(packet.payload)
        if packet.level is None:
            packet.level = self._measure(packet.payload)
        return packet.level

    def count_video(self, packet: Packet) -> bool:
        """Count a packet of picture; True if a key frame begins in it."""
        self.video_packets += 1
        self.video_frames += packet.marker
        self.bytes += len(packet.payload)
        described = parse_vp8(packet.payload)
        size = described and described.key_frame_size(packet.payload)
        if not size:
            return False
        self.width, self.height = size
        return True

    async def want_key_frame(self) -> None:
        if self.ask_key_frame is not None:
            await self.ask_key_frame()

    def _measure(self, payload: bytes) -> int:
        """The level of a packet whose sender doesn't say: Opus is decoded in 0.1 ms."""
        from locum.rehearsal.meet.media.sound import OpusEar

        if not payload:
            return SILENCE
        if self._opus is None:
            self._opus = OpusEar()
        level: int = self._opus.level(payload)
        return level
