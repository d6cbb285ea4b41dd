"""When is the owner free? From the calendars, in the owner's time zone.

It tells when, and not what: titles only where the owner lets it, and then only those of
meetings that everybody here may know of.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from locum.actions.lookups import Lookup, schema, text_of
from locum.core.compartments import NOBODY
from locum.core.model import Answer, CalendarEvent, EventKind, EventStatus, TimeWindow
from locum.core.remembered import Compartment
from locum.core.when import resolve_due
from locum.errors import PermanentError
from locum.ports import Clock, Tool

_FARTHEST = timedelta(days=400)
_MOST_SHOWN = 20
_WORKDAY = (time(8), time(18))
_LEAST = timedelta(minutes=15)
_NO_MEETING = frozenset({EventKind.WORKING_LOCATION, EventKind.BIRTHDAY})
_TIME = re.compile(
    r"(?P<hour>[0-2]?[0-9])(?:[:.h](?P<minute>[0-5][0-9]))?\s*(?P<half>am|pm|a\.m\.|p\.m\.|uhr|h)?",
    re.IGNORECASE,
)
_WORDS = {"noon": time(12), "midday": time(12), "mittag": time(12), "midnight": time(0)}

Read = Callable[[TimeWindow], Awaitable[Sequence[CalendarEvent]]]
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Diary:
    """Answers when the owner is free.

    `read` answers the events that touch a window, from every watched calendar; `title_of` what
    of an event's title may be told here, usually nothing.
    """

    owner: str
    read: Read
    clock: Clock
    zone: tzinfo
    audience: Compartment
    title_of: Callable[[CalendarEvent], str] = lambda _event: ""

    def lookup(self) -> Lookup:
        about = (
            f"When {self.owner} is free or busy on a day, in {self.owner}'s time zone. It books "
            "nothing."
        )
        parameters = schema(
            day="The day: 2026-12-03, or words as today, tomorrow, next Thursday",
            time="The time in question, as 15:00 or 3pm?",
            minutes="How many minutes it would take; 30 if not given?",
        )
        return Lookup(
            Tool(
                "calendar",
                about,
                parameters,
                usually_takes=timedelta(seconds=1),
                announce=f"Let me look into {self.owner}'s calendar.",
            ),
            self.answer,
        )

    async def answer(self, arguments: Mapping[str, Any]) -> str:
        """Answer in sentences.

        Raises:
            PermanentError: The day or time can't be told from the arguments.
            LocumError: The calendar can't be read now.
        """
        if self.audience == NOBODY:
            # Nobody can say who is here.
            raise PermanentError(
                f"{self.owner}'s calendar is told to nobody here: it isn't known who is present."
            )
        now = self.clock.now().astimezone(self.zone)
        day = _day(text_of(arguments, "day"), now.date())
        begins = datetime.combine(day, time(0), self.zone)
        ends = datetime.combine(day + timedelta(days=1), time(0), self.zone)
        window = TimeWindow(begins, ends)
        events = [each for each in await self.read(window) if _counts(each, window)]
        lines = [f"{day:%A} {day.isoformat()} ({_zone(begins)}):"]
        asked = text_of(arguments, "time")
        if asked:
            lines.append(self._at(_time(asked, day, self.zone), arguments, events))
        lines += self._busy(events, window)
        lines.append(self._free(events, day, now))
        return "\n".join(each for each in lines if each)

    def _at(
        self, start: datetime, arguments: Mapping[str, Any], events: Iterable[CalendarEvent]
    ) -> str:
        end = start + _length(arguments.get("minutes"))
        clash = [each for each in spans(events) if each[0] < end and start < each[1]]
        named = f"{start:%H:%M} to {end:%H:%M}"
        return f"{named}: {self.owner} is {'busy' if clash else 'free'}."

    def _busy(self, events: Sequence[CalendarEvent], window: TimeWindow) -> list[str]:
        told = []
        for begins, ends in spans(events)[:_MOST_SHOWN]:
            titles = dict.fromkeys(
                title
                for each in events
                if each.start < ends and _end(each) > begins and (title := self.title_of(each))
            )
            what = f" ({'; '.join(titles)})" if titles else ""
            told.append(f"{self._span(begins, ends, window)}{what}")
        return [f"Busy: {', '.join(told)}." if told else "Nothing is in the calendar that day."]

    def _span(self, begins: datetime, ends: datetime, window: TimeWindow) -> str:
        if begins <= window.start and ends >= window.end:
            return "the whole day"
        shown = "24:00" if ends >= window.end else f"{ends.astimezone(self.zone):%H:%M}"
        return f"{max(begins, window.start).astimezone(self.zone):%H:%M}-{shown}"

    def _free(self, events: Iterable[CalendarEvent], day: date, now: datetime) -> str:
        first, last = (datetime.combine(day, each, self.zone) for each in _WORKDAY)
        at, gaps = max(first, now), []
        for begins, ends in (*spans(events), (last, last)):
            until = min(begins, last)
            if until - at >= _LEAST:
                gaps.append(f"{at:%H:%M}-{until.astimezone(self.zone):%H:%M}")
            at = max(at, ends.astimezone(self.zone))
        if not gaps:
            return "Nothing is free between 08:00 and 18:00."
        return f"Free between 08:00 and 18:00: {', '.join(gaps)}."


def spans(events: Iterable[CalendarEvent]) -> list[Span]:
    """Answer when one is busy, in order; what touches or overlaps is one."""
    merged: list[Span] = []
    for start, end in sorted((each.start, _end(each)) for each in events):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _counts(event: CalendarEvent, window: TimeWindow) -> bool:
    """Whether an event makes busy: not what is declined, cancelled, or marked as free."""
    return (
        event.status is not EventStatus.CANCELLED
        and event.kind not in _NO_MEETING
        and event.answer is not Answer.DECLINED
        and not event.free
        and (not event.all_day or event.kind is EventKind.OUT_OF_OFFICE)
        and window.overlaps(event.start, _end(event))
    )


def _end(event: CalendarEvent) -> datetime:
    return event.end if event.end is not None else event.start + timedelta(hours=1)


def _day(text: str, today: date) -> date:
    found = resolve_due(text, on=today)
    day = None if found is None else found.day
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = None
    elif text.lower() in {"today", "heute", ""}:
        day = today
    if day is None:
        raise PermanentError(
            f"day: can't be told from {text[:60]!r}. Today is {today:%A} {today.isoformat()}; "
            "write a day as 2026-12-03."
        )
    if not today - timedelta(days=1) <= day <= today + _FARTHEST:
        raise PermanentError("day: must be today, or within a year.")
    return day


def _time(text: str, day: date, zone: tzinfo) -> datetime:
    at = _WORDS.get(text.lower())
    found = _TIME.fullmatch(text)
    if at is None and found is not None:
        hour, half = int(found["hour"]), (found["half"] or "").lower().replace(".", "")
        if half in {"am", "pm"} and 1 <= hour <= 12:
            hour = hour % 12 + (12 if half == "pm" else 0)
        elif not half and re.fullmatch("[1-6]", text):
            hour += 12  # "Thursday at 3" is an afternoon.
        if hour < 24:
            at = time(hour, int(found["minute"] or 0))
    if at is None:
        raise PermanentError(f"time: can't be told from {text[:40]!r}; write it as 15:00.")
    return datetime.combine(day, at, zone)


def _length(value: Any) -> timedelta:
    try:
        minutes = int(str(value or 30)[:6])
    except ValueError:
        raise PermanentError("minutes: must be a number.") from None
    return timedelta(minutes=min(max(minutes, 1), 24 * 60))


def _zone(at: datetime) -> str:
    return f"times in {at:%Z}" if at.tzname() else "local times"
