"""Signing in through a real consent page, keeping the token, sharing it, and ending it."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import re
import stat
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import anyio
import httpx
import pytest

from locum.calendars.google import GoogleCalendarSource
from locum.calendars.google_auth import TokenKind, revoke, sign_in, status
from locum.calendars.google_token import (
    CALENDAR_SCOPE,
    PERMISSIONS,
    GoogleAccount,
    StoredToken,
    read_token,
    token_lock,
    write_token,
)
from locum.core.model import CalendarRef
from locum.errors import HumanNeededError, TransientError
from locum.rehearsal.faults import Fault
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.google.identity import Consent
from locum.rehearsal.serving import served
from tests.integration.google_rig import (
    ANNA,
    BEN,
    NOW,
    PRIMARY,
    WINDOW,
    GoogleRig,
    StillClock,
    meeting,
    mode_of,
    write_json,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[GoogleRig]:
    clock = StillClock(NOW)
    stage = GoogleStage(now=clock.now)
    stage.add_account(ANNA)
    stage.add_account(BEN)
    stage.consent = Consent(email=ANNA)
    with served(google_app(stage)) as server:
        rig = GoogleRig(stage, clock, server.base_url, tmp_path)
        rig.write_client()
        yield rig


def consent_address(told: list[str]) -> str:
    [address] = re.findall(r"http://\S+/o/oauth2/auth\?\S+", "\n".join(told))
    assert isinstance(address, str)
    return address


@dataclass
class Person:
    """Reads what the terminal says, and does something with the address once it is there."""

    act: Callable[[str], None]
    told: list[str] = field(default_factory=list)
    _acted: bool = False

    def tell(self, text: str) -> None:
        self.told.append(text)
        if not self._acted and "/o/oauth2/auth?" in text:
            self._acted = True
            threading.Thread(target=self.act, args=(consent_address(self.told),)).start()


def browse(address: str) -> None:
    """Be a browser: follow every redirect, to our own port in the end."""
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        client.get(address)


def failed_address(address: str) -> str:
    """Be a browser elsewhere: answer the loopback address that it can't open."""
    with httpx.Client(follow_redirects=False, trust_env=False) as client:
        return str(client.get(address).headers["location"])


def do_nothing(address: str) -> None:
    """Be a person who went for a walk."""


def signed_in(rig: GoogleRig, account: GoogleAccount | None = None) -> StoredToken:
    account = account or rig.account
    person = Person(browse)
    sign_in(account, open_browser=False, prompt=None, tell=person.tell, now=rig.clock.now)
    return read_token(account)


# ── signing in ───────────────────────────────────────────────────────────────────────────


def test_a_browser_on_this_machine_signs_in(rig: GoogleRig) -> None:
    """Consent, redirect to our port, code, tokens, file."""
    person = Person(browse)
    reached = sign_in(
        rig.account, open_browser=False, prompt=None, tell=person.tell, now=rig.clock.now
    )
    assert reached.kind is TokenKind.PERSONAL
    assert reached.scopes == (CALENDAR_SCOPE,)
    assert reached.obtained_at == NOW
    assert reached.age == timedelta(0)
    assert reached.warnings == ()
    stored = json.loads(rig.account.token_file.read_text())
    assert stored["type"] == "authorized_user"
    assert stored["obtained_at"] == "2026-11-23T08:00:00Z"
    assert stored["refresh_token"].startswith("1//")
    assert mode_of(rig.account.token_file) == 0o600


def test_we_ask_for_one_scope_with_pkce_and_state(rig: GoogleRig) -> None:
    """The least there is, and nothing that another program could use."""
    person = Person(browse)
    sign_in(rig.account, open_browser=False, prompt=None, tell=person.tell)
    asked = parse_qs(urlsplit(consent_address(person.told)).query)
    assert asked["scope"] == [CALENDAR_SCOPE]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == 43
    assert len(asked["state"][0]) > 30
    assert asked["access_type"] == ["offline"]
    assert asked["redirect_uri"][0].startswith("http://127.0.0.1:")


TRANSCRIPTS = PERMISSIONS["transcripts"].scope


