"""The meeting page's socket: what a page may say, what hostile ones can't do, who is where."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from locum.rehearsal.meet import Consent, Guests, JoinButton, Lobby, Phase
from locum.rehearsal.meet.protocol import LARGEST_FRAME
from locum.rehearsal.rooms import RoomStep, StepKind
from tests.contract.meet_page_rig import ROOM, Scene, Talker, a_scene, a_talker

GUEST = {"name": "Robin", "microphone": True, "camera": True}
OPEN = {"guests": Guests.OPEN}


@pytest.fixture(name="scene")
def _scene() -> Iterator[Scene]:
    with a_scene() as scene:
        yield scene


def _play(scene: Scene, play: Callable[[Talker], Awaitable[None]], **options: Any) -> None:
    """Let one talker do something, from a socket of its own."""

    async def run() -> None:
        async with a_talker(scene, **options) as talker:
            await play(talker)

    asyncio.run(run())


# ── the way in ───────────────────────────────────────────────────────────────────────────────


def test_a_guest_waits_until_somebody_opens(scene: Scene) -> None:
    """Nothing but the admission brings one in, and the rooms know of nobody before."""
    scene.begin(lobby_after=timedelta(seconds=5))

    async def play(guest: Talker) -> None:
        await guest.say("hello", room=ROOM)
        welcome = await guest.hear("welcome")
        assert welcome["door"] == {
            "refused": None,
            "button": "ask_to_join",
            "name_field": True,
            "modals": [],
        }
        await guest.say("knock", **GUEST)
        await guest.hear("lobby")
        assert [visit.name for visit in scene.rooms.present(ROOM)] == ["Dana Reyes"]
        scene.later(5)
        admitted = await guest.hear("admitted")
        roster = await guest.hear("roster")
        mine = next(one for one in roster["people"] if one["id"] == admitted["id"])
        assert (mine["name"], mine["host"], mine["muted"]) == ("Robin", False, False)

    _play(scene, play)
    visit = scene.rooms.visits(ROOM)[-1]
    assert (visit.name, visit.is_bot) == ("Robin", True)


@pytest.mark.parametrize(
    ("settings", "seconds", "why"),
    [
        ({"lobby": Lobby.DENY}, 1, "denied"),
        ({"lobby": Lobby.IGNORE}, 600, "unanswered"),
        ({"guests": Guests.BLOCKED}, 0, "blocked"),
        ({"guests": Guests.SIGN_IN}, 0, "sign_in"),
        ({"unknown_rooms": (ROOM,)}, 0, "unknown"),
        ({"expired_rooms": (ROOM,)}, 0, "expired"),
        ({"full_at": 1}, 0, "full"),
    ],
)
def test_each_refusal_has_its_word(
    scene: Scene, settings: dict[str, Any], seconds: float, why: str
) -> None:
    """A refusal is final: nothing that is said afterwards changes it, and nobody was in."""
    scene.begin(**settings)

    async def play(guest: Talker) -> None:
        await guest.say("hello", room=ROOM)
        await guest.hear("welcome")
        await guest.say("knock", **GUEST)
        if seconds:
            await guest.hear("lobby")
            scene.later(seconds)
        assert (await guest.hear("refused"))["why"] == why
        await guest.say("knock", **GUEST)
        await guest.hear("error")

    _play(scene, play)
    assert [visit.name for visit in scene.rooms.visits(ROOM)] == ["Dana Reyes"]
    (gone,) = scene.stage.participants(ROOM, gone=True)
    assert (gone.phase, gone.why_out) == (Phase.OUT, why)


def test_after_the_end_for_all_nobody_comes_in(scene: Scene) -> None:
    """Neither who was in, nor who waits, nor who comes later."""
    scene.begin(lobby=Lobby.IGNORE)

    async def play(waiting: Talker) -> None:
        await waiting.say("hello", room=ROOM)
        await waiting.say("knock", **GUEST)
        await waiting.hear("lobby")
        scene.stage.end(ROOM, by="Dana Reyes")
        assert (await waiting.hear("refused"))["why"] == "ended"
        async with a_talker(scene) as late:
            assert (await late.enter("Late"))["why"] == "ended"

    _play(scene, play)


def test_consent_is_asked_before_one_is_in(scene: Scene) -> None:
    """Who doesn't agree was never in the room; who does, is."""
    scene.begin(**OPEN, consents=(Consent.RECORDED, Consent.NOTES))

    async def play(guest: Talker) -> None:
        for accept in (False, True):
            async with a_talker(scene) as other:
                await other.say("hello", room=ROOM)
                await other.say("knock", **GUEST)
                asked = await other.hear("consent")
                assert (asked["kinds"], asked["entering"]) == (["recorded", "notes"], True)
                assert len(scene.rooms.present(ROOM)) == 1
                await other.say("consent", accept=accept)
                await other.hear("admitted" if accept else "left")

    _play(scene, play)
    assert [visit.name for visit in scene.rooms.visits(ROOM)] == ["Dana Reyes", "Robin"]


