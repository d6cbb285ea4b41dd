"""Moonshine's pure parts: tokens as text, drafts, loops, and where a stretch is parted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.ears.moonshine_listener import levels_db, quiet, seam, spoken_db
from locum.ears.moonshine_network import (
    Vocabulary,
    agreement,
    looped,
    resumed,
    without_loop,
)

RATE_HZ = 16_000
TOKENS = st.lists(st.integers(0, 3), max_size=60)


def noise(seconds: float, amplitude: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    dice = np.random.default_rng(3)
    return dice.normal(0, amplitude, round(seconds * RATE_HZ)).astype(np.float32)


def test_tokens_are_text() -> None:
    """Words with their spaces, letters in bytes, and nothing of the marks or of what is unknown."""
    pieces = {"<s>": 1, "</s>": 2, "<0xC3>": 3, "<0xA9>": 4, "▁caf": 5, "▁au": 6, "<<ST_1>>": 7}
    known = Vocabulary(pieces)

    assert known.text([1, 5, 3, 4, 6, 7, 99, 2]) == "café au"
    assert known.text([3]) == "�"
    assert known.text([]) == ""


@pytest.mark.parametrize(
    "written",
    [
        *("", "[]", "{}", '{"model": []}', "[" * 100_000),
        *('{"model": {"vocab": ["a"]}}', '{"model": {"vocab": {"a": "b"}}}'),
    ],
)
def test_no_vocabulary_is_said_to_be_none(tmp_path: Path, written: str) -> None:
    """Whatever else stands in its file."""
    file = tmp_path / "tokenizer.json"
    file.write_text(written, "utf-8")

    with pytest.raises(ValueError, match=r"tokenizer\.json is no vocabulary"):
        Vocabulary.read(file)


def test_a_draft_holds_as_far_as_nothing_else_is_plainly_likelier() -> None:
    """A token that is as good as the best stays; one that isn't known at all doesn't."""
    logits = np.array([[0, 9, 0], [0, 4.5, 5], [9, 0, 0]], np.float32)

    assert agreement(logits, [1, 1, 2]) == 2
    assert agreement(logits, [0, 1, 0]) == 0
    assert agreement(logits, [1, 2]) == 2
    assert agreement(logits, [1, 99]) == 1
    assert agreement(logits, []) == 0


def test_a_draft_goes_on_after_a_word_that_was_wrong() -> None:
    """Another one in its place, one too many, or several."""
    assert resumed([7, 8, 9], 5) == [8, 9]
    assert resumed([7, 8, 9], 7) == [8, 9]
    assert resumed([7, 8, 9], 8) == [9]
    assert resumed([], 5) == []


@pytest.mark.parametrize(
    ("tokens", "left"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([9, 4, 4, 4, 4], [9, 4, 4, 4, 4]),
        ([9, 4, 4, 4, 4, 4, 4], [9, 4, 4]),
        ([9] + 5 * [4, 5, 6], [9, 4, 5, 6, 4, 5, 6]),
        (list(range(9)) * 5, list(range(9)) * 5),
    ],
)
def test_a_loop_is_cut(tokens: list[int], left: list[int]) -> None:
    """Five times the same is the network's doing, four times may be somebody's."""
    assert without_loop(tokens) == left
    assert any(looped(tokens[:end]) for end in range(len(tokens) + 1)) == (left != tokens)


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(TOKENS)
def test_what_is_left_of_tokens_is_their_beginning_and_no_loop(tokens: list[int]) -> None:
    """Nothing is made up, and what isn't a loop stays whole."""
    left = without_loop(tokens)

    assert tokens[: len(left)] == left
    assert not any(looped(left[:end]) for end in range(len(left) + 1))
    if not any(looped(tokens[:end]) for end in range(len(tokens) + 1)):
        assert left == tokens


def test_a_pause_is_told_from_speech() -> None:
    """By how loud speech is in the same stretch, and never what can't be heard at all."""
    speech, room, faint = (levels_db(noise(0.5, a)) for a in (0.1, 0.001, 0.0003))
    spoken = spoken_db(np.concatenate([room, speech]))

    assert quiet(room, spoken)
    assert not quiet(np.concatenate([room, speech[:1]]), spoken)
    assert not quiet(room, spoken_db(room))
    assert quiet(faint, spoken_db(faint))
    assert quiet(levels_db(noise(0, 0.1)), spoken)


def test_a_stretch_is_parted_in_its_longest_pause() -> None:
    """Not in a gap between two words, and in the middle of the pause."""
    parts = [(1.0, 0.1), (0.1, 0.0), (1.0, 0.1), (0.5, 0.001), (1.0, 0.1)]
    levels = levels_db(np.concatenate([noise(*each) for each in parts]))

    assert 2.1 < seam(levels) / 100 < 2.6


def test_a_stretch_without_a_pause_is_parted_between_two_words() -> None:
    """In a gap of 80 ms, if that is all there is; and somewhere, if there is none."""
    words = levels_db(np.concatenate([noise(1, 0.1), noise(0.08, 0.001), noise(1, 0.1)]))
    even = levels_db(noise(2, 0.1))

    assert 1.0 <= seam(words) / 100 <= 1.08
    assert 0 <= seam(even) < len(even)
