"""The room's captions, from a region whose lines are revised in place to whole utterances.

A line is told once it is final: when it has left the region, or has stood unchanged for a
while. It is told once, and what is said on in the same line afterwards is told alone. Pure:
looks come in, utterances go out.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from locum.engines.chromium.texts import folded

SETTLED = timedelta(seconds=3)
"""How long the last line must stand still to be final. Recognition revises faster than that."""

SUPERSEDED = timedelta(seconds=1.5)
"""The same, where somebody else's line has begun below it."""

_MOST_WORDS = 1500
"""A line with more of them is told as far as it goes: nobody holds the floor that long."""
_OVERLAP = 4
"""How many words must be the same for a line to have lost its beginning, and nothing else."""


@dataclass(frozen=True)
class Line:
    """One block of the region as it stands now; `id` is the same for as long as it stays."""

    id: int
    speaker: str
    text: str


@dataclass(frozen=True)
class Caption:
    """What somebody said, once it is final."""

    speaker: str
    text: str
    at: datetime
    until: datetime


@dataclass
class _Open:
    speaker: str
    words: list[str]
    at: datetime
    changed: datetime
    told: list[str] = field(default_factory=list)  #: What was told of it, with its beginning.


class CaptionReader:
    """Reads one region for as long as it is there."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}

    def read(self, lines: Sequence[Line], now: datetime) -> tuple[Caption, ...]:
        """Take the region as it looks now, its lines in order; answer what is final."""
        final: list[Caption] = []
        present = {line.id for line in lines}
        for gone in [each for each in self._open if each not in present]:
            final += _tell(self._open.pop(gone))
        for place, line in enumerate(lines):
            final += self._take(line, now)
            opened = self._open[line.id]
            is_last = place == len(lines) - 1
            wait = SETTLED if is_last else SUPERSEDED
            if now - opened.changed >= wait or len(opened.words) > _MOST_WORDS:
                final += _tell(opened)
        return tuple(final)

    def close(self) -> tuple[Caption, ...]:
        """Tell what is left: nothing more will be revised."""
        final = [caption for opened in self._open.values() for caption in _tell(opened)]
        self._open.clear()
        return tuple(final)

    def growing(self, now: datetime) -> frozenset[str]:
        """Answer whose words came in with the last look: they spoke a moment ago."""
        return frozenset(
            opened.speaker for opened in self._open.values() if opened.changed == now
        )

    def _take(self, line: Line, now: datetime) -> list[Caption]:
        opened, words = self._open.get(line.id), line.text.split()
        if opened is not None and opened.speaker == line.speaker:
            known = _with_beginning(opened.words, words)
            if known != opened.words:
                opened.words, opened.changed = known, now
            return []
        # The page has put somebody else's words into the same block.
        before = [] if opened is None else _tell(opened)
        self._open[line.id] = _Open(line.speaker, words, now, now)
        return before


def _with_beginning(known: list[str], shown: list[str]) -> list[str]:
    """Answer the whole line, where the page shows only the end of a long one."""
    head = [folded(word) for word in shown[:_OVERLAP]]
    if len(head) < _OVERLAP or len(known) < _OVERLAP:
        return shown
    for start in range(1, len(known) - _OVERLAP + 1):
        if [folded(word) for word in known[start : start + _OVERLAP]] == head:
            if [folded(word) for word in known[:_OVERLAP]] == head:
                return shown  # It stands at the beginning too: nothing was cut off.
            return known[:start] + shown
    return shown


def _tell(opened: _Open) -> list[Caption]:
    """Tell what hasn't been told of a line, and note that it has been."""
    new = _beyond(opened.told, opened.words)
    if not new:
        return []
    caption = Caption(opened.speaker, " ".join(new), opened.at, opened.changed)
    # So that what follows in this line begins where this ends.
    opened.told, opened.at = list(opened.words), opened.changed
    return [caption]


def _beyond(told: list[str], words: list[str]) -> list[str]:
    """Answer what comes after `told` in `words`, which may have been revised since."""
    if not told:
        return words
    before, after = [_bare(word) for word in told], [_bare(word) for word in words]
    if after[: len(before)] == before:
        return words[len(told) :]
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    if not blocks:
        return words[len(told) :]
    last = blocks[-1]
    # What stood behind the last word that is still there was revised, word for word.
    revised = len(told) - (last.a + last.size)
    return words[last.b + last.size + revised :]


def _bare(word: str) -> str:
    return folded(word).strip(".,;:!?\"'()")
