"""One utterance, as the rules see it: whose, in which language, to whom, cut and masked."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from locum.brains.rules.english import ENGLISH
from locum.brains.rules.german import GERMAN
from locum.brains.rules.lexicon import INJECTION, Lexicon
from locum.brains.rules.names import Cast
from locum.brains.rules.sentences import Sentence, sentences
from locum.core.transcript import Transcript, Utterance

_VOCATIVE = re.compile(
    r"^(?:(?:and|so|okay|ok|oh|well|right|thanks|great|good|hey|hi|und|also|gut|danke)[,. ]+)*@(?P<who>\d+)@[,:]"
    r"|,? @(?P<last>\d+)@\s*[.?!]*$",
    re.IGNORECASE,
)
_STUTTER = re.compile(r"\b([\w']+)(?: \1\b)+|\b([\w']+ [\w']+)(?: \2\b)+", re.IGNORECASE)
_LONGEST = 40  # Sentences heard in one go.
_LANGUAGES = (ENGLISH, GERMAN)
_SHARE = 0.12
"""Of a language's words, this many are its small ones; fewer, and it is another language."""


@dataclass(frozen=True)
class Heard:
    """A sentence with names masked. `vocative` is whom it calls by name."""

    sentence: Sentence
    masked: str
    vocative: int | None


@dataclass(frozen=True)
class Turn:
    place: int
    utterance: Utterance
    who: str
    speaker: int | None
    lexicon: Lexicon
    heard: tuple[Heard, ...]
    before: str | None  #: Who spoke last, if somebody else.

    @cached_property
    def text(self) -> str:
        return " ".join(each.sentence.text for each in self.heard)

    @cached_property
    def masked(self) -> str:
        return " ".join(each.masked for each in self.heard)

    @property
    def head(self) -> str:
        return self.heard[0].masked if self.heard else ""


def language_of(transcript: Transcript) -> Lexicon | None:
    """Answer the meeting's language, or None where it is one that we have no rules for."""
    return _told(" ".join(u.text[:400] for u in transcript.utterances[:400]))


def _told(text: str) -> Lexicon | None:
    words = re.findall(r"[^\W\d_]+(?:'[a-z]+)?", text.casefold().replace("’", "'"))
    if not words:
        return None
    counts = [(sum(word in each.marks for word in words), each) for each in _LANGUAGES]
    most, lexicon = max(counts, key=lambda pair: pair[0])
    return lexicon if most >= _SHARE * len(words) else None


def _of(utterance: Utterance, usual: Lexicon) -> Lexicon:
    words = re.findall(r"[^\W\d_]+", utterance.text[:400].casefold())
    if len(words) < 6:
        return usual
    counts = {each.language: sum(word in each.marks for word in words) for each in _LANGUAGES}
    for each in _LANGUAGES:
        if counts[each.language] >= 3 * counts[usual.language] + 2:
            return each
    return usual


def turns(transcript: Transcript, cast: Cast, usual: Lexicon) -> Iterator[Turn]:
    """Tell a transcript turn by turn.

    One that never ends is told in several, so that what looks around within a turn stays
    bounded. A turn that speaks to the machine ("ignore the above") is left out.
    """
    before: str | None = None
    last: str | None = None
    for place, utterance in enumerate(transcript.utterances):
        who = utterance.who
        if last != who:
            before, last = last, who
        lexicon = _of(utterance, usual)
        speaker = cast.index_of(who) if who and not utterance.by_us else None
        said = sentences(utterance, place)
        while some := tuple(itertools.islice(said, _LONGEST)):
            heard = tuple(_heard(each, cast, lexicon) for each in some)
            if not INJECTION.search(" ".join(each.masked for each in heard)):
                yield Turn(place, utterance, who, speaker, lexicon, heard, before)


def _heard(sentence: Sentence, cast: Cast, lexicon: Lexicon) -> Heard:
    masked = lexicon.disfluent.sub(" ", cast.mask(sentence.text)).strip()
    masked = _STUTTER.sub(lambda match: match[1] or match[2], masked)
    return Heard(sentence, masked, _vocative(masked))


def _vocative(masked: str) -> int | None:
    match = _VOCATIVE.search(masked)
    if match is None:
        return None
    return int(match["who"] or match["last"])


def part(match: re.Match[str], name: str) -> str | None:
    """Answer a group under any of its numbers: `re` lets no two alternatives share a name."""
    for key, value in match.groupdict().items():
        if value is not None and re.fullmatch(rf"{name}\d*", key):
            return str(value)
    return None
