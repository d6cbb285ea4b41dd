"""A presence in a room: engines, their sessions, and what these tell."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from locum.core.identity import sha256
from locum.core.model import (
    EndReason,
    Platform,
    Room,
    SessionHandle,
    SessionKey,
)
from locum.core.speech import Sound, Spoken
from locum.core.transcript import Source, Utterance
from locum.ports.checks import Finding


@dataclass(frozen=True)
class EngineTraits:
    """What an engine can do. What it can't is said in the record, never made up."""

    platforms: frozenset[Platform]
    billed: bool  #: Every minute costs money, from the join to the proved end.
    converses_by_itself: bool
    reports_transcript: bool
    can_chat: bool
    sees_roster: bool
    survives_restart: bool  #: A session goes on while our process is gone.
    weighs: bool = (
        False  #: A session needs so much of this machine that it gets its own process.
    )


@dataclass(frozen=True)
class Picture:
    """One PNG or JPEG, read once: what was hashed is what is sent, whatever its file becomes."""

    content: bytes = field(repr=False)
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Picture:
        return cls(content, sha256(content))


@dataclass(frozen=True)
class Face:
    """How a persona appears: the name under the tile, one image, one voice."""

    display_name: str
    image: Picture
    voice_id: str


@dataclass(frozen=True)
class Rig:
    """What a renderer of ours moves: made once from one picture, and the same for ever.

    `kind` is "face", or "mascot" for a picture without one. `document` is its JSON, `textures`
    are PNGs by name; `picture_sha256` says which picture it was made from.
    """

    kind: str
    picture_sha256: str
    document: bytes = field(repr=False)
    textures: Mapping[str, bytes] = field(repr=False)


class Rigger(Protocol):
    """Where the rigs of pictures are kept, and made."""

    async def rig_of(self, picture: Picture) -> Rig:
        """Answer the picture's rig, making it first if there is none.

        Raises:
            PermanentError: It can't be read as a picture.
        """
        ...


@dataclass(frozen=True)
class JoinRequest:
    """`admit_by` is when we give up waiting to be let in."""

    key: SessionKey
    room: Room
    face: Face
    system_prompt: str
    admit_by: datetime


@dataclass(frozen=True)
class Waiting:
    """Not in yet: the engine is starting, or the room has a lobby."""

    at: datetime
    detail: str


@dataclass(frozen=True)
class Admitted:
    at: datetime


@dataclass(frozen=True)
class Roster:
    """How many others are in the room, from an engine that `sees_roster`."""

    at: datetime
    others: int


@dataclass(frozen=True)
class Ended:
    """The session is over from the other side, or was never let in. Always the last event."""

    at: datetime
    reason: EndReason
    detail: str = ""


@dataclass(frozen=True)
class Said:
    """What another participant said or wrote, from an engine that hears; never our own words.

    `source` says how it was heard; what is `in_chat` was written there.
    """

    at: datetime
    speaker: str  #: As the room shows it; empty if it can't be told.
    text: str
    in_chat: bool = False
    until: datetime | None = None
    source: Source = Source.EARS

    def as_utterance(self) -> Utterance:
        """Answer it as the transcript has it; the ledger names it."""
        source = Source.CHAT if self.in_chat else self.source
        return Utterance("", self.speaker, self.text, self.at, self.until, source)


@dataclass(frozen=True)
class HandRaised:
    """Somebody else has raised their hand; `speaker` is empty if it can't be told who."""

    at: datetime
    speaker: str


SessionEvent = Waiting | Admitted | Roster | HandRaised | Said | Ended


OBSERVED = "seen in the room"
"""The source of notes about the presence itself (an outage, a consent), not the meeting."""


@dataclass(frozen=True)
class EngineNote:
    """Something an engine gave back about the meeting, kept word for word with its origin."""

    source: str
    text: str


