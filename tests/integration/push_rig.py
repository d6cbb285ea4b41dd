"""What the push tests share: Google's stage, the real receiver, ledger, polls and timers.

Messages travel from the stage to the receiver over HTTP; calendars are read by Google's own
client. The clock stands until a test moves it, but waits pass in the host's time, and fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx

from locum.calendars.google import GoogleCalendarSource
from locum.calendars.google_push import GooglePush
from locum.core.channels import Channel
from locum.core.model import CalendarRef
from locum.ledger import Database, Ledger
from locum.metrics import Metrics
from locum.polling import Pace, Polling
from locum.push import Bell, Push, PushSettings
from locum.rehearsal.clock import HandClock
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.serving import served
from locum.wakeups import Wakeups
from tests.integration.daemon_rig import until
from tests.integration.google_rig import ANNA, BEN, NOW, PRIMARY, GoogleRig, StillClock, meeting
from tests.ports import free_port

IDLE = timedelta(hours=1)
HURRY = 20.0
"""How much faster a wait passes than it says."""


class HurryClock(HandClock):
    """Stands until it is moved; whoever waits on it waits a fraction of what it says."""

    async def sleep(self, duration: timedelta) -> None:
        await anyio.sleep(self.host_duration(duration).total_seconds())

    def host_duration(self, duration: timedelta) -> timedelta:
        return duration / self.hurry

    hurry = HURRY


@dataclass
class PushRig:
    """Anna's calendar with push; `boot` starts it over its ledger, `halt` stops it."""

    google: GoogleRig
    clock: HurryClock
    folder: Path
    settings: PushSettings | None
    calendars: tuple[str, ...] = ("primary",)
    pace: Pace = field(
        default_factory=lambda: Pace(
            near=timedelta(seconds=45),
            idle=IDLE,
            horizon=timedelta(hours=48),
            delta_from=21,
            safety=IDLE,
        )
    )
    busy_in: timedelta | None = None
    is_up: bool = False
    waits: list[timedelta | None] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def boot(self, *, polled: bool = True) -> None:
        """Start; channels are looked after only by `look`, or by `run`."""
        self.is_up = True
        self.ledger = Ledger(Database(self.folder / "ledger.db"))
        self.metrics = Metrics()
        self.source = self._account(GoogleCalendarSource)
        self.pusher = self._account(GooglePush)
        self.push = Push(
            ledger=self.ledger,
            clock=self.clock,
            metrics=self.metrics,
            ring=self._ring,
        )
        self.polling = Polling(
            ledger=self.ledger,
            clock=self.clock,
            metrics=self.metrics,
            sources=[self.source],
            pace=self.pace,
            near_from=self._near_from,
            on_change=lambda _calendar: (),
            rings=self.push.covers,
        )
        self.wakeups = Wakeups(
            self.clock, on_instant=lambda: None, on_jump=lambda: None, poll=self._poll
        )
        self.bell = Bell(
            now=self.clock.now,
            poll_after=self.wakeups.poll_after,
            is_failing=self.polling.is_failing,
        )
        self.change(self.settings)
        if polled:
            self.wakeups.start()

    def _near_from(
        self, _calendar: CalendarRef, now: datetime, margin: timedelta
    ) -> datetime | None:
        return None if self.busy_in is None else now + self.busy_in - margin

    def _account(self, adapter: Callable[..., Any]) -> Any:
        account = replace(self.google.account, calendars=self.calendars)
        return adapter(account, clock=self.clock)

    def change(self, settings: PushSettings | None, *calendars: str) -> None:
        """Reload: other settings, and perhaps other calendars of Anna's."""
        if calendars:
            self.calendars = calendars
            self.source = self._account(GoogleCalendarSource)
            self.pusher = self._account(GooglePush)
            self.polling.change([self.source], self.pace)
        self.settings = settings
        self.push.change(settings, [self.pusher], self.polling.calendars)

    def _ring(self, calendar: CalendarRef) -> None:
        self.bell.ring(calendar)

    async def _poll(self, calendar: CalendarRef) -> timedelta | None:
        wait = await self.bell.read(calendar, self.polling.poll)
        self.waits.append(wait)
        return wait

    def run(self) -> None:
        """Let the channels be looked after, as in the daemon."""
        self._tasks.append(asyncio.ensure_future(self.push.run()))

    async def halt(self) -> None:
        self.is_up = False
        await self.wakeups.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.push.aclose()
        await self.source.aclose()
        await self.pusher.aclose()
        self.ledger.close()

    async def restart(self) -> None:
        await self.halt()
        self.boot()

    # ── what a test does ─────────────────────────────────────────────────────────────────

    async def open_up(self) -> None:
        """Have Anna's calendar read once, and its channel opened and heard."""
        self.wakeups.poll_after(PRIMARY, timedelta(0))
        await until(lambda: PRIMARY in self.ledger.calendars.states())
        await self.push.look()
        await until(lambda: self.push.covers(PRIMARY))
        self.stage.log.clear()

    def edit(self, title: str = "Weekly sync", calendar: str = ANNA) -> None:
        """Put a meeting on a calendar, an hour from the stage's present."""
        times = {
            name: {"dateTime": (self.clock.now() + timedelta(hours=hours)).isoformat()}
            for name, hours in (("start", 1), ("end", 2))
        }
        self.stage.insert_event(calendar, meeting(summary=title, **times))

    @contextlib.contextmanager
    def unwritable(self) -> Iterator[None]:
        """Keep the ledger from being written, as a full disk does; it can still be read."""
        with contextlib.closing(
            sqlite3.connect(self.folder / "ledger.db", isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    def advance(self, **duration: float) -> None:
        self.clock.advance(timedelta(**duration))

    async def post(self, headers: dict[str, str], **more: Any) -> httpx.Response:
        """Send a message by hand to where the stage sends them."""
        assert self.settings is not None
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            return await client.post(self.settings.public_url, headers=headers, **more)

    def message(self, **changes: str) -> dict[str, str]:
        """Answer a true message's headers, but for `changes` (underscores for hyphens)."""
        [channel] = self.stage.open_channels()
        headers = {
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Token": str(channel.token),
            "X-Goog-Message-Number": "7",
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-State": "exists",
            "X-Goog-Resource-URI": channel.resource_uri,
        }
        return headers | {f"X-Goog-{k.replace('_', '-')}": v for k, v in changes.items()}

    # ── what a test looks at ─────────────────────────────────────────────────────────────

    @property
    def stage(self) -> GoogleStage:
        return self.google.stage

    def titles(self) -> list[str]:
        return sorted(event.title for event in self.ledger.calendars.events())

    def reads(self) -> int:
        return len(self.stage.log.matching("/events?"))

    def watches(self) -> int:
        return len(self.stage.log.matching("/events/watch"))

    def known(self) -> tuple[Channel, ...]:
        return self.ledger.channels.all()

    def open_ids(self, calendar: str | None = None) -> list[str]:
        return [each.id for each in self.stage.open_channels(calendar)]

    def messages(self, outcome: str) -> float:
        """Answer how many messages the metrics counted with an outcome."""
        wanted = f'locum_push_messages_total{{outcome="{outcome}"}} '
        lines = self.metrics.exposition().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted))


@contextlib.asynccontextmanager
async def push_rig(folder: Path) -> AsyncIterator[PushRig]:
    """Answer a rig that isn't booted yet."""
    clock = HurryClock(NOW)
    stage = GoogleStage(now=clock.now)
    stage.add_account(ANNA, name="Anna", time_zone="Europe/Berlin")
    stage.add_account(BEN, name="Ben")
    stage.set_access(BEN, ANNA, "reader")
    with served(google_app(stage)) as server:
        google = GoogleRig(stage, StillClock(NOW), server.base_url, folder)
        google.write_sign_in()
        rig = PushRig(google, clock, folder, settings_at(free_port()))
        try:
            yield rig
        finally:
            if rig.is_up:
                await rig.halt()


def settings_at(port: int, path: str = "/locum/push", **changes: Any) -> PushSettings:
    base = PushSettings(
        public_url=f"http://127.0.0.1:{port}{path}",
        host="127.0.0.1",
        port=port,
        lifetime=timedelta(days=7),
    )
    return replace(base, **changes)
