"""The page driver against the stage's Meet, in one browser: doors, lobbies, calls, and ways out.

Each way is gone in both generations of the page and in three languages, side by side in tabs.
All texts in all languages are held to the same meanings without a browser, below.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
pytest.importorskip("websockets")

from playwright.async_api import BrowserContext

from locum.clock import SystemClock
from locum.engines.chromium import texts
from locum.engines.chromium.browser import BrowserSettings, launched
from locum.engines.chromium.entering import Doorman, Manners
from locum.engines.chromium.hand import raise_hand
from locum.engines.chromium.looks import Look, Where
from locum.engines.chromium.media import MediaProof
from locum.engines.chromium.meetpage import MeetPage
from locum.engines.chromium.presence import Presence
from locum.engines.chromium.texts import Control, Screen, is_called
from locum.engines.chromium.verdicts import EndedError, Verdict
from locum.engines.chromium.writing import write
from locum.errors import PermanentError, TransientError
from locum.ports import HandRaised, Said, SessionEvent, Waiting
from locum.rehearsal.meet import (
    Composer,
    Consent,
    Guests,
    JoinButton,
    Lobby,
    LobbyText,
    MeetStage,
    Modal,
    PageSettings,
)
from locum.rehearsal.meet.serving import served_meet
from locum.rehearsal.rooms import Rooms, StepKind
from tests import needs

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("chromium_driver"), needs.chromium]

NAME = "Robin (AI stand-in for Ada)"
WAYS = (((1, "en"), (2, "de"), (1, "fr")), ((2, "en"), (1, "de"), (2, "fr")))
"""Taken in turns: both generations and all languages each time, and all pairs every other."""

TABS = 3
LONG = 60.0


class NoMedia:
    """A page without connections: what it proves is nothing."""

    async def proof(self) -> MediaProof:
        raise TransientError("There are no connections here.")


@dataclass
class Visit:
    """One tab at a room, and what came of it."""

    page: MeetPage
    doorman: Doorman
    notes: list[str]
    room: str
    events: list[SessionEvent] = field(default_factory=list)

    async def enter(self) -> Look | Verdict:
        try:
            return await self.doorman.enter()
        except EndedError as error:
            return error.verdict

    def presence(self, *, admitted: bool = False, patience_s: float = LONG) -> Presence:
        clock = SystemClock()
        return Presence(
            page=self.page,
            media=NoMedia(),
            clock=clock,
            manners=self.doorman.manners,
            admit_by=clock.now() + timedelta(seconds=patience_s),
            note=self.notes.append,
            emit=self.events.append,
            admitted=admitted,
        )

    async def follow(self, *, admitted: bool = False, patience_s: float = LONG) -> Verdict:
        try:
            await self.presence(admitted=admitted, patience_s=patience_s).run()
        except EndedError as error:
            return error.verdict
        raise AssertionError("It ended without a verdict.")


@dataclass
class Theatre:
    """The stage, and the browser that visits it."""

    stage: MeetStage
    rooms: Rooms
    context: BrowserContext
    url: str
    _count: int = 0
    _turn: int = 0

    async def visit(
        self, *, locale: str = "en", manners: Manners | None = None, **settings: Any
    ) -> Visit:
        """Open a new room's page in a new tab."""
        self._count += 1
        letters = "".join(chr(97 + int(digit)) for digit in f"{self._count:04d}")
        room = f"abc-{letters}-xyz"
        self.stage.set_settings(room, **settings)
        page, notes = MeetPage(await self.context.new_page()), list[str]()
        await page.open(f"{self.url}/{room}?hl={locale}")
        doorman = Doorman(page, manners or Manners(NAME), notes.append)
        return Visit(page, doorman, notes, room)

    async def each(
        self, go: Callable[[Visit], Awaitable[Any]], *several: dict[str, Any], **settings: Any
    ) -> list[Any]:
        """Do the same side by side, in both generations and all languages.

        Of `several` settings each tab has the next.
        """
        ways = WAYS[self._turn % 2]
        self._turn += 1

        async def one(number: int, generation: int, locale: str) -> Any:
            own = several[number % len(several)] if several else {}
            changes = {"generation": generation, **settings, **own}
            visit = await self.visit(locale=locale, **changes)
            return await asyncio.wait_for(go(visit), LONG)

        # Each to its end: what goes on in one tab would be met in the next test.
        answers = await asyncio.gather(
            *(one(n, *way) for n, way in enumerate(ways)), return_exceptions=True
        )
        for failure in (each for each in answers if isinstance(each, BaseException)):
            raise failure
        return answers


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[MeetStage, Rooms, str]]:
    clock = SystemClock()
    rooms = Rooms(now=clock.now)
    settings = PageSettings(lobby_after=timedelta(seconds=0.2))
    stage = MeetStage(now=clock.now, rooms=rooms, settings=settings)
    with served_meet(stage, media=False) as server:
        yield stage, rooms, server.base_url


