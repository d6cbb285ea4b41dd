"""What stands between the daemon and the stage: real clients, no sockets, drawn faults.

Google's client believes in a connection whose socket is in-process; PikaStream's gets an
httpx transport. Both end in the stage's own ASGI applications, called at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import httplib2
import httpx
from starlette.types import ASGIApp

from locum.calendars import google_client
from locum.rehearsal.google import error_body
from tests.campaign.story import Story


@dataclass(frozen=True)
class Reply:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def of_json(cls, status: int, content: Any) -> Reply:
        kind = ("content-type", "application/json; charset=UTF-8")
        return cls(status, (kind,), json.dumps(content).encode())

    def raw(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} -"]
        lines += [f"{k}: {v}" for k, v in self.headers if k != "content-length"]
        lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def serve(
    app: ASGIApp, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> Reply:
    """Call an ASGI application whose work never waits."""
    path, _, query = target.partition("?")
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "server": ("127.0.0.1", 1),
        "client": ("127.0.0.1", 2),
    }
    running = app(scope, receive, send)
    try:
        running.send(None)  # type: ignore[attr-defined]
    except StopIteration:
        pass
    else:
        raise RuntimeError(f"the stage waits in {method} {target}")
    head = sent[0]
    content = b"".join(each.get("body", b"") for each in sent[1:])
    pairs = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in head["headers"])
    return Reply(head["status"], pairs, content)


_LATER = "later page "

# ── Google ───────────────────────────────────────────────────────────────────────────────


class GoogleGate:
    """Answers Google's client: by the stage, or by the fault of the hour."""

    def __init__(self, app: ASGIApp, story: Story, now: Callable[[], datetime]) -> None:
        self._app = app
        self._story = story
        self._now = now
        self.trouble: str | None = None
        self.once: list[str] = []
        self.too_slow = False  #: Answers come after the client's patience has ended.
        self.good_reads: list[datetime] = []
        """When the calendar was shown in whole and as it is."""

    def answer(self, method: str, target: str, headers: list[Any], body: bytes) -> Reply:
        reading = "singleEvents=true" in target
        trouble = self.trouble
        if trouble is None and self.once and self._fits(self.once[0], target):
            trouble = self.once.pop(0).removeprefix(_LATER)
        if trouble is not None and (trouble != "410" or "/events" in target):
            self._story.tell(f"google: {trouble}")
            return _google_trouble(trouble)
        reply = serve(self._app, method, target, headers, body)
        if (
            reading
            and not self.too_slow
            and reply.status == 200
            and b'"nextPageToken"' not in reply.body
        ):
            self.good_reads.append(self._now())
        return reply

    @staticmethod
    def _fits(kind: str, target: str) -> bool:
        """Whether a trouble of one answer can befall this one."""
        if kind.startswith(_LATER):
            return "pageToken=" in target
        return kind != "empty" or "singleEvents=true" in target


def _google_trouble(kind: str) -> Reply:
    if kind == "refused":
        raise ConnectionRefusedError(111, "Connection refused")
    if kind == "timeout":
        raise TimeoutError("timed out")
    if kind == "reset":
        raise ConnectionResetError(104, "Connection reset by peer")
    if kind == "portal":
        return Reply(200, (("content-type", "text/html"),), b"<html>Sign in to Wi-Fi</html>")
    if kind == "malformed":
        return Reply(200, (("content-type", "application/json"),), b'{"kind": "calendar#ev')
    if kind == "empty":
        return Reply.of_json(
            200,
            {
                "kind": "calendar#events",
                "accessRole": "owner",
                "timeZone": "UTC",
                "items": [],
                "nextSyncToken": "x",
            },
        )
    status, reason = {
        "503": (503, "backendError"),
        "500": (500, "internalError"),
        "429": (429, "rateLimitExceeded"),
        "quota": (403, "quotaExceeded"),
        "410": (410, "fullSyncRequired"),
        "404": (404, "notFound"),
    }[kind]
    return Reply.of_json(status, error_body(status, reason))


