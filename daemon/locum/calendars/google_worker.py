"""Where Google's client works: in threads, while the event loop waits only so long.

Google's client blocks and knows no total timeout, so it works in threads, which all accounts
share. A client that overstays is cut off and left behind; the next call gets a new one.
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

_CLIENTS = 4
"""How many of an account's calendars are read at the same time: enough to use its quota up
where each answer takes a third of a second."""

_THREADS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="google")
"""As many as are needed at a time are started: a thousand accounts need no thousand threads."""


class _Hand:
    """A client, and whoever works with it: one thread at a time, not always the same."""

    def __init__(self, account: GoogleAccount, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._client: GoogleClient | None = None

    def call(self, work: Callable[[GoogleClient], _T]) -> _T:
        """Do `work` with the client; to be run in a thread."""
        if self._client is None:
            # Takes a second and 49 MB: paid by whoever reads a calendar, off the loop.
            from locum.calendars.google_client import GoogleClient

            self._client = GoogleClient(self._account, now=self._clock.now)
        return work(self._client)

    def close(self) -> None:
        """Close its connection; to be called while nobody works with it."""
        if self._client is not None:
            self._client.close()

    def abandon(self) -> None:
        """Cut the call in progress off, and let the thread find out."""
        if self._client is not None:
            self._client.abort()


class GoogleWorker:
    """Makes an account's calls, a few at the same time."""

    def __init__(self, account: GoogleAccount, *, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._turn = anyio.Semaphore(_CLIENTS)
        self._free: list[_Hand] = []
        self._at_work: set[_Hand] = set()

    async def call(self, work: Callable[[GoogleClient], _T]) -> _T:
        """Do `work` in a thread as soon as one of the account's clients is free.

        Raises what it raises, and:
            TransientError: It took longer than the account's `read_deadline`.
        """
        deadline = self._account.read_deadline.total_seconds()
        async with self._turn:
            # The one that was used last: what it has open is the freshest.
            hand = self._free.pop() if self._free else _Hand(self._account, self._clock)
            self._at_work.add(hand)
            try:
                with anyio.fail_after(deadline):
                    loop = asyncio.get_running_loop()
                    result = await loop.run_in_executor(_THREADS, hand.call, work)
            except LocumError:
                self._free.append(hand)
                raise
            except TimeoutError as error:
                hand.abandon()
                raise TransientError(
                    f"account {self._account.name}: Google took over {deadline:g} s to answer"
                ) from error
            except BaseException:
                # Cancelled: the thread may sit in its call for minutes.
                hand.abandon()
                raise
            else:
                self._free.append(hand)
                return result
            finally:
                self._at_work.discard(hand)

    def close(self) -> None:
        for hand in self._at_work:
            hand.abandon()
        while self._free:
            self._free.pop().close()
