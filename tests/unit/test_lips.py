"""From phones to keyframes of a mouth."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from locum.core.lips import mouths_of_phones
from locum.core.speech import Phone

_MS = timedelta(milliseconds=1)


def _row(*phones: tuple[str, int]) -> list[Phone]:
    found, at = [], timedelta(0)
    for symbol, length in phones:
        found.append(Phone(symbol, at, at + length * _MS))
        at += length * _MS
    return found


def test_a_short_m_is_seen_whole() -> None:
    """Lips meet in a 40 ms m as far as in a long one: a missed one is seen at once."""
    keys = mouths_of_phones(_row(("a", 100), ("m", 40), ("a", 100)))
    closed = [key for key in keys if key.mouth.close > 0.8]
    assert closed
    assert all(timedelta(milliseconds=100) <= key.at <= 140 * _MS for key in closed)


def test_a_short_vowel_opens_less_than_a_long_one() -> None:
    """A hurried vowel doesn't get as far."""
    hurried, full = (
        max(key.mouth.jaw for key in mouths_of_phones(_row(("a", length))))
        for length in (50, 200)
    )
    assert 0 < hurried < full


def test_the_mouth_is_shut_through_a_pause() -> None:
    """From 80 ms into a pause until just before its end, nothing moves."""
    keys = mouths_of_phones(_row(("a", 120), ("", 600), ("a", 120)))
    resting = [key for key in keys if 120 * _MS < key.at < 720 * _MS]
    assert [key.at for key in resting] == [200 * _MS, 680 * _MS]
    assert {key.mouth.jaw < 0.05 for key in resting} == {True}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "m", "f", "s", "", "tʃ", "?", "ʔ"]), st.integers(0, 400)
        ),
        max_size=30,
    )
)
def test_keyframes_are_in_order_and_within_their_phones(row: list[tuple[str, int]]) -> None:
    """Whatever the phones: instants rise, none lies outside, weights stay in their range."""
    phones = _row(*row)
    keys = mouths_of_phones(phones)
    instants = [key.at for key in keys]
    assert instants == sorted(set(instants))
    assert all(timedelta(0) <= at <= phones[-1].end for at in instants)
    assert all(0 <= key.mouth.jaw <= 1 and 0 <= key.mouth.close <= 1 for key in keys)