def test_an_observer_walks_in_and_counts_as_a_person(scene: Scene) -> None:
    """Whoever measures is no second stand-in, and is not removed with the bots."""

    async def play(observer: Talker) -> None:
        await observer.enter("Observer", observer=True)
        scene.rooms.remove_bots(ROOM)
        await observer.say("ping")
        await observer.hear("pong")

    _play(scene, play)
    assert [visit.is_bot for visit in scene.rooms.visits(ROOM)] == [False, False]
    assert scene.rooms.peak_bots() == 0


def test_two_bots_in_one_room_are_noticed(scene: Scene) -> None:
    """The rooms count those of the page as they count PikaStream's."""
    scene.begin(**OPEN)
    scene.rooms.let_in(ROOM, "A PikaStream bot")

    async def play(guest: Talker) -> None:
        await guest.enter("Robin")

    _play(scene, play)
    assert scene.rooms.peak_bots() == 2


def test_a_room_can_have_settings_of_its_own(scene: Scene) -> None:
    """What is changed for one room is not changed for another; nonsense changes nothing."""
    scene.stage.set_settings("xyz-wxyz-xyz", guests=Guests.BLOCKED)
    assert scene.stage.settings("xyz-wxyz-xyz").guests is Guests.BLOCKED
    assert scene.stage.settings(ROOM).guests is Guests.ASK
    with pytest.raises(ValueError, match="generation must be 1 or 2"):
        scene.stage.set_settings("xyz-wxyz-xyz", generation=3)
    with pytest.raises(TypeError):
        scene.stage.set_settings(gusets=Guests.OPEN)


# ── in the call ──────────────────────────────────────────────────────────────────────────────


def test_what_people_do_in_the_rooms_is_told_at_the_page(scene: Scene) -> None:
    """Chat, hands, a mute, a wish to unmute and the removal arrive, each with its author."""
    scene.begin(**OPEN)
    at = scene.clock.now() + timedelta(seconds=1)
    kinds = (StepKind.WRITE, StepKind.RAISE_HAND, StepKind.MUTE_BOTS, StepKind.ASK_UNMUTE)
    steps = [RoomStep(at, ROOM, kind, "Dana Reyes", "hello") for kind in kinds]

    async def play(guest: Talker) -> None:
        await guest.enter("Robin")
        scene.rooms.expect(steps)
        scene.later(1)
        chat = await guest.hear("chat")
        assert (chat["name"], chat["text"]) == ("Dana Reyes", "hello")
        assert (await guest.hear("mute"))["by"] == "Dana Reyes"
        assert (await guest.hear("unmute"))["by"] == "Dana Reyes"
        rosters = [one["people"] for one in guest.heard if one["type"] == "roster"]
        dana, robin = rosters[-1]
        assert (dana["hand"], dana["host"], robin["muted"]) == (True, True, True)
        scene.rooms.remove_bots(ROOM)
        await guest.hear("removed")

    _play(scene, play)
    assert scene.rooms.visits(ROOM)[-1].why_out == "removed"


