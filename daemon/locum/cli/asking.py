"""What one asks the running daemon: how it is, and to come, go, stay away or read its config.

`join` and `leave` wait until it is done: a person wants to know that the stand-in is in, or
out, not that somebody was told.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import typer

from locum.cli.ending import FAILED, HUMAN_NEEDED, NO_DAEMON, epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    Whereabouts,
    read_config,
    reading_ledger,
    whereabouts,
)
from locum.cli.terminal import (
    clock_time,
    day_and_time,
    dollars,
    heading,
    length,
    local,
    one_line,
    out,
    out_json,
    say,
    table,
    working,
)
from locum.errors import ConfigError, PermanentError

_STATUS = epilog(
    "locum status",
    "locum status --json | jq '.sessions[] | select(.phase == \"live\")'",
    exits="0 a daemon runs, 4 none does (what the ledger knows is shown)",
)
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

_OPEN = frozenset({"joining", "ambiguous", "waiting", "live", "leaving"})
_LOOK_S = 0.3
_TIME_TO_LEAVE_S = 90.0
_TIME_TO_BEGIN_S = 10.0

_NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Return at once, not when it is done.")
]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_STATUS, short_help="Show what is live, what comes, and what is wrong.")(
        status
    )
    app.command(epilog=_JOIN)(join)
    app.command(epilog=_LEAVE)(leave)
    app.command(epilog=_SKIP)(skip)
    app.command(
        "opt-out",
        epilog=_OPT_OUT,
        short_help="Keep it out of a whole series: somebody there wants that.",
    )(opt_out)
    app.command(epilog=_RELOAD)(reload)


# ── status ───────────────────────────────────────────────────────────────────────────────


def status(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show what is live, what comes next, what went by, and what is wrong.

    Without a daemon, what the ledger knows is shown.
    """
    from locum.control import DaemonNotRunningError

    place = whereabouts(config)
    try:
        found: Mapping[str, Any] = place.call("status")
    except DaemonNotRunningError as error:
        found = _from_ledger(place)
        if not json:
            say(str(error))
    if json:
        out_json(found)
    else:
        _show_status(found)
    if not found["running"]:
        raise typer.Exit(NO_DAEMON)


def _from_ledger(place: Whereabouts) -> dict[str, Any]:
    from locum.app import reports

    found: dict[str, Any] = {
        "running": False,
        "now": datetime.now(timezone.utc).isoformat(),
        "config": str(place.config),
        "config_problems": [],
        "ledger_recovery": None,
        "held_back": [],
        "shortages": [],
        "calendars": [],
        "personas": [],
        "armed": 0,
        "next": [],
        "sessions": [],
    }
    with reading_ledger(place.state) as ledger:
        if ledger is not None:
            found["ledger_recovery"] = reports.recovery(ledger, datetime.now(timezone.utc))
            found["calendars"] = reports.calendars(ledger)
            found["sessions"] = [
                reports.session(record, ledger) for record in ledger.sessions.newest(20)
            ]
    return found


def _show_status(found: Mapping[str, Any]) -> None:
    if found["running"]:
        out(f"locum {found['version']} runs (process {found['pid']}) with {found['config']}")
    else:
        out(f"locum is not running. What its ledger knows ({found['config']}):")
    for problem in found["config_problems"]:
        out(f"  Not in use as it stands: {one_line(problem)}")
    _show_recovery(found)
    for shortage in found["shortages"]:
        out(f"  Too little on {shortage['engine']}: {one_line(shortage['problem'])}")
    for trouble in found.get("transcript_troubles", ()):
        out(f"  A transcript can't be fetched: {one_line(trouble)}")
    now = local(found["now"])
    _section("Calendars", [_calendar_row(each, now) for each in found["calendars"]])
    _section("Personas", [_persona_row(each) for each in found["personas"]])
    _section("Read less often, for Google's quota", _stretched_rows(found.get("paces", [])))
    _section("Push", [_push_row(each) for each in found.get("push", [])])
    sessions = found["sessions"]
    _section("Now", [_session_row(each) for each in sessions if each["phase"] in _OPEN])
    _section(
        "Next",
        [
            (
                day_and_time(each["start"]),
                each["title"] or "(no title)",
                f"as {each['persona']}" if each["persona"] else "",
                dollars(each["estimated_cost_usd"]),
            )
            for each in found["next"]
        ],
    )
    _section("Lately", [_session_row(each) for each in sessions if each["phase"] not in _OPEN])
    if not (found["calendars"] or found["next"] or sessions):
        out("  Nothing yet.")


