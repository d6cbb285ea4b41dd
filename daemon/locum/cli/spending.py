"""`locum spend`: what was spent, on what, what is set aside, and what is ahead.

Read from the ledger, so that it works without a daemon, and whatever lies in the config: only
the caps and what is ahead need one that can be used.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    Whereabouts,
    read_config,
    reading_ledger,
    whereabouts,
)
from locum.cli.terminal import (
    day_and_time,
    dollars,
    heading,
    one_line,
    out,
    out_json,
    say,
    table,
)
from locum.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from locum.ledger import Ledger

_SPEND = epilog(
    "locum spend",
    "locum spend --month 2026-10",
    "locum spend --json | jq '.by_organizer'",
    exits="0, 1 the ledger can't be read, 2 --month is no month",
)
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")
_CAPS = {
    "per_meeting": "a meeting",
    "per_day": "a day",
    "per_month": "a month",
    "per_organizer_month": "a month for one organizer",
}


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=_SPEND, short_help="Tell what was spent, on what, and what is left of the caps."
    )(spend)


def spend(
    *,
    month: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM", help="Which calendar month. [default: this one]"),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add up one month: by meeting, persona, organizer and day, and what may come on top.

    Read from the ledger; no daemon is needed. Days and months are those of this machine's
    time zone. The service sends no bill: what a presence cost is its started minutes at the
    configured price.
    """
    from dateutil.tz import tzlocal

    from locum.app import spending
    from locum.app.parts import clock_of, policy_of, prices_of, purse_of
    from locum.config.model import Config

    zone = tzlocal()
    wanted = None if month is None else _month(month, zone)
    place = whereabouts(config)
    usable = read_config(config).config if place.unusable is None else None
    if usable is None:
        say("The config can't be used: no caps, and nothing ahead. See `locum config check`.")
    known = usable or Config()
    now = clock_of(known).now()
    outlook = None
    if usable is not None:
        outlook = spending.Outlook(
            policy_of(usable), prices_of(usable), usable.calendar.horizon
        )
    with _ledger(place) as ledger:
        purse = purse_of(known, ledger.database)
        with _outdated_said(ledger):
            told = spending.report(ledger, purse, wanted or now, now=now, outlook=outlook)
    if json:
        out_json(told)
    else:
        _show(told)


def _month(text: str, zone: tzinfo) -> datetime:
    found = _MONTH.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no month; write it as 2026-11")
    return datetime(int(found[1]), int(found[2]), 15, tzinfo=zone)


@contextlib.contextmanager
def _ledger(place: Whereabouts) -> Iterator[Ledger]:
    """Open the ledger to read it; an empty one where no daemon has made any."""
    import tempfile

    from locum.ledger import Database, Ledger

    with reading_ledger(place.state) as found:
        if found is not None:
            yield found
            return
    say(f"There is no ledger in {place.state}: no daemon has run with this config yet.")
    with tempfile.TemporaryDirectory(prefix="locum-") as folder:
        empty = Ledger(Database(Path(folder, "ledger.sqlite3")))
        try:
            yield empty
        finally:
            empty.close()


@contextlib.contextmanager
def _outdated_said(ledger: Ledger) -> Iterator[None]:
    """Say what is the matter with a ledger that lacks what a newer locum asks of it."""
    try:
        yield
    except TransientError as error:
        if not ledger.database.outdated:
            raise
        raise PermanentError(
            f"The ledger {ledger.database.path} was written by an older locum. Start the daemon "
            "once (locum run): that brings it up to date."
        ) from error


# ── showing it ───────────────────────────────────────────────────────────────────────────


def _show(told: Mapping[str, Any]) -> None:
    name = f"{datetime.strptime(told['month'], '%Y-%m'):%B %Y}"  # noqa: DTZ007 - Only its name.
    if not told["by_meeting"]:
        heading(f"{name}: nothing was spent")
    else:
        aside = told["set_aside_usd"]
        more = f", {dollars(aside)} set aside for what may be running" if aside else ""
        heading(f"{name}: {dollars(told['spent_usd'])} spent{more}")
    if told["caps"] is not None:
        _show_caps(told["caps"])
    _section("By meeting", [_meeting_row(row) for row in told["by_meeting"]])
    for name in ("persona", "organizer", "day"):
        rows = told[f"by_{name}"]
        _section(f"By {name}", [(_name_of(row[name]), *_amounts(row)) for row in rows])
    odd = [
        (day_and_time(row["at"]), _title(row), dollars(row["spent_usd"]), row["meaning"])
        for row in told["settled_without_count"]
    ]
    _section("Settled without counting minutes", odd)
    if told["forecast"] is not None:
        _show_forecast(told["forecast"])


def _section(title: str, rows: Sequence[Sequence[str]]) -> None:
    if rows:
        out()
        heading(title)
        table(rows, indent=2)


def _show_caps(caps: list[Mapping[str, Any]]) -> None:
    rows = [
        (
            f"{dollars(cap['limit_usd'])} {_CAPS[cap['cap']]}",
            f"{dollars(cap['left_usd'])} left" if "left_usd" in cap else "",
        )
        for cap in caps
    ]
    if rows:
        _section("Caps", rows)
    else:
        out("No cap is set: [budget] has them.")


def _meeting_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        day_and_time(row["began"]),
        _title(row),
        f"as {row['persona']}",
        "" if row["joins"] == 1 else f"{row['joins']} joins",
        *_amounts(row),
    )


def _amounts(row: Mapping[str, Any]) -> tuple[str, ...]:
    aside, left = row["set_aside_usd"], row.get("left_usd")
    return (
        dollars(row["spent_usd"]),
        f"{dollars(aside)} set aside" if aside else "",
        "" if left is None else f"{dollars(left)} left",
    )


def _title(row: Mapping[str, Any]) -> str:
    return one_line(row["title"]) or "(no title)"


def _name_of(value: str | None) -> str:
    if value is None:
        return "(by hand)"
    return value or "(organizer not shown)"


def _show_forecast(forecast: Mapping[str, Any]) -> None:
    out()
    until = forecast["known_until"]
    heading(f"Ahead, as far as the calendars were read: {day_and_time(until) or 'not yet'}")
    rows = [
        (
            day_and_time(stay["join_at"]),
            _title(stay),
            f"as {stay['persona']}",
            f"at most {dollars(stay['at_most_usd'])}",
            "" if stay["refused"] is None else f"not joined: {stay['refused']}",
        )
        for stay in forecast["stays"]
    ]
    table(rows, indent=2)
    fits = sum(stay["refused"] is None for stay in forecast["stays"])
    if rows:
        out(
            f"  {fits} of {len(rows)} fit the caps, at most {dollars(forecast['at_most_usd'])}."
        )
    else:
        out("  Nothing that costs anything.")
