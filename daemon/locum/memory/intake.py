"""What of a summary is remembered, and in which compartment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from locum.core.commitments import Promise, Sign, promises_of, same_person, signs_in
from locum.core.compartments import CompartmentRule, compartment_of
from locum.core.consent import series_of
from locum.core.minutes import ActionItem, Claim, Evidence, Minutes
from locum.core.model import Meeting, MeetingKey, OccurrenceKey, Person, SeriesKey
from locum.core.remembered import Compartment, Kind, LineId, Quoted
from locum.core.stems import content_stems, folded
from locum.core.transcript import Utterance
from locum.ports import Summary

_MOST_LINES = 1000
_LONGEST_TEXT = 1000  # Characters.
_LONGEST_QUOTE = 2000
_LONGEST_NAME = 300
_MOST_QUOTES = 8

_ANONYMOUS = re.compile(r"(?:speaker|participant|unknown|guest)?[\W\d_]*", re.IGNORECASE)
"""What a transcript calls somebody whom it can't tell: it says nothing of who was there."""

_TELEPHONE = re.compile(r"\+?[\d\s().*•x-]{7,}")

Face = tuple[str, str]
"""A person as a line knows them: name and address, folded; either may be empty."""


@dataclass(frozen=True)
class Boundaries:
    """How people are told apart: see `[memory]`."""

    own_domains: tuple[str, ...] = ()
    rules: tuple[CompartmentRule, ...] = ()

    def of_meeting(self, meeting: Meeting) -> Compartment:
        """Answer in which compartment a meeting will be."""
        people = [each.person for each in meeting.attendees]
        if meeting.organizer is not None:
            people.append(meeting.organizer)
        owner = next((each.person.email for each in meeting.attendees if each.is_self), "")
        complete = bool(meeting.attendees) and not meeting.attendees_omitted
        return self._of(people, owner, complete=complete)

    def of_person(self, person: Person) -> Compartment:
        """Answer among whom one would be with this person alone."""
        return self._of([person], "", complete=True)

    def of_summary(self, summary: Summary) -> Compartment:
        """Answer in which one a meeting was: whoever spoke counts too."""
        people = [each.person for each in summary.attendees]
        if summary.organizer is not None:
            people.append(summary.organizer)
        owner = next((each.person.email for each in summary.attendees if each.is_self), "")
        known = tuple(people)
        complete = summary.attendees_complete
        for utterance in summary.transcript.utterances:
            if utterance.by_us:
                continue
            if utterance.person is not None:
                people.append(utterance.person)
            elif not _is_among(utterance.speaker, known):
                complete = False
        return self._of(dict.fromkeys(people), owner, complete=complete)

    def _of(self, people: Iterable[Person], owner: str, *, complete: bool) -> Compartment:
        return compartment_of(
            people,
            own_domains=self.own_domains,
            owner_email=owner,
            rules=self.rules,
            complete=complete,
        )


def _is_among(speaker: str, people: Iterable[Person]) -> bool:
    if _TELEPHONE.fullmatch(speaker):
        return False
    if _ANONYMOUS.fullmatch(speaker):
        return True
    return any(
        same_person(speaker, each.name) or same_person(speaker, each.email) for each in people
    )


@dataclass(frozen=True)
class Entry:
    """A line as it comes in; `said` and `around` are the stems by which it is found."""

    id: LineId
    kind: Kind
    text: str
    topic: str
    owner: str | None
    due: date | None
    quotes: tuple[Quoted, ...]
    people: frozenset[Face]
    said: str
    around: str
    promise: Promise | None = None

    def mentions(self, name: str) -> bool:
        """Whether a folded name or address stands in it."""
        texts = (self.text, *(each.quote for each in self.quotes))
        return any(names(text, name) for text in texts)


@dataclass(frozen=True)
class Intake:
    series: SeriesKey
    compartment: Compartment
    language: str
    title: str
    entries: tuple[Entry, ...]
    signs: tuple[tuple[Sign, Face], ...]


