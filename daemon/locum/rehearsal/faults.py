"""What can go wrong between us and a server, on demand: refusals, delays, lost answers.

Shared by every server of the stage, as an ASGI middleware outside the application, so that
a fault needs no help from what it hits. Nothing here knows whose API it is breaking.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timezone
from typing import Any

import anyio
from pydantic import ConfigDict, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTROL_PREFIX = "/_stage/"
_ENDLESS_CHUNK = b" " * 65_536


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, for the requests that it matches.

    `path` is a part of the path with its query string, as they were sent ("/events?", or
    "pageToken=" for later pages); `unless` is a part that must not be there. The first
    `skip` matches pass unharmed, then it strikes `times` times (None: every time).

    The request is delayed by `delay_s` seconds of the host's. Then one of these, in this
    order: `drop` closes the connection without answer or effect; `after` lets the
    application do its work and loses the answer; `endless` answers 200 and never stops;
    `status` or `body` answers instead of the application (a `bytes` or `str` body goes out
    as it stands, anything else as JSON); otherwise the application answers. `drip_s`
    sends the answer's body one byte at a time, so many seconds apart; `cut_after` closes the
    connection after so many bytes of it, and `stall_after` sends no more than that.
    """

    path: str = ""
    method: str | None = None
    times: int | None = 1
    status: int | None = None
    body: Any | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    after: bool = False
    drop: bool = False
    drip_s: float | None = None
    endless: bool = False
    skip: int = 0
    unless: str = ""
    cut_after: int | None = None
    stall_after: int | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    def matches(self, method: str, target: str) -> bool:
        return (
            (self.method is None or self.method.upper() == method)
            and self.path in target
            and not (self.unless and self.unless in target)
        )

    @classmethod
    def from_json(cls, payload: object) -> Fault:
        """Read a fault that another process asked for.

        Raises:
            ValueError: The payload is no object, or a key or value in it is none of a fault's.
        """
        try:
            fault: Fault = TypeAdapter(cls).validate_python(payload)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(each) for each in first["loc"])
            known = ", ".join(each.name for each in fields(cls))
            message = f"{where or 'fault'}: {first['msg']}; a fault has {known}"
            raise ValueError(message) from error
        return fault


@dataclass
class _Armed:
    fault: Fault
    to_skip: int
    left: int | None


