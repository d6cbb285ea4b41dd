"""One persona, as the config describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from locum.ports import Face


@dataclass(frozen=True)
class PersonaCard:
    """`image` is one local PNG or JPEG; `voice_id` is the engine's name for the voice."""

    name: str
    display_name: str
    owner: str
    image: Path
    voice_id: str
    instructions: str = ""

    @property
    def tile(self) -> str:
        """The name in the room. It always says that this is a machine, and whose."""
        return f"{self.display_name} (AI stand-in for {self.owner})"

    @property
    def face(self) -> Face:
        return Face(display_name=self.tile, image=self.image, voice_id=self.voice_id)
