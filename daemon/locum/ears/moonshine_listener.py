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
_SEAM = (3 * RATE_HZ, 8 * RATE_HZ)
"""Between which samples of so many the first are taken off, to be text."""
_PAUSE, _GAP = 30, 6  #: Frames.
_INAUDIBLE_DB = -60.0
_BELOW_SPEECH_DB = 25.0
_SHARE = 2.0
"""Of looks at what is being spoken: each is followed by so many times its own duration for
others, and for everything else."""


@dataclass
class _Stream:
    sound: bytearray = field(default_factory=bytearray)
    said: list[str] = field(default_factory=list)  #: What came before `sound`, as text.
    tokens: list[int] = field(default_factory=list)
    covers: int = 0  #: How much of `sound` they are of, in samples.
    next_at: float = 0.0


class MoonshineListener:
    """Makes words of several streams with one network.

    Raises:
        ImportError: onnxruntime or numpy isn't installed.
        ValueError, OSError: There is no model in `folder` that it could use.
    """

    def __init__(self, folder: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        import numpy as np

        self._clock = clock
        self._streams: dict[int, _Stream] = {}
        self._network = Network(Path(folder))
        # The first run takes three times as long, and shows whether there can be any.
        dice = np.random.default_rng(1)
        self._network.hear(dice.normal(0, 0.1, 3 * RATE_HZ).astype(np.float32), [0, 0, 0])

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
        new = levels[stream.covers // _FRAME :]
        if not quiet(levels, new) and (
            # Whoever has just fallen silent is answered; whoever speaks on can wait.
            at_once or quiet(levels, new[-5:]) or self._clock() >= stream.next_at
        ):
            began = self._clock()
            stream.tokens = self._network.hear(samples, stream.tokens)
            stream.covers = len(samples)
            took = self._clock() - began
            stream.next_at = began + took * (1 + _SHARE * len(self._streams))
        said = self._network.vocabulary.text(stream.tokens)
        return " ".join(part for part in (*stream.said, said) if part)

    def _take_off(self, stream: _Stream) -> None:
        """Let what lies furthest back be text from now on, up to a silence."""
        samples = _samples(stream.sound)
        first, last = (edge // _FRAME for edge in _SEAM)
        at = (first + seam(levels_db(samples)[first:last])) * _FRAME
        text = self._network.vocabulary.text(self._network.hear(samples[:at], stream.tokens))
        stream.said.append(text)
        del stream.sound[: 2 * at]
        stream.tokens, stream.covers = [], 0


def _samples(pcm: bytearray) -> Floats:
    import numpy as np

    return np.frombuffer(bytes(pcm), "<i2").astype(np.float32) / np.float32(32_768)


def levels_db(samples: Floats) -> Floats:
    """Answer how loud each 10 ms are, in dB below full scale."""
    import numpy as np

    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.square(frames).mean(axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)), np.float32)


def quiet(stretch: Floats, part: Floats) -> bool:
    """Whether nothing in a part of a stretch can be speech, by how loud that is."""
    import numpy as np

    if not len(part):
        return True
    spoken = float(np.percentile(stretch, 90))
    return float(part.max()) < max(spoken - _BELOW_SPEECH_DB, _INAUDIBLE_DB)


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
