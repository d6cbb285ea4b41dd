"""Whose words were these? Told by captions that heard nearly the same at the same time.

Nothing here is a guess: where captions of two people fit, it is neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher

from locum.core.alignment import words_of

_SLACK = timedelta(seconds=2.5)
"""By how much a caption may come later, or begin earlier, than the voice."""
_ALIKE = 0.5
_FEWEST_ALIKE = 2
"""So many words must be the same, however few there were: anybody says "yes"."""
_MOST_WORDS = 300


@dataclass(frozen=True)
class Captioned:
    """What the room's captions say: who said it, and when about; UTC."""

    speaker: str
    text: str
    at: datetime
    until: datetime


def name_by_captions(
    text: str, at: datetime, until: datetime, captions: Iterable[Captioned]
) -> str:
    """Answer who said `text` from `at` to `until`, or "" where captions don't tell."""
    heard = [word.plain for word in words_of(text)][:_MOST_WORDS]
    if len(heard) < _FEWEST_ALIKE:
        return ""
    found: set[str] = set()
    for caption in captions:
        if not caption.speaker or not _meet(caption, at, until):
            continue
        shown = [word.plain for word in words_of(caption.text)][:_MOST_WORDS]
        matcher = SequenceMatcher(None, heard, shown, autojunk=False)
        same = sum(block.size for block in matcher.get_matching_blocks())
        # Either may have caught more of it than the other.
        if same >= max(_FEWEST_ALIKE, _ALIKE * min(len(heard), len(shown))):
            found.add(caption.speaker)
    return found.pop() if len(found) == 1 else ""


def _meet(caption: Captioned, at: datetime, until: datetime) -> bool:
    return caption.at - _SLACK <= until and at <= caption.until + _SLACK
