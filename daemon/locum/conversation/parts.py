"""What a conversation is made of, and what it tells: its settings, its timings, its ears' port."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from locum.core.calling import Names
from locum.core.speech import Sound
from locum.core.talk import Attention, Heard, VoiceBegan, VoicePaused
from locum.core.transcript import Source
from locum.ports import Deferred, HeardSound, Said

_MS = timedelta(milliseconds=1)

NOT_UNDERSTOOD = "(not understood)"
"""What hearing puts for words that no recogniser could give."""


class Hearing(Protocol):
    """What makes happenings of a room's sounds: see `locum.ears.hearing.Hearing`."""

    @property
    def words_are_captions(self) -> bool: ...

    def happenings(
        self, sounds: AsyncIterator[HeardSound]
    ) -> AsyncGenerator[VoiceBegan | VoicePaused | Heard, None]: ...

    def silence(self, track: str) -> timedelta: ...

    def hush(self, track: str) -> timedelta: ...

    def tail(self, track: str) -> Sound: ...

    def speaker(self, track: str) -> str: ...

    async def guess(self, track: str) -> str: ...

    async def finish(self, track: str) -> str: ...

    def spoke(self, sound: Sound, at: datetime) -> None: ...

    def said(self, text: str, at: datetime) -> None: ...

    def captioned(self, said: Said) -> None: ...


@dataclass(frozen=True)
class Timings:
    """How long things may take, or must. Measured where nothing else is said."""

    guess_after: timedelta = 48 * _MS
    """Quiet, by loudness, after which the words so far are fetched, the endpointer is asked for
    the first time, and an answer is thought ahead if it is plausible that this is the end. Three
    frames: on recorded people a shorter quiet is a plosive's more often than not."""
    words_within: timedelta = 200 * _MS
    """How long the words so far are waited for: a recogniser that keeps up has them in 20 ms."""
    plausible_from: float = 0.5
    """The certainty from which on it is."""
    speculate_after: timedelta = 96 * _MS
    """Silence, by a voice detector, after which an answer is thought ahead in any case. What is
    thought in vain is bounded by `speculations_a_turn` and `speculations_a_minute`."""
    ask_every: timedelta = 128 * _MS
    """… and again: asking once gave waits of 3 s, asking again 380 to 440 ms (measured)."""
    waits: tuple[tuple[float, timedelta], ...] = (
        (0.2, 1600 * _MS),
        (0.35, 750 * _MS),
        (0.65, 550 * _MS),
        (0.85, 350 * _MS),
    )
    """Silence that ends a turn which is over with this certainty, and on straight lines between.
    The longest: nearly all pauses inside turns are shorter. The shortest costs nothing: so long
    it takes to think of something. What lies between was set on recorded people, for the least
    waiting at what is cut into (`tests.bench.endpointers`)."""
    wait_if_stated: timedelta = 1300 * _MS
    """… and one that is whole, but asks for nothing: most who tell something pause between two
    sentences for less, which sound as finished as the last."""
    linger: timedelta = 600 * _MS
    """How long thinking may take before something is said for it."""
    look_every: timedelta = 16 * _MS
    """How often it is looked who has fallen silent: half a window."""
    look_idly_every: timedelta = 96 * _MS
    """… and while nobody speaks: the floor wants to know every 100 ms that time passes."""
    nod: timedelta = 1200 * _MS
    """How long a nod takes to be seen as one."""
    apologise_every: timedelta = timedelta(seconds=60)
    """How often it is said that we can't think, at most."""
    rest: timedelta = timedelta(seconds=5)
    """How long a mind that failed is left alone at least; twice as long each time …"""
    longest_rest: timedelta = timedelta(minutes=2)
    """… and at most."""
    speculations_a_turn: int = 4
    speculations_a_minute: int = 12


@dataclass(frozen=True)
class Sentences:
    """What we say by ourselves, without a mind; `{owner}` is filled in."""

    cant_think: str
    cant_go_on: str
    cant_speak: str
    cant_hear: str
    not_understood: str
    still_not_understood: str
    filler: str


SENTENCES = {
    "en": Sentences(
        cant_think="Sorry, I can't think right now. I'll take your question to {owner}.",
        cant_go_on="Sorry, I can't go on right now. I'll take your question to {owner}.",
        cant_speak="My voice doesn't work right now, so I write.",
        cant_hear=(
            "I can't hear what is said any more. I still read the chat: please write to me here."
        ),
        not_understood="Sorry, I didn't catch that.",
        still_not_understood="I can't make out what is said just now. Please write to me here.",
        filler="Mm-hm.",
    ),
    "de": Sentences(
        cant_think="Entschuldigung, ich kann gerade nicht denken. Ich nehme die Frage für {owner} mit.",
        cant_go_on="Entschuldigung, ich komme gerade nicht weiter. Ich nehme die Frage für {owner} mit.",
        cant_speak="Meine Stimme geht gerade nicht, deshalb schreibe ich.",
        cant_hear=(
            "Ich höre nicht mehr, was gesagt wird. Den Chat lese ich noch: schreiben Sie mir bitte hier."
        ),
        not_understood="Entschuldigung, das habe ich nicht verstanden.",
        still_not_understood="Ich verstehe gerade nicht, was gesagt wird. Schreiben Sie mir bitte hier.",
        filler="Mhm.",
    ),
}


@dataclass(frozen=True)
class Settings:
    """Who we are in this conversation, and how we behave.

    `the_truth` answers, word for word, whoever asks whether we are a machine. `source` is
    where heard words are known from: our own ears, or captions where these are the recogniser.
    """

    names: Names
    owner: str  #: For whom we are there: "Alex Winter".
    the_truth: Callable[[str], str]
    attention: Attention = Attention.WHEN_ADDRESSED
    language: str = "en"
    source: Source = Source.EARS
    timings: Timings = field(default_factory=Timings)

    @property
    def sentences(self) -> Sentences:
        """Answer what we say by ourselves, in the meeting's language if we can, else English."""
        return SENTENCES.get(self.language[:2], SENTENCES["en"])


@dataclass(frozen=True)
class WeSaid:
    """What we really said: cut where we were interrupted, and marked so by a closing "—"."""

    at: datetime
    text: str
    until: datetime
    whole: bool = True
    in_chat: bool = False


Remark = Said | WeSaid | Deferred
"""What a conversation tells: others' words that it heard itself, for good; ours as they were heard;
and what is taken along for the owner. What it was given by `take` isn't told again."""

Tell = Callable[[Remark], None]
"""Called in the loop for each remark, in order; it must be quick, and raise nothing."""
