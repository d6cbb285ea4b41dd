"""Asks a package index or a registry for one page, and says what to do where that fails.

Nothing of a page is believed but where a file lies: what comes from there is taken by its hash
alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from locum.errors import PermanentError, TransientError

_LARGEST_PAGE = 20 << 20


@dataclass(frozen=True)
class Host:
    """Who is asked: its address, what it is called, and the option that names another."""

    address: str
    called: str
    option: str

    def __str__(self) -> str:
        return f"The {self.called} {shown(self.address)}"


@dataclass(frozen=True)
class Page:
    """What was answered: its media type, and from which address, once all redirects are done."""

    content: bytes
    media_type: str
    address: str


def as_address(given: str) -> str:
    """Write what was given, an address or a folder, as an address without a slash at its end.

    Raises:
        PermanentError: It is neither.
    """
    if "://" not in given:
        return Path(given).expanduser().absolute().as_uri()
    if not is_address(given):
        raise PermanentError(f"{given[:100]!r} is no address.")
    return given.rstrip("/")


def is_address(text: str) -> bool:
    """Whether a text can be taken apart as an address."""
    try:
        _ = urlsplit(text).port  # It is looked at only when it is asked for.
    except ValueError:
        return False
    return True


def shown(address: str) -> str:
    """Write an address without the name and password that may stand in it."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def local_path(address: str) -> Path | None:
    """Answer the path of a `file:` address."""
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def page_of(client: httpx.Client, host: Host, path: str, *, accept: str) -> Page | None:
    """Answer a page of a host; None if it has none there.

    Raises:
        TransientError: It doesn't answer.
        PermanentError: It isn't what it is called, or wants a sign-in.
    """
    if urlsplit(host.address).scheme not in {"http", "https"}:
        raise PermanentError(f"{shown(host.address)} is no address of a {host.called}.")
    try:
        with client.stream(
            "GET", f"{host.address}/{path}", headers={"Accept": accept}
        ) as answer:
            if answer.status_code == 404:
                return None
            if answer.status_code != 200:
                raise _refused(host, answer.status_code)
            return Page(
                _bounded(answer.iter_bytes(), host),
                answer.headers.get("content-type", ""),
                str(answer.url),
            )
    except httpx.InvalidURL as error:
        raise PermanentError(f"{host} isn't an address that can be asked: {error}.") from error
    except httpx.HTTPError as error:
        raise TransientError(
            f"{host} can't be reached: {str(error) or type(error).__name__}."
        ) from error


def _refused(host: Host, status: int) -> PermanentError | TransientError:
    told = f"{host} answers {status}"
    if status in {401, 403}:
        return PermanentError(
            f"{told}: it wants a sign-in. Name it with {host.option}, or another."
        )
    if status >= 500 or status == 429:
        return TransientError(
            f"{told}. Try again later, or name another one with {host.option}."
        )
    return PermanentError(f"{told}. Name another one with {host.option}.")


def _bounded(chunks: Iterator[bytes], host: Host) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > _LARGEST_PAGE:
            raise PermanentError(f"{host} answers with more than 20 MB.")
    return bytes(content)
