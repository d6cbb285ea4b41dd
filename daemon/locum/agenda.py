"""What was judged, kept in order of time, so that a pass looks at what is near and no more.

Ten thousand meetings lie ahead; a join must not wait until all of them were thought about.
Judging happens here when the calendar, the config or a person's word changed; a pass only
takes the few that touch the present.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from locum.core.model import CalendarEvent, Decision, Judged, Mark, OccurrenceKey
from locum.core.planning import FIRM, judge, meeting_of
from locum.core.policy import Policy

_RECENT = timedelta(minutes=30)
"""How long after its end an event is still looked at: for leaving, and for what was missed."""


class Agenda:
    def __init__(self) -> None:
        self._events: tuple[CalendarEvent, ...] = ()
        self._judged: tuple[Judged, ...] = ()
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        self._joinable: list[tuple[datetime, datetime]] = []
        self._places: dict[OccurrenceKey, int] = {}

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Everything that is known, in order of its start."""
        return self._judged

    @property
    def armed(self) -> int:
        """How many occurrences are to be joined."""
        return len(self._joinable)

    def take(self, events: Iterable[CalendarEvent]) -> None:
        """Replace all events; `rejudge` must follow."""
        self._events = tuple(events)

    def rejudge(self, policy: Policy, marks: Mapping[OccurrenceKey, Mark]) -> None:
        """Decide everything anew under `policy`."""
        self._judged = judge(self._events, policy, marks)
        self._starts = []
        self._ends = []
        self._joinable = []
        self._places = {item.event.occurrence: n for n, item in enumerate(self._judged)}
        for item in self._judged:
            meeting = meeting_of(item, policy)
            event = item.event
            end = meeting.end if meeting is not None else (event.end or event.start)
            self._starts.append(event.start)
            self._ends.append(end)
            if meeting is not None:
                self._joinable.append((meeting.start, meeting.end))

    def near(
        self, now: datetime, ahead: timedelta, also: frozenset[OccurrenceKey]
    ) -> Iterator[Judged]:
        """Answer what touches the time from a while ago to `now + ahead`, and `also`.

        `also` names the occurrences of open sessions: they matter wherever they moved. Where
        a near one isn't firm, so do the firm ones until its end: they go first for a place.
        """
        since = now - _RECENT
        begun = bisect.bisect_right(self._starts, now + ahead)
        wanted = {index for index in range(begun) if self._ends[index] >= since}
        wanted.update(self._places[key] for key in also if key in self._places)
        modest = [index for index in wanted if self._is_modest(self._judged[index].decision)]
        if modest:
            until = max(self._ends[index] for index in modest) + ahead
            rivals = range(begun, bisect.bisect_right(self._starts, until))
            wanted.update(i for i in rivals if self._judged[i].decision.code in FIRM)
        for index in sorted(wanted):
            yield self._judged[index]

    @staticmethod
    def _is_modest(decision: Decision) -> bool:
        return decision.join and decision.code not in FIRM

    def begun_by(
        self, instant: datetime, also: frozenset[OccurrenceKey] = frozenset()
    ) -> tuple[Judged, ...]:
        """Answer everything that starts up to `instant`, however long ago it ended; and `also`."""
        begun = bisect.bisect_right(self._starts, instant)
        later = {self._places[key] for key in also if self._places.get(key, -1) >= begun}
        return (*self._judged[:begun], *(self._judged[index] for index in sorted(later)))

    def instants(self, now: datetime, lead: timedelta, limit: int) -> list[datetime]:
        """Answer the next `limit` distinct instants at which a stay may begin or end."""
        upcoming: set[datetime] = set()
        begins: set[datetime] = set()
        for start, end in self._joinable:
            if len(begins) >= limit:
                break  # In order of the start: what follows lies later still.
            if start - lead > now:
                begins.add(start - lead)
            upcoming.update(i for i in (start - lead, end) if i > now)
        return sorted(upcoming)[:limit]

    def busy(self, now: datetime, margin: timedelta) -> bool:
        """Whether a meeting to join runs now or begins within `margin`."""
        until = bisect.bisect_right(self._joinable, (now + margin, now + margin))
        return any(end > now for _, end in self._joinable[:until])
