"""Where a page says we are, whatever people in the meeting are called or write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from locum.engines.chromium.looks import (
    Announced,
    Block,
    Look,
    Region,
    Shown,
    Where,
    parse_look,
)
from locum.engines.chromium.texts import Control, Screen

BAR = ("Turn off microphone (ctrl + d)", "Turn off camera (ctrl + e)", "Leave call")


def buttons(*names: str, enabled: bool = True) -> tuple[Shown, ...]:
    return tuple(Shown(n, "button", name, enabled) for n, name in enumerate(names, start=1))


def test_lobby_is_never_taken_for_joined() -> None:
    """It has all the buttons of a call but one, and our own picture."""
    lobby = Look(controls=buttons(*BAR), texts=("Asking to be let in…", "Robin"))

    assert lobby.where is Where.LOBBY


def test_chat_beside_the_leave_button_is_the_call() -> None:
    """Only a call has both; the chat alone may be any page's."""
    assert Look(controls=buttons(*BAR, "Chat with everyone")).where is Where.IN_CALL
    assert Look(controls=buttons("Chat with everyone")).where is Where.LOADING


@pytest.mark.parametrize(
    "said", ["You've been removed from the meeting", "Asking to be let in"]
)
def test_a_name_in_the_call_ends_nothing(said: str) -> None:
    """Somebody who is called like a screen of Meet's doesn't throw us out."""
    look = Look(controls=buttons(*BAR, "Chat with everyone"), texts=(said,))

    assert look.where is Where.IN_CALL


def test_a_name_before_the_door_hides_no_door() -> None:
    """Who is inside is shown there."""
    look = Look(controls=buttons("Join now"), texts=("Asking to be let in in this call",))

    assert look.where is Where.DOOR


@pytest.mark.parametrize(
    ("texts", "screen"),
    [
        (("You've been removed from the meeting",), Screen.REMOVED),
        (("Die Netzwerkverbindung", "Dieser Videoanruf ist beendet"), Screen.ENDED),
        (("You left the meeting",), Screen.LEFT),
    ],
)
def test_what_ends_a_meeting_is_told(texts: tuple[str, ...], screen: Screen) -> None:
    """With no call and no door, the page's words count."""
    look = Look(controls=buttons("Rejoin", "Return to home screen"), texts=texts)

    assert (look.where, look.screen) == (Where.TOLD, screen)


def test_home_page_is_no_door() -> None:
    """Its button is called like one, in French the very same."""
    field = Shown(9, "textbox", "Saisir un code ou un lien")
    look = Look(controls=(*buttons("Participer"), field))

    assert (look.where, look.screen) == (Where.TOLD, Screen.HOME)


def test_googles_sign_in_is_told_by_its_address() -> None:
    """Its words change; where it is doesn't."""
    look = Look(address="https://accounts.google.com/v3/signin?continue=x", texts=("Hi",))

    assert (look.where, look.screen) == (Where.TOLD, Screen.SIGN_IN)
    assert Look(address="https://meet.google.com/?a=accounts.google.com").screen is None


def test_reconnecting_counts_where_the_page_says_it_first() -> None:
    """In a message that a person wrote it stands behind the person's name."""
    alert = Announced(1, "alert", "", "Reconnecting... You lost your network connection.")
    toast = Announced(1, "status", "", "Ana: Reconnecting")

    assert Look(announced=(alert,)).reconnecting
    assert not Look(announced=(toast,)).reconnecting


def test_captions_and_people_are_read_from_their_parts() -> None:
    """A caption is a name and words; a list's entry a name, and a mark where it is ours."""
    captions = Region("region", "Captions", (Block(4, "", ("Ana", "good", "morning")),))
    people = Region(
        "list",
        "Participants",
        (
            Block(1, "Ada Example", ("Ada Example", "(You)", "Meeting host")),
            Block(2, "Ana", ("Ana",)),
        ),
    )
    look = Look(regions=(captions, people), controls=buttons("People - 12 joined"))

    assert look.captions is not None
    assert [(line.id, line.speaker, line.text) for line in look.captions] == [
        (4, "Ana", "good morning")
    ]
    assert look.people == ("Ada Example (You)", "Ana")
    assert look.headcount == 12
    assert (Look().captions, Look().people, Look().headcount) == (None, None, None)


def test_button_in_a_dialog_is_found_there() -> None:
    """The page behind has buttons of the same name."""
    outside = Shown(1, "button", "Join now")
    inside = Shown(2, "button", "Join now", dialog=7)
    look = Look(controls=(outside, inside))

    assert look.find(Control.JOIN) == outside
    assert look.find(Control.JOIN, dialog=7) == inside


@pytest.mark.parametrize(
    "answer",
    ["", "[]", "{}", "null", json.dumps({"address": "", "language": "", "ready": "complete"})],
)
def test_answer_of_another_shape_is_refused(answer: str) -> None:
    """Whatever a page does to the script, no look is made of it."""
    with pytest.raises(ValueError, match="the look can't be read"):
        parse_look(answer)


def test_answer_of_the_script_becomes_a_look() -> None:
    """Each part comes out where it belongs."""
    seen: dict[str, Any] = {
        "address": "https://meet.google.com/abc",
        "title": "",
        "language": "de",
        "ready": "loading",
        "controls": [
            {"id": 1, "role": "button", "name": "Jetzt teilnehmen", "dialog": 0, "enabled": True, "pressed": "true"},
            {"id": 2, "role": "textbox", "name": "Mein Name", "dialog": 0, "enabled": True, "pressed": "", "filled": True},
        ],
        "texts": ["Bereit?"],
        "loud": [{"id": 3, "role": "alert", "name": "", "text": "Achtung"}],
        "regions": [{"role": "region", "name": "Untertitel", "blocks": [{"id": 5, "label": "", "leaves": ["Ana", "ja"]}]}],
    }  # fmt: skip
    look = parse_look(json.dumps(seen))

    assert (look.language, look.ready, look.where) == ("de", False, Where.DOOR)
    assert [shown.filled for shown in look.all(Control.NAME)] == [True]
    assert look.door is not None
    assert look.door.pressed
    assert look.announced == (Announced(3, "alert", "", "Achtung"),)
    assert look.captions is not None
    assert look.captions[0].text == "ja"