@pytest.fixture(scope="module")
async def whole_theatre(
    served: tuple[MeetStage, Rooms, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Theatre]:
    stage, rooms, url = served
    settings = BrowserSettings(sandbox=os.geteuid() != 0, width=640, height=360)
    folder: Path = tmp_path_factory.mktemp("profile")
    async with launched(settings, folder, origin=url) as context:
        yield Theatre(stage, rooms, context, url)


@pytest.fixture
async def theatre(whole_theatre: Theatre) -> AsyncIterator[Theatre]:
    """Lend the theatre to one test, and close its tabs afterwards."""
    yield whole_theatre
    for page in whole_theatre.context.pages:
        await page.close()


async def enter(visit: Visit) -> Look | Verdict:
    return await visit.enter()


# ── at the door ──────────────────────────────────────────────────────────────────────────


async def test_door_that_is_shut_says_why(theatre: Theatre) -> None:
    """Nobody knocks there, and nobody is put out of the call by us."""
    shut: dict[Verdict, dict[str, Any]] = {
        Verdict.BLOCKED: {"guests": Guests.BLOCKED},
        Verdict.SIGN_IN: {"guests": Guests.SIGN_IN},
        Verdict.IN_ALREADY: {"join_button": JoinButton.SWITCH_HERE},
    }
    assert await theatre.each(enter, *shut.values()) == list(shut)


async def test_code_that_leads_nowhere_is_given_up(theatre: Theatre) -> None:
    """It won't come to be one by trying again; nor does another device's place come free."""
    codes = tuple(f"abc-aa{chr(97 + n)}{chr(97 + m)}-xyz" for n in range(10) for m in range(10))
    nowhere: dict[Verdict, dict[str, Any]] = {
        Verdict.UNKNOWN_CODE: {"unknown_rooms": codes},
        Verdict.EXPIRED: {"expired_rooms": codes},
        Verdict.IN_ALREADY: {"join_button": JoinButton.JOIN_HERE_TOO},
    }
    assert await theatre.each(enter, *nowhere.values()) == list(nowhere)


async def test_whatever_lies_before_the_door_is_dealt_with(theatre: Theatre) -> None:
    """Three modals, a name field, a button that says more than it shows; then a lobby."""
    settings = {
        "modals": tuple(Modal),
        "join_button": JoinButton.WITHOUT_CAMERA,
        "lobby": Lobby.IGNORE,
    }

    async def knock(visit: Visit) -> tuple[Any, ...]:
        look = await visit.enter()
        assert isinstance(look, Look)
        [seen] = theatre.stage.participants(visit.room)
        return look.where, seen.name, seen.microphone, seen.camera

    found = await theatre.each(knock, **settings)
    assert found == [(Where.LOBBY, NAME, True, True)] * TABS


async def test_every_button_that_joins_is_pressed(theatre: Theatre) -> None:
    """One word or another."""
    buttons = (JoinButton.JOIN_NOW, JoinButton.ASK_ANYWAY, JoinButton.JOIN_THE_CALL_NOW)
    several = ({"join_button": button} for button in buttons)
    found = await theatre.each(enter, *several, guests=Guests.OPEN)

    assert {look.where for look in found} == {Where.IN_CALL}


async def test_our_own_ghost_is_joined_beside(theatre: Theatre) -> None:
    """It is our dead browser's place, so that nobody is there twice."""
    visit = await theatre.visit(
        join_button=JoinButton.JOIN_HERE_TOO,
        guests=Guests.OPEN,
        manners=Manners(NAME, was_here=True),
    )
    look = await visit.enter()

    assert isinstance(look, Look)
    assert look.where is Where.IN_CALL


# ── in the lobby ─────────────────────────────────────────────────────────────────────────


async def wait_in_lobby(visit: Visit) -> Verdict:
    found = await visit.enter()
    return found if isinstance(found, Verdict) else await visit.follow()


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({"lobby": Lobby.DENY}, Verdict.DENIED),
        ({"lobby": Lobby.IGNORE, "answer_within": timedelta(seconds=1)}, Verdict.NO_ANSWER),
    ],
    ids=["denied", "unanswered"],
)
async def test_lobby_ends_as_it_is_answered(
    theatre: Theatre, settings: dict[str, Any], verdict: Verdict
) -> None:
    """Denied is no "nobody answered": only after one of them may one knock again."""
    assert set(await theatre.each(wait_in_lobby, **settings)) == {verdict}


