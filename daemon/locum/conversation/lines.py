"""What was said in this meeting, as the mind is told it: the beginning and the last part of it.

Only what was heard for good: nobody's half words, and of ours what was really said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from locum.core.talk import Line

_HEAD = 30
"""Lines that are kept for ever: who everybody is, and what it is about."""

_MOST = 600
_MOST_CHARACTERS = 60_000
"""Some 15,000 tokens: two hours of a lively meeting."""

_LONGEST_LINE = 4_000


class Lines:
    """One meeting's. Drops a block at a time, so that the prompts' beginnings stay the same."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._lines: list[Line] = []
        for line in lines:
            self.add(line)

    def add(self, line: Line) -> None:
        """Take a line; it goes where its instant belongs."""
        text = line.text[:_LONGEST_LINE]
        kept = Line(line.speaker, text, line.at, line.until, line.ours, line.in_chat)
        place = len(self._lines)
        while place > 0 and self._lines[place - 1].at > kept.at:
            place -= 1
        self._lines.insert(place, kept)
        if len(self._lines) > _MOST or self._characters() > _MOST_CHARACTERS:
            rest = self._lines[_HEAD:]
            self._lines[_HEAD:] = rest[max(len(rest) // 4, 1) :]

    def _characters(self) -> int:
        return sum(len(line.text) for line in self._lines)

    def ours_since(self, at: datetime) -> bool:
        """Answer whether we have said anything since then."""
        return any(line.ours and (line.until or line.at) > at for line in self._lines)

    def before(self, asked: Line) -> tuple[Line, ...]:
        """Answer the meeting up to `asked`, that last, in the place of what it is made of.

        A long turn stands here in pieces already, and a chat line as it was written.
        """
        return (
            *(
                line
                for line in self._lines
                if line.ours
                or line.in_chat != asked.in_chat
                or line.speaker != asked.speaker
                or line.at < asked.at
            ),
            asked,
        )

    def __iter__(self) -> Iterator[Line]:
        return iter(tuple(self._lines))
