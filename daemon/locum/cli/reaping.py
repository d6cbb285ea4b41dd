"""`locum reap`: ends what a daemon that died has left running."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import FAILED, HUMAN_NEEDED, epilog
from locum.cli.places import ConfigOption, JsonOption, config_path, state_of
from locum.cli.terminal import out, out_json, table, working
from locum.errors import ConfigError

if TYPE_CHECKING:
    from locum.app.reaper import Outcome, Reaping
    from locum.config.model import Config

_EPILOG = epilog(
    "locum reap --dry-run",
    "locum reap --config /etc/locum/locum.toml",
    exits="0 nothing is left running (or a daemon looks after it), 1 something may still run, "
    "3 a person must act, 78 the config can't be used",
)
_NEEDED = ("state_dir", "engines", "stage")


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_EPILOG, short_help="End what a dead daemon left running.")(reap)


def reap(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what may be running.")
    ] = False,
    wait: Annotated[
        str,
        typer.Option(metavar="TIME", help="How long a daemon has to come back first."),
    ] = "20s",
    within: Annotated[
        str, typer.Option(metavar="TIME", help="How long leaving may take.")
    ] = "60s",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Leave every meeting whose daemon died: nobody watches it, and each minute costs.

    Beside a running daemon there is nothing to do. One that is started later may go back in.
    """
    import asyncio

    from locum import logs
    from locum.app.reaper import look
    from locum.app.reaper import reap as reap_all
    from locum.config.values import parse_duration

    try:
        patience, limit = parse_duration(wait), parse_duration(within)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    logs.configure(json=None, level="error")
    used = _config(config_path(config))
    state = state_of(used)
    if dry_run:
        found = look(used, state)
    else:
        with working("Looking for what a dead daemon left running"):
            found = asyncio.run(reap_all(used, state, os.environ, wait=patience, within=limit))
    _show(found, json=json)
    _exit(found)


def _config(path: Path) -> Config:
    """Read the config; of one that can't be used as a whole, what ending sessions takes.

    A bad edit is one of the reasons why a daemon is down.

    Raises:
        ConfigError: Not even that can be used.
    """
    from locum.config.load import ENGINE_ADDRESS_VARIABLE, load
    from locum.config.model import Config
    from locum.config.problems import validate
    from locum.config.reading import read_source
    from locum.config.values import Places, home_directory

    try:
        return load(path).config
    except ConfigError:
        if os.environ.get(ENGINE_ADDRESS_VARIABLE):
            raise  # Only a whole config says which addresses it may stand for.
        values = read_source(path.absolute()).values
        kept = {key: values[key] for key in _NEEDED if key in values}
        home = home_directory(os.environ.get("HOME"), os.getuid())
        checked = validate(kept, Places(path.absolute().parent, home))
        if not isinstance(checked, Config) or not checked.engines:
            raise
        return checked


def _show(found: Reaping, *, json: bool) -> None:
    if json:
        sessions = [_as_json(each) for each in found.outcomes]
        out_json({"daemon_running": found.daemon_runs, "sessions": sessions})
    elif found.daemon_runs:
        out("A daemon is running: it looks after its sessions itself.")
    elif not found.outcomes:
        out("Nothing is left running.")
    else:
        table(
            [
                (each.fate.value, each.orphan.title, each.orphan.address, each.detail)
                for each in found.outcomes
            ]
        )


def _as_json(outcome: Outcome) -> dict[str, Any]:
    orphan = outcome.orphan
    return {
        "session": orphan.key,
        "title": orphan.title,
        "meet_url": orphan.address,
        "engine": orphan.engine,
        "handle": orphan.handle,
        "phase": orphan.phase.value,
        "claimed_at": orphan.claimed_at.isoformat(),
        "outcome": outcome.fate.value,
        "detail": outcome.detail,
    }


def _exit(found: Reaping) -> None:
    from locum.app.reaper import Fate

    fates = {each.fate for each in found.outcomes}
    if Fate.NEEDS_PERSON in fates:
        raise typer.Exit(HUMAN_NEEDED)
    if fates - {Fate.ENDED}:
        raise typer.Exit(FAILED)
