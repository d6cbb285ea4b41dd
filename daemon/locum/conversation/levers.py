"""Something of the body that is to be so or so: quiet, attentive, with its hand up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from locum.errors import LocumError
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)


class Lever:
    """Brings one thing to where it is wanted; only the newest wish counts, so none piles up."""

    def __init__(
        self, name: str, pull: Callable[[bool], Awaitable[None]], tasks: Tasks
    ) -> None:
        self._name = name
        self._pull = pull
        self._tasks = tasks
        self._wanted = False
        self._is = False
        self._moving = False
        self._moves = 0

    @property
    def wanted(self) -> bool:
        return self._wanted

    def put(self, *, wanted: bool) -> None:
        self._wanted = wanted
        if self._is is not wanted and not self._moving:
            self._moving = True
            self._moves += 1
            self._tasks.start((self._name, self._moves), self._move())

    async def _move(self) -> None:
        try:
            while self._is is not self._wanted:
                self._is = self._wanted
                try:
                    await self._pull(self._is)
                except LocumError as error:
                    # It is a gesture: the conversation goes on without it.
                    _log.info("gesture_failed", gesture=self._name, problem=str(error))
        finally:
            self._moving = False
