"""Which events a list holds: deleted or not, expanded or not, in which window, since when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from locum.rehearsal.google.schema import ListQuery
from locum.rehearsal.google.store import HORIZON, Calendar, Entry
from locum.rehearsal.google.times import UTC

Filter = Callable[[Entry], bool]


@dataclass(frozen=True)
class Wanted:
    """What a list is asked for. `since`: only what changed after that change (a delta)."""

    single: bool
    show_deleted: bool = False
    time_min: datetime | None = None
    time_max: datetime | None = None
    since: int | None = None
    updated_min: datetime | None = None
    filters: tuple[Filter, ...] = ()

    @property
    def always_deleted(self) -> bool:
        return self.show_deleted or self.since is not None or self.updated_min is not None


@dataclass(frozen=True)
class Selection:
    """The events of one calendar that fit. `now` bounds series that never end."""

    calendar: Calendar
    wanted: Wanted
    now: datetime

    def __iter__(self) -> Iterator[Entry]:
        wanted = self.wanted
        for entry in self.calendar.entries.values():
            if wanted.since is not None and entry.changed <= wanted.since:
                continue
            if wanted.updated_min is not None and entry.updated < wanted.updated_min:
                continue
            if not all(fits(entry) for fits in wanted.filters):
                continue
            if entry.series is not None and wanted.single:
                yield from self._occurrences(entry)
                if entry.was_single and wanted.since is not None:
                    fields = {**entry.fields, "status": "cancelled"}
                    yield replace(entry, fields=fields, series=None, bare=True)
            elif self._fits(entry):
                yield entry

    def of_series(self, series: Entry) -> Iterator[Entry]:
        """Answer the occurrences of one series, edited ones included."""
        yield from self._occurrences(series)
        for exception in self.calendar.exceptions_of(series.id):
            if self._fits(exception):
                yield exception

    def _occurrences(self, series: Entry) -> Iterator[Entry]:
        wanted = self.wanted
        if series.cancelled and not wanted.always_deleted:
            return
        first = series.span.instants(self.calendar.zone)[0]
        until = wanted.time_max or max(self.now, first) + HORIZON
        # A day more than the length: a whole day that gains an hour is longer than it says.
        reach = series.span.length + timedelta(days=1)
        after = None if wanted.time_min is None else wanted.time_min - reach
        for occurrence in self.calendar.occurrences(series, after, until):
            if self._in_window(occurrence):
                yield occurrence

    def _fits(self, entry: Entry) -> bool:
        wanted = self.wanted
        if entry.ghost and (wanted.since is None or not (wanted.single or entry.own)):
            # Its series says it better, except to those who hold the occurrence itself.
            return False
        if entry.cancelled and not wanted.always_deleted:
            gap = entry.series_id is not None and not wanted.single
            if not (gap and self._series_lives(entry)):
                return False
        if entry.series is None:
            return self._in_window(entry)
        if wanted.time_min is None and wanted.time_max is None:
            return True
        return next(self._occurrences(entry), None) is not None

    def _series_lives(self, entry: Entry) -> bool:
        series = self.calendar.entries.get(entry.series_id or "")
        return series is not None and not series.cancelled

    def _in_window(self, entry: Entry) -> bool:
        start, end = entry.span.instants(self.calendar.zone)
        wanted = self.wanted
        return (wanted.time_min is None or end > wanted.time_min) and (
            wanted.time_max is None or start < wanted.time_max
        )


def filters_of(query: ListQuery) -> tuple[Filter, ...]:
    """Answer the tests that a query puts to each event's fields."""
    filters: list[Filter] = []
    if query.i_cal_uid is not None:
        filters.append(lambda entry: entry.fields.get("iCalUID") == query.i_cal_uid)
    if query.event_types:
        filters.append(
            lambda entry: entry.fields.get("eventType", "default") in query.event_types
        )
    for kind, constraints in (
        ("private", query.private_extended_property),
        ("shared", query.shared_extended_property),
    ):
        filters.extend(_has_property(kind, constraint) for constraint in constraints)
    if query.q:
        filters.append(_mentions(query.q))
    return tuple(filters)


def _has_property(kind: str, constraint: str) -> Filter:
    name, _, value = constraint.partition("=")

    def fits(entry: Entry) -> bool:
        properties: Mapping[str, str] = entry.fields.get("extendedProperties", {}).get(kind, {})
        return properties.get(name) == value

    return fits


def _mentions(terms: str) -> Filter:
    words = terms.casefold().split()

    def fits(entry: Entry) -> bool:
        people = [entry.fields.get("organizer", {}), *entry.fields.get("attendees", ())]
        texts = [
            str(entry.fields.get(name, "")) for name in ("summary", "description", "location")
        ]
        texts += [f"{each.get('displayName', '')} {each.get('email', '')}" for each in people]
        text = "\n".join(texts).casefold()
        return all(word in text for word in words)

    return fits


Key = tuple[int | str, ...]


def sort_key(entry: Entry, order: str | None, calendar: Calendar) -> Key:
    """Answer where an event stands in a list; no two are equal, so pages can go on from it."""
    if order == "startTime":
        return (_microseconds(entry.span.instants(calendar.zone)[0]), entry.id)
    if order == "updated":
        return (_microseconds(entry.updated), entry.changed, entry.id)
    return (entry.changed, entry.id)


def _microseconds(instant: datetime) -> int:
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
