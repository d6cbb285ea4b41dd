"""What the meeting page decides without a page: language, way in, captions, policies, texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from importlib.resources import files

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.errors import ConfigError
from locum.rehearsal.clock import HandClock
from locum.rehearsal.meet import Composer, Guests, Lobby, Locale, PageSettings, Policy
from locum.rehearsal.meet.app import policies, texts
from locum.rehearsal.meet.captions import revisions
from locum.rehearsal.meet.protocol import NotUnderstoodError, read_frame
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.scenario import parse_scenario
from locum.rehearsal.stage import Stage
from tests.contract.meet_page_rig import ROOM, Scene, a_scene

START = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)

SCENARIO = """
title = "A small one"
owner = { email = "alex@example.com", name = "Alex Winter" }

[[events]]
id = "standup"
title = "Stand-up"
starts_at = 8
duration = 40
organizer = "dana@example.com"
meet = "abc-defg-hij"
attendees = [{ email = "alex@example.com", name = "Alex Winter", answer = "accepted" }]

[[people]]
name = "Dana Reyes"
room = "abc-defg-hij"
enters_at = 9
leaves_at = 30
writes = [{ at = 11, text = "The figures are in the folder." }]
raises_hand_at = 12
lowers_hand_at = 13
admits_at = 14
mutes_bots_at = 15
asks_unmute_at = 16
denies_at = 17

[page]
generation = 2
locale = "de"
guests = "ask"
lobby = "ignore"
answer_within = 60
modals = ["devices", "got_it"]
consents = ["recorded"]
composer = "nested"
"""


@pytest.fixture(name="scene", scope="module")
def _scene() -> Iterator[Scene]:
    with a_scene() as scene:
        yield scene


# ── a scenario's table ───────────────────────────────────────────────────────────────────────


def test_a_scenario_says_how_the_page_behaves_and_what_people_do() -> None:
    """`[page]` becomes settings, the steps stand in the rooms' log, the invited are invited."""
    scenario = parse_scenario(SCENARIO.encode())
    assert (scenario.page.generation, scenario.page.locale) == (2, Locale.GERMAN)
    assert (scenario.page.lobby, scenario.page.composer) == (Lobby.IGNORE, Composer.NESTED)
    assert scenario.page.answer_within == timedelta(seconds=60)
    stage = Stage(scenario)
    assert stage.meet.settings() == scenario.page
    cookie = stage.meet.sign_in("alex@example.com", "stage")
    account = stage.meet.account_of(cookie)
    assert account is not None
    assert account.name == "Alex Winter"
    clock = HandClock(START)
    rooms = Rooms(now=clock.now)
    rooms.expect(scenario.room_steps(START))
    clock.advance(timedelta(minutes=1))
    assert [(event.kind, (event.at - START).seconds) for event in rooms.log()] == [
        ("entered", 9),
        ("wrote", 11),
        ("raised_hand", 12),
        ("lowered_hand", 13),
        ("admitted", 14),
        ("muted_bots", 15),
        ("asked_to_unmute", 16),
        ("denied", 17),
        ("left", 30),
    ]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("generation = 2", "generation = 3", "page: generation must be 1 or 2"),
        ("generation = 2", "genration = 2", 'Did you mean "generation"?'),
        ('locale = "de"', 'locale = "it"', "'en', 'de' or 'fr', not 'it'"),
        ('lobby = "ignore"', 'lobby = "maybe"', "page.lobby"),
        ('"got_it"', '"gotit"', "page.modals #2"),
        ("answer_within = 60", "answer_within = -1", "answer_within must be from 0"),
        ("answer_within = 60", "answer_within = nan", "page.answer_within"),
        ("answer_within = 60", "full_at = 0", "full_at must be from 1 to 500"),
        ("admits_at = 14", "admits_at = 40", "people #1.admits_at: is outside"),
        ("admits_at = 14", "admit_at = 14", 'Did you mean "admits_at"?'),
        ("at = 11,", "at = 31,", "people #1.writes #1.at: is outside"),
    ],
)
def test_a_wrong_page_table_is_refused_in_clear_words(
    before: str, after: str, says: str
) -> None:
    """Each mistake is named with its place."""
    with pytest.raises(ConfigError) as refused:
        parse_scenario(SCENARIO.replace(before, after).encode())
    assert says in "\n".join(refused.value.problems)


def test_a_whole_stage_serves_the_page() -> None:
    """Its address stands beside the others', and the page is up."""
    with Stage(parse_scenario(SCENARIO.encode())).open() as addresses:
        answer = httpx.get(f"{addresses.meet}/{ROOM}")
    assert (answer.status_code, '<html lang="de"' in answer.text) == (200, True)


