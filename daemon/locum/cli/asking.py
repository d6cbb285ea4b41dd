"""What one asks of the running daemon: to come, go, stay away or read its config.

`join` and `leave` wait until it is done: a person wants to know that the stand-in is in, or
out, not that somebody was told.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from locum.cli.ending import FAILED, HUMAN_NEEDED, epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    Whereabouts,
    read_config,
    reading_ledger,
    whereabouts,
)
from locum.cli.reporting import OPEN
from locum.cli.terminal import (
    day_and_time,
    heading,
    one_line,
    out,
    out_json,
    say,
    table,
    working,
)
from locum.errors import ConfigError, PermanentError

_JOIN = epilog(
    "locum join https://meet.google.com/abc-defg-hij",
    'locum join https://meet.google.com/abc-defg-hij --persona standin --title "Call with Dana"',
    exits="0 it is in, 1 it didn't get in, 3 the engine needs a person (key, credits), "
    "4 no daemon is running",
)
_LEAVE = epilog(
    "locum leave",
    'locum leave "budget round"',
    "locum leave abc-defg-hij --no-wait",
    exits="0 it has left, 1 it hasn't (yet), 4 no daemon is running",
)
_SKIP = epilog(
    'locum skip "budget round"',
    'locum skip "budget round" --undo',
    exits="0, 1 no event ahead, or more than one, is called that, 4 no daemon is running",
)
_OPT_OUT = epilog(
    'locum opt-out "weekly sync" --by "Dana"',
    "locum opt-out                              list what was opted out",
    'locum opt-out "weekly sync" --undo',
    exits="0, 1 nothing, or more than one thing, is called that, 4 no daemon is running",
)
_RELOAD = epilog(
    "locum reload",
    exits="0, 4 no daemon is running, 78 the config can't be used (the last good one stays)",
)

_LOOK_S = 0.3
_TIME_TO_LEAVE_S = 90.0
_TIME_TO_BEGIN_S = 10.0

_NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Return at once, not when it is done.")
]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_JOIN)(join)
    app.command(epilog=_LEAVE)(leave)
    app.command(epilog=_SKIP)(skip)
    app.command(
        "opt-out",
        epilog=_OPT_OUT,
        short_help="Keep it out of a whole series: somebody there wants that.",
    )(opt_out)
    app.command(epilog=_RELOAD)(reload)


# ── join ─────────────────────────────────────────────────────────────────────────────────


def join(
    *,
    url: Annotated[str, typer.Argument(metavar="URL", help="The meeting's link.")],
    persona: Annotated[
        str, typer.Option(metavar="NAME", help="Who goes; may stay out if there is only one.")
    ] = "",
    title: Annotated[
        str, typer.Option(metavar="TEXT", help="What its summary is called.")
    ] = "",
    no_wait: _NoWait = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Go to a meeting that no calendar names, now.

    Waits until the stand-in is in, or has given up; Ctrl-C ends the waiting only.
    """
    place = whereabouts(config)
    answer = place.call("join", {"url": url, "persona": persona, "title": title})
    if no_wait:
        _tell_result(answer, json=json, text=f"Told to join {url}. See `locum status`.")
        return
    if answer["already"]:
        key, occurrence = answer["session"]["key"], ""
    else:
        key, occurrence = "", answer["occurrence"]
    with working(f"Joining {url}") as tell:
        session = _wait_until_in(place, key, occurrence, tell)
    is_in = session["phase"] == "live" or (
        session["phase"] not in OPEN and session["admitted_at"] is not None
    )
    who = f" as {session['persona']}" if session["persona"] else ""
    verdict = "In the meeting" if is_in else "Not in the meeting"
    reason = "" if is_in else f": {_outcome_of(session)}"
    _tell_result(
        {"session": session}, json=json, text=f"{verdict} {session['room']}{who}{reason}"
    )
    if not is_in:
        human = session["end_reason"] == "engine_refused"
        raise typer.Exit(HUMAN_NEEDED if human else FAILED)


def _wait_until_in(
    place: Whereabouts, key: str, occurrence: str, tell: Any
) -> Mapping[str, Any]:
    """Follow a session by its key, or by an occurrence that it serves, until it is in.

    Raises:
        PermanentError: No session was begun for it.
    """
    told = ""
    begin_by = time.monotonic() + _TIME_TO_BEGIN_S
    while True:
        session = _find(place.call("status"), key, occurrence)
        if session is not None:
            if session["phase"] == "live" or session["phase"] not in OPEN:
                return session
            news = ", ".join(filter(None, (session["phase"], session["detail"])))
            if news != told:
                tell(news)
                told = news
        elif time.monotonic() > begin_by:
            raise PermanentError(f"It isn't being joined: {_last_reason(place, occurrence)}.")
        time.sleep(_LOOK_S)


