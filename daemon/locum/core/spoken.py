"""Which words were really heard of a speech that was cut off?

A room tells how much of the sound it got. Where the voice says when each word begins, that is
exact; where it gives only the sounds of speech, each is taken for its share of the letters; where
it gives nothing, time is. A word that may not have been heard whole wasn't: nobody is held to
what they didn't hear.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from locum.core.speech import Spoken

CUT = "—"
"""What stands at the end of words that were cut off."""

_WORD = re.compile(r"\S+")
_WORDISH = re.compile(r"\w")
_SILENT = frozenset({"", "_", "_:", "sil", "sp", "pau", "|", " "})
_HAIR = timedelta(milliseconds=10)
"""Less than a sample of a page's clock steps: nobody hears that it is missing."""

_LETTERS_A_SECOND = 15.0
"""Of speech at 165 words a minute; for words whose sound isn't made yet."""

_NONE = timedelta(0)


@dataclass
class Part:
    """A clause and its sound, as far as it is made; `complete` once that is all of it."""

    text: str
    pieces: list[Spoken] = field(default_factory=list)
    complete: bool = False

    @property
    def duration(self) -> timedelta:
        return sum((piece.sound.duration for piece in self.pieces), _NONE)


@dataclass(frozen=True)
class HeardText:
    """What was heard: `text` marked by a closing "—" where it isn't `whole`.

    `parts` is how many parts were heard whole.
    """

    text: str
    whole: bool
    parts: int


def heard_of(parts: Sequence[Part], heard: timedelta) -> HeardText:
    """Answer the words of `parts` that lie within `heard` of their sound; empty if none does."""
    said: list[str] = []
    for count, part in enumerate(parts):
        duration = part.duration
        if part.complete and heard + _HAIR >= duration:
            said.append(part.text)
            heard -= duration
            continue
        begun = _begun(part, max(heard, _NONE))
        text = " ".join([*said, *([begun] if begun else [])])
        return HeardText(f"{text.rstrip(' ,;:—–-')}{CUT}" if text else "", False, count)
    return HeardText(" ".join(said), True, len(parts))


def _begun(part: Part, heard: timedelta) -> str:
    """Answer the whole words of a part of which only `heard` was."""
    if any(piece.words for piece in part.pieces):
        return _up_to(part.text, _told(part, heard))
    if any(piece.phones for piece in part.pieces):
        return _up_to(part.text, _by_sounds(part, heard))
    letters = _letters(part.text)
    whole = part.duration.total_seconds()
    if not part.complete:
        whole = max(whole, letters / _LETTERS_A_SECOND)
    share = heard.total_seconds() / whole if whole > 0 else 0.0
    return _up_to(part.text, _characters(part.text, share * letters))


def _told(part: Part, heard: timedelta) -> int:
    """Answer up to which character all was heard, by the voice's own word."""
    ends = _sounds(part)
    began = _NONE
    words: list[tuple[timedelta, int]] = []
    for piece in part.pieces:
        words += [(began + word.at, word.start) for word in piece.words]
        began += piece.sound.duration
    for (at, start), (following, _) in zip(words, [*words[1:], (began, 0)], strict=True):
        # A pause that follows a word needn't be heard.
        sounded = [end for end in ends if at < end <= following]
        if max(sounded, default=following) > heard + _HAIR:
            return start
    return len(part.text) if part.complete else words[-1][1]


def _by_sounds(part: Part, heard: timedelta) -> int:
    ends = _sounds(part)
    expected = _letters(part.text)
    within = sum(end <= heard + _HAIR for end in ends)
    if part.complete:
        share = within / len(ends) if ends else 0.0
    else:
        # Not all of it is made: the rest is reckoned by how long such text takes.
        duration = part.duration.total_seconds()
        whole = max(duration, expected / _LETTERS_A_SECOND)
        share = within / len(ends) * duration / whole if ends and whole else 0.0
    return _characters(part.text, share * expected)


def _sounds(part: Part) -> list[timedelta]:
    """Answer when each sound of speech ends, from the part's beginning; silences aside."""
    began = _NONE
    ends: list[timedelta] = []
    for piece in part.pieces:
        ends += [began + phone.end for phone in piece.phones if phone.symbol not in _SILENT]
        began += piece.sound.duration
    return ends


def _letters(text: str) -> int:
    return len(_WORDISH.findall(text))


def _characters(text: str, letters: float) -> int:
    """Answer where in `text` that many letters end; a hair is forgiven."""
    count = 0
    reached = 0
    for match in _WORD.finditer(text):
        count += _letters(match[0])
        if count > letters + 1e-6:
            break
        reached = match.end()
    return reached


def _up_to(text: str, character: int) -> str:
    """Cut `text` at `character`, rounded down to whole words."""
    end = 0
    for match in _WORD.finditer(text):
        # A voice knows nothing of the comma after a word.
        last = max((m.end() for m in _WORDISH.finditer(match[0])), default=len(match[0]))
        if match.start() + last > character:
            break
        end = match.end()
    return text[:end]
