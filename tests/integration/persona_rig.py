"""A persona on disk for tests: made as `locum persona new` makes it, its consents signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum.core.identity import sha256
from locum.persona import PersonaCard, Wardrobe
from locum.persona.consent import (
    ConsentKey,
    Scope,
    Statement,
    assets_needing_consent,
    file_consent,
)
from locum.persona.folder import INSTRUCTIONS, SETTINGS, Snapshot, as_toml, read_snapshot
from locum.persona.versions import held, record
from locum.rehearsal.face import face_png

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)


@dataclass
class Cloner:
    """A `VoiceCloner` with its own memory; `fails` is raised by the next clone."""

    samples: list[bytes] = field(default_factory=list)
    fails: Exception | None = None

    async def clone(
        self, sample: bytes, filename: str, *, name: str, noise_reduction: bool
    ) -> str:
        if self.fails is not None:
            raise self.fails
        self.samples.append(sample)
        return f"voice_{name}_{len(self.samples)}"

    async def aclose(self) -> None:
        pass


@dataclass
class Household:
    """One state directory with personas in it."""

    state: Path
    cloner: Cloner = field(default_factory=Cloner)

    def __post_init__(self) -> None:
        self.wardrobe = Wardrobe(self.state, {"pika": self.cloner})
        self.key = ConsentKey(self.state)

    def folder(self, name: str = "robin") -> Path:
        return self.state / "personas" / name

    def make(self, name: str = "robin", **settings: Any) -> Path:
        """Make a drawn persona with a stock voice, or whatever `settings` say."""
        folder = self.folder(name)
        folder.mkdir(parents=True)
        values = {"display_name": "Robin", "owner": "Alex", "face": "drawn", **settings}
        (folder / SETTINGS).write_bytes(as_toml(values))
        (folder / INSTRUCTIONS).write_text("Be kind.")
        (folder / "face.png").write_bytes(face_png(128))
        if settings.get("voice") == "cloned":
            (folder / "voice.wav").write_bytes(b"RIFF" + b"\1" * 4000)
        self.record(name)
        return folder

    def record(self, name: str = "robin", *, now: datetime = NOW) -> None:
        with held(self.folder(name)):
            record(self.snapshot(name), at=now, why="made")

    def snapshot(self, name: str = "robin") -> Snapshot:
        return read_snapshot(self.folder(name))

    def consent(
        self, name: str = "robin", *, now: datetime = NOW, days: int = 365, **changes: Any
    ) -> None:
        """Put a consent on file for everything that needs one."""
        for scope, asset in assets_needing_consent(self.snapshot(name)).items():
            file_consent(
                self.folder(name), statement(name, scope, asset, now, days, **changes), self.key
            )

    def card(self, name: str = "robin") -> PersonaCard:
        return self.snapshot(name).card


def statement(
    name: str, scope: Scope, asset: str, now: datetime = NOW, days: int = 365, **changes: Any
) -> Statement:
    values: dict[str, Any] = {
        "persona": name,
        "scope": scope,
        "person": "Alex",
        "given_to": "Alex",
        "asset": asset,
        "given": now,
        "expires": now + timedelta(days=days),
        "how": "in writing, on 2026-11-20",
    }
    return Statement(**{**values, **changes})


def edited(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def hash_of(path: Path) -> str:
    return sha256(path.read_bytes())
