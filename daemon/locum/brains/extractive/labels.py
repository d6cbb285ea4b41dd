"""What a topic is called: the phrases that a stretch of the meeting has to itself.

Candidates are runs of words between small words and punctuation. A phrase is good that comes
back, from several people, in this stretch rather than in others, and that is longer than one
word without being a sentence.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from locum.brains.extractive.phrasing import Phrasing
from locum.brains.extractive.segments import Stretch
from locum.brains.extractive.sentences import Piece
from locum.brains.extractive.words import Vocabulary, words_of

_LONGEST_PHRASE = 3  #: Words.
_FEW_PIECES = 40  #: So little is said that nothing need be said twice to matter.
_MOST_PHRASES = 30_000
_PUNCTUATION = frozenset(',.;:?!()"“”„«»–—。！？、')
_LEAST_NOUNLIKE = 0.4  #: How often a single word must stand where nouns do.
_ENGLISH_NUMBERS = frozenset(
    [
        "hundred",
        "thousand",
        "million",
        "billion",
        "percent",
        "per",
        "cent",
        "minute",
        "hour",
        "second",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fifteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "half",
        "seven",
        "eight",
        "nine",
        "zero",
        "euro",
        "dollar",
        "pound",
        "cent",
    ]
)


@dataclass
class Phrase:
    """A phrase by its stems; how it was said, with which small word before, and where."""

    stems: tuple[str, ...]
    said: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    where: list[int] = field(default_factory=list)  #: Pieces, ascending.

    @property
    def text(self) -> str:
        """Answer it as it was said most often."""
        return min(self.said, key=lambda each: (-self.said[each], each))

    def within(self, stretch: Stretch) -> list[int]:
        """Answer in which of a stretch's pieces it stands."""
        start = bisect_left(self.where, stretch.start)
        return self.where[start : bisect_left(self.where, stretch.end, start)]

    def share_after(self, words: frozenset[str]) -> float:
        total = sum(self.before.values())
        return sum(self.before[word] for word in words) / total if total else 0.0


class Labels:
    """Names the stretches of one meeting."""

    def __init__(
        self, pieces: Sequence[Piece], vocabulary: Vocabulary, phrasing: Phrasing
    ) -> None:
        self._pieces = pieces
        self._phrasing = phrasing
        self._before_nouns = phrasing.definite | phrasing.indefinite | phrasing.introduces
        self._names = frozenset(
            stem
            for name in {piece.utterance.who for piece in pieces}
            for stem in map(vocabulary.stem, words_of(name))
        )
        self._numbers = frozenset(vocabulary.stem(word) for word in _ENGLISH_NUMBERS)
        self._phrases = [
            phrase for phrase in _phrases_of(pieces, vocabulary) if self._is_name(phrase)
        ]

    def of(self, stretch: Stretch, count: int, *, taken: Sequence[Phrase] = ()) -> list[Phrase]:
        """Choose at most `count` phrases, the best first, unlike those that are `taken`."""
        base = (stretch.end - stretch.start) / len(self._pieces)
        scored: list[tuple[float, tuple[str, ...], Phrase]] = []
        for phrase in self._phrases:
            here = phrase.within(stretch)
            if here:
                scored.append((-self._worth(phrase, here, base), phrase.stems, phrase))
        scored.sort(key=lambda each: each[:2])
        chosen: list[Phrase] = []
        for _, stems, phrase in scored:
            if len(chosen) >= count:
                break
            new = set(stems)
            if any(new & set(other.stems) for other in chosen):
                continue
            if not any(2 * len(new & set(other.stems)) > len(new) for other in taken):
                chosen.append(phrase)
        return chosen

    def _worth(self, phrase: Phrase, here: Sequence[int], base: float) -> float:
        share = len(here) / len(phrase.where)
        speakers = len({self._pieces[at].utterance.who for at in here})
        own = share / (share + base)
        return math.log1p(len(here)) * len(phrase.stems) * own * (1 + 0.2 * min(speakers, 3))

    def name(self, phrase: Phrase) -> str:
        """Write a phrase with the article that people gave it, if mostly they gave it one."""
        text = phrase.text
        definite = phrase.share_after(self._phrasing.definite)
        indefinite = phrase.share_after(self._phrasing.indefinite)
        if "the" not in self._phrasing.definite or definite + indefinite < 0.25:
            return text
        if definite >= indefinite or text[-1:] == "s":
            return f"the {text}"
        return f"an {text}" if text[0] in "aeiouAEIOU" else f"a {text}"

    def _is_name(self, phrase: Phrase) -> bool:
        for stem in (phrase.stems[0], phrase.stems[-1]):
            if stem in self._numbers or stem[:1].isdigit():
                return False
        if phrase.text.istitle() and self._names.issuperset(phrase.stems):
            return False  # Somebody is addressed.
        if len(phrase.stems) > 1 or not self._before_nouns:
            return True
        return phrase.text[:1].isupper() or (
            phrase.share_after(self._before_nouns) >= _LEAST_NOUNLIKE
        )


def _phrases_of(pieces: Sequence[Piece], vocabulary: Vocabulary) -> list[Phrase]:
    """Find the phrases that are worth a look: said twice, unless little was said at all.

    Counted first and collected then, because most of what is said once is all that is said.
    """
    runs = [list(_runs(piece.text, vocabulary)) for piece in pieces]
    counted: Counter[tuple[str, ...]] = Counter()
    for run in (run for found in runs for run, _ in found):
        counted.update(
            key for key, _, _ in _parts([vocabulary.stem(word.strip("-")) for word in run])
        )
    least = 1 if len(pieces) <= _FEW_PIECES else 2
    kept = {
        key: Phrase(key) for key, times in counted.most_common(_MOST_PHRASES) if times >= least
    }
    del counted
    for at, found in enumerate(runs):
        for run, before in found:
            for key, start, end in _parts([vocabulary.stem(word.strip("-")) for word in run]):
                phrase = kept.get(key)
                if phrase is not None:
                    phrase.said[" ".join(run[start:end]).replace(" -", "-").strip("-")] += 1
                    phrase.where.append(at)
                    if start == 0:
                        phrase.before[before] += 1
    return list(kept.values())


def _parts(stems: Sequence[str]) -> Iterator[tuple[tuple[str, ...], int, int]]:
    for start in range(len(stems)):
        for end in range(start + 1, min(start + _LONGEST_PHRASE, len(stems)) + 1):
            yield tuple(stems[start:end]), start, end


def _runs(text: str, vocabulary: Vocabulary) -> Iterator[tuple[list[str], str]]:
    """Answer runs of words that carry a topic, each with the small word before it."""
    run: list[str] = []
    before = last = ""
    for n, token in enumerate(text.split()):
        if run and token[0] in _PUNCTUATION:
            yield run, before
            run = []
        for word in words_of(token):
            if vocabulary.is_small(word) or (len(word) == 1 and not word.isdigit()):
                if run:
                    yield run, before
                run, last = [], word.casefold()
                continue
            before = before if run else last
            plain = word if n or not word[1:].islower() else word.lower()
            run.append(f"-{plain}" if run and f"-{word}" in token else plain)
            last = ""
        if run and token[-1] in _PUNCTUATION:
            yield run, before
            run, last = [], ""
    if run:
        yield run, before