def test_what_the_config_makes_use_of_is_asked_for_too(rig: GoogleRig) -> None:
    """Transcripts are read with the same sign-in, which then covers them."""
    account = replace(rig.account, permissions=frozenset({"transcripts"}))
    person = Person(browse)
    reached = sign_in(account, open_browser=False, prompt=None, tell=person.tell)
    asked = parse_qs(urlsplit(consent_address(person.told)).query)
    assert asked["scope"] == [f"{CALENDAR_SCOPE} {TRANSCRIPTS}"]
    assert set(reached.scopes) == {CALENDAR_SCOPE, TRANSCRIPTS}
    assert reached.warnings == ()


def test_what_was_left_unticked_is_done_without(rig: GoogleRig) -> None:
    """The calendar can be read all the same; what is missing is said, with the next step."""
    account = replace(rig.account, permissions=frozenset({"transcripts"}))
    rig.stage.consent = Consent(email=ANNA, withholds=frozenset({TRANSCRIPTS}))
    token = signed_in(rig, account)
    assert token.scopes == (CALENDAR_SCOPE,)
    [warning] = status(account, now=rig.clock.now).warnings
    assert "doesn't allow locum to read Google Meet's transcripts" in warning
    assert "sign in again" in warning
    assert status(rig.account, now=rig.clock.now).warnings == ()


@pytest.mark.anyio
async def test_what_was_signed_in_can_be_read_with(rig: GoogleRig) -> None:
    """The whole way: from the consent page to an event."""
    rig.stage.insert_event(ANNA, meeting())
    await anyio.to_thread.run_sync(signed_in, rig)
    source = rig.source()
    assert len((await source.read(PRIMARY, WINDOW)).events) == 1
    await source.aclose()