async def test_lobby_is_waited_in_until_the_time_is_up(theatre: Theatre) -> None:
    """It looks much like the call, and is never told as one, whatever its words are."""

    async def wait(visit: Visit) -> tuple[Verdict, list[type[SessionEvent]]]:
        await visit.enter()
        verdict = await visit.follow(patience_s=1.5)
        return verdict, [type(event) for event in visit.events]

    several = ({"lobby_text": text} for text in LobbyText)
    found = await theatre.each(wait, *several, lobby=Lobby.IGNORE)
    assert found == [(Verdict.NOT_IN_TIME, [Waiting])] * TABS


async def test_full_meeting_is_tried_again_later(theatre: Theatre) -> None:
    """Somebody may leave."""
    visit = await theatre.visit(guests=Guests.OPEN, full_at=1)
    theatre.rooms.enter(visit.room, "Ana Example")

    assert await visit.enter() is Verdict.FULL


# ── in the call ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("end", "verdict"),
    [("remove", Verdict.REMOVED), ("end", Verdict.ENDED)],
)
async def test_call_ends_as_somebody_ended_it(
    theatre: Theatre, end: str, verdict: Verdict
) -> None:
    """Put out is no meeting's end: one never comes back from it."""

    async def be_in(visit: Visit) -> Verdict:
        look = await visit.enter()
        assert isinstance(look, Look)
        getattr(theatre.stage, end)(visit.room)
        return await visit.follow(admitted=True)

    assert set(await theatre.each(be_in, guests=Guests.OPEN)) == {verdict}


async def test_call_without_picture_and_sound_is_not_called_joined(theatre: Theatre) -> None:
    """The page shows a call, the roster names us, and yet nothing goes out."""
    visit = await theatre.visit(guests=Guests.OPEN)
    await visit.enter()
    assert await visit.follow(patience_s=3.0) is Verdict.NOT_IN_TIME

    details = [event.detail for event in visit.events if isinstance(event, Waiting)]
    assert details
    assert all("haven't been seen going out" in detail for detail in details)
    assert "roster" not in details[-1]


async def test_recording_is_agreed_to_and_noted(theatre: Theatre) -> None:
    """In every language; in the record stands what it was."""

    async def agree(visit: Visit) -> tuple[bool, bool]:
        look = await visit.enter()
        presence = visit.presence(admitted=True)
        following = asyncio.ensure_future(presence.run())
        try:
            await until(
                lambda: presence.last is not None and presence.last.where is Where.IN_CALL
            )
        finally:
            following.cancel()
        return isinstance(look, Look), "recorded and transcribed" in visit.notes[0]

    consents = (Consent.RECORDED, Consent.TRANSCRIBED)
    found = await theatre.each(agree, guests=Guests.OPEN, consents=consents)
    assert found == [(True, True)] * TABS


async def test_recording_that_isnt_agreed_to_keeps_us_out(theatre: Theatre) -> None:
    """Where the owner says so: we go, and don't press the button."""
    visit = await theatre.visit(
        guests=Guests.OPEN,
        consents=(Consent.NOTES,),
        manners=Manners(NAME, accept_recording=False),
    )
    entered = await visit.enter()
    verdict = entered if isinstance(entered, Verdict) else await visit.follow()

    assert verdict is Verdict.NOT_AGREED
    kinds = [each.kind for each in theatre.stage.happenings(visit.room)]
    assert "entered" not in kinds


