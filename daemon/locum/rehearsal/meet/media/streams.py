"""The two ends of a section: packets in, packets out, and their reports (RTCP).

They stand where aiortc has its receiver and sender, and answer to the same calls.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from typing import Any

from aiortc import rtp
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtcrtpreceiver import NackGenerator, StreamStatistics

from locum.rehearsal.meet.media.seams import (
    CODECS,
    route_no_more,
    route_to_receiver,
    route_to_sender,
    send_rtp,
)
from locum.rehearsal.meet.media.welcome import Welcome
from locum.rehearsal.meet.media.wire import CLOCKS, Packet, Renumbering, ntp_from_wall

_KEPT = 512
_KEY_FRAME_EVERY = 0.3
_NACK_EVERY = 0.05


class Inlet:
    """Takes the packets of one section from the other side; in a receiver's place.

    Reports losses (RR) and asks again for lost pictures' packets (NACK).
    """

    def __init__(self, kind: str, transport: Any, rtcp_ssrc: int) -> None:
        self.kind = kind
        self.transport = transport
        self.track: Any = None
        self.packet: Callable[[int, Packet], Any] | None = None
        self.report: Callable[[int, int, float], None] | None = None
        self.lost = 0
        self._enabled = True
        self._welcome = Welcome()
        self._bytes = 0
        self._track: Any = None
        self._rtcp_ssrc = rtcp_ssrc
        self._payload_types: frozenset[int] = frozenset()
        self._streams: dict[int, StreamStatistics] = {}
        self._nacks: dict[int, NackGenerator] = {}
        self._reported: dict[int, tuple[int, float]] = {}
        self._ssrc: int | None = None
        self._asked_at = self._nacked_at = float("-inf")

    # What aiortc's connection and transport call.

    def setTransport(self, transport: Any) -> None:  # noqa: N802
        self.transport = transport

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self._rtcp_ssrc = ssrc

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        if self._payload_types:
            return
        wanted = CODECS[self.kind].lower()
        self._payload_types = frozenset(
            each.payloadType
            for each in parameters.codecs
            if each.mimeType.lower() == wanted and each.payloadType is not None
        )
        route_to_receiver(self.transport, self, parameters)

    async def stop(self) -> None:
        self.packet = self.report = None
        route_no_more(self.transport, self)

    def _handle_disconnect(self) -> None:
        pass

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        if not isinstance(packet, rtp.RtcpSrPacket):
            return
        info, now = packet.sender_info, asyncio.get_running_loop().time()
        self._reported[packet.ssrc] = (info.ntp_timestamp >> 16 & 0xFFFFFFFF, now)
        if self.report is not None and packet.ssrc == self._ssrc:
            self.report(info.ntp_timestamp, info.rtp_timestamp, now)

    async def _handle_rtp_packet(self, packet: Any, arrival_time_ms: int) -> None:  # noqa: ARG002 - aiortc's.
        if not self._enabled or packet.payload_type not in self._payload_types:
            return
        ssrc = packet.ssrc
        stream = self._streams.get(ssrc)
        if stream is None:
            if len(self._streams) >= 16:  # Nobody has so many by accident.
                return
            stream = self._streams[ssrc] = StreamStatistics(CLOCKS[self.kind])
            self._nacks[ssrc] = NackGenerator()
        stream.add(packet)
        self._bytes += len(packet.payload)
        self._ssrc = ssrc
        nack = self._nacks[ssrc]
        if self.kind == "video" and self._must_ask_again(nack, nack.add(packet)):
            lost = rtp.RtcpRtpfbPacket(
                fmt=rtp.RTCP_RTPFB_NACK, ssrc=self._rtcp_ssrc, media_ssrc=ssrc
            )
            lost.lost = sorted(nack.missing)
            await send_rtp(self.transport, bytes(lost))
        if self.packet is None:
            return
        level = packet.extensions.audio_level
        taken = self.packet(
            ssrc,
            Packet(
                packet.sequence_number,
                packet.timestamp,
                bool(packet.marker),
                packet.payload,
                asyncio.get_running_loop().time(),
                None if level is None else level[1],
                packet.csrc[0] if packet.csrc else None,
            ),
        )
        if taken is not None:
            await taken

    def _must_ask_again(self, nack: NackGenerator, missed: bool) -> bool:  # noqa: FBT001
        """A new gap is asked for at once, an old one every 50 ms: answers get lost as well."""
        now = asyncio.get_running_loop().time()
        if not nack.missing or (not missed and now - self._nacked_at < _NACK_EVERY):
            return False
        self._nacked_at = now
        return True

    # What we call.

    async def want_key_frame(self) -> None:
        """Ask the sender for a key frame, at most every 0.3 s."""
        now = asyncio.get_running_loop().time()
        if self._ssrc is None or now - self._asked_at < _KEY_FRAME_EVERY:
            return
        self._asked_at = now
        await send_rtp(
            self.transport,
            bytes(
                rtp.RtcpPsfbPacket(
                    fmt=rtp.RTCP_PSFB_PLI, ssrc=self._rtcp_ssrc, media_ssrc=self._ssrc
                )
            ),
        )

    def receiver_report(self) -> bytes:
        """RR on every stream and, for pictures, how many bits a second are welcome (REMB)."""
        if not self._payload_types or not self._streams:
            return b""
        now, reports = asyncio.get_running_loop().time(), []
        for ssrc, stream in self._streams.items():
            lsr, at = self._reported.get(ssrc, (0, now))
            reports.append(
                rtp.RtcpReceiverInfo(
                    ssrc=ssrc,
                    fraction_lost=stream.fraction_lost,
                    packets_lost=stream.packets_lost,
                    highest_sequence=stream.max_seq or 0,
                    jitter=stream.jitter & 0xFFFFFFFF,
                    lsr=lsr,
                    dlsr=min(0xFFFFFFFF, int((now - at) * 65_536)) if lsr else 0,
                )
            )
        self.lost = sum(each.packets_lost for each in self._streams.values())
        answer = bytes(rtp.RtcpRrPacket(ssrc=self._rtcp_ssrc, reports=reports))
        if self.kind == "video" and self._ssrc is not None:
            lost = max(each.fraction_lost for each in reports) / 256
            welcome = self._welcome.after(now, self._bytes, lost)
            fci = rtp.pack_remb_fci(welcome, [self._ssrc])
            answer += bytes(
                rtp.RtcpPsfbPacket(
                    fmt=rtp.RTCP_PSFB_APP, ssrc=self._rtcp_ssrc, media_ssrc=0, fci=fci
                )
            )
        return answer


class Outlet:
    """Gives packets of one section to the other side; in a sender's place.

    Keeps the last 512 packets for those that the receiver lost. Reports (SR) how its
    timestamps lie on this machine's clock, so that a receiver can hold sound and picture of
    one person together.
    """

    def __init__(self, kind: str, transport: Any) -> None:
        self.kind = kind
        self.transport = transport
        self.track: Any = None
        self.key_frame_wanted: Callable[[], Any] | None = None
        self.opened: Callable[[], Any] | None = None
        self.mid: str | None = None
        self.packets = 0
        self.bytes = 0
        self._enabled = True
        self._ssrc = random.getrandbits(32)
        self._rtx_ssrc = random.getrandbits(32)
        self._stream_id = f"slot-{self._ssrc:08x}"
        self._track_id = f"{kind}-{self._ssrc:08x}"
        self._payload_type: int | None = None
        self._extensions = rtp.HeaderExtensionsMap()
        self._kept: dict[int, tuple[int, bytes]] = {}
        self._mapping: tuple[float, int] | None = None
        self.numbering = Renumbering(
            CLOCKS[kind], sequence=random.getrandbits(14), timestamp=random.getrandbits(32)
        )

    # What aiortc's connection and transport call.

    def setTransport(self, transport: Any) -> None:  # noqa: N802
        self.transport = transport

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        if self._payload_type is not None or not self._enabled:
            return
        wanted = CODECS[self.kind].lower()
        self._payload_type = next(
            each.payloadType for each in parameters.codecs if each.mimeType.lower() == wanted
        )
        self.mid = parameters.muxId
        self._extensions.configure(parameters)
        route_to_sender(self.transport, self, parameters)
        if self.opened is not None:
            await self.opened()

    async def stop(self) -> None:
        self._payload_type = None
        self.key_frame_wanted = self.opened = None
        route_no_more(self.transport, self)

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        if isinstance(packet, rtp.RtcpRtpfbPacket) and packet.fmt == rtp.RTCP_RTPFB_NACK:
            for lost in packet.lost[:_KEPT]:
                sequence = lost & 0xFFFF
                kept = self._kept.get(sequence % _KEPT)
                if kept is not None and kept[0] == sequence:
                    await send_rtp(self.transport, kept[1])
        elif (
            isinstance(packet, rtp.RtcpPsfbPacket)
            and packet.fmt in {rtp.RTCP_PSFB_PLI, rtp.RTCP_PSFB_FIR}
            and self.key_frame_wanted is not None
        ):
            await self.key_frame_wanted()

    # What we call.

    @property
    def ssrc(self) -> int:
        return self._ssrc

    @property
    def open(self) -> bool:
        """The other side can be sent to."""
        return self._payload_type is not None

    async def forward(
        self, source: object, packet: Packet, *, csrc: int | None, sent_at: float | None
    ) -> None:
        """Send a packet of `source` on.

        Args:
            source: Who sent it; another one than before begins a new stretch of numbers.
            packet: As it came.
            csrc: The contributing source to name, None for none.
            sent_at: When the sender captured it, in seconds of this machine's wall clock;
                None while that isn't known.
        """
        if self._payload_type is None:
            return
        begins = source != self.numbering.source
        placed = self.numbering.place(source, packet)
        if placed is None:
            return
        sequence, timestamp = placed
        payload, marker = packet.payload, packet.marker
        if self.kind == "video":
            payload = self.numbering.picture(payload)
        else:
            marker = marker or begins
        header = struct.pack(
            "!BBHLL",
            0x80 | (csrc is not None),
            (marker << 7) | self._payload_type,
            sequence,
            timestamp,
            self._ssrc,
        )
        if csrc is not None:
            header += struct.pack("!L", csrc)
        if packet.level is not None:
            profile, value = self._extensions.set(
                rtp.HeaderExtensions(audio_level=(False, packet.level))
            )
            if value:
                header = bytes((header[0] | 0x10,)) + header[1:]
                header += struct.pack("!HH", profile, len(value) >> 2) + value
        data = header + payload
        news = sent_at is not None and (begins or self._mapping is None)
        if begins:
            self._mapping = None
        if sent_at is not None:
            self._mapping = (sent_at, timestamp)
        self._kept[sequence % _KEPT] = (sequence, data)
        self.packets += 1
        self.bytes += len(payload)
        await send_rtp(self.transport, data)
        if news:  # Another one's time: who holds sound and picture together must know at once.
            await send_rtp(self.transport, self.sender_report())

    def sender_report(self) -> bytes:
        """SR: the newest packet's timestamp, and when it was captured."""
        if self._mapping is None or self._payload_type is None:
            return b""
        at, timestamp = self._mapping
        return bytes(
            rtp.RtcpSrPacket(
                ssrc=self._ssrc,
                sender_info=rtp.RtcpSenderInfo(
                    ntp_timestamp=ntp_from_wall(at),
                    rtp_timestamp=timestamp,
                    packet_count=self.packets & 0xFFFFFFFF,
                    octet_count=self.bytes & 0xFFFFFFFF,
                ),
            )
        )
