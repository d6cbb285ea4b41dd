"""What is concluded from a transcript, every line of it with its evidence.

Whoever wrote the minutes, a language model or our own rules, `hold_to_evidence` lets only
those claims through whose quotes stand in the transcript word for word, and counts the rest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TypeVar

from locum.core.model import Person
from locum.core.transcript import Share, Transcript, shares

_LONGEST_CLAIM = 1000  # Characters.
_LONGEST_TITLE = 200
_LONGEST_QUOTE = 2000
_MOST_EVIDENCE = 8
_FEWEST_WORDS = 3

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Thai, Lao, kana and Han: written without spaces between words."""


@dataclass(frozen=True)
class Evidence:
    """A quote, word for word, and the id of the utterance in which it stands."""

    utterance: str
    quote: str


@dataclass(frozen=True)
class Claim:
    """One line of the minutes."""

    text: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class ActionItem(Claim):
    """What somebody promised or was given to do.

    `owner` is a name as the meeting knows it, `due` a day in the meeting's time zone; each is
    None where nobody said it. `due_said` is how it was said ("by Friday").
    """

    owner: str | None = None
    due: date | None = None
    due_said: str | None = None


@dataclass(frozen=True)
class Topic:
    """A stretch of the meeting about one thing, from utterance `first` to `last` (ids)."""

    title: str
    first: str
    last: str
    began_at: datetime | None = None
    ended_at: datetime | None = None
    points: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Minutes:
    """What one meeting came to.

    `tldr` is the meeting in a few sentences. `asked` is what was asked of the owner. `unclear`
    is what could not be understood, or was left contradictory. `language` is the meeting's, as
    an ISO 639-1 code ("und" where it can't be told). `dropped` counts the claims that had no
    evidence, and so don't stand here. `written_by` names the brain; `remark` is what it has to
    say of its work, such as that it had to stand in for another one.
    """

    written_by: str
    language: str = "und"
    tldr: tuple[Claim, ...] = ()
    decisions: tuple[Claim, ...] = ()
    actions: tuple[ActionItem, ...] = ()
    questions: tuple[Claim, ...] = ()
    asked: tuple[Claim, ...] = ()
    topics: tuple[Topic, ...] = ()
    shares: tuple[Share, ...] = ()
    unclear: tuple[Claim, ...] = ()
    dropped: int = 0
    remark: str = ""


@dataclass(frozen=True)
class Commitment:
    """Something promised earlier in the series that isn't done yet: see `locum.memory`."""

    text: str
    owner: str | None
    due: date | None
    promised_at: datetime
    is_late: bool = False


@dataclass(frozen=True)
class Occasion:
    """What is known of a meeting beside what was said: a brain's other input.

    `utc_offset_minutes` is the meeting's place on the clock at its start, for relative dates.
    `owner` is whom the stand-in (`stand_in`, its display name) stood in for.
    """

    title: str = ""
    start: datetime | None = None
    end: datetime | None = None
    owner: str = ""
    stand_in: str = ""
    people: tuple[Person, ...] = ()
    utc_offset_minutes: int = 0
    carried: tuple[Commitment, ...] = ()


# ── evidence ─────────────────────────────────────────────────────────────────────────────


def hold_to_evidence(minutes: Minutes, transcript: Transcript) -> Minutes:
    """Drop every claim without a quote that stands in the transcript; count what was dropped.

    A quote is compared word for word, without regard to case and punctuation, and what is kept
    is the utterance's own text at that place. One that stands in another utterance than it
    names is moved there. Owners who are neither named in the transcript nor speak in it become
    None, as do a due day and its words (`due_said`) if these stand in none of the quoted
    utterances.
    Topics take their instants from their utterances, and shares are reckoned anew.
    """
    court = _Court(transcript)
    kept = replace(
        minutes,
        tldr=court.claims(minutes.tldr),
        decisions=court.claims(minutes.decisions),
        actions=tuple(court.action(each) for each in court.claims(minutes.actions)),
        questions=court.claims(minutes.questions),
        asked=court.claims(minutes.asked),
        unclear=court.claims(minutes.unclear),
        topics=tuple(court.topic(topic) for topic in minutes.topics if court.spans(topic)),
        shares=shares(transcript.utterances),
    )
    return replace(kept, dropped=minutes.dropped + court.dropped)