async def test_message_is_written_wherever_the_page_has_its_field(theatre: Theatre) -> None:
    """Seen in the chat, and once even if it is written twice."""
    text = 'Hello, I am Robin <b>"here"</b>.'

    async def say(visit: Visit) -> list[str]:
        await visit.enter()
        for _ in range(2):
            await write(visit.page, text, lambda _: None)
        return [line.text for line in theatre.stage.chat(visit.room)]

    kinds = (Composer.TEXTAREA, Composer.EDITABLE, Composer.NESTED)
    several = ({"composer": kind} for kind in kinds)
    found = await theatre.each(say, *several, guests=Guests.OPEN)
    assert found == [[text]] * TABS


async def test_account_that_is_signed_out_comes_as_a_guest(theatre: Theatre) -> None:
    """Better there as a guest than nowhere; the record says so, once, and what to do."""
    manners = Manners(NAME, account="work")
    visit = await theatre.visit(manners=manners, guests=Guests.OPEN)
    await visit.enter()

    [note] = visit.notes
    assert "isn't signed in as work" in note
    assert "locum meet login work" in note


async def test_room_without_a_chat_for_us_says_so(theatre: Theatre) -> None:
    """The host has switched it off: that won't pass by trying."""
    visit = await theatre.visit(guests=Guests.OPEN, composer=Composer.OFF)
    await visit.enter()

    with pytest.raises(PermanentError, match="takes no messages"):
        await write(visit.page, "Hello", lambda _: None)


async def _written(page: MeetPage, text: str, read_chat: Callable[[Any], None]) -> None:
    """Write as often as it takes, as whoever posts does: nothing is written twice."""
    for _ in range(3):
        with contextlib.suppress(TransientError):
            await write(page, text, read_chat)
            return
    await write(page, text, read_chat)


async def test_what_others_say_and_write_is_told_once(theatre: Theatre) -> None:
    """Captions when they are final, the chat at once, and never our own."""

    async def listen(visit: Visit) -> list[tuple[str, str, bool]]:
        theatre.rooms.enter(visit.room, "Ana Example")
        await visit.enter()
        presence = visit.presence(admitted=True)
        following = asyncio.ensure_future(presence.run())
        try:
            await until(lambda: any(s.captions for s in theatre.stage.participants(visit.room)))
            theatre.rooms.say(visit.room, "Ana Example", "Shall we begin?")
            async with presence.acting:
                await _written(visit.page, "Here I am.", presence.read_chat)
            await until(lambda: len(said(visit)) == 1)
        finally:
            following.cancel()
        return [(each.speaker, each.text, each.in_chat) for each in said(visit)]

    found = await theatre.each(listen, guests=Guests.OPEN)
    assert found == [[("Ana Example", "Shall we begin?", False)]] * TABS


async def test_hands_are_raised_and_seen(theatre: Theatre) -> None:
    """Ours by the button, as often as one likes; another's told once, with the name."""

    async def raise_hands(visit: Visit) -> tuple[list[str], list[str]]:
        theatre.rooms.enter(visit.room, "Ana Example")
        await visit.enter()
        presence = visit.presence(admitted=True)
        following = asyncio.ensure_future(presence.run())
        try:
            await until(lambda: presence.last is not None and presence.last.people is not None)
            for up in (True, True, False):
                async with presence.acting:
                    await raise_hand(visit.page, up=up)
            theatre.rooms.act(StepKind.RAISE_HAND, visit.room, "Ana Example")
            await until(lambda: any(isinstance(each, HandRaised) for each in visit.events))
        finally:
            following.cancel()
        happened = theatre.stage.happenings(visit.room)
        ours = [each.text for each in happened if each.kind == "hand"]
        return ours, [each.speaker for each in visit.events if isinstance(each, HandRaised)]

    found = await theatre.each(raise_hands, guests=Guests.OPEN)
    assert found == [(["up", "down"], ["Ana Example"])] * TABS


async def test_muted_by_a_host_we_stay_silent_until_a_host_asks(theatre: Theatre) -> None:
    """Nobody is talked over; both stand in the record."""

    async def be_muted(visit: Visit) -> list[bool]:
        await visit.enter()
        presence = visit.presence(admitted=True)
        following = asyncio.ensure_future(presence.run())
        microphone = []
        try:
            await until(lambda: presence.last is not None and presence.last.people is not None)
            theatre.stage.mute(visit.room, by="Host")
            await until(lambda: any("Muted" in note for note in visit.notes))
            microphone.append(theatre.stage.participants(visit.room)[0].microphone)
            theatre.stage.ask_unmute(visit.room, by="Host")
            await until(lambda: theatre.stage.participants(visit.room)[0].microphone)
        finally:
            following.cancel()
        return [*microphone, any("Unmuted" in note for note in visit.notes)]

    found = await theatre.each(be_muted, guests=Guests.OPEN)
    assert found == [[False, True]] * TABS


