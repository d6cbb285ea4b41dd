"""Passes over a real ledger: what they begin, end, keep and tell, whatever goes wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from locum.clock import StageClock
from locum.core.model import Answer, CalendarRef, Code, EndReason, EventStatus, Phase
from locum.errors import TransientError
from locum.rehearsal.pikastate import PikaSettings
from locum.wakeups import Wakeups
from tests.integration.daemon_rig import (
    CODE,
    CREATE,
    OTHER,
    SESSION,
    DaemonRig,
    daemon_rig,
    room,
    seconds,
    until,
)

pytestmark = pytest.mark.anyio

FAST = PikaSettings(ready_after=seconds(2))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _live(rig: DaemonRig) -> None:
    await until(lambda: rig.phases()[-1:] == (Phase.LIVE,))


# ── one thing goes wrong, the rest goes on ───────────────────────────────────────────────


async def test_rule_16_a_stale_claim_delays_nobody_else(tmp_path: Path) -> None:
    """One of three was edited unseen: the others go in at once, and it at its new time."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        for uid, code in (("a", "aaa-aaaa-aaa"), ("b", "bbb-bbbb-bbb"), ("c", "ccc-cccc-ccc")):
            rig.show(uid, starts_in=90, code=code)
        edited = replace(rig.event("b"), revision="new", title="Edited")
        rig._events["b"] = edited
        rig.read(tell=False)
        await until(lambda: rig.phases() == (Phase.LIVE,) * 3)
        assert rig.joins() == 3
        assert min(record.meetings[0].title for record in rig.records()) == "Edited"


async def test_a_disk_that_fills_up_before_a_join(tmp_path: Path) -> None:
    """Unclaimed, nothing is sent; with room again it goes in, late but once."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show(starts_in=40)
        with rig.unwritable():
            await until(lambda: rig.clock.now() > rig.event().start + seconds(20))
            assert rig.joins() == 0
        await _live(rig)
        assert rig.joins() == 1


async def test_news_that_could_not_be_written_is_acted_on(tmp_path: Path) -> None:
    """The decision about an edit can't be recorded: the edit counts all the same."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show()
        await _live(rig)
        rig._events["sync"] = replace(
            rig.event(), status=EventStatus.CANCELLED, revision="cancelled"
        )
        rig.read(tell=False)
        with rig.unwritable():
            rig.controller.events_changed()
            await until(lambda: not rig.live())
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.record.end_reason is EndReason.CANCELLED


async def test_news_that_could_not_be_read_is_read_by_the_next_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever told us of a change on one calendar doesn't tell us twice."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()

        def fail() -> NoReturn:
            monkeypatch.undo()
            raise TransientError("The ledger can't be used.")

        monkeypatch.setattr(rig.ledger.calendars, "marks", fail)
        with pytest.raises(TransientError):
            rig.show()
        await _live(rig)


async def test_rule_03_what_is_first_seen_when_it_is_over_was_not_missed(
    tmp_path: Path,
) -> None:
    """A calendar that is watched from now on, or an event entered afterwards: no alarm."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        event = rig.show(starts_in=-700, lasts=600)
        await until(lambda: rig.ledger.calendars.decisions(event.occurrence))
        rig.show("now", code=OTHER)
        await _live(rig)
        assert rig.phases() == (Phase.LIVE,)
        [decision] = rig.ledger.calendars.decisions(event.occurrence)
        assert (decision.join, decision.code) == (False, Code.OVER)


async def test_a_stop_by_hand_works_with_a_full_disk(tmp_path: Path) -> None:
    """It leaves, and stays away, though what was asked can't be remembered as a mark."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show()
        await _live(rig)
        with rig.unwritable():
            with pytest.raises(Exception, match="can't be"):
                rig.controller.stop_session(rig.record)
            await until(lambda: not rig.live())
        await until(lambda: rig.phases() == (Phase.FILED,))
        await asyncio.sleep(0.3)
        assert rig.joins() == 1


# ── edits ────────────────────────────────────────────────────────────────────────────────


