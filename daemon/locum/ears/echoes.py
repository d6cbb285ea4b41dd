"""Our own voice, come back through an open loudspeaker: known by its pattern of loudness.

What we send is kept for some seconds as the loudness of 16 bands of frequency, 50 times a
second. What comes in is compared with it at every delay that a room and a network can have.
Each band's mean is taken out, so that neither the loudspeaker's tone nor the room's matters; an
echo with somebody's voice over it is no longer like it, and so passes as a voice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from locum.core.speech import Sound
from locum.ears.voicing import RATE_HZ

WINDOW_S = 0.48
_ALIKE, _ALIKE_AT_DELAY = 0.62, 0.45
"""From which likeness on, of 1, it is ours: at any delay, and at the room's, once it is known.

Measured with espeak-ng and our recordings of people: where 260 ms of a voice are heard, nine of
ten echoes are this much like ours, and one of six voices of others is, since some delay always
fits; hardly ever the same one twice."""
_SURELY = 0.9
"""… and where a voice has only begun, and the delay isn't known: a mere copy of ours."""
_FORGETS_AFTER = 6
"""Looks in a row at voices that aren't ours, after which a room gives nothing back any more."""

_STEP_S = 0.02
_FRAME_S = 0.032
_BANDS = 16
_LOWEST_HZ, _HIGHEST_HZ = 200.0, 3800.0
_KEPT = 600  #: Steps: 12 s.
_LONGEST_DELAY = 36  #: Steps: 0.7 s. The room and the network take 50 to 600 ms.
_FLOOR = 1e-6  # Of the power of a full-scale sine: -60 dB.
_AUDIBLE = -4.5  # The loudest band's log10 power from which on we are heard at all.
_NEAR = 2
"""Steps by which a room's delay, once it is known, still varies."""


@dataclass
class Room:
    """What is known of the way from our voice back to one track; delays in steps of 20 ms."""

    delay: int | None = None
    suspected: int | None = None  #: As the last voice had it, which alone is no proof.
    denied: int = 0  #: Looks in a row that found somebody else.


class Echoes:
    """What we said last, as it sounds. Instants are UTC."""

    def __init__(self) -> None:
        self._own = np.full((_KEPT, _BANDS), np.log10(_FLOOR), np.float32)
        self._steps = np.full(_KEPT, -1, np.int64)
        self._rest = np.zeros(0, np.float32)
        self._next = 0.0  # When the rest begins, in seconds since the epoch.
        self._filters: dict[int, Any] = {}
        self.ended: datetime | None = None  #: When the last of it was to be heard.

    def spoke(self, sound: Sound, at: datetime) -> None:
        """Take what the room begins to hear of us at `at`."""
        begins = at.timestamp()
        samples = _samples(sound.pcm)
        if abs(begins - (self._next + len(self._rest) / sound.rate)) > 2 * _STEP_S:
            self._rest, self._next = np.zeros(0, np.float32), begins
        whole = np.concatenate([self._rest, samples])
        frames = self._frames(whole, sound.rate)
        first = round(self._next / _STEP_S)
        for number, frame in enumerate(frames):
            place = (first + number) % _KEPT
            self._own[place], self._steps[place] = frame, first + number
        used = round(len(frames) * _STEP_S * sound.rate)
        self._rest = whole[used:]
        self._next += len(frames) * _STEP_S
        self.ended = at + sound.duration

    def is_echo(self, pcm: bytes, until: datetime, room: Room) -> bool:
        """Whether that is our own voice: `WINDOW_S` of sound, 16 kHz, whose last came at `until`.

        For a voice that has only begun. Where the room's delay isn't known, it must be a lot like
        ours: to stop for an echo once is better than to talk over somebody.
        """
        if room.delay is None:
            return self.likeness(pcm, until)[0] >= _SURELY
        ours = self.likeness(pcm, until, near=room.delay)[0] >= _ALIKE_AT_DELAY
        room.denied = 0 if ours else room.denied + 1
        if room.denied >= _FORGETS_AFTER:
            room.delay, room.denied = None, 0
        return ours

    def learn(self, pcm: bytes, until: datetime, room: Room) -> bool:
        """Whether a voice of some 260 ms, to be shown once, is ours after all.

        It takes two voices, one after the other, that are ours with the same delay.
        """
        likeness, delay = self.likeness(pcm, until)
        before, room.suspected = room.suspected, delay if likeness >= _ALIKE else None
        if room.suspected is None or before is None or abs(delay - before) > _NEAR:
            return False
        room.delay, room.denied = delay, 0
        return True

    def likeness(
        self, pcm: bytes, until: datetime, near: int | None = None
    ) -> tuple[float, int]:
        """Answer how much like us it is, from 0 to 1, and with which delay, in steps of 20 ms.

        0 where we weren't to be heard. `near` looks at about that delay alone.
        """
        heard = self._frames(_samples(pcm), RATE_HZ)
        length = len(heard)
        if length < _LONGEST_DELAY // 4:
            return 0.0, 0
        last = round((until.timestamp() - _FRAME_S) / _STEP_S)
        wanted = np.arange(last - length + 1 - _LONGEST_DELAY, last + 1)
        places = wanted % _KEPT
        known = (self._steps[places] == wanted)[:, None]
        own = np.where(known, self._own[places], np.log10(_FLOOR))
        if own.max() < _AUDIBLE:
            return 0.0, 0
        heard -= heard.mean(axis=0)
        size = float(np.sqrt((heard**2).sum()))
        best, best_delay = 0.0, 0
        low, high = (0, _LONGEST_DELAY) if near is None else (near - _NEAR, near + _NEAR)
        for delay in range(max(low, 0), min(high, _LONGEST_DELAY) + 1):
            part = own[_LONGEST_DELAY - delay : _LONGEST_DELAY - delay + length]
            part = part - part.mean(axis=0)
            norm = size * float(np.sqrt((part**2).sum()))
            if norm > 0 and (like := float((heard * part).sum()) / norm) > best:
                best, best_delay = like, delay
        return best, best_delay

    def _frames(self, samples: Any, rate: int) -> Any:
        size, step = round(_FRAME_S * rate), _STEP_S * rate
        count = max(int((len(samples) - size) / step) + 1, 0) if len(samples) >= size else 0
        if count == 0:
            return np.zeros((0, _BANDS), np.float32)
        starts = np.round(np.arange(count) * step).astype(int)
        framed = samples[starts[:, None] + np.arange(size)] * np.hanning(size)
        power = np.abs(np.fft.rfft(framed, axis=1)) ** 2 / (size / 4) ** 2
        return np.log10(power @ self._bands(rate, size) + _FLOOR).astype(np.float32)

    def _bands(self, rate: int, size: int) -> Any:
        """Answer the bands' weights: even in pitch, each bin in one."""
        if rate not in self._filters:
            hertz = np.fft.rfftfreq(size, 1 / rate)
            edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS + 1)
            which = np.searchsorted(edges, hertz, side="right") - 1
            weights = np.zeros((len(hertz), _BANDS), np.float32)
            inside = (which >= 0) & (which < _BANDS)
            weights[np.nonzero(inside)[0], which[inside]] = 1.0
            self._filters[rate] = weights
        return self._filters[rate]


def _samples(pcm: bytes) -> Any:
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / 32768
