"""What is written into the room's chat: one text after the other, tried again, told when it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from locum.errors import LocumError, TransientError
from locum.ports import Clock

_log = structlog.get_logger(__name__)

_MOST_WAITING = 32
_LONGEST = 2_000
_TRIES = 3
_PAUSE = timedelta(seconds=2)


class Posts:
    """Texts that wait to be written; more than the room takes are dropped, the newest first."""

    def __init__(
        self,
        post: Callable[[str], Awaitable[None]],
        clock: Clock,
        posted: Callable[[str], None],
    ) -> None:
        self._post = post
        self._clock = clock
        self._posted = posted
        self._waiting: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)

    def put(self, text: str) -> None:
        plain = text.strip()[:_LONGEST]
        if not plain:
            return
        if self._waiting.full():
            _log.warning("post_dropped", waiting=_MOST_WAITING)
            return
        self._waiting.put_nowait(plain)

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            text = await self._waiting.get()
            if await self._try(text):
                self._posted(text)

    async def _try(self, text: str) -> bool:
        for attempt in range(_TRIES):
            try:
                await self._post(text)
            except TransientError as error:
                _log.info("post_failed", attempt=attempt + 1, problem=str(error))
                await self._clock.sleep(min(error.retry_after, _PAUSE))
            except LocumError as error:
                _log.warning("post_impossible", problem=str(error))
                return False
            else:
                return True
        _log.warning("post_given_up", tries=_TRIES)
        return False
