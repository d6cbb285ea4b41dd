"""One meeting's media: who sends what, who is shown and heard by whom.

Every method is for the event loop that the room was made on. Participants are named by the
caller's own ids; a room forgets one that has left, but for its number.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from locum.rehearsal.meet.media.connection import Connection, Section
from locum.rehearsal.meet.media.offers import OfferRefusedError, answer_offer
from locum.rehearsal.meet.media.overhearing import Overhearing
from locum.rehearsal.meet.media.people import Person
from locum.rehearsal.meet.media.publishing import Publisher
from locum.rehearsal.meet.media.recorder import Recorder
from locum.rehearsal.meet.media.seating import Seat
from locum.rehearsal.meet.media.streams import Inlet
from locum.rehearsal.meet.media.wire import Packet, wall_from_ntp

__all__ = ["Hooks", "MediaRoom", "MediaServer", "OfferRefusedError", "Sink", "Stats"]

_TICK = 0.2
_MOST_PARTICIPANTS = 64


def _ignore(*_: Any) -> None:
    pass


@dataclass(frozen=True)
class Hooks:
    """What a room tells its owner; called on the room's loop, must not block or raise.

    speaking: (participant, speaking): the sound that is forwarded began or ended to be speech.
        A participant whom the host muted never speaks.
    slots: (participant, message): send this JSON-ready message to that participant's page:
        {"type": "slots", "video": [{"mid": "4", "participant": "id" or null}, …]}.
        Called for every answer and after every change. The page takes it before or after
        the answer.
    connection: (participant, state): "connecting", "connected", "failed" or "closed" of the
        participant's newest peer connection. A failed one stays in the room until `leave`.
    """

    speaking: Callable[[str, bool], None] = _ignore
    slots: Callable[[str, dict[str, Any]], None] = _ignore
    connection: Callable[[str, str], None] = _ignore


@dataclass(frozen=True)
class Stats:
    """What passed through the room for one participant, since it came.

    Counts are of packets and bytes; `sends_*` is what came from it, `gets_*` what went to its
    newest connection. `level_db` is the loudness of its newest sound in dBov (0 loudest, -127
    silence). `width` and `height` are of its newest key frame, 0 before the first.
    """

    number: int
    connection: str
    sends_audio_packets: int
    sends_video_packets: int
    sends_video_frames: int
    sends_bytes: int
    sends_lost: int
    gets_packets: int
    gets_bytes: int
    width: int
    height: int
    level_db: int
    speaking: bool
    heard: bool


class Sink(Protocol):
    """Takes what passes through a room, as a recording does. Must not block."""

    def take(
        self, kind: str, publisher: Publisher, ssrc: int, packet: Packet, sent_at: float | None
    ) -> None:
        """One packet; `sent_at` as `SenderClock.captured` gives it."""


class MediaRoom:
    """The media of one room code.

    Args:
        code: The room's code, for logs and errors.
        hooks: What the room tells its owner.
        addresses: Where its connections listen; None: on every address of this machine.
    """

    def __init__(
        self, code: str, *, hooks: Hooks | None = None, addresses: Sequence[str] | None = None
    ) -> None:
        self.code = code
        self.hooks = hooks or Hooks()
        self._addresses = addresses
        self._publishers: dict[str, Publisher] = {}
        self._seats: dict[str, Seat] = {}
        self._inlets: dict[str, list[Inlet]] = {}
        self._people: dict[str, Person] = {}
        self._sinks: list[Sink] = []
        self._recorders: set[Recorder] = set()
        self._numbers: dict[str, int] = {}
        self._unheard: set[str] = set()
        self._turns: dict[str, asyncio.Lock] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False

    # Who is in.

    async def negotiate(self, participant: str, offer_sdp: str) -> str:
        """Answer a participant's offer; the answer's SDP, complete with candidates.

        The first offer of a participant brings it into the room. A later one replaces its
        connection; the others keep theirs, and see and hear a gap.

        Offered sections by direction: the first audio and the first video one that the
        client may send on are its microphone and camera; every one that it may receive on
        is a slot for somebody else. Offers must be complete (no trickling) and have VP8.

        Raises:
            OfferRefusedError: The offer is no SDP, too large, without media, or asks for
                what the room doesn't do; or the room is full or closed. Nothing has changed
                for anybody.
        """
        self._check_room_for(participant)
        async with self._turns.setdefault(participant, asyncio.Lock()):
            connection = Connection(addresses=self._addresses)
            answer, sections = await answer_offer(connection, offer_sdp)
            if self._closed:
                await connection.close()
                raise OfferRefusedError(f"room {self.code} is closed.")
            before = self._seats.pop(participant, None)
            self._take_seat(participant, connection, sections)
            self._rearrange(tell=participant)
            if before is not None:
                await before.connection.close()
            connection.begin_reports()
            return answer

    def _check_room_for(self, participant: str) -> None:
        if self._closed:
            raise OfferRefusedError(f"room {self.code} is closed.")
        if participant not in self._publishers and len(self._publishers) >= _MOST_PARTICIPANTS:
            raise OfferRefusedError(
                f"room {self.code} is full: {_MOST_PARTICIPANTS} are in. Let somebody leave."
            )

    def _take_seat(
        self, participant: str, connection: Connection, sections: Sequence[Section]
    ) -> None:
        microphone, camera, slots = roles(sections)
        publisher = self._publisher(participant)
        publisher.begin(
            shows=camera is not None,
            ask_key_frame=None if camera is None else camera.inlet.want_key_frame,
        )
        seat = self._seats[participant] = Seat(participant, connection, slots)
        inlets = [each.inlet for each in (microphone, camera) if each is not None]
        self._inlets[participant] = inlets
        for inlet in inlets:
            inlet.packet = partial(
                self._hear if inlet.kind == "audio" else self._see, publisher, publisher.epoch
            )
            inlet.report = partial(self._report, publisher, publisher.epoch, inlet.kind)
        for mid, outlet in seat.video.items():
            outlet.key_frame_wanted = outlet.opened = partial(self._refresh, seat, mid)
        connection.on("connectionstatechange", partial(self._connection_changed, seat))

    def _publisher(self, participant: str) -> Publisher:
        publisher = self._publishers.get(participant)
        if publisher is None:
            publisher = self._publishers[participant] = Publisher(
                participant, self.number(participant)
            )
            if self._ticking is None:
                self._ticking = asyncio.get_running_loop().create_task(self._tick())
        return publisher

    def _connection_changed(self, seat: Seat) -> None:
        if self._seats.get(seat.participant) is seat:
            self.hooks.connection(seat.participant, seat.connection.connectionState)

    async def leave(self, participant: str) -> None:
        """Take a participant out; nothing happens if it isn't in."""
        person = self._people.pop(participant, None)
        if person is not None:
            await person.stop()
        async with self._turns.setdefault(participant, asyncio.Lock()):
            publisher = self._publishers.pop(participant, None)
            if publisher is None:
                return
            self._unheard.discard(participant)
            self._inlets.pop(participant, None)
            seat = self._seats.pop(participant, None)
            if publisher.speech.silence():
                self.hooks.speaking(participant, False)
            for each in self._seats.values():
                each.interrupt_sound(participant)
            self._rearrange()
            if seat is not None:
                await seat.connection.close()

    def hear(self, participant: str, allowed: bool) -> None:  # noqa: FBT001
        """Forward a participant's sound, or (host's mute) stop forwarding it.

        May be said before the participant is in; it holds until `leave`.
        """
        if allowed:
            self._unheard.discard(participant)
            return
        self._unheard.add(participant)
        for seat in self._seats.values():
            seat.interrupt_sound(participant)
        publisher = self._publishers.get(participant)
        if publisher is not None and publisher.speech.silence():
            self.hooks.speaking(participant, False)

    def number(self, participant: str) -> int:
        """The participant's contributing source (CSRC): its mark on the audio slots.

        The same for as long as the room is; known before the participant is in. 1 … 2³²-1.
        """
        # Counted from a number that no index is mistaken for.
        return self._numbers.setdefault(participant, 1_001 + len(self._numbers))

    def participants(self) -> tuple[str, ...]:
        """Who is in, in the order of arrival, people without a browser too."""
        return tuple(self._publishers)

    def slots(self, participant: str) -> dict[str, Any] | None:
        """The newest `slots` message of a participant; None without a connection."""
        seat = self._seats.get(participant)
        return None if seat is None else seat.slots_message()

    def stats(self, participant: str) -> Stats:
        """Counts so far.

        Raises:
            KeyError: The participant isn't in.
        """
        publisher = self._publishers[participant]
        seat = self._seats.get(participant)
        outlets = seat.outlets() if seat else []
        return Stats(
            number=publisher.number,
            connection=seat.connection.connectionState if seat else "connected",
            sends_audio_packets=publisher.audio_packets,
            sends_video_packets=publisher.video_packets,
            sends_video_frames=publisher.video_frames,
            sends_bytes=publisher.bytes,
            sends_lost=sum(each.lost for each in self._inlets.get(participant, ())),
            gets_packets=sum(each.packets for each in outlets),
            gets_bytes=sum(each.bytes for each in outlets),
            width=publisher.width,
            height=publisher.height,
            level_db=-publisher.speech.level,
            speaking=publisher.speech.speaking,
            heard=participant not in self._unheard,
        )

    # What passes.

    async def _hear(self, publisher: Publisher, epoch: int, ssrc: int, packet: Packet) -> None:
        if (
            epoch != publisher.epoch
            or self._publishers.get(publisher.participant) is not publisher
        ):
            return
        level = publisher.count_audio(packet)
        if publisher.participant in self._unheard:
            return
        if publisher.speech.hear(level, packet.arrived):
            self._speech_changed(publisher)
        sent_at = publisher.clock.captured("audio", packet.timestamp)
        for seat in tuple(self._seats.values()):
            if seat.participant != publisher.participant:
                await seat.hear(publisher, ssrc, packet, sent_at)
        for sink in self._sinks:
            sink.take("audio", publisher, ssrc, packet, sent_at)

    async def _see(self, publisher: Publisher, epoch: int, ssrc: int, packet: Packet) -> None:
        if (
            epoch != publisher.epoch
            or self._publishers.get(publisher.participant) is not publisher
        ):
            return
        begins = publisher.count_video(packet)
        sent_at = publisher.clock.captured("video", packet.timestamp)
        for seat in tuple(self._seats.values()):
            if seat.participant != publisher.participant:
                await seat.see(
                    publisher, ssrc, packet, begins_key_frame=begins, sent_at=sent_at
                )
        for sink in self._sinks:
            sink.take("video", publisher, ssrc, packet, sent_at)

    def _report(
        self,
        publisher: Publisher,
        epoch: int,
        kind: str,
        ntp: int,
        timestamp: int,
        _arrived: float,
    ) -> None:
        if epoch == publisher.epoch:
            publisher.clock.report(
                kind, theirs=wall_from_ntp(ntp), timestamp=timestamp, arrived=time.time()
            )

    async def _refresh(self, seat: Seat, mid: str) -> None:
        """A receiver needs a key frame on one of its slots."""
        publisher = self._publishers.get(seat.shown.get(mid) or "")
        if publisher is not None:
            await publisher.want_key_frame()

    # Who is shown.

    def _speech_changed(self, publisher: Publisher) -> None:
        self.hooks.speaking(publisher.participant, publisher.speech.speaking)
        if publisher.speech.speaking:
            self._rearrange()

    def _rearrange(self, *, tell: str | None = None) -> None:
        """Give slots to who has a picture: with too few, to the newest speakers."""
        showing = [each for each in self._publishers.values() if each.shows]
        # Sorting is stable: among those who never spoke, the first to come stay.
        showing.sort(key=lambda each: each.speech.loud_at, reverse=True)
        wanted = [each.participant for each in showing]
        for seat in self._seats.values():
            if seat.arrange(wanted) or seat.participant == tell:
                self.hooks.slots(seat.participant, seat.slots_message())

    async def _tick(self) -> None:
        """Notice that somebody fell silent whose packets stopped."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK)
            for publisher in tuple(self._publishers.values()):
                if publisher.speech.wait(loop.time()):
                    self._speech_changed(publisher)

    # People and recordings.

    async def add_person(self, participant: str, *, picture_seed: int = 0) -> Person:
        """Bring somebody without a browser into the room: a drawn tile, and a voice.

        Raises:
            ValueError: A participant of that id is in.
        """
        if participant in self._publishers:
            raise ValueError(f"{participant} is in room {self.code} already; leave first.")
        self._check_room_for(participant)
        publisher = self._publisher(participant)
        person = Person(
            participant, partial(self.leave, participant), picture_seed=picture_seed
        )
        publisher.begin(shows=True, ask_key_frame=person.want_key_frame)
        self._people[participant] = person
        await person.begin(
            hear=partial(self._hear, publisher, publisher.epoch),
            see=partial(self._see, publisher, publisher.epoch),
            clock=publisher.clock,
        )
        self._rearrange()
        return person

    def add_sink(self, sink: Sink) -> None:
        """Give everything that passes to `sink` too, until `remove_sink`."""
        self._sinks.append(sink)

    def remove_sink(self, sink: Sink) -> None:
        if sink in self._sinks:
            self._sinks.remove(sink)

    async def want_key_frame(self, participant: str) -> None:
        """Ask somebody's sender for a key frame; nothing happens if it isn't in."""
        publisher = self._publishers.get(participant)
        if publisher is not None:
            await publisher.want_key_frame()

    async def record(
        self, picture_of: str, file: Path, *, max_seconds: float = 3600, max_bytes: int = 2**30
    ) -> Recorder:
        """Write what the others see of `picture_of`, and all that is said, to a WebM file.

        Begins at once; the participant may come later and reconnect. Ends at `stop`, at
        `aclose` or at the first bound.

        Raises:
            OSError: The file can't be written.
        """
        recorder = Recorder(
            picture_of,
            file,
            max_seconds=max_seconds,
            max_bytes=max_bytes,
            on_end=self._recording_ended,
        )
        self._recorders.add(recorder)
        self.add_sink(recorder)
        await self.want_key_frame(picture_of)
        return recorder

    def overhear(self) -> Overhearing:
        """Begin to take note of when each voice is heard, for as long as the room is."""
        overhearing = Overhearing()
        self.add_sink(overhearing)
        return overhearing

    def _recording_ended(self, recorder: Recorder) -> None:
        self.remove_sink(recorder)
        self._recorders.discard(recorder)

    async def aclose(self) -> None:
        """End everything; the room can't be used again."""
        self._closed = True
        for participant in self.participants():
            await self.leave(participant)
        for recorder in tuple(self._recorders):
            await recorder.stop()
        if self._ticking is not None:
            self._ticking.cancel()


