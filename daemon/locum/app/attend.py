"""`locum attend`: one session in a process of its own, with the daemon that began it as parent.

Nothing but a session's key, the config that the daemon has taken and the ledger is needed to
attend. Here is what is particular to a process: that it ends with its daemon, whatever becomes
of either; that it writes the ledger only as a child of the one that may; and that it weighs no
more than it is allowed to, with all that descends from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import select
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from locum import __version__, processes
from locum.app.briefing import desk_of
from locum.app.parts import Workshop, clock_of, personas_of, policy_of
from locum.app.places import ledger_path
from locum.app.talking import Talks
from locum.app.voices import voices_of
from locum.attendance import Attendance, Company, StopSignal
from locum.config.load import load_taken
from locum.config.model import Config
from locum.core.model import EndReason, Meeting, SessionHandle, SessionKey, SessionRecord
from locum.dispatch.orders import HEARTBEAT, LONGEST_LINE, Order, parse, told_line
from locum.dispatch.seats import Seat
from locum.errors import LocumError, PermanentError, TransientError
from locum.ledger import Database, Ledger, daemon_of
from locum.persona import Wardrobe
from locum.ports import (
    OBSERVED,
    Clock,
    Ended,
    EngineNote,
    EngineTraits,
    JoinRequest,
    LostJoin,
    MeetingSession,
    PresenceEngine,
    Remains,
    SessionEvent,
    Voice,
)

_log = structlog.get_logger(__name__)

_FIRST_WORD_S = 30.0
"""How long the daemon's order may take to come: it may begin us ahead."""

_TO_LEAVE_S = 20.0
_TO_LEAVE_LOST_S = 2.0
"""How long leaving may take, and where the presence is lost anyway: then the browser is ended as
it is. Nobody is back in the room before."""

_TO_GET_OUT_S = 4.0
"""How long leaving may take once the daemon is gone."""

_LAST_RESORT_S = 8.0
"""How long after the daemon's end this process ends itself, should its loop hang."""

_TO_TIDY_S = 3.0
_SEAT_S = 10.0
_WEIGHED_EVERY = 2  # Heartbeats: to weigh a browser costs some of its time.
_MOST_TOLD = 500
_OPEN_FILES = 8192

_FOR_THE_KERNEL = 400
"""How much rather than another process the kernel ends us where memory runs out: the daemon and
its other meetings go on, and so does this one, a few seconds later."""

_LOST = 1
"""The exit status of one that couldn't go on; its last words were told before."""

WorkshopOf = Callable[[Clock, Path, Mapping[str, str]], Workshop]


class NotADaemonsChildError(PermanentError):
    """Somebody else than the daemon began it."""


def receive(descriptor: int) -> tuple[Order, _Lines]:
    """Wait for the daemon's order on a pipe.

    Raises:
        NotADaemonsChildError: None came.
        PermanentError: What came is damaged, or from another version of locum.
    """
    lines = _Lines(descriptor)
    # A person at a terminal isn't to wait for the answer.
    first = b"" if os.isatty(descriptor) else lines.next_within(_FIRST_WORD_S)
    if not first:
        raise NotADaemonsChildError(
            "The daemon starts this command itself, one for each meeting in which our own "
            "engine is, and tells it on stdin what to do. By hand there is nothing to do with "
            "it: see `locum status`, and `locum join --help`."
        )
    order = Order.parse(first)
    if order.version != __version__:
        raise PermanentError(
            f"The daemon that runs is locum {order.version}, and installed is {__version__}. "
            "Restart the daemon."
        )
    return order, lines


