"""What became known after a summary was filed: a new edition, in its place, and only then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from locum.core.model import EndReason, MeetingKey, Phase, SessionKey
from locum.core.transcript import Source, Utterance
from locum.errors import TransientError
from locum.ledger import Addressee
from locum.ports import Finding, Summary
from locum.rehearsal.pikastate import PikaSettings
from tests.integration.daemon_rig import DaemonRig, daemon_rig, seconds, until

pytestmark = pytest.mark.anyio

FAST = PikaSettings(ready_after=seconds(2))
LATE = "Google Meet's transcript"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Letterbox:
    """A sink that can't take back what it sent; `fails` filings go wrong first."""

    name = "letters"
    can_revise = False

    def __init__(self, fails: int = 0) -> None:
        self.sent: list[Summary] = []
        self.fails = fails

    async def file(self, summary: Summary) -> str:
        if self.fails:
            self.fails -= 1
            raise TransientError("the box is full")
        self.sent.append(summary)
        return f"letter {len(self.sent)}"

    async def check(self) -> tuple[Finding, ...]:
        return ()


async def _attended(rig: DaemonRig, *, phase: Phase = Phase.FILED) -> SessionKey:
    rig.show(lasts=30)
    await until(lambda: rig.phases() == (phase,))
    return rig.record.key


def _say(rig: DaemonRig, text: str) -> None:
    """Let Google Meet's transcript come."""
    record = rig.record
    said = Utterance("", "Dana", text, record.admitted_at, None, Source.MEET_TRANSCRIPT)
    rig.ledger.transcripts.replace_source(record.key, Source.MEET_TRANSCRIPT, [said])


async def test_what_comes_late_replaces_what_was_filed(tmp_path: Path) -> None:
    """One file, in its second edition, with what was said; the session is filed as before."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        key = await _attended(rig)
        [first] = rig.filed()
        assert (first["edition"], first["transcript"]) == (1, [])
        _say(rig, "We go with option B.")
        rig.debrief.renew(key)
        rig.controller.ask()
        await until(lambda: [each["edition"] for each in rig.filed()] == [2])
        await until(lambda: rig.phases() == (Phase.FILED,))
        [second] = rig.filed()
        assert [each["text"] for each in second["transcript"]] == ["We go with option B."]
        assert second["source"] == LATE
        assert not any("What was said" in each for each in second["unknown"])
        assert rig.joins() == 1


async def test_no_news_is_no_edition(tmp_path: Path) -> None:
    """Looked at anew, and nothing more is known: nothing is filed again."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        letters = Letterbox()
        rig.sinks = (*rig.sinks, letters)
        rig.boot()
        key = await _attended(rig)
        filed_at = [each.filed_at for each in rig.ledger.outbox.of(key)]
        rig.debrief.renew(key)
        rig.controller.ask()
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert [each.filed_at for each in rig.ledger.outbox.of(key)] == filed_at
        assert [each.edition for each in letters.sent] == [1]


