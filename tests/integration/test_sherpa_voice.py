"""sherpa-onnx in its process, with a model of a few hundred bytes that buzzes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import wave
from importlib.util import find_spec
from pathlib import Path

import pytest

from locum.core.speech import Spoken
from locum.errors import PermanentError
from locum.ports import Health, VoiceSample
from locum.voices.layouts import Family, LayoutError, layout_of
from locum.voices.sherpa import SherpaSettings, SherpaVoice
from tests import needs
from tests.integration.onnx_rig import RATE, SAMPLES_A_PHONEME, piper_folder

has_sherpa = pytest.mark.skipif(
    find_spec("sherpa_onnx") is None, reason="sherpa-onnx isn't installed"
)


def _voice(folder: Path, **changes: object) -> SherpaVoice:
    return SherpaVoice(SherpaSettings("buzz", lambda: folder), **changes)  # type: ignore[arg-type]


async def _said(voice: SherpaVoice, text: str) -> list[Spoken]:
    return [piece async for piece in voice.speak(text)]


def _samples(pieces: list[Spoken]) -> int:
    return sum(len(piece.sound.pcm) for piece in pieces) // 2


@needs.espeak
@has_sherpa
def test_pipers_files_are_spoken_with_as_they_are(tmp_path: Path) -> None:
    """A model without sherpa-onnx's metadata speaks at its rate, phoneme by phoneme, in pieces."""

    async def scenario() -> None:
        voice = _voice(piper_folder(tmp_path / "model"))
        short, long = await _said(voice, "Yes."), await _said(voice, "Yes, it is there. " * 9)
        await voice.aclose()
        assert {piece.sound.rate for piece in long} == {RATE}
        assert _samples(short) > 3 * SAMPLES_A_PHONEME
        assert _samples(long) > 20 * _samples(short)
        assert len(long) >= 10  # A clause at a time, and none longer than half a second.
        assert max(len(piece.sound.pcm) for piece in long) <= RATE

    asyncio.run(scenario())
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "buzz.onnx",
        "buzz.onnx.json",
    ]


@needs.espeak
@has_sherpa
def test_who_is_interrupted_speaks_on_with_the_same_model(tmp_path: Path) -> None:
    """What was being said is dropped, and the model stays loaded for what is said next."""

    async def scenario() -> None:
        voice = _voice(piper_folder(tmp_path / "model"))
        await voice.warm()
        alone = _samples(await _said(voice, "Yes."))
        speaking = voice._process
        assert speaking is not None
        process = speaking._process
        async with contextlib.aclosing(voice.speak("It is there, and it stays. " * 100)) as on:
            await anext(on)
        assert _samples(await _said(voice, "Yes.")) == alone
        assert speaking._process is process
        await voice.aclose()

    asyncio.run(scenario())


@needs.espeak
@has_sherpa
def test_a_model_that_cannot_clone_says_so(tmp_path: Path) -> None:
    """A recording is no use to it: the error says which model, and what to do."""
    sample = tmp_path / "voice.wav"
    with wave.open(str(sample), "wb") as made:
        made.setparams((1, 2, RATE, 0, "NONE", ""))
        made.writeframes(bytes(RATE))
    digest = hashlib.sha256(sample.read_bytes()).hexdigest()

    class Lent:
        async def sample(self) -> VoiceSample:
            return VoiceSample(sample, digest)

    async def scenario() -> None:
        voice = _voice(piper_folder(tmp_path / "model"), sampler=Lent())
        with pytest.raises(PermanentError, match=r"buzz: .*recorded voice.*models list"):
            await _said(voice, "Yes.")
        await voice.aclose()

    asyncio.run(scenario())


@has_sherpa
def test_a_damaged_model_is_a_finding_and_no_crash(tmp_path: Path) -> None:
    """Bytes that are no model end the voice's process at most, and are told."""
    folder = piper_folder(tmp_path / "model")
    (folder / "buzz.onnx").write_bytes(b"\x00" * 500)

    async def scenario() -> None:
        voice = _voice(folder)
        (finding,) = await voice.check()
        await voice.aclose()
        assert finding.health is Health.BROKEN
        assert finding.next_step

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("names", "family"),
    [
        (["a.onnx", "tokens.txt", "lexicon.txt"], Family.VITS),
        (["model.int8.onnx", "model.onnx", "voices.bin", "tokens.txt"], Family.KOKORO),
        (
            ["encoder.int8.onnx", "decoder.int8.onnx", "vocos.onnx", "tokens.txt"],
            Family.ZIPVOICE,
        ),
        (
            [
                *(
                    "lm_main.int8.onnx",
                    "lm_flow.int8.onnx",
                    "encoder.onnx",
                    "decoder.int8.onnx",
                ),
                *("text_conditioner.onnx", "vocab.json", "token_scores.json"),
            ],
            Family.POCKET,
        ),
    ],
)
def test_a_model_is_known_by_its_files(
    tmp_path: Path, names: list[str], family: Family
) -> None:
    """Each family that can be spoken with is told by what lies there; one file less is none."""
    for name in names:
        (tmp_path / name).touch()
    found = layout_of(tmp_path)
    assert found.family is family
    if family is Family.KOKORO:
        assert found.files["model"].endswith("model.int8.onnx")
    (tmp_path / names[-1]).unlink()
    with pytest.raises(LayoutError, match=r"holds no model.*Wanted is"):
        layout_of(tmp_path)


@pytest.mark.parametrize(
    "told", ["", "[]", '{"espeak": 1}', '{"audio": {"sample_rate": 1e99}}']
)
def test_a_damaged_description_is_named(tmp_path: Path, told: str) -> None:
    """A JSON that isn't Piper's is named; nothing of it is taken half."""
    (tmp_path / "a.onnx").touch()
    (tmp_path / "a.onnx.json").write_text(told)
    with pytest.raises(LayoutError, match=r"a\.onnx\.json isn't what Piper writes"):
        layout_of(tmp_path)
