"""Scripted meetings with known answers.

A file holds `title`, `start`, `owner`, `stand_in`, `heldout`, and `talk`: a line an utterance,
"[00:12] Dana: text", the instant only where the meeting has them. Its answers are lists of
tables: `actions` (`owner`, `due`: absent where unsaid), `decisions`, `questions` and `asked`,
each with `about`: words of which all stand in the line that is found, or in its quotes.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum.core.minutes import ActionItem, Claim, Occasion
from locum.core.transcript import Source, Transcript, Utterance

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
_LINE = re.compile(r"^(?:\[(?P<at>[\d:]+)\] )?(?P<speaker>[^:\[]{0,60}): (?P<text>.*)$")


@dataclass(frozen=True)
class Known:
    """One answer. `owner` and `due` count for actions only."""

    about: tuple[str, ...]
    owner: str | None = None
    due: date | None = None

    def is_in(self, claim: Claim) -> bool:
        quotes = " ".join(each.quote for each in claim.evidence)
        said = f"{claim.text} {quotes}".casefold()
        return all(word.casefold() in said for word in self.about)

    def is_action(self, item: ActionItem) -> bool:
        return self.is_in(item) and item.owner == self.owner and item.due == self.due


@dataclass(frozen=True)
class Scripted:
    name: str
    transcript: Transcript
    occasion: Occasion
    is_heldout: bool
    actions: tuple[Known, ...]
    decisions: tuple[Known, ...]
    questions: tuple[Known, ...]
    asked: tuple[Known, ...]


def load(path: Path) -> Scripted:
    """Read one meeting.

    Raises:
        ValueError: A line of it is no utterance.
    """
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    start: datetime = raw["start"]
    stand_in = raw.get("stand_in", "")
    offset = start.utcoffset() or timedelta()
    occasion = Occasion(
        title=raw["title"],
        start=start.astimezone(timezone.utc),
        owner=raw.get("owner", ""),
        stand_in=stand_in,
        utc_offset_minutes=int(offset.total_seconds() // 60),
    )
    lines = [line for line in raw["talk"].splitlines() if line.strip()]
    utterances = tuple(
        _utterance(path, n, line, start, stand_in) for n, line in enumerate(lines, 1)
    )
    return Scripted(
        path.stem,
        Transcript(utterances),
        occasion,
        raw.get("heldout", False),
        **{
            kind: _known(raw.get(kind, ()))
            for kind in ("actions", "decisions", "questions", "asked")
        },
    )


def _utterance(path: Path, n: int, line: str, start: datetime, stand_in: str) -> Utterance:
    match = _LINE.match(line)
    if match is None:
        raise ValueError(f"{path.name}: no utterance: {line!r}; write 'Name: text'")
    at = None
    if match["at"]:
        seconds = 0
        for each in match["at"].split(":"):
            seconds = seconds * 60 + int(each)
        at = (start + timedelta(seconds=seconds)).astimezone(timezone.utc)
    by_us = bool(stand_in) and match["speaker"] == stand_in
    return Utterance(
        f"u{n}", match["speaker"], match["text"], at, source=Source.FILE, by_us=by_us
    )


def _known(tables: list[dict[str, Any]]) -> tuple[Known, ...]:
    return tuple(
        Known(tuple(each["about"]), each.get("owner"), each.get("due")) for each in tables
    )


def scripted() -> tuple[Scripted, ...]:
    """Read all of them, by name."""
    return tuple(load(path) for path in sorted(HERE.glob("*.toml")))
