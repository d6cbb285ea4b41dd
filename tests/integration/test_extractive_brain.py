"""The extractive brain beside a daemon: in a process of its own, which ends when it must."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from locum.brains.extractive.brain import Bounds, ExtractiveBrain
from locum.brains.extractive.summing import minutes_of
from locum.core.minutes import Occasion
from locum.core.transcript import Transcript, Utterance, numbered
from locum.errors import PermanentError, TransientError
from locum.ports import Brain, Health, Passage
from tests.unit.builders import TEN
from tests.unit.test_extractive import BATTERY, HIRING

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def long_meeting(words: int) -> Transcript:
    lines = (*BATTERY * 15, *HIRING * 15)
    said: list[Utterance] = []
    while words > 0:
        line = f"{lines[len(said) % len(lines)]} That was point {len(said)}."
        said.append(Utterance("", ("Anna", "Ben")[len(said) % 2], line))
        words -= len(line.split())
    return numbered(said)


def children() -> set[str]:
    """Answer the live child processes of this one."""
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {child for task in tasks for child in task.read_text().split()}


async def test_a_process_of_its_own_answers_the_same() -> None:
    """Apart or not, the minutes are the same."""
    brain: Brain = ExtractiveBrain()
    transcript = long_meeting(3_000)
    occasion = Occasion(title="Weekly", owner="Anna", start=TEN)
    before = children()
    assert await brain.write_minutes(transcript, occasion) == minutes_of(transcript, occasion)
    assert children() <= before
    assert brain.name == "extractive"


async def test_short_meetings_need_no_process() -> None:
    """What takes less than a process takes to start is done at once; empty ones too."""
    brain = ExtractiveBrain(bounds=Bounds(wall=timedelta(0)))
    assert (await brain.write_minutes(Transcript(), Occasion())).tldr == ()
    assert (await brain.write_minutes(long_meeting(100), Occasion())).tldr != ()


async def test_a_deadline_ends_the_process() -> None:
    """Too slow is told as such, with when to try again, and nothing runs on."""
    brain = ExtractiveBrain(bounds=Bounds(wall=timedelta(milliseconds=50)))
    before = children()
    with pytest.raises(TransientError, match=r"more than 0\.05 s") as caught:
        await brain.write_minutes(long_meeting(5_000), Occasion())
    assert caught.value.retry_after >= timedelta(minutes=1)
    assert children() <= before


async def test_memory_is_bounded() -> None:
    """A process that wants more than it is given ends, and says why."""
    bounds = replace(Bounds(), memory=1 << 20)
    with pytest.raises(PermanentError, match=r"ended (for want of memory|with status)"):
        await ExtractiveBrain(bounds=bounds).write_minutes(long_meeting(20_000), Occasion())


async def test_cancelling_kills_the_process() -> None:
    """A daemon that stops doesn't wait for a summary."""
    before = children()
    with anyio.move_on_after(0.3) as scope:
        await ExtractiveBrain().write_minutes(long_meeting(400_000), Occasion())
    assert scope.cancelled_caught
    while children() - before:  # noqa: ASYNC110 - The kernel tells no event; the test's timeout judges.
        await anyio.sleep(0.01)


async def test_the_loop_goes_on_meanwhile() -> None:
    """While a long meeting is summarised, other tasks get their turns."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await ExtractiveBrain().write_minutes(long_meeting(10_000), Occasion())
        group.cancel_scope.cancel()
    assert ticks > 10


async def test_questions_and_checks() -> None:
    """It answers from passages, and is always there."""
    brain = ExtractiveBrain()
    passages = [Passage(f"p{n}", line, "m", TEN, "Anna") for n, line in enumerate(HIRING)]
    answer = await brain.answer("What about the salary?", passages)
    assert answer is not None
    assert set(answer.cited) <= {passage.id for passage in passages}
    assert [finding.health for finding in await brain.check()] == [Health.OK]
    await brain.aclose()


async def test_twelve_hours_fit() -> None:
    """200,000 words are done within the bounds: minutes with topics, and nothing dropped."""
    bounds = Bounds(wall=timedelta(seconds=90), memory=500 << 20)
    minutes = await ExtractiveBrain(bounds=bounds).write_minutes(
        long_meeting(200_000), Occasion()
    )
    assert 2 <= len(minutes.topics) <= 12
    assert minutes.dropped == 0
