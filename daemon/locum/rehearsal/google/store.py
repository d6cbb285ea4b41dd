"""What the stage's calendars hold. Entries never change: an edit puts another in their place.

A recurring event is one entry; its occurrences are made when somebody looks, and only an
occurrence that differs is stored, as an exception. Every put counts up one number for the
whole stage, which is what sync tokens and etags are made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from locum.rehearsal.google.recurrence import Series
from locum.rehearsal.google.times import UTC, Span, zone

ROLES = ("none", "freeBusyReader", "reader", "writer", "owner")
#: How far a series without end is laid out when nobody says until when.
HORIZON = timedelta(days=730)
_NEVER = datetime.min.replace(tzinfo=UTC)
_BASE32HEX = "0123456789abcdefghijklmnopqrstuv"


@dataclass(frozen=True)
class Entry:
    """One event on one calendar: a single one, a series, or an occurrence of a series.

    `fields` holds what is neither a time nor of the server's own making. `own` names the
    fields in which an exception differs from its series; the rest it inherits.
    """

    id: str
    fields: Mapping[str, Any]
    span: Span
    created: datetime
    series: Series | None = None
    series_id: str | None = None
    original: Span | None = None
    own: frozenset[str] = frozenset()
    changed: int = 0
    updated: datetime = _NEVER
    sequence: int = 0
    bare: bool = False  #: Deleted for good: nothing but the id is shown.
    was_single: bool = False  #: Became a series: its own id no longer names an occurrence.
    ghost: bool = False  #: An occurrence that its series no longer has.
    raw: Mapping[str, Any] | None = None  #: Shown as it stands, however wrong.

    @property
    def cancelled(self) -> bool:
        return self.fields.get("status") == "cancelled"

    @property
    def etag(self) -> str:
        return f'"{3_500_000_000_000_000 + self.changed * 2}"'

    @property
    def organizer(self) -> str:
        return str(self.fields.get("organizer", {}).get("email", ""))

    def occurrence(self, start: datetime) -> Entry:
        """Answer the occurrence of this series that starts at `start`."""
        span = self.span.starting(start)
        return replace(
            self,
            id=instance_id(self.id, span),
            span=span,
            series=None,
            series_id=self.id,
            original=span,
        )


def instance_id(series_id: str, original: Span) -> str:
    """Name an occurrence as Google does, by the start that its rule gives it."""
    if original.all_day:
        return f"{series_id}_{original.start:%Y%m%d}"
    return f"{series_id}_{original.start.astimezone(UTC):%Y%m%dT%H%M%SZ}"


@dataclass
class Calendar:
    """A calendar, who may see how much of it, and its entries by id."""

    id: str
    owner: str
    summary: str
    time_zone: str
    primary: bool
    display_name: str = ""  #: What its events' organizer is called.
    access: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    exceptions: dict[str, set[str]] = field(default_factory=dict)
    generation: int = 0  #: Counts how often sync tokens were made worthless.
    changed: int = 0

    @property
    def zone(self) -> ZoneInfo:
        return zone(self.time_zone)

    def role(self, email: str) -> str:
        return "owner" if email == self.owner else self.access.get(email, "none")

    def allows(self, email: str, wanted: str) -> bool:
        return ROLES.index(self.role(email)) >= ROLES.index(wanted)

    def exceptions_of(self, series_id: str) -> list[Entry]:
        return [self.entries[each] for each in sorted(self.exceptions.get(series_id, ()))]

    def find(self, event_id: str) -> Entry | None:
        """Answer an event by its id, occurrences that nobody edited included."""
        entry = self.entries.get(event_id)
        if entry is not None:
            return None if entry.ghost else entry
        series_id, _, stamp = event_id.rpartition("_")
        series = self.entries.get(series_id)
        if series is None or series.series is None:
            return None
        start = _read_stamp(stamp, all_day=series.span.all_day)
        if start is None or not series.series.has(start):
            return None
        return series.occurrence(start)

    def occurrences(
        self, entry: Entry, after: datetime | None, before: datetime
    ) -> Iterator[Entry]:
        """Answer the occurrences of a series that nobody edited, by their start."""
        if entry.series is None:
            return
        edited = {
            each.original.start
            for each in self.exceptions_of(entry.id)
            if each.original is not None
        }
        if entry.span.all_day:
            after = None if after is None else _floating(after, self.zone)
            before = _floating(before, self.zone)
        for start in entry.series.starts(after, before):
            if start not in edited:
                yield entry.occurrence(start)


def _floating(instant: datetime, seen_from: ZoneInfo) -> datetime:
    return instant.astimezone(seen_from).replace(tzinfo=None)


def _read_stamp(stamp: str, *, all_day: bool) -> datetime | None:
    try:
        if all_day:
            return datetime.strptime(stamp, "%Y%m%d")  # noqa: DTZ007 - Whole days have no zone.
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


class Store:
    """All calendars of the stage."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.calendars: dict[str, Calendar] = {}
        self.changes = 0
        self.on_change: Callable[[Calendar], None] = lambda _calendar: None
        self.removals = 0  #: Counts calendars taken away, for the calendar list's tokens.
        self._names = 0

    def add_calendar(self, calendar: Calendar) -> None:
        self.calendars[calendar.id] = calendar
        self.touch(calendar)

    def touch(self, calendar: Calendar) -> None:
        """Note that a calendar itself changed, not what it holds."""
        self.changes += 1
        calendar.changed = self.changes

    def put(self, calendar: Calendar, entry: Entry, *, quietly: bool = False) -> Entry:
        """Store an entry under its id; `quietly` leaves its `updated` alone."""
        self.changes += 1
        updated = entry.updated if quietly else self.now()
        stored = replace(entry, changed=self.changes, updated=updated)
        calendar.entries[stored.id] = stored
        self.on_change(calendar)
        if stored.series_id is not None:
            calendar.exceptions.setdefault(stored.series_id, set()).add(stored.id)
        return stored

    def drop(self, calendar: Calendar, entry: Entry) -> None:
        """Forget an entry without a trace, so that its series speaks for it again."""
        calendar.entries.pop(entry.id, None)
        calendar.exceptions.get(entry.series_id or "", set()).discard(entry.id)

    def new_id(self) -> str:
        """Answer a new event id: the same ones in every rehearsal."""
        return "".join(_BASE32HEX[byte % 32] for byte in self._next_digest()[:26])

    def new_meet_code(self) -> str:
        letters = "".join(chr(ord("a") + byte % 26) for byte in self._next_digest()[:10])
        return f"{letters[:3]}-{letters[3:7]}-{letters[7:]}"

    def _next_digest(self) -> bytes:
        self._names += 1
        return hashlib.sha256(f"locum stage {self._names}".encode()).digest()
