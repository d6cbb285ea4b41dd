"""The stage's meeting page in a real browser, by role and name: both generations, three languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from locum.rehearsal.meet import (
    Composer,
    Consent,
    Guests,
    JoinButton,
    Lobby,
    LobbyText,
    Locale,
    Modal,
    Policy,
)
from locum.rehearsal.meet.app import texts
from locum.rehearsal.rooms import StepKind
from tests import needs
from tests.contract.meet_page_rig import ROOM, Scene, a_browser, a_page, a_scene, until

pytestmark = [pytest.mark.xdist_group("meet_page"), needs.chromium]

GENERATIONS = (1, 2)
OPEN = {"guests": Guests.OPEN}


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(name="scene", scope="module")
def _shared_scene() -> Iterator[Scene]:
    with a_scene() as scene:
        yield scene


@pytest.fixture(name="page")
def _page(browser: Browser) -> Iterator[Page]:
    with a_page(browser) as page:
        yield page


def _button(page: Page, name: str | re.Pattern[str]) -> Locator:
    return page.get_by_role("button", name=name)


def _join(page: Page, scene: Scene, name: str = "Robin", **settings: Any) -> None:
    """Come into the call as a guest, without a lobby."""
    scene.begin(**OPEN, **settings)
    page.goto(scene.page)
    page.get_by_role("textbox", name="Your name").fill(name)
    _button(page, "Join now").click()
    expect(_button(page, "Chat with everyone")).to_be_visible()


# ── a visit, from the door to the way out ────────────────────────────────────────────────────


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_guest_from_the_door_to_the_way_out(
    page: Page, scene: Scene, generation: int
) -> None:
    """Dialogs, name, lobby, call, chat, captions, hand, host's mute; all by role and name."""
    modals = (Modal.DEVICES, Modal.GOT_IT, Modal.SIGN_IN)
    scene.begin(generation=generation, lobby=Lobby.IGNORE, modals=modals)
    page.goto(f"{scene.page}?authuser=0&hl=en&pli=1")
    for answer in ("Use microphone and camera", "Got it", "Close"):
        page.get_by_role("dialog").get_by_role("button", name=answer).click()
    ask = _button(page, "Ask to join")
    expect(ask).to_be_disabled()
    page.get_by_role("textbox", name="Your name").fill("Robin <b>AI</b>")
    ask.click()
    expect(page.get_by_role("heading", name="Asking to be let in")).to_be_visible()
    _lobby_proves_nothing(page)
    assert scene.stage.admit(ROOM) == 1
    _chats(page, scene)
    _reads_captions(page, scene)
    _is_in_the_roster(page)
    _is_muted_by_the_host(page, scene)
    _switches_the_camera(page, scene)
    _button(page, "Leave call").click()
    expect(page.get_by_role("heading", name="You left the meeting")).to_be_visible()
    expect(_button(page, "Return to home screen")).to_be_visible()
    assert [event.kind for event in scene.rooms.log()][-1] == "left"


def _lobby_proves_nothing(page: Page) -> None:
    for name in ("Leave call", "Turn off microphone", "Turn off camera", "Return to home"):
        expect(_button(page, name)).to_be_visible()
    expect(
        page.get_by_text("Robin <b>AI</b>").or_(page.get_by_label("Robin <b>AI</b>"))
    ).to_be_visible()
    expect(_button(page, "Chat with everyone")).to_have_count(0)


def _chats(page: Page, scene: Scene) -> None:
    scene.rooms.act(StepKind.WRITE, ROOM, "Dana Reyes", "Hello <i>you</i>")
    _button(page, "Chat with everyone, new message").click()
    messages = page.get_by_role("list", name="In-call messages")
    expect(messages.get_by_role("listitem").last).to_contain_text("Hello <i>you</i>")
    page.get_by_role("textbox", name="Send a message").fill("It's me")
    page.keyboard.press("Enter")
    expect(messages.get_by_role("listitem").last).to_contain_text("It's me")
    page.get_by_role("textbox", name="Send a message").fill("and again")
    _button(page, "Send a message").click()
    expect(messages.get_by_role("listitem").last).to_contain_text("and again")
    assert [line.text for line in scene.stage.chat(ROOM)][-2:] == ["It's me", "and again"]


