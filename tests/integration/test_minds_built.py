"""A meeting's mind as the config has it: whose mandate, which model, and what it is told."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from locum.app.minds import Minds
from locum.config.load import load
from locum.core.briefing import Briefing, Piece
from locum.core.compartments import INTERNAL
from locum.core.talk import Cue, Line
from locum.minds import ModelMind, PlainMind
from locum.persona import PersonaCard
from locum.ports import Aloud, Health, Prompted
from tests.unit.builders import TEN, meeting

CARD = PersonaCard("robin", "Robin", "Alex Winter", Path("face.png"), "", "Be friendly.")
CONFIG = """
[calendar]
[[calendar.accounts]]
name = "work"
token_file = "token.json"

[personas.robin]
display_name = "Robin"
owner = "Alex Winter"
image = "face.png"
update = "update.md"
may_commit = ["send the notes"]
must_defer = ["salaries"]

[engines.pika]
type = "pikastream"
"""
BRAIN = """
[brain]
model = "big"
base_url = "http://127.0.0.1:9/v1"
live = { model = "quick", answers_per_minute = 3, first_word = "2s" }
"""
BRIEFING = Briefing(
    INTERNAL,
    (
        Piece(
            "memory: Stand-up, 2026-11-26",
            "decision (Stand-up)",
            "Brixham goes first",
            INTERNAL,
        ),
        Piece("workspace app: status.md", "app: status.md", "The build is green", INTERNAL),
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "face.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    (tmp_path / "update.md").write_text(
        "- The dashboard is live.\n- I will calibrate Whitby.\n"
    )
    return tmp_path


def minds(folder: Path, more: str = "") -> Minds:
    path = folder / "locum.toml"
    path.write_text(CONFIG + more)
    return Minds(load(path, environ={"HOME": str(folder)}).config, os.environ)


def test_a_brief_has_the_owners_word_and_what_this_audience_may_know(folder: Path) -> None:
    """Topics, the prepared update, the briefing's pieces with where they are from."""
    brief = minds(folder).brief(CARD, meeting(), BRIEFING)

    assert brief.mandate.may_commit == ("send the notes",)
    assert brief.mandate.must_defer == ("salaries",)
    assert brief.update.startswith("- The dashboard is live.")
    assert [(each.source, str(each.day)) for each in brief.known] == [
        ("“Stand-up”", "2026-11-26"),
        ("app, status.md", "None"),
    ]
    assert "Brixham goes first" in brief.prompt
    assert "Be friendly." in brief.prompt
    assert "Be friendly." not in brief.mandate.rules
    assert any("The build is green" in each for each in brief.mandate.known)


def test_the_model_of_meetings_may_be_another(folder: Path) -> None:
    """`brain.live` names a quicker one, bounds it, or does without."""
    made = minds(folder, BRAIN).mind(CARD, meeting(), BRIEFING)
    assert isinstance(made, ModelMind)
    assert made.name == "quick"
    address = minds(folder, BRAIN).address()
    assert address is not None
    assert address.place == "127.0.0.1:9"

    without = BRAIN.replace("live = {", "live = { enabled = false,")
    assert isinstance(minds(folder, without).mind(CARD, meeting(), BRIEFING), PlainMind)
    assert isinstance(minds(folder).mind(CARD, meeting(), BRIEFING), PlainMind)


def test_it_gives_the_update_that_stands_in_the_file(folder: Path) -> None:
    """Read anew for each meeting; without the file there is none, and nothing breaks."""

    async def update() -> str:
        mind = minds(folder).mind(CARD, meeting(), BRIEFING)
        prompted = Prompted((Line("Dana", "Robin, any update?", TEN),), Cue.NAMED)
        found = [each async for each in mind.answer(prompted)]
        return "".join(each.text for each in found if isinstance(each, Aloud))

    assert "The dashboard is live. I will calibrate Whitby." in asyncio.run(update())
    (folder / "update.md").unlink()
    assert asyncio.run(update()) == "I don't know that. I'll ask Alex."


def test_doctor_sees_an_update_that_isnt_there(folder: Path) -> None:
    """It says where it was looked for, and what to do."""
    assert [each.health for each in minds(folder).check()] == [Health.OK]
    (folder / "update.md").unlink()
    [finding] = minds(folder).check()
    assert finding.health is Health.WARNING
    assert "update.md" in finding.detail
    assert "personas.robin.update" in finding.next_step


def test_what_a_meeting_is_called_is_known(folder: Path) -> None:
    """Its title and the owner's word for it aren't promises when they are repeated."""
    found = meeting()
    found = replace(
        found, decision=replace(found.decision, brief="Say that we ship on Monday.")
    )

    known = minds(folder).brief(CARD, found, BRIEFING).mandate.known

    assert "Say that we ship on Monday." in known
    assert any(each.startswith(found.title) for each in known)
