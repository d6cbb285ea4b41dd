"""Where the addresses are that notices go to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from locum import courier
from locum.courier import Addresses, Line

CREDENTIAL_NAME = "notify_urls"


def notice_addresses(urls_file: Path | None) -> Addresses:
    return Addresses("notices", "notify.urls_file", CREDENTIAL_NAME, urls_file)


def find_urls(urls_file: Path | None, environ: Mapping[str, str]) -> tuple[Line, ...]:
    """Read the addresses. See `courier.find_urls`."""
    return courier.find_urls(notice_addresses(urls_file), environ)
