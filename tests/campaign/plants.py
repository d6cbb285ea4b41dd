"""Faults planted in a victim's memory: kills that don't find them are worth nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from locum.app import state
from locum.controller import loop
from locum.core.model import Adopt, Phase
from locum.core.reconcile import reconcile
from locum.debrief import Debrief
from locum.ledger import backup
from locum.ledger.backup import OpenedLedger


def joins_are_written_after_the_post() -> None:
    """A row without a name isn't found by the next process: it was never written."""
    real = backup.open_ledger

    def opened(*given: Any, **named: Any) -> OpenedLedger:
        found = real(*given, **named)
        unnamed = "SELECT key FROM sessions WHERE phase = 'joining' AND retry_at IS NULL"
        with found.database.transaction():
            for table in ("transitions", "attempts"):
                found.database.execute(f"DELETE FROM {table} WHERE session IN ({unnamed})")
            found.database.execute(f"DELETE FROM sessions WHERE key IN ({unnamed})")
        return found

    state.open_ledger = opened  # type: ignore[attr-defined]


def nothing_is_adopted() -> None:
    def orphaning(*given: Any) -> Any:
        return tuple(each for each in reconcile(*given) if not isinstance(each, Adopt))

    loop.reconcile = orphaning  # type: ignore[assignment,attr-defined]


def filed_before_the_files() -> None:
    """The outbox is said to be empty before any sink was tried."""

    async def write_up(self: Debrief, key: Any) -> None:
        record = self._ledger.sessions.get(key)
        if record is None or record.phase is not Phase.ENDED:
            return
        sinks = {sink.name: sink for sink in self.sinks}
        await self._write_editions(record)
        now = self._clock.now()
        self._ledger.sessions.transition(key, Phase.FILED, at=now, retry_at=None)
        await self._filer.file(key, sinks)

    Debrief.write_up = write_up  # type: ignore[method-assign]


PLANTS: Mapping[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (joins_are_written_after_the_post, nothing_is_adopted, filed_before_the_files)
}
