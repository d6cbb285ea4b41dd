"""Posts a summary's JSON twin to an address, signed so that the receiver can believe it.

The signature is that of Standard Webhooks (https://www.standardwebhooks.com): three headers,
`webhook-id`, `webhook-timestamp` and `webhook-signature`, over the very bytes of the body. A
summary filed again has the same id, a later edition another.

What is sent is private, so it goes over TLS to where the config says, and nowhere else: no
redirect is followed, and no name leads into a private network unless the config allows it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import ipaddress
import json
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import anyio
import httpx
from anyio.streams.tls import TLSStream

from locum.core.filing import edition_key
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Finding, Health, Summary
from locum.rendering import as_json
from locum.sinks.secret_files import SecretPlace
from locum.sinks.tls import tls_context

_LIMIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_MOST_BYTES = 16 * 1024 * 1024
"""Of what is posted: twelve hours of talk have some three million."""
_MOST_ADDRESSES = 8

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_MAKE_ONE = "Make one: printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\" > FILE"

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# https://www.rfc-editor.org/rfc/rfc6052: a gateway's prefix, behind which any IPv4 can be.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _host_time() -> datetime:
    return datetime.now(timezone.utc)


class Webhook:
    """One address. `allow_private` is for receivers in one's own network."""

    def __init__(
        self,
        name: str,
        url: str,
        secret: SecretPlace,
        *,
        allow_private: bool = False,
        limit: timedelta = _LIMIT,
        now: Callable[[], datetime] = _host_time,
    ) -> None:
        self._name = name
        self._url = httpx.URL(url)
        self._host = urlsplit(url).hostname or ""
        self._secret = secret
        self._allow_private = allow_private or self._host in _LOOPBACK
        self._limit = limit
        self._now = now

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_revise(self) -> bool:
        """Whether editions replace each other: the receiver knows them by key and edition."""
        return True

    async def file(self, summary: Summary) -> str:
        body = json.dumps(as_json(summary)).encode()
        if len(body) > _MOST_BYTES:
            raise PermanentError(
                f"{self._told}: the summary has {len(body):,} bytes, and {_MOST_BYTES:,} are "
                "the most."
            )
        key = _signing_key(self._secret)
        message_id = f"locum_{edition_key(summary.session, summary.key, summary.edition)}"
        headers = {
            "content-type": "application/json",
            "user-agent": "locum",
            **signed_headers(key, message_id, self._now(), body),
        }
        try:
            with anyio.fail_after(self._limit.total_seconds()):
                response = await self._post(headers, body)
        except TimeoutError:
            raise TransientError(
                f"{self._told}: no answer within {self._limit.total_seconds():g} s"
            ) from None
        self._judge(response)
        return f"{self._url}#{message_id}"

    async def check(self) -> tuple[Finding, ...]:
        """Try the secret, the name and the certificate, posting nothing. Raises nothing."""
        subject = f"sink {self._name}"
        found = []
        if problem := self._secret.problem():
            found.append(Finding(subject, Health.WARNING, problem, "chmod 600 it."))
        try:
            _signing_key(self._secret)
            with anyio.fail_after(self._limit.total_seconds()):
                await self._connect()
        except HumanNeededError as error:
            return (*found, Finding(subject, Health.BROKEN, error.args[0], error.hint))
        except (LocumError, TimeoutError, OSError) as error:
            told = str(error) or f"no answer within {self._limit.total_seconds():g} s"
            return (*found, Finding(subject, Health.WARNING, told, "Try again in a minute."))
        return (*found, Finding(subject, Health.OK, f"{self._host} answers"))

    # ── on the wire ──────────────────────────────────────────────────────────────────────

    @property
    def _told(self) -> str:
        # Not the path: with some services, whoever knows it may post.
        return f"webhook {self._name} at {self._host}"

    async def _post(self, headers: dict[str, str], body: bytes) -> httpx.Response:
        failure: Exception | None = None
        for address in await self._addresses():
            request = httpx.Request(
                "POST",
                # By address, so that what was looked at is what is called.
                self._url.copy_with(host=str(address)),
                headers={**headers, "host": self._url.netloc.decode("ascii")},
                content=body,
                extensions={
                    "sni_hostname": self._host,
                    "timeout": {"connect": 10.0, "read": None, "write": None, "pool": None},
                },
            )
            try:
                # httpx's transport without its client: redirects, cookies, logins and proxies
                # are just what is not wanted here.
                async with httpx.AsyncHTTPTransport(
                    verify=self._verification(), trust_env=False
                ) as wire:
                    response = await wire.handle_async_request(request)
                    # Nothing in its body matters to us, so it isn't read.
                    await response.aclose()
                    return response
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            except (httpx.HTTPError, OSError) as error:
                raise TransientError(
                    f"{self._told}: the answer was lost ({_in_words(error)})"
                ) from error
        raise self._not_connected(failure) from failure

    def _verification(self) -> ssl.SSLContext | bool:
        return tls_context() if self._url.scheme == "https" else False

    def _not_connected(self, failure: Exception | None) -> LocumError:
        told = f"{self._told} can't be reached ({_in_words(failure)})"
        if "CERTIFICATE_VERIFY_FAILED" in str(failure):
            return HumanNeededError(
                f"{told}.",
                hint="Its certificate isn't trusted here: have it renewed, or name a private "
                "authority's file in SSL_CERT_FILE.",
            )
        return TransientError(told)

    async def _connect(self) -> None:
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        [address, *_] = await self._addresses()
        try:
            async with await anyio.connect_tcp(str(address), port) as stream:
                if self._url.scheme == "https":
                    await TLSStream.wrap(
                        stream,
                        hostname=self._host,
                        ssl_context=tls_context(),
                        standard_compatible=False,
                    )
        except (OSError, ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise self._not_connected(error) from error

    async def _addresses(self) -> Sequence[Address]:
        """Look up where the host is.

        Raises:
            TransientError: It can't be found now.
            HumanNeededError: It is in a private network, which the config doesn't allow.
        """
        try:
            found = await anyio.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise TransientError(f"{self._told}: the host isn't found") from error
        addresses = list(
            dict.fromkeys(ipaddress.ip_address(each[4][0].partition("%")[0]) for each in found)
        )[:_MOST_ADDRESSES]
        if not addresses:
            raise TransientError(f"{self._told}: the host has no address")
        inside = [each for each in addresses if not is_public(each)]
        if inside and not self._allow_private:
            raise HumanNeededError(
                f"{self._told} is at {inside[0]}, in a private network.",
                hint="If that is meant, set allow_private = true for this sink.",
            )
        return addresses

    # ── answers ──────────────────────────────────────────────────────────────────────────

    def _judge(self, response: httpx.Response) -> None:
        """Raise unless it was taken."""
        status = response.status_code
        if 200 <= status < 300:
            return
        told = f"{self._told}: HTTP {status}{_phrase(status)}"
        if status in {408, 425, 429} or status >= 500:
            raise TransientError(told, retry_after=_retry_after(response.headers))
        if 300 <= status < 400:
            raise PermanentError(f"{told}. Redirects aren't followed: name the final address.")
        if status in {401, 403}:
            raise HumanNeededError(
                f"{told}.", hint=f"Does the receiver have the secret of {self._secret.setting}?"
            )
        raise PermanentError(told)


def is_public(address: Address) -> bool:
    """Whether an address is on the open internet, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped: Address | None = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if address.teredo is not None:
            return False
        if wrapped is not None:
            return is_public(wrapped)
    return address.is_global and not address.is_multicast


def signed_headers(key: bytes, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Sign a body as Standard Webhooks does (scheme v1: HMAC-SHA256 over id.time.body)."""
    stamp = str(int(at.timestamp()))
    digest = hmac.digest(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _signing_key(place: SecretPlace) -> bytes:
    text = place.read().reveal().removeprefix(_PREFIX)
    key = b""
    with contextlib.suppress(binascii.Error, ValueError):
        key = base64.b64decode(text, validate=True)
    if len(key) not in _KEY_BYTES:
        raise HumanNeededError(
            f"{place.what} isn't one: it is whsec_ and then 24 to 64 bytes in base64.",
            hint=_MAKE_ONE,
        )
    return key


def _retry_after(headers: httpx.Headers) -> timedelta:
    """Read Retry-After: seconds, or a date measured against the answer's own Date."""
    text = headers.get("retry-after", "").strip()
    wait = timedelta(seconds=30)
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), _LONGEST_WAIT.total_seconds()))
    elif text:
        with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError):
            wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers["date"])
    return min(max(wait, timedelta(seconds=1)), _LONGEST_WAIT)


def _phrase(status: int) -> str:
    with contextlib.suppress(ValueError):
        return f" {HTTPStatus(status).phrase}"
    return ""


def _in_words(error: Exception | None) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else str(error)[:200]
    text = str(error or "").strip()
    return text[:200] or type(error).__name__
