"""Which words were really heard, of speech that was cut off at any instant."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.core.speech import Phone, Sound, Spoken, Word
from locum.core.spoken import CUT, HeardText, Part, heard_of
from tests.unit.drawn import thorough

RATE = 1_000
MS = timedelta(milliseconds=1)


def sound(ms: int) -> Sound:
    return Sound(RATE, bytes(2 * ms))


def told(text: str, *, each_ms: int = 100, pause_ms: int = 0, complete: bool = True) -> Part:
    """A piece a word, with the instant at which it begins; a pause after each."""
    pieces = []
    at = 0
    for word in text.split():
        phones = (Phone("a", timedelta(0), each_ms * MS), Phone("", each_ms * MS, each_ms * MS))
        where = Word(at, at + len(word), timedelta(0))
        pieces.append(Spoken(sound(each_ms + pause_ms), phones, words=(where,)))
        at += len(word) + 1
    return Part(text, pieces, complete)


@pytest.mark.parametrize(
    ("heard_ms", "expected"),
    [
        (0, HeardText("", False, 0)),
        (80, HeardText("", False, 0)),
        (100, HeardText(f"It{CUT}", False, 0)),
        (199, HeardText(f"It works{CUT}", False, 0)),  # A hair is forgiven.
        (250, HeardText(f"It works{CUT}", False, 0)),
        (300, HeardText("It works, now.", True, 1)),
        (900, HeardText("It works, now.", True, 1)),
    ],
)
def test_words_are_exact_where_the_voice_tells_them(heard_ms: int, expected: HeardText) -> None:
    """A comma before the cut goes: the sentence didn't."""
    assert heard_of([told("It works, now.")], heard_ms * MS) == expected


def test_a_pause_after_a_word_neednt_be_heard() -> None:
    """A word is whole once its last sound is, whatever silence follows."""
    part = told("One. Two.", pause_ms=400)
    assert heard_of([part], 100 * MS).text == f"One.{CUT}"


def test_a_word_that_a_voice_splits_is_heard_once_all_of_it_is() -> None:
    """espeak-ng says "3.5" in two goes."""
    pieces = [
        Spoken(sound(100), words=(Word(0, 3, 0 * MS),)),
        Spoken(sound(100), words=(Word(1, 3, 0 * MS),)),
        Spoken(sound(100), words=(Word(4, 6, 0 * MS),)),
    ]
    part = Part("3.5 of", pieces, complete=True)
    assert [heard_of([part], ms * MS).text for ms in (100, 200, 300)] == [
        "",
        f"3.5{CUT}",
        "3.5 of",
    ]


def test_parts_follow_each_other() -> None:
    """What was heard whole stands whole; only the last is cut."""
    parts = [told("It works."), told("Since Tuesday, they say.")]
    assert heard_of(parts, 350 * MS) == HeardText(f"It works. Since{CUT}", False, 1)
    assert heard_of(parts, 200 * MS) == HeardText(f"It works.{CUT}", False, 1)
    assert heard_of(parts, 600 * MS) == HeardText("It works. Since Tuesday, they say.", True, 2)


def test_without_words_the_sounds_of_speech_are_counted() -> None:
    """Each for its share of the letters, whatever its length; silences for none."""
    phones = (
        Phone("a", 0 * MS, 50 * MS),
        Phone("b", 50 * MS, 100 * MS),
        Phone("", 100 * MS, 700 * MS),
        Phone("c", 700 * MS, 800 * MS),
        Phone("d", 800 * MS, 1000 * MS),
    )
    part = Part("ab cd", [Spoken(sound(1000), phones)], complete=True)
    heard = [heard_of([part], ms * MS).text for ms in (60, 100, 690, 800, 1000)]
    assert heard == ["", f"ab{CUT}", f"ab{CUT}", f"ab{CUT}", "ab cd"]


def test_without_anything_time_is_divided() -> None:
    """By letters, rounded down."""
    part = Part("four words of text", [Spoken(sound(1500))], complete=True)
    heard = [heard_of([part], ms * MS).text for ms in (300, 450, 1200, 1500)]
    assert heard == ["", f"four{CUT}", f"four words of{CUT}", "four words of text"]


def test_sound_that_isnt_all_made_is_no_whole_clause() -> None:
    """What is heard of it are the words whose end is known."""
    part = told("It works now", complete=False)
    assert heard_of([part], 300 * MS) == HeardText(f"It works{CUT}", False, 0)
    bare = Part("a" * 30 + " b", [Spoken(sound(1000))], complete=False)
    assert heard_of([bare], 1000 * MS).text == ""


def test_nothing_was_heard_of_nothing() -> None:
    """An answer without words is a whole one."""
    assert heard_of([], 5 * MS) == HeardText("", True, 0)


WORDS = st.lists(st.text("abcdé,.'—1", min_size=1, max_size=6), min_size=1, max_size=5)


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    found: list[Part] = []
    for words in draw(st.lists(WORDS, min_size=1, max_size=3)):
        text = " ".join(words)
        kind = draw(st.sampled_from(["words", "phones", "nothing"]))
        pieces, at = [], 0
        for word in words:
            ms = draw(st.integers(1, 400))
            phones = (Phone("a", 0 * MS, ms * MS),) if kind != "nothing" else ()
            where = (Word(at, at + len(word), 0 * MS),) if kind == "words" else ()
            pieces.append(Spoken(sound(ms), phones, words=where))
            at += len(word) + 1
        found.append(Part(text, pieces, draw(st.booleans()) or len(found) == 0))
    return found


@thorough
@given(parts(), st.integers(0, 6000), st.integers(0, 6000))
def test_what_was_heard_is_a_beginning_and_grows(
    made: list[Part], one: int, other: int
) -> None:
    """Whole words of what was given, from its beginning; more sound never makes fewer words."""
    whole = " ".join(part.text for part in made).split()
    less, more = (heard_of(made, ms * MS) for ms in sorted((one, other)))
    for heard in (less, more):
        words = heard.text.removesuffix(CUT).split()
        bare = [word.strip(",;:—–- .'") for word in words]
        assert bare == [word.strip(",;:—–- .'") for word in whole][: len(bare)]
        assert heard.whole == (heard.parts == len(made))
        assert heard.whole or not heard.text or heard.text.endswith(CUT)
    assert len(less.text.split()) <= len(more.text.split()) + 1
    assert less.parts <= more.parts


@thorough
@given(WORDS, st.integers(0, 4000))
def test_with_words_told_the_count_is_exact(words: list[str], heard_ms: int) -> None:
    """As many words as have sounded to their end, and no other number."""
    part = told(" ".join(words))
    heard = heard_of([part], heard_ms * MS)
    sounded = min((heard_ms + 10) // 100, len(words))
    said = heard.text.removesuffix(CUT)
    expected = " ".join(words[:sounded])
    if sounded < len(words):
        expected = expected.rstrip(" ,;:—–-")
    assert said.rstrip(" ,;:—–-") == expected.rstrip(" ,;:—–-")
