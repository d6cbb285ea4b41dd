"""What was judged, kept in order of time, so that a pass looks at what is near and no more.

Ten thousand meetings lie ahead on a thousand calendars; a join must not wait until all of
them were thought about. Judging happens here when the calendar, the config or a person's word
changed, and where one calendar changed, only for what it shows; a pass takes the few that
touch the present.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from locum.core.model import (
    CalendarEvent,
    CalendarRef,
    Decision,
    EventStatus,
    Judged,
    Mark,
    OccurrenceKey,
)
from locum.core.planning import FIRM, judge, meeting_of
from locum.core.policy import Policy

_RECENT = timedelta(minutes=30)
"""How long after its end an event is still looked at: for leaving, and for what was missed."""


class _Entry(NamedTuple):
    """A judged occurrence at its place: in order of the start, and never two alike."""

    start: datetime
    occurrence: OccurrenceKey
    end: datetime
    joins: bool
    judged: Judged


class Agenda:
    def __init__(self) -> None:
        self._shown: dict[CalendarRef, tuple[CalendarEvent, ...]] = {}
        self._sightings: dict[OccurrenceKey, list[CalendarEvent]] = {}
        self._entries: list[_Entry] = []
        self._by_key: dict[OccurrenceKey, _Entry] = {}
        self._armed = 0
        self._spans: dict[CalendarRef, tuple[tuple[datetime, datetime], ...]] = {}

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Everything that is known, in order of its start."""
        return tuple(entry.judged for entry in self._entries)

    @property
    def armed(self) -> int:
        """How many occurrences are to be joined."""
        return self._armed

    # ── what the calendars show ──────────────────────────────────────────────────────────

    def take(self, events: Iterable[CalendarEvent]) -> None:
        """Replace all events; `rejudge` must follow."""
        shown: dict[CalendarRef, list[CalendarEvent]] = defaultdict(list)
        sightings: dict[OccurrenceKey, list[CalendarEvent]] = defaultdict(list)
        for event in events:
            shown[event.calendar].append(event)
            sightings[event.occurrence].append(event)
        self._shown = {calendar: tuple(found) for calendar, found in shown.items()}
        self._sightings = dict(sightings)

    def take_calendar(
        self, calendar: CalendarRef, events: Iterable[CalendarEvent]
    ) -> frozenset[OccurrenceKey]:
        """Replace one calendar's events; answers what `rejudge_some` must look at again."""
        before, after = self._shown.get(calendar, ()), tuple(events)
        changed = frozenset(event.occurrence for event in {*before} ^ {*after})
        self._shown[calendar] = after
        self._spans.pop(calendar, None)
        for key in changed:
            others = [e for e in self._sightings.get(key, ()) if e.calendar != calendar]
            seen = [*others, *(event for event in after if event.occurrence == key)]
            if seen:
                self._sightings[key] = seen
            else:
                self._sightings.pop(key, None)
        return changed

    def disagreeing(
        self, calendar: CalendarRef, occurrences: Iterable[OccurrenceKey]
    ) -> frozenset[CalendarRef]:
        """Answer the other calendars that show these at another time or place, or at all.

        An event moves on all calendars at once: these were read before it did.
        """
        found = set()
        for key in occurrences:
            seen = self._sightings.get(key, ())
            ours = {_where_and_when(event) for event in seen if event.calendar == calendar}
            found |= {e.calendar for e in seen if _where_and_when(e) not in ours}
        return frozenset(found - {calendar})

    def rejudge(self, policy: Policy, marks: Mapping[OccurrenceKey, Mark]) -> None:
        """Decide everything anew under `policy`."""
        events = (event for seen in self._sightings.values() for event in seen)
        self._entries = [_entry(item, policy) for item in judge(events, policy, marks)]
        self._by_key = {entry.occurrence: entry for entry in self._entries}
        self._armed = sum(entry.joins for entry in self._entries)
        self._spans.clear()

    def rejudge_some(
        self,
        occurrences: Collection[OccurrenceKey],
        policy: Policy,
        marks: Mapping[OccurrenceKey, Mark],
    ) -> tuple[Judged, ...]:
        """Decide these anew, as `rejudge` would; answers what was decided."""
        for key in occurrences:
            for event in self._sightings.get(key, ()):
                self._spans.pop(event.calendar, None)
            gone = self._by_key.pop(key, None)
            if gone is not None:
                del self._entries[self._index_of(gone)]
                self._armed -= gone.joins
        events = (event for key in occurrences for event in self._sightings.get(key, ()))
        judged = judge(events, policy, marks)
        for item in judged:
            entry = _entry(item, policy)
            self._entries.insert(self._index_of(entry), entry)
            self._by_key[entry.occurrence] = entry
            self._armed += entry.joins
        return judged

    # ── what touches a time ──────────────────────────────────────────────────────────────

    def _index_of(self, entry: _Entry) -> int:
        return bisect.bisect_left(self._entries, _place(entry), key=_place)

    def _begun_by(self, instant: datetime) -> int:
        """Answer how many start up to `instant`."""
        return bisect.bisect_right(self._entries, instant, key=lambda entry: entry.start)

    def near(
        self, now: datetime, ahead: timedelta, also: frozenset[OccurrenceKey]
    ) -> Iterator[Judged]:
        """Answer what touches the time from a while ago to `now + ahead`, and `also`.

        `also` names the occurrences of open sessions: they matter wherever they moved. Where
        a near one isn't firm, so do the firm ones until its end: they go first for a place.
        """
        since = now - _RECENT
        begun = self._begun_by(now + ahead)
        wanted = {each.occurrence for each in self._entries[:begun] if each.end >= since}
        wanted |= also & self._by_key.keys()
        near = (self._by_key[key] for key in wanted)
        modest_ends = [each.end for each in near if _is_modest(each.judged.decision)]
        if modest_ends:
            until = max(modest_ends) + ahead
            rivals = self._entries[begun : self._begun_by(until)]
            wanted |= {e.occurrence for e in rivals if e.judged.decision.code in FIRM}
        for entry in sorted((self._by_key[key] for key in wanted), key=_place):
            yield entry.judged

    def begun_by(
        self, instant: datetime, also: frozenset[OccurrenceKey] = frozenset()
    ) -> tuple[Judged, ...]:
        """Answer everything that starts up to `instant`, however long ago it ended; and `also`."""
        begun = self._begun_by(instant)
        later = [entry for entry in self._entries[begun:] if entry.occurrence in also]
        return tuple(entry.judged for entry in (*self._entries[:begun], *later))

    def rooms_used_by(self, instant: datetime) -> frozenset[str]:
        """Answer the rooms, by their ids, of all that began before `instant`."""
        rooms = (e.judged.event.room for e in self._entries if e.start < instant)
        return frozenset(room.id for room in rooms if room is not None)

    def instants(self, now: datetime, lead: timedelta, limit: int) -> list[datetime]:
        """Answer the next `limit` distinct instants at which a stay may begin or end."""
        upcoming: set[datetime] = set()
        begins: set[datetime] = set()
        for entry in self._entries:
            if len(begins) >= limit:
                break  # In order of the start: what follows lies later still.
            if not entry.joins:
                continue
            if entry.start - lead > now:
                begins.add(entry.start - lead)
            upcoming.update(i for i in (entry.start - lead, entry.end) if i > now)
        return sorted(upcoming)[:limit]

    def near_from(
        self, calendar: CalendarRef, now: datetime, margin: timedelta
    ) -> datetime | None:
        """Answer since when, or from when on, a calendar must be watched closely.

        That is `margin` before the next meeting to join that it shows, until its end. It
        counts at the time that was gone by and at the one that this calendar still has: each
        may be the one that changes.
        """
        spans = self._spans.get(calendar)
        if spans is None:
            # Kept, for a thousand calendars are asked about every few seconds.
            spans = self._spans[calendar] = tuple(self._spans_of(calendar))
        starts = [start for start, end in spans if end > now]
        return min(starts) - margin if starts else None

    def _spans_of(self, calendar: CalendarRef) -> Iterator[tuple[datetime, datetime]]:
        for event in self._shown.get(calendar, ()):
            entry = self._by_key.get(event.occurrence)
            if entry is None or not entry.joins or event.status is EventStatus.CANCELLED:
                continue
            yield entry.start, entry.end
            yield event.start, event.end or event.start


def _entry(judged: Judged, policy: Policy) -> _Entry:
    meeting, event = meeting_of(judged, policy), judged.event
    end = meeting.end if meeting is not None else (event.end or event.start)
    return _Entry(event.start, event.occurrence, end, meeting is not None, judged)


def _place(entry: _Entry) -> tuple[datetime, OccurrenceKey]:
    return entry.start, entry.occurrence


def _is_modest(decision: Decision) -> bool:
    return decision.join and decision.code not in FIRM


def _where_and_when(event: CalendarEvent) -> object:
    return event.start, event.end, event.room, event.status
