"""An HTTP client that can't be held up, filled up or led away.

Every call has one total deadline and one size cap; redirects aren't followed; proxies and
logins from the environment aren't used. Its errors answer the one question that a paid call
needs answered: did anything of the request leave this machine?
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import anyio
import httpx

from locum.engines.lanes import Lanes
from locum.errors import LocumError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
# The total deadline stands for all of httpx's own, but one: an address that drops packets is
# known for one long before the deadline of a slow call.
_TIMEOUTS = {"connect": 10.0, "read": None, "write": None, "pool": None}
LONGEST_RETRY_AFTER = timedelta(hours=1)


class NotSentError(LocumError):
    """No connection was made: surely nothing happened on the other side."""


class AnswerLostError(LocumError):
    """The request may have arrived, and no whole answer came back."""


@dataclass(frozen=True)
class Answer:
    """A whole answer. `body` is within the cap; `retry_after` is what the server asked for."""

    status: int
    body: bytes = field(repr=False)
    retry_after: timedelta | None = None
    location: str | None = None


@dataclass(frozen=True)
class Payload:
    """What is sent: chunks rather than one text, so that 200 joins share one image."""

    content_type: str
    chunks: tuple[bytes, ...]

    @property
    def length(self) -> int:
        return sum(len(chunk) for chunk in self.chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


def base_url_problem(base_url: str) -> str | None:
    """Say what is wrong with an API's address; None if it may be used.

    Plain http would show the key to the network, so it is for this machine only.
    """
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
        httpx.URL(base_url)
    except (ValueError, httpx.InvalidURL) as error:
        return str(error)
    if not host:
        return "it names no host"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "it may hold nothing but scheme, host, port and path"
    if parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK_HOSTS):
        return None
    return "it must be https (http is for loopback only)"


class BoundedClient:
    """One server's calls. Belongs to one event loop; close it with `aclose`."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        max_answer_bytes: int = 1024 * 1024,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(base_url).netloc
        self._max_answer_bytes = max_answer_bytes
        # A compressed answer could swell beyond any cap, so none is asked for.
        self._headers = httpx.Headers(
            {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        )
        # httpx's transport without its client: redirects, cookies, logins and proxies are
        # just what is not wanted here, and looking for them is half of a burst's time. The
        # caller's own capacity bounds the connections: a pool that made a join wait would
        # cost it its time.
        self._transport = transport or Lanes(verify=_verification(base_url))

    async def send(
        self,
        method: str,
        path: str,
        *,
        deadline: timedelta,
        headers: httpx.Headers,
        payload: Payload | None = None,
    ) -> Answer:
        """Make one call and read its whole answer, in `deadline` of the host's time.

        Raises:
            NotSentError: No connection came about.
            AnswerLostError: The connection broke, the deadline passed or the answer is over
                the cap.
        """
        progress = _Progress()
        request = self._build(method, path, headers, payload, progress)
        try:
            with anyio.fail_after(deadline.total_seconds()):
                return await self._exchange(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            progress.connecting_only = True
            failure = _in_words(error)
        except TimeoutError:
            failure = f"no whole answer within {deadline.total_seconds():g} s"
        except _UnusableAnswerError as error:
            failure = str(error)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            failure = _in_words(error)
        # Raised out here, so that no chained exception carries the request and its key.
        kind = NotSentError if progress.connecting_only else AnswerLostError
        raise kind(f"{method} {path} at {self._host}: {failure}")

    def _build(
        self,
        method: str,
        path: str,
        headers: httpx.Headers,
        payload: Payload | None,
        progress: _Progress,
    ) -> httpx.Request:
        wire_headers = self._headers.copy()
        wire_headers.update(headers)
        if payload is not None:
            # With a length given, httpx sends the chunks as they are, in one plain body.
            wire_headers["Content-Length"] = str(payload.length)
            wire_headers["Content-Type"] = payload.content_type
        return httpx.Request(
            method,
            self._base_url + path,
            headers=wire_headers,
            content=payload,
            extensions={"trace": progress.note, "timeout": _TIMEOUTS},
        )

    async def _exchange(self, request: httpx.Request) -> Answer:
        response = await self._transport.handle_async_request(request)
        try:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise _UnusableAnswerError("the answer is compressed, though that was declined")
            body = await self._read_capped(response)
        finally:
            await response.aclose()
        return Answer(
            status=response.status_code,
            body=body,
            retry_after=_retry_after(response.headers),
            location=response.headers.get("Location"),
        )

    async def _read_capped(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._max_answer_bytes:
                raise _UnusableAnswerError(f"the answer is over {self._max_answer_bytes} bytes")
        return bytes(body)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _UnusableAnswerError(Exception):
    """The answer can't be taken in whole."""


class _Progress:
    """Whether a call got beyond connecting.

    httpcore says so step by step. A transport that says nothing leaves it False, so that an
    unknown counts as sent.
    """

    def __init__(self) -> None:
        self.connecting_only = False

    async def note(self, step: str, _facts: Mapping[str, object]) -> None:
        if step.endswith("connect_tcp.started"):
            self.connecting_only = True
        elif step.endswith("send_request_headers.started"):
            self.connecting_only = False


def _verification(base_url: str) -> ssl.SSLContext | bool:
    """Answer how certificates are verified: always, against certifi's list or the operator's.

    SSL_CERT_FILE and SSL_CERT_DIR are honoured as OpenSSL itself does, for private
    authorities. Plain http (loopback only) is spared the list's 20 ms.
    """
    if base_url.startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context()
    return True


def _in_words(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _retry_after(headers: httpx.Headers) -> timedelta | None:
    """Read Retry-After in either form (RFC 9110, 10.2.3), within an hour.

    A date is measured against the answer's own Date: this machine's clock may be another.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), 10**6))
    else:
        try:
            wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers["Date"])
        except (ValueError, TypeError, KeyError, OverflowError):
            return None
    return min(max(wait, timedelta(seconds=1)), LONGEST_RETRY_AFTER)
