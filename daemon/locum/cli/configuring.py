"""`locum config`: a first config, whether it can be used, and what an editor may know of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from locum.cli.ending import BAD_CONFIG, epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    UnusedConfigOption,
    config_path,
    read_config,
)
from locum.cli.terminal import out, out_json, say
from locum.errors import ConfigError, PermanentError

_CHECK = epilog(
    "locum config check",
    "locum config check --config new.toml && cp new.toml ~/.config/locum/locum.toml",
    exits="0 it can be used, 78 it can't",
)
_SCHEMA = epilog(
    "locum config schema > ~/.config/locum/locum.schema.json",
    "echo '#:schema ./locum.schema.json'      as the config's first line",
    exits="0",
)
_INIT = epilog(
    "locum config init",
    "locum config init --path ./locum.toml",
    exits="0 written, 1 a file is there already or can't be written",
)

_FACE = "standin.png"
"""What the example calls its persona's image."""


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        name="config",
        help="Make, check and describe the config.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog=_CHECK)(check)
    group.command(epilog=_SCHEMA, short_help="Print the config's JSON Schema, for editors.")(
        schema
    )
    group.command(epilog=_INIT, short_help="Write an example config, to be edited.")(init)
    app.add_typer(group)


def check(*, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Say everything that is wrong with the config, by line.

    Nothing is changed, nobody is asked: for sign-ins and keys there is `locum doctor`.
    """
    path = config_path(config)
    try:
        loaded = read_config(path)
    except ConfigError as error:
        if not json:
            raise
        out_json({"ok": False, "path": str(path), "problems": error.problems, "warnings": []})
        raise typer.Exit(BAD_CONFIG) from None
    if json:
        found = {"problems": [], "warnings": loaded.warnings}
        out_json({"ok": True, "path": str(loaded.path), **found})
        return
    for warning in loaded.warnings:
        say(f"Warning: {warning}")
    out(f"{loaded.path} can be used.")


def schema(config: UnusedConfigOption = None) -> None:
    """Print the config's JSON Schema, for editors that complete and check while one types."""
    del config
    from locum.config.schema import schema as made

    out_json(made())


def init(
    *,
    path: Annotated[
        Path | None,
        typer.Option(
            "--path",
            "--config",
            "-c",
            metavar="FILE",
            help="Where to. [default: $LOCUM_CONFIG, or ~/.config/locum/locum.toml]",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write a commented example config, to be edited, and a drawn face beside it.

    Prints the config's path. A face that is there already is kept.
    """
    from locum.config.example import example_text

    target = config_path(path).absolute()
    if target.is_dir():
        target /= "locum.toml"
    _write(target, example_text().encode(), force=force)
    out(str(target))
    face = target.with_name(_FACE)
    if not os.path.lexists(face):
        from locum.rehearsal.face import face_png

        _write(face, face_png(), force=False)
        say(f"{_FACE} beside it is a drawn placeholder: put your stand-in's face there.")
    say(
        "Edit it: your calendars, your stand-in, its key. "
        "Then `locum config check`, `locum auth login` and `locum doctor`."
    )


def _write(path: Path, content: bytes, *, force: bool) -> None:
    """Write the file whole: a running daemon never reads half of it.

    Raises:
        PermanentError: It is there already, or can't be written.
    """
    if not force and os.path.lexists(path):
        raise PermanentError(
            f"{path} is there already. Name another file with --path, or replace it with --force."
        )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(content)
            draft.chmod(0o644)  # It names where secrets are, and holds none.
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise PermanentError(
            f"{path} can't be written: {error.strerror}. Name another place with --path."
        ) from error
