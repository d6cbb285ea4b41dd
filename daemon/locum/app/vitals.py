"""Whether the daemon's loop turns: told to systemd's watchdog, and to whoever asks for health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from locum.app.calendars import CalendarWatch
from locum.config.store import ConfigStore
from locum.controller import Controller
from locum.ledger import Ledger
from locum.ports import Dispatcher
from locum.systemd import Notifier
from locum.wakeups import TICK


class Vitals:
    def __init__(
        self,
        *,
        store: ConfigStore,
        ledger: Ledger,
        calendars: CalendarWatch,
        controller: Controller,
        dispatcher: Dispatcher,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._calendars = calendars
        self._controller = controller
        self._dispatcher = dispatcher

    async def feed_watchdog(
        self, notifier: Notifier, interval: timedelta, *, passes: Callable[[], bool]
    ) -> None:
        """Feed systemd's watchdog while the ticker moves: this task proves the loop itself.

        `passes` tells whether the controller's own task is still there.
        """
        while True:
            await asyncio.sleep(min(interval.total_seconds(), TICK.total_seconds()))
            if self._tick_age_s() < 3 * TICK.total_seconds() and passes():
                notifier.watchdog()

    def health(self) -> Mapping[str, object]:
        """Answer whether the loop turns and the calendars can be read."""
        tick_age = self._tick_age_s()
        pass_age = self._controller.pass_age.total_seconds()
        failing = [
            str(state.calendar)
            for state in self._ledger.calendars.states().values()
            if state.failing_since is not None
        ]
        return {
            "ok": max(tick_age, pass_age) < 6 * TICK.total_seconds(),
            "tick_age_s": round(tick_age, 1),
            "pass_age_s": round(pass_age, 1),
            "calendars_failing": failing,
            "config_problems": list(self._store.problems),
            "live_sessions": len(self._dispatcher.running()),
        }

    def _tick_age_s(self) -> float:
        return time.monotonic() - self._calendars.last_tick