def test_a_person_of_a_scenario_admits_and_denies(scene: Scene) -> None:
    """By name nobody is let in but by those who are in the room."""
    scene.begin(lobby=Lobby.IGNORE)

    async def play(guest: Talker) -> None:
        await guest.say("hello", room=ROOM)
        await guest.say("knock", **GUEST)
        await guest.hear("lobby")
        scene.rooms.act(StepKind.ADMIT, ROOM, "somebody outside")
        scene.rooms.act(StepKind.DENY, ROOM, "Dana Reyes")
        assert (await guest.hear("refused", "admitted"))["why"] == "denied"

    _play(scene, play)


def test_what_is_written_is_in_the_rooms_log(scene: Scene) -> None:
    """As whoever wrote it, also where another has the same name; markup is text."""
    scene.begin(**OPEN)
    text = "<img src=x onerror=alert(1)> & so on"

    async def play(guest: Talker) -> None:
        await guest.enter("Robin")
        await guest.say("chat", text=text)
        await guest.say("chat", text="   ")
        await guest.hear("error")

    _play(scene, play)
    (wrote,) = [event for event in scene.rooms.log() if event.kind == "wrote"]
    assert (wrote.name, wrote.text) == ("Robin", text)
    assert wrote.visit == scene.rooms.visits(ROOM)[-1].id
    assert [line.text for line in scene.stage.chat(ROOM)] == [text]


def test_captions_are_revised_until_they_are_final(scene: Scene) -> None:
    """Only who has switched them on reads them, and the last revision is what was said."""
    scene.begin(**OPEN)
    said = "Decided: Brixham and Whitby on Thursday."

    async def play(guest: Talker) -> None:
        await guest.enter("Robin")
        scene.rooms.say(ROOM, "Dana Reyes", "Nobody reads this.")
        scene.later(5)
        await guest.say("captions", on=True)
        await guest.say("ping")
        await guest.hear("pong")
        scene.rooms.say(ROOM, "Dana Reyes", said)
        lines = []
        for pause in (0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.5):
            scene.later(pause)
            lines.append(await guest.hear("caption"))
        assert [line["final"] for line in lines] == [False] * 6 + [True]
        assert {line["name"] for line in lines} == {"Dana Reyes"}
        assert len({line["line"] for line in lines}) == 1
        assert lines[-1]["text"] == said
        assert not any(said.startswith(line["text"]) for line in lines[:-1])
        assert not any(line["type"] == "caption" and "Nobody" in line["text"] for line in lines)

    _play(scene, play)


# ── connections that drop ────────────────────────────────────────────────────────────────────


def test_who_drops_keeps_the_place_for_a_while(scene: Scene) -> None:
    """The same participant comes back; the others saw no one leave."""
    scene.begin(**OPEN)

    async def play(guest: Talker) -> None:
        first = await guest.enter("Robin")
        resume = guest.heard[0]["resume"]
        scene.stage.drop(ROOM)
        assert await guest.is_cut()
        scene.later(9)
        async with a_talker(scene) as again:
            await again.say("hello", room=ROOM, resume=resume)
            assert (await again.hear("admitted", "welcome"))["id"] == first["id"]

    _play(scene, play)
    assert "left" not in [event.kind for event in scene.rooms.log()]


def test_who_stays_away_is_out_from_the_instant_of_the_drop(scene: Scene) -> None:
    """So that one who comes back as a stranger was never twice in the room."""
    scene.begin(**OPEN)

    async def play(guest: Talker) -> None:
        await guest.enter("Robin")
        resume = guest.heard[0]["resume"]
        dropped_at = scene.clock.now()
        scene.stage.drop(ROOM)
        scene.later(5)
        async with a_talker(scene) as stranger:
            await stranger.enter("Robin")
            scene.later(5)
            assert len(scene.inside()) == 1
            assert scene.rooms.visits(ROOM)[1].left_at == dropped_at
            async with a_talker(scene) as late:
                await late.say("hello", room=ROOM, resume=resume)
                await late.hear("left")

    _play(scene, play)
    assert scene.rooms.peak_bots() == 1


