"""Answers from what was said, without a language model: the passages that fit, reported.

Sentences are ranked by BM25 over the question's words, and by how much of those is said around
them, because an answer rarely repeats the question. Who is asked about is heard first. Words
that the best sentences bring along (relevance feedback) were tried, and change nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from locum.brains.extractive.languages import language_named, language_of
from locum.brains.extractive.phrasing import Writer, display_name
from locum.brains.extractive.sentences import Piece, lowered_in, pieces_of
from locum.brains.extractive.words import Vocabulary, words_of
from locum.core.transcript import Transcript, Utterance
from locum.ports import Answer, Passage

_LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)  #: Stands for an unknown instant.
_LONGEST_QUESTION = 2000  #: Characters.
_WORDS = 50  #: Of an answer; sentences are whole, so that it gets some more.
_SHORTEST, _LONGEST = 5, 40  #: Words of a sentence.
_USUAL = 14  #: Words; shorter sentences are worth less.
_K1, _B = 1.2, 0.5  #: BM25's: how soon a word said again adds nothing, and length's weight.
_REACH = 8  #: Sentences; the deviation of the bell that smooths over neighbours.
_NEAR = 0.7  #: What the surroundings count, against the sentence itself.
_ASKED_ABOUT = 2.5
_QUESTION, _REMNANT = 0.4, 0.8
_SAME = 0.6
_HALF = 0.5
_CENTRAL = 10  #: Words; the query of a question that names no topic.

_ASKING = """summarize summarise summary discuss discussion discussed discussing say said think
thought talk meeting group team decide decided decision opinion opinions suggest suggestion
mention propose agree disagree recommend explain conclude describe feel believe view topic
question answer ask comment respond response whole content introduce presentation present
participants members people"""
"""English words of questions about meetings, which say nothing of what is looked for."""


def answer_from(question: str, passages: Sequence[Passage]) -> Answer | None:
    """Answer from passages in the order in which they were said; None where none fits."""
    return Reader(passages).answer(question)


class Reader:
    """Has read some passages once, and answers any number of questions from them."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        language = language_of(passage.text for passage in passages)
        self._vocabulary = Vocabulary(language_named(language))
        self._pieces = pieces_of(_transcript(passages), self._vocabulary)
        self._index = _Index(self._pieces)
        small = self._vocabulary.language.stops
        self._writer = Writer(language, lowered=small | lowered_in(self._pieces))

    def answer(self, question: str) -> Answer | None:
        """Answer with what fits; None where nothing does."""
        question = question[:_LONGEST_QUESTION]
        wanted = _Wanted.of(question, self._pieces, self._vocabulary)
        chosen = [self._pieces[at] for at in _choose(self._index, wanted)]
        if not chosen:
            return None
        cited = dict.fromkeys(self._passages[piece.turn].id for piece in chosen)
        subject = self._writer.subject(question)
        known = self._index.share_known(self._vocabulary.content(subject))
        lines = self._lines(chosen)
        if known == 1.0 and not wanted.speakers:
            lines.insert(0, self._writer.discussed(subject))
        elif known >= _HALF:
            lines[0] = self._writer.on(subject, lines[0])
        return Answer(" ".join(lines), tuple(cited))

    def _lines(self, chosen: Sequence[Piece]) -> list[str]:
        lines: list[str] = []
        before = ""
        for piece in chosen:
            who = piece.utterance.speaker
            lines.append(
                self._writer.said(
                    who,
                    piece.text,
                    is_question=piece.is_question,
                    again=bool(who) and who == before,
                )
            )
            before = who
        return lines


def passages_of(transcript: Transcript, meeting: str) -> tuple[Passage, ...]:
    """Answer one meeting's utterances as passages, to ask about that meeting alone."""
    return tuple(
        Passage(u.id, u.text, meeting, at=u.at or _LONG_AGO, speaker=u.who)
        for u in transcript.utterances
    )


def _transcript(passages: Sequence[Passage]) -> Transcript:
    return Transcript(
        tuple(
            Utterance(str(n), passage.speaker, passage.text)
            for n, passage in enumerate(passages)
        )
    )


# ── what is wanted ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Wanted:
    """The question's words with a topic, and the speakers whom it is about."""

    stems: tuple[str, ...]
    speakers: frozenset[str]

    @classmethod
    def of(cls, question: str, pieces: Sequence[Piece], vocabulary: Vocabulary) -> _Wanted:
        speakers = _speakers_in(question, {piece.utterance.speaker for piece in pieces})
        names = {stem for who in speakers for stem in vocabulary.content(who)}
        asking = set(vocabulary.content(_ASKING)) if vocabulary.language.code == "en" else set()
        stems = vocabulary.content(question)
        bare = [stem for stem in stems if stem not in asking and stem not in names]
        return cls(tuple(bare), speakers)


