"""Speech on its way into a page: cut into pieces of up to half a second, with the mouth's keyframes.

Pure but for the arithmetic: what sends them, and when, is `media`.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import timedelta

from locum.core.speech import MouthAt, Sound
from locum.engines.chromium.resampling import Resampler

RATE_HZ = 48_000
#: What is there is sent at once: the more of it the page has, the longer it can wait for us.
_LONGEST = RATE_HZ // 2
#: What is shorter waits for more, so that nobody sends a hundred messages a second.
_SHORTEST = RATE_HZ // 10
_BYTES = 2
#: Keyframes go this far ahead of their sound, so that the mouth knows where it is going.
_LOOK_AHEAD = timedelta(milliseconds=250)


@dataclass(frozen=True)
class Piece:
    """One message for the page: 48 kHz PCM in base64, keyframes as [ms, seven weights]."""

    samples: int
    pcm: str
    keyframes: tuple[tuple[float, ...], ...]


class Speech:
    """One utterance: sounds and mouths go in, pieces come out."""

    def __init__(self) -> None:
        self._resampler: tuple[int, Resampler] | None = None
        self._pcm = bytearray()
        self._cut = 0  #: Samples that have left.
        self._taken = timedelta()  #: How long all is that came in.
        self._keyframes: deque[MouthAt] = deque()

    def add(self, sound: Sound, mouths: Sequence[MouthAt]) -> Iterator[Piece]:
        """Take the next sound, and answer the pieces that are long enough.

        Raises:
            PermanentError: Nobody speaks at that rate.
        """
        if self._resampler is None or self._resampler[0] != sound.rate:
            self._flush_resampler()
            self._resampler = (sound.rate, Resampler(sound.rate, RATE_HZ))
        self._keyframes.extend(
            MouthAt(self._taken + at.at, at.mouth) for at in sorted(mouths, key=lambda m: m.at)
        )
        self._taken += sound.duration
        self._pcm += self._resampler[1].feed(sound.pcm[: len(sound.pcm) // _BYTES * _BYTES])
        while len(self._pcm) >= _SHORTEST * _BYTES:
            yield self._piece()

    def rest(self) -> Iterator[Piece]:
        """Answer what is left: nothing more comes in."""
        self._flush_resampler()
        while self._pcm:
            yield self._piece()

    def _flush_resampler(self) -> None:
        if self._resampler is not None:
            self._pcm += self._resampler[1].flush()
            self._resampler = None

    def _piece(self) -> Piece:
        samples = min(_LONGEST, len(self._pcm) // _BYTES)
        pcm = bytes(self._pcm[: samples * _BYTES])
        del self._pcm[: samples * _BYTES]
        self._cut += samples
        until = timedelta(seconds=self._cut / RATE_HZ) + _LOOK_AHEAD
        due = []
        while self._keyframes and self._keyframes[0].at <= until:
            keyframe = self._keyframes.popleft()
            at_ms = keyframe.at / timedelta(milliseconds=1)
            due.append((round(at_ms, 1), *(round(w, 3) for w in astuple(keyframe.mouth))))
        return Piece(samples, base64.b64encode(pcm).decode(), tuple(due))
