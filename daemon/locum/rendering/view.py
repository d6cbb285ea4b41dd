"""A summary as a template sees it: lines with numbered evidence, and texts that are ready.

The first screen has at most so many lines of each kind; the rest stands in the details. Each
quote has one number, wherever it is cited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from locum.core.minutes import ActionItem, Claim, Commitment, Evidence, Minutes
from locum.core.model import EndReason
from locum.core.transcript import Share, Transcript
from locum.ports import Summary
from locum.rendering.text import clock_time, day, lasted, span
from locum.rendering.twin import as_json
from locum.rendering.words import Words, words_in

_HOW_IT_ENDED = {
    EndReason.SCHEDULED_END: "it left at the planned end",
    EndReason.MEETING_OVER: "the meeting was over",
    EndReason.ROOM_EMPTY: "the room was empty",
    EndReason.CANCELLED: "the meeting was cancelled",
    EndReason.DECLINED: "the invitation was declined",
    EndReason.MOVED: "the meeting was moved",
    EndReason.LINK_CHANGED: "the meeting's link was changed",
    EndReason.UNWANTED: "the calendar no longer asked for it",
    EndReason.STOPPED_BY_USER: "you made it leave",
    EndReason.OPTED_OUT: "somebody opted out of having a stand-in there",
    EndReason.LENGTH_CAP: "it had been in for the longest time that the config allows",
    EndReason.SHUTDOWN: "locum was stopped",
    EndReason.NOT_ADMITTED: "nobody let it in",
    EndReason.DENIED: "it was denied entry",
    EndReason.REMOVED: "somebody removed it",
    EndReason.ENGINE_LOST: "the engine lost the meeting",
    EndReason.ENGINE_REFUSED: "the engine refused to join",
    EndReason.LOST_JOIN: "the engine's answer to the join was lost",
    EndReason.TOO_LATE: "it was over before the join",
}

_MOST = {"tldr": 4, "carried": 3, "decisions": 4, "actions": 5, "asked": 3, "questions": 3}
"""Lines of each kind on the first screen: with headings and the record, at most 46 in all."""


_DAY_IN_TEXT = re.compile(r" \((?:by|bis) [^()]{2,30}\)")
"""How our own rules write a day into a task."""


@dataclass(frozen=True)
class Quote:
    number: int
    who: str
    time: str  #: HH:MM, local; empty where the transcript has no instants.
    text: str


@dataclass(frozen=True)
class Line:
    """A claim, with the numbers of the quotes that prove it."""

    text: str
    cites: tuple[int, ...]
    owner: str = ""
    due: str = ""
    due_said: str = ""


@dataclass(frozen=True)
class Section:
    """What stands on the first screen, and what didn't fit there."""

    first: tuple[Line, ...] = ()
    rest: tuple[Line, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.first)


@dataclass(frozen=True)
class CarriedLine:
    text: str
    owner: str
    due: str
    promised: str
    is_late: bool


@dataclass(frozen=True)
class TopicLine:
    title: str
    time: str
    points: tuple[Line, ...]


@dataclass(frozen=True)
class ShareLine:
    speaker: str
    percent: int
    words: int
    turns: int


@dataclass(frozen=True)
class View:
    """All that a template can show. Every text is raw: escaping is the environment's."""

    title: str
    when: str
    room: str
    persona: str
    owner: str
    ending: str
    presence: str  #: Empty where we never were in.
    detail: str
    attempts: int
    cost: str
    source: str
    edition: int
    awaited: tuple[str, ...]
    notes: tuple[Any, ...]
    unknown: tuple[str, ...]
    organizer: str
    invited: tuple[str, ...]
    present: tuple[str, ...]
    front_matter: Mapping[str, Any]
    words: Words
    carried: tuple[CarriedLine, ...]
    carried_more: int
    has_minutes: bool
    tldr: Section
    decisions: Section
    actions: Section
    asked: Section
    questions: Section
    topics: tuple[TopicLine, ...]
    shares: tuple[ShareLine, ...]
    unclear: tuple[Line, ...]
    quotes: tuple[Quote, ...]
    dropped: int
    written_by: str
    remark: str


