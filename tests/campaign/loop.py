"""An event loop whose time is a number: hours pass as fast as there is work to do.

Everything runs in one thread and in one order, so a seed tells the whole story. What would
run in a thread runs at once, and time stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import anyio.to_thread
import time_machine
from typing_extensions import Self

MICRO = 1_000_000


class VirtualTime:
    """Three clocks: the loop's, the world's, and what the host believes.

    The loop's stands still while the host is suspended, the world's doesn't; the host's wall
    clock is the world's plus `skew`.
    """

    def __init__(self, base: datetime) -> None:
        self._base = base
        self._suspended = timedelta(0)
        self.skew = timedelta(0)
        self.steady = 0.0
        self._world = base
        self._travel = time_machine.travel(base, tick=False)
        self._coordinates: Any = None

    def __enter__(self) -> Self:
        self._coordinates = self._travel.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._travel.stop()

    def world(self) -> datetime:
        return self._world

    def elapsed(self) -> float:
        """Answer the seconds of the world since the beginning."""
        return (self._world - self._base).total_seconds()

    def advance(self, seconds: float) -> None:
        # Whole microseconds, rounded up: a timer that comes a hair early is set again for ever.
        until = self.steady + seconds
        self.steady = max(until, math.ceil(round(until * MICRO, 3)) / MICRO)
        self._moved()

    def suspend(self, duration: timedelta) -> None:
        self._suspended += duration
        self._moved()

    def set_wrong(self, skew: timedelta) -> None:
        self.skew = skew
        self._moved()

    def _moved(self) -> None:
        steady = timedelta(microseconds=round(self.steady * MICRO))
        self._world = self._base + steady + self._suspended
        # A number rather than a datetime, whose zone would be set each time; and a little more
        # than its microseconds, because they are cut off.
        self._coordinates.move_to((self._world + self.skew).timestamp() + 3e-7)


class DeadlockError(Exception):
    """Nothing is ready, and no timer will ever make it so."""


class _Leaps(selectors.BaseSelector):
    """Waits for nothing but time, which it moves on. There are no sockets in here."""

    def __init__(self, virtual: VirtualTime) -> None:
        self._virtual = virtual
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError("everybody waits for somebody else")
        if timeout > 0:
            self._virtual.advance(timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, 0, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys[fileobj]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs on `VirtualTime`.

    `around_work` is called with the work that was meant for a thread, does it, and answers
    its result and the seconds after which it arrives.
    """

    def __init__(self, virtual: VirtualTime) -> None:
        self._virtual = virtual
        super().__init__(_Leaps(virtual))
        self._clock_resolution = 1e-9
        self.around_work: Callable[[Any, Callable[[], Any]], tuple[Any, float]] = _at_once

    def time(self) -> float:
        return self._virtual.steady

    def _write_to_self(self) -> None:
        """Nobody waits in a system call."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            result, after = self.around_work(executor, lambda: func(*args))
        except BaseException as error:  # noqa: BLE001 - It belongs to whoever waits.
            future.set_exception(error)
            return future
        if after > 0:
            self.call_later(after, _arrive, future, result)
        else:
            future.set_result(result)
        return future


def _at_once(executor: Any, work: Callable[[], Any]) -> tuple[Any, float]:
    return work(), 0.0


def _arrive(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


async def _inline(func: Callable[..., Any], *args: Any, **_: Any) -> Any:
    return func(*args)


@contextlib.contextmanager
def without_threads() -> Iterator[None]:
    """Let anyio's worker threads be no threads; and nobody sleep, as Google's client does."""
    real = anyio.to_thread.run_sync, time.sleep
    anyio.to_thread.run_sync = _inline  # type: ignore[assignment]
    time.sleep = lambda _: None
    try:
        yield
    finally:
        anyio.to_thread.run_sync, time.sleep = real
