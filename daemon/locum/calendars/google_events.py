"""Turns what Google Calendar answers into `CalendarEvent`s. Pure: no I/O, no clock.

Anybody can send an invitation, so every field is taken for hostile: whatever the type,
size or characters, the answer is an event, a removed id or a `Malformed` entry, never an
exception. One bad event must not hide the others.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TypeVar
from zoneinfo import ZoneInfo

from locum.core.invites import RoomFinding, find_room
from locum.core.model import (
    Answer,
    Attendee,
    CalendarAccess,
    CalendarEvent,
    CalendarRef,
    EventKind,
    EventStatus,
    Malformed,
    Person,
)

_T = TypeVar("_T")

TITLE_LIMIT = 300
DESCRIPTION_LIMIT = 64 * 1024
ATTENDEE_LIMIT = 2000
_NAME_LIMIT = 200
_PROBLEM_LIMIT = 500
_ZONE_LIMIT = 64  # The longest name there is has 32.
_ID_LIMIT = 1024  # Google's own ids have 1,024 characters at most.

# Beyond these, adding a lead or a grace overflows; nobody meets there.
_EARLIEST = datetime(2, 1, 1, tzinfo=timezone.utc)
_LATEST = datetime(9998, 1, 1, tzinfo=timezone.utc)

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,12}))?([Zz]|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_INSTANCE_ID = re.compile(r".*_(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)Z)?", re.ASCII)
_EVENT_PAGE = re.compile(
    r"https://(?:www|calendar)\.google\.com/calendar/event\?eid=[A-Za-z0-9_=%-]{1,2000}"
)
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = frozenset("\n\r\t\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029")

_STATUSES = {each.value: each for each in EventStatus}
_KINDS = {each.value: each for each in EventKind if each is not EventKind.OTHER}
_ANSWERS = {each.value: each for each in Answer if each is not Answer.UNLISTED}


@dataclass(frozen=True)
class PageContext:
    """What a page of events says about all of them: the calendar's zone and our access."""

    calendar: CalendarRef
    zone: tzinfo = timezone.utc
    access: CalendarAccess = CalendarAccess.DETAILS

    @classmethod
    def of_page(cls, calendar: CalendarRef, page: Mapping[str, object]) -> PageContext:
        free_busy = _string(page.get("accessRole")) in {"freeBusyReader", "none"}
        return cls(
            calendar=calendar,
            # All-day dates need some zone; a calendar without a readable one keeps UTC.
            zone=zone_named(page.get("timeZone")) or timezone.utc,
            access=CalendarAccess.FREE_BUSY if free_busy else CalendarAccess.DETAILS,
        )


@dataclass
class Collected:
    """Items of several pages, the last word on each id; one id stands in one place only."""

    events: dict[str, CalendarEvent] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)
    malformed: dict[str, Malformed] = field(default_factory=dict)

    def add(self, items: Iterable[object], context: PageContext) -> None:
        for item in items:
            match parse_item(item, context):
                case CalendarEvent() as event:
                    self._forget(event.event_id)
                    self.events[event.event_id] = event
                case Malformed() as bad:
                    self._forget(bad.item_id)
                    self.malformed[bad.item_id] = bad
                case removed_id:
                    self._forget(removed_id)
                    self.removed[removed_id] = None

    def _forget(self, item_id: str) -> None:
        # The calendar may change between two pages, and show an event on both.
        self.events.pop(item_id, None)
        self.removed.pop(item_id, None)
        self.malformed.pop(item_id, None)


class _Unreadable(ValueError):  # noqa: N818 - Never leaves this module.
    """A field without which the event means nothing; the text says which and why."""


def parse_item(item: object, context: PageContext) -> CalendarEvent | Malformed | str:
    """Read one item of an `events.list` answer; a bare tombstone answers its id."""
    fields = _mapping(item)
    item_id = _identifier(fields.get("id"))
    if not item_id:
        return Malformed(item_id="(no id)", problem="the event has no id")
    cancelled = fields.get("status") == EventStatus.CANCELLED.value
    try:
        return _event(fields, item_id, context)
    except _Unreadable as error:
        # A tombstone guarantees nothing but its id; that it is gone is all we need.
        return item_id if cancelled else Malformed(item_id=item_id, problem=str(error))


