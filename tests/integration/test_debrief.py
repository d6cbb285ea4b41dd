"""Filing what ended: late if need be, once in each place, and never in a spin."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from locum.core.model import EndReason, Phase
from locum.ledger import Filing
from locum.ports import Summary
from locum.rehearsal.pikastate import PikaSettings
from locum.sinks import MarkdownFolder
from tests.integration.daemon_rig import DaemonRig, daemon_rig, seconds, until

pytestmark = pytest.mark.anyio

FAST = PikaSettings(ready_after=seconds(2))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _attended(rig: DaemonRig, phase: Phase) -> None:
    rig.show(lasts=60)
    await until(lambda: rig.phases() == (phase,))


def _filings(rig: DaemonRig) -> dict[str, Filing]:
    return {filing.sink: filing for filing in rig.ledger.outbox.of(rig.record.key)}


async def test_a_sink_that_fails_for_hours(tmp_path: Path) -> None:
    """Tried again with growing pauses; the other sink has it at once; filed once in the end."""
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way of the folder")
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.sinks = (*rig.sinks, MarkdownFolder("archive", blocked))
        rig.boot()
        await _attended(rig, Phase.ENDED)
        ended_at = rig.clock.now()
        rig.clock.run_on(speed=2000)
        await until(lambda: rig.clock.now() - ended_at > seconds(7200))
        filing = _filings(rig)["archive"]
        assert 8 <= filing.attempts <= 20
        assert "can't be written" in (filing.problem or "")
        assert len(rig.filed()) == 1
        blocked.unlink()
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert len(list(blocked.rglob("*.md"))) == 1


async def test_a_sink_that_is_taken_away_holds_nothing_up(tmp_path: Path) -> None:
    """The failing sink leaves the config: the session is filed with those that are left."""
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way of the folder")
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.sinks = (*rig.sinks, MarkdownFolder("archive", blocked))
        rig.boot()
        await _attended(rig, Phase.ENDED)
        await until(lambda: "archive" in _filings(rig))
        rig.debrief.sinks = rig.sinks[:1]
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert _filings(rig)["archive"].filed_at is None
        [edition] = rig.ledger.outbox.editions(rig.record.key).values()
        assert edition.summary.title == "Meeting sync"


async def test_a_sink_that_was_renamed_gets_what_waits(tmp_path: Path) -> None:
    """The only sink failed and was replaced: nothing is lost with its name."""
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way of the folder")
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        elsewhere = rig.sinks
        rig.sinks = (MarkdownFolder("archive", blocked),)
        rig.boot()
        await _attended(rig, Phase.ENDED)
        await until(lambda: "archive" in _filings(rig))
        rig.debrief.sinks = elsewhere
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert len(rig.filed()) == 1


class HeldFolder(MarkdownFolder):
    """Files nothing until it may."""

    def __init__(self, folder: Path) -> None:
        super().__init__("held", folder)
        self.may_file = asyncio.Event()

    async def file(self, summary: Summary) -> str:
        await self.may_file.wait()
        return await super().file(summary)


async def test_a_full_disk_makes_no_spin(tmp_path: Path) -> None:
    """The ledger can't be written: few tries, no busy loop, and filed when it can be."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        sink = HeldFolder(tmp_path / "summaries")
        rig.sinks = (sink,)
        rig.boot()
        rig.show(lasts=3600)
        await until(lambda: rig.phases() == (Phase.LIVE,))
        rig.dispatcher.stop(rig.record.key, EndReason.MEETING_OVER)
        await until(lambda: rig.phases() == (Phase.ENDED,))
        with rig.unwritable():
            sink.may_file.set()
            begun = time.process_time()
            await asyncio.sleep(2)
            # A spin takes all of it. The stage's server shares our process.
            assert time.process_time() - begun < 1
        await until(lambda: rig.phases()[0] is Phase.FILED)
        assert len(rig.filed()) == 1


async def test_killed_between_filing_and_its_record(tmp_path: Path) -> None:
    """Filed, and the ledger doesn't know: filed again it is the same file, not a second."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        await _attended(rig, Phase.FILED)
        key = rig.record.key
        await rig.crash()
        rig.boot(controlled=False)
        with rig.ledger.database.transaction():
            rig.ledger.database.execute("UPDATE filings SET filed_at = NULL, location = NULL")
            rig.ledger.database.execute("UPDATE sessions SET phase = 'ended'")
        await rig.crash()
        rig.boot()
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert len(rig.filed()) == 1
        assert len(list((tmp_path / "summaries").rglob("*.md"))) == 1
        assert rig.record.key == key


async def test_killed_after_the_end_before_any_summary(tmp_path: Path) -> None:
    """The end stands in the ledger and nothing was filed: the next process files it."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot(controlled=False)
        rig.show(lasts=30)
        rig.controller.pass_once()
        await until(lambda: rig.phases() == (Phase.LIVE,))
        rig.dispatcher.stop(rig.record.key, EndReason.MEETING_OVER)
        await until(lambda: rig.phases() == (Phase.ENDED,))
        await rig.crash()
        rig.boot()
        await until(lambda: rig.phases()[0] is Phase.FILED)
        assert len(rig.filed()) == 1
