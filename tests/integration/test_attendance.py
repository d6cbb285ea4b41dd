"""One session against everything that can go wrong around it: disk, engine, stop, death."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest

from locum.attendance import Attendance
from locum.core.model import Answer, EndReason, Phase
from locum.core.money import OVERTIME
from locum.rehearsal.pikastate import PikaSettings
from tests.integration.daemon_rig import (
    CREATE,
    PATIENCE_S,
    SESSION,
    SPEED,
    DaemonRig,
    card,
    daemon_rig,
    seconds,
    until,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _live(rig: DaemonRig) -> None:
    await until(lambda: rig.phases() == (Phase.LIVE,))


async def test_the_plain_case(tmp_path: Path) -> None:
    """Joined, admitted, left at the end, filed once, for one started price."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        rig.show(lasts=90)
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert (rig.joins(), rig.live(), len(rig.filed())) == (1, (), 1)
        assert rig.record.end_reason is EndReason.SCHEDULED_END
        [attempt] = rig.ledger.sessions.attempts(rig.record.key)
        assert attempt.cost > 0


# ── the ledger's disk is full ────────────────────────────────────────────────────────────


async def test_a_full_disk_at_the_answer_keeps_the_session(tmp_path: Path) -> None:
    """The name can't be written: it is kept, written later, and nobody joins again."""
    async with daemon_rig(tmp_path) as rig:
        rig.hold(CREATE)
        rig.boot()
        rig.show()
        await until(lambda: rig.phases() == (Phase.JOINING,))
        with rig.unwritable():
            await until(rig.live)
            rig.let_go()
            await asyncio.sleep(0.3)
            assert rig.phases() == (Phase.JOINING,)
        await _live(rig)
        assert rig.joins() == 1
        assert rig.record.handle == rig.live()[0].id


async def test_a_full_disk_keeps_nobody_in_a_meeting(tmp_path: Path) -> None:
    """It leaves in time; the end and the notes are written when the disk has room again."""
    pika = PikaSettings(ready_after=seconds(2), give_back_notes="Decided: ship it.")
    async with daemon_rig(tmp_path, pika=pika) as rig:
        rig.boot()
        rig.show(lasts=120)
        await _live(rig)
        with rig.unwritable():
            await until(lambda: not rig.live())
            # Before it would have left without being told to.
            assert rig.clock.now() < rig.record.leave_by + OVERTIME
            assert rig.record.phase is Phase.LIVE
        await until(lambda: rig.phases() == (Phase.FILED,))
        [summary] = rig.filed()
        assert [note["text"] for note in summary["notes"]] == ["Decided: ship it."]
        assert rig.joins() == 1


async def test_a_full_disk_from_the_answer_to_the_end(tmp_path: Path) -> None:
    """Nothing of a session could be written while it was: it was left, and is told after."""
    async with daemon_rig(tmp_path) as rig:
        rig.hold(CREATE)
        rig.boot()
        rig.show(lasts=90)
        await until(lambda: rig.phases() == (Phase.JOINING,))
        with rig.unwritable():
            await until(rig.live)
            rig.let_go()
            await until(lambda: not rig.live())
        await until(lambda: rig.phases() == (Phase.FILED,))
        [attempt] = rig.ledger.sessions.attempts(rig.record.key)
        assert attempt.handle is not None
        assert attempt.cost > 0
        assert (rig.joins(), len(rig.filed())) == (1, 1)


# ── killed, and taken up again ───────────────────────────────────────────────────────────


async def test_killed_while_leaving(tmp_path: Path) -> None:
    """A session that was told to leave and runs on is left by the next process."""
    pika = PikaSettings(ready_after=seconds(2), failing_deletes=10)
    async with daemon_rig(tmp_path, pika=pika) as rig:
        rig.boot()
        rig.show()
        await _live(rig)
        rig.edit(answer=Answer.DECLINED)
        await until(lambda: rig.phases() == (Phase.LEAVING,))
        await rig.crash()
        rig.stage.configure(failing_deletes=0)
        rig.boot()
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert (rig.live(), rig.joins()) == ((), 1)
        assert rig.record.end_reason is EndReason.DECLINED


