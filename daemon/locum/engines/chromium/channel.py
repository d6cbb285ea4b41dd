"""A line to the scripts in a page, over raw CDP: what a page's own policy can't cut.

Playwright's bindings cost three times as much, and WebSockets to this machine are blocked from
public pages. A page may be loaded anew at any time; then there is a new object to call, and
whoever waits for an answer of the old one is told.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from locum.errors import TransientError
from locum.tasks import Tasks

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page
    from typing_extensions import Self

_log = structlog.get_logger(__name__)

_LONGEST_MESSAGE = 65_536
_ANSWERED_WITHIN_S = 5.0
_CALL = "function (name, ...values) { return this[name](...values); }"


class PageChannel:
    """Calls functions of our scripts in a page, and hears what they tell.

    `binding` and `door` are names in the page's world, for the instants until the scripts have
    taken them away: nobody can have guessed them.
    """

    def __init__(
        self,
        session: CDPSession,
        *,
        on_message: Callable[[str], None],
        on_left: Callable[[], None],
    ) -> None:
        self.binding = f"locum{secrets.token_hex(8)}"
        self.door = f"locum{secrets.token_hex(8)}"
        self.worker_path = f"/locum-{secrets.token_hex(8)}.js"
        self._session = session
        self._on_message = on_message
        self._on_left = on_left
        self._handle: str | None = None
        self._tasks = Tasks()
        self._closed = False

    @classmethod
    async def open(
        cls,
        page: Page,
        *,
        on_message: Callable[[str], None],
        on_left: Callable[[], None],
    ) -> Self:
        """Open one to `page`; `on_left` is called whenever the page has gone to another document.

        Raises:
            TransientError: The page is gone.
        """
        from playwright.async_api import Error

        try:
            session = await page.context.new_cdp_session(page)
        except Error as error:
            raise TransientError(f"The browser's page is gone: {error}") from error
        return cls(session, on_message=on_message, on_left=on_left)

    async def install(self, script: str, *, worker: str) -> None:
        """Let `script` run in every document that the page opens from now on, before all others.

        `worker` is what the page finds at `worker_path` of its own origin: a page's policy
        that refuses other Workers takes that one. No request for it leaves the browser.

        Raises:
            TransientError: The page is gone.
        """
        self._session.on("Runtime.bindingCalled", self._called)
        self._session.on("Runtime.executionContextsCleared", lambda _: self._left())
        await self._send("Runtime.enable")
        await self._send("Page.enable")
        await self._send("Runtime.addBinding", {"name": self.binding})
        self._session.on(
            "Fetch.requestPaused", lambda event: self._serve(event["requestId"], worker)
        )
        await self._send("Fetch.enable", {"patterns": [{"urlPattern": f"*{self.worker_path}"}]})
        await self._send("Page.addScriptToEvaluateOnNewDocument", {"source": script})

    async def call(
        self, name: str, *values: object, within_s: float = _ANSWERED_WITHIN_S
    ) -> Any:
        """Call a function of the scripts, and wait for its answer, a promise's too.

        Raises:
            TransientError: The page is gone, is being loaded, hangs, or the function threw.
        """
        if self._handle is None:
            raise TransientError("The page has no camera of ours yet: it is being loaded.")
        answer = await self._send(
            "Runtime.callFunctionOn",
            {
                "objectId": self._handle,
                "functionDeclaration": _CALL,
                "arguments": [{"value": value} for value in (name, *values)],
                "returnByValue": True,
                "awaitPromise": True,
            },
            within_s=within_s,
        )
        return self._value(answer, name).get("value")

    async def aclose(self) -> None:
        """Let go. The page's scripts stay as they are, unheard."""
        if self._closed:
            return
        self._closed = True
        self._handle = None
        await self._tasks.cancel()
        from playwright.async_api import Error

        try:
            await asyncio.wait_for(self._session.detach(), _ANSWERED_WITHIN_S)
        except (Error, asyncio.TimeoutError):
            _log.debug("page_gone_before_us")

    def _called(self, event: dict[str, Any]) -> None:
        if self._closed or event.get("name") != self.binding:
            return
        payload = event.get("payload", "")
        if len(payload) > _LONGEST_MESSAGE:
            _log.warning("page_message_too_long", length=len(payload))
        elif payload == '{"kind":"hello"}':
            context = event["executionContextId"]
            self._tasks.start(("hello", context), self._greet(context))
        else:
            self._on_message(payload)

    def _serve(self, request: str, script: str) -> None:
        answer = {
            "requestId": request,
            "responseCode": 200,
            "responseHeaders": [{"name": "Content-Type", "value": "text/javascript"}],
            "body": base64.b64encode(script.encode()).decode(),
        }
        self._tasks.start(("serve", request), self._quietly("Fetch.fulfillRequest", answer))

    async def _quietly(self, method: str, params: dict[str, Any]) -> None:
        try:
            await self._send(method, params)
        except TransientError as error:
            _log.info("page_left_before_answer", method=method, error=str(error))

    def _left(self) -> None:
        self._handle = None
        self._on_left()

    async def _greet(self, context: int) -> None:
        """Take the object to call from where the scripts have put it."""
        key = f'Symbol.for("{self.door}")'
        take = f"(() => {{ const it = globalThis[{key}]; delete globalThis[{key}]; return it; }})()"
        try:
            answer = await self._send(
                "Runtime.evaluate", {"expression": take, "contextId": context}
            )
            self._handle = self._value(answer, "hello")["objectId"]
        except (TransientError, KeyError) as error:
            _log.info("page_left_before_greeting", error=str(error))

    @staticmethod
    def _value(answer: dict[str, Any], name: str) -> dict[str, Any]:
        if (thrown := answer.get("exceptionDetails")) is not None:
            what = thrown.get("exception", {}).get("description", thrown.get("text", ""))
            raise TransientError(f"The page's script failed in {name}: {str(what)[:300]}")
        result: dict[str, Any] = answer["result"]
        return result

    async def _send(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        within_s: float = _ANSWERED_WITHIN_S,
    ) -> dict[str, Any]:
        from playwright.async_api import Error

        try:
            sending = self._session.send(method, params or {})
            answer: dict[str, Any] = await asyncio.wait_for(sending, within_s)
        except asyncio.TimeoutError as error:
            raise TransientError(f"The page hangs: no answer in {within_s:g} s.") from error
        except Error as error:
            raise TransientError(f"The page is gone, or being loaded: {error}") from error
        return answer
