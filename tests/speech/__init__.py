"""Recordings of people, with their ends and pauses as a person marked them; see `marks.toml`."""

from __future__ import annotations

import itertools
import sys
import wave
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RATE_HZ = 16_000
HOME = Path(__file__).parent

Samples = NDArray[np.float32]

_GUARD_S = 0.05
_BLEND_S = 0.02


@dataclass(frozen=True)
class Recording:
    """What somebody said: 16 kHz, mono, from -1 to 1; instants are seconds from its beginning.

    `stretches` are (begin, end) of speech, so the last end is the turn's; `said` is what had been
    said by the end of each. `joints` are silences between two words, where a pause could be, with
    what had been said by then.
    """

    name: str
    samples: Samples
    stretches: tuple[tuple[float, float], ...]
    said: tuple[str, ...]
    joints: tuple[tuple[float, str], ...] = ()

    @property
    def end(self) -> float:
        return self.stretches[-1][1]

    @property
    def pauses(self) -> tuple[tuple[float, float], ...]:
        """Answer (begin, end) of each silence inside the turn."""
        return tuple(
            (before[1], after[0])
            for before, after in zip(self.stretches, self.stretches[1:], strict=False)
        )

    def room(self, seconds: float) -> Samples:
        """The recording's own room tone: what nobody speaks in, laid to and fro."""
        quiet = self._quietest()
        both = np.concatenate([quiet, quiet[::-1]])
        need = int(seconds * RATE_HZ)
        return np.resize(both, need)

    def _quietest(self) -> Samples:
        spans = [(0.0, self.stretches[0][0]), *self.pauses, (self.end, self.seconds)]
        begin, end = max(spans, key=lambda span: span[1] - span[0])
        guard = min(_GUARD_S, (end - begin) / 4)
        return self.samples[_at(begin + guard) : _at(end - guard)]

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE_HZ

    def with_tail(self, seconds: float) -> Recording:
        """Let the room go on for so long after the turn's end, as a microphone that stays open."""
        kept = self.samples[: _at(self.end + _GUARD_S)]
        more = self.room(max(0.0, seconds - _GUARD_S))
        return replace(self, samples=_joined(kept, more))

    def drawn_out(self, joint: int, seconds: float) -> Recording:
        """Let the speaker pause for so long at a joint: its silence, filled up with room tone.

        Nothing else changes: no lengthening, no breath goes with it, as there would in life.
        """
        at, words = self.joints[joint]
        silence = self.room(seconds + 2 * _BLEND_S)
        samples = _joined(_joined(self.samples[: _at(at)], silence), self.samples[_at(at) :])
        stretches: list[tuple[float, float]] = []
        said: list[str] = []
        for (begin, end), by_then in zip(self.stretches, self.said, strict=True):
            if begin < at < end:
                stretches += [(begin, at), (at + seconds, end + seconds)]
                said += [words, by_then]
            else:
                moved = seconds if begin >= at else 0.0
                stretches.append((begin + moved, end + moved))
                said.append(by_then)
        return Recording(
            f"{self.name}+{seconds:.2f}s@{at:.2f}", samples, tuple(stretches), tuple(said)
        )

    def louder(self, rms_db: float = -26.0) -> Recording:
        """As loud as others: the speech at `rms_db` dBFS."""
        spoken = np.concatenate([self.samples[_at(a) : _at(b)] for a, b in self.stretches])
        factor = 10 ** (rms_db / 20) / float(np.sqrt(np.mean(np.square(spoken)) + 1e-12))
        loud = np.clip(self.samples * factor, -0.99, 0.99).astype(np.float32)
        return replace(self, samples=loud)

    def write_wav(self, file: Path) -> Path:
        pcm = (self.samples * 32_767).astype("<i2").tobytes()
        with wave.open(str(file), "wb") as opened:
            opened.setnchannels(1)
            opened.setsampwidth(2)
            opened.setframerate(RATE_HZ)
            opened.writeframes(pcm)
        return file


def _at(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def _joined(one: Samples, other: Samples) -> Samples:
    """One after the other, blended over 20 ms so that no click is heard."""
    width = min(_at(_BLEND_S), len(one), len(other))
    if not width:
        return np.concatenate([one, other])
    slope = np.linspace(0, 1, width, dtype=np.float32)
    blend = one[-width:] * (1 - slope) + other[:width] * slope
    return np.concatenate([one[:-width], blend, other[width:]])


@lru_cache(maxsize=1)
def recordings() -> dict[str, Recording]:
    """Answer all of them by name, each as loud as the others."""
    marks = tomllib.loads((HOME / "marks.toml").read_text("utf-8"))
    return {
        name: Recording(
            name,
            _decoded(HOME / f"{name}.opus"),
            tuple((begin, end) for begin, end in each["stretches"]),
            tuple(itertools.accumulate(each["words"], lambda one, other: f"{one} {other}")),
            tuple((at, words) for at, words in each.get("joints", ())),
        ).louder()
        for name, each in marks.items()
    }


def _decoded(file: Path) -> Samples:
    import av

    parts: list[Samples] = []
    with av.open(str(file)) as opened:
        converted = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
        for frame in (*opened.decode(audio=0), None):
            parts += [
                np.asarray(each.to_ndarray().reshape(-1), np.float32)
                for each in converted.resample(frame)
            ]
    return np.concatenate(parts)
