"""Ends what a dead daemon left running, because a presence that nobody watches costs money.

It acts only where no daemon does: it holds the state directory's lock, and lets go of it for
a while first, so that a daemon that is merely being started anew takes its sessions up
itself. It joins nothing, files nothing, and what it ends may be entered again.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import structlog

from locum.app.parts import Workshop, clock_of
from locum.app.places import ledger_path
from locum.config.model import Config
from locum.core.model import EndReason, Phase, SessionHandle, SessionKey
from locum.dispatch import Seat
from locum.errors import HumanNeededError, LocumError, PermanentError
from locum.ledger import Database, Ledger, LedgerError, StateLock
from locum.ledger.backup import open_ledger
from locum.ports import Clock, MeetingSession, PresenceEngine, Remains

_log = structlog.get_logger(__name__)

_FIRST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(seconds=15)


class Fate(enum.Enum):
    FOUND = "found"  #: It may be running; nobody was asked to end it.
    ENDED = "ended"  #: Proved over, and written down.
    MAY_RUN = "may_run"  #: Not proved over in time.
    NEEDS_PERSON = "needs_person"  #: Only a person can end it, or tell whether it runs.


@dataclass(frozen=True)
class Orphan:
    """A session of the ledger whose end isn't proved. `handle` is None where it has no name.

    `room` is the room's id.
    """

    key: SessionKey
    title: str
    address: str
    engine: str
    phase: Phase
    claimed_at: datetime
    end_reason: EndReason | None
    handle: SessionHandle | None
    room: str = ""


@dataclass(frozen=True)
class Outcome:
    orphan: Orphan
    fate: Fate
    detail: str = ""


@dataclass(frozen=True)
class Reaping:
    """What became of everything that was found; nothing is looked at beside a live daemon."""

    daemon_runs: bool
    outcomes: tuple[Outcome, ...] = ()


async def reap(
    config: Config,
    state: Path,
    environ: Mapping[str, str],
    *,
    wait: timedelta,
    within: timedelta,
) -> Reaping:
    """End every session whose daemon is dead.

    Args:
        config: For its engines.
        state: The state directory.
        environ: Where keys may stand.
        wait: How long a daemon has to come back before its sessions are ended; the host's.
        within: How long ending may take; the host's.

    Raises:
        LedgerError, TransientError: The ledger or its folder can't be used.
    """
    first = look(config, state)
    if first.daemon_runs or not first.outcomes:
        return first
    # Whoever started a daemon now would be refused, so the lock is free meanwhile.
    await anyio.sleep(wait.total_seconds())
    lock = _lock(state)
    if lock is None:
        return Reaping(daemon_runs=True)
    try:
        clock = clock_of(config)
        opened = open_ledger(ledger_path(state), backups=state / "backups", now=clock.now())
        ledger = Ledger(opened.database)
        workshop = Workshop(clock, state, environ)
        try:
            reaper = Reaper(ledger, workshop.engines(config), clock, state)
            found = orphans(ledger, clock.now(), config.attend.max_length)
            return Reaping(daemon_runs=False, outcomes=await reaper.end_all(found, within))
        finally:
            await workshop.aclose()
            ledger.close()
    finally:
        lock.release()


def look(config: Config, state: Path) -> Reaping:
    """Say what would be ended, changing nothing.

    Raises:
        LedgerError, TransientError: The ledger or its folder can't be used.
    """
    path = ledger_path(state)
    if not _is_there(path):
        return Reaping(daemon_runs=False)
    lock = _lock(state)
    if lock is None:
        return Reaping(daemon_runs=True)
    try:
        ledger = Ledger(Database(path, read_only=True))
        try:
            found = orphans(ledger, clock_of(config).now(), config.attend.max_length)
        finally:
            ledger.close()
    finally:
        lock.release()
    return Reaping(False, tuple(Outcome(each, Fate.FOUND, _first_word(each)) for each in found))


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LedgerError(
            f"The ledger {path} can't be read ({error.strerror}). "
            "Run the command as the user that the daemon runs as."
        ) from error
    return True


def _lock(state: Path) -> StateLock | None:
    try:
        return StateLock(state)
    except PermanentError:
        return None


def orphans(ledger: Ledger, now: datetime, max_length: timedelta) -> tuple[Orphan, ...]:
    """Find what may be running. A join whose answer was lost counts for `max_length`."""
    found = []
    for record in ledger.sessions.unfinished_and_since(now):
        waits = record.phase is Phase.JOINING and record.retry_at is not None
        forgotten = record.handle is None and now >= record.claimed_at + max_length
        if record.is_open and not waits and not forgotten:
            found.append(
                Orphan(
                    record.key,
                    record.meetings[0].title,
                    record.room.url,
                    record.engine,
                    record.phase,
                    record.claimed_at,
                    record.end_reason,
                    record.handle,
                    record.room.id,
                )
            )
    return tuple(found)


def _first_word(orphan: Orphan) -> str:
    return "it may be running" if orphan.handle is not None else _UNNAMED


_UNNAMED = (
    "a join's answer was lost: it may be running, and can't be ended without its name. "
    "Start locum, which finds out by the balance, or look into the room"
)


class Reaper:
    """Leaves sessions through their engines, all at the same time."""

    def __init__(
        self,
        ledger: Ledger,
        engines: Mapping[str, PresenceEngine],
        clock: Clock,
        state: Path,
    ) -> None:
        self._ledger = ledger
        self._engines = engines
        self._clock = clock
        self._state = state

    async def end_all(self, found: Sequence[Orphan], within: timedelta) -> tuple[Outcome, ...]:
        """End each, and answer what became of it, in the order given."""
        outcomes: dict[SessionKey, Outcome] = {}

        async def end(orphan: Orphan) -> None:
            outcomes[orphan.key] = await self._end(orphan, within)

        async with anyio.create_task_group() as group:
            for orphan in found:
                group.start_soon(end, orphan)
        return tuple(outcomes[orphan.key] for orphan in found)

    async def _end(self, orphan: Orphan, within: timedelta) -> Outcome:
        engine = self._engines.get(orphan.engine)
        seat = Seat.of(self._state, orphan.room)
        if seat.path.exists() if engine is None else engine.traits.weighs:
            return await self._end_processes(orphan, seat, within)
        if orphan.handle is None:
            return Outcome(orphan, Fate.NEEDS_PERSON, _UNNAMED)
        if engine is None:
            told = f'there is no engine "{orphan.engine}" in the config: only it can end it'
            return Outcome(orphan, Fate.NEEDS_PERSON, told)
        leaving = _Leaving(engine, orphan.handle)
        with anyio.move_on_after(within.total_seconds()):
            await self._patiently(orphan, leaving)
            return Outcome(orphan, Fate.ENDED, leaving.told)
        problem = leaving.problem
        # The port's only word for "it can't be told now" may stand for a bad key.
        by_person = isinstance(problem, HumanNeededError) or (
            problem is not None and isinstance(problem.__cause__, HumanNeededError)
        )
        told = str(problem) if problem else "it didn't answer in time"
        return Outcome(orphan, Fate.NEEDS_PERSON if by_person else Fate.MAY_RUN, told)

    async def _end_processes(self, orphan: Orphan, seat: Seat, within: timedelta) -> Outcome:
        """End what was a process of its own here: with that, its presence is over."""
        try:
            with anyio.fail_after(within.total_seconds()):
                await seat.clear()
            self._write(orphan, None, "its process is gone")
        except (LocumError, TimeoutError) as error:
            return Outcome(orphan, Fate.MAY_RUN, str(error) or "it didn't end in time")
        seat.forget()
        return Outcome(orphan, Fate.ENDED, "its process is gone")

    async def _patiently(self, orphan: Orphan, leaving: _Leaving) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                await leaving.go_on()
                self._write(orphan, leaving.remains, leaving.told)
            except LocumError as error:
                leaving.problem = error
                _log.warning("reaping_failed", session_key=orphan.key, problem=str(error))
            else:
                return
            await anyio.sleep(wait.total_seconds())
            wait = min(wait * 2, _LONGEST_WAIT)

    def _write(self, orphan: Orphan, remains: Remains | None, told: str) -> None:
        """Write that it is over: a daemon may enter anew, and owes the record of this one."""
        now = self._clock.now()
        reason = EndReason.SHUTDOWN
        if orphan.phase is Phase.LEAVING and orphan.end_reason is not None:
            reason = orphan.end_reason
        with self._ledger.database.transaction():
            self._ledger.sessions.close_attempt(
                orphan.key, at=now, outcome=reason.value, remains=remains
            )
            self._ledger.sessions.transition(
                orphan.key,
                Phase.ENDED,
                at=now,
                reason=reason,
                detail=f"its daemon was dead: {told}",
                ended_at=now,
                retry_at=None,
            )
        _log.info("session_reaped", session_key=orphan.key, detail=told)


class _Leaving:
    """How far the leaving of one session has come: what is done isn't done again."""

    def __init__(self, engine: PresenceEngine, handle: SessionHandle) -> None:
        self._engine = engine
        self._handle = handle
        self._session: MeetingSession | None = None
        self._over = False
        self.remains: Remains | None = None
        self.problem: LocumError | None = None
        self.told = ""

    async def go_on(self) -> None:
        if self._over:
            return
        if self._session is None:
            self._session = await self._engine.reattach(self._handle)
        if self._session is None:
            self.told = "it was over already"
        else:
            self.remains = await self._session.leave()
            self.told = "left"
        self._over = True