def _show_recovery(found: Mapping[str, Any]) -> None:
    recovery = found["ledger_recovery"]
    if recovery is None:
        return
    source = recovery["restored_from"] or "nothing: there was no sound backup"
    out(f"  The ledger was damaged ({one_line(recovery['damage'] or '')}).")
    out(f"  Restored {day_and_time(recovery['at'])} from {source}.")
    out(f"  The damaged one is kept in {recovery['quarantined']}")
    if not recovery["sessions_known"]:
        out("  Sessions may be running that it lost: look into your rooms, and the account.")
    for held in found["held_back"]:
        out(f'  Not joined yet: "{one_line(held["title"])}": {held["reason"]}')


def _section(title: str, rows: list[tuple[str, ...]]) -> None:
    if rows:
        heading(title)
        table(rows, indent=2)


def _calendar_row(calendar: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    if calendar["failing_since"] is not None:
        since = day_and_time(calendar["failing_since"])
        return calendar["calendar"], "failing", f"since {since}: {calendar['problem']}"
    if calendar["read_at"] is None:
        return calendar["calendar"], "not read yet", ""
    age = max(now - local(calendar["read_at"]), timedelta(0))
    return calendar["calendar"], "ok", f"read {length(age)} ago"


def _persona_row(persona: Mapping[str, Any]) -> tuple[str, ...]:
    if persona["trouble"]:
        return persona["name"], "broken", persona["trouble"]
    told = [persona["tile"]]
    if persona["version"] is not None:
        told.append(f"version {persona['version']} since {day_and_time(persona['since'])}")
    elif persona["why"]:
        told.append(persona["why"])
    told += ["locked"] if persona["locked"] else []
    told += [
        f"voice unused for {voice['unused_days']} days at {voice['engine']}"
        for voice in persona["voices"]
        if voice["unused_days"] >= 6
    ]
    return persona["name"], "ok", ", ".join(told)


def _stretched_rows(paces: list[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            pace["account"],
            _calendars(pace["near"] + pace["idle"]),
            f"every {length(timedelta(seconds=pace['near_every_s']))} where a meeting is near,",
            f"otherwise every {length(timedelta(seconds=pace['idle_every_s']))}",
        )
        for pace in paces
        if pace["stretched"]
    ]


def _calendars(count: int) -> str:
    return f"{count} calendar" if count == 1 else f"{count} calendars"


def _push_row(push: Mapping[str, Any]) -> tuple[str, ...]:
    if push["problem"]:
        return push["calendar"], "failing", push["problem"]
    if push["heard_at"] is None:
        return push["calendar"], "unproved", "no message has arrived yet"
    return push["calendar"], "ok", f"until {day_and_time(push['expires_at'])}"


def _session_row(session: Mapping[str, Any]) -> tuple[str, ...]:
    begun = session["admitted_at"] or session["join_at"]
    if session["phase"] in _OPEN:
        times = f"{day_and_time(begun)}, until {clock_time(session['leave_by'])}"
        # Once it is in, the detail tells only of how it got there.
        told = session["room"] if session["phase"] == "live" else session["detail"]
    else:
        times = day_and_time(begun)
        filed = [each["location"] for each in session["summaries"] if each["location"]]
        # What keeps a summary from being filed is the one thing that a person can mend.
        problems = [each["problem"] for each in session["summaries"] if each["problem"]]
        told = next(
            filter(None, (*problems, *filed, session["detail"], session["end_reason"])), ""
        )
    return session["phase"], times, session["title"] or "(no title)", told


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
        session["phase"] not in _OPEN and session["admitted_at"] is not None
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
            if session["phase"] == "live" or session["phase"] not in _OPEN:
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
        while found["phase"] in _OPEN and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            found = _find(place.call("status"), found["key"]) or found
    if found["phase"] in _OPEN:
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
