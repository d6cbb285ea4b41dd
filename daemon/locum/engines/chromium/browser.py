"""The browser on this machine: found, checked, started with a profile, and surely ended.

Debian's Chromium (or the user's own) is driven through Playwright; none is downloaded. It
never outlives us: the kernel kills it when the process that drives it is gone, and whatever is
left of its tree when a session ends is ended here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from locum.engines.chromium import flags, processes
from locum.engines.chromium.display import dying_with_us, virtual_display
from locum.errors import HumanNeededError, PermanentError, TransientError

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Playwright, ViewportSize

_log = structlog.get_logger(__name__)

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Under which names a browser is looked for, in this order."""

OLDEST = 120
"""The oldest that has all we use: whole frames in and out of tracks, the new headless mode."""

INSTALL_BROWSER = (
    "Give: sudo apt install chromium. Or name your own Chromium or Chrome as"
    " engines.NAME.executable in the config."
)
INSTALL_EXTRA = "Give: pip install 'locum[chromium]'."

_VERSION = re.compile(r"\b(\d{1,5})((?:\.\d{1,6}){0,3})\b")
_ASKING = timedelta(seconds=20)
_STARTING = timedelta(seconds=45)
_CLOSING = timedelta(seconds=5)
_GOING = timedelta(seconds=5)
_LOOK_EVERY = timedelta(seconds=5)
_MIB = 1024 * 1024


@dataclass(frozen=True)
class BrowserSettings:
    """How the browser is started.

    `language` is what it asks pages for, and they are read in; `width` and `height` are the
    window's, in pixels. `memory_limit` is in MiB, for the whole tree; None sets no limit.
    `sandbox` can't be had as root; for anybody else it can't be switched off.
    """

    executable: Path | None = None
    headless: bool = True
    sandbox: bool = True
    language: str = "en-US"
    width: int = 1280
    height: int = 720
    extra_args: tuple[str, ...] = ()
    memory_limit: int | None = 2048


@dataclass(frozen=True)
class Found:
    """A browser that runs here. `version` is as it says, e.g. "150.0.7871.100"."""

    path: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


# ── finding it ───────────────────────────────────────────────────────────────────────────


