"""A peer connection of the stage: packets as they are, and no media of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiortc import RTCSessionDescription

from locum.rehearsal.meet.media.seams import (
    SeamedConnection,
    begin_with,
    offered_direction,
    send_rtp,
)
from locum.rehearsal.meet.media.streams import Inlet, Outlet

_REPORT_EVERY = 1.0
_FIRST_KILOBITS = 2_500


@dataclass(frozen=True)
class Section:
    """One m-line of an offer, and what its sender can do there."""

    transceiver: Any
    mid: str
    kind: str
    they_send: bool
    they_receive: bool

    @property
    def inlet(self) -> Inlet:
        inlet: Inlet = self.transceiver.receiver
        return inlet

    @property
    def outlet(self) -> Outlet:
        outlet: Outlet = self.transceiver.sender
        return outlet

    def agree(self, *, take: bool, give: bool) -> None:
        """Settle what will flow, before the answer is made."""
        self.transceiver.direction = {
            (True, True): "sendrecv",
            (True, False): "recvonly",
            (False, True): "sendonly",
            (False, False): "inactive",
        }[take, give]
        if take and self.kind == "video":
            begin_with(self.transceiver, _FIRST_KILOBITS)


class Connection(SeamedConnection):
    """A peer connection whose sections end in `Inlet`s and `Outlet`s."""

    def __init__(self, *, addresses: Sequence[str] | None = None) -> None:
        self._ends: list[tuple[Inlet, Outlet]] = []
        self._reports: asyncio.Task[None] | None = None
        super().__init__(addresses=addresses)

    def make_ends(self, kind: str, transport: Any) -> tuple[Inlet, Outlet]:
        outlet = Outlet(kind, transport)
        self._ends.append((Inlet(kind, transport, outlet.ssrc), outlet))
        return self._ends[-1]

    def want(self, kind: str) -> Inlet:
        """Offer a section to receive something on; before `negotiate`."""
        self.addTransceiver(kind, direction="recvonly")
        return self._ends[-1][0]

    def give(self, kind: str) -> Outlet:
        """Offer a section to send something on; before `negotiate`."""
        self.addTransceiver(kind, direction="sendonly")
        return self._ends[-1][1]

    def sections(self) -> list[Section]:
        """The sections of the other side's offer, in its order."""
        return [
            Section(
                each,
                mid=each.mid or "",
                kind=each.kind,
                they_send=offered_direction(each) in {"recvonly", "sendrecv"},
                they_receive=offered_direction(each) in {"sendonly", "sendrecv"},
            )
            for each in self.getTransceivers()
        ]

    async def negotiate(self, exchange: Callable[[str], Any]) -> None:
        """Offer what has been added, and take the answer that `exchange` gets for it."""
        await self.setLocalDescription(await self.createOffer())
        answer = await exchange(self.localDescription.sdp)
        await self.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    def begin_reports(self) -> None:
        """Send RTCP reports every second until `close`."""
        if self._reports is None:
            self._reports = asyncio.get_running_loop().create_task(self._report())

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_EVERY * (0.75 + random.random() / 2))  # noqa: S311
            for inlet, outlet in self._ends:
                for data in (inlet.receiver_report(), outlet.sender_report()):
                    if data:
                        await send_rtp(inlet.transport, data)

    async def close(self) -> None:
        if self._reports is not None:
            self._reports.cancel()
        await super().close()
