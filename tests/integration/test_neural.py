"""A neural renderer in a process of its own: what it gives is used, what it does wrong is borne."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from locum.core.speech import Sound
from locum.engines.chromium.neural import HEARS_HZ, DittoProcess, Patch, Punctuality
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.rehearsal.face import face_png
from tests.integration import neural_process

pytestmark = pytest.mark.anyio
PORTRAIT = face_png(64)
SECOND = Sound(HEARS_HZ, bytes(2 * HEARS_HZ))
NOTHING = timedelta(0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def command(manner: str) -> tuple[str, ...]:
    return (sys.executable, str(Path(neural_process.__file__)), manner)


@asynccontextmanager
async def renderer(manner: str) -> AsyncIterator[DittoProcess]:
    made = await DittoProcess.started(command(manner), PORTRAIT)
    try:
        yield made
    finally:
        await made.aclose()


async def rest_of(made: DittoProcess) -> list[Patch]:
    return [patch async for patch in made.patches()]


async def test_sound_becomes_patches_with_their_instants() -> None:
    """A second of voice, at a rate that it doesn't hear, comes back as patches in order."""
    async with renderer("draws") as made:
        await made.hear(1, timedelta(seconds=2), Sound(24_000, bytes(2 * 24_000)))
        found = []
        async for patch in made.patches():
            found.append(patch)
            if len(found) == 20:
                break

    assert [patch.at / timedelta(milliseconds=1) for patch in found] == [
        2000 + 40 * i for i in range(20)
    ]
    assert {patch.box for patch in found} == {(500, 200, 256, 256)}
    assert found[0].jpeg == neural_process.PICTURE


async def test_an_interrupted_utterance_is_seen_no_more() -> None:
    """What was drawn of it already is dropped; the next utterance's patches come."""
    async with renderer("draws") as made:
        await made.hear(1, NOTHING, SECOND)
        await made.hush(1)
        await made.hear(2, NOTHING, Sound(HEARS_HZ, bytes(2560)))
        first = await made.patches().__anext__()

    assert first.utterance == 2


async def test_nobody_waits_for_old_patches() -> None:
    """Where none are fetched, the newest are kept and the others forgotten."""
    async with renderer("draws_and_dies") as made:
        await made.hear(1, NOTHING, Sound(HEARS_HZ, bytes(200 * 1280)))
        await made.ended()
        found = await rest_of(made)

    assert [patch.at / timedelta(milliseconds=40) for patch in found] == list(range(169, 200))


@pytest.mark.parametrize("manner", ["dies", "floods", "babbles"])
async def test_a_process_that_goes_wrong_ends_its_patches(manner: str) -> None:
    """The rig goes on: patches end, and what is said to it later is refused or in vain."""
    async with renderer(manner) as made:
        await made.hear(1, NOTHING, SECOND)
        assert await rest_of(made) == []
        assert await rest_of(made) == []


@pytest.mark.parametrize(
    ("manner", "error", "words"),
    [
        ("refuses", TransientError, "no card"),
        ("newer", PermanentError, "protocol 1"),
        ("mute", TransientError, "ready within 0.5 s"),
    ],
)
async def test_one_that_cannot_begin_says_so(
    manner: str, error: type[LocumError], words: str
) -> None:
    """A renderer that isn't ready is a reason, and never a meeting that waits."""
    patience = timedelta(seconds=0.5 if manner == "mute" else 60)
    with pytest.raises(error, match=words):
        await DittoProcess.started(command(manner), PORTRAIT, patience=patience)


async def test_a_command_that_is_not_there_is_named() -> None:
    """Whoever set it is told which one, and that one can go without."""
    with pytest.raises(HumanNeededError, match="/nowhere/ditto"):
        await DittoProcess.started(("/nowhere/ditto",), PORTRAIT)


def test_a_late_patch_is_no_reason_to_fall_back_but_three_are() -> None:
    """It takes three in a row to show the rig, and a second of punctual ones to return."""
    on_time = Punctuality()
    at = timedelta(seconds=1)
    late = at - timedelta(milliseconds=200)

    assert [on_time.judge(late, at), on_time.judge(at, at)] == [True, True]
    assert [on_time.judge(None, at), on_time.judge(late, at)] == [True, True]
    assert on_time.judge(late, at) is False
    assert [on_time.judge(at, at) for _ in range(25)] == [False] * 24 + [True]
