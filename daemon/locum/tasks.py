"""Supervised tasks: none is started and forgotten, none fails unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Hashable
from typing import Any

import structlog

_log = structlog.get_logger(__name__)


class Tasks:
    """Running tasks by name, at most one a name.

    A task's outermost frame is here: what it raises is logged with its name, and
    `on_end` is called whether it raised or not.
    """

    def __init__(self, *, on_end: Callable[[Hashable], None] | None = None) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._on_end = on_end

    def start(self, name: Hashable, work: Coroutine[Any, Any, None]) -> bool:
        """Run `work`; False, and it is dropped, if a task of that name is running."""
        if name in self._tasks:
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(work, name=str(name))
        self._tasks[name] = task
        task.add_done_callback(lambda ended: self._ended(name, ended))
        return True

    def __contains__(self, name: Hashable) -> bool:
        return name in self._tasks

    def names(self) -> frozenset[Hashable]:
        return frozenset(self._tasks)

    def _ended(self, name: Hashable, task: asyncio.Task[None]) -> None:
        del self._tasks[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_crashed", task=str(name), exc_info=error)
        if self._on_end is not None:
            self._on_end(name)

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for all that runs; False if some still run after `seconds` of the host's."""
        if not self._tasks:
            return True
        _, pending = await asyncio.wait(tuple(self._tasks.values()), timeout=seconds)
        return not pending

    def drop(self, name: Hashable) -> None:
        """Let one end, if it runs, without waiting for it; its name is free once it has."""
        if (task := self._tasks.get(name)) is not None:
            task.cancel()

    async def cancel(self, names: Collection[Hashable] | None = None) -> None:
        """End all that runs, or what is named of it, and wait until it has."""
        chosen = self._tasks.keys() if names is None else self._tasks.keys() & names
        tasks = tuple(self._tasks[name] for name in chosen)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