def said(visit: Visit) -> list[Said]:
    return [event for event in visit.events if isinstance(event, Said)]


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is so that stays so."""

    async def wait() -> None:
        while not true():  # noqa: ASYNC110 - What is waited for tells nobody.
            await asyncio.sleep(0.05)

    await asyncio.wait_for(wait(), LONG)


# ── without a browser ────────────────────────────────────────────────────────────────────

CONTROLS = {
    "your_name": Control.NAME,
    "join_now": Control.JOIN,
    "join_anyway": Control.JOIN,
    "join_the_call_now": Control.JOIN,
    "ask_to_join": Control.ASK,
    "ask_to_join_anyway": Control.ASK,
    "ask_without_camera": Control.ASK,
    "join_here_too": Control.JOIN_TOO,
    "switch_here": Control.SWITCH,
    "mic_on": Control.MICROPHONE_ON,
    "mic_off": Control.MICROPHONE_OFF,
    "camera_on": Control.CAMERA_ON,
    "camera_off": Control.CAMERA_OFF,
    "use_devices": Control.USE_DEVICES,
    "got_it": Control.DISMISS,
    "dismiss": Control.DISMISS,
    "close": Control.DISMISS,
    "leave_call": Control.LEAVE,
    "home": Control.HOME,
    "rejoin": Control.REJOIN,
    "enter_code": Control.CODE,
    "chat": Control.CHAT,
    "chat_new": Control.CHAT,
    "send_message": Control.COMPOSER,
    "people": Control.PEOPLE,
    "people_count": Control.PEOPLE,
    "captions_on": Control.CAPTIONS_ON,
    "captions_off": Control.CAPTIONS_OFF,
    "unmute": Control.UNMUTE,
    "hand_up": Control.HAND_UP,
    "hand_down": Control.HAND_DOWN,
}
SCREENS = {
    "denied": Screen.DENIED,
    "unanswered": Screen.NO_ANSWER,
    "cant_join": Screen.BLOCKED,
    "sign_in_needed": Screen.SIGN_IN,
    "unknown": Screen.UNKNOWN_CODE,
    "expired": Screen.EXPIRED,
    "full": Screen.FULL,
    "removed": Screen.REMOVED,
    "ended": Screen.ENDED,
    "meeting_over": Screen.ENDED,
    "left": Screen.LEFT,
    "replaced": Screen.REPLACED,
    "asking_title": Screen.LOBBY,
    "asking_body": Screen.LOBBY,
    "brings_title": Screen.LOBBY,
    "admits_title": Screen.LOBBY,
}
SAYS_NOTHING = ("ready", "getting_ready", "devices_question", "nobody_here", "messages_hint")


@pytest.mark.parametrize("locale", ["en", "de", "fr"])
def test_every_text_of_the_stage_has_its_meaning(locale: str) -> None:
    """In all its languages: a driver that knows one of them only is lost in a profile's own."""
    place = importlib.resources.files("locum.rehearsal.meet") / "texts" / f"{locale}.json"
    shown: dict[str, str] = json.loads(place.read_text("utf-8"))
    named = {key: shown[key].replace("{count}", "3") for key in CONTROLS}

    assert {
        key for key, control in CONTROLS.items() if not is_called(named[key], control)
    } == set()
    assert {key: texts.screen_of([shown[key]]) for key in SCREENS} == SCREENS
    assert {texts.screen_of([shown[key]]) for key in SAYS_NOTHING} == {None}
    for part, names in (
        ("captions", texts.CAPTIONS_REGION),
        ("participants", texts.PARTICIPANTS_LIST),
        ("contributors", texts.PARTICIPANTS_LIST),
        ("messages", texts.MESSAGES_LIST),
        ("reconnecting", texts.RECONNECTING),
    ):
        assert texts.begins_with(shown[part], names), part
    assert texts.means_us(f"Ada {shown['you_brackets']}")
    assert texts.means_us(shown["you"])
