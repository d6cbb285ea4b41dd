"""PikaStream with ears and a hand at the chat: its sessions, and what the stage's room says.

No shipped engine hears yet. This one joins and leaves through the real one at the stage; what
people there say comes from the same room that the stand-in stands in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from locum.core.model import SessionHandle
from locum.engines.pikastream import PikaStreamEngine
from locum.errors import TransientError
from locum.ports import (
    EngineTraits,
    JoinRequest,
    MeetingSession,
    Remains,
    Said,
    SessionEvent,
)
from locum.rehearsal.pikastate import PikaStage
from locum.rehearsal.rooms import Utterance

_LISTEN_EVERY = timedelta(seconds=0.2)


class HearingSession:
    def __init__(self, session: MeetingSession, engine: HearingEngine) -> None:
        self._session = session
        self._engine = engine

    @property
    def handle(self) -> SessionHandle:
        return self._session.handle

    async def events(self) -> AsyncIterator[SessionEvent]:
        queue: asyncio.Queue[SessionEvent | None] = asyncio.Queue()
        tasks = [
            asyncio.ensure_future(each) for each in (self._follow(queue), self._listen(queue))
        ]
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, queue: asyncio.Queue[SessionEvent | None]) -> None:
        async for event in self._session.events():
            await queue.put(event)
        await queue.put(None)

    async def _listen(self, queue: asyncio.Queue[SessionEvent | None]) -> None:
        heard = 0
        while True:
            said = self._engine.heard_by(self.handle)
            for each in said[heard:]:
                await queue.put(Said(each.at, each.speaker, each.text))
            heard = len(said)
            await self._engine.sleep(_LISTEN_EVERY)

    async def post(self, text: str) -> None:
        if self._engine.chat_fails > 0:
            self._engine.chat_fails -= 1
            raise TransientError("the chat isn't there yet")
        self._engine.posted.append(text)

    async def leave(self) -> Remains:
        return await self._session.leave()


@dataclass
class HearingEngine:
    """The real engine, and what this stage adds; `chat_fails` posts go wrong first."""

    real: PikaStreamEngine
    stage: PikaStage
    sleep: Any
    posted: list[str] = field(default_factory=list)
    chat_fails: int = 0

    @property
    def traits(self) -> EngineTraits:
        return replace(self.real.traits, can_chat=True)

    async def join(self, request: JoinRequest) -> MeetingSession:
        return HearingSession(await self.real.join(request), self)

    async def reattach(self, handle: SessionHandle) -> MeetingSession | None:
        found = await self.real.reattach(handle)
        return None if found is None else HearingSession(found, self)

    def heard_by(self, handle: SessionHandle) -> tuple[Utterance, ...]:
        """Answer what people said in the room while this session was in it."""
        visit = self.stage._sessions[str(handle)].visit
        return () if visit is None else self.stage.rooms.heard_in(visit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)