def test_without_the_extra_all_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage without what the page needs opens as ever, and says that there is none."""
    monkeypatch.setattr("locum.rehearsal.stage.can_serve", lambda: False)
    with Stage(parse_scenario(SCENARIO.encode())).open() as addresses:
        assert addresses.meet == ""
        assert httpx.get(f"{addresses.google}/_stage/requests").status_code == 200


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "accept", "spoken"),
    [
        ("", "de-DE,de;q=0.9,en;q=0.8", "de"),
        ("", "en;q=0.2, fr;q=0.7", "fr"),
        ("", "de;q=0, fr", "fr"),
        ("", "ja, *;q=0.1", "en"),
        ("", ";;;q=,,=" + "x," * 5_000, "en"),
        ("?hl=de", "fr", "de"),
        ("?hl=DE-at", "fr", "de"),
        ("?hl=%00%3Cscript%3E", "fr", "fr"),
    ],
)
def test_the_language_is_found(scene: Scene, query: str, accept: str, spoken: str) -> None:
    """`hl`, then the browser's languages by weight; what makes no sense isn't looked at."""
    answer = httpx.get(scene.page + query, headers={"Accept-Language": accept})
    assert f'<html lang="{spoken}"' in answer.text


def test_names_do_not_break_out_of_the_page(scene: Scene) -> None:
    """An account's name, the wildest, stands in the page as data."""
    wild = '</script><script>alert(1)</script><!-- "'
    scene.stage.invite("wild@example.com", ROOM, name=wild)
    cookie = scene.stage.sign_in("wild@example.com", "stage")
    answer = httpx.get(scene.page, cookies={"SID": str(cookie)})
    assert answer.text.count("<script") == 2
    assert "alert(1)" in answer.text


@pytest.mark.parametrize(
    "goal",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "evil", "javascript:x"],
)
def test_a_sign_in_leads_nowhere_else(scene: Scene, goal: str) -> None:
    """Whatever `continue` says, one stays on this server."""
    scene.stage.add_account("alex@example.com")
    form = {"identifier": "alex@example.com", "Passwd": "stage", "continue": goal}
    answer = httpx.post(f"{scene.url}/signin", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "path", ["%2e%2e/app.py", "..%2Fapp.py", "style.css%2F..", "nothing.js", "%00.js", "media"]
)
def test_only_the_pages_own_files_are_served(scene: Scene, path: str) -> None:
    """Nothing beside the folder of the page can be read."""
    assert httpx.get(f"{scene.url}/assets/{path}").status_code == 404


def test_policies_have_a_new_nonce_each_time(scene: Scene) -> None:
    """A nonce that was seen is of no use, and it is the one in the page."""
    pages = [httpx.get(scene.page) for _ in range(2)]
    nonces = [re.findall(r'nonce="([^"]+)"', page.text) for page in pages]
    assert set(nonces[0]).isdisjoint(nonces[1])
    for page, nonce in zip(pages, nonces, strict=True):
        assert len(set(nonce)) == 1
        headers = page.headers.get_list("content-security-policy")
        assert len(headers) == 3
        assert any(f"'nonce-{nonce[0]}'" in header for header in headers)
    assert policies(Policy.NONE, "x") == ()


# ── texts, captions, messages ────────────────────────────────────────────────────────────────


def test_every_language_says_everything() -> None:
    """The same texts with the same places to fill in, and all that the scripts ask for."""
    english = texts(Locale.ENGLISH)
    places = {name: set(re.findall(r"\{\w+\}", text)) for name, text in english.items()}
    for locale in Locale:
        found = texts(locale)
        assert {
            name: set(re.findall(r"\{\w+\}", text)) for name, text in found.items()
        } == places
    for script in files("locum.rehearsal.meet").joinpath("page").iterdir():
        asked = re.findall(r'\bsay\(\s*"(\w+)"', script.read_text(encoding="utf-8"))
        assert [name for name in asked if name not in english] == []


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_a_caption_ends_as_what_was_said(text: str) -> None:
    """Revisions come in order of time; only the last is final, and it is right."""
    found = list(revisions(text, START))
    assert [each.at for each in found] == sorted(each.at for each in found)
    assert [each.final for each in found] == [False] * (len(found) - 1) + [True]
    assert found[-1].text == text


def test_a_caption_mishears_and_is_put_right() -> None:
    """A word that was wrong is right in the next revision, not left standing."""
    shown = [each.text for each in revisions("Whitby needs its gauge calibrated first.", START)]
    assert shown == [
        "whitby",
        "whitby needs",
        "whitby needs its",
        "whitby needs its gau",
        "whitby needs its gauge calibrated",
        "whitby needs its gauge calibrated first",
        "Whitby needs its gauge calibrated first.",
    ]


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(max_size=50) | st.recursive(st.none() | st.integers(), st.lists).map(repr))
def test_any_frame_is_a_message_or_is_not_understood(frame: str) -> None:
    """Nothing else comes of it, whatever it is."""
    with pytest.raises(NotUnderstoodError):
        read_frame(frame)


def test_settings_must_make_sense() -> None:
    """What can't be is refused where it is said."""
    for wrong in ({"full_at": 501}, {"lobby_after": timedelta(days=2)}, {"generation": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            PageSettings(**wrong)
    assert PageSettings(guests=Guests.OPEN).composer_shown is Composer.TEXTAREA