def test_the_browser_is_opened_where_there_is_one(
    rig: GoogleRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `open_browser` nobody needs to copy anything."""

    class Browser(webbrowser.BaseBrowser):
        def open(self, url: str, *_: object, **__: object) -> bool:
            threading.Thread(target=browse, args=(url,)).start()
            return True

    monkeypatch.setattr(webbrowser, "_tryorder", ["stage"])
    monkeypatch.setattr(webbrowser, "_browsers", {"stage": [None, Browser("stage")]})
    told: list[str] = []
    sign_in(rig.account, open_browser=True, prompt=None, tell=told.append)
    assert "should have opened" in told[0]
    assert read_token(rig.account).refresh_token


def test_without_a_browser_the_tunnel_is_explained(rig: GoogleRig) -> None:
    """The ssh line names the very port that Google sends the browser to."""
    person = Person(browse)
    sign_in(rig.account, open_browser=False, prompt=None, tell=person.tell)
    told = "\n".join(person.told)
    redirect = parse_qs(urlsplit(consent_address(person.told)).query)["redirect_uri"][0]
    port = urlsplit(redirect).port
    assert f"ssh -L {port}:127.0.0.1:{port} " in told


def test_the_failed_pages_address_can_be_pasted(rig: GoogleRig) -> None:
    """A browser on another machine ends at an error page, whose address is enough."""
    failed: queue.Queue[str] = queue.Queue()
    person = Person(lambda address: failed.put(failed_address(address)))
    sign_in(
        rig.account,
        open_browser=False,
        prompt=lambda _: failed.get(timeout=60),
        tell=person.tell,
    )
    assert read_token(rig.account).refresh_token


def test_a_wrong_paste_is_explained_and_asked_again(rig: GoogleRig) -> None:
    """Nothing, nonsense, half an address, another sign-in's: each is told apart."""
    pasted: queue.Queue[str] = queue.Queue()

    def act(address: str) -> None:
        right = failed_address(address)
        parts = urlsplit(right)
        state = parse_qs(parts.query)["state"][0]
        for wrong in (
            "",
            "http://[",
            "what?",
            urlunsplit(parts._replace(query="state=other&code=4/x")),
            urlunsplit(parts._replace(query=f"state={state}")),
            urlunsplit(parts._replace(query="&".join(["a=b"] * 100))),
        ):
            pasted.put(wrong)
        pasted.put(right)

    person = Person(act)
    sign_in(
        rig.account,
        open_browser=False,
        prompt=lambda _: pasted.get(timeout=60),
        tell=person.tell,
    )
    refusals = [text for text in person.told if text.startswith("Not taken")]
    assert [text.removeprefix("Not taken: that ") for text in refusals] == [
        "is no address.",
        "address has no state and code; copy all of it.",
        "address belongs to another sign-in.",
        "address has no code; copy all of it.",
        "is no address.",
    ]


@pytest.mark.parametrize("error", [EOFError, OSError])
def test_a_terminal_that_is_gone_leaves_the_browser(
    rig: GoogleRig, error: type[Exception]
) -> None:
    """A prompt that can't ask doesn't end the sign-in."""

    def prompt(_: str) -> str:
        raise error

    person = Person(browse)
    sign_in(rig.account, open_browser=False, prompt=prompt, tell=person.tell)
    assert read_token(rig.account).refresh_token


def test_another_programs_knock_changes_nothing(rig: GoogleRig) -> None:
    """A wrong state is refused at the door, and the right one still let in."""
    answers: list[int] = []

    def act(address: str) -> None:
        redirect = parse_qs(urlsplit(address).query)["redirect_uri"][0]
        with httpx.Client(trust_env=False) as client:
            knocks = ("?state=wrong&code=stolen", "favicon.ico", "?code=4/x")
            answers.extend(client.get(redirect + query).status_code for query in knocks)
        browse(address)

    person = Person(act)
    sign_in(rig.account, open_browser=False, prompt=None, tell=person.tell)
    assert answers == [400, 400, 400]
    assert read_token(rig.account).refresh_token


def test_the_door_listens_on_loopback_and_is_shut_afterwards(rig: GoogleRig) -> None:
    """No port stays open once the sign-in is over."""
    person = Person(browse)
    sign_in(rig.account, open_browser=False, prompt=None, tell=person.tell)
    redirect = parse_qs(urlsplit(consent_address(person.told)).query)["redirect_uri"][0]
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as client:
        client.get(redirect)


def test_a_refusal_is_told(rig: GoogleRig) -> None:
    """Whoever presses "Cancel" gets no file, and is told about test users."""
    rig.stage.consent = Consent(email=ANNA, denies=True)
    person = Person(browse)
    with pytest.raises(HumanNeededError, match="access_denied") as caught:
        sign_in(rig.account, open_browser=False, prompt=None, tell=person.tell)
    assert "test users" in caught.value.hint
    assert not rig.account.token_file.exists()


def test_nobody_coming_back_ends_the_wait(rig: GoogleRig) -> None:
    """A forgotten terminal doesn't listen for ever."""
    person = Person(do_nothing)
    with pytest.raises(HumanNeededError, match="nobody came back"):
        sign_in(
            rig.account,
            open_browser=False,
            prompt=None,
            tell=person.tell,
            within=timedelta(seconds=0.2),
        )


def test_a_prompt_that_answers_nothing_asks_no_more_afterwards(rig: GoogleRig) -> None:
    """The pasting thread ends with the sign-in."""
    asked: list[float] = []

    def prompt(_: str) -> str:
        asked.append(time.monotonic())
        return ""

    person = Person(browse)
    sign_in(rig.account, open_browser=False, prompt=prompt, tell=person.tell)
    time.sleep(0.3)
    count = len(asked)
    time.sleep(0.5)
    assert len(asked) == count


@pytest.mark.parametrize(
    ("body", "status_code", "error", "words"),
    [
        ({"error": "invalid_grant"}, 400, HumanNeededError, "invalid_grant"),
        ({"error": "invalid_client"}, 401, HumanNeededError, "invalid_client"),
        (
            {"access_token": "x", "expires_in": 3599},
            200,
            HumanNeededError,
            "no lasting sign-in",
        ),
        (
            {"access_token": "x", "refresh_token": "y", "scope": "openid"},
            200,
            HumanNeededError,
            "permission to read calendar events",
        ),
        ("<html>", 200, HumanNeededError, "didn't take the code"),
        ([], 200, TransientError, "can't be read"),
    ],
)
def test_a_strange_answer_for_the_code_leaves_no_file(
    rig: GoogleRig, body: object, status_code: int, error: type[Exception], words: str
) -> None:
    """Each outcome of the exchange is named, none half-kept."""
    rig.stage.faults.add(Fault(path="/token", status=status_code, body=body, times=None))
    person = Person(browse)
    with pytest.raises(error, match=words):
        sign_in(rig.account, open_browser=False, prompt=None, tell=person.tell)
    assert not rig.account.token_file.exists()


def test_a_lost_token_server_is_transient(rig: GoogleRig) -> None:
    """The code is lost, but nobody did anything wrong."""
    rig.stage.faults.add(Fault(path="/token", drop=True, times=None))
    person = Person(browse)
    with pytest.raises(TransientError, match="can't be reached"):
        sign_in(rig.account, open_browser=False, prompt=None, tell=person.tell)


def test_plain_http_is_allowed_for_the_stage_only_while_it_is_asked(rig: GoogleRig) -> None:
    """The switch of oauthlib is back where it was afterwards."""
    assert "OAUTHLIB_INSECURE_TRANSPORT" not in os.environ
    signed_in(rig)
    assert "OAUTHLIB_INSECURE_TRANSPORT" not in os.environ


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no OAuth client in"),
        ("", "is no JSON"),
        ("[]", "is no JSON object"),
        ("{}", 'no OAuth client of type "Desktop app"'),
        ('{"web": {"client_id": "x"}}', 'no OAuth client of type "Desktop app"'),
        ('{"installed": {"client_id": "x", "client_secret": 5}}', "lacks client_id"),
        (
            '{"installed": {"client_id": "x", "client_secret": "y", "auth_uri": "http://a.com"}}',
            "https auth_uri",
        ),
        ("x" * 100_000, "bytes long"),
    ],
)
def test_a_bad_client_file_is_named(rig: GoogleRig, content: str | None, words: str) -> None:
    """The message names the file and where a good one comes from."""
    path = rig.folder / "client.json"
    path.unlink()
    if content is not None:
        write_json(path, content)
    with pytest.raises(HumanNeededError, match=re.escape(words)) as caught:
        sign_in(rig.account, open_browser=False, prompt=None, tell=print)
    assert "client.json" in str(caught.value)
    assert "Desktop app" in caught.value.hint


