"""What was said, in pieces that can be quoted, each with a version that can be read.

A piece is a contiguous stretch of one utterance, never across a transcriber's mark such as
"{disfmarker}" or "[laughter]", so that it stands there word for word. Its `text` is the same
without the noises of speech: "So , uh , I I think" becomes "I think".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from locum.brains.extractive.languages import Language
from locum.brains.extractive.words import Vocabulary, length_of
from locum.core.minutes import Evidence
from locum.core.transcript import Transcript, Utterance

_LONGEST = 60  #: Words; longer ones are cut where they breathe.
_BESIDE = 120  #: Characters.
_MOST_PIECES = 60_000

_MARK = re.compile(r"[{\[<][^{}\[\]<>]{0,80}[}\]>]")
_END = re.compile(
    r"(?<=[.?!…])(?<!\b(?:Mr|Ms|Dr|St|vs|No|Nr)\.)(?<!\b(?:Mrs|e\.g|i\.e|z\.B)\.)(?<!\bProf\.)"
    r"[\"'”’)]*\s+(?=\S)|(?<=[。！？])"
)
_ANEW = re.compile(r"\x00[\s\x00,.]*(?=[A-Z](?!')[a-z])")
_FINAL = frozenset(".!?…。！？")
_FINITE = re.compile(
    r"\w'(?:s|re|m|ve|ll|d)\b|n't\b|[^\x00-\x7f]{4}|"
    r"\b(?:is|are|was|were|am|be|has|have|had|do|does|did|will|would|can|could|should|must|might"
    r"|may|shall|need|needs|want|wants|think|thought|said|says|means|got|goes|went|looks|seems"
    r"|makes|made|gives|gave|found|\w{3,}ed"
    r"|ist|sind|war|hat|haben|wird|werden|kann|muss|soll|est|sont|a|ont|être|es|son|está|hay|è"
    r"|sono|ha|hanno|zijn|heeft|moet|é|são|tem|är|har|er|on|jest|są|быть|будет)\b",
    re.IGNORECASE,
)
_DEPENDENT = re.compile(
    r"(?:because|'?cause|which|that (?:is|was|are|they|we|you|i|if|the|a)|than|to|until|except|such|whereas|for|with)\b",
    re.IGNORECASE,
)
_WORDS = re.compile(r"\w+")
_GAP = re.compile(r"\s+")


@dataclass(frozen=True)
class Piece:
    """A sentence, or what is nearest to one. `turn` counts the transcript's utterances."""

    turn: int
    utterance: Utterance
    quotes: tuple[str, ...]
    text: str
    stems: tuple[str, ...]

    @cached_property
    def length(self) -> int:
        return length_of(self.text)

    @property
    def is_question(self) -> bool:
        return self.quotes[-1].rstrip("\"'”’) ").endswith(("?", "？"))

    @cached_property
    def is_whole(self) -> bool:
        """Whether it looks like a finished sentence rather than like a remnant of one."""
        ends = self.quotes[-1].rstrip("\"'”’) ")[-1:] in _FINAL
        return ends and bool(_FINITE.search(self.text)) and not _DEPENDENT.match(self.text)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Answer its quotes; one too short to prove anything, with what stands beside it."""
        quotes = [quote for quote in self.quotes if proves(quote)]
        if not quotes:
            quotes = [_widened(self.quotes[0], self.utterance.text)]
        return tuple(Evidence(self.utterance.id, quote) for quote in quotes)


def pieces_of(transcript: Transcript, vocabulary: Vocabulary) -> list[Piece]:
    """Cut a transcript into pieces, in their order; what says nothing is left out."""
    tidy = Tidier(vocabulary.language)
    found: list[Piece] = []
    for turn, utterance in enumerate(transcript.utterances):
        for quotes in quotes_of(utterance.text):
            text = tidy(" ".join(quotes))
            stems = tuple(vocabulary.content(text))
            if stems:
                found.append(Piece(turn, utterance, quotes, text, stems))
        if len(found) >= _MOST_PIECES:
            break
    return found


def lowered_in(pieces: Sequence[Piece]) -> frozenset[str]:
    """Answer the words that are written small somewhere, and so are no names."""
    return frozenset(
        word for piece in pieces for word in piece.text.split()[1:] if word.islower()
    )


def proves(quote: str) -> bool:
    """Whether a quote is long enough to be evidence: see `locum.core.minutes`."""
    return len(_WORDS.findall(quote)) >= 3


def _widened(quote: str, text: str) -> str:
    at = max(text.find(quote), 0)
    start, end = max(at - _BESIDE, 0), at + len(quote) + _BESIDE
    before, after = text[start:at], text[at + len(quote) : end]
    if start > 0:
        before = before.partition(" ")[2]
    if end < len(text):
        after = after.rpartition(" ")[0]
    return (before + quote + after).strip()


def quotes_of(text: str) -> Iterator[tuple[str, ...]]:
    """Cut an utterance at its sentence ends, and over-long sentences at commas.

    A sentence that a mark interrupts is answered as what stands before and behind it, unless
    the speaker began anew there, with a capital.
    """
    marked = _MARK.sub("\x00", text.replace("\x00", " "))
    for sentence in _END.split(marked):
        for whole in _ANEW.split(sentence):
            for part in _bounded(whole):
                quotes = tuple(
                    quote.strip()
                    for quote in part.split("\x00")
                    if any(map(str.isalnum, quote))
                )
                if quotes:
                    yield quotes


def _bounded(sentence: str) -> Iterator[str]:
    if length_of(sentence) <= _LONGEST:
        yield sentence
        return
    start = taken = 0
    for match in re.finditer(r"\S{1,30}", sentence):
        taken += max(length_of(match[0]), 1)
        breathes = match[0][-1] in ",;:–—"
        if taken >= _LONGEST or (taken >= _LONGEST // 2 and breathes):
            yield sentence[start : match.end()]
            start, taken = match.end(), 0
    yield sentence[start:]


class Tidier:
    """Takes the noises of speech out of a text, and nothing that says anything."""

    def __init__(self, language: Language) -> None:
        self._noises = _alternatives(language.noises)
        self._small = language.stops
        self._is_english = language.code == "en"

    def __call__(self, text: str) -> str:
        tidied = _LABEL.sub("", _untokenized(text))
        tidied = self._noises.sub(" ", tidied)
        if self._is_english:
            tidied = _ENGLISH_FILLING.sub(" ", tidied)
        tidied = _REPEATED.sub(r"\1", _GAP.sub(" ", tidied)).strip(" ,;:-–—")
        if self._is_english:
            tidied = _CUT_OFF.sub("", _STUTTERED.sub(r"\1", tidied))
            tidied = _BEGUN.sub(self._unless_small, tidied)
            before = None
            while before != tidied:
                before = tidied
                tidied = _ENGLISH_OPENING.sub("", tidied)
        tidied = _STRAY.sub(r"\1", _DOUBLED.sub(r"\1", tidied))
        return tidied.strip(" ,;:-–—")

    def _unless_small(self, begun: re.Match[str]) -> str:
        """Drop a word that was begun ("cr criteria"), but not one of its own ("in include")."""
        return begun[0] if begun[1].casefold() in self._small else ""


def _alternatives(words: frozenset[str]) -> re.Pattern[str]:
    inner = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w'-])(?:{inner})(?![\w'-])\s*[,.]?", re.IGNORECASE)


_LABEL = re.compile(
    r"^\W*(?:decided|decision|agreed|resolved|action|question|note|beschlossen|beschluss"
    r"|entschieden|frage|notiz)\s*:\s*(?=\S)",
    re.IGNORECASE,
)
"""What somebody says who has the minutes in mind: "Decided: option B"."""

_ENGLISH_FILLING = re.compile(
    r"(?<=[\w,])\s*,?\s*\b(?:you know|i mean|sort of|kind of|basically|actually|like,|sorta"
    r"|kinda)(?=\W)\s*,?(?!\s+(?:what|how|why|that|where|who|if))",
    re.IGNORECASE,
)
_ENGLISH_OPENING = re.compile(
    r"^(?:so(?! that(?!'s| is| was)| much| many| far| long)|and|but|well(?! done)|okay|ok|right(?![- ]\w+ed|-)"
    r"|now(?! that)|yes|no(?=,)|sure|oh|then|also|anyway|anyways|alright|all right|great(?=,)"
    r"|good(?=,)|fine(?=,)|cool|i mean|you know|of course|or|'?cause|cuz|like(?=,)|alrighty"
    r"|hello|hi|thank you|thanks|plus)(?![\w'’-])[\s,.]*(?=\S)",
    re.IGNORECASE,
)
_REPEATED = re.compile(r"\b(\w+(?:'\w+)?(?: \w+(?:'\w+)?){0,2})(?: \1\b)+(?!')", re.IGNORECASE)
_STUTTERED = re.compile(
    r"\b(i|the|an?|and|we|to|in|of|you|if|but|that's|it's)(?:, ?\1\b)+(?!')", re.IGNORECASE
)
_CUT_OFF = re.compile(r"(?<=[a-z] )[b-hj-z] (?=[a-z])")
_BEGUN = re.compile(r"(?<![\w'])([^\W\d_]{1,6}) (?=\1\w)", re.IGNORECASE)
_TOKENIZED = re.compile(r" [,.?!](?: |$)")
_HYPHEN = re.compile(r"(?<=[^\W\d_]) - (?=[^\W\d_])")
_DOUBLED = re.compile(r"([,;.?!])(?:\s*[,;.])+")
_STRAY = re.compile(r"\s+([,;:.?!%)])")
_SPELLED = re.compile(r"\b(?:[A-Z]_)+(?:[A-Z]\b|(?=\W|s\b|$))")
_CLITIC = re.compile(r"(\w) ('(?:s|m|re|ve|ll|d|t|S)\b|n't\b)")


def _untokenized(text: str) -> str:
    """Close the gaps that corpora leave before full stops and in "we 're", and in "L_C_D_"."""
    text = _SPELLED.sub(lambda found: found[0].replace("_", ""), text)
    if _TOKENIZED.search(text):
        text = _HYPHEN.sub("-", text)
    return _STRAY.sub(r"\1", _CLITIC.sub(r"\1\2", text.replace("’", "'")))
