"""The ledger's channels, held in memory as well: every poll asks about them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from locum.core.channels import Channel, ChannelState
from locum.core.model import CalendarRef
from locum.core.secret import Secret
from locum.ledger import ChannelBook


class KnownChannels:
    """Every change goes to the ledger first; nobody else writes there."""

    def __init__(self, book: ChannelBook) -> None:
        self._book = book
        self._load()

    def _load(self) -> None:
        self._by_id: dict[str, Channel] = {}
        self._by_calendar: dict[CalendarRef, dict[str, Channel]] = {}
        for channel in self._book.all():
            self._put(channel)

    def _put(self, channel: Channel) -> None:
        self._by_id[channel.id] = channel
        self._by_calendar.setdefault(channel.calendar, {})[channel.id] = channel

    def all(self) -> Collection[Channel]:
        return tuple(self._by_id.values())

    def of(self, calendar: CalendarRef) -> Collection[Channel]:
        return tuple(self._by_calendar.get(calendar, {}).values())

    def get(self, channel_id: str) -> Channel | None:
        return self._by_id.get(channel_id)

    def asked(self, channel: Channel, token: Secret) -> None:
        """Note one that is about to be asked for, perhaps again and with another token."""
        self._book.note_asked(channel, token.reveal())
        self._put(channel)

    def opened(self, channel: Channel, resource_id: str, expires_at: datetime) -> None:
        """Note what the server answered, and its name for the calendar with all channels."""
        self._book.note_opened(channel, resource_id=resource_id, expires_at=expires_at)
        # Its first message may have come before the answer.
        now_known = self._by_id.get(channel.id, channel)
        self._put(
            replace(
                now_known,
                state=ChannelState.OPEN,
                resource_id=resource_id,
                expires_at=expires_at,
            )
        )
        for other in self.of(channel.calendar):
            if other.resource_id is None:
                self._put(replace(other, resource_id=resource_id))

    def lost(self, channel: Channel) -> None:
        self._book.note_lost(channel)
        self._put(replace(self._by_id.get(channel.id, channel), state=ChannelState.LOST))

    def heard(self, channel: Channel, *, at: datetime) -> None:
        self._book.note_heard(channel.id, at=at)
        self._put(replace(channel, heard_at=at))

    def forget(self, channel: Channel) -> None:
        self._book.forget(channel)
        self._by_id.pop(channel.id, None)
        self._by_calendar.get(channel.calendar, {}).pop(channel.id, None)

    def doubt_all(self) -> None:
        """Take none for open: the ledger was restored, and is older than what became of them."""
        self._book.doubt_all()
        self._load()
