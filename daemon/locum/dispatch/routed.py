"""Sends each session where it belongs: what weighs gets a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta

from locum.core.model import EndReason, SessionKey
from locum.ports import Dispatcher


class Routed:
    """One dispatcher of two; `weighs` answers which of them a session starts in.

    Raises:
        LocumError: From `start`, where `weighs` can't tell now.
    """

    def __init__(
        self, light: Dispatcher, heavy: Dispatcher, *, weighs: Callable[[SessionKey], bool]
    ) -> None:
        self._light = light
        self._heavy = heavy
        self._weighs = weighs

    def start(self, key: SessionKey, *, claimed_now: bool) -> None:
        # By what runs, first: a reload may have changed what an engine is.
        if key in self.running():
            return
        where = self._heavy if self._weighs(key) else self._light
        where.start(key, claimed_now=claimed_now)

    def stop(self, key: SessionKey, reason: EndReason) -> None:
        self._light.stop(key, reason)
        self._heavy.stop(key, reason)

    def running(self) -> frozenset[SessionKey]:
        return self._light.running() | self._heavy.running()

    async def hand_over(self, keys: Collection[SessionKey]) -> None:
        await asyncio.gather(self._light.hand_over(keys), self._heavy.hand_over(keys))

    async def drain(self, within: timedelta) -> None:
        await asyncio.gather(self._light.drain(within), self._heavy.drain(within))
