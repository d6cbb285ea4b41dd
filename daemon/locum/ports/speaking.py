"""Text to speech."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from locum.core.speech import Spoken
from locum.ports.checks import Finding


@dataclass(frozen=True)
class VoiceSample:
    """A recording of a real person's voice; whoever reads the file checks that it is this one."""

    file: Path
    sha256: str


class VoiceSampler(Protocol):
    """What lends a persona's recorded voice, as long as its owner consents to that."""

    async def sample(self) -> VoiceSample:
        """Answer the recording that may be spoken with now. Asked anew for each text.

        Raises:
            HumanNeededError: There is no recording, or no consent to it (any more).
        """
        ...


class Voice(Protocol):
    """Text to speech."""

    @property
    def name(self) -> str:
        """What it is and how it sounds, in a few words."""
        ...

    def speak(self, text: str) -> AsyncIterator[Spoken]:
        """Say `text` in pieces, as they get ready; closing the iterator stops the work.

        Raises:
            TransientError: Not now.
            PermanentError: It can't speak here; the message has the next step.
        """
        ...

    async def warm(self) -> None:
        """Do ahead what makes the first word quick: a process, a model, a connection.

        Raises nothing: what is wrong is said where it speaks.
        """
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could speak, at no or next to no cost. Raises nothing."""
        ...

    async def aclose(self) -> None: ...