def _reads_captions(page: Page, scene: Scene) -> None:
    _button(page, "Turn on captions").click()
    region = page.get_by_role("region", name="Captions")
    expect(region).to_be_visible()
    until(lambda: scene.inside()[0].captions)
    scene.rooms.say(ROOM, "Dana Reyes", "Good morning, Robin.")
    scene.later(0.6)
    expect(region).to_contain_text("good morning")
    scene.later(5)
    expect(region).to_contain_text("Good morning, Robin.")
    expect(region).to_contain_text("Dana Reyes")
    expect(region).not_to_contain_text("good morning")


def _is_in_the_roster(page: Page) -> None:
    _button(page, "People").click()
    panel = page.get_by_role("complementary", name="Side panel")
    expect(panel.get_by_role("listitem", name="Robin <b>AI</b>")).to_contain_text("(You)")
    expect(panel.get_by_role("listitem", name="Dana Reyes")).to_contain_text("Meeting host")


def _is_muted_by_the_host(page: Page, scene: Scene) -> None:
    _button(page, "Raise hand").click()
    expect(_button(page, "Lower hand")).to_be_visible()
    scene.rooms.act(StepKind.MUTE_BOTS, ROOM, "Dana Reyes")
    expect(_button(page, "Turn on microphone")).to_be_visible()
    scene.rooms.act(StepKind.ASK_UNMUTE, ROOM, "Dana Reyes")
    page.get_by_role("dialog").get_by_role("button", name="Unmute").click()
    expect(_button(page, "Turn off microphone")).to_be_visible()
    (me,) = scene.inside()
    assert (me.microphone, me.hand) == (True, True)


def _switches_the_camera(page: Page, scene: Scene) -> None:
    _button(page, "Turn off camera").click()
    until(lambda: not scene.inside()[0].camera)
    page.keyboard.press("Control+e")
    expect(_button(page, "Turn off camera")).to_be_visible()
    until(lambda: scene.inside()[0].camera)
    live = "() => [...document.querySelectorAll('video')].some((one) => one.srcObject?.active)"
    page.wait_for_function(live)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_an_invited_account_walks_in(browser: Browser, scene: Scene, generation: int) -> None:
    """It signs in, sees no name field and no lobby; an expired session makes a guest of it."""
    scene.begin(generation=generation, lobby=Lobby.IGNORE)
    scene.stage.invite("robin@example.com", ROOM, name="Robin (AI)")
    with a_page(browser) as page:
        page.goto(scene.page)
        _button(page, "Sign in").click()
        page.get_by_role("textbox", name="Email or phone").fill("nobody@example.com")
        _button(page, "Next").click()
        expect(page.get_by_role("alert")).to_contain_text("Couldn't find your Google Account")
        page.get_by_role("textbox", name="Email or phone").fill("robin@example.com")
        _button(page, "Next").click()
        for password in ("wrong", "stage"):
            page.get_by_label("Enter your password").fill(password)
            _button(page, "Next").click()
        expect(_button(page, "Join now")).to_be_visible()
        expect(page.get_by_role("textbox", name="Your name")).to_have_count(0)
        _button(page, "Join now").click()
        expect(_button(page, "Chat with everyone")).to_be_visible()
        second = page.context.new_page()
        second.goto(scene.page)
        _button(second, "Switch here").click()
        expect(page.get_by_text("You switched to another device")).to_be_visible()
        expect(_button(second, "Chat with everyone")).to_be_visible()
        assert [one.email for one in scene.inside()] == ["robin@example.com"]
        scene.stage.sign_out("robin@example.com")
        page.goto(scene.page)
        expect(page.get_by_role("textbox", name="Your name")).to_be_visible()


