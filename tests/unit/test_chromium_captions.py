"""Captions that are revised in place: told once, whole, and only when they are final."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.engines.chromium.captions import SETTLED, Caption, CaptionReader, Line

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=timezone.utc)
EVERY = settings(derandomize=True, max_examples=1000, deadline=None)


class Room:
    """A region, looked at twice a second."""

    def __init__(self) -> None:
        self.reader = CaptionReader()
        self.now = NOW
        self.told: list[Caption] = []

    def look(self, *lines: Line, times: int = 1) -> Room:
        for _ in range(times):
            self.told += self.reader.read(lines, self.now)
            self.now += timedelta(seconds=0.5)
        return self

    @property
    def texts(self) -> list[tuple[str, str]]:
        return [(each.speaker, each.text) for each in self.told]


LONG_ENOUGH = int(SETTLED.total_seconds() * 2) + 1


def test_line_is_told_once_as_it_was_in_the_end() -> None:
    """What it read on the way was recognition at work."""
    room = Room()
    for text in ("we", "we shell", "we shall begin", "We shall begin."):
        room.look(Line(1, "Ana", text))
    assert room.texts == []
    room.look(Line(1, "Ana", "We shall begin."), times=LONG_ENOUGH)
    room.look(times=3)

    assert room.texts == [("Ana", "We shall begin.")]
    assert (room.told[0].at, room.told[0].until) == (NOW, NOW + timedelta(seconds=1.5))


def test_line_that_goes_on_is_told_on_from_there() -> None:
    """The same speaker's next sentence grows in the same block."""
    room = Room().look(Line(1, "Ana", "We shall begin."), times=LONG_ENOUGH)
    room.look(Line(1, "Ana", "We shall begin. Who has"))
    room.look(Line(1, "Ana", "We shall begin! Who has the numbers?"), times=LONG_ENOUGH)

    assert room.texts == [("Ana", "We shall begin."), ("Ana", "Who has the numbers?")]


def test_line_that_leaves_is_final_at_once() -> None:
    """Nothing more can be revised in it."""
    room = Room().look(Line(1, "Ana", "Yes")).look(Line(2, "Ben", "No"))

    assert room.texts == [("Ana", "Yes")]


def test_block_that_is_given_to_somebody_else_is_two_lines() -> None:
    """A page may put other words into the same element."""
    room = Room().look(Line(1, "Ana", "Yes")).look(Line(1, "Ben", "No"))
    room.told += room.reader.close()

    assert room.texts == [("Ana", "Yes"), ("Ben", "No")]


def test_end_of_a_long_line_is_known_for_its_end() -> None:
    """A page cuts the beginning off what gets long; it is told whole, and once."""
    words = [f"word{n}" for n in range(40)]
    room = Room()
    for count in range(1, len(words) + 1):
        room.look(Line(1, "Ana", " ".join(words[max(0, count - 12) : count])))
    room.told += room.reader.close()

    assert room.texts == [("Ana", " ".join(words))]


def test_growing_names_who_speaks_just_now() -> None:
    """For putting names to sounds: only with what the last look brought."""
    room = Room().look(Line(1, "Ana", "yes"), Line(2, "Ben", "no"))
    at = room.now
    room.look(Line(1, "Ana", "yes"), Line(2, "Ben", "no no"))

    assert room.reader.growing(at) == {"Ben"}
    assert room.reader.growing(room.now) == frozenset()


@pytest.mark.parametrize("told", ["a b c", "a x c", "A, b c!"])
def test_revision_of_what_was_told_tells_nothing_twice(told: str) -> None:
    """A word that is put right afterwards stays as it was told."""
    room = Room().look(Line(1, "Ana", told), times=LONG_ENOUGH)
    room.look(Line(1, "Ana", "a b c d e"), times=LONG_ENOUGH)

    assert [text for _, text in room.texts] == [told, "d e"]


@st.composite
def talks(draw: st.DrawFn) -> list[tuple[str, list[str]]]:
    """Answer turns of several speakers, with words that are all different."""
    count = 0
    turns = []
    for _ in range(draw(st.integers(1, 6))):
        length = draw(st.integers(1, 12))
        words = [f"w{n}" for n in range(count, count + length)]
        count += length
        turns.append((draw(st.sampled_from(["Ana", "Ben", "Zoë"])), words))
    return turns


@EVERY
@given(talks(), st.data())
def test_every_word_is_told_once_and_in_order(
    talk: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    """However the looks fall, and however long anybody pauses."""
    room = Room()
    shown: list[Line] = []
    for number, (speaker, words) in enumerate(talk):
        at = 0
        while at < len(words):
            at = min(len(words), at + data.draw(st.integers(1, 4)))
            line = Line(number, speaker, " ".join(words[:at]))
            room.look(*shown, line, times=data.draw(st.integers(1, 9)))
        shown = [*shown, Line(number, speaker, " ".join(words))][-3:]
    room.told += room.reader.close()

    by_speaker: dict[str, list[str]] = {}
    for caption in room.told:
        by_speaker.setdefault(caption.speaker, []).extend(caption.text.split())
    expected: dict[str, list[str]] = {}
    for speaker, words in talk:
        expected.setdefault(speaker, []).extend(words)
    assert by_speaker == expected
    assert all(caption.at <= caption.until for caption in room.told)
