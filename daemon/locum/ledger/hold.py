"""What may not be joined or left after a restore, until the ledger agrees with the world again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from locum.core.model import BY_HAND, CalendarRef, Meeting, Phase, SessionRecord, Stay
from locum.ledger.calendars import CalendarState
from locum.ledger.database import Database

_LONGEST = timedelta(hours=24)
"""How long a session that nobody knows of may go on at most: engines end them before."""


@dataclass(frozen=True)
class Hold:
    """What may not be joined after a recovery at `since`, and until when."""

    since: datetime
    sessions_known: bool

    @classmethod
    def of(cls, database: Database) -> Hold | None:
        """Answer the hold that is in force, None if the ledger agrees with the world."""
        since = database.recovered_at
        if since is None:
            return None
        return cls(since, sessions_known=database.meta("sessions_known") == "yes")

    def reason(
        self,
        stay: Stay,
        calendars: Mapping[CalendarRef, CalendarState],
        records: Collection[SessionRecord],
        *,
        used_before: Collection[str] = (),
    ) -> str | None:
        """Answer why this stay mustn't be joined now, None if it may be.

        One that had begun before the recovery may be attended already, by a session that was
        lost with its record, and that nobody made leave since: unless all sessions are known,
        it isn't joined, nor is a later one in its room. `used_before` names the rooms of
        meetings that began before the recovery.
        """
        unread = self._unread(stay.meetings, calendars)
        if unread is not None:
            return f"the calendar {unread} wasn't read since the ledger was restored"
        if any(True for _ in self.unsettled(records)):
            return "what the ledger says of an earlier session isn't proved yet"
        early = stay.join_at < self.since or stay.room.id in used_before
        if early and not self.sessions_known:
            return "a session whose record was lost may be in the room already"
        return None

    def keeps(
        self,
        record: SessionRecord,
        calendars: Mapping[CalendarRef, CalendarState],
        now: datetime,
    ) -> bool:
        """Whether an open session goes on as its record says, whatever the events say.

        They are the backup's, and older: its meeting may not even be among them.
        """
        return now < record.leave_by and self._unread(record.meetings, calendars) is not None

    def _unread(
        self, meetings: Collection[Meeting], calendars: Mapping[CalendarRef, CalendarState]
    ) -> CalendarRef | None:
        """Answer a calendar of these meetings that wasn't read since, None if all were."""
        shown_on = {meeting.calendar for meeting in meetings} - {None, BY_HAND}
        for calendar in sorted(each for each in shown_on if each is not None):
            state = calendars.get(calendar)
            if state is None or state.read_at is None or state.read_at < self.since:
                return calendar
        return None

    def is_over(
        self,
        calendars: Collection[CalendarState | None],
        records: Collection[SessionRecord],
        now: datetime,
    ) -> bool:
        """Whether nothing needs to be held back any more: then call `Database.reconciled`.

        `calendars` are the states of all that are watched.
        """
        read = all(
            state is not None and state.read_at is not None and state.read_at >= self.since
            for state in calendars
        )
        settled = not any(True for _ in self.unsettled(records))
        return read and settled and (self.sessions_known or now >= self.since + _LONGEST)

    def unsettled(self, records: Collection[SessionRecord]) -> Iterator[SessionRecord]:
        """List the sessions of before that may be running, or may not, without a name."""
        for record in records:
            unnamed = record.phase in {Phase.JOINING, Phase.AMBIGUOUS} and not record.retry_at
            if unnamed and record.claimed_at < self.since:
                yield record
