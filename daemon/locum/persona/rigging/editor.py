"""A page on this machine where a person drags a face's points; it ends by itself.

Served on loopback under an address with a random token; whoever doesn't know it gets nothing, and
a page of another site can't send here, because what is saved goes in a header. Bounded by
`locum.httpserver`; once saved, given up, or left alone for half an hour, it is gone.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from importlib.resources import files

from locum.errors import PermanentError
from locum.httpserver import Answer, Request, serve
from locum.persona.rigging.points import Points, check_points, parsed_points

_PATIENCE = timedelta(minutes=30)
_HOST = "127.0.0.1"
_CONNECTIONS = 16
_PAGE = {
    "": ("editor.html", "text/html; charset=utf-8"),
    "editor.js": ("editor.js", "text/javascript; charset=utf-8"),
    "editor.css": ("editor.css", "text/css; charset=utf-8"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_POINTS = "locum-points"


@dataclass
class Editor:
    """One edit. `png` is the picture, `size` its width and height, `points` what to start from."""

    png: bytes
    size: tuple[int, int]
    points: Mapping[str, tuple[float, float]]
    patience: timedelta = _PATIENCE
    _token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    _hosts: frozenset[str] = frozenset()
    _done: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _saved: Points | None = None

    async def run(self, opened: Callable[[str], Awaitable[None] | None]) -> Points | None:
        """Serve the page until it is saved (answers its points) or given up (None).

        Args:
            opened: Is called with the page's address, once it can be opened.
        """
        async with serve(self._answer, host=_HOST, port=0, connections=_CONNECTIONS) as port:
            self._hosts = frozenset({f"{_HOST}:{port}", f"localhost:{port}"})
            waiting = opened(f"http://{_HOST}:{port}/{self._token}/")
            if waiting is not None:
                await waiting
            await self._until_done()
            # The last answer is still on its way.
            await asyncio.sleep(0.2)
        return self._saved

    async def _until_done(self) -> None:
        while not self._done.is_set():
            self._asked.clear()
            asked, done = (
                asyncio.ensure_future(event.wait()) for event in (self._asked, self._done)
            )
            try:
                finished, _ = await asyncio.wait(
                    (asked, done),
                    timeout=self.patience.total_seconds(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                asked.cancel()
                done.cancel()
            if not finished:
                return

    def _answer(self, request: Request) -> Answer:
        # A name that was made to lead here is still not ours.
        if not self._hosts.issuperset(request.header("host")) or not request.header("host"):
            return Answer.plain(HTTPStatus.MISDIRECTED_REQUEST)
        token, slash, rest = request.path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self._token.encode()):
            return Answer.plain(HTTPStatus.NOT_FOUND)
        self._asked.set()
        if request.method in {"GET", "HEAD"}:
            return self._page(rest)
        if request.method == "POST" and rest in {"save", "cancel"}:
            return self._finished(request, rest)
        return Answer.plain(HTTPStatus.NOT_FOUND)

    def _page(self, name: str) -> Answer:
        if name in _PAGE:
            file, kind = _PAGE[name]
            body = (files("locum.persona.rigging") / "page" / file).read_bytes()
            return Answer(HTTPStatus.OK, body, kind, _HEADERS)
        if name == "picture.png":
            return Answer(HTTPStatus.OK, self.png, "image/png", _HEADERS)
        if name == "points.json":
            return _json(HTTPStatus.OK, {"points": dict(self.points), "size": self.size})
        return Answer.plain(HTTPStatus.NOT_FOUND)

    def _finished(self, request: Request, how: str) -> Answer:
        given = request.header(_POINTS)
        if len(given) != 1 or self._done.is_set():
            return Answer.plain(HTTPStatus.BAD_REQUEST)
        if how == "save":
            try:
                points = parsed_points(given[0].encode(), named="The page")
                check_points(points, self.size)
            except PermanentError as error:
                return _json(HTTPStatus.UNPROCESSABLE_ENTITY, {"told": str(error)})
            self._saved = points
        self._done.set()
        told = "Saved: you can close this page." if how == "save" else "Nothing was changed."
        return _json(HTTPStatus.OK, {"told": told})


def _json(status: HTTPStatus, value: object) -> Answer:
    return Answer(status, json.dumps(value).encode(), "application/json", _HEADERS)
