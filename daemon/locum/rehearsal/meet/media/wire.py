"""RTP and VP8 as bytes and numbers: what a forwarder must read, and the little it rewrites.

Pure. The sources: RFC 3550 (RTP), RFC 7741 (VP8 over RTP), RFC 6464 (audio level).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

AUDIO_HZ = 48_000
VIDEO_HZ = 90_000
CLOCKS = {"audio": AUDIO_HZ, "video": VIDEO_HZ}

SILENCE = 127
"""Of a level: digital silence; 0 is the loudest (RFC 6464, -dBov)."""

_HALF_16 = 1 << 15
_HALF_32 = 1 << 31


@dataclass(slots=True)
class Packet:
    """One RTP packet on its way through a room, freed of whose numbering it had.

    `level` is of sound only: 0 (loudest) to 127 (silence), None when the sender says nothing.
    `arrived` is the loop's time in seconds. `contributor` is the first contributing source.
    """

    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    arrived: float
    level: int | None = None
    contributor: int | None = None


def after_16(later: int, earlier: int) -> int:
    """How far `later` is ahead, as 16-bit numbers that wrap; negative when it is behind."""
    return ((later - earlier + _HALF_16) & 0xFFFF) - _HALF_16


def after_32(later: int, earlier: int) -> int:
    """How far `later` is ahead, as 32-bit numbers that wrap; negative when it is behind."""
    return ((later - earlier + _HALF_32) & 0xFFFFFFFF) - _HALF_32


@dataclass(frozen=True, slots=True)
class Vp8:
    """Where things are in a VP8 payload; positions are None where a field isn't sent."""

    body: int
    begins_frame: bool
    picture_id: int | None = None
    picture_id_at: int | None = None
    picture_id_long: bool = False
    tl0: int | None = None
    tl0_at: int | None = None

    def key_frame_size(self, payload: bytes) -> tuple[int, int] | None:
        """Width and height if a key frame begins in this payload (RFC 6386, 9.1)."""
        body = payload[self.body : self.body + 10]
        if not self.begins_frame or len(body) < 10 or body[0] & 1:
            return None
        if body[3:6] != b"\x9d\x01\x2a":
            return None
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF


def parse_vp8(payload: bytes) -> Vp8 | None:
    """Read a payload descriptor (RFC 7741, 4.2); None for padding and for what is cut short."""
    try:
        first = payload[0]
        begins = bool(first & 0x10) and not first & 0x07
        if not first & 0x80:
            return Vp8(1, begins) if len(payload) > 1 else None
        flags, at = payload[1], 2
        picture_id = picture_id_at = tl0 = tl0_at = None
        long = False
        if flags & 0x80:
            picture_id_at, long = at, bool(payload[at] & 0x80)
            if long:
                picture_id = (payload[at] & 0x7F) << 8 | payload[at + 1]
            else:
                picture_id = payload[at] & 0x7F
            at += 2 if long else 1
        if flags & 0x40:
            tl0, tl0_at = payload[at], at
            at += 1
        if flags & 0x30:
            at += 1
    except IndexError:
        return None
    if at >= len(payload):
        return None
    return Vp8(at, begins, picture_id, picture_id_at, long, tl0, tl0_at)


def describe_vp8(*, begins_frame: bool, picture_id: int) -> bytes:
    """A payload descriptor with a 15-bit picture id, as browsers send it."""
    first = 0x90 if begins_frame else 0x80
    return struct.pack("!BBH", first, 0x80, 0x8000 | picture_id & 0x7FFF)


