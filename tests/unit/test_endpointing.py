"""Endpointing without a model: what the words say, what the tone says, and what it takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from locum.core.speech import Sound
from locum.ears.endpointing import WordsAndTone, blended, tone_certainty, words_evidence
from locum.ears.smart_turn import SmartTurn, log_mel, unusable
from locum.ears.tone import FEATURES, tone
from tests.speech import RATE_HZ, Samples, recordings

GOES_ON = (
    "we should look at the",
    "I'd like to, um",
    "so we moved the call and",
    "das Problem ist, dass",
    "wir haben noch eine",
    "either we ship it on Monday",
    "wenn das morgen fertig ist",
    "could you look at the",
    "first of all",
)
OVER = (
    "what is the status of the release",
    "Robin, could you look at that",
    "what are you waiting for",
    "wann ist das fertig?",
    "please send me the notes",
    "yes, exactly",
    "ja, genau",
)


def _sound(samples: Samples) -> Sound:
    return Sound(RATE_HZ, (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())


def _asked(name: str, at: float, silence: float) -> Sound:
    """A recording up to so long after `at`, as the endpointer is asked then."""
    samples = recordings()[name].with_tail(2).samples
    return _sound(samples[: int((at + silence) * RATE_HZ)])


@pytest.mark.parametrize("text", GOES_ON)
def test_nobody_ends_on_such_words(text: str) -> None:
    """Words that want others speak against an end."""
    assert words_evidence(text) < -1


@pytest.mark.parametrize("text", OVER)
def test_questions_requests_and_short_answers_are_whole(text: str) -> None:
    """Words that ask something, or answer it, speak for an end."""
    assert words_evidence(text) > 0.5


def test_no_words_say_nothing() -> None:
    """Neither silence nor mere punctuation is evidence."""
    assert [words_evidence(text) for text in ("", "  ", "…", "?!")] == [0.0] * 4


def test_words_count_by_their_trust() -> None:
    """A poor recogniser's words move the certainty less, none's not at all."""
    text = "we should look at the"
    some, none = WordsAndTone(trust=0.5), WordsAndTone(trust=0.0)
    assert some.by_words(text) == 0.5 * words_evidence(text)
    assert none.by_words(text) == 0.0


def test_a_blend_stays_a_certainty() -> None:
    """However strong the evidence, the answer lies between 0 and 1, in its order."""
    blends = [blended(sound, words) for sound in (0.0, 0.5, 1.0) for words in (-9.0, 0.0, 9.0)]
    assert all(0 < each < 1 for each in blends)
    assert blended(0.5, 0.0) == 0.5
    assert blended(0.5, -1) < 0.5 < blended(0.5, 1)


def test_the_tone_tells_ends_from_hesitations() -> None:
    """Of people's ends and pauses, most pairs come in the right order."""
    ends = [
        tone_certainty(_asked(each.name, each.end, 0.35))
        for each in recordings().values()
        if each.name != "two-cities"
    ]
    gaps = []
    for each in recordings().values():
        for joint, (at, _) in enumerate(each.joints):
            samples = each.drawn_out(joint, 1.0).samples[: int((at + 0.35) * RATE_HZ)]
            gaps.append(tone_certainty(_sound(samples)))
    right = np.mean([end > gap for end in ends for gap in gaps])
    assert right > 0.75


def test_a_falling_soft_end_is_surer_than_a_level_one() -> None:
    """The same hum, once falling and fading away, once broken off."""
    at = np.arange(2 * RATE_HZ) / RATE_HZ

    def hum(final_hz: float, fade: float) -> Sound:
        pitch = np.interp(at, (0, 1.4, 2), (140, 140, final_hz))
        level = np.interp(at, (0, 1.5, 2), (0.3, 0.3, 0.3 * fade))
        voice = level * np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ))
        quiet = 1e-4 * np.random.default_rng(1).standard_normal(RATE_HZ // 3)
        return _sound(np.concatenate([voice, quiet]).astype(np.float32))

    assert tone_certainty(hum(95, 0.3)) > 0.8
    assert tone_certainty(hum(150, 1.0)) < 0.75


def test_pitch_is_measured_in_semitones() -> None:
    """An octave down at the end is twelve semitones under the middle, or as far as it goes."""
    at = np.arange(2 * RATE_HZ) / RATE_HZ
    pitch = np.where(at < 1.8, 200.0, 100.0)
    voice = 0.3 * np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ))
    found = tone(np.concatenate([voice, np.zeros(3200)]).astype(np.float32))
    assert found is not None
    values = dict(zip(FEATURES, found, strict=True))
    assert values["final_pitch"] == pytest.approx(-12, abs=0.3)
    assert values["silence"] == pytest.approx(0.2, abs=0.02)


def test_nothing_said_is_neither() -> None:
    """Silence, a click and too short a sound are no reason for either answer."""
    quiet = 1e-4 * np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32)
    assert tone_certainty(Sound(RATE_HZ, b"")) == 0.5
    assert tone_certainty(Sound(RATE_HZ, bytes(2 * RATE_HZ))) == 0.5
    assert tone_certainty(_sound(quiet[:800])) == 0.5


def test_another_rate_is_refused() -> None:
    """Sound of 8 kHz would be heard an octave too high."""
    with pytest.raises(ValueError, match="16000 are needed"):
        tone_certainty(Sound(8_000, bytes(16_000)))


def test_the_spectrogram_is_whispers() -> None:
    """As transformers' and pipecat's front ends reckon it for the same 8 s (values of theirs)."""
    at = np.arange(8 * RATE_HZ) / RATE_HZ
    chirp = (0.3 * np.sin(2 * np.pi * (100 * at + 200 * at * at))).astype(np.float32)
    found = log_mel(chirp)
    assert found.shape == (80, 800)
    assert found[[0, 10, 40, 79], [10, 100, 400, 790]] == pytest.approx(GOLDEN, abs=1e-4)
    assert float(found.mean()) == pytest.approx(GOLDEN_MEAN, abs=1e-4)


GOLDEN = (0.83782, 1.12410, 1.61707, -0.32160)
GOLDEN_MEAN = -0.17061


def test_a_model_that_fails_is_done_without(tmp_path: Path) -> None:
    """A file that is no network: it is said once, and the words and the tone go on alone."""
    model = tmp_path / "smart-turn.onnx"
    model.write_bytes(b"no network")
    alone = WordsAndTone()
    broken = SmartTurn(model, alone)
    sound = _asked("jfk", recordings()["jfk"].end, 0.3)

    async def both() -> tuple[float, float]:
        return await broken.certainty(sound, "ask"), await alone.certainty(sound, "ask")

    one, other = asyncio.run(both())
    broken.close()
    assert one == other


def test_a_model_that_isnt_there_says_how_to_get_it(tmp_path: Path) -> None:
    """The next step is a command."""
    assert "locum models pull smart-turn" in unusable(tmp_path / "none.onnx")
