"""A daemon whose owner is told: the real apprise, and a receiver on the stage."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import anyio
from dateutil.tz import UTC

from locum.core.notices import Kind, Notice
from locum.errors import LocumError
from locum.ledger import Delivery
from locum.notify import Targets
from locum.notifying import Notifications, NotifySetting
from locum.ports import Finding, NoticeTarget
from locum.rehearsal.receiver import Receiver, receiver_app
from locum.rehearsal.serving import served
from tests.integration.daemon_rig import DaemonRig

TOKEN = "tk_planted0123456789canary"
BEFORE = timedelta(minutes=10)


@dataclass
class Pigeonhole:
    """A target that keeps what it is given, or fails as it is told: no process, no network."""

    id: str = "pigeonhole"
    fails: LocumError | None = None
    notices: list[Notice] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.id

    async def send(self, notice: Notice) -> None:
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        self.notices.append(notice)

    async def check(self) -> tuple[Finding, ...]:
        return ()

    def kinds(self) -> list[Kind]:
        return [notice.kind for notice in self.notices]

    def titles(self) -> list[str]:
        return [notice.title for notice in self.notices]


@dataclass
class Owner:
    """Has a daemon tell; `begin` is part of its start, `end` of its end."""

    rig: DaemonRig
    targets: NotifySetting
    problems: list[str] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self.rig.boot()
        self.notifications = Notifications(
            ledger=self.rig.ledger,
            clock=self.rig.clock,
            controller=self.rig.controller,
            config_problems=lambda: self.problems,
            setting=self.targets,
        )
        self.rig.on_pass = self.notifications.ask
        self._task = asyncio.ensure_future(self.notifications.run())
        self.rig.controller.change_setting(self.rig.setting(notice=self.targets.before))

    async def crash(self) -> None:
        await self._end()
        await self.rig.crash()

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def deliveries(self) -> list[Delivery]:
        rows = self.rig.ledger.database.rows("SELECT key FROM notices ORDER BY put_at, key")
        return [each for row in rows for each in self.rig.ledger.notices.of(row["key"])]


@contextlib.asynccontextmanager
async def owner_of(
    rig: DaemonRig,
    targets: Targets | Sequence[NoticeTarget],
    *,
    before: timedelta = BEFORE,
    kinds: frozenset[Kind] = frozenset(Kind),
) -> AsyncIterator[Owner]:
    """Answer an owner whose daemon isn't booted yet."""
    find = targets if isinstance(targets, Targets) else lambda: targets
    owner = Owner(rig, NotifySetting(before=before, kinds=kinds, zone=UTC, targets=find))
    try:
        yield owner
    finally:
        await owner._end()


def compile_apprise(folder: Path) -> None:
    """Let its first start, which compiles 140 plug-ins, be no test's delay."""
    urls = folder / "urls"
    urls.write_text("json://127.0.0.1/a\n")
    [target] = Targets(urls, limit=timedelta(minutes=1))()
    anyio.run(target.check)


@contextlib.contextmanager
def receiving(folder: Path) -> Iterator[tuple[Receiver, Targets]]:
    """Serve an ntfy and a webhook, and answer them with the targets that lead there."""
    receiver = Receiver(token=TOKEN)
    with served(receiver_app(receiver)) as server:
        urls = folder / "notify.urls"
        urls.touch(mode=0o600)
        urls.write_text(
            "# the phone\n"
            f"ntfy://127.0.0.1:{server.port}/phone?token={TOKEN}\n\n"
            f"json://127.0.0.1:{server.port}/hook/{TOKEN}\n"
        )
        yield receiver, Targets(urls, loopback_only=True)
