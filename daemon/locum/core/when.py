"""Which day is meant by "by Friday", "in two weeks" or "bis Ende des Monats"?

Due days in minutes are resolved here, and a language model's are checked here against the
words that it quotes. Only words that name a day or a bounded stretch of days count; "soon"
and "next time" are no day, and of what may be read in two ways ("03/04/2026") nothing is made.

The libraries for this were tried first. dateparser finds Wednesday in "we had 3 people",
10 April in "4 of the 10 tickets" and May in "I may look", overlooks "end of the week", and
reads "before the 14th" as a day gone by; parsedatetime takes "Friday after next" for this
Friday and "03/04" for March, and knows no German. In minutes a wrong date is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from locum.core import when_words as words

_LONGEST_TEXT = 4000  # Characters that are looked through.
_STALE = timedelta(days=75)
"""A day without a year that has only just gone by is the past, not next year's."""


class Due(NamedTuple):
    """A day, and the words that name it, as they stand in the text."""

    day: date
    said: str


@dataclass(frozen=True)
class _Reading:
    """What words mean: `day`, the last that fits them, and what else they may be taken for."""

    day: date
    since: date | None = None  #: The first day that fits.
    also: tuple[date, ...] = ()

    def admits(self, day: date) -> bool:
        return (self.since or self.day) <= day <= self.day or day in self.also


@dataclass(frozen=True)
class _Found:
    start: int
    end: int
    reading: _Reading
    has_deadline: bool  #: "by", "until", "bis": the words say that it is a limit.


def resolve_due(text: str, *, on: date) -> Due | None:
    """Answer the day by which something is to be done, said on the day `on`.

    The last day that fits the words: Friday for "this week", the 31st for "in March". "Before
    the 14th" is the 14th, the day that was named. A weekday is the next one to come, and next
    week's where it is today; "next Tuesday" is next week's. Of several days the first stands
    that is called a limit, or else the first; a correction ("Friday, no, Monday") counts.
    """
    found = _chosen(text[:_LONGEST_TEXT], on)
    return None if found is None else Due(found.reading.day, _said(text, found))


def fits(day: date, said: str, *, on: date) -> bool:
    """Whether somebody who says `said` on the day `on` may mean `day`.

    More lenient than `resolve_due`: any day of a stretch fits, and any fair reading.
    """
    text = said[:_LONGEST_TEXT]
    for found in _all(text, on):
        if found.reading.admits(day):
            return True
        # "Before the 14th" is the 13th to some.
        strictly = words.BEFORE.match(text[found.start : found.end]) is not None
        if strictly and day == found.reading.day - timedelta(days=1):
            return True
    return False


def without_due(text: str, due: Due) -> str:
    """Take the words that name the day out of a text."""
    before, said, after = text.partition(due.said)
    return f"{before.rstrip(' ,')} {after.lstrip(' ,')}".strip() if said else text


def _chosen(text: str, on: date) -> _Found | None:
    found = _all(text, on)
    if not found:
        return None
    best = next((each for each in found if each.has_deadline), found[0])
    for each in found[found.index(best) + 1 :]:
        if words.CORRECTION.search(text[best.end : each.end]):
            best = each
    return best


def _said(text: str, found: _Found) -> str:
    return text[found.start : found.end].strip(" ,;")


def _all(text: str, on: date) -> list[_Found]:
    """Answer what names a day, in its order; of what overlaps, the longest."""
    candidates = sorted(_candidates(text, on), key=lambda each: (-(each[1] - each[0]), each[0]))
    taken: list[tuple[int, int, _Reading | None]] = []
    for start, end, reading in candidates:
        if not any(start < other_end and other < end for other, other_end, _ in taken):
            taken.append((start, end, reading))
    taken.sort(key=lambda each: each[0])
    found = []
    for start, end, reading in taken:
        if reading is None or words.NOT_DUE.search(text[max(0, start - 30) : start]):
            continue
        prefix = words.PREFIX.search(text[max(0, start - 30) : start])
        begins = start if prefix is None else start - len(prefix[0])
        has_deadline = prefix is not None and words.LIMIT.match(prefix[0]) is not None
        found.append(_Found(begins, end, reading, has_deadline))
    return found


def _candidates(text: str, on: date) -> Iterator[tuple[int, int, _Reading | None]]:
    # None marks words that look like a day and are none: they shade shorter ones within them.
    for pattern, read in _READERS:
        for match in pattern.finditer(text):
            try:
                reading = read(match, on)
            except (ValueError, OverflowError):  # 31 November, the year 10,000.
                reading = None
            yield match.start(), match.end(), reading


# ── readers ──────────────────────────────────────────────────────────────────────────────


def _day(match: re.Match[str], on: date) -> _Reading | None:
    key = " ".join(match["day"].casefold().split())
    shift = words.DAYS.get(key)
    return None if shift is None else _Reading(on + timedelta(days=shift))


def _coming(on: date, weekday: int) -> date:
    return on + timedelta(days=(weekday - on.weekday() - 1) % 7 + 1)


