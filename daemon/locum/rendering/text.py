"""Other people's text, made harmless for Markdown; instants and durations, made readable."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

# Control characters (a terminal obeys them), what has no width, and what turns the direction.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)


def escaped(text: str) -> str:
    """Keep other people's text from becoming markup: one line, nothing special left."""
    one_line = _UNSEEN.sub("", " ".join(text.split()))
    return re.sub(r"([\\`*_{}\[\]<>#|!~&^])", r"\\\1", one_line)


def fenced(text: str) -> str:
    """Quote a text word for word, in a fence that it can't close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}text\n{text}\n{fence}"


def span(start: datetime, end: datetime, *, seconds: bool = False) -> str:
    clock = "%H:%M:%S" if seconds else "%H:%M"
    start, end = start.astimezone(), end.astimezone()
    until = f"{end:{clock}}" if start.date() == end.date() else f"{end:%Y-%m-%d {clock}}"
    return f"{start:%Y-%m-%d {clock}} to {until} ({start:%Z})"


def clock_time(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant.astimezone():%H:%M}"


def day(value: date | None) -> str:
    return "" if value is None else f"{value:%Y-%m-%d}"


def lasted(duration: timedelta) -> str:
    seconds = max(round(duration.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
