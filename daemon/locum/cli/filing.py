"""`locum file`: what waits to be filed or failed, and filing a summary once more.

Or asking once more for a transcript that somebody else makes, and that wasn't there in time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
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
from locum.cli.terminal import day_and_time, one_line, out, out_json, say, table, working

_EPILOG = epilog(
    "locum file                                    what is waiting, and what failed",
    "locum file --again                            the last meeting's summary",
    'locum file --again "weekly sync" --sink email',
    'locum file --transcript "weekly sync"         ask for Google Meet\'s once more',
    exits="0 nothing failed, 1 something did or there is no such meeting, sink or transcript, "
    "4 no daemon is running (--again, --transcript)",
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
            help="With --again or --transcript: a part of the title, or a key; "
            "else the last one.",
            show_default=False,
        ),
    ] = "",
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Put the newest summary to its sinks once more.")
    ] = False,
    transcript: Annotated[
        bool,
        typer.Option(
            "--transcript", help="Ask for Google Meet's transcript now, however late it is."
        ),
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
    is sent a second time. With a transcript that comes, a summary is written anew, and filed
    where it can take the other one's place.
    """
    if not again and (sink or (meeting and not transcript)):
        raise typer.BadParameter(
            "MEETING goes with --again or --transcript, --sink with --again"
        )
    if again and transcript:
        raise typer.BadParameter("give one of --again and --transcript")
    place = whereabouts(config)
    if transcript:
        _fetch(place, meeting, json=json)
        return
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


def _fetch(place: Whereabouts, meeting: str, *, json: bool) -> None:
    """Have a transcript asked for, and say of each source whether it has one."""
    from locum.app import filing
    from locum.core.model import SessionKey

    told = place.call("fetch", {"meeting": meeting})
    title = one_line(told["title"]) or "a meeting without a title"
    deadline = time.monotonic() + _PATIENCE_S
    with working(f"Asking for the transcript of {title}"):
        while True:
            with reading_ledger(place.state) as ledger:
                key = SessionKey(told["session"])
                rows = (
                    [] if ledger is None else filing.transcripts_of(ledger, key, told["tries"])
                )
            if all(row["state"] != "being asked" for row in rows):
                break
            if time.monotonic() > deadline:
                say("It is taking long, and goes on without this command: ask again later.")
                break
            time.sleep(_LOOK_S)
    if json:
        named = {name: told[name] for name in ("session", "title", "start")}
        out_json({**named, "transcripts": rows})
    else:
        table([(title, row["label"], _said_of(row)) for row in rows])
    if not any(row["state"] == "came" for row in rows):
        raise typer.Exit(FAILED)


def _said_of(row: Mapping[str, Any]) -> str:
    if row["state"] == "came":
        return "is there; the summary has it, or is being written anew: see `locum file`"
    if row["state"] == "being asked":
        return "no answer yet"
    why = f": {row['problem']}" if row["problem"] else ""
    if row["state"] == "awaited":
        return f"isn't there yet{why}; next try {day_and_time(row['next_at'])}"
    return f"there is none{why}"


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
