"""One schedule played to its end: the stage, the people, the faults, and the daemon's lives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum.calendars.google_token import CALENDAR_SCOPE, GoogleAccount
from locum.persona import PersonaCard
from locum.rehearsal.face import face_png
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.pikastate import PikaSettings, PikaStage
from locum.rehearsal.pikastream import pikastream_app
from locum.rehearsal.rooms import Rooms, RoomStep, StepKind
from tests.campaign.books import FINAL, Excuses, Told
from tests.campaign.diary import OWNER, Diary
from tests.campaign.life import KEY, Life, Surroundings, dying_commits, slower_ticks
from tests.campaign.loop import VirtualLoop, VirtualTime, without_threads
from tests.campaign.schedule import LEAD_S, Schedule, Step
from tests.campaign.story import Crash, Story, logs_into
from tests.campaign.wires import EngineFault, EngineWire, GoogleGate, google_by

BASE = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
_ADDRESS = "http://127.0.0.1:1"
_RAM = Path("/dev/shm")
_AFTERMATH = timedelta(minutes=4)
"""How long after a fault the daemon may still be settling it: looks at a balance, retries."""

_PATIENCE_S = 100.0
"""A little less than what the daemon's client gives Google for one reading."""

_SETTLE_AT_MOST = timedelta(minutes=50)


