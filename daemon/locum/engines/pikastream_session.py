"""One PikaStream session, from its name to the proof that it is over.

Every minute costs, so nothing here ends by forgetting: `leave` answers only with a proof,
and an outage of the polls neither ends a session nor keeps one that was never admitted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import anyio
import structlog

from locum.core.model import EndReason, SessionHandle
from locum.core.transcript import Utterance
from locum.engines.pikastream_answers import (
    LONGEST_BODY_KEPT,
    SessionState,
    SessionStatus,
    harvest_notes,
)
from locum.engines.pikastream_api import Look, PikaStreamApi, ToldToWaitError
from locum.engines.pikastream_transcript import read_utterances
from locum.errors import HumanNeededError, PermanentError, TransientError
from locum.ports import (
    Admitted,
    Clock,
    Ended,
    EngineNote,
    Remains,
    SessionEvent,
    Waiting,
)

log = structlog.get_logger()

_TROUBLE = (TransientError, HumanNeededError, PermanentError)


@dataclass(frozen=True)
class Pace:
    """How often a session is looked at, and how hard leaving is tried; the clock's time."""

    waiting: timedelta = timedelta(seconds=2)
    live: timedelta = timedelta(seconds=10)
    longest_in_outage: timedelta = timedelta(seconds=60)
    leave_waits: tuple[timedelta, ...] = (
        timedelta(seconds=1),
        timedelta(seconds=2),
        timedelta(seconds=4),
        timedelta(seconds=8),
    )

    def after(self, failures: int, *, live: bool) -> timedelta:
        """Answer the wait before the next look, doubled for every failure in a row."""
        usual = self.live if live else self.waiting
        doublings: int = 1 << min(failures, 10)
        return min(usual * doublings, max(usual, self.longest_in_outage))


_TAKEN_AT_ITS_WORD = 30
"""How many DELETEs must have been accepted, the session still showing itself, before we stop.

That takes about two minutes: a service that passes over a dozen may heed the next."""


class PikaStreamSession:
    """A session that has a name. `admit_by` is when we give up waiting to be let in.

    Args:
        handle: The service's name for it.
        api: The calls.
        clock: Where "now" comes from.
        admit_by: The last instant of waiting.
        pace: Intervals of looking and leaving.
        on_over: Called once, when the session is proved over.
    """

    def __init__(
        self,
        handle: SessionHandle,
        api: PikaStreamApi,
        clock: Clock,
        *,
        admit_by: datetime,
        pace: Pace,
        on_over: Callable[[SessionHandle], None],
        admitted_at: datetime | None = None,
    ) -> None:
        self._handle = handle
        self._api = api
        self._clock = clock
        self._on_over = on_over
        self._leaving = anyio.Lock()
        self._leftovers = _Leftovers(api)
        self._remains: Remains | None = None
        self._accepted = 0
        self._doubt = ""
        self.admit_by = admit_by
        self.pace = pace
        self.admitted_at = admitted_at

    @property
    def handle(self) -> SessionHandle:
        return self._handle

    def events(self) -> AsyncIterator[SessionEvent]:
        """Tell what happens, until `Ended`.

        A session that is in already says `Admitted` first. Cancelling the wait for an event
        loses nothing: asking the same iterator again goes on where it stood.
        """
        return _Watch(self, self._api, self._clock)

    async def post(self, text: str) -> None:
        raise PermanentError(f"PikaStream can't write into the chat: {text[:80]}")

    async def leave(self) -> Remains:
        """Leave, and return only when a look at the session proves it over. Idempotent.

        An accepted DELETE is no proof: the service may answer it and let the session run. But
        one that accepts each of several, and goes on calling the session ready, is taken at
        its word in the end, and the remains say so: there is nothing else that we could do.
        The bodies around it are kept and harvested, because nothing else comes back from
        the meeting.

        Raises:
            TransientError: It may still be running (and costing); call again.
        """
        async with self._leaving:
            if self._remains is None:
                await self._leave_until_proved()
                self._remains = replace(self._leftovers.remains(), doubt=self._doubt)
                self._on_over(self._handle)
            return self._remains

    async def _leave_until_proved(self) -> None:
        if not self._leftovers.has_before:
            await self._look_back()
        problem = await self._try_to_leave()
        for wait in self.pace.leave_waits:
            if problem is None:
                return
            log.warning("pikastream_leave_unproved", handle=self._handle, problem=problem)
            await self._clock.sleep(wait)
            problem = await self._try_to_leave()
        if problem is None:
            return
        if self._accepted >= _TAKEN_AT_ITS_WORD:
            log.error("pikastream_end_unproved", handle=self._handle, problem=problem)
            self._doubt = (
                f"PikaStream accepted the end {self._accepted} times, and still {problem}: "
                "check its account"
            )
        else:
            raise TransientError(
                f"PikaStream session {self._handle} may still be running: {problem}",
                retry_after=timedelta(seconds=15),
            )

    async def _look_back(self) -> None:
        """Take what the session holds before it is told to leave; done without if it fails."""
        try:
            look = await self._api.look(self._handle)
        except _TROUBLE as error:
            log.info("pikastream_last_look_failed", handle=self._handle, error=str(error))
        else:
            self._leftovers.keep_before(look.body)

    async def _try_to_leave(self) -> str | None:
        """Tell it to leave, then look; answer what still speaks against its being over."""
        told: str | None = None
        try:
            self._leftovers.keep_answer(await self._api.end_session(self._handle))
        except _TROUBLE as error:
            told = str(error)
        try:
            look = await self._api.look(self._handle)
        except _TROUBLE as error:
            return told or str(error)
        if not _proves_over(look.state, was_told=told is None):
            self._accepted += told is None
            return told or f"after the DELETE it is {look.state.detail}"
        self._leftovers.keep_after(look.body)
        return None