def test_no_client_file_configured_is_said(rig: GoogleRig) -> None:
    """And a service account needs no sign-in at all."""
    with pytest.raises(HumanNeededError, match="no client_secrets configured"):
        sign_in(
            replace(rig.account, client_secrets=None),
            open_browser=False,
            prompt=None,
            tell=print,
        )
    with pytest.raises(HumanNeededError, match="nobody needs to sign in"):
        sign_in(
            replace(rig.account, service_account=rig.folder / "key.json"),
            open_browser=False,
            prompt=None,
            tell=print,
        )


def test_an_unwritable_folder_is_told(rig: GoogleRig) -> None:
    """The sign-in that can't be kept names the file."""
    (rig.folder / "file").touch()
    account = replace(rig.account, token_file=rig.folder / "file" / "work.json")
    person = Person(browse)
    with pytest.raises(HumanNeededError, match=r"can't be kept in .*work\.json"):
        sign_in(account, open_browser=False, prompt=None, tell=person.tell)


# ── status ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("days", "warned"), [(0, False), (4.9, False), (5, True), (7.5, True), (8, False)]
)
def test_an_app_that_may_be_in_testing_is_warned_of_from_day_five(
    rig: GoogleRig, *, days: float, warned: bool
) -> None:
    """Later it has outlived what would have ended it."""
    signed_in(rig)
    rig.clock.advance(timedelta(days=days))
    warnings = status(rig.account, now=rig.clock.now).warnings
    assert any('"Testing"' in each for each in warnings) is warned


@pytest.mark.parametrize(("days", "warned"), [(4.9, False), (5.1, True), (6.9, True)])
def test_where_google_names_the_end_it_is_told(
    rig: GoogleRig, *, days: float, warned: bool
) -> None:
    """Sign-ins of apps in "Testing" carry their end: no guessing then."""
    rig.stage.refresh_lifetime = timedelta(days=7)
    signed_in(rig)
    rig.clock.advance(timedelta(days=days))
    warnings = status(rig.account, now=rig.clock.now).warnings
    assert any("ends on 2026-11-30 08:00 UTC" in each for each in warnings) is warned


