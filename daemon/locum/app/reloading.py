"""Takes the config anew when its file is saved, or somebody says so; a bad one changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from locum.config.model import Config
from locum.config.store import ConfigStore, Reload, ReloadOutcome
from locum.config.watch import watch
from locum.errors import LocumError
from locum.metrics import Metrics
from locum.systemd import Notifier

_log = structlog.get_logger(__name__)

_WATCH_AGAIN_S = 5.0
_NEEDS_RESTART = ("state_dir", "runtime_dir", "metrics", "stage")

Prepare = Callable[[Config], Callable[[], None]]
"""Builds what a config asks for, and answers what puts it into use; raises LocumError if it can't
be had."""


class Reloading:
    """Reloads one store's config. `store.config` at first is what is in use already."""

    def __init__(
        self, store: ConfigStore, *, prepare: Prepare, notifier: Notifier, metrics: Metrics
    ) -> None:
        self._store = store
        self._prepare = prepare
        self._notifier = notifier
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()
        self._taken = store.config

    async def watch(self, stopping: asyncio.Event) -> None:
        """Reload whenever the file has changed, until we stop."""
        while not stopping.is_set():
            try:
                await watch(self._store.current.path, self._file_changed, stopping)
            except Exception:  # noqa: BLE001 - The task's outermost frame: edits are to be seen for ever.
                _log.exception("config_watch_failed")
                await asyncio.sleep(_WATCH_AGAIN_S)

    async def _file_changed(self) -> None:
        await self.reload()

    async def reload(self) -> ReloadOutcome:
        """Take the config as it stands on disk; a bad one leaves everything as it is."""
        # Of two at once, the one that read the older file could end last.
        async with self._one_at_a_time:
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
            put_into_use = self._prepare(config)
        except LocumError as error:
            _log.error("config_rejected", problems=[str(error)])
            return ReloadOutcome(Reload.REJECTED, problems=(str(error),))
        self._taken = config
        put_into_use()
        _log.info("config_reloaded", changes=outcome.changes)
        late = [change for change in outcome.changes if change.startswith(_NEEDS_RESTART)]
        if late:
            _log.warning("config_needs_restart", settings=late)
        return replace(outcome, verdict=Reload.CHANGED)