def _event(fields: Mapping[str, object], item_id: str, context: PageContext) -> CalendarEvent:
    start, all_day = _start(fields, context.zone)
    series_id = _identifier(fields.get("recurringEventId"))
    details_visible = context.access is CalendarAccess.DETAILS and _shows_details(fields)
    attendees, answer, omitted = _attendees(fields)
    organizer = _mapping(fields.get("organizer"))
    finding = _room(fields) if details_visible else None
    return CalendarEvent(
        calendar=context.calendar,
        event_id=item_id,
        uid=_identifier(fields.get("iCalUID")) or series_id or item_id,
        start=start,
        end=_end(fields, start, context.zone),
        revision=_fingerprint(fields),
        title=one_line(fields.get("summary"), limit=TITLE_LIMIT),
        description=_paragraphs(fields.get("description")),
        original_start=_original_start(fields, item_id, start) if series_id else None,
        all_day=all_day,
        status=_look_up(_STATUSES, fields.get("status"), EventStatus.CONFIRMED),
        kind=_kind(fields.get("eventType")),
        answer=answer,
        organizer=_person(organizer),
        organized_by_self=organizer.get("self") is True,
        attendees=attendees,
        attendees_omitted=omitted,
        details_visible=details_visible,
        room=finding.room if finding else None,
        room_problem=_problem(finding),
        link=_link(fields.get("htmlLink")),
        free=fields.get("transparency") == "transparent",
    )


def _link(value: object) -> str:
    """Answer Google's own page of the event; anything else there is not for us to show."""
    text = _string(value)
    return text if _EVENT_PAGE.fullmatch(text) else ""


# ── when ─────────────────────────────────────────────────────────────────────────────────


def _start(fields: Mapping[str, object], zone: tzinfo) -> tuple[datetime, bool]:
    moment = _mapping(fields.get("start"))
    if not moment:
        raise _Unreadable("the event has no start")
    try:
        return _instant(moment, zone)
    except _Unreadable as error:
        raise _Unreadable(f"start: {error}") from error


def _end(fields: Mapping[str, object], start: datetime, zone: tzinfo) -> datetime | None:
    """Answer the end, or None where there is none to rely on.

    An end that can't be read is no reason to miss the meeting: it is taken as open.
    """
    if fields.get("endTimeUnspecified") is True:
        return None
    try:
        end, _ = _instant(_mapping(fields.get("end")), zone)
    except _Unreadable:
        return None
    return end if end >= start else None


def _original_start(fields: Mapping[str, object], item_id: str, start: datetime) -> datetime:
    """Answer which instance of its series this is.

    A date counts as midnight UTC, whatever the calendar's zone: the same instance must
    have the same name on every calendar.
    """
    try:
        return _instant(_mapping(fields.get("originalStartTime")), timezone.utc)[0]
    except _Unreadable:
        pass
    # Google's ids of instances end in the original start; better than the moved one.
    found = _INSTANCE_ID.fullmatch(item_id)
    if found is None:
        return start
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return _within_reach(
            datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
        )
    except (ValueError, _Unreadable):
        return start


def _instant(moment: Mapping[str, object], zone: tzinfo) -> tuple[datetime, bool]:
    """Read Google's EventDateTime: the instant in UTC, and whether it is a whole day.

    Raises:
        _Unreadable: It has neither a time nor a date that can be read.
    """
    match moment.get("dateTime"), moment.get("date"):
        case str() as text, _:
            own_zone = zone_named(moment.get("timeZone"))
            if own_zone is None and isinstance(moment.get("timeZone"), str):
                return _timed(text, None), False
            return _timed(text, own_zone or zone), False
        case _, str() as text:
            return _whole_day(text, zone), True
        case _:
            raise _Unreadable("neither a dateTime nor a date")


