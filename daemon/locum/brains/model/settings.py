"""How a model is reached and bounded, and the two things that it leaves to others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from locum.core.secret import Secret
from locum.core.transcript import Transcript

Segment = Callable[[Transcript], Sequence[int]]
"""Answers the places (indexes of utterances) at which another topic begins."""


class Resolve(Protocol):
    """Tells which day is meant by words that were said on a day, or that it can't."""

    def __call__(self, text: str, *, on: date) -> date | None: ...


@dataclass(frozen=True)
class ModelSettings:
    """Which model writes.

    `model` is a provider and its model ("anthropic:claude-…"), as pydantic-ai writes them; or,
    with `base_url`, what the server there calls it. `key` answers the key, None where none is
    needed, and raises as `find_key` does. `timeout` bounds all that is done for one meeting or
    one question, in the host's time; `max_words` how much of a meeting is read in one request.
    """

    model: str
    key: Callable[[], Secret | None]
    base_url: str | None = None
    key_file: Path | None = None
    timeout: timedelta = timedelta(minutes=15)
    max_words: int = 6000

    @property
    def place(self) -> str:
        """Name where the transcript goes, for messages."""
        if self.base_url is not None:
            return urlsplit(self.base_url).netloc
        return self.model.partition(":")[0]
