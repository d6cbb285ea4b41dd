"""Which ears the config names, and what doctor says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum.app.hearing import check_hearing, endpointer_of, source_of
from locum.config.model import Config
from locum.config.talking import HearingTable
from locum.core.transcript import Source
from locum.ports import Health

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def config(**hearing: str) -> Config:
    engines = {"own": {"type": "chromium"}}
    return Config.model_validate({"engines": engines, "hearing": hearing})


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("pocketsphinx", Source.ROUGH),
        ("sherpa", Source.EARS),
        ("deepgram", Source.EARS),
        ("captions", Source.CAPTIONS),
    ],
)
def test_poor_words_are_marked_as_such(kind: str, source: Source) -> None:
    """They make way for captions and for Meet's own transcript."""
    assert source_of(HearingTable.model_validate({"type": kind})) is source


async def test_doctor_tells_what_ends_a_turn(tmp_path: Path) -> None:
    """Without the model it works, and says what would be better."""
    found = {each.subject: each for each in await check_hearing(config(), state=tmp_path)}
    assert found["ends of turns"].health is Health.WARNING
    assert "locum models pull smart-turn" in found["ends of turns"].next_step
    endpointer = endpointer_of(HearingTable(), tmp_path)
    assert "words and the tone" in endpointer.name
    endpointer.close()


async def test_doctor_says_nothing_of_ears_where_nobody_hears(tmp_path: Path) -> None:
    """A hosted engine hears by itself."""
    assert await check_hearing(Config(), state=tmp_path) == ()