class _Lines:
    """Lines from a pipe, read without asyncio: they must be heard while the loop hangs, too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def next_within(self, seconds: float) -> bytes:
        """Answer the next line; empty if none comes in time, or ever."""
        until = time.monotonic() + seconds
        while b"\n" not in self._rest:
            wait = max(until - time.monotonic(), 0.0)
            if not select.select([self._descriptor], [], [], wait)[0] or not self._read():
                return b""
        return self._take()

    def __iter__(self) -> Iterator[bytes]:
        """Answer line by line, until the other side has closed the pipe."""
        while True:
            while b"\n" in self._rest:
                yield self._take()
            if not self._read():
                return

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, 65_536)
        except OSError:
            return False
        self._rest += chunk
        return bool(chunk) and len(self._rest) <= LONGEST_LINE

    def _take(self) -> bytes:
        line, _, self._rest = self._rest.partition(b"\n")
        return line


@dataclass
class Mouthpiece:
    """Tells the daemon, by a pipe, what it can't read in the ledger; counts what it counts."""

    descriptor: int

    def tell(self, **words: Any) -> None:
        # A daemon that is gone is noticed by the end of its orders. One that doesn't listen
        # (it hangs) must not make us hang.
        with contextlib.suppress(OSError):
            os.write(self.descriptor, told_line(**words))

    def changed(self) -> None:
        self.tell(changed=True)

    def join_finished(
        self, *, engine: str, outcome: str, late_by: timedelta | None = None
    ) -> None:
        del engine  # The daemon knows which it is.
        late = {} if late_by is None else {"late_s": late_by.total_seconds()}
        self.tell(joined=outcome, **late)

    def money_spent(self, *, engine: str, usd: float) -> None:
        del engine
        self.tell(spent=usd)

    def last_words(self, why: str) -> None:
        self.tell(lost=why[:_MOST_TOLD])


def run(
    key: SessionKey,
    order: Order,
    lines: _Lines,
    mouthpiece: Mouthpiece,
    *,
    workshop_of: WorkshopOf = Workshop,
) -> int:
    """Attend until the session is over, or to be tried again; answers the exit status.

    Raises:
        LocumError: It can't even begin.
    """
    state = Path(order.state)
    if order.daemon != os.getppid() or daemon_of(state) != order.daemon:
        raise NotADaemonsChildError(
            f"Process {order.daemon} is not the daemon of {state}, or not the parent of this one."
        )
    processes.be_told_of_parents_end(signal.SIGTERM)
    processes.keep_orphans()
    _behave()
    config = load_taken(Path(order.config), order.source.encode())
    database = Database(ledger_path(state), migrate=False)
    # Closed even where it is damaged: then it is closed with care.
    with contextlib.closing(database):
        database.on_damage = lambda: mouthpiece.tell(damaged=database.damage)
        record = Ledger(database).sessions.get(key)
        if record is None:
            raise PermanentError(f"There is no session {key} in the ledger.")
        # Kept until this process is gone, and not one step less.
        _sit_down(Seat.of(state, record.room.id))
        try:
            attending = _Attending(
                *(record, config, Path(order.config), state, database, mouthpiece, workshop_of)
            )
            return asyncio.run(attending.run(lines))
        finally:
            processes.end_below(os.getpid())


def _sit_down(seat: Seat) -> int:
    until = time.monotonic() + _SEAT_S
    while True:
        try:
            return seat.take()
        except TransientError:
            if time.monotonic() > until:
                raise
        time.sleep(0.05)


