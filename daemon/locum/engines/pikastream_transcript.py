"""Reads what PikaStream's bodies may carry of what was said, word for word. Pure.

Nothing of that is documented: the public client ignores these bodies. So every shape that a
transcript usually has is read, whatever isn't one is left alone, and nothing is made up: an
instant that counts from an unknown beginning is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from itertools import islice

from locum.core.transcript import Source, Utterance
from locum.engines.pikastream_answers import UnreadableError, parse_object

MOST_UTTERANCES = 20_000
_LONGEST_TEXT = 16_000
_LONGEST_SPEAKER = 200
_DEEPEST = 4

_HOLDERS = ("transcript", "transcripts", "utterances", "segments", "captions", "entries")
_SPEAKERS = ("speaker", "speaker_name", "name", "participant", "user", "role")
_TEXTS = ("text", "content", "transcript", "message")
_STARTS = ("started_at", "start_time", "timestamp", "start", "at", "time")
_ENDS = ("ended_at", "end_time", "end", "until")
_OURSELVES = frozenset({"assistant", "agent", "bot", "avatar", "ai"})

_CLOCK = r"[\[(]?\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?[\])]?"
_LINE = re.compile(
    rf"\s*(?:{_CLOCK}\s*(?:-{{1,2}}>?\s*{_CLOCK})?\s*[-–]?\s*)?"
    r"(?P<speaker>[^:\n]{1,60}?)\s*(?:[\[(]?\d{1,2}:\d{2}(?::\d{2})?[\])]?)?:\s+(?P<text>\S.*)"
)
_FIRST_YEAR, _LAST_YEAR = 2020, 2100


def read_utterances(body: bytes) -> tuple[Utterance, ...]:
    """Take what was said out of a raw answer, JSON or not; often nothing."""
    try:
        found = parse_object(body)
    except UnreadableError:
        return ()
    return tuple(islice(_in_holder(found, 0), MOST_UTTERANCES))


def _in_holder(holder: Mapping[str, object], depth: int) -> Iterator[Utterance]:
    """Read the first of the usual places that has anything."""
    for key in _HOLDERS:
        found = iter(_of(holder.get(key), depth + 1))
        for first in found:
            yield first
            yield from found
            return


def _of(value: object, depth: int) -> Iterable[Utterance]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield from _lines(value)
    elif isinstance(value, Mapping):
        yield from _in_holder(value, depth)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str):
                yield from _lines(item)
            elif isinstance(item, Mapping):
                yield from _item(item)


def _lines(text: str) -> Iterator[Utterance]:
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        speaker, said = (match["speaker"], match["text"]) if match else ("", line)
        if speaker.casefold() in {"http", "https"}:
            speaker, said = "", line
        yield from _utterance(speaker, said)


def _item(item: Mapping[str, object]) -> Iterator[Utterance]:
    text = next((each for key in _TEXTS if isinstance(each := item.get(key), str)), "")
    speaker = next((name for key in _SPEAKERS if (name := _name(item.get(key)))), "")
    at = next((each for key in _STARTS if (each := _instant(item.get(key)))), None)
    until = next((each for key in _ENDS if (each := _instant(item.get(key)))), None)
    if at is None or (until is not None and until < at):
        until = None
    yield from _utterance(speaker, text, at, until)


def _utterance(
    speaker: str, text: str, at: datetime | None = None, until: datetime | None = None
) -> Iterator[Utterance]:
    said = _encodable(text).strip()[:_LONGEST_TEXT]
    if said:
        yield Utterance(
            id="",
            speaker=_encodable(" ".join(speaker.split()))[:_LONGEST_SPEAKER],
            text=said,
            at=at,
            until=until,
            source=Source.ENGINE,
            by_us=speaker.strip().casefold() in _OURSELVES,
        )


def _name(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("display_name")
    return value.strip() if isinstance(value, str) else ""


def _instant(value: object) -> datetime | None:
    """Read an instant: ISO 8601 with a zone, or seconds or milliseconds since 1970.

    Smaller numbers count from a beginning that nobody names.
    """
    try:
        if isinstance(value, str):
            read = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
            instant = read.astimezone(timezone.utc) if read.tzinfo is not None else None
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value / 1000 if value > 1e11 else float(value)
            instant = datetime.fromtimestamp(seconds, timezone.utc)
        else:
            instant = None
    except (ValueError, OverflowError, OSError):
        return None
    if instant is None or not _FIRST_YEAR <= instant.year < _LAST_YEAR:
        return None
    return instant


def _encodable(text: str) -> str:
    """JSON can carry half a surrogate pair, which no file and no database takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
