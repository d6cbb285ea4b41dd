"""What a PikaStream account holds: sessions, credits and voices, on the stage's clock.

The public contract says what calls answer, not how the service works inside. Assumptions,
each a setting where it matters: one credit is one US cent; a session costs from the answer
to its POST until it is over, by the started minute, each minute paid at its beginning; it
is closed at the instant when the next minute can't be paid, so a balance is never negative.
Images and voices cost nothing here: nobody has published their price. What becomes of voices
is in `pikavoices`.
"""

from __future__ import annotations

import enum
import itertools
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from pydantic import ConfigDict

from locum.rehearsal.faults import Faults, RequestLog
from locum.rehearsal.pikavoices import Code, Refusal, Voice, Voices
from locum.rehearsal.rooms import Rooms, VisitId

MINUTE = timedelta(minutes=1)
STOCK_VOICE = "English_radiant_girl"
INSUFFICIENT_CREDITS = "insufficient credits"


class Hostile(enum.Enum):
    """Answers that no client should trust."""

    SESSION_ID = "session_id"  #: A path climbs out of the id; the session runs all the same.
    BALANCE_NAN = "balance_nan"
    UNKNOWN_STATUS = "unknown_status"
    CHECKOUT_ELSEWHERE = "checkout_elsewhere"  #: On a host that isn't the service's.


class BalanceShape(enum.Enum):
    """Both were seen in the public client."""

    NESTED = "nested"  #: {"data": {"balance": 1}}
    FLAT = "flat"  #: {"balance": 1}


class ProductShape(enum.Enum):
    """How packages of credits are written; versions of the public client read one each."""

    CAMEL = "camel"  #: productId, name, numCredits: the newer.
    SNAKE = "snake"  #: product_id, title, num_credits.


@dataclass(frozen=True)
class PikaSettings:
    """How the stand-in behaves. A change counts for what begins after it.

    `credits_per_minute` is the higher of the two published prices. `session_error` makes
    sessions fail with that text when they would be ready. `give_back_notes` puts `notes`
    into the answers after the end, which the documented service doesn't. `image_as_url`
    answers an image's address instead of the image, the other of OpenAI's two shapes.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # For reading it from TOML and JSON.

    api_key: str = "dk_rehearsal"
    balance: Decimal = Decimal(10_000)
    credits_per_minute: Decimal = Decimal("27.5")
    minimum_balance: int = 0
    ready_after: timedelta = timedelta(seconds=4)
    never_ready: bool = False
    session_error: str | None = None
    session_limit: int | None = None
    one_session_per_room: bool = False
    failing_deletes: int = 0
    give_back_notes: str | None = None
    balance_shape: BalanceShape = BalanceShape.NESTED
    product_shape: ProductShape = ProductShape.CAMEL
    image_as_url: bool = False
    short_video_flag: bool = False
    hostile: frozenset[Hostile] = frozenset()
    voices: frozenset[str] = frozenset({STOCK_VOICE})

    def __post_init__(self) -> None:
        if self.balance < 0 or self.credits_per_minute < 0:
            raise ValueError("balance and credits_per_minute can't be negative")
        if self.ready_after < timedelta(0):
            raise ValueError("ready_after can't be negative")


class RefusalError(Exception):
    """The service says no; `detail` is what its JSON body carries."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class SessionRequest:
    """What a POST asked for. `room` is the code or number out of `meet_url`."""

    room: str
    meet_url: str
    platform: str
    bot_name: str
    voice_id: str
    image_bytes: int
    meeting_password: str | None = field(default=None, repr=False)
    system_prompt: str | None = None
    image_sha256: str = ""


@dataclass(frozen=True)
class SessionState:
    """One session as of one instant; `status` is starting, ready, error or closed."""

    id: str
    request: SessionRequest
    started: datetime
    ended: datetime | None
    status: str
    video_connected: bool
    meeting_connected: bool
    error_message: str | None

    @property
    def live(self) -> bool:
        return self.ended is None


@dataclass(frozen=True)
class Bill:
    """What one session costs, so far if `ended` is None."""

    session_id: str
    started: datetime
    ended: datetime | None
    minutes: int
    credits: Decimal


@dataclass(frozen=True)
class Product:
    id: str
    name: str
    credits: int


PRODUCTS = (
    Product("prod_starter", "Starter", 1_000),
    Product("prod_team", "Team", 5_000),
)


@dataclass
class _Session:
    id: str
    request: SessionRequest
    started: datetime
    ready_at: datetime
    visit: VisitId | None
    error: str | None
    rate: Decimal
    minutes: int = 0
    ended: datetime | None = None
    end_status: str = "closed"
    end_message: str | None = None

    @property
    def next_charge(self) -> datetime:
        return self.started + self.minutes * MINUTE

    def end(self, at: datetime, status: str = "closed", message: str | None = None) -> None:
        self.ended, self.end_status, self.end_message = at, status, message


