"""What an MCP server sends over HTTP, bounded before anything is made of it.

The library for MCP unpacks an answer and reads it whole, however large it gets, and goes on
reading what nobody waits for any more. Here an answer ends at so many bytes, as they come off
the wire, and after so long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2

_LEAST_A_LINE = 128
"""What a line of a stream weighs at least, in bytes: each event becomes a task of its own."""

_MOST_RESUMPTIONS = 20
"""How often a stream that broke off is taken up again, between two requests of ours."""


class UnreadableAnswerError(httpx2.SSEError, httpx2.StreamError):
    """An answer that is read no further.

    Both, because the library makes the failure of one call of either: of the first where it
    reads events, of the second where it reads JSON. Another error would end the connection.
    """


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Sends requests, and lets no answer be larger than `limit` bytes or take longer than `within`.

    The stream on which a server speaks unasked isn't opened: nothing that it could say is used.
    """

    def __init__(self, limit: int, within: timedelta) -> None:
        self._http = httpx2.AsyncHTTPTransport(trust_env=False)
        self._limit = limit
        self._within = within
        self._resumed = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            self._resumed += 1
            if "last-event-id" not in request.headers or self._resumed > _MOST_RESUMPTIONS:
                return httpx2.Response(405)
        else:
            self._resumed = 0
        # What is packed can be unpacked to a thousand times its size.
        request.headers["accept-encoding"] = "identity"
        response = await self._http.handle_async_request(request)
        body = _BoundedBody(response, self._limit, self._within)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=body,
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._http.aclose()


class _BoundedBody(httpx2.AsyncByteStream):
    def __init__(self, response: httpx2.Response, limit: int, within: timedelta) -> None:
        self._response = response
        self._limit = limit
        self._ends = asyncio.get_running_loop().time() + within.total_seconds()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        headers = self._response.headers
        if headers.get("content-encoding", "identity") != "identity":
            raise UnreadableAnswerError("its answer is packed, which it wasn't asked for")
        each_line = "event-stream" in headers.get("content-type", "") and _LEAST_A_LINE
        loop = asyncio.get_running_loop()
        left = self._limit
        async for chunk in self._response.aiter_raw():
            left -= len(chunk) + each_line * (chunk.count(b"\n") + chunk.count(b"\r"))
            if left < 0:
                raise UnreadableAnswerError(
                    f"its answer is larger than the {self._limit // 1024} KiB that are read"
                )
            if loop.time() > self._ends:
                raise UnreadableAnswerError("its answer doesn't end")
            yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()
