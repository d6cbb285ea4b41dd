"""The lips that go with speech: from a voice's own timings, else from the sound itself.

What reads the sound is small: log-mel frames, a hidden layer, seven weights of a mouth. It was
trained on synthetic speech whose timings are known (`python -m tests.bench.lips train`), hears no
words, and takes 2 ms for a second of sound. P, B and M look like any other silence to it; a voice
with timings has better lips.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from locum.core.lips import mouths_of_phones
from locum.core.speech import Mouth, MouthAt, Sound, Spoken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

RATE = 16_000
HOP = 160  #: Samples between two frames: 10 ms.
_WINDOW = 400
_FFT = 512
BANDS = 26
CONTEXT = (-8, -4, -2, -1, 0, 1, 2, 4, 8)
"""Which frames around one are looked at; 80 ms to each side."""

_REACH = max(CONTEXT)
_KEY_EVERY = 4  #: One keyframe each 40 ms: between two the renderer moves evenly.
_QUIET = 1e-4
_FLOOR = 1e-7
PARTS = ("jaw", "upper", "lower", "wide", "pucker", "press", "close")

Lips = Callable[[Spoken], tuple[MouthAt, ...]]


def lips() -> Lips:
    """Answer what makes keyframes of the pieces of one voice, handed over in order."""
    return _LipReader().read


class _LipReader:
    def __init__(self) -> None:
        self._before: Any = None

    def read(self, spoken: Spoken) -> tuple[MouthAt, ...]:
        if spoken.phones:
            return mouths_of_phones(spoken.phones)
        return self._of_sound(spoken.sound)

    def _of_sound(self, sound: Sound) -> tuple[MouthAt, ...]:
        import numpy as np

        heard = at_16_khz(sound)
        if len(heard) < _WINDOW:
            return ()
        before = np.zeros(_REACH * HOP, np.float32) if self._before is None else self._before
        self._before = np.concatenate([before, heard])[-_REACH * HOP :]
        mouths = mouths_of(np.concatenate([before, heard]))[_REACH:]
        return tuple(
            MouthAt(
                timedelta(seconds=number * HOP / RATE),
                Mouth(**{p: round(float(w), 3) for p, w in zip(PARTS, row, strict=True)}),
            )
            for number, row in enumerate(mouths)
            if number % _KEY_EVERY == 0
        )


def at_16_khz(sound: Sound) -> Floats:
    """Answer samples from -1 to 1; good enough to look at, not to listen to."""
    import numpy as np

    samples = np.frombuffer(sound.pcm[: len(sound.pcm) // 2 * 2], "<i2").astype(np.float32)
    samples /= 32768
    if sound.rate == RATE or not len(samples):
        return samples
    width = max(1, round(sound.rate / RATE))
    smooth = np.convolve(samples, np.ones(width, np.float32) / width, "same")
    at = np.arange(int(len(samples) * RATE / sound.rate)) * (sound.rate / RATE)
    return cast("Floats", np.interp(at, np.arange(len(samples)), smooth).astype(np.float32))


def features(samples: Floats) -> Floats:
    """Answer (frames, bands x context) of 16 kHz samples."""
    import numpy as np

    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    padded = np.pad(emphasised, (_WINDOW // 2, _WINDOW // 2))
    count = 1 + (len(padded) - _WINDOW) // HOP
    at = np.arange(_WINDOW)[None] + HOP * np.arange(count)[:, None]
    spectrum = np.abs(np.fft.rfft(padded[at] * np.hanning(_WINDOW), _FFT)) ** 2
    mel = np.log(spectrum @ _filters().T + _FLOOR)
    around = np.clip(np.arange(count)[:, None] + np.array(CONTEXT)[None], 0, count - 1)
    return cast("Floats", mel[around].reshape(count, -1).astype(np.float32))


@functools.lru_cache(maxsize=1)
def _filters() -> Floats:
    """Triangles even on the mel scale, 60 Hz to 7.6 kHz."""
    import numpy as np

    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (60.0, 7600.0))
    hertz = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.arange(_FFT // 2 + 1) * RATE / _FFT
    rising = (bins[None] - hertz[:-2, None]) / (hertz[1:-1] - hertz[:-2])[:, None]
    falling = (hertz[2:, None] - bins[None]) / (hertz[2:] - hertz[1:-1])[:, None]
    return cast("Floats", np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


@functools.lru_cache(maxsize=1)
def _weights() -> dict[str, Floats]:
    import numpy as np

    packed = resources.files("locum.voices").joinpath("lips.npz")
    with packed.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def mouths_of(samples: Floats) -> Floats:
    """Answer (frames, 7) weights of 16 kHz samples, one frame each 10 ms; closed in silence."""
    import numpy as np

    weights = _weights()
    seen = (features(samples) - weights["mean"]) / weights["scale"]
    hidden = np.tanh(seen @ weights["w1"] + weights["b1"])
    mouths = hidden @ weights["w2"] + weights["b2"]
    # Silence is no speech, whatever its spectrum looks like.
    power = np.convolve(samples**2, np.ones(_WINDOW, np.float32) / _WINDOW, "same")[::HOP]
    quiet = power[: len(mouths)] < _QUIET**1.5
    mouths[: len(quiet)][quiet] = 0
    low = np.array([-1.0 if part == "lower" else 0.0 for part in PARTS], np.float32)
    return cast("Floats", np.clip(mouths, low, 1.0))
