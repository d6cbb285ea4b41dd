"""A mind without a model: it says who it is, gives the prepared update, and takes questions along.

It tells what it was given, word for word and with its source, and nothing else; what it doesn't
know it takes to its owner, and says so. English and German.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from locum.core.mandate import Outgoing, answer_by_code
from locum.core.talk import Cue, Line
from locum.core.tongues import GERMAN, tongue_of
from locum.core.truths import plain
from locum.minds.brief import Brief, Known, day_of, find, sentences_of, shown_day
from locum.ports import Aloud, Deferred, Prompted, Thought

_LONGEST_QUESTION = 1000
_MOST_LISTED = 4

_UPDATE = re.compile(
    r"\b(?:updates?|status|news|progress|stand-?up|report|what's new|what is new|up to|getting on|"
    r"been working on|working on|been doing|did (?:you|he|she|they|\w+) do|your turn|"
    r"how(?:'s| is| are) (?:it|things|\w+) going|where (?:do|does) (?:you|\w+) stand|round|"
    r"neuigkeiten|neues|stand der dinge|wie steht|woran (?:arbeite\w*|sitz\w*)|bist dran|sind dran|"
    r"bericht\w*|wie läuft|wie sieht's aus|was hat \w+ gemacht|auf dem laufenden)\b"
)
_GO_ON = re.compile(
    r"\b(?:go on|continue|carry on|go ahead|please proceed|and then|what else|anything else|keep going|"
    r"weiter|fahr\w* fort|was noch|sonst noch)\b"
)
_AGAIN = re.compile(r"\b(?:again|repeat|once more|nochmal|noch einmal|wiederhol\w*)\b")
_THANKS = re.compile(
    r"^\W*(?:\w+\W+){0,3}?(?:thanks|thank you|cheers|danke|vielen dank|dankeschön)\b"
)
_BYE = re.compile(
    r"\b(?:bye|goodbye|good bye|see you|see ya|tschüss|auf wiedersehen|ciao|servus)\b"
)
_HELLO = re.compile(
    r"^\W*(?:hello|hi|hey|good (?:morning|afternoon|evening)|welcome|hallo|guten (?:morgen|tag|abend)|moin)\b"
    r"(?:\W+\w+){0,3}\W*$"
)
_ASKS = re.compile(
    r"\?|^\W*(?:\w+\W+){0,2}?(?:who|what|when|where|why|which|how|is|are|does|do|did|has|have|can|could|will|would|"
    r"should|wer|was|wann|wo|warum|welche\w*|wie|ist|sind|hat|haben|kann|können|wird|gibt)\b"
)
_LOST = re.compile(
    r"\b(?:nothing|no one|nobody|never mind|not you|wrong|nichts|niemand|schon gut)\b"
)


@dataclass(frozen=True)
class _Lines:
    dont_know: str
    noted: str
    update: str
    no_update: str
    told_all: str
    source: str
    source_on: str
    thanks: str
    bye: str
    hello: str


_OURS = {
    "en": _Lines(
        dont_know="I don't know that. I'll ask {owner}.",
        noted="I'll pass that on to {owner}.",
        update="Here is {owner}'s update. ",
        no_update="{owner} has given me no update for today. What I know is this. ",
        told_all="That was all that {owner} gave me.",
        source="From {source}: ",
        source_on="From {source}, on {day}: ",
        thanks="You're welcome.",
        bye="Goodbye.",
        hello="Hello. I'm {name}, here for {whole}.",
    ),
    "de": _Lines(
        dont_know="Das weiß ich nicht. Ich frage {owner}.",
        noted="Das gebe ich an {owner} weiter.",
        update="Das ist das Update von {owner}. ",
        no_update="{owner} hat mir für heute kein Update mitgegeben. Ich weiß nur dies. ",
        told_all="Das war alles, was {owner} mir mitgegeben hat.",
        source="Aus {source}: ",
        source_on="Aus {source}, vom {day}: ",
        thanks="Gern geschehen.",
        bye="Auf Wiederhören.",
        hello="Hallo. Ich bin {name} und vertrete {whole}.",
    ),
}


class PlainMind:
    """A `Mind` for one meeting. It has no tools, and makes nothing up."""

    def __init__(self, brief: Brief) -> None:
        self._brief = brief

    @property
    def name(self) -> str:
        return "no model: what was prepared, and what is known"

    async def warm(self) -> None:
        """Do nothing: all is at hand."""

    async def answer(self, prompted: Prompted) -> AsyncIterator[Thought]:
        for thought in self.thoughts(prompted):
            yield thought

    async def is_for_us(self, lines: Sequence[Line]) -> bool:
        """Answer no: who means us may say our name."""
        del lines
        return False

    async def aclose(self) -> None:
        """Do nothing."""

    def thoughts(self, prompted: Prompted) -> Iterator[Thought]:
        """Answer all at once; nothing here takes time."""
        asked = prompted.lines[-1]
        by_code = answer_by_code(self._brief.mandate, asked, prompted.cue, on=day_of(asked.at))
        if by_code is not None:
            return iter(by_code)
        return self._thoughts(asked, prompted)

    def _thoughts(self, asked: Line, prompted: Prompted) -> Iterator[Thought]:
        told = plain(asked.text)
        tongue = tongue_of(told)
        if prompted.cue is Cue.OFFER:
            return
        if prompted.cue is Cue.RESUME or self._wants_update(told, prompted.lines):
            yield from self._update(prompted.lines, tongue, again=bool(_AGAIN.search(told)))
        elif _THANKS.search(told) and not _ASKS.search(told):
            yield self._say("thanks", tongue)
        elif _BYE.search(told) and not _ASKS.search(told):
            yield self._say("bye", tongue)
        elif _HELLO.search(told):
            yield self._say("hello", tongue)
        elif _ASKS.search(told):
            yield from self._found(asked, tongue)
        elif not _LOST.search(told):
            yield self._say("noted", tongue)
            yield self._deferred(asked)

    # ── the update ───────────────────────────────────────────────────────────────────────

    def _wants_update(self, told: str, lines: Sequence[Line]) -> bool:
        if _UPDATE.search(told):
            return True
        return bool(_GO_ON.search(told) or _AGAIN.search(told)) and self._has_begun(lines)

    def _has_begun(self, lines: Sequence[Line]) -> bool:
        said = _said_by_us(lines)
        return any(plain(each)[:40] in said for each in self._prepared())

    def _prepared(self) -> tuple[str, ...]:
        return sentences_of(self._brief.update)

    def _update(self, lines: Sequence[Line], tongue: str, *, again: bool) -> Iterator[Thought]:
        """Read out what is prepared: from where it was cut off, if it was."""
        sentences = self._prepared()
        if not sentences:
            yield from self._no_update(tongue)
            return
        said = "" if again else _said_by_us(lines)
        left = [each for each in sentences if plain(each).rstrip(".!?… ") not in said]
        if not left:
            yield self._say("told_all", tongue)
            return
        if len(left) == len(sentences):
            yield self._say("update", tongue)
        for each in left:
            # The owner's own words: not held to what the stand-in may promise.
            yield Aloud(each if each.endswith((".", "!", "?", "…")) else f"{each}.")
            yield Aloud(" ")

    def _no_update(self, tongue: str) -> Iterator[Thought]:
        owner = plain(self._brief.mandate.owner).split(" ")[0]
        open_ones = [
            each
            for each in self._brief.known
            if each.about.startswith(("commitment", "asked"))
            and (owner in plain(each.about) or each.about.startswith("asked"))
            and "done" not in each.about
        ]
        if not open_ones:
            yield self._say("dont_know", tongue)
            return
        yield self._say("no_update", tongue)
        for each in open_ones[:_MOST_LISTED]:
            yield from self._tell(each, each.text, tongue)

    # ── questions ────────────────────────────────────────────────────────────────────────

    def _found(self, asked: Line, tongue: str) -> Iterator[Thought]:
        found = find(asked.text[:_LONGEST_QUESTION], self._brief.known)
        if found is None:
            yield self._say("dont_know", tongue)
            yield self._deferred(asked)
            return
        outgoing = Outgoing(self._brief.mandate, asked, on=day_of(asked.at))
        whole = f"{self._source(found.known, tongue)}{_ended(found.text)}"
        yield from outgoing.take(whole)
        yield from outgoing.end()

    def _tell(self, known: Known, text: str, tongue: str) -> Iterator[Thought]:
        yield Aloud(f"{self._source(known, tongue)}{_ended(text)} ")

    def _source(self, known: Known, tongue: str) -> str:
        ours = _ours(tongue)
        if not known.source:
            return ""
        if known.day is None:
            return ours.source.format(source=known.source)
        day = shown_day(known.day, tongue)
        return ours.source_on.format(source=known.source, day=day)

    # ── saying ───────────────────────────────────────────────────────────────────────────

    def _say(self, which: str, tongue: str) -> Aloud:
        text: str = getattr(_ours(tongue), which)
        mandate = self._brief.mandate
        return Aloud(
            text.format(owner=self._brief.owner, name=mandate.name, whole=mandate.owner)
        )

    @staticmethod
    def _deferred(asked: Line) -> Deferred:
        return Deferred(asked.text[:_LONGEST_QUESTION], asked.speaker)


def _ours(tongue: str) -> _Lines:
    return _OURS[GERMAN if tongue == GERMAN else "en"]


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _said_by_us(lines: Sequence[Line]) -> str:
    return " ".join(plain(line.text) for line in lines if line.ours)
