"""Somebody in the room wants the stand-in gone: it goes, stays away, and forgets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from locum.core.consent import series_of
from locum.core.model import Code, EndReason, Phase
from locum.engines.pikastream import PikaStreamEngine
from locum.rehearsal.pikastate import PikaSettings
from tests.integration.daemon_rig import (
    CODE,
    OTHER,
    DaemonRig,
    daemon_rig,
    seconds,
    until,
)
from tests.integration.hearing_rig import HearingEngine

pytestmark = pytest.mark.anyio

_NOTES = "Dana told of her plans."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.asynccontextmanager
async def hearing(
    folder: Path, *, speed: float = 10, **policy: Any
) -> AsyncIterator[DaemonRig]:
    """A rig whose engine hears."""
    pika = PikaSettings(ready_after=seconds(2), give_back_notes=_NOTES)
    async with daemon_rig(folder, speed=speed, pika=pika, **policy) as rig:

        def equip(engine: PikaStreamEngine) -> HearingEngine:
            return HearingEngine(engine, rig.stage, rig.clock.sleep)

        rig.equip = equip
        yield rig


def _ears(rig: DaemonRig) -> HearingEngine:
    engine = rig.engines["pika"]
    assert isinstance(engine, HearingEngine)
    return engine


async def _live(rig: DaemonRig) -> None:
    await until(lambda: rig.phases() == (Phase.LIVE,))


async def test_anybody_can_make_it_leave_within_five_seconds(tmp_path: Path) -> None:
    """From the word to the empty tile, by the room's own books; the record says why."""
    async with hearing(tmp_path) as rig:
        rig.boot()
        rig.show()
        await _live(rig)
        rig.clock.run_on(speed=1)  # A busy machine has its share of the five seconds.
        rooms = rig.stage.rooms
        rooms.enter(CODE, "Dana")
        rooms.say(CODE, "Dana", "Our customers can opt out of the newsletter.")
        await asyncio.sleep(0.3)
        assert rig.record.phase is Phase.LIVE
        rooms.say(CODE, "Dana", "Robin, opt out, please!")
        await until(lambda: rig.phases() == (Phase.FILED,))
        said = rooms.utterances(CODE)[-1].at
        [visit] = [each for each in rooms.visits(CODE) if each.is_bot]
        assert visit.left_at is not None
        assert visit.left_at - said < timedelta(seconds=5)
        assert rig.record.end_reason is EndReason.OPTED_OUT
        [opt_out] = rig.ledger.calendars.opt_outs()
        assert (opt_out.series, opt_out.by, opt_out.title) == ("sync", "Dana", "Meeting sync")


async def test_the_series_is_left_alone_until_it_is_undone(tmp_path: Path) -> None:
    """Its next occurrence, and one that is moved, are none; another series is joined."""
    async with hearing(tmp_path) as rig:
        rig.boot()
        begin = rig.clock.now()
        rig.show("weekly", original_start=begin)
        await _live(rig)
        rig.stage.rooms.enter(CODE, "Dana")
        rig.stage.rooms.say(CODE, "Dana", "opt out")
        await until(lambda: rig.phases() == (Phase.FILED,))
        rig.show("weekly", original_start=begin + timedelta(days=7), starts_in=1)
        rig.edit("weekly", event_id="weekly_2")
        rig.show("else", code=OTHER)
        await until(lambda: Phase.LIVE in rig.phases())
        assert [each.room.code for each in rig.records()] == [CODE, OTHER]
        codes = {each.event.uid: each.decision.code for each in rig.controller.agenda.judged}
        assert codes == {"weekly": Code.OPTED_OUT, "else": Code.ACCEPTED}
        assert rig.controller.opt_in(series_of(rig.event("weekly").occurrence))
        await until(lambda: len(rig.live()) == 2)
        assert not rig.controller.opt_in(series_of(rig.event("weekly").occurrence))


