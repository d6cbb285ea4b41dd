"""Sound, and the mouth that goes with it: values that voices, lips and faces exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

_BYTES_A_SAMPLE = 2


@dataclass(frozen=True)
class Sound:
    """Mono PCM, signed 16-bit little-endian, `rate` samples a second."""

    rate: int
    pcm: bytes = field(repr=False)

    @property
    def duration(self) -> timedelta:
        return timedelta(seconds=len(self.pcm) / (_BYTES_A_SAMPLE * self.rate))


@dataclass(frozen=True)
class Phone:
    """One sound of speech in IPA; instants count from the beginning of its piece."""

    symbol: str
    start: timedelta
    end: timedelta


@dataclass(frozen=True)
class Word:
    """Where a word begins: at character `start` of all that was to be said, before `stop`.

    `at` counts from the beginning of its piece.
    """

    start: int
    stop: int
    at: timedelta


@dataclass(frozen=True)
class Spoken:
    """A piece of speech as a voice gives it; `phones` is empty where it gives no timings.

    `words` are those that begin in it, where the voice tells; it tells of all or of none.
    """

    sound: Sound
    phones: tuple[Phone, ...] = ()
    text: str = ""
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Mouth:
    """How far the mouth is from rest, each from 0 to 1; `lower` is below 0 where it is bitten.

    `jaw` is the drop of the chin, `upper` and `lower` the lips' own lift and drop, `wide` a
    spread, `pucker` a rounding, `press` lips pressed, `close` lips brought together.
    """

    jaw: float = 0.0
    upper: float = 0.0
    lower: float = 0.0
    wide: float = 0.0
    pucker: float = 0.0
    press: float = 0.0
    close: float = 0.0


@dataclass(frozen=True)
class MouthAt:
    """A keyframe: at `at` from the beginning of its piece, the mouth is `mouth`.

    Between two of them it moves evenly.
    """

    at: timedelta
    mouth: Mouth