_REFUSALS: list[tuple[dict[str, Any], str]] = [
    (
        {"lobby": Lobby.DENY, "lobby_after": timedelta(0)},
        "Someone in the call denied your request",
    ),
    (
        {"answer_within": timedelta(0), "lobby": Lobby.IGNORE},
        "No one responded to your request",
    ),
    ({"guests": Guests.BLOCKED}, "You can't join this video call"),
    ({"guests": Guests.SIGN_IN}, "You need to be signed in"),
    ({"unknown_rooms": (ROOM,)}, "Check your meeting code"),
    ({"expired_rooms": (ROOM,)}, "Your meeting code has expired"),
    ({"full_at": 1, **OPEN}, "This video call is full"),
]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_refusal_is_said_on_the_page(page: Page, scene: Scene, generation: int) -> None:
    """Each with Meet's words, a way home, and no trace of a call."""
    for settings, words in _REFUSALS:
        scene.begin(generation=generation, **settings)
        page.goto(scene.page)
        name = page.get_by_role("textbox", name="Your name")
        refused = page.get_by_text(words)
        expect(name.or_(refused)).to_be_visible()
        if name.count():
            name.fill("Robin")
            _button(page, re.compile("^(Ask to join|Join now)")).click()
        expect(refused).to_be_visible()
        expect(_button(page, "Return to home screen")).to_be_visible()
    page.goto(f"{scene.url}/no-such-code")
    expect(page.get_by_text("Check your meeting code")).to_be_visible()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_way_out_is_said_on_the_page(page: Page, scene: Scene, generation: int) -> None:
    """Removed, ended for all: the page says which, and the rooms know it as well."""
    _join(page, scene, generation=generation)
    scene.rooms.remove_bots(ROOM)
    expect(page.get_by_text("You've been removed from the meeting")).to_be_visible()
    _join(page, scene, generation=generation)
    scene.stage.end(ROOM, by="Dana Reyes")
    expect(page.get_by_text("The call ended")).to_be_visible()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_connection_that_drops_is_taken_up(page: Page, scene: Scene, generation: int) -> None:
    """The banner "Reconnecting" comes and goes; the roster has the same participant as before."""
    _join(page, scene, generation=generation)
    (before,) = scene.inside()
    # The offline context opens no new socket, so the banner stays until it is lifted.
    page.context.set_offline(True)
    scene.stage.drop(ROOM)
    expect(page.get_by_role("alert")).to_contain_text("Reconnecting")
    page.context.set_offline(False)
    expect(page.get_by_role("alert")).to_have_count(0)
    (after,) = scene.inside()
    assert (after.id, after.connected) == (before.id, True)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_being_recorded_is_agreed_to_or_left(page: Page, scene: Scene, generation: int) -> None:
    """On the way in, and when it begins in the middle; notices stay to be seen."""
    kinds = (Consent.RECORDED, Consent.TRANSCRIBED, Consent.NOTES)
    scene.begin(generation=generation, **OPEN, consents=kinds)
    for answer, shows in (("Leave", "You left the meeting"), ("Join now", "")):
        page.goto(scene.page)
        page.get_by_role("textbox", name="Your name").fill("Robin")
        _button(page, "Join now").click()
        dialog = page.get_by_role("dialog", name="This video call is being recorded")
        expect(dialog).to_contain_text("Gemini is taking notes")
        expect(_button(page, "Chat with everyone")).to_have_count(0)
        dialog.get_by_role("button", name=answer).click()
        if shows:
            expect(page.get_by_text(shows)).to_be_visible()
    expect(page.get_by_role("img", name="This video call is being recorded")).to_be_visible()
    scene.stage.notice(ROOM, Consent.RECORDED, ask=True)
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    expect(page.get_by_text("You left the meeting")).to_be_visible()


# ── variants ─────────────────────────────────────────────────────────────────────────────────


def test_every_join_button_joins(page: Page, scene: Scene) -> None:
    """Seven texts, and the one whose accessible name says more than it shows."""
    join = page.locator("body")
    for button in JoinButton:
        scene.begin(generation=2, **OPEN, join_button=button)
        page.goto(scene.page)
        page.get_by_role("textbox", name="Your name").fill("Robin")
        join = _button(page, texts(Locale.ENGLISH)[button.value])
        expect(join).to_be_enabled()
    expect(join).to_have_text("Ask to join")
    join.click()
    expect(_button(page, "Chat with everyone")).to_be_visible()


def test_every_lobby_waits_in_its_words(page: Page, scene: Scene) -> None:
    """All three wordings, and the way back home from there."""
    words = {
        LobbyText.ASKING: "You'll join the call when someone lets you in",
        LobbyText.BRINGS: "brings you into the call",
        LobbyText.ADMITS: "admits you to the call",
    }
    for text, shown in words.items():
        scene.begin(lobby=Lobby.IGNORE, lobby_text=text)
        page.goto(scene.page)
        page.get_by_role("textbox", name="Your name").fill("Robin")
        _button(page, "Ask to join").click()
        expect(page.get_by_text(shown)).to_be_visible()
    _button(page, "Return to home screen").click()
    expect(page.get_by_text("You left the meeting")).to_be_visible()


def test_every_composer_sends(page: Page, scene: Scene) -> None:
    """A textarea, an editable, an editable inside of what is named; or none at all."""
    for composer in (Composer.TEXTAREA, Composer.EDITABLE, Composer.NESTED):
        _join(page, scene, composer=composer)
        _button(page, "Chat with everyone").click()
        page.get_by_role("textbox", name="Send a message").fill(composer.value)
        page.keyboard.press("Enter")
        until(lambda: composer.value in {each.text for each in scene.stage.chat(ROOM)})  # noqa: B023
    _join(page, scene, composer=Composer.OFF)
    _button(page, "Chat with everyone").click()
    expect(page.get_by_role("textbox", name="Send a message")).to_have_count(0)


