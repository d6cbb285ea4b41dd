"""What captions do while somebody speaks: they run behind, mishear, and are put right.

Meet revises a line in place until it is final: first lower case and without stops, now and
then with a wrong word, at the end as it was meant. Who reads them too early reads nonsense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

PER_WORD = timedelta(seconds=0.3)
"""About 200 words a minute, as a lively speaker does."""
SETTLES_AFTER = timedelta(seconds=0.5)
_MISHEARD_EVERY = 4
_STOPS = '.,;:!?…"“”„»«()'


@dataclass(frozen=True)
class Revision:
    """What one line reads from `at` on; the last one is `final`."""

    at: datetime
    text: str
    final: bool = False


def revisions(
    text: str, begins: datetime, lasts: timedelta | None = None
) -> Iterator[Revision]:
    """Answer what the line of `text` reads, revision by revision, in order of time.

    The last word that is shown may be wrong until the next one comes. `lasts` is how long it
    takes to say it, where that is known.
    """
    words = [word.strip(_STOPS).lower() for word in text.split()]
    words = [word for word in words if word]
    per_word = PER_WORD if lasts is None or not words else lasts / len(words)
    for count in range(1, len(words) + 1):
        shown = words[:count]
        if count % _MISHEARD_EVERY == 0 and len(shown[-1]) > 3:
            shown[-1] = shown[-1][:-2]
        yield Revision(begins + count * per_word, " ".join(shown))
    yield Revision(begins + len(words) * per_word + SETTLES_AFTER, text, final=True)
