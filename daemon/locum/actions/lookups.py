"""What locum looks up by itself: nothing of it changes anything, or leaves this machine."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import log
from typing import Any

import anyio.to_thread

from locum.actions.toolbox import Told
from locum.core.briefing import Piece
from locum.core.remembered import Compartment
from locum.core.stems import content_stems
from locum.errors import PermanentError
from locum.ports import Tool

_WITHIN = timedelta(seconds=15)
_LIMIT = 8 * 1024
_LONGEST_QUERY = 400
_LONGEST_CHUNK = 700  # Characters.
_MOST_FOUND = 6
_MOST_NAMED = 40
_FRESH_S = 60.0


def text_of(arguments: Mapping[str, Any], name: str, *, longest: int = _LONGEST_QUERY) -> str:
    """Answer an argument that must be text; empty where it isn't given.

    Raises:
        PermanentError: It is something else, or too long.
    """
    value = arguments.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise PermanentError(f"{name}: must be text of at most {longest} characters.")
    return value.strip()


def schema(**parameters: str) -> dict[str, Any]:
    """Make a schema of texts; a description that ends with "?" is of one that may stay out."""
    return {
        "type": "object",
        "properties": {
            name: {
                "type": "string",
                "description": about.rstrip("?"),
                "maxLength": _LONGEST_QUERY,
            }
            for name, about in parameters.items()
        },
        "required": [name for name, about in parameters.items() if not about.endswith("?")],
        "additionalProperties": False,
    }


@dataclass(frozen=True)
class Lookup:
    """An action that answers a question from what is at hand."""

    tool: Tool
    answer: Callable[[Mapping[str, Any]], Awaitable[str]]
    within: timedelta = _WITHIN
    limit: int = _LIMIT

    def wording(self, arguments: Mapping[str, Any]) -> str:
        return f"{self.tool.name} {dict(arguments)}"

    async def do(self, arguments: Mapping[str, Any]) -> Told:
        return Told(await self.answer(arguments))


def in_thread(
    answer: Callable[[Mapping[str, Any]], str],
) -> Callable[[Mapping[str, Any]], Awaitable[str]]:
    """Let something answer that reads files, and would keep the loop waiting."""

    async def answered(arguments: Mapping[str, Any]) -> str:
        return await anyio.to_thread.run_sync(lambda: answer(arguments), abandon_on_cancel=True)

    return answered


# ── searching what may be told ───────────────────────────────────────────────────────────


@dataclass
class Searched:
    """Pieces of the workspace, or of the contacts, searched for an audience.

    `read` answers all there are, blocking; what isn't for `audience` is dropped before anything
    else is done with it.
    """

    read: Callable[[], Sequence[Piece]]
    audience: Compartment
    _kept: tuple[Piece, ...] = field(default=(), init=False)
    _at: float = field(default=0.0, init=False)

    def answer(self, arguments: Mapping[str, Any]) -> str:
        query = text_of(arguments, "query")
        pieces = self._pieces()
        if not pieces:
            return "Nothing is there that may be told in this meeting."
        found = ranked(pieces, query) if query else []
        if not found:
            names = "; ".join(dict.fromkeys(each.title for each in pieces[:_MOST_NAMED]))
            return f"Nothing found. What there is: {names}"
        return "\n\n".join(f"{title}:\n{text}" for title, text in found)

    def _pieces(self) -> tuple[Piece, ...]:
        if not self._at or time.monotonic() - self._at > _FRESH_S:
            self._kept = tuple(each for each in self.read() if each.is_for(self.audience))
            self._at = time.monotonic()
        return self._kept


def ranked(pieces: Sequence[Piece], query: str) -> list[tuple[str, str]]:
    """Answer the parts of texts that speak most of what is asked, with their titles."""
    chunks = [
        (piece.title, chunk, Counter(content_stems(f"{piece.title} {chunk}")))
        for piece in pieces
        for chunk in _chunks(piece.text)
    ]
    asked = set(content_stems(query))
    uses = Counter(stem for _, _, stems in chunks for stem in asked & stems.keys())

    def weight(stems: Counter[str]) -> float:
        return sum(log(1 + len(chunks) / uses[stem]) for stem in asked & stems.keys())

    scored = [(weight(stems), title, chunk) for title, chunk, stems in chunks]
    best = sorted((each for each in scored if each[0] > 0), key=lambda each: -each[0])
    return [(title, chunk) for _, title, chunk in best[:_MOST_FOUND]]


def _chunks(text: str) -> list[str]:
    """Part a text at its empty lines, and what is long at its lines."""
    chunks: list[str] = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        part = ""
        for line in paragraph.split("\n"):
            cut = line[:_LONGEST_CHUNK]
            if part and len(part) + len(cut) > _LONGEST_CHUNK:
                chunks.append(part)
                part = ""
            part = f"{part}\n{cut}" if part else cut
        if part.strip():
            chunks.append(part)
    return chunks
