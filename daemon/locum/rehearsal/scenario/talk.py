"""A scenario's conversation: people who react to the stand-in, and what must come of it.

`[talk]` names a room and has `[[talk.lines]]`, each one person's: said aloud (`says`, by a
`recording` where there is one) or written into the chat (`writes`). A line begins `pause`
seconds after what came before is over, so nothing in it depends on the clock.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from locum.rehearsal.rooms import RoomStep, StepKind
from locum.rehearsal.scenario.values import STRICT, MeetCode, Name, Offset, Plain

_Some = Annotated[Offset, Field(ge=timedelta(0), le=timedelta(minutes=2))]
_Words = tuple[Annotated[str, Field(min_length=1, max_length=200)], ...]
_LINES = 200
_A_BREATH = timedelta(seconds=2)


class After(enum.Enum):
    """What a line waits for."""

    ANSWER = "answer"  #: The line before is answered, or rightly isn't.
    LINE = "line"  #: The line before has been said.
    VOICE = "voice"  #: The stand-in has begun to answer the line before: this one cuts in.


class Expect(enum.Enum):
    """What the stand-in must do about a line."""

    ANSWERS = "answers"  #: Aloud, beginning within `within` of the line's last sound.
    WRITES = "writes"  #: In the chat, within `within`.
    SILENT = "silent"  #: Not a sound within `within`.
    STOPS = "stops"  #: It was speaking, and falls silent within `within` of the line's begin.
    ANYTHING = "anything"  #: Waited for as for an answer, and nothing is demanded.


@dataclass(frozen=True)
class TalkLine:
    """One line, and what it must lead to.

    Args:
        who: One of `[[people]]`.
        says, writes: One of them.
        recording: A sound file beside the scenario's, below its folder "recordings".
        after, pause: When it is said.
        expect, within: What the stand-in must do, and how soon.
        settle: So long it is silent when its answer is over; longer where it looks
            something up between two sentences.
        hears: What must be in its answer, each a word or some words; "a|b" is either.
        never: What must not be in it.
    """

    __pydantic_config__ = STRICT
    who: Name
    says: Annotated[str, Field(max_length=1_000)] = ""
    writes: Annotated[str, Field(max_length=1_000)] = ""
    recording: Annotated[str, Field(max_length=200)] = ""
    after: After = After.ANSWER
    pause: _Some = timedelta(seconds=0.4)
    expect: Expect = Expect.SILENT
    within: _Some = timedelta(seconds=3)
    settle: _Some = timedelta(seconds=2.5)
    hears: _Words = ()
    never: _Words = ()


@dataclass(frozen=True)
class Talk:
    """A conversation in `room`, from when the stand-in has said who it is.

    After the last line the meeting is ended for all, by whoever said that.

    `never` is what the stand-in must not say or write at any time.
    """

    __pydantic_config__ = STRICT
    room: MeetCode
    lines: Annotated[tuple[TalkLine, ...], Field(min_length=1, max_length=_LINES)]
    introduces_within: _Some = timedelta(seconds=45)
    never: _Words = ()


class Section(enum.Enum):
    """A part of the filed summary."""

    DECISIONS = "decisions"
    ACTIONS = "actions"
    ASKED = "asked"
    QUESTIONS = "questions"
    CARRIED = "carried"
    TRANSCRIPT = "transcript"


@dataclass(frozen=True)
class Filed:
    """What the filed summary must hold: in `section`, an entry with all of `has`.

    `by` is who must have said what it quotes, or said the line itself. With `never`, no entry
    there holds any of that.
    """

    __pydantic_config__ = STRICT
    section: Section
    has: _Words = ()
    by: Plain = ""
    never: _Words = ()


class HearingBy(enum.Enum):
    POCKETSPHINX = "pocketsphinx"  #: Real recognition, on this machine, with poor words.
    STAGE = "stage"  #: The stage's recogniser, which knows the lines.
    CAPTIONS = "captions"  #: The meeting page's captions.


@dataclass(frozen=True)
class Hearing:
    """By what the stand-in makes words of what it hears."""

    __pydantic_config__ = STRICT
    by: HearingBy = HearingBy.POCKETSPHINX


@dataclass(frozen=True)
class Told:
    """What was said in the earlier meeting, so many seconds after the stand-in came in."""

    __pydantic_config__ = STRICT
    at: Annotated[Offset, Field(ge=timedelta(0), le=timedelta(minutes=10))]
    who: Name
    says: Annotated[str, Field(min_length=1, max_length=1_000)]


@dataclass(frozen=True)
class Earlier:
    """The last occurrence of the first event's series, a week before.

    Attended by the real daemon, on the stage's PikaStream and quickly, and filed from Google
    Meet's transcript: what the stand-in remembers of it came by the way by which it always
    comes.
    """

    __pydantic_config__ = STRICT
    lines: Annotated[tuple[Told, ...], Field(min_length=1, max_length=_LINES)]

    def entries(self, room: str, at: datetime) -> tuple[RoomStep, ...]:
        """Answer how its people come."""
        names = dict.fromkeys(line.who for line in self.lines)
        return tuple(RoomStep(at, room, StepKind.ENTER, name) for name in names)

    def talk(self, room: str, beginning: datetime) -> tuple[RoomStep, ...]:
        """Answer what they say from then on, and that it is ended after the last line."""
        over = max(line.at for line in self.lines) + _A_BREATH
        return (
            *(
                RoomStep(beginning + line.at, room, StepKind.SAY, line.who, line.says)
                for line in self.lines
            ),
            RoomStep(beginning + over, room, StepKind.CLOSE, self.lines[-1].who),
        )
