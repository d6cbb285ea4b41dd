"""espeak-ng tells when each word begins: by it, what was heard of an answer is known to the word."""

from __future__ import annotations

import asyncio
import ctypes.util
from datetime import timedelta

import pytest

from locum.core.speech import Spoken
from locum.core.spoken import CUT, Part, heard_of
from locum.voices.espeak import EspeakVoice

TEXT = "Yes, the gauge at Brixham works, and Dr. Lind has 3.5 of them: schöne Grüße!"

pytestmark = pytest.mark.skipif(
    ctypes.util.find_library("espeak-ng") is None, reason="espeak-ng isn't installed"
)


@pytest.fixture(scope="module")
def pieces() -> list[Spoken]:
    async def speak() -> list[Spoken]:
        voice = EspeakVoice()
        try:
            return [piece async for piece in voice.speak(TEXT)]
        finally:
            await voice.aclose()

    return asyncio.run(speak())


def test_words_are_told_by_their_place_in_the_text(pieces: list[Spoken]) -> None:
    """In order, each at an instant of its own piece; accents count as one character."""
    words = [word for piece in pieces for word in piece.words]
    found = [TEXT[word.start : word.stop] for word in words]
    assert {"Yes", "gauge", "Brixham", "Lind", "schöne", "Grüße"} <= set(found)
    assert [word.start for word in words] == sorted(word.start for word in words)
    for piece in pieces:
        assert all(timedelta(0) <= word.at <= piece.sound.duration for word in piece.words)


def test_what_was_heard_grows_a_word_at_a_time(pieces: list[Spoken]) -> None:
    """Cut at any hundredth of a second, it is a beginning of the text, in whole words."""
    part = Part(TEXT, pieces, complete=True)
    counts = []
    for step in range(int(part.duration / timedelta(milliseconds=10))):
        text = heard_of([part], timedelta(milliseconds=10 * step)).text.removesuffix(CUT)
        assert TEXT.startswith(text)
        counts.append(len(text.split()))
    assert counts == sorted(counts)
    assert set(counts) >= set(range(10))
    assert heard_of([part], part.duration).whole
