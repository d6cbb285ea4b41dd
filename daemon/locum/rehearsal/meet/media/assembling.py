"""Pictures out of packets, in order: for those who look inside, a recording and an observer."""

from __future__ import annotations

from dataclasses import dataclass

from locum.rehearsal.meet.media.wire import Packet, after_16, parse_vp8

_MOST_HELD = 400


@dataclass(frozen=True)
class Picture:
    """One whole VP8 frame.

    `timestamp` counts 90 kHz and wraps; `arrived` is when its last packet came (the loop's
    seconds); `size` is known of key frames.
    """

    data: bytes
    timestamp: int
    key: bool
    size: tuple[int, int] | None
    arrived: float


class Assembler:
    """Puts one sender's packets together; emits no picture whose predecessors are missing.

    `broken` is true while a key frame is needed: at the beginning, and after a loss that
    nobody mended while 400 packets came.
    """

    def __init__(self) -> None:
        self.broken = True
        self._held: dict[int, Packet] = {}
        self._next = 0
        self._newest: int | None = None

    def add(self, packet: Packet) -> list[Picture]:
        """Take a packet, in any order; the pictures that are whole now."""
        place = self._unwrapped(packet.sequence)
        if not self.broken and place < self._next:
            return []
        self._held[place] = packet
        if len(self._held) > _MOST_HELD:
            self._give_up()
        if self.broken and not self._find_key_frame():
            return []
        pictures = []
        while (picture := self._take()) is not None:
            pictures.append(picture)
        return pictures

    def _unwrapped(self, sequence: int) -> int:
        if self._newest is None:
            self._newest = sequence
            return sequence
        place = self._newest + after_16(sequence, self._newest & 0xFFFF)
        self._newest = max(self._newest, place)
        return place

    def _give_up(self) -> None:
        self.broken = True
        # What is older than half of what is held is never asked for again.
        for place in sorted(self._held)[: _MOST_HELD // 2]:
            del self._held[place]

    def _find_key_frame(self) -> bool:
        for place in sorted(self._held):
            payload = self._held[place].payload
            described = parse_vp8(payload)
            if described is not None and described.key_frame_size(payload):
                self._next, self.broken = place, False
                for older in [each for each in self._held if each < place]:
                    del self._held[older]
                return True
        return False

    def _take(self) -> Picture | None:
        """The next picture if all of it is here; padding between pictures is passed over."""
        while (first := self._held.get(self._next)) is not None and not first.payload:
            del self._held[self._next]
            self._next += 1
        if first is None:
            return None
        packets, place = [first], self._next
        while not packets[-1].marker:
            place += 1
            following = self._held.get(place)
            if following is None:
                return None
            packets.append(following)
        for taken in range(self._next, place + 1):
            del self._held[taken]
        self._next = place + 1
        size: tuple[int, int] | None = None
        data: list[bytes] = []
        for each in packets:
            described = parse_vp8(each.payload)
            if described is None:
                continue
            if not data:
                size = described.key_frame_size(each.payload)
            data.append(each.payload[described.body :])
        return Picture(
            b"".join(data),
            first.timestamp,
            size is not None,
            size,
            max(each.arrived for each in packets),
        )
