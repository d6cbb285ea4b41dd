"""Minutes without a language model: segment, name, pick, and say who said it.

A pure function of the transcript, so that it can run in a process of its own, or by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from locum.brains.extractive.labels import Labels, Phrase
from locum.brains.extractive.languages import language_named, language_of
from locum.brains.extractive.name import NAME
from locum.brains.extractive.phrasing import Writer
from locum.brains.extractive.picking import Picker
from locum.brains.extractive.segments import Stretch, segments_of
from locum.brains.extractive.sentences import Piece, lowered_in, pieces_of
from locum.brains.extractive.words import Vocabulary
from locum.brains.rules import claims_of
from locum.core.minutes import Claim, Evidence, Minutes, Occasion, Topic, hold_to_evidence
from locum.core.transcript import Transcript, shares

_NAMES = 2  #: In a topic's title.
_THROUGHOUT = 2  #: Names of the whole meeting, to open with.
_ALONE = 2  #: Points in the overview of a meeting about one thing.
_POINTS = 3  #: Of a topic, beside what the overview says of it.
_MOST_TOPICS = 7  #: In the overview: it is to fit on a screen.
_MOST_EVIDENCE = 8


def minutes_of(transcript: Transcript, occasion: Occasion) -> Minutes:
    """Write up one meeting. Every claim comes with quotes that stand in the transcript."""
    language = language_of(utterance.text for utterance in transcript.utterances)
    vocabulary = Vocabulary(language_named(language))
    pieces = pieces_of(transcript, vocabulary)
    minutes = Minutes(
        written_by=NAME,
        language=language,
        shares=shares(transcript.utterances),
        remark="" if pieces else "Nothing was said that could be summarised.",
    )
    if not pieces:
        return minutes
    overview = _Overview(pieces, vocabulary)
    written = Minutes(
        written_by=NAME,
        language=language,
        tldr=overview.tldr(),
        topics=overview.topics(),
    )
    return hold_to_evidence(_with_claims(written, transcript, occasion), transcript)


def _with_claims(minutes: Minutes, transcript: Transcript, occasion: Occasion) -> Minutes:
    """Add what the rules find."""
    found = claims_of(transcript, occasion)
    return replace(
        minutes,
        decisions=found.decisions,
        actions=found.actions,
        questions=found.questions,
        asked=found.asked,
        unclear=found.unclear,
    )


@dataclass
class _Part:
    """A stretch, the phrases that name it, and its pieces: the first one stands for it."""

    stretch: Stretch
    phrases: list[Phrase]
    picked: list[int]


class _Overview:
    def __init__(self, pieces: Sequence[Piece], vocabulary: Vocabulary) -> None:
        self._pieces = pieces
        small = vocabulary.language.stops
        self._writer = Writer(vocabulary.language.code, lowered=small | lowered_in(pieces))
        self._labels = Labels(pieces, vocabulary, self._writer.phrasing)
        self._picker = Picker(pieces)
        self._parts = self._divide()

    def _divide(self) -> list[_Part]:
        parts: list[_Part] = []
        taken: list[Phrase] = []
        said: set[str] = set()
        for stretch in segments_of(self._pieces):
            phrases = self._labels.of(stretch, _NAMES, taken=taken)
            taken += phrases
            named = {stem for phrase in phrases for stem in phrase.stems}
            picked = self._picker.pick(stretch, 1 + _POINTS, named=named, said=said)
            parts.append(_Part(stretch, phrases, picked))
        return parts

    def _names(self, phrases: Sequence[Phrase]) -> list[str]:
        return [self._labels.name(phrase) for phrase in phrases]

    # ── the overview ─────────────────────────────────────────────────────────────────

    def tldr(self) -> tuple[Claim, ...]:
        parts = self._largest()
        opening = self._opening(parts)
        if len(parts) == 1:  # It has been named: what is left is what was said of it.
            return (*opening, *self._points(parts[0].picked[:_ALONE]))
        lines = [self._line(nth, part) for nth, part in enumerate(parts)]
        return (*opening, *(claim for line in lines for claim in line))

    def _opening(self, parts: Sequence[_Part]) -> list[Claim]:
        """Say what it was about: what was talked of throughout, then what each part had."""
        whole = Stretch(0, len(self._pieces))
        named = [(whole, phrase) for phrase in self._labels.of(whole, _THROUGHOUT)]
        for part in parts:
            for phrase in part.phrases[:1]:
                if not any(set(phrase.stems) & set(other.stems) for _, other in named):
                    named.append((part.stretch, phrase))
        named = named[:_MOST_EVIDENCE]  # Each one named is quoted.
        if not named:
            return []
        text = self._writer.opening(self._names([phrase for _, phrase in named]))
        return [Claim(text, _cited([self._proof(*each) for each in named]))]

    def _line(self, nth: int, part: _Part) -> list[Claim]:
        texts: list[str] = []
        proofs: list[Evidence] = []
        if part.picked:
            piece = self._pieces[part.picked[0]]
            proofs += piece.evidence
            texts.append(self._said(piece))
        if part.phrases:
            # First, so that no quote of theirs is one too many.
            proofs[:0] = [self._proof(part.stretch, phrase) for phrase in part.phrases]
            texts.insert(0, self._writer.turn(nth, self._names(part.phrases)))
        return [Claim(" ".join(texts), _cited(proofs))] if texts else []

    def _said(self, piece: Piece) -> str:
        return self._writer.said(piece.utterance.who, piece.text, is_question=piece.is_question)

    def _proof(self, stretch: Stretch, phrase: Phrase) -> Evidence:
        """Answer where a phrase is said in a stretch for the first time."""
        piece = self._pieces[phrase.within(stretch)[0]]
        words = phrase.text.casefold().replace("-", " ").split()
        for evidence in piece.evidence:
            if all(word in evidence.quote.casefold() for word in words):
                return evidence
        return piece.evidence[0]

    def _largest(self) -> list[_Part]:
        parts = [part for part in self._parts if part.picked or part.phrases]
        by_size = sorted(parts, key=lambda part: part.stretch.start - part.stretch.end)
        kept = {id(part) for part in by_size[:_MOST_TOPICS]}
        return [part for part in parts if id(part) in kept]

    # ── topic by topic ───────────────────────────────────────────────────────────────

    def _points(self, picked: Sequence[int]) -> tuple[Claim, ...]:
        pieces = [self._pieces[at] for at in sorted(picked)]
        return tuple(Claim(self._said(piece), piece.evidence) for piece in pieces)

    def topics(self) -> tuple[Topic, ...]:
        found: list[Topic] = []
        for nth, part in enumerate(self._parts, start=1):
            names = self._writer.listed([phrase.text for phrase in part.phrases])
            points = self._points(part.picked)
            first, last = (
                self._pieces[part.stretch.start],
                self._pieces[part.stretch.end - 1],
            )
            found.append(
                Topic(
                    title=names[:1].upper() + names[1:] if names else str(nth),
                    first=first.utterance.id,
                    last=last.utterance.id,
                    points=points,
                )
            )
        return tuple(found)


def _cited(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(evidence))[:_MOST_EVIDENCE]
