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
    FORGOTTEN = "forgotten"  #: A person put it away.


@dataclass(frozen=True)
class Remembered:
    """One line of memory. `quotes` prove it; `at` is when its meeting began.

    `approved` is whether a person has confirmed it. A commitment is late where its `due` day
    has passed and its standing is OPEN.
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
