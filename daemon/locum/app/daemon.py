"""`locum run`: one process that can be left alone.

It starts from the ledger, obeys systemd, reloads its config when it is saved, and on its
way out ends every presence that it began.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from locum.app.aftermath import Aftermath
from locum.app.calendars import CalendarWatch
from locum.app.commands import Commands
from locum.app.filing import FilingDesk
from locum.app.nursing import Nurse
from locum.app.outfit import Outfit
from locum.app.parts import Workshop, clock_of, notify_of
from locum.app.places import socket_path
from locum.app.recovery import settle_lost_sessions
from locum.app.reloading import Reloading
from locum.app.state import State
from locum.app.vitals import Vitals
from locum.attendance import Company, attendances
from locum.config.model import Config
from locum.config.places import state_dir
from locum.config.store import ConfigStore
from locum.control import ControlServer
from locum.controller import Controller
from locum.core.model import Judged
from locum.dispatch import ATTEND, Children, InProcess, Routed, sweep
from locum.ledger import LedgerError
from locum.ledger.backup import names_that_last
from locum.metrics import Metrics, serve_metrics
from locum.notifying import Notifications
from locum.systemd import Notifier, watchdog_interval
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_TIME_TO_LEAVE = timedelta(seconds=60)
"""How long a stop waits for proofs that everything is over; systemd allows 120 s in all."""

_TIME_TO_FILE = timedelta(seconds=30)


class Daemon:
    """One run of the daemon over one state directory."""

    def __init__(
        self,
        store: ConfigStore,
        *,
        environ: Mapping[str, str] = os.environ,
        workshop_of: Callable[..., Workshop] = Workshop,
        child_command: Sequence[str] = ATTEND,
    ) -> None:
        """Take the state directory and open the ledger.

        Args:
            store: The config.
            environ: The environment.
            workshop_of: Builds the adapters.
            child_command: What starts the process of one session.

        Raises:
            PermanentError: Another daemon has it.
            LedgerError: It can't be used.
            ConfigError: Nothing says where it is.
        """
        config = store.config
        self._store = store
        self._environ = environ
        self._stopping = asyncio.Event()
        self._tasks = Tasks()
        self._notifier = Notifier(environ)
        self._metrics = Metrics()
        self._clock = clock_of(config)
        self._state = State(state_dir(config, environ), self._clock)
        self._ledger = self._state.ledger
        self._ledger.database.on_damage = self._ledger_damaged
        self._workshop = workshop_of(self._clock, self._state.folder, environ)
        self._aftermath = Aftermath(
            config,
            state=self._state,
            clock=self._clock,
            metrics=self._metrics,
            workshop=self._workshop,
            wake=self._ask,
        )
        self._outfit = Outfit(
            state=self._state,
            clock=self._clock,
            metrics=self._metrics,
            workshop=self._workshop,
            aftermath=self._aftermath,
            on_standing=self._standing_changed,
        )
        self._nurse = Nurse(self._state.folder, self._company, store.current)
        nursery = self._nurse.nursery(self._metrics, self._ask, child_command)
        self._dispatcher = Routed(
            InProcess(attendances(self._company), on_end=self._ask),
            Children(nursery, on_end=self._ask),
            weighs=self._nurse.weighs,
        )
        self._controller = Controller(
            ledger=self._ledger,
            clock=self._clock,
            dispatcher=self._dispatcher,
            debrief=self._aftermath.debrief,
            metrics=self._metrics,
            setting=self._outfit.take(config),
            arm=self._arm,
            on_pass=self._pass_ended,
        )
        self._calendars = CalendarWatch(
            config,
            ledger=self._ledger,
            clock=self._clock,
            metrics=self._metrics,
            controller=self._controller,
            workshop=self._workshop,
        )
        self._notices = Notifications(
            ledger=self._ledger,
            clock=self._clock,
            controller=self._controller,
            config_problems=lambda: store.problems,
            setting=notify_of(config, store.current.path, environ),
        )
        self._reloading = Reloading(
            store, prepare=self._prepare, notifier=self._notifier, metrics=self._metrics
        )
        self._vitals = Vitals(
            store=store,
            ledger=self._ledger,
            calendars=self._calendars,
            controller=self._controller,
            dispatcher=self._dispatcher,
        )
        self._commands = Commands(
            ledger=self._ledger,
            clock=self._clock,
            controller=self._controller,
            config=lambda: store,
            reload=self._reloading.reload,
            poll_soon=self._calendars.poll_soon,
            keeper=self._outfit.keeper,
            paces=self._calendars.paces,
            push=self._calendars.push_reports,
            memory=self._aftermath.remembering.handlers,
            transcript_troubles=lambda: self._aftermath.gathering.troubles,
            desk=FilingDesk(
                self._ledger,
                self._aftermath.debrief,
                self._aftermath.gathering,
                wake=self._ask,
            ),
        )

    async def run(self) -> None:
        """Attend until SIGTERM or SIGINT; then end what was begun, and return.

        Raises:
            LedgerError: The ledger was found to be damaged; the next start restores it, and
                adopts the presences that could be left to it.
            PermanentError: The control socket or the metrics' port can't be had.
        """
        # Signals first: from here on a stop is one in order. Then all that can fail: what
        # comes after it begins presences, and nothing may end us before they are ended.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        async with contextlib.AsyncExitStack() as stack:
            metrics = self._store.config.metrics
            if metrics is not None:
                served = serve_metrics(
                    self._metrics, port=metrics.port, health=self._vitals.health
                )
                port = await stack.enter_async_context(served)
                _log.info("metrics_served", port=port)
            path = socket_path(self._store.config, self._environ)
            await stack.enter_async_context(ControlServer(path, self._commands.handlers))
            try:
                self._begin()
                await self._stopping.wait()
            finally:
                # The control socket stays until the end: one may ask how far the stop has come.
                await self._stop()
        damage = self._ledger.database.damage
        if damage is not None:
            raise LedgerError(
                f"The ledger {self._ledger.database.path} is damaged: {damage}. Start again: "
                "what is damaged is kept aside, and the ledger restored."
            )
        _log.info("daemon_stopped")

    def _ledger_damaged(self) -> None:
        """Only a start can restore it, and systemd makes one of an end with an error."""
        _log.error("ledger_damaged", problem=self._ledger.database.damage)
        self._stopping.set()

    def _begin(self) -> None:
        if not self._stopping.is_set():
            self._calendars.tidy()
            self._controller.begin()
            self._calendars.start()
            self._tasks.start("controller", self._controller.run())
            self._tasks.start("push", self._calendars.run())
            self._tasks.start("notices", self._notices.run())
            self._tasks.start("gathering", self._aftermath.gathering.run())
            self._tasks.start("config", self._reloading.watch(self._stopping))
            self._tasks.start("backups", self._state.keep_backups())
            self._tasks.start("personas", self._outfit.keeper.watch(self._upcoming))
            self._tasks.start("recovery", self._settle_lost_sessions())
            self._tasks.start("memory", self._aftermath.remembering.run())
            self._tasks.start("seats", sweep(self._state.folder))
            self._tasks.start("watchdog", self._feed_watchdog())
            self._log_start()
        self._notifier.ready()

    async def _stop(self) -> None:
        self._notifier.stopping()
        _log.info("daemon_stopping", sessions=len(self._dispatcher.running()))
        try:
            await self._calendars.stop()
            if self._ledger.database.damage is None:
                await self._controller.stop(_TIME_TO_LEAVE, filing=_TIME_TO_FILE)
            else:
                keys = names_that_last(self._ledger.database.path, self._dispatcher.running())
                _log.info("sessions_handed_over", sessions=sorted(keys))
                await self._controller.hand_over(keys, _TIME_TO_LEAVE)
        finally:
            await self._tasks.cancel()
            await self._workshop.aclose()
            self._aftermath.remembering.close()
            self._state.close()

    def _log_start(self) -> None:
        for warning in self._store.current.warnings:
            _log.warning("config_questionable", warning=warning)
        _log.info(
            "daemon_started",
            config=str(self._store.current.path),
            state_dir=str(self._state.folder),
            calendars=len(self._calendars.calendars),
            armed=self._controller.agenda.armed,
        )

    # ── what the parts tell each other ───────────────────────────────────────────────────

    def _ask(self) -> None:
        self._controller.ask()

    def _arm(self, instants: Sequence[datetime]) -> None:
        self._calendars.arm(instants)

    def _company(self) -> Company:
        return self._outfit.company(self._controller.setting.policy)

    def _standing_changed(self) -> None:
        """Decide anew: somebody may go who might not, or the other way round."""
        setting = self._controller.setting
        policy = replace(setting.policy, standings=self._outfit.keeper.standings)
        self._controller.change_setting(replace(setting, policy=policy))

    def _upcoming(self) -> list[Judged]:
        now = self._clock.now()
        return [item for item in self._controller.agenda.judged if item.event.start >= now]

    def _pass_ended(self) -> None:
        self._notices.ask()
        self._aftermath.gathering.ask()

    async def _settle_lost_sessions(self) -> None:
        await settle_lost_sessions(self._ledger, lambda: self._outfit.engines, self._clock)
        self._calendars.release_hold()

    async def _feed_watchdog(self) -> None:
        interval = watchdog_interval(self._environ)
        if interval is not None:
            await self._vitals.feed_watchdog(
                self._notifier, interval, passes=lambda: "controller" in self._tasks
            )

    # ── reloading ────────────────────────────────────────────────────────────────────────

    def _reload_soon(self) -> None:
        self._tasks.start("reload", self._reload_by_signal())

    async def _reload_by_signal(self) -> None:
        await self._reloading.reload()

    def _prepare(self, config: Config) -> Callable[[], None]:
        """Build what a config asks for; answers what puts it into use.

        Raises:
            LocumError: It can't be had.
        """
        sources = self._workshop.sources(config)
        gathering = self._workshop.gathering(config)
        setting = self._outfit.take(config)

        def put_into_use() -> None:
            self._nurse.taken = self._store.current
            self._calendars.change(config, sources)
            self._aftermath.gathering.change(gathering)
            self._calendars.tidy()
            self._controller.change_setting(setting)
            self._notices.change(notify_of(config, self._store.current.path, self._environ))
            self._calendars.poll_soon()

        return put_into_use
