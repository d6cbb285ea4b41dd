"""A heavy engine, where it doesn't run: what settles what a dead child of the daemon left."""

from __future__ import annotations

from typing import Any

from locum.core.model import SessionHandle
from locum.errors import TransientError
from locum.ports import EngineTraits, JoinRequest, LostJoin, MeetingSession


class Gone:
    """A heavy engine seen from where it doesn't run: of what it had begun, nothing is left.

    With it, an attendance settles in the ledger what a child left that has died.
    """

    def __init__(self, traits: EngineTraits) -> None:
        self.traits = traits

    async def prepare(self) -> None: ...

    async def afford(self, dollars: float) -> None: ...

    async def join(self, request: JoinRequest) -> MeetingSession:
        del request
        raise TransientError("Nothing is joined where a lost session is settled.")

    async def settle_lost_join(self, *, others_running: int) -> LostJoin:
        del others_running
        return LostJoin.NEVER_RAN

    async def reattach(self, handle: SessionHandle) -> MeetingSession | None:
        del handle
        return None

    async def check(self) -> tuple[Any, ...]:
        return ()

    async def aclose(self) -> None: ...
