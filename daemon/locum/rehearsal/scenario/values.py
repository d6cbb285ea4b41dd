"""The values that a scenario's tables hold, checked as they are read."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

_LONGEST_DAYS = 400
STRICT = ConfigDict(extra="forbid")


def _seconds(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number of seconds")  # noqa: TRY004 - pydantic collects ValueErrors.
    if not (math.isfinite(value) and abs(value) <= _LONGEST_DAYS * 86_400):
        raise ValueError(f"must be a number of seconds within {_LONGEST_DAYS} days")
    return timedelta(seconds=value)


Offset = Annotated[timedelta, BeforeValidator(_seconds)]
"""Seconds of stage time since the rehearsal's beginning; negative is before it."""

Address = Annotated[str, Field(pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,190}$")]
EventId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(max_length=20_000)]
Plain = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f]*$")]
"""A line of text."""

RoomCode = Annotated[str, Field(pattern=r"^([a-z]{3}-[a-z]{4}-[a-z]{3}|\d{9,11})$")]
MeetCode = Annotated[str, Field(pattern=r"^[a-z]{3}-[a-z]{4}-[a-z]{3}$")]
