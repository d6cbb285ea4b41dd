"""The chat's panel: each message told once, with its writer, however the panel is rebuilt."""

from __future__ import annotations

import pytest

from locum.engines.chromium.chat import ChatReader, Message, shows
from locum.engines.chromium.looks import Block
from locum.engines.chromium.writing import parts


def block(number: int, *leaves: str) -> Block:
    return Block(number, "", leaves)


ANA = block(1, "Ana", "9:00 AM", "Hello")
OURS = block(2, "You", "9:01", "Good morning")


def test_message_is_told_once_with_its_writer() -> None:
    """Ours is marked as ours, by the page's own word or by having no name."""
    reader = ChatReader()

    assert reader.read([ANA, OURS, block(3, "9:02", "Mine too")]) == (
        Message("Ana", "Hello", by_us=False),
        Message("You", "Good morning", by_us=True),
        Message("", "Mine too", by_us=True),
    )
    assert reader.read([ANA, OURS]) == ()


def test_next_text_in_the_same_block_is_news() -> None:
    """What one person writes in a row is grouped."""
    reader = ChatReader()
    reader.read([ANA])

    assert reader.read([block(1, "Ana", "9:00 AM", "Hello", "Anybody?")]) == (
        Message("Ana", "Anybody?", by_us=False),
    )


def test_panel_that_is_opened_anew_tells_only_what_was_written_meanwhile() -> None:
    """Its elements are others then; the same word written twice counts twice."""
    reader = ChatReader()
    reader.read([ANA])
    again = [block(11, *ANA.leaves), block(12, *ANA.leaves), block(13, "Ben", "9:03", "Yes")]

    assert reader.read(again) == (
        Message("Ana", "Hello", by_us=False),
        Message("Ben", "Yes", by_us=False),
    )
    assert reader.read([]) == ()
    assert reader.read([block(21, *ANA.leaves)]) == ()


def test_only_our_own_message_counts_as_written() -> None:
    """Somebody who quotes us hasn't written for us."""
    quoted = block(4, "Ana", "9:05", "Good morning")

    assert shows([OURS], "Good  morning")
    assert not shows([quoted], "Good morning")
    assert not shows([OURS], "Good")


@pytest.mark.parametrize("length", [1, 480, 481, 2000])
def test_long_text_is_cut_between_words(length: int) -> None:
    """No part is longer than Meet takes, and none of it is lost."""
    text = ("some words\nof it " * 200)[:length] + "x" * length
    cut = list(parts(text))

    assert max(map(len, cut)) <= 480
    assert "".join(cut).replace(" ", "") == "".join(text.split())
    assert list(parts(" \n ")) == []
