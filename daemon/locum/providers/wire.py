"""The connection to a model: nothing on it swells, strays or waits without an end.

pydantic-ai's SDKs speak httpx2, so this does too; imported with `clerk` only.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator

import httpx2

MOST_ANSWER_BYTES = 1024 * 1024
_CONNECT_S = 10.0


class AnswerTooLargeError(httpx2.TransportError):
    """What comes back is over the cap, or compressed beyond what could be told."""


def bounded_client(base_url: str | None) -> httpx2.AsyncClient:
    """Answer a client that takes whole, plain answers up to a cap, from where it is sent.

    Proxies and logins from the environment aren't used, and redirects aren't followed. How
    long an answer takes is for the caller to bound: a model may think for minutes.
    """
    return httpx2.AsyncClient(
        transport=_BoundedTransport(_verification(base_url)),
        timeout=httpx2.Timeout(None, connect=_CONNECT_S),
        follow_redirects=False,
        trust_env=False,
    )


class _BoundedTransport(httpx2.AsyncBaseTransport):
    def __init__(self, verify: ssl.SSLContext) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=verify, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        # A compressed answer could swell beyond any cap, so none is asked for.
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise AnswerTooLargeError("the answer is compressed, though that was declined")
        if not isinstance(response.stream, httpx2.AsyncByteStream):
            raise TypeError(f"no asynchronous stream: {response.stream!r}")
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Capped(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Capped(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > MOST_ANSWER_BYTES:
                raise AnswerTooLargeError(f"the answer is over {MOST_ANSWER_BYTES:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _verification(base_url: str | None) -> ssl.SSLContext:
    """Answer how certificates are verified: always, against certifi's list or the operator's."""
    if base_url is not None and base_url.startswith("http://"):  # This machine: see `Address`.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context()
    return httpx2.create_ssl_context(trust_env=False)
