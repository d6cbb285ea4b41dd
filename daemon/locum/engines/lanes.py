"""Many requests at the same instant, each on a connection pool of its own.

httpcore's pool looks at all its connections and requests whenever one changes: two hundred
joins at once spent most of their time there. A lane is a pool of one connection; idle lanes
are used again, newest first, so that one that is warm serves the next call.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from types import TracebackType

import httpx
from typing_extensions import Self

_IDLE_LANES = 16
_IDLE_S = 30.0


class Lanes(httpx.AsyncBaseTransport):
    """An httpx transport. Belongs to one event loop."""

    def __init__(self, *, verify: ssl.SSLContext | bool) -> None:
        # Loading the certificates takes 20 ms: once for all lanes.
        self._verify = httpx.create_ssl_context() if verify is True else verify
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        lane = self._idle.pop() if self._idle else self._new_lane()
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            await lane.aclose()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - For the type.
        response.stream = _Returning(response.stream, self, lane)
        return response

    def _new_lane(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE_S
        )
        return httpx.AsyncHTTPTransport(verify=self._verify, limits=limits, trust_env=False)

    async def give_back(self, lane: httpx.AsyncHTTPTransport) -> None:
        if len(self._idle) < _IDLE_LANES and not self._closed:
            self._idle.append(lane)
        else:
            await lane.aclose()

    async def aclose(self) -> None:
        """Close what is idle now, and the rest as soon as it is."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()


class _Returning(httpx.AsyncByteStream):
    """A body after which its lane is free again."""

    def __init__(
        self, stream: httpx.AsyncByteStream, lanes: Lanes, lane: httpx.AsyncHTTPTransport
    ) -> None:
        self._stream = stream
        self._lanes = lanes
        self._lane: httpx.AsyncHTTPTransport | None = lane

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        lane, self._lane = self._lane, None
        try:
            await self._stream.aclose()
        except BaseException:
            # Cancelled in the middle of it: nobody knows what its connection counts as now,
            # and whoever got this lane next could wait for it in vain.
            if lane is not None:
                await lane.aclose()
            raise
        if lane is not None:
            await self._lanes.give_back(lane)
