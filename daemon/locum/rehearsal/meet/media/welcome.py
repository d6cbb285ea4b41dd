"""How many bits a second of picture are welcome on a line that may be narrower than hoped.

A sender that isn't told sends on, and a full queue then loses sound as readily as picture: so
what is lost is answered by asking for less than came through, within a report or two, and asked
for more again bit by bit.
"""

from __future__ import annotations

MOST = 4_000_000
LEAST = 30_000

_MUCH_LOST = 0.10
_LITTLE_LOST = 0.02
_BACK = 0.7
_ONWARD = 1.25


class Welcome:
    """For one section; told at each report what has come."""

    def __init__(self) -> None:
        self.bits = MOST
        self._at: float | None = None
        self._bytes = 0

    def after(self, now: float, received: int, lost: float) -> int:
        """Answer the bits a second to ask for.

        Args:
            now: Seconds, on a steady clock.
            received: Bytes that have come in all.
            lost: The share that was lost since the last report, 0 to 1.
        """
        if self._at is None or now <= self._at:
            self._at, self._bytes = now, received
            return self.bits
        came = (received - self._bytes) * 8 / (now - self._at)
        self._at, self._bytes = now, received
        if lost > _MUCH_LOST:
            self.bits = int(min(self.bits, max(came, LEAST)) * _BACK)
        elif lost < _LITTLE_LOST:
            self.bits = int(self.bits * _ONWARD)
        self.bits = min(max(self.bits, LEAST), MOST)
        return self.bits
