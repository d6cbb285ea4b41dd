"""Numbers out of what was received: frames a second, freezes, gaps, lips against sound.

Pure. Times are seconds on one clock, in any origin; levels are RMS of full scale 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FREEZE_S = 0.2
"""A picture that stands still for longer is a freeze."""

_GRID_HZ = 250
_LEAST_LIKENESS = 0.3
_LEAST_MOVEMENT = 1e-6


@dataclass(frozen=True)
class Series:
    """Values at times, ascending; both of one length."""

    at: Floats
    value: Floats

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Series:
        """From pairs in any order."""
        ordered = np.array(sorted(pairs), np.float64).reshape(-1, 2)
        return cls(ordered[:, 0], ordered[:, 1])


@dataclass(frozen=True)
class Offsets:
    """How far the mouth moves after its sound, in ms; negative: before it.

    `p50_ms` is the median of the windows with its sign, `p95_ms` the 95th percentile of their
    absolute values. Without a window in which both move alike, all is None.
    """

    windows_ms: tuple[float, ...]
    p50_ms: float | None
    p95_ms: float | None


def lips_against_sound(
    mouth: Series,
    sound: Series,
    *,
    window_s: float = 4.0,
    step_s: float = 1.0,
    most_ms: float = 400.0,
) -> Offsets:
    """The offset at which mouth and sound are most alike, a window at a time.

    Args:
        mouth: How open the mouth is (how dark its region), a value a frame.
        sound: The envelope of the voice, 50 values a second or more.
        window_s: Length of a window; a few syllables at least.
        step_s: From one window's beginning to the next.
        most_ms: Offsets beyond are not looked for.
    """
    if len(mouth.at) < 2 or len(sound.at) < 2:
        return Offsets((), None, None)
    begin, end = max(mouth.at[0], sound.at[0]), min(mouth.at[-1], sound.at[-1])
    found = []
    start = begin
    while start + window_s <= end + 1e-9:
        offset = _best_offset(mouth, sound, start, window_s, most_ms / 1_000)
        if offset is not None:
            found.append(1_000 * offset)
        start += step_s
    if not found:
        return Offsets((), None, None)
    return Offsets(
        tuple(found), float(np.median(found)), float(np.percentile(np.abs(found), 95))
    )


def _best_offset(
    mouth: Series, sound: Series, start: float, length: float, most: float
) -> float | None:
    grid = start + np.arange(int(length * _GRID_HZ)) / _GRID_HZ
    # A picture stays until the next one; sound is what it is at its time, smoothed to the
    # pace of a mouth.
    seen = mouth.value[np.clip(np.searchsorted(mouth.at, grid, "right") - 1, 0, None)]
    heard = np.interp(grid, sound.at, sound.value)
    width = max(1, int(0.05 * _GRID_HZ))
    heard = np.convolve(heard, np.ones(width) / width, "same")
    seen, heard = seen - seen.mean(), heard - heard.mean()
    if seen.std() < _LEAST_MOVEMENT or heard.std() < _LEAST_MOVEMENT:
        return None
    steps = int(most * _GRID_HZ)
    likeness = np.array([_likeness(seen, heard, step) for step in range(-steps, steps + 1)])
    best = int(np.argmax(likeness))
    if likeness[best] < _LEAST_LIKENESS:
        return None
    return float((best - steps + _peak(likeness, best)) / _GRID_HZ)


def _likeness(seen: Floats, heard: Floats, step: int) -> float:
    """Correlation of the two when the picture is `step` grid points late."""
    later, earlier = (
        (seen[step:], heard[: len(heard) - step])
        if step >= 0
        else (
            seen[:step],
            heard[-step:],
        )
    )
    scale = float(np.sqrt(np.dot(later, later) * np.dot(earlier, earlier)))
    return float(np.dot(later, earlier)) / scale if scale else 0.0


def _peak(values: Floats, best: int) -> float:
    """Where between grid points the top of a parabola through three of them is."""
    if not 0 < best < len(values) - 1:
        return 0.0
    left, top, right = values[best - 1 : best + 2]
    bend = left - 2 * top + right
    return float(0.5 * (left - right) / bend) if bend else 0.0


@dataclass(frozen=True)
class Flow:
    """How steadily something came.

    `per_second` is over the whole stretch. `gaps` are the stretches without anything that
    were longer than asked for: (when it began, how long), in seconds.
    """

    count: int
    per_second: float
    longest_s: float
    gaps: tuple[tuple[float, float], ...]


def flow(at: Sequence[float], *, longer_than_s: float = FREEZE_S) -> Flow:
    """How steadily things came at these times."""
    times = np.sort(np.asarray(at, np.float64))
    if len(times) < 2:
        return Flow(len(times), 0.0, 0.0, ())
    between = np.diff(times)
    gaps = tuple(
        (float(times[index]), float(between[index]))
        for index in np.flatnonzero(between > longer_than_s)
    )
    length = float(times[-1] - times[0])
    return Flow(
        len(times), (len(times) - 1) / length if length else 0.0, float(between.max()), gaps
    )


def thumb_distance(one: bytes, other: bytes) -> float:
    """How far two thumbs of one region (8×8 luma) are apart: mean difference, 0 … 255."""
    a, b = np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8)
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())
