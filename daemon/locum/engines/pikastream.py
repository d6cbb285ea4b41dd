"""The hosted engine: PikaStream puts the stand-in into the room, and bills every minute.

It is steered by what is given at the join and gives nothing documented back, so this adapter
promises presence and no transcript. Its care goes into money: a failed balance check is not
an empty account, a refusal surely cost nothing, and a lost answer is never repeated blindly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from locum.core.model import Platform, SessionHandle
from locum.core.secret import Secret
from locum.engines.http import BoundedClient, Payload, base_url_problem
from locum.engines.pikastream_answers import SessionStatus, is_session_id
from locum.engines.pikastream_api import Look, NoCreditsError, PikaStreamApi
from locum.engines.pikastream_body import JoinBodies
from locum.engines.pikastream_funds import Balance, Funds
from locum.engines.pikastream_key import key_file_problem
from locum.engines.pikastream_session import Pace, PikaStreamSession
from locum.errors import (
    ConfigError,
    HumanNeededError,
    PermanentError,
    TransientError,
)
from locum.ports import Clock, EngineTraits, Finding, Health, JoinRequest, LostJoin

TRAITS = EngineTraits(
    platforms=frozenset({Platform.GOOGLE_MEET, Platform.ZOOM}),
    billed=True,
    converses_by_itself=True,
    reports_transcript=False,
    can_chat=False,
    sees_roster=False,
    survives_restart=True,
)


@dataclass(frozen=True)
class PikaStreamSettings:
    """Everything that the engine is told.

    Deadlines are the host's time, because they guard against networks; the rest is the
    clock's. `key` is asked when it is first needed, so that a missing one is a finding and
    not a failure to start; `key_file` is only looked at for who may read it.
    """

    base_url: str
    key: Callable[[], Secret] = field(repr=False)
    key_file: Path | None = None
    price_per_minute: float = 0.275
    minimum_balance: float = 100
    credits_per_dollar: float = 100
    ready_timeout: timedelta = timedelta(seconds=90)
    pace: Pace = field(default_factory=Pace)
    lost_join_looks: tuple[timedelta, ...] = (timedelta(seconds=30), timedelta(seconds=90))
    request_deadline: timedelta = timedelta(seconds=10)
    join_deadline: timedelta = timedelta(seconds=180)
    image_deadline: timedelta = timedelta(seconds=180)
    voice_deadline: timedelta = timedelta(seconds=120)

    def __post_init__(self) -> None:
        problem = base_url_problem(self.base_url)
        if problem is not None:
            raise ConfigError((f"PikaStream's base_url {self.base_url!r}: {problem}",))


class PikaStreamEngine:
    """A `PresenceEngine`. Belongs to one event loop."""

    def __init__(
        self,
        settings: PikaStreamSettings,
        *,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._api = PikaStreamApi(
            BoundedClient(
                settings.base_url, headers={"X-Skill-Name": "locum"}, transport=transport
            ),
            settings.key,
            request_deadline=settings.request_deadline,
            join_deadline=settings.join_deadline,
        )
        self._funds = Funds(self._api, clock, minimum=settings.minimum_balance)
        self._bodies = JoinBodies()
        self._running: set[SessionHandle] = set()
        #: The balance before each lost join, where one was known. Bounded, should nobody ask.
        self._lost: deque[Balance | None] = deque(maxlen=1000)

    @property
    def traits(self) -> EngineTraits:
        return TRAITS

    @property
    def price_per_minute(self) -> float:
        """US dollars, as configured: the service doesn't tell."""
        return self._settings.price_per_minute

    async def prepare(self) -> None:
        """Open the connection and look at the balance; many at once share one request.

        Raises:
            TransientError: The balance can't be read now. That isn't "not funded".
            HumanNeededError: Too little is left (with the top-up link), or the key is bad.
            PermanentError: The service has no such call.
        """
        await self._funds.require_recent()

    async def afford(self, dollars: float) -> None:
        """See whether the balance, read now, suffices for that much.

        How many credits a dollar buys isn't published: see `credits_per_dollar`.

        Raises:
            TransientError: It can't be read now. That isn't "not funded".
            HumanNeededError: Too little is left (with the top-up link), or the key is bad.
            PermanentError: The service has no such call.
        """
        await self._funds.require_for(dollars * self._settings.credits_per_dollar)

    async def join(self, request: JoinRequest) -> PikaStreamSession:
        """Ask for a presence; answers as soon as it can be named.

        Not idempotent: two calls are two participants. Whoever cancels it must assume what
        an AmbiguousError says: the request may have been sent, and a session may be running
        that nobody can name. `settle_lost_join` counts such a join as lost as well.

        Raises:
            TransientError: Surely not running; see `retry_after`.
            HumanNeededError: Credits (with the top-up link) or the key.
            PermanentError: This request will never be taken.
            AmbiguousError: It was sent, and may be running: see `settle_lost_join`.
        """
        await self._funds.require_unless_unknown()
        payload = self._bodies.body(request)
        try:
            handle = await self._create(payload)
        except NoCreditsError as error:
            raise await self._funds.unfunded(
                f"PikaStream refuses the join ({error})."
            ) from error
        ready_by = self._clock.now() + self._settings.ready_timeout
        return self._session(handle, admit_by=min(ready_by, request.admit_by))

    async def _create(self, payload: Payload) -> SessionHandle:
        before = self._funds.undisturbed()
        self._funds.disturb()
        may_be_running = True
        try:
            handle = await self._api.create_session(payload)
            self._running.add(handle)
            may_be_running = False
        except (NoCreditsError, TransientError, HumanNeededError, PermanentError):
            may_be_running = False
            raise
        finally:
            # In `finally`, because a cancelled join is a lost one too.
            if may_be_running:
                self._lost.append(before)
        return handle

    async def settle_lost_join(self, *, others_running: int) -> LostJoin:
        """Watch the balance to find out whether the oldest lost join runs after all.

        Only a balance that stands still, twice, proves that nothing runs. One that falls,
        rises (somebody topped up, which hides a fall) or can't be read proves nothing, nor
        does any while other sessions are billed; several lost joins that watch at the same
        time all see the same, and are all told the same.
        """
        before = self._lost.popleft() if self._lost else None
        if others_running > 0 or self._running:
            return LostJoin.MAY_BE_RUNNING
        try:
            if before is None:
                before = await self._funds.read()
            watched = timedelta(0)
            for look_at in self._settings.lost_join_looks:
                await self._clock.sleep(look_at - watched)
                watched = look_at
                if (await self._funds.read()).credits != before.credits:
                    return LostJoin.MAY_BE_RUNNING
        except (TransientError, HumanNeededError, PermanentError):
            return LostJoin.MAY_BE_RUNNING
        return LostJoin.NEVER_RAN

    async def reattach(self, handle: SessionHandle) -> PikaStreamSession | None:
        """Take up a session begun before a restart; None if it is over.

        Raises:
            TransientError: It can't be told now.
        """
        if not is_session_id(handle):
            return None  # Such a name was never given by a join.
        try:
            look = await self._look_twice_if_gone(handle)
            if look.state.status is SessionStatus.FAILED:
                # What is in error may be billed until it is told to leave.
                await self._api.end_session(handle)
        except (HumanNeededError, PermanentError) as error:
            # It may well be running: the port has no other word for that.
            raise TransientError(
                f"PikaStream session {handle} may be running: {error}"
            ) from error
        if look.state.status.over:
            return None
        now = self._clock.now()
        self._running.add(handle)
        self._funds.disturb()
        return self._session(
            handle,
            admit_by=now + self._settings.ready_timeout,
            admitted_at=now if look.state.status is SessionStatus.READY else None,
        )

    async def _look_twice_if_gone(self, handle: SessionHandle) -> Look:
        """A lone 404 may come from a replica that doesn't know a new session yet."""
        look = await self._api.look(handle)
        if look.state.status is SessionStatus.GONE:
            await self._clock.sleep(self._settings.pace.waiting)
            look = await self._api.look(handle)
        return look

    async def check(self) -> tuple[Finding, ...]:
        """Try the key, the address and the balance, spending nothing. Raises nothing."""
        subject = "PikaStream key"
        try:
            self._api.require_key()
        except HumanNeededError as error:
            return (Finding(subject, Health.BROKEN, error.args[0], error.hint),)
        problem = key_file_problem(self._settings.key_file)
        if problem is None:
            key = Finding(subject, Health.OK, "present and well-formed")
        else:
            key = Finding(subject, Health.WARNING, problem, "chmod 600 it.")
        return (key, await self._balance_finding())

    async def _balance_finding(self) -> Finding:
        subject = f"PikaStream at {httpx.URL(self._settings.base_url).host}"
        try:
            balance = await self._funds.read()
        except HumanNeededError as error:
            return Finding(subject, Health.BROKEN, error.args[0], error.hint)
        except (TransientError, PermanentError) as error:
            return Finding(
                subject, Health.BROKEN, str(error), "Check the network and base_url."
            )
        if balance.credits >= self._settings.minimum_balance:
            return Finding(subject, Health.OK, f"{balance.credits:g} credits left")
        shortage = await self._funds.unfunded(self._funds.shortage(balance))
        return Finding(subject, Health.BROKEN, shortage.args[0], shortage.hint)

    async def aclose(self) -> None:
        await self._api.aclose()

    def _session(
        self, handle: SessionHandle, *, admit_by: datetime, admitted_at: datetime | None = None
    ) -> PikaStreamSession:
        return PikaStreamSession(
            handle,
            self._api,
            self._clock,
            admit_by=admit_by,
            pace=self._settings.pace,
            on_over=self._forget,
            admitted_at=admitted_at,
        )

    def _forget(self, handle: SessionHandle) -> None:
        self._running.discard(handle)
        self._funds.disturb()