_ClaimT = TypeVar("_ClaimT", bound=Claim)


class _Court:
    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._order = {u.id: n for n, u in enumerate(transcript.utterances)}
        self._known: frozenset[str] | None = None
        self.dropped = 0

    def claims(self, claims: Iterable[_ClaimT]) -> tuple[_ClaimT, ...]:
        kept: list[_ClaimT] = []
        for claim in claims:
            text = " ".join(claim.text.split())[:_LONGEST_CLAIM]
            evidence = self._proved(claim)
            if evidence and text:
                kept.append(replace(claim, text=text, evidence=evidence))
            else:
                self.dropped += 1
        return tuple(kept)

    def _proved(self, claim: Claim) -> tuple[Evidence, ...]:
        found = (self._find(evidence) for evidence in claim.evidence[:_MOST_EVIDENCE])
        return tuple(dict.fromkeys(each for each in found if each is not None))

    def _find(self, evidence: Evidence) -> Evidence | None:
        pattern = _pattern(evidence.quote)
        if pattern is None:
            return None
        named = self._transcript.by_id.get(evidence.utterance)
        first = () if named is None else (named,)
        for utterance in (*first, *self._transcript.utterances):
            match = pattern.search(utterance.text)
            if match is not None and _says_enough(match[0], utterance.text):
                return Evidence(utterance.id, match[0])
        return None

    def action(self, item: ActionItem) -> ActionItem:
        if item.owner is not None and not self._knows(item.owner):
            item = replace(item, owner=None)
        if (item.due is not None or item.due_said) and not self._is_said(item):
            item = replace(item, due=None, due_said=None)
        return item

    def _knows(self, name: str) -> bool:
        if self._known is None:
            texts = (part for u in self._transcript.utterances for part in (u.text, u.who))
            self._known = frozenset(word for text in texts for word in _words(text))
        return any(word in self._known for word in _words(name))

    def _is_said(self, item: ActionItem) -> bool:
        pattern = _pattern(item.due_said or "")
        return pattern is not None and any(
            pattern.search(self._transcript.by_id[evidence.utterance].text)
            for evidence in item.evidence
        )

    def spans(self, topic: Topic) -> bool:
        first, last = self._order.get(topic.first), self._order.get(topic.last)
        return first is not None and last is not None and first <= last

    def topic(self, topic: Topic) -> Topic:
        by_id = self._transcript.by_id
        first, last = by_id[topic.first], by_id[topic.last]
        return replace(
            topic,
            title=" ".join(topic.title.split())[:_LONGEST_TITLE],
            points=self.claims(topic.points),
            began_at=first.at,
            ended_at=last.until or last.at,
        )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def _pattern(quote: str) -> re.Pattern[str] | None:
    """Answer what finds a quote's words in a text, whatever stands between them."""
    words = re.findall(r"\w+", quote[:_LONGEST_QUOTE])
    if not words:
        return None
    inner = r"\W+".join(re.escape(word) for word in words)
    # Where words aren't parted by spaces, a quote may begin and end in the middle of a run.
    before = "" if _UNSPACED.match(words[0][0]) else r"(?<!\w)"
    after = "" if _UNSPACED.match(words[-1][-1]) else r"(?!\w)"
    return re.compile(before + inner + after, re.IGNORECASE)


def _says_enough(quote: str, text: str) -> bool:
    """Whether a quote proves anything: a word or two do only where nothing else was said."""
    words = _words(quote)
    if len(words) >= _FEWEST_WORDS or words == _words(text):
        return True
    return sum(bool(_UNSPACED.match(each)) for each in quote) >= 2 * _FEWEST_WORDS
