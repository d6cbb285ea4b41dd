"""`events.list`, `events.instances` and their pages, as one role sees one calendar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from pydantic import ConfigDict

from locum.rehearsal.google.errors import ApiError, invalid, not_found
from locum.rehearsal.google.schema import InstancesQuery, ListQuery, View
from locum.rehearsal.google.selection import Selection, Wanted, filters_of, sort_key
from locum.rehearsal.google.store import Calendar, Entry, Store
from locum.rehearsal.google.times import UTC, parse_instant, write_stamp, zone
from locum.rehearsal.google.tokens import (
    PageToken,
    SyncToken,
    print_of,
    read_page_token,
    read_sync_token,
)
from locum.rehearsal.google.views import Viewer, show

_LARGEST_PAGE = 2500
#: These can't stand beside a sync token.
_REFUSED_WITH_SYNC = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
#: With these no sync token is given: the list isn't one that a delta could continue.
#: A window may stand, as Google's own sample of a first synchronization has one.
_NO_SYNC_AFTER = tuple(name for name in _REFUSED_WITH_SYNC if not name.startswith("time"))
#: These must be as they were; the size of a page may change.
_SAME_WITH_SYNC = (
    "eventTypes",
    "maxAttendees",
    "showDeleted",
    "showHiddenInvitations",
    "singleEvents",
    "timeZone",
)


@dataclass
class Quirks:
    """What Google may do and rarely does. Each `next_…` counts down as answers are sent."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    page_size: int | None = None  #: A cap on every page, below what was asked for.
    next_empty_pages: int = 0  #: Pages without items that still have a nextPageToken.
    next_without_sync_token: int = 0  #: Last pages without a nextSyncToken.
    bare_tombstones: bool = False  #: Deleted events show nothing but their id, everywhere.
    quota_per_minute: int | None = None  #: Requests a user; beyond it, `rateLimitExceeded`.


@dataclass(frozen=True)
class _Page:
    answer: dict[str, Any]
    as_of: int