async def test_rule_45_another_room_while_in_it(tmp_path: Path) -> None:
    """The link was changed: the old room is left, the new one joined, one presence each."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show()
        await _live(rig)
        rig.edit(room=room(OTHER))
        await until(lambda: rig.phases() == (Phase.FILED, Phase.LIVE))
        old, new = rig.records()
        assert (old.end_reason, old.room.code) == (EndReason.LINK_CHANGED, CODE)
        assert new.room.code == OTHER
        assert [session.request.room for session in rig.live()] == [OTHER]


async def test_rule_45_there_and_back_again(tmp_path: Path) -> None:
    """Back to the first room while it is still being left: once it is out, it is in again."""
    pika = PikaSettings(ready_after=seconds(2), failing_deletes=3)
    async with daemon_rig(tmp_path, pika=pika) as rig:
        rig.boot()
        rig.show(lasts=1200)
        await _live(rig)
        rig.edit(room=room(OTHER))
        await until(lambda: Phase.LEAVING in rig.phases())
        rig.edit(room=room(CODE))
        await until(
            lambda: (
                [s.request.room for s in rig.live()] == [CODE]
                and rig.phases()[-1] is Phase.LIVE
                and Phase.LEAVING not in rig.phases()
            )
        )
        assert rig.stage.peak_in_room == 1


async def test_rule_20_declined_and_accepted_again(tmp_path: Path) -> None:
    """Two edits of one's mind: out, and in again, never two of us."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show(lasts=1200)
        await _live(rig)
        rig.edit(answer=Answer.DECLINED)
        await until(lambda: Phase.LIVE not in rig.phases())
        rig.edit(answer=Answer.ACCEPTED)
        await until(lambda: rig.phases() == (Phase.FILED, Phase.LIVE))
        assert rig.stage.peak_in_room == 1


async def test_a_poll_arms_the_next_one_whatever_happens() -> None:
    """At once, or after a crash: polls never end; and the ticker outlives its listeners."""
    clock = StageClock(speed=50)
    calendar = CalendarRef("work", "primary")
    polls = ticks = 0

    async def poll(_calendar: CalendarRef) -> timedelta | None:
        nonlocal polls
        polls += 1
        if polls < 3:
            return timedelta(0)
        raise RuntimeError("a fault of ours")

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        raise RuntimeError("another")

    wakeups = Wakeups(clock, on_instant=tick, on_jump=tick, poll=poll)
    wakeups.start()
    try:
        wakeups.poll_after(calendar, timedelta(0))
        await until(lambda: polls >= 4)
        await until(lambda: ticks >= 2)
    finally:
        await wakeups.stop()


# ── missed ───────────────────────────────────────────────────────────────────────────────


async def test_rule_51_missed_is_told_once(tmp_path: Path) -> None:
    """Down over the whole meeting: one record of it, however often we start after that."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show(starts_in=300, lasts=60)
        await rig.crash()
        rig.leap(seconds(361))
        for _ in range(3):
            rig.boot()
            await asyncio.sleep(0.1)
            await rig.crash()
        rig.boot()
        assert rig.phases() == (Phase.MISSED,)
        assert len(rig.ledger.sessions.transitions(rig.record.key)) == 1
        assert rig.joins() == 0


async def test_missed_is_told_though_the_first_try_to_write_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that failed at that one write: what was missed isn't taken for settled."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show(starts_in=300, lasts=60)
        await rig.crash()
        rig.leap(seconds(4000))
        failed = []

        def fail(*_: object, **__: object) -> NoReturn:
            failed.append(True)
            monkeypatch.undo()
            raise TransientError("The disk failed.")

        monkeypatch.setattr("locum.ledger.sessions.Sessions.record_missed", fail)
        rig.boot()
        rig.controller.ask()
        await until(lambda: rig.phases() == (Phase.MISSED,))
        assert failed


# ── stopping ─────────────────────────────────────────────────────────────────────────────


async def test_a_stop_files_what_there_is_before_it_returns(tmp_path: Path) -> None:
    """Live, in the middle of its join: both are ended, and what was attended is filed."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show("one", code=CODE)
        await _live(rig)
        rig.hold(CREATE)
        rig.show("two", code=OTHER)
        await until(lambda: rig.joins() == 2)
        stopping = asyncio.ensure_future(rig.stop())
        await asyncio.sleep(0.1)
        rig.let_go()
        await stopping
        assert rig.live() == ()
        assert "Meeting one" in {summary["title"] for summary in rig.filed()}
        rig.boot()
        # Stopped by us, not by a person: the next process goes back.
        await until(lambda: len(rig.live()) == 2)
        assert rig.stage.peak_in_room == 1


async def test_a_join_that_waits_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Stopped between two attempts: the next process makes the second one."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.fault(path=CREATE, status=503, headers={"retry-after": "150"})
        rig.boot()
        rig.show()
        await until(rig.waits_to_retry)
        await rig.stop()
        assert rig.filed() == []
        rig.boot()
        await _live(rig)
        assert (rig.record.attempts, rig.joins()) == (2, 2)