def find_browser(settings: BrowserSettings) -> Found:
    """Find the browser and ask its version; takes a tenth of a second the first time.

    Raises:
        HumanNeededError: There is none, it doesn't run, or it is too old; `hint` says what
            to do.
    """
    path = _path_of(settings)
    try:
        # Asked anew once the file is another: an upgrade must be noticed by a running daemon.
        version = _version_of(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise HumanNeededError(
            f"The browser {path} can't be run ({error.strerror}).", hint=INSTALL_BROWSER
        ) from error
    found = Found(path, version)
    if found.major < OLDEST:
        raise HumanNeededError(
            f"The browser {path} is version {version}; {OLDEST} is the oldest that has what"
            " locum needs.",
            hint=f"Upgrade it. {INSTALL_BROWSER}",
        )
    return found


def _path_of(settings: BrowserSettings) -> Path:
    if settings.executable is not None:
        own = settings.executable
        if not own.is_file():
            raise HumanNeededError(
                f"There is no browser {own}.",
                hint="Correct executable in the engine's config, or take it out.",
            )
        if not os.access(own, os.X_OK):
            raise HumanNeededError(
                f"{own} isn't a program that user {os.geteuid()} may run.",
                hint="Correct executable in the engine's config, or take it out.",
            )
        return own.absolute()
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return Path(found).absolute()
    raise HumanNeededError("There is no Chromium on this machine.", hint=INSTALL_BROWSER)


@functools.lru_cache(maxsize=8)
def _version_of(path: Path, changed: int) -> str:
    del changed  # Part of the key alone.
    try:
        asked = subprocess.run(
            [path, "--version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_ASKING.total_seconds(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HumanNeededError(
            f"{path} doesn't say its version within {_ASKING.total_seconds():.0f} s.",
            hint=INSTALL_BROWSER,
        ) from error
    version = parse_version(asked.stdout[:4096].decode("utf-8", "replace"))
    if version is None:
        raise HumanNeededError(
            f"{path} --version ended with status {asked.returncode} and named no version: it"
            " isn't a Chromium.",
            hint=INSTALL_BROWSER,
        )
    return version


def parse_version(text: str) -> str | None:
    """Answer the version in "Chromium 150.0.7871.100 built on Debian …", or None."""
    for line in text.splitlines():
        if re.match(r"(?i)\W*(google chrome|chromium|chrome|headless)", line):
            found = _VERSION.search(line)
            if found is not None:
                return found[0]
    return None


def is_sandboxed() -> bool:
    """Answer whether Chromium's sandbox is on: it is, for everybody but root."""
    return os.geteuid() != 0


# ── starting and ending it ───────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def launched(
    settings: BrowserSettings,
    profile: Path,
    *,
    origin: str = "",
    on_gone: Callable[[str], None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[BrowserContext]:
    """Run a browser on a profile's folder for the length of the block.

    It has no page yet. Pages of `origin` (the meeting's, "https://meet.google.com") may use
    camera and microphone; no other may. When the block ends, so has every process of the
    browser's. It may end before: then `on_gone` is called, once, with the reason in a few
    words, and Playwright's calls raise (without a driver, not even `context.on("close", …)`
    is told).

    Not for two at a time on one folder: see `Profiles.taken`.

    Raises:
        HumanNeededError: No browser, an old one, or the extra isn't installed.
        PermanentError: The settings can't be had.
        TransientError: It didn't start.
    """
    if not settings.sandbox and is_sandboxed():
        raise PermanentError(
            "Chromium's sandbox is switched off for root alone: take sandbox = false out of the"
            " engine's config."
        )
    playwright_api()
    found = await asyncio.to_thread(find_browser, settings)
    async with contextlib.AsyncExitStack() as stack:
        screen = None
        if not settings.headless:
            screen = flags.screen_of(environ) or await stack.enter_async_context(
                virtual_display(settings.width, settings.height)
            )
        tree = _Tree(profile)
        # What is left at the very end is ended, whatever went wrong before.
        stack.push_async_callback(tree.end)
        driver = await stack.enter_async_context(_driver())
        arguments = flags.command_line(
            profile,
            headless=settings.headless,
            sandboxed=is_sandboxed(),
            language=settings.language,
            size=(settings.width, settings.height),
            origin=origin,
            extra=settings.extra_args,
        )
        context = await _start(
            driver,
            [*dying_with_us(), str(found.path), *arguments],
            settings,
            flags.environment(environ, profile, screen=screen),
        )
        stack.push_async_callback(_close, context)
        if origin:
            await context.grant_permissions(["camera", "microphone"], origin=origin)
        await stack.enter_async_context(_watched(tree, settings.memory_limit, on_gone))
        yield context


def playwright_api() -> None:
    """See whether there is what drives the browser.

    Raises:
        HumanNeededError: The extra isn't installed.
    """
    if importlib.util.find_spec("playwright") is None:
        raise HumanNeededError(
            "Playwright, which drives the browser, isn't installed.", hint=INSTALL_EXTRA
        )


@contextlib.asynccontextmanager
async def _driver() -> AsyncIterator[Playwright]:
    from playwright.async_api import Error, async_playwright

    try:
        # Where it may not make code as it goes (MemoryDenyWriteExecute=), it hangs.
        driver = await asyncio.wait_for(async_playwright().start(), _STARTING.total_seconds())
    except (Error, OSError) as error:
        raise TransientError(f"Playwright's driver doesn't start: {error}") from error
    except asyncio.TimeoutError as error:
        raise TransientError(
            f"Playwright's driver doesn't start within {_STARTING.total_seconds():.0f} s. As a"
            " service, locum needs its drop-in, systemd/locum.service.d/chromium.conf."
        ) from error
    try:
        yield driver
    finally:
        await _at_most(_CLOSING, driver.stop())


async def _start(
    driver: Playwright,
    command: list[str],
    settings: BrowserSettings,
    environment: Mapping[str, str],
) -> BrowserContext:
    from playwright.async_api import Error

    program, *arguments = command
    (profile,) = (
        argument.partition("=")[2]
        for argument in arguments
        if argument.startswith("--user-data-dir=")
    )
    size: ViewportSize = {"width": settings.width, "height": settings.height}
    try:
        return await driver.chromium.launch_persistent_context(
            profile,
            executable_path=program,
            # Ours is the whole command line: Playwright's own would come before setpriv's.
            ignore_default_args=True,
            args=arguments,
            env={**environment},
            headless=settings.headless,
            timeout=_STARTING.total_seconds() * 1000,
            # The meeting is left first, by whoever runs us; then the browser is closed.
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            accept_downloads=False,
            locale=settings.language,
            viewport=size,
        )
    except Error as error:
        raise _why_not_started(str(error)) from error


def _why_not_started(text: str) -> TransientError | HumanNeededError:
    if "No usable sandbox" in text or "setuid sandbox" in text.lower():
        return HumanNeededError(
            "Chromium can't make its sandbox here.",
            hint="Let it make user namespaces: sudo sysctl -w user.max_user_namespaces=10000"
            " kernel.unprivileged_userns_clone=1. As a service, install its drop-in,"
            " systemd/locum.service.d/chromium.conf.",
        )
    if "Missing X server" in text or "cannot open display" in text.lower():
        return HumanNeededError(
            "The browser finds no display.",
            hint="Set DISPLAY, or set headless = true in the engine's config.",
        )
    # Playwright's own words are a page long, with the whole command line.
    first = text.strip().partition("\n")[0][:200]
    return TransientError(f"The browser didn't start: {first}")


async def _close(context: BrowserContext) -> None:
    # In order, so that what the page left (cookies!) is on the disk.
    await _at_most(_CLOSING, context.close())


async def _at_most(limit: timedelta, work: Coroutine[Any, Any, None]) -> None:
    """Let it have its time; what isn't done by then, or fails, is done by force afterwards.

    Without its driver, Playwright raises whatever comes.
    """
    closing = asyncio.create_task(work)
    await asyncio.wait([closing], timeout=limit.total_seconds())
    if not closing.done():
        closing.cancel()
        await asyncio.wait([closing])
    if not closing.cancelled() and (problem := closing.exception()) is not None:
        _log.info("browser_close_failed", problem=type(problem).__name__)


class _Tree:
    """The processes of one browser, as far as they were ever seen.

    Once the browser's main process is gone, nobody can tell any more whose its children were.
    """

    def __init__(self, profile: Path) -> None:
        self.profile = profile
        self._known: set[processes.Process] = set()

    def look(self) -> frozenset[processes.Process]:
        """See what runs now, and remember it."""
        found = processes.tree_of(self.profile)
        self._known = {*processes.still_running(self._known), *found}
        return found

    async def end(self) -> None:
        """Wait a little for what is ending, then end what isn't."""
        self.look()
        left = await processes.gone(self._known, patience=_GOING)
        if left:
            stuck = await processes.end(left, patience=_GOING)
            _log.warning("browser_killed", processes=len(left), stuck=len(stuck))


@contextlib.asynccontextmanager
async def _watched(
    tree: _Tree, memory_limit: int | None, on_gone: Callable[[str], None] | None
) -> AsyncIterator[None]:
    """Remember the tree as it grows, end it where it takes too much, tell when it is gone."""
    told = False

    def tell(why: str) -> None:
        nonlocal told
        if not told:
            told = True
            _log.error("browser_lost", why=why)
            if on_gone is not None:
                on_gone(why)

    tree.look()
    browser = processes.main_of(tree.profile)
    driver = None if browser is None else processes.driver_of(browser)
    with (
        processes.when_gone(browser, lambda: tell("the browser ended by itself")),
        processes.when_gone(driver, lambda: tell("what drives the browser ended by itself")),
    ):
        watching = asyncio.create_task(_watch(tree, memory_limit, tell))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])


async def _watch(tree: _Tree, memory_limit: int | None, tell: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY.total_seconds())
        seen = await asyncio.to_thread(tree.look)
        if memory_limit is None:
            continue
        taken = processes.memory_of(seen) // _MIB
        if taken > memory_limit:
            tell(f"the browser took {taken} MiB of memory, and may take {memory_limit}")
            await processes.end(seen, patience=_GOING)
            return