def test_refused_devices_are_no_obstacle(browser: Browser, scene: Scene) -> None:
    """By the stage's setting or by the browser itself: one joins without, and the page says so."""
    refusing = (
        "navigator.mediaDevices.getUserMedia = "
        "() => Promise.reject(new DOMException('', 'NotAllowedError'))"
    )
    ways: tuple[tuple[dict[str, Any], str], ...] = (
        ({"devices_refused": True}, ""),
        ({}, refusing),
    )
    for settings, script in ways:
        with a_page(browser) as page:
            page.add_init_script(script)
            scene.begin(**OPEN, **settings)
            page.goto(scene.page)
            if settings:
                _button(page, "Dismiss").click()
            expect(_button(page, "Microphone problem")).to_be_visible()
            page.get_by_role("textbox", name="Your name").fill("Robin")
            _button(page, "Join now").click()
            expect(_button(page, "Chat with everyone")).to_be_visible()
            assert [one.microphone for one in scene.inside()] == [False]


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("locale", [Locale.GERMAN, Locale.FRENCH])
def test_a_whole_visit_in_another_language(
    browser: Browser, scene: Scene, locale: Locale, generation: int
) -> None:
    """The browser's language alone decides, and every control has its name in it."""
    said = texts(locale)
    with a_page(browser, locale=f"{locale.value}-{locale.value.upper()}") as page:
        scene.begin(generation=generation, lobby=Lobby.IGNORE)
        page.goto(scene.page)
        page.get_by_role("textbox", name=said["your_name"]).fill("Robin")
        _button(page, said["ask_to_join"]).click()
        expect(page.get_by_text(said["asking_title"])).to_be_visible()
        scene.stage.admit(ROOM)
        _button(page, said["chat"]).click()
        page.get_by_role("textbox", name=said["send_message"]).fill("!")
        page.keyboard.press("Enter")
        _button(page, said["captions_on"]).click()
        expect(page.get_by_role("region", name=said["captions"])).to_be_visible()
        for name in ("mic_off", "camera_off", "hand_up", "people", "leave_call"):
            expect(_button(page, said[name])).to_be_visible()
        _button(page, said["leave_call"]).click()
        expect(page.get_by_text(said["left"])).to_be_visible()


def test_which_language_is_spoken(browser: Browser, scene: Scene) -> None:
    """`hl` goes before the account's, that before the browser's, that before the stage's."""
    scene.begin(locale=Locale.FRENCH)
    scene.stage.invite("klara@example.com", ROOM, name="Klara", locale=Locale.GERMAN)
    with a_page(browser, locale="en-GB") as page:
        page.goto(scene.page)
        expect(page.locator("html")).to_have_attribute("lang", "en")
        cookie = scene.stage.sign_in("klara@example.com", "stage")
        page.context.add_cookies([{"name": "SID", "value": str(cookie), "url": scene.url}])
        for query, spoken in (("", "de"), ("?hl=fr", "fr"), ("?hl=xx", "de")):
            page.goto(scene.page + query)
            expect(page.locator("html")).to_have_attribute("lang", spoken)
    with a_page(browser, locale="ja-JP") as page:
        page.goto(scene.page)
        expect(page.locator("html")).to_have_attribute("lang", "fr")


# ── what others look for, and what the page forbids ──────────────────────────────────────────

_AT_THE_DOOR = [
    'input[type="text"][aria-label="Your name"]',
    'input[placeholder*="name"]',
    '//button[.//span[text()="Ask to join"]]',
    '//span[contains(text(),"Ask to join")]',
    'button:has-text("Ask to join")',
    '[aria-label*="Turn off microphone"]',
    '[aria-label*="Turn off camera"]',
]
_IN_THE_CALL = [
    'button[aria-label*="Leave call"]',
    'button[aria-label="Chat with everyone"]',
    'button[aria-label*="People"]',
    'button[aria-label*="Turn off microphone"]',
    'button[aria-label="Turn on captions"]',
    "[data-participant-id]",
    "[data-self-name]",
    "div[data-participant-id] span.notranslate",
    '//i[text()="call_end"]',
]
_IN_THE_PANELS = [
    ("People", 'div[aria-label="Participants"][role="list"] div[role="listitem"]'),
    ("People", '[role="listitem"][data-participant-id]'),
    ("Chat with everyone", 'textarea[aria-label^="Send a message"]'),
    ("Chat with everyone", "textarea[placeholder*='Send a message']"),
    ("Chat with everyone", 'button[aria-label^="Send a message"]'),
    ("Turn on captions", 'div[role="region"][aria-label="Captions"]'),
]


