"""A person signs a browser in, once: in a window, or from afar through a tunnel.

The password is typed into Google's own page; nothing of it passes through locum. All that is
read here is where the page is, and what its controls are called.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from locum.engines.chromium import flags, processes
from locum.engines.chromium.browser import (
    BrowserSettings,
    find_browser,
    is_sandboxed,
    launched,
)
from locum.engines.chromium.display import dying_with_us
from locum.engines.chromium.texts import Control, holds, is_called
from locum.errors import HumanNeededError, TransientError

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

_GOOGLE = "https://meet.google.com/"
_GOOGLE_SIGN_IN = "https://accounts.google.com/ServiceLogin"
_SIGN_IN_PATHS = ("/signin", "/ServiceLogin", "/v3/signin")
_REFUSES_BROWSER = (
    "This browser or app may not be secure",
    "Dieser Browser oder diese App ist unter Umständen nicht sicher",
    "Ce navigateur ou cette application ne sont peut-être pas sécurisés",
)

_LOOK_EVERY_S = 0.5
_LOADING = timedelta(seconds=30)
_READING_MS = 3_000
_LONGEST_PAGE = 128 * 1024
_CONTROL = re.compile(r'^\s*- (?:button|link|textbox|menuitem|combobox) "((?:[^"\\]|\\.)*)"')
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}")


@dataclass(frozen=True)
class Seen:
    """A page as a person sees it: its address, its controls' names, all of its text."""

    address: str
    controls: tuple[str, ...]
    text: str = ""

    @property
    def account(self) -> str:
        """Answer the e-mail address that it shows, which is whose it is; empty if none."""
        found = _ADDRESS.search(self.text)
        return found[0] if found else ""


def sign_in_address(meet_url: str, language: str = "en") -> str:
    """Answer where one signs in so as to come out at the meetings' home screen."""
    if meet_url == _GOOGLE:
        return f"{_GOOGLE_SIGN_IN}?continue={quote(_GOOGLE, safe='')}&hl={language}"
    # A stage has its own, on the same address.
    home = quote(urlsplit(meet_url).path or "/", safe="")
    return f"{meet_url}ServiceLogin?continue={home}&hl={language}"


def is_signed_in(seen: Seen, meet_url: str) -> bool:
    """Answer whether the page is the meetings' own, and takes us for somebody.

    Signed out, Google sends one to its advertising, at another address. A page that has no
    controls yet proves nothing.
    """
    here, meeting = urlsplit(seen.address), urlsplit(meet_url)
    if (here.scheme, here.netloc) != (meeting.scheme, meeting.netloc):
        return False
    if here.path.startswith(_SIGN_IN_PATHS) or not seen.controls:
        return False
    return not any(is_called(name, Control.SIGN_IN) for name in seen.controls)


async def sign_in(
    settings: BrowserSettings,
    profile: Path,
    meet_url: str,
    *,
    within: timedelta,
    tell: Callable[[str], None],
) -> Seen:
    """Open the sign-in, wait until a person is through, and answer the page they came to.

    Raises:
        HumanNeededError: Nobody did within that time, or the browser was closed before; or
            Google refuses a browser that a program drives.
        TransientError: The page can't be reached, or the browser didn't start.
    """
    if not settings.headless and flags.screen_of(os.environ) is None:
        raise HumanNeededError(
            "There is no display to show the sign-in on.",
            hint="Give --remote, or sign in over ssh -X.",
        )
    gone = asyncio.Event()
    async with launched(settings, profile, on_gone=lambda _: gone.set()) as context:
        context.on("close", lambda _: gone.set())
        page = await context.new_page()
        await _go(page, sign_in_address(meet_url, settings.language.partition("-")[0]))
        if settings.headless:
            await _tell_how_to_see(profile, tell)
        else:
            tell("Sign in there; the window closes by itself when you are.")
        return await _until_signed_in(context, meet_url, within, gone)


