"""Moonshine in the process that listens, see `locum.ears.listening`.

It hears a stretch whole, and again for each guess. That stays cheap, because what was heard last
time is only looked over, a pause costs nothing, and what lies more than some seconds back is kept
as text: from there on, the next guess begins in a silence between two words.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from locum.ears.moonshine_network import RATE_HZ, Network

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_FRAME = RATE_HZ // 100
_MOST = 10 * RATE_HZ
"""Samples that are heard at a time."""
_SEAM = (4 * RATE_HZ, 9 * RATE_HZ)
"""Where, in samples of these, the first may be taken off, to be text from then on."""
_PAUSE, _GAP = 30, 6
"""Frames of 10 ms: a pause between sentences, and a gap between words."""
_SILENT = 5
"""So many frames without a voice: whoever spoke may have finished."""
_INAUDIBLE_DB, _BELOW_SPEECH_DB = -60.0, 25.0
"""What is quieter is no speech. Measured: letting more be heard changes no word."""
_FALLEN_DB = 12.0
"""So far below its speech a voice may have fallen silent, in a room that isn't quiet either."""
_SHARE = 1.0
"""A look at what is being spoken is followed by so many times its own duration without another,
for each other stream: the looks of many don't keep one waiting who has finished."""


@dataclass
class _Stream:
    sound: bytearray = field(default_factory=bytearray)
    said: list[str] = field(default_factory=list)  #: What came before `sound`, as text.
    tokens: list[int] = field(default_factory=list)
    covers: int = 0  #: How much of `sound` they are of, in samples.
    spoken_db: float = _INAUDIBLE_DB  #: How loud its speech is.
    next_at: float = 0.0


class MoonshineListener:
    """Makes words of several streams with one network.

    Raises:
        ImportError: onnxruntime or numpy isn't installed.
        ValueError, OSError: There is no model in `folder` that it could use.
    """

    def __init__(self, folder: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._streams: dict[int, _Stream] = {}
        self._network = Network(Path(folder))

    def words(self, words: list[tuple[str, str]]) -> None:
        """The network takes no further words."""

    def hear(self, number: int, pcm: bytes) -> None:
        stream = self._streams.setdefault(number, _Stream())
        stream.sound += pcm
        while len(stream.sound) >= 2 * _MOST:
            self._take_off(stream)

    def guess(self, number: int) -> str:
        stream = self._streams.get(number)
        return "" if stream is None else self._text(stream, at_once=False)

    def finish(self, number: int) -> str:
        stream = self._streams.pop(number, None)
        return "" if stream is None else self._text(stream, at_once=True)

    def close(self, number: int) -> None:
        self._streams.pop(number, None)

    def _text(self, stream: _Stream, *, at_once: bool) -> str:
        samples = _samples(stream.sound)
        levels = levels_db(samples)
        stream.spoken_db = max(stream.spoken_db, spoken_db(levels))
        new = levels[stream.covers // _FRAME :]
        if not quiet(new, stream.spoken_db) and (
            # Whoever has just fallen silent is answered; whoever speaks on can wait.
            at_once
            or quiet(new[-_SILENT:], stream.spoken_db, below=_FALLEN_DB)
            or self._clock() >= stream.next_at
        ):
            began = self._clock()
            stream.tokens = self._network.hear(samples, stream.tokens)
            stream.covers = len(samples)
            ended = self._clock()
            stream.next_at = ended + (ended - began) * _SHARE * (len(self._streams) - 1)
        said = self._network.vocabulary.text(stream.tokens)
        return " ".join(part for part in (*stream.said, said) if part)

    def _take_off(self, stream: _Stream) -> None:
        """Let what lies furthest back be text from now on, up to a silence."""
        samples = _samples(stream.sound)
        levels = levels_db(samples)
        stream.spoken_db = max(stream.spoken_db, spoken_db(levels))
        first, last = (edge // _FRAME for edge in _SEAM)
        cut = first + seam(levels[first:last])
        tokens: list[int] = []
        if not quiet(levels[:cut], stream.spoken_db):
            tokens = self._network.hear(samples[: cut * _FRAME], stream.tokens)
            stream.said.append(self._network.vocabulary.text(tokens))
        del stream.sound[: 2 * cut * _FRAME]
        # The rest is likely to be what it was; where there is no more voice, there was nothing.
        rest = [] if quiet(levels[cut:], stream.spoken_db) else stream.tokens[len(tokens) :]
        stream.tokens, stream.covers = rest, 0


def _samples(pcm: bytearray) -> Floats:
    import numpy as np

    sixteen_bit = np.frombuffer(bytes(pcm), "<i2", len(pcm) // 2)
    return np.asarray(sixteen_bit / np.float32(32_768), np.float32)


def levels_db(samples: Floats) -> Floats:
    """Answer how loud each 10 ms are, in dB below full scale."""
    import numpy as np

    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.square(frames).mean(axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)), np.float32)


def spoken_db(levels: Floats) -> float:
    """Answer how loud speech is, where most of what is heard is speech."""
    import numpy as np

    return float(np.percentile(levels, 90)) if len(levels) else _INAUDIBLE_DB


def quiet(levels: Floats, spoken: float, *, below: float = _BELOW_SPEECH_DB) -> bool:
    """Whether all of this is so far below speech, where speech is so loud."""
    return not len(levels) or float(levels.max()) < max(spoken - below, _INAUDIBLE_DB)


def seam(levels: Floats) -> int:
    """Answer in which frame it is quietest: in the longest pause, or else between two words."""
    import numpy as np

    def smooth(levels: Floats, width: int) -> Floats:
        width = min(width, len(levels))
        ones = np.full(width, 1 / width, np.float32)
        return np.asarray(np.convolve(levels, ones, "valid"), np.float32)

    begin = int(smooth(levels, _PAUSE).argmin())
    pause = levels[begin : begin + _PAUSE]
    gap = smooth(pause, _GAP)
    return begin + int(gap.argmin()) + min(_GAP, len(pause)) // 2
