"""Full-text search: which lines speak of what somebody asks, the best first.

Nothing of a question ever becomes part of a query but its stems, each a word of letters and
digits in quotes. Without FTS5, the same stems are looked for with LIKE: slower, and ranked by
how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from locum.core.remembered import Compartment, Kind, Remembered
from locum.core.stems import content_stems, folded
from locum.memory.file import MemoryFile
from locum.memory.recall import Recall
from locum.ports import Passage

_MOST_WORDS = 16
_CANDIDATES = 60
_CANDIDATES_WITHOUT_INDEX = 2000
_LONGEST_QUERY = 2000  # Characters.
_MEANT = 0.5  # How much of a question's weight an answer must bear.
_WANTED_KIND = 1.5
_YEAR = timedelta(days=365)

_KINDS = {
    Kind.DECISION: "decide decided decision decisions agree agreed agreement conclude concluded",
    Kind.COMMITMENT: "promise promised commitment commitments todo task action owe owes owner",
    Kind.QUESTION: "question questions unanswered",
    Kind.ASKED: "asked request requested",
}
_ASKS_FOR = {
    stem: kind for kind, words in _KINDS.items() for stem in content_stems(words, "en")
}
_TALK = frozenset(
    content_stems("say said tell told discuss discussed mention talk talked know")
)
"""What one asks with says nothing of what one asks for."""


@dataclass(frozen=True)
class Hit:
    """A line that was found; a higher `rank` is a better one. Ranks compare within a search."""

    line: Remembered
    rank: float


class Finder:
    def __init__(self, file: MemoryFile, recall: Recall) -> None:
        self._file = file
        self._recall = recall

    def search(
        self, query: str, *, compartment: Compartment | None = None, limit: int = 20
    ) -> tuple[Hit, ...]:
        """Answer the lines that hold words of `query`, those with all of them first."""
        variants = self._variants(query)
        numbers = self._candidates(variants, compartment, max(limit, 1))
        lines = self._recall.by_numbers(list(numbers), compartment)
        hits = [Hit(lines[number], rank) for number, rank in numbers.items() if number in lines]
        return tuple(sorted(hits, key=lambda hit: -hit.rank)[: max(limit, 0)])

    def passages(
        self, question: str, *, compartment: Compartment | None = None, limit: int = 8
    ) -> tuple[Passage, ...]:
        """Answer what may carry an answer to a question; nothing where nothing speaks of it."""
        return tuple(_passage(hit.line) for hit in self.answers(question, compartment, limit))

    def answers(
        self, question: str, compartment: Compartment | None = None, limit: int = 8
    ) -> tuple[Hit, ...]:
        """As `search`, for a question: only lines that bear most of what it is about.

        A question for decisions finds decisions first, and so on; of two equally good lines
        the newer one comes first.
        """
        asked = [list(stems) for stems in self._variants(question)]
        kinds = {_ASKS_FOR[stem] for stems in asked for stem in stems if stem in _ASKS_FOR}
        variants = []
        for stems in asked:
            about = [each for each in stems if each not in _ASKS_FOR and each not in _TALK]
            variants.append(tuple(about))
        variants = [each for each in variants if each]
        numbers = self._candidates(variants, compartment, _CANDIDATES)
        lines = self._recall.by_numbers(list(numbers), compartment)
        if not lines:
            return ()
        weights = self._weights({stem for stems in variants for stem in stems})
        texts = self._texts(list(lines))
        newest = max(line.at for line in lines.values())
        hits = []
        for number, line in lines.items():
            meant = _share(variants, texts[number], weights)
            if meant >= _MEANT:
                rank = meant * (_WANTED_KIND if line.kind in kinds else 1.0)
                rank /= 1 + 0.1 * max((newest - line.at) / _YEAR, 0)
                hits.append(Hit(line, rank))
        return tuple(
            sorted(hits, key=lambda hit: (-hit.rank, -hit.line.at.timestamp()))[:limit]
        )

    # ── words ────────────────────────────────────────────────────────────────────────────

    def _variants(self, text: str) -> list[tuple[str, ...]]:
        """Answer a text's stems, once for each language that memory has lines in."""
        rows = self._file.rows("SELECT DISTINCT language FROM visits")
        languages = sorted({"en", *(row["language"] for row in rows)})[:40]
        found = (content_stems(text[:_LONGEST_QUERY], each) for each in languages)
        unique = dict.fromkeys(tuple(dict.fromkeys(each))[:_MOST_WORDS] for each in found)
        return [each for each in unique if each]

    def _weights(self, stems: Iterable[str]) -> dict[str, float]:
        """Answer how much each stem says: the rarer, the more."""
        row = self._file.row("SELECT count(*) AS lines FROM lines")
        total = 1 if row is None else row["lines"]
        return {stem: math.log(1 + total / (1 + self._uses(stem))) for stem in stems}

    def _uses(self, stem: str) -> int:
        if self._file.has_fts:
            query = "SELECT count(*) AS uses FROM found WHERE found MATCH ?"
            row = self._file.row(query, (_quoted(stem),))
        else:
            row = self._file.row(
                f"SELECT count(*) AS uses FROM lines AS l WHERE {_LIKE}",  # noqa: S608 - Our own condition.
                (f"% {stem} %",),
            )
        return 0 if row is None else int(row["uses"])

    def _texts(self, numbers: Sequence[int]) -> dict[int, frozenset[str]]:
        marks = ", ".join("?" * len(numbers))
        rows = self._file.rows(
            f"SELECT number, said, around FROM lines WHERE number IN ({marks})",  # noqa: S608 - Question marks.
            numbers,
        )
        return {
            row["number"]: frozenset(f"{row['said']} {row['around']}".split()) for row in rows
        }

    # ── looking ──────────────────────────────────────────────────────────────────────────

    def _candidates(
        self, variants: Sequence[tuple[str, ...]], compartment: Compartment | None, limit: int
    ) -> dict[int, float]:
        """Answer numbers of lines with their ranks; those that hold all words rank above."""
        if not variants:
            return {}
        if not self._file.has_fts:
            return self._without_index(variants, compartment, limit)
        whole = " OR ".join(
            f"({' AND '.join(_quoted(stem) for stem in stems)})" for stems in variants
        )
        found = {number: rank + 1000 for number, rank in self._match(whole, compartment, limit)}
        if len(found) < limit and any(len(stems) > 1 for stems in variants):
            stems = dict.fromkeys(stem for stems in variants for stem in stems)
            some = " OR ".join(_quoted(stem) for stem in stems)
            for number, rank in self._match(some, compartment, limit):
                found.setdefault(number, rank)
        return found

    def _match(
        self, expression: str, compartment: Compartment | None, limit: int
    ) -> list[tuple[int, float]]:
        allowed, names = self._recall.limit_to(compartment)
        if compartment is None:
            query = (
                "SELECT rowid AS number, bm25(found, 3.0, 1.0) AS rank FROM found "
                "WHERE found MATCH ? ORDER BY rank LIMIT ?"
            )
        else:
            query = (
                "SELECT l.number, bm25(found, 3.0, 1.0) AS rank FROM found "  # noqa: S608 - Our own condition.
                "JOIN lines AS l ON l.number = found.rowid "
                "JOIN visits AS v ON v.id = l.visit "
                f"WHERE found MATCH ? AND {allowed} ORDER BY rank LIMIT ?"
            )
        rows = self._file.rows(query, (expression, *names, limit))
        return [(row["number"], -float(row["rank"])) for row in rows]

    def _without_index(
        self, variants: Sequence[tuple[str, ...]], compartment: Compartment | None, limit: int
    ) -> dict[int, float]:
        stems = list(dict.fromkeys(stem for stems in variants for stem in stems))
        allowed, names = self._recall.limit_to(compartment)
        conditions = " OR ".join([_LIKE] * len(stems))
        rows = self._file.rows(
            "SELECT l.number, l.said, l.around FROM lines AS l "  # noqa: S608 - Our own conditions.
            "JOIN visits AS v ON v.id = l.visit "
            f"WHERE ({conditions}) AND {allowed} ORDER BY v.at DESC LIMIT ?",
            (*(f"% {stem} %" for stem in stems), *names, _CANDIDATES_WITHOUT_INDEX),
        )
        ranked = []
        for row in rows:
            said, around = set(row["said"].split()), set(row["around"].split())
            rank = max(
                sum(3 * (stem in said) + (stem in around) for stem in stems) / len(stems)
                + 1000 * all(stem in said or stem in around for stem in stems)
                for stems in variants
            )
            ranked.append((rank, row["number"]))
        ranked.sort(key=lambda each: -each[0])
        return {number: rank for rank, number in ranked[:limit]}


_LIKE = "' ' || l.said || ' ' || l.around || ' ' LIKE ?"


def _quoted(stem: str) -> str:
    return '"' + stem.replace('"', '""') + '"'


def _share(
    variants: Iterable[tuple[str, ...]], text: frozenset[str], weights: dict[str, float]
) -> float:
    """Answer how much of what a question is about stands in a line, from 0 to 1."""
    shares = []
    for stems in variants:
        total = sum(weights[stem] for stem in stems)
        there = sum(weights[stem] for stem in stems if stem in text)
        shares.append(there / total if total else 0.0)
    return max(shares)


def _passage(line: Remembered) -> Passage:
    text = line.told
    told = folded(text)
    for quote in line.quotes:
        if folded(quote.quote) not in told:
            text = f"{text} “{quote.quote}”"
    return Passage(id=line.id, text=text, meeting=line.title, at=line.at, speaker=line.speaker)