def _find(
    status: Mapping[str, Any], key: str, occurrence: str = ""
) -> Mapping[str, Any] | None:
    for session in status["sessions"]:
        served = {meeting["occurrence"] for meeting in session["meetings"]}
        if session["key"] == key or occurrence in served:
            found: Mapping[str, Any] = session
            return found
    return None


def _last_reason(place: Whereabouts, occurrence: str) -> str:
    """Answer what was decided last; at capacity, for example, nothing is begun."""
    from locum.core.model import OccurrenceKey

    with reading_ledger(place.state) as ledger:
        entries = (
            () if ledger is None else ledger.calendars.decisions(OccurrenceKey(occurrence))
        )
    if not entries or entries[-1].join:
        return "the daemon hasn't begun; see its log"
    return entries[-1].reason


def _outcome_of(session: Mapping[str, Any]) -> str:
    told = ", ".join(filter(None, (session["end_reason"], session["detail"])))
    return one_line(told or session["phase"])


def _tell_result(answer: Mapping[str, Any], *, json: bool, text: str) -> None:
    if json:
        out_json(answer)
    else:
        out(text)


# ── leave, skip, reload ──────────────────────────────────────────────────────────────────


def leave(
    *,
    session: Annotated[
        str,
        typer.Argument(
            metavar="SESSION",
            help="A part of its title, or the meeting's code or link; "
            "may stay out if there is only one.",
            show_default=False,
        ),
    ] = "",
    no_wait: _NoWait = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Leave a meeting now, and don't go back to it.

    Waits until the engine has proved that the stand-in is out.
    """
    place = whereabouts(config)
    found: Mapping[str, Any] = place.call("leave", {"session": session})["session"]
    name = f'"{one_line(found["title"])}"'
    if no_wait:
        _tell_result({"session": found}, json=json, text=f"Told to leave {name}.")
        return
    deadline = time.monotonic() + _TIME_TO_LEAVE_S
    with working(f"Leaving {name}"):
        while found["phase"] in OPEN and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            found = _find(place.call("status"), found["key"]) or found
    if found["phase"] in OPEN:
        _tell_result({"session": found}, json=json, text=f"Still leaving {name}.")
        say(
            f"{_TIME_TO_LEAVE_S:.0f} s weren't enough to prove that it is out; the daemon goes "
            "on trying. See `locum status`."
        )
        raise typer.Exit(FAILED)
    _tell_result({"session": found}, json=json, text=f"Left {name}.")


def skip(
    *,
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="A part of its title, or its key.")
    ],
    undo: Annotated[
        bool, typer.Option("--undo", help="Take it back: decide by the rules again.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Don't go to one event, whatever the calendar says of it."""
    answer = whereabouts(config).call("skip", {"event": event, "undo": undo})
    item = answer["event"]
    title = one_line(item["title"]) or "(no title)"
    _tell_result(
        answer,
        json=json,
        text=f'{item["decision"]}: "{title}", {day_and_time(item["start"])}: {item["reason"]}',
    )


def opt_out(
    *,
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT",
            help="A part of its title, or its key; without it, what was opted out is listed.",
            show_default=False,
        ),
    ] = "",
    by: Annotated[
        str, typer.Option("--by", metavar="NAME", help="Who asked for it, for the record.")
    ] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Keep the stand-in out of a whole series, because somebody in it wants that.

    If it is in a meeting of the series, it leaves at once, and what was heard there is
    deleted (privacy.forget_on_opt_out). In rooms where the engine can hear, anybody can do
    the same by saying or writing "opt out".
    """
    if undo and not event:
        raise typer.BadParameter("name what to take back; `locum opt-out` lists what there is")
    place = whereabouts(config)
    if event and not undo:
        answer = place.call("opt-out", {"event": event, "by": by})
    else:
        answer = place.call("opt-in", {"series": event})
    if json:
        out_json(answer)
        return
    if not answer["opt_outs"]:
        out("Nobody has opted out of anything.")
        return
    heading("Series without a stand-in")
    table(
        [
            (
                one_line(each["title"]) or "(no title)",
                f"since {day_and_time(each['at'])}",
                f"by {one_line(each['by'])}" if each["by"] else "",
                each["series"],
            )
            for each in answer["opt_outs"]
        ],
        indent=2,
    )


def reload(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Have the daemon take up its config now.

    Saving the file does the same. A config that can't be used changes nothing.
    """
    from locum.control import CommandRefusedError

    try:
        answer = whereabouts(config).call("reload")
    except CommandRefusedError as error:
        try:
            read_config(config)
        except ConfigError as problems:
            say("The last good config stays in use.")
            raise problems from error
        raise
    changes = answer["changes"]
    text = f"Changed: {', '.join(changes)}" if changes else "Nothing has changed."
    _tell_result(answer, json=json, text=text)
