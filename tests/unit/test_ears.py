"""What ears are made of: when a voice begins, when a sample came, whose words these are."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from locum.core.captioned import Captioned, name_by_captions
from locum.core.echo import OwnWords
from locum.core.speech import Sound
from locum.ears.echoes import WINDOW_S, Echoes, Room
from locum.ears.pronouncing import arpabet
from locum.ears.sherpa_listener import layout_of
from locum.ears.timeline import TAIL, Timeline
from locum.ears.voicing import RATE_HZ, WINDOW, Began, Paused, Voicing

START = datetime(2026, 11, 4, 9, 0, tzinfo=timezone.utc)
LOUD = b"\x00\x20" * WINDOW
QUIET = bytes(2 * WINDOW)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def judged(*, wary: bool = False) -> Voicing:
    """Answer a voicing whose model takes everything loud for a voice."""
    voicing = Voicing(lambda window: 0.9 if any(window) else 0.0, forget=lambda: None)
    voicing.wary = wary
    return voicing


def test_a_voice_begins_where_its_first_window_did() -> None:
    """It is told after 96 ms, and dated when it set in; its end is dated when it fell silent."""
    voicing = judged()

    found = voicing.hear(QUIET * 5 + LOUD * 10 + QUIET * 5)

    assert found == [Began(5 * WINDOW), Paused(15 * WINDOW)]
    assert not voicing.speaking


def test_a_click_is_no_voice() -> None:
    """Two windows of 32 ms aren't enough, however often they come."""
    assert judged().hear((LOUD * 2 + QUIET * 6) * 5) == []


def test_a_breath_is_no_pause() -> None:
    """Two windows without a voice end nothing."""
    voicing = judged()

    assert voicing.hear(LOUD * 5 + QUIET * 2 + LOUD * 5) == [Began(0)]
    assert voicing.is_voice


def test_a_voice_that_is_over_at_once_is_known_to_be() -> None:
    """Of what lasted 128 ms, a cough perhaps, two windows without a voice are the end."""
    assert judged().hear(LOUD * 4 + QUIET * 2) == [Began(0), Paused(4 * WINDOW)]
    assert judged().hear(LOUD * 6 + QUIET * 2) == [Began(0)]


def half_sure(*, wary: bool = False) -> Voicing:
    """Answer a voicing whose model half believes in what is loud, and is sure of nothing."""
    voicing = Voicing(lambda window: 0.2, forget=lambda: None)
    voicing.wary = wary
    return voicing


def test_a_voice_may_begin_with_what_is_hardly_one() -> None:
    """An "s" that is loud against the room begins it; the room's own noise, as sure, doesn't."""
    noise = b"\x80\x01" * WINDOW
    assert half_sure().hear(QUIET * 5 + LOUD * 3) == [Began(5 * WINDOW)]
    assert half_sure().hear(noise * 300) == []
    assert half_sure(wary=True).hear(QUIET * 5 + LOUD * 9) == []


def test_who_goes_on_with_what_is_hardly_a_voice_has_paused() -> None:
    """What began loudly must become a voice within 192 ms."""
    found = half_sure().hear(QUIET * 5 + LOUD * 40)
    assert found[:2] == [Began(5 * WINDOW), Paused(11 * WINDOW)]


def test_within_an_utterance_a_voice_is_back_sooner() -> None:
    """After a pause 64 ms are enough, where 96 ms are needed at first."""
    voicing = judged()
    voicing.in_utterance = True

    assert voicing.hear(QUIET + LOUD * 2) == [Began(WINDOW)]


def test_more_is_asked_for_where_it_may_be_our_own_voice() -> None:
    """Four windows are no voice then, five are."""
    assert judged(wary=True).hear(LOUD * 4 + QUIET * 9) == []
    assert judged(wary=True).hear(LOUD * 5) == [Began(0)]


def test_silence_is_never_shown_to_the_model() -> None:
    """Nearly silent sound costs no judgement, and what was before is forgotten after it."""
    asked: list[bytes] = []
    forgotten: list[bool] = []

    def detector(window: bytes) -> float:
        asked.append(window)
        return 0.0

    voicing = Voicing(detector, forget=lambda: forgotten.append(True))
    voicing.hear(b"\x08\x00" * WINDOW * 100)
    assert asked == []

    voicing.hear(LOUD * 2)
    assert (len(asked), len(forgotten)) == (2, 1)


