"""One track's sound as it came: which sample came when, and the last seconds of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from locum.core.speech import Sound
from locum.ears.voicing import RATE_HZ

TAIL = 8 * RATE_HZ
_KEPT = 2 * TAIL
_GAP = timedelta(milliseconds=250)
"""From here on, sound that comes later than its samples say means that some is missing."""
_LONGEST_GAP = 60 * RATE_HZ
_BACK, _FORTH = 0.5, 0.005
"""How fast the clock follows sound that comes early, and late: delays only ever add."""


class Timeline:
    """`position` is how many samples have come, those that are missing included."""

    def __init__(self) -> None:
        self.position = 0
        self._anchor: datetime | None = None
        self._tail = bytearray()

    def take(self, pcm: bytes, at: datetime) -> int:
        """Note a piece whose first sample came at `at`; answer how many were missing before it."""
        missing = 0
        if self._anchor is None:
            self._anchor = at
        late = at - self.instant(self.position)
        if late > _GAP:
            missing = min(round(late.total_seconds() * RATE_HZ), _LONGEST_GAP)
            self._tail += bytes(2 * min(missing, TAIL))
            self.position += missing
            self._anchor += at - self.instant(self.position)
        else:
            self._anchor += late * (_FORTH if late > timedelta(0) else _BACK)
        self._tail += pcm
        self.position += len(pcm) // 2
        if len(self._tail) > 2 * _KEPT:
            del self._tail[: len(self._tail) - 2 * TAIL]
        return missing

    def instant(self, sample: int) -> datetime:
        """Answer when a sample came, in UTC.

        Raises:
            ValueError: Nothing has come yet.
        """
        if self._anchor is None:
            raise ValueError("nothing has come on this track")
        return self._anchor + timedelta(seconds=sample / RATE_HZ)

    def cut(self, first: int, last: int) -> bytes:
        """Answer the sound from one sample to another, as far as it is still here."""
        begins = self.position - len(self._tail) // 2
        return bytes(self._tail[2 * max(first - begins, 0) : 2 * max(last - begins, 0)])

    def tail(self) -> Sound:
        """Answer the last 8 s at most."""
        return Sound(RATE_HZ, bytes(self._tail[-2 * TAIL :]))