@dataclass(frozen=True)
class Remains:
    """What is left of a session once we are out.

    `bodies` are the engine's raw answers around the end, for the record; `notes` is what
    they carried about the meeting itself, and `utterances` what of it was said in so many
    words: often nothing. `doubt` says what speaks against the end being real, where the engine
    had to be taken at its word.
    """

    notes: tuple[EngineNote, ...] = ()
    bodies: tuple[str, ...] = ()
    doubt: str = ""
    utterances: tuple[Utterance, ...] = ()


class MeetingSession(Protocol):
    @property
    def handle(self) -> SessionHandle: ...

    def events(self) -> AsyncIterator[SessionEvent]:
        """Tell what happens, until `Ended`. Short outages are ridden out inside."""
        ...

    async def post(self, text: str) -> None:
        """Write into the room's chat. Called only where the engine `can_chat`.

        Raises:
            TransientError: It isn't there; call again.
            PermanentError: This room has no chat for us.
        """
        ...

    async def leave(self) -> Remains:
        """Leave, and return only when the session is proved over. Idempotent.

        Raises:
            TransientError: It may still be running (and costing); call again.
        """
        ...


class LostJoin(enum.Enum):
    """What became of a paid join whose answer was lost."""

    NEVER_RAN = "never_ran"  #: Nothing was spent: one more try is safe.
    MAY_BE_RUNNING = "may_be_running"  #: Money is going: don't join again, tell a person.


@dataclass(frozen=True)
class HeardSound:
    """What came in on one of the room's tracks: 16 kHz, some 20 ms a time, in order.

    `speaker` is empty where it can't be told; it may become known later in a track.
    """

    at: datetime  #: When its first sample reached us.
    track: str
    speaker: str
    sound: Sound


@runtime_checkable
class Embodied(Protocol):
    """What a session offers besides, whose engine doesn't converse by itself."""

    def sounds(self) -> AsyncIterator[HeardSound]:
        """Give what is heard, from all tracks, until the session ends.

        Who doesn't keep up misses the oldest: it never piles up.
        """
        ...

    async def say(self, spoken: AsyncIterable[Spoken]) -> timedelta:
        """Say it aloud, with the lips that go with it, and answer how much of it was heard.

        Returns when it has been said, or hushed.
        """
        ...

    async def hush(self) -> None:
        """Fall silent at once, and close the mouth."""
        ...

    async def listen(self, *, attentive: bool) -> None:
        """Show, or stop showing, that somebody is being listened to: a gaze, a nod."""
        ...

    async def duck(self, *, down: bool) -> None:
        """Speak some 12 dB more quietly, or as before."""
        ...

    async def raise_hand(self, *, up: bool) -> None:
        """Raise the hand, as the room shows it, or take it down.

        Raises:
            TransientError: It can't be done now.
            PermanentError: This room has none.
        """
        ...


class PresenceEngine(Protocol):
    @property
    def traits(self) -> EngineTraits: ...

    async def prepare(self) -> None:
        """Do what can be done ahead of a join: connections, balance. Raises as `join` does."""
        ...

    async def afford(self, dollars: float) -> None:
        """See whether the account can pay for what may cost that much, spending nothing.

        Raises:
            HumanNeededError: It can't; `hint` says where to pay. Or its key is bad.
            TransientError, PermanentError: It can't be told, which isn't "no".
        """
        ...

    async def join(self, request: JoinRequest) -> MeetingSession:
        """Ask for a presence in the room; answers as soon as it can be named.

        Not idempotent: two calls are two participants.

        Raises:
            TransientError: Surely not running; see `retry_after`.
            HumanNeededError: Credits or sign-in; `hint` says what to do.
            PermanentError: This request will never be taken.
            AmbiguousError: It was sent, and may be running: see `settle_lost_join`.
        """
        ...

    async def settle_lost_join(self, *, others_running: int) -> LostJoin:
        """Find out, in a minute or two, whether the last lost join runs after all."""
        ...

    async def reattach(self, handle: SessionHandle) -> MeetingSession | None:
        """Take up a session begun before a restart; None if it is over.

        Raises:
            TransientError: It can't be told now.
        """
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try the credentials, spending nothing. Raises nothing."""
        ...

    async def aclose(self) -> None: ...
