"""Who waits for a turn gets it: the most urgent first, and no more than the quota allows.

The loop's time is virtual: nobody's patience ends because the machine is busy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import anyio.abc
import pytest

from locum.clock import SystemClock
from locum.core.model import CalendarRef
from locum.core.pacing import Limits
from locum.ports import Clock
from locum.turns import Turns, _Account
from tests.campaign.loop import VirtualLoop, VirtualTime

pytestmark = pytest.mark.anyio

LIMITS = Limits(per_minute=60, project_per_minute=600)


@pytest.fixture
def virtual() -> Iterator[VirtualTime]:
    with VirtualTime(datetime(2026, 11, 23, 9, tzinfo=timezone.utc)) as time:
        yield time


@pytest.fixture
def anyio_backend(virtual: VirtualTime) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": lambda: VirtualLoop(virtual)}


def calendar(number: int, account: str = "work") -> CalendarRef:
    return CalendarRef(account, f"c{number}")


class WatchedTurns(Turns):
    """Notes when each was let through: whoever was may hear of it late, on a busy host."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        super().__init__(clock, limits)
        self.let_through: list[datetime] = []

    def _admit(self, account: _Account, now: datetime) -> None:
        super()._admit(account, now)
        self.let_through.append(now)


class Crowd:
    """Everybody who wants a turn, and who had it when."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.clock = SystemClock()
        self.turns = WatchedTurns(self.clock, limits)
        self.went: list[tuple[datetime, CalendarRef]] = []
        self.gave_up: list[CalendarRef] = []
        self.takes = timedelta(0)

    async def ask(self, who: CalendarRef, urgent_in: float, requests: int = 1) -> None:
        urgent_by = self.clock.now() + timedelta(seconds=urgent_in)
        async with self.turns.turn(who, urgent_by) as turn:
            if turn is None:
                self.gave_up.append(who)
                return
            self.went.append((self.clock.now(), who))
            await self.clock.sleep(self.takes)
            turn.spent(requests)

    @property
    def order(self) -> list[CalendarRef]:
        return [who for _, who in self.went]

    def most_in_a_minute(self) -> int:
        instants = self.turns.let_through
        minute = timedelta(minutes=1)
        return max(sum(a <= b < a + minute for b in instants) for a in instants)


@asynccontextmanager
async def crowd(*asking: tuple[CalendarRef, float]) -> AsyncIterator[Crowd]:
    made = Crowd()
    async with anyio.create_task_group() as tasks:
        for who, urgent_in in asking:
            tasks.start_soon(made.ask, who, urgent_in)
        yield made


async def test_the_most_urgent_goes_first_though_it_came_last() -> None:
    """After a start all ask at once: a meeting near isn't behind a thousand others."""
    idle = [(calendar(number), 300.0) for number in range(30)]
    async with crowd(*idle, (calendar(99), 45.0)) as made:
        pass
    assert made.order[0] == calendar(99)
    assert sorted(made.order[1:]) == sorted(who for who, _ in idle)


async def test_who_waited_long_goes_before_whoever_is_in_a_hurry_now() -> None:
    """Those with a meeting near never keep the others out for good."""
    async with crowd((calendar(1), 45.0), (calendar(2), -1.0)) as made:
        pass
    assert made.order == [calendar(2), calendar(1)]


async def test_an_account_never_exceeds_its_minute() -> None:
    """Two hundred at once on one account, sixty a minute."""
    async with crowd(*((calendar(number), 300.0) for number in range(200))) as made:
        pass
    assert len(made.went) == 200
    assert made.most_in_a_minute() <= LIMITS.per_minute


async def test_all_accounts_together_stay_within_the_projects_minute() -> None:
    """A thousand accounts with one calendar each have one quota in common."""
    everybody = [(calendar(0, f"a{number}"), 300.0) for number in range(1000)]
    async with crowd(*everybody) as made:
        pass
    assert len(made.went) == 1000
    assert made.most_in_a_minute() <= LIMITS.project_per_minute


async def test_one_account_at_rest_holds_up_nobody_else() -> None:
    """Google refused one: its calendars wait, in their order, and the others don't."""
    async with crowd() as made:
        began = made.clock.now()
        made.turns.rest("work", timedelta(minutes=5))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.ask, calendar(1), 1)
            tasks.start_soon(made.ask, calendar(1, "home"), 300)
    assert made.order == [calendar(1, "home"), calendar(1)]
    assert made.went[0][0] - began < timedelta(minutes=5) <= made.went[1][0] - began


async def test_what_took_more_requests_is_paid_for_by_those_behind() -> None:
    """A list of many pages counts for what it was."""
    async with crowd() as made:
        await made.ask(calendar(1), 1, requests=66)
        paid = made.clock.now()
        await made.ask(calendar(2), 1)
    assert made.went[-1][0] - paid > timedelta(minutes=1)


async def test_only_a_few_of_an_account_are_under_way_at_once() -> None:
    """A slow Google isn't asked more and more."""
    made = Crowd()
    made.takes = timedelta(minutes=9)
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(made.ask, calendar(number), 300)
        await made.clock.sleep(timedelta(minutes=1))
        assert len(made.went) == 4
    assert len(made.went) == 5


async def test_who_is_hurried_overtakes() -> None:
    """A push says that this calendar has changed: it goes next."""
    made = Crowd()
    made.turns.rest("work", timedelta(minutes=5))
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(made.ask, calendar(number), 100)
        await anyio.sleep(0.01)
        assert made.turns.is_waiting(calendar(2))
        made.turns.hurry(calendar(2), made.clock.now())
    assert made.order == [calendar(2), calendar(0), calendar(1)]
    assert not made.turns.is_waiting(calendar(2))


async def test_who_is_cancelled_leaves_its_place_to_others() -> None:
    """Before its turn or in it: no place is lost."""
    made = Crowd()
    made.takes = timedelta(hours=1)
    for _ in range(3):
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(made.ask, calendar(number), 300)
            await made.clock.sleep(timedelta(seconds=20))
            tasks.cancel_scope.cancel()
    made.takes = timedelta(0)
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(made.ask, calendar(number), 300)
    assert len(made.went) == 3 * 4 + 8


async def test_who_waits_too_long_is_told_to_ask_again() -> None:
    """A poll is no place to wait for an hour."""
    made = Crowd()
    made.turns.rest("work", timedelta(hours=1))
    await made.ask(calendar(1), 1)
    assert (made.gave_up, made.went) == ([calendar(1)], [])


async def test_a_raised_limit_counts_at_once() -> None:
    """A reload lets those go who wait by the old one."""
    made = Crowd(Limits(per_minute=2))
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(made.ask, calendar(number), 300)
        await anyio.sleep(0.01)
        waiting = 20 - len(made.went)
        made.turns.change(Limits(per_minute=6000))
        began = made.clock.now()
    assert waiting > 10
    assert made.clock.now() - began < timedelta(minutes=9)
