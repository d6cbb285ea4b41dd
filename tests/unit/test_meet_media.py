"""The stage's media as numbers and bytes: VP8's headers, one numbering, speech, lips."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.rehearsal.meet.media.assembling import Assembler
from locum.rehearsal.meet.media.measuring import (
    Series,
    flow,
    lips_against_sound,
    thumb_distance,
)
from locum.rehearsal.meet.media.sound import FRAME, OpusEar, OpusMouth, level_of, resampled
from locum.rehearsal.meet.media.speaking import warble
from locum.rehearsal.meet.media.tiles import HEIGHT, WIDTH, tile
from locum.rehearsal.meet.media.timing import SenderClock, SpeechMark
from locum.rehearsal.meet.media.watching import Region
from locum.rehearsal.meet.media.wire import (
    AUDIO_HZ,
    VIDEO_HZ,
    Packet,
    Renumbering,
    after_16,
    after_32,
    describe_vp8,
    ntp_from_wall,
    parse_vp8,
    wall_from_ntp,
)

KEY = b"\x10\x00\x00\x9d\x01\x2a" + (640).to_bytes(2, "little") + (360).to_bytes(2, "little")


def packet(sequence: int, timestamp: int, payload: bytes = b"x", **more: Any) -> Packet:
    more.setdefault("arrived", 0.0)
    return Packet(
        sequence & 0xFFFF, timestamp & 0xFFFFFFFF, more.pop("marker", False), payload, **more
    )


@given(st.integers(0, 0xFFFF), st.integers(-30_000, 30_000))
def test_distances_wrap(start: int, step: int) -> None:
    """Sequence numbers and timestamps are ahead or behind across their ends."""
    assert after_16((start + step) & 0xFFFF, start) == step
    assert after_32((start + step) & 0xFFFFFFFF, start) == step


def test_a_key_frame_is_known_with_its_size() -> None:
    """From the first packet of it; a later packet, and a frame that leans on others, aren't."""
    head = describe_vp8(begins_frame=True, picture_id=77)
    described = parse_vp8(head + KEY)
    assert described is not None
    assert (described.body, described.picture_id) == (4, 77)
    assert described.key_frame_size(head + KEY) == (640, 360)
    later = describe_vp8(begins_frame=False, picture_id=77) + KEY
    assert parse_vp8(later).key_frame_size(later) is None  # type: ignore[union-attr]
    leaning = head + b"\x11" + KEY[1:]
    assert parse_vp8(leaning).key_frame_size(leaning) is None  # type: ignore[union-attr]


@given(st.binary(max_size=40))
@settings(max_examples=1_000, derandomize=True)
def test_any_bytes_are_a_payload_or_none(payload: bytes) -> None:
    """What is cut short or nonsense is passed on as it is, and never an error."""
    described = parse_vp8(payload)
    assert described is None or described.body < len(payload)
    numbering = Renumbering(VIDEO_HZ, sequence=0, timestamp=0)
    numbering.place("a", packet(1, 0, payload))
    assert len(numbering.picture(payload)) == len(payload)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(0, 0xFFFF))
def test_one_source_keeps_its_distances(steps: list[int], start: int) -> None:
    """A gap of numbers stays a gap, wherever the numbering began and wrapped."""
    numbering = Renumbering(AUDIO_HZ, sequence=65_530, timestamp=2**32 - 500)
    at, before = start, None
    for step in steps:
        at += step
        placed = numbering.place("a", packet(at, at * 960))
        assert placed is not None
        if before is not None:
            assert after_16(placed[0], before[0]) == step
            assert after_32(placed[1], before[1]) == step * 960
        before = placed


