"""What does an event's description tell the stand-in to do? `locum: skip`, and a few more.

This only reads. Whether the writer may give orders is the policy's question: an invitation
from a stranger must not be able to choose a persona, let alone to say what it should say.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from locum.core.invites import DESCRIPTION_LIMIT, unescaped

BRIEF_LIMIT = 2000
"""The longest brief, in characters; what is longer is cut, and said so."""

_PERSONA_LIMIT = 64
_MAX_COMMANDS = 100
_MAX_PROBLEMS = 10
_QUOTE_WINDOW = 4 * BRIEF_LIMIT

_PLAIN = ("skip", "join", "listen")
_VALUED = ("persona", "brief")

_LINE_TAG = re.compile(r"</?(?:br|p|div|li|ul|ol|tr|h[1-6])(?:[\s/][^<>]*)?>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile(r"[\u00a0\u2000-\u200a\u202f\u3000]")
# What can't be seen, and what no other program takes (lone surrogates).
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)

_START = re.compile(r"^[ \t*•·–-]*locum[ \t]*:", re.MULTILINE | re.IGNORECASE | re.ASCII)
_GAP = re.compile(r"[ \t,]*")
_WORD = re.compile(r"[^=,\n]*")
_BARE_VALUE = re.compile(r"[^,\n]*")
_LINE = re.compile(r"[^\n]*")
_QUOTES = {'"': '"', "“": '”“"', "”": '”"', "„": '“”"', "«": "»"}


@dataclass(frozen=True)
class Commands:
    """What a description asks for. `join` None: nothing said; False: skip, which beats join.

    Of two personas or briefs the first counts. `problems` are sentences about what was not
    understood; the rest counts all the same.
    """

    join: bool | None = None
    persona: str | None = None
    listen: bool = False
    brief: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Item:
    """One command as written; `value` None where there was no "="."""

    word: str
    value: str | None = None
    closed: bool = True


def parse_commands(description: str) -> Commands:
    """Read the lines that begin with `locum:`, in plain text or HTML.

    A line holds `skip`, `join`, `listen`, `persona=NAME` and `brief="…"`, several with
    commas between; a quoted brief may run over several lines. Only the first 65,536
    characters and 100 commands are read. Never raises.
    """
    text = _plain(description[:DESCRIPTION_LIMIT])
    items: list[_Item] = []
    at = 0
    while len(items) <= _MAX_COMMANDS:
        start = _START.search(text, at)
        if start is None:
            break
        at = _read_line(text, start.end(), items)
    problems: list[str] = []
    if len(items) > _MAX_COMMANDS:
        problems.append(f"There are more than {_MAX_COMMANDS} commands: the rest was ignored.")
    return _understood(items[:_MAX_COMMANDS], problems)


def _plain(description: str) -> str:
    """Turn HTML into lines of text; a text without HTML stays as it is."""
    text = _TAG.sub("", _LINE_TAG.sub("\n", description))
    text = _LINE_END.sub("\n", unescaped(text))
    return _UNWANTED.sub("", _SPACES.sub(" ", text))


# ── reading ──────────────────────────────────────────────────────────────────────────────


def _read_line(text: str, at: int, items: list[_Item]) -> int:
    """Add the commands from `at` to the line's end, and answer where that is."""
    while len(items) <= _MAX_COMMANDS:
        at = _end_of(_GAP, text, at)
        if at >= len(text) or text[at] == "\n":
            break
        end = _end_of(_WORD, text, at)
        word, at = text[at:end].strip(" \t.;!").lower(), end
        if text.startswith("=", at):
            value, at, closed = _read_value(text, at + 1)
            items.append(_Item(word, value, closed))
        elif word:
            items.append(_Item(word))
    return at


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _read_value(text: str, at: int) -> tuple[str, int, bool]:
    """Answer a value, where it ends, and whether its quote was closed."""
    while at < len(text) and text[at] in " \t":
        at += 1
    closers = _QUOTES.get(text[at : at + 1])
    if closers is None:
        end = _end_of(_BARE_VALUE, text, at)
        value = text[at:end].strip(" \t.;")
        apostrophes = len(value) > 1 and value[0] == value[-1] == "'"
        return value[1:-1] if apostrophes else value, end, True
    begin = at + 1
    window = text[begin : begin + _QUOTE_WINDOW]
    end = min((found for mark in closers if (found := window.find(mark)) >= 0), default=-1)
    # A forgotten quote must not swallow the commands of the lines below it.
    if end < 0 or _START.search(window[:end].partition("\n")[2]):
        end = _end_of(_LINE, text, begin)
        return text[begin:end].strip(), end, False
    return window[:end].strip(), begin + end + 1, True


# ── understanding ────────────────────────────────────────────────────────────────────────


def _understood(items: list[_Item], problems: list[str]) -> Commands:
    said: set[str] = set()
    values: dict[str, str] = {}
    for item in items:
        problem = _item_problem(item)
        if problem is not None:
            problems.append(problem)
        elif item.value is None:
            said.add(item.word)
        elif item.word in values:
            problems.append(f'"{item.word}" is given twice: the first one counts.')
        else:
            values[item.word] = item.value
            if not item.closed:
                problems.append(f'The quote of "{item.word}" is never closed: its line counts.')
    if {"skip", "join"} <= said:
        problems.append('Both "skip" and "join" are given: "skip" counts.')
    brief = values.get("brief", "")
    if len(brief) > BRIEF_LIMIT:
        problems.append(f"The brief is longer than {BRIEF_LIMIT} characters: it was cut.")
    return Commands(
        join=False if "skip" in said else True if "join" in said else None,
        persona=values.get("persona"),
        listen="listen" in said,
        brief=brief[:BRIEF_LIMIT],
        problems=tuple(problems[:_MAX_PROBLEMS]),
    )


def _item_problem(item: _Item) -> str | None:
    if item.word in _PLAIN:
        if item.value is None:
            return None
        return f'"{item.word}" takes no value: write "locum: {item.word}".'
    if item.word in _VALUED:
        if not item.value:
            example = "persona=NAME" if item.word == "persona" else 'brief="…"'
            return f'"{item.word}" needs a value: write "locum: {example}".'
        if item.word == "persona" and (len(item.value) > _PERSONA_LIMIT or "\n" in item.value):
            return f"The persona's name is longer than a line of {_PERSONA_LIMIT} characters."
        return None
    return f'Unknown command "{_shown(item.word)}".{_suggestion(item.word)}'


def _suggestion(word: str) -> str:
    known = (*_PLAIN, *_VALUED)
    first = word[:40].partition(" ")[0]
    close = [
        match
        for guess in (word[:40], first)
        for match in difflib.get_close_matches(guess, known)
    ]
    return f' Did you mean "{close[0]}"?' if close else f" There are {', '.join(known)}."


def _shown(word: str) -> str:
    return word if len(word) <= 40 else word[:40] + "…"