@pytest.mark.parametrize("forget", [True, False])
async def test_what_was_heard_is_deleted_if_the_config_says_so(
    tmp_path: Path, *, forget: bool
) -> None:
    """Notes and raw answers are gone from the ledger and never reach a summary."""
    async with hearing(tmp_path, forget_on_opt_out=forget) as rig:
        rig.boot()
        rig.show()
        await _live(rig)
        rig.stage.rooms.enter(CODE, "Dana")
        rig.stage.rooms.say(CODE, "Dana", "opt out")
        await until(lambda: rig.phases() == (Phase.FILED,))
        [summary] = rig.filed()
        kept = (
            _NOTES.encode()
            in (tmp_path / "ledger.sqlite3").read_bytes()
            + (tmp_path / "ledger.sqlite3-wal").read_bytes()
        )
        assert kept is not forget
        assert [note["text"] for note in summary["notes"]] == ([] if forget else [_NOTES])
        assert ("opted out" in summary["source"]) is forget
        assert [said["text"] for said in summary["transcript"]] == (
            [] if forget else ["opt out"]
        )
        assert bool(rig.ledger.transcripts.of(rig.record.key)) is not forget


async def test_who_it_is_stands_in_the_chat(tmp_path: Path) -> None:
    """It says what it is, for whom, and how to make it leave: once, though the chat fails."""
    async with hearing(tmp_path) as rig:
        rig.boot()
        _ears(rig).chat_fails = 2
        rig.show()
        await until(lambda: _ears(rig).posted)
        await asyncio.sleep(0.2)
        [text] = _ears(rig).posted
        assert "Robin, an AI stand-in for Alex" in text
        assert '"opt out"' in text
        assert "\n" not in text


async def test_an_engine_without_a_chat_posts_nothing(tmp_path: Path) -> None:
    """PikaStream as it is goes through its meeting without a word about chats."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        rig.show(lasts=60)
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.record.end_reason is EndReason.SCHEDULED_END


async def test_the_wish_outlives_a_death_on_the_way_out(tmp_path: Path) -> None:
    """Killed while it leaves: the next process ends it, and nobody comes back."""
    async with hearing(tmp_path) as rig:
        rig.boot()
        rig.show()
        await _live(rig)
        rig.fault(method="DELETE", path="/proxy/realtime/session/", times=30, status=503)
        rig.stage.rooms.enter(CODE, "Dana")
        rig.stage.rooms.say(CODE, "Dana", "opt out")
        await until(lambda: rig.record.phase is Phase.LEAVING)
        await rig.crash()
        rig.stage.faults.clear()
        rig.boot()
        await until(lambda: rig.phases() == (Phase.FILED,))
        rig.controller.ask()
        await asyncio.sleep(0.3)
        assert (rig.joins(), rig.live()) == (1, ())
        assert rig.record.end_reason is EndReason.OPTED_OUT
        assert [each.series for each in rig.ledger.calendars.opt_outs()] == ["sync"]


async def test_a_full_disk_keeps_nobody_in_who_is_not_wanted(tmp_path: Path) -> None:
    """It leaves first, and writes the wish down when there is room again."""
    async with hearing(tmp_path) as rig:
        rig.boot()
        rig.show()
        await _live(rig)
        rig.stage.rooms.enter(CODE, "Dana")
        with rig.unwritable():
            rig.stage.rooms.say(CODE, "Dana", "opt out")
            await until(lambda: not rig.live())
            assert rig.ledger.calendars.opt_outs() == ()
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert [each.by for each in rig.ledger.calendars.opt_outs()] == ["Dana"]
        assert rig.joins() == 1


async def test_only_what_has_begun_is_opted_out_of(tmp_path: Path) -> None:
    """The meeting that follows in the same room has other people: it is joined at its start."""
    async with hearing(tmp_path) as rig:
        rig.boot()
        rig.show("first", lasts=40)
        rig.show("second", starts_in=40, lasts=300)
        await until(lambda: rig.phases() == (Phase.LIVE,))
        rig.stage.rooms.enter(CODE, "Dana")
        rig.stage.rooms.say(CODE, "Dana", "opt out")
        await until(lambda: len(rig.records()) == 2 and rig.records()[1].phase is Phase.LIVE)
        assert [each.series for each in rig.ledger.calendars.opt_outs()] == ["first"]
        assert rig.records()[1].meetings[0].occurrence == "second"


async def test_by_command_it_leaves_too_on_any_engine(tmp_path: Path) -> None:
    """`locum opt-out`, for whoever asked by mail: out of what runs, and of all that follows."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        event = rig.show()
        await _live(rig)
        rig.controller.opt_out(event, by="Dana, by mail")
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.record.end_reason is EndReason.OPTED_OUT
        assert rig.ledger.calendars.opt_outs()[0].by == "Dana, by mail"
        assert rig.joins() == 1
