"""One connection to the meeting page, from the door to the way out, and what it may be told."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from locum.rehearsal.meet.accounts import Account
from locum.rehearsal.meet.protocol import ToPage
from locum.rehearsal.meet.settings import Consent
from locum.rehearsal.rooms import VisitId

Tell = Callable[[ToPage], None]
"""Sends a message; thread-safe, never blocks, and drops what a dead connection can't take."""


class Phase(enum.Enum):
    DOOR = "door"  #: Before the join button.
    LOBBY = "lobby"
    CONSENT = "consent"  #: Let in, and asked whether being recorded is all right.
    IN = "in"
    OUT = "out"


class Door(enum.Enum):
    """How one came in."""

    GUEST = "guest"
    ACCOUNT = "account"
    OBSERVER = "observer"


@dataclass(frozen=True)
class Seen:
    """One participant at the page, as of one instant, for tests and rehearsals.

    `why_out` is "left", "removed", "ended", "replaced", "lost" or the refusal's word.
    `connected` is whether its socket is open: one that dropped stays for a while.
    """

    id: str
    room: str
    name: str
    phase: Phase
    came_by: Door
    email: str | None
    microphone: bool
    camera: bool
    hand: bool
    speaking: bool
    captions: bool
    connected: bool
    knocked_at: datetime | None
    entered_at: datetime | None
    left_at: datetime | None
    why_out: str


@dataclass
class Participant:
    """The state behind it. Only `MeetStage` touches it, under its lock."""

    room: str
    account: Account | None
    observer: bool
    tell: Tell | None
    resume: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    id: str = ""
    name: str = ""
    phase: Phase = Phase.DOOR
    visit: VisitId | None = None
    microphone: bool = True
    camera: bool = True
    hand: bool = False
    speaking: bool = False
    captions: bool = False
    consented: frozenset[Consent] = frozenset()
    knocked_at: datetime | None = None
    entered_at: datetime | None = None
    left_at: datetime | None = None
    dropped_at: datetime | None = None
    why_out: str = ""
    told_roster: tuple[object, ...] | None = None

    @property
    def came_by(self) -> Door:
        if self.observer:
            return Door.OBSERVER
        return Door.GUEST if self.account is None else Door.ACCOUNT

    @property
    def waiting(self) -> bool:
        """Whether it is neither in nor out."""
        return self.phase in {Phase.LOBBY, Phase.CONSENT}

    def send(self, message: ToPage) -> None:
        if self.tell is not None:
            self.tell(message)

    def seen(self) -> Seen:
        return Seen(
            id=self.id,
            room=self.room,
            name=self.name,
            phase=self.phase,
            came_by=self.came_by,
            email=None if self.account is None else self.account.email,
            microphone=self.microphone,
            camera=self.camera,
            hand=self.hand,
            speaking=self.speaking,
            captions=self.captions,
            connected=self.tell is not None,
            knocked_at=self.knocked_at,
            entered_at=self.entered_at,
            left_at=self.left_at,
            why_out=self.why_out,
        )
