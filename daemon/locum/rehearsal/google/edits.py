"""Writes to calendars: new events, changes, deletions, answers, and what guests get of them.

Each guest who is on the stage holds a copy under the same id and iCalUID. The organizer's
event is the truth: an edit of it is carried to every copy, an answer is carried to it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from locum.rehearsal.google import conferences
from locum.rehearsal.google.drafts import (
    PRIVATE_FIELDS,
    answered,
    changed_draft,
    read_times,
    shared_with,
    stored_fields,
)
from locum.rehearsal.google.errors import ApiError, not_found
from locum.rehearsal.google.store import HORIZON, Calendar, Entry, Store
from locum.rehearsal.google.times import UTC

_EVENT_ID = re.compile(r"[a-v0-9]{5,1024}")
_TIMES = frozenset({"start", "end", "recurrence"})


@dataclass(frozen=True)
class Author:
    """Who writes. `omnipotent`: the rehearsal itself, whom no rule of Google's binds."""

    email: str
    omnipotent: bool = False
    conference_data: bool = False
    attachments: bool = False


@dataclass
class _DueConference:
    due: datetime
    calendar_id: str
    event_id: str
    request: Mapping[str, Any]


@dataclass
class Editor:
    """Every way to change what a store holds. `conference_delay`: how long links take."""

    store: Store
    conference_delay: timedelta = timedelta(0)
    _due: list[_DueConference] = field(default_factory=list)

    # ── the ways in ──────────────────────────────────────────────────────────────────────

    def insert(self, calendar: Calendar, draft: Mapping[str, Any], author: Author) -> Entry:
        event_id = self._checked_id(calendar, draft, author)
        span, series = read_times(draft, calendar)
        fields = self._first_fields(calendar, draft, author, event_id)
        entry = Entry(
            id=event_id, fields=fields, span=span, series=series, created=self.store.now()
        )
        entry = self._with_conference(calendar, entry, draft, {}, author)
        entry = self.store.put(calendar, entry)
        self._share(calendar, None, entry)
        return entry

    def change(
        self,
        calendar: Calendar,
        event_id: str,
        change: Mapping[str, Any],
        author: Author,
        *,
        whole: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        before = self._checked(calendar, event_id, if_match)
        if before.organizer != calendar.id and not author.omnipotent:
            return self._change_as_guest(calendar, before, change, author)
        return self._change(calendar, before, change, author, whole=whole)

    def delete(
        self, calendar: Calendar, event_id: str, author: Author, *, if_match: str | None = None
    ) -> None:
        entry = self._checked(calendar, event_id, if_match)
        if entry.cancelled:
            raise ApiError(410, "deleted")
        organizers = self._organizers(entry)
        if organizers is None or organizers[0] is calendar:
            # Without an organizer on the stage, the rehearsal speaks for them.
            is_guest = organizers is None
            self._cancel(calendar, entry, bare=is_guest and author.omnipotent)
            return
        self._cancel(calendar, entry, bare=False)
        self._answer(calendar, entry, calendar.id, {"responseStatus": "declined"})

    def respond(self, calendar: Calendar, event_id: str, said: Mapping[str, Any]) -> Entry:
        """Record what the calendar's owner answers to an invitation."""
        entry = calendar.find(event_id)
        if entry is None:
            raise not_found()
        self._answer(calendar, entry, calendar.id, said)
        answered_entry = calendar.find(event_id)
        return entry if answered_entry is None else answered_entry

    def settle(self) -> None:
        """Finish the conferences that are due."""
        now = self.store.now()
        due = [each for each in self._due if each.due <= now]
        self._due = [each for each in self._due if each.due > now]
        for each in due:
            calendar = self.store.calendars.get(each.calendar_id)
            entry = calendar.find(each.event_id) if calendar else None
            if calendar is None or entry is None or entry.cancelled:
                continue
            data = conferences.ready(each.request, self.store.new_meet_code())
            fields = {**entry.fields, **_conference_fields(data)}
            self._store_change(calendar, entry, replace(entry, fields=fields))

    # ── checks ───────────────────────────────────────────────────────────────────────────

    def _checked_id(self, calendar: Calendar, draft: Mapping[str, Any], author: Author) -> str:
        event_id = draft.get("id")
        if not event_id:
            return self.store.new_id()
        if not author.omnipotent and not _EVENT_ID.fullmatch(str(event_id)):
            raise ApiError(400, "invalid", "Invalid resource id value.")
        if str(event_id) in calendar.entries:
            raise ApiError(409, "duplicate")
        return str(event_id)

    def _checked(self, calendar: Calendar, event_id: str, if_match: str | None) -> Entry:
        entry = calendar.find(event_id)
        if entry is None:
            raise not_found()
        if if_match not in {None, "*", entry.etag}:
            raise ApiError(412, "conditionNotMet")
        series = calendar.entries.get(entry.series_id or "")
        if series is not None and series.cancelled:
            raise ApiError(410, "deleted")
        return entry

    # ── making fields ────────────────────────────────────────────────────────────────────

    def _first_fields(
        self, calendar: Calendar, draft: Mapping[str, Any], author: Author, event_id: str
    ) -> dict[str, Any]:
        fields = stored_fields(draft)
        fields.setdefault("status", "confirmed")
        fields.setdefault("iCalUID", f"{event_id}@google.com")
        fields.setdefault("creator", {"email": author.email})
        if "organizer" not in fields:
            fields["organizer"] = {"email": calendar.id}
            if calendar.display_name:
                fields["organizer"]["displayName"] = calendar.display_name
        if not (author.attachments or author.omnipotent):
            fields.pop("attachments", None)
        return fields

    def _with_conference(
        self,
        calendar: Calendar,
        entry: Entry,
        draft: Mapping[str, Any],
        before: Mapping[str, Any],
        author: Author,
    ) -> Entry:
        """Put the conference that a draft gives or asks for on its entry."""
        fields = dict(entry.fields)
        if not (author.conference_data or author.omnipotent):
            # Without conferenceDataVersion=1 a client knows nothing of conferences.
            for name in ("conferenceData", "hangoutLink"):
                fields.pop(name, None)
                if name in before:
                    fields[name] = before[name]
            return replace(entry, fields=fields)
        request = conferences.requested(draft, before)
        if request is not None:
            fields.pop("hangoutLink", None)
            fields |= _conference_fields(self._new_conference(calendar, entry.id, request))
        elif "conferenceData" not in fields:
            if "conferenceData" in before:
                fields.pop("hangoutLink", None)
        elif "createRequest" in fields["conferenceData"]:
            fields["conferenceData"] = copy.deepcopy(before["conferenceData"])
        elif uri := conferences.link(fields["conferenceData"]):
            derived = conferences.link(before.get("conferenceData") or {})
            if fields.get("hangoutLink") in {None, derived}:
                fields["hangoutLink"] = uri
        return replace(entry, fields=fields)

    def _new_conference(
        self, calendar: Calendar, event_id: str, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        if self.conference_delay <= timedelta(0):
            return conferences.ready(request, self.store.new_meet_code())
        due = self.store.now() + self.conference_delay
        self._due.append(_DueConference(due, calendar.id, event_id, request))
        return conferences.pending(request)

    # ── changes ──────────────────────────────────────────────────────────────────────────

    def _change(
        self,
        calendar: Calendar,
        before: Entry,
        change: Mapping[str, Any],
        author: Author,
        *,
        whole: bool,
    ) -> Entry:
        if before.series_id is not None and change.get("recurrence"):
            raise ApiError(400, "invalid", "An instance of a series can't recur itself.")
        draft = changed_draft(before, calendar, change, whole=whole)
        span, series = read_times(draft, calendar)
        fields = stored_fields(draft)
        if not (author.attachments or author.omnipotent):
            fields.pop("attachments", None)
            if "attachments" in before.fields:
                fields["attachments"] = before.fields["attachments"]
        after = replace(
            before,
            fields=fields,
            span=span,
            series=series,
            bare=before.bare and fields.get("status") == "cancelled",
            was_single=series is not None and (before.was_single or before.series is None),
        )
        after = self._with_conference(calendar, after, draft, before.fields, author)
        moved = (span, series) != (before.span, before.series)
        if moved or fields.get("status") != before.fields.get("status"):
            after = replace(after, sequence=before.sequence + 1)
        return self._store_change(calendar, before, after, touched=frozenset(change))

    def _change_as_guest(
        self, calendar: Calendar, entry: Entry, change: Mapping[str, Any], author: Author
    ) -> Entry:
        """Let a guest change what is theirs: their answer, and how they see the event.

        Raises:
            ApiError: 403, `forbiddenForNonOrganizer`.
        """
        shared = set(change) - PRIVATE_FIELDS - {"attendees", "attendeesOmitted"}
        if set(change.get("extendedProperties") or {}) <= {"private"}:
            shared.discard("extendedProperties")
        organizers = self._organizers(entry)
        if shared and entry.fields.get("guestsCanModify") and organizers is not None:
            return self._change(*organizers, change, author, whole=False)
        listed = entry.fields.get("attendees", [])
        given = change.get("attendees")
        mine = [each for each in given or () if str(each["email"]).lower() == calendar.id]
        complete = given is None or bool(change.get("attendeesOmitted"))
        if shared or not (complete or _same_guests(listed, given or [])):
            raise ApiError(403, "forbiddenForNonOrganizer")
        kept = {name: change[name] for name in change if name != "attendees"}
        kept.pop("attendeesOmitted", None)
        if kept:
            entry = self._change_copy(calendar, entry, kept)
        if mine:
            self._answer(calendar, entry, calendar.id, mine[0])
        return calendar.find(entry.id) or entry

    def _change_copy(
        self, calendar: Calendar, before: Entry, change: Mapping[str, Any]
    ) -> Entry:
        draft = changed_draft(before, calendar, change, whole=False)
        after = replace(before, fields=stored_fields(draft))
        return self._store_series(calendar, before, _as_exception(before, after, set(change)))

    def _answer(
        self, calendar: Calendar, entry: Entry, email: str, said: Mapping[str, Any]
    ) -> None:
        """Carry an answer to the organizer's event, and from there to everybody."""
        where, event = self._organizers(entry) or (calendar, entry)
        listed = event.fields.get("attendees", [])
        if not any(each["email"] == email for each in listed):
            raise ApiError(403, "forbidden", f"{email} is not invited.")
        attendees = answered(listed, [{**said, "email": email}])
        after = replace(event, fields={**event.fields, "attendees": attendees})
        self._store_change(where, event, after, touched=frozenset({"attendees"}))

    def _organizers(self, entry: Entry) -> tuple[Calendar, Entry] | None:
        """Answer the organizer's calendar and event, if they are on the stage."""
        where = self.store.calendars.get(entry.organizer)
        if where is None:
            return None
        event = where.find(entry.id)
        if event is None or event.fields["iCalUID"] != entry.fields["iCalUID"]:
            return None
        return where, event

    def _cancel(self, calendar: Calendar, entry: Entry, *, bare: bool) -> None:
        fields = {**entry.fields, "status": "cancelled"}
        after = replace(entry, fields=fields, bare=bare, sequence=entry.sequence + 1)
        touched = frozenset({"status"})
        if entry.organizer == calendar.id:
            self._store_change(calendar, entry, after, touched=touched)
        else:
            self._store_series(calendar, entry, _as_exception(entry, after, set(touched)))
        for exception in calendar.exceptions_of(entry.id):
            if not exception.cancelled:
                self._cancel(calendar, exception, bare=bare)

    # ── storing, and telling the guests ──────────────────────────────────────────────────

    def _store_change(
        self,
        calendar: Calendar,
        before: Entry,
        after: Entry,
        *,
        touched: frozenset[str] = frozenset(),
    ) -> Entry:
        stored = self._store_series(
            calendar, before, _as_exception(before, after, set(touched))
        )
        self._share(calendar, before, stored)
        return stored

    def _store_series(self, calendar: Calendar, before: Entry | None, after: Entry) -> Entry:
        """Store an entry; if it is a series, bring its exceptions in line with it."""
        stored = self.store.put(calendar, after)
        if before is None or before.series is None:
            return stored
        self._bury_lost(calendar, before, stored)
        for exception in calendar.exceptions_of(stored.id):
            self._reconcile(calendar, stored, exception)
        return stored

    def _reconcile(self, calendar: Calendar, series: Entry, exception: Entry) -> None:
        original = exception.original
        still = (
            original is not None
            and series.series is not None
            and series.span.all_day == original.all_day
            and series.series.has(original.start)
        )
        if exception.ghost:
            if still:
                self.store.drop(calendar, exception)
            return
        if not still:
            fields = {**exception.fields, "status": "cancelled"}
            gone = replace(exception, fields=fields, bare=True, ghost=True)
            self.store.put(calendar, gone)
            return
        own = {name: exception.fields[name] for name in exception.own & set(exception.fields)}
        inherited = {
            name: value for name, value in series.fields.items() if name not in exception.own
        }
        fields = {**inherited, **own}
        span = exception.span
        if not exception.own & _TIMES and original is not None:
            span = series.span.starting(original.start)
        if fields != dict(exception.fields) or span != exception.span:
            self.store.put(calendar, replace(exception, fields=fields, span=span))

    def _bury_lost(self, calendar: Calendar, before: Entry, after: Entry) -> None:
        """Leave a tombstone for each occurrence that an edit of the rule took away."""
        if before.series is None or (before.series, before.span) == (after.series, after.span):
            return
        until = max(self.store.now(), _aware(before)) + HORIZON
        for occurrence in list(calendar.occurrences(before, None, until)):
            start = occurrence.span.start
            kind = after.span.all_day == before.span.all_day
            if kind and after.series is not None and after.series.has(start):
                continue
            fields = {**occurrence.fields, "status": "cancelled"}
            ghost = replace(occurrence, fields=fields, bare=True, ghost=True)
            self.store.put(calendar, ghost)

    def _share(self, calendar: Calendar, before: Entry | None, after: Entry) -> None:
        """Bring every guest's copy in line with the organizer's event."""
        if after.organizer != calendar.id or after.fields.get("privateCopy"):
            return
        now_invited = {each["email"] for each in after.fields.get("attendees", ())}
        once_invited = {
            each["email"] for each in (before.fields.get("attendees", ()) if before else ())
        }
        for email in sorted(now_invited | once_invited):
            guest = self.store.calendars.get(email)
            if guest is None or guest is calendar or not guest.primary:
                continue
            invited = email in now_invited and not after.cancelled
            self._share_with(guest, after, invited=invited)

    def _share_with(self, guest: Calendar, event: Entry, *, invited: bool) -> None:
        theirs = guest.find(event.id)
        if not invited:
            if theirs is not None and not theirs.bare:
                self._bury_copy(guest, theirs)
            return
        fields = shared_with(event.fields, theirs.fields if theirs else None)
        if theirs is not None and theirs.cancelled and not theirs.bare:
            fields["status"] = "cancelled"  # Removed by the guest: it stays away.
        shared = replace(event, fields=fields, bare=False)
        if theirs is not None:
            shared = replace(shared, own=event.own | (theirs.own & PRIVATE_FIELDS))
        self._store_series(guest, theirs, shared)

    def _bury_copy(self, guest: Calendar, theirs: Entry) -> None:
        fields = {**theirs.fields, "status": "cancelled"}
        own = theirs.own | {"status"} if theirs.series_id else theirs.own
        self.store.put(guest, replace(theirs, fields=fields, bare=True, own=own))
        for exception in guest.exceptions_of(theirs.id):
            if not exception.bare:
                self._bury_copy(guest, exception)


def _aware(entry: Entry) -> datetime:
    start = entry.span.start
    return start if start.tzinfo else start.replace(tzinfo=UTC)


def _as_exception(before: Entry, after: Entry, touched: set[str]) -> Entry:
    """Note in which fields an occurrence now differs from its series."""
    if before.series_id is None:
        return after
    return replace(after, own=before.own | touched)


def _conference_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"conferenceData": dict(data)}
    if uri := conferences.link(data):
        fields["hangoutLink"] = uri
    return fields


def _same_guests(listed: list[dict[str, Any]], given: list[dict[str, Any]]) -> bool:
    return {each["email"] for each in listed} == {str(each["email"]).lower() for each in given}
