"""One room as the meeting page shows it: who is at the page, what they are told, and when.

The room itself (who is present, what was said) is `Rooms`'; this adds what only the page has:
lobby, chat, hands, captions, notices. `MeetStage` owns these, under its lock.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from locum.rehearsal.meet.captions import Revision, revisions
from locum.rehearsal.meet.participants import Participant, Phase
from locum.rehearsal.meet.protocol import ToPage
from locum.rehearsal.meet.settings import Consent
from locum.rehearsal.rooms import RoomEvent, Rooms, Visit, VisitId

_KEPT_CHAT = 1_000
_KEPT_GONE = 200
MOST_AT_THE_PAGE = 100
"""Connections to one room, the lobby included."""


@dataclass(frozen=True)
class ChatLine:
    number: int
    at: datetime
    id: str
    name: str
    text: str

    def as_json(self) -> ToPage:
        return {
            "type": "chat",
            "number": self.number,
            "id": self.id,
            "name": self.name,
            "text": self.text,
            "at": self.at.isoformat(),
        }


@dataclass(frozen=True)
class Recorded:
    """A person's line as a sound file, and how long it takes."""

    file: Path
    lasts: timedelta


@dataclass
class _Line:
    """A line of captions that isn't final yet."""

    number: int
    id: str
    name: str
    left: deque[Revision]
    now: str = ""


def participant_id(room: str, visit: VisitId) -> str:
    return f"spaces/{room}/devices/{visit}"


@dataclass
class Meeting:
    room: str
    at_the_page: list[Participant] = field(default_factory=list)
    chat: deque[ChatLine] = field(default_factory=lambda: deque(maxlen=_KEPT_CHAT))
    raised: set[VisitId] = field(default_factory=set)
    notices: set[Consent] = field(default_factory=set)
    speaking: set[str] = field(default_factory=set)
    lines: list[_Line] = field(default_factory=list)
    gone: deque[Participant] = field(default_factory=lambda: deque(maxlen=_KEPT_GONE))
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def inside(self) -> list[Participant]:
        return [each for each in self.at_the_page if each.phase is Phase.IN]

    def put_out(self, participant: Participant) -> None:
        if participant in self.at_the_page:
            self.at_the_page.remove(participant)
            self.gone.append(participant)

    def tell_all(self, message: ToPage) -> None:
        for each in self.inside():
            each.send(message)

    # ── chat ─────────────────────────────────────────────────────────────────────────────

    def write(self, event: RoomEvent) -> None:
        """Show everybody what somebody wrote."""
        who = "" if event.visit is None else participant_id(self.room, event.visit)
        line = ChatLine(next(self._numbers), event.at, who, event.name, event.text)
        self.chat.append(line)
        self.tell_all(line.as_json())

    # ── captions ─────────────────────────────────────────────────────────────────────────

    def caption(self, event: RoomEvent, lasts: timedelta | None = None) -> None:
        """Begin a line of captions for what somebody says, which takes so long."""
        who = "" if event.visit is None else participant_id(self.room, event.visit)
        steps = deque(revisions(event.text, event.at, lasts))
        self.lines.append(_Line(next(self._numbers), who, event.name, steps))
        self.speaking.add(who)

    def revise(self, now: datetime) -> None:
        """Tell whoever reads captions what the lines read by now."""
        for line in list(self.lines):
            newest: Revision | None = None
            while line.left and line.left[0].at <= now:
                newest = line.left.popleft()
            if newest is None:
                continue
            line.now = newest.text
            message = self._caption(line, final=newest.final)
            for each in self.inside():
                if each.captions:
                    each.send(message)
            if newest.final:
                self.lines.remove(line)
                if all(other.id != line.id for other in self.lines):
                    self.speaking.discard(line.id)

    def open_lines(self) -> Iterator[ToPage]:
        """Answer the lines that are being spoken, for who switches captions on meanwhile."""
        for line in self.lines:
            if line.now:
                yield self._caption(line, final=False)

    def _caption(self, line: _Line, *, final: bool) -> ToPage:
        return {
            "type": "caption",
            "line": line.number,
            "id": line.id,
            "name": line.name,
            "text": line.now,
            "final": final,
        }

    # ── roster ───────────────────────────────────────────────────────────────────────────

    def roster(self, present: tuple[Visit, ...], host: VisitId | None) -> list[ToPage]:
        here = {each.visit: each for each in self.at_the_page if each.visit is not None}
        return [self._entry(visit, here.get(visit.id), host) for visit in present]

    def _entry(
        self, visit: Visit, participant: Participant | None, host: VisitId | None
    ) -> ToPage:
        who = participant_id(self.room, visit.id)
        speaking = who in self.speaking
        if participant is not None:
            speaking = participant.speaking and participant.microphone
        return {
            "id": who,
            "name": visit.name,
            "host": visit.id == host,
            "muted": participant is not None and not participant.microphone,
            "camera": participant is None or participant.camera,
            "hand": visit.id in self.raised,
            "speaking": speaking,
        }

    def tell_roster(self, rooms: Rooms) -> None:
        """Tell those inside who is there, where it isn't what they were told last."""
        present = rooms.present(self.room)
        people = self.roster(present, _host(present))
        shape = tuple(tuple(person.values()) for person in people)
        for each in self.inside():
            if each.told_roster != shape:
                each.told_roster = shape
                each.send({"type": "roster", "people": people})


def _host(present: tuple[Visit, ...]) -> VisitId | None:
    """Who hosts: the person that has been here longest."""
    people = [visit for visit in present if not visit.is_bot]
    return min((visit.id for visit in people), default=None)