async def test_what_was_in_and_waits_is_filed_by_a_stop(tmp_path: Path) -> None:
    """Dropped by its engine and about to go back: the stop files what there was until then."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show(lasts=3600)
        await _live(rig)
        rig.fault(path=CREATE, status=503, headers={"retry-after": "300"}, times=None)
        rig.fault(path=SESSION, method="GET", body={"status": "error"})
        await until(rig.waits_to_retry)
        dropped_at = rig.clock.now()
        await until(lambda: rig.clock.now() > dropped_at + seconds(60))
        await rig.stop()
        [summary] = rig.filed()
        assert summary["attendance"]["end_reason"] == "shutdown"
        assert summary["attendance"]["left_at"] < (dropped_at + seconds(5)).isoformat()


async def test_nothing_is_begun_once_it_stops(tmp_path: Path) -> None:
    """A meeting that comes due while the last one is being left is for the next process."""
    pika = PikaSettings(ready_after=seconds(2), failing_deletes=3)
    async with daemon_rig(tmp_path, pika=pika) as rig:
        rig.boot()
        rig.show("one")
        await _live(rig)
        rig.show("two", starts_in=45, code=OTHER)
        stopping = asyncio.ensure_future(rig.stop())
        await asyncio.sleep(0)
        rig.controller.ask()
        await stopping
        assert rig.joins() == 1


# ── taking up ────────────────────────────────────────────────────────────────────────────


async def test_open_sessions_of_a_calendar_that_is_gone(tmp_path: Path) -> None:
    """Forty presences, and the next process finds none of their events: all are ended."""
    async with daemon_rig(tmp_path, pika=FAST, capacity=100) as rig:
        rig.boot()
        letters = "abcdefghijklmnopqrstuvwxyz"
        for number in range(40):
            a, b = letters[number // 26], letters[number % 26]
            rig._events[str(number)] = replace(
                rig.event() if rig._events else rig.show(lasts=3600),
                event_id=str(number),
                uid=str(number),
                room=room(f"aaa-aaaa-a{a}{b}"),
            )
        rig.read()
        await until(lambda: len(rig.live()) == 41)
        await until(lambda: all(record.handle for record in rig.records()))
        await rig.crash()
        rig.watched = ()
        rig.boot()
        await until(lambda: not rig.live())
        await until(lambda: set(rig.phases()) == {Phase.FILED})
        assert rig.joins() == 41
        assert rig.stage.peak_in_room == 1


# ── reloads ──────────────────────────────────────────────────────────────────────────────


async def test_a_live_session_outlives_its_engines_config(tmp_path: Path) -> None:
    """The engine was taken out of the config: its live session is left by it all the same."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show(lasts=120)
        await _live(rig)
        rig.controller.change_setting(rig.setting(engines={}))
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert rig.record.end_reason is EndReason.SCHEDULED_END
        assert rig.live() == ()


async def test_an_engine_that_was_renamed_between_two_attempts(tmp_path: Path) -> None:
    """The join that waits moves to the engine that is there now, in a session of its own."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.fault(path=CREATE, status=503, headers={"retry-after": "40"})
        rig.boot()
        rig.show()
        await until(rig.waits_to_retry)
        policy = replace(rig.policy, default_engine="renamed")
        engines = {"renamed": rig.engines["pika"]}
        rig.controller.change_setting(rig.setting(policy=policy, engines=engines))
        await until(lambda: rig.phases() == (Phase.MISSED, Phase.LIVE))
        assert rig.records()[1].engine == "renamed"
        assert rig.stage.peak_in_room == 1


async def test_a_meeting_of_days_isnt_entered_anew(tmp_path: Path) -> None:
    """Sent away from a meeting of three days, we remember it for longer than a day."""
    short = timedelta(minutes=30)
    async with daemon_rig(tmp_path, speed=600, max_length=short, grace=short) as rig:
        rig.boot(controlled=False)
        event = rig.show(lasts=72 * 3600)
        rig.controller.pass_once()
        await until(lambda: rig.phases() == (Phase.ENDED,))
        assert rig.record.end_reason is EndReason.LENGTH_CAP
        rig.leap(timedelta(hours=30))
        for _ in range(2):
            rig.controller.pass_once()
            await asyncio.sleep(0.05)
        assert len(rig.records()) == 1
        decisions = rig.ledger.calendars.decisions(event.occurrence)
        assert decisions[-1].code.value == "ended_before"


async def test_what_is_over_is_decided_once_however_often_it_is_looked_at(
    tmp_path: Path,
) -> None:
    """Restarts and edits elsewhere write nothing new of it: the ledger doesn't grow."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        rig.show(lasts=60)
        await until(lambda: rig.phases() == (Phase.FILED,))
        await until(lambda: rig.clock.now() > rig.record.leave_by + seconds(5))

        def told() -> int:
            rows = rig.ledger.database.rows("SELECT * FROM decisions WHERE occurrence = 'sync'")
            return len(rows)

        rig.controller.ask()
        await asyncio.sleep(0.2)
        before = told()
        for number in range(3):
            rig.show(f"else{number}", starts_in=86_400, code=OTHER)
            await asyncio.sleep(0.1)
            await rig.crash()
            rig.boot()
            await asyncio.sleep(0.1)
        assert told() == before
