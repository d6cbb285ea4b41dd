"""Which pieces stand for a stretch: those that say most of what is said in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

from locum.brains.extractive.segments import Stretch
from locum.brains.extractive.sentences import Piece

_SHORTEST, _LONGEST = 8, 40  #: Words.
_USUAL = 18  #: Words; shorter pieces aren't better for being short.
_PENALTY = 0.6  #: By which power of its length a longer piece is worth less.
_REMNANT = 0.5  #: What a sentence is worth that was never finished.
_SAME = 0.6  #: The share of a piece's words that have been said already.


class Picker:
    """Ranks the pieces of one meeting."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._spread = Counter(stem for piece in pieces for stem in set(piece.stems))

    def ranked(self, stretch: Stretch, named: Collection[str] = ()) -> list[int]:
        """Rank a stretch's pieces, the best first. `named` are the stems of its topic's name.

        Pieces that can't stand alone (too short, too long, questions, our own words) come in
        only where there are no others.
        """
        weights = self._weights(stretch)
        scored: list[tuple[float, int]] = []
        for at in range(stretch.start, stretch.end):
            piece = self._pieces[at]
            worth = sum(
                weights.get(stem, 0.0) * (2.0 if stem in named else 1.0)
                for stem in set(piece.stems)
            )
            worth /= max(piece.length, _USUAL) ** _PENALTY
            worth *= 1.0 if piece.is_whole else _REMNANT
            scored.append((-worth, at))
        scored.sort()
        alone = [at for _, at in scored if self._stands_alone(self._pieces[at])]
        return alone or [at for _, at in scored]

    def _weights(self, stretch: Stretch) -> dict[str, float]:
        said = Counter(
            stem for piece in self._pieces[stretch.start : stretch.end] for stem in piece.stems
        )
        total = len(self._pieces)
        return {
            stem: math.log1p(times) * math.log(1 + total / self._spread[stem])
            for stem, times in said.items()
            if times > 1
        }

    def _stands_alone(self, piece: Piece) -> bool:
        return (
            _SHORTEST <= piece.length <= _LONGEST
            and not piece.is_question
            and not piece.utterance.by_us
        )

    def pick(
        self, stretch: Stretch, count: int, *, named: Collection[str] = (), said: set[str]
    ) -> list[int]:
        """Pick pieces that say something new, and add what they say to `said`."""
        chosen: list[int] = []
        for at in self.ranked(stretch, named):
            if len(chosen) >= count:
                break
            stems = set(self._pieces[at].stems)
            if len(stems & said) <= _SAME * len(stems):
                chosen.append(at)
                said |= stems
        return chosen
