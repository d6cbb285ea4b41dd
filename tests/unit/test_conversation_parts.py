"""The small parts of a conversation: what is remembered, waited for, rested and tried again."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.conversation.levers import Lever
from locum.conversation.lines import Lines
from locum.conversation.parts import Timings
from locum.conversation.posting import Posts
from locum.conversation.resting import Rest
from locum.conversation.turns import wait_for
from locum.core.rewording import same_question
from locum.core.talk import Line
from locum.errors import LocumError, PermanentError, TransientError
from locum.tasks import Tasks
from tests.unit.drawn import thorough

BEGAN = datetime(2026, 11, 30, 9, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


class HandClock:
    """Moved by hand; sleeping moves it."""

    def __init__(self) -> None:
        self.at = BEGAN

    def now(self) -> datetime:
        return self.at

    async def sleep(self, duration: timedelta) -> None:
        self.at += duration
        await asyncio.sleep(0)

    def host_duration(self, duration: timedelta) -> timedelta:
        return duration


# ── waiting ──────────────────────────────────────────────────────────────────────────────


@thorough
@given(st.floats(-1, 2), st.floats(-1, 2))
def test_the_surer_the_shorter_is_the_wait(one: float, other: float) -> None:
    """Never below the least, never above the most, and never longer for being surer."""
    timings = Timings()
    less, more = (wait_for(each, timings) for each in sorted((one, other)))
    assert timings.waits[-1][1] <= more <= less <= timings.waits[0][1]


def test_who_only_states_something_is_waited_for() -> None:
    """However finished it sounds; and no shorter than where nobody can tell."""
    timings = Timings()
    assert wait_for(1.0, timings, expects=False) == timings.wait_if_stated
    assert wait_for(0.0, timings, expects=False) == wait_for(0.0, timings)


def test_waits_follow_their_table() -> None:
    """At each certainty of the table as it stands there, and half-way in the middle."""
    timings = Timings()
    assert [wait_for(at, timings) for at, _ in timings.waits] == [w for _, w in timings.waits]
    (low, long), (high, short) = timings.waits[:2]
    assert wait_for((low + high) / 2, timings) == (long + short) / 2


@pytest.mark.parametrize(
    ("guessed", "final", "same"),
    [
        ("Robin, is it on?", "robin is it on", True),
        ("Robin is the gauge at Brixham on now", "Robin, is the gauge at Brixham on", True),
        ("can we go", "can we not go", False),
        ("Can you do it", "Can't you do it", False),
        ("by the third of 5 gauges there", "by the third of 6 gauges there", False),
        ("is Brixham on", "is Whitby on", False),
        ("", "", False),
        ("hello", "", False),
    ],
)
def test_a_question_heard_twice(guessed: str, final: str, *, same: bool) -> None:
    """Nearly the same words are the same question; a "not" or a number makes it another."""
    assert same_question(guessed, final) is same
    assert same_question(final, guessed) is same


@pytest.mark.parametrize(
    ("guessed", "final", "same"),
    [
        ("the handgun number and dilated", "we had an amber and dilated", True),
        ("he was an eldest those two young man", "he was noticed those too young man", True),
        ("the dragon", "please cancel the meeting", False),
        ("please cancel the", "please cancel the meeting with anna", False),
        ("move it to 3", "move it to 4", False),
        ("do send it", "do not send it", False),
    ],
)
def test_a_question_heard_twice_by_poor_ears(guessed: str, final: str, *, same: bool) -> None:
    """Other words for the same sounds are the same; more words, a "not" or a number aren't."""
    assert same_question(guessed, final, rough=True) is same
    assert same_question(final, guessed, rough=True) is same


# ── remembering ──────────────────────────────────────────────────────────────────────────


def line(number: int, text: str = "", *, speaker: str = "Dana", ours: bool = False) -> Line:
    return Line(speaker, text or f"line {number}", BEGAN + number * SECOND, ours=ours)


def test_a_long_meeting_keeps_its_beginning_and_its_last_part() -> None:
    """What lies between goes in blocks, so that prompts begin alike for a while."""
    lines = Lines()
    beginnings = []
    for number in range(2_000):
        lines.add(line(number))
        beginnings.append(tuple(lines)[:31][-1])
    kept = [each.text for each in lines]
    assert kept[:30] == [f"line {number}" for number in range(30)]
    assert kept[-1] == "line 1999"
    assert len(kept) <= 600
    assert len(set(beginnings[40:])) < 15


