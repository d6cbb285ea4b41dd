"""A daemon without its calendar and config: real ledger, controller, attendances and sinks.

Events are put into the ledger as a reading of a calendar would; PikaStream is the stage,
served on loopback; time runs as fast as the rig is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from locum.attendance import Attendance, Company, StopSignal, attendances
from locum.clock import StageClock, host_now
from locum.controller import Controller, Setting
from locum.core.model import (
    Answer,
    CalendarEvent,
    CalendarReading,
    CalendarRef,
    Meeting,
    Phase,
    Platform,
    Room,
    SessionKey,
    SessionRecord,
    TimeWindow,
)
from locum.core.policy import Policy
from locum.core.secret import Secret
from locum.debrief import Debrief
from locum.dispatch import InProcess
from locum.engines.pikastream import PikaStreamEngine, PikaStreamSettings
from locum.ledger import Database, Ledger
from locum.metrics import Metrics
from locum.persona import PersonaCard, Wardrobe
from locum.ports import PresenceEngine, SummarySink
from locum.rehearsal.face import face_png
from locum.rehearsal.faults import Fault
from locum.rehearsal.pikastate import PikaSettings, PikaStage, SessionState
from locum.rehearsal.pikastream import pikastream_app
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.serving import served
from locum.sinks import MarkdownFolder
from locum.wakeups import Wakeups

SPEED = 60.0
PATIENCE_S = 60.0
"""How long to wait, in the host's time, for what must come true: it ends a hang, no more."""

CODE = "abc-defg-hij"
OTHER = "xyz-wxyz-xyz"
CREATE = "/proxy/realtime/meeting-session"
SESSION = "/proxy/realtime/session/"
_KEY = "dk_planted-0123456789-canary"
_WORK = CalendarRef("work", "primary")

AttendanceClass = Callable[[SessionKey, Company, StopSignal], Attendance]


class RigClock(StageClock):
    """A stage's clock that can be moved on, and can go on at another speed."""

    def __init__(self, speed: float) -> None:
        super().__init__(speed=speed)
        self._since = self.epoch_host, self.epoch, speed  # One value: threads read it.

    def at_host(self, instant: datetime) -> datetime:
        host, epoch, speed = self._since
        return epoch + (instant - host) * speed

    def run_on(self, *, speed: float | None = None, after: timedelta = timedelta(0)) -> None:
        """Go on from `after` from now; who sleeps already sleeps as long as before."""
        host = host_now()
        self.speed = speed or self.speed
        self._since = host, self.at_host(host) + after, self.speed


