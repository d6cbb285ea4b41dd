"""The stage's rooms: everything happens at its own instant, in order, whoever looks and when."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.rehearsal.clock import HandClock
from locum.rehearsal.rooms import Rooms, RoomStep, StepKind

START = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)
ROOM = "abc-defg-hij"


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def _step(seconds: float, kind: StepKind, name: str = "Dana", text: str = "") -> RoomStep:
    return RoomStep(_at(seconds), ROOM, kind, name, text)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(START)


@pytest.fixture
def rooms(clock: HandClock) -> Rooms:
    return Rooms(now=clock.now)


def test_planned_steps_happen_at_their_instants(clock: HandClock, rooms: Rooms) -> None:
    """One late look sees everything with the times that were planned, in order."""
    rooms.expect(
        [
            _step(30, StepKind.LEAVE),
            _step(5, StepKind.ENTER),
            _step(10, StepKind.SAY, text="Hello."),
        ]
    )
    assert rooms.log() == ()
    clock.advance(timedelta(minutes=5))
    assert [(event.at, event.kind, event.text) for event in rooms.log()] == [
        (_at(5), "entered", ""),
        (_at(10), "said", "Hello."),
        (_at(30), "left", "left"),
    ]
    (visit,) = rooms.visits(ROOM)
    assert (visit.entered_at, visit.left_at) == (_at(5), _at(30))


def test_what_is_said_outside_is_unheard(clock: HandClock, rooms: Rooms) -> None:
    """Before entering, after leaving, and in another room."""
    rooms.say(ROOM, "Dana", "too early")
    rooms.enter(ROOM, "Dana")
    rooms.say("xyz-xyzx-xyz", "Dana", "elsewhere")
    clock.advance(timedelta(seconds=3))
    rooms.say(ROOM, "Dana", "now")
    rooms.leave(ROOM, "Dana")
    rooms.say(ROOM, "Dana", "too late")
    assert [(said.at, said.text) for said in rooms.utterances(ROOM)] == [(_at(3), "now")]
    assert rooms.utterances("xyz-xyzx-xyz") == ()


def test_entering_twice_is_one_visit_and_coming_back_another(rooms: Rooms) -> None:
    """A person is in a room once at a time."""
    rooms.enter(ROOM, "Dana")
    rooms.enter(ROOM, "Dana")
    assert len(rooms.present(ROOM)) == 1
    rooms.leave(ROOM, "Dana")
    rooms.leave(ROOM, "Dana")
    rooms.enter(ROOM, "Dana")
    assert [visit.present for visit in rooms.visits(ROOM)] == [False, True]


def test_removing_bots_leaves_the_people(clock: HandClock, rooms: Rooms) -> None:
    """The bot's visit says why it is out; nobody else is touched."""
    rooms.enter(ROOM, "Dana")
    bot = rooms.expect_bot(ROOM, "Robin", _at(0))
    assert rooms.visit(bot).present
    clock.advance(timedelta(seconds=7))
    rooms.remove_bots(ROOM, by="Dana")
    assert (rooms.visit(bot).left_at, rooms.visit(bot).why_out) == (_at(7), "removed")
    assert [visit.name for visit in rooms.present(ROOM)] == ["Dana"]


def test_a_person_with_the_bots_name_is_no_bot(rooms: Rooms) -> None:
    """Names are chosen freely in a meeting; what one is doesn't depend on them."""
    rooms.expect_bot(ROOM, "Robin", _at(0))
    rooms.enter(ROOM, "Robin")
    rooms.remove_bots(ROOM)
    assert [visit.is_bot for visit in rooms.present(ROOM)] == [False]


def test_an_ended_meeting_is_empty_until_a_person_comes_back(
    clock: HandClock, rooms: Rooms
) -> None:
    """Everybody is out, bots are refused; a person opens the room again."""
    rooms.enter(ROOM, "Dana")
    inside = rooms.expect_bot(ROOM, "Robin", _at(0))
    rooms.close(ROOM, by="Dana")
    assert rooms.present(ROOM) == ()
    assert rooms.visit(inside).why_out == "meeting ended"
    refused = rooms.visit(rooms.expect_bot(ROOM, "Robin", _at(0)))
    assert (refused.entered_at, refused.why_out) == (None, "meeting ended")
    clock.advance(timedelta(seconds=1))
    rooms.enter(ROOM, "Jonas")
    assert rooms.visit(rooms.expect_bot(ROOM, "Robin", _at(1))).present


