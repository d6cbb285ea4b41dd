"""Who wants the stand-in gone, by what people really write, and for which meetings it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.core.consent import series_of, wants_out
from locum.core.model import OccurrenceKey

TILE = "Robin (AI stand-in for Alex Müller)"


@pytest.mark.parametrize(
    "text",
    [
        "opt out",
        "Opt out!",
        "OPT-OUT.",
        "optout",
        "I opt out",
        "I'd like to opt out, please.",
        "i’d like to opt out",
        "Robin, opt out please",
        "@Robin opt-out",
        "Hey Robin: we want to opt out of this recording.",
        "Can I opt out?",
        "opting out, thanks",
        "we opt out of the AI notetaker",
        "Alex Müller's bot: opt out",
        "opt out " * 20,
        "ｏｐｔ ｏｕｔ",
        "opt\u00a0out",
        "o\u200bpt out",
        "**opt out**",
        "opt_out",
    ],
)
def test_a_wish_to_opt_out_is_heard(text: str) -> None:
    """However it is written, and whomever it is addressed to."""
    assert wants_out(text, names=TILE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Customers can opt out of the newsletter at any time.",
        "The law wants an opt-out on the first page.",
        "Don't opt out of the pension plan.",
        "Nobody opted out.",
        "Did Dana opt out?",
        "We had no opt out in the contract.",
        "Do you have an opt-out?",
        "adopt outdoor habits",
        "opt in",
        "we opt outright for the second plan",
        "opt out " + "x" * 300,
    ],
)
def test_a_sentence_about_opting_out_is_the_meetings_business(text: str) -> None:
    """Leaving a meeting for a word that somebody mentioned would be a meeting missed."""
    assert not wants_out(text, names=TILE)


@given(st.text(max_size=400), st.text(max_size=100))
def test_any_text_gets_an_answer(text: str, names: str) -> None:
    """What is heard and how people are called is hostile."""
    assert wants_out(text, names=names) in {True, False}


@given(st.text(max_size=100))
def test_no_name_makes_it_deaf(names: str) -> None:
    """Whatever the stand-in is called, the plain wish is heard."""
    assert wants_out("opt out", names=names)


@pytest.mark.parametrize(
    ("occurrence", "series"),
    [
        ("abc@google.com", "abc@google.com"),
        ("abc@google.com/20261123T090000Z", "abc@google.com"),
        ("abc_R20261201T080000@google.com/20261208T090000Z", "abc@google.com"),
        ("abc_R20261201@google.com/20261208T000000Z", "abc@google.com"),
        ("a/b@example.com/20261123T090000Z", "a/b@example.com"),
        ("040000008200E00074C5B7101A82E008", "040000008200E00074C5B7101A82E008"),
        ("my_Review@example.com", "my_Review@example.com"),
    ],
)
def test_the_series_of_an_occurrence(occurrence: str, series: str) -> None:
    """All instances of a series are one, a split series too; what stands alone is its own."""
    assert series_of(OccurrenceKey(occurrence)) == series