def test_a_long_lived_app_is_never_warned_of(rig: GoogleRig) -> None:
    """An end that is a year away is no trap."""
    rig.stage.refresh_lifetime = timedelta(days=365)
    signed_in(rig)
    rig.clock.advance(timedelta(days=6))
    assert status(rig.account, now=rig.clock.now).warnings == ()


def test_status_says_how_old_the_sign_in_is(rig: GoogleRig) -> None:
    """In words, and as values."""
    signed_in(rig)
    rig.clock.advance(timedelta(days=3))
    found = status(rig.account, now=rig.clock.now)
    assert found.age == timedelta(days=3)
    assert found.summary == "signed in on 2026-11-23, 3 days ago"


def test_a_foreign_sign_in_without_date_is_fine(rig: GoogleRig) -> None:
    """A file made by Google's own tools has no `obtained_at`."""
    rig.write_sign_in()
    found = status(rig.account, now=rig.clock.now)
    assert (found.obtained_at, found.age, found.summary) == (None, None, "signed in")


def test_a_service_accounts_status_names_whom_it_acts_for(rig: GoogleRig) -> None:
    """Its address, or the subject that it is pinned to."""
    path = rig.folder / "robot.json"
    write_json(path, {"client_email": "robot@example.com"})
    account = replace(rig.account, service_account=path)
    assert status(account).email == "robot@example.com"
    assert status(replace(account, subject=ANNA)).email == ANNA
    path.chmod(0o640)
    assert "mode 0640" in status(account).warnings[0]


# ── the file ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is no JSON"),
        ("[]", "is no JSON object"),
        ("null", "is no JSON object"),
        ("[" * 50_000, "is no JSON"),
        ("x" * 100_000, "bytes long"),
        ("{}", "no usable client_id"),
        (
            '{"client_id": "a", "client_secret": "b", "refresh_token": 5}',
            "usable refresh_token",
        ),
        ('{"client_id": "a", "client_secret": "b", "refresh_token": ""}', "refresh_token"),
    ],
)
def test_a_hostile_token_file_is_named(rig: GoogleRig, content: str, words: str) -> None:
    """The file and the command are named; the content isn't shown."""
    write_json(rig.account.token_file, content)
    with pytest.raises(HumanNeededError, match=words) as caught:
        status(rig.account)
    assert "work.json" in str(caught.value)
    assert "locum auth login work" in caught.value.hint


def test_what_is_no_file_is_refused_without_hanging(rig: GoogleRig) -> None:
    """A folder, a FIFO that nobody writes to, and nothing at all."""
    path = rig.account.token_file
    with pytest.raises(HumanNeededError, match="not signed in"):
        status(rig.account)
    path.mkdir()
    with pytest.raises(HumanNeededError, match="no regular file"):
        status(rig.account)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(HumanNeededError, match="no regular file"):
        status(rig.account)


def test_odd_optional_values_are_ignored(rig: GoogleRig) -> None:
    """Only what a sign-in can't do without is demanded."""
    needed = {"client_id": "a", "client_secret": "b", "refresh_token": "c"}
    odd = {"token": 7, "expiry": "soon", "obtained_at": [], "scopes": "a b"}
    write_json(rig.account.token_file, {**needed, **odd})
    token = read_token(rig.account)
    assert (token.access_token, token.expiry, token.obtained_at) == (None, None, None)
    assert token.scopes == ("a", "b")


@pytest.mark.parametrize(
    "written",
    ["2026-11-23T09:00:00Z", "2026-11-23T09:00:00.123456", "2026-11-23T10:00:00+01:00"],
)
def test_an_expiry_is_read_as_others_write_it(rig: GoogleRig, written: str) -> None:
    """We write "Z", google-auth a fraction and no zone, a script's `isoformat` an offset."""
    rig.write_sign_in(expiry=written)
    expiry = read_token(rig.account).expiry
    assert expiry is not None
    assert expiry.replace(microsecond=0) == NOW + timedelta(hours=1)


def test_secrets_dont_show_in_a_repr(rig: GoogleRig) -> None:
    """A token in a traceback or a log shows nothing."""
    token = signed_in(rig)
    shown = repr(token)
    assert token.refresh_token not in shown
    assert token.client_secret not in shown
    assert str(token.access_token) not in shown


