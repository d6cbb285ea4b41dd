"""What the memory tests share: meetings that were held, and a memory that hears of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from locum.core.minutes import ActionItem, Claim, Evidence, Minutes, Topic
from locum.core.model import Answer, Attendee, MeetingKey, Person, SessionKey, instant_label
from locum.core.transcript import Transcript, Utterance
from locum.memory import Boundaries, Memory, WishFile, open_file
from locum.ports import Attendance, Summary
from tests.unit.builders import TEN, room

OWNER = Person("alex@own.example", "Alex Owner")
COLLEAGUE = Person("kim@own.example", "Kim Colleague")
DANA = Person("dana@acme.example", "Dana Client")
BEN = Person("ben@beta.example", "Ben Client")
WEEK = timedelta(days=7)


def attendee(person: Person) -> Attendee:
    return Attendee(person, Answer.ACCEPTED, is_self=person == OWNER)


@dataclass
class Held:
    """A meeting as it goes: who says what, and what is made of it.

    What a line is made of is said by somebody first; so every line has its quote.
    """

    series: str = "weekly"
    week: int = 0
    people: tuple[Person, ...] = (OWNER, COLLEAGUE)
    title: str = "Weekly sync"
    language: str = "en"
    edition: int = 1
    complete: bool = True
    said: list[Utterance] = field(default_factory=list)
    decisions: list[Claim] = field(default_factory=list)
    actions: list[ActionItem] = field(default_factory=list)
    questions: list[Claim] = field(default_factory=list)
    topics: list[Topic] = field(default_factory=list)

    @property
    def start(self) -> datetime:
        return TEN + self.week * WEEK

    def says(self, text: str, by: Person | str = COLLEAGUE) -> Evidence:
        number = len(self.said) + 1
        self.said.append(
            Utterance(
                id=f"u{number}",
                speaker=by if isinstance(by, str) else by.name,
                text=text,
                at=self.start + timedelta(minutes=number),
                person=None if isinstance(by, str) else by,
            )
        )
        return Evidence(f"u{number}", text)

    def decides(self, text: str, by: Person | str = COLLEAGUE) -> None:
        self.decisions.append(Claim(text, (self.says(text, by),)))

    def asks(self, text: str, by: Person | str = COLLEAGUE) -> None:
        self.questions.append(Claim(text, (self.says(text, by),)))

    def promises(
        self, text: str, by: Person | str = COLLEAGUE, due: date | None = None, **changes: Any
    ) -> None:
        name = by if isinstance(by, str) else by.name
        item = ActionItem(
            text, (self.says(text, by),), owner=changes.get("owner", name), due=due
        )
        self.actions.append(item)

    def summary(self) -> Summary:
        occurrence = f"{self.series}@google.com/{instant_label(self.start)}"
        key = MeetingKey(f"{occurrence}@{instant_label(self.start)}")
        return Summary(
            key=key,
            session=SessionKey(key),
            title=self.title,
            start=self.start,
            end=self.start + timedelta(minutes=30),
            room=room(),
            organizer=self.people[0] if self.people else None,
            invited=tuple(each.label for each in self.people),
            persona="Robin (AI stand-in for Alex Owner)",
            engine="stage",
            attendance=Attendance(self.start, None, None, "", 1),
            source="our own ears",
            notes=(),
            unknown=(),
            transcript=Transcript(tuple(self.said)),
            minutes=Minutes(
                written_by="test",
                language=self.language,
                decisions=tuple(self.decisions),
                actions=tuple(self.actions),
                questions=tuple(self.questions),
                topics=tuple(self.topics),
            ),
            edition=self.edition,
            attendees=tuple(attendee(each) for each in self.people),
            attendees_complete=self.complete and bool(self.people),
        )


def opened(
    folder: Path, boundaries: Boundaries | None = None, *, use_fts: bool = True
) -> Memory:
    file, _ = open_file(folder / "memory.sqlite3", now=TEN, use_fts=use_fts)
    wishes = WishFile(folder / "memory-wishes.json")
    return Memory(file, wishes, boundaries or Boundaries())


def told(memory: Memory, meetings: Iterable[Held]) -> Sequence[Summary]:
    summaries = [each.summary() for each in meetings]
    for summary in summaries:
        memory.remember(summary)
    return summaries
