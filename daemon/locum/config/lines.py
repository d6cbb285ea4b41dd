"""Where each key of a TOML text stands, and whether the text is safe to parse at all.

`tomllib` tells no positions, and some texts harm it: 5,000 nested arrays end in a
RecursionError, a key of 20,000 parts takes it 25 seconds. So one linear walk, without
recursion, runs first. It accepts more than TOML does and judges nothing but size: whether
a text is TOML is tomllib's to say.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""From the root to a value: keys, and places in arrays counted from 0."""

MAX_DEPTH = 10
MAX_ENTRIES = 12_000
"""A thousand accounts make 8,000."""
MAX_KEY_LENGTH = 256


class TooMuchError(Exception):
    """The text goes beyond what a config can need; `line` is where."""

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Positions:
    """The line, counted from 1, of every key, table and array item.

    `fault` is where the setting or table begins that isn't TOML, if there is one.
    """

    lines: Mapping[KeyPath, int]
    fault: int | None = None

    def line(self, path: KeyPath) -> int:
        """Answer where `path` stands, or else the nearest thing around it that does."""
        for length in range(len(path), 0, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return line
        return 1


def locate(text: str) -> Positions:
    r"""Find the lines of everything in `text`, whose line ends are "\n".

    A text that isn't TOML gives the positions up to the fault.

    Raises:
        TooMuchError: It nests too deep, or holds too many or too long keys.
    """
    walk = _Walk(text)
    try:
        walk.document()
    except _NotTomlError:
        return Positions(walk.lines, fault=walk.statement_line)
    return Positions(walk.lines)


def dotted(path: KeyPath) -> str:
    """Write a path for people: `rules[2].persona`, items counted from 1 as people do."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part + 1}]"
        else:
            written += ("." if written else "") + _written_key(part)
    return written


def _written_key(key: str) -> str:
    if _BARE_KEY.fullmatch(key):
        return key if len(key) <= 64 else f"{key[:61]}..."
    short = key if len(key) <= 64 else f"{key[:61]}..."
    quoted = short.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + quoted.encode("ascii", "backslashreplace").decode() + '"'


_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
_LITERAL = r"'[^'\n]*'"
_KEY_PART = re.compile(rf"[A-Za-z0-9_-]+|{_BASIC}|{_LITERAL}")
_SCALAR = re.compile(
    r'"""[^"\\]*(?:(?:\\.|"{1,2}(?!"))[^"\\]*)*"{3,5}'
    rf"|'''.*?'{{3,5}}|{_BASIC}|{_LITERAL}"
    r"|[\w+\-.:]+(?: [0-9.:Zz+\-]+)?",
    re.DOTALL,
)
_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"[ \t\n]*(?:#[^\n]*[ \t\n]*)*")
_BETWEEN_ITEMS = re.compile(r"[ \t\n,]*(?:#[^\n]*[ \t\n,]*)*")
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


class _NotTomlError(Exception):
    """The walk can't go on here; tomllib will say why."""


@dataclass
class _Open:
    """An array or inline table that the walk is inside of."""

    path: KeyPath
    closer: str
    items: int = 0


class _Walk:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.statement_line = 1
        self._marks = 0
        self._text = text
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._tables_in_array: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return
            self.statement_line = self._line()
            if self._text[self._at] == "[":
                table = self._header()
            else:
                path = self._key(table)
                self._expect("=")
                self._value(path)
            if not self._skip(_REST_OF_LINE):
                raise _NotTomlError

    def _header(self) -> KeyPath:
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        self._skip(_SPACE)
        parts = self._key_parts()
        path: KeyPath = ()
        for part in parts[:-1]:
            path = self._enter((*path, part))
        path = (*path, parts[-1])
        if is_array:
            self._mark(path)
            self._tables_in_array[path] = self._tables_in_array.get(path, -1) + 1
        else:
            self.lines.pop(path, None)  # [a.b] may come first; [a] is where a itself stands.
        path = self._enter(path)
        self._expect("]]" if is_array else "]")
        return path

    def _enter(self, path: KeyPath) -> KeyPath:
        """Note that `path` stands here; an array of tables means its newest table."""
        self._mark(path)
        index = self._tables_in_array.get(path)
        if index is None:
            return path
        self._mark((*path, index))
        return (*path, index)

    def _key(self, table: KeyPath) -> KeyPath:
        path = table
        *parents, last = self._key_parts()
        for part in parents:
            path = self._enter((*path, part))
        path = (*path, last)
        self._mark(path)
        return path

    def _key_parts(self) -> list[str]:
        parts: list[str] = []
        while True:
            match = _KEY_PART.match(self._text, self._at)
            if match is None:
                raise _NotTomlError
            parts.append(_key_text(match.group()))
            if len(parts[-1]) > MAX_KEY_LENGTH:
                raise self._too_much(f"a key of more than {MAX_KEY_LENGTH} characters")
            self._at = match.end()
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1
            self._skip(_SPACE)

    def _value(self, path: KeyPath) -> None:
        """Walk over one value, and over all that is inside it."""
        open_: list[_Open] = []
        while True:
            self._skip(_SPACE)
            char = self._text[self._at : self._at + 1]
            if char == "[":
                self._at += 1
                open_.append(_Open(path, "]"))
            elif char == "{":
                self._at += 1
                open_.append(_Open(path, "}"))
            elif not self._skip(_SCALAR):
                raise _NotTomlError
            following = self._following(open_)
            if following is None:
                return
            path = following

    def _following(self, open_: list[_Open]) -> KeyPath | None:
        """Close what ends here, and answer the path of the next value inside, if any."""
        while open_:
            inner = open_[-1]
            self._skip(_BETWEEN_ITEMS)
            if self._text.startswith(inner.closer, self._at):
                self._at += 1
                open_.pop()
            elif inner.closer == "]":
                path: KeyPath = (*inner.path, inner.items)
                inner.items += 1
                self._mark(path)
                return path
            else:
                path = self._key(inner.path)
                self._expect("=")
                return path
        return None

    def _mark(self, path: KeyPath) -> None:
        if len(path) > MAX_DEPTH:
            raise self._too_much(f"nested more than {MAX_DEPTH} deep")
        self._marks += 1
        if self._marks > MAX_ENTRIES:
            raise self._too_much(f"more than {MAX_ENTRIES} entries")
        if path not in self.lines:
            self.lines[path] = self._line()

    def _line(self) -> int:
        return bisect_right(self._newlines, self._at - 1) + 1

    def _too_much(self, what: str) -> TooMuchError:
        return TooMuchError(what, line=self._line())

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self._text, self._at)
        if match is None:
            return False
        self._at = match.end()
        return True

    def _expect(self, token: str) -> None:
        self._skip(_SPACE)
        if not self._text.startswith(token, self._at):
            raise _NotTomlError
        self._at += len(token)


def _key_text(written: str) -> str:
    if written[0] == "'":
        return written[1:-1]
    if written[0] != '"':
        return written
    return _ESCAPE.sub(_unescape, written[1:-1])


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return _ESCAPED.get(match[4], match[4])
    number = int(code, 16)
    # Beyond Unicode's range tomllib refuses the text; any character does until then.
    return chr(number) if number <= 0x10FFFF else "\ufffd"
