"""How many rooms we are in at a time, over time: whether one more stay fits.

A place is a room's, not a meeting's: what follows closely in the same room shares it.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, order=True)
class Span:
    """A room held from `begin` to `until`; its first meeting starts at `start`."""

    begin: datetime
    until: datetime
    start: datetime
    room_id: str

    def joins(self, other: Span, gap: timedelta) -> bool:
        """Whether both are one presence, or overlap."""
        first, second = sorted((self, other))
        return second.begin <= first.until or second.start <= first.until + gap


class Load:
    """The spans that have a place; those of one room never touch each other.

    Args:
        capacity: How many rooms at the same time.
        gap: Two meetings in a room no further apart than this are one presence.
    """

    def __init__(self, capacity: int, gap: timedelta) -> None:
        self._capacity = capacity
        self._gap = gap
        self._spans: list[Span] = []
        self._longest = timedelta(0)
        self._by_room: dict[str, list[Span]] = defaultdict(list)

    def add(self, span: Span) -> None:
        """Give it a place, whether there is one or not."""
        whole = self._joined(span)
        rest = []
        for each in self._by_room[span.room_id]:
            if whole.joins(each, self._gap):
                del self._spans[bisect.bisect_left(self._spans, each)]
            else:
                rest.append(each)
        self._by_room[span.room_id] = [*rest, whole]
        bisect.insort(self._spans, whole)
        self._longest = max(self._longest, whole.until - whole.begin)

    def has_room(self, span: Span) -> bool:
        """Whether a place is free at every instant of it that its room doesn't hold already."""
        whole = self._joined(span)
        around = [each for each in self._meeting_in_time(whole) if each.room_id != span.room_id]
        if len(around) < self._capacity:
            return True
        return all(
            _most_at_once(begin, until, around) < self._capacity
            for begin, until in self._not_held(whole)
        )

    def _not_held(self, whole: Span) -> Iterator[tuple[datetime, datetime]]:
        begin = whole.begin
        for each in sorted(self._by_room.get(whole.room_id, ())):
            if begin < each.until <= whole.until:
                yield begin, each.begin
                begin = each.until
        yield begin, whole.until

    def _meeting_in_time(self, whole: Span) -> Iterator[Span]:
        earliest = whole.begin - self._longest
        index = bisect.bisect_left(self._spans, earliest, key=lambda each: each.begin)
        while index < len(self._spans) and self._spans[index].begin < whole.until:
            if self._spans[index].until > whole.begin:
                yield self._spans[index]
            index += 1

    def _joined(self, span: Span) -> Span:
        """Answer the span with all of its room that it joins up with."""
        whole = span
        for each in sorted(self._by_room.get(span.room_id, ())):
            if whole.joins(each, self._gap):
                # Who comes first isn't who starts first: one waits out its lead, the other not.
                whole = Span(
                    min(whole.begin, each.begin),
                    max(whole.until, each.until),
                    min(whole.start, each.start),
                    span.room_id,
                )
        return whole


def _most_at_once(begin: datetime, until: datetime, spans: list[Span]) -> int:
    """Count how many there are at the worst instant from `begin` to `until`."""
    within = [(max(each.begin, begin), min(each.until, until)) for each in spans]
    within = [(first, last) for first, last in within if first < last]
    # At one instant an end (0) comes before a begin (1): the place is handed on.
    edges = [(first, 1) for first, _ in within] + [(last, 0) for _, last in within]
    held = most = 0
    for _, begins in sorted(edges):
        held += 1 if begins else -1
        most = max(most, held)
    return most
