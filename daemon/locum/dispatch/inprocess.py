"""Attendances as tasks of this process: right for hosted engines, which weigh nothing here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable
from datetime import timedelta

import structlog

from locum.attendance import AttendanceFactory, StopSignal
from locum.core.model import EndReason, SessionKey
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_CRASH_PAUSE_S = 5.0
"""How long a crashed attendance waits before it is taken up again."""


class InProcess:
    def __init__(self, factory: AttendanceFactory, *, on_end: Callable[[], None]) -> None:
        self._factory = factory
        self._stops: dict[SessionKey, StopSignal] = {}
        self._on_end = on_end
        self._tasks = Tasks(on_end=self._ended)

    def start(self, key: SessionKey, *, claimed_now: bool) -> None:
        if key in self._tasks:
            return
        stop = self._stops[key] = StopSignal()
        self._tasks.start(key, self._attend(key, stop, claimed_now=claimed_now))

    async def _attend(self, key: SessionKey, stop: StopSignal, *, claimed_now: bool) -> None:
        while True:
            try:
                await self._factory(key, stop).run(claimed_now=claimed_now)
            except Exception:  # noqa: BLE001 - The task's outermost frame: logged here, and taken up again.
                _log.exception("attendance_crashed", session_key=key)
            else:
                return
            # Here and not by the next pass: after a stop there is none, and what was asked
            # of it is still known. Whatever it had sent may be running.
            claimed_now = False
            await asyncio.sleep(_CRASH_PAUSE_S)

    def stop(self, key: SessionKey, reason: EndReason) -> None:
        signal = self._stops.get(key)
        if signal is not None:
            signal.ask(reason)

    def running(self) -> frozenset[SessionKey]:
        return frozenset(self._stops)

    async def hand_over(self, keys: Collection[SessionKey]) -> None:
        await self._tasks.cancel(keys)

    async def drain(self, within: timedelta) -> None:
        if not await self._tasks.wait(within.total_seconds()):
            _log.error("sessions_abandoned", sessions=sorted(self._stops))
            await self._tasks.cancel()

    def _ended(self, name: Hashable) -> None:
        for key in [key for key in self._stops if key == name]:
            del self._stops[key]
        self._on_end()
