"""`locum file`: what waits to be filed or failed, and filing a summary once more."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from locum.cli.ending import FAILED, epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    Whereabouts,
    reading_ledger,
    whereabouts,
)
from locum.cli.terminal import day_and_time, out, out_json, say, table, working

_EPILOG = epilog(
    "locum file                                    what is waiting, and what failed",
    "locum file --again                            the last meeting's summary",
    'locum file --again "weekly sync" --sink email',
    exits="0 nothing failed, 1 something did or there is no such meeting or sink, "
    "4 no daemon is running (--again)",
)

_LOOK_S = 0.3
_PATIENCE_S = 240.0
"""Longer than the longest filing."""


def add_to(app: typer.Typer) -> None:
    app.command(
        "file", epilog=_EPILOG, short_help="Show what waits to be filed; file it again."
    )(file)


def file(
    meeting: Annotated[
        str,
        typer.Argument(
            metavar="MEETING",
            help="With --again: a part of the title, or a key; else the last one.",
            show_default=False,
        ),
    ] = "",
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Put the newest summary to its sinks once more.")
    ] = False,
    sink: Annotated[
        str,
        typer.Option("--sink", metavar="NAME", help="Only this one.", show_default=False),
    ] = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show which summaries wait to be filed, or failed; or have one filed once more.

    Folders, documents and webhooks get the same summary in the same place. A mail or a message
    is sent a second time.
    """
    if not again and (meeting or sink):
        raise typer.BadParameter("MEETING and --sink go with --again")
    place = whereabouts(config)
    rows = _again(place, meeting, sink) if again else _waiting(place)
    if json:
        out_json(rows)
    else:
        _show(rows)
        if not rows:
            out("Nothing waits to be filed.")
    if any(row["state"] == "failed" for row in rows):
        raise typer.Exit(FAILED)


def _waiting(place: Whereabouts) -> list[dict[str, Any]]:
    from locum.app import filing

    with reading_ledger(place.state) as ledger:
        return [] if ledger is None else filing.waiting(ledger)


def _again(place: Whereabouts, meeting: str, sink: str) -> list[dict[str, Any]]:
    """Have it filed, and wait until each sink has it or has failed."""
    told = place.call("file", {"meeting": meeting, "sink": sink})
    wanted = set(told["sinks"])
    deadline = time.monotonic() + _PATIENCE_S
    with working(f"Filing the summary of {told['title'] or 'a meeting without a title'}"):
        while True:
            rows = [row for row in _of(place, told["session"]) if row["sink"] in wanted]
            there = {row["sink"] for row in rows if row["state"] != "waiting"}
            if there >= wanted and all(row["state"] != "waiting" for row in rows):
                return rows
            if time.monotonic() > deadline:
                say("It is taking long, and goes on without this command: see `locum file`.")
                return rows
            time.sleep(_LOOK_S)


def _of(place: Whereabouts, session: str) -> list[dict[str, Any]]:
    from locum.app import filing
    from locum.core.model import SessionKey

    with reading_ledger(place.state) as ledger:
        return [] if ledger is None else filing.of_session(ledger, SessionKey(session))


def _show(rows: list[dict[str, Any]]) -> None:
    table(
        [
            (
                row["state"],
                row["sink"],
                day_and_time(row["start"]),
                row["title"] or "(no title)",
                _detail(row),
            )
            for row in rows
        ]
    )


def _detail(row: dict[str, Any]) -> str:
    if row["state"] == "filed":
        return str(row["location"] or "")
    parts = [str(row["problem"])] if row["problem"] else []
    if row["retry_at"]:
        parts.append(f"next try {day_and_time(row['retry_at'])}")
    return "; ".join(parts)
