"""Finds what two sources heard alike, however each of them cut it up and misheard it.

Words are compared, not utterances: a source's pause is in the middle of another one's. Each
word of the trusted side is used up once, so that what was said twice stays said twice.
"""

from __future__ import annotations

import math
import re
import statistics
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from itertools import pairwise

from locum.core.speakers import may_be_same
from locum.core.transcript import Utterance

_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+(?:['’](?:[^\W_])+)*")

_LONGEST_PIECE = 60
"""Words that are compared at a time: a monologue is compared piece by piece."""

_SECONDS_A_WORD = 0.45
_NEAR = timedelta(seconds=20)
_NEAR_IF_SHORT = timedelta(seconds=8)
_SHORT = 3
_MOST_CANDIDATES = 6
_TELLING = 20
"""How many pieces may have two words in a row that are to tell where they stand."""

_FAR = 10
"""How many pieces away a few words are the same ones, where no time tells."""

_MINUTE = timedelta(minutes=1)
_LONGEST_SPAN = 30  # Minutes.

_ALIKE = 0.5
_ALIKE_IF_FEW = 0.65
_ALIKE_IF_OTHERS = 0.8
_WORTH_KEEPING = 3
"""Words in a row that only one source has; fewer are what ears differ in."""

_GAP = 2
_LONG_RUN = 5
_SHINGLE = 4
_FEWEST_ANCHORS = 3
_SAME_SKEW_S = 4.0
_LEAST_SKEW_S = 1.0


@dataclass(frozen=True)
class Word:
    """One word as it is compared, and where it stands in its utterance's text."""

    plain: str
    start: int
    end: int


def words_of(text: str) -> tuple[Word, ...]:
    return tuple(
        Word(_plain(match[0]), match.start(), match.end()) for match in _WORD.finditer(text)
    )


def _plain(word: str) -> str:
    folded = unicodedata.normalize("NFKC", word).casefold()
    return folded.replace("'", "").replace("’", "")


@dataclass(eq=False)
class Piece:
    """Some words of an utterance in a row. `free` says which of them nobody has matched yet."""

    owner: int  #: The utterance's place among its own.
    speaker: str
    first: int  #: The first word's place in the utterance.
    words: tuple[str, ...]
    at: datetime | None
    until: datetime | None
    free: list[bool] = field(init=False)
    order: int = 0

    def __post_init__(self) -> None:
        self.free = [True] * len(self.words)


def pieces_of(utterance: Utterance, owner: int, shift: timedelta) -> list[Piece]:
    """Cut an utterance up, and reckon when each piece was said."""
    words = [word.plain for word in words_of(utterance.text)]
    count = -(-len(words) // _LONGEST_PIECE)
    start = None if utterance.at is None else utterance.at + shift
    spoken = _spoken(utterance, len(words))
    pieces = []
    for number in range(count):
        first = number * _LONGEST_PIECE
        part = tuple(words[first : first + _LONGEST_PIECE])
        at = until = None
        if start is not None:
            at = start + spoken * (first / len(words))
            until = start + spoken * ((first + len(part)) / len(words))
        pieces.append(Piece(owner, utterance.who, first, part, at, until))
    return pieces


def _spoken(utterance: Utterance, words: int) -> timedelta:
    if utterance.at is not None and utterance.until is not None:
        return max(utterance.until - utterance.at, timedelta(0))
    return timedelta(seconds=words * _SECONDS_A_WORD)


def instant_of_word(utterance: Utterance, number: int, words: int) -> datetime | None:
    """Answer when about an utterance's word was said."""
    if utterance.at is None or words == 0:
        return None
    return utterance.at + _spoken(utterance, words) * (number / words)


# ── clocks ───────────────────────────────────────────────────────────────────────────────


def skew(trusted: Sequence[Utterance], added: Sequence[Utterance]) -> timedelta:
    """Answer by how much `added`'s clock is behind, by what both heard; zero if unsure.

    Words in a row that each side has just once are the same moment.
    """
    ours, theirs = _moments(trusted), _moments(added)
    differences = sorted(
        (ours[each] - theirs[each]).total_seconds() for each in ours.keys() & theirs.keys()
    )
    best: list[float] = []
    for first, value in enumerate(differences):
        last = bisect_right(differences, value + _SAME_SKEW_S)
        if last - first > len(best):
            best = differences[first:last]
    if len(best) < max(_FEWEST_ANCHORS, len(differences) / 2):
        return timedelta(0)
    found = statistics.median(best)
    return timedelta(seconds=found) if abs(found) >= _LEAST_SKEW_S else timedelta(0)


def _moments(utterances: Sequence[Utterance]) -> dict[tuple[str, ...], datetime]:
    seen: Counter[tuple[str, ...]] = Counter()
    moments: dict[tuple[str, ...], datetime] = {}
    for utterance in utterances:
        words = tuple(word.plain for word in words_of(utterance.text))
        for number in range(len(words) - _SHINGLE + 1):
            shingle = words[number : number + _SHINGLE]
            seen[shingle] += 1
            at = instant_of_word(utterance, number, len(words))
            if at is not None:
                moments[shingle] = at
    return {shingle: at for shingle, at in moments.items() if seen[shingle] == 1}


# ── matching ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Match:
    """What became of a piece: `owners` have it too, but for the words in `extra` (spans)."""

    owners: tuple[int, ...]
    extra: tuple[tuple[int, int], ...] = ()


class Trusted:
    """The trusted side's words, to find the other's in."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self.pieces = [
            piece
            for owner, utterance in enumerate(utterances)
            for piece in pieces_of(utterance, owner, timedelta(0))
        ]
        self._by_minute: dict[int, list[Piece]] = defaultdict(list)
        self._pairs: dict[tuple[str, str], list[Piece]] = defaultdict(list)
        counts = Counter(word for piece in self.pieces for word in piece.words)
        self._weights = {word: 1 / (1 + math.log(count)) for word, count in counts.items()}
        """How much a word tells: "the" is no proof of anything."""
        self._last = -1
        self._has_untimed = False
        for order, piece in enumerate(self.pieces):
            piece.order = order
            if piece.at is not None and piece.until is not None:
                for minute in _minutes(piece.at, piece.until):
                    self._by_minute[minute].append(piece)
            else:
                self._has_untimed = True
            for pair in pairwise(piece.words):
                self._pairs[pair].append(piece)

    def find(self, piece: Piece) -> Match | None:
        """Answer who has a piece already, and use that up; None where nobody does."""
        found = (
            self._find_short(piece) if len(piece.words) <= _SHORT else self._find_long(piece)
        )
        if found is not None:
            last = bisect_left(self.pieces, max(found.owners), key=lambda each: each.owner)
            self._last = max(self._last, last)
        return found

    def _candidates(self, piece: Piece, *, short: bool) -> list[Piece]:
        near = _NEAR_IF_SHORT if short else _NEAR
        found: dict[int, Piece] = {}
        if piece.at is not None and piece.until is not None:
            start, end = piece.at - near, piece.until + near
            for minute in _minutes(start, end):
                for each in self._by_minute.get(minute, ()):
                    if each.at is None or each.until is None:
                        continue
                    if each.at <= end and each.until >= start:
                        found[each.order] = each
        if piece.at is None or self._has_untimed:
            for each in self._elsewhere(piece, short=short):
                if piece.at is None or each.at is None:
                    found[each.order] = each
        return [found[order] for order in sorted(found)]

    def _elsewhere(self, piece: Piece, *, short: bool) -> Iterable[Piece]:
        """Where there is no time to go by: near where we are, or where the same words stand."""
        if short:
            return self.pieces[max(self._last - _FAR, 0) : max(self._last, 0) + _FAR]
        hits: dict[int, float] = defaultdict(float)
        for pair in pairwise(piece.words):
            having = self._pairs.get(pair, ())
            for each in having if len(having) <= _TELLING else ():
                hits[each.order] += 1 / len(having)
        if not hits:
            return ()
        best = max(hits, key=lambda order: (hits[order], -abs(order - self._last), -order))
        return self.pieces[max(best - 2, 0) : best + 4]

    def _find_short(self, piece: Piece) -> Match | None:
        """A word or three: only the very same, from whoever may be the same, close by."""
        size = len(piece.words)
        best: tuple[tuple[bool, float, int], Piece, int] | None = None
        for each in self._candidates(piece, short=True):
            if not may_be_same(piece.speaker, each.speaker):
                continue
            for start in range(len(each.words) - size + 1):
                if each.words[start : start + size] == piece.words and all(
                    each.free[start : start + size]
                ):
                    apart = _apart(piece, each)
                    rank = (len(each.words) != size, apart, abs(each.order - self._last))
                    if best is None or rank < best[0]:
                        best = (rank, each, start)
        if best is None:
            return None
        _, chosen, start = best
        chosen.free[start : start + size] = [False] * size
        return Match((chosen.owner,))

    def _find_long(self, piece: Piece) -> Match | None:
        wanted = set(piece.words)
        ranked: list[tuple[int, int, Piece]] = []
        for each in self._candidates(piece, short=False):
            shared = len(wanted.intersection(each.words))
            least = min(_SHINGLE, max(2, _ALIKE * min(len(wanted), len(set(each.words)))))
            if shared >= least and any(each.free):
                ranked.append((-shared, each.order, each))
        ranked.sort(key=lambda entry: entry[:2])
        chosen = sorted(
            (each for _, _, each in ranked[:_MOST_CANDIDATES]), key=lambda each: each.order
        )
        # Each for itself: side by side, another one's chance words would hide its own.
        alike = [
            each
            for each in chosen
            if _Alignment([each], piece.words, self._weights).is_like(each)
        ]
        found = Match((), ((0, len(piece.words)),))
        if alike:
            alignment = _Alignment(alike, piece.words, self._weights)
            if alignment.is_repeat(piece):
                found = self._with_more(piece, alignment.use_up())
        found = self._without_short(piece, found)
        return found if found.owners else None

    def _with_more(self, piece: Piece, found: Match) -> Match:
        """Look for what is new elsewhere too: where no time tells, the order may differ."""
        owners, spans = list(found.owners), []
        for start, end in found.extra:
            part = replace(piece, words=piece.words[start:end])
            again = self._find_long(part) if end - start > _SHORT else None
            if again is None:
                spans.append((start, end))
            else:
                owners += again.owners
                spans += [(start + first, start + last) for first, last in again.extra]
        return Match(tuple(owners), tuple(spans))

    def _without_short(self, piece: Piece, found: Match) -> Match:
        """Take out of what is new the word or three that somebody has as a whole utterance."""
        owners, spans = list(found.owners), list(found.extra)
        short = [
            each
            for each in self._candidates(piece, short=True)
            if len(each.words) <= _SHORT
            and all(each.free)
            and may_be_same(piece.speaker, each.speaker)
        ]
        for each in short:
            for number, span in enumerate(spans):
                place = _place_in(piece.words, span, each.words)
                if place is not None:
                    each.free = [False] * len(each.words)
                    owners.append(each.owner)
                    rest = ((span[0], place), (place + len(each.words), span[1]))
                    spans[number : number + 1] = [part for part in rest if part[0] < part[1]]
                    break
        return Match(tuple(owners), tuple(spans))


def _place_in(words: Sequence[str], span: tuple[int, int], wanted: Sequence[str]) -> int | None:
    """Answer where a few words stand in a span; a common one counts at its edges only."""
    size = len(wanted)
    first, last = span[0], span[1] - size
    says_enough = size > 1 or len(wanted[0]) > _SHINGLE
    for place in range(first, last + 1):
        if words[place : place + size] == wanted and (says_enough or place in {first, last}):
            return place
    return None


def _minutes(start: datetime, end: datetime) -> range:
    first = int(start.timestamp() // _MINUTE.total_seconds())
    last = int(end.timestamp() // _MINUTE.total_seconds())
    return range(first, min(last, first + _LONGEST_SPAN) + 1)


def _apart(one: Piece, other: Piece) -> float:
    if one.at is None or other.at is None:
        return 0.0
    return abs((one.at - other.at).total_seconds())


def _proofs(
    blocks: Sequence[tuple[int, int, int]], words: Sequence[str]
) -> list[tuple[int, int, int]]:
    """Drop the lone short words in common ("the") that don't stand beside more: chance."""
    kept = []
    for number, (a, b, size) in enumerate(blocks):
        beside = [
            other
            for other in (
                *blocks[max(number - 1, 0) : number],
                *blocks[number + 1 : number + 2],
            )
            if other[2] >= 2
            and 0 <= max(a - other[0] - other[2], other[0] - a - size) <= _GAP
            and 0 <= max(b - other[1] - other[2], other[1] - b - size) <= _GAP
        ]
        if size >= 2 or len(words[b]) > _SHINGLE or beside:
            kept.append((a, b, size))
    return kept


class _Alignment:
    """The free words of some pieces in a row, laid beside the words of another."""

    def __init__(
        self, pieces: Sequence[Piece], words: Sequence[str], weights: Mapping[str, float]
    ) -> None:
        self._words = words
        self._weights = [weights.get(word, 1.0) for word in words]
        self._places = [
            (piece, number)
            for piece in pieces
            for number, is_free in enumerate(piece.free)
            if is_free
        ]
        stream = [piece.words[number] for piece, number in self._places]
        matcher = SequenceMatcher(None, stream, words, autojunk=False)
        self._blocks = _proofs(
            [(each.a, each.b, each.size) for each in matcher.get_matching_blocks()[:-1]], words
        )

    def matched_in(self, piece: Piece) -> int:
        return sum(
            self._places[place][0] is piece
            for start, _, size in self._blocks
            for place in range(start, start + size)
        )

    def is_like(self, piece: Piece) -> bool:
        """Whether what a piece has in common is more than what any two sentences have."""
        longest = max(
            (size for start, _, size in self._blocks if self._places[start][0] is piece),
            default=0,
        )
        shorter = min(len(piece.words), len(self._words))
        return longest >= _SHINGLE or self.matched_in(piece) >= max(2, _ALIKE * shorter)

    def _ratio(self) -> float:
        """Answer how much of the words is matched, by what they tell.

        What both misheard tells much and agrees in nothing, so their plain number counts too.
        """
        covered = [n for _, begin, size in self._blocks for n in range(begin, begin + size)]
        told = sum(self._weights[number] for number in covered) / sum(self._weights)
        plain = len(covered) / len(self._words)
        if any(piece.at is None for piece, _ in self._places[:1]):
            return told  # With no time to go by, words are all there is.
        return max(told, min(plain - 0.1, told + 0.2))

    def is_repeat(self, piece: Piece) -> bool:
        ratio = self._ratio()
        owners = {
            id(self._places[start][0]): self._places[start][0] for start, _, _ in self._blocks
        }
        if not any(may_be_same(piece.speaker, each.speaker) for each in owners.values()):
            # Somebody is named wrongly, or two people said the same.
            return ratio >= _ALIKE_IF_OTHERS and len(self._words) > 2 * _SHORT
        return self.is_alike or any(
            self.matched_in(each) >= max(_SHORT + 1, _ALIKE * len(each.words))
            or any(size >= _LONG_RUN for _, _, size in self._blocks)
            for each in owners.values()
        )

    @property
    def is_alike(self) -> bool:
        few = len(self._words) <= 2 * _SHORT
        return self._ratio() >= (_ALIKE_IF_FEW if few else _ALIKE)

    def use_up(self) -> Match:
        """Take the matched words, with what was misheard between them; tell what is new."""
        extra: list[tuple[int, int]] = []
        before_a, before_b = 0, 0
        for start, begin, size in (*self._blocks, (len(self._places), len(self._words), 0)):
            gap_a, gap_b = start - before_a, begin - before_b
            # Where little is alike, other words aren't the same ones misheard.
            if gap_b - (gap_a if self.is_alike else 0) >= _WORTH_KEEPING:
                extra.append((before_b, begin))
            elif gap_b and before_b and begin < len(self._words):
                self._take(before_a, start)
            self._take(start, start + size)
            before_a, before_b = start + size, begin + size
        owners = dict.fromkeys(self._places[start][0].owner for start, _, _ in self._blocks)
        return Match(tuple(owners), tuple(extra))

    def _take(self, start: int, end: int) -> None:
        for piece, number in self._places[start:end]:
            piece.free[number] = False
