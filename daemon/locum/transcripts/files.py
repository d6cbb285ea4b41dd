"""Reads a transcript from a file that somebody has: QMSum's JSON, WebVTT, SRT, or lines.

What is in a file is a stranger's: sizes are bounded, markup is text, and a file that can't be
read is refused with its name, the line, and what would help. WebVTT is read by our own lines
rather than by a library: meeting tools write it loosely (no blank line, commas in times,
"Name: " instead of voice tags), and the strict ones refuse a whole file for one such cue.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, Field, ValidationError

from locum.core.transcript import Source, Transcript, Utterance, numbered
from locum.errors import PermanentError

MIDNIGHT = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""When a file begins that only says how long after its beginning something was said."""

_MOST_BYTES = 64 << 20
_MOST_UTTERANCES = 100_000
_LONGEST_UTTERANCE = 20_000  #: Characters; longer ones become several.
_LONGEST_NAME = 120
_LONGEST_TURN = 2_000  #: Characters up to which cues are joined to a sentence.
_PAUSE = timedelta(seconds=3)
_FORMATS = "QMSum's JSON, WebVTT, SRT, or lines of the form `Speaker: text`"


def read_transcript(path: Path, *, start: datetime = MIDNIGHT) -> Transcript:
    """Read a file. Instants count from `start`, and are None where the file has none.

    Raises:
        PermanentError: It can't be read, is too large, or is none of the formats.
    """
    try:
        with path.open("rb") as file:
            return read_stream(file, str(path), start=start)
    except OSError as error:
        raise PermanentError(
            f"{path} can't be read: {error.strerror or error}. "
            "Name a file that holds a transcript."
        ) from error


def read_stream(file: BinaryIO, name: str, *, start: datetime = MIDNIGHT) -> Transcript:
    """Read what is open already; `name` is what messages call it. Raises as above."""
    content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise PermanentError(
            f"{name} is larger than {_MOST_BYTES >> 20} MiB, which no transcript is. "
            "Split it, or name another file."
        )
    return parse(_decoded(content, name), name, start=start)


def parse(text: str, name: str = "the text", *, start: datetime = MIDNIGHT) -> Transcript:
    """Tell the format by its beginning, and read it. An empty text is an empty transcript.

    Raises:
        PermanentError: It is none of the formats.
    """
    head = text[:4096].lstrip()
    found: Iterable[Utterance]
    if head.startswith("{"):
        found = _qmsum(text, name)
    elif head.startswith("["):
        # Lines may begin with "[00:01:02]"; JSON that does is not a format of ours.
        found = _lines(text, start)
    elif head.startswith("WEBVTT") or _TIMES.search(head):
        found = _cues(text, start)
    else:
        found = _lines(text, start)
    return numbered(list(_bounded(found, name)))


def _decoded(content: bytes, name: str) -> str:
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise PermanentError(
            f"{name} is not UTF-8 (byte {error.start + 1}). If it is a text, convert it: "
            "iconv -f WINDOWS-1252 -t UTF-8."
        ) from error
    if "\0" in text:
        raise PermanentError(f"{name} isn't a text. What can be read: {_FORMATS}.")
    return text


def _bounded(utterances: Iterable[Utterance], name: str) -> Iterator[Utterance]:
    count = 0
    for utterance in utterances:
        speaker = " ".join(utterance.speaker.split())[:_LONGEST_NAME]
        for text in _cut(utterance.text.strip()):
            count += 1
            if count > _MOST_UTTERANCES:
                raise PermanentError(
                    f"{name} has more than {_MOST_UTTERANCES:,} utterances. Split it."
                )
            yield replace(utterance, speaker=speaker, text=text)


def _cut(text: str) -> Iterator[str]:
    while len(text) > _LONGEST_UTTERANCE:
        at = text.rfind(" ", 0, _LONGEST_UTTERANCE)
        at = at if at > 0 else _LONGEST_UTTERANCE
        yield text[:at].strip()
        text = text[at:].strip()
    if text:
        yield text


# ── QMSum ────────────────────────────────────────────────────────────────────────────────


class _Turn(BaseModel):
    speaker: str
    content: str


class _Meeting(BaseModel):
    """A file of https://github.com/Yale-LILY/QMSum; its queries and answers aren't read."""

    meeting_transcripts: list[_Turn] = Field(max_length=_MOST_UTTERANCES)


def _qmsum(text: str, name: str) -> list[Utterance]:
    try:
        meeting = _Meeting.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        at = f" at {where}" if where else ""
        raise PermanentError(
            f"{name} is JSON but not QMSum's{at}: {first['msg']}. It takes an object with "
            '"meeting_transcripts", a list of {"speaker": …, "content": …}.'
        ) from None
    return [
        Utterance("", turn.speaker, turn.content, source=Source.FILE)
        for turn in meeting.meeting_transcripts
    ]


