"""`locum plan` and `locum why`: what it would do, what it did, and the reasons.

Both work without a daemon: the plan is made anew from the calendars as they are now, the
reasons are read from the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import FAILED, HUMAN_NEEDED, epilog, message_of
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    read_config,
    reading_ledger,
    state_of,
    whereabouts,
)
from locum.cli.terminal import (
    clock_time,
    day_and_time,
    dollars,
    heading,
    local,
    one_line,
    out,
    out_json,
    say,
    table,
    working,
)
from locum.errors import HumanNeededError, LocumError, PermanentError

if TYPE_CHECKING:
    from locum.config.model import Config
    from locum.core.model import CalendarEvent, CalendarReading, CalendarRef, Judged
    from locum.ports import CalendarSource

_PLAN = epilog(
    "locum plan",
    "locum plan --days 7",
    "locum plan --config edited.toml        what an edit would change, before it counts",
    "locum plan --json | jq '.[] | select(.decision == \"join\") | .title'",
    exits="0, 1 a calendar can't be read, 3 a sign-in has ended, 78 the config can't be used",
)
_WHY = epilog(
    'locum why "budget round"',
    "locum why --json 7k2q0v3c1u@google.com/20261123T090000Z",
    exits="0, 1 nothing, or more than one event, goes by that name",
)
_LOOK_BACK = timedelta(hours=12)
_MEMORY = timedelta(hours=24)


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_PLAN, short_help="Show what it would join in the next days, and why.")(
        plan
    )
    app.command(
        epilog=_WHY, short_help="Tell what was decided about an event, and came of it."
    )(why)


def plan(
    *,
    days: Annotated[
        int, typer.Option(min=1, max=60, metavar="N", help="How many days ahead.")
    ] = 2,
    past: Annotated[
        bool, typer.Option("--past", help="Show the last 12 hours too, not only what is ahead.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show each event of the next days: whether it is joined, why, as whom, at what cost.

    A dry run: the calendars are read, nothing is changed, and no daemon is needed. Costs are
    the most that it can come to.
    """
    import asyncio

    loaded = read_config(config)
    count = sum(len(account.calendars) for account in loaded.config.calendar.accounts)
    if not count:
        say(f"{loaded.path} names no calendars: add [[calendar.accounts]].")
    with working(f"Reading {count} calendar{'' if count == 1 else 's'}"):
        forecast = asyncio.run(_forecast(loaded.config, timedelta(days=days), past=past))
    if json:
        out_json(forecast.events)
    elif forecast.events or not forecast.failures:
        _show_plan(forecast.events, days)
    for note in (*forecast.notes, *_hindrances(loaded.config, forecast.events)):
        say(note)
    failures = list({str(failure): failure for failure in forecast.failures}.values())
    for failure in failures:
        say(message_of(failure))
    if failures:
        human = all(isinstance(failure, HumanNeededError) for failure in failures)
        raise typer.Exit(HUMAN_NEEDED if human else FAILED)


def _hindrances(config: Config, events: list[dict[str, Any]]) -> Iterable[str]:
    """Say why nobody would go to what is to be joined, where that is the config's fault."""
    joined = [event for event in events if event["decision"] == "join"]
    if any(event["persona"] is None for event in joined):
        several = "name one as attend.persona" if config.personas else "add [personas.NAME]"
        yield f"The config doesn't say who goes: {several}."
    if any(event["engine"] is None for event in joined):
        several = "name one as attend.engine" if config.engines else "add [engines.NAME]"
        yield f"The config doesn't say what carries the stand-in there: {several}."


# ── making a plan ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Forecast:
    events: list[dict[str, Any]]
    failures: tuple[LocumError, ...]
    notes: tuple[str, ...]


@dataclass
class _Known:
    """What the ledger adds to the calendars."""

    marks: Mapping[Any, Any] = field(default_factory=dict)
    records: tuple[Any, ...] = ()
    by_hand: tuple[CalendarEvent, ...] = ()


async def _forecast(config: Config, ahead: timedelta, *, past: bool) -> _Forecast:
    import asyncio

    from locum.app import reports
    from locum.app.parts import Workshop, clock_of, personas_of, policy_of, prices_of
    from locum.app.personas import standings_of
    from locum.core.model import TimeWindow
    from locum.core.planning import arrange, judge

    clock = clock_of(config)
    state = state_of(config)
    workshop = Workshop(clock, state, os.environ)
    now = clock.now()
    window = TimeWindow(now - _LOOK_BACK, now + ahead)
    try:
        answers = await asyncio.gather(
            *(
                _read(source, calendar, window)
                for source in workshop.sources(config)
                for calendar in source.calendars
            )
        )
    finally:
        await workshop.aclose()
    readings = [answer for answer in answers if not isinstance(answer, LocumError)]
    known, notes = _known(state, now, window)
    notes += [note for reading in readings for note in _oddities(reading)]
    standings = standings_of(personas_of(config, state), state, now)
    policy, prices = policy_of(config, standings), prices_of(config)
    events = [event for reading in readings for event in reading.events]
    judged = judge((*events, *known.by_hand), policy, known.marks)
    arranged = arrange(judged, policy, known.records, now)
    shown = [
        reports.planned(item, policy, prices)
        for item in arranged.judged
        if past or _end(item, policy.max_length) > now
    ]
    failures = tuple(answer for answer in answers if isinstance(answer, LocumError))
    return _Forecast(shown, failures, tuple(notes))