class Faults:
    """The faults that are armed. Safe to change from any thread while requests run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._armed.append(_Armed(fault, fault.skip, fault.times))

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def pending(self) -> list[Fault]:
        """Answer the faults that may still strike, oldest first."""
        with self._lock:
            return [armed.fault for armed in self._armed]

    def strike(self, method: str, target: str) -> Fault | None:
        """Answer the oldest fault that hits this request, and count it."""
        with self._lock:
            for armed in self._armed:
                if not armed.fault.matches(method, target):
                    continue
                if armed.to_skip > 0:
                    armed.to_skip -= 1
                    continue
                if armed.left is not None:
                    armed.left -= 1
                    if armed.left <= 0:
                        self._armed.remove(armed)
                return armed.fault
            return None


@dataclass
class LoggedRequest:
    """One request, from its arrival on; `status` is None while, or where, none was sent.

    Bytes are those of bodies, without headers.
    """

    time: datetime
    method: str
    path: str
    query: str
    status: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0


class RequestLog:
    """Every request that a server got, in the order of arrival. Safe to read from any thread.

    A long rehearsal must not grow for ever: the last `keep` requests stay, totals go on.
    """

    def __init__(
        self, now: Callable[[], datetime] | None = None, *, keep: int = 100_000
    ) -> None:
        self._now = now or _host_time
        self._lock = threading.Lock()
        self._requests: deque[LoggedRequest] = deque(maxlen=keep)
        self.count = 0
        self.bytes_in = 0
        self.bytes_out = 0

    @property
    def requests(self) -> list[LoggedRequest]:
        with self._lock:
            return [replace(each) for each in self._requests]

    def matching(self, path: str, method: str | None = None) -> list[LoggedRequest]:
        """Answer the requests whose path with query holds `path`."""
        return [
            each
            for each in self.requests
            if path in f"{each.path}?{each.query}" and method in {None, each.method}
        ]

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()
            self.count = self.bytes_in = self.bytes_out = 0

    def arrived(self, method: str, path: str, query: str) -> LoggedRequest:
        entry = LoggedRequest(self._now(), method, path, query)
        with self._lock:
            self._requests.append(entry)
            self.count += 1
        return entry

    def passed(self, entry: LoggedRequest, *, bytes_in: int = 0, bytes_out: int = 0) -> None:
        with self._lock:
            entry.bytes_in += bytes_in
            entry.bytes_out += bytes_out
            self.bytes_in += bytes_in
            self.bytes_out += bytes_out


def _host_time() -> datetime:
    return datetime.now(timezone.utc)


class FaultMiddleware:
    """Wraps an application: counts its requests and lets armed faults strike.

    Must be the outermost layer, or `drop` and `after` can't reach the connection: see
    `with_faults` for Starlette. Requests below `/_stage/` are neither hit nor counted.
    """

    def __init__(self, app: ASGIApp, faults: Faults, log: RequestLog | None = None) -> None:
        self.app = app
        self._faults = faults
        self._log = log or RequestLog(keep=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or str(scope["path"]).startswith(CONTROL_PREFIX):
            await self.app(scope, receive, send)
            return
        traffic = _Traffic(scope, receive, send, self._log)
        fault = self._faults.strike(traffic.method, traffic.target)
        # Who dies in the middle of a request leaves nobody to answer, and nothing to report.
        with contextlib.suppress(ClientDisconnect):
            if fault is None:
                await self.app(scope, traffic.receive, traffic.send)
            else:
                await self._suffer(fault, scope, traffic)

    async def _suffer(self, fault: Fault, scope: Scope, traffic: _Traffic) -> None:
        if fault.delay_s > 0:
            await anyio.sleep(fault.delay_s)
        if fault.drop:
            await traffic.abort()
        elif fault.after:
            await self.app(scope, traffic.receive, _swallow)
            await traffic.abort()
        elif fault.endless:
            await traffic.answer_endlessly(fault)
        elif fault.status is not None or fault.body is not None:
            response = _response(fault)
            await response(scope, traffic.receive, traffic.dripping(fault.drip_s))
        else:
            send = traffic.dripping(fault.drip_s)
            if fault.cut_after is not None:
                send = traffic.ending(fault.cut_after, traffic.abort)
            elif fault.stall_after is not None:
                send = traffic.ending(fault.stall_after, traffic.wait_for_disconnect)
            await self.app(scope, traffic.receive, send)


class _Traffic:
    """One request on its way: counts what passes, and can cut the connection."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, log: RequestLog) -> None:
        raw_path = scope.get("raw_path") or str(scope["path"]).encode()
        path = bytes(raw_path).decode("latin-1")
        query = bytes(scope.get("query_string", b"")).decode("latin-1")
        self.method = str(scope["method"])
        self.target = f"{path}?{query}"
        self._log = log
        self._entry = log.arrived(self.method, path, query)
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        message = await self._receive()
        self._log.passed(self._entry, bytes_in=len(message.get("body", b"")))
        return message

    async def send(self, message: Message) -> None:
        # Logged before it is sent: whoever got an answer finds it in the log.
        if message["type"] == "http.response.start":
            self._entry.status = int(message["status"])
        self._log.passed(self._entry, bytes_out=len(message.get("body", b"")))
        await self._send(message)

    def dripping(self, drip_s: float | None) -> Send:
        """Answer a `send` that lets each byte of a body wait its turn."""
        if drip_s is None:
            return self.send

        async def send_slowly(message: Message) -> None:
            body = bytes(message.get("body", b""))
            for index in range(len(body)):
                await anyio.sleep(drip_s)
                byte = body[index : index + 1]
                await self.send({"type": "http.response.body", "body": byte, "more_body": True})
            if "body" in message:
                message = {**message, "body": b""}
            await self.send(message)

        return send_slowly

    def ending(self, after: int, end: Callable[[], Awaitable[None]]) -> Send:
        """Answer a `send` that passes on so many bytes of a body, and then does `end`."""
        left = after

        async def send_some(message: Message) -> None:
            nonlocal left
            body = bytes(message.get("body", b""))
            if message["type"] != "http.response.body" or len(body) < left:
                left -= len(body)
                await self.send(message)
                return
            await self.send({**message, "body": body[:left], "more_body": True})
            await end()
            raise ClientDisconnect

        return send_some

    async def wait_for_disconnect(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def answer_endlessly(self, fault: Fault) -> None:
        """Send blanks until the client has had enough: JSON that never begins."""
        headers = {"content-type": "application/json; charset=UTF-8", **fault.headers}
        await self.send(
            {
                "type": "http.response.start",
                "status": fault.status or 200,
                "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            }
        )
        async with anyio.create_task_group() as tasks:

            async def stop_at_disconnect() -> None:
                await self.wait_for_disconnect()
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop_at_disconnect)
            while True:
                await self.send(
                    {"type": "http.response.body", "body": _ENDLESS_CHUNK, "more_body": True}
                )
                await anyio.sleep(fault.drip_s or 0.001)

    async def abort(self) -> None:
        """Close the connection without a word.

        ASGI has no way to say this. uvicorn's `send` is a method of the request's cycle,
        which holds the transport; under another server we would rather fail than pretend.
        """
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if transport is None:
            raise RuntimeError("this server's connections can't be cut; serve with uvicorn")
        transport.abort()
        # uvicorn takes a missing answer for a disconnect only once it has seen the latter.
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _swallow(message: Message) -> None:
    del message


def _response(fault: Fault) -> Response:
    status = 200 if fault.status is None else fault.status
    headers = {"content-type": "application/json; charset=UTF-8", **fault.headers}
    if isinstance(fault.body, (bytes, str)):
        return Response(fault.body, status, headers)
    content = b"" if fault.body is None else json.dumps(fault.body).encode()
    return Response(content, status, headers)


def with_faults(app: Starlette, faults: Faults, log: RequestLog) -> Starlette:
    """Put faults and log around everything in `app`, Starlette's own error page included."""
    app.middleware_stack = FaultMiddleware(app.build_middleware_stack(), faults, log)
    return app


def control_routes(
    faults: Faults, log: RequestLog, *, parse: Callable[[object], Fault] = Fault.from_json
) -> list[Route]:
    """Answer the routes by which another process scripts a stage.

    `POST /_stage/faults` takes a fault or a list of them, `GET` shows and `DELETE` clears
    them; `GET /_stage/requests` answers counts, bytes and the requests, `DELETE` forgets.
    """

    async def change_faults(request: Request) -> Response:
        if request.method == "DELETE":
            faults.clear()
        elif request.method == "POST":
            try:
                payload = await request.json()
                wanted = [parse(each) for each in _as_list(payload)]
            except ValueError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
            for fault in wanted:
                faults.add(fault)
        return JSONResponse({"faults": [_fault_as_json(each) for each in faults.pending()]})

    async def show_requests(request: Request) -> Response:
        if request.method == "DELETE":
            log.clear()
        return JSONResponse(
            {
                "count": log.count,
                "bytes_in": log.bytes_in,
                "bytes_out": log.bytes_out,
                "requests": [
                    {**asdict(each), "time": each.time.isoformat()} for each in log.requests
                ],
            }
        )

    return [
        Route(f"{CONTROL_PREFIX}faults", change_faults, methods=["GET", "POST", "DELETE"]),
        Route(f"{CONTROL_PREFIX}requests", show_requests, methods=["GET", "DELETE"]),
    ]


def _as_list(payload: object) -> list[object]:
    return payload if isinstance(payload, list) else [payload]


def _fault_as_json(fault: Fault) -> dict[str, Any]:
    shown = asdict(fault)
    if isinstance(fault.body, bytes):
        shown["body"] = fault.body.decode("latin-1")
    return shown
