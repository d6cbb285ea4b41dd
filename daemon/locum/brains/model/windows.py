"""Cuts a meeting into windows that a model can read at once, where a topic ends if possible.

Words are what a window is measured in. Where a script has no blanks between them, two
characters count as one; and so do twelve of anything that never ends.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from locum.brains.model.settings import Segment
from locum.core.transcript import Transcript, Utterance

UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Thai, Lao, kana and Han: written without blanks between words."""

_TERM = re.compile(r"[^\W\d_]{4,}")
_LONGEST_RUN = 12
_EARLIEST = 0.75  # Of a window: where its end may lie at the earliest.
_BLOCK = 8  # Utterances on each side of a cut that are compared.
_LONG_PAUSE_S = 20.0


@dataclass(frozen=True)
class Piece:
    """An utterance, or a part of one that is too long to be read at once."""

    utterance: Utterance
    text: str


@dataclass(frozen=True)
class Window:
    pieces: tuple[Piece, ...]

    @property
    def transcript(self) -> Transcript:
        """Answer the whole utterances that it has parts of."""
        found = {piece.utterance.id: piece.utterance for piece in self.pieces}
        return Transcript(tuple(found.values()))


def weight(text: str) -> int:
    """Answer how many words a text counts for."""
    words = len(text.split()) + len(UNSPACED.findall(text)) // 2
    return max(words, len(text) // _LONGEST_RUN)


def cut(
    transcript: Transcript, max_words: int, *, segment: Segment | None = None
) -> tuple[Window, ...]:
    """Cut at the borders of topics as far as they fit, and else between two turns."""
    pieces: list[Piece] = []
    begins: set[int] = set()
    borders = set(segment(transcript)) if segment is not None else set()
    for index, utterance in enumerate(transcript.utterances):
        if index in borders:
            begins.add(len(pieces))
        pieces += _pieces(utterance, max_words)
    weights = [weight(piece.text) + 3 for piece in pieces]  # Its name and id count too.
    windows: list[Window] = []
    start = 0
    while start < len(pieces):
        end = _fitting(weights, start, max_words)
        if end < len(pieces):
            end = _best_cut(pieces, begins, start, end)
        windows.append(Window(tuple(pieces[start:end])))
        start = end
    return tuple(windows)


def _pieces(utterance: Utterance, max_words: int) -> list[Piece]:
    if not utterance.text.strip():
        return []
    most = max(max_words - 3, 1)
    if weight(utterance.text) <= most:
        return [Piece(utterance, utterance.text)]
    return [Piece(utterance, part) for part in _parts(utterance.text, most)]


def _parts(text: str, most: int) -> list[str]:
    """Cut one text where its words end, or, where they don't, anywhere."""
    parts: list[str] = []
    words: list[str] = []
    size = 0
    for word in text.split():
        step = most * 2  # Of characters: within any way of counting.
        for each in (word[at : at + step] for at in range(0, len(word), step)):
            cost = max(weight(each), math.ceil((len(each) + 1) / _LONGEST_RUN))
            if words and size + cost > most:
                parts.append(" ".join(words))
                words, size = [], 0
            words.append(each)
            size += cost
    return [*parts, " ".join(words)] if words else parts


def _fitting(weights: Sequence[int], start: int, most: int) -> int:
    """Answer where a window from `start` ends at the latest; it has one piece at least."""
    total, end = weights[start], start + 1
    while end < len(weights) and total + weights[end] <= most:
        total += weights[end]
        end += 1
    return end


def _best_cut(pieces: Sequence[Piece], begins: set[int], start: int, end: int) -> int:
    earliest = max(start + math.ceil((end - start) * _EARLIEST), start + 1)
    known = [place for place in range(earliest, end + 1) if place in begins]
    if known:
        return known[-1]
    return max(range(earliest, end + 1), key=lambda place: (_shift(pieces, place), place))


def _shift(pieces: Sequence[Piece], place: int) -> float:
    """Answer how much speaks for another topic from `place` on."""
    before, after = pieces[place - 1], pieces[place]
    if before.utterance is after.utterance:
        return -1.0  # In the middle of an utterance.
    left = _terms(pieces[max(place - _BLOCK, 0) : place])
    right = _terms(pieces[place : place + _BLOCK])
    shared = sum((left & right).values())
    score = 1.0 - shared / max(math.sqrt(sum(left.values()) * sum(right.values())), 1.0)
    since, until = before.utterance.until or before.utterance.at, after.utterance.at
    if since is not None and until is not None:
        score += min(max((until - since).total_seconds(), 0.0) / _LONG_PAUSE_S, 1.0)
    if before.utterance.who == after.utterance.who:
        score -= 0.3  # One turn.
    return score


def _terms(pieces: Sequence[Piece]) -> Counter[str]:
    return Counter(
        term for piece in pieces for term in _TERM.findall(piece.text[:2000].lower())
    )
