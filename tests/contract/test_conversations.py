"""A scenario's people react to whoever is in the room: by its sound and its chat alone.

The stand-in here is a socket at the stage's page, and a voice beside it that does what the test
says; no browser, but the rooms, their sound and the clock are real.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="the extra stage isn't installed")

from websockets.sync.client import ClientConnection, connect

from locum.rehearsal.conversing import Conversation
from locum.rehearsal.meet.media.people import Person
from locum.rehearsal.meet.meeting import participant_id
from locum.rehearsal.meet.voices import StageVoices
from locum.rehearsal.scenario import parse_scenario
from locum.rehearsal.stage import Stage
from tests.contract.meet_page_rig import until

pytestmark = [pytest.mark.timeout(90), pytest.mark.xdist_group("browser")]

ROOM = "abc-defg-hij"

_SCENARIO = """
title = "A small talk"
[owner]
email = "alex@example.com"
name = "Alex"
[page]
guests = "open"
[[events]]
id = "talk"
title = "Talk"
starts_at = 0
duration = 120
organizer = "dana@example.com"
meet = "abc-defg-hij"
[[people]]
name = "Dana"
room = "abc-defg-hij"
enters_at = 2
[talk]
room = "abc-defg-hij"
[[talk.lines]]
who = "Dana"
says = "We talk among us."
within = 0.6
[[talk.lines]]
who = "Dana"
says = "Robin?"
expect = "answers"
within = 3
[[talk.lines]]
who = "Dana"
after = "voice"
pause = 0.5
says = "Stop."
expect = "stops"
[[talk.lines]]
who = "Dana"
writes = "Where is it?"
expect = "writes"
"""


class _StandIn:
    """Somebody at the page with a voice."""

    def __init__(self, stage: Stage, voices: StageVoices, socket: ClientConnection) -> None:
        self._stage = stage
        self._voices = voices
        self._socket = socket
        self.write("hello", room=ROOM)
        self.write("knock", name="Robin", microphone=True, camera=True)
        until(lambda: bool(stage.meet.participants(ROOM)) and bool(self._id))
        adding = voices._room(ROOM).add_person(self._id)
        self.person: Person = voices._await(adding)
        self._ears = voices.overhear(ROOM)

    @property
    def _id(self) -> str:
        return self._stage.meet.participants(ROOM)[0].id

    def write(self, kind: str, **message: Any) -> None:
        self._socket.send(json.dumps({"type": kind, **message}))

    def nobody_speaks(self) -> bool:
        """Dana has said her second line."""
        dana = participant_id(ROOM, self._stage.rooms.present(ROOM)[-1].id)
        return len(self._ears.spans(dana)) > 1 and self._ears.silent_for(dana) > 0.3

    def say(self, text: str) -> None:
        """Speak until it is said."""
        self._voices._await(self.person.say(text))


def _heard(stage: Stage, text: str) -> Callable[[], bool]:
    return lambda: any(event.text == text for event in stage.rooms.log())


@contextmanager
def _talking() -> Iterator[tuple[Stage, _StandIn, Conversation]]:
    stage = Stage(parse_scenario(_SCENARIO.encode()))
    talk = stage.scenario.talk
    assert talk is not None
    with stage.open() as addresses:
        voices = stage.meet.sound
        assert isinstance(voices, StageVoices)
        address = addresses.meet.replace("http", "ws") + "/ws"
        with connect(address, max_size=2**22) as socket, stage.playing():
            stand_in = _StandIn(stage, voices, socket)
            until(lambda: len(stage.rooms.present(ROOM)) == 2)
            conversation = Conversation(stage, talk, lambda _: None)
            conversation.begin()
            yield stage, stand_in, conversation


def test_people_wait_for_what_the_stand_in_does() -> None:
    """Silence, an answer, a cut-in and a chat line are noted as the room got them."""
    with _talking() as (stage, stand_in, conversation):
        stand_in.say("I am Robin.")
        until(_heard(stage, "Robin?"))
        until(stand_in.nobody_speaks)
        # Longer than it takes until she cuts in; and it goes on regardless.
        stand_in.say("Yes, and this goes on for quite a while, whatever anybody says.")
        until(_heard(stage, "Where is it?"))
        stand_in.write("chat", text="There.")
        until(lambda: conversation.over)
        dialogue = conversation.finish()
    silent, answered, stopped, wrote = dialogue.exchanges
    assert (dialogue.problem, silent.after_s, silent.wrote) == ("", None, ())
    assert answered.after_s is not None
    assert 0 < answered.after_s < 3
    assert stopped.stopped_s is not None
    assert stopped.stopped_s > 1  # It didn't stop, and that is seen.
    assert wrote.wrote == ("There.",)
    assert stage.rooms.is_closed(ROOM)


def test_who_goes_ends_the_conversation() -> None:
    """It isn't waited for for ever, and the problem says what happened."""
    with _talking() as (_, stand_in, conversation):
        stand_in.write("leave")
        until(lambda: conversation.over)
        dialogue = conversation.finish()
    assert dialogue.exchanges == ()
    assert dialogue.problem == "the stand-in isn't in the room any more"
