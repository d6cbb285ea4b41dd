"""`locum run`: one process that can be left alone.

It starts from the ledger, obeys systemd, reloads its config when it is saved, and on its
way out ends every presence that it began.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from locum.app.briefing import desk
from locum.app.commands import Commands
from locum.app.filing import FilingDesk
from locum.app.nursing import Nurse
from locum.app.parts import (
    Workshop,
    clock_of,
    notify_of,
    pace_of,
    personas_of,
    policy_of,
    prices_of,
    purse_of,
    push_of,
    sinks_of,
)
from locum.app.personas import PersonaKeeper
from locum.app.places import ledger_path, socket_path
from locum.app.recovery import settle_lost_sessions
from locum.app.remembering import Remembering, memory_of
from locum.attendance import Company, attendances
from locum.config.model import Config
from locum.config.places import state_dir
from locum.config.store import ConfigStore, Reload, ReloadOutcome
from locum.config.watch import watch
from locum.control import ControlServer
from locum.controller import Controller, Setting
from locum.core.model import CalendarRef, Judged, Meeting, SessionKey
from locum.core.transcript import Transcript, Utterance
from locum.debrief import Debrief
from locum.dispatch import ATTEND, Children, InProcess, Routed, sweep
from locum.errors import LocumError, TransientError
from locum.gathering import Gathering, transcribed
from locum.ledger import Ledger, LedgerError, StateLock
from locum.ledger.backup import keep_backup, names_that_last, open_ledger
from locum.ledger.hold import Hold
from locum.metrics import Metrics, serve_metrics
from locum.notifying import Notifications
from locum.persona import Wardrobe
from locum.polling import Polling
from locum.push import Bell, Push
from locum.systemd import Notifier, watchdog_interval
from locum.tasks import Tasks
from locum.wakeups import TICK, Wakeups

_log = structlog.get_logger(__name__)

_TIME_TO_LEAVE = timedelta(seconds=60)
"""How long a stop waits for proofs that everything is over; systemd allows 120 s in all."""

_TIME_TO_FILE = timedelta(seconds=30)
_WATCH_AGAIN_S = 5.0

_BACKUP_LOOK_S = 3600.0
_NEEDS_RESTART = ("state_dir", "runtime_dir", "metrics", "stage")


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
        self._state = state_dir(config, environ)
        self._lock = StateLock(self._state)
        self._clock = clock_of(config)
        self._backups = self._state / "backups"
        opened = open_ledger(
            ledger_path(self._state), backups=self._backups, now=self._clock.now()
        )
        self._ledger = Ledger(opened.database)
        self._ledger.database.on_damage = self._ledger_damaged
        self._metrics = Metrics()
        self._workshop = workshop_of(self._clock, self._state, environ)
        self._keeper = PersonaKeeper(
            self._clock, self._state, Wardrobe(self._state), on_change=self._standing_changed
        )
        self._notifier = Notifier(environ)
        self._stopping = asyncio.Event()
        self._tasks = Tasks()
        self._reloading = asyncio.Lock()
        self._taken = config
        self._debrief = Debrief(
            self._ledger,
            self._clock,
            self._metrics,
            sinks=sinks_of(config, self._state),
            engines={},
            personas={},
        )
        self._remembering = Remembering(
            self._state, self._ledger, self._clock, memory_of(config)
        )
        self._debrief.recall = self._remembering.recall
        self._debrief.remember = self._remembering.remember
        self._wakeups = Wakeups(
            self._clock,
            on_instant=self._instant_came,
            on_jump=self._time_jumped,
            poll=self._poll,
        )
        self._nurse = Nurse(self._state, self._company, store.current)
        self._dispatcher = Routed(
            InProcess(attendances(self._company), on_end=self._instant_came),
            Children(
                self._nurse.nursery(self._metrics, self._instant_came, child_command),
                on_end=self._instant_came,
            ),
            weighs=self._nurse.weighs,
        )
        self._controller = Controller(
            ledger=self._ledger,
            clock=self._clock,
            dispatcher=self._dispatcher,
            debrief=self._debrief,
            metrics=self._metrics,
            setting=self._setting(config),
            arm=self._wakeups.arm,
            on_pass=self._pass_ended,
        )
        self._notices = Notifications(
            ledger=self._ledger,
            clock=self._clock,
            controller=self._controller,
            config_problems=lambda: self._store.problems,
            setting=notify_of(config, store.current.path, environ),
        )
        self._gathering = Gathering(
            ledger=self._ledger,
            clock=self._clock,
            setting=self._workshop.gathering(config),
            on_news=self._news_came,
        )
        self._debrief.transcribe = self._transcribed
        self._debrief.awaited = self._gathering.awaited
        self._debrief.none_from = self._gathering.none_from
        self._push = Push(
            ledger=self._ledger,
            clock=self._clock,
            metrics=self._metrics,
            ring=self._ring,
        )
        self._polling = Polling(
            ledger=self._ledger,
            clock=self._clock,
            metrics=self._metrics,
            sources=self._workshop.sources(config),
            pace=pace_of(config),
            near_from=self._controller.agenda.near_from,
            on_change=self._controller.calendar_changed,
            rings=self._push.covers,
        )
        self._bell = Bell(
            now=self._clock.now,
            poll_after=self._wakeups.poll_after,
            is_failing=self._polling.is_failing,
        )
        self._change_push(config)
        self._commands = Commands(
            ledger=self._ledger,
            clock=self._clock,
            controller=self._controller,
            config=lambda: self._store,
            reload=self.reload,
            poll_soon=self._poll_soon,
            keeper=self._keeper,
            paces=self._polling.paces,
            push=self._push.reports,
            memory=self._remembering.handlers,
            transcript_troubles=lambda: self._gathering.troubles,
            desk=FilingDesk(
                self._ledger, self._debrief, self._gathering, wake=self._controller.ask
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
                served = serve_metrics(self._metrics, port=metrics.port, health=self.health)
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
            self._tidy()
            self._controller.begin()
            self._wakeups.start()
            self._poll_soon()
            self._tasks.start("controller", self._controller.run())
            self._tasks.start("push", self._push.run())
            self._tasks.start("notices", self._notices.run())
            self._tasks.start("gathering", self._gathering.run())
            self._tasks.start("config", self._watch_config())
            self._tasks.start("backups", self._keep_backups())
            self._tasks.start("personas", self._keeper.watch(self._upcoming))
            self._tasks.start("recovery", self._settle_lost_sessions())
            self._tasks.start("memory", self._remembering.run())
            self._tasks.start("seats", sweep(self._state))
            self._tasks.start("watchdog", self._feed_watchdog())
            self._log_start()
        self._notifier.ready()

    async def _stop(self) -> None:
        self._notifier.stopping()
        _log.info("daemon_stopping", sessions=len(self._dispatcher.running()))
        try:
            await self._wakeups.stop()
            if self._ledger.database.damage is None:
                await self._controller.stop(_TIME_TO_LEAVE, filing=_TIME_TO_FILE)
            else:
                keys = names_that_last(self._ledger.database.path, self._dispatcher.running())
                _log.info("sessions_handed_over", sessions=sorted(keys))
                await self._controller.hand_over(keys, _TIME_TO_LEAVE)
        finally:
            await self._tasks.cancel()
            await self._workshop.aclose()
            self._remembering.close()
            self._ledger.close()
            self._lock.release()

    def _tidy(self) -> None:
        """Forget what nobody watches any more. A full disk doesn't keep us from attending."""
        try:
            self._ledger.calendars.forget_calendars(self._polling.calendars)
            self._ledger.calendars.drop_ended_by_hand(self._clock.now() - timedelta(hours=24))
        except TransientError as error:
            _log.error("ledger_write_failed", problem=str(error))

    def _log_start(self) -> None:
        for warning in self._store.current.warnings:
            _log.warning("config_questionable", warning=warning)
        _log.info(
            "daemon_started",
            config=str(self._store.current.path),
            state_dir=str(self._state),
            calendars=len(self._polling.calendars),
            armed=self._controller.agenda.armed,
        )

    # ── what attendances and passes are given ────────────────────────────────────────────

    def _setting(self, config: Config) -> Setting:
        # Everything that can fail comes first, so that a reload takes all of it or nothing.
        engines, personas = self._workshop.engines(config), personas_of(config, self._state)
        cloners = self._workshop.cloners(config)
        sinks = sinks_of(config, self._state)
        brain = self._workshop.brain(config)
        purse = purse_of(config, self._ledger.database)
        self._keeper.take(personas)
        setting = Setting(
            policy_of(config, self._keeper.standings),
            engines,
            prices_of(config),
            purse,
            notice=timedelta(0) if config.notify is None else config.notify.before,
            funds_ahead=config.budget.check_ahead,
        )
        self._engines = engines
        self._keeper.wardrobe.cloners = cloners
        self._debrief.engines, self._debrief.personas = engines, personas
        self._debrief.sinks, self._debrief.hold = sinks, config.summary.hold
        self._debrief.brain = brain
        self._desk = desk(
            config, self._state, self._remembering.boundaries, self._remembering.lines
        )
        return setting

    def _company(self) -> Company:
        return Company(
            ledger=self._ledger,
            clock=self._clock,
            metrics=self._metrics,
            engines=self._engines,
            personas=self._keeper.personas,
            policy=self._controller.setting.policy,
            wardrobe=self._keeper.wardrobe,
            brief=self._desk.brief,
        )

    def _transcribed(self, said: Sequence[Utterance], meeting: Meeting) -> Transcript:
        contacts = self._desk.contacts() if said else ()
        return transcribed(said, meeting, contacts=contacts)

    def _standing_changed(self) -> None:
        """Decide anew: somebody may go who might not, or the other way round."""
        setting = self._controller.setting
        policy = replace(setting.policy, standings=self._keeper.standings)
        self._controller.change_setting(replace(setting, policy=policy))

    def _upcoming(self) -> list[Judged]:
        now = self._clock.now()
        return [item for item in self._controller.agenda.judged if item.event.start >= now]

    def _change_push(self, config: Config) -> None:
        # Without push too: what an earlier config had opened is to be stopped.
        self._push.change(
            push_of(config), self._workshop.channel_sources(config), self._polling.calendars
        )

    # ── waking ───────────────────────────────────────────────────────────────────────────

    def _instant_came(self) -> None:
        self._controller.ask()

    def _ring(self, calendar: CalendarRef) -> None:
        self._polling.hurry(calendar)
        self._bell.ring(calendar)

    def _pass_ended(self) -> None:
        self._notices.ask()
        self._gathering.ask()

    def _news_came(self, session: SessionKey) -> None:
        """More may be known of a meeting that is over: its summary is looked at anew."""
        self._debrief.renew(session)
        self._controller.ask()

    def _time_jumped(self) -> None:
        self._polling.read_all_in_full()
        self._poll_soon()
        self._controller.look_back()

    async def _poll(self, calendar: Any) -> timedelta | None:
        wait = await self._bell.read(calendar, self._polling.poll)
        for outdated in self._polling.take_outdated():
            self._wakeups.poll_after(outdated, timedelta(0))
        self._release_hold()
        return wait

    def _release_hold(self) -> None:
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

    async def _settle_lost_sessions(self) -> None:
        await settle_lost_sessions(self._ledger, lambda: self._engines, self._clock)
        self._release_hold()

    async def _keep_backups(self) -> None:
        """Copy the ledger once a day; the copy's name tells the day, so asking often is cheap."""
        while True:
            await asyncio.to_thread(
                keep_backup, self._ledger.database, self._backups, now=self._clock.now()
            )
            await asyncio.sleep(_BACKUP_LOOK_S)

    def _poll_soon(self) -> None:
        """Read every calendar now, as fast as the quota lets us."""
        self._wakeups.forget_polls()
        for calendar, wait in self._polling.first_waits().items():
            self._wakeups.poll_after(calendar, wait)

    async def _feed_watchdog(self) -> None:
        """Feed systemd's watchdog while the ticker moves: this task proves the loop itself."""
        interval = watchdog_interval(self._environ)
        if interval is None:
            return
        while True:
            await asyncio.sleep(min(interval.total_seconds(), TICK.total_seconds()))
            ticks = time.monotonic() - self._wakeups.last_tick < 3 * TICK.total_seconds()
            if ticks and "controller" in self._tasks:
                self._notifier.watchdog()

    # ── reloading ────────────────────────────────────────────────────────────────────────

    async def _watch_config(self) -> None:
        while not self._stopping.is_set():
            try:
                await watch(self._store.current.path, self._file_changed, self._stopping)
            except Exception:  # noqa: BLE001 - The task's outermost frame: edits are to be seen for ever.
                _log.exception("config_watch_failed")
                await asyncio.sleep(_WATCH_AGAIN_S)

    async def _file_changed(self) -> None:
        await self.reload()

    def _reload_soon(self) -> None:
        self._tasks.start("reload", self._reload_by_signal())

    async def _reload_by_signal(self) -> None:
        await self.reload()

    async def reload(self) -> ReloadOutcome:
        """Take the config as it stands on disk; a bad one leaves everything as it is."""
        # One at a time: of two at once, the one that read the older file could end last.
        async with self._reloading:
            return await self._reload()

    async def _reload(self) -> ReloadOutcome:
        self._notifier.reloading()
        try:
            told_before = self._store.problems
            outcome = await asyncio.to_thread(self._store.reload)
            # What the store has taken and we couldn't is tried again, changed or not.
            if outcome.verdict is not Reload.REJECTED and self._store.config != self._taken:
                outcome = self._take(outcome)
            elif outcome.verdict is Reload.REJECTED and outcome.problems != told_before:
                _log.error("config_rejected", problems=outcome.problems)
            if outcome.verdict is not Reload.UNCHANGED:
                self._metrics.config_reloaded(outcome=outcome.verdict.value)
        finally:
            self._notifier.ready()
        return outcome

    def _take(self, outcome: ReloadOutcome) -> ReloadOutcome:
        config = self._store.config
        try:
            sources = self._workshop.sources(config)
            gathering = self._workshop.gathering(config)
            setting = self._setting(config)
        except LocumError as error:
            _log.error("config_rejected", problems=[str(error)])
            return ReloadOutcome(Reload.REJECTED, problems=(str(error),))
        self._taken, self._nurse.taken = config, self._store.current
        self._polling.change(sources, pace_of(config))
        self._change_push(config)
        self._gathering.change(gathering)
        self._tidy()
        self._controller.change_setting(setting)
        self._notices.change(notify_of(config, self._store.current.path, self._environ))
        self._poll_soon()
        _log.info("config_reloaded", changes=outcome.changes)
        late = [change for change in outcome.changes if change.startswith(_NEEDS_RESTART)]
        if late:
            _log.warning("config_needs_restart", settings=late)
        return replace(outcome, verdict=Reload.CHANGED)

    # ── health ───────────────────────────────────────────────────────────────────────────

    def health(self) -> Mapping[str, object]:
        """Answer whether the loop turns and the calendars can be read."""
        tick_age = time.monotonic() - self._wakeups.last_tick
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
