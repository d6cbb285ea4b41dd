"""Many rings, one read: what a burst of messages comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

from locum.core.model import CalendarRef

SOON = timedelta(seconds=1)
"""How long a ring waits for others to join it."""

Poll = Callable[[CalendarRef], Awaitable[timedelta | None]]


class Bell:
    """Asks for reads, at most one at a time and one more.

    Args:
        poll_after: Arms the one poll that a calendar has waiting.
        is_failing: Whether a calendar's reads fail now: it is tried again at its own pace, or
            messages would get round the pauses that its server asked for.
    """

    def __init__(
        self,
        *,
        poll_after: Callable[[CalendarRef, timedelta], None],
        is_failing: Callable[[CalendarRef], bool],
    ) -> None:
        self._poll_after = poll_after
        self._is_failing = is_failing
        self._rung: set[CalendarRef] = set()
        self._reading: Counter[CalendarRef] = Counter()

    def ring(self, calendar: CalendarRef) -> None:
        """Have a calendar read soon; more rings until that read begins change nothing."""
        if calendar in self._rung:
            return
        self._rung.add(calendar)
        # A read that runs may have passed what changed: one more follows it.
        if not self._reading[calendar] and not self._is_failing(calendar):
            self._poll_after(calendar, SOON)

    async def read(self, calendar: CalendarRef, poll: Poll) -> timedelta | None:
        """Poll a calendar; answers the wait before the next poll, None if there is none."""
        self._rung.discard(calendar)
        self._reading[calendar] += 1
        try:
            wait = await poll(calendar)
        finally:
            self._reading[calendar] -= 1
        if wait is None or calendar not in self._rung or self._is_failing(calendar):
            return wait
        return min(wait, SOON)