class PikaStage:
    """The account's state. Thread-safe; every answer is as of `now()`.

    Sessions enter `rooms` when they are ready and leave on their end; one whose bot is
    removed, or whose meeting is ended for all, is closed.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        rooms: Rooms,
        settings: PikaSettings | None = None,
    ) -> None:
        self.rooms = rooms
        self.faults = Faults()
        self.log = RequestLog(now)
        self._clock = now
        self._lock = threading.RLock()
        self._settings = settings or PikaSettings()
        self._balance = self._settings.balance
        self._failing_deletes = self._settings.failing_deletes
        self._seen = datetime.min.replace(tzinfo=timezone.utc)
        self._sessions: dict[str, _Session] = {}
        self._peak_live = 0
        self._peak_in_room = 0
        self._checkouts: dict[str, Product | None] = {}
        self._serial = itertools.count(1)
        self._voices = Voices(self._serial)

    def now(self) -> datetime:
        return self._clock()

    # ── settings ─────────────────────────────────────────────────────────────────────────

    @property
    def settings(self) -> PikaSettings:
        with self._lock:
            return self._settings

    def configure(self, **changes: Any) -> None:
        """Change settings by name; a `balance` or `failing_deletes` given starts anew.

        Raises:
            TypeError: There is no such setting.
            ValueError: A value that makes no sense.
        """
        known = {entry.name for entry in fields(PikaSettings)}
        for name in changes:
            if name not in known:
                raise TypeError(f"no setting {name!r}; there are {', '.join(sorted(known))}")
        with self._lock:
            self._settle()
            self._settings = replace(self._settings, **changes)
            if "balance" in changes:
                self._balance = self._settings.balance
            if "failing_deletes" in changes:
                self._failing_deletes = self._settings.failing_deletes

    # ── sessions ─────────────────────────────────────────────────────────────────────────

    def create(self, request: SessionRequest) -> SessionState:
        """Start a session; each call starts another one.

        Raises:
            RefusalError: 400 for an unknown voice, 402 without credits, 409 and 429 by setting.
        """
        with self._lock:
            now = self._settle()
            settings = self._settings
            self._check_start(request, now)
            self._voices.use(request.voice_id, now)
            ready_at = now + settings.ready_after
            silent = settings.never_ready or settings.session_error is not None
            session = _Session(
                id=f"sess_{next(self._serial):04d}{secrets.token_hex(6)}",
                request=request,
                started=now,
                ready_at=ready_at,
                visit=None
                if silent
                else self.rooms.expect_bot(request.room, request.bot_name, ready_at),
                error=None if settings.never_ready else settings.session_error,
                rate=settings.credits_per_minute,
                minutes=1,
            )
            self._balance -= session.rate
            self._sessions[session.id] = session
            live = self._live()
            in_room = sum(other.request.room == request.room for other in live)
            self._peak_live = max(self._peak_live, len(live))
            self._peak_in_room = max(self._peak_in_room, in_room)
            return self._state(session, now)

    def session(self, session_id: str) -> SessionState:
        """Answer one session's state.

        Raises:
            RefusalError: 404, there was never such a session.
        """
        with self._lock:
            now = self._settle()
            return self._state(self._find(session_id), now)

    def end(self, session_id: str) -> SessionState:
        """End a session, which leaves its room at once. Idempotent.

        Raises:
            RefusalError: 404 for an unknown one; 500 by the setting `failing_deletes`.
        """
        with self._lock:
            now = self._settle()
            session = self._find(session_id)
            if self._failing_deletes > 0:
                self._failing_deletes -= 1
                raise RefusalError(500, "session worker did not answer")
            if session.ended is None:
                session.end(now)
                self._leave_room(session, now)
            return self._state(session, now)

    def sessions(self) -> tuple[SessionState, ...]:
        """Answer every session there ever was, in the order of their creation."""
        with self._lock:
            now = self._settle()
            return tuple(self._state(session, now) for session in self._sessions.values())

    def live_sessions(self) -> tuple[SessionState, ...]:
        return tuple(session for session in self.sessions() if session.live)

    @property
    def peak_live(self) -> int:
        """The most sessions that ever ran at the same time."""
        with self._lock:
            return self._peak_live

    @property
    def peak_in_room(self) -> int:
        """The most that ever ran for one room: 2 is a double join."""
        with self._lock:
            return self._peak_in_room

    # ── money ────────────────────────────────────────────────────────────────────────────

    @property
    def balance(self) -> Decimal:
        with self._lock:
            self._settle()
            return self._balance

    @property
    def bills(self) -> tuple[Bill, ...]:
        with self._lock:
            self._settle()
            return tuple(
                Bill(s.id, s.started, s.ended, s.minutes, s.minutes * s.rate)
                for s in self._sessions.values()
            )

    def open_checkout(self, product_id: str) -> str:
        """Answer a token under which the product can be bought once.

        Raises:
            RefusalError: 404, no such product.
        """
        product = next((one for one in PRODUCTS if one.id == product_id), None)
        if product is None:
            raise RefusalError(404, f"unknown product {product_id!r}")
        with self._lock:
            token = secrets.token_urlsafe(16)
            self._checkouts[token] = product
            return token

    def pay(self, token: str) -> int:
        """Buy what the checkout is for; answers the credits added, 0 the second time.

        Raises:
            RefusalError: 404, no such checkout.
        """
        with self._lock:
            self._settle()
            if token not in self._checkouts:
                raise RefusalError(404, "no such checkout")
            product, self._checkouts[token] = self._checkouts[token], None
            if product is None:
                return 0
            self._balance += product.credits
            return product.credits

    # ── voices ───────────────────────────────────────────────────────────────────────────

    def keep_sample(self, sound: bytes) -> int | Refusal:
        """Take a voice's sample; answers its file id."""
        with self._lock:
            return self._voices.keep_sample(sound)

    def clone_voice(
        self, file_id: object, voice_id: str, *, noise_reduction: bool
    ) -> Voice | Refusal:
        """Make a voice from an uploaded sample."""
        with self._lock:
            if voice_id in self._settings.voices:
                return Refusal(Code.TAKEN, "voice clone voice id duplicate")
            return self._voices.clone(
                file_id, voice_id, noise_reduction=noise_reduction, now=self._settle()
            )

    @property
    def voices(self) -> tuple[Voice, ...]:
        """Answer the cloned voices that aren't deleted yet."""
        with self._lock:
            return self._voices.living(self._settle())

    # ── inside the lock ──────────────────────────────────────────────────────────────────

    def _check_start(self, request: SessionRequest, now: datetime) -> None:
        settings = self._settings
        voice = request.voice_id
        if voice not in settings.voices and not self._voices.has(voice, now):
            raise RefusalError(400, f"unknown voice_id {request.voice_id!r}")
        least = max(settings.credits_per_minute, Decimal(settings.minimum_balance))
        if self._balance < least:
            raise RefusalError(402, INSUFFICIENT_CREDITS)
        live = self._live()
        if settings.one_session_per_room and any(
            session.request.room == request.room for session in live
        ):
            raise RefusalError(409, "a session for this meeting is already running")
        if settings.session_limit is not None and len(live) >= settings.session_limit:
            raise RefusalError(429, "too many sessions at the same time")

    def _find(self, session_id: str) -> _Session:
        if session_id not in self._sessions:
            raise RefusalError(404, "session not found")
        return self._sessions[session_id]

    def _live(self) -> list[_Session]:
        return [session for session in self._sessions.values() if session.ended is None]

    def _settle(self) -> datetime:
        """Bring sessions and balance up to the present, and answer it."""
        now = self._seen = max(self._clock(), self._seen)
        self.rooms.tick(now)
        self._charge(now)
        for session in self._live():
            ending = self._ending(session)
            if ending is not None and ending[0] <= now:
                session.end(*ending)
        return now

    def _charge(self, now: datetime) -> None:
        """Take each minute's price at its beginning, in the order of time."""
        until = {
            session.id: min(now, ending[0]) if ending else now
            for session in self._live()
            for ending in (self._ending(session),)
        }
        while True:
            due = [s for s in self._live() if s.next_charge < until[s.id]]
            if not due:
                return
            session = min(due, key=lambda one: (one.next_charge, one.id))
            if self._balance < session.rate:
                at = session.next_charge
                session.end(at, "closed", INSUFFICIENT_CREDITS)
                self._leave_room(session, at)
            else:
                self._balance -= session.rate
                session.minutes += 1

    def _ending(self, session: _Session) -> tuple[datetime, str, str | None] | None:
        """Answer when and how the session ends by itself, as far as is known."""
        if session.error is not None:
            return session.ready_at, "error", session.error
        if session.visit is None:
            return None
        visit = self.rooms.visit(session.visit)
        if visit.left_at is None:
            return None
        if visit.entered_at is None:
            return visit.left_at, "error", f"could not join: {visit.why_out}"
        return visit.left_at, "closed", None

    def _leave_room(self, session: _Session, at: datetime) -> None:
        if session.visit is not None:
            self.rooms.end_visit(session.visit, at)

    def _state(self, session: _Session, now: datetime) -> SessionState:
        ended = session.ended is not None
        inside = session.visit is not None and self.rooms.visit(session.visit).present
        status = session.end_status if ended else "ready" if inside else "starting"
        worker_at = session.started + (session.ready_at - session.started) / 2
        return SessionState(
            id=session.id,
            request=session.request,
            started=session.started,
            ended=session.ended,
            status=status,
            video_connected=not ended and now >= worker_at,
            meeting_connected=inside,
            error_message=session.end_message,
        )