def test_a_bot_enters_before_the_end_although_nobody_looked(
    clock: HandClock, rooms: Rooms
) -> None:
    """Entry at 4 s and the meeting's end at 8 s keep their order in one look at 60 s."""
    rooms.expect([_step(8, StepKind.CLOSE)])
    bot = rooms.expect_bot(ROOM, "Robin", _at(4))
    clock.advance(timedelta(seconds=60))
    visit = rooms.visit(bot)
    assert (visit.entered_at, visit.left_at) == (_at(4), _at(8))


def test_ending_a_visit_is_idempotent_and_calls_back_a_bot_on_its_way(
    clock: HandClock, rooms: Rooms
) -> None:
    """The first end counts; who was ended before entering never enters."""
    bot = rooms.expect_bot(ROOM, "Robin", _at(4))
    rooms.end_visit(bot, _at(2))
    rooms.end_visit(bot, _at(3))
    clock.advance(timedelta(seconds=60))
    visit = rooms.visit(bot)
    assert (visit.entered_at, visit.left_at) == (None, _at(2))
    assert rooms.log() == ()


def test_a_visit_hears_what_was_said_while_it_lasted(clock: HandClock, rooms: Rooms) -> None:
    """Neither what came before its entry nor what came after its end."""
    rooms.expect(
        [
            _step(0, StepKind.ENTER),
            *(_step(at, StepKind.SAY, text=f"at {at}") for at in (1, 5, 9, 13)),
        ]
    )
    bot = rooms.expect_bot(ROOM, "Robin", _at(4))
    never = rooms.expect_bot(ROOM, "Robin", _at(99))
    clock.advance(timedelta(seconds=10))
    rooms.end_visit(bot, clock.now())
    clock.advance(timedelta(seconds=10))
    assert [said.text for said in rooms.heard_in(bot)] == ["at 5", "at 9"]
    assert rooms.heard_in(never) == ()


def test_an_unknown_visit_is_an_error(rooms: Rooms) -> None:
    """A typing error must not look like an absence."""
    bot = rooms.expect_bot(ROOM, "Robin", _at(0))
    with pytest.raises(KeyError):
        rooms.visit(type(bot)(99))


_steps = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.sampled_from(StepKind),
        st.sampled_from(["Dana", "Jonas"]),
    ),
    max_size=12,
)


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(
    steps=_steps,
    bots=st.lists(st.integers(0, 60), max_size=3),
    looks=st.lists(st.integers(0, 70), max_size=4),
)
def test_any_plan_is_played_in_order_however_often_one_looks(
    steps: list[tuple[int, StepKind, str]], bots: list[int], looks: list[int]
) -> None:
    """Looking changes nothing; nobody leaves before entering or stays in an ended meeting."""

    def play(at_instants: list[int]) -> Rooms:
        clock = HandClock(START)
        rooms = Rooms(now=clock.now)
        rooms.expect(_step(at, kind, name, "words") for at, kind, name in steps)
        for at in bots:
            rooms.expect_bot(ROOM, "Robin", _at(at))
        for at in sorted(at_instants):
            clock.advance(_at(at) - clock.now())
            rooms.tick()
        clock.advance(_at(100) - clock.now())
        return rooms

    rooms, unseen = play(looks), play([])
    assert (rooms.log(), rooms.visits()) == (unseen.log(), unseen.visits())
    closings = [event.at for event in rooms.log() if event.kind == "closed"]
    for visit in rooms.visits():
        entered, left = visit.entered_at, visit.left_at
        assert (left is not None) == bool(visit.why_out)
        if entered is not None:
            assert left is None or entered <= left
            assert all(left is not None and left <= at for at in closings if entered < at)


def test_many_threads_at_once(rooms: Rooms) -> None:
    """Every visit and utterance of eight threads is there once."""
    barrier = threading.Barrier(8)

    def take_part(number: int) -> None:
        barrier.wait()
        name = f"person {number}"
        for turn in range(20):
            rooms.enter(ROOM, name)
            rooms.say(ROOM, name, f"{number}/{turn}")
            rooms.leave(ROOM, name)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(take_part, number) for number in range(8)]:
            done.result()
    assert rooms.present(ROOM) == ()
    assert len(rooms.visits(ROOM)) == 160
    assert len({said.text for said in rooms.utterances(ROOM)}) == 160
