"""What engines call a persona's cloned voice, and when it was last used: `voices.json`.

A clone that nobody uses is deleted by its service after seven days. So each use is written
down, and a clone that may be gone is made anew from the recording before the next meeting.
The file is memory, no part of an identity: without it, the next join clones once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from locum.files import UnreadableError, read_regular, replace_file

FILE = "voices.json"
LIFETIME = timedelta(days=7)
WARN_AFTER = timedelta(days=6)
_MARGIN = timedelta(hours=1)
"""Our clock and theirs, and the time from a look until the meeting's first word."""

_LARGEST = 64 * 1024


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    voice_id: str = Field(min_length=1, max_length=200)
    sample: str
    cloned_at: AwareDatetime
    used_at: AwareDatetime


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    voices: dict[str, _Entry] = {}


@dataclass(frozen=True)
class Clone:
    """A voice at one place (an engine's name), made from the recording of that SHA-256."""

    place: str
    voice_id: str
    sample: str
    cloned_at: datetime
    used_at: datetime

    def unused_for(self, now: datetime) -> timedelta:
        return max(now - self.used_at, timedelta(0))

    def lasts_at(self, instant: datetime) -> bool:
        """Whether the service surely has it still."""
        return self.unused_for(instant) < LIFETIME - _MARGIN


def clones_of(folder: Path) -> dict[str, Clone]:
    """Answer the clones by place. What can't be read counts as none: cloning anew is safe."""
    try:
        content, _ = read_regular(folder / FILE, limit=_LARGEST, follow=False)
        found = _File.model_validate_json(content)
    except (UnreadableError, ValidationError):
        return {}
    return {
        place: Clone(place, entry.voice_id, entry.sample, entry.cloned_at, entry.used_at)
        for place, entry in found.voices.items()
    }


def keep_clone(folder: Path, clone: Clone) -> None:
    """Write a clone down, in the place of an earlier one; with the folder `held`.

    Raises:
        OSError: The folder can't be written.
    """
    kept = {**clones_of(folder), clone.place: clone}
    entries = {
        place: _Entry(
            voice_id=each.voice_id,
            sample=each.sample,
            cloned_at=each.cloned_at,
            used_at=each.used_at,
        )
        for place, each in kept.items()
    }
    text = _File(voices=entries).model_dump_json(indent=2) + "\n"
    replace_file(folder / FILE, text.encode())
