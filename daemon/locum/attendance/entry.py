"""A session's entry in the ledger: what happened is written, however long its disk is full."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from locum.attendance.company import Company, StopSignal
from locum.core.identity import Identity
from locum.core.model import EndReason, Phase, SessionHandle, SessionRecord
from locum.errors import LocumError, TransientError
from locum.ledger import LedgerDamagedError

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")

_SLOWEST_RETRY = timedelta(seconds=60)


class Entry:
    """One session's, with what the ledger doesn't know yet (its disk may be full).

    A presence is neither forgotten nor begun again because a write failed.
    """

    def __init__(self, record: SessionRecord, company: Company, stop: StopSignal) -> None:
        self._key = record.key
        self._company = company
        self._stop = stop
        self._ledger = company.ledger
        self._unnamed: tuple[SessionHandle, datetime] | None = None
        self.record = record
        self.identity: Identity | None = None
        """As whom it asks to join: the hashes of the very bytes that are sent."""

    # ── what only we know ────────────────────────────────────────────────────────────────

    @property
    def is_unnamed(self) -> bool:
        """Whether the engine has named the session, and nobody but us knows how."""
        return self._unnamed is not None

    def named(self, handle: SessionHandle, at: datetime) -> None:
        """The engine calls it so; `write_name` writes that down."""
        self._unnamed = handle, at

    def admitted(self, at: datetime) -> None:
        """It was let in, if not before."""
        self.record = replace(self.record, admitted_at=self.record.admitted_at or at)

    def went_unseen(self) -> None:
        """It may have been let in while nobody looked."""
        self.record = replace(self.record, unseen=True)

    def refresh(self) -> None:
        """Take what others wrote: a new end, other meetings."""
        with contextlib.suppress(TransientError):
            found = self._ledger.sessions.get(self._key)
            if found is not None:
                admitted_at = found.admitted_at or self.record.admitted_at
                self.record = replace(found, admitted_at=admitted_at)

    # ── writing ──────────────────────────────────────────────────────────────────────────

    async def move(
        self, to: Phase, reason: EndReason, detail: str, *, at: datetime, **changes: Any
    ) -> None:
        """Close the attempt and move on, in one commit."""

        def change() -> None:
            with self._ledger.database.transaction():
                self._ledger.sessions.close_attempt(self._key, at=at, outcome=reason.value)
                self.transition(to, at=at, reason=reason, detail=detail, **changes)

        await self.write(change)

    async def write(self, change: Callable[[], _T]) -> _T:
        """Change the ledger, however long its disk is full: what happened isn't forgotten."""

        async def call() -> _T:
            return change()

        return await self.patiently("write", call, TransientError)

    def write_name(self) -> None:
        """Write what the engine calls the session, unless the ledger has it."""
        if self._unnamed is None:
            return
        handle, at = self._unnamed
        with self._ledger.database.transaction(durable=False):
            self.write_identity()
            self.transition(
                Phase.WAITING, at=at, detail="the engine answered", handle=handle, durable=False
            )
        self._unnamed = None

    def write_identity(self) -> None:
        """Write as whom it asked to join."""
        if self.identity is not None:
            self._ledger.sessions.joined_as(self._key, self.identity)

    def transition(self, to: Phase, *, at: datetime, **changes: Any) -> None:
        """Move on, with what the ledger may not have heard of so far."""
        if self.record.admitted_at is not None:
            changes["admitted_at"] = self.record.admitted_at
        if self.record.unseen:
            changes["unseen"] = True
        self.record = self._ledger.sessions.transition(self._key, to, at=at, **changes)
        self._company.on_change()

    async def patiently(
        self,
        what: str,
        call: Callable[[], Awaitable[_T]],
        passing: type[LocumError] = LocumError,
    ) -> _T:
        """Call until it is answered: giving up would leave a presence running.

        Each failure is told with the name that nobody else knows: a person could end it by that.
        """
        wait = timedelta(seconds=1)
        while True:
            try:
                return await call()
            except passing as error:
                if isinstance(error, LedgerDamagedError) and self._stop.asked:
                    raise  # It won't be mended while this process runs, and all of it stops.
                unnamed = None if self._unnamed is None else self._unnamed[0]
                _log.warning(
                    "session_call_failed", call=what, problem=str(error), unwritten=unnamed
                )
            await self._company.clock.sleep(wait)
            wait = min(wait * 2, _SLOWEST_RETRY)
