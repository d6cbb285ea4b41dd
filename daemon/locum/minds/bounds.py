"""What one meeting's thinking may take, and what isn't done on a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from locum.errors import TransientError


class GuessedError(TransientError):
    """What it takes can't be done while the turn's end is only guessed: ask again once it isn't."""

    def __init__(self, tool: str) -> None:
        super().__init__(f"{tool} isn't used on a guess.", retry_after=timedelta(0))


@dataclass(frozen=True)
class Patience:
    """How long a model may take for its first word, and between any two, in the host's time."""

    first: timedelta = timedelta(seconds=8)
    between: timedelta = timedelta(seconds=5)


@dataclass(frozen=True)
class Bounds:
    """What one meeting's thinking may take. Times are the host's."""

    answer_tokens: int = 400
    line_tokens: int = 6_000  #: Of the meeting's lines, in one request.
    answers_per_minute: int = 60
    meeting_tokens: int = 1_000_000
    patience: Patience = Patience()
    for_us: timedelta = timedelta(seconds=1.5)  #: For a yes or no.


@dataclass(frozen=True)
class Wanted:
    """A tool that a model wants to use; `arguments` is whatever it says."""

    id: str
    name: str
    arguments: Mapping[str, Any]
