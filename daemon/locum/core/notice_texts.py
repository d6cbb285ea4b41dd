"""The words of every notice, in one place.

Titles, names and ids come from whoever sent an invitation, and are shown by programs that
make links, mentions and layout of what they get: nothing of theirs may pass for ours, nor
become a command of a shell. What locum itself says (a top-up link) stays as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from locum.core.model import (
    Decision,
    EndReason,
    Judged,
    OccurrenceKey,
    Phase,
    SessionRecord,
)
from locum.core.money import in_dollars
from locum.core.requests import Request

_TITLE_LIMIT = 80
_FOREIGN_LIMIT = 120
_OWN_LIMIT = 900
_LONGEST_ID = 300

# Brackets make links in Markdown, angles tags in HTML and mentions in Slack, bars hide text in
# Discord. What only makes letters lean is left alone: ids and names are full of it.
_TAMED = str.maketrans(
    {"[": "(", "]": ")", "<": "‹", ">": "›", "`": "'", "|": "¦"},
)
_MENTION = re.compile(r"(?<![\w.+-])@(?=\w)")
_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}):(?=//)")
_WWW = re.compile(r"(?i)\bwww\.")
# Letters by Unicode's book, of which nothing is seen.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")


@dataclass(frozen=True)
class Words:
    title: str
    body: str


def foreign(text: str, limit: int = _FOREIGN_LIMIT) -> str:
    """Write a text of a stranger's on one line, so that no program makes anything of it."""
    line = _MENTION.sub("＠", own(text, limit).translate(_TAMED))
    return _WWW.sub("www ", _ADDRESS.sub(r"\1 ", line))


def own(text: str, limit: int = _OWN_LIMIT) -> str:
    """Write a text on one line, without what can't be seen or turns others around."""
    # Cut first: what comes may be endless. Blanks that go make it shorter than it may be.
    text = text[: limit * 4]
    seen = "".join(char if char.isprintable() or char.isspace() else "\ufffd" for char in text)
    line = " ".join(_UNSEEN.sub("\ufffd", seen).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _named(title: str, limit: int = _TITLE_LIMIT) -> str:
    name = foreign(title, limit)
    return f'"{name}"' if name else "a meeting without a title"


def _clock(instant: datetime, zone: tzinfo) -> str:
    return f"{instant.astimezone(zone):%H:%M}"


def _moment(instant: datetime, zone: tzinfo) -> str:
    return f"{instant.astimezone(zone):%a %d %b, %H:%M %Z}".rstrip()


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)


# ── what is ahead ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Ahead:
    """A meeting that it is about to go to; `dearest` is in micro-dollars, None if unknown."""

    title: str
    start: datetime
    goes_at: datetime
    persona: str
    engine: str
    reason: str
    organizer: str
    room: str
    link: str
    occurrence: OccurrenceKey
    dearest: int | None
    moved_from: datetime | None


def before(ahead: Ahead, *, now: datetime, zone: tzinfo, options: str) -> Words:
    name, when = _named(ahead.title), _clock(ahead.start, zone)
    moved = ahead.moved_from
    costs = "" if ahead.dearest is None else f"Costs at most {in_dollars(ahead.dearest)}."
    organizer = foreign(ahead.organizer)
    return Words(
        f"Going to {name} at {when}",
        _lines(
            f"It starts {_moment(ahead.start, zone)}, in {_until(ahead.start - now)}; "
            f"{foreign(ahead.persona) or 'nobody'} goes in at {ahead.goes_at.astimezone(zone):%H:%M:%S}, "
            f"by {foreign(ahead.engine) or 'no engine'}.",
            f"It was moved: you were told {_moment(moved, zone)}." if moved else "",
            f"Why: {foreign(ahead.reason, 300)}.",
            costs,
            f"Organizer: {organizer}" if organizer else "",
            f"Room: {ahead.room}",
            f"Event: {ahead.link}" if ahead.link else "",
            _way_out(ahead.occurrence, options),
        ),
    )


def _until(left: timedelta) -> str:
    seconds = max(int(left.total_seconds()), 0)
    if seconds < 90:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _way_out(occurrence: OccurrenceKey, options: str) -> str:
    command = skip_command(occurrence, options)
    if command is None:
        return "Not wanted? Decline the invitation."
    return f"Not wanted? Decline the invitation, or: {command}"


