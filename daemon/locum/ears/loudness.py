"""How long has it been quiet? By loudness alone: sooner than any voice detector, and oftener wrong.

A detector goes on hearing a voice for some 60 ms after its last sound (measured: 10 to 120 on
recorded people), since it looks at windows and at what came before. Whoever only wants to begin to
think doesn't wait for that. What is quiet is so against the speech before it.
"""

from __future__ import annotations

import array
import math
import operator
import sys

_FRAME = 256  #: Samples: 16 ms.
_DROP_DB = 24.0
"""So much below the speech around it, nothing is said; plosives and soft ends fall by less."""
_FADES_DB = 0.05  #: A frame; 3 dB a second: somebody may come to speak more softly.
_NOTHING_DB = -100.0


class Loudness:
    """One track's. Give it the sound in order, 16 kHz."""

    def __init__(self) -> None:
        self._rest = b""
        self._level = _NOTHING_DB
        self.quiet = 0  #: For how many samples it has been quiet.

    def hear(self, pcm: bytes) -> None:
        """Take the next sound."""
        self._rest += pcm
        size = 2 * _FRAME
        while len(self._rest) >= size:
            frame, self._rest = self._rest[:size], self._rest[size:]
            self._take(_decibels(frame))

    def _take(self, level: float) -> None:
        self._level = max(level, self._level - _FADES_DB)
        self.quiet = 0 if level > self._level - _DROP_DB else self.quiet + _FRAME


def _decibels(frame: bytes) -> float:
    samples = array.array("h", frame)
    if sys.byteorder == "big":
        samples.byteswap()
    power = sum(map(operator.mul, samples, samples)) / len(samples)
    return 10 * math.log10(power) if power > 0 else _NOTHING_DB
