"""The account behind an engine, looked at ahead: seen in time, told once, and in nobody's way."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from structlog.testing import capture_logs

from locum.core.model import EventStatus, Phase
from locum.rehearsal.pikastate import PikaSettings
from tests.integration.daemon_rig import OTHER, SPEED, DaemonRig, daemon_rig, until

pytestmark = pytest.mark.anyio

BALANCE = "/developer/balance"
AHEAD = timedelta(minutes=5)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Watched:
    """A daemon that looks ahead, and what it logged."""

    rig: DaemonRig
    logs: list[Any]

    def shortage(self) -> str:
        [found] = self.rig.controller.shortages
        return found.problem

    def told(self, event: str) -> int:
        return sum(each["event"] == event for each in self.logs)

    def asked(self) -> int:
        return len(self.rig.stage.log.matching(BALANCE))

    def pay(self, credits_now: float) -> None:
        self.rig.stage.configure(balance=Decimal(credits_now))


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as caught:
        yield caught


@contextlib.asynccontextmanager
async def watched(
    folder: Path,
    logs: list[Any],
    *,
    credits_now: float = 10_000,
    speed: float = SPEED,
    **policy: Any,
) -> AsyncIterator[Watched]:
    pika = PikaSettings(balance=Decimal(credits_now), ready_after=timedelta(seconds=5))
    async with daemon_rig(folder, pika=pika, speed=speed, **policy) as rig:
        rig.boot()
        rig.controller.change_setting(rig.setting(funds_ahead=AHEAD))
        yield Watched(rig, logs)


async def test_an_empty_account_is_seen_while_one_can_still_pay(
    tmp_path: Path, logs: list[Any]
) -> None:
    """Told once with a link, asked again each minute; paid, it is forgotten, and it joins."""
    async with watched(tmp_path, logs, credits_now=50, speed=30) as seen:
        event = seen.rig.show(starts_in=290, lasts=600)
        await until(lambda: seen.rig.controller.shortages)
        assert seen.rig.clock.now() < event.start - timedelta(minutes=2)
        [found] = seen.rig.controller.shortages
        assert (found.engine, found.start) == ("pika", event.start)
        assert "50 credits left" in found.problem
        link = re.search(rf"{seen.rig.base_url}/checkout/\S+", found.problem)
        assert link is not None
        asked = seen.asked()
        await until(lambda: seen.asked() > asked)
        assert seen.told("funds_too_low") == 1
        async with httpx.AsyncClient() as browser:
            await browser.get(link[0])
        await until(lambda: not seen.rig.controller.shortages)
        assert seen.told("funds_suffice_again") == 1
        await until(lambda: seen.rig.phases() == (Phase.LIVE,))
        assert seen.rig.joins() == 1


async def test_an_account_must_suffice_for_all_that_is_planned(
    tmp_path: Path, logs: list[Any]
) -> None:
    """Enough for a join and too little for the stay is told; it joins all the same."""
    async with watched(tmp_path, logs, credits_now=400) as seen:
        seen.rig.show(starts_in=60, lasts=600)
        await until(lambda: seen.rig.controller.shortages)
        # Ten minutes, five more for leaving, and the lead: 16 of them at 27.5 credits.
        assert "400 credits left; what is planned may take 440" in seen.shortage()
        await until(lambda: seen.rig.phases() == (Phase.LIVE,))


async def test_what_runs_and_what_comes_is_added_up(tmp_path: Path, logs: list[Any]) -> None:
    """Two at once need twice as much, whether they are ahead or running."""
    async with watched(tmp_path, logs, credits_now=800, speed=30) as seen:
        seen.rig.show("one", starts_in=-5, lasts=600)
        await until(lambda: seen.rig.phases() == (Phase.LIVE,))
        assert seen.rig.controller.shortages == ()
        seen.rig.show("two", starts_in=90, lasts=600, code=OTHER)
        await until(lambda: seen.rig.controller.shortages)
        needed = float(re.findall(r"may take ([\d.]*\d)", seen.shortage())[0])
        assert 27.5 * (16 + 13) <= needed <= 27.5 * (16 + 16)


async def test_a_balance_that_can_not_be_read_is_not_an_empty_account(
    tmp_path: Path, logs: list[Any]
) -> None:
    """Nobody is told to pay, it is asked again, and the meeting is joined on time."""
    async with watched(tmp_path, logs) as seen:
        seen.rig.fault(path=BALANCE, times=None, status=503)
        seen.rig.show(starts_in=200, lasts=600)
        await until(lambda: seen.told("funds_not_read") >= 2)
        assert seen.rig.controller.shortages == ()
        await until(lambda: seen.rig.phases() == (Phase.LIVE,))
        assert seen.told("funds_too_low") == 0


async def test_what_was_short_stays_so_until_it_is_seen_otherwise(
    tmp_path: Path, logs: list[Any]
) -> None:
    """A failure to look neither clears a shortage nor makes one."""
    async with watched(tmp_path, logs, credits_now=50) as seen:
        seen.rig.show(starts_in=290, lasts=600)
        await until(lambda: seen.rig.controller.shortages)
        before = seen.rig.controller.shortages
        seen.rig.fault(path=BALANCE, times=3, status=503)
        await until(lambda: seen.told("funds_not_read"))
        assert seen.rig.controller.shortages == before


async def test_an_account_that_suffices_is_asked_once_a_stay(
    tmp_path: Path, logs: list[Any]
) -> None:
    """Not at each pass: once its time has come, by a timer of its own."""
    async with watched(tmp_path, logs) as seen:
        event = seen.rig.show(starts_in=500, lasts=120)
        due = event.start - seen.rig.policy.lead - AHEAD
        await until(lambda: due in seen.rig.wakeups._armed)
        assert seen.asked() == 0
        await until(lambda: seen.asked() == 1)
        ahead = event.start - seen.rig.clock.now()
        assert timedelta(minutes=3) < ahead <= AHEAD + seen.rig.policy.lead
        for _ in range(20):
            seen.rig.controller.pass_once()
        await anyio.sleep(0.3)
        assert seen.asked() == 1
        seen.rig.show("two", starts_in=250, lasts=60, code=OTHER)
        await until(lambda: seen.asked() == 2)


async def test_a_shortage_ends_with_what_it_was_for(tmp_path: Path, logs: list[Any]) -> None:
    """Called off, or over: nobody needs to act any more, and nobody is asked."""
    async with watched(tmp_path, logs, credits_now=50) as seen:
        seen.rig.show(starts_in=290, lasts=60)
        await until(lambda: seen.rig.controller.shortages)
        seen.rig.edit(status=EventStatus.CANCELLED)
        await until(lambda: not seen.rig.controller.shortages)
        asked = seen.asked()
        await anyio.sleep(1.5)
        assert seen.asked() == asked


async def test_an_account_is_tried_until_the_grace_ends(
    tmp_path: Path, logs: list[Any]
) -> None:
    """Paid after its time has come, it still joins; then nothing is short any more."""
    async with watched(tmp_path, logs, credits_now=50) as seen:
        seen.rig.show(starts_in=30, lasts=600)
        await until(lambda: seen.rig.waits_to_retry() and seen.rig.controller.shortages)
        seen.pay(10_000)
        await until(lambda: seen.rig.phases() == (Phase.LIVE,))
        await until(lambda: not seen.rig.controller.shortages)


async def test_a_reload_asks_anew(tmp_path: Path, logs: list[Any]) -> None:
    """The key may be another one; and zero never asks."""
    async with watched(tmp_path, logs) as seen:
        seen.rig.show(starts_in=290, lasts=120)
        await until(lambda: seen.asked() == 1)
        seen.rig.controller.change_setting(seen.rig.setting(funds_ahead=AHEAD))
        await until(lambda: seen.asked() == 2)
        seen.rig.controller.change_setting(seen.rig.setting())
        await anyio.sleep(0.2)
        assert (seen.asked(), seen.rig.controller.shortages) == (2, ())
