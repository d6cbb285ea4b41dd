"""What lies around the events: the calendar list, calendars, settings, free and busy."""

from __future__ import annotations

from typing import Any

from locum.rehearsal.google.errors import not_found
from locum.rehearsal.google.schema import CalendarListQuery, FreeBusyRequest
from locum.rehearsal.google.selection import Selection, Wanted
from locum.rehearsal.google.stage import GoogleStage
from locum.rehearsal.google.store import ROLES, Calendar
from locum.rehearsal.google.times import write_instant, zone
from locum.rehearsal.google.tokens import (
    PageToken,
    SyncToken,
    print_of,
    read_page_token,
    read_sync_token,
)

_LARGEST_LIST = 250
_LIST_ID = "calendarList"


def calendar_resource(calendar: Calendar) -> dict[str, Any]:
    return {
        "kind": "calendar#calendar",
        "etag": f'"c{calendar.changed}"',
        "id": calendar.id,
        "summary": calendar.summary,
        "timeZone": calendar.time_zone,
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    }


def calendar_entry(calendar: Calendar, email: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        **calendar_resource(calendar),
        "kind": "calendar#calendarListEntry",
        "colorId": "1",
        "backgroundColor": "#ac725e",
        "foregroundColor": "#1d1d1d",
        "selected": True,
        "accessRole": calendar.role(email),
        "defaultReminders": [{"method": "popup", "minutes": 10}],
    }
    if calendar.primary and calendar.owner == email:
        entry["primary"] = True
    return entry


def list_calendars(stage: GoogleStage, email: str, query: CalendarListQuery) -> dict[str, Any]:
    """Answer the calendars that a user sees, page by page, or what changed in them.

    Raises:
        ApiError: 410, a calendar was taken away since; 400, a token of another list.
    """
    store = stage.store
    name = f"{_LIST_ID}:{email}"
    query_print = print_of({"minAccessRole": query.min_access_role})
    since = 0
    if query.sync_token is not None:
        since = read_sync_token(
            query.sync_token, list_id=name, query=query_print, generation=store.removals
        ).since
    lowest = ROLES.index(query.min_access_role or "freeBusyReader")
    listed = sorted(
        (
            each
            for each in store.calendars.values()
            if ROLES.index(each.role(email)) >= lowest and each.changed > since
        ),
        key=lambda each: (not (each.primary and each.owner == email), each.id),
    )
    start, as_of = 0, store.changes
    if query.page_token is not None:
        page = read_page_token(query.page_token, list_id=name, query=query_print)
        start, as_of = int((page.after or (0,))[0]), page.as_of
    size = min(query.max_results, _LARGEST_LIST, stage.quirks.page_size or _LARGEST_LIST)
    answer: dict[str, Any] = {
        "kind": "calendar#calendarList",
        "etag": f'"l{store.changes}"',
        "items": [calendar_entry(each, email) for each in listed[start : start + size]],
    }
    if start + size < len(listed):
        token = PageToken(name, query_print, (start + size,), as_of)
        answer["nextPageToken"] = token.write()
    else:
        sync = SyncToken(name, query_print, store.removals, as_of)
        answer["nextSyncToken"] = sync.write()
    return answer


def _values(stage: GoogleStage, email: str) -> dict[str, str]:
    calendar = stage.store.calendars.get(email)
    return {
        "timezone": calendar.time_zone if calendar else "UTC",
        "locale": "en",
        "weekStart": "1",
    }


def _as_setting(name: str, value: str) -> dict[str, str]:
    return {"kind": "calendar#setting", "etag": f'"{value}"', "id": name, "value": value}


def setting(stage: GoogleStage, email: str, name: str) -> dict[str, str]:
    values = _values(stage, email)
    if name not in values:
        raise not_found()
    return _as_setting(name, values[name])


def settings(stage: GoogleStage, email: str) -> dict[str, Any]:
    items = [_as_setting(*each) for each in _values(stage, email).items()]
    return {"kind": "calendar#settings", "etag": '"settings"', "items": items}


def free_busy(stage: GoogleStage, email: str, asked: FreeBusyRequest) -> dict[str, Any]:
    """Answer when the calendars that were asked for are busy, adjoining times as one."""
    shown_in = zone(asked.time_zone)
    found: dict[str, Any] = {}
    for item in asked.items:
        calendar = stage.store.calendars.get(email if item.id == "primary" else item.id)
        if calendar is None or not calendar.allows(email, "freeBusyReader"):
            found[item.id] = {
                "errors": [{"domain": "global", "reason": "notFound"}],
                "busy": [],
            }
            continue
        wanted = Wanted(single=True, time_min=asked.time_min, time_max=asked.time_max)
        spans = sorted(
            entry.span.instants(calendar.zone)
            for entry in Selection(calendar, wanted, stage.now())
            if entry.fields.get("transparency") != "transparent"
        )
        busy: list[list[Any]] = []
        for start, end in spans:
            start, end = max(start, asked.time_min), min(end, asked.time_max)  # noqa: PLW2901
            if busy and start <= busy[-1][1]:
                busy[-1][1] = max(busy[-1][1], end)
            else:
                busy.append([start, end])
        found[item.id] = {
            "busy": [
                {"start": write_instant(a, shown_in), "end": write_instant(b, shown_in)}
                for a, b in busy
            ]
        }
    return {
        "kind": "calendar#freeBusy",
        "timeMin": write_instant(asked.time_min, zone("UTC")),
        "timeMax": write_instant(asked.time_max, zone("UTC")),
        "calendars": found,
    }
