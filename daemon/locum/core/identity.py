"""What makes a persona the same one: its bytes and words, by SHA-256, and whether it may go.

An identity covers all that a meeting gets of a persona. How a consent is worded, when a voice
was last used and what an engine calls it are no part of it: they may be renewed, and the
persona stays who it was.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

_SCHEMA = "locum persona 1"
"""A part of what is hashed: another way to reckon must never give the same digest."""


@dataclass(frozen=True)
class Features:
    """What an identity is reckoned from. `image` and `sample` are SHA-256, in hex.

    A voice is either an engine's own (`voice_id`), or cloned from a recording (`sample`).
    """

    display_name: str
    owner: str
    face: str  #: "photo", "drawn" and so on: what the picture is said to be.
    image: str
    instructions: str
    voice_id: str = ""
    sample: str = ""


@dataclass(frozen=True)
class Identity:
    """Who went, for the record: hashes are SHA-256, in hex, and empty where there is nothing.

    `version` is None for a persona that is written in the config itself: nobody keeps its
    versions. `consents` are those of the statements that allowed it.
    """

    digest: str
    image: str
    tile: str
    voice_id: str
    sample: str = ""
    version: int | None = None
    consents: tuple[str, ...] = ()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_of(features: Features) -> str:
    """Answer the one hash that stands for a persona: the same features, the same digest."""
    manifest = {
        "schema": _SCHEMA,
        "display_name": features.display_name,
        "owner": features.owner,
        "face": features.face,
        "image": features.image,
        "instructions": sha256(features.instructions.encode("utf-8", "surrogatepass")),
        "voice_id": features.voice_id,
        "sample": features.sample,
    }
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode())


@dataclass(frozen=True)
class Standing:
    """Whether a persona may go to a meeting, and until when.

    `trouble` keeps it from every meeting; after `until` (a consent's end, UTC), what
    `afterwards` says does.
    """

    trouble: str = ""
    until: datetime | None = None
    afterwards: str = ""

    def refusal(self, at: datetime) -> str:
        """Answer why it can't go to a meeting that begins at `at`; empty where it can."""
        if self.trouble:
            return self.trouble
        if self.until is not None and at >= self.until:
            return self.afterwards
        return ""