async def sign_in_undriven(settings: BrowserSettings, profile: Path, meet_url: str) -> None:
    """Let a person sign in with a browser that nothing drives, and wait until they close it.

    Whether they are is to be seen afterwards: see `look`.

    Raises:
        HumanNeededError: There is no display, or no browser.
    """
    screen = flags.screen_of(os.environ)
    if screen is None:
        raise HumanNeededError(
            "There is no display to show the sign-in on.", hint="Sign in over ssh -X."
        )
    found = await asyncio.to_thread(find_browser, settings)
    arguments = flags.for_a_person(
        profile, sandboxed=is_sandboxed(), language=settings.language
    )
    running = await asyncio.create_subprocess_exec(
        *dying_with_us(),
        str(found.path),
        *arguments,
        sign_in_address(meet_url, settings.language.partition("-")[0]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=flags.environment(os.environ, profile, screen=screen),
        start_new_session=True,
    )
    try:
        await running.wait()
    finally:
        await processes.end(processes.tree_of(profile), patience=timedelta(seconds=5))


async def look(settings: BrowserSettings, profile: Path, meet_url: str) -> Seen:
    """Open the meetings' home screen in a browser that nobody sees; answer what it shows.

    Raises:
        TransientError: The page can't be reached, or shows nothing.
        HumanNeededError: As `launched`.
    """
    async with launched(replace(settings, headless=True), profile) as context:
        page = await context.new_page()
        await _go(page, f"{meet_url}?hl={settings.language.partition('-')[0]}")
        for _ in range(round(_LOADING.total_seconds() / _LOOK_EVERY_S)):
            seen = await _seen(page)
            if seen is not None and seen.controls:
                return seen
            await asyncio.sleep(_LOOK_EVERY_S)
    raise TransientError(f"{meet_url} shows nothing to press.")


async def _go(page: Page, address: str) -> None:
    from playwright.async_api import Error

    try:
        await page.goto(
            address,
            timeout=_LOADING.total_seconds() * 1000,
            wait_until="domcontentloaded",
        )
    except Error as error:
        # Playwright's own words go on with its log; the first line has the reason.
        reason = str(error).partition("\n")[0][:200]
        host = urlsplit(address).netloc
        raise TransientError(f"{host} can't be reached: {reason}") from error


async def _until_signed_in(
    context: BrowserContext, meet_url: str, within: timedelta, gone: asyncio.Event
) -> Seen:
    loop = asyncio.get_running_loop()
    until = loop.time() + within.total_seconds()
    while loop.time() < until:
        for page in context.pages:
            seen = await _seen(page)
            if seen is None:
                continue
            if is_signed_in(seen, meet_url):
                return seen
            if holds(seen.text, _REFUSES_BROWSER):
                raise HumanNeededError(
                    "Google refuses to sign in a browser that a program drives.",
                    hint="Give --plain: an ordinary window, which you close when you are in.",
                )
        if gone.is_set() or not context.pages:
            raise HumanNeededError(
                "The browser was closed before anybody was signed in.",
                hint="Give the same command again.",
            )
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(gone.wait(), _LOOK_EVERY_S)
    raise HumanNeededError(
        f"Nobody signed in within {within.total_seconds() / 60:.0f} minutes.",
        hint="Give the same command again, or a longer --within.",
    )


async def _seen(page: Page) -> Seen | None:
    """Read a page; None while it can't be read, as between two."""
    from playwright.async_api import Error

    try:
        address = page.url
        shown = await page.locator("body").aria_snapshot(timeout=_READING_MS)
    except Error:
        return None
    text = shown[:_LONGEST_PAGE]
    found = (_CONTROL.match(line) for line in text.splitlines())
    return Seen(address, tuple(match[1] for match in found if match), text)


# ── from afar ────────────────────────────────────────────────────────────────────────────


def debugged(settings: BrowserSettings, port: int) -> BrowserSettings:
    """Answer settings of a browser to be seen, and used, through a port of this machine's.

    It is one of loopback's; 0 takes a free one.
    """
    extra = (*settings.extra_args, f"--remote-debugging-port={port}")
    return replace(settings, headless=True, extra_args=extra)


async def _tell_how_to_see(profile: Path, tell: Callable[[str], None]) -> None:
    port = await _debugging_port(profile)
    tell(how_to_see(port, os.environ))


async def _debugging_port(profile: Path) -> int:
    """Read the port that the browser took, from where it writes it.

    Raises:
        TransientError: It wrote none.
    """
    file = profile / "DevToolsActivePort"
    for _ in range(100):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(file.read_text("utf-8").splitlines()[0])
        await asyncio.sleep(0.05)
    raise TransientError("The browser opened no port to be seen through; another may have it.")


def how_to_see(port: int, environ: Mapping[str, str]) -> str:
    """Write what a person does on their own machine to see and use the page."""
    connection = environ.get("SSH_CONNECTION", "").split()
    host = connection[2] if len(connection) == 4 else "THIS-MACHINE"
    user = environ.get("USER") or "YOU"
    return (
        f"1. On your own computer:  ssh -L {port}:127.0.0.1:{port} {user}@{host}\n"
        f"2. Open chrome://inspect in a Chrome or Chromium there; at “Configure…” add"
        f" localhost:{port}, then press “inspect” under “Sign in”.\n"
        "3. Sign in in the picture at the left. This command ends when you are.\n"
        f"Until then whoever can reach port {port} on this machine (every user of it can) has"
        " this browser, and is signed in with it. Nothing else can: it listens on 127.0.0.1"
        " alone, and closes with this command."
    )
