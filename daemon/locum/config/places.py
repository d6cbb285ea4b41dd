"""Where the config, the state and the control socket are, if nobody says otherwise.

systemd's variables come first (they can hold several paths, divided by colons: the first
counts), then the XDG ones, then the home directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from locum.config.model import Config
from locum.config.values import home_directory
from locum.errors import ConfigError


def default_config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Answer where locum.toml is looked for: $LOCUM_CONFIG, /etc under systemd, ~/.config.

    Raises:
        ConfigError: Nothing names a place, not even a home directory.
    """
    named = environ.get("LOCUM_CONFIG")
    if named:
        return _below_home(named, environ)
    folder = (
        _first(environ, "CONFIGURATION_DIRECTORY")
        or _in_xdg(environ, "XDG_CONFIG_HOME")
        or _home(environ, "LOCUM_CONFIG") / ".config/locum"
    )
    return folder / "locum.toml"


def state_dir(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Answer where the ledger and the sign-ins are kept.

    Raises:
        ConfigError: Nothing names a place, not even a home directory.
    """
    return (
        config.state_dir
        or _first(environ, "STATE_DIRECTORY")
        or _in_xdg(environ, "XDG_STATE_HOME")
        or _home(environ, "state_dir") / ".local/state/locum"
    )


def runtime_dir(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Answer where the control socket is.

    Raises:
        ConfigError: Nothing names a place, not even a home directory.
    """
    return (
        config.runtime_dir
        or _first(environ, "RUNTIME_DIRECTORY")
        or _in_xdg(environ, "XDG_RUNTIME_DIR")
        or state_dir(config, environ)
    )


def _first(environ: Mapping[str, str], variable: str) -> Path | None:
    first = environ.get(variable, "").split(":")[0]
    return Path(first) if first else None


def _in_xdg(environ: Mapping[str, str], variable: str) -> Path | None:
    folder = environ.get(variable, "")
    # The XDG specification: a relative path there is invalid and to be ignored.
    return Path(folder) / "locum" if folder.startswith("/") else None


def _below_home(path: str, environ: Mapping[str, str]) -> Path:
    if path == "~" or path.startswith("~/"):
        return _home(environ, "LOCUM_CONFIG") / path[2:]
    return Path(path)


def _home(environ: Mapping[str, str], setting: str) -> Path:
    home = home_directory(environ.get("HOME"), os.getuid())
    if home is None:
        raise ConfigError((f"there is no home directory here; set {setting} to a path",))
    return home
