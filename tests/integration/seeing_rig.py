"""PikaStream with eyes: its sessions, and who is in the stage's room.

No shipped engine sees yet. This one joins and leaves through the real one at the stage; who is
there comes from the same room that the stand-in stands in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

from locum.core.model import SessionHandle
from locum.ports import (
    EngineTraits,
    JoinRequest,
    MeetingSession,
    Roster,
    SessionEvent,
)
from tests.integration.hearing_rig import HearingEngine, HearingSession

_LOOK_EVERY = timedelta(seconds=0.5)


class SeeingSession(HearingSession):
    def __init__(self, session: MeetingSession, engine: SeeingEngine) -> None:
        super().__init__(session, engine)
        self._eyes = engine

    async def _listen(self, queue: asyncio.Queue[SessionEvent | None]) -> None:
        seen = None
        while True:
            others = self._eyes.others_with(self.handle)
            if others is not None and others != seen:
                seen = others
                await queue.put(Roster(self._eyes.stage.now(), others))
            await self._eyes.sleep(_LOOK_EVERY)


@dataclass
class SeeingEngine(HearingEngine):
    """The real engine, and what this stage adds. It forgets its sessions at a restart if told."""

    forgets: bool = False

    @property
    def traits(self) -> EngineTraits:
        return replace(self.real.traits, sees_roster=True, survives_restart=not self.forgets)

    async def join(self, request: JoinRequest) -> MeetingSession:
        return SeeingSession(await self.real.join(request), self)

    async def reattach(self, handle: SessionHandle) -> MeetingSession | None:
        found = await self.real.reattach(handle)
        if found is not None and self.forgets:
            await found.leave()
            return None
        return None if found is None else SeeingSession(found, self)

    def others_with(self, handle: SessionHandle) -> int | None:
        """Count the others in this session's room; None unless it is in."""
        visit = self.stage._sessions[str(handle)].visit
        if visit is None or not self.stage.rooms.visit(visit).present:
            return None
        room = self.stage.rooms.visit(visit).room
        return len(self.stage.rooms.present(room)) - 1
