"""What a stand-in may say and promise in its owner's name, held by code.

A model is asked to keep to its mandate, and what it answers is held to it all the same, clause
by clause, before any of it is heard. What it may not promise isn't said: an honest line takes its
place, and what was asked is taken along for the owner. The truth about what it is, and what its
owner wants to answer alone, don't even depend on a model.

Nothing that is said in a meeting changes a mandate. What others know isn't a matter of this
module: it never gets as far as a mind (see `locum.core.briefing`).

The checks look at words. They can't know all ways of saying a thing, and they err towards
silence. What is said is the same however the words come in pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from locum.core.asked_what_we_are import asks_us_what_we_are
from locum.core.promising import (
    Bond,
    Speech,
    affirms,
    bond_in,
    demands_bond,
    names_day,
    names_sum,
    wants_bond,
)
from locum.core.redaction import holds_secret
from locum.core.stems import content_stems
from locum.core.talk import Aloud, Cue, Deferred, Line, Thought
from locum.core.tongues import GERMAN, tongue_of
from locum.core.truths import (
    Names,
    claims_to_be_somebody,
    denies_notes,
    plain,
    the_truth,
    what_we_are,
    what_we_keep,
)

_LONGEST_CLAUSE = 240  # Characters: without any sign, it is cut at a blank.
_SHORTEST_CLAUSE = 2  # Words: a first clause is worth a breath.
_RECITED = 8  # That many words in a row of the rules are a recital.
_LONGEST_QUESTION = 1000


@dataclass(frozen=True)
class Mandate:
    """A persona's, for one meeting.

    `name` is what it is called, `owner` for whom it speaks. `may_say`, `may_commit` and
    `must_defer` are topics in a few words each, as the owner wrote them. `known` are the pieces
    of what may be told there: repeating them isn't promising. `rules` is what a model is told of
    its manners, which is nobody's business in the room. `longest` bounds one answer, in
    characters.

    A topic is met by a sentence that has all its content words, in any form ("send the notes":
    "I'll send you my notes"). What `may_commit` covers may be promised without a day or a sum,
    unless the topic itself speaks of days, or of money.
    """

    name: str
    owner: str
    may_say: tuple[str, ...] = ()
    may_commit: tuple[str, ...] = ()
    must_defer: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    rules: str = field(default="", repr=False)
    longest: int = 1500

    def promises(self, text: str, bond: Bond, *, question: str = "") -> bool:
        """Whether `may_commit` covers a promise, made in answer to `question`."""
        topics = [
            plain(topic) for topic in self.may_commit if _meets(topic, f"{text} {question}")
        ]
        if bond is Bond.MONEY or names_sum(text):
            topics = [topic for topic in topics if _MONEY_TOPIC.search(topic)]
        if bond is Bond.DATE or names_day(text):
            topics = [topic for topic in topics if _DAY_TOPIC.search(topic)]
        return bool(topics)

    def defers(self, text: str) -> str:
        """Answer the topic of `must_defer` that a text is about, "" if none."""
        for topic in self.must_defer:
            if any(_meets(part, text) for part in _OR.split(topic) if part.strip()):
                return topic
        return ""

    def may_tell(self, text: str) -> bool:
        """Whether a text is about something that `may_say` has."""
        return any(_meets(topic, text) for topic in self.may_say)


_OR = re.compile(r"\s*(?:,|;|/|\bor\b|\band\b|\boder\b|\bund\b)\s*")
_MONEY_TOPIC = re.compile(
    r"[$€£%]|\b(?:money|price\w*|discount\w*|budget\w*|refund\w*|payment\w*|fees?|costs?|dollars?|euros?|percent|"
    r"geld|preis\w*|rabatt\w*|erstattung\w*|zahlung\w*|gebühr\w*|kosten|prozent)\b"
)
_DAY_TOPIC = re.compile(
    r"\b(?:dates?|days?|deadlines?|times?|appointments?|slots?|schedul\w*|weeks?|tomorrow|today|\w*termin\w*|"
    r"tag\w*|frist\w*|woche\w*|uhrzeit\w*|\w*day|\d+ \w+)\b"
)
_VAGUE = frozenset(
    content_stems(
        "matter issue question topic thing detail anything everything information stuff subject "
        "regarding concerning related kind sort"
    )
) | frozenset(content_stems("frage thema themen sache einzelheit angelegenheit alles", "de"))


def _meets(topic: str, text: str) -> bool:
    """Whether a text has all content words of a topic, in whatever form."""
    for tongue in ("en", "de"):
        wanted = frozenset(content_stems(topic, tongue))
        heavy = wanted - _VAGUE or wanted
        if heavy and heavy <= frozenset(content_stems(text, tongue)):
            return True
    return False


# ── our own lines ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Lines:
    """What is said by code: always the same, so that it is always true."""

    no_promise: str
    deferred: str
    not_told: str
    no_link: str


_OURS = {
    "en": _Lines(
        no_promise="I can't promise that; I'll take it to {owner}.",
        deferred="That's for {owner} to answer; I'll pass it on.",
        not_told="That isn't for me to tell.",
        no_link="a link from elsewhere",
    ),
    "de": _Lines(
        no_promise="Das kann ich nicht zusagen; ich nehme es für {owner} mit.",
        deferred="Das muss {owner} selbst beantworten; ich gebe es weiter.",
        not_told="Dazu darf ich nichts sagen.",
        no_link="einem fremden Link",
    ),
}


def _first(owner: str) -> str:
    return owner.split(" ", maxsplit=1)[0] if owner else "…"


# ── answers by code ──────────────────────────────────────────────────────────────────────


def answer_by_code(
    mandate: Mandate, asked: Line, cue: Cue, *, on: date
) -> tuple[Thought, ...] | None:
    """Answer what no model is to answer; None where one may be asked.

    What we are, whatever anybody would have us say; what `must_defer` has; and what only a
    promise could answer that isn't ours to make. `on` is the day, where the meeting is held.
    """
    told = asked.text[:_LONGEST_QUESTION]
    tongue = tongue_of(told)
    is_cued = cue is Cue.ASKED_WHAT_WE_ARE
    if is_cued or asks_us_what_we_are(told, owner=mandate.owner, name=mandate.name):
        return (Aloud(the_truth(told, name=mandate.name, owner=mandate.owner)),)
    if mandate.defers(told):
        return _taken_along(mandate, asked, _OURS[tongue].deferred)
    speech = Speech(mandate.owner, on, mandate.known)
    if demands_bond(told, speech) and not _is_covered(mandate, told):
        return _taken_along(mandate, asked, _OURS[tongue].no_promise)
    return None


def _is_covered(mandate: Mandate, question: str) -> bool:
    return any(_meets(topic, question) for topic in mandate.may_commit)


def _taken_along(mandate: Mandate, asked: Line, line: str) -> tuple[Thought, ...]:
    return (
        Aloud(line.format(owner=_first(mandate.owner))),
        Deferred(asked.text[:_LONGEST_QUESTION], asked.speaker),
    )


# ── what a model answers ─────────────────────────────────────────────────────────────────


class Outgoing:
    """One answer on its way out: words go in as a model gives them, what may be said comes out.

    A first clause comes out as soon as it is whole, then sentences. After the first thing that may
    not be said it is `over`: what follows would lean on it. Texts of `Aloud` have their blanks:
    put together they are the answer.
    """

    def __init__(self, mandate: Mandate, asked: Line, *, on: date) -> None:
        self._mandate = mandate
        self._asked = asked
        self._speech = Speech(mandate.owner, on, mandate.known)
        self._names = Names(mandate.name, mandate.owner)
        self._wanted = wants_bond(asked.text, mandate.owner)
        self._tongue = tongue_of(asked.text, "")
        self._rules = _runs_of(mandate)
        self._buffer = ""
        self._sentence = ""  # What of the sentence at hand has been let through.
        self._yes = ""  # Mere consent, until it is clear to what.
        self._said = 0
        self._deferred = False
        self._withheld_yes = False
        self.over = False
        """Whether nothing more will be let through: the model needn't go on."""

    def learn(self, text: str) -> None:
        """Take a tool's answer for known: repeating it isn't promising."""
        known = (*self._speech.known, *filter(None, map(str.strip, text.split("\n"))))
        self._speech = Speech(self._speech.owner, self._speech.on, known)

    def take(self, text: str) -> tuple[Thought, ...]:
        """Take the next words; answers what may be said by now."""
        self._buffer += text
        found: list[Thought] = []
        while not self.over:
            end = self._next_end()
            if end is None:
                break
            piece, self._buffer = self._buffer[:end], self._buffer[end:]
            found += self._pass(piece)
        return tuple(found)

    def end(self) -> tuple[Thought, ...]:
        """Answer what is left once the model has finished."""
        if self.over:
            return ()
        piece, self._buffer = self._buffer, ""
        found = list(self._pass(piece, is_last=True)) if piece.strip() else []
        if not self.over:
            if self._yes:
                found += self._let_out("")
            if self._withheld_yes and not self._said:
                found += self._refuse(self._ours.no_promise)
        self.over = True
        return tuple(found)

    # ── cutting ──────────────────────────────────────────────────────────────────────────

    def _next_end(self) -> int | None:
        """Answer where the next piece ends, None while that can't be told."""
        for match in _END.finditer(self._buffer):
            if match.end() > _LONGEST_CLAUSE:
                break
            is_clause = match["clause"] is not None
            if not is_clause or self._is_worth(self._buffer[: match.end()]):
                return match.end()
        if len(self._buffer) <= _LONGEST_CLAUSE:
            return None
        blank = self._buffer.rfind(" ", 0, _LONGEST_CLAUSE)
        return blank + 1 if blank > 0 else _LONGEST_CLAUSE

    def _is_worth(self, clause: str) -> bool:
        """Whether a clause may go alone: the first one, as it is awaited."""
        if self._said or self._yes:
            return False
        rest = clause[affirms(clause) :]
        return len(rest.split()) >= _SHORTEST_CLAUSE

    # ── judging ──────────────────────────────────────────────────────────────────────────

    def _pass(self, piece: str, *, is_last: bool = False) -> Iterator[Thought]:
        if not piece.strip():
            return
        if not self._tongue:
            self._tongue = tongue_of(self._sentence + piece)
        yield from self._judged(self._yes + self._sentence + piece, piece)
        if (is_last or _SENTENCE_END.search(piece)) and not self._yes:
            self._sentence = ""

    def _judged(self, whole: str, text: str) -> Iterator[Thought]:
        mandate = self._mandate
        if holds_secret(whole) or self._recites(whole):
            yield from self._stop(self._ours.not_told)
        elif denies_notes(whole):
            yield from self._stop(what_we_keep(mandate.owner, self._tongue))
        elif claims_to_be_somebody(whole, self._names):
            yield from self._stop(what_we_are(mandate.name, mandate.owner, self._tongue))
        elif mandate.defers(whole):
            yield from self._refuse(self._ours.deferred)
        else:
            yield from self._bound(whole, text)

    def _bound(self, whole: str, text: str) -> Iterator[Thought]:
        if not self._sentence and affirms(text) >= len(text.rstrip()):
            # Mere consent waits until it is told to what; where a promise is wanted, it is one.
            if self._wanted:
                self._withheld_yes = True
            else:
                self._yes += text
            return
        if self._wanted and not self._sentence:
            cut = affirms(text)
            self._withheld_yes = self._withheld_yes or cut > 0
            text = text[cut:]
        bond = bond_in(whole, self._speech, wanted=self._wanted)
        if (
            bond is None
            or self._is_told(whole, bond)
            or self._mandate.promises(whole, bond, question=self._asked.text)
        ):
            yield from self._let_through(text)
        else:
            yield from self._refuse(self._ours.no_promise)

    def _is_told(self, whole: str, bond: Bond) -> bool:
        """Whether a day or a sum is told of, as `may_say` lets it."""
        return bond in {Bond.DATE, Bond.MONEY} and self._mandate.may_tell(whole)

    def _recites(self, text: str) -> bool:
        return not self._rules.isdisjoint(_runs(text))

    # ── letting through ──────────────────────────────────────────────────────────────────

    def _let_through(self, text: str) -> Iterator[Thought]:
        yield from self._let_out(text)
        if not self._deferred and _takes_along(text, self._mandate.owner):
            self._deferred = True
            yield Deferred(self._asked.text[:_LONGEST_QUESTION], self._asked.speaker)
        if self._said > self._mandate.longest:
            self.over = True

    def _let_out(self, text: str) -> Iterator[Thought]:
        whole, self._yes = self._yes + text, ""
        self._sentence += text
        spoken = _LINK.sub(self._vouched, whole)
        if spoken.strip():
            self._said += len(spoken)
            yield Aloud(spoken)

    def _vouched(self, match: re.Match[str]) -> str:
        """Let a link through that is one of ours: others' are nothing to pass on in our name."""
        address = match[0].rstrip(_AFTER_LINK)
        if any(address in piece for piece in self._speech.known):
            return match[0]
        return self._ours.no_link + match[0][len(address) :]

    # ── holding back ─────────────────────────────────────────────────────────────────────

    @property
    def _ours(self) -> _Lines:
        return _OURS[GERMAN if self._tongue == GERMAN else "en"]

    def _stop(self, line: str) -> Iterator[Thought]:
        self.over = True
        self._yes = ""
        self._said += len(line)
        yield Aloud(line)

    def _refuse(self, line: str) -> Iterator[Thought]:
        yield from self._stop(line.format(owner=_first(self._mandate.owner)))
        if not self._deferred:
            self._deferred = True
            yield Deferred(self._asked.text[:_LONGEST_QUESTION], self._asked.speaker)


