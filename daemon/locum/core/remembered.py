"""What is kept of earlier meetings: one line a thing, with where it comes from.

Lines live in compartments: what was said among one client's people is never told to another's.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime
from typing import NewType

from locum.core.minutes import Evidence
from locum.core.model import MeetingKey, SeriesKey

Compartment = NewType("Compartment", str)
"""Among whom something was said: a client's domain, or a name that a rule gives."""

LineId = NewType("LineId", str)


@dataclass(frozen=True)
class Quoted(Evidence):
    """Evidence with who said it and when: memory outlives the transcript that it stands in.

    `meeting` is set where it isn't the line's own: a later one that settled it.
    """

    speaker: str = ""
    at: datetime | None = None
    meeting: MeetingKey | None = None


class Kind(enum.Enum):
    """What a line is: a section of the minutes that it came from."""

    POINT = "point"
    DECISION = "decision"
    COMMITMENT = "commitment"  #: An action item, followed until it is settled.
    QUESTION = "question"
    ASKED = "asked"


class Standing(enum.Enum):
    """How it stands with a commitment; other lines are OPEN for ever."""

    OPEN = "open"
    DONE = "done"
    CONTRADICTED = "contradicted"  #: A later meeting said otherwise.
    DROPPED = "dropped"  #: Its owner dropped it by hand, which is nobody else's to be told.


@dataclass(frozen=True)
class Ruling:
    """What the owner said of a commitment by hand. Whatever is said in later meetings goes on."""

    standing: Standing
    at: datetime


@dataclass(frozen=True)
class Remembered:
    """One line of memory. `quotes` prove it; `at` is when its meeting began.

    `approved` is whether a person has confirmed it, `by_hand` whether its standing is what the
    owner said of it, rather than what was said in meetings. A commitment is late where its `due` day
    has passed and its standing is OPEN. One that was promised again later is one line still:
    the later ones name it in `same_as`, and it bears the owner and the due day that they gave.
    """

    id: LineId
    kind: Kind
    text: str
    compartment: Compartment
    series: SeriesKey
    meeting: MeetingKey
    title: str
    at: datetime
    quotes: tuple[Evidence, ...] = ()
    topic: str = ""
    owner: str | None = None
    due: date | None = None
    standing: Standing = Standing.OPEN
    settled_by: MeetingKey | None = None
    approved: bool = False
    same_as: LineId | None = None
    by_hand: bool = False

    @property
    def told(self) -> str:
        """Answer its text, with how it stands where that is settled: "Send it (done)"."""
        is_open = self.standing is Standing.OPEN
        return self.text if is_open else f"{self.text} ({self.standing.value})"

    @property
    def speaker(self) -> str:
        """Answer who said what proves it; empty where nobody can tell."""
        for quote in self.quotes:
            if isinstance(quote, Quoted) and quote.speaker:
                return quote.speaker
        return ""
