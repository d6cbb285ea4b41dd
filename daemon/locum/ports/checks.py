"""What a self-check finds: the lines of `locum doctor`."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Health(enum.Enum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One line of `locum doctor`: what was tried, how it went, and the next step if any."""

    subject: str
    health: Health
    detail: str
    next_step: str = ""