def _timed(text: str, zone: tzinfo | None) -> datetime:
    """Read an RFC 3339 time. `zone` is used only where the text has no offset."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise _Unreadable(f"{_shown(text)} is no RFC 3339 time")
    *numbers, fraction, offset = found.groups()
    year, month, day, hour, minute, second = (int(number) for number in numbers)
    place = _offset(offset) if offset else zone
    if place is None:
        raise _Unreadable(f"{_shown(text)} has no offset, and its time zone is unknown")
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        # Leap seconds exist in RFC 3339, but not in Python.
        local = datetime(
            year, month, day, hour, minute, min(second, 59), microsecond, tzinfo=place
        )
    except ValueError as error:
        raise _Unreadable(f"{_shown(text)}: {error}") from error
    return _within_reach(local)


def _whole_day(text: str, zone: tzinfo) -> datetime:
    found = _DATE.fullmatch(text)
    if found is None:
        raise _Unreadable(f"{_shown(text)} is no date")
    year, month, day = (int(number) for number in found.groups())
    try:
        return _within_reach(datetime(year, month, day, tzinfo=zone))
    except ValueError as error:
        raise _Unreadable(f"{_shown(text)}: {error}") from error


def _within_reach(local: datetime) -> datetime:
    try:
        instant = local.astimezone(timezone.utc)
    except OverflowError as error:
        raise _Unreadable(f"the year {local.year} is out of reach") from error
    if not _EARLIEST <= instant < _LATEST:
        raise _Unreadable(f"the year {local.year} is out of reach")
    return instant


def _offset(text: str) -> tzinfo:
    if text in {"Z", "z"}:
        return timezone.utc
    hours, minutes = int(text[1:3]), int(text[4:6])
    size = timedelta(hours=hours, minutes=minutes)
    if hours > 23 or minutes > 59:
        raise _Unreadable(f"{text} is no offset")
    return timezone(-size if text[0] == "-" else size)


def zone_named(name: object) -> tzinfo | None:
    """Answer the zone of that name; None if the host knows none, or it is no name at all."""
    # Longer ones cost: each of a thousand slashes would be a package to import.
    if not isinstance(name, str) or not 0 < len(name) <= _ZONE_LIMIT:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        # Not found; an absolute path or a NUL; "__init__/x", which is a module to the tzdata
        # package; a folder, or a name too long for a file.
        return None


# ── what, and who ────────────────────────────────────────────────────────────────────────


def _shows_details(fields: Mapping[str, object]) -> bool:
    """Whether we may see what the event is: a private one without access only says when."""
    if _string(fields.get("visibility")) not in {"private", "confidential"}:
        return True
    telling = (
        "summary", "description", "location", "organizer", "attendees", "hangoutLink",
        "conferenceData",
    )  # fmt: skip
    return any(fields.get(key) for key in telling)


def _kind(event_type: object) -> EventKind:
    if event_type is None:
        return EventKind.MEETING
    return _look_up(_KINDS, event_type, EventKind.OTHER)


def _attendees(fields: Mapping[str, object]) -> tuple[tuple[Attendee, ...], Answer, bool]:
    """Answer who is invited, what this account answered, and whether somebody is left out."""
    entries = [_mapping(entry) for entry in _list(fields.get("attendees"))]
    own = next((entry for entry in entries if entry.get("self") is True), None)
    # Rooms and projectors are attendees to Google; they are nobody to us.
    people = [entry for entry in entries if entry.get("resource") is not True]
    kept = people[:ATTENDEE_LIMIT]
    if own is not None and own in people and not any(entry is own for entry in kept):
        kept[-1] = own
    read = tuple(attendee for entry in kept if (attendee := _attendee(entry)) is not None)
    omitted = fields.get("attendeesOmitted") is True or len(people) > len(kept)
    return read, Answer.UNLISTED if own is None else _answer(own), omitted


def _attendee(entry: Mapping[str, object]) -> Attendee | None:
    person = _person(entry)
    if person is None:
        return None
    return Attendee(
        person=person,
        answer=_answer(entry),
        is_self=entry.get("self") is True,
        is_organizer=entry.get("organizer") is True,
        is_optional=entry.get("optional") is True,
    )


def _answer(entry: Mapping[str, object]) -> Answer:
    return _look_up(_ANSWERS, entry.get("responseStatus"), Answer.UNANSWERED)


def _person(entry: Mapping[str, object]) -> Person | None:
    email = one_line(entry.get("email"), limit=_NAME_LIMIT * 2)
    name = one_line(entry.get("displayName"), limit=_NAME_LIMIT)
    return Person(email=email, name=name) if email or name else None


# ── where ────────────────────────────────────────────────────────────────────────────────


def _room(fields: Mapping[str, object]) -> RoomFinding:
    conference = _mapping(fields.get("conferenceData"))
    entry_points = [_mapping(each) for each in _list(conference.get("entryPoints"))]
    # As they came, on purpose: what is cleaned out of a link must not make a bad one good.
    finding = find_room(
        conference_video_uris=[
            uri
            for each in entry_points
            if each.get("entryPointType") == "video" and isinstance(uri := each.get("uri"), str)
        ],
        hangout_link=_string(fields.get("hangoutLink")),
        location=_string(fields.get("location")),
        description=_string(fields.get("description")),
    )
    request = _mapping(conference.get("createRequest"))
    pending = _mapping(request.get("status")).get("statusCode") == "pending"
    if pending and finding.room is None and finding.problem is None:
        return RoomFinding(
            room=None, problem="its Meet link is still being made", source=finding.source
        )
    return finding


def _problem(finding: RoomFinding | None) -> str | None:
    if finding is None or finding.problem is None:
        return None
    return one_line(finding.problem, limit=_PROBLEM_LIMIT)


# ── texts ────────────────────────────────────────────────────────────────────────────────


def one_line(value: object, *, limit: int) -> str:
    """Answer a text that can be shown on one line: no control or direction characters."""
    text = _text(value, limit=limit * 4)
    visible = "".join(
        " " if character in _LINE_BREAKS else character
        for character in text
        if character in _LINE_BREAKS or not _is_trickery(character)
    )
    return " ".join(visible.split())[:limit].rstrip()


def _paragraphs(value: object) -> str:
    text = _text(value, limit=DESCRIPTION_LIMIT)
    return "".join(
        character for character in text if character in "\n\r\t" or not _is_trickery(character)
    )


def _is_trickery(character: str) -> bool:
    return character in _BIDI or unicodedata.category(character) == "Cc"


def _text(value: object, *, limit: int) -> str:
    return _encodable(_string(value)[:limit])


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _encodable(text: str) -> str:
    """Replace lone surrogates, which JSON can carry but neither SQLite nor UTF-8 can."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _identifier(value: object) -> str:
    """Answer an id fit for keys and logs; one that isn't is named by its hash."""
    if not isinstance(value, str) or not value:
        return ""
    text = _encodable(value)
    if len(text) <= _ID_LIMIT and text == value and text.isprintable():
        return text
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return f"sha256-{digest}"


def _fingerprint(fields: Mapping[str, object]) -> str:
    """Answer what differs whenever anything in the event does, its etag included.

    The etag alone would do at Google; a proxy or another server may leave it out or still.
    """
    try:
        shown = json.dumps(fields, sort_keys=True, default=repr)
    except RecursionError:
        shown = "too deep to tell apart"
    return f"sha256-{hashlib.sha256(shown.encode()).hexdigest()}"


def _shown(text: str) -> str:
    return repr(one_line(text, limit=40))


def _look_up(table: Mapping[str, _T], value: object, default: _T) -> _T:
    return table.get(value, default) if isinstance(value, str) else default


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
