"""One page in the browser: looked at, pressed and filled in, and never waited for without end.

Looks are taken by a script in a world of its own, which the page's scripts don't see; presses
and texts are Playwright's ordinary ones, on what a look has found by role and name.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import json
from collections import deque
from collections.abc import Awaitable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from locum.engines.chromium import texts
from locum.engines.chromium.looks import Look, Shown, parse_look
from locum.engines.chromium.verdicts import EndedError, Verdict

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, ConsoleMessage, Locator, Page

_log = structlog.get_logger(__name__)


_LOADING = timedelta(seconds=30)
_LOOKING = timedelta(seconds=3)
_PRESSING = timedelta(seconds=3)
_SHOOTING = timedelta(seconds=5)
_SILENCE = timedelta(seconds=9)
"""How long a page may leave our looks unanswered: a slow machine isn't a hung page."""

_WORLD = "locum"
_MOST_ERRORS = 40
_LONGEST_ERROR = 500


class NoLookError(Exception):
    """The page can't be looked at just now: it is being loaded, or is busy."""


class MeetPage:
    """Drives one page. Every wait is bounded, and a page that is gone raises `EndedError`."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._cdp: CDPSession | None = None
        self._world: int | None = None
        self._script = ""
        self._crashed = asyncio.Event()
        self._why = ""
        self.hangs = False  #: It has left our looks unanswered for so long that it won't.
        self._answered_at = asyncio.get_running_loop().time()
        self.errors: deque[str] = deque(maxlen=_MOST_ERRORS)
        page.on("crash", lambda _: self._crashed.set())
        page.on("close", lambda _: self._crashed.set())
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._note_error(str(error)))
        # A question of the page's own ("Leave?") would hold it up until it is answered.
        page.on("dialog", lambda dialog: asyncio.ensure_future(_accept(dialog)))

    @property
    def crashed(self) -> bool:
        return self._crashed.is_set()

    def lose(self, why: str) -> None:
        """Know that it is gone, with its browser or what drives that: no answer will come."""
        self._why = self._why or why
        self._crashed.set()

    async def open(self, address: str) -> None:
        """Go there; returns when there is a page, whatever it shows.

        Raises:
            EndedError: NOT_LOADED.
        """
        from playwright.async_api import Error

        self._script = _script()
        try:
            self._cdp = await self._page.context.new_cdp_session(self._page)
            await self._page.goto(
                address, timeout=_LOADING.total_seconds() * 1000, wait_until="commit"
            )
        except Error as error:
            raise EndedError(Verdict.NOT_LOADED, _first_line(error)) from error
        self._answered_at = asyncio.get_running_loop().time()

    async def reload(self) -> bool:
        limit = _LOADING.total_seconds() * 1000
        return await self._does(_of(self._page.reload(timeout=limit, wait_until="commit")))

    # ── looking ──────────────────────────────────────────────────────────────────────────

    async def look(self) -> Look:
        """Look once.

        Raises:
            NoLookError: Not now; look again in a moment.
            EndedError: The page crashed, or hasn't answered for too long.
        """
        if self.crashed:
            raise EndedError(Verdict.CRASHED, self._why)
        loop = asyncio.get_running_loop()
        try:
            seen = parse_look(await self._asked())
        except (_NoWorldError, ValueError, asyncio.TimeoutError) as error:
            if self.crashed:
                raise EndedError(Verdict.CRASHED, self._why) from error
            if loop.time() - self._answered_at > _SILENCE.total_seconds():
                self.hangs = True
                raise EndedError(Verdict.SILENT) from error
            raise NoLookError(str(error)) from error
        self._answered_at = loop.time()
        return seen

    async def _asked(self) -> str:
        """Ask, for as long as an answer can come: what drives a browser may die unheard."""
        asking = asyncio.ensure_future(self._ask())
        losing = asyncio.ensure_future(self._crashed.wait())
        try:
            await asyncio.wait(
                (asking, losing),
                timeout=_LOOKING.total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not asking.done():
                raise asyncio.TimeoutError
            return asking.result()
        finally:
            asking.cancel()
            losing.cancel()
            await asyncio.gather(asking, losing, return_exceptions=True)

    async def _ask(self) -> str:
        for _ in range(2):
            world = self._world if self._world is not None else await self._make_world()
            reply = await self._send(
                "Runtime.evaluate",
                {
                    "expression": f"locumLook({_NAMED})",
                    "contextId": world,
                    "returnByValue": True,
                    "timeout": _LOOKING.total_seconds() * 1000,
                },
            )
            value = reply.get("result", {}).get("value")
            if isinstance(value, str):
                return value
            self._world = None
        raise _NoWorldError("the look failed")

    async def _make_world(self) -> int:
        """Make our own world in the page that is loaded now, with the script in it."""
        tree = await self._send("Page.getFrameTree", {})
        frame = tree.get("frameTree", {}).get("frame", {}).get("id")
        made = await self._send(
            "Page.createIsolatedWorld", {"frameId": frame, "worldName": _WORLD}
        )
        world = made.get("executionContextId")
        if not isinstance(world, int):
            raise _NoWorldError("there is no page to look at")
        await self._send("Runtime.evaluate", {"expression": self._script, "contextId": world})
        self._world = world
        return world

    async def _send(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        from playwright.async_api import Error

        if self._cdp is None:
            raise _NoWorldError("the page isn't open")
        try:
            return await self._cdp.send(method, parameters)
        except Error as error:
            self._world = None  # It went with the document that it was in.
            raise _NoWorldError(_first_line(error)) from error

    # ── acting ───────────────────────────────────────────────────────────────────────────

    async def press(self, shown: Shown) -> bool:
        """Press what a look has found; False if it couldn't be, and nothing was done."""
        scope: Page | Locator = self._page
        if shown.dialog:
            scope = self._page.get_by_role("dialog").or_(self._page.get_by_role("alertdialog"))
        role: Any = shown.role
        found = scope.get_by_role(role, name=shown.name, exact=True)
        limit = _PRESSING.total_seconds() * 1000
        return await self._does(found.filter(visible=True).first.click(timeout=limit))

    async def fill(self, shown: Shown, text: str) -> bool:
        """Put a text into a field, in place of what is in it; False if it couldn't be."""
        limit = _PRESSING.total_seconds() * 1000
        named = self._page.get_by_role("textbox", name=shown.name, exact=True)
        # Some pages put the name on what is around the field.
        within = self._page.get_by_label(shown.name, exact=True).locator(_FIELDS)
        found = named.or_(within).filter(visible=True).first
        return await self._does(found.fill(text, timeout=limit))

    async def enter(self) -> bool:
        return await self._does(self._page.keyboard.press("Enter"))

    async def _does(self, work: Awaitable[None]) -> bool:
        from playwright.async_api import Error

        try:
            await asyncio.wait_for(work, 2 * _PRESSING.total_seconds())
        except (Error, asyncio.TimeoutError) as error:
            _log.debug("page_action_failed", problem=str(error)[:800])
            return False
        return True

    async def screenshot(self) -> bytes | None:
        """Take a picture of what is seen, as JPEG; None where it can't be had."""
        from playwright.async_api import Error

        if self.crashed or self.hangs:
            return None
        limit = _SHOOTING.total_seconds()
        try:
            return await asyncio.wait_for(
                self._page.screenshot(
                    type="jpeg", quality=60, timeout=limit * 1000, animations="disabled"
                ),
                limit,
            )
        except (Error, asyncio.TimeoutError):
            return None

    # ── what went wrong in the page ──────────────────────────────────────────────────────

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note_error(message.text)

    def _note_error(self, text: str) -> None:
        self.errors.append(text[:_LONGEST_ERROR])


_NAMED = json.dumps(
    [
        name.lower()
        for names in (
            texts.CAPTIONS_REGION,
            texts.PARTICIPANTS_LIST,
            texts.MESSAGES_LIST,
        )
        for name in names
    ]
)
_FIELDS = 'textarea, input, [contenteditable=""], [contenteditable="true"], [role="textbox"]'


class _NoWorldError(Exception):
    """The script isn't in the page, or the page can't be asked."""


async def _of(work: Awaitable[object]) -> None:
    await work


async def _accept(dialog: Any) -> None:
    from playwright.async_api import Error

    with contextlib.suppress(Error):
        await dialog.accept()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _script() -> str:
    scripts = importlib.resources.files("locum.engines.chromium") / "scripts"
    return (scripts / "look.js").read_text("utf-8")
