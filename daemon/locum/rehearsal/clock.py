"""The stage's time, and one that moves only when told."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from locum.clock import StageClock, aware

__all__ = ["HandClock", "LeapingClock", "StageClock"]


class HandClock:
    """A time that moves only when told: a stage driven step by step. Thread-safe."""

    def __init__(self, start: datetime) -> None:
        self._lock = threading.Lock()
        self._now = aware(start, "start")

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def advance(self, duration: timedelta) -> datetime:
        with self._lock:
            self._now += duration
            return self._now


class LeapingClock:
    """A stage's clock that can leap ahead and change its speed. Thread-safe.

    A daemon that runs must be stopped before, and started anew with the new epochs.
    """

    def __init__(self, clock: StageClock) -> None:
        self._clock = clock

    @property
    def speed(self) -> float:
        return self._clock.speed

    @property
    def epoch_host(self) -> datetime:
        return self._clock.epoch_host

    @property
    def epoch(self) -> datetime:
        return self._clock.epoch

    def now(self) -> datetime:
        return self._clock.now()

    def host_duration(self, duration: timedelta) -> timedelta:
        return self._clock.host_duration(duration)

    def leap(self, to: datetime, *, speed: float) -> None:
        """Go on from `to`, at another speed.

        Raises:
            ValueError: That lies in the past.
        """
        if to < self.now():
            raise ValueError(f"a clock never goes back: {to.isoformat()} is over")
        self._clock = StageClock(speed=speed, epoch=to)