def _behave() -> None:
    """Take no more of the machine than is ours; what is refused is done without."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(f"{_FOR_THE_KERNEL}\n", "ascii")
    with contextlib.suppress(OSError, ValueError):
        # What a browser leaves when it crashes is what was said and shown.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Attending:
    """One attendance, and what goes on beside it in this process."""

    def __init__(  # noqa: PLR0917 - What a process has, from the order in which it gets it.
        self,
        record: SessionRecord,
        config: Config,
        config_path: Path,
        state: Path,
        database: Database,
        mouthpiece: Mouthpiece,
        workshop_of: WorkshopOf,
    ) -> None:
        self._key = record.key
        self._engine_name = record.engine
        self._persona = record.persona
        # Others' engines are none of ours, nor are their keys.
        engines = {n: table for n, table in config.engines.items() if n == record.engine}
        self._config = config.model_copy(update={"engines": engines})
        self._config_path = config_path
        self._state = state
        self._ledger = Ledger(database)
        self._mouthpiece = mouthpiece
        self._clock = clock_of(config)
        self._workshop = workshop_of(self._clock, state, os.environ)
        self._stop = StopSignal()
        self._orphaned = asyncio.Event()
        self._sessions: list[MeetingSession] = []
        self._voices: dict[str, Voice] = {}
        self._noticed: list[str] = []

    async def run(self, lines: _Lines) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._orphaned.set)
        threading.Thread(target=self._obey, args=(lines, loop), daemon=True).start()
        attendance = Attendance(self._key, self._company(), self._stop)
        attending = asyncio.ensure_future(attendance.run(claimed_now=True))
        watching = asyncio.ensure_future(self._watch())
        orphaned = asyncio.ensure_future(self._orphaned.wait())
        tasks: tuple[asyncio.Future[Any], ...] = (attending, watching, orphaned)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if attending.done():
                return self._outcome(attending)
            if watching.done():
                return self._give_up(watching)
            _log.warning("daemon_gone", session_key=self._key)
            return 0
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not attending.done() or attending.cancelled():
                await self._leave_as_it_is()
            closing = (self._workshop.aclose(), *(v.aclose() for v in self._voices.values()))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.gather(*closing), _TO_TIDY_S)

    def _obey(self, lines: _Lines, loop: asyncio.AbstractEventLoop) -> None:
        """Take the daemon's orders, in a thread; the end of its pipe is the end of the daemon."""
        with contextlib.suppress(RuntimeError):  # The loop is closed: it is over.
            for line in lines:
                with contextlib.suppress(ValueError):
                    reason = EndReason(parse(line).get("stop"))
                    loop.call_soon_threadsafe(self._stop.ask, reason)
            loop.call_soon_threadsafe(self._orphaned.set)
        time.sleep(_LAST_RESORT_S)
        processes.end_below(os.getpid())
        os._exit(_LOST)

    def _outcome(self, attending: asyncio.Future[Any]) -> int:
        error = attending.exception()
        if error is None:
            return 0
        _log.error("attendance_crashed", session_key=self._key, exc_info=error)
        self._mouthpiece.last_words(f"the attendance crashed: {type(error).__name__}")
        return _LOST

    def _give_up(self, watching: asyncio.Future[Any]) -> int:
        error = watching.exception()
        why = watching.result() if error is None else f"it couldn't be watched: {error}"
        _log.error("session_too_heavy", session_key=self._key, problem=why)
        self._mouthpiece.last_words(why)
        return _LOST

    async def _leave_as_it_is(self) -> None:
        """Get out of the room, as far as a few seconds go; the ledger says what it said."""
        for session in self._sessions:
            try:
                await asyncio.wait_for(session.leave(), _TO_GET_OUT_S)
            except (LocumError, asyncio.TimeoutError) as error:
                _log.warning("session_not_left", session_key=self._key, problem=str(error))

    async def _watch(self) -> str:
        """Say that we live, and look what we weigh; returns, with words, if it is too much."""
        limit = self._workshop.memory_limit(self._config, self._engine_name)
        beat = 0
        while True:
            if beat % _WEIGHED_EVERY:
                self._mouthpiece.tell(alive=beat)
            else:
                weight = await asyncio.to_thread(processes.memory_of_tree, os.getpid())
                self._mouthpiece.tell(memory=weight, tree=_tree())
                if limit is not None and weight > limit:
                    mib = weight >> 20
                    return (
                        f"its browser took {mib} MiB of memory, more than the "
                        f"{limit >> 20} of memory_limit"
                    )
            beat += 1
            await asyncio.sleep(HEARTBEAT.total_seconds())

    # ── what it attends with ─────────────────────────────────────────────────────────────

    def _company(self) -> Company:
        config = self._config
        engines = self._workshop.engines(config)
        personas = personas_of(config, self._state)
        self._voices = voices_of(
            config,
            state=self._state,
            clock=self._clock,
            card=personas.get(self._persona),
            told=self._noticed.append,
        )
        return Company(
            ledger=self._ledger,
            clock=self._clock,
            metrics=self._mouthpiece,
            engines={
                n: _Remembering(each, self._sessions, self._noticed)
                for n, each in engines.items()
            },
            personas=personas,
            policy=policy_of(config),
            wardrobe=Wardrobe(self._state, self._workshop.cloners(config), ours=self._voices),
            brief=self._brief,
            voices=self._voices,
            converse=self._talks().open,
            on_change=self._mouthpiece.changed,
        )

    def _talks(self) -> Talks:
        return Talks(
            config=self._config,
            config_path=self._config_path,
            state=self._state,
            clock=self._clock,
            ledger=self._ledger,
            session=self._key,
            voices=self._voices,
            on_change=self._mouthpiece.changed,
            environ=os.environ,
            sources=lambda: self._workshop.sources(self._config),
        )

    async def _brief(self, meeting: Meeting) -> str:
        try:
            with desk_of(self._config, self._state) as desk:
                return await desk.brief(meeting)
        except LocumError as error:
            _log.error("briefing_failed", problem=str(error))
            return ""


