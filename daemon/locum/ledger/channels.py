"""The push channels that we asked for, so that a restart neither doubles nor leaks them.

A row is there before its request is sent: a message may overtake the answer, and what was
asked for by a process that died must be known to the next one. The token itself is never
kept, only what it is compared by.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

from locum.core.channels import Channel, ChannelState
from locum.core.model import CalendarRef
from locum.database import read_instant, read_optional_instant, write_instant
from locum.ledger.database import Database


class ChannelBook:
    def __init__(self, database: Database) -> None:
        self._db = database

    def all(self) -> tuple[Channel, ...]:
        """Answer every channel, the oldest first."""
        return tuple(
            Channel(
                id=row["id"],
                calendar=CalendarRef(row["account"], row["calendar_id"]),
                address=row["address"],
                state=ChannelState(row["state"]),
                asked_at=read_instant(row["asked_at"]),
                expires_at=read_instant(row["expires_at"]),
                resource_id=row["resource_id"],
                heard_at=read_optional_instant(row["heard_at"]),
            )
            for row in self._db.rows("SELECT * FROM channels ORDER BY asked_at, id")
        )

    def matches(self, channel_id: str, token: str) -> bool:
        """Whether `token` is that channel's; takes as long for a channel that isn't there."""
        row = self._db.row("SELECT token_hash FROM channels WHERE id = ?", (channel_id,))
        kept = _hashed("") if row is None else str(row["token_hash"])
        return hmac.compare_digest(kept, _hashed(token)) and row is not None

    def note_asked(self, channel: Channel, token: str) -> None:
        """Write that a channel is about to be asked for, perhaps again with another token."""
        with self._db.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO channels (id, account, calendar_id, address, token_hash, "
                "state, asked_at, expires_at, resource_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    channel.id,
                    channel.calendar.account,
                    channel.calendar.calendar_id,
                    channel.address,
                    _hashed(token),
                    ChannelState.ASKED.value,
                    write_instant(channel.asked_at),
                    write_instant(channel.expires_at),
                    channel.resource_id,
                ),
            )

    def note_opened(self, channel: Channel, *, resource_id: str, expires_at: datetime) -> None:
        """Write what the server answered, and that its name for the calendar is known now."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE channels SET state = ?, expires_at = ? WHERE id = ?",
                (ChannelState.OPEN.value, write_instant(expires_at), channel.id),
            )
            self._db.execute(
                "UPDATE channels SET resource_id = ? WHERE account = ? AND calendar_id = ? "
                "AND (id = ? OR resource_id IS NULL)",
                (
                    resource_id,
                    channel.calendar.account,
                    channel.calendar.calendar_id,
                    channel.id,
                ),
            )

    def note_lost(self, channel: Channel) -> None:
        """Write that it is open although nobody was told so."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE channels SET state = ? WHERE id = ?",
                (ChannelState.LOST.value, channel.id),
            )

    def note_heard(self, channel_id: str, *, at: datetime) -> None:
        """Write that its first message came; told again after a power cut, if need be."""
        with self._db.transaction(durable=False):
            self._db.execute(
                "UPDATE channels SET heard_at = coalesce(heard_at, ?) WHERE id = ?",
                (write_instant(at), channel_id),
            )

    def doubt_all(self) -> None:
        """Take no channel for open: this ledger is older than what became of them."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE channels SET state = ?, heard_at = NULL WHERE state = ?",
                (ChannelState.LOST.value, ChannelState.OPEN.value),
            )

    def forget(self, channel: Channel) -> None:
        with self._db.transaction():
            self._db.execute("DELETE FROM channels WHERE id = ?", (channel.id,))


def _hashed(token: str) -> str:
    # A token has 256 random bits: nothing is gained by a slow hash.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
