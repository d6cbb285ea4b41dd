"""What our own engine is told by the config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ChromiumSettings:
    """Whose browser, and what it sends.

    `account` names the profile it uses and is empty for a guest; `width` and `height` are the
    picture's, in pixels; `memory_limit` is in MiB. Rooms are at `meet_url` plus their code.
    """

    state_dir: Path
    account: str
    name: str = "chromium"  #: What the config calls the engine.
    accept_recording: bool = True  #: Whether to stay where a meeting is recorded, and say so.
    executable: Path | None = None
    width: int = 1280
    height: int = 720
    sandbox: bool = True
    headless: bool = True
    captions: bool = True
    memory_limit: int = 2048
    meet_url: str = "https://meet.google.com/"

    @property
    def is_guest(self) -> bool:
        return not self.account