async def _read(
    source: CalendarSource, calendar: CalendarRef, window: Any
) -> CalendarReading | LocumError:
    """Read one calendar; what fails is answered, so that the others are shown."""
    try:
        return await source.read(calendar, window)
    except LocumError as error:
        return error


def _end(item: Judged, longest: timedelta) -> datetime:
    """Answer when an event is over; one that is joined without an end may go on for long."""
    event = item.event
    if event.end is not None and event.end > event.start:
        return event.end
    return event.start + longest


def _known(state: Path, now: datetime, window: Any) -> tuple[_Known, list[str]]:
    from locum.core.model import BY_HAND

    try:
        with reading_ledger(state) as ledger:
            if ledger is None:
                return _Known(), []
            by_hand = tuple(
                event
                for event in ledger.calendars.events()
                if event.calendar == BY_HAND
                and window.overlaps(event.start, event.end or event.start + _MEMORY)
            )
            records = ledger.sessions.unfinished_and_since(now - _MEMORY)
            return _Known(ledger.calendars.marks(), records, by_hand), []
    except LocumError as error:
        return _Known(), [f"Planned without what was skipped or attended before. {error}"]


def _oddities(reading: CalendarReading) -> Iterable[str]:
    from locum.core.model import CalendarAccess

    if reading.access is CalendarAccess.FREE_BUSY:
        yield (
            f"Calendar {reading.calendar} shows only when its owner is busy: nothing can be "
            'joined from it. Have it shared with "See all event details".'
        )
    for malformed in reading.malformed:
        yield (
            f"Calendar {reading.calendar}: the event {malformed.item_id} can't be read "
            f"({malformed.problem}); it is left out."
        )


# ── showing it ───────────────────────────────────────────────────────────────────────────


def _show_plan(events: list[dict[str, Any]], days: int) -> None:
    if not events:
        out(f"Nothing is in the calendars for the next {days * 24} hours.")
        return
    for day, items in groupby(events, key=lambda event: local(event["start"]).date()):
        heading(f"{day:%A %d %B %Y}")
        table([_plan_row(item) for item in items], indent=2)
        out()
    joined = [event for event in events if event["decision"] == "join"]
    costs = [event["estimated_cost_usd"] for event in joined]
    total = sum(cost for cost in costs if cost is not None)
    price = (
        f"; at most {dollars(total)} in all" if any(cost is not None for cost in costs) else ""
    )
    out(f"{len(joined)} to join, {len(events) - len(joined)} to skip{price}.")


def _plan_row(event: Mapping[str, Any]) -> tuple[str, ...]:
    joined = event["decision"] == "join"
    return (
        event["decision"],
        "all day" if event["all_day"] else _span(event),
        event["title"] or "(no title)",
        event["reason"],
        f"as {event['persona']}" if joined and event["persona"] else "",
        dollars(event["estimated_cost_usd"]) if joined else "",
    )


def _span(event: Mapping[str, Any]) -> str:
    return f"{clock_time(event['start'])}–{clock_time(event['end'])}"


# ── why ──────────────────────────────────────────────────────────────────────────────────


def why(
    *,
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="A part of its title, or its key.")
    ],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell everything that was decided about one event, and what came of it.

    Read from the ledger; no daemon is needed. `locum plan --json` shows events' keys
    ("occurrence").
    """
    from locum.app import reports

    if not event.strip():
        raise typer.BadParameter("name an event: a part of its title, or its key")
    state = whereabouts(config).state
    with reading_ledger(state) as ledger:
        if ledger is None:
            raise PermanentError(
                f"There is no ledger in {state}: no daemon has run with this config yet. "
                "`locum plan` shows what one would do."
            )
        trace = reports.why(ledger, event.strip())
    if json:
        out_json(trace)
    else:
        _show_trace(trace)


def _show_trace(trace: Mapping[str, Any]) -> None:
    last = trace["decisions"][-1]
    heading(f"{one_line(last['title']) or '(no title)'}, {day_and_time(last['start'])}")
    out(f"  {trace['occurrence']}")
    out()
    heading("What was decided")
    for entry in trace["decisions"]:
        out(f"  {day_and_time(entry['at'])}  {entry['decision']}: {one_line(entry['reason'])}")
        # The trace's last step is the decision itself.
        for step in entry["trace"]:
            if step != f"{entry['decision']}: {entry['reason']}":
                out(f"      {one_line(step)}")
    for session in trace["sessions"]:
        out()
        _show_session(session)


def _show_session(session: Mapping[str, Any]) -> None:
    who = f" as {session['persona']}" if session["persona"] else ""
    heading(f"In {session['room']}{who}: {session['phase']}")
    table(
        [
            (
                f"{local(step['at']):%H:%M:%S}",
                step["after"],
                ", ".join(filter(None, (step["reason"], step["detail"]))),
            )
            for step in session["steps"]
        ],
        indent=2,
    )
    if session["estimated_cost_usd"]:
        out(f"  Cost: about {dollars(session['estimated_cost_usd'])}")
    for summary in session["summaries"]:
        where = summary["location"] or f"not filed: {summary['problem'] or 'not yet tried'}"
        out(f"  Summary ({summary['sink']}): {one_line(where)}")
