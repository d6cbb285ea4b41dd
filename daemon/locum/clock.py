"""Where "now" comes from: the host's clock, or a stage's that runs faster.

Stage and daemon are different processes that must agree on "now" without talking, so a
stage's time is computed from the host's wall clock and two instants that both know
(`[stage]` in the config). It follows the host's clock when that is set, as the daemon's does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import anyio


def host_now() -> datetime:
    return datetime.now(timezone.utc)


class SystemClock:
    """The host's own time."""

    def now(self) -> datetime:
        return host_now()

    async def sleep(self, duration: timedelta) -> None:
        await anyio.sleep(max(duration.total_seconds(), 0.0))

    def host_duration(self, duration: timedelta) -> timedelta:
        return duration


class StageClock:
    """A `Clock` that runs `speed` times as fast as the host's.

    At the host's instant `epoch_host` it says `epoch`; both default to the present.

    Raises:
        ValueError: A speed that isn't positive and finite, or an instant without a zone.
    """

    def __init__(
        self,
        *,
        speed: float = 1.0,
        epoch: datetime | None = None,
        epoch_host: datetime | None = None,
        host: Callable[[], datetime] = host_now,
    ) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(
                f"the stage's speed is {speed!r}; it must be above 0, like 1 or 20"
            )
        self._host = host
        self.speed = speed
        self.epoch_host = aware(epoch_host or host(), "epoch_host")
        self.epoch = aware(epoch or self.epoch_host, "epoch")

    def now(self) -> datetime:
        return self.at_host(self._host())

    def at_host(self, instant: datetime) -> datetime:
        """Answer what this clock says at the host's `instant`."""
        return self.epoch + (instant - self.epoch_host) * self.speed

    def to_host(self, instant: datetime) -> datetime:
        """Answer the host's instant at which this clock says `instant`."""
        return self.epoch_host + self.host_duration(instant - self.epoch)

    def host_duration(self, duration: timedelta) -> timedelta:
        return duration / self.speed

    async def sleep(self, duration: timedelta) -> None:
        await anyio.sleep(max(self.host_duration(duration).total_seconds(), 0.0))


def aware(instant: datetime, name: str) -> datetime:
    """Answer the instant in UTC.

    Raises:
        ValueError: It has no time zone; `name` says which one.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{name} is {instant.isoformat()}, without a time zone; use UTC")
    return instant.astimezone(timezone.utc)
