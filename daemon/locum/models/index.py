"""Finds a file in a package index, the one that its user's pip or uv would ask.

An index is asked by its simple API (PEP 691, or PEP 503's HTML). Nothing of it is believed but
where a file lies: what comes from there is taken by its hash alone.
"""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from locum.errors import PermanentError, TransientError
from locum.models.asking import Host, as_address, is_address, local_path, page_of, shown

_MACHINE = Path("/etc/pip.conf")
_MOST_LINKS = 100_000
_ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, "
    "text/html;q=0.3"
)


@dataclass(frozen=True)
class Found:
    """A file of an index: its name, and its address (http, https or file)."""

    name: str
    address: str


def index_addresses(given: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Answer the indexes to ask, in order: what was given, or what pip and uv are set to.

    None where they are set to nothing: no address of an index stands in locum, so pip itself is
    asked then (see `by_pip`).
    """
    if given:
        return [as_address(given)]
    named = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    # uv's may be NAME=ADDRESS.
    named = re.sub(r"^[\w-]+=(?=\w+:)", "", named) if named else named
    main = named or environ.get("PIP_INDEX_URL") or _from_pip(environ, "index-url")
    if not main:
        return []
    more = environ.get("PIP_EXTRA_INDEX_URL") or _from_pip(environ, "extra-index-url")
    return [as_address(each) for each in dict.fromkeys([*main.split(), *more.split()])]


def _from_pip(environ: Mapping[str, str], key: str) -> str:
    home = Path(environ.get("HOME", "/nonexistent"))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    named = environ.get("PIP_CONFIG_FILE")
    paths = [
        _MACHINE, home / ".pip/pip.conf", config / "pip/pip.conf",
        *([Path(named)] if named else []),
    ]  # fmt: skip
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read([path for path in paths if path.is_file()], encoding="utf-8")
        return parser.get("global", key, fallback="")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return ""


def files_of(client: httpx.Client, index: str, project: str) -> Iterable[Found]:
    """Answer the files that an index has of a project; none if it doesn't know it.

    Raises:
        TransientError: It doesn't answer.
        PermanentError: It isn't an index, or wants a sign-in.
    """
    folder = local_path(index)
    if folder is not None:
        return _in_folder(folder, project)
    page = page_of(
        client, Host(index, "package index", "--index"), f"{project}/", accept=_ACCEPT
    )
    if page is None:
        return []
    is_json = "json" in page.media_type
    links = _json_links(page.content, index) if is_json else _html_links(page.content)
    found = (
        Found(_last(link), urljoin(page.address, link)) for link in links if is_address(link)
    )
    # An index on the network names no files of this machine.
    return [each for each in found if urlsplit(each.address).scheme in {"http", "https"}]


def _json_links(content: bytes, index: str) -> list[str]:
    try:
        values: Any = json.loads(content)
        return [str(each["url"]) for each in values["files"]][:_MOST_LINKS]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise PermanentError(
            f"{shown(index)} doesn't answer as a package index does."
        ) from None


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href")
        if tag == "a" and address and len(self.found) < _MOST_LINKS:
            self.found.append(address)


def _html_links(content: bytes) -> list[str]:
    parser = _Links()
    parser.feed(content.decode("utf-8", "replace"))
    return parser.found


def _last(link: str) -> str:
    return unquote(urlsplit(link).path.rpartition("/")[2])


def _in_folder(folder: Path, project: str) -> list[Found]:
    """Answer the archives of a folder: of a mirror's own of the project, or a folder of wheels."""
    found = []
    for place in (folder / project, folder):
        try:
            names = sorted(path.name for path in place.iterdir())
        except OSError:
            continue
        found += [Found(name, (place / name).as_uri()) for name in names]
    return found


# ── by pip ───────────────────────────────────────────────────────────────────────────────

_PIP_S = 900
_WHEEL = re.compile(
    r"(?P<project>[^-]+)-(?P<version>[^-]+)-(?:cp|py)(?P<python>\d+)-(?P<abi>[^-]+)"
    r"-(?P<platform>[^-]+)\.whl"
)


def by_pip(name: str, folder: Path) -> Path:
    """Have the machine's own pip download one wheel into `folder`, from wherever it is set to.

    It downloads, and neither resolves, builds nor installs anything.

    Raises:
        PermanentError: There is no pip here.
        TransientError: It can't get it; the message is its own.
    """
    match = _WHEEL.fullmatch(name)
    pip = _pip()
    if match is None or pip is None:
        raise PermanentError(
            "Which package index to ask isn't set, and there is no pip here to ask: name one with "
            f"--index, or {name} with --archive."
        )
    tags = [] if match["platform"] == "any" else [
        "--implementation", "cp", "--python-version", match["python"], "--abi", match["abi"],
        "--platform", match["platform"],
    ]  # fmt: skip
    command = [
        *pip, "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet",
        "--disable-pip-version-check", "--dest", str(folder), *tags,
        f"{match['project']}=={match['version']}",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=_PIP_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise TransientError(f"pip took more than {_PIP_S // 60} minutes.") from None
    found = folder / name
    if done.returncode != 0 or not found.is_file():
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        told = lines[-1][:300] if lines else "it says nothing"
        raise TransientError(f"pip can't get {name}: {told}. Name an index with --index.")
    return found


def _pip() -> list[str] | None:
    """Answer how to call a pip of this machine; an environment made by uv has none of its own."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    found = shutil.which("pip") or shutil.which("pip3")
    return None if found is None else [found]
