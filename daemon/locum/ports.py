"""What locum needs from the world. Adapters implement these; nothing else crosses.

The ledger has no port: tests use the real thing.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from locum.core.channels import Channel
from locum.core.identity import Identity, sha256
from locum.core.minutes import Commitment, Minutes, Occasion
from locum.core.model import (
    Attendee,
    CalendarEvent,
    CalendarReading,
    CalendarRef,
    EndReason,
    Meeting,
    MeetingKey,
    Person,
    Platform,
    Room,
    SessionHandle,
    SessionKey,
    TimeWindow,
)
from locum.core.notices import Notice
from locum.core.secret import Secret
from locum.core.transcript import Source, Transcript, Utterance
from locum.errors import PermanentError

# ── time ─────────────────────────────────────────────────────────────────────────────────


class Clock(Protocol):
    """Where "now" comes from. On a stage it runs faster than the host's."""

    def now(self) -> datetime:
        """Answer the present instant, in UTC."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Wait for `duration` of this clock's time."""
        ...

    def host_duration(self, duration: timedelta) -> timedelta:
        """Answer how long the host waits while this clock moves by `duration`."""
        ...


# ── self-checks ──────────────────────────────────────────────────────────────────────────


class Health(enum.Enum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One line of `locum doctor`: what was tried, how it went, and the next step if any."""

    subject: str
    health: Health
    detail: str
    next_step: str = ""


# ── calendars ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Delta:
    """What the delta lane said: whether anything moved, and where to go on.

    `sync_token` None means that the token has expired: read the window and begin anew.
    `requests` is how many it took, for the quota.
    """

    changed: bool
    sync_token: str | None
    requests: int = 1


class CalendarSource(Protocol):
    """One signed-in account and the calendars watched through it.

    Every method may raise:
        TransientError: Busy; `retry_after` says when to ask again. OutOfQuotaError: so is
            every calendar of the account.
        HumanNeededError: The sign-in has ended; `hint` says how to renew it.
        GoneError: The calendar is gone, or not shared any more; so says its owner's side.
        PermanentError: This calendar can't be read, for another reason that won't pass.
    None of these cancels at once what was armed by an earlier reading.
    """

    @property
    def calendars(self) -> tuple[CalendarRef, ...]: ...

    async def read(self, calendar: CalendarRef, window: TimeWindow) -> CalendarReading:
        """Read every event that touches `window`, with all pages, or raise."""
        ...

    async def find(self, calendar: CalendarRef, event_id: str) -> CalendarEvent | None:
        """Ask for one event, wherever it has moved to; None if it can't be had any more."""
        ...

    async def changes(self, calendar: CalendarRef, sync_token: str) -> Delta:
        """Ask cheaply whether anything changed since `sync_token` was given."""
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try the credentials and each calendar, changing nothing. Raises nothing."""
        ...

    async def aclose(self) -> None: ...


class ChannelExistsError(PermanentError):
    """A channel of that id is open already: an earlier answer was lost."""


@dataclass(frozen=True)
class OpenedChannel:
    """What the server answered: its name for the calendar, and when the channel ends."""

    resource_id: str
    expires_at: datetime


class ChannelSource(Protocol):
    """One signed-in account whose server can tell of changes, for those that can.

    Both methods may raise:
        TransientError: Busy, out of quota or unreachable; it may have been done.
        HumanNeededError: The sign-in has ended, or the address isn't taken.
        PermanentError: Surely not done, and never will be.
    """

    @property
    def account(self) -> str: ...

    async def open_channel(self, channel: Channel, token: Secret) -> OpenedChannel:
        """Let messages about `channel.calendar` be sent to its address, each with `token`.

        Not idempotent: an id opens once.

        Raises:
            ChannelExistsError: It is open already; nobody can say what its name is.
        """
        ...

    async def stop_channel(self, channel: Channel) -> None:
        """Let no more messages be sent; `channel` has a `resource_id`.

        Raises:
            PermanentError: There is no such channel (any more).
        """
        ...

    async def aclose(self) -> None: ...


# ── presence ─────────────────────────────────────────────────────────────────────────────


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


SessionEvent = Waiting | Admitted | Roster | Said | Ended


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


# ── making a persona ─────────────────────────────────────────────────────────────────────


class VoiceCloner(Protocol):
    """A place where a voice is cloned from a recording."""

    async def clone(
        self, sample: bytes, filename: str, *, name: str, noise_reduction: bool
    ) -> str:
        """Upload a recording (16-bit WAV, MP3 or M4A) and answer the new voice's id.

        Not idempotent: each call makes a voice.

        Raises:
            TransientError: Not now; see `retry_after`.
            HumanNeededError: The key or credits.
            PermanentError: This recording will never be taken.
        """
        ...

    async def aclose(self) -> None: ...


class ImageMaker(Protocol):
    """Something that draws what it is told."""

    async def generate(self, description: str) -> bytes:
        """Draw one image and answer the file's bytes. They are a stranger's: check them.

        Raises:
            TransientError: Not now; see `retry_after`.
            HumanNeededError: The key or credits.
            PermanentError: It won't draw that.
        """
        ...

    async def aclose(self) -> None: ...


# ── what was said ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Fetched:
    """What a source has of a meeting that is over.

    Utterances may bear any ids: they are named anew when they are merged. `participants` are
    the names under which people were in the room, as the source knows them.
    """

    utterances: tuple[Utterance, ...] = ()
    participants: tuple[Person, ...] = ()
    notes: tuple[EngineNote, ...] = ()


class TranscriptSource(Protocol):
    """Somewhere that has a meeting's transcript only after the meeting."""

    @property
    def name(self) -> str:
        """Name it for ever: what is still to be asked is noted under this."""
        ...

    @property
    def source(self) -> Source:
        """Answer what its utterances are marked with."""
        ...

    @property
    def account(self) -> str:
        """Answer whose meetings it knows: an account of the calendar's."""
        ...

    async def fetch(self, meeting: Meeting, *, ended_at: datetime) -> Fetched | None:
        """Ask for all that is known of a meeting; None while it is still being made.

        Raises:
            TransientError: Not now; see `retry_after`.
            HumanNeededError: The sign-in has ended, or lacks the permission; see `hint`.
            PermanentError: There is none, and never will be.
        """
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could be asked. Raises nothing."""
        ...

    async def aclose(self) -> None: ...


# ── thinking ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Passage:
    """Something that memory found for a question, with where it stands."""

    id: str
    text: str
    meeting: str
    at: datetime
    speaker: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer to a question; `cited` are ids of the passages that carry it, never empty."""

    text: str
    cited: tuple[str, ...]


class Brain(Protocol):
    """What makes minutes of a transcript, and answers questions from memory.

    It has no tools, and what it answers is never trusted: whoever asks holds it to evidence
    (`locum.core.minutes.hold_to_evidence`). Both methods are bounded in time, and may raise:
        TransientError: Not now, or not in time; see `retry_after`.
        HumanNeededError: Its key or credits; `hint` says what to do.
        PermanentError: It can't do this, and never will.
    """

    @property
    def name(self) -> str:
        """What the minutes say who wrote them: "extractive", or the model's name."""
        ...

    async def write_minutes(self, transcript: Transcript, occasion: Occasion) -> Minutes:
        """Write up one meeting. The transcript is other people's text: data, never orders."""
        ...

    async def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        """Answer from the passages alone; None where they don't tell."""
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could be used, at no or next to no cost. Raises nothing."""
        ...

    async def aclose(self) -> None: ...


# ── filing ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Attendance:
    """When we were in, and how it ended; instants None where we never were."""

    joined_at: datetime | None
    left_at: datetime | None
    end_reason: EndReason | None
    detail: str
    attempts: int


_NOTHING_SAID = Transcript()


@dataclass(frozen=True)
class Summary:
    """What is known of one attended meeting. Nothing in it is a guess.

    `source` says where the notes came from, or why there are none. `edition` counts up when
    more became known after the first was filed; `awaited` names the sources that may still
    bring more. `carried` are the series' open commitments from before. `minutes` is None where
    nothing is known of what was said.
    """

    key: MeetingKey
    session: SessionKey
    title: str
    start: datetime
    end: datetime
    room: Room
    organizer: Person | None
    invited: tuple[str, ...]
    persona: str
    engine: str
    attendance: Attendance
    source: str
    notes: tuple[EngineNote, ...]
    unknown: tuple[str, ...]
    estimated_cost: float | None = None
    currency: str = "USD"
    identity: Identity | None = None  #: With which it joined; None where it never did.
    transcript: Transcript = _NOTHING_SAID
    minutes: Minutes | None = None
    carried: tuple[Commitment, ...] = ()
    owner: str = ""  #: Whom it stood in for.
    edition: int = 1
    awaited: tuple[str, ...] = ()
    attendees: tuple[Attendee, ...] = ()
    attendees_complete: bool = False  #: Nobody else was invited, as far as calendars tell.


class SummarySink(Protocol):
    """A place where summaries go.

    Filing the same summary, or a later edition of it, again replaces it where the place
    `can_revise`. What can't be taken back (a mail, a message) says that it is an update.
    """

    @property
    def name(self) -> str: ...

    @property
    def can_revise(self) -> bool:
        """Whether an edition replaces the one before.

        Otherwise the first one is held back for a while, if more is awaited.
        """
        ...

    async def file(self, summary: Summary) -> str:
        """Put it there, durably, and answer where (a path or an address).

        Raises:
            TransientError: Not now (a full disk, a server down); nothing half-written.
            PermanentError: Never, as it is configured.
        """
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could file now. Raises nothing."""
        ...


# ── telling the owner ────────────────────────────────────────────────────────────────────


class NoticeTarget(Protocol):
    """One place where the owner is told: a phone, a webhook, a mailbox."""

    @property
    def id(self) -> str:
        """Name it for ever, without giving its secrets away: what it has is noted under this."""
        ...

    @property
    def name(self) -> str:
        """What people call it, without its secrets."""
        ...

    async def send(self, notice: Notice) -> None:
        """Deliver it, within a bounded time.

        Not idempotent. One that raised may have arrived all the same.

        Raises:
            TransientError: Not now.
            PermanentError: Never, as it is configured.
        """
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could be used, sending nothing. Raises nothing."""
        ...


# ── dispatch ─────────────────────────────────────────────────────────────────────────────


class Dispatcher(Protocol):
    """Where an attendance runs. It gets a key and reads the rest from the ledger."""

    def start(self, key: SessionKey, *, claimed_now: bool) -> None:
        """Run the attendance of `key`; nothing happens if it is running already.

        `claimed_now` says that the row was written for this very call, so that nothing can
        have been sent yet. Otherwise a session without a handle may be running unnamed.
        """
        ...

    def stop(self, key: SessionKey, reason: EndReason) -> None:
        """Ask it to leave; it ends by itself, and says so in the ledger."""
        ...

    def running(self) -> frozenset[SessionKey]: ...

    async def hand_over(self, keys: Collection[SessionKey]) -> None:
        """Abandon these where they stand: the next process knows their names, and adopts them."""
        ...

    async def drain(self, within: timedelta) -> None:
        """Wait for what is running to end, then abandon it where it stands.

        What survives a restart is left running, to be adopted by the next process.
        """
        ...