class _Socket:
    """As much of a socket as http.client asks for."""

    def __init__(self, gate: GoogleGate) -> None:
        self._gate = gate
        self._sent = bytearray()

    def sendall(self, data: bytes) -> None:
        self._sent += data

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        head, _sep, body = bytes(self._sent).partition(b"\r\n\r\n")
        self._sent.clear()
        first, *lines = head.split(b"\r\n")
        method, target, _version = first.decode("latin-1").split(" ")
        headers = [
            (name.strip().lower(), value.strip())
            for name, _colon, value in (line.partition(b":") for line in lines)
        ]
        return io.BytesIO(self._gate.answer(method, target, headers, body).raw())

    def shutdown(self, _how: int) -> None: ...

    def close(self) -> None: ...


@contextlib.contextmanager
def google_by(gate: GoogleGate) -> Iterator[None]:
    """Let Google's client meet `gate` instead of the network."""

    class Wire(httplib2.HTTPConnectionWithTimeout):
        response_class = google_client._BoundedResponse

        def connect(self) -> None:
            self.sock = _Socket(gate)

    real = google_client._PlainConnection
    google_client._PlainConnection = Wire  # type: ignore[misc,assignment]
    try:
        yield
    finally:
        google_client._PlainConnection = real  # type: ignore[misc]


# ── PikaStream ───────────────────────────────────────────────────────────────────────────


class Points(Protocol):
    """Where a process may die."""

    def __call__(self, name: str) -> None: ...


@dataclass
class EngineFault:
    """What happens to the next `times` calls of `call`: post, look, delete or balance."""

    call: str
    kind: str
    times: int


class EngineWire(httpx.AsyncBaseTransport):
    """One daemon's way to PikaStream."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        faults: list[EngineFault],
        draw: random.Random,
        point: Points,
        struck: Callable[[str, str], None],
    ) -> None:
        self._app = app
        self._faults = faults
        self._draw = draw
        self._point = point
        self._struck = struck

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        chunks = [chunk async for chunk in request.stream]  # type: ignore[union-attr]
        body = b"".join(chunks)
        target = request.url.raw_path.decode()
        call = _call_of(request.method, target)
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        self._point(f"{call}.before")
        await asyncio.sleep(self._draw.uniform(0.02, 0.4))
        self._point(f"{call}.sent")
        kind = self._strike(call)
        if kind == "refused":
            raise httpx.ConnectError("Connection refused")
        if kind == "lost before":
            raise httpx.ReadError("connection reset")
        if kind == "ignored":
            return _response(Reply.of_json(200, {"success": True}))
        if kind is not None and kind.isdigit():
            return _response(Reply.of_json(int(kind), {"detail": "not today"}))
        reply = serve(self._app, request.method, target, headers, body)
        self._point(f"{call}.done")
        if kind == "lost":
            raise httpx.ReadError("connection reset")
        if kind == "500 after":
            reply = Reply.of_json(500, {"detail": "worker lost"})
        slow = {"slow": 4.0, "too slow": 15.0 if call != "post" else 200.0}.get(kind or "", 0.0)
        await asyncio.sleep(slow + self._draw.uniform(0.02, 0.4))
        self._point(f"{call}.after")
        return _response(reply)

    def _strike(self, call: str) -> str | None:
        for fault in self._faults:
            if fault.call == call and fault.times > 0:
                fault.times -= 1
                self._struck(call, fault.kind)
                return fault.kind
        return None


def _call_of(method: str, target: str) -> str:
    path = urlsplit(target).path
    if path.endswith("/meeting-session"):
        return "post"
    if "/session/" in path:
        return "delete" if method == "DELETE" else "look"
    return "balance"


def _response(reply: Reply) -> httpx.Response:
    # A stream, as it comes from the network: bytes given as such count as read already.
    stream = httpx.ByteStream(reply.body)
    return httpx.Response(reply.status, headers=list(reply.headers), stream=stream)