async def test_killed_between_the_end_and_its_proof(tmp_path: Path) -> None:
    """The meeting was over: whoever takes it up again knows that, and doesn't go back."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        rig.show(lasts=3600)
        await _live(rig)
        # Held, not failing: asked once more, the engine would say that it is over, and prove it.
        rig.hold(SESSION, "DELETE")
        rig.stage.rooms.close("abc-defg-hij")
        await until(lambda: rig.phases() == (Phase.LEAVING,))
        await rig.crash()
        rig.let_go()
        rig.boot()
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.record.end_reason is EndReason.MEETING_OVER
        assert rig.joins() == 1


@pytest.mark.parametrize("comes_back", [False, True])
async def test_a_presence_that_nobody_saw_is_told(tmp_path: Path, comes_back: bool) -> None:  # noqa: FBT001 - A parameter.
    """Let in and out again while nobody was up: a summary says so, gone back to or not."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        rig.show(lasts=900)
        await until(lambda: rig.phases() == (Phase.WAITING,))
        await rig.crash()
        [presence] = rig.live()
        await until(lambda: rig.stage.rooms.present("abc-defg-hij"))
        rig.stage.end(presence.id)
        if not comes_back:
            rig.fault(path=CREATE, status=422)
        rig.boot()
        if comes_back:
            await _live(rig)
            rig.edit(answer=Answer.DECLINED)
        await until(lambda: rig.phases() == (Phase.FILED,))
        [summary] = rig.filed()
        assert any("while locum wasn't running" in each for each in summary["unknown"])
        assert (summary["attendance"]["joined_at"] is not None) is comes_back
        assert rig.joins() == 2


async def test_rule_53_killed_while_the_join_was_sent(tmp_path: Path) -> None:
    """It may be running unnamed: the money shows that it is, and nobody joins again."""
    async with daemon_rig(tmp_path) as rig:
        rig.hold(CREATE)
        rig.boot()
        rig.show(lasts=900)
        await until(rig.live)
        await rig.crash()
        rig.let_go()
        rig.boot()
        await until(lambda: rig.phases() == (Phase.FAILED,))
        assert rig.record.end_reason is EndReason.LOST_JOIN
        assert rig.joins() == 1


async def test_rule_53_a_lost_join_that_never_ran_is_tried_once_more(tmp_path: Path) -> None:
    """The balance stands still: one more join, and one presence."""
    async with daemon_rig(tmp_path) as rig:
        rig.fault(path=CREATE, drop=True)
        rig.boot()
        rig.show(lasts=900)
        await until(lambda: rig.phases() == (Phase.AMBIGUOUS,))
        await _live(rig)
        assert rig.stage.peak_in_room == 1
        assert rig.record.attempts == 2


async def test_a_meeting_that_vanishes_while_its_join_is_lost(tmp_path: Path) -> None:
    """It is settled all the same, and nothing is filed about a meeting we never were in."""
    async with daemon_rig(tmp_path) as rig:
        rig.fault(path=CREATE, drop=True)
        rig.boot()
        rig.show(lasts=900)
        await until(lambda: rig.phases() == (Phase.AMBIGUOUS,))
        rig.edit(answer=Answer.DECLINED)
        await until(lambda: rig.phases() == (Phase.MISSED,))
        assert rig.record.end_reason is EndReason.DECLINED
        await asyncio.sleep(0.2)
        assert (rig.filed(), rig.joins()) == ([], 1)


# ── an engine that is difficult ──────────────────────────────────────────────────────────


async def test_leaving_is_never_given_up(tmp_path: Path) -> None:
    """Refused for good, it is tried until it is proved: giving up would let it run."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        rig.show(lasts=120)
        await _live(rig)
        rig.fault(path=SESSION, method="DELETE", status=401, times=12)
        await until(lambda: rig.phases() == (Phase.LEAVING,))
        assert len(rig.live()) == 1
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.live() == ()


async def test_rule_44_an_engine_that_drops_us_isnt_paid_all_day(tmp_path: Path) -> None:
    """Dropped as soon as we are in: back with growing pauses, inside the one grace."""
    async with daemon_rig(tmp_path, speed=20, grace=timedelta(seconds=100)) as rig:
        rig.boot()
        rig.show(lasts=3600)

        def drop() -> bool:
            if rig.phases() == (Phase.LIVE,):
                rig.fault(path=SESSION, method="GET", body={"status": "error"})
            return rig.phases() == (Phase.FILED,)

        await until(drop)
        assert rig.record.end_reason is EndReason.ENGINE_LOST
        assert 2 <= rig.joins() <= 5
        assert rig.live() == ()


async def test_lost_after_a_while_it_is_back_at_once(tmp_path: Path) -> None:
    """A presence that had lasted gets a grace of its own, long after the first has gone."""
    async with daemon_rig(tmp_path, grace=timedelta(seconds=120)) as rig:
        rig.boot()
        rig.show(lasts=3600)
        await _live(rig)
        rig.leap(seconds(180))
        rig.fault(path=SESSION, method="GET", body={"status": "error"})
        await until(lambda: rig.record.attempts == 2)
        await _live(rig)
        assert rig.stage.peak_in_room == 1


async def test_a_refused_join_costs_nothing(tmp_path: Path) -> None:
    """503 is an answer that came instead of a session: only the second attempt is billed."""
    async with daemon_rig(tmp_path) as rig:
        rig.fault(path=CREATE, status=503, headers={"retry-after": "1"})
        rig.boot()
        rig.show(lasts=120)
        await until(lambda: rig.phases() == (Phase.FILED,))
        first, second = rig.ledger.sessions.attempts(rig.record.key)
        assert (first.cost, first.answered_at) == (0.0, None)
        assert second.cost > 0


# ── told to stop, or told nothing ────────────────────────────────────────────────────────


async def test_a_stop_while_the_join_is_under_way(tmp_path: Path) -> None:
    """It can't be called back: it is answered, named, and left at once."""
    async with daemon_rig(tmp_path) as rig:
        rig.hold(CREATE)
        rig.boot()
        rig.show()
        await until(lambda: rig.joins() == 1)
        rig.controller.stop_session(rig.record)
        rig.let_go()
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert len(rig.stage.sessions()) == 1
        assert rig.live() == ()
        assert rig.record.end_reason is EndReason.STOPPED_BY_USER


