"""Are these our own words, come back through somebody's loudspeaker?

A recogniser mishears them a little, and catches a part of them. So they are ours where nearly
all of what was heard stands, in the same order, in what we said just before. A single word
proves nothing: people answer with words of the question.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher

from locum.core.alignment import words_of

_LATEST = timedelta(seconds=3)
"""How long after we have said it something may still come back, recognition included."""
_SECONDS_A_WORD = 0.6  # Slow speech: better compared with too much than with too little.
_MOST_WORDS = 400
_FEWEST = 2
_ALIKE = 0.75
_ALIKE_IF_FEW = 1.0
_FEW = 3
_LIKE = 0.55
"""How alike two words are, of 1, for one to be the other misheard."""


@dataclass(frozen=True)
class _Own:
    at: datetime
    until: datetime
    words: tuple[str, ...]


class OwnWords:
    """What we said last, in words."""

    def __init__(self) -> None:
        self._said: deque[_Own] = deque(maxlen=50)

    def said(self, text: str, at: datetime) -> None:
        """Take what we say from `at` on."""
        words = tuple(word.plain for word in words_of(text))[:_MOST_WORDS]
        lasts = timedelta(seconds=len(words) * _SECONDS_A_WORD)
        self._said.append(_Own(at, at + lasts, words))

    def are(self, text: str, at: datetime, until: datetime) -> bool:
        """Whether what was heard from `at` to `until` is ours."""
        near = [
            word
            for own in self._said
            if own.at <= until and at <= own.until + _LATEST
            for word in own.words
        ]
        return is_echo([word.plain for word in words_of(text)], near)


def is_echo(heard: list[str], own: list[str]) -> bool:
    """Whether nearly all heard words are among our own, in order."""
    if len(heard) < _FEWEST or not own:
        return False
    known = [_as_own(word, own) for word in heard[:_MOST_WORDS]]
    matcher = SequenceMatcher(None, known, own, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    need = _ALIKE_IF_FEW if len(known) <= _FEW else _ALIKE
    return same >= need * len(known)


def _as_own(word: str, own: list[str]) -> str:
    """Answer which of our words this is, misheard; itself if it is none of them."""
    if word in own:
        return word
    best, best_ratio = word, _LIKE
    for each in set(own):
        ratio = SequenceMatcher(None, word, each, autojunk=False).ratio()
        if ratio > best_ratio:
            best, best_ratio = each, ratio
    return best
