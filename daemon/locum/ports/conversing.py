"""Speech to text, the ends of turns, and what thinks in a meeting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from locum.core import talk
from locum.core.speech import Sound
from locum.core.talk import Cue, Line
from locum.ports.checks import Finding


class Recognition(Protocol):
    """One speaker's stream of speech, made into words, a stretch of speech at a time."""

    def hear(self, sound: Sound) -> None:
        """Take the next sound, 16 kHz. Never blocks.

        What can't be kept up with is dropped, the oldest first; the words say "(…)" there.
        """
        ...

    async def guess(self) -> str:
        """Answer the words of this stretch so far, as soon as they can be had; none is ""."""
        ...

    async def finish(self) -> str:
        """Answer this stretch's words for good, and begin the next one.

        Raises:
            TransientError: They are lost; the next stretch may go well.
            HumanNeededError, PermanentError: It can't go on.
        """
        ...

    async def aclose(self) -> None: ...


class Recognizer(Protocol):
    """Speech to text."""

    @property
    def name(self) -> str:
        """What it is and how well it does, in a few words."""
        ...

    async def open(self, *, hints: Sequence[str] = ()) -> Recognition:
        """Begin one speaker's stream; `hints` are names and words that are likely to be said.

        Raises:
            TransientError: Not now.
            HumanNeededError, PermanentError: Not as it is configured; the message has the next
                step.
        """
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could be used, at no or next to no cost. Raises nothing."""
        ...

    async def aclose(self) -> None: ...


class Endpointer(Protocol):
    """Tells whether somebody who fell silent has finished."""

    @property
    def name(self) -> str: ...

    def by_words(self, text: str) -> float:
        """Answer what the words alone say, at once: log-odds, positive that the turn is over."""
        ...

    async def certainty(self, sound: Sound, text: str) -> float:
        """Answer how sure it is, from 0 to 1, that the turn is over.

        `sound` is the last 8 s at most of that speaker, 16 kHz, with the silence at its end;
        `text` what is known of the words. Asked again while the silence lasts. Raises nothing.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds; what runs is waited for by nobody."""
        ...


Aloud = talk.Aloud
InChat = talk.InChat
Doing = talk.Doing
Deferred = talk.Deferred
Thought = talk.Thought
"""What a mind has to say; in the core, where it is held to what it may say and promise."""


@dataclass(frozen=True)
class Prompted:
    """It is our turn: `lines` are the meeting up to now, the last of them what is answered.

    Of our own lines, what was really said: an answer that was cut off ends where it was cut.
    `guessed` says that the turn may not be over: it is thought ahead, and may be for nothing.
    """

    lines: tuple[Line, ...]
    cue: Cue
    guessed: bool = False


class Mind(Protocol):
    """What thinks in a meeting: made for one meeting, one audience and one persona.

    What it says is held to what the persona may say and promise before it gets here.
    """

    @property
    def name(self) -> str: ...

    async def warm(self) -> None:
        """Do ahead what makes the first answer quick. Raises nothing."""
        ...

    def answer(self, prompted: Prompted) -> AsyncIterator[Thought]:
        """Think aloud; closing the iterator stops the work, and whatever tool runs for it.

        An answer may be none at all. Nothing that can't be undone happens while it is `guessed`.

        Raises:
            TransientError: Not now.
            HumanNeededError, PermanentError: Not as it is configured.
        """
        ...

    async def is_for_us(self, lines: Sequence[Line]) -> bool:
        """Answer whether the last line is meant for us. Raises nothing: no is the safe answer."""
        ...

    async def aclose(self) -> None: ...
