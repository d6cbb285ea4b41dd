"""The stage's time, and one that moves only when told."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from locum.clock import StageClock, aware

__all__ = ["HandClock", "StageClock"]


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
