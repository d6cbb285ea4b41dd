"""Bursts become one read, nothing that rings is lost, and pauses are kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from locum.core.model import CalendarRef
from locum.push import Bell
from locum.push.bell import APART, SOON
from locum.rehearsal.clock import HandClock
from tests.unit.builders import HOME, TEN, WORK

pytestmark = pytest.mark.anyio
IDLE = timedelta(hours=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Polls:
    """What was armed, and reads that end when a test says so."""

    armed: list[tuple[CalendarRef, timedelta]] = field(default_factory=list)
    failing: set[CalendarRef] = field(default_factory=set)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    wait: timedelta | None = IDLE
    clock: HandClock = field(default_factory=lambda: HandClock(TEN))

    def bell(self) -> Bell:
        return Bell(
            now=self.clock.now,
            poll_after=lambda calendar, wait: self.armed.append((calendar, wait)),
            is_failing=self.failing.__contains__,
        )

    async def poll(self, calendar: CalendarRef) -> timedelta | None:
        await self.gate.wait()
        return self.wait


async def test_a_burst_arms_one_read() -> None:
    """However many ring before it begins, and however long: it isn't put off."""
    polls = Polls()
    bell = polls.bell()
    for _ in range(50):
        bell.ring(WORK)
    bell.ring(HOME)
    assert polls.armed == [(WORK, SOON), (HOME, SOON)]


async def test_rings_during_a_read_bring_exactly_one_more() -> None:
    """It may have passed what changed; that read is armed by the end of this one."""
    polls = Polls()
    bell = polls.bell()
    bell.ring(WORK)
    read = asyncio.ensure_future(bell.read(WORK, polls.poll))
    await asyncio.sleep(0)
    bell.ring(WORK)
    bell.ring(WORK)
    assert polls.armed == [(WORK, SOON)]
    polls.gate.set()
    assert await read == APART
    assert await bell.read(WORK, polls.poll) == IDLE
    polls.clock.advance(APART)
    bell.ring(WORK)
    assert polls.armed == [(WORK, SOON)] * 2


async def test_nobody_makes_us_read_without_end() -> None:
    """Whoever rings on and on gets a read every five seconds, whatever the clock does."""
    polls = Polls()
    polls.gate.set()
    bell = polls.bell()
    await bell.read(WORK, polls.poll)
    polls.clock.advance(timedelta(seconds=2))
    bell.ring(WORK)
    await bell.read(WORK, polls.poll)
    polls.clock.advance(-timedelta(hours=1))
    bell.ring(WORK)
    assert polls.armed == [(WORK, timedelta(seconds=3)), (WORK, APART)]


async def test_a_sooner_poll_stays_sooner() -> None:
    """A ring never puts off what is due anyway."""
    polls = Polls(wait=timedelta(milliseconds=10))
    bell = polls.bell()
    read = asyncio.ensure_future(bell.read(WORK, polls.poll))
    await asyncio.sleep(0)
    bell.ring(WORK)
    polls.gate.set()
    assert await read == timedelta(milliseconds=10)


async def test_messages_dont_get_round_a_pause() -> None:
    """While reads fail, their own backoff counts; the read that then comes shows all."""
    polls = Polls(failing={WORK}, wait=timedelta(minutes=8))
    bell = polls.bell()
    bell.ring(WORK)
    assert polls.armed == []
    polls.gate.set()
    assert await bell.read(WORK, polls.poll) == timedelta(minutes=8)
    polls.failing.clear()
    bell.ring(WORK)
    assert polls.armed == [(WORK, APART)]


async def test_a_ring_during_a_read_that_fails_keeps_its_pause() -> None:
    """What it told of is seen when the server may be asked again."""
    polls = Polls(wait=timedelta(minutes=8))
    bell = polls.bell()
    read = asyncio.ensure_future(bell.read(WORK, polls.poll))
    await asyncio.sleep(0)
    bell.ring(WORK)
    polls.failing.add(WORK)
    polls.gate.set()
    assert await read == timedelta(minutes=8)
    assert polls.armed == []


async def test_a_dropped_calendar_stays_dropped() -> None:
    """Nobody polls what isn't watched any more, ring as it may."""
    polls = Polls(wait=None)
    bell = polls.bell()
    read = asyncio.ensure_future(bell.read(WORK, polls.poll))
    await asyncio.sleep(0)
    bell.ring(WORK)
    polls.gate.set()
    assert await read is None


async def test_a_read_that_crashes_leaves_the_bell_whole() -> None:
    """The next ring is heard."""
    polls = Polls()
    bell = polls.bell()

    async def crash(calendar: CalendarRef) -> timedelta | None:
        raise RuntimeError(calendar)

    with pytest.raises(RuntimeError):
        await bell.read(WORK, crash)
    polls.clock.advance(APART)
    bell.ring(WORK)
    assert polls.armed == [(WORK, SOON)]
