"""What an attendance is given: what all of them share, and the word to leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from locum.core.model import EndReason, Meeting
from locum.core.policy import Policy
from locum.ledger import Ledger
from locum.participating import Converse
from locum.persona import PersonaCard, Wardrobe
from locum.ports import Clock, PresenceEngine, Voice


class StopSignal:
    """Asks an attendance to leave; the first reason given counts."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.reason = EndReason.UNWANTED

    def ask(self, reason: EndReason) -> None:
        if not self._asked.is_set():
            self.reason = reason
            self._asked.set()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    async def wait(self) -> None:
        await self._asked.wait()


class Figures(Protocol):
    """What is counted of attendances; see `locum.metrics.Metrics`."""

    def join_finished(
        self, *, engine: str, outcome: str, late_by: timedelta | None = None
    ) -> None: ...

    def money_spent(self, *, engine: str, usd: float) -> None: ...


@dataclass(frozen=True)
class Company:
    """Everything that attendances share: who can go, by what means, under which policy."""

    ledger: Ledger
    clock: Clock
    metrics: Figures
    engines: Mapping[str, PresenceEngine]
    personas: Mapping[str, PersonaCard]
    policy: Policy
    wardrobe: Wardrobe = field(default_factory=Wardrobe)
    brief: Callable[[Meeting], Awaitable[str]] | None = None
    """Answers what may be known in a meeting; raises nothing."""
    voices: Mapping[str, Voice] = field(default_factory=dict)
    """With what voice a persona speaks, by engine; one that converses by itself has its own."""
    converse: Converse | None = None
    """Opens a conversation, where the engine doesn't converse by itself."""
    on_change: Callable[[], None] = lambda: None
    """Called when a session has moved on in the ledger, for whoever decides elsewhere."""
    lost_because: str = ""
    """Why a session is over that is taken up again, where that is known."""
