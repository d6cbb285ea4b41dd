"""Where a command finds what it needs: the config, the state, the ledger, the daemon.

Commands that only ask the daemon or read the ledger must work while a bad edit lies in the
config: the daemon runs on with the last good one, and one may want to leave a meeting now.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.errors import ConfigError, PermanentError

if TYPE_CHECKING:
    from datetime import timedelta

    from locum.config.load import LoadedConfig
    from locum.config.model import Config
    from locum.ledger import Ledger

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        readable=False,  # It is read later, by code that says what to do and exits with 78.
        help="The config file. [default: $LOCUM_CONFIG, or ~/.config/locum/locum.toml]",
        show_default=False,
    ),
]
UnusedConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", readable=False, hidden=True),
]
"""For commands that need no config, so that scripts may give it to every one."""

AccountArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The account, as the config calls it; may stay out if there is only one.",
        show_default=False,
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def config_path(given: Path | None) -> Path:
    from locum.config.places import default_config_path

    return given if given is not None else default_config_path()


def read_config(given: Path | None) -> LoadedConfig:
    """Read the config that a command names, or the usual one.

    Raises:
        ConfigError: It can't be used.
    """
    from locum.config.load import load

    return load(config_path(given))


def state_of(config: Config) -> Path:
    from locum.config.places import state_dir

    return state_dir(config)


# ── the daemon ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Whereabouts:
    """Where a daemon's socket and ledger are. `unusable` is what is wrong with its config."""

    config: Path
    state: Path
    socket: Path
    unusable: ConfigError | None = None

    def call(
        self,
        command: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: timedelta | None = None,
    ) -> Mapping[str, Any]:
        """Have the daemon do something.

        Raises:
            ConfigError: There is no daemon where a config that can't be used says.
            LocumError: As `call_daemon`.
        """
        from locum.control import IDLE, DaemonNotRunningError, call_daemon

        try:
            return call_daemon(self.socket, command, args, timeout or IDLE)
        except DaemonNotRunningError:
            if self.unusable is not None:
                raise self.unusable from None
            raise


def whereabouts(given: Path | None) -> Whereabouts:
    """Find the daemon of a config, even of one that can't be used as it stands."""
    from locum.app.places import socket_path
    from locum.config.load import load

    path = config_path(given)
    unusable = None
    try:
        config = load(path).config
    except ConfigError as error:
        unusable = error
        config = _what_can_be_read(path, error)
    return Whereabouts(path, state_of(config), socket_path(config), unusable)


def _what_can_be_read(path: Path, error: ConfigError) -> Config:
    """Answer a config of nothing but its folders.

    Raises:
        ConfigError: `error`, where not even these can be told.
    """
    from locum.config.model import Config
    from locum.config.problems import validate
    from locum.config.reading import read_source
    from locum.config.values import Places, home_directory

    folders: dict[str, Any] = {}
    with contextlib.suppress(ConfigError):
        values = read_source(path.absolute()).values
        folders = {key: values[key] for key in ("state_dir", "runtime_dir") if key in values}
    home = home_directory(os.environ.get("HOME"), os.getuid())
    config = validate(folders, Places(path.absolute().parent, home))
    if not isinstance(config, Config):
        raise error
    return config


# ── the ledger ───────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def reading_ledger(state: Path) -> Iterator[Ledger | None]:
    """Open the ledger to read it only; None if none has been made yet.

    Raises:
        PermanentError, LedgerError: It is there, and can't be read.
    """
    import sqlite3

    from locum.app.places import ledger_path
    from locum.ledger import Database, Ledger

    path = ledger_path(state)
    try:
        found = path.exists()
    except OSError as error:
        raise PermanentError(
            f"The ledger {path} can't be read ({error.strerror}). "
            "Run the command as the user that the daemon runs as."
        ) from error
    if not found:
        yield None
        return
    ledger = Ledger(Database(path, read_only=True))
    try:
        yield ledger
    except sqlite3.Error as error:
        raise PermanentError(
            f"The ledger {path} can't be read: {error}. See `locum doctor`."
        ) from error
    finally:
        ledger.close()