def skip_command(occurrence: OccurrenceKey, options: str = "") -> str | None:
    """Answer what a person may paste into a shell; None where an id isn't fit to be typed.

    An id is the sender's to choose: it is quoted, and never taken for an option.
    """
    if not occurrence.isprintable() or not occurrence.isascii():
        return None
    if len(occurrence) > _LONGEST_ID:
        return None
    quoted = shlex.quote(occurrence)
    return f"locum skip{options} {'-- ' if occurrence.startswith('-') else ''}{quoted}"


def called_off(
    name: str, start: datetime, item: Judged | None, *, now: datetime, zone: tzinfo
) -> Words:
    """Write that it won't go after all; `name` is a title that was made safe before."""
    named = f'"{name}"' if name else "a meeting without a title"
    if item is not None and item.decision.join and item.event.start != start:
        when = _moment(item.event.start, zone)
        again = "Another notice comes before that." if item.event.start > now else ""
        why = _lines(f"It was moved to {when}.", again)
    else:
        why = f"Why: {_reason(None if item is None else item.decision)}."
    return Words(f"Not going to {named} at {_clock(start, zone)}", why)


def _reason(decision: Decision | None) -> str:
    if decision is None:
        return "it isn't in the calendar any more"
    if decision.join:
        return "its time or its room has changed"
    return foreign(decision.reason, 300)


# ── what became of it ────────────────────────────────────────────────────────────────────

_WHY = {
    EndReason.TOO_LATE: "nothing went there in time: locum was down, stopped or at capacity",
    EndReason.NOT_ADMITTED: "nobody let it in",
    EndReason.DENIED: "the room didn't let it in",
    EndReason.REMOVED: "somebody put it out",
    EndReason.OPTED_OUT: "somebody there wants no stand-in in this series",
    EndReason.ENGINE_LOST: "the engine lost it, and couldn't bring it back",
    EndReason.ENGINE_REFUSED: "the engine refused",
    EndReason.LOST_JOIN: "the engine's answer to the join was lost",
}


def _why(record: SessionRecord, detail: str) -> str:
    reason = record.end_reason
    words = "the reason isn't known" if reason is None else _WHY.get(reason, reason.value)
    said = own(detail)
    return f"Why: {words}." + (f" {said}" if said else "")


def _titles(record: SessionRecord) -> str:
    first, *others = record.meetings
    more = f" and {len(others)} more" if others else ""
    return f"{_named(first.title)}{more}"


def _span(record: SessionRecord, zone: tzinfo) -> str:
    first, last = record.meetings[0], record.meetings[-1]
    return f"{_moment(first.start, zone)} to {_clock(last.end, zone)}"


def missed(record: SessionRecord, *, detail: str, zone: tzinfo) -> Words:
    name = _titles(record)
    if record.admitted_at is not None:
        left = record.ended_at
        when = "" if left is None else f" at {_clock(left, zone)}"
        return Words(
            f"Dropped out of {name}",
            _lines(
                f"The stand-in was there from {_clock(record.admitted_at, zone)}, and isn't any "
                f"more{when}; the meeting is planned {_span(record, zone)}.",
                _why(record, detail),
                f"Room: {record.room.url}",
            ),
        )
    if record.unseen:
        return Words(
            f"Lost sight of {name}",
            _lines(
                "The stand-in was sent, and was gone when locum came back: whether it was in, "
                f"and until when, isn't known. The meeting is planned {_span(record, zone)}.",
                _why(record, detail),
                f"Room: {record.room.url}",
            ),
        )
    title = f"Missed {name}" if record.phase is Phase.MISSED else f"Couldn't get into {name}"
    return Words(
        title,
        _lines(
            f"Nobody was there for you: {_span(record, zone)}.",
            _why(record, detail),
            f"Room: {record.room.url}",
        ),
    )


def turned_away(record: SessionRecord, *, detail: str, zone: tzinfo) -> Words:
    did = "Not let into"
    if record.end_reason is EndReason.REMOVED:
        did = "Removed from"
    elif record.end_reason is EndReason.OPTED_OUT:
        did = "Not wanted in"
    return Words(
        f"{did} {_titles(record)}",
        _lines(
            _why(record, detail),
            f"The meeting is planned {_span(record, zone)}. It won't go there again.",
            f"Room: {record.room.url}",
        ),
    )


