"""The rules about being in a meeting, tried with a real daemon and an engine that sees."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from locum.core.model import EndReason, EventStatus, Phase
from locum.engines.pikastream import PikaStreamEngine
from locum.rehearsal.pikastate import PikaSettings
from tests.integration.daemon_rig import CODE, DaemonRig, daemon_rig, seconds, until
from tests.integration.seeing_rig import SeeingEngine

pytestmark = pytest.mark.anyio

FAST = PikaSettings(ready_after=seconds(2))
HOUR = timedelta(hours=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.asynccontextmanager
async def seeing(
    folder: Path, *, forgets: bool = False, **policy: Any
) -> AsyncIterator[DaemonRig]:
    """A rig whose engine sees who is in the room."""
    async with daemon_rig(folder, pika=FAST, **policy) as rig:

        def equip(engine: PikaStreamEngine) -> SeeingEngine:
            return SeeingEngine(engine, rig.stage, rig.clock.sleep, forgets=forgets)

        rig.equip = equip
        yield rig


async def _in_with(rig: DaemonRig, *people: str) -> None:
    """Be in, and see these people come."""
    await until(lambda: rig.phases() == (Phase.LIVE,))
    for name in people:
        rig.stage.rooms.enter(CODE, name)
    await until(lambda: rig.record.others_present == len(people))


async def _waited(rig: DaemonRig, duration: timedelta) -> None:
    over = rig.clock.now() + duration
    await until(lambda: rig.clock.now() > over)


# ── moved and cancelled while in it ──────────────────────────────────────────────────────


@pytest.mark.parametrize("shift", [HOUR, 24 * HOUR])
async def test_rule_07_08_people_are_stayed_with_until_they_go(
    tmp_path: Path, shift: timedelta
) -> None:
    """Moved away while Dana is there: left when she leaves, and filed for that reason."""
    async with seeing(tmp_path) as rig:
        rig.boot()
        event = rig.show(lasts=600)
        await _in_with(rig, "Dana")
        rig.edit(start=event.start + shift, end=event.start + shift + HOUR)
        await _waited(rig, seconds(20))
        assert rig.phases() == (Phase.LIVE,)
        rig.stage.rooms.leave(CODE, "Dana")
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert (rig.record.end_reason, rig.joins()) == (EndReason.MOVED, 1)


async def test_rule_07_alone_in_the_room_a_moved_meeting_is_left(tmp_path: Path) -> None:
    """Nobody has come: it is left at once, and joined at its new start."""
    async with seeing(tmp_path) as rig:
        rig.boot()
        rig.show(lasts=600)
        await _in_with(rig)
        later = rig.clock.now() + timedelta(minutes=4)
        rig.edit(start=later, end=later + HOUR)
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.record.end_reason is EndReason.MOVED
        await until(lambda: rig.phases() == (Phase.FILED, Phase.LIVE))
        admitted_at = rig.records()[1].admitted_at
        assert admitted_at is not None
        assert admitted_at >= later - timedelta(seconds=31)


@pytest.mark.parametrize("stays", [True, False])
async def test_rule_12_cancelled_while_people_are_there(tmp_path: Path, *, stays: bool) -> None:
    """Left at once; or, if the setting says so, when they have gone."""
    async with seeing(tmp_path, leave_when_cancelled=not stays) as rig:
        rig.boot()
        rig.show(lasts=3600)
        await _in_with(rig, "Dana")
        rig.edit(status=EventStatus.CANCELLED)
        if stays:
            await _waited(rig, seconds(20))
            assert rig.phases() == (Phase.LIVE,)
            rig.stage.rooms.leave(CODE, "Dana")
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.record.end_reason is EndReason.CANCELLED


async def test_rule_17_without_an_end_it_is_over_when_the_room_empties(tmp_path: Path) -> None:
    """They came, and went after the grace: so do we, hours before the cap, and for good."""
    async with seeing(tmp_path, grace=seconds(120)) as rig:
        rig.boot()
        rig.show(end=None)
        await _in_with(rig, "Dana", "Eli")
        rig.stage.rooms.leave(CODE, "Dana")
        rig.leap(seconds(150))
        await _waited(rig, seconds(20))
        assert rig.phases() == (Phase.LIVE,)
        rig.stage.rooms.leave(CODE, "Eli")
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.record.end_reason is EndReason.ROOM_EMPTY
        await _waited(rig, seconds(20))
        assert rig.joins() == 1


async def test_rule_17_an_engine_that_cannot_see_stays_to_the_cap(tmp_path: Path) -> None:
    """PikaStream as it is: nothing tells it that all have gone."""
    async with daemon_rig(tmp_path, pika=FAST, max_length=seconds(240)) as rig:
        rig.boot()
        rig.show(end=None)
        await until(lambda: rig.phases() == (Phase.LIVE,))
        rig.stage.rooms.enter(CODE, "Dana")
        rig.stage.rooms.leave(CODE, "Dana")
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.record.end_reason is EndReason.LENGTH_CAP
        assert rig.record.others_present is None


# ── missed, restarted, dropped ───────────────────────────────────────────────────────────


async def test_rule_06_51_missed_is_written_down_and_told_once(tmp_path: Path) -> None:
    """Moved wholly into the past before we came: no join, one record, one line of the log."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        event = rig.show(starts_in=600)
        with capture_logs() as logged:
            rig.edit(start=event.start - 2 * HOUR, end=event.start - HOUR)
            await until(rig.phases)
            await _waited(rig, seconds(20))
        assert rig.phases() == (Phase.MISSED,)
        assert (rig.record.end_reason, rig.joins()) == (EndReason.TOO_LATE, 0)
        told = [each for each in logged if each["event"] == "meeting_missed"]
        assert [each["log_level"] for each in told] == ["error"]


@pytest.mark.parametrize("forgets", [False, True])
async def test_rule_52_a_restart_while_live(tmp_path: Path, *, forgets: bool) -> None:
    """What goes on without us is adopted; what has ended with us is joined again, once."""
    async with seeing(tmp_path, forgets=forgets) as rig:
        rig.boot()
        rig.show(lasts=3600)
        await _in_with(rig, "Dana")
        await rig.crash()
        rig.boot()
        joins = 2 if forgets else 1
        await until(lambda: rig.joins() == joins and rig.phases() == (Phase.LIVE,))
        await until(lambda: rig.record.others_present == 1)
        await _waited(rig, seconds(20))
        assert (rig.joins(), rig.stage.peak_in_room) == (joins, 1)
        assert len(rig.records()) == 1


async def test_rule_08_44_who_was_there_before_we_were_dropped_holds_nobody(
    tmp_path: Path,
) -> None:
    """Dropped and back: until the engine sees anew, the room counts as unseen."""
    async with seeing(tmp_path) as rig:
        rig.boot()
        rig.show(lasts=3600)
        await _in_with(rig, "Dana")
        await _waited(rig, seconds(61))
        rig.fault(path="/proxy/realtime/meeting-session", status=503, times=1)
        rig.fault(path="/proxy/realtime/session/", method="GET", body={"status": "error"})
        await until(rig.waits_to_retry)
        assert rig.record.others_present is None
        assert rig.record.accompanied