def names(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", folded(text)) is not None


def series_of_meeting(meeting: MeetingKey) -> SeriesKey:
    """Answer the series of a meeting's key: an occurrence at a start."""
    return series_of(OccurrenceKey(meeting.rpartition("@")[0]))


def take(summary: Summary, boundaries: Boundaries) -> Intake:
    """Read a summary; nothing stands in what is answered that doesn't stand in it."""
    minutes = summary.minutes
    reader = _Reader(summary, "und" if minutes is None else minutes.language)
    signs = (
        ()
        if minutes is None
        else signs_in(
            summary.transcript, minutes.language, on=summary.start.astimezone().date()
        )
    )
    return Intake(
        series=series_of_meeting(summary.key),
        compartment=boundaries.of_summary(summary),
        language=reader.language,
        title=clean(summary.title, _LONGEST_NAME),
        entries=() if minutes is None else tuple(reader.entries(minutes)),
        signs=tuple((sign, reader.face_of(sign.utterance)) for sign in signs),
    )


def clean(text: str, longest: int) -> str:
    """Answer a text that SQLite can hold: no NUL, no lone surrogate, no endless line."""
    shortened = text[:longest].replace("\0", "")
    return shortened.encode("utf-8", "replace").decode("utf-8")


def _line_id(*parts: str) -> LineId:
    hashed = sha256("\0".join(parts).encode("utf-8", "replace"))
    return LineId(hashed.hexdigest()[:12])


class _Reader:
    def __init__(self, summary: Summary, language: str) -> None:
        self._summary = summary
        self._transcript = summary.transcript
        self._order = {u.id: n for n, u in enumerate(summary.transcript.utterances)}
        self.language = language
        self._seen: set[LineId] = set()

    def entries(self, minutes: Minutes) -> Iterator[Entry]:
        for number, (kind, topic, claim) in enumerate(_claims(minutes)):
            if number == _MOST_LINES:
                return
            text = " ".join(clean(claim.text, _LONGEST_TEXT).split())
            line = _line_id(self._summary.session, self._summary.key, kind.value, text)
            if text and line not in self._seen:
                self._seen.add(line)
                title = clean(topic or self._topic_at(claim, minutes), _LONGEST_NAME)
                yield self._entry(line, kind, text, title, claim)

    def _entry(self, line: LineId, kind: Kind, text: str, topic: str, claim: Claim) -> Entry:
        quotes = tuple(self._quoted(each) for each in claim.evidence[:_MOST_QUOTES])
        item = claim if isinstance(claim, ActionItem) else None
        owner = None if item is None or not item.owner else clean(item.owner, _LONGEST_NAME)
        promise = None
        if item is not None:
            (promise,) = promises_of([(line, item)], self._transcript, self.language)
        faces = {self.face_of(each.utterance) for each in claim.evidence} | self._face(owner)
        around = (topic, self._summary.title, owner or "", *(q.speaker for q in quotes))
        return Entry(
            id=line,
            kind=kind,
            text=text,
            topic=topic,
            owner=owner,
            due=None if item is None else item.due,
            quotes=quotes,
            people=frozenset(faces - {("", "")}),
            said=self._stems(text, *(each.quote for each in quotes)),
            around=self._stems(*around),
            promise=promise,
        )

    def _stems(self, *texts: str) -> str:
        found = (stem for text in texts for stem in content_stems(text, self.language))
        return " ".join(dict.fromkeys(found))

    def _quoted(self, evidence: Evidence) -> Quoted:
        utterance = self._transcript.by_id.get(evidence.utterance)
        return Quoted(
            utterance=clean(evidence.utterance, _LONGEST_NAME),
            quote=clean(evidence.quote, _LONGEST_QUOTE),
            speaker="" if utterance is None else clean(utterance.who, _LONGEST_NAME),
            at=None if utterance is None else utterance.at,
        )

    def _topic_at(self, claim: Claim, minutes: Minutes) -> str:
        """Answer the topic that was spoken of where a claim's evidence stands."""
        places = [
            self._order[e.utterance] for e in claim.evidence if e.utterance in self._order
        ]
        for topic in minutes.topics if places else ():
            first, last = self._order.get(topic.first), self._order.get(topic.last)
            if first is not None and last is not None and first <= places[0] <= last:
                return topic.title
        return ""

    # Who it is about.

    def face_of(self, utterance: str) -> Face:
        return _face(self._transcript.by_id.get(utterance))

    def _face(self, owner: str | None) -> set[Face]:
        if owner is None:
            return set()
        name = folded(owner)
        for each in self._summary.attendees:
            if name in {folded(each.person.name), folded(each.person.email)}:
                return {(folded(each.person.name), folded(each.person.email))}
        return {("", name) if "@" in name else (name, "")}


def _face(utterance: Utterance | None) -> Face:
    if utterance is None:
        return "", ""
    if utterance.person is None:
        return clean(folded(utterance.speaker), _LONGEST_NAME), ""
    name, address = utterance.person.name or utterance.speaker, utterance.person.email
    return clean(folded(name), _LONGEST_NAME), clean(folded(address), _LONGEST_NAME)


def _claims(minutes: Minutes) -> Iterator[tuple[Kind, str, Claim]]:
    sections: tuple[tuple[Kind, tuple[Claim, ...]], ...] = (
        (Kind.DECISION, minutes.decisions),
        (Kind.COMMITMENT, minutes.actions),
        (Kind.QUESTION, minutes.questions),
        (Kind.ASKED, minutes.asked),
    )
    for kind, claims in sections:
        for claim in claims:
            yield kind, "", claim
    for topic in minutes.topics:
        for claim in topic.points:
            yield Kind.POINT, topic.title, claim
    for claim in minutes.tldr:
        yield Kind.POINT, "", claim
