"""When it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where "now" comes from. On a stage it runs faster than the host's."""

    def now(self) -> datetime:
        """Answer the present instant, in UTC."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Wait for `duration` of this clock's time."""
        ...

    def host_duration(self, duration: timedelta) -> timedelta:
        """Answer how long the host waits while this clock moves by `duration`."""
        ...
