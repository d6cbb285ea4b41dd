"""Timers that fire, timers that don't any more, polls that go on, and the ticker beneath.

The loop's time is virtual: when something came is told exactly, however busy the machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from locum.clock import StageClock, SystemClock
from locum.core.model import CalendarRef
from locum.ports import Clock
from locum.wakeups import TICK, Wakeups
from tests.campaign.loop import VirtualLoop, VirtualTime
from tests.unit.builders import HOME, WORK

pytestmark = pytest.mark.anyio

FAST = 500.0
"""On a stage this fast a tick takes 10 ms, and a minute 120 ms."""


@pytest.fixture
def virtual() -> Iterator[VirtualTime]:
    with VirtualTime(datetime(2026, 11, 23, 9, tzinfo=timezone.utc)) as time:
        yield time


@pytest.fixture
def anyio_backend(virtual: VirtualTime) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": lambda: VirtualLoop(virtual)}


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@dataclass
class Woken:
    """What was called, and when by the loop's clock."""

    wakeups: Wakeups
    clock: Clock
    instants: list[float] = field(default_factory=list)
    jumps: list[float] = field(default_factory=list)
    polls: list[CalendarRef] = field(default_factory=list)
    poll: Callable[[CalendarRef], timedelta | None] = lambda _: None
    on_instant: Callable[[], None] = lambda: None
    poll_takes_s: float = 0.0

    def arm(self, *after_s: float) -> None:
        now = self.clock.now()
        self.wakeups.arm([now + seconds(each) for each in after_s])


def steady() -> float:
    return asyncio.get_running_loop().time()


def woken(clock: Clock) -> Woken:
    def came() -> None:
        made.instants.append(steady())
        made.on_instant()

    async def poll(calendar: CalendarRef) -> timedelta | None:
        made.polls.append(calendar)
        await anyio.sleep(made.poll_takes_s)
        return made.poll(calendar)

    wakeups = Wakeups(
        clock,
        on_instant=came,
        on_jump=lambda: made.jumps.append(steady()),
        poll=poll,
    )
    made = Woken(wakeups, clock)
    return made


@pytest.fixture
async def here() -> AsyncIterator[Woken]:
    """On the host's time, where nothing ticks within a test."""
    made = woken(SystemClock())
    made.wakeups.start()
    yield made
    await made.wakeups.stop()


@pytest.fixture
async def stage() -> AsyncIterator[Woken]:
    made = woken(StageClock(speed=FAST))
    made.wakeups.start()
    yield made
    await made.wakeups.stop()


async def until(condition: Callable[[], object], within_s: float = 5.0) -> None:
    with anyio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110 - Some of it no event tells.
            await anyio.sleep(0.001)


# ── armed instants ───────────────────────────────────────────────────────────────────────


async def test_an_armed_instant_comes_on_time(here: Woken) -> None:
    """Not before it, and not a millisecond after it."""
    started = steady()
    here.arm(0.3)
    await until(lambda: here.instants)
    assert here.instants[0] - started == pytest.approx(0.3, abs=0.001)


async def test_each_of_several_instants_comes_once(here: Woken) -> None:
    """Armed in any order, armed twice, and in the past: that one comes at once."""
    here.arm(0.2, 0.1, -5)
    now = here.clock.now()
    here.wakeups.arm([now + seconds(0.1), now + seconds(0.2), now - seconds(5)])
    await anyio.sleep(0.5)
    assert len(here.instants) == 3


async def test_rule_04_arming_anew_drops_the_old_timers(here: Woken) -> None:
    """The stale timer does nothing."""
    here.arm(0.1, 0.15)
    here.arm(0.3)
    await anyio.sleep(0.22)
    assert here.instants == []
    await until(lambda: here.instants)
    here.arm()
    await anyio.sleep(0.1)
    assert len(here.instants) == 1


async def test_an_instant_may_be_armed_again_after_it_came(here: Woken) -> None:
    """Who was woken too early by a hair asks for the same instant once more."""
    instant = here.clock.now() + seconds(0.1)
    here.wakeups.arm([instant])
    await until(lambda: here.instants)
    here.wakeups.arm([instant])
    await until(lambda: len(here.instants) == 2)


async def test_rule_55_a_blocked_loop_makes_a_timer_late_but_never_drops_it(
    here: Woken, virtual: VirtualTime
) -> None:
    """APScheduler forgets what is a second late unless told otherwise."""
    here.arm(0.2)
    await anyio.sleep(0.05)
    virtual.advance(2)  # Time passes, and nobody has a turn.
    await until(lambda: here.instants, within_s=1)
    assert len(here.instants) == 1


async def test_a_thousand_instants_at_once_all_come(stage: Woken) -> None:
    """With ticks in between, nothing is lost and nothing comes twice."""
    now = stage.clock.now()
    stage.wakeups.arm([now + timedelta(minutes=1, microseconds=n) for n in range(1000)])
    await until(lambda: len(stage.instants) >= 1000)
    stage.arm()
    before = len(stage.instants)
    await anyio.sleep(0.2)
    assert len(stage.instants) - before < 100


# ── polls ────────────────────────────────────────────────────────────────────────────────


async def test_a_calendar_is_polled_at_its_own_pace_until_it_has_none(here: Woken) -> None:
    """Each poll says when the next one is; None is the last."""
    answers = iter([seconds(0.05), seconds(0.05), None])
    here.poll = lambda _: next(answers)
    here.wakeups.poll_after(WORK, seconds(0))
    await anyio.sleep(0.4)
    assert here.polls == [WORK] * 3


