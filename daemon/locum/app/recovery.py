"""After a ledger was restored: does anything run that it doesn't know of?

How damage goes, from its first sign to the last word:
1. Met while running, it sets `Database.damage`. The daemon stops with exit status 1. What a
   recovery will know by name (`names_that_last`) it leaves in its room; the rest it ends now.
   What runs in a process of its own leaves its room with it, and the next start goes back.
2. The next start (systemd's, in 5 s) finds the damage, puts the file into quarantine and
   restores it (`open_ledger`). The log and `locum status` say so.
3. Open sessions with a name are adopted, and go on as their records say until the calendars
   were read; those without one (a join's answer was lost) are settled by the balance.
4. Joins wait (`Hold`): all for a reading of their calendars and for 3; and if sessions were
   lost with their records, those of meetings and rooms in which such a session may sit.
5. For these the engines are asked here whether anything unknown runs. If nothing does, the
   hold ends; if something may, a person is told, and the hold ends a day later.
6. Where no daemon comes back, the reaper does 2, and ends what has a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from locum.core.model import SessionRecord
from locum.errors import TransientError
from locum.ledger import Ledger
from locum.ledger.hold import Hold
from locum.ports import Clock, LostJoin, PresenceEngine

_log = structlog.get_logger(__name__)

_AGAIN = timedelta(minutes=5)
_SOON = timedelta(seconds=10)


async def settle_lost_sessions(
    ledger: Ledger, engines: Callable[[], Mapping[str, PresenceEngine]], clock: Clock
) -> None:
    """Return once no unknown session can be running; nothing happens where all are known.

    An engine can't tell while sessions of ours let its balance fall; so it is asked again,
    until it could or the hold has ended by its age. That something may be running is told
    once, for a person: nobody else can end it.
    """
    watch = _Watch(ledger, engines, clock)
    wait: timedelta | None = timedelta(0)
    while wait is not None:
        await clock.sleep(wait)
        try:
            wait = await watch.look()
        except TransientError as error:
            _log.error("lost_sessions_unsettled", problem=str(error))
            wait = _AGAIN


class _Watch:
    def __init__(
        self, ledger: Ledger, engines: Callable[[], Mapping[str, PresenceEngine]], clock: Clock
    ) -> None:
        self._ledger = ledger
        self._engines = engines
        self._clock = clock
        self._told = False

    async def look(self) -> timedelta | None:
        """Ask the engines once; answers when to ask again, None where nothing is unknown."""
        database = self._ledger.database
        hold = Hold.of(database)
        if hold is None or hold.sessions_known:
            return None
        records = self._ledger.sessions.unfinished_and_since(self._clock.now())
        open_now = [record for record in records if record.is_open]
        # Joins whose answers were lost are settled first, each by its own attendance.
        if any(True for _ in hold.unsettled(open_now)):
            return _SOON
        engines = self._engines()
        doubtful = await _doubtful(engines, open_now)
        if not doubtful:
            database.set_meta("sessions_known", "yes")
            _log.info("lost_sessions_settled", engines=sorted(engines))
            return None
        if not self._told:
            self._told = True
            _log.error(
                "orphan_suspected",
                engines=doubtful,
                may_lack_all_since=database.meta("known_until"),
                detail="a session may be running whose record was lost with the damaged "
                "ledger: look into the rooms of that time, and at the engine's account",
            )
        return _AGAIN


async def _doubtful(
    engines: Mapping[str, PresenceEngine], open_now: list[SessionRecord]
) -> list[str]:
    """Name the engines that can't tell that nothing unknown runs."""
    found = []
    for name, engine in engines.items():
        others = sum(record.engine == name and record.handle is not None for record in open_now)
        if engine.traits.billed and (
            await engine.settle_lost_join(others_running=others) is not LostJoin.NEVER_RAN
        ):
            found.append(name)
    return found
