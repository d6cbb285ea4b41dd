"""When to look: APScheduler's timers for polls, joins and leaves, and a ticker beneath them.

Timers only wake; what is to be done is read from the ledger. They are monotonic, so a
suspended machine or a moved clock would make them late: the ticker notices within seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta, timezone

import anyio
import structlog
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from locum.core.model import CalendarRef
from locum.ports import Clock

_log = structlog.get_logger(__name__)

TICK = timedelta(seconds=5)
_AFTER_CRASH = timedelta(minutes=1)
_LONGEST_POLL = timedelta(minutes=30)
"""A source bounds its own reads, which queue behind each other; this is for one that doesn't."""

_JUMP = timedelta(seconds=4)
"""How far wall and monotonic clock may part between ticks before it counts as a jump."""


class Wakeups:
    """Calls back at instants, polls calendars at their pace, and ticks.

    Args:
        on_instant: Called when an armed instant has come, and at every tick.
        on_jump: Called after a suspension or a change of the host's clock.
        poll: Polls one calendar and answers the wait before the next poll; None ends it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        on_instant: Callable[[], None],
        on_jump: Callable[[], None],
        poll: Callable[[CalendarRef], Awaitable[timedelta | None]],
    ) -> None:
        self._clock = clock
        self._on_instant = on_instant
        self._on_jump = on_jump
        self._poll = poll
        # APScheduler drops what is a second late by default. We decide about lateness.
        self._scheduler = AsyncIOScheduler(
            timezone=timezone.utc,
            executors={"default": AsyncIOExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._armed: set[datetime] = set()
        self._ticker: asyncio.Task[None] | None = None
        self.last_tick = time.monotonic()

    def start(self) -> None:
        self._scheduler.start()
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="ticker")

    async def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)

    def arm(self, instants: Sequence[datetime]) -> None:
        """Wake at exactly these instants (of our clock), and at no others armed before."""
        wanted = set(instants)
        for instant in self._armed - wanted:
            self._forget(_instant_id(instant))
        for instant in sorted(wanted - self._armed):
            self._scheduler.add_job(
                self._wake,
                DateTrigger(self._host_instant(instant)),
                args=(instant,),
                id=_instant_id(instant),
                replace_existing=True,
            )
        self._armed = wanted

    def poll_after(self, calendar: CalendarRef, wait: timedelta) -> None:
        """Poll a calendar after `wait`, and from then on at its own pace."""
        self._scheduler.add_job(
            self._poll_once,
            DateTrigger(self._host_instant(self._clock.now() + wait)),
            args=(calendar,),
            id=f"poll:{calendar}",
            replace_existing=True,
            # A poll arms the next one itself: were that refused, because this one still
            # counts as running, it would be the last.
            max_instances=3,
        )

    def forget_polls(self) -> None:
        for job in self._scheduler.get_jobs():
            if job.id.startswith("poll:"):
                self._forget(job.id)

    def _host_instant(self, instant: datetime) -> datetime:
        ahead = self._clock.host_duration(instant - self._clock.now())
        return datetime.now(timezone.utc) + ahead

    def _forget(self, job_id: str) -> None:
        try:
            self._scheduler.remove_job(job_id)
        except JobLookupError:
            return  # It has just fired.

    async def _wake(self, instant: datetime) -> None:
        self._armed.discard(instant)
        self._on_instant()

    async def _poll_once(self, calendar: CalendarRef) -> None:
        wait: timedelta | None = _AFTER_CRASH
        try:
            with anyio.fail_after(_LONGEST_POLL.total_seconds()):
                wait = await self._poll(calendar)
        except Exception:  # noqa: BLE001 - A job's outermost frame: the next poll must be armed.
            _log.exception("poll_failed", calendar=str(calendar))
        if wait is not None and self._scheduler.running:
            self.poll_after(calendar, wait)

    async def _tick(self) -> None:
        # The loop's own time is the host's monotonic clock, or a simulation's.
        loop = asyncio.get_running_loop()
        wall, steady = datetime.now(timezone.utc), loop.time()
        while True:
            await asyncio.sleep(self._clock.host_duration(TICK).total_seconds())
            wall_now, steady_now = datetime.now(timezone.utc), loop.time()
            parted = (wall_now - wall) - timedelta(seconds=steady_now - steady)
            late = timedelta(seconds=steady_now - steady) - self._clock.host_duration(TICK)
            try:
                if abs(parted) > _JUMP or late > _JUMP * 5:
                    _log.warning("clock_jumped", by_s=round(parted.total_seconds(), 1))
                    self._armed.clear()
                    self._on_jump()
                self._scheduler.wakeup()
                self._on_instant()
            except Exception:  # noqa: BLE001 - The task's outermost frame: without ticks all hangs on timers.
                _log.exception("tick_failed")
            wall, steady = wall_now, steady_now
            self.last_tick = steady_now


def _instant_id(instant: datetime) -> str:
    return f"wake:{instant.isoformat()}"
