"""What is known of what was said, after the meeting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from locum.core.model import (
    Meeting,
    Person,
)
from locum.core.transcript import Source, Utterance
from locum.ports.checks import Finding
from locum.ports.presence import (
    EngineNote,
)


@dataclass(frozen=True)
class Fetched:
    """What a source has of a meeting that is over.

    Utterances may bear any ids: they are named anew when they are merged. `participants` are
    the names under which people were in the room, as the source knows them.
    """

    utterances: tuple[Utterance, ...] = ()
    participants: tuple[Person, ...] = ()
    notes: tuple[EngineNote, ...] = ()


class TranscriptSource(Protocol):
    """Somewhere that has a meeting's transcript only after the meeting."""

    @property
    def name(self) -> str:
        """Name it for ever: what is still to be asked is noted under this."""
        ...

    @property
    def source(self) -> Source:
        """Answer what its utterances are marked with."""
        ...

    @property
    def account(self) -> str:
        """Answer whose meetings it knows: an account of the calendar's."""
        ...

    async def fetch(self, meeting: Meeting, *, ended_at: datetime) -> Fetched | None:
        """Ask for all that is known of a meeting; None while it is still being made.

        Raises:
            TransientError: Not now; see `retry_after`.
            HumanNeededError: The sign-in has ended, or lacks the permission; see `hint`.
            PermanentError: There is none, and never will be.
        """
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could be asked. Raises nothing."""
        ...

    async def aclose(self) -> None: ...
