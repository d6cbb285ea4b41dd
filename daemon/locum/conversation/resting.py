"""Leaves alone what failed: longer each time, until it goes well again."""

from __future__ import annotations

from datetime import datetime, timedelta

from locum.errors import LocumError, TransientError
from locum.ports import Clock


class Rest:
    """Of one part; `shortest` and `longest` bound how long it is left alone."""

    def __init__(self, clock: Clock, shortest: timedelta, longest: timedelta) -> None:
        self._clock = clock
        self._shortest = shortest
        self._longest = longest
        self._wait = shortest
        self._until: datetime | None = None

    @property
    def resting(self) -> bool:
        return self._until is not None and self._clock.now() < self._until

    def failed(self, error: LocumError) -> None:
        """Take that it failed: what may pass is tried again soon, all else as late as it may."""
        wait = self._longest
        if isinstance(error, TransientError):
            wait = min(max(self._wait, error.retry_after), self._longest)
            self._wait = min(self._wait * 2, self._longest)
        self._until = self._clock.now() + wait

    def went_well(self) -> None:
        self._until = None
        self._wait = self._shortest
