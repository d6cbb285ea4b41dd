"""What was said in a meeting: utterances, each with its speaker and where it is known from.

An utterance stands as it was heard or as its source gave it, word for word: whatever is
concluded from it quotes it (see `locum.core.minutes`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from locum.core.model import Person


class Source(enum.Enum):
    """Where an utterance is known from, the most trusted first."""

    EARS = "ears"  #: Our own, a stream for each speaker.
    CAPTIONS = "captions"  #: Meet's live captions.
    ENGINE = "engine"  #: What a hosted engine told while it was in.
    CHAT = "chat"  #: Written in the meeting's chat.
    MEET_TRANSCRIPT = "meet_transcript"  #: Google Meet's own, fetched after the meeting.
    ROUGH = "rough"  #: Our own ears, by a recogniser that understands poorly.
    FILE = "file"  #: Given by hand, to `locum summarise`.

    @property
    def label(self) -> str:
        """Name it for people."""
        return _LABELS[self]


_LABELS = {
    Source.EARS: "our own ears",
    Source.CAPTIONS: "Meet's captions",
    Source.ENGINE: "the engine",
    Source.CHAT: "the chat",
    Source.MEET_TRANSCRIPT: "Google Meet's transcript",
    Source.ROUGH: "our own ears, roughly",
    Source.FILE: "a file",
}


@dataclass(frozen=True)
class Utterance:
    """What one speaker said in one go.

    `id` names it within its transcript, for ever. `speaker` is as its source shows it, and
    empty where nobody can tell; `person` is who that is, where it could be resolved. The
    instants are None in transcripts that have none.
    """

    id: str
    speaker: str
    text: str
    at: datetime | None = None
    until: datetime | None = None
    source: Source = Source.EARS
    by_us: bool = False  #: Said or written by the stand-in itself.
    person: Person | None = None

    @property
    def who(self) -> str:
        """Answer the name to show: the resolved person's, else the source's, else ""."""
        return self.person.label if self.person is not None else self.speaker


@dataclass(frozen=True)
class Deferral:
    """A question for the owner: when it was taken along, who asked, and in which words."""

    at: datetime
    by: str
    question: str


@dataclass(frozen=True)
class Transcript:
    """The utterances of one meeting in their order, from one source or several merged."""

    utterances: tuple[Utterance, ...] = ()

    @cached_property
    def by_id(self) -> dict[str, Utterance]:
        return {utterance.id: utterance for utterance in self.utterances}

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Answer the sources that it was made from, the most trusted first."""
        found = {utterance.source for utterance in self.utterances}
        return tuple(source for source in Source if source in found)

    @cached_property
    def words(self) -> int:
        return sum(len(utterance.text.split()) for utterance in self.utterances)

    def within(self, start: datetime, end: datetime) -> Transcript:
        """Answer what was said from `start` until before `end`; what has no instant stays."""
        kept = (u for u in self.utterances if u.at is None or start <= u.at < end)
        return Transcript(tuple(kept))


@dataclass(frozen=True)
class Share:
    """How much one speaker said; `seconds` is None where the transcript has no ends."""

    speaker: str
    turns: int
    words: int
    seconds: float | None = None


def shares(utterances: Iterable[Utterance]) -> tuple[Share, ...]:
    """Answer who said how much, the most talkative first. Turns are runs of one speaker."""
    tallies: dict[str, _Tally] = {}
    before: str | None = None
    for utterance in utterances:
        tally = tallies.setdefault(utterance.who, _Tally())
        tally.turns += utterance.who != before
        tally.add(utterance)
        before = utterance.who
    found = (
        Share(speaker, tally.turns, tally.words, tally.seconds if tally.is_timed else None)
        for speaker, tally in tallies.items()
    )
    return tuple(sorted(found, key=lambda share: (-share.words, share.speaker)))


@dataclass
class _Tally:
    turns: int = 0
    words: int = 0
    seconds: float = 0.0
    is_timed: bool = True

    def add(self, utterance: Utterance) -> None:
        self.words += len(utterance.text.split())
        if utterance.at is None or utterance.until is None:
            self.is_timed = False
        else:
            self.seconds += max((utterance.until - utterance.at).total_seconds(), 0.0)


def numbered(utterances: Sequence[Utterance]) -> Transcript:
    """Name utterances anew by their order: u1, u2, and so on."""
    return Transcript(tuple(replace(u, id=f"u{n}") for n, u in enumerate(utterances, start=1)))
