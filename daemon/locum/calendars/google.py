"""Reads Google calendars: the one `CalendarSource` there is so far.

Decides nothing: what to attend is the core's affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from locum.calendars.google_auth import status
from locum.calendars.google_token import GoogleAccount, can_read_events
from locum.calendars.google_worker import GoogleWorker
from locum.core.model import (
    CalendarAccess,
    CalendarEvent,
    CalendarReading,
    CalendarRef,
    TimeWindow,
)
from locum.errors import HumanNeededError, PermanentError, TransientError
from locum.ports import Clock, Delta, Finding, Health

_PROBED = timedelta(days=1)


class GoogleCalendarSource:
    """One Google sign-in and its calendars. See `CalendarSource` for what it promises.

    Never gives a sync token with a reading: Google has none for a listing by start. The
    delta lane begins with `changes(calendar, "")`, which answers where "now" is.
    """

    def __init__(self, account: GoogleAccount, *, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._calendars = tuple(
            CalendarRef(account.name, each) for each in dict.fromkeys(account.calendars)
        )
        self._worker = GoogleWorker(account, clock=clock)

    @property
    def calendars(self) -> tuple[CalendarRef, ...]:
        return self._calendars

    async def read(self, calendar: CalendarRef, window: TimeWindow) -> CalendarReading:
        """Read every event that touches `window`, with all pages, or raise.

        Raises:
            TransientError: Busy, out of quota, unreachable, or an answer that makes no
                sense; `retry_after` says when to ask again.
            HumanNeededError: The sign-in has ended; `hint` says how to renew it.
            GoneError: The calendar is gone, or not shared any more.
            PermanentError: This calendar can't be read.
        """
        fetched_at = self._clock.now()
        listing = await self._worker.call(lambda client: client.list_window(calendar, window))
        return CalendarReading(
            calendar=calendar,
            fetched_at=fetched_at,
            window=window,
            events=tuple(listing.collected.events.values()),
            removed_ids=tuple(listing.collected.removed),
            malformed=tuple(listing.collected.malformed.values()),
            access=listing.access,
            requests=listing.requests,
        )

    async def find(self, calendar: CalendarRef, event_id: str) -> CalendarEvent | None:
        """Ask for one event by its id, wherever it has moved to; None if there is none.

        Raises as `read` does.
        """
        return await self._worker.call(lambda client: client.find(calendar, event_id))

    async def changes(self, calendar: CalendarRef, sync_token: str) -> Delta:
        """Ask cheaply whether anything changed since `sync_token` was given.

        With an empty token nothing counts as changed, and the first token is answered.
        Raises as `read` does.
        """
        return await self._worker.call(lambda client: client.list_changes(calendar, sync_token))

    async def check(self) -> tuple[Finding, ...]:
        """Try the sign-in and each calendar, changing nothing. Raises nothing."""
        # First, since trying a calendar may renew the sign-in's file.
        sign_in = tuple(self._check_sign_in())
        calendars = [await self._check_calendar(each) for each in self._calendars]
        return (*sign_in, *calendars)

    async def aclose(self) -> None:
        self._worker.close()

    # ── self-checks ──────────────────────────────────────────────────────────────────────

    def _check_sign_in(self) -> Iterator[Finding]:
        subject = f"Google account {self._account.name}"
        try:
            token = status(self._account, now=self._clock.now)
        except HumanNeededError as error:
            yield Finding(subject, Health.BROKEN, error.args[0], error.hint)
            return
        for warning in token.warnings:
            yield Finding(subject, Health.WARNING, warning, self._account.login_hint)
        if token.scopes and not can_read_events(token.scopes):
            yield Finding(
                subject,
                Health.BROKEN,
                f"the sign-in doesn't cover reading calendars (only {' '.join(token.scopes)})",
                f"{self._account.login_hint} Leave the calendar permission ticked.",
            )
        else:
            yield Finding(subject, Health.OK, token.summary)

    async def _check_calendar(self, calendar: CalendarRef) -> Finding:
        subject = f"calendar {calendar}"
        now = self._clock.now()
        window = TimeWindow(now, now + _PROBED)
        try:
            access = await self._worker.call(lambda client: client.probe(calendar, window))
        except TransientError as error:
            return Finding(subject, Health.WARNING, str(error), "Try again in a minute.")
        except HumanNeededError as error:
            return Finding(subject, Health.BROKEN, error.args[0], error.hint)
        except PermanentError as error:
            return Finding(
                subject,
                Health.BROKEN,
                str(error),
                f"Correct the id under calendars of account {self._account.name}, or have "
                'its owner share it with "See all event details".',
            )
        if access is CalendarAccess.FREE_BUSY:
            return Finding(
                subject,
                Health.WARNING,
                "shows only when its owner is busy: no meeting can be joined from it",
                'Have its owner share it with "See all event details".',
            )
        return Finding(subject, Health.OK, "readable")
