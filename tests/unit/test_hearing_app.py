"""Which ears the config names, and what doctor says of them."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from locum.app.hearing import (
    check_hearing,
    ears_of,
    endpointer_of,
    hearing_of,
    recognizer_of,
    source_of,
)
from locum.config.model import Config
from locum.config.talking import HearingTable
from locum.core.transcript import Source
from locum.ears.endpointing import WordsAndTone
from locum.ears.moonshine import MoonshineRecognizer
from locum.ears.moonshine_network import FILES
from locum.ears.sphinx import SphinxRecognizer
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
def test_poor_words_are_marked_as_such(kind: str, source: Source, tmp_path: Path) -> None:
    """They make way for captions and for Meet's own transcript."""
    table = HearingTable.model_validate({"type": kind})
    assert source_of(ears_of(table, tmp_path)) is source


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    """A folder with the files of a model: nobody reads them who only chooses."""
    if find_spec("onnxruntime") is None or find_spec("numpy") is None:
        pytest.skip("needs onnxruntime")
    folder = tmp_path / "moonshine"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(b"")
    return folder


def test_the_better_ears_that_are_here_are_taken(tmp_path: Path, pulled: Path) -> None:
    """Moonshine where its model is, for English; else pocketsphinx. What is named is named."""

    def kind(**table: str) -> str:
        return ears_of(HearingTable.model_validate(table), tmp_path).type

    assert kind() == "pocketsphinx"
    assert kind(model=str(pulled)) == "moonshine"
    assert kind(model=str(pulled), language="en-GB") == "moonshine"
    assert kind(model=str(pulled), language="de") == "pocketsphinx"
    assert kind(model=str(pulled), type="pocketsphinx") == "pocketsphinx"
    assert kind(type="moonshine") == "moonshine"
    (pulled / FILES[0]).unlink()
    assert kind(model=str(pulled)) == "pocketsphinx"


def test_the_same_follows_from_ears_that_were_chosen(tmp_path: Path, pulled: Path) -> None:
    """Good words are believed, and looked at less often, since each look hears all again."""
    good = ears_of(HearingTable(model=str(pulled)), tmp_path)
    poor = ears_of(HearingTable(), tmp_path)

    assert (source_of(good), source_of(poor)) == (Source.EARS, Source.ROUGH)
    assert isinstance(recognizer_of(good, state=tmp_path), MoonshineRecognizer)
    assert isinstance(recognizer_of(poor, state=tmp_path), SphinxRecognizer)
    often = [hearing_of(ears, None)._settings.partial for ears in (good, poor)]
    assert often == [timedelta(milliseconds=960), timedelta(milliseconds=320)]
    trusts = []
    for ears in (good, poor):
        endpointer = endpointer_of(ears, tmp_path)
        assert isinstance(endpointer, WordsAndTone)
        trusts.append(endpointer._trust)
    assert trusts == [1.0, 0.4]


async def test_doctor_recommends_better_words(tmp_path: Path, pulled: Path) -> None:
    """Where pocketsphinx is only what there is; a model that can't be read isn't well either."""
    if find_spec("pocketsphinx") is None:
        pytest.skip("needs pocketsphinx")
    [poor, _] = await check_hearing(config(), state=tmp_path)
    assert (poor.health, "pocketsphinx" in poor.detail) == (Health.WARNING, True)
    assert "locum models pull moonshine" in poor.next_step

    [unread, _] = await check_hearing(config(model=str(pulled)), state=tmp_path)
    assert (unread.health, "tokenizer.json" in unread.detail) == (Health.BROKEN, True)

    (pulled / FILES[0]).unlink()
    [lacking, _] = await check_hearing(config(model=str(pulled)), state=tmp_path)
    assert (lacking.health, FILES[0] in lacking.next_step) == (Health.WARNING, True)


async def test_doctor_says_that_german_needs_other_ears(tmp_path: Path, pulled: Path) -> None:
    """Neither of the two knows it, whatever is pulled."""
    found = await check_hearing(config(language="de", model=str(pulled)), state=tmp_path)

    assert (found[0].health, "sherpa" in found[0].next_step) == (Health.BROKEN, True)


async def test_doctor_tells_what_ends_a_turn(tmp_path: Path) -> None:
    """Without the model it works, and says what would be better."""
    found = {each.subject: each for each in await check_hearing(config(), state=tmp_path)}
    assert found["ends of turns"].health is Health.WARNING
    assert "locum models pull smart-turn" in found["ends of turns"].next_step
    endpointer = endpointer_of(ears_of(HearingTable(), tmp_path), tmp_path)
    assert "words and the tone" in endpointer.name
    endpointer.close()


async def test_doctor_says_nothing_of_ears_where_nobody_hears(tmp_path: Path) -> None:
    """A hosted engine hears by itself."""
    assert await check_hearing(Config(), state=tmp_path) == ()
