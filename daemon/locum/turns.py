"""Whose turn is it to ask Google? The most urgent first, and never more than the quota.

Everybody who wants to ask waits here, so that after a start, a suspension or an outage a
thousand calendars don't ask at once, and the one with a meeting in five minutes goes first.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from locum.core.model import CalendarRef
from locum.core.pacing import Bucket, Limits
from locum.ports import Clock

_AT_ONCE = 16
_AT_ONCE_OF_ACCOUNT = 4

_PATIENCE = timedelta(minutes=10)


@dataclass
class _Waiting:
    calendar: CalendarRef
    urgent_by: datetime
    turn: asyncio.Future[bool]


@dataclass
class _Account:
    bucket: Bucket
    under_way: int = 0
    waiting: list[tuple[datetime, int, _Waiting]] = field(default_factory=list)

    def first(self) -> tuple[datetime, int] | None:
        """Answer how urgent the most urgent one is, forgetting who waits no more."""
        while self.waiting:
            urgent_by, number, waiting = self.waiting[0]
            if not waiting.turn.done():
                return urgent_by, number
            heapq.heappop(self.waiting)
        return None


class Turn:
    """One calendar's turn: it was let through for one request, and may have to make more."""

    def __init__(self, turns: Turns, account: str) -> None:
        self._turns = turns
        self._account = account
        self._paid = 1

    def spent(self, requests: int) -> None:
        """Count requests that were made; what goes beyond the first one delays others."""
        self._turns.charge(self._account, max(requests - self._paid, 0))
        self._paid = max(self._paid - requests, 0)


class Turns:
    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._queued: dict[CalendarRef, _Waiting] = {}
        self._under_way = 0
        self._letting: asyncio.Handle | None = None
        self._offers: list[tuple[datetime, int, str]] = []
        self._held: set[str] = set()
        self._accounts: dict[str, _Account] = {}
        self._limits = limits
        self._project = limits.project_buckets(clock.now())

    def change(self, limits: Limits) -> None:
        """Hold to other limits from now on; who waits, waits by them."""
        if limits == self._limits:
            return
        now = self._clock.now()
        self._limits = limits
        self._project = limits.project_buckets(now)
        for account in self._accounts.values():
            account.bucket = limits.account_bucket(now)
        if self._queued:
            self._let_go_after(timedelta(0))

    def is_waiting(self, calendar: CalendarRef) -> bool:
        return calendar in self._queued

    def hurry(self, calendar: CalendarRef, urgent_by: datetime) -> None:
        """Let one that waits go as early as if it had been urgent by then all the time."""
        waiting = self._queued.get(calendar)
        if waiting is not None and urgent_by < waiting.urgent_by:
            waiting.urgent_by = urgent_by
            self._queue(waiting)

    @asynccontextmanager
    async def turn(
        self, calendar: CalendarRef, urgent_by: datetime
    ) -> AsyncIterator[Turn | None]:
        """Wait for one's turn, and hold it while the block runs.

        Yields None where it didn't come for so long that one should rather ask again.
        """
        if not await self._wait(calendar, urgent_by):
            yield None
            return
        try:
            yield Turn(self, calendar.account)
        finally:
            self._leave(calendar.account)

    def charge(self, account: str, requests: int) -> None:
        now = self._clock.now()
        for bucket in (self._account(account).bucket, *self._project):
            bucket.take(now, requests)

    def rest(self, account: str, duration: timedelta) -> None:
        """Let nobody ask for this account for a while: Google told us so."""
        self._account(account).bucket.rest(self._clock.now(), duration)

    def _account(self, name: str) -> _Account:
        if name not in self._accounts:
            self._accounts[name] = _Account(self._limits.account_bucket(self._clock.now()))
        return self._accounts[name]

    async def _wait(self, calendar: CalendarRef, urgent_by: datetime) -> bool:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(calendar, urgent_by, loop.create_future())
        self._queued[calendar] = waiting
        self._queue(waiting)
        patience = self._clock.host_duration(_PATIENCE).total_seconds()
        giving_up = loop.call_later(patience, _answer, waiting.turn, False)
        try:
            return await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.done() and not waiting.turn.cancelled() and waiting.turn.result():
                self._leave(calendar.account)
            raise
        finally:
            giving_up.cancel()
            if self._queued.get(calendar) is waiting:
                del self._queued[calendar]

    def _queue(self, waiting: _Waiting) -> None:
        entry = (waiting.urgent_by, next(self._numbers), waiting)
        heapq.heappush(self._account(waiting.calendar.account).waiting, entry)
        self._offer(waiting.calendar.account)
        self._let_go_after(timedelta(0))

    def _leave(self, account: str) -> None:
        self._account(account).under_way -= 1
        self._under_way -= 1
        self._offer(account)
        self._let_go_after(timedelta(0))

    def _let_go_after(self, wait: timedelta) -> None:
        """Look later, once for all who come in the meantime: the most urgent may be the last."""
        if self._letting is not None:
            self._letting.cancel()
        seconds = self._clock.host_duration(wait).total_seconds()
        self._letting = asyncio.get_running_loop().call_later(seconds, self._let_go)

    def _let_go(self) -> None:
        self._letting = None
        now = self._clock.now()
        for name in [each for each in self._held if not self._accounts[each].bucket.wait(now)]:
            self._held.discard(name)
            self._offer(name)
        while self._offers and self._under_way < _AT_ONCE:
            wait = max(bucket.wait(now) for bucket in self._project)
            if wait:
                self._let_go_after(wait)
                return
            urgent_by, number, name = heapq.heappop(self._offers)
            account = self._accounts[name]
            is_stale = account.first() != (urgent_by, number)
            if is_stale or account.under_way >= _AT_ONCE_OF_ACCOUNT:
                continue  # Offered again when its account has one less under way.
            if account.bucket.wait(now):
                self._held.add(name)
            else:
                self._admit(account, now)
                self._offer(name)
        if self._held:
            self._let_go_after(
                min(self._accounts[each].bucket.wait(now) for each in self._held)
            )

    def _offer(self, name: str) -> None:
        """Put an account's most urgent one among those who may go next."""
        first = self._accounts[name].first()
        if first is not None:
            heapq.heappush(self._offers, (*first, name))

    def _admit(self, account: _Account, now: datetime) -> None:
        _, _, waiting = heapq.heappop(account.waiting)
        for bucket in (account.bucket, *self._project):
            bucket.take(now)
        account.under_way += 1
        self._under_way += 1
        # No more to be hurried: whoever asks from here on wants another look.
        if self._queued.get(waiting.calendar) is waiting:
            del self._queued[waiting.calendar]
        waiting.turn.set_result(True)


def _answer(turn: asyncio.Future[bool], answer: bool) -> None:  # noqa: FBT001 - A loop's callback.
    if not turn.done():
        turn.set_result(answer)