def test_long_lines_are_bounded_too() -> None:
    """A monologue of a million characters is no prompt."""
    lines = Lines(line(number, "x" * 10_000) for number in range(200))
    assert sum(len(each.text) for each in lines) <= 160_000


def test_lines_stand_by_their_instants() -> None:
    """What is known later isn't what was said later."""
    lines = Lines([line(1), line(5), line(3)])
    assert [each.text for each in lines] == ["line 1", "line 3", "line 5"]


def test_what_is_asked_stands_last_and_once() -> None:
    """A long turn is there in pieces already; the others' words and ours stay."""
    lines = Lines(
        [
            line(1),
            line(3, "So, Robin,"),
            line(4, speaker="Jonas"),
            line(5, ours=True),
            line(6, "go?"),
        ]
    )
    asked = line(3, "So, Robin, go?")
    assert lines.before(asked) == (line(1), line(4, speaker="Jonas"), line(5, ours=True), asked)


# ── failing ──────────────────────────────────────────────────────────────────────────────


def test_what_fails_again_and_again_is_left_alone_for_longer() -> None:
    """Twice as long each time, up to the most; and as before once it went well."""
    clock = HandClock()
    rest = Rest(clock, 5 * SECOND, 60 * SECOND)
    waits = []
    for _ in range(6):
        rest.failed(TransientError("busy", retry_after=SECOND))
        began = clock.now()
        while rest.resting:
            clock.at += SECOND
        waits.append((clock.now() - began) // SECOND)
    assert waits == [5, 10, 20, 40, 60, 60]
    rest.went_well()
    rest.failed(TransientError("busy", retry_after=SECOND))
    clock.at += 5 * SECOND
    assert not rest.resting


def test_what_wont_pass_is_left_alone_longest() -> None:
    """And never for ever: a person may have mended it."""
    clock = HandClock()
    rest = Rest(clock, 5 * SECOND, 60 * SECOND)
    rest.failed(PermanentError("no"))
    clock.at += 59 * SECOND
    assert rest.resting
    clock.at += SECOND
    assert not rest.resting


def test_posts_are_tried_again_and_bounded() -> None:
    """Three times each; what can't be is dropped; only what stands there is told."""
    fails: dict[str, list[LocumError]] = {
        "late": [TransientError("not yet")],
        "never": [PermanentError("no chat")],
        "lost": [TransientError("no")] * 3,
    }
    tried: list[str] = []
    posted: list[str] = []

    async def post(text: str) -> None:
        tried.append(text)
        if fails.get(text):
            raise fails[text].pop(0)

    async def main() -> None:
        thirty = asyncio.Event()

        def stands(text: str) -> None:
            posted.append(text)
            if len(posted) == 30:
                thirty.set()

        posts = Posts(post, HandClock(), stands)
        for text in ("late", "", "never", "lost", *(f"{n}" for n in range(100))):
            posts.put(text)
        running = asyncio.ensure_future(posts.run())
        await asyncio.wait_for(thirty.wait(), 10)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(main())
    assert tried[:6] == ["late", "late", "never", "lost", "lost", "lost"]
    assert posted == ["late", *(f"{n}" for n in range(29))]


def test_a_lever_goes_where_it_is_wanted_last() -> None:
    """However slow the hand: what was wanted meanwhile isn't done one by one."""
    pulled: list[bool] = []
    going = asyncio.Event()

    async def pull(up: bool) -> None:  # noqa: FBT001
        pulled.append(up)
        await going.wait()
        if len(pulled) == 1:
            raise TransientError("it sticks")

    async def main() -> None:
        tasks = Tasks()
        lever = Lever("hand", pull, tasks)
        lever.put(wanted=True)
        await asyncio.sleep(0)
        for wanted in (False, True, False):
            lever.put(wanted=wanted)
        going.set()
        await tasks.wait()
        lever.put(wanted=False)
        assert not tasks.names()

    asyncio.run(main())
    assert pulled == [True, False]
