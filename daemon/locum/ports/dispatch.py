"""Where an attendance runs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Protocol

from locum.core.model import (
    EndReason,
    SessionKey,
)


class Dispatcher(Protocol):
    """Where an attendance runs. It gets a key and reads the rest from the ledger."""

    def start(self, key: SessionKey, *, claimed_now: bool) -> None:
        """Run the attendance of `key`; nothing happens if it is running already.

        `claimed_now` says that the row was written for this very call, so that nothing can
        have been sent yet. Otherwise a session without a handle may be running unnamed.
        """
        ...

    def stop(self, key: SessionKey, reason: EndReason) -> None:
        """Ask it to leave; it ends by itself, and says so in the ledger."""
        ...

    def running(self) -> frozenset[SessionKey]: ...

    async def hand_over(self, keys: Collection[SessionKey]) -> None:
        """Abandon these where they stand: the next process knows their names, and adopts them."""
        ...

    async def drain(self, within: timedelta) -> None:
        """Wait for what is running to end, then abandon it where it stands.

        What survives a restart is left running, to be adopted by the next process.
        """
        ...