def test_who_was_removed_meanwhile_is_told_so(scene: Scene) -> None:
    """A page that comes back too late learns how it ended, not that it is a stranger."""
    scene.begin(**OPEN)

    async def play(guest: Talker) -> None:
        await guest.enter("Robin")
        resume = guest.heard[0]["resume"]
        scene.stage.drop(ROOM)
        scene.stage.remove(ROOM)
        async with a_talker(scene) as again:
            await again.say("hello", room=ROOM, resume=resume)
            await again.hear("removed")

    _play(scene, play)


def test_an_account_in_two_browsers_is_there_once(scene: Scene) -> None:
    """The button "Switch here" puts the first one out; "Join here too" doesn't."""
    scene.stage.invite("robin@example.com", ROOM, name="Robin")
    cookie = scene.stage.sign_in("robin@example.com", "stage")
    signed_in = {"additional_headers": {"Cookie": f"SID={cookie}"}}

    async def play(first: Talker) -> None:
        await first.enter("ignored")
        async with a_talker(scene, **signed_in) as second:
            await second.enter("ignored")
            assert second.heard[0]["door"]["button"] == "switch_here"
            await first.hear("replaced")
            assert len(scene.inside()) == 1
            scene.stage.set_settings(join_button=JoinButton.JOIN_HERE_TOO)
            async with a_talker(scene, **signed_in) as third:
                await third.enter("ignored")
                assert [one.name for one in scene.inside()] == ["Robin", "Robin"]

    _play(scene, play, **signed_in)


# ── hostile pages ────────────────────────────────────────────────────────────────────────────

_NONSENSE = [
    "",
    "null",
    "[]",
    "{}",
    "\x00" * 100,
    "[" * 50_000,
    '{"type": "chat"}',
    '{"type": ["chat"], "text": "x"}',
    '{"type": "chat", "text": 5}',
    '{"type": "chat", "text": "' + "x" * 501 + '"}',
    '{"type": "microphone", "on": "yes"}',
    '{"type": "admit", "room": "abc-defg-hij"}',
    '{"type": "admitted", "id": "spaces/abc-defg-hij/devices/1"}',
    '{"type": "hello", "room": "../../etc"}',
    '{"type": "hello", "room": "abc-defg-hij"}',
    '{"type": "knock", "microphone": true, "camera": true, "name": "Eve"}',
    '{"type": "consent", "accept": 1}',
    '{"type": "offer", "sdp": ""}',
    '{"type": "hand", "up": ' + "9" * 5_000 + "}",
]


def test_nonsense_is_answered_and_changes_nothing(scene: Scene) -> None:
    """Whatever it is and whenever it comes, it hurts neither its sender nor the others."""
    scene.begin(**OPEN)

    async def play(eve: Talker) -> None:
        await eve.enter("Eve")
        async with a_talker(scene) as robin:
            await robin.enter("Robin")
            before = scene.stage.participants(ROOM)
            frames: tuple[str | bytes, ...] = (*_NONSENSE, b"\xff\xfe")
            for frame in frames:
                await eve.socket.send(frame)
                await eve.hear("error")
            assert scene.stage.participants(ROOM) == before
            await robin.say("ping")
            await robin.hear("pong")

    _play(scene, play)


def test_nothing_is_done_before_it_is_time(scene: Scene) -> None:
    """At the door, and in the lobby, nobody can write, speak, listen or agree."""
    scene.begin(lobby=Lobby.IGNORE)
    early: list[tuple[str, dict[str, Any]]] = [
        ("chat", {"text": "hello"}),
        ("offer", {"sdp": "v=0"}),
        ("captions", {"on": True}),
        ("hand", {"up": True}),
        ("consent", {"accept": True}),
    ]

    async def play(eve: Talker) -> None:
        await eve.say("chat", text="before the hello")
        await eve.hear("error")
        await eve.say("hello", room=ROOM)
        for knock in (False, True):
            if knock:
                await eve.say("knock", **GUEST)
                await eve.hear("lobby")
                await eve.say("knock", **GUEST)
                await eve.hear("error")
            for kind, message in early:
                await eve.say(kind, **message)
                await eve.hear("error")

    _play(scene, play)
    assert [visit.name for visit in scene.rooms.visits(ROOM)] == ["Dana Reyes"]
    assert scene.stage.chat(ROOM) == ()