class World:
    """Everything that one seed needs. `play` it once."""

    def __init__(self, schedule: Schedule, folder: Path, time: VirtualTime) -> None:
        self.schedule = schedule
        self.folder = folder
        self.time = time
        self.story = Story(time.elapsed, folder=str(folder))
        self.excuses = Excuses()
        self.rooms = Rooms(now=time.world)
        self.pika = PikaStage(
            now=time.world,
            rooms=self.rooms,
            settings=PikaSettings(api_key=KEY, balance=1_000_000),  # type: ignore[arg-type]
        )
        self.google = GoogleStage(now=time.world)
        self.google.add_account(OWNER, name="Alex")
        self.google.quirks.page_size = schedule.page_size
        self.diary = Diary(self.google, BASE, self.story)
        self.gate = GoogleGate(google_app(self.google), self.story, time.world)
        self.draw = random.Random(schedule.seed * 7919 + 1)
        self.ended = BASE
        self.settled = False
        self.told = Told()
        self._pika_app = pikastream_app(self.pika)
        self._engine_faults: list[EngineFault] = []
        self._deaths: list[tuple[str, int, float]] = []
        self._away_s = 5.0
        self._full = False
        self._slow_google = 0.0
        self._open: dict[str, datetime] = {}
        self._dead = True
        self._life: Life | None = None
        self._crashed = asyncio.Event()
        self._restart: float | None = None
        self._restarting = asyncio.Event()
        self._around = self._surroundings()

    def _surroundings(self) -> Surroundings:
        image = self.folder / "face.png"
        image.write_bytes(face_png(64) + b"\0" * 2048)
        self._sign_in()
        return Surroundings(
            folder=self.folder,
            account=GoogleAccount(
                name="work",
                calendars=("primary",),
                token_file=self.folder / "work.json",
                api_root=f"{_ADDRESS}/",
                token_uri=f"{_ADDRESS}/token",
            ),
            persona=PersonaCard(
                name="robin",
                display_name="Robin",
                owner="Alex",
                image=image,
                voice_id="English_radiant_girl",
                instructions="",
            ),
            wire=lambda: EngineWire(
                self._pika_app,
                faults=self._engine_faults,
                draw=self.draw,
                point=self.point,
                struck=self._engine_struck,
            ),
            point=self.point,
            disk_is_full=lambda: self._full,
            draw=self.draw,
            delta_lane=self.schedule.delta_lane,
            cap=self.schedule.cap,
        )

    def _sign_in(self) -> None:
        info = self.google.authorized_user_info(OWNER, f"{_ADDRESS}/token", (CALENDAR_SCOPE,))
        path = self.folder / "work.json"
        path.write_text(json.dumps({**info, "scopes": [CALENDAR_SCOPE]}))
        path.chmod(0o600)

    # ── dying ────────────────────────────────────────────────────────────────────────────

    def point(self, name: str) -> None:
        """Pass a point of persistence, if the process may.

        Raises:
            Crash: It is dead, or dies here.
        """
        if self._dead:
            raise Crash(name)
        for number, (where, count, away) in enumerate(self._deaths):
            if where != name:
                continue
            if count > 1:
                self._deaths[number] = (where, count - 1, away)
                return
            del self._deaths[number]
            self._die(name, away)
            raise Crash(name)

    @contextlib.contextmanager
    def _undying(self) -> Iterator[None]:
        """Let a person's word be taken whole: who isn't answered asks again."""
        deaths, self._deaths = self._deaths, []
        try:
            yield
        finally:
            self._deaths = deaths

    def _die(self, where: str, away: float) -> None:
        self.story.tell(f"the process dies at {where}, for {away:g} s")
        self._dead = self.story.muted = True
        self._away_s = away
        self._crashed.set()

    def around_work(self, executor: Any, work: Callable[[], Any]) -> tuple[Any, float]:
        """Do what was meant for a thread; the calendar's answers take their time."""
        if self._dead:
            raise Crash("thread")
        slow = 0.0 if executor is None else self._slow_google + self.draw.uniform(0.05, 0.5)
        return work(), slow

    def _engine_struck(self, call: str, kind: str) -> None:
        self.story.tell(f"engine: {call} {kind}")
        now = self.time.world()
        self.excuses.engine.append((now, now + _AFTERMATH))
        if call == "post":
            self.excuses.lost_joins.append(now)

    # ── playing ──────────────────────────────────────────────────────────────────────────

    async def play(self) -> None:
        """Let everything happen, then wait until all is settled."""
        driver = asyncio.current_task()
        assert driver is not None
        steps = list(self.schedule.steps)
        while steps and steps[0].at <= 0:
            self._take(steps.pop(0))
        keeper = asyncio.get_running_loop().create_task(self._keep_alive(), name="keeper")
        self._spared = {driver, keeper}
        for step in steps:
            await self._sleep_until(step.at, keeper)
            self._take(step)
        last = max(
            (version.until for each in self.diary.occurrences for version in each.versions),
            default=BASE,
        )
        await self._sleep_until((last - BASE).total_seconds(), keeper)
        self._calm()
        await self._settle(keeper)
        self.ended = self.time.world()
        await self._end(keeper)

    async def _sleep_until(self, at: float, keeper: asyncio.Task[None]) -> None:
        while (left := at - self.time.elapsed()) > 0:
            await asyncio.wait((keeper,), timeout=left)
            if keeper.done():
                keeper.result()

    async def _settle(self, keeper: asyncio.Task[None]) -> None:
        until = self.time.elapsed() + _SETTLE_AT_MOST.total_seconds()
        quiet = 0
        while self.time.elapsed() < until:
            await self._sleep_until(self.time.elapsed() + 30, keeper)
            quiet = quiet + 1 if self._is_settled() else 0
            if quiet > 2:
                self.settled = True
                return

    def _is_settled(self) -> bool:
        life = self._life
        if life is None or self._dead:
            return False
        told = Told.by(life.ledger)
        final = all(record.phase in FINAL for record in told.records)
        return final and not any(each.id in told.named for each in self.pika.live_sessions())

    @property
    def life(self) -> Life:
        if self._life is None:
            raise RuntimeError("the daemon isn't up")
        return self._life

    async def _end(self, keeper: asyncio.Task[None]) -> None:
        self._dead = self.story.muted = True
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        self.told = Told.by(self.life.ledger)
        await self._bury()

    # ── the daemon's lives ───────────────────────────────────────────────────────────────

    async def _keep_alive(self) -> None:
        """Be systemd: start it, and start it again."""
        while True:
            began = await self._live()
            died = self.time.world()
            self._life_over(began)
            await self._bury()
            await asyncio.sleep(self._away_s)
            self.excuses.down.append((died, self.time.world() + _AFTERMATH))

    async def _live(self) -> datetime:
        self._crashed.clear()
        self._restarting.clear()
        self._dead = self.story.muted = False
        self.story.tell("the daemon starts")
        began = self.time.world()
        try:
            self._life = Life(self._around)
            self._life.begin()
        except Crash:
            return began
        waits = [
            asyncio.ensure_future(each.wait()) for each in (self._crashed, self._restarting)
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if self._restarting.is_set() and not self._crashed.is_set():
                await self._stop(waits[0])
        finally:
            for wait in waits:
                wait.cancel()
        return began

    async def _stop(self, crashed: asyncio.Future[Any]) -> None:
        self.story.tell("the daemon is told to stop")
        self.excuses.stops.append(self.time.world())
        stopping = asyncio.ensure_future(self.life.stop())
        await asyncio.wait((stopping, crashed), return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            stopping.result()
            self.story.tell("the daemon has stopped")
        self._away_s = self._restart or 1.0

    def _life_over(self, began: datetime) -> None:
        del began
        self._dead = self.story.muted = True
        self.excuses.deaths.append(self.time.world())

    async def _bury(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            await life.vanish(self._spared)

    # ── what happens ─────────────────────────────────────────────────────────────────────

    def _take(self, step: Step) -> None:
        name = f"_do_{step.kind.replace(' ', '_')}"
        if hasattr(self, name):
            getattr(self, name)(step)
        elif step.kind == "make":
            self.diary.make(step.who, self.schedule.meetings[step.who])
        else:
            self.diary.edit(step, self.schedule.meetings[step.who])

    def _trouble(self, kind: str, lasts: timedelta = timedelta(0)) -> None:
        now = self.time.world()
        self.story.tell(f"trouble: {kind}")
        self.excuses.engine.append((now, now + lasts + _AFTERMATH))

    def _people(self, what: str) -> None:
        now = self.time.world()
        self.story.tell(f"people: {what}")
        self.excuses.people.append((now, now + _AFTERMATH))

    def _do_storm(self, step: Step) -> None:
        self._storm_over()
        self.story.tell(f"google: {step.what} for {step.amount:g} s")
        self._open["google"] = self.time.world()
        if step.what == "signed out":
            self.google.revoke(OWNER)
        elif step.what == "slow":
            self._slow_google = step.amount / 10
            self.gate.too_slow = self._slow_google > _PATIENCE_S
        else:
            self.gate.trouble = step.what

    def _do_storm_over(self, _step: Step) -> None:
        self._storm_over()

    def _storm_over(self) -> None:
        if "google" not in self._open:
            return
        self.story.tell("google: well again")
        self.excuses.google.append((self._open.pop("google"), self.time.world()))
        self.gate.trouble = None
        self.gate.too_slow = False
        self._slow_google = 0.0
        self._sign_in()

    def _do_hiccup(self, step: Step) -> None:
        now = self.time.world()
        self.excuses.google.append((now, now))
        if step.what == "tokens expire":
            self.google.expire_access_tokens()
        elif step.what == "no token":
            self.google.quirks.next_without_sync_token = 1
        elif step.what == "empty page":
            self.google.quirks.next_empty_pages = 2
        elif step.what == "bare tombstones":
            self.google.quirks.bare_tombstones = True
        else:
            self.gate.once.append(step.what)

    def _do_engine(self, step: Step) -> None:
        call, _, kind = step.what.partition("/")
        self._engine_faults.append(EngineFault(call, kind, int(step.amount)))

    def _do_die(self, step: Step) -> None:
        where, _, count = step.what.partition(":")
        if where != "now":
            self._deaths.append((where, int(count), step.amount))
        elif not self._dead:
            self._die("now", step.amount)

    def _do_restart(self, step: Step) -> None:
        if not self._dead:
            self._restart = step.amount
            self._restarting.set()

    def _do_clock_wrong(self, step: Step) -> None:
        self.story.tell(f"the host's clock is wrong by {step.amount:g} s")
        self._open["clock"] = self.time.world()
        self.time.set_wrong(timedelta(seconds=step.amount))

    def _do_clock_right(self, _step: Step) -> None:
        if "clock" in self._open:
            self.story.tell("the host's clock is right again")
            self.time.set_wrong(timedelta(0))
            until = self.time.world() + timedelta(minutes=1)
            self.excuses.clock.append((self._open.pop("clock"), until))

    def _do_suspend(self, step: Step) -> None:
        lasts = timedelta(seconds=step.amount)
        self._trouble(f"suspended for {step.amount:.0f} s", lasts)
        now = self.time.world()
        self.excuses.clock.append((now, now + lasts + timedelta(minutes=1)))
        self.time.suspend(lasts)

    def _do_block(self, step: Step) -> None:
        self._trouble(f"the loop is blocked for {step.amount:.0f} s")
        self.time.advance(min(step.amount, 40.0))

    def _do_disk_full(self, _step: Step) -> None:
        self._full = True
        self.story.tell("the sinks' disk is full")

    def _do_disk_free(self, _step: Step) -> None:
        self._full = False

    def _do_never_ready(self, _step: Step) -> None:
        self._open["ready"] = self.time.world()
        self.story.tell("sessions never get ready")
        self.pika.configure(never_ready=True)

    def _do_ready_again(self, _step: Step) -> None:
        if "ready" in self._open:
            self.pika.configure(never_ready=False)
            until = self.time.world() + _AFTERMATH
            self.excuses.engine.append((self._open.pop("ready"), until))

    def _do_leave(self, step: Step) -> None:
        found = self.diary.of(step.who)
        if found is None or self._dead or found.now.room is None:
            return
        here = self._served_in(found.now.room)
        with self._undying():
            left = self.life.leave(found.now.room)
        if left:
            self._people(f"locum leave {found.now.room}")
            for each in here:
                self.diary.unwelcome(each)

    def _served_in(self, room: str) -> list[Any]:
        """Answer what has begun of the session that holds a room, by the ledger's word."""
        now = self.time.world()
        keys = {
            str(meeting.occurrence)
            for record in self.life.ledger.sessions.unfinished_and_since(now)
            if record.is_open and record.room.code == room
            for meeting in record.meetings
            if meeting.start - timedelta(seconds=LEAD_S) <= now + self.time.skew
        }
        return [each for each in self.diary.occurrences if each.uid in keys]

    def _do_skip(self, step: Step) -> None:
        found = self.diary.of(step.who)
        if found is None or self._dead:
            return
        with self._undying():
            skipped = self.life.skip(found.uid)
        if skipped:
            self.diary.unwelcome(found)

    def _do_close(self, step: Step) -> None:
        """The host ends the meeting for all, and somebody opens the room again later."""
        found = self.diary.of(step.who)
        if found is None or found.now.room is None or self._dead:
            return
        room = found.now.room
        ours = any(each.is_bot for each in self.rooms.present(room))
        if not ours:
            return
        self._people(f"{room} is closed")
        # What our presence there doesn't serve (it couldn't be paid) it knows nothing of.
        served = self._served_in(room)
        self.rooms.close(room)
        again = self.time.world() + timedelta(seconds=1)
        self.rooms.expect([RoomStep(again, room, StepKind.ENTER, "host")])
        for each in self.diary.in_room(room):
            if each in served:
                self.diary.over(each)

    def _do_drop(self, step: Step) -> None:
        found = self.diary.of(step.who)
        if found is None:
            return
        now = self.time.world()
        for session in self.pika.sessions():
            if session.live and session.request.room == found.now.room:
                self._trouble(f"the service loses {session.id}")
                lost = self.pika._sessions[session.id]
                lost.end(now, "error", "worker lost")
                if lost.visit is not None:
                    self.rooms.end_visit(lost.visit, now, "dropped")

    def _calm(self) -> None:
        """Nothing goes wrong any more."""
        self.story.tell("calm")
        step = Step(0, "calm")
        self._storm_over()
        self._do_clock_right(step)
        self._do_ready_again(step)
        self._full = False
        self._engine_faults.clear()
        self._deaths.clear()
        self.gate.once.clear()


@contextlib.contextmanager
def played(schedule: Schedule) -> Iterator[World]:
    """Play a schedule; the ledger and the files are there until the block ends."""
    ram = _RAM if _RAM.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="campaign-", dir=ram))
    try:
        with VirtualTime(BASE) as time, without_threads():
            loop = VirtualLoop(time)
            asyncio.set_event_loop(loop)
            try:
                yield _played_on(loop, schedule, folder, time)
            finally:
                asyncio.set_event_loop(None)
                loop.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _played_on(loop: VirtualLoop, schedule: Schedule, folder: Path, time: VirtualTime) -> World:
    world = World(schedule, folder, time)
    loop.around_work = world.around_work
    loop.set_exception_handler(lambda _, told: _note_loop_error(world, told))
    # What a scheduled job raises is told by locum itself; a death by nobody.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL + 1)
    with (
        logs_into(world.story),
        google_by(world.gate),
        dying_commits(world.point),
        slower_ticks(),
    ):
        loop.run_until_complete(world.play())
    return world


def _note_loop_error(world: World, told: dict[str, Any]) -> None:
    error = told.get("exception")
    if not isinstance(error, (Crash, asyncio.CancelledError)):
        world.story.breakages.append(f"loop: {told.get('message')}: {error!r}")
