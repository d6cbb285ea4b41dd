"""One persona, as the config or its own folder describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PersonaCard:
    """`image` is one local PNG or JPEG; `voice_id` is the engine's name for the voice.

    With a `folder`, all that stands here is what the folder said when it was last looked at:
    who joins is read there anew (see `Wardrobe`).
    """

    name: str
    display_name: str
    owner: str
    image: Path
    voice_id: str
    instructions: str = ""
    folder: Path | None = None

    @property
    def tile(self) -> str:
        """The name in the room. It always says that this is a machine, and whose."""
        return f"{self.display_name} (AI stand-in for {self.owner})"
