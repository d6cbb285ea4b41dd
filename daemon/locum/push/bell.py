"""Many rings, one read: what a burst of messages comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from locum.core.model import CalendarRef

SOON = timedelta(seconds=1)
"""How long a ring waits for others to join it."""

APART = timedelta(seconds=5)
"""The least between the beginnings of two reads: whoever may invite us can ring at will."""

Poll = Callable[[CalendarRef], Awaitable[timedelta | None]]


class Bell:
    """Asks for reads, at most one at a time and one more.

    Args:
        now: Tells how long ago a calendar was read.
        poll_after: Arms the one poll that a calendar has waiting.
        is_failing: Whether a calendar's reads fail now: it is tried again at its own pace, or
            messages would get round the pauses that its server asked for.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        poll_after: Callable[[CalendarRef, timedelta], None],
        is_failing: Callable[[CalendarRef], bool],
    ) -> None:
        self._now = now
        self._poll_after = poll_after
        self._is_failing = is_failing
        self._rung: set[CalendarRef] = set()
        self._reading: Counter[CalendarRef] = Counter()
        self._begun: dict[CalendarRef, datetime] = {}

    def ring(self, calendar: CalendarRef) -> None:
        """Have a calendar read soon; more rings until that read begins change nothing."""
        if calendar in self._rung:
            return
        self._rung.add(calendar)
        # A read that runs may have passed what changed: one more follows it.
        if not self._reading[calendar] and not self._is_failing(calendar):
            self._poll_after(calendar, self._soon(calendar))

    async def read(self, calendar: CalendarRef, poll: Poll) -> timedelta | None:
        """Poll a calendar; answers the wait before the next poll, None if there is none."""
        self._rung.discard(calendar)
        self._reading[calendar] += 1
        self._begun[calendar] = self._now()
        try:
            wait = await poll(calendar)
        finally:
            self._reading[calendar] -= 1
        if wait is None or calendar not in self._rung or self._is_failing(calendar):
            return wait
        return min(wait, self._soon(calendar))

    def _soon(self, calendar: CalendarRef) -> timedelta:
        begun = self._begun.get(calendar)
        if begun is None:
            return SOON
        # A clock that was set back must not put it off.
        return min(max(begun + APART - self._now(), SOON), APART)