def test_nobody_acts_as_another(scene: Scene) -> None:
    """An id or a name in a message is not looked at; a place can't be guessed or borrowed."""
    scene.begin(**OPEN)

    async def play(eve: Talker) -> None:
        async with a_talker(scene) as robin:
            robins = await robin.enter("Robin")
            await eve.enter("Eve")
            await eve.say("chat", text="I am Robin", id=robins["id"], name="Robin")
            assert (await robin.hear("chat"))["name"] == "Eve"
            await eve.say("microphone", on=False, id=robins["id"])
            await eve.say("leave", id=robins["id"])
            await eve.hear("left")
            assert [(one.name, one.microphone) for one in scene.inside()] == [("Robin", True)]
            for resume in (robins["id"], "", "x" * 64):
                async with a_talker(scene) as guess:
                    await guess.say("hello", room=ROOM, resume=resume)
                    await guess.hear("welcome")
            async with a_talker(scene) as elsewhere:
                mine = robin.heard[0]["resume"]
                await elsewhere.say("hello", room="xyz-wxyz-xyz", resume=mine)
                await elsewhere.hear("welcome")
            await robin.say("ping")
            await robin.hear("pong")

    _play(scene, play)


def test_what_is_too_large_or_too_fast_is_cut_off(scene: Scene) -> None:
    """Its sender alone loses the connection."""
    scene.begin(**OPEN)
    floods: list[list[str]] = [
        ["x" * (LARGEST_FRAME + 1)],
        ["x" * (5 * LARGEST_FRAME)],
        [json.dumps({"type": "ping"})] * 1_000,
    ]

    async def play(robin: Talker) -> None:
        await robin.enter("Robin")
        for flood in floods:
            async with a_talker(scene) as eve:
                await eve.enter("Eve")
                try:
                    for frame in flood:
                        await eve.socket.send(frame)
                except ConnectionClosed:
                    pass
                assert await eve.is_cut()
        await robin.say("ping")
        await robin.hear("pong")

    _play(scene, play)


def test_a_crowd_at_the_door_is_turned_away(scene: Scene) -> None:
    """The hundred-and-first connection to one room is closed, and the first is served."""

    async def play(first: Talker) -> None:
        await first.say("hello", room=ROOM)
        await first.hear("welcome")
        others = [a_talker(scene) for _ in range(99)]
        for other in others:
            talker = await other.__aenter__()
            await talker.say("hello", room=ROOM)
            await talker.hear("welcome")
        async with a_talker(scene) as one_more:
            await one_more.say("hello", room=ROOM)
            assert await one_more.is_cut()
        for other in others:
            await other.__aexit__(None, None, None)
        await first.say("ping")
        await first.hear("pong")

    _play(scene, play)


def test_pages_of_other_sites_are_refused(scene: Scene) -> None:
    """A browser says where a page is from; only this one's own may speak."""

    async def play(_: Talker) -> None:
        raise AssertionError("it was let in")

    with pytest.raises(InvalidStatus):
        _play(scene, play, origin="https://evil.example")


def test_many_rooms_cost_little(scene: Scene) -> None:
    """A thousand codes, one after the other, leave nothing behind, and don't slow the rest."""

    async def play(eve: Talker) -> None:
        await eve.say("hello", room=ROOM)
        await eve.hear("welcome")

    _play(scene, play)
    began = time.process_time()
    for number in range(3_000):
        scene.stage.chat(f"abc-defg-{number:03}")
    assert len(scene.stage.participants(ROOM)) in {0, 1}
    assert time.process_time() - began < 30
