"""Calendars, and the messages that they changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from locum.core.channels import Channel
from locum.core.model import (
    CalendarEvent,
    CalendarReading,
    CalendarRef,
    TimeWindow,
)
from locum.core.secret import Secret
from locum.errors import PermanentError
from locum.ports.checks import Finding


@dataclass(frozen=True)
class Delta:
    """What the delta lane said: whether anything moved, and where to go on.

    `sync_token` None means that the token has expired: read the window and begin anew.
    `requests` is how many it took, for the quota.
    """

    changed: bool
    sync_token: str | None
    requests: int = 1


class CalendarSource(Protocol):
    """One signed-in account and the calendars watched through it.

    Every method may raise:
        TransientError: Busy; `retry_after` says when to ask again. OutOfQuotaError: so is
            every calendar of the account.
        HumanNeededError: The sign-in has ended; `hint` says how to renew it.
        GoneError: The calendar is gone, or not shared any more; so says its owner's side.
        PermanentError: This calendar can't be read, for another reason that won't pass.
    None of these cancels at once what was armed by an earlier reading.
    """

    @property
    def calendars(self) -> tuple[CalendarRef, ...]: ...

    async def read(self, calendar: CalendarRef, window: TimeWindow) -> CalendarReading:
        """Read every event that touches `window`, with all pages, or raise."""
        ...

    async def find(self, calendar: CalendarRef, event_id: str) -> CalendarEvent | None:
        """Ask for one event, wherever it has moved to; None if it can't be had any more."""
        ...

    async def changes(self, calendar: CalendarRef, sync_token: str) -> Delta:
        """Ask cheaply whether anything changed since `sync_token` was given."""
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try the credentials and each calendar, changing nothing. Raises nothing."""
        ...

    async def aclose(self) -> None: ...


class ChannelExistsError(PermanentError):
    """A channel of that id is open already: an earlier answer was lost."""


@dataclass(frozen=True)
class OpenedChannel:
    """What the server answered: its name for the calendar, and when the channel ends."""

    resource_id: str
    expires_at: datetime


class ChannelSource(Protocol):
    """One signed-in account whose server can tell of changes, for those that can.

    Both methods may raise:
        TransientError: Busy, out of quota or unreachable; it may have been done.
        HumanNeededError: The sign-in has ended, or the address isn't taken.
        PermanentError: Surely not done, and never will be.
    """

    @property
    def account(self) -> str: ...

    async def open_channel(self, channel: Channel, token: Secret) -> OpenedChannel:
        """Let messages about `channel.calendar` be sent to its address, each with `token`.

        Not idempotent: an id opens once.

        Raises:
            ChannelExistsError: It is open already; nobody can say what its name is.
        """
        ...

    async def stop_channel(self, channel: Channel) -> None:
        """Let no more messages be sent; `channel` has a `resource_id`.

        Raises:
            PermanentError: There is no such channel (any more).
        """
        ...

    async def aclose(self) -> None: ...
