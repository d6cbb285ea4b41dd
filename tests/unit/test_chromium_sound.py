"""Speech on its way into a page, and what a page has heard on its way out: no browser needed."""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from locum.core.speech import Mouth, MouthAt, Sound
from locum.engines.chromium import wire
from locum.engines.chromium.ears import Contributor, Ears, HeardTrack
from locum.engines.chromium.resampling import Resampler
from locum.engines.chromium.speech import RATE_HZ, Speech
from locum.errors import PermanentError

AT = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
QUIET = "~3~40~"


def sine(frequency: float, seconds: float, rate: int) -> bytes:
    at = np.arange(round(seconds * rate))
    wave = np.sin(2 * np.pi * frequency * at / rate) * 10_000
    return bytes(np.rint(wave).astype("<i2").tobytes())


def values(pcm: bytes) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


# ── resampling ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_pieces_sound_as_the_whole(rate: int) -> None:
    """However it is cut, what comes out is what one piece would have given, to the bit."""
    pcm = sine(440, 0.5, rate)
    whole = Resampler(rate, 48_000)
    expected = whole.feed(pcm) + whole.flush()
    cut = Resampler(rate, 48_000)
    out = b""
    lengths = (2, 4, 46, 998, 2, 5_000)
    at = 0
    for turn in range(10_000):
        if at >= len(pcm):
            break
        length = lengths[turn % len(lengths)]
        out += cut.feed(pcm[at : at + length])
        at += length
    out += cut.flush()

    assert out == expected
    assert len(values(out)) == pytest.approx(24_000, abs=2)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 96_000])
def test_a_tone_stays_what_it_is(rate: int) -> None:
    """The same pitch, level and phase: what differs lies 60 dB below."""
    resampler = Resampler(rate, 48_000)
    out = values(resampler.feed(sine(1000, 0.5, rate)) + resampler.flush())
    expected = values(sine(1000, 0.5, 48_000))
    inner = slice(2_400, 21_600)

    assert np.abs(out[inner] - expected[inner]).max() < 10


def test_what_48_khz_cannot_hold_is_left_out() -> None:
    """A tone above half the rate would come back as another one: it is gone instead."""
    resampler = Resampler(96_000, 48_000)
    out = values(resampler.feed(sine(30_000, 0.5, 96_000)) + resampler.flush())

    assert np.abs(out[2_400:-2_400]).max() < 10


def test_a_rate_that_nobody_speaks_at_is_refused() -> None:
    """The error says which rate it was, and what to do."""
    with pytest.raises(PermanentError, match=r"500 Hz.*sample rate"):
        Resampler(500, 48_000)


# ── speech ───────────────────────────────────────────────────────────────────────────────


def test_speech_leaves_as_soon_as_there_is_some() -> None:
    """In pieces of a tenth to half a second; only the last may be shorter. Nothing is lost."""
    speech = Speech()
    given = [(24_000, 0.05), (24_000, 1.2), (16_000, 0.13), (16_000, 0.04)]
    pieces = [
        piece
        for rate, seconds in given
        for piece in speech.add(Sound(rate, sine(300, seconds, rate)), ())
    ]
    pieces += speech.rest()

    lengths = [piece.samples for piece in pieces]
    assert sum(lengths) == pytest.approx(1.42 * RATE_HZ, abs=2)
    assert all(4_800 <= length <= 24_000 for length in lengths[:-1])
    assert lengths[:2] == [24_000, 24_000]
    sizes = [len(base64.b64decode(piece.pcm)) for piece in pieces]
    assert sizes == [2 * length for length in lengths]


def test_keyframes_go_with_their_sound() -> None:
    """Counted from the utterance's beginning, in order, and little ahead of what they go with."""
    speech = Speech()
    second = Sound(RATE_HZ, bytes(2 * RATE_HZ))
    late, early = (
        MouthAt(timedelta(seconds=0.9), Mouth(jaw=0.5)),
        MouthAt(timedelta(seconds=0.05), Mouth(pucker=1)),
    )
    pieces = [*speech.add(second, (late, early)), *speech.add(second, (late, early))]

    found = [(n, *k) for n, piece in enumerate(pieces) for k in piece.keyframes]
    assert [(n, at) for n, at, *_ in found] == [(0, 50), (1, 900), (2, 1_050), (3, 1_900)]
    assert found[0][2:] == (0, 0, 0, 0, 1, 0, 0)


# ── ears ─────────────────────────────────────────────────────────────────────────────────


def ears(**named: str) -> Ears:
    """Make ears that know track 3, as `them`; who is heard is told by the loudest source."""

    def speaker_of(track: HeardTrack) -> str:
        return named.get(str(track.contributors[0].source), "") if track.contributors else ""

    made = Ears(now=lambda: AT, speaker_of=speaker_of)
    made.track(3, HeardTrack("them", ("stream",), "0"))
    return made


async def drained(made: Ears) -> list[tuple[str, str, bytes, datetime]]:
    made.close()
    return [(s.track, s.speaker, s.sound.pcm, s.at) async for s in made.sounds()]


def test_a_piece_of_sound_has_its_track_speaker_and_instant() -> None:
    """Silence comes in no bytes at all; who speaks is asked for each piece."""
    made = ears(**{"77": "Ada"})
    pcm = sine(440, 0.02, 16_000)

    made.hear(QUIET)
    made.contributed(3, (Contributor(77, 0.5),))
    made.hear(f"~3~60~{base64.b64encode(pcm).decode()}")

    assert asyncio.run(drained(made)) == [
        ("them", "", bytes(640), AT - timedelta(milliseconds=40)),
        ("them", "Ada", pcm, AT - timedelta(milliseconds=60)),
    ]


def test_who_does_not_keep_up_misses_the_oldest() -> None:
    """It never piles up, and what was missed is counted."""
    made = ears()
    for age in range(4_500):
        made.hear(f"~3~{age}~")

    kept = asyncio.run(drained(made))
    assert made.dropped == 500
    assert len(kept) == 4_000
    assert kept[0][3] == AT - timedelta(milliseconds=500)


def test_sound_of_tracks_that_are_gone_is_not_heard() -> None:
    """Nor of those that were never told of."""
    made = ears()
    made.untrack(3)
    made.hear(QUIET)
    made.hear("~9~40~")

    assert asyncio.run(drained(made)) == []


@pytest.mark.parametrize(
    "message", ["~3~40", "~x~40~", "~3~40~AAAA", "~3~40~!", "~3~soon~", "~3~1~2~3"]
)
def test_a_page_that_tells_nonsense_is_not_believed(message: str) -> None:
    """Each is refused where it comes in."""
    with pytest.raises(ValueError, match=r".+"):
        ears().hear(message)


@pytest.mark.parametrize(
    "message",
    [
        "{}",
        '{"kind":"said","id":-1,"frames":1,"why":"said"}',
        '{"kind":"said","id":1,"frames":1e99,"why":"said"}',
        '{"kind":"sources","track":1,"sources":[[1,1e999]]}',
        '{"kind":"track","track":1,"id":"' + "x" * 300 + '","streams":[],"mid":"0"}',
        "[" * 60_000,
    ],
)
def test_what_no_script_of_ours_would_tell_is_refused(message: str) -> None:
    """Counts and lengths from a page are bounded."""
    with pytest.raises(ValueError, match=r".+"):
        wire.MESSAGE.validate_json(message)
