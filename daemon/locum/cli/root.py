"""`locum`: its commands in the order in which one gets to know them."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Annotated

import typer

from locum import __version__
from locum.cli import (
    acting,
    asking,
    attending,
    briefing,
    configuring,
    deciding,
    examining,
    filing,
    meeting,
    notifying,
    persona,
    pulling,
    reaping,
    rehearsing,
    remembering,
    reporting,
    running,
    signing,
    spending,
    summarising,
)
from locum.cli.ending import EXIT_CODES, INTERRUPTED, CommandGroup

_HELP = """\
Goes to your Google Meet meetings as your AI stand-in, and files what happened.

A calendar and one config file say where to be. `rehearse` shows all of it on a stage on this
machine, without an account and without spending anything."""

_EPILOG = f"""\
\b
First steps:
  locum rehearse          watch it go to a meeting, on a stage
  locum config init       write a config, then edit it
  locum persona new NAME  give your stand-in a face and a voice
  locum auth login        let it read your calendar
  locum doctor            try every part, and learn what is missing
  locum plan              see what it would join, and why
  locum run               let it

{EXIT_CODES}

\b
Results are printed on stdout (with --json as pure JSON), all else on stderr.
`locum COMMAND --help` has examples."""


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"locum {__version__}")
        raise typer.Exit


def _about(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    del version  # Its callback has done all there is to do.


def _make() -> typer.Typer:
    # Plain help: rich's takes longer to import than most commands take in all.
    made = typer.Typer(
        cls=CommandGroup,
        help=_HELP,
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    made.callback()(_about)
    for group in (
        running,
        rehearsing,
        deciding,
        reporting,
        asking,
        filing,
        briefing,
        acting,
        remembering,
        spending,
        signing,
        meeting,
        examining,
        configuring,
        notifying,
        persona,
        pulling,
        reaping,
        summarising,
        attending,
    ):
        group.add_to(made)
    return made


app = _make()


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A title that the terminal's encoding lacks must not end a command.
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="locum")
    except KeyboardInterrupt:  # Before or after the command itself.
        sys.exit(INTERRUPTED)
