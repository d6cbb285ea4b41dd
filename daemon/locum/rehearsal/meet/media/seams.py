"""Where we reach into aiortc's private parts, and what we ask of them.

aiortc does ICE, DTLS, SRTP and SDP. Its `RTCRtpReceiver` and `RTCRtpSender` decode, buffer and
encode, with a thread each; a `SeamedConnection` lets a subclass put ends of its own in their
place. That is done for this one class, by overriding the private method that makes them:
nothing of the library is changed for others in the process. What we lean on is looked up at
import, and an aiortc that lacks it is refused by name (1.14 to 1.16 have it).
"""

# ruff: noqa: SLF001 - this module is where it is allowed, so that no other does it.

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import aioice
import aiortc
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.codecs import get_capabilities
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpRouter
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtcrtptransceiver import RTCRtpTransceiver

CODECS = {"audio": "audio/opus", "video": "video/VP8"}
"""One codec a kind, for everybody: that is what makes forwarding possible."""

_MAKE = "_RTCPeerConnection__createTransceiver"
_RECEIVER = "_RTCRtpTransceiver__receiver"
_SENDER = "_RTCRtpTransceiver__sender"
_LOOPBACK = "127.0.0.1"


class End(Protocol):
    """What a connection calls on either end of a section, besides `send` and `receive`."""

    def setTransport(self, transport: Any) -> None: ...  # noqa: N802

    async def stop(self) -> None: ...


def _check_library() -> None:
    nothing: Any = None
    transceiver = RTCRtpTransceiver("audio", nothing, nothing)
    missing = [
        name
        for holder, name in (
            (RTCPeerConnection, _MAKE),
            (transceiver, _RECEIVER),
            (transceiver, _SENDER),
            (transceiver, "_offerDirection"),
            (RTCDtlsTransport, "_send_rtp"),
            (RTCDtlsTransport, "_register_rtp_receiver"),
            (RTCDtlsTransport, "_register_rtp_sender"),
            (RtpRouter, "unregister_receiver"),
            (RtpRouter, "unregister_sender"),
            (aioice.Connection, "get_component_candidates"),
        )
        if not hasattr(holder, name)
    ]
    if missing:
        raise ImportError(
            f"aiortc {aiortc.__version__}: the stage's media lean on {', '.join(missing)}, "
            "which this version lacks. Install aiortc 1.14 to 1.16."
        )


_check_library()


async def send_rtp(transport: Any, data: bytes) -> None:
    """Send an RTP or RTCP packet; it is lost where the transport isn't connected."""
    with contextlib.suppress(ConnectionError):
        await transport._send_rtp(data)


def route_to_receiver(transport: Any, end: Any, parameters: RTCRtpReceiveParameters) -> None:
    """From now on `end._handle_rtp_packet` gets what comes for it."""
    transport._register_rtp_receiver(end, parameters)


def route_to_sender(transport: Any, end: Any, parameters: RTCRtpSendParameters) -> None:
    """From now on `end._handle_rtcp_packet` gets what receivers say of it."""
    transport._register_rtp_sender(end, parameters)


def route_no_more(transport: Any, end: Any) -> None:
    transport._rtp_router.unregister_receiver(end)
    transport._rtp_router.unregister_sender(end)


def offered_direction(transceiver: Any) -> str:
    """What the other side offered for a section, as seen from here: "recvonly": they send."""
    return str(transceiver._offerDirection)


def begin_with(transceiver: Any, kilobits: int) -> None:
    """Have an answer tell a Chromium how many bits a second its picture may begin with.

    Left alone it begins with 300 kbit/s, at which it makes a 720p camera 360p, and takes ten
    seconds and more to trust the line. It still yields where the line is worse.
    """
    for codec in transceiver._codecs:
        codec.parameters["x-google-start-bitrate"] = str(kilobits)


class SeamedConnection(RTCPeerConnection):
    """A peer connection whose sections end in what a subclass makes.

    Args:
        addresses: Where to listen (UDP, a port of the system's choice); None: on every
            address of this machine, the loopback's included. Nobody outside is asked.
    """

    def __init__(self, *, addresses: Sequence[str] | None = None) -> None:
        super().__init__(
            # No STUN server: nothing of the stage is looked up outside.
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._addresses = addresses

    def make_ends(self, kind: str, transport: Any) -> tuple[End, End]:
        """The receiving and the sending end of a section; called for each new one."""
        raise NotImplementedError

    def _RTCPeerConnection__createTransceiver(self, *args: Any, **more: Any) -> Any:  # noqa: N802
        make = getattr(super(), _MAKE)
        transceiver = make(*args, **more)
        transport = transceiver.receiver.transport
        receiver, sender = self.make_ends(transceiver.kind, transport)
        setattr(transceiver, _RECEIVER, receiver)
        setattr(transceiver, _SENDER, sender)
        wanted = CODECS[transceiver.kind].lower()
        # Without RTX: lost packets are sent again as they were, which everybody takes.
        transceiver.setCodecPreferences(
            [
                each
                for each in get_capabilities(transceiver.kind).codecs
                if each.mimeType.lower() == wanted
            ]
        )
        self._listen_here(transport.transport._connection)
        return transceiver

    def _listen_here(self, connection: Any) -> None:
        if isinstance(connection.get_component_candidates, partial):
            return  # One transport serves all sections.
        connection.get_component_candidates = partial(
            _gather_on, connection.get_component_candidates, self._addresses
        )


def _gather_on(gather: Any, chosen: Sequence[str] | None, **more: Any) -> Any:
    found = list(more.pop("addresses", ()))
    if chosen is not None:
        found = list(chosen)
    elif _LOOPBACK not in found:
        found.append(_LOOPBACK)
    return gather(addresses=found, **more)
