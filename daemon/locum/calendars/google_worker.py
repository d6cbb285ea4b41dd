"""Where Google's client works: a thread of its own, and an event loop that waits only so long.

Google's client blocks and knows no total timeout. A thread that overstays is cut off and left
behind; the next call gets a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import anyio

from locum.calendars.google_token import GoogleAccount
from locum.errors import LocumError, TransientError
from locum.ports import Clock

if TYPE_CHECKING:
    from locum.calendars.google_client import GoogleClient

_T = TypeVar("_T")


class _Thread:
    """A thread and the client that lives in it."""

    def __init__(self, account: GoogleAccount, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._client: GoogleClient | None = None
        self.executor = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix=f"google:{account.name}"
        )

    def call(self, work: Callable[[GoogleClient], _T]) -> _T:
        """Do `work` with the client; to be run in the thread."""
        if self._client is None:
            # Takes a second and 49 MB: paid by whoever reads a calendar, off the loop.
            from locum.calendars.google_client import GoogleClient

            self._client = GoogleClient(self._account, now=self._clock.now)
        return work(self._client)

    def abandon(self) -> None:
        """Cut the call in progress off, and let the thread end by itself."""
        if self._client is not None:
            self._client.abort()
        self.executor.shutdown(wait=False, cancel_futures=True)


class GoogleWorker:
    """Does one call after the other as one account; there is no thread before the first."""

    def __init__(self, account: GoogleAccount, *, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._turn = anyio.Lock()
        self._thread: _Thread | None = None

    async def call(self, work: Callable[[GoogleClient], _T]) -> _T:
        """Do `work` in the thread, when those before it are done; raises what it raises.

        Raises:
            TransientError: It took longer than the account's `read_deadline`.
        """
        deadline = self._account.read_deadline.total_seconds()
        async with self._turn:
            if self._thread is None:
                self._thread = _Thread(self._account, self._clock)
            thread = self._thread
            try:
                with anyio.fail_after(deadline):
                    loop = asyncio.get_running_loop()
                    return await loop.run_in_executor(thread.executor, thread.call, work)
            except LocumError:
                raise
            except TimeoutError as error:
                self._abandon(thread)
                raise TransientError(
                    f"account {self._account.name}: Google took over {deadline:g} s to answer"
                ) from error
            except BaseException:
                # Cancelled: the thread may sit in its call for minutes.
                self._abandon(thread)
                raise

    def close(self) -> None:
        if self._thread is not None:
            self._abandon(self._thread)

    def _abandon(self, thread: _Thread) -> None:
        if self._thread is thread:
            self._thread = None
        thread.abandon()
