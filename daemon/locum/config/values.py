"""How single values are written in the config, and what each refuses.

These are the checks that need nothing but the value itself; what needs the rest of the
file, or the disk, is in `checks`.
"""

from __future__ import annotations

import ipaddress
import pwd
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

# ── durations ────────────────────────────────────────────────────────────────────────────

DURATION_PATTERN = r"^([0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d))+$"

_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


def parse_duration(value: Any) -> timedelta:
    """Read "90s", "5m", "1h30m", "2d" as a timedelta; a timedelta stays as it is.

    Raises:
        ValueError: Anything else, a bare number too: it would hide its unit.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError('a duration is a text with a unit, like "90s" or "5m"')  # noqa: TRY004 - pydantic collects ValueErrors.
    parts = _PART.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError(f'{shown(value)} is no duration; write it like "90s", "5m" or "1h30m"')
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
    except OverflowError:
        raise ValueError(f"{shown(value)} is too long") from None


def format_duration(duration: timedelta) -> str:
    """Write a duration as the config does, to the millisecond: "1h30m"."""
    rest = round(duration / timedelta(milliseconds=1))
    if rest <= 0:
        return "0s"
    parts = []
    for unit, size in _MILLISECONDS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


@dataclass(frozen=True)
class Between:
    """Annotates a duration with the range that makes sense, written as in the config.

    `above` excludes its bound, `least` and `most` include theirs.
    """

    most: str
    least: str | None = None
    above: str | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def check(self, value: timedelta) -> timedelta:
        if self.least is not None and value < parse_duration(self.least):
            raise ValueError(
                f"{format_duration(value)} is too short; {self.least} is the least"
            )
        if self.above is not None and value <= parse_duration(self.above):
            raise ValueError(f"{format_duration(value)} is too short; it must be above zero")
        if value > parse_duration(self.most):
            raise ValueError(f"{format_duration(value)} is too long; {self.most} is the most")
        return value


# ── addresses ────────────────────────────────────────────────────────────────────────────

_LOOPBACK_V4 = ipaddress.ip_network("127.0.0.0/8")
_LOOPBACK_V6 = ipaddress.ip_address("::1")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/_.-]*")
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")


def parse_address(value: str) -> str:
    """Check an http(s) address: TLS everywhere but on this machine itself.

    Raises:
        ValueError: It isn't one, is plain http to another machine, or carries a password.
    """
    # urlsplit silently drops tabs and newlines, so look before it does.
    if not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
        raise ValueError("an address is plain ASCII without blanks or backslashes")
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{shown(value)} is no address") from None
    if "?" in value or "#" in value:
        raise ValueError("an address here has neither ? nor #")
    if "@" in parts.netloc:
        raise ValueError("an address carries no user or password")
    if parts.scheme not in {"http", "https"} or not host or not _is_host(host):
        raise ValueError(f'{shown(value)} is no address; write it like "https://example.com/"')
    if parts.scheme == "http" and not is_loopback(value):
        raise ValueError(
            f"{shown(value)} is plain http to another machine; use https "
            "(http is for 127.0.0.1, ::1 and localhost)"
        )
    return value


def parse_push_address(value: str) -> str:
    """Check an address that others are to call, beyond `parse_address`.

    Raises:
        ValueError: It is too long, or a proxy might well rewrite its path.
    """
    path = urlsplit(value).path
    if len(value) > 1000:
        raise ValueError("the address is too long; 1,000 characters are the most")
    if _PLAIN_PATH.fullmatch(path) is None or "//" in path or "/." in path:
        raise ValueError(
            f"{shown(path)} is no plain path; write letters, digits and any of / - _ . only, "
            "so that the proxy passes it on as it is"
        )
    return value


def parse_bind_address(value: str) -> str:
    """Check an address of this machine, to listen on.

    Raises:
        ValueError: It is a name or something else: what it means could change.
    """
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(
            f'{shown(value)} is no IP address; write one, like "127.0.0.1"'
        ) from None


def is_loopback(address: str) -> bool:
    """Whether this http(s) address is on this machine, whatever a resolver may say."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    if host == "localhost":
        return True
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return False
    return parsed == _LOOPBACK_V6 or (parsed.version == 4 and parsed in _LOOPBACK_V4)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST_NAME.fullmatch(host) is not None
    return True


# ── places where summaries go ────────────────────────────────────────────────────────────


def parse_tag(value: str) -> str:
    """Check a tag of Obsidian's, written without its "#".

    Raises:
        ValueError: Obsidian wouldn't take it for one.
    """
    if re.fullmatch(r"[\w/-]{1,64}", value) is None or value.isdigit():
        raise ValueError(
            f"{shown(value)} is no tag; write letters, digits and any of _ - / only, and one "
            "letter at least"
        )
    return value