def test_a_symlink_stays_one(rig: GoogleRig) -> None:
    """What it points to is replaced, in place and with the right mode."""
    real = rig.folder / "elsewhere" / "real.json"
    real.parent.mkdir()
    real.write_text("{}")
    rig.account.token_file.symlink_to(real)
    signed_in(rig)
    assert rig.account.token_file.is_symlink()
    assert json.loads(real.read_text())["refresh_token"]
    assert mode_of(real) == 0o600


def test_a_failed_write_leaves_the_old_file_and_no_litter(rig: GoogleRig) -> None:
    """Whole or not at all."""
    token = signed_in(rig)
    before = rig.account.token_file.read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write_token(rig.account.token_file, _Unwritable(**_fields(token)))
    assert rig.account.token_file.read_bytes() == before
    assert sorted(each.name for each in rig.folder.iterdir()) == [
        "client.json",
        "work.json",
        "work.json.lock",
    ]


class _Unwritable(StoredToken):
    def as_json(self) -> str:
        return "half\ud800"


def _fields(token: StoredToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in token.__dataclass_fields__}


def test_a_token_survives_the_file(rig: GoogleRig) -> None:
    """What was written is what is read, to the second."""
    when = datetime(2026, 11, 23, 9, 30, 15, tzinfo=timezone.utc)
    token = StoredToken("id", "secret", "refresh", "access", when, ("a", "b"), when, when)
    write_token(rig.account.token_file, token)
    assert read_token(rig.account) == token


# ── sharing it ───────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_renewed_access_token_is_kept(rig: GoogleRig) -> None:
    """The next process starts with it, and asks for none."""
    rig.write_sign_in(obtained_at="2026-11-20T08:00:00Z")
    first = rig.source()
    await first.read(PRIMARY, WINDOW)
    await first.aclose()
    token = read_token(rig.account)
    assert token.access_token
    assert token.obtained_at == NOW - timedelta(days=3)
    second = rig.source()
    await second.read(PRIMARY, WINDOW)
    await second.aclose()
    assert len(rig.stage.log.matching("/token", "POST")) == 1


@pytest.mark.anyio
async def test_many_sources_renew_one_sign_in_once(rig: GoogleRig) -> None:
    """Whoever comes second takes what the first one was given."""
    rig.write_sign_in()
    rig.stage.faults.add(Fault(path="/token", delay_s=0.3))
    sources = [rig.source() for _ in range(6)]

    async def read(source: GoogleCalendarSource) -> None:
        await source.read(PRIMARY, WINDOW)

    async with anyio.create_task_group() as tasks:
        for source in sources:
            tasks.start_soon(read, source)
    for source in sources:
        await source.aclose()
    assert len(rig.stage.log.matching("/token", "POST")) == 1
    assert mode_of(rig.account.token_file) == 0o600


def _hold_lock(path: Path, ready: Any, release: Any) -> None:
    with token_lock(path, within=timedelta(seconds=5)):
        ready.set()
        release.wait(120)


@pytest.mark.anyio
async def test_another_processs_lock_is_waited_for_and_not_for_ever(rig: GoogleRig) -> None:
    """A process that hangs in its refresh delays us, no more."""
    rig.write_sign_in()
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=_hold_lock, args=(rig.account.token_file, ready, release))
    holder.start()
    try:
        assert await anyio.to_thread.run_sync(ready.wait, 60)
        source = rig.source(request_timeout=timedelta(seconds=0.3))
        with pytest.raises(TransientError, match=r"work\.json\.lock"):
            await source.read(PRIMARY, WINDOW)
        assert rig.stage.log.matching("/token", "POST") == []
    finally:
        release.set()
        await anyio.to_thread.run_sync(holder.join)
    assert (await source.read(PRIMARY, WINDOW)).events == ()
    await source.aclose()


@pytest.mark.anyio
async def test_a_file_that_cant_be_replaced_is_no_obstacle(rig: GoogleRig) -> None:
    """As with a systemd credential: every start renews anew, and reading works."""
    # Names have 255 bytes at most, so neither a lock nor a new file fits beside this one;
    # unlike a folder's mode, that holds for root too.
    path = rig.write_sign_in(name="w" * 250)
    before = path.read_bytes()
    source = rig.source(token_file=path)
    for _ in range(2):
        assert (await source.read(PRIMARY, WINDOW)).events == ()
    await source.aclose()
    assert path.read_bytes() == before
    assert len(rig.stage.log.matching("/token", "POST")) == 2