def orphan(record: SessionRecord, *, zone: tzinfo) -> Words:
    return Words(
        f"A stand-in may be running unseen: {_titles(record)}",
        _lines(
            f"The answer to a join was lost ({_span(record, zone)}, by {foreign(record.engine)}). "
            "It may be in the room, and cost money, and locum can't end what it can't name. It "
            "won't join again.",
            "What to do: open the room, and put it out if it is there; then look at the "
            "engine's account for a session that runs.",
            f"Room: {record.room.url}",
        ),
    )


def left_running(record: SessionRecord, *, unreachable: bool, detail: str) -> Words:
    name = _titles(record)
    if unreachable:
        why = (
            f'The config has no engine "{foreign(record.engine)}" any more, and only that one '
            "can end it."
        )
        step = "What to do: put the engine back into the config, or remove it from the room."
    else:
        said = own(detail)
        why = "It was told to leave, and its end isn't proved." + (f" {said}" if said else "")
        step = (
            "locum goes on trying. What to do meanwhile: remove it from the room, then see "
            "`locum status`."
        )
    return Words(
        f"Still running: {name}",
        _lines(
            f"The stand-in may go on, and cost money. {why}", step, f"Room: {record.room.url}"
        ),
    )


def filed(record: SessionRecord, places: Sequence[str]) -> Words:
    return Words(f"Summary of {_titles(record)}", _lines(*(own(each) for each in places[:5])))


# ── money ────────────────────────────────────────────────────────────────────────────────


def approval(request: Request, *, zone: tzinfo, options: str) -> Words:
    asked = (
        f"{foreign(request.asked_by)} asked for it" if request.asked_by else "It was asked for"
    )
    return Words(
        f"May {request.persona} run {request.tool}?",
        _lines(
            f"{asked} in {_named(request.title)}. It would run:",
            foreign(request.what, _OWN_LIMIT),
            "(`locum approvals` shows it to the letter.)",
            f"Yes: locum approve{options} {request.id}",
            f"No: locum deny{options} {request.id}",
            f"Without an answer until {_clock(request.expires_at, zone)}, it isn't done.",
        ),
    )


def over_budget(title: str, start: datetime, reason: str, *, zone: tzinfo) -> Words:
    return Words(
        f"Over budget: not going to {_named(title)}",
        _lines(
            f"It starts {_moment(start, zone)}.",
            f"Why: {own(reason)}.",
            "What to do: raise the cap in [budget], and it goes there as long as it lasts.",
        ),
    )


def engine_refuses(engine: str, start: datetime, problem: str, *, zone: tzinfo) -> Words:
    return Words(
        f"{foreign(engine)} won't join at {_clock(start, zone)} unless you act",
        _lines(own(problem), f"The meeting starts {_moment(start, zone)}."),
    )


# ── what lasts ───────────────────────────────────────────────────────────────────────────


def unreadable(
    calendars: Sequence[str], since: datetime, problem: str, *, zone: tzinfo
) -> Words:
    return Words(
        f"{_calendars(calendars)} can't be read",
        _lines(
            f"Since {_moment(since, zone)}. {own(problem)}",
            "Meetings that are known are still joined; what changes isn't seen.",
        ),
    )


def readable(calendars: Sequence[str]) -> Words:
    return Words(f"{_calendars(calendars)} can be read again", "")


def _calendars(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"The calendar {foreign(names[0], _TITLE_LIMIT)}"
    return f"{len(names)} calendars ({foreign(names[0], _TITLE_LIMIT)} …)"


def config_rejected(problems: Sequence[str]) -> Words:
    more = f"… and {len(problems) - 5} more." if len(problems) > 5 else ""
    return Words(
        "The config was rejected",
        _lines(
            "locum goes on with the last good one. See `locum config check`.",
            *(own(each, 300) for each in problems[:5]),
            more,
        ),
    )


def recovered(since: datetime, *, zone: tzinfo) -> Words:
    return Words(
        "The ledger was restored",
        _lines(
            f"At {_moment(since, zone)} it was damaged, and is of its last backup now. Nothing "
            "is joined until the calendars were read and it is known what ran meanwhile.",
            "What to do: look at your meetings' rooms for a stand-in that nobody ended, and see "
            "`locum status`.",
        ),
    )


def reconciled() -> Words:
    return Words("The ledger agrees with the world again", "Meetings are joined as before.")
