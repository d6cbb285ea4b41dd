"""What the stage's recogniser hears in a scenario: the line that is being said, as far as it is.

It knows the words beforehand, and says so wherever it is used; when they come, and in how many
stretches, is up to the sound that reaches it.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import numpy as np

from locum.rehearsal.recognition import RATE_HZ

_LOUD = 500
_PREFIX = RATE_HZ // 10
_A_WORD = timedelta(seconds=0.3)


class Prompter:
    """A `recognition.Hear` for one conversation, in which one person speaks at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: list[str] = []
        self._lasts = timedelta(0)
        self._heard = 0
        self._begins: dict[bytes, int] = {}

    def says(self, text: str, lasts: timedelta | None) -> None:
        """Somebody begins to say this; it takes so long, where that is known."""
        with self._lock:
            self._words = text.split()
            self._lasts = lasts or _A_WORD * len(self._words)
            self._heard = 0
            self._begins.clear()

    def hear(self, pcm: bytes) -> str:
        """Answer the words in a stretch of 16 kHz sound, or in its beginning.

        A stretch is known again by its first tenth of a second; the next one of a line goes on
        where that one ended.
        """
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _LOUD)
        if len(loud) == 0 or len(samples) - int(loud[0]) < _PREFIX:
            return ""
        first, last = int(loud[0]), int(loud[-1])
        prefix = samples[first : first + _PREFIX].tobytes()
        with self._lock:
            begin = self._begins.setdefault(prefix, self._heard)
            spoken = (last - first) / RATE_HZ / max(self._lasts.total_seconds(), 0.1)
            end = min(begin + round(len(self._words) * spoken), len(self._words))
            if end == len(self._words) - 1:  # The first and last sounds are the faintest.
                end += 1
            self._heard = max(self._heard, end)
            return " ".join(self._words[begin:end])
