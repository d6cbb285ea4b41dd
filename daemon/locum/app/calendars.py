"""The daemon's eye on the calendars: read at their pace, at once where they ring, on any jump.

What a reading changes is the controller's affair; when to read, and when to wake it, is decided
here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from locum.app.parts import Workshop, pace_of, push_of
from locum.config.model import Config
from locum.controller import Controller
from locum.core.model import CalendarRef
from locum.core.pacing import AccountPace
from locum.errors import TransientError
from locum.ledger import Ledger
from locum.ledger.hold import Hold
from locum.metrics import Metrics
from locum.polling import Polling
from locum.ports import CalendarSource, Clock
from locum.push import Bell, Push, PushReport
from locum.wakeups import Wakeups

_log = structlog.get_logger(__name__)

_BY_HAND_KEPT = timedelta(hours=24)


class CalendarWatch:
    """Watches the calendars of a config, from `start` to `stop`."""

    def __init__(
        self,
        config: Config,
        *,
        ledger: Ledger,
        clock: Clock,
        metrics: Metrics,
        controller: Controller,
        workshop: Workshop,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._controller = controller
        self._workshop = workshop
        self._wakeups = Wakeups(
            clock,
            on_instant=controller.ask,
            on_jump=self._time_jumped,
            poll=self._poll,
        )
        self._push = Push(ledger=ledger, clock=clock, metrics=metrics, ring=self._ring)
        self._polling = Polling(
            ledger=ledger,
            clock=clock,
            metrics=metrics,
            sources=workshop.sources(config),
            pace=pace_of(config),
            near_from=controller.agenda.near_from,
            on_change=controller.calendar_changed,
            rings=self._push.covers,
        )
        self._bell = Bell(
            now=clock.now,
            poll_after=self._wakeups.poll_after,
            is_failing=self._polling.is_failing,
        )
        self._change_push(config)

    # ── its course ───────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        self._wakeups.start()
        self.poll_soon()

    async def run(self) -> None:
        """Keep the push channels open until cancelled."""
        await self._push.run()

    async def stop(self) -> None:
        """Wake nobody any more."""
        await self._wakeups.stop()

    def change(self, config: Config, sources: Sequence[CalendarSource]) -> None:
        """Watch what another config says, by the sources that were built from it."""
        self._polling.change(sources, pace_of(config))
        self._change_push(config)

    def _change_push(self, config: Config) -> None:
        # Without push too: what an earlier config had opened is to be stopped.
        self._push.change(
            push_of(config), self._workshop.channel_sources(config), self._polling.calendars
        )

    def tidy(self) -> None:
        """Forget what nobody watches any more. A full disk doesn't keep us from attending."""
        try:
            self._ledger.calendars.forget_calendars(self._polling.calendars)
            self._ledger.calendars.drop_ended_by_hand(self._clock.now() - _BY_HAND_KEPT)
        except TransientError as error:
            _log.error("ledger_write_failed", problem=str(error))

    # ── what others look at ──────────────────────────────────────────────────────────────

    @property
    def calendars(self) -> Collection[CalendarRef]:
        return self._polling.calendars

    @property
    def last_tick(self) -> float:
        """When the ticker moved last, on the host's monotonic clock."""
        return self._wakeups.last_tick

    def paces(self) -> Mapping[str, AccountPace]:
        return self._polling.paces()

    def push_reports(self) -> Iterable[PushReport]:
        return self._push.reports()

    # ── waking and reading ───────────────────────────────────────────────────────────────

    def arm(self, instants: Sequence[datetime]) -> None:
        """Wake the controller at exactly these instants."""
        self._wakeups.arm(instants)

    def poll_soon(self) -> None:
        """Read every calendar now, as fast as the quota lets us."""
        self._wakeups.forget_polls()
        for calendar, wait in self._polling.first_waits().items():
            self._wakeups.poll_after(calendar, wait)

    def _ring(self, calendar: CalendarRef) -> None:
        self._polling.hurry(calendar)
        self._bell.ring(calendar)

    def _time_jumped(self) -> None:
        self._polling.read_all_in_full()
        self.poll_soon()
        self._controller.look_back()

    async def _poll(self, calendar: CalendarRef) -> timedelta | None:
        wait = await self._bell.read(calendar, self._polling.poll)
        for outdated in self._polling.take_outdated():
            self._wakeups.poll_after(outdated, timedelta(0))
        self.release_hold()
        return wait

    def release_hold(self) -> None:
        """After a restored ledger: joins wait until calendars and sessions agree with it."""
        hold = Hold.of(self._ledger.database)
        if hold is None:
            return
        states = self._ledger.calendars.states()
        watched = [states.get(calendar) for calendar in self._polling.calendars]
        now = self._clock.now()
        if hold.is_over(watched, self._ledger.sessions.unfinished_and_since(now), now):
            self._ledger.database.reconciled()
            _log.info("ledger_reconciled")
        self._controller.ask()
