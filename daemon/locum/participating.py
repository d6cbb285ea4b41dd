"""What goes on in a room while we are in it: saying who we are, conversing, writing down.

An attendance carries the session from join to end; this is what the session is for. Nothing
here ends a presence: a conversation that fails leaves somebody who listens, and says so in the
record.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from locum.conversation.parts import Remark, Tell, WeSaid
from locum.core.model import Meeting
from locum.core.speakers import identified
from locum.core.transcript import Deferral, Source, Utterance
from locum.errors import LocumError
from locum.introducing import Introduction, Patiently
from locum.listening import Listener
from locum.persona import PersonaCard
from locum.ports import Deferred, Embodied, MeetingSession, Roster, Said, SessionEvent

_log = structlog.get_logger(__name__)

_PAUSE_S = 5.0
_SLOWEST_S = 60.0
"""How long a conversation that broke waits before it is begun anew, at first and at most."""

_STILL_ANSWERED = timedelta(minutes=2)
"""How old what was written may be that nobody was there to answer; in a chat that is no time."""

_MOST_UNANSWERED = 50


class Conversing(Protocol):
    """What of `locum.conversation.Conversation` is needed here."""

    async def run(self) -> None: ...

    def take(self, event: SessionEvent) -> None: ...


@dataclass(frozen=True)
class Seat:
    """Where a conversation takes place: what it is made for."""

    session: MeetingSession
    meeting: Meeting
    card: PersonaCard
    engine: str
    listens_only: bool


Converse = Callable[[Seat, Tell], AbstractAsyncContextManager[Conversing]]
"""Opens what one conversation needs, and closes it. Entering it may raise LocumError."""


class Participation:
    """One session's part in its meeting.

    `opted_out` is called when somebody there doesn't want us, however they said it; `now` is the
    clock's.
    """

    def __init__(
        self,
        *,
        listener: Listener,
        introduction: Introduction,
        converse: Converse | None,
        opted_out: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._listener = listener
        self._introduction = introduction
        self._converse = converse
        self._opted_out = opted_out
        self._now = now
        self._talk: Conversing | None = None
        self._roster: Roster | None = None
        self._unanswered: deque[Said] = deque(maxlen=_MOST_UNANSWERED)
        self._tile = ""

    async def take_part(self, seat: Seat, patiently: Patiently, *, anew: bool) -> None:
        """Say who this is, then converse until cancelled.

        Somebody who comes back (`anew`) doesn't interrupt for a greeting.
        """
        self._tile = seat.card.tile
        aloud = not anew and not seat.listens_only
        await self._introduction.make(seat.session, seat.card, patiently, aloud=aloud)
        if self._converse is None or not isinstance(seat.session, Embodied):
            return
        pause = _PAUSE_S
        while True:
            try:
                await self._talk_in(seat, self._converse)
            except LocumError as error:
                _log.error("conversation_failed", problem=str(error))
            except Exception:  # noqa: BLE001 - What broke there leaves a presence that listens.
                _log.exception("conversation_broke")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _SLOWEST_S)

    async def _talk_in(self, seat: Seat, converse: Converse) -> None:
        async with converse(seat, self._tell) as talk:
            self._talk = talk
            if self._roster is not None:  # Told before there was anybody to tell.
                talk.take(self._roster)
            while self._unanswered:
                written = self._unanswered.popleft()
                if self._now() - written.at <= _STILL_ANSWERED:
                    talk.take(written)
            _log.info("conversing", persona=seat.card.name)
            try:
                await talk.run()
            finally:
                self._talk = None

    # ── what is said ─────────────────────────────────────────────────────────────────────

    def take(self, event: SessionEvent, *, names: str) -> None:
        """Take in what the session tells beside its beginning and end."""
        if isinstance(event, Said):
            self._hear(event, names)
        elif isinstance(event, Roster):
            self._roster = event
        if self._talk is not None:
            self._talk.take(event)
        elif isinstance(event, Said) and event.in_chat and self._introduction.may_keep:
            # We greet, or a conversation broke. What is said meanwhile waits in the session.
            self._unanswered.append(event)

    def _tell(self, remark: Remark) -> None:
        if isinstance(remark, Said):
            self._hear(remark, self._tile)
        elif isinstance(remark, WeSaid):
            self._listener.write(_ours(remark, self._tile))
        elif isinstance(remark, Deferred):
            self._defer(remark)

    def _defer(self, remark: Deferred) -> None:
        _log.info("question_deferred")
        if self._introduction.may_keep:
            self._listener.defer(Deferral(self._now(), remark.by, remark.question))

    def _hear(self, said: Said, names: str) -> None:
        if self._listener.hear(said, names=names, keep=self._introduction.may_keep):
            self._opted_out()

    def told_by(self, utterances: Sequence[Utterance], *, tile: str) -> tuple[Utterance, ...]:
        """Answer what an engine tells of what was said, with our own part marked as ours."""
        if not self._introduction.may_keep:
            return ()
        return identified(utterances, (), tile=tile)

    def write_down(self) -> None:
        """See `Listener.write_down`."""
        self._listener.write_down()


def _ours(said: WeSaid, tile: str) -> Utterance:
    source = Source.CHAT if said.in_chat else Source.EARS
    return Utterance("", tile, said.text, said.at, said.until, source, by_us=True)
