"""`locum meet`: a person signs a browser in on a page of ours, and the sign-in stays with it.

The person is a client of the tunnel that `--remote` opens: what they can do, anybody can who
reaches it, which is why it closes with the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from locum.app.browsers import Browsers, Way
from locum.cli.root import app
from locum.clock import SystemClock
from locum.config.load import load
from locum.engines.chromium import processes
from locum.engines.chromium.browser import BrowserSettings, find_browser
from locum.engines.chromium.display import virtual_display
from locum.engines.chromium.profiles import Profiles
from locum.errors import HumanNeededError
from locum.rehearsal.serving import served
from tests.logs_rig import logging_restored

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("chromium-browser")]


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    with logging_restored():
        yield


WITHIN = timedelta(seconds=60)
EMAIL = "alex@example.com"
COOKIE = "SID"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Door:
    """A place where one signs in, as Google's: pages by address, a cookie for who is in."""

    sessions: set[str] = field(default_factory=set)

    def home(self, request: Request) -> Response:
        if request.cookies.get(COOKIE) in self.sessions:
            return HTMLResponse(f"<h1>Meetings</h1><p>{EMAIL}</p><button>New meeting</button>")
        return HTMLResponse("<h1>Meetings</h1><a href='/ServiceLogin'>Sign in</a>")

    async def sign_in(self, request: Request) -> Response:
        if request.method == "GET":
            return HTMLResponse(
                "<title>Sign in</title><form method=post><input aria-label='Password' name=p>"
                "<button>Next</button></form>"
            )
        form = await request.form()
        if form.get("p") != "tide":
            return RedirectResponse("/ServiceLogin", status_code=303)
        cookie = secrets.token_hex(8)
        self.sessions.add(cookie)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(COOKIE, cookie, max_age=86_400, httponly=True)
        return answer

    @property
    def app(self) -> Starlette:
        sign_in = Route("/ServiceLogin", self.sign_in, methods=["GET", "POST"])
        return Starlette(routes=[Route("/", self.home), sign_in])


@dataclass
class Rig:
    door: Door
    config: Path
    state: Path

    @property
    def browsers(self) -> Browsers:
        return Browsers(load(self.config).config, self.state, SystemClock())

    def locum(self, *arguments: str) -> tuple[int, Any]:
        done = CliRunner().invoke(app, [*arguments, "--config", str(self.config)])
        return done.exit_code, done.output


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    pytest.importorskip("playwright")
    try:
        find_browser(BrowserSettings())
    except HumanNeededError as error:
        pytest.skip(str(error))
    door = Door()
    config = tmp_path / "locum.toml"
    with served(door.app) as server:
        config.write_text(
            'state_dir = "state"\nruntime_dir = "state"\n'
            "[calendar]\n"
            f'api_root = "{server.base_url}/"\ntoken_uri = "{server.base_url}/token"\n'
            '[[calendar.accounts]]\nname = "work"\ntoken_file = "token.json"\n'
            f'[engines.own]\ntype = "chromium"\nmeet_url = "{server.base_url}/"\n'
        )
        config.chmod(0o600)
        yield Rig(door, config, tmp_path / "state")


@contextlib.asynccontextmanager
async def tunnel(port: int) -> AsyncIterator[Any]:
    """See the page through the port, as a person's own browser does."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        yield browser.contexts[0].pages[0]


async def person(told: asyncio.Queue[str], *passwords: str) -> int:
    """Wait to be told of the tunnel, sign in through it, and answer its port."""
    text = await asyncio.wait_for(told.get(), WITHIN.total_seconds())
    found = re.search(r"ssh -L (\d+):127\.0\.0\.1:\1 ", text)
    assert found is not None
    assert "whoever can reach port" in text
    port = int(found[1])
    async with tunnel(port) as page:
        for password in passwords:
            await page.get_by_label("Password").fill(password)
            await page.get_by_role("button", name="Next").click()
            await page.wait_for_load_state()
    return port


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def test_a_sign_in_from_afar_is_kept_and_its_end_is_noticed(rig: Rig) -> None:
    """Signed in through the tunnel, which then closes; asked again, it is; signed out, it isn't."""
    told: asyncio.Queue[str] = asyncio.Queue()
    browsers = rig.browsers
    assert json.loads(rig.locum("meet", "status", "--json")[1])[0]["state"] == "never"

    signing = browsers.sign_in("work", Way.REMOTE, within=WITHIN, port=0, tell=told.put_nowait)
    port, seen = await asyncio.gather(person(told, "wrong", "tide"), signing)

    assert seen.account == EMAIL
    assert not is_open(port)
    code, answer = await asyncio.to_thread(rig.locum, "meet", "status", "--json")
    assert (code, json.loads(answer)[0]["state"]) == (0, "signed in")
    assert await browsers.look("work")
    rig.door.sessions.clear()
    assert not await browsers.look("work")
    code, answer = await asyncio.to_thread(rig.locum, "meet", "status")
    assert code == 3
    assert "signed out" in answer
    assert "locum meet login work" in answer
    code, _ = await asyncio.to_thread(rig.locum, "meet", "logout", "work")
    assert code == 0
    assert not (rig.state / "chromium" / "accounts" / "work").exists()


async def test_a_window_that_is_closed_changes_nothing(rig: Rig, tmp_path: Path) -> None:
    """The person closes the window without signing in: that is said, and nothing is kept."""
    async with virtual_display(640, 480) as screen:
        # A person's own display, as far as the command can tell.
        environment = pytest.MonkeyPatch()
        environment.setenv("DISPLAY", screen["DISPLAY"])
        environment.setenv("XAUTHORITY", screen["XAUTHORITY"])
        try:
            told: asyncio.Queue[str] = asyncio.Queue()
            signing = asyncio.create_task(
                rig.browsers.sign_in(
                    "work", Way.WINDOW, within=WITHIN, port=0, tell=told.put_nowait
                )
            )
            assert "the window closes by itself" in await told.get()
            folder = rig.state / "chromium" / "accounts" / "work" / "signing"
            browser = processes.main_of(folder)
            assert browser is not None
            await processes.end([browser], patience=WITHIN)
            with pytest.raises(HumanNeededError, match="closed before anybody was signed in"):
                await signing
        finally:
            environment.undo()
    assert not folder.exists()
    assert Profiles(rig.state).noted("work").signed_in is None


async def test_without_a_display_the_other_ways_are_named(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server, a window is refused before a browser is started."""
    monkeypatch.delenv("DISPLAY", raising=False)
    for way, hint in ((Way.WINDOW, "--remote"), (Way.PLAIN, "ssh -X")):
        with pytest.raises(HumanNeededError, match=hint):
            await rig.browsers.sign_in("work", way, within=WITHIN, port=0, tell=print)


def test_a_name_that_is_no_account_is_refused(rig: Rig) -> None:
    """The accounts that there are, are named."""
    code, answer = rig.locum("meet", "login", "home")
    assert code == 2
    assert "there is work" in answer
    assert rig.locum("meet", "login", "--remote", "--plain")[0] == 2
    assert rig.locum("meet", "logout")[0] == 3
