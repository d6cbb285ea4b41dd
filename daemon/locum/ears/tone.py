"""How a stretch of speech ended: its pitch, its loudness, its length, as a few numbers.

Frames are 10 ms. What is speech is told by loudness against the window's own loudest and
quietest, which is enough for a window that a voice-activity detector has chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RATE_HZ = 16_000
_FRAME = 160
_BELOW_LOUDEST_DB = 30.0
_ABOVE_QUIETEST_DB = 7.0
_PITCHED_FRAMES = 200
_PITCH_HZ = 8_000
_PITCH_FRAME = 80
_PITCH_WINDOW = 320
_LAGS = (20, 133)  #: 400 to 60 Hz.
_VOICED = 0.5
_PAUSE_FRAMES = 18

FEATURES = (
    "final_pitch",  #: Semitones of the last 60 ms of voice over the median of the last 2 s,
    "pitch_slope",  #: and how they move, in semitones per 100 ms, over the last 250 ms of it.
    "pitch_place",  #: Where the last pitch lies between the lowest and highest tenth, 0 … 1.
    "final_level",  #: dB of the last 100 ms of speech over the mean of all.
    "level_slope",  #: dB per 100 ms over the last 200 ms of speech.
    "last_voiced",  #: Seconds of the last run of voice: a syllable drawn out is long.
    "unvoiced_end",  #: Seconds of speech after it.
    "phrase",  #: Seconds of speech since the last pause, at most 4.
    "spoken",  #: Seconds of speech in the window, at most 8.
    "pauses",  #: How many pauses lie in the window, at most 4,
    "longest_pause",  #: and the longest of them, in seconds, at most 1.5.
    "silence",  #: Seconds of silence at the end, at most 1.
)
"""What `tone` answers, in this order."""


def tone(samples: NDArray[np.float32]) -> Floats | None:
    """Answer the numbers of `FEATURES` for 8 s of sound at most; None if nobody speaks there.

    Args:
        samples: From -1 to 1, 16 kHz, with the silence at its end.
    """
    import numpy as np

    count = len(samples) // _FRAME
    if count < 20:
        return None
    frames = samples[-count * _FRAME :].reshape(count, _FRAME)
    level = 10 * np.log10(np.mean(np.square(frames), axis=1, dtype=np.float64) + 1e-9)
    loudest, quietest = np.percentile(level, (96, 5))
    speech = level > max(loudest - _BELOW_LOUDEST_DB, quietest + _ABOVE_QUIETEST_DB)
    spoken = np.flatnonzero(speech)
    if len(spoken) < 10:
        return None
    last = int(spoken[-1]) + 1
    pitch = _pitch(samples, count - last)
    pauses = _pauses(spoken)
    phrase = last - (pauses[-1][1] if pauses else int(spoken[0]))
    ending = spoken[-10:]
    return np.array(
        [
            *_contour(pitch),
            float(level[ending].mean() - level[spoken].mean()),
            _slope(level[spoken[-20:]], 0.1),
            *_last_voice(pitch),
            min(phrase / 100, 4.0),
            min(len(spoken) / 100, 8.0),
            min(len(pauses), 4),
            min(max((end - begin for begin, end in pauses), default=0) / 100, 1.5),
            min((count - last) / 100, 1.0),
        ]
    )


def _pauses(spoken: NDArray[np.int64]) -> list[tuple[int, int]]:
    import numpy as np

    gaps = np.flatnonzero(np.diff(spoken) > _PAUSE_FRAMES)
    return [(int(spoken[each]) + 1, int(spoken[each + 1])) for each in gaps]


def _pitch(samples: NDArray[np.float32], silent: int) -> Floats:
    """Semitones over 100 Hz of each 10 ms, the last 2 s before the silence; NaN without voice."""
    import numpy as np

    end = len(samples) - silent * _FRAME
    begin = max(0, end - _PITCHED_FRAMES * _FRAME - 2 * _PITCH_WINDOW)
    piece = samples[begin + (end - begin) % 2 : end].reshape(-1, 2).mean(axis=1)
    if len(piece) < _PITCH_WINDOW + _PITCH_FRAME:
        return np.full(1, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(piece, _PITCH_WINDOW)
    windows = windows[(len(windows) - 1) % _PITCH_FRAME :: _PITCH_FRAME]
    windows = windows - windows.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(windows, 512)
    power = (spectrum * spectrum.conj()).real
    likeness = np.fft.irfft(power, 512)[:, : _LAGS[1] + 1]
    # The further apart, the less of the window overlaps.
    likeness /= 1 - np.arange(_LAGS[1] + 1) / _PITCH_WINDOW
    least = 1e-7 * _PITCH_WINDOW
    likeness /= np.maximum(likeness[:, :1], least)
    shown = likeness[:, _LAGS[0] :]
    # The shortest lag that is nearly as good as the best: a multiple of a period is like it too.
    good = shown >= 0.92 * shown.max(axis=1, keepdims=True)
    first = good.argmax(axis=1)
    lag = _LAGS[0] + first
    rows = np.arange(len(shown))
    voiced = shown[rows, first] > _VOICED
    return np.where(voiced, 12 * np.log2(_PITCH_HZ / lag / 100), np.nan)


def _contour(pitch: Floats) -> tuple[float, float, float]:
    import numpy as np

    heard = pitch[~np.isnan(pitch)]
    if len(heard) < 8:
        return 0.0, 0.0, 0.5
    middle, low, high = np.percentile(heard, (50, 10, 90))
    final = float(np.median(heard[-6:]))
    recent = pitch[-40:]
    recent = recent[~np.isnan(recent)][-25:]
    place = (final - low) / max(high - low, 1.0)
    return (
        float(np.clip(final - middle, -12, 12)),
        float(np.clip(_slope(recent, 0.1), -12, 12)),
        float(np.clip(place, -0.5, 1.5)),
    )


def _slope(values: Floats, per_s: float) -> float:
    """How a line through values 10 ms apart rises in `per_s` seconds."""
    import numpy as np

    if len(values) < 4:
        return 0.0
    at = np.arange(len(values)) * 0.01
    at = at - at.mean()
    return float((at * (values - values.mean())).sum() / (at * at).sum() * per_s)


def _last_voice(pitch: Floats) -> tuple[float, float]:
    """How long the last run of voice is (gaps of 20 ms don't end it), and what is after it."""
    import numpy as np

    voiced = np.flatnonzero(~np.isnan(pitch))
    if not len(voiced):
        return 0.0, min(len(pitch) / 100, 0.5)
    breaks = np.flatnonzero(np.diff(voiced) > 3)
    first = int(voiced[breaks[-1] + 1]) if len(breaks) else int(voiced[0])
    length = int(voiced[-1]) + 1 - first
    return min(length / 100, 1.0), min((len(pitch) - 1 - int(voiced[-1])) / 100, 0.5)
