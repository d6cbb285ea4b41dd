"""Who is heard: names for sources, from captions that come late, and never a guess."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.attribution import Attribution

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=timezone.utc)
EVERY = settings(derandomize=True, max_examples=1000, deadline=None)
LAG = timedelta(seconds=2.5)


class Room:
    """People whose sound is heard, and whose captions come a while after it."""

    def __init__(self) -> None:
        self.attribution = Attribution()
        self.now = NOW

    def talk(self, sources: list[int], name: str, seconds: float = 4.0) -> Room:
        """Let the sources be heard, and the captions say `name` all the while."""
        for step in range(int(seconds * 4)):
            for source in sources:
                self.attribution.heard(source, 0.3, self.now)
            if step % 2:
                self.attribution.named(name, self.now - LAG, self.now)
            self.now += timedelta(seconds=0.25)
        return self

    def pause(self, seconds: float = 4.0) -> Room:
        self.now += timedelta(seconds=seconds)
        return self


def test_source_gets_the_name_that_comes_with_it() -> None:
    """After a few seconds of one speaker at a time; before, it is nobody."""
    room = Room()
    assert room.attribution.name_of(1) == ""
    room.talk([1], "Ana", 1.0)
    assert room.attribution.name_of(1) == ""
    room.talk([1], "Ana").pause().talk([2], "Ben")

    assert [room.attribution.name_of(n) for n in (1, 2, 3)] == ["Ana", "Ben", ""]


def test_two_at_once_teach_nothing() -> None:
    """A caption could be either's."""
    room = Room().talk([1, 2], "Ana", 20.0)

    assert [room.attribution.name_of(n) for n in (1, 2)] == ["", ""]


def test_whoever_is_alone_with_us_is_heard() -> None:
    """There is nobody else whom it could be; with two others it isn't known any more."""
    room = Room()
    room.attribution.present(["Ana"])
    assert room.attribution.name_of(99) == "Ana"
    room.attribution.present(["Ana", "Ben"])
    assert room.attribution.name_of(99) == ""


def test_nobody_is_heard_who_has_left() -> None:
    """Their source may be given to somebody else; the name comes back when they do."""
    room = Room().talk([1], "Ana")
    room.attribution.present(["Ben", "Zoë"])
    assert room.attribution.name_of(1) == ""
    room.attribution.forget_present()
    assert room.attribution.name_of(1) == "Ana"


def test_source_that_changes_hands_is_learnt_anew() -> None:
    """In between it is nobody's: a name that is wrong is worse than none."""
    room = Room().talk([1], "Ana", 30.0).pause()
    names = []
    for _ in range(40):
        room.talk([1], "Ben", 2.0)
        names.append(room.attribution.name_of(1))

    assert names[-1] == "Ben"
    assert "" in names[: names.index("Ben")]


@pytest.mark.parametrize("level", [0.0, 0.01])
def test_silence_is_not_heard(level: float) -> None:
    """A source that only hums is no speaker."""
    attribution = Attribution()
    for step in range(100):
        at = NOW + timedelta(seconds=step / 10)
        attribution.heard(1, level, at)
        attribution.named("Ana", at - LAG, at)

    assert attribution.name_of(1) == ""


@EVERY
@given(st.integers(0, 2**32), st.integers(2, 5), st.floats(0, 0.4))
def test_random_meeting_never_names_anybody_wrongly(
    seed: int, people: int, crosstalk: float
) -> None:
    """Turns, pauses and talking at once; captions that lag, and always name who speaks."""
    dice = random.Random(seed)
    room = Room()
    talked: dict[int, int] = {}
    for _ in range(9):
        who = dice.randrange(people)
        # Whoever falls in is heard as well, and the captions are one person's.
        others = [n for n in range(people) if n != who and dice.random() < crosstalk]
        room.talk([who, *others], f"P{who}", dice.uniform(1, 5)).pause(dice.uniform(3, 6))
        talked[who] = talked.get(who, 0) + (not others)
        for source in range(people):
            assert room.attribution.name_of(source) in {"", f"P{source}"}
    known = [n for n, turns in talked.items() if turns >= 3]
    assert all(room.attribution.name_of(n) == f"P{n}" for n in known)


@EVERY
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["heard", "named", "present", "forget"]),
            st.integers(-2, 2**40),
            st.floats(-1, 2),
            st.text(max_size=5),
        ),
        max_size=60,
    )
)
def test_hostile_history_harms_nothing(
    history: list[tuple[str, int, float, str]],
) -> None:
    """Whatever comes in, the answer is a name that was said, or none."""
    attribution, at, said = Attribution(), NOW, {""}
    for what, source, level, name in history:
        at += timedelta(seconds=abs(level))
        if what == "heard":
            attribution.heard(source, level, at)
        elif what == "named":
            attribution.named(name, at - LAG, at)
        elif what == "present":
            attribution.present([name, name + "x"][: source % 3])
        else:
            attribution.forget_present()
        said |= {name, name + "x"}
        assert attribution.name_of(source) in said
