"""Turns what was sent into what is stored, and merges a change into it. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from locum.rehearsal.google.errors import ApiError
from locum.rehearsal.google.recurrence import Series
from locum.rehearsal.google.store import Calendar, Entry
from locum.rehearsal.google.times import Span, TimeRangeEmptyError, read_span

#: Seen and set by each guest alone; all else is the organizer's and the same for everybody.
PRIVATE_FIELDS = frozenset({"reminders", "colorId", "transparency", "visibility"})
#: Neither stored as they come nor inherited.
_NOT_STORED = frozenset({"id", "start", "end", "recurrence", "attendeesOmitted"})
_IMMUTABLE = frozenset({"iCalUID", "creator", "eventType"})


def read_times(draft: Mapping[str, Any], calendar: Calendar) -> tuple[Span, Series | None]:
    """Read when an event takes place, and how it recurs.

    Raises:
        ApiError: 400, with Google's words where they are known.
    """
    lines = tuple(draft.get("recurrence") or ())
    try:
        span = read_span(
            draft.get("start") or {},
            draft.get("end") or {},
            calendar.time_zone,
            recurs=bool(lines),
        )
    except TimeRangeEmptyError as error:
        raise ApiError(400, "timeRangeEmpty", str(error)) from error
    except ValueError as error:
        reason = "required" if str(error).startswith("Missing") else "invalid"
        raise ApiError(400, reason, str(error)) from error
    try:
        return span, Series(span, lines) if lines else None
    except (ValueError, KeyError) as error:
        raise ApiError(400, "invalid", f"Invalid recurrence rule. {error}") from error


def merged(current: Any, change: Any) -> Any:
    """Apply a PATCH: objects merge, `None` clears, everything else (arrays too) replaces."""
    if not isinstance(change, Mapping):
        return copy.deepcopy(change)
    result = dict(current) if isinstance(current, Mapping) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def stored_fields(draft: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the fields of a draft that are kept as they are, cleared ones left out."""
    kept = {
        name: merged(None, value)
        for name, value in draft.items()
        if name not in _NOT_STORED and value is not None
    }
    if "attendees" in kept:
        kept["attendees"] = [_attendee(each) for each in kept["attendees"]]
    return kept


def _attendee(given: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in given.items() if value is not None}
    return {"responseStatus": "needsAction", **known, "email": str(given["email"]).lower()}


def as_draft(entry: Entry, calendar: Calendar) -> dict[str, Any]:
    """Answer an entry as what one would have to send to make it."""
    draft: dict[str, Any] = copy.deepcopy(dict(entry.fields))
    draft["start"] = entry.span.write_start(calendar.zone)
    draft["end"] = entry.span.write_end(calendar.zone)
    if entry.series is not None:
        draft["recurrence"] = list(entry.series.lines)
    return draft


def changed_draft(
    entry: Entry, calendar: Calendar, change: Mapping[str, Any], *, whole: bool
) -> dict[str, Any]:
    """Answer the draft after a change; `whole` replaces everything that can be (PUT)."""
    before = as_draft(entry, calendar)
    wanted = {name: value for name, value in change.items() if name not in _IMMUTABLE}
    if wanted.pop("attendeesOmitted", None) and wanted.get("attendees"):
        wanted["attendees"] = answered(before.get("attendees", []), wanted["attendees"])
    if not whole:
        return dict(merged(before, wanted))
    kept = _IMMUTABLE | {"organizer", "hangoutLink", "conferenceData", "attachments", "status"}
    base = {name: value for name, value in before.items() if name in kept}
    return dict(merged({name: base[name] for name in base if name not in wanted}, wanted))


def answered(
    attendees: list[dict[str, Any]], answers: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Take over only what guests say about themselves, for those that are on the list."""
    said = {
        str(each["email"]).lower(): {
            name: each[name]
            for name in ("responseStatus", "comment", "additionalGuests")
            if each.get(name) is not None
        }
        for each in answers
    }
    return [{**each, **said.get(each["email"], {})} for each in attendees]


def shared_with(entry_fields: Mapping[str, Any], copy_fields: Mapping[str, Any] | None) -> Any:
    """Answer a guest's fields: the organizer's, with what the guest keeps for themselves."""
    fields = {
        name: copy.deepcopy(value)
        for name, value in entry_fields.items()
        if name not in PRIVATE_FIELDS
    }
    theirs = copy_fields or {}
    fields |= {name: theirs[name] for name in PRIVATE_FIELDS if name in theirs}
    extended = fields.pop("extendedProperties", {})
    private = theirs.get("extendedProperties", {}).get("private")
    both = {"shared": extended.get("shared"), "private": private}
    if kept := {name: value for name, value in both.items() if value}:
        fields["extendedProperties"] = kept
    return fields