def _monday(on: date) -> date:
    return on - timedelta(days=on.weekday())


def _weekday(match: re.Match[str], on: date) -> _Reading | None:
    groups = match.groupdict()
    which = (groups.get("which") or groups.get("which2") or "").casefold()
    coming = _coming(on, words.WEEKDAYS[match["weekday"].casefold().rstrip(".")])
    if which.startswith(words.NEXT):
        following = _monday(on) + timedelta(days=7 + coming.weekday())
        return _Reading(following, also=(coming,))
    if which in words.PAST:
        return None
    extra = groups.get("after")
    if extra:
        return _Reading(coming + timedelta(days=7))
    today = (on,) if coming - on == timedelta(days=7) else ()
    return _Reading(coming, also=today)


def _weekday_of_week(match: re.Match[str], on: date) -> _Reading:
    weekday = words.WEEKDAYS[match["weekday"].casefold().rstrip(".")]
    weeks = 1 if match["week"].casefold().startswith(words.NEXT) else 0
    return _Reading(_monday(on) + timedelta(days=7 * weeks + weekday))


def _counted(match: re.Match[str], on: date) -> _Reading | None:
    number = words.number(match["count"])
    if number is None:
        return None
    unit = match["unit"].casefold()
    groups = match.groupdict()
    start = on
    if groups.get("from_weekday"):
        start = _coming(on, words.WEEKDAYS[groups["from_weekday"].casefold()])
    elif groups.get("from_day"):
        start = on + timedelta(days=words.DAYS[groups["from_day"].casefold()])
    return _Reading(_moved(start, number, unit))


