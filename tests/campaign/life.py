"""One life of the daemon: every part real, wired as `locum run` wires them.

No control socket and no config file: what a person asks for is called directly. A life ends
in order or by a crash; the next one begins over the same ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import httpx

from locum import wakeups
from locum.attendance import Company, attendances
from locum.calendars.google import GoogleCalendarSource
from locum.calendars.google_token import GoogleAccount
from locum.clock import SystemClock
from locum.controller import Controller, Setting
from locum.core.model import CalendarRef, Mark, OccurrenceKey
from locum.core.money import Caps
from locum.core.policy import Policy
from locum.core.secret import Secret
from locum.database import SQLiteFile
from locum.debrief import Debrief
from locum.dispatch import InProcess
from locum.engines.pikastream import PikaStreamEngine, PikaStreamSettings
from locum.engines.pikastream_session import Pace as SessionPace
from locum.errors import TransientError
from locum.ledger import Database, Ledger, Purse
from locum.metrics import Metrics
from locum.persona import PersonaCard
from locum.polling import Pace, Polling
from locum.ports import Finding, PresenceEngine, Summary, SummarySink
from locum.sinks import MarkdownFolder
from locum.tasks import Tasks
from locum.wakeups import Wakeups
from tests.campaign.schedule import CAP_S, GRACE_S, LEAD_S
from tests.campaign.wires import Points

KEY = "dk_campaign-0123456789"
PRICE = 0.275
SINKS = ("markdown", "archive")
_TO_LEAVE = timedelta(seconds=60)
_TO_FILE = timedelta(seconds=30)

POLICY = Policy(
    lead=timedelta(seconds=LEAD_S),
    grace=timedelta(seconds=GRACE_S),
    max_length=timedelta(seconds=CAP_S),
    capacity=8,
    trusted_organizers=("boss@example.com",),
    default_persona="robin",
    default_engine="pika",
    personas=frozenset({"robin"}),
)


@dataclass(frozen=True)
class Surroundings:
    """What outlives a life."""

    folder: Path
    account: GoogleAccount
    persona: PersonaCard
    wire: Callable[[], httpx.AsyncBaseTransport]
    point: Points
    disk_is_full: Callable[[], bool]
    draw: random.Random
    delta_lane: bool
    cap: float | None


class Sink:
    """A folder whose disk may be full."""

    def __init__(self, name: str, around: Surroundings) -> None:
        self._folder = MarkdownFolder(name, around.folder / name)
        self._around = around

    @property
    def name(self) -> str:
        return self._folder.name

    @property
    def can_revise(self) -> bool:
        return self._folder.can_revise

    async def file(self, summary: Summary) -> str:
        self._around.point("sink.before")
        if self._around.disk_is_full():
            raise TransientError("the disk is full")
        location = await self._folder.file(summary)
        self._around.point("sink.done")
        return location

    async def check(self) -> tuple[Finding, ...]:
        return await self._folder.check()


class Life:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.clock = SystemClock()
        self.ledger = Ledger(Database(around.folder / "ledger.sqlite3"))
        self._metrics = Metrics()
        self._tasks = Tasks()
        settings = PikaStreamSettings(
            base_url="http://127.0.0.1:1",
            key=lambda: Secret(KEY),
            pace=SessionPace(live=timedelta(seconds=20)),
        )
        engine = PikaStreamEngine(settings, clock=self.clock, transport=around.wire())
        self._engines: Mapping[str, PresenceEngine] = {"pika": engine}
        self._personas = {"robin": around.persona}
        self._source = GoogleCalendarSource(around.account, clock=self.clock)
        self._debrief = Debrief(
            self.ledger,
            self.clock,
            self._metrics,
            sinks=self._sinks(),
            engines=self._engines,
            personas=self._personas,
        )
        self._wakeups = Wakeups(
            self.clock, on_instant=self._ask, on_jump=self._time_jumped, poll=self._poll
        )
        self._dispatcher = InProcess(attendances(self._company), on_end=self._ask)
        self.controller = Controller(
            ledger=self.ledger,
            clock=self.clock,
            dispatcher=self._dispatcher,
            debrief=self._debrief,
            metrics=self._metrics,
            setting=Setting(POLICY, self._engines, {"pika": PRICE}, self._purse()),
            arm=self._wakeups.arm,
        )
        self._polling = Polling(
            ledger=self.ledger,
            clock=self.clock,
            metrics=self._metrics,
            sources=(self._source,),
            pace=Pace(
                near=timedelta(seconds=90),
                idle=timedelta(minutes=5),
                horizon=timedelta(hours=48),
                delta_from=1 if around.delta_lane else 21,
            ),
            near_from=self.controller.agenda.near_from,
            on_change=self.controller.calendar_changed,
        )
        self._polling._jitter = around.draw

    def _sinks(self) -> tuple[SummarySink, ...]:
        return tuple(Sink(name, self._around) for name in SINKS)

    def _purse(self) -> Purse:
        caps = Caps.of_dollars(per_day=self._around.cap)
        database = self.ledger.database
        return Purse(database, caps, max_length=POLICY.max_length, zone=timezone.utc)

    def _company(self) -> Company:
        return Company(
            ledger=self.ledger,
            clock=self.clock,
            metrics=self._metrics,
            engines=self._engines,
            personas=self._personas,
            policy=self.controller.setting.policy,
        )

    def begin(self) -> None:
        self.ledger.calendars.forget_calendars(self._polling.calendars)
        self.controller.begin()
        self._wakeups.start()
        self._poll_soon()
        self._tasks.start("controller", self.controller.run())

    async def stop(self) -> None:
        """End in order, as at a SIGTERM."""
        await self._wakeups.stop()
        await self.controller.stop(_TO_LEAVE, filing=_TO_FILE)
        await self._tasks.cancel()

    async def vanish(self, spared: set[asyncio.Task[Any]]) -> None:
        """Let go of everything: what still runs is cancelled, and may do nothing any more."""
        await self._wakeups.stop()
        tasks = [each for each in asyncio.all_tasks() if each not in spared]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._source.aclose()
        self.ledger.close()

    # ── what a person asks for ───────────────────────────────────────────────────────────

    def leave(self, room: str) -> bool:
        """`locum leave ROOM`."""
        now = self.clock.now()
        for record in self.ledger.sessions.unfinished_and_since(now):
            if record.is_open and record.room.code == room:
                self.controller.stop_session(record)
                return True
        return False

    def skip(self, uid: str) -> bool:
        """`locum skip EVENT`."""
        key = OccurrenceKey(uid)
        if not any(each.event.occurrence == key for each in self.controller.agenda.judged):
            return False
        self.controller.mark(key, Mark.SKIP)
        return True

    # ── waking ───────────────────────────────────────────────────────────────────────────

    def _ask(self) -> None:
        self.controller.ask()

    def _time_jumped(self) -> None:
        self._polling.read_all_in_full()
        self._poll_soon()
        self.controller.ask()

    async def _poll(self, calendar: CalendarRef) -> timedelta | None:
        wait = await self._polling.poll(calendar)
        for outdated in self._polling.take_outdated():
            self._wakeups.poll_after(outdated, timedelta(0))
        return wait

    def _poll_soon(self) -> None:
        self._wakeups.forget_polls()
        for calendar in self._polling.calendars:
            wait = timedelta(seconds=self._around.draw.uniform(0, 0.05))
            self._wakeups.poll_after(calendar, wait)


@contextlib.contextmanager
def slower_ticks() -> Iterator[None]:
    """Tick three times as seldom: most ticks find nothing, and cost half of the time."""
    real = wakeups.TICK
    wakeups.TICK = 3 * real
    try:
        yield
    finally:
        wakeups.TICK = real


@contextlib.contextmanager
def dying_commits(point: Points) -> Iterator[None]:
    """Let every commit be a point of death, just before it and just after it."""
    real = Database.transaction
    inside: set[SQLiteFile] = set()

    @contextlib.contextmanager
    def transaction(self: SQLiteFile, *, durable: bool = True) -> Iterator[None]:
        if self in inside:
            yield
            return
        point("begin")
        inside.add(self)
        try:
            with real(self, durable=durable):
                yield
                point("commit")
        finally:
            inside.discard(self)
        point("committed")

    Database.transaction = transaction  # type: ignore[method-assign]
    try:
        yield
    finally:
        Database.transaction = real  # type: ignore[method-assign]
