"""Where summaries go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from locum.core.identity import Identity
from locum.core.minutes import Commitment, Minutes
from locum.core.model import (
    Attendee,
    EndReason,
    MeetingKey,
    Person,
    Room,
    SessionKey,
)
from locum.core.transcript import Transcript
from locum.ports.checks import Finding
from locum.ports.presence import (
    EngineNote,
)


@dataclass(frozen=True)
class Attendance:
    """When we were in, and how it ended; instants None where we never were."""

    joined_at: datetime | None
    left_at: datetime | None
    end_reason: EndReason | None
    detail: str
    attempts: int


_NOTHING_SAID = Transcript()


@dataclass(frozen=True)
class Summary:
    """What is known of one attended meeting. Nothing in it is a guess.

    `source` says where the notes came from, or why there are none. `edition` counts up when
    more became known after the first was filed; `awaited` names the sources that may still
    bring more. `carried` are the series' open commitments from before. `minutes` is None where
    nothing is known of what was said.
    """

    key: MeetingKey
    session: SessionKey
    title: str
    start: datetime
    end: datetime
    room: Room
    organizer: Person | None
    invited: tuple[str, ...]
    persona: str
    engine: str
    attendance: Attendance
    source: str
    notes: tuple[EngineNote, ...]
    unknown: tuple[str, ...]
    estimated_cost: float | None = None
    currency: str = "USD"
    identity: Identity | None = None  #: With which it joined; None where it never did.
    transcript: Transcript = _NOTHING_SAID
    minutes: Minutes | None = None
    carried: tuple[Commitment, ...] = ()
    owner: str = ""  #: Whom it stood in for.
    present: tuple[str, ...] = ()  #: Who was there, where a source tells; never a guess.
    edition: int = 1
    awaited: tuple[str, ...] = ()
    attendees: tuple[Attendee, ...] = ()
    attendees_complete: bool = False  #: Nobody else was invited, as far as calendars tell.


class SummarySink(Protocol):
    """A place where summaries go.

    Filing the same summary, or a later edition of it, again replaces it where the place
    `can_revise`. What can't be taken back (a mail, a message) says that it is an update.
    """

    @property
    def name(self) -> str: ...

    @property
    def can_revise(self) -> bool:
        """Whether an edition replaces the one before.

        Otherwise the first one is held back for a while, if more is awaited.
        """
        ...

    async def file(self, summary: Summary) -> str:
        """Put it there, durably, and answer where (a path or an address).

        Raises:
            TransientError: Not now (a full disk, a server down); nothing half-written.
            PermanentError: Never, as it is configured.
        """
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could file now. Raises nothing."""
        ...
