"""What the persona commands share: where a persona is, what time it is, and telling the daemon."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.places import read_config, whereabouts
from locum.errors import ConfigError, LocumError, PermanentError

if TYPE_CHECKING:
    from locum.config.model import Config
    from locum.persona import PersonaCard

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The persona's name.", show_default=False)
]


@dataclass(frozen=True)
class Place:
    """One persona's place. `config` is None where there is none that can be used."""

    name: str
    folder: Path
    state: Path
    config: Config | None
    config_path: Path
    now: datetime

    @property
    def inline(self) -> bool:
        """Whether the config itself says all of this persona, so that it has no folder."""
        table = None if self.config is None else self.config.personas.get(self.name)
        return table is not None and not table.is_in_folder

    @property
    def is_configured(self) -> bool:
        return self.config is not None and self.name in self.config.personas

    def card(self) -> PersonaCard:
        """Answer who it is.

        Raises:
            PermanentError: There is no such persona.
        """
        from locum.app.parts import personas_of
        from locum.app.personas import card_in

        if self.inline and self.config is not None:
            return personas_of(self.config, self.state)[self.name]
        if not self.folder.is_dir():
            raise PermanentError(
                f"There is no persona {self.name}: {self.folder} isn't there. "
                f"Make it: `locum persona new {self.name}`."
            )
        return card_in(self.folder, self.name)

    def report(self) -> dict[str, Any]:
        from locum.app.personas import report

        return report(self.name, self.card(), self.state, self.now)


def place_of(config: Path | None, name: str) -> Place:
    """Find a persona, in the config or in the state directory, whether it is there or not.

    Raises:
        PermanentError: That is no name.
    """
    from locum.app.places import persona_folder
    from locum.persona.folder import NAME

    if not NAME.fullmatch(name):
        raise PermanentError(
            f"{name[:80]!r} is no name for a persona: letters, digits and _.- are, 64 at most."
        )
    where, used = _found(config)
    table = None if used is None else used.personas.get(name)
    folder = persona_folder(name, table, where.state)
    return Place(name, folder, where.state, used, where.config, now_of(used))


def all_places(config: Path | None) -> list[Place]:
    """Answer every persona that the config names or the state directory holds, by name."""
    from locum.persona.folder import NAME

    where, used = _found(config)
    names = set() if used is None else set(used.personas)
    home = where.state / "personas"
    with contextlib.suppress(OSError):
        names |= {each.name for each in home.iterdir() if each.is_dir()}
    return [place_of(config, name) for name in sorted(names) if NAME.fullmatch(name)]


def _found(config: Path | None) -> tuple[Any, Config | None]:
    used = None
    with contextlib.suppress(ConfigError):
        used = read_config(config).config
    return whereabouts(config), used


def now_of(config: Config | None) -> datetime:
    if config is None or config.stage is None:
        return datetime.now(timezone.utc)
    from locum.app.parts import clock_of

    return clock_of(config).now()


def tell_daemon(config: Path | None) -> None:
    """Have a daemon that runs look at its personas now; it would by itself in a few seconds."""
    with contextlib.suppress(LocumError):
        whereabouts(config).call("personas", timeout=timedelta(seconds=5))
