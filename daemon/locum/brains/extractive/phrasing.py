"""The few words of our own that hold a summary together, in the meeting's language.

They claim no more than that something was talked about, and by whom; all the rest is quoted.
In a language that isn't here, quotes stand by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from locum.brains.extractive.reported import reported

_ROLE = re.compile(r"\s*[(\[][^()\[\]]*[)\]]")
_THINKING = re.compile(
    r"(?:they|I) (?:think|thought|guess|believed?|suppose|feel|felt|reckon)(?: that)?,? (?=\S+ \S+ \S+)"
)


_ABOUT = re.compile(
    r"\b(?:about|on|of|regarding|concerning|towards?|discuss(?:ed|ing)?)\s+(?!about|on|of)"
    r"(\S[^?.!]{2,150}?)[\s?.!]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Phrasing:
    """`opening` is filled with the meeting's topics, `turns` with one topic's, in turn."""

    opening: str = "{}."
    turns: Sequence[str] = ("{}.",)
    asked: str = "{who}: “{text}”"
    said: str = "{who}: “{text}”"
    conjunction: str = ", "
    #: What is joined to a topic's name if people mostly say it so.
    definite: frozenset[str] = frozenset()
    indefinite: frozenset[str] = frozenset()
    #: Other small words that stand before nouns.
    introduces: frozenset[str] = frozenset()
    somebody: str = "?"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENGLISH = Phrasing(
    opening="The meeting was about {}.",
    turns=(
        "First, the group discussed {}.",
        "Then they discussed {}.",
        "Next, they talked about {}.",
        "After that, the group discussed {}.",
    ),
    asked="{who} asked: “{text}”",
    said="{who} said: “{text}”",
    conjunction=" and ",
    definite=_words("the this that our your my their these those his her its"),
    indefinite=_words("a an"),
    introduces=_words("of in on for with about no some any more other two three new"),
    somebody="Somebody",
)

_PHRASINGS: Mapping[str, Phrasing] = {
    "en": _ENGLISH,
    "de": Phrasing(
        opening="In der Besprechung ging es um: {}.",
        turns=("Zuerst: {}.", "Dann: {}.", "Danach: {}."),
        asked="{who} fragte: „{text}“",
        said="{who}: „{text}“",
        conjunction=" und ",
        definite=_words("der die das den dem des"),
        indefinite=_words("ein eine einen einem einer eines"),
        introduces=_words(
            "im am zum zur beim vom mit für von über unser unsere unseren kein keine"
        ),
        somebody="Jemand",
    ),
    "fr": Phrasing(
        opening="La réunion portait sur : {}.",
        turns=("D'abord : {}.", "Puis : {}.", "Ensuite : {}."),
        asked="{who} a demandé : « {text} »",
        said="{who} : « {text} »",
        conjunction=" et ",
        definite=_words("le la les l du des au aux"),
        indefinite=_words("un une"),
        introduces=_words("de d en pour avec sur notre nos ce cette ces"),
        somebody="Quelqu'un",
    ),
    "es": Phrasing(
        opening="La reunión trató de: {}.",
        turns=("Primero: {}.", "Luego: {}.", "Después: {}."),
        asked="{who} preguntó: «{text}»",
        said="{who}: «{text}»",
        conjunction=" y ",
        definite=_words("el la los las del al"),
        indefinite=_words("un una unos unas"),
        introduces=_words("de en para con sobre nuestro nuestra este esta"),
        somebody="Alguien",
    ),
    "it": Phrasing(
        opening="La riunione ha riguardato: {}.",
        turns=("Prima: {}.", "Poi: {}.", "In seguito: {}."),
        asked="{who} ha chiesto: «{text}»",
        said="{who}: «{text}»",
        conjunction=" e ",
        definite=_words("il lo la i gli le l del della dei delle al alla nel nella sul sulla"),
        indefinite=_words("un uno una"),
        introduces=_words("di in per con su nostro nostra questo questa"),
        somebody="Qualcuno",
    ),
    "nl": Phrasing(
        opening="De vergadering ging over: {}.",
        turns=("Eerst: {}.", "Toen: {}.", "Daarna: {}."),
        asked="{who} vroeg: “{text}”",
        said="{who}: “{text}”",
        conjunction=" en ",
        definite=_words("de het"),
        indefinite=_words("een"),
        introduces=_words("van in op voor met over onze ons deze dit geen"),
        somebody="Iemand",
    ),
    "pt": Phrasing(
        opening="A reunião tratou de: {}.",
        turns=("Primeiro: {}.", "Depois: {}.", "Em seguida: {}."),
        asked="{who} perguntou: “{text}”",
        said="{who}: “{text}”",
        conjunction=" e ",
        definite=_words("o a os as do da dos das no na ao"),
        indefinite=_words("um uma"),
        introduces=_words("de em para com sobre nosso nossa este esta"),
        somebody="Alguém",
    ),
    "sv": Phrasing(
        opening="Mötet handlade om: {}.",
        turns=("Först: {}.", "Sedan: {}.", "Därefter: {}."),
        asked="{who} frågade: ”{text}”",
        said="{who}: ”{text}”",
        conjunction=" och ",
        definite=_words("den det de"),
        indefinite=_words("en ett"),
        introduces=_words("av i på för med om vår våra"),
        somebody="Någon",
    ),
    "pl": Phrasing(
        opening="Spotkanie dotyczyło: {}.",
        turns=("Najpierw: {}.", "Potem: {}.", "Następnie: {}."),
        said="{who}: „{text}”",
        asked="{who}: „{text}”",
        conjunction=" i ",
        introduces=_words("w na do z o dla po"),
        somebody="Ktoś",
    ),
}


class Writer:
    """Writes the lines of a summary in one language."""

    def __init__(self, language: str, *, lowered: frozenset[str] = frozenset()) -> None:
        """Write in `language`; `lowered` are words that aren't names, to open a clause with."""
        self.phrasing = _PHRASINGS.get(language, Phrasing())
        self._is_english = language == "en"
        self._lowered = lowered

    def listed(self, names: Sequence[str]) -> str:
        if len(names) < 2:
            return "".join(names)
        return f"{', '.join(names[:-1])}{self.phrasing.conjunction}{names[-1]}"

    def opening(self, names: Sequence[str]) -> str:
        return _sentence(self.phrasing.opening.format(self.listed(names)))

    def turn(self, nth: int, names: Sequence[str]) -> str:
        turns = self.phrasing.turns
        # The first one opens; the others take turns.
        at = nth if nth < len(turns) else 1 + (nth - 1) % (len(turns) - 1) if turns[1:] else 0
        return _sentence(turns[at].format(self.listed(names)))

    def subject(self, question: str) -> str:
        """Answer what a question is about, in its own words, or ""."""
        asked = _ABOUT.search(question) if self._is_english else None
        return asked[1] if asked else ""

    def discussed(self, subject: str) -> str:
        return f"The group discussed {subject}."

    def on(self, subject: str, line: str) -> str:
        return f"On {subject}, {line}"

    def said(
        self, who: str, text: str, *, is_question: bool = False, again: bool = False
    ) -> str:
        """Report what somebody said; `again` where they said the line before as well."""
        who = display_name(who)
        report = reported(text) if self._is_english and who and not is_question else None
        if report is None:
            pattern = self.phrasing.asked if is_question else self.phrasing.said
            return pattern.format(who=who or self.phrasing.somebody, text=_opened(text))
        thinking = _THINKING.match(report)
        clause = self._lower(report[thinking.end() :] if thinking else report)
        verb = "thought" if thinking else "said"
        if again:
            who, verb = "They", "also thought" if thinking else "added"
        return f"{who} {verb} that {clause}."

    def _lower(self, clause: str) -> str:
        first = re.match(r"[^\W\d_]+", clause)
        if first is None or first[0].casefold() not in self._lowered or first[0] == "I":
            return clause
        return clause[0].lower() + clause[1:]


def display_name(name: str) -> str:
    """Leave out what stands in brackets behind a name, such as a party or a device."""
    return " ".join(_ROLE.sub("", name).split())


def _opened(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return _opened(text.replace("..", "."))
