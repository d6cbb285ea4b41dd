"""Instants and days as the Calendar API writes them, and the spans that events cover.

A timed event lies on the time line whatever zone it was written in; an all-day event lies
on days, and covers other instants in every zone that looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UTC = timezone.utc
_RFC3339 = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[Tt](?P<time>\d{2}:\d{2}(:\d{2})?)(?P<fraction>\.\d+)?"
    r"(?P<offset>[Zz]|[+-]\d{2}:?\d{2})?"
)


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """Answer the zone of an IANA name.

    Raises:
        ValueError: There is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}") from error


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 time: aware if it has an offset, naive if not.

    Raises:
        ValueError: It is none.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    fraction = (found["fraction"] or ".0")[1:7].ljust(6, "0")
    offset = (found["offset"] or "").upper().replace("Z", "+00:00")
    if offset and ":" not in offset:
        offset = f"{offset[:3]}:{offset[3:]}"
    clock = found["time"] if found["time"].count(":") == 2 else f"{found['time']}:00"
    return datetime.fromisoformat(f"{found['date']}T{clock}.{fraction}{offset}")


def write_instant(instant: datetime, shown_in: ZoneInfo) -> str:
    """Write an instant as Google does: whole seconds, in the zone of the answer."""
    text = instant.astimezone(shown_in).replace(microsecond=0).isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def write_stamp(instant: datetime) -> str:
    """Write a time of the server's own (`created`, `updated`): UTC with milliseconds."""
    utc = instant.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def midnight(day: date, in_zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), in_zone)


@dataclass(frozen=True)
class Span:
    """From when to when: two days (`all_day`), or two instants written in `zone_name`.

    Days are held as midnights without a zone, so that recurrence treats both alike.
    """

    start: datetime
    end: datetime
    all_day: bool
    zone_name: str
    end_zone_name: str

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def instants(self, seen_from: ZoneInfo) -> tuple[datetime, datetime]:
        """Answer both ends on the time line; whole days are those of `seen_from`."""
        if not self.all_day:
            return self.start, self.end
        return midnight(self.start.date(), seen_from), midnight(self.end.date(), seen_from)

    def starting(self, start: datetime) -> Span:
        """Answer a span of the same length that starts elsewhere."""
        return Span(
            start, start + self.length, self.all_day, self.zone_name, self.end_zone_name
        )

    def write_start(self, shown_in: ZoneInfo) -> dict[str, str]:
        return _write(self.start, self.zone_name, all_day=self.all_day, shown_in=shown_in)

    def write_end(self, shown_in: ZoneInfo) -> dict[str, str]:
        return _write(self.end, self.end_zone_name, all_day=self.all_day, shown_in=shown_in)


def _write(
    moment: datetime, zone_name: str, *, all_day: bool, shown_in: ZoneInfo
) -> dict[str, str]:
    if all_day:
        return {"date": moment.date().isoformat()}
    return {"dateTime": write_instant(moment, shown_in), "timeZone": zone_name}


def read_span(
    start: Mapping[str, Any], end: Mapping[str, Any], calendar_zone: str, *, recurs: bool
) -> Span:
    """Read an event's two ends as they were sent.

    Raises:
        ValueError: An end is missing, malformed, of another kind than the other, or lies
            before it; or a recurring event names no zone.
    """
    start_at, start_zone = _read_end(start, calendar_zone, "start", needs_zone=recurs)
    end_at, end_zone = _read_end(end, calendar_zone, "end", needs_zone=recurs)
    all_day = start_zone is None
    if all_day != (end_zone is None):
        raise ValueError("Start and end times must either both be date or both be dateTime.")
    if end_at < start_at:
        raise TimeRangeEmptyError("The specified time range is empty.")
    if start_zone is None or end_zone is None:
        return Span(start_at, end_at, True, calendar_zone, calendar_zone)
    return Span(start_at, end_at, False, start_zone, end_zone)


class TimeRangeEmptyError(ValueError):
    """The end lies before the start."""


def _read_end(
    end: Mapping[str, Any], calendar_zone: str, which: str, *, needs_zone: bool
) -> tuple[datetime, str | None]:
    day, moment = end.get("date"), end.get("dateTime")
    if (day is None) == (moment is None):
        raise ValueError(f"Missing {which} time.")
    if day is not None:
        return datetime.combine(date.fromisoformat(str(day)), time()), None
    instant = parse_instant(str(moment))
    zone_name = end.get("timeZone")
    if zone_name is None:
        if needs_zone or instant.tzinfo is None:
            raise ValueError(f"Missing time zone definition for {which} time.")
        return instant.astimezone(UTC), calendar_zone
    try:
        found = zone(str(zone_name))
    except ValueError as error:
        raise ValueError(f"Invalid time zone definition for {which} time.") from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=found)
    return instant.astimezone(UTC), str(zone_name)
