"""What one participant sees and hears: the slots of its connection, and who is on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from locum.rehearsal.meet.media.connection import Connection, Section
from locum.rehearsal.meet.media.publishing import Publisher
from locum.rehearsal.meet.media.streams import Outlet
from locum.rehearsal.meet.media.wire import Packet

_YIELDS_AFTER = 1.0


@dataclass
class _AudioSlot:
    """A stream of sound that goes to whoever speaks; it is kept until another needs it."""

    outlet: Outlet
    owner: str | None = None
    loud_at: float = field(default=float("-inf"))


class Seat:
    """One connection's receiving side.

    Sound goes onto a few slots that switch between those who speak, and a packet's
    contributing source says whose it is. A picture slot is somebody's until it is given away.
    """

    def __init__(
        self, participant: str, connection: Connection, slots: Sequence[Section]
    ) -> None:
        self.participant = participant
        self.connection = connection
        self.audio = [_AudioSlot(each.outlet) for each in slots if each.kind == "audio"]
        self.video = {each.mid: each.outlet for each in slots if each.kind == "video"}
        self.shown: dict[str, str | None] = dict.fromkeys(self.video)

    def outlets(self) -> list[Outlet]:
        return [*(each.outlet for each in self.audio), *self.video.values()]

    # Sound.

    async def hear(
        self, publisher: Publisher, ssrc: int, packet: Packet, sent_at: float | None
    ) -> None:
        """Send on a packet of somebody's sound, if there is a slot for it."""
        slot = self._audio_slot(publisher, packet.arrived)
        if slot is None or not slot.outlet.open:
            return
        await slot.outlet.forward(
            publisher.source("audio", ssrc), packet, csrc=publisher.number, sent_at=sent_at
        )

    def _audio_slot(self, publisher: Publisher, now: float) -> _AudioSlot | None:
        free = yielding = None
        for slot in self.audio:
            if slot.owner == publisher.participant:
                slot.loud_at = publisher.speech.loud_at
                return slot
            if slot.owner is None:
                free = free or slot
            elif now - slot.loud_at > _YIELDS_AFTER and (
                yielding is None or slot.loud_at < yielding.loud_at
            ):
                yielding = slot
        # Who is silent takes a slot that nobody has, and nobody's from him.
        taken = free or (yielding if publisher.speech.speaking else None)
        if taken is not None:
            taken.owner, taken.loud_at = publisher.participant, publisher.speech.loud_at
        return taken

    def interrupt_sound(self, participant: str) -> None:
        """Nothing of somebody's sound comes for a while: what follows isn't a loss."""
        for slot in self.audio:
            if slot.owner == participant:
                slot.owner = None
                slot.outlet.numbering.interrupt()

    # Picture.

    def arrange(self, wanted: Sequence[str]) -> bool:
        """Show these, the most wanted first; True if anybody's slot changed.

        Who is shown already stays where he is.
        """
        chosen = [each for each in wanted if each != self.participant][: len(self.video)]
        before = dict(self.shown)
        for mid, shown in self.shown.items():
            if shown not in chosen:
                self.shown[mid] = None
        waiting = [each for each in chosen if each not in self.shown.values()]
        for mid, shown in self.shown.items():
            if shown is None and waiting:
                self.shown[mid] = waiting.pop(0)
        return self.shown != before

    def slots_message(self) -> dict[str, Any]:
        return {
            "type": "slots",
            "video": [{"mid": mid, "participant": who} for mid, who in self.shown.items()],
        }

    async def see(
        self,
        publisher: Publisher,
        ssrc: int,
        packet: Packet,
        *,
        begins_key_frame: bool,
        sent_at: float | None,
    ) -> None:
        """Send on a packet of somebody's picture, if he is shown: from a key frame on."""
        for mid, shown in self.shown.items():
            if shown != publisher.participant:
                continue
            outlet = self.video[mid]
            source = publisher.source("video", ssrc)
            if not outlet.open:
                return
            if outlet.numbering.source != source and not begins_key_frame:
                await publisher.want_key_frame()
                return
            await outlet.forward(source, packet, csrc=None, sent_at=sent_at)
            return
