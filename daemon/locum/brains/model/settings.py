"""How a model is reached and bounded, and the two things that it leaves to others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from locum.core.transcript import Transcript
from locum.providers import ModelAddress

Segment = Callable[[Transcript], Sequence[int]]
"""Answers the places (indexes of utterances) at which another topic begins."""


class Resolve(Protocol):
    """Tells which day is meant by words that were said on a day, or that it can't."""

    def __call__(self, text: str, *, on: date) -> date | None: ...


@dataclass(frozen=True)
class ModelSettings(ModelAddress):
    """Which model writes.

    `timeout` bounds all that is done for one meeting or one question, in the host's time;
    `max_words` how much of a meeting is read in one request.
    """

    timeout: timedelta = timedelta(minutes=15)
    max_words: int = 6000
