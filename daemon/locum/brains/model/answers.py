"""What a model is asked to answer, and what is made of it: nothing in it is trusted.

Missing keys are forgiven and strange ones passed over; what is too long or too much is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone

from pydantic import BaseModel, ConfigDict, Field

from locum.brains.model.settings import Resolve
from locum.brains.model.windows import UNSPACED
from locum.core.minutes import (
    ActionItem,
    Claim,
    Evidence,
    Minutes,
    Occasion,
    Topic,
    hold_to_evidence,
)
from locum.core.transcript import Transcript, Utterance

_MOST_CLAIMS = 40  # Of one kind, in one window.
_MOST_QUOTES = 6
_LONGEST_TEXT = 1000
_LONGEST_TITLE = 120
_LANGUAGE = re.compile(r"[a-z]{2}")
_LIKELY = timedelta(days=400)


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class SaidQuote(_Said):
    id: str = Field(description="the id of the utterance that the quote stands in")
    quote: str = Field(description="a part of what was said, word for word, never rephrased")


class SaidClaim(_Said):
    text: str = Field(description="one short sentence, in the language of the meeting")
    quotes: list[SaidQuote] = Field(default=[], description="what proves it: one or two")


class SaidAction(SaidClaim):
    owner: str | None = Field(
        default=None,
        description="who does it, by the name that the meeting uses; null if unsaid",
    )
    due: str | None = Field(default=None, description="the day, as YYYY-MM-DD; null if unsaid")
    due_said: str | None = Field(
        default=None,
        description="how the day was said, word for word in a quote; null if unsaid",
    )


class SaidTopic(_Said):
    title: str = Field(description="two to six words")
    first: str = Field(description="the id of its first utterance")
    last: str = Field(description="the id of its last utterance")
    points: list[SaidClaim] = Field(default=[], description="at most three")


class SaidMinutes(_Said):
    """The minutes of one meeting, or of a part of one."""

    language: str = Field(default="und", description="the meeting's, as ISO 639-1")
    tldr: list[SaidClaim] = Field(description="what it came to, in one to three sentences")
    decisions: list[SaidClaim] = Field(
        default=[], description="what was decided, without what was only offered or taken back"
    )
    actions: list[SaidAction] = Field(
        default=[], description="what somebody promised, or was given and took"
    )
    questions: list[SaidClaim] = Field(default=[], description="questions that stayed open")
    asked: list[SaidClaim] = Field(
        default=[], description="what was asked of the owner, or of the stand-in for the owner"
    )
    topics: list[SaidTopic] = Field(default=[], description="in their order, without gaps")
    unclear: list[SaidClaim] = Field(
        default=[], description="what could not be understood, or was left contradictory"
    )


class SaidTogether(_Said):
    text: str = Field(description="one short sentence, in the language of the claims")
    claims: list[str] = Field(default=[], description="ids of the claims that it rests on")


class SaidMerge(_Said):
    """How the minutes of a meeting's parts come together."""

    tldr: list[SaidTogether] = Field(description="the whole meeting, in one to five sentences")
    same: list[list[str]] = Field(
        default=[], description="groups of ids of claims of one section that say the same"
    )
    withdrawn: list[str] = Field(
        default=[], description="ids of decisions and actions that a later claim takes back"
    )


class SaidReply(_Said):
    """The answer to a question, from passages alone."""

    answer: str | None = Field(default=None, description="null where the passages don't tell")
    cited: list[str] = Field(default=[], description="ids of the passages that carry it")


@dataclass(frozen=True)
class Reading:
    """What turns words about days into days; see `settings.Resolve`."""

    occasion: Occasion
    resolve: Resolve | None = None

    def minutes(self, said: SaidMinutes, transcript: Transcript, *, by: str) -> Minutes:
        """Make minutes of an answer, and hold them to what was said in `transcript`."""
        code = said.language.strip().lower().partition("-")[0]
        made = Minutes(
            written_by=by,
            language=code if _LANGUAGE.fullmatch(code) else "und",
            tldr=_claims(said.tldr),
            decisions=_claims(said.decisions),
            actions=tuple(_action(each) for each in said.actions[:_MOST_CLAIMS]),
            questions=_claims(said.questions),
            asked=_claims(said.asked),
            topics=tuple(_topic(each) for each in said.topics[:_MOST_CLAIMS]),
            unclear=_claims(said.unclear),
        )
        held = hold_to_evidence(made, transcript)
        dated = tuple(self._dated(item, transcript) for item in held.actions)
        return replace(held, actions=dated)

    def _dated(self, item: ActionItem, transcript: Transcript) -> ActionItem:
        """Let a day count only if its words stand in a quoted utterance and mean that day."""
        proof = _utterance_saying(item, transcript.by_id)
        if item.due_said is None or proof is None:
            return replace(item, due=None, due_said=None)
        on = self._day_of(proof)
        due = item.due
        if self.resolve is not None:
            due = None if on is None else self.resolve(item.due_said, on=on)
        elif due is not None and (on is None or abs(due - on) > _LIKELY):
            due = None
        return replace(item, due=due)

    def _day_of(self, utterance: Utterance) -> date | None:
        instant: datetime | None = utterance.at or self.occasion.start
        if instant is None:
            return None
        offset = timedelta(minutes=self.occasion.utc_offset_minutes)
        return (instant.astimezone(timezone.utc) + offset).date()


def _claims(said: Iterable[SaidClaim]) -> tuple[Claim, ...]:
    return tuple(Claim(*_core(each)) for each in list(said)[:_MOST_CLAIMS])


def _core(said: SaidClaim) -> tuple[str, tuple[Evidence, ...]]:
    quotes = tuple(Evidence(each.id, each.quote) for each in said.quotes[:_MOST_QUOTES])
    return _short(said.text, _LONGEST_TEXT), quotes


def _action(said: SaidAction) -> ActionItem:
    owner = _short(said.owner or "", _LONGEST_TITLE) or None
    due_said = _short(said.due_said or "", _LONGEST_TITLE) or None
    return ActionItem(*_core(said), owner=owner, due=_day(said.due), due_said=due_said)


def _topic(said: SaidTopic) -> Topic:
    title = _short(said.title, _LONGEST_TITLE) or "…"
    return Topic(title, said.first, said.last, points=_claims(said.points))


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        return None


def _short(text: str, most: int) -> str:
    return " ".join(text[: most * 2].split())[:most]


def _utterance_saying(item: ActionItem, by_id: Mapping[str, Utterance]) -> Utterance | None:
    wanted = _words(item.due_said or "")
    for evidence in item.evidence:
        utterance = by_id[evidence.utterance]
        said = _words(utterance.text)
        # Where words aren't parted by blanks, a part of a run is as good as a word.
        if wanted and (
            f" {wanted} " in f" {said} " or (_is_unspaced(wanted) and wanted in said)
        ):
            return utterance
    return None


def _is_unspaced(text: str) -> bool:
    return UNSPACED.search(text) is not None


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