def roles(
    sections: Sequence[Section],
) -> tuple[Section | None, Section | None, list[Section]]:
    """Which section is the microphone, which the camera, and which are slots for others."""
    microphone = next(
        (each for each in sections if each.kind == "audio" and each.they_send), None
    )
    camera = next((each for each in sections if each.kind == "video" and each.they_send), None)
    return microphone, camera, [each for each in sections if each.they_receive]


class MediaServer:
    """The rooms of a stage, by code, on one event loop.

    Args:
        addresses: Where connections listen; None: on every address of this machine.
    """

    def __init__(self, *, addresses: Sequence[str] | None = None) -> None:
        self._addresses = addresses
        self._rooms: dict[str, MediaRoom] = {}

    def room(self, code: str, *, hooks: Hooks | None = None) -> MediaRoom:
        """The room of that code, made with `hooks` if there is none yet."""
        room = self._rooms.get(code)
        if room is None:
            room = self._rooms[code] = MediaRoom(code, hooks=hooks, addresses=self._addresses)
        return room

    async def close_room(self, code: str) -> None:
        """End one room; nothing happens if there is none."""
        room = self._rooms.pop(code, None)
        if room is not None:
            await room.aclose()

    async def aclose(self) -> None:
        for code in tuple(self._rooms):
            await self.close_room(code)
