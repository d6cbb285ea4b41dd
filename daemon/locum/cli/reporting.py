"""`locum status`: what is live, what comes next, and what is wrong.

The daemon tells it; without one, the ledger is read for what it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import typer

from locum.cli.ending import NO_DAEMON, epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    Whereabouts,
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
)

_STATUS = epilog(
    "locum status",
    "locum status --json | jq '.sessions[] | select(.phase == \"live\")'",
    exits="0 a daemon runs, 4 none does (what the ledger knows is shown)",
)

OPEN = frozenset({"joining", "ambiguous", "waiting", "live", "leaving"})
"""The phases of a session that isn't over."""


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_STATUS, short_help="Show what is live, what comes, and what is wrong.")(
        status
    )


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
    _section("Now", [_session_row(each) for each in sessions if each["phase"] in OPEN])
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
    _section("Lately", [_session_row(each) for each in sessions if each["phase"] not in OPEN])
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
    if session["phase"] in OPEN:
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
