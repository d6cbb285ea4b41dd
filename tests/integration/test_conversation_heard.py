"""A conversation that hears recorded people by its own ears, on virtual time."""

from __future__ import annotations

import pytest

from tests.integration.hearing_scene import hear
from tests.speech import recordings


@pytest.mark.parametrize("name", ["please-try-again", "vm-enter-num-to-call"])
def test_who_asks_is_answered_soon_after_their_last_sound(name: str) -> None:
    """As a person marked it: with 200 ms for a first token and 100 ms for a voice in it."""
    heard = hear(recordings()[name])
    assert not heard.cut_in
    assert heard.delay is not None
    assert heard.delay < 0.5


@pytest.mark.parametrize("name", ["austen-0880", "cards-001"])
def test_who_only_states_something_is_left_time_to_go_on(name: str) -> None:
    """However finished it sounds: nobody was asked anything."""
    heard = hear(recordings()[name])
    assert heard.delay is not None
    assert 1.2 < heard.delay < 2.0


def test_who_tells_something_long_is_heard_out() -> None:
    """Fifteen stretches, nearly each a whole clause: none is answered but the last."""
    heard = hear(recordings()["two-cities"])
    assert not heard.cut_in
    assert len(heard.began) == 1


@pytest.mark.parametrize(
    ("name", "joint", "pause"),
    [
        ("cards-002", 0, 0.9),
        ("goforward", 0, 0.5),
    ],
)
def test_people_who_pause_arent_interrupted(name: str, joint: int, pause: float) -> None:
    """In the middle of what they say, between two words; and they are answered once."""
    heard = hear(recordings()[name].drawn_out(joint, pause))
    assert not heard.cut_in
    assert len(heard.began) == 1
