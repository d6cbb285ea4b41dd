"""The state directory: one run's alone, with the ledger in it and the ledger's copies."""

from __future__ import annotations

import asyncio
from pathlib import Path

from locum.app.places import ledger_path
from locum.ledger import Ledger, StateLock
from locum.ledger.backup import keep_backup, open_ledger
from locum.ports import Clock

_BACKUP_LOOK_S = 3600.0


class State:
    """Takes the directory and opens the ledger.

    Raises:
        PermanentError: Another daemon has it.
        LedgerError: The ledger can't be used.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        self._lock = StateLock(folder)
        self._backups = folder / "backups"
        opened = open_ledger(ledger_path(folder), backups=self._backups, now=clock.now())
        self.ledger = Ledger(opened.database)

    async def keep_backups(self) -> None:
        """Copy the ledger once a day; the copy's name tells the day, so asking often is cheap."""
        while True:
            await asyncio.to_thread(
                keep_backup, self.ledger.database, self._backups, now=self._clock.now()
            )
            await asyncio.sleep(_BACKUP_LOOK_S)

    def close(self) -> None:
        """Close the ledger; then another may have the directory."""
        self.ledger.close()
        self._lock.release()
