"""Where a model is, and what opens it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from locum.core.secret import Secret


@dataclass(frozen=True)
class ModelAddress:
    """Which model is asked.

    `model` is a provider and its model ("anthropic:claude-…"), as pydantic-ai writes them; or,
    with `base_url`, what the server there calls it. `key` answers the key, None where none is
    needed, and raises as `find_key` does.
    """

    model: str
    key: Callable[[], Secret | None]
    base_url: str | None = None
    key_file: Path | None = None

    @property
    def place(self) -> str:
        """Name where what is asked goes, for messages."""
        if self.base_url is not None:
            return urlsplit(self.base_url).netloc
        return self.model.partition(":")[0]
