"""What the meeting page says, and what it means in three languages."""

from __future__ import annotations

import pytest

from locum.engines.chromium import texts
from locum.engines.chromium.texts import Control, Screen, is_called, means_us, screen_of


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("Ask to join", Control.ASK),
        ("Ask to join anyway", Control.ASK),
        ("Ask to join without camera", Control.ASK),
        ("JOIN  now", Control.JOIN),
        ("Participer", Control.JOIN),
        ("Participer à l’appel maintenant", Control.JOIN),
        ("Participer ici aussi", Control.JOIN_TOO),
        ("Auch hier teilnehmen", Control.JOIN_TOO),
        ("Switch here", Control.SWITCH),
        ("Turn off microphone (ctrl + d)", Control.MICROPHONE_OFF),
        ("Chat with everyone", Control.CHAT),
        ("Chat with everyone, new message", Control.CHAT),
        ("Chat with everyone New message", Control.CHAT),
        ("People - 3 joined", Control.PEOPLE),
        ("Personen – 3 nehmen teil", Control.PEOPLE),
        ("Got it", Control.DISMISS),
    ],
)
def test_control_is_known_by_its_name_and_no_other_is(name: str, control: Control) -> None:
    """With what Meet appends to it; of those that would do something else, none fits."""
    doors = {Control.JOIN, Control.ASK, Control.JOIN_TOO, Control.SWITCH, Control.REJOIN}

    assert is_called(name, control)
    assert [each for each in doors if is_called(name, each)] == [control] * (control in doors)


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("Joining instructions", Control.JOIN),
        ("Rejoin", Control.JOIN),
        ("Personen hinzufügen", Control.PEOPLE),
        ("People search", Control.PEOPLE),
        ("Close captions", Control.DISMISS),
        ("Send a message to Ana", Control.SEND),
        ("Leave", Control.LEAVE),
        ("", Control.JOIN),
    ],
)
def test_other_names_are_not_taken_for_it(name: str, control: Control) -> None:
    """A button that begins alike does something else."""
    assert not is_called(name, control)


def test_every_control_has_a_name_in_each_language() -> None:
    """A control that nobody can find would only be missed in a meeting."""
    for control in Control:
        names = [name for name in texts._DATA["controls"][control.name.lower()] if name]
        assert len(names) >= 3, control


@pytest.mark.parametrize(
    ("said", "screen"),
    [
        (
            [
                "You can't join this video call",
                "Someone in the call denied your request to join",
            ],
            Screen.DENIED,
        ),
        (["You can’t join this video call"], Screen.BLOCKED),
        (
            [
                "Du kannst nicht an diesem Videoanruf teilnehmen",
                "Niemand hat auf deine Teilnahmeanfrage reagiert",
            ],
            Screen.NO_ANSWER,
        ),
        (["Please wait until a meeting host brings you into the call"], Screen.LOBBY),
        (["Vous avez été exclu de la réunion"], Screen.REMOVED),
        (["The call ended because the host ended it for everyone"], Screen.ENDED),
        (["Getting ready…"], None),
    ],
)
def test_screen_is_what_says_most(said: list[str], screen: Screen | None) -> None:
    """The reason under a heading counts, where there is one."""
    assert screen_of(said) is screen


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("You", True),
        ("Ada Example (Sie)", True),
        ("Vous", True),
        ("You Ming", False),
        ("", False),
    ],
)
def test_our_own_entry_is_told_by_its_mark(name: str, *, ours: bool) -> None:
    """Nobody is taken for us whose name begins like it."""
    assert means_us(name) is ours
