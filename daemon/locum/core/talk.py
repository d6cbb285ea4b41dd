"""A conversation's values: what happens in a room, and what one can do about it.

All instants are UTC. A `track` is the room's name for where a sound came from; a `speaker` is
a name as the room shows it, empty where it can't be told.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta


class Attention(enum.Enum):
    """When a persona takes the floor."""

    LISTEN = "listen"  #: Never, but to say who it is when that is asked.
    WHEN_ADDRESSED = "when_addressed"
    ACTIVE = "active"  #: Also where it has something to say and nobody else speaks.


@dataclass(frozen=True)
class Line:
    """What was said or written in this meeting, as far as it was really heard."""

    speaker: str
    text: str
    at: datetime
    until: datetime | None = None
    ours: bool = False
    in_chat: bool = False


# ── what happens ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class VoiceBegan:
    """Somebody began to speak, or went on: surely a voice, no cough.

    `at` is when the voice began, not when that was found out: 64 to 96 ms of it are heard by
    then.
    """

    at: datetime
    track: str
    speaker: str = ""


@dataclass(frozen=True)
class VoicePaused:
    """Somebody fell silent at `at`; it may be a breath, or the end."""

    at: datetime
    track: str
    speaker: str = ""


@dataclass(frozen=True)
class Heard:
    """The words of one stretch of speech as far as they are known; the `final` ones stay."""

    at: datetime
    track: str
    speaker: str
    text: str
    until: datetime | None = None
    final: bool = False


@dataclass(frozen=True)
class TurnOver:
    """Somebody has said what they wanted to say, by all signs; `certainty` is from 0 to 1."""

    at: datetime
    track: str
    speaker: str
    text: str
    certainty: float = 1.0


@dataclass(frozen=True)
class Written:
    """Somebody wrote into the chat."""

    at: datetime
    speaker: str
    text: str


@dataclass(frozen=True)
class WeBegan:
    """The room began to hear us.

    `text` is what we are about to say, as far as it is known; told again when more is. A room
    gives our own words back at times, and they must not be taken for somebody's.
    """

    at: datetime
    text: str = ""


@dataclass(frozen=True)
class WeEnded:
    """We fell silent, having really said `text`; `whole` if nothing was cut off."""

    at: datetime
    text: str
    whole: bool = True


@dataclass(frozen=True)
class Present:
    """How many others are in the room, and those of their names that are known."""

    at: datetime
    others: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class HandUp:
    """Somebody else has raised their hand."""

    at: datetime
    speaker: str


@dataclass(frozen=True)
class Told:
    """What a model makes of whether `text` was meant for us, asked because of a `Consider`."""

    at: datetime
    track: str
    text: str
    for_us: bool


@dataclass(frozen=True)
class Passed:
    """Nothing but time has passed."""

    at: datetime


Happening = (
    VoiceBegan
    | VoicePaused
    | Heard
    | TurnOver
    | Written
    | WeBegan
    | WeEnded
    | Present
    | HandUp
    | Told
    | Passed
)

# ── what to do ───────────────────────────────────────────────────────────────────────────


class Cue(enum.Enum):
    """Why it is our turn."""

    NAMED = "named"  #: Our name, or our owner's, called to us.
    FOLLOW_UP = "follow_up"  #: They go on talking with us.
    ALONE = "alone"  #: Nobody else is there whom they could mean.
    ASKED_WHAT_WE_ARE = "asked_what_we_are"  #: Answered truthfully, always, by code.
    FOR_US = "for_us"  #: A model says so.
    OFFER = "offer"  #: Nobody asked; we have something to say.
    RESUME = "resume"  #: What we were saying when we were cut off for nothing.


@dataclass(frozen=True)
class Foreseen:
    """What would be ours to do, were that all that somebody says.

    `expected`: they wait for it, because they asked, called, or answer what we asked. Whoever
    merely states something may well go on, and nobody wonders at a longer silence.
    """

    cue: Cue
    expected: bool


@dataclass(frozen=True)
class Speak:
    """Answer `text` of `speaker` aloud, not before `at`.

    It takes the place of whatever else was being got ready. With Cue.RESUME it is what was cut
    off by `Hush(drop=False)` or put off by `Forgo(drop=False)` that is said now; where nothing
    of it is left, `text` is answered anew. `WeBegan` follows, unless `Forgo` comes first.
    """

    at: datetime
    cue: Cue
    track: str
    speaker: str
    text: str


@dataclass(frozen=True)
class Write:
    """Answer `text` of `speaker` in the chat."""

    cue: Cue
    speaker: str
    text: str


@dataclass(frozen=True)
class Consider:
    """Ask a model, ahead of time, whether this is meant for us; answered by `Told`."""

    track: str
    speaker: str
    text: str


@dataclass(frozen=True)
class Nod:
    """Show that we listen (no sound)."""


@dataclass(frozen=True)
class RaiseHand:
    """There is something to say, and no gap to say it in; `up` False takes it down."""

    up: bool = True


@dataclass(frozen=True)
class Duck:
    """Speak more quietly: somebody may be about to interrupt."""


@dataclass(frozen=True)
class GoOn:
    """It was no interruption: speak on as before."""


@dataclass(frozen=True)
class Hush:
    """Fall silent at once. With `drop`, what was still to be said is dropped for good.

    Without, it is kept until a `Speak` says it (Cue.RESUME) or takes its place.
    """

    why: str
    drop: bool = True


@dataclass(frozen=True)
class Forgo:
    """What was being got ready isn't to be said: they went on, or it isn't for us.

    Without `drop` it isn't to be said yet: it is kept until a `Speak` says it (Cue.RESUME) or
    takes its place, a `Write` says it in the chat, or a `Forgo` drops it.
    """

    why: str
    drop: bool = True


Move = Speak | Write | Consider | Nod | RaiseHand | Duck | GoOn | Hush | Forgo

SOON = timedelta(milliseconds=200)
"""How long nobody must have spoken before we answer who named us."""

UNASKED = timedelta(milliseconds=700)
"""… and before we say something that nobody asked for."""

# ── what to say ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Aloud:
    """Words to be said, in the order in which they come, blanks included; cut anywhere."""

    text: str


@dataclass(frozen=True)
class InChat:
    """What is better read than heard: links, numbers, lists."""

    text: str


@dataclass(frozen=True)
class Doing:
    """A tool runs: `announce` is what to say if it takes long."""

    tool: str
    announce: str


@dataclass(frozen=True)
class Deferred:
    """What is taken along for the owner, word for word as it was asked."""

    question: str
    by: str


Thought = Aloud | InChat | Doing | Deferred
