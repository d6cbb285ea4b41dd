"""A small HTTP server on the daemon's own loop: one request a connection, in bounded time.

Some hundred lines rather than uvicorn, which cost 4.4 MB of resident memory in a daemon that
aims at 90. Whoever connects may be hostile: head, body, time and the number of connections
are bounded, and nothing of a request is believed but its method, its path and its headers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio

HEAD_BYTES = 8192
BODY_BYTES = 4096
_REQUEST_S = 5.0
_TEXT = "text/plain; charset=utf-8"
_CODED = "transfer-encoding"


@dataclass(frozen=True)
class Request:
    """What was asked; `path` as it was sent, without its query. Bodies are not kept."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> tuple[str, ...]:
        """Answer every value of a header, whatever its case; none if it wasn't sent."""
        wanted = name.lower()
        return tuple(value for each, value in self.headers if each == wanted)


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    body: bytes = b""
    media_type: str = _TEXT
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def plain(cls, status: HTTPStatus, **headers: str) -> Answer:
        """Say the status and no more; `headers` with underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, f"{status.value} {status.phrase}\n".encode(), headers=named)

    def encoded(self, *, with_body: bool) -> bytes:
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}"]
        if self.status is not HTTPStatus.NO_CONTENT:
            lines += [f"Content-Type: {self.media_type}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
            "\r\n",
        ]
        return "\r\n".join(lines).encode("ascii") + (self.body if with_body else b"")


Handler = Callable[[Request], Answer]
"""Answers a request at once, on the loop. Should it raise, the connection is closed."""


@asynccontextmanager
async def serve(
    handler: Handler, *, host: str, port: int, connections: int
) -> AsyncIterator[int]:
    """Serve on `host` while the block runs; yields the port.

    Args:
        handler: Answers each request.
        host: The address to bind.
        port: Where; 0 takes any free port.
        connections: How many at a time; the next one is closed at once.

    Raises:
        OSError: The port can't be had.
    """
    door = _Door(handler, connections)
    server = await asyncio.start_server(door.answer_connection, host, port, limit=HEAD_BYTES)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await door.aclose()


class _RefusedError(Exception):
    """What came is no request that could be handled."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class _Door:
    """Answers one request a connection, within seconds and bytes, and closes it."""

    def __init__(self, handler: Handler, most: int) -> None:
        self._handler = handler
        self._most = most
        self._connections: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def answer_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= self._most:
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            with anyio.move_on_after(_REQUEST_S), contextlib.suppress(OSError):
                writer.write(await self._answer(reader))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        finally:
            self._connections.discard(task)
            writer.transport.abort()  # Nothing, if it was closed in order.

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            request = await _read(reader)
        except _RefusedError as refused:
            return Answer.plain(refused.status).encoded(with_body=True)
        return self._handler(request).encoded(with_body=request.method != "HEAD")


async def _read(reader: asyncio.StreamReader) -> Request:
    """Read one request, and drop its body.

    Raises:
        _RefusedError: It is malformed, or too large.
    """
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise _RefusedError(HTTPStatus.BAD_REQUEST) from None
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _RefusedError(HTTPStatus.BAD_REQUEST)
    parted = (line.partition(":") for line in lines)
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in parted)
    request = Request(words[0], words[1].partition("?")[0], headers)
    await _drop_body(reader, request)
    return request


async def _drop_body(reader: asyncio.StreamReader, request: Request) -> None:
    """Take the body off the wire: closing on top of it could lose our answer on its way."""
    lengths, encodings = set(request.header("content-length")), request.header(_CODED)
    try:
        if encodings:
            # A proxy that wasn't told how long a body is, be it empty, passes it on in chunks.
            # What would come after the first end is dropped with the connection.
            if lengths or [each.lower() for each in encodings] != ["chunked"]:
                raise _RefusedError(HTTPStatus.BAD_REQUEST)
            await reader.readuntil(b"0\r\n\r\n")
        elif lengths:
            await reader.readexactly(_length(lengths))
    except asyncio.IncompleteReadError:
        raise _RefusedError(HTTPStatus.BAD_REQUEST) from None
    except asyncio.LimitOverrunError:
        raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from None


def _length(told: set[str]) -> int:
    length = told.pop()
    if told or not (length.isascii() and length.isdigit()):
        raise _RefusedError(HTTPStatus.BAD_REQUEST)
    if len(length) > 9 or int(length) > BODY_BYTES:
        raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(length)
