"""When each voice in a room was heard: of everybody, by loudness alone, as the room hands it on.

It stands where the sound leaves for the other participants, so what it hears of somebody is
what they get, but for the last few milliseconds of the way. Words it doesn't know.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from locum.rehearsal.meet.media.publishing import Publisher
from locum.rehearsal.meet.media.wire import Packet

_LOUD = 50
"""Louder than -50 dBov is a voice; recordings and voices have silence below that."""
_PACKET_S = 0.02
_BREATH_S = 0.35
"""A shorter pause doesn't part two spans: it lies inside of words and clauses."""
_MOST_SPANS = 10_000


@dataclass(frozen=True)
class Span:
    """From the first to the last audible packet, in seconds of `time.monotonic`."""

    began: float
    ended: float


class Overhearing:
    """What has been heard in one room so far. Made by `MediaRoom.overhear`; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: dict[str, list[Span]] = {}

    def take(
        self, kind: str, publisher: Publisher, ssrc: int, packet: Packet, sent_at: float | None
    ) -> None:
        """A packet passes; pictures and silence say nothing."""
        del ssrc, sent_at
        if kind != "audio" or packet.level is None or packet.level >= _LOUD:
            return
        now = time.monotonic()
        with self._lock:
            spans = self._spans.setdefault(publisher.participant, [])
            if spans and now - spans[-1].ended < _BREATH_S:
                spans[-1] = replace(spans[-1], ended=now + _PACKET_S)
            elif len(spans) < _MOST_SPANS:
                spans.append(Span(now, now + _PACKET_S))

    def spans(self, participant: str, since: float = float("-inf")) -> tuple[Span, ...]:
        """Answer the spans that began at or after `since`; the last one may be going on."""
        with self._lock:
            found = self._spans.get(participant, ())
            return tuple(span for span in found if span.began >= since)

    def silent_for(self, participant: str) -> float:
        """Answer for how long nothing has been heard of somebody; infinite if never anything."""
        with self._lock:
            found = self._spans.get(participant)
            return max(0.0, time.monotonic() - found[-1].ended) if found else float("inf")
