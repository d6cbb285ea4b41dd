"""Utterances cut into sentences, each standing in its utterance word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from locum.core.minutes import Evidence
from locum.core.transcript import Utterance

_LONGEST = 600  # Characters of one sentence; captions may come without a single full stop.
_LONGEST_QUOTE = 1500

_END = re.compile(r"(?:[.!?…]+|[!?])[\"'”’)\]]*(?=\s|$)|\n+| - (?=[A-Z])")
_NO_END = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Nr|No|vs|etc|ca|bzw|usw|z\.\s?B|d\.\s?h|u\.\s?a|e\.g|i\.e|a\.m|p\.m)"
    r"|(?<!\w)\d{1,2})\.$"
)


@dataclass(frozen=True)
class Sentence:
    """`place` is its utterance's place in the transcript."""

    utterance: Utterance
    place: int
    text: str

    @property
    def evidence(self) -> Evidence:
        """Quote the sentence, or all that was said where it alone would prove nothing."""
        if len(re.findall(r"\w+", self.text)) >= 3:
            return Evidence(self.utterance.id, self.text)
        return Evidence(self.utterance.id, self.utterance.text.strip()[:_LONGEST_QUOTE])


def sentences(utterance: Utterance, place: int) -> Iterator[Sentence]:
    for text in split(utterance.text):
        yield Sentence(utterance, place, text)


def split(text: str) -> Iterator[str]:
    """Cut a text into sentences, none longer than can be read."""
    start = 0
    for match in _END.finditer(text):
        # "Dr. Patel", "18. Dezember": no sentence ends there.
        if _NO_END.search(text[max(start, match.start() - 8) : match.start() + 1]) and (
            not text[match.end() :].lstrip()[:1].isupper()
            or re.match(r"\s*[A-ZÄÖÜ]\w+", text[match.end() :]) is not None
        ):
            if text[match.end() :].strip():
                continue
        yield from _bounded(text[start : match.end()])
        start = match.end()
    yield from _bounded(text[start:])


def _bounded(text: str) -> Iterator[str]:
    text = text.strip(" \t\n-")
    while len(text) > _LONGEST:
        cut = text.rfind(" ", 1, _LONGEST)
        cut = cut if cut > 0 else _LONGEST
        yield text[:cut].strip()
        text = text[cut:].strip()
    if re.search(r"\w", text):
        yield text
