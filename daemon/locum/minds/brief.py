"""What a mind is given for one meeting; what isn't in here it can't tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from math import log

from locum.core.mandate import Mandate
from locum.core.stems import content_stems
from locum.core.tongues import GERMAN, tongue_of

_LONGEST_SENTENCE = 400
_FITS = 0.5
_ONLY_ASKS = frozenset(
    content_stems(
        "know tell say mean give show explain question answer ask time please thanks moment "
        "current currently today think happen go new status info"
    )
) | frozenset(content_stems("wissen sagen erklären frage antwort gerade eigentlich denn", "de"))


@dataclass(frozen=True)
class Known:
    """One piece of the briefing: what is known, about what, and from where and when.

    `source` is as it is said to others: a meeting's title, a file's name.
    """

    about: str
    text: str
    source: str = ""
    day: date | None = None


@dataclass(frozen=True)
class Brief:
    """For one meeting, one persona and one audience.

    `prompt` is what a model is told beforehand: manners, the owner's words, the occasion, what
    is known. `update` is what the owner has prepared to be read out, `known` the briefing's pieces.
    """

    mandate: Mandate
    prompt: str = field(default="", repr=False)
    update: str = field(default="", repr=False)
    known: tuple[Known, ...] = field(default=(), repr=False)

    @property
    def owner(self) -> str:
        """Answer the owner's first name, as people in the room say it."""
        return self.mandate.owner.split(" ")[0]


def day_of(at: datetime) -> date:
    """Answer the day, where this machine is."""
    return at.astimezone().date()


def sentences_of(text: str) -> tuple[str, ...]:
    """Cut a text that is to be read out: a list's entries, and sentences."""
    found: list[str] = []
    for line in text.split("\n"):
        bare = re.sub(r"^\s*(?:[-*•#>]+|\d{1,2}[.)])\s*", "", line).strip()
        found += re.split(r"(?<=[.!?…])\s+(?=[^\s\d])", bare) if bare else []
    return tuple(part[:_LONGEST_SENTENCE] for part in found if part.strip())


@dataclass(frozen=True)
class Found:
    """What answers a question: a sentence of ours, word for word, and its piece."""

    text: str
    known: Known


def find(question: str, known: Sequence[Known]) -> Found | None:
    """Answer the sentence that shares most with a question; None where none shares enough.

    Words that stand everywhere count for little. Nothing is put together, and nothing rephrased.
    """
    tongue = tongue_of(question)
    wanted = frozenset(content_stems(question, tongue)) - _ONLY_ASKS
    entries = [
        (frozenset(content_stems(f"{piece.about} {sentence}", tongue)), sentence, piece)
        for piece in known
        for sentence in sentences_of(piece.text)
    ]
    uses = Counter(stem for stems, _, _ in entries for stem in stems)
    weights = {stem: log(2 + len(entries) / (1 + uses[stem])) for stem in wanted}
    total = sum(weights.values())
    if not total:
        return None
    best = max(
        entries,
        key=lambda entry: sum(weights[each] for each in wanted & entry[0]),
        default=None,
    )
    if best is None or sum(weights[each] for each in wanted & best[0]) < _FITS * total:
        return None
    return Found(best[1], best[2])


def shown_day(day: date, tongue: str) -> str:
    """Say a day as people do: "26 November", "26. November"."""
    if tongue == GERMAN:
        return f"{day.day}. {_MONTHS_DE[day.month - 1]}"
    return f"{day.day} {_MONTHS_EN[day.month - 1]}"


_MONTHS_EN = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTHS_DE = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
]
