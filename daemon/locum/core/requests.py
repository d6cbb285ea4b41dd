"""What a stand-in asks its owner for during a meeting: may it do this?

Only the owner answers, outside the meeting; nothing that is said in one counts.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from locum.core.model import SessionKey


class RequestState(enum.Enum):
    """How it stands with a request."""

    OPEN = "open"
    APPROVED = "approved"
    RUNNING = "running"  #: Begun; it is never begun a second time.
    DONE = "done"
    FAILED = "failed"
    DENIED = "denied"
    EXPIRED = "expired"  #: Nobody decided in time, or the meeting was over first.


@dataclass(frozen=True)
class Request:
    """`what` is exactly what would be done; `asked_by` a name as the room showed it."""

    id: str
    session: SessionKey
    persona: str
    title: str
    tool: str
    what: str
    asked_by: str
    at: datetime
    expires_at: datetime
    state: RequestState = RequestState.OPEN
    problem: str = ""
