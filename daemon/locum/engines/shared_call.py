"""One call in flight serves everybody who asks while it runs: 200 joins read one balance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from locum.errors import LocumError

Result = TypeVar("Result")


class SharedCall(Generic[Result]):
    """Shares a call's result, or its failure, among those who wait for it; keeps neither.

    Whoever asked first makes the call in their own task. Should they be cancelled, the next
    one waiting makes it anew, so nobody's cancellation is another's failure.
    """

    def __init__(self, call: Callable[[], Awaitable[Result]]) -> None:
        self._call = call
        self._turn = anyio.Lock()
        self._finished_calls = 0
        self._outcome: Result | LocumError | None = None

    async def __call__(self) -> Result:
        seen = self._finished_calls
        async with self._turn:
            if self._finished_calls == seen:
                await self._run()
            outcome = self._outcome
        if isinstance(outcome, LocumError):
            raise outcome.with_traceback(None)
        return outcome  # type: ignore[return-value]  # Set by _run, whatever Result is.

    async def _run(self) -> None:
        try:
            self._outcome = await self._call()
        except LocumError as error:
            self._outcome = error
        self._finished_calls += 1