def _moved(start: date, number: int, unit: str) -> date:
    if unit.startswith(("min", "hour", "stunde")):
        hours = number if unit.startswith(("h", "s")) else 0
        return start + timedelta(days=hours // 24)
    if unit.startswith(("working", "business", "werktag", "arbeitstag")):
        return _working(start, number)
    if unit.startswith(("day", "tag")):
        # "In acht Tagen" is a week in German, as "in vierzehn Tagen" is two.
        return start + timedelta(days=7 if number == 8 and unit.startswith("tag") else number)
    if unit.startswith(("week", "woche")):
        return start + timedelta(weeks=number)
    if unit.startswith(("fortnight",)):
        return start + timedelta(weeks=2 * number)
    months = number * (12 if unit.startswith(("year", "jahr")) else 1)
    return _months_on(start, months)


def _working(start: date, number: int) -> date:
    if number > 1000:
        raise OverflowError
    day = start
    while number:
        day += timedelta(days=1)
        number -= day.weekday() < 5
    return day


def _months_on(start: date, months: int) -> date:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return min(date(year, month + 1, start.day if start.day < 29 else 28), date.max).replace(
        day=min(start.day, _last_of(year, month + 1).day)
    )


def _last_of(year: int, month: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)


def _span(match: re.Match[str], on: date) -> _Reading | None:
    """Read "(early|end of) (this|next) week|weekend|month|quarter|year"."""
    groups = match.groupdict()
    part = words.part(groups.get("part"))
    which = (groups.get("which2") or groups.get("which") or "").casefold()
    unit = words.UNITS[match["span"].casefold()]
    bare = which in words.ARTICLES and unit != "weekend"
    if which in words.PAST or (not part and (bare or not which)):
        return None
    step = 2 if words.AFTER_NEXT.match(which) else 1 if which.startswith(words.NEXT) else 0
    if unit == "week":
        return _week(on, _monday(on) + timedelta(weeks=step), part)
    if unit == "weekend":
        sunday = _monday(on) + timedelta(weeks=step, days=6)
        before = words.BY.search(match.string[: match.start()])
        day = sunday - timedelta(days=2) if before else sunday
        return _Reading(
            max(day, on), since=min(day, sunday - timedelta(days=2)), also=(sunday,)
        )
    if unit == "month":
        year, month = divmod(on.year * 12 + on.month - 1 + step, 12)
        return _month(year, month + 1, part)
    if unit == "quarter":
        return _quarter(on.year * 4 + (on.month - 1) // 3 + step, part)
    return _year(on.year + step, part)


def _week(on: date, monday: date, part: str) -> _Reading:
    day = monday + timedelta(days={"early": 1, "mid": 2}.get(part, 4))
    if day < on and part != "early":
        day = monday + timedelta(days=6)  # "This week", said on a Saturday.
    return _Reading(max(day, on), since=max(day if part == "end" else monday, on))


def _month(year: int, month: int, part: str) -> _Reading:
    last = _last_of(year, month)
    if part == "early":
        return _Reading(last.replace(day=10), since=last.replace(day=1))
    if part == "mid":
        return _Reading(
            last.replace(day=15), since=last.replace(day=11), also=(last.replace(day=20),)
        )
    return _Reading(last, since=last.replace(day=21 if part == "end" else 1))


def _quarter(index: int, part: str) -> _Reading | None:
    if part in {"early", "mid"}:
        return None
    year, quarter = divmod(index, 4)
    return _Reading(
        _last_of(year, quarter * 3 + 3),
        since=date(year, quarter * 3 + (3 if part else 1), 1),
    )


def _year(year: int, part: str) -> _Reading | None:
    if part in {"early", "mid"}:
        return None
    return _Reading(date(year, 12, 31), since=date(year, 12 if part else 1, 1))


def _numbered_quarter(match: re.Match[str], on: date) -> _Reading | None:
    quarter = int(match["quarter"]) - 1
    year = int(match["year"]) if match["year"] else on.year
    reading = _quarter(year * 4 + quarter, words.part(match["part"]))
    if reading is not None and reading.day < on and not match["year"]:
        return _quarter((year + 1) * 4 + quarter, words.part(match["part"]))
    return reading


def _named_month(match: re.Match[str], on: date) -> _Reading | None:
    month = words.MONTHS[match["month"].casefold().rstrip(".")]
    year = int(match["year"]) if match["year"] else on.year
    reading = _month(year, month, words.part(match["part"]))
    if reading.day < on and not match["year"]:
        return (
            None
            if on - reading.day < _STALE
            else _month(year + 1, month, words.part(match["part"]))
        )
    return reading


def _month_day(match: re.Match[str], on: date) -> _Reading | None:
    month = words.MONTHS[match["month"].casefold().rstrip(".")]
    day = words.ordinal(match["dom"])
    return None if day is None else _held(match, _dated(match, month, day, on))


def _dated(match: re.Match[str], month: int, day: int, on: date) -> date | None:
    year = match.groupdict().get("year")
    if year:
        return date(int(year) + (2000 if len(year) == 2 else 0), month, day)
    if (month, day) == (2, 29):
        this = next(
            date(y, 2, 29) for y in range(on.year, on.year + 9) if _last_of(y, 2).day == 29
        )
    else:
        this = date(on.year, month, day)
    if this >= on:
        return this
    return None if on - this < _STALE else this.replace(year=on.year + 1)


def _held(match: re.Match[str], day: date | None) -> _Reading | None:
    """Hold a date to the weekday that was said with it; where they differ, nobody can tell."""
    weekday = match.groupdict().get("weekday")
    if day is None:
        return None
    if weekday and words.WEEKDAYS[weekday.casefold().rstrip(".")] != day.weekday():
        return None
    return _Reading(day)


def _day_of_month(match: re.Match[str], on: date) -> _Reading | None:
    day = words.ordinal(match["dom"])
    if day is None or not 1 <= day <= 31:
        return None
    for step in range(3):
        year, month = divmod(on.year * 12 + on.month - 1 + step, 12)
        if day <= _last_of(year, month + 1).day and date(year, month + 1, day) >= on:
            return _held(match, date(year, month + 1, day))
    return None


def _iso(match: re.Match[str], _on: date) -> _Reading | None:
    return _held(match, date(int(match["y"]), int(match["m"]), int(match["d"])))


def _dotted(match: re.Match[str], on: date) -> _Reading | None:
    return _held(match, _dated(match, int(match["m"]), int(match["d"]), on))


def _slashed(match: re.Match[str], on: date) -> _Reading | None:
    first, second = int(match["a"]), int(match["b"])
    if first <= 12 and second <= 12 and first != second:
        return None  # 03/04: March or April, depending on where one learned to write.
    day, month = (first, second) if first > 12 else (second, first)
    return _held(match, _dated(match, month, day, on))


def _today(_match: re.Match[str], on: date) -> _Reading:
    return _Reading(on)


def _holiday(match: re.Match[str], on: date) -> _Reading:
    month, day = words.holiday(match[0])
    this = date(on.year, month, day)
    if this < on:
        this = this.replace(year=on.year + 1)
    return _Reading(this, also=(this - timedelta(days=1),))


_READERS: tuple[
    tuple[re.Pattern[str], Callable[[re.Match[str], date], _Reading | None]], ...
] = (
    (words.DAY, _day),
    (words.NO_DAY, lambda _match, _on: None),
    (words.WEEKDAY, _weekday),
    (words.SHORT_WEEKDAY, _weekday),
    (words.WEEKDAY_OF_WEEK, _weekday_of_week),
    (words.WEEK_OF_WEEKDAY, _weekday_of_week),
    (words.COUNTED, _counted),
    (words.COUNTED_FROM, _counted),
    (words.WEEKDAY_COUNTED, _counted),
    (words.SPAN, _span),
    (words.NUMBERED_QUARTER, _numbered_quarter),
    (words.NAMED_MONTH, _named_month),
    (words.MONTH_DAY, _month_day),
    (words.DAY_MONTH, _month_day),
    (words.DAY_OF_MONTH, _day_of_month),
    (words.GERMAN_DAY_OF_MONTH, _day_of_month),
    (words.ISO, _iso),
    (words.DOTTED, _dotted),
    (words.SLASHED, _slashed),
    (words.TODAY, _today),
    (words.HOLIDAY, _holiday),
)