async def test_a_poll_that_raises_is_polled_again_in_a_minute(stage: Woken) -> None:
    """Whatever it raises: a calendar that isn't read any more is the worst failure."""

    def fail_once(_: CalendarRef) -> timedelta | None:
        stage.poll = lambda _: None
        raise ZeroDivisionError

    stage.poll = fail_once
    with capture_logs() as logged:
        started = stage.clock.now()
        stage.wakeups.poll_after(WORK, seconds(0))
        await until(lambda: len(stage.polls) == 2)
    assert stage.clock.now() - started >= seconds(60)
    failures = [each for each in logged if each["event"] == "poll_failed"]
    assert [each["calendar"] for each in failures] == ["work/primary"]


async def test_asking_for_a_poll_sooner_replaces_the_one_that_waits(here: Woken) -> None:
    """`locum poll` and a jump of time don't double the polls."""
    here.wakeups.poll_after(WORK, seconds(0.2))
    here.wakeups.poll_after(WORK, seconds(0.05))
    here.wakeups.poll_after(HOME, seconds(0.05))
    await anyio.sleep(0.4)
    assert sorted(here.polls) == [HOME, WORK]


async def test_forgotten_polls_do_not_come_and_instants_do(here: Woken) -> None:
    """A reload starts the polls afresh; joins stay armed."""
    here.wakeups.poll_after(WORK, seconds(0.1))
    here.arm(0.15)
    here.wakeups.forget_polls()
    await anyio.sleep(0.3)
    assert (here.polls, len(here.instants)) == ([], 1)


async def test_polling_goes_on_when_asked_for_while_it_polls(here: Woken) -> None:
    """The poll that runs and the one asked for meanwhile leave one that comes next."""
    here.poll_takes_s = 0.15
    here.poll = lambda _: seconds(0.3)
    here.wakeups.poll_after(WORK, seconds(0))
    await until(lambda: here.polls)
    here.wakeups.poll_after(WORK, seconds(0.02))
    await anyio.sleep(0.3)
    assert len(here.polls) == 2
    await until(lambda: len(here.polls) == 3)


async def test_a_slow_poll_keeps_nobody_waiting(here: Woken) -> None:
    """Another calendar's poll and an instant come while it hangs."""
    here.poll_takes_s = 1.0
    here.wakeups.poll_after(WORK, seconds(0))
    here.wakeups.poll_after(HOME, seconds(0.05))
    here.arm(0.1)
    await anyio.sleep(0.3)
    assert (here.polls, len(here.instants)) == ([WORK, HOME], 1)


# ── the ticker, and time ─────────────────────────────────────────────────────────────────


async def test_it_ticks_every_five_seconds_of_its_clock(stage: Woken) -> None:
    """On a stage five hundred times as fast: every ten milliseconds."""
    await until(lambda: len(stage.instants) >= 20)
    lasted = stage.instants[19] - stage.instants[0]
    assert lasted >= 19 * TICK.total_seconds() / FAST
    assert stage.wakeups.last_tick == pytest.approx(steady(), abs=TICK.total_seconds() / FAST)
    assert stage.jumps == []


async def test_a_fast_stage_fires_early_in_the_hosts_time(stage: Woken) -> None:
    """Ten stage minutes are 1.2 s; polls and instants follow the stage's clock."""
    started = steady()
    stage.wakeups.poll_after(WORK, timedelta(minutes=10))
    await until(lambda: stage.polls)
    assert steady() - started == pytest.approx(1.2, abs=0.002)


async def test_a_tick_that_raises_is_not_the_last(stage: Woken) -> None:
    """Without ticks, a suspended machine would sleep through its meetings."""

    def fail() -> None:
        stage.on_instant = lambda: None
        raise ZeroDivisionError

    stage.on_instant = fail
    with capture_logs() as logged:
        await until(lambda: len(stage.instants) >= 3)
    assert "tick_failed" in [each["event"] for each in logged]


@pytest.mark.parametrize("hours", [-1, 1])
async def test_rule_54_55_a_jump_of_the_clock_is_noticed_at_the_next_tick(
    stage: Woken, virtual: VirtualTime, hours: int
) -> None:
    """Either way: told once, and what was armed can be armed anew for the new time."""
    await until(lambda: stage.instants)
    stage.arm(3600 * 10)
    virtual.set_wrong(timedelta(hours=hours))
    with capture_logs() as logged:
        await until(lambda: stage.jumps)
        here = len(stage.jumps)
        stage.arm(60)
        before = len(stage.instants)
        await until(lambda: len(stage.instants) > before + 20)
    assert here == 1
    told = [each for each in logged if each["event"] == "clock_jumped"]
    assert told[0]["by_s"] == pytest.approx(3600 * hours, abs=5)


async def test_after_stop_nothing_comes(stage: Woken) -> None:
    """Neither ticks nor timers nor polls; and stopping twice is stopping once."""
    stage.arm(60)
    stage.wakeups.poll_after(WORK, seconds(60))
    await stage.wakeups.stop()
    stage.instants.clear()
    await anyio.sleep(0.3)
    assert (stage.instants, stage.polls) == ([], [])
    await stage.wakeups.stop()


async def test_a_poll_that_ends_after_stop_arms_nothing(here: Woken) -> None:
    """Shutting down in the middle of a read is no error."""
    here.poll_takes_s = 0.2
    here.poll = lambda _: seconds(0.01)
    here.wakeups.poll_after(WORK, seconds(0))
    await until(lambda: here.polls)
    await here.wakeups.stop()
    await anyio.sleep(0.4)
    assert here.polls == [WORK]


async def test_it_can_be_stopped_without_having_been_started() -> None:
    """A daemon that fails early stops what it has."""
    await woken(SystemClock()).wakeups.stop()