@pytest.mark.anyio
async def test_a_rotated_refresh_token_is_kept(rig: GoogleRig) -> None:
    """Google may hand out a new one at any refresh; the old one then dies."""
    rig.write_sign_in()
    rotated = rig.stage.issue_refresh_token(ANNA)
    answer = {"access_token": "dead", "expires_in": 3599, "refresh_token": rotated}
    rig.stage.faults.add(Fault(path="/token", status=200, body=answer))
    source = rig.source()
    assert (await source.read(PRIMARY, WINDOW)).events == ()
    await source.aclose()
    assert read_token(rig.account).refresh_token == rotated


# ── ending it ────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_revoking_ends_it_at_google_and_here(rig: GoogleRig) -> None:
    """The file goes, and its token is worth nothing to whoever kept a copy."""
    await anyio.to_thread.run_sync(signed_in, rig)
    copy = rig.account.token_file.read_text()
    assert revoke(rig.account) is None
    assert not rig.account.token_file.exists()
    write_json(rig.account.token_file, copy)
    source = rig.source()
    with pytest.raises(HumanNeededError, match="the sign-in has ended"):
        await source.read(PRIMARY, WINDOW)
    await source.aclose()


def test_revoking_what_had_ended_is_fine(rig: GoogleRig) -> None:
    """Google says "no such token": that is what we want."""
    signed_in(rig)
    rig.stage.revoke(ANNA)
    assert revoke(rig.account) is None
    assert not rig.account.token_file.exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(path="/revoke", status=503), "HTTP 503"),
        (Fault(path="/revoke", drop=True), "can't be told"),
    ],
)
def test_a_failed_revocation_is_told_and_the_file_goes_anyway(
    rig: GoogleRig, fault: Fault, words: str
) -> None:
    """Where Google can't be told, the address says where to do it by hand."""
    signed_in(rig)
    rig.stage.faults.add(fault)
    problem = revoke(rig.account)
    assert problem is not None
    assert words in problem
    assert "myaccount.google.com/permissions" in problem
    assert not rig.account.token_file.exists()


def test_an_unreadable_sign_in_is_deleted_and_told(rig: GoogleRig) -> None:
    """There is nothing to tell Google with; the file goes all the same."""
    write_json(rig.account.token_file, "junk")
    problem = revoke(rig.account)
    assert problem is not None
    assert "The file is deleted" in problem
    assert not rig.account.token_file.exists()


def test_nothing_to_revoke_is_said(rig: GoogleRig) -> None:
    """No sign-in, or a service account's key, which is the console's affair."""
    with pytest.raises(HumanNeededError, match="not signed in"):
        revoke(rig.account)
    with pytest.raises(HumanNeededError, match="no sign-in to end"):
        revoke(replace(rig.account, service_account=rig.folder / "key.json"))


def test_a_linked_sign_in_is_gone_altogether(rig: GoogleRig) -> None:
    """Neither the link nor what it points to is left."""
    real = rig.folder / "real.json"
    rig.account.token_file.symlink_to(real)
    signed_in(rig)
    assert stat.S_ISREG(real.stat().st_mode)
    revoke(rig.account)
    assert not real.exists()
    assert not rig.account.token_file.is_symlink()


@pytest.mark.anyio
async def test_two_accounts_sign_in_side_by_side(rig: GoogleRig) -> None:
    """Each has its own file and sees its own calendar."""
    rig.stage.insert_event(BEN, meeting(summary="Ben's"))
    await anyio.to_thread.run_sync(signed_in, rig)
    rig.stage.consent = Consent(email=BEN)
    home = replace(rig.account, name="home", token_file=rig.folder / "home.json")
    await anyio.to_thread.run_sync(signed_in, rig, home)
    source = GoogleCalendarSource(home, clock=rig.clock)
    [event] = (await source.read(CalendarRef("home", "primary"), WINDOW)).events
    assert event.title == "Ben's"
    await source.aclose()
    work = rig.source()
    assert (await work.read(PRIMARY, WINDOW)).events == ()
    await work.aclose()
