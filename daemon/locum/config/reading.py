"""From a path to plain TOML values, whatever lies at the path.

A daemon reads its config when it is edited, and editors leave half-written files; others
may leave worse. Everything that can go wrong here ends in a ConfigError within a second,
with the line where there is one, and never echoes what looks like a secret.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locum.config.lines import Positions, TooMuchError, locate
from locum.config.values import redact, shown_path
from locum.errors import ConfigError
from locum.files import UnreadableError, read_regular

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 256 * 1024


@dataclass(frozen=True)
class Source:
    """A config file as it was read, before anything is made of it."""

    data: bytes
    values: dict[str, Any]
    positions: Positions
    mode: int


def read_source(path: Path) -> Source:
    """Read and parse the config file at `path`.

    Raises:
        ConfigError: Whatever the matter is; one problem.
    """
    try:
        data, status = read_regular(path, limit=MAX_BYTES + 1)
    except UnreadableError as error:
        reason = str(error)
    else:
        return parse_source(path, data, mode=stat.S_IMODE(status.st_mode))
    next_step = {
        "no such file": "make one with `locum config init`",
        f"user {os.geteuid()} may not read it": "give it to the user that locum runs as",
    }.get(reason, "name a readable file with LOCUM_CONFIG or --config")
    raise _broken(shown_path(path), f"{reason}; {next_step}")


def parse_source(path: Path, data: bytes, *, mode: int = 0o600) -> Source:
    """Parse a config file's bytes; `path` is what problems are told with.

    Raises:
        ConfigError: Whatever the matter is; one problem.
    """
    values, positions = _parse(path, _decode(path, data))
    return Source(data, values, positions, mode)


def _decode(path: Path, data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _broken(path.name, f"more than {MAX_BYTES // 1024} KiB is no config of locum's")
    if 0 in data[:4] or data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise _broken(path.name, "not written in UTF-8; save it as UTF-8", line=1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _broken(path.name, "not written in UTF-8; save it as UTF-8", line=line) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _broken(path.name, "holds a NUL character; the file is damaged", line=line)
    return text.replace("\r\n", "\n")


def _parse(path: Path, text: str) -> tuple[dict[str, Any], Positions]:
    try:
        positions = locate(text)
    except TooMuchError as error:
        message = f"{error}; no setting of locum's needs that"
        raise _broken(path.name, message, line=error.line) from None
    line: int | None = None
    try:
        return tomllib.loads(text), positions
    except tomllib.TOMLDecodeError as error:
        line, message = _syntax(str(error), begun=positions.fault or text.count("\n") + 1)
    except (ValueError, RecursionError, OverflowError) as error:
        # Numbers of thousands of digits, and whatever else the parser itself trips over.
        message = "a number has too many digits" if "digit" in str(error) else "too deep"
    raise _broken(path.name, message, line=line)


_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_HINTS = (
    ("Invalid value", 'texts stand in "quotes", yes and no are true and false'),
    ("Unterminated string", 'the closing " is missing'),
    ('Expected "\'"', "the closing ' is missing"),
    ("Illegal character '\\n'", 'the closing " is missing'),
    ("Expected newline", 'one setting a line, and texts stand in "quotes"'),
    ("Cannot overwrite a value", "this key stands twice"),
    ("Cannot declare", "this table stands twice"),
    ("Unclosed array", "a , or the closing ] is missing"),
    ("Unclosed inline table", "a , or the closing } is missing"),
    ("Unescaped '\\\\'", "write \\ twice, or put the text in 'single quotes'"),
    ("Expected '='", 'settings are written key = "value"'),
)


def _syntax(message: str, *, begun: int) -> tuple[int, str]:
    """Take tomllib's message apart: the line, and what to do about it.

    What is never closed runs to the end of the file; there, the line where it began helps.
    """
    where = _WHERE.search(message)
    what = message[: where.start()] if where else message
    line = int(where[1]) if where and where[1] else begun
    column = f" (column {where[2]})" if where and where[2] else ""
    hint = next((f": {hint}" for start, hint in _HINTS if what.startswith(start)), "")
    return line, f"not valid TOML: {what[:1].lower()}{what[1:]}{column}{hint}"


def _broken(label: str, message: str, *, line: int | None = None) -> ConfigError:
    where = label if line is None else f"{label}:{line}"
    return ConfigError((redact(f"{where}: {message}"),))
