"""What a stand-in is told before a meeting: as much as fits, and nothing that isn't for them.

Everything that could be told is a piece with a compartment. What its audience isn't entitled to
is never in the text, so no cleverness in the meeting can get it out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from locum.core.compartments import NOBODY, readable
from locum.core.remembered import Compartment

_BYTES_A_TOKEN = 3
"""Fewer than any tokenizer's average for text in Latin letters: a budget isn't overrun."""

_FEWEST_TOKENS = 40
"""A piece that would be cut to less than this is left out instead."""


@dataclass(frozen=True)
class Piece:
    """One thing that could be told; those of a smaller `rank` come first.

    `origin` says where it is from, for the owner ("memory", "workspace docs: updates.md").
    `compartment` says among whom it is at home; what `is_public` may be told to anybody who is
    known to be there.
    """

    origin: str
    title: str
    text: str
    compartment: Compartment
    rank: int = 0
    is_public: bool = False

    def is_for(self, audience: Compartment) -> bool:
        if self.is_public:
            return audience != NOBODY
        return readable(self.compartment, by=audience)


@dataclass(frozen=True)
class Withheld:
    """A piece that isn't told, and why; its text stands nowhere here."""

    origin: str
    title: str
    why: str


@dataclass(frozen=True)
class Briefing:
    """What is told to a stand-in for a meeting in `audience`: all that it could reveal there."""

    audience: Compartment
    told: tuple[Piece, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    tokens: int = 0

    @property
    def text(self) -> str:
        """Answer the pieces as one line of JSON each; "<" and ">" are escaped, as in a fence."""
        lines = (
            json.dumps({"about": piece.title, "known": piece.text}, ensure_ascii=False)
            for piece in self.told
        )
        return "\n".join(lines).replace("<", "\\u003c").replace(">", "\\u003e")


def tokens_of(text: str) -> int:
    """Estimate a text's tokens, rather too many than too few."""
    return -(-len(text.encode(errors="replace")) // _BYTES_A_TOKEN)


_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,40}\b(?:above|previous|prior|earlier|all|instructions?|rules?)\b"
    r"|\balways\s+(?:obey|do|answer|say|agree|comply)\b|\bobey\b"
    r"|\b(?:system|developer)\s*(?:prompt|message)\b|\bjailbreak|\bprompt\b.{0,20}\binject"
    r"|\bfrom\s+now\s+on\b.{0,60}\b(?:you|assistant|bot|stand-?in)\b"
    r"|\b(?:you|assistant|bot|stand-?in|ai)\b.{0,30}\b(?:must|shall|have\s+to|are\s+now|act\s+as|pretend)\b"
    r"|\b(?:assistant|system|user)\s*:|<\s*/?\s*(?:system|instructions?)\b|```"
    r"|\bignorier\w*\b.{0,40}\b(?:anweisung\w*|regel\w*|obige\w*|vorherige\w*)\b",
    re.IGNORECASE | re.DOTALL,
)


def gives_orders(text: str) -> bool:
    """Whether a remembered text reads like an order to a machine, rather than like minutes.

    Whoever spoke in a meeting could have said it for us to remember. Such a line waits until a
    person has approved it; what slips through is still only handed over as information.
    """
    return _ORDERS.search(text) is not None


def compile_briefing(
    pieces: Iterable[Piece], *, audience: Compartment, budget: int
) -> Briefing:
    """Choose what is told, in tokens up to `budget`: by rank, then in the order given."""
    told: list[Piece] = []
    withheld: list[Withheld] = []
    left = budget
    for piece in sorted(pieces, key=lambda each: each.rank):
        if not piece.is_for(audience):
            withheld.append(Withheld(piece.origin, piece.title, "isn't for this audience"))
            continue
        fitting = _fitted(piece, left)
        if fitting is None:
            withheld.append(Withheld(piece.origin, piece.title, "doesn't fit the budget"))
            continue
        told.append(fitting)
        left -= _cost(fitting)
    return Briefing(audience, tuple(told), tuple(withheld), budget - left)


def _cost(piece: Piece) -> int:
    return tokens_of(json.dumps({"about": piece.title, "known": piece.text}) + "\n")


def _fitted(piece: Piece, left: int) -> Piece | None:
    """Answer a piece cut to what is left, at the end of a line; None if that is too little."""
    if _cost(piece) <= left:
        return piece
    if left < _FEWEST_TOKENS + tokens_of(piece.title):
        return None
    low, high = 0, len(piece.text)
    while low < high:
        middle = (low + high + 1) // 2
        if _cost(_cut(piece, middle)) <= left:
            low = middle
        else:
            high = middle - 1
    end = piece.text.rfind("\n", 0, low)
    cut = _cut(piece, end if end > low // 2 else low)
    return cut if tokens_of(cut.text) >= _FEWEST_TOKENS else None


def _cut(piece: Piece, length: int) -> Piece:
    return replace(piece, text=piece.text[:length].rstrip() + " …")
