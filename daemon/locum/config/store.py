"""The config that runs, and what an edit changes in it. A bad edit changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from locum.config.lines import KeyPath, dotted
from locum.config.load import LoadedConfig, load
from locum.config.model import Config
from locum.config.tables import Table
from locum.errors import ConfigError


class Reload(Enum):
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"  #: The last good config stays.


@dataclass(frozen=True)
class ReloadOutcome:
    """What became of a reload: `changes` as dotted keys, `problems` as `load` words them."""

    verdict: Reload
    changes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class ConfigStore:
    """Holds the last good config. Reloading reads the disk: call it off the event loop."""

    def __init__(
        self, loaded: LoadedConfig, *, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._current = loaded
        self._environ = environ
        self._problems: tuple[str, ...] = ()

    @property
    def current(self) -> LoadedConfig:
        return self._current

    @property
    def config(self) -> Config:
        return self._current.config

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the file as it stands isn't in use; empty when it is."""
        return self._problems

    def reload(self) -> ReloadOutcome:
        """Read the file again, and take it if all of it can be used. Raises nothing."""
        try:
            loaded = load(self._current.path, environ=self._environ)
        except ConfigError as error:
            self._problems = error.problems
            return ReloadOutcome(Reload.REJECTED, problems=error.problems)
        changes = describe_changes(self._current.config, loaded.config)
        self._current, self._problems = loaded, ()
        return ReloadOutcome(Reload.CHANGED if changes else Reload.UNCHANGED, changes)


def describe_changes(old: Config, new: Config) -> tuple[str, ...]:
    """Name the settings that differ, as dotted keys; never their values."""
    return tuple(dict.fromkeys(dotted(path) for path in _differences(old, new, ())))


def _differences(old: Any, new: Any, path: KeyPath) -> Iterator[KeyPath]:
    if old == new:
        return
    before, after = _parts(old), _parts(new)
    if before is None or after is None or type(old) is not type(new):
        yield path
        return
    for key in [*before, *(key for key in after if key not in before)]:
        if key in before and key in after:
            yield from _differences(before[key], after[key], (*path, key))
        else:
            yield (*path, key)


def _parts(value: Any) -> Mapping[str | int, Any] | None:
    """Take a table, a table of tables or an array of tables apart; None for a plain value."""
    if isinstance(value, Table):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict):
        return value
    if isinstance(value, tuple) and all(isinstance(item, Table) for item in value):
        return dict(enumerate(value))
    return None
