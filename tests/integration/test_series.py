"""From one meeting of a series to the next: what was promised is where the next one begins."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from locum.app.remembering import MemorySetting, Remembering
from locum.brains.extractive.brain import ExtractiveBrain
from locum.core.model import Answer, Attendee, Person, Phase
from locum.core.transcript import Source, Utterance
from locum.memory import Boundaries
from locum.rehearsal.pikastate import PikaSettings
from tests.integration.daemon_rig import DaemonRig, daemon_rig, seconds, until

pytestmark = pytest.mark.anyio

FAST = PikaSettings(ready_after=seconds(2))
GUESTS = (
    Attendee(Person("alex@own.example", "Alex"), Answer.ACCEPTED, is_self=True),
    Attendee(Person("mira@own.example", "Mira Patel"), Answer.ACCEPTED),
    Attendee(Person("jonas@own.example", "Jonas Lind"), Answer.ACCEPTED),
)
_WEEK = timedelta(days=7)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _meet(rig: DaemonRig, nth: int, *said: tuple[str, str]) -> str:
    """Hold the nth meeting of the series, in which that is said; answers its summary."""
    begin = rig.clock.now()
    rig.show(
        "weekly",
        event_id=f"weekly_{nth}",
        original_start=begin + nth * _WEEK,
        lasts=30,
        attendees=GUESTS,
    )
    await until(lambda: rig.phases() == (Phase.FILED,) * nth)
    record = rig.records()[-1]
    assert record.admitted_at is not None
    heard = [
        Utterance("", who, text, record.admitted_at + seconds(n), None, Source.MEET_TRANSCRIPT)
        for n, (who, text) in enumerate(said)
    ]
    rig.ledger.transcripts.replace_source(record.key, Source.MEET_TRANSCRIPT, heard)
    rig.debrief.renew(record.key)
    rig.controller.ask()
    await until(lambda: [each["edition"] for each in rig.filed()] == [2] * nth)
    await until(lambda: rig.phases() == (Phase.FILED,) * nth)
    newest = max(
        (rig.folder / "summaries").rglob("*.md"), key=lambda path: path.stat().st_mtime
    )
    return newest.read_text()


async def test_the_next_summary_opens_with_what_is_still_open(tmp_path: Path) -> None:
    """Two promises are made; one is kept: the next summary begins with the other one."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        setting = MemorySetting(
            enabled=True, boundaries=Boundaries(("own.example",)), keep=None
        )
        remembering = Remembering(tmp_path, rig.ledger, rig.clock, setting)
        rig.debrief.brain = ExtractiveBrain()
        rig.debrief.recall, rig.debrief.remember = remembering.recall, remembering.remember
        first = await _meet(
            rig,
            1,
            ("Mira Patel", "I will send the new alert text to the harbours by Friday."),
            ("Jonas Lind", "I will calibrate the gauge at Whitby."),
        )
        assert "Open from before" not in first
        assert "send" in first.partition("## To do")[2].partition("---")[0]
        second = await _meet(
            rig,
            2,
            ("Mira Patel", "I have sent the new alert text to the harbours."),
            ("Jonas Lind", "We start with the budget for next year."),
        )
        opened = second.partition("## Open from before")[2].partition("\n## ")[0]
        assert "**Jonas Lind**" in opened
        assert "calibrate" in opened
        assert second.index("## Open from before") < second.index("## Notes")
        third = await _meet(rig, 3, ("Mira Patel", "Let us begin with the budget."))
        opened = third.partition("## Open from before")[2].partition("\n## ")[0]
        assert "calibrate" in opened
        assert "alert text" not in opened
        remembering.close()
