"""`[brain]`: the language model, for the minutes and in meetings. Nothing here is needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from locum.config.tables import Address, Duration, LocalPath, Table
from locum.config.values import Between


class LiveTable(Table):
    """`[brain.live]`: the model in meetings, on an engine of ours. What it may take at most."""

    enabled: bool = True
    """Whether a model thinks in meetings; without one, a stand-in says who it is, reads the
    prepared update, tells what it was given, and takes questions along."""
    model: str = Field(default="", max_length=200)
    """Another model than [brain]'s, such as a quicker one of the same provider or server."""
    answer_tokens: int = Field(default=400, ge=20, le=8000)
    """The most tokens of one answer."""
    answers_per_minute: int = Field(default=60, ge=1, le=600)
    """The most times that it is asked in a minute, guesses ahead of a turn's end included; beyond
    that, it answers without."""
    meeting_tokens: int = Field(default=1_000_000, ge=1000, le=100_000_000)
    """The most tokens of one meeting, read and written."""
    first_word: Annotated[Duration, Between(least="1s", most="1m")] = timedelta(seconds=8)
    """How long it may take to begin an answer."""


class BrainTable(Table):
    """`[brain]`: a language model writes the minutes. Needs the extra: `pip install 'locum[brain]'`.

    Without this table, or where the model fails, they are written without one. What was said in
    the meetings is sent to the provider, and nowhere else.
    """

    type: Literal["model"] = "model"
    """What kind of brain this is."""
    model: str = Field(min_length=1, max_length=200)
    """A provider and its model, as pydantic-ai writes them ("openai:NAME", "anthropic:NAME",
    "google:NAME" …); or, with base_url, what the server there calls it."""
    base_url: Address | None = None
    """The root of any server with OpenAI's chat completions, such as one on this machine:
    /chat/completions is added to it."""
    api_key_file: LocalPath | None = None
    """A file with the key (chmod 600). Otherwise the systemd credential "brain_api_key",
    otherwise the environment's LOCUM_BRAIN_API_KEY, otherwise the provider's own variable."""
    timeout: Annotated[Duration, Between(least="1s", most="6h")] = timedelta(minutes=15)
    """The most that the model may take for one meeting."""
    max_words: int = Field(default=6000, ge=200, le=500_000)
    """The most words of a meeting that are sent in one request; a longer one is cut where a
    topic ends, and the parts are merged."""
    fallback: bool = True
    """Whether the minutes are written without the model where it fails for good, or would
    come too late. They say so."""
    live: LiveTable = LiveTable()
    """The model in meetings."""
