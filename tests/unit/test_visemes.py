"""Which mouth a sound of speech has: the table is whole, and every phone finds its place."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from locum.core.visemes import VISEMES, visemes_of


def test_every_weight_of_the_table_is_one_that_a_face_can_take() -> None:
    """All from 0 to 1, but a lower lip that is bitten."""
    for name, mouth in VISEMES.items():
        assert all(0 <= weight <= 1 for weight in astuple(mouth) if weight != mouth.lower), name
        assert -1 <= mouth.lower <= 1, name


def test_lips_are_shut_for_p_b_m_and_nothing_else() -> None:
    """They are what an onlooker misses first."""
    assert [name for name, mouth in VISEMES.items() if mouth.close == 1] == ["PP"]
    assert {visemes_of(phone) for phone in "pbm"} == {("PP",)}


@pytest.mark.parametrize(
    ("phone", "visemes"),
    [
        ("ˈɑː", ("aa",)),
        ("aɪ", ("aa", "I")),
        ("oʊ", ("O", "U")),
        ("tʃ", ("CH",)),
        ("ʤ", ("CH",)),
        ("ts", ("SS",)),
        ("pf", ("PP", "FF")),
        ("t", ("DD",)),
        ("tʰ", ("DD",)),
        ("ç", ("SS",)),
        ("ẽ", ("E",)),
        ("ɛ̃", ("E",)),
        ("ɜː", ("RR",)),
        ("", ("sil",)),
        ("˥", ("sil",)),
    ],
)
def test_a_phone_finds_its_visemes(phone: str, visemes: tuple[str, ...]) -> None:
    """Stress, length and marks don't matter; diphthongs move; an affricate has one mouth."""
    assert visemes_of(phone) == visemes


def test_every_viseme_but_silence_is_some_phones() -> None:
    """None of the table is out of reach."""
    phones = ["p", "f", "θ", "t", "k", "ʃ", "s", "l", "ɹ", "a", "e", "i", "o", "u"]
    assert {name for phone in phones for name in visemes_of(phone)} == set(VISEMES) - {"sil"}
