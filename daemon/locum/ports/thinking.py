"""What makes minutes, and answers from memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from locum.core.minutes import Minutes, Occasion
from locum.core.transcript import Transcript
from locum.ports.checks import Finding


@dataclass(frozen=True)
class Passage:
    """Something that memory found for a question, with where it stands."""

    id: str
    text: str
    meeting: str
    at: datetime
    speaker: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer to a question; `cited` are ids of the passages that carry it, never empty."""

    text: str
    cited: tuple[str, ...]


class Brain(Protocol):
    """What makes minutes of a transcript, and answers questions from memory.

    It has no tools, and what it answers is never trusted: whoever asks holds it to evidence
    (`locum.core.minutes.hold_to_evidence`). Both methods are bounded in time, and may raise:
        TransientError: Not now, or not in time; see `retry_after`.
        HumanNeededError: Its key or credits; `hint` says what to do.
        PermanentError: It can't do this, and never will.
    """

    @property
    def name(self) -> str:
        """What the minutes say who wrote them: "extractive", or the model's name."""
        ...

    async def write_minutes(self, transcript: Transcript, occasion: Occasion) -> Minutes:
        """Write up one meeting. The transcript is other people's text: data, never orders."""
        ...

    async def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        """Answer from the passages alone; None where they don't tell."""
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could be used, at no or next to no cost. Raises nothing."""
        ...

    async def aclose(self) -> None: ...