@dataclass(frozen=True)
class Reader:
    """Reads one calendar for one role."""

    store: Store
    calendar: Calendar
    role: str
    quirks: Quirks

    def get(self, event_id: str, view: View) -> dict[str, Any]:
        entry = self.calendar.find(event_id)
        if entry is None:
            raise not_found()
        return show(entry, self.calendar, self.viewer(view, tombstone_details=True))

    def list_events(self, query: ListQuery) -> dict[str, Any]:
        given = query.model_dump(by_alias=True)
        _check(query, given)
        sync_query = print_of({name: given[name] for name in _SAME_WITH_SYNC})
        since = None
        if query.sync_token is not None:
            since = read_sync_token(
                query.sync_token,
                list_id=self.calendar.id,
                query=sync_query,
                generation=self.calendar.generation,
            ).since
        wanted = Wanted(
            single=query.single_events,
            show_deleted=query.show_deleted is True,
            time_min=query.time_min,
            time_max=query.time_max,
            since=since,
            updated_min=query.updated_min,
            filters=filters_of(query),
        )
        entries = Selection(self.calendar, wanted, self.store.now())
        page = self._page(entries, query, given, order=query.order_by)
        if "nextPageToken" in page.answer or any(given[name] for name in _NO_SYNC_AFTER):
            return page.answer
        if self.quirks.next_without_sync_token > 0:
            self.quirks.next_without_sync_token -= 1
            return page.answer
        token = SyncToken(
            self.calendar.id, sync_query, self.calendar.generation, page.as_of
        ).write()
        return {**page.answer, "nextSyncToken": token}

    def list_instances(self, event_id: str, query: InstancesQuery) -> dict[str, Any]:
        series = self.calendar.find(event_id)
        if series is None:
            raise not_found()
        if series.series is None:
            raise ApiError(400, "invalid", "The event is not a recurring event.", "eventId")
        wanted = Wanted(
            single=True,
            show_deleted=query.show_deleted is True,
            time_min=query.time_min,
            time_max=query.time_max,
        )
        entries = (
            each
            for each in Selection(self.calendar, wanted, self.store.now()).of_series(series)
            if query.original_start is None or _starts_originally(each, query.original_start)
        )
        given = {**query.model_dump(by_alias=True), "eventId": event_id}
        return self._page(entries, query, given, order="startTime").answer

    def viewer(self, view: View, *, tombstone_details: bool) -> Viewer:
        shown_in = self.calendar.zone if view.time_zone is None else zone(view.time_zone)
        details = tombstone_details and not self.quirks.bare_tombstones
        return Viewer(self.role, shown_in, view.max_attendees, tombstone_details=details)

    def _page(
        self,
        entries: Iterable[Entry],
        query: ListQuery | InstancesQuery,
        given: dict[str, Any],
        *,
        order: str | None,
    ) -> _Page:
        """Answer one page. It goes on after a key, not at a number: edits shift nothing."""
        query_print = print_of(
            {name: given[name] for name in given if name not in {"pageToken", "maxResults"}}
        )
        after, as_of = None, self.store.changes
        if query.page_token is not None:
            token = read_page_token(
                query.page_token, list_id=self.calendar.id, query=query_print
            )
            after, as_of = token.after, token.as_of
        keyed = [(sort_key(each, order, self.calendar), each) for each in entries]
        keyed.sort(key=itemgetter(0))
        if after is not None:
            keyed = [each for each in keyed if each[0] > after]
        size = min(query.max_results, _LARGEST_PAGE, self.quirks.page_size or _LARGEST_PAGE)
        if keyed and self.quirks.next_empty_pages > 0:
            self.quirks.next_empty_pages -= 1
            size = 0
        viewer = self.viewer(query, tombstone_details=query.show_deleted is True)
        answer = self._head()
        answer["items"] = [show(each, self.calendar, viewer) for _, each in keyed[:size]]
        if len(keyed) > size:
            last = keyed[size - 1][0] if size else after
            answer["nextPageToken"] = PageToken(
                self.calendar.id, query_print, last, as_of
            ).write()
        return _Page(answer, as_of)

    def _head(self) -> dict[str, Any]:
        updated = (each.updated for each in self.calendar.entries.values())
        latest = max(updated, default=datetime(2026, 1, 1, tzinfo=UTC))
        sees_events = self.role in {"reader", "writer", "owner"}
        return {
            "kind": "calendar#events",
            "etag": f'"p{self.store.changes:015d}"',
            "summary": self.calendar.summary,
            "description": "",
            "updated": write_stamp(latest),
            "timeZone": self.calendar.time_zone,
            "accessRole": self.role,
            "defaultReminders": [{"method": "popup", "minutes": 10}] if sees_events else [],
        }


def _check(query: ListQuery, given: dict[str, Any]) -> None:
    """Refuse what Google refuses.

    Raises:
        ApiError: 400, naming the parameter.
    """
    if query.sync_token is not None:
        for name in _REFUSED_WITH_SYNC:
            if given[name]:
                raise ApiError(
                    400, "badRequest", f"{name} can't be used together with syncToken.", name
                )
        if query.show_deleted is False:
            raise invalid("showDeleted", "showDeleted can't be false with a sync token.")
    if query.order_by == "startTime" and not query.single_events:
        raise invalid(
            "orderBy", "The requested ordering is not available for the particular query."
        )
    if query.time_min and query.time_max and query.time_min >= query.time_max:
        raise ApiError(400, "timeRangeEmpty", parameter="timeMax")


def _starts_originally(entry: Entry, wanted: datetime | str) -> bool:
    original = entry.original
    if original is None:
        return False
    if original.all_day:
        return isinstance(wanted, str) and original.start.date().isoformat() == wanted
    if isinstance(wanted, datetime):
        return original.start == wanted
    try:
        instant = parse_instant(wanted)
    except ValueError:
        return False
    return instant.tzinfo is not None and original.start == instant