class Renumbering:
    """Gives packets of changing sources one unbroken numbering, as one sender would.

    Within a source the distances of sequence numbers and timestamps stay as they were: what
    was lost on the way in is a gap on the way out, and the receiver asks for it.

    Args:
        clock_hz: Of the timestamps.
        sequence: The first sequence number. In the lower half, as libsrtp wants it.
        timestamp: The first timestamp.
    """

    def __init__(self, clock_hz: int, *, sequence: int, timestamp: int) -> None:
        self._clock_hz = clock_hz
        self._source: object = None
        self._first = 0
        self._sequence_shift = 0
        self._picture_shift = 0
        self._tl0_shift = 0
        self.timestamp_shift = 0
        self._last_sequence = (sequence - 1) & 0xFFFF
        self._last_timestamp = timestamp
        self._last_arrived: float | None = None
        self._last_picture: int | None = None
        self._last_tl0: int | None = None

    @property
    def source(self) -> object:
        """Whose packets pass now; None before the first, and after `interrupt`."""
        return self._source

    def interrupt(self) -> None:
        """The next packet follows the last one, whatever was left out in between."""
        self._source = None

    def place(self, source: object, packet: Packet) -> tuple[int, int] | None:
        """Sequence number and timestamp to send it with; None for one from before its time."""
        if source != self._source or self._source is None:
            self._begin(source, packet)
        elif after_16(packet.sequence, self._first) < 0:
            return None
        sequence = (packet.sequence + self._sequence_shift) & 0xFFFF
        timestamp = (packet.timestamp + self.timestamp_shift) & 0xFFFFFFFF
        if after_16(sequence, self._last_sequence) > 0:
            self._last_sequence = sequence
            # The beginning is remembered only to tell stragglers; numbers wrap past it.
            if after_16(packet.sequence, self._first) > 4096:
                self._first = (packet.sequence - 2048) & 0xFFFF
        if after_32(timestamp, self._last_timestamp) > 0:
            self._last_timestamp = timestamp
            self._last_arrived = packet.arrived
        return sequence, timestamp

    def _begin(self, source: object, packet: Packet) -> None:
        passed = 0
        if self._last_arrived is not None:
            # At least one tick on: two frames of one time would be one frame.
            passed = max(1, round((packet.arrived - self._last_arrived) * self._clock_hz))
        self._source = source
        self._first = packet.sequence
        self._sequence_shift = self._last_sequence + 1 - packet.sequence
        self.timestamp_shift = self._last_timestamp + passed - packet.timestamp
        self._last_arrived = packet.arrived
        self._picture_shift = self._tl0_shift = 0
        described = parse_vp8(packet.payload) if self._clock_hz == VIDEO_HZ else None
        if described is not None and described.picture_id is not None:
            if self._last_picture is not None:
                self._picture_shift = self._last_picture + 1 - described.picture_id
            if self._last_tl0 is not None and described.tl0 is not None:
                self._tl0_shift = self._last_tl0 + 1 - described.tl0

    def picture(self, payload: bytes) -> bytes:
        """A VP8 payload with its picture numbered on from the last source's."""
        described = parse_vp8(payload)
        if described is None or described.picture_id is None or described.picture_id_at is None:
            return payload
        mask = 0x7FFF if described.picture_id_long else 0x7F
        picture = (described.picture_id + self._picture_shift) & mask
        self._last_picture = picture
        tl0 = described.tl0
        if tl0 is not None:
            tl0 = self._last_tl0 = (tl0 + self._tl0_shift) & 0xFF
        if not self._picture_shift and not self._tl0_shift:
            return payload
        changed = bytearray(payload)
        if described.picture_id_long:
            struct.pack_into("!H", changed, described.picture_id_at, 0x8000 | picture)
        else:
            changed[described.picture_id_at] = picture
        if tl0 is not None and described.tl0_at is not None:
            changed[described.tl0_at] = tl0
        return bytes(changed)


def ntp_from_wall(wall: float) -> int:
    """Seconds since 1970 as RTCP writes them: 64 bits, since 1900, half of them fraction."""
    return int((wall + 2_208_988_800) * 4_294_967_296) & 0xFFFFFFFFFFFFFFFF


def wall_from_ntp(ntp: int) -> float:
    """The other way round, in seconds since 1970."""
    return ntp / 4_294_967_296 - 2_208_988_800