class Gate:
    """Stands before a server, and can keep answers back; what was asked is done by then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.held = ""  #: The path whose answers are kept back; empty for none.
        self.method = ""  #: Those to one method only; empty for all.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            while self.held:  # noqa: ASYNC110 - An event can't cross to this thread.
                await anyio.sleep(0.005)
            await send(message)

        is_held = (
            self.held
            and scope["type"] == "http"
            and self.held in scope["path"]
            and self.method in {"", scope["method"]}
        )
        # A fault cuts a connection by the server's own `send`.
        await self._app(scope, receive, send_in_time if is_held else send)


@dataclass
class DaemonRig:
    """One daemon at one stage. `boot` starts it, `crash` is a SIGKILL, `stop` a SIGTERM."""

    folder: Path
    stage: PikaStage
    clock: RigClock
    gate: Gate
    base_url: str
    policy: Policy
    sinks: tuple[SummarySink, ...]
    personas: dict[str, PersonaCard]
    engine_names: tuple[str, ...] = ("pika",)
    attendance: AttendanceClass = Attendance
    equip: Callable[[PikaStreamEngine], PresenceEngine] = lambda engine: engine
    engines: dict[str, PresenceEngine] = field(default_factory=dict)
    _events: dict[str, CalendarEvent] = field(default_factory=dict)
    _running: list[asyncio.Task[None]] = field(default_factory=list)
    watched: tuple[CalendarRef, ...] = (_WORK,)
    is_up: bool = False
    wardrobe: Wardrobe = field(default_factory=Wardrobe)
    on_pass: Callable[[], None] = lambda: None
    brief: Callable[[Meeting], Awaitable[str]] | None = None

    # ── its life ─────────────────────────────────────────────────────────────────────────

    def boot(self, *, controlled: bool = True) -> None:
        """Start a daemon over the ledger; without `controlled` nobody ever makes a pass."""
        self.is_up = True
        self.ledger = Ledger(Database(self.folder / "ledger.sqlite3"))
        # A test that takes the ledger away must not block the loop for five seconds.
        self.ledger.database.execute("PRAGMA busy_timeout = 0")
        self.metrics = Metrics()
        self.engines = {name: self.equip(self._engine()) for name in self.engine_names}
        self.dispatcher = InProcess(self._factory(), on_end=self._ask)
        self.debrief = Debrief(
            self.ledger,
            self.clock,
            self.metrics,
            sinks=self.sinks,
            engines=self.engines,
            personas=self.personas,
        )
        self.wakeups = Wakeups(
            self.clock,
            on_instant=self._ask,
            on_jump=self._ask,
            poll=self._never_polled,
        )
        self.controller = Controller(
            ledger=self.ledger,
            clock=self.clock,
            dispatcher=self.dispatcher,
            debrief=self.debrief,
            metrics=self.metrics,
            setting=self.setting(),
            arm=self.wakeups.arm,
            on_pass=self._passed,
        )
        if controlled:
            self.ledger.calendars.forget_calendars(self.watched)
            self.controller.begin()
            self.wakeups.start()
            self._running = [asyncio.ensure_future(self.controller.run())]

    def _ask(self) -> None:
        self.controller.ask()

    def _passed(self) -> None:
        self.on_pass()

    def setting(self, **changes: Any) -> Setting:
        prices = dict.fromkeys(self.engines, 0.275)
        return replace(Setting(self.policy, self.engines, prices), **changes)

    def _factory(self) -> Callable[[SessionKey, StopSignal], Attendance]:
        if self.attendance is Attendance:
            return attendances(self._company)
        return lambda key, stop: self.attendance(key, self._company(), stop)

    def _company(self) -> Company:
        return Company(
            ledger=self.ledger,
            clock=self.clock,
            metrics=self.metrics,
            engines=self.controller.setting.engines,
            personas=self.personas,
            policy=self.controller.setting.policy,
            wardrobe=self.wardrobe,
            brief=self.brief,
        )

    def _engine(self) -> PikaStreamEngine:
        settings = PikaStreamSettings(base_url=self.base_url, key=lambda: Secret(_KEY))
        return PikaStreamEngine(settings, clock=self.clock)

    async def _never_polled(self, calendar: CalendarRef) -> timedelta | None:
        raise AssertionError(f"nobody asked for {calendar}")

    async def crash(self) -> None:
        """Let everything go where it stands; nothing more is written, left or filed."""
        await self.wakeups.stop()
        for task in self._running:
            task.cancel()
        for tasks in (self.dispatcher._tasks, self.controller._executor._writing):
            await tasks.cancel()
        await self.controller._foresight.stop()
        await self._close()

    async def stop(self, within: float = PATIENCE_S) -> None:
        """Stop in order; `within` in the host's seconds."""
        await self.wakeups.stop()
        limit = timedelta(seconds=within)
        await self.controller.stop(limit, filing=limit)
        for task in self._running:
            task.cancel()
        await self._close()

    async def _close(self) -> None:
        self.is_up = False
        await asyncio.gather(*self._running, return_exceptions=True)
        for engine in self.engines.values():
            await engine.aclose()
        # A transport that was closed is gone only when the loop has turned once more.
        await asyncio.sleep(0.01)
        self.ledger.close()

    # ── what a test does to it ───────────────────────────────────────────────────────────

    def show(
        self,
        uid: str = "sync",
        *,
        starts_in: float = 0,
        lasts: float = 600,
        code: str = CODE,
        **changes: Any,
    ) -> CalendarEvent:
        """Put an accepted meeting on the calendar, or edit it; seconds of the stage's."""
        start = self.clock.now() + timedelta(seconds=starts_in)
        event = CalendarEvent(
            calendar=_WORK,
            event_id=uid,
            uid=uid,
            start=start,
            end=start + timedelta(seconds=lasts),
            revision=str(len(self._events)) + self.clock.now().isoformat(),
            title=f"Meeting {uid}",
            answer=Answer.ACCEPTED,
            room=room(code),
        )
        self._events[uid] = replace(event, **changes)
        self.read()
        return self._events[uid]

    def edit(self, uid: str = "sync", **changes: Any) -> None:
        revision = self._events[uid].revision + "'"
        self._events[uid] = replace(self._events[uid], **{"revision": revision, **changes})
        self.read()

    def event(self, uid: str = "sync") -> CalendarEvent:
        return self._events[uid]

    def policy_for(self, persona: str) -> Policy:
        return replace(self.policy, default_persona=persona, personas=frozenset({persona}))

    def read(self, *, tell: bool = True) -> None:
        """Apply a reading of the calendar as it is now."""
        now = self.clock.now()
        window = TimeWindow(now - timedelta(days=3), now + timedelta(days=3))
        self.ledger.calendars.apply(
            CalendarReading(_WORK, now, window, tuple(self._events.values()))
        )
        if tell:
            self.controller.calendar_changed(_WORK)

    def leap(self, duration: timedelta) -> None:
        """Let so much of the stage's time have passed, for the stage and for us."""
        self.clock.run_on(after=duration)
        if self.is_up:
            self.wakeups.arm(())  # They were set by the time as it was.
            self.controller.ask()

    def hold(self, path: str, method: str = "") -> None:
        """Keep the stage's answers on this path back until `let_go`."""
        self.gate.method, self.gate.held = method, path

    def let_go(self) -> None:
        self.gate.held = ""

    @contextlib.contextmanager
    def unwritable(self) -> Iterator[None]:
        """Keep the ledger from being written, as a full disk does; it can still be read."""
        other = sqlite3.connect(self.folder / "ledger.sqlite3", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        finally:
            other.close()

    def fault(self, **what: Any) -> None:
        self.stage.faults.add(Fault(**what))

    # ── what a test looks at ─────────────────────────────────────────────────────────────

    def records(self) -> tuple[SessionRecord, ...]:
        """Answer every session, the oldest first."""
        return tuple(reversed(self.ledger.sessions.newest(10_000)))

    @property
    def record(self) -> SessionRecord:
        """Answer the one session that there is."""
        [record] = self.records()
        return record

    def phases(self) -> tuple[Phase, ...]:
        return tuple(record.phase for record in self.records())

    def waits_to_retry(self) -> bool:
        return any(record.retry_at is not None for record in self.records())

    def joins(self) -> int:
        return len(self.stage.log.matching(CREATE, "POST"))

    def live(self) -> tuple[SessionState, ...]:
        return self.stage.live_sessions()

    def filed(self) -> list[Mapping[str, Any]]:
        """Answer the JSON twins in the summaries' folder."""
        paths = sorted((self.folder / "summaries").rglob("*.json"))
        return [json.loads(path.read_text()) for path in paths]


def room(code: str) -> Room:
    return Room(Platform.GOOGLE_MEET, code, f"https://meet.google.com/{code}")


@contextlib.asynccontextmanager
async def daemon_rig(
    folder: Path, *, speed: float = SPEED, pika: PikaSettings | None = None, **policy: Any
) -> AsyncIterator[DaemonRig]:
    """Answer a rig whose daemon isn't booted yet; it is crashed at the end if it runs."""
    clock = RigClock(speed)
    settings = replace(pika or PikaSettings(ready_after=timedelta(seconds=5)), api_key=_KEY)
    stage = PikaStage(now=clock.now, rooms=Rooms(now=clock.now), settings=settings)
    image = folder / "face.png"
    image.write_bytes(face_png(64) + b"\0" * 2048)
    base = Policy(default_persona="robin", default_engine="pika", personas=frozenset({"robin"}))
    gate = Gate(pikastream_app(stage))
    with served(gate) as server:
        rig = DaemonRig(
            folder=folder,
            stage=stage,
            clock=clock,
            gate=gate,
            base_url=server.base_url,
            policy=replace(base, **policy),
            sinks=(MarkdownFolder("markdown", folder / "summaries"),),
            personas={"robin": card(image)},
        )
        try:
            yield rig
        finally:
            if rig.is_up:
                await rig.crash()


def card(image: Path, name: str = "robin") -> PersonaCard:
    return PersonaCard(
        name=name,
        display_name=name.title(),
        owner="Alex",
        image=image,
        voice_id="English_radiant_girl",
        instructions="",
    )


async def until(condition: Callable[[], object]) -> None:
    """Wait, in the host's time, until something is so."""
    with anyio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - Ledger and stage tell nobody.
            await anyio.sleep(0.01)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