def test_another_source_follows_on() -> None:
    """The next number, a timestamp by the time that passed, the next picture; no stragglers."""
    numbering = Renumbering(VIDEO_HZ, sequence=10, timestamp=1_000)
    head = describe_vp8(begins_frame=True, picture_id=100)
    assert numbering.place("a", packet(500, 90_000, head + KEY, arrived=1.0)) == (10, 1_000)
    assert numbering.picture(head + KEY) == head + KEY
    other = describe_vp8(begins_frame=True, picture_id=32_000) + KEY
    placed = numbering.place("b", packet(9_000, 7, other, arrived=1.5))
    assert placed == (11, 1_000 + VIDEO_HZ // 2)
    described = parse_vp8(numbering.picture(other))
    assert described is not None
    assert described.picture_id == 101
    assert numbering.place("b", packet(8_999, 0, other, arrived=1.5)) is None
    assert numbering.place("b", packet(9_002, 9, other, arrived=1.5)) == (13, 46_002)


def test_a_pause_on_purpose_is_no_loss() -> None:
    """After an interruption the same source follows without a gap."""
    numbering = Renumbering(AUDIO_HZ, sequence=0, timestamp=0)
    assert numbering.place("a", packet(1, 0, arrived=0.0)) == (0, 0)
    numbering.interrupt()
    assert numbering.place("a", packet(51, 48_000, arrived=1.0)) == (1, 48_000)


def pictures(count: int, packets: int = 3) -> list[Packet]:
    """Frames of several packets each; the first is a key frame."""
    made: list[Packet] = []
    for number in range(count):
        for part in range(packets):
            body = (KEY if number == 0 else b"\x11" + KEY[1:]) if part == 0 else b"more"
            made.append(
                packet(
                    65_530 + len(made),
                    number * 3_000,
                    describe_vp8(begins_frame=part == 0, picture_id=number) + body,
                    marker=part == packets - 1,
                )
            )
    return made


@given(st.randoms(use_true_random=False))
def test_pictures_come_whole_and_in_order(dice: Any) -> None:
    """However the packets are mixed on the way, after the key frame's first has come."""
    sent = pictures(12)
    mixed = sent[:1] + sorted(
        sent[1:], key=lambda each: after_16(each.sequence, 65_530) + dice.uniform(0, 9)
    )
    assembler = Assembler()
    came = [each for one in mixed for each in assembler.add(one)]
    assert [each.timestamp for each in came] == [number * 3_000 for number in range(12)]
    assert [each.size for each in came] == [(640, 360)] + [None] * 11
    assert came[0].data == KEY + b"more" * 2


def test_after_a_loss_the_next_key_frame_counts() -> None:
    """What leans on a lost picture isn't shown; a key frame mends it."""
    sent = pictures(200)
    assembler = Assembler()
    lost = sent[4]
    came = [each for one in sent if one is not lost for each in assembler.add(one)]
    assert len(came) == 1
    assert assembler.broken
    again = packet(
        65_530 + len(sent),
        900_000,
        describe_vp8(begins_frame=True, picture_id=1) + KEY,
        marker=True,
    )
    assert [each.key for each in assembler.add(again)] == [True]
    assert not assembler.broken


def test_speech_begins_and_ends() -> None:
    """A click is none, pauses within a sentence don't end it, packets that stop do."""
    mark = SpeechMark()
    assert not mark.hear(20, 0.0)
    assert not mark.hear(127, 0.02)
    assert not mark.hear(127, 0.04)
    assert [mark.hear(25, 0.1 + number / 50) for number in range(3)] == [False, True, False]
    assert not mark.hear(127, 0.5)
    assert mark.speaking
    assert mark.wait(1.0)
    assert not mark.speaking


def test_sound_and_picture_are_on_one_clock() -> None:
    """A slow report moves both alike; a quicker one later corrects both."""
    clock = SenderClock()
    assert clock.captured("audio", 0) is None
    clock.report("audio", theirs=100.0, timestamp=48_000, arrived=500.3)
    clock.report("video", theirs=101.0, timestamp=90_000, arrived=501.05)
    audio, video = clock.captured("audio", 96_000), clock.captured("video", 90_000)
    assert audio == pytest.approx(501.05)
    assert video == pytest.approx(501.05)
    clock.forget()
    assert clock.captured("video", 0) is None


@given(st.floats(1e9, 2.05e9))
def test_ntp_there_and_back(wall: float) -> None:
    """RTCP's time loses less than a microsecond, until its era ends in 2036."""
    assert wall_from_ntp(ntp_from_wall(wall)) == pytest.approx(wall, abs=1e-6)


@pytest.mark.parametrize("late_ms", [-130, -45, 0, 20, 45, 160])
def test_lips_are_found_where_they_are(late_ms: int) -> None:
    """Within 8 ms, from a picture 30 times a second and a syllable rhythm with noise in it."""
    dice = np.random.default_rng(6)
    at = np.arange(0, 12, 0.005)
    envelope = np.interp(at, np.arange(0, 12.2, 0.12), dice.random(102)) ** 2
    sound = Series(at, envelope + dice.normal(0, 0.02, len(at)))
    frames = np.arange(0, 12, 1 / 30)
    mouth = Series(frames, np.interp(frames - late_ms / 1_000, at, envelope) * 60 + 10)
    offsets = lips_against_sound(mouth, sound)
    assert len(offsets.windows_ms) == 8
    # A frame stays until the next, half a frame on average.
    assert offsets.p50_ms == pytest.approx(late_ms + 1_000 / 60, abs=8)
    assert offsets.p95_ms is not None
    assert offsets.p95_ms == pytest.approx(abs(late_ms + 1_000 / 60), abs=14)


def test_still_lips_have_no_offset() -> None:
    """A face that doesn't move, and one that moves without regard to the sound, give none."""
    at = np.arange(0, 8, 0.005)
    sound = Series(at, np.abs(np.sin(at * 9)))
    assert lips_against_sound(Series(at, np.ones(len(at))), sound).p50_ms is None
    assert lips_against_sound(Series.of([]), sound).p95_ms is None


def test_gaps_are_freezes() -> None:
    """One of 0.5 s among frames 40 ms apart: when, and how long."""
    steady = flow([number * 0.04 for number in range(51)])
    assert steady.per_second == pytest.approx(25)
    assert not steady.gaps
    frozen = flow([0.0, 0.04, 0.08, 0.58, 0.62])
    [(began, lasted)] = frozen.gaps
    assert began == 0.08
    assert lasted == pytest.approx(0.5)
    assert flow([]).per_second == flow([1.0]).per_second == 0.0


def test_regions_and_thumbs() -> None:
    """A region is cut where its fractions say; thumbs of different faces are apart."""
    plane = np.zeros((90, 160), np.uint8)
    plane[45:, 80:] = 200
    assert Region.parse("mouth=0.5,0.5,0.5,0.5").cut(plane).mean() == 200
    assert Region("all", 0, 0, 1, 1).cut(plane).shape == (90, 160)
    for wrong in ("mouth", "m=1,2,3", "m=0.5,0.5,0.6,0.1", "m=-1,0,1,1", "=0,0,1,1"):
        with pytest.raises(ValueError, match=r"."):
            Region.parse(wrong)
    assert thumb_distance(bytes(64), bytes([10] * 64)) == 10


def test_sound_there_and_back() -> None:
    """Opus keeps the loudness; the level is RFC 6464's; another rate keeps the pitch."""
    tone = np.sin(np.arange(FRAME * 50) * 2 * math.pi * 440 / AUDIO_HZ).astype(np.float32) / 2
    assert level_of(tone) == 9
    assert level_of(tone * 0) == 127
    mouth, ear = OpusMouth(), OpusEar()
    parts = [tone[at : at + FRAME] for at in range(0, len(tone), FRAME)]
    back = np.concatenate([ear.decode(each) for part in parts for each in mouth.encode(part)])
    assert level_of(back[FRAME * 5 :]) == pytest.approx(9, abs=1)
    assert len(ear.decode(b"\xff")) == 0
    slow = resampled(tone[::3], AUDIO_HZ // 3)
    assert abs(len(slow) - len(tone)) < 4
    assert float(np.abs(slow[: FRAME * 40] - tone[: FRAME * 40]).max()) < 0.01
    assert 1.0 < len(warble("A sentence of twenty")) / AUDIO_HZ < 2.0


def test_tiles_are_cheap_and_their_own() -> None:
    """One seed, one picture; another, another; each loop begins with a key frame."""
    silent, speaking = tile(1), tile(1, speaking=True)
    assert silent != speaking
    assert silent != tile(2)
    for loop in (silent, speaking):
        head = describe_vp8(begins_frame=True, picture_id=0)
        described = parse_vp8(head + loop[0])
        assert described is not None
        assert described.key_frame_size(head + loop[0]) == (WIDTH, HEIGHT)
        assert sum(len(each) for each in loop) < 60_000