def _speakers_in(question: str, speakers: set[str]) -> frozenset[str]:
    """Answer the speakers whom a question names: in full, or by a word that only they bear."""
    asked = words_of(question)
    folded = [word.casefold() for word in asked]
    # The first word is written large whatever it is.
    named = {word for word in asked[1:] if word[:1].isupper()}
    borne: Counter[str] = Counter()
    words = {who: words_of(display_name(who)) for who in speakers if who}
    for name in words.values():
        borne.update(set(name))
    found = set()
    for who, name in words.items():
        full = [word.casefold() for word in name]
        if (
            full
            and any(
                folded[at : at + len(full)] == full for at in range(len(folded) - len(full) + 1)
            )
        ) or any(word in named and borne[word] == 1 for word in name):
            found.add(who)
    return frozenset(found)


# ── ranking ──────────────────────────────────────────────────────────────────────────────


class _Index:
    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self._counts = [Counter(piece.stems) for piece in pieces]
        self._spread = Counter(stem for counts in self._counts for stem in counts)
        total = sum(len(piece.stems) for piece in pieces)
        self._usual = total / len(pieces) if pieces else 1.0

    def rarity(self, stem: str) -> float:
        spread = self._spread[stem]
        return math.log(1 + (len(self.pieces) - spread + 0.5) / (spread + 0.5))

    def share_known(self, stems: Sequence[str]) -> float:
        """Answer how many of these were said: only of what was can we say that it was."""
        return sum(stem in self._spread for stem in stems) / len(stems) if stems else 0.0

    def central(self, speakers: frozenset[str]) -> dict[str, float]:
        """Answer the query for what these speakers, or all, said most about."""
        said: Counter[str] = Counter()
        for counts, piece in zip(self._counts, self.pieces, strict=True):
            if not speakers or piece.utterance.speaker in speakers:
                said.update(counts)
        best = sorted(said, key=lambda stem: (-said[stem] * self.rarity(stem), stem))
        return dict.fromkeys(best[:_CENTRAL], 1.0)

    def match(self, query: Mapping[str, float]) -> list[float]:
        """Score every piece by BM25."""
        weights = {stem: weight * self.rarity(stem) for stem, weight in query.items()}
        scores: list[float] = []
        for counts, piece in zip(self._counts, self.pieces, strict=True):
            norm = _K1 * (1 - _B + _B * len(piece.stems) / self._usual)
            scores.append(
                sum(
                    weight * counts[stem] * (_K1 + 1) / (counts[stem] + norm)
                    for stem, weight in weights.items()
                    if stem in counts
                )
            )
        return scores


def _choose(index: _Index, wanted: _Wanted) -> list[int]:
    """Choose pieces until they make an answer of the usual length, in the order of speech."""
    query = dict.fromkeys(wanted.stems, 1.0) or index.central(wanted.speakers)
    best = index.match(query)
    if not any(best):
        return []
    around = _smoothed(best)
    most, most_around = max(best), max(around)
    scored: list[tuple[float, int]] = []
    for at, piece in enumerate(index.pieces):
        worth = _NEAR * around[at] / most_around + (1 - _NEAR) * best[at] / most
        scored.append((-worth * _quality(piece, wanted), at))
    scored.sort()
    return _until_enough(index.pieces, [at for worth, at in scored if worth < 0])


def _quality(piece: Piece, wanted: _Wanted) -> float:
    quality = math.sqrt(min(1.0, piece.length / _USUAL))
    if piece.is_question:
        quality *= _QUESTION
    elif not piece.is_whole:
        quality *= _REMNANT
    if piece.utterance.speaker in wanted.speakers:
        quality *= _ASKED_ABOUT
    return quality


def _until_enough(pieces: Sequence[Piece], ranked: Sequence[int]) -> list[int]:
    fitting = [at for at in ranked if _SHORTEST <= pieces[at].length <= _LONGEST]
    chosen: list[int] = []
    said: list[set[str]] = []
    words = 0
    for at in fitting or ranked[:1]:
        stems = set(pieces[at].stems)
        if any(len(stems & other) > _SAME * min(len(stems), len(other)) for other in said):
            continue
        if chosen and words + pieces[at].length > 1.15 * _WORDS:
            continue
        chosen.append(at)
        said.append(stems)
        words += pieces[at].length
        if words >= _WORDS:
            break
    return sorted(chosen)


def _smoothed(scores: Sequence[float]) -> list[float]:
    """Spread each score over its neighbours, as a bell does."""
    bell = [math.exp(-((d / _REACH) ** 2) / 2) for d in range(3 * _REACH + 1)]
    smoothed = [0.0] * len(scores)
    for at, score in enumerate(scores):
        if score:
            for near in range(max(at - 3 * _REACH, 0), min(at + 3 * _REACH + 1, len(scores))):
                smoothed[near] += score * bell[abs(near - at)]
    return smoothed
