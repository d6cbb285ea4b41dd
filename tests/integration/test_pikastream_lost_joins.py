"""Lost joins: what the balance proves, and what it doesn't."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from locum.errors import AmbiguousError
from locum.ports import LostJoin
from locum.rehearsal.faults import Fault
from tests.integration.pikastream_rig import BALANCE, CREATE, Rig, eventually, rigged


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as built:
        yield built


async def lose_a_join(rig: Rig, *, began: bool) -> None:
    rig.stage.faults.add(Fault(CREATE, after=began, drop=not began))
    with pytest.raises(AmbiguousError):
        await rig.joined()


@pytest.mark.anyio
async def test_a_steady_balance_proves_that_nothing_runs(rig: Rig) -> None:
    """Two looks, at 30 and 90 seconds, find the balance from before the join."""
    await rig.engine.prepare()
    await lose_a_join(rig, began=False)
    began = rig.clock.now()
    assert await rig.engine.settle_lost_join(others_running=0) is LostJoin.NEVER_RAN
    assert rig.clock.now() - began == timedelta(seconds=90)


@pytest.mark.parametrize("known", [True, False], ids=["balance known", "balance unknown"])
@pytest.mark.anyio
async def test_a_falling_balance_means_a_suspected_orphan(rig: Rig, *, known: bool) -> None:
    """An orphan gives itself away by what it costs, even if nothing was known before."""
    if not known:
        rig.stage.faults.add(Fault(BALANCE, status=503))
    await lose_a_join(rig, began=True)
    assert await rig.engine.settle_lost_join(others_running=0) is LostJoin.MAY_BE_RUNNING
    assert len(rig.stage.live_sessions()) == 1


@pytest.mark.anyio
async def test_after_a_restart_the_balance_is_watched_from_now(rig: Rig) -> None:
    """A process that knows nothing of the lost join can settle it all the same."""
    assert await rig.engine.settle_lost_join(others_running=0) is LostJoin.NEVER_RAN
    await lose_a_join(rig, began=True)
    restarted = rig.another_engine()
    assert await restarted.settle_lost_join(others_running=0) is LostJoin.MAY_BE_RUNNING


@pytest.mark.anyio
async def test_with_others_running_nothing_can_be_proved(rig: Rig) -> None:
    """A fall can't be told apart, whether the caller or the engine knows of others."""
    rig.stage.configure(credits_per_minute=Decimal(0))  # Even what stands still proves nothing.
    await lose_a_join(rig, began=False)
    assert await rig.engine.settle_lost_join(others_running=1) is LostJoin.MAY_BE_RUNNING
    session = await rig.joined()
    await lose_a_join(rig, began=False)
    assert await rig.engine.settle_lost_join(others_running=0) is LostJoin.MAY_BE_RUNNING
    await session.leave()
    assert await rig.engine.settle_lost_join(others_running=0) is LostJoin.NEVER_RAN


@pytest.mark.anyio
async def test_several_lost_joins_are_suspected_together(rig: Rig) -> None:
    """One orphan among two lost joins: neither may be repeated."""
    await rig.engine.prepare()
    await lose_a_join(rig, began=True)
    await lose_a_join(rig, began=False)
    told: list[LostJoin] = []

    async def settle() -> None:
        told.append(await rig.engine.settle_lost_join(others_running=0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(settle)
        tasks.start_soon(settle)
    assert told == [LostJoin.MAY_BE_RUNNING] * 2


@pytest.mark.parametrize("change", ["topped up", "unreadable", "refused"])
@pytest.mark.anyio
async def test_what_can_t_be_read_or_compared_proves_nothing(rig: Rig, change: str) -> None:
    """A top-up hides a fall; an unreadable balance shows none."""
    await rig.engine.prepare()
    await lose_a_join(rig, began=False)
    if change == "topped up":
        rig.stage.configure(balance=Decimal(20_000))
    else:
        status = 500 if change == "unreadable" else 401
        rig.stage.faults.add(Fault(BALANCE, status=status, times=None))
    assert await rig.engine.settle_lost_join(others_running=0) is LostJoin.MAY_BE_RUNNING


@pytest.mark.anyio
async def test_one_failed_look_at_the_balance_is_repeated(rig: Rig) -> None:
    """A single 500 in a minute and a half must not cost the meeting."""
    await rig.engine.prepare()
    await lose_a_join(rig, began=False)
    rig.stage.faults.add(Fault(BALANCE, status=500, times=2))
    assert await rig.engine.settle_lost_join(others_running=0) is LostJoin.NEVER_RAN


@pytest.mark.anyio
async def test_a_cancelled_join_counts_as_lost(rig: Rig) -> None:
    """Whoever cancels a join can settle it afterwards, and is told that money is going."""
    await rig.engine.prepare()
    rig.stage.faults.add(Fault(CREATE, drip_s=0.1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.joined)
        await eventually(rig.stage.live_sessions)
        tasks.cancel_scope.cancel()
    assert await rig.engine.settle_lost_join(others_running=0) is LostJoin.MAY_BE_RUNNING
