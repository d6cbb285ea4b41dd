"""Where a meeting turns from one topic to the next.

The transcript is cut into blocks of about equal length, and the cuts between topics are put
where the words before and after are least alike, all of them at once: dynamic programming over
how well each stretch hangs together (after Utiyama and Isahara, 2001), so that no local whim
decides. The number of blocks is bounded, and with it the work, however long the meeting.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from locum.brains.extractive.sentences import Piece

_BLOCK = 90  #: Content words in a block.
_MOST_BLOCKS = 240
_FEWEST_IN_TOPIC = 3  #: Blocks; a stretch shorter than that is an aside, not a topic.
_MOST_TOPICS = 12
_WORDS_A_TOPIC = 650  #: Content words; twice as many make half as many topics again.


@dataclass(frozen=True)
class Stretch:
    """Pieces from `start` until before `end`."""

    start: int
    end: int


def topics_expected(content_words: int) -> int:
    """Answer how many topics people would name: more in a long meeting, but ever more slowly."""
    return max(1, min(_MOST_TOPICS, round(2 * math.sqrt(content_words / _WORDS_A_TOPIC))))


def segments_of(pieces: Sequence[Piece], count: int | None = None) -> list[Stretch]:
    """Cut pieces into topics, in their order; none only where there are no pieces."""
    if not pieces:
        return []
    total = sum(len(piece.stems) for piece in pieces)
    count = count or topics_expected(total)
    blocks = _blocks(pieces, max(_BLOCK, total // _MOST_BLOCKS + 1))
    cuts = _cuts([_counted(pieces[b.start : b.end]) for b in blocks], count)
    edges = [0, *(blocks[cut].start for cut in cuts), len(pieces)]
    return [Stretch(a, b) for a, b in pairwise(edges) if a < b]


def _blocks(pieces: Sequence[Piece], size: int) -> list[Stretch]:
    found: list[Stretch] = []
    start = taken = 0
    for n, piece in enumerate(pieces):
        taken += len(piece.stems)
        if taken >= size:
            found.append(Stretch(start, n + 1))
            start, taken = n + 1, 0
    if start < len(pieces):
        found.append(Stretch(start, len(pieces)))
    return found


def _counted(pieces: Sequence[Piece]) -> Counter[str]:
    return Counter(stem for piece in pieces for stem in piece.stems)


def _cuts(blocks: Sequence[Counter[str]], count: int) -> list[int]:
    """Answer before which blocks to cut, for at most `count` stretches."""
    least = min(_FEWEST_IN_TOPIC, len(blocks))
    count = min(count, len(blocks) // least)
    if count <= 1:
        return []
    vectors = _weighed(blocks)
    sums = _prefix_similarities(vectors)
    n = len(blocks)

    def cohesion(start: int, end: int) -> float:
        inner = sums[end][end] - sums[start][end] - sums[end][start] + sums[start][start]
        return inner / (end - start)

    best = [[-math.inf] * (n + 1) for _ in range(count + 1)]
    come = [[0] * (n + 1) for _ in range(count + 1)]
    best[0][0] = 0.0
    for k in range(1, count + 1):
        for end in range(k * least, n + 1):
            for start in range((k - 1) * least, end - least + 1):
                if best[k - 1][start] == -math.inf:
                    continue
                value = best[k - 1][start] + cohesion(start, end)
                if value > best[k][end]:
                    best[k][end], come[k][end] = value, start
    cuts: list[int] = []
    end = n
    for k in range(count, 0, -1):
        end = come[k][end]
        cuts.append(end)
    return sorted(cuts)[1:]


def _weighed(blocks: Sequence[Counter[str]]) -> list[dict[str, float]]:
    """Weigh words by how few blocks they are in, smoothed with the neighbours, at length 1."""
    spread: Counter[str] = Counter(stem for block in blocks for stem in block)
    vectors: list[dict[str, float]] = []
    for n in range(len(blocks)):
        near: Counter[str] = Counter()
        for m, share in ((n - 1, 0.5), (n, 1.0), (n + 1, 0.5)):
            if 0 <= m < len(blocks):
                for stem, times in blocks[m].items():
                    near[stem] += share * times  # type: ignore[assignment]
        weighed = {
            stem: math.log1p(times) * math.log(1 + len(blocks) / spread[stem])
            for stem, times in near.items()
            if spread[stem] > 1
        }
        norm = math.sqrt(sum(value * value for value in weighed.values())) or 1.0
        vectors.append({stem: value / norm for stem, value in weighed.items()})
    return vectors


def _prefix_similarities(vectors: Sequence[dict[str, float]]) -> list[list[float]]:
    """Answer the summed likeness of all pairs before (i, j), to take differences of."""
    n = len(vectors)
    alike = [[0.0] * n for _ in range(n)]
    for i, one in enumerate(vectors):
        for j in range(i, n):
            other = vectors[j]
            small, large = (one, other) if len(one) < len(other) else (other, one)
            alike[i][j] = alike[j][i] = sum(
                value * large[stem] for stem, value in small.items() if stem in large
            )
    mean = sum(map(sum, alike)) / (n * n)
    sums = [[0.0] * (n + 1) for _ in range(n + 1)]
    for i in range(n):
        row = 0.0
        for j in range(n):
            row += alike[i][j] - mean
            sums[i + 1][j + 1] = sums[i][j + 1] + row
    return sums