async def test_a_letter_waits_for_what_is_awaited(tmp_path: Path) -> None:
    """The folder has the first edition at once; the letter only the one with the transcript."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        letters = Letterbox()
        rig.sinks = (*rig.sinks, letters)
        rig.boot()
        awaited = [LATE]
        rig.debrief.awaited = lambda *_: tuple(awaited)
        rig.show(lasts=30)
        await until(lambda: len(rig.filed()) == 1)
        [first] = rig.filed()
        assert first["awaited"] == awaited
        assert first["source"] == f"none yet: {LATE} is awaited"
        assert (rig.phases(), letters.sent) == ((Phase.ENDED,), [])
        _say(rig, "We go with option B.")
        awaited.clear()
        rig.debrief.renew(rig.record.key)
        rig.controller.ask()
        await until(lambda: rig.phases() == (Phase.FILED,))
        [letter] = letters.sent
        assert (letter.edition, letter.transcript.words) == (2, 5)


async def test_a_letter_does_not_wait_for_ever(tmp_path: Path) -> None:
    """What is awaited doesn't come: it is sent as it is, and once more only with news."""
    async with daemon_rig(tmp_path, speed=600, pika=FAST) as rig:
        letters = Letterbox(fails=1)
        rig.sinks = (*rig.sinks, letters)
        rig.boot()
        rig.debrief.awaited = lambda *_: (LATE,)
        key = await _attended(rig)
        ended_at = rig.record.ended_at
        assert ended_at is not None
        [letter] = letters.sent
        [mail, _] = rig.ledger.outbox.of(key)
        assert mail.filed_at is not None
        assert mail.filed_at - ended_at >= rig.debrief.hold
        rig.debrief.awaited = lambda *_: ()
        rig.debrief.renew(key)
        rig.controller.ask()
        await until(lambda: [each["edition"] for each in rig.filed()] == [2])
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert letters.sent == [letter]  # Nothing more was said: no second letter.
        _say(rig, "We go with option B.")
        rig.debrief.renew(key)
        rig.controller.ask()
        await until(lambda: len(letters.sent) == 2)
        assert letters.sent[1].edition == 3


async def test_killed_between_the_news_and_the_edition(tmp_path: Path) -> None:
    """What came stands in the ledger: the next process writes it up."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        key = await _attended(rig)
        await rig.crash()
        rig.boot(controlled=False)
        _say(rig, "We go with option B.")
        rig.debrief.renew(key)
        await rig.crash()
        rig.boot()
        await until(lambda: rig.phases() == (Phase.FILED,))
        [second] = rig.filed()
        assert (second["edition"], len(second["transcript"])) == (2, 1)


async def test_each_meeting_of_a_room_has_what_was_said_in_it(tmp_path: Path) -> None:
    """Two in a row, one presence: each summary has its own part of the transcript."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        rig.show("first", lasts=60)
        rig.show("second", starts_in=60, lasts=60)
        await until(lambda: rig.phases() == (Phase.FILED,))
        record = rig.record
        [early, late] = sorted(record.meetings, key=lambda each: each.start)
        spoken = [
            Utterance("", "Dana", "In the first.", late.start - seconds(1)),
            Utterance("", "Mira", "In the second.", late.start + seconds(1)),
        ]
        rig.ledger.transcripts.replace_source(record.key, Source.EARS, spoken)
        rig.debrief.renew(record.key)
        rig.controller.ask()
        await until(lambda: [each["edition"] for each in rig.filed()] == [2, 2])
        said = {each["key"]: [u["text"] for u in each["transcript"]] for each in rig.filed()}
        assert said == {early.key: ["In the first."], late.key: ["In the second."]}


async def test_a_slow_sink_holds_up_no_other(tmp_path: Path) -> None:
    """While one place fails again and again, the folder has it at once."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        letters = Letterbox(fails=3)
        rig.sinks = (letters, *rig.sinks)
        rig.boot()
        rig.show(lasts=30)
        await until(lambda: len(rig.filed()) == 1)
        await until(lambda: rig.phases() == (Phase.FILED,))
        assert len(letters.sent) == 1
        assert rig.record.end_reason is EndReason.SCHEDULED_END


async def test_an_edition_that_came_meanwhile_is_filed_too(tmp_path: Path) -> None:
    """While a sink is busy with the first, the second comes: it isn't taken for filed."""
    async with daemon_rig(tmp_path, pika=FAST) as rig:
        rig.boot()
        key = await _attended(rig)
        outbox = rig.ledger.outbox
        [filing] = outbox.of(key)
        newer = outbox.summary(key, MeetingKey(filing.meeting))
        assert newer is not None
        outbox.put(replace(newer, edition=2), [Addressee("markdown")], at=rig.clock.now())
        outbox.filed(filing, at=rig.clock.now(), location="late", edition=1)
        [filing] = outbox.of(key)
        assert filing.filed_at is None
