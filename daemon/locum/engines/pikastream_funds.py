"""What is known of the account's balance, and what a person is told when it is too low.

A balance is asked for once for many joins, and a failure to read one is kept apart from an
empty account: the first passes, the second needs a person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from locum.engines.pikastream_api import PikaStreamApi
from locum.engines.shared_call import SharedCall
from locum.errors import HumanNeededError, PermanentError, TransientError
from locum.ports import Clock

_RECENT = timedelta(seconds=60)
_LINK_KEPT = timedelta(minutes=10)
_READ_TRIES = 3


@dataclass(frozen=True)
class Balance:
    credits: float
    at: datetime


async def topup_hint(checkout_url: Callable[[], Awaitable[str]]) -> str:
    """Say where to pay, with a link if one is given. Raises nothing of ours."""
    try:
        url = await checkout_url()
    except (TransientError, HumanNeededError, PermanentError):
        return "Top up the PikaStream account."
    # The host is named by itself: a link is long, and its host decides who is paid.
    return f"Top up at {urlsplit(url).hostname}: {url}"


class Funds:
    """The balance as last read. `disturb` says that money may move from now on."""

    def __init__(self, api: PikaStreamApi, clock: Clock, *, minimum: float) -> None:
        self._clock = clock
        self._api = api
        self._minimum = minimum
        self._ask = SharedCall(self._ask_now)
        self._ask_link = SharedCall(self._ask_link_now)
        self._last: Balance | None = None
        self._disturbances = 0
        self._disturbances_before_last = 0
        self._link: str | None = None
        self._link_at: datetime | None = None

    async def require_recent(self) -> None:
        """See to it that enough is left, by a balance of the last minute.

        Raises:
            TransientError: It can't be read now.
            HumanNeededError: Too little is left, or the key is bad.
            PermanentError: The service has no such call.
        """
        balance = self._recent_and_enough() or await self._ask()
        if not self._enough(balance):
            raise await self.unfunded(self.shortage(balance))

    async def require_for(self, needed: float) -> None:
        """See to it that so many credits are left, and the least for a join, by asking now.

        Raises:
            TransientError, PermanentError: It can't be told; that isn't "too little".
            HumanNeededError: Too little is left, or the key is bad.
        """
        balance = await self.read()
        if not self._enough(balance):
            raise await self.unfunded(self.shortage(balance))
        if balance.credits < needed:
            raise await self.unfunded(
                f"PikaStream has {balance.credits:,.10g} credits left; what is planned may take"
                f" {needed:,.10g}."
            )

    async def require_unless_unknown(self) -> None:
        """As `require_recent`, but go on if the balance can't be read.

        The join itself says 402 if it must: a balance call that is down is no reason to
        miss a meeting. Only an account last seen empty waits until it is seen filled.
        """
        try:
            await self.require_recent()
        except (TransientError, PermanentError):
            if self._last is not None and not self._enough(self._last):
                raise

    async def read(self) -> Balance:
        """Ask now, more than once if need be.

        Raises:
            TransientError, HumanNeededError, PermanentError: It can't be read.
        """
        for _ in range(_READ_TRIES - 1):
            try:
                return await self._ask()
            except TransientError:
                await self._clock.sleep(timedelta(seconds=1))
        return await self._ask()

    def undisturbed(self) -> Balance | None:
        """Answer the balance that stands if nothing is begun; None if that isn't known.

        After any join of ours the balance may fall on that one's account, and a fall would
        prove nothing about the next.
        """
        return self._last if self._disturbances == self._disturbances_before_last else None

    def disturb(self) -> None:
        self._disturbances += 1

    def shortage(self, balance: Balance) -> str:
        return (
            f"PikaStream has {balance.credits:g} credits left; {self._minimum:g} are the least"
            " for a join."
        )

    async def unfunded(self, message: str) -> HumanNeededError:
        """Write the error for an account that can't pay, with a link to pay if one is given."""
        return HumanNeededError(message, hint=await topup_hint(self._checkout_url))

    async def _checkout_url(self) -> str:
        now = self._clock.now()
        if self._link is None or self._link_at is None or now - self._link_at > _LINK_KEPT:
            return await self._ask_link()
        return self._link

    def _recent_and_enough(self) -> Balance | None:
        """An empty account is asked anew each time: it may have been filled just now."""
        last = self._last
        if last is None or not self._enough(last) or self._clock.now() - last.at > _RECENT:
            return None
        return last

    def _enough(self, balance: Balance) -> bool:
        return balance.credits >= self._minimum

    async def _ask_now(self) -> Balance:
        asked_at, disturbances = self._clock.now(), self._disturbances
        self._last = Balance(await self._api.balance(), asked_at)
        self._disturbances_before_last = disturbances
        return self._last

    async def _ask_link_now(self) -> str:
        self._link = await self._api.checkout_url()
        self._link_at = self._clock.now()
        return self._link