# ── WebVTT and SRT ───────────────────────────────────────────────────────────────────────

_TIME = r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})"
_TIMES = re.compile(rf"^[ \t]*{_TIME}[ \t]*-->[ \t]*{_TIME}", re.MULTILINE)
_VOICE = re.compile(r"<v(?:\.[^\s>]{0,60})*[ \t]+([^>\n]{1,200})>")
_TAG = re.compile(r"</?[a-zA-Z0-9:.][^<>\n]{0,200}>|</?[a-z]>")
_SENTENCE_END = re.compile(r"[.?!…。！？][\"'”’)]*$")


@dataclass(frozen=True)
class _Cue:
    at: datetime
    until: datetime
    lines: tuple[str, ...]


def _cues(text: str, start: datetime) -> Iterator[Utterance]:
    """Answer what is said in the cues, joined to sentences where one speaker goes on."""
    held: Utterance | None = None
    for cue in _cues_of(text, start):
        for speaker, said in _voices(cue):
            new = Utterance("", speaker, said, cue.at, cue.until, Source.FILE)
            if held is not None and _goes_on(held, new):
                if new.text != held.text:
                    held = replace(held, text=f"{held.text} {said}", until=cue.until)
                continue
            if held is not None:
                yield held
            held = new
    if held is not None:
        yield held


def _goes_on(held: Utterance, new: Utterance) -> bool:
    if held.speaker != new.speaker or held.until is None or new.at is None:
        return False
    if new.text == held.text:
        return True  # Some tools show a line again while the next one comes.
    is_open = not _SENTENCE_END.search(held.text) and len(held.text) < _LONGEST_TURN
    return is_open and new.at - held.until <= _PAUSE


def _cues_of(text: str, start: datetime) -> Iterator[_Cue]:
    times: tuple[datetime, datetime] | None = None
    lines: list[str] = []
    for line in text.splitlines():
        match = _TIMES.match(line)
        if match is not None or not line.strip():
            # A number or name just above the times belongs to them.
            if match is not None and lines and lines[-1].strip().isdigit():
                lines.pop()
            if times is not None and lines:
                yield _Cue(*times, tuple(lines))
            times, lines = None, []
            if match is not None:
                times = _instant(start, match.groups()[:4]), _instant(start, match.groups()[4:])
        elif times is not None:
            lines.append(line.strip())
    if times is not None and lines:
        yield _Cue(*times, tuple(lines))


def _instant(start: datetime, parts: tuple[str | None, ...]) -> datetime:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    after = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds))
    return start + after + timedelta(milliseconds=int(fraction.ljust(3, "0")))


def _voices(cue: _Cue) -> Iterator[tuple[str, str]]:
    payload = " ".join(cue.lines)
    parts = _VOICE.split(payload)
    if parts[0].strip():
        plain = _plain(parts[0])
        named = _NAMED.match(plain)
        yield (named["name"].strip(), named["said"]) if named else ("", plain)
    for speaker, said in zip(parts[1::2], parts[2::2], strict=True):
        if plain := _plain(said):
            yield html.unescape(speaker).strip(), plain


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", text)).split())


# ── lines ────────────────────────────────────────────────────────────────────────────────

_NAMED = re.compile(r"(?P<name>[^\W\d_][^:<>{}\n?!;]{0,79}):\s+(?P<said>\S.*)$")
_STAMPED = re.compile(
    r"\s*[\[(]?(?:(\d{1,3}):)?(\d{1,2}):([0-5]\d)(?:[.,]\d{1,3})?[\])]?\s*[-–]?\s+"
)
_MOST_NAME_WORDS = 6


def _lines(text: str, start: datetime) -> Iterator[Utterance]:
    """Answer a line an utterance; a line without a speaker goes on with the one before."""
    held: Utterance | None = None
    for line in text.splitlines():
        stamp = _STAMPED.match(line)
        at = None if stamp is None else _instant(start, (*stamp.groups(), None))
        rest = line[stamp.end() :] if stamp else line
        named = _NAMED.match(rest.strip())
        if named is not None and len(named["name"].split()) <= _MOST_NAME_WORDS:
            if held is not None:
                yield held
            held = Utterance("", named["name"], named["said"], at, source=Source.FILE)
        elif held is not None and at is None and rest.strip() and held.speaker:
            held = replace(held, text=f"{held.text} {rest.strip()}")
        elif rest.strip():
            if held is not None:
                yield held
            held = Utterance("", "", rest.strip(), at, source=Source.FILE)
    if held is not None:
        yield held
