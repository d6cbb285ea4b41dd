"""Push channels: which to open, which to stop. Decided from what is, at any time anew.

A channel is what a calendar's server sends its messages on. It ends by itself, can't be
prolonged, and can be stopped only by a name that the server gives it when it is opened. So
the next one is opened well before an end, and the old one stopped once the new one is heard.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from locum.core.model import CalendarRef

_LONGEST_MARGIN = timedelta(days=1)


class ChannelState(enum.Enum):
    ASKED = "asked"  #: Asked for; whether it was opened isn't known (yet, or any more).
    LOST = "lost"  #: It is open, but the answer with its name was lost.
    OPEN = "open"


@dataclass(frozen=True)
class Channel:
    """One channel, as the ledger knows it.

    `resource_id` is the server's name for what is watched: the same for all channels on one
    calendar, so that a later channel's answer tells an earlier one's. `heard_at` is when its
    first message came: until then nothing proves that any can.
    """

    id: str
    calendar: CalendarRef
    address: str
    state: ChannelState
    asked_at: datetime
    expires_at: datetime
    resource_id: str | None = None
    heard_at: datetime | None = None

    @property
    def renew_at(self) -> datetime:
        """When its successor is due: with a quarter of its life left, but a day at most."""
        return self.expires_at - min((self.expires_at - self.asked_at) / 4, _LONGEST_MARGIN)


@dataclass(frozen=True)
class OpenChannel:
    """Open one for `calendar`. `again`: ask for that one once more, it was hardly opened."""

    calendar: CalendarRef
    again: Channel | None = None


@dataclass(frozen=True)
class StopChannel:
    channel: Channel


@dataclass(frozen=True)
class ForgetChannel:
    """It is over: nothing is left to be done about it."""

    channel: Channel


ChannelAction = OpenChannel | StopChannel | ForgetChannel


def serving(
    channels: Collection[Channel], address: str | None, now: datetime
) -> tuple[Channel, ...]:
    """Answer those of one calendar's channels that its messages come on, the newest first."""
    candidates = [
        channel
        for channel in channels
        if channel.address == address
        and channel.state is ChannelState.OPEN
        and channel.expires_at > now
    ]
    return tuple(sorted(candidates, key=lambda each: each.asked_at, reverse=True))


def tend(
    channels: Collection[Channel],
    wanted: Collection[CalendarRef],
    address: str | None,
    now: datetime,
) -> tuple[ChannelAction, ...]:
    """Answer what moves `channels` towards one for each of `wanted`, heard at `address`.

    Without an address none is wanted.
    """
    by_calendar: dict[CalendarRef, list[Channel]] = {calendar: [] for calendar in wanted}
    for channel in channels:
        by_calendar.setdefault(channel.calendar, []).append(channel)
    return tuple(
        action
        for calendar, theirs in sorted(by_calendar.items(), key=lambda item: item[0])
        for action in _tend_one(calendar, theirs, address if calendar in wanted else None, now)
    )


def _tend_one(
    calendar: CalendarRef, channels: Collection[Channel], address: str | None, now: datetime
) -> Iterator[ChannelAction]:
    alive = [channel for channel in channels if channel.expires_at > now]
    yield from (ForgetChannel(channel) for channel in channels if channel.expires_at <= now)
    current = next(iter(serving(alive, address, now)), None)
    kept = {current}
    if address is not None and (current is None or current.renew_at <= now):
        asked = (each for each in alive if each.state is ChannelState.ASKED)
        again = next((each for each in asked if each.address == address), None)
        kept.add(again)
        yield OpenChannel(calendar, again)
    if address is not None and current is None:
        return  # What there is may still be of use until its successor stands.
    if current is not None and current.heard_at is None:
        # Nothing proves the new one yet: the one that is proved stays beside it.
        kept.update(each for each in serving(alive, address, now) if each.heard_at is not None)
    for channel in alive:
        # Without its name it can't be stopped: it ends by itself.
        if channel not in kept and channel.resource_id is not None:
            yield StopChannel(channel)
