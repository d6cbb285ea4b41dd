"""How an event looks to whoever asks: full, as busy time only, or as a tombstone."""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from locum.rehearsal.google.store import Calendar, Entry
from locum.rehearsal.google.times import write_stamp

_HIDING = {"private", "confidential"}


@dataclass(frozen=True)
class Viewer:
    """Who looks, and how they want to see it. `own_tombstones`: details of what was deleted."""

    role: str
    shown_in: ZoneInfo
    max_attendees: int | None = None
    tombstone_details: bool = True


def show(entry: Entry, calendar: Calendar, viewer: Viewer) -> dict[str, Any]:
    """Answer the event resource."""
    if entry.raw is not None:
        return copy.deepcopy(dict(entry.raw))
    if entry.cancelled and (entry.bare or not viewer.tombstone_details):
        return _tombstone(entry, viewer)
    hidden = viewer.role == "freeBusyReader" or (
        viewer.role == "reader" and entry.fields.get("visibility") in _HIDING
    )
    shown = _tombstone(entry, viewer)
    shown["status"] = entry.fields.get("status", "confirmed")
    shown["start"] = entry.span.write_start(viewer.shown_in)
    shown["end"] = entry.span.write_end(viewer.shown_in)
    shown["iCalUID"] = entry.fields["iCalUID"]
    shown["created"] = write_stamp(entry.created)
    shown["updated"] = write_stamp(entry.updated)
    shown["sequence"] = entry.sequence
    shown["eventType"] = entry.fields.get("eventType", "default")
    if entry.series is not None:
        shown["recurrence"] = list(entry.series.lines)
    if hidden:
        shown["visibility"] = "private"
        return shown
    shown |= _details(entry, calendar, viewer)
    return shown


def _tombstone(entry: Entry, viewer: Viewer) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "kind": "calendar#event",
        "etag": entry.etag,
        "id": entry.id,
        "status": "cancelled",
    }
    if entry.series_id is not None and entry.original is not None:
        shown["recurringEventId"] = entry.series_id
        shown["originalStartTime"] = entry.original.write_start(viewer.shown_in)
    return shown


def _details(entry: Entry, calendar: Calendar, viewer: Viewer) -> dict[str, Any]:
    fields = copy.deepcopy(dict(entry.fields))
    details: dict[str, Any] = {"reminders": {"useDefault": True}, **fields}
    eid = base64.urlsafe_b64encode(f"{entry.id} {calendar.id}".encode()).decode().rstrip("=")
    details["htmlLink"] = f"https://www.google.com/calendar/event?eid={eid}"
    for who in ("creator", "organizer"):
        if details.get(who, {}).get("email") == calendar.id:
            details[who]["self"] = True
    if "attendees" in details:
        _mark_attendees(details, entry, calendar)
        _trim_attendees(details, entry, calendar, viewer)
    return details


def _mark_attendees(details: dict[str, Any], entry: Entry, calendar: Calendar) -> None:
    for attendee in details["attendees"]:
        if attendee["email"] == calendar.id:
            attendee["self"] = True
        if attendee["email"] == entry.organizer:
            attendee["organizer"] = True


def _trim_attendees(
    details: dict[str, Any], entry: Entry, calendar: Calendar, viewer: Viewer
) -> None:
    attendees = details["attendees"]
    too_many = viewer.max_attendees is not None and len(attendees) > viewer.max_attendees
    secret = (
        entry.fields.get("guestsCanSeeOtherGuests") is False and entry.organizer != calendar.id
    )
    if too_many or secret:
        details["attendees"] = [each for each in attendees if each.get("self")]
        details["attendeesOmitted"] = True