@dataclass
class _Quotes:
    """Numbers quotes in the order in which they are first cited."""

    transcript: Transcript
    found: dict[Evidence, Quote] = field(default_factory=dict)

    def numbers(self, evidence: Sequence[Evidence]) -> tuple[int, ...]:
        return tuple(self._number(each) for each in evidence)

    def _number(self, evidence: Evidence) -> int:
        if evidence not in self.found:
            utterance = self.transcript.by_id[evidence.utterance]
            self.found[evidence] = Quote(
                len(self.found) + 1, utterance.who, clock_time(utterance.at), evidence.quote
            )
        return self.found[evidence].number

    def line(self, claim: Claim) -> Line:
        cites = self.numbers(claim.evidence)
        if isinstance(claim, ActionItem):
            return _task(claim, cites)
        return Line(claim.text, cites)

    def section(self, kind: str, claims: Sequence[Claim]) -> Section:
        lines = tuple(self.line(claim) for claim in claims)
        return Section(lines[: _MOST[kind]], lines[_MOST[kind] :])


def _task(item: ActionItem, cites: tuple[int, ...]) -> Line:
    """Answer what is to be done, without the owner and the day that stand beside it."""
    owner, text = item.owner or "", item.text
    if owner:
        text = text.removeprefix(f"{owner}: ").removeprefix(f"{owner} ")
    if item.due is not None:
        text = _DAY_IN_TEXT.sub("", text)
    return Line(text, cites, owner, day(item.due), item.due_said or "")


def view_of(summary: Summary) -> View:
    minutes = summary.minutes or Minutes(written_by="")
    quotes = _Quotes(summary.transcript)
    sections = {
        kind: quotes.section(kind, getattr(minutes, kind))
        for kind in ("tldr", "decisions", "actions", "asked", "questions")
    }
    topics = tuple(
        TopicLine(
            topic.title,
            clock_time(topic.began_at),
            tuple(quotes.line(point) for point in topic.points),
        )
        for topic in minutes.topics
    )
    unclear = tuple(quotes.line(claim) for claim in minutes.unclear)
    attendance = summary.attendance
    organizer = "" if summary.organizer is None else summary.organizer.label
    ending = attendance.end_reason
    cost = summary.estimated_cost
    return View(
        title=summary.title,
        when=span(summary.start, summary.end),
        room=summary.room.url,
        persona=summary.persona,
        owner=summary.owner,
        ending="" if ending is None else _HOW_IT_ENDED[ending],
        presence=_presence(summary),
        detail=attendance.detail,
        attempts=attendance.attempts,
        cost="" if cost is None else f"{cost:.2f} {summary.currency}",
        source=summary.source,
        edition=summary.edition,
        awaited=summary.awaited,
        notes=summary.notes,
        unknown=summary.unknown,
        organizer=organizer,
        invited=tuple(label for label in summary.invited if label != organizer),
        present=summary.present,
        front_matter=_front_matter(summary),
        words=words_in(minutes.language),
        carried=tuple(_carried(each) for each in summary.carried[: _MOST["carried"]]),
        carried_more=max(len(summary.carried) - _MOST["carried"], 0),
        has_minutes=summary.minutes is not None,
        **sections,
        topics=topics,
        shares=_shares(minutes.shares),
        unclear=unclear,
        quotes=tuple(quotes.found.values()),
        dropped=minutes.dropped,
        written_by=minutes.written_by,
        remark=minutes.remark,
    )


def _presence(summary: Summary) -> str:
    attendance = summary.attendance
    if attendance.joined_at is None or attendance.left_at is None:
        return ""
    stay = span(attendance.joined_at, attendance.left_at, seconds=True)
    return f"{stay} ({lasted(attendance.left_at - attendance.joined_at)})"


def _carried(commitment: Commitment) -> CarriedLine:
    return CarriedLine(
        commitment.text,
        commitment.owner or "",
        day(commitment.due),
        day(commitment.promised_at.astimezone().date()),
        commitment.is_late,
    )


def _shares(shares: Sequence[Share]) -> tuple[ShareLine, ...]:
    total = sum(share.words for share in shares) or 1
    return tuple(
        ShareLine(each.speaker, round(100 * each.words / total), each.words, each.turns)
        for each in shares
    )


def _front_matter(summary: Summary) -> dict[str, Any]:
    twin = as_json(summary)
    attendance = twin["attendance"]
    cost = twin["estimated_cost"]
    return {
        "title": twin["title"],
        "start": twin["start"],
        "end": twin["end"],
        "organizer": twin["organizer"],
        "persona": twin["persona"],
        "identity": None if summary.identity is None else summary.identity.digest,
        "engine": twin["engine"],
        "joined_at": attendance["joined_at"],
        "left_at": attendance["left_at"],
        "end_reason": attendance["end_reason"],
        "estimated_cost": None if cost is None else cost["amount"],
        "edition": twin["edition"],
        "key": twin["key"],
    }