def _proves_over(state: SessionState, *, was_told: bool) -> bool:
    """A session in error may still be billed until the service has taken our DELETE."""
    if state.status is SessionStatus.FAILED:
        return was_told
    return state.status in {SessionStatus.CLOSED, SessionStatus.GONE}


class _Leftovers:
    """The raw bodies around the end, one of each kind, and the notes found in them."""

    def __init__(self, api: PikaStreamApi) -> None:
        self._api = api
        self._bodies: dict[str, str] = {}
        self._notes: dict[tuple[str, str], EngineNote] = {}
        self._utterances: tuple[Utterance, ...] = ()

    @property
    def has_before(self) -> bool:
        return "session body, before leaving" in self._bodies

    def keep_before(self, body: bytes) -> None:
        self._keep("session body, before leaving", body)

    def keep_answer(self, body: bytes) -> None:
        self._keep("answer to leaving", body)

    def keep_after(self, body: bytes) -> None:
        self._keep("session body, after leaving", body)

    def _keep(self, where: str, body: bytes) -> None:
        text = self._api.scrubbed(body, LONGEST_BODY_KEPT)
        if not text:
            return
        self._bodies[where] = text
        for note in harvest_notes(body, where):
            # The same text before and after is one note, with its first source.
            kind = note.source.rpartition(": ")[2]
            self._notes.setdefault((kind, note.text), note)
        # Each body that tells it tells all of it, as far as it is known by then.
        said = read_utterances(self._api.scrubbed(body, len(body)).encode())
        if len(said) >= len(self._utterances):
            self._utterances = said

    def remains(self) -> Remains:
        return Remains(
            notes=tuple(self._notes.values()),
            bodies=tuple(self._bodies.values()),
            utterances=self._utterances,
        )


class _Watch:
    """Looks at a session from time to time and tells what changed.

    An iterator object rather than an async generator: a generator that is cancelled once is
    over, and its end would read as if the session's were.
    """

    def __init__(self, session: PikaStreamSession, api: PikaStreamApi, clock: Clock) -> None:
        self._session = session
        self._api = api
        self._clock = clock
        self._due = clock.now()
        self._told_admitted = False
        self._told_waiting: str | None = None
        self._told_ended = False
        self._failures = 0
        self._unknown_in_a_row = 0

    def __aiter__(self) -> _Watch:
        return self

    async def __anext__(self) -> SessionEvent:
        if self._told_ended:
            raise StopAsyncIteration
        while True:
            event: SessionEvent | None = self._admitted_already()
            if event is None:
                await self._wait_until_due()
                event = self._event_of(await self._look())
            if event is not None:
                return event

    def _admitted_already(self) -> Admitted | None:
        since = self._session.admitted_at
        if since is None or self._told_admitted:
            return None
        self._told_admitted = True
        return Admitted(at=since)

    async def _wait_until_due(self) -> None:
        wait = self._due - self._clock.now()
        if wait > timedelta(0):
            await self._clock.sleep(wait)

    async def _look(self) -> Look | None:
        """Look once; None if it failed. The next look's time is set either way."""
        try:
            look = await self._api.look(self._session.handle)
        except _TROUBLE as error:
            if self._failures == 0:
                log.warning(
                    "pikastream_poll_failed", handle=self._session.handle, error=str(error)
                )
            self._failures += 1
            asked = error.retry_after if isinstance(error, ToldToWaitError) else timedelta(0)
            self._set_due(min(asked, self._session.pace.longest_in_outage))
            return None
        if self._failures:
            log.info(
                "pikastream_poll_recovered",
                handle=self._session.handle,
                failures=self._failures,
            )
        self._failures = 0
        self._set_due(timedelta(0))
        return look

    def _set_due(self, at_least: timedelta) -> None:
        session, now = self._session, self._clock.now()
        live = session.admitted_at is not None
        self._due = now + max(at_least, session.pace.after(self._failures, live=live))
        if not live and now < session.admit_by:
            # One look at the very end of the wait, however long an outage had us pause.
            self._due = min(self._due, session.admit_by)

    def _event_of(self, look: Look | None) -> SessionEvent | None:
        state = look.state if look is not None else None
        now = self._clock.now()
        if state is not None and state.status is SessionStatus.GONE:
            # A lone 404 may come from a replica that doesn't know a new session yet.
            self._unknown_in_a_row += 1
            state = state if self._unknown_in_a_row > 1 else None
        elif state is not None:
            self._unknown_in_a_row = 0
        if state is not None and state.status.over:
            return self._ended(self._reason_of(state), state.detail, now)
        if self._session.admitted_at is not None:
            return None
        if state is not None and state.status is SessionStatus.READY:
            self._session.admitted_at = now
            # The pace is that of a live session from here on.
            self._due = now + self._session.pace.live
            return self._admitted_already()
        if now >= self._session.admit_by:
            last = self._told_waiting or "nothing was heard of it"
            return self._ended(EndReason.NOT_ADMITTED, f"not in by then: {last}", now)
        if state is None or state.detail == self._told_waiting:
            return None
        self._told_waiting = state.detail
        return Waiting(at=now, detail=state.detail)

    def _reason_of(self, state: SessionState) -> EndReason:
        """A room that we never were in didn't close on us: then the service lost it."""
        was_in = self._session.admitted_at is not None
        if was_in and state.status is not SessionStatus.FAILED:
            return EndReason.MEETING_OVER
        return EndReason.ENGINE_LOST

    def _ended(self, reason: EndReason, detail: str, now: datetime) -> Ended:
        self._told_ended = True
        return Ended(at=now, reason=reason, detail=detail)
