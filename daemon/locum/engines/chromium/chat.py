"""The chat: from the messages that a panel shows to what somebody wrote, each told once.

A panel groups what one person writes in a row: a block begins with a name (none, or "You", on
our own) and a time of day, and goes on with one text or more.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from locum.engines.chromium.looks import Block
from locum.engines.chromium.texts import folded, means_us

_MOST_TOLD = 2_000
_LONGEST = 2_000
_TIME = re.compile(r"\d{1,2}[:.h]\d{2}(?:\s?[ap]\.?\s?m\.?)?", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """What stands in the chat. `by_us` is by how the page marks it."""

    speaker: str
    text: str
    by_us: bool


class ChatReader:
    """Reads one panel; it may be closed and opened again, and show everything anew."""

    def __init__(self) -> None:
        self._texts: dict[int, int] = {}  #: How many texts were told of a block that is there.
        self._told: deque[tuple[str, str]] = deque(maxlen=_MOST_TOLD)

    def read(self, blocks: Sequence[Block]) -> tuple[Message, ...]:
        """Answer what wasn't there before, in its order."""
        # Made anew with the panel, elements tell nothing: then what they say is compared.
        again = Counter(() if any(b.id in self._texts for b in blocks) else self._told)
        new: list[Message] = []
        for block in blocks:
            head, messages = _head(block), tuple(_messages(block))
            for message in messages[self._texts.get(block.id, 0) :]:
                entry = head, message.text
                if again[entry] > 0:
                    again[entry] -= 1
                    continue
                self._told.append(entry)
                new.append(message)
        self._texts = {block.id: len(tuple(_messages(block))) for block in blocks}
        return tuple(new)


def shows(blocks: Sequence[Block], text: str) -> bool:
    """Whether a message of our own with that text stands there."""
    wanted = folded(text)
    return any(
        message.by_us and wanted == folded(message.text)
        for block in blocks
        for message in _messages(block)
    )


def _head(block: Block) -> str:
    return "\0".join((block.label, *_heading(block.leaves)))


def _heading(leaves: Sequence[str]) -> tuple[str, ...]:
    """Answer the name and the time at the beginning of a block, whichever there are."""
    for place, leaf in enumerate(leaves[:3]):
        if _TIME.fullmatch(leaf.strip()):
            return tuple(leaves[: place + 1])
    return tuple(leaves[:1])


def _messages(block: Block) -> Iterator[Message]:
    heading = _heading(block.leaves)
    timed = bool(heading) and bool(_TIME.fullmatch(heading[-1].strip()))
    # A time alone stands above our own, on pages that don't call us by any name.
    name = block.label if timed and len(heading) < 2 else (heading[0] if heading else "")
    by_us = means_us(name) or not name
    for text in block.leaves[len(heading) :]:
        yield Message(name, text[:_LONGEST], by_us)