async def test_a_stop_before_the_join_sends_nothing(tmp_path: Path) -> None:
    """Claimed and stopped in the same instant: no minute is paid for."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot(controlled=False)
        rig.show()
        rig.controller.pass_once()
        rig.controller.stop_session(rig.record)
        await until(lambda: rig.phases() == (Phase.MISSED,))
        assert rig.stage.sessions() == ()


async def test_it_leaves_by_itself_if_nobody_tells_it(tmp_path: Path) -> None:
    """The loop is stuck: a session ends soon after its end, not at the longest stay."""
    async with daemon_rig(tmp_path, speed=240, grace=timedelta(minutes=30)) as rig:
        rig.boot(controlled=False)
        rig.show(lasts=120)
        rig.controller.pass_once()
        await until(lambda: rig.phases() == (Phase.ENDED,))
        assert rig.live() == ()
        assert rig.record.end_reason is EndReason.SCHEDULED_END
        assert rig.record.ended_at is not None
        # Five minutes by the clock, and what a busy machine adds at this speed.
        assert rig.record.ended_at < rig.record.leave_by + timedelta(minutes=30)


async def test_an_extended_meeting_isnt_left_by_itself(tmp_path: Path) -> None:
    """What leaves unasked looks first whether its end was moved."""
    async with daemon_rig(tmp_path, speed=240, grace=timedelta(minutes=30)) as rig:
        rig.boot(controlled=False)
        event = rig.show(lasts=120)
        rig.controller.pass_once()
        rig.edit(end=event.start + timedelta(hours=2))
        rig.controller.pass_once()
        await until(lambda: rig.clock.now() > event.start + timedelta(minutes=12))
        assert rig.phases() == (Phase.LIVE,)


# ── the config changed meanwhile ─────────────────────────────────────────────────────────


async def test_a_persona_that_is_gone_makes_way(tmp_path: Path) -> None:
    """Between two attempts the persona was renamed: the new one goes."""
    async with daemon_rig(tmp_path) as rig:
        rig.fault(path=CREATE, status=503, headers={"retry-after": "40"})
        rig.boot()
        rig.show()
        await until(rig.waits_to_retry)
        rig.personas.clear()
        rig.personas["wren"] = card(tmp_path / "face.png", "wren")
        policy = rig.policy_for("wren")
        rig.controller.change_setting(rig.setting(policy=policy))
        await _live(rig)
        assert rig.live()[0].request.bot_name == "Wren (AI stand-in for Alex)"


async def test_without_its_engine_a_stop_isnt_held_up(tmp_path: Path) -> None:
    """Only its own engine can end it: that is told, and the next process may know better."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        rig.show()
        await _live(rig)
        await rig.crash()
        rig.engine_names = ("another",)
        rig.boot()
        await until(lambda: bool(rig.dispatcher.running()))
        # Whoever waits for the engine now does so for a minute of the host's.
        rig.clock.run_on(speed=1)
        with anyio.fail_after(PATIENCE_S / 2):
            await rig.stop()
        rig.clock.run_on(speed=SPEED)
        rig.engine_names = ("pika",)
        rig.boot()
        await until(lambda: rig.record.key in rig.dispatcher.running())
        await rig.stop()
        assert rig.live() == ()


class Stumbling(Attendance):
    """Falls over once, after the session is live."""

    stumbled = False

    async def _admitted(self, at: datetime) -> None:
        await super()._admitted(at)
        if not Stumbling.stumbled:
            Stumbling.stumbled = True
            raise RuntimeError("stumbled")


async def test_a_crashed_attendance_is_left_by_a_stop(tmp_path: Path) -> None:
    """A stop comes while a crash is being waited out: the session is ended all the same."""
    Stumbling.stumbled = False
    async with daemon_rig(tmp_path) as rig:
        rig.attendance = Stumbling
        rig.boot()
        rig.show()
        await until(lambda: Stumbling.stumbled)
        await rig.stop()
        assert rig.live() == ()
        assert rig.joins() == 1