def test_what_other_bots_look_for_is_there(page: Page, scene: Scene) -> None:
    """Selectors of public meeting bots, on the first generation; none is in the lobby too early."""
    scene.begin(lobby=Lobby.IGNORE)
    page.goto(scene.page)
    for selector in _AT_THE_DOOR:
        expect(page.locator(selector).first).to_be_visible()
    page.locator('input[aria-label="Your name"]').fill("Robin")
    page.locator('//button[.//span[text()="Ask to join"]]').click()
    expect(page.get_by_text("Asking to be let in")).to_be_visible()
    expect(page.locator("[data-participant-id], [data-self-name]")).to_have_count(0)
    scene.stage.admit(ROOM)
    for selector in _IN_THE_CALL:
        expect(page.locator(selector).first).to_be_attached()
    for button, selector in _IN_THE_PANELS:
        if not page.locator(selector).count():
            _button(page, button).click()
        expect(page.locator(selector).first).to_be_visible()


_TRIES = """() => new Promise((done) => setTimeout(async () => {
  const said = {};
  const tries = {
    eval: () => eval("'ran'"),
    function: () => new Function("return 'ran'")(),
    innerHTML: () => { document.createElement("div").innerHTML = "<b>x</b>"; return "ran"; },
    timeout: () => { setTimeout("window.ran = 1"); return "ran"; },
    worker: () => new Promise((ran, failed) => {
      const policy = trustedTypes.createPolicy("default", { createScriptURL: (url) => url });
      const source = new Blob(["postMessage(1)"], { type: "text/javascript" });
      const worker = new Worker(policy.createScriptURL(URL.createObjectURL(source)));
      worker.onmessage = () => ran("ran");
      worker.onerror = () => failed(new Error("blocked"));
    }),
    elsewhere: () => fetch("http://127.0.0.1:9/").then(() => "ran"),
  };
  for (const [name, attempt] of Object.entries(tries)) {
    const seen = [];
    const listener = (event) => seen.push(event.effectiveDirective);
    document.addEventListener("securitypolicyviolation", listener);
    try { said[name] = [await attempt()]; } catch (error) { said[name] = []; }
    await new Promise((next) => setTimeout(next, 30));
    document.removeEventListener("securitypolicyviolation", listener);
    said[name].push(...seen);
  }
  done(said);
}))"""


@pytest.mark.parametrize("policy", [Policy.MEET, Policy.STRICT])
def test_the_page_forbids_what_the_real_one_forbids(
    page: Page, scene: Scene, policy: Policy
) -> None:
    """No code out of strings, no markup out of strings, no worker out of a blob; named as such."""
    _join(page, scene, policy=policy)
    said = page.evaluate(_TRIES)
    assert not any("ran" in found for found in said.values())
    assert set(said["innerHTML"]) == {"require-trusted-types-for"}
    for name in ("eval", "function", "timeout"):
        assert {"require-trusted-types-for", "script-src"} & set(said[name])
    assert set(said["worker"]) == {"worker-src"}
    assert set(said["elsewhere"]) == (set() if policy is Policy.MEET else {"connect-src"})


# ── sound and picture ────────────────────────────────────────────────────────────────────────


def test_people_of_the_rooms_are_seen_and_heard(browser: Browser) -> None:
    """Dana's tile moves, her words come as sound, our beep marks us as speaking."""
    with a_scene(media=True, **OPEN) as scene, a_page(browser) as page:
        _join(page, scene)
        theirs = page.locator("[data-participant-id]", has_text="Dana Reyes").locator("video")
        expect(theirs).to_be_visible()
        page.wait_for_function("video => video.videoWidth > 0", arg=theirs.element_handle())
        until(lambda: scene.inside()[0].speaking)
        scene.rooms.say(ROOM, "Dana Reyes", "Good morning everybody, shall we begin?")
        heard = "() => [...document.querySelectorAll('audio')].some((one) => one.srcObject)"
        page.wait_for_function(heard)
        scene.stage.mute(ROOM)
        until(lambda: not scene.inside()[0].speaking)
        _button(page, "Leave call").click()
        until(lambda: ("out", "left") in [(e.kind, e.text) for e in scene.stage.happenings()])
