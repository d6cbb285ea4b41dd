"""Which times a recurring event takes, as Google lays them out.

A rule runs on the wall clock of the event's own zone: across a change of clocks the local
time stays and the instant shifts. A local time that doesn't exist is read with the offset
before the gap, one that exists twice is the first of the two (RFC 5545, section 3.3.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from locum.rehearsal.google.times import UTC, Span, zone

_LINE = re.compile(
    r"(?P<name>RRULE|EXRULE|RDATE|EXDATE)(?P<parameters>(;[^:]*)?):(?P<value>.+)"
)
_TIME = re.compile(r"(\d{8})(?:T(\d{6})(Z)?)?")
_TOO_FINE = re.compile(r"FREQ=(SECONDLY|MINUTELY)", re.IGNORECASE)
_END_OF_DAY = timedelta(hours=23, minutes=59, seconds=59)


@dataclass(frozen=True)
class Series:
    """A recurring event's times. `span` is that of its first occurrence."""

    span: Span
    lines: tuple[str, ...]

    def __post_init__(self) -> None:
        _rules(self.span, self.lines)  # Fails now rather than at the first reading.

    def starts(self, after: datetime | None, before: datetime) -> Iterator[datetime]:
        """Answer the starts in order: `after` ≤ start < `before`.

        All-day series count in zoneless midnights, others in UTC.
        """
        rules = _rules(self.span, self.lines)
        local_zone = _zone_of(self.span)
        # A rule counts in local time: a day to either side covers every offset.
        margin = timedelta(days=1)
        earliest = None if after is None else _local(after, local_zone) - margin
        latest = _local(before, local_zone) + margin
        previous: datetime | None = None
        for local in rules.xafter(earliest, inc=True) if earliest else rules:
            if local > latest:
                return
            start = _on_time_line(local, local_zone)
            # Two local times in one gap fall together; an occurrence is unique by its start.
            if start == previous or start >= before or (after is not None and start < after):
                continue
            previous = start
            yield start

    def has(self, start: datetime) -> bool:
        """Answer whether an occurrence starts exactly then."""
        return next(self.starts(start, start + timedelta(microseconds=1)), None) is not None


def _zone_of(span: Span) -> ZoneInfo | None:
    return None if span.all_day else zone(span.zone_name)


def _local(moment: datetime, local_zone: ZoneInfo | None) -> datetime:
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(local_zone or UTC).replace(tzinfo=None)


def _on_time_line(local: datetime, local_zone: ZoneInfo | None) -> datetime:
    if local_zone is None:
        return local
    return local.replace(tzinfo=local_zone).astimezone(UTC)


@lru_cache(maxsize=4096)
def _rules(span: Span, lines: tuple[str, ...]) -> rruleset:
    """Read recurrence lines into rules on naive local time.

    Raises:
        ValueError: A line is none of RRULE, EXRULE, RDATE and EXDATE, or malformed.
    """
    local_zone = _zone_of(span)
    first = _local(span.start, local_zone)
    rules = rruleset(cache=True)
    has_rule = False
    for line in lines:
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"Invalid recurrence line {line!r}.")
        name, value = found["name"], found["value"]
        if name in {"RRULE", "EXRULE"}:
            rule = _rule(value, first, local_zone)
            (rules.rrule if name == "RRULE" else rules.exrule)(rule)
            has_rule = has_rule or name == "RRULE"
        else:
            add = rules.rdate if name == "RDATE" else rules.exdate
            for moment in _moments(value, found["parameters"], local_zone):
                add(moment)
    if not has_rule:
        rules.rdate(first)
    return rules


def _rule(value: str, first: datetime, local_zone: ZoneInfo | None) -> rrule:
    if _TOO_FINE.search(value):
        raise ValueError(f"Invalid recurrence rule {value!r}: too frequent.")
    parts = []
    for part in value.split(";"):
        key, _, given = part.partition("=")
        if key.upper() == "UNTIL":
            found = _TIME.fullmatch(given)
            if found is None:
                raise ValueError(f"Invalid UNTIL {given!r}.")
            until = _moment(found, local_zone)
            # A bare day includes everything that starts on it.
            until = until if found[2] else until + _END_OF_DAY
            parts.append(f"UNTIL={until:%Y%m%dT%H%M%S}")
        else:
            parts.append(part)
    rule = rrulestr(";".join(parts), dtstart=first, cache=True)
    if not isinstance(rule, rrule):
        raise ValueError(f"Invalid recurrence rule {value!r}.")  # noqa: TRY004 - A bad value from outside.
    return rule


def _moments(value: str, parameters: str, local_zone: ZoneInfo | None) -> Iterator[datetime]:
    given = dict(each.split("=", 1) for each in parameters.split(";") if "=" in each)
    written_in = zone(given["TZID"]) if "TZID" in given else local_zone
    for text in value.split(","):
        found = _TIME.fullmatch(text)
        if found is None:
            raise ValueError(f"Invalid time {text!r} in a recurrence.")
        moment = _moment(found, written_in)
        if found[3] or written_in is None or local_zone is None or not found[2]:
            # Already local: a UTC time was brought over by _moment, a day has no zone.
            yield _moment(found, local_zone)
        else:
            yield _local(moment.replace(tzinfo=written_in), local_zone)


def _moment(found: re.Match[str], local_zone: ZoneInfo | None) -> datetime:
    """Answer a naive local time; one marked as UTC is brought into `local_zone`."""
    day = datetime.strptime(found[1], "%Y%m%d")  # noqa: DTZ007 - Local on purpose.
    if not found[2]:
        return day
    clock = datetime.strptime(found[2], "%H%M%S").time()  # noqa: DTZ007 - Local on purpose.
    moment = datetime.combine(day, clock)
    if found[3] and local_zone is not None:
        return moment.replace(tzinfo=UTC).astimezone(local_zone).replace(tzinfo=None)
    return moment
