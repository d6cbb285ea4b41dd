"""What others hear of a conversation: a real Chromium, real WebRTC, recorded people."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.bench.room import ROOM, Played, Rig, Teller, rig
from tests.bench.turns import Persona
from tests.needs import chromium
from tests.speech import recordings

pytestmark = [chromium, pytest.mark.xdist_group("browser")]

ANSWER = "Yes, I have looked at that, and it goes on for quite a while, as one can hear by now."


def test_a_question_is_answered_and_an_interruption_silences(tmp_path: Path) -> None:
    """Who asks is answered once they have finished; who speaks then isn't talked over."""
    asyncio.run(_asked_and_interrupted(tmp_path))


async def _answered(room: Rig, body: Teller) -> Played:
    """Ask until an answer begins: of the first words nothing may have been understood."""
    for _ in range(3):
        asked = await room.play(recordings()["please-try-again"].with_tail(1.0))
        end = asked.end
        began = await body.hears(
            lambda told: told.get("mark") == "first_piece" and told["at"] > end,  # noqa: B023
            8,
        )
        if began is not None:
            return asked
    raise AssertionError("nobody answers")


async def _asked_and_interrupted(folder: Path) -> None:
    async with rig(1, folder) as room:
        home = str(folder / "home")
        wanted = {"base": room.url, "room": ROOM, "folder": home, "width": 640, "height": 360}
        body = await Teller.start("tests.conversing_process", json.dumps(wanted))
        try:
            live = await body.hears(lambda told: told.get("mark") in {"live", "failed"}, 60)
            assert live is not None
            assert live["mark"] == "live", live["why"]
            persona = Persona(body)
            await persona.answers(ANSWER)
            known = recordings()
            asked = await _answered(room, body)
            await asyncio.sleep(1.0)
            interrupted = await room.play(known["austen-0880"].with_tail(0.5))
            assert await persona.said(interrupted.onset, 8)
            await asyncio.sleep(0.6)
        finally:
            await body.aclose()
        track = room.listener.persona
    onset = track.onset(asked.onset)
    assert onset is not None
    assert onset > asked.end - 0.05
    assert track.loud(interrupted.onset - 0.3, interrupted.onset + 0.02)
    silent = track.silence(interrupted.onset)
    assert silent is not None
    # Its whole answer takes five seconds more.
    assert silent < interrupted.onset + 3