_END = re.compile(r"(?P<line>\n)|[.!?…]+[\"'”’)\]]*(?=\s)\s|(?P<clause>[,;:–—](?=\s)\s)")
_SENTENCE_END = re.compile(r"(?:[.!?…][\"'”’)\]]*\s|\n)\Z")
_LINK = re.compile(r"\b(?:https?://|www\.)\S+|\b[\w.+-]+@[\w-]+\.[\w.]+\b")
_AFTER_LINK = ".,;:!?)]}>\"'"
_TAKES = re.compile(
    r"\bi(?:'ll| will| can| am going to|'m going to) (?:\w+ly |just |also |certainly |of course )*(?:pass|take|bring|ask|tell|relay|forward|let|note|mention|raise|write|check with|leave)\b"
    r"|\bi(?:'ve| have) (?:noted|taken|written)\b|\b(?:ich|das|es) (?:\w+ ){0,5}?(?:nehme|gebe|leite|richte|frage|notiere|sage)\b(?: \w+){0,6}? ?(?:mit|weiter|aus|bescheid|nach)?\b"
    r"|\b(?:nehme|gebe|leite|richte|frage|notiere|sage) ich\b"
)


def _takes_along(text: str, owner: str) -> bool:
    """Whether a sentence of ours says that what was asked is taken to the owner."""
    told = plain(text)
    first = re.escape(_first(plain(owner)))
    return _TAKES.search(told) is not None and (
        re.search(rf"\b(?:{first}|along|on|mit|weiter|note|down)\b", told) is not None
    )


def _runs_of(mandate: Mandate) -> frozenset[str]:
    """Answer the runs of a mandate's rules, between the names that we do say."""
    names = sorted((mandate.name, mandate.owner, _first(mandate.owner)), key=len, reverse=True)
    parted = "|".join(re.escape(name) for name in names if name)
    parts = re.split(parted, mandate.rules) if parted else [mandate.rules]
    return frozenset(run for part in parts for run in _runs(part))


def _runs(text: str) -> frozenset[str]:
    """Answer all runs of a few words of a text, to tell whether another recites it."""
    words = re.findall(r"\w+", plain(text) if len(text) <= 2000 else text.casefold())
    return frozenset(
        " ".join(words[at : at + _RECITED]) for at in range(len(words) - _RECITED + 1)
    )
