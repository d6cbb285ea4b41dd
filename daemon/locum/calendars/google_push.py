"""Opens and stops Google's push channels: what Google calls watching a calendar.

Works in a thread of its own, beside the one that reads: a request that hangs keeps no
calendar from being read. Follows "Get push notifications" of Google's public guide and the
reference of `events.watch` and `channels.stop`.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from locum.calendars.google_token import GoogleAccount
from locum.calendars.google_worker import GoogleWorker
from locum.core.channels import Channel
from locum.core.secret import Secret
from locum.errors import TransientError
from locum.ports import Clock, OpenedChannel

_SLACK = timedelta(days=1)
"""How far beyond our wish an end is believed: our clocks may differ."""

_LONGEST_NAME = 1024


class GooglePush:
    """One Google sign-in, as a `ChannelSource`. Costs nothing until it is used."""

    def __init__(self, account: GoogleAccount, *, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._worker = GoogleWorker(account, clock=clock)

    @property
    def account(self) -> str:
        return self._account.name

    async def open_channel(self, channel: Channel, token: Secret) -> OpenedChannel:
        """Ask Google to send messages. See `ChannelSource`."""
        lifetime = channel.expires_at - channel.asked_at
        body = {
            "id": channel.id,
            "type": "web_hook",
            "address": channel.address,
            "token": token.reveal(),
            "params": {"ttl": str(round(lifetime.total_seconds()))},
        }
        calendar = channel.calendar
        answer = await self._worker.call(
            lambda client: client.execute(
                calendar,
                lambda api: api.events().watch(calendarId=calendar.calendar_id, body=body),
            )
        )
        return _opened(answer, channel, self._clock.now())

    async def stop_channel(self, channel: Channel) -> None:
        """Ask Google to send no more. See `ChannelSource`."""
        body = {"id": channel.id, "resourceId": channel.resource_id}
        await self._worker.call(
            lambda client: client.execute(
                channel.calendar, lambda api: api.channels().stop(body=body)
            )
        )

    async def aclose(self) -> None:
        self._worker.close()


def _opened(answer: Any, channel: Channel, now: datetime) -> OpenedChannel:
    """Read the resource that Google answers with.

    Raises:
        TransientError: It makes no sense: whether the channel is open isn't known.
    """
    found = answer if isinstance(answer, dict) else {}
    resource_id = found.get("resourceId")
    if (
        found.get("id") != channel.id
        or not isinstance(resource_id, str)
        or not 0 < len(resource_id) <= _LONGEST_NAME
    ):
        raise TransientError(f"calendar {channel.calendar}: Google's answer names no channel")
    expires_at = _instant(found.get("expiration", channel.expires_at))
    if expires_at is None or not now < expires_at:
        raise TransientError(
            f"calendar {channel.calendar}: Google's channel has no end that makes sense"
        )
    return OpenedChannel(resource_id, min(expires_at, channel.expires_at + _SLACK))


def _instant(milliseconds: object) -> datetime | None:
    """Read a Unix time in milliseconds, a text or a number; as an instant it stays."""
    if isinstance(milliseconds, datetime):
        return milliseconds
    try:
        seconds = int(str(milliseconds)[:20]) / 1000
        return datetime.fromtimestamp(seconds, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
