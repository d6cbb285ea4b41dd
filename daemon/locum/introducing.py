"""Says who is in the room, in the chat and aloud; until it has, nothing of what is said is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from locum.errors import LocumError
from locum.persona import PersonaCard, greeting, introduction
from locum.ports import Embodied, MeetingSession, Voice

_log = structlog.get_logger(__name__)

Patiently = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
"""Calls until it is answered, over errors that pass."""


@dataclass
class Introduction:
    """One session's. `can_chat` is the engine's trait, `voice` what it speaks with, if it can.

    An engine that can do neither converses by itself: its name and its prompt do it there.
    """

    can_chat: bool
    voice: Voice | None
    _done: bool = False

    @property
    def may_keep(self) -> bool:
        """Whether the others know by now who is listening."""
        return self._done or not (self.can_chat or self.voice is not None)

    async def make(
        self, session: MeetingSession, card: PersonaCard, patiently: Patiently, *, aloud: bool
    ) -> None:
        """Write it, and say it `aloud` where the session has a body. Raises nothing."""
        ways = []
        if self.can_chat:
            ways.append(self._write(session, introduction(card), patiently))
        if aloud and self.voice is not None and isinstance(session, Embodied):
            ways.append(self._greet(session, self.voice, greeting(card)))
        await asyncio.gather(*ways)

    async def _write(self, session: MeetingSession, text: str, patiently: Patiently) -> None:
        try:
            await patiently(lambda: session.post(text))
        except LocumError as error:
            _log.error("introduction_failed", problem=str(error))
        else:
            self._done = True
            _log.info("introduced", text=text)

    async def _greet(self, body: Embodied, voice: Voice, text: str) -> None:
        try:
            heard = await body.say(voice.speak(text))
        except LocumError as error:
            _log.error("greeting_failed", problem=str(error))
        else:
            self._done = self._done or bool(heard)
            _log.info("greeted", heard_s=round(heard.total_seconds(), 1))