def test_sound_that_is_missing_is_a_pause() -> None:
    """Who spoke when the sound broke off has paused where it did."""
    voicing = judged()
    voicing.hear(LOUD * 5)

    assert voicing.skip(3 * WINDOW) == [Paused(5 * WINDOW)]
    assert voicing.hear(LOUD * 3) == [Began(8 * WINDOW)]


# ── our own voice ────────────────────────────────────────────────────────────────────────


def babble(seed: int, seconds: float = 6.0) -> NDArray[np.float64]:
    """Answer sound as uneven as speech: noise in bursts, through a filter that moves."""
    dice = np.random.default_rng(seed)
    size = round(seconds * RATE_HZ)
    loud = np.interp(np.arange(size), np.arange(0, size, 1_600), dice.random(size // 1_600))
    pitch = np.interp(np.arange(size), np.arange(0, size, 1_600), 300 + 2_500 * dice.random(60))
    return 6_000 * loud * np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ)


def heard_of(sound: NDArray[np.float64], delay_s: float, until_s: float) -> bytes:
    """What a track has heard of a sound that is so late, in the window up to `until_s`."""
    end = round((until_s - delay_s) * RATE_HZ)
    size = round(WINDOW_S * RATE_HZ)
    return sound[end - size : end].astype("<i2").tobytes()


def saying(sound: NDArray[np.float64]) -> Echoes:
    echoes = Echoes()
    echoes.spoke(Sound(RATE_HZ, sound.astype("<i2").tobytes()), START)
    return echoes


def test_a_room_that_gives_us_back_is_learnt_from_two_voices() -> None:
    """One that is like ours proves nothing; from the second on, at that delay, it is ours."""
    ours, room = babble(1), Room()
    echoes = saying(ours)
    noise = np.random.default_rng(2).normal(0, 900, len(ours))

    def back(until: float, delay: float = 0.3) -> bytes:
        return heard_of(ours * 0.4 + noise, delay, until)

    assert not echoes.is_echo(back(2.0), after(2.0), room)
    assert not echoes.learn(back(2.0), after(2.0), room)
    assert not echoes.learn(back(3.0, 0.6), after(3.0), room), "at another delay"
    assert echoes.learn(back(4.0, 0.6), after(4.0), room)
    assert echoes.is_echo(back(5.0, 0.6), after(5.0), room)


def test_a_room_that_gives_us_back_no_more_is_forgotten() -> None:
    """Where one voice after the other is somebody's, nobody is mistrusted any longer."""
    echoes, room = saying(babble(1)), Room(delay=15)
    other = babble(7)
    looks = 0
    while room.delay is not None:
        assert not echoes.is_echo(
            heard_of(other, 0, 2 + looks / 10), after(2 + looks / 10), room
        )
        looks += 1
    assert 2 < looks < 10


# ── when a sample came ───────────────────────────────────────────────────────────────────


def test_instants_are_counted_by_samples() -> None:
    """Pieces that come late, and in bursts, don't move what came in them."""
    line = Timeline()
    for number in range(100):
        late = 0.15 if number % 10 == 9 else 0.0
        assert line.take(bytes(1280), after(0.04 * number + late)) == 0

    assert abs(line.instant(50 * 640) - after(2.0)) < timedelta(milliseconds=15)


def test_a_gap_in_the_sound_is_silence() -> None:
    """A second that never came is counted, and stands in the tail as silence."""
    line = Timeline()
    line.take(b"\x01\x00" * 640, START)

    assert line.take(b"\x02\x00" * 640, after(1.04)) == RATE_HZ
    assert line.position == RATE_HZ + 2 * 640
    assert line.instant(RATE_HZ + 640) == after(1.04)
    assert line.cut(600, 680) == b"\x01\x00" * 40 + bytes(2 * 40)


def test_no_more_than_the_tail_is_kept() -> None:
    """After a minute the last 8 s are there, and nothing older than 32 s."""
    line = Timeline()
    for number in range(60):
        line.take(number.to_bytes(2, "little") * RATE_HZ, after(number))

    assert len(line.tail().pcm) == 2 * TAIL
    assert line.cut(0, RATE_HZ) == b""
    assert line.cut(59 * RATE_HZ, 60 * RATE_HZ) == (59).to_bytes(2, "little") * RATE_HZ


OWN = "I will send the report to Dana on Friday, and then we can look at the plan together."


@pytest.mark.parametrize(
    ("heard", "ours"),
    [
        ("i will send the report to dana on friday", True),
        ("send a reports to danner on friday", True),
        ("could you send it on monday instead", False),
        ("and what about the budget", False),
        ("friday", False),
        ("on friday", True),
        ("", False),
    ],
)
def test_our_own_words_are_known_again(heard: str, *, ours: bool) -> None:
    """Misheard a little, or in part; a single word proves nothing, other words aren't ours."""
    own = OwnWords()
    own.said(OWN, START)

    assert own.are(heard, after(1), after(4)) is ours


def test_our_own_words_are_ours_for_some_seconds_only() -> None:
    """Who says the same later says it themselves; so does who said it before."""
    own = OwnWords()
    own.said("let us take that", after(10))

    assert own.are("let us take that", after(11), after(12))
    assert not own.are("let us take that", after(40), after(41))
    assert not own.are("let us take that", after(2), after(3))


def caption(speaker: str, text: str, at: float = 0, until: float = 4) -> Captioned:
    return Captioned(speaker, text, after(at), after(until))


@pytest.mark.parametrize(
    ("heard", "captions", "name"),
    [
        (
            "we could chip it on friday",
            [caption("Dana", "We could ship it on Friday.")],
            "Dana",
        ),
        ("we could chip it", [caption("Dana", "So, what do you think, Robin?")], ""),
        ("yes", [caption("Dana", "Yes.")], ""),
        ("we could ship it", [caption("Dana", "We could ship it.", 60, 64)], ""),
        (
            "we could ship it",
            [caption("Dana", "We could ship it."), caption("Marek", "We could ship it.")],
            "",
        ),
        ("we could ship it", [caption("", "We could ship it.")], ""),
        ("we could ship it", [], ""),
    ],
)
def test_captions_name_a_voice_only_where_it_is_plain(
    heard: str, captions: list[Captioned], name: str
) -> None:
    """Nearly the same words at the same time, by one person alone, or nobody."""
    assert name_by_captions(heard, after(0), after(4), captions) == name


def test_names_are_spelt_as_the_recogniser_wants_them() -> None:
    """What espeak-ng writes becomes ARPAbet; what English hasn't is left out."""
    assert arpabet("lˈoʊkəm") == "L OW K AH M"
    assert arpabet("dʒˈeɪsən tʃˈɛn") == "JH EY S AH N CH EH N"
    assert arpabet("ǃ") == ""


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("tokens.txt encoder-99.onnx decoder-99.onnx joiner-99.onnx", "transducer"),
        ("tokens.txt streams-encoder.onnx decoder.onnx joiner.onnx", "streaming"),
        (
            "tokens.txt preprocess.onnx encode.onnx uncached_decode.onnx cached_decode.onnx",
            "moonshine",
        ),
        ("tokens.txt encoder_model.ort decoder_model_merged.ort", "moonshine_v2"),
        ("tiny.en-tokens.txt tiny.en-encoder.int8.onnx tiny.en-decoder.int8.onnx", "whisper"),
        ("tokens.txt model.int8.onnx", "nemo_ctc"),
    ],
)
def test_a_models_folder_tells_what_it_is(tmp_path: Path, names: str, kind: str) -> None:
    """By its files' names, as sherpa-onnx's own models have them."""
    for name in names.split():
        content = b"\0decode_chunk_len\0" if name.startswith("streams") else b"\0"
        (tmp_path / name).write_bytes(content)

    assert layout_of(tmp_path).kind == kind


def test_a_folder_without_a_model_is_said_to_be_one(tmp_path: Path) -> None:
    """The message names what is missing."""
    with pytest.raises(ValueError, match=r"no tokens\.txt"):
        layout_of(tmp_path)
