"""Finds the addresses that messages go to. Each carries its secret, so no config holds them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from locum.core.secret import Secret
from locum.errors import HumanNeededError

_LONGEST_FILE = 64 * 1024
_LONGEST_URL = 4096
_MOST_URLS = 32
_WRITE_THEM = "Write one apprise address a line, like ntfys://ntfy.sh/TOPIC."


@dataclass(frozen=True)
class Line:
    """An address, and the number of its line, by which people know it."""

    number: int
    url: Secret
    scheme: str


@dataclass(frozen=True)
class Addresses:
    """Where to look for addresses: the file of `setting`, or else a systemd credential.

    `what` is what goes to them.
    """

    what: str
    setting: str
    credential: str
    file: Path | None


def urls_path(place: Addresses, environ: Mapping[str, str]) -> Path:
    """Answer where the addresses are: the file if one is named, else the credential.

    A named file that can't be read is an error, not a reason to look elsewhere.

    Raises:
        HumanNeededError: Nothing says where.
    """
    if place.file is not None:
        return place.file
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (path := Path(credentials) / place.credential).exists():
        return path
    raise HumanNeededError(
        f"Nothing says where {place.what} go.",
        hint=f"{_WRITE_THEM} Name that file as {place.setting}, or give systemd the"
        f" credential {place.credential}.",
    )


def find_urls(place: Addresses, environ: Mapping[str, str]) -> tuple[Line, ...]:
    """Read the addresses; blank lines and those that begin with # don't count.

    Raises:
        HumanNeededError: There are none, they can't be read, or a line isn't one.
    """
    path = urls_path(place, environ)
    lines = tuple(
        _line(path, number, text.strip())
        for number, text in enumerate(_read(path, place).splitlines(), start=1)
        if text.strip() and not text.strip().startswith("#")
    )
    if not lines:
        raise HumanNeededError(f"No address stands in {path}.", hint=_WRITE_THEM)
    if len(lines) > _MOST_URLS:
        raise HumanNeededError(
            f"{path} has {len(lines)} addresses.", hint=f"{_MOST_URLS} are the most."
        )
    return lines


def urls_file_problem(urls_file: Path | None) -> str | None:
    """Say if every user of this machine may read (or replace) the addresses."""
    if urls_file is None:
        return None
    try:
        mode = stat.S_IMODE(urls_file.stat().st_mode)
    except OSError:
        return None  # That it can't be read is said where it is read.
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return f"{urls_file} is open to every user of this machine (mode {mode:04o})"
    return None


def _read(path: Path, place: Addresses) -> str:
    step = f"Make it readable for the user that locum runs as, or correct {place.setting}."
    try:
        # Not blocking: what is named may be a pipe that nobody writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - A descriptor has no path.
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise HumanNeededError(f"{path} is no file.", hint=step)
            content = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise HumanNeededError(
            f"The addresses in {path} can't be read: {error.strerror}.", hint=step
        ) from error
    if len(content) > _LONGEST_FILE:
        raise HumanNeededError(
            f"{path} has more than {_LONGEST_FILE // 1024} KiB.", hint=_WRITE_THEM
        )
    return content.decode("utf-8", "replace")


def _line(path: Path, number: int, text: str) -> Line:
    scheme, mark, _ = text.partition("://")
    fits = mark and scheme.isascii() and scheme.isalnum() and len(scheme) <= 32
    if not fits or len(text) > _LONGEST_URL or not text.isprintable():
        # Not quoted, not even in part: it may be an address with a slip of the keyboard.
        raise HumanNeededError(f"Line {number} of {path} is no address.", hint=_WRITE_THEM)
    return Line(number, Secret(text), scheme.lower())
