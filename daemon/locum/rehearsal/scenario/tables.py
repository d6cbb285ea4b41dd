"""A rehearsal's tables: who is invited to what, who comes and says what, and what goes wrong."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field

from locum.core.model import Answer
from locum.rehearsal.faults import Fault
from locum.rehearsal.meet.settings import PageSettings
from locum.rehearsal.model import ModelSettings
from locum.rehearsal.pikastate import PikaSettings
from locum.rehearsal.rooms import RoomStep, StepKind
from locum.rehearsal.scenario.talk import Earlier, Filed, Hearing, Talk
from locum.rehearsal.scenario.values import (
    STRICT,
    Address,
    EventId,
    MeetCode,
    Name,
    Offset,
    RoomCode,
    Text,
)
from locum.rehearsal.scenario.world import Conduct, Contact, Folder

FAULT_FIELDS = "(its fields)"  # No key that a file would have by chance.


@dataclass(frozen=True)
class Owner:
    """Whose calendar is watched, and whom the stand-in stands in for."""

    __pydantic_config__ = STRICT
    email: Address
    name: Name


@dataclass(frozen=True)
class ScenarioPersona:
    """Who goes. `conduct` is how it behaves in a conversation, on our own engine."""

    __pydantic_config__ = STRICT
    display_name: Name = "Robin"
    instructions: Text = ""
    conduct: Conduct = field(default_factory=Conduct)


@dataclass(frozen=True)
class ScenarioAttendee:
    """`answer` is as Google writes it: accepted, declined, tentative or needsAction."""

    __pydantic_config__ = STRICT
    email: Address
    name: str = ""
    answer: Answer = Answer.UNANSWERED
    optional: bool = False


@dataclass(frozen=True)
class ScenarioEvent:
    """One invitation. The owner is invited only if listed; `recurrence` holds RRULE lines."""

    __pydantic_config__ = STRICT
    id: EventId
    title: Text
    starts_at: Offset
    duration: Offset
    organizer: Address
    organizer_name: str = ""
    attendees: tuple[ScenarioAttendee, ...] = ()
    meet: MeetCode | None = None
    description: Text = ""
    location: Text = ""
    recurrence: tuple[Annotated[str, Field(max_length=500)], ...] = ()

    @property
    def ends_at(self) -> timedelta:
        return self.starts_at + self.duration

    @property
    def meet_url(self) -> str | None:
        return None if self.meet is None else f"https://meet.google.com/{self.meet}"


class EditKind(enum.Enum):
    PATCH = "patch"  #: New `title`, `description`, `location` or `meet`.
    CANCEL = "cancel"
    EXTEND = "extend"  #: The end moves `by` seconds (negative: earlier).
    MOVE = "move"  #: The start moves `to` another offset, the duration stays.
    DECLINE = "decline"  #: `attendee` declines; the owner if none is given.


@dataclass(frozen=True)
class ScenarioEdit:
    """What somebody changes in the calendar at `at`."""

    __pydantic_config__ = STRICT
    at: Offset
    event: EventId
    kind: EditKind
    by: Offset | None = None
    to: Offset | None = None
    attendee: Address | None = None
    title: Text | None = None
    description: Text | None = None
    location: Text | None = None
    meet: MeetCode | None = None


@dataclass(frozen=True)
class Says:
    __pydantic_config__ = STRICT
    at: Offset
    text: Annotated[str, Field(min_length=1, max_length=2_000)]


_ACTS = {
    "raises_hand_at": StepKind.RAISE_HAND,
    "lowers_hand_at": StepKind.LOWER_HAND,
    "admits_at": StepKind.ADMIT,
    "denies_at": StepKind.DENY,
    "mutes_bots_at": StepKind.MUTE_BOTS,
    "asks_unmute_at": StepKind.ASK_UNMUTE,
    "removes_bots_at": StepKind.REMOVE_BOTS,
    "ends_meeting_at": StepKind.CLOSE,
}
"""What a person does once, in the order in which it happens at one instant."""


@dataclass(frozen=True)
class ScenarioPerson:
    """One visit of one person to one room; who comes back is listed twice.

    What they write, and their hands, only the meeting page shows; so they can admit, deny,
    mute and ask to unmute only those who come by it.
    """

    __pydantic_config__ = STRICT
    name: Name
    room: RoomCode
    enters_at: Offset
    leaves_at: Offset | None = None
    says: tuple[Says, ...] = ()
    writes: tuple[Says, ...] = ()
    raises_hand_at: Offset | None = None
    lowers_hand_at: Offset | None = None
    admits_at: Offset | None = None
    denies_at: Offset | None = None
    mutes_bots_at: Offset | None = None
    asks_unmute_at: Offset | None = None
    removes_bots_at: Offset | None = None
    ends_meeting_at: Offset | None = None

    def acts(self) -> Iterator[tuple[str, timedelta, StepKind]]:
        """Answer what is done once, as key, offset and kind."""
        for key, kind in _ACTS.items():
            at = getattr(self, key)
            if at is not None:
                yield key, at, kind

    def offsets(self) -> Iterator[timedelta]:
        yield from (said.at for said in (*self.says, *self.writes))
        yield from (at for _, at, _ in self.acts())
        yield self.enters_at
        if self.leaves_at is not None:
            yield self.leaves_at


class FaultTarget(enum.Enum):
    GOOGLE = "google"
    PIKASTREAM = "pikastream"
    MODEL = "model"


@dataclass(frozen=True)
class ScenarioFault:
    """A fault armed at `at`. In the file its fields stand beside `target` and `at`."""

    __pydantic_config__ = STRICT
    target: FaultTarget
    at: Offset
    fault: Annotated[Fault, Field(alias=FAULT_FIELDS)]


@dataclass(frozen=True)
class ScenarioMeet:
    """Google Meet's own transcription: on in `rooms`, or in all of them where none is named.

    The transcript is ready `transcripts_after` seconds after a meeting's end; `ready = false`
    is never.
    """

    __pydantic_config__ = STRICT
    transcripts_after: Annotated[Offset, Field(ge=timedelta(0))] = timedelta(minutes=3)
    rooms: tuple[MeetCode, ...] = ()
    ready: bool = True
    smart_notes: bool = False


@dataclass(frozen=True)
class Scenario:
    """`begins`: what the stage's clock shows at first; else the present.

    `kill_daemon_at`: when the daemon is killed without warning and started anew.

    With `model`, a language model on the stage writes the minutes. `page` is how the meeting
    page behaves for those who come by it. With `talk`, the people react to the stand-in, which
    then goes by our own engine; `filed` is what must have come of it. `folders` and `contacts`
    are what the owner has at hand.
    """

    __pydantic_config__ = STRICT
    title: Name
    owner: Owner
    events: tuple[ScenarioEvent, ...]
    description: Text = ""
    begins: AwareDatetime | None = None
    persona: ScenarioPersona = ScenarioPersona()
    edits: tuple[ScenarioEdit, ...] = ()
    people: tuple[ScenarioPerson, ...] = ()
    faults: tuple[ScenarioFault, ...] = ()
    kill_daemon_at: tuple[Offset, ...] = ()
    pikastream: PikaSettings = field(default_factory=PikaSettings)
    model: ModelSettings | None = None
    meet: ScenarioMeet | None = None
    page: PageSettings = field(default_factory=PageSettings)
    hearing: Hearing = field(default_factory=Hearing)
    talk: Talk | None = None
    earlier: Earlier | None = None
    filed: tuple[Filed, ...] = ()
    folders: tuple[Folder, ...] = ()
    contacts: tuple[Contact, ...] = ()

    @property
    def ends_at(self) -> timedelta:
        """Answer the offset after which nothing more is planned."""
        return max(
            timedelta(0),
            *self.kill_daemon_at,
            *(event.ends_at for event in self.events),
            *(edit.at for edit in self.edits),
            *(offset for person in self.people for offset in person.offsets()),
            *(fault.at for fault in self.faults),
            *self._edited_ends(),
        )

    def event(self, event_id: str) -> ScenarioEvent:
        """Answer the event of that id.

        Raises:
            KeyError: There is none.
        """
        for event in self.events:
            if event.id == event_id:
                return event
        raise KeyError(event_id)

    def room_steps(self, beginning: datetime) -> tuple[RoomStep, ...]:
        """Answer what the people do, for `Rooms.expect`."""
        steps: list[RoomStep] = []
        for person in self.people:
            planned: list[tuple[timedelta | None, StepKind, str]] = [
                (person.enters_at, StepKind.ENTER, ""),
                *((said.at, StepKind.SAY, said.text) for said in person.says),
                *((said.at, StepKind.WRITE, said.text) for said in person.writes),
                *((at, kind, "") for _, at, kind in person.acts()),
                (person.leaves_at, StepKind.LEAVE, ""),
            ]
            steps += [
                RoomStep(beginning + at, person.room, kind, person.name, text)
                for at, kind, text in planned
                if at is not None
            ]
        return tuple(sorted(steps, key=lambda step: step.at))

    def _edited_ends(self) -> Iterator[timedelta]:
        times = {event.id: (event.starts_at, event.duration) for event in self.events}
        for edit in sorted(self.edits, key=lambda one: one.at):
            start, duration = times[edit.event]
            if edit.to is not None:
                start = edit.to
            if edit.by is not None:
                duration += edit.by
            times[edit.event] = start, duration
            yield start + duration