def parse_mail_address(value: str) -> str:
    """Check a mail address, plain: no name with it, and nothing that a header could end at.

    Raises:
        ValueError: It is something else.
    """
    if re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}", value):
        local, _, domain = value.rpartition("@")
        if not any(part in {"", "-"} for part in (*local.split("."), *domain.split("."))):
            return value
    raise ValueError(f'{shown(value)} is no mail address; write it like "me@example.com"')


def parse_host(value: str) -> str:
    """Check a server's name or IP address.

    Raises:
        ValueError: It is neither: an address with "://", a port or a path, say.
    """
    if value.isascii() and _is_host(value):
        return value
    raise ValueError(
        f'{shown(value)} is no host; write its name alone, like "smtp.example.com"'
    )


# ── people ───────────────────────────────────────────────────────────────────────────────


def parse_organizer(value: str) -> str:
    """Check a trusted organizer: an address or a domain, never a pattern.

    Raises:
        ValueError: It is something else, and would silently match nobody.
    """
    domain = value.rpartition("@")[2]
    if not domain or value.count("@") > 1 or re.search(r"[\s*?\[\]<>,;]", value):
        raise ValueError(
            f'{shown(value)} is neither an address ("boss@example.com") nor a domain '
            '("example.com"); patterns belong into [[rules]]'
        )
    return value


# ── paths ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Places:
    """Where relative paths and "~" start; handed to the model as validation context."""

    folder: Path
    home: Path | None

    def resolve(self, written: str | Path) -> Path:
        """Answer the path that `written` means in this config.

        Raises:
            ValueError: It names a user whom this machine doesn't know.
        """
        text = str(written)
        if not text.startswith("~"):
            return self.folder / text
        user, _, rest = text[1:].partition("/")
        return self._home_of(user) / rest

    def _home_of(self, user: str) -> Path:
        if not user:
            if self.home is None:
                raise ValueError('there is no home directory here for "~"; write it out')
            return self.home
        try:
            return Path(pwd.getpwnam(user).pw_dir)
        except (KeyError, ValueError):
            raise ValueError(f"this machine has no user {shown(user)}") from None


def refuse_empty_path(value: Any) -> Any:
    """Refuse "", which as a path would be the folder itself; the rest is pydantic's to judge.

    Raises:
        ValueError: It is blank.
    """
    if isinstance(value, str) and not value.strip():
        raise ValueError("an empty path names no file")
    return value


def resolve_path(value: Path, info: ValidationInfo) -> Path:
    """Resolve against the config's folder where the context says which; else leave as it is."""
    return info.context.resolve(value) if isinstance(info.context, Places) else value


def home_directory(environ_home: str | None, uid: int) -> Path | None:
    """Answer $HOME, or what the user database says; None where neither knows."""
    if environ_home:
        return Path(environ_home)
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return None


# ── showing ──────────────────────────────────────────────────────────────────────────────

_SECRET_START = re.compile(r"\s*(?:dk_|ya29\.|1//|sk-[\w-]{16})")
_SECRET_WITHIN = re.compile(
    r"dk_[A-Za-z0-9_-]{8,}|ya29\.[\w.-]{8,}|GOCSPX-[\w-]{8,}"
    r"|(?<![A-Za-z])sk-[\w-]{16,}|AIza[\w-]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_SECRET_WORD = re.compile(r"(?:dk_|ya29\.|GOCSPX-|(?<![A-Za-z])sk-|AIza)[^\s\"']*|1//[^\s\"']+")


def holds_secret(value: str) -> bool:
    """Whether a text is, or carries, a key or token by its looks."""
    return bool(_SECRET_START.match(value) or _SECRET_WITHIN.search(value))


def redact(message: str) -> str:
    """Take everything that looks like a secret out of a message about the config."""
    return _SECRET_WORD.sub("[redacted]", message)


def shown(value: object) -> str:
    """Quote a value for a message: short, on one line, in ASCII where it isn't printable."""
    text = value if isinstance(value, str) else str(value)
    if len(text) > 60:
        text = f"{text[:57]}..."
    return f'"{_escaped(text)}"' if isinstance(value, str) else _escaped(text)


def shown_path(path: Path) -> str:
    """Write a path in full, for one line of a message; what is no path any more is cut."""
    text = str(path)
    return _escaped(text if len(text) <= 1000 else f"{text[:997]}...")


def _escaped(text: str) -> str:
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