def _tree() -> list[list[int]]:
    there = processes.all_processes()
    found = processes.descendants((os.getpid(),), there)
    return [[pid, there[pid].started] for pid in sorted(found)]


class _Remembering:
    """An engine that keeps at hand what it has begun, for whoever must leave in a hurry."""

    def __init__(
        self, engine: PresenceEngine, sessions: list[MeetingSession], noticed: list[str]
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._noticed = noticed

    @property
    def traits(self) -> EngineTraits:
        return self._engine.traits

    async def prepare(self) -> None:
        await self._engine.prepare()

    async def afford(self, dollars: float) -> None:
        await self._engine.afford(dollars)

    async def join(self, request: JoinRequest) -> MeetingSession:
        session = _Bounded(await self._engine.join(request), self._noticed)
        self._sessions.append(session)
        return session

    async def settle_lost_join(self, *, others_running: int) -> LostJoin:
        return await self._engine.settle_lost_join(others_running=others_running)

    async def reattach(self, handle: SessionHandle) -> MeetingSession | None:
        return await self._engine.reattach(handle)

    async def check(self) -> tuple[Any, ...]:
        return await self._engine.check()

    async def aclose(self) -> None:
        await self._engine.aclose()


class _Bounded:
    """A session whose leaving ends, whatever has become of its browser: that is in our hands.

    What was `noticed` of our own doing (a voice that failed) goes into the record with it.
    """

    def __init__(self, session: MeetingSession, noticed: list[str]) -> None:
        self._session = session
        self._noticed = noticed
        self._lost = False

    @property
    def handle(self) -> SessionHandle:
        return self._session.handle

    async def events(self) -> AsyncIterator[SessionEvent]:
        async for event in self._session.events():
            self._lost = isinstance(event, Ended) and event.reason is EndReason.ENGINE_LOST
            yield event

    async def post(self, text: str) -> None:
        await self._session.post(text)

    async def leave(self) -> Remains:
        within = _TO_LEAVE_LOST_S if self._lost else _TO_LEAVE_S
        try:
            remains = await asyncio.wait_for(self._session.leave(), within)
            ours = tuple(EngineNote(OBSERVED, text) for text in self._noticed)
            return replace(remains, notes=(*remains.notes, *ours))
        except asyncio.TimeoutError:
            _log.warning("session_not_left", problem=f"it didn't leave within {within:g} s")
        processes.end_below(os.getpid())
        return Remains(doubt="its browser was ended without having left")

    def __getattr__(self, name: str) -> Any:
        # What a session with a body offers besides.
        return getattr(self._session, name)
