"""Recordings that become voices: what is measured, what is kept, and what is refused."""

from __future__ import annotations

import array
import contextlib
import io
import math
import os
import random
import shutil
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from locum.errors import PermanentError
from locum.persona import recording
from locum.persona.headers import HeaderError, read_header
from locum.persona.recording import SAMPLE_RATE, Recording, prepare

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg here")
WORDS = (
    "Every meeting starts on time and ends with a short summary for everybody who could not "
    "be there. Please send the figures by Friday, and tell Anna about the new plan. I am only "
    "a stand in, so I will pass it on, and ask again tomorrow morning."
)


def ffmpeg(*arguments: str | Path) -> None:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)


def can_speak() -> bool:
    listed = subprocess.run(["ffmpeg", "-filters"], capture_output=True, text=True, check=False)
    return " flite " in listed.stdout


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have a sentence of some 14 s spoken, by the voice that Debian's ffmpeg carries."""
    if shutil.which("ffmpeg") is None or not can_speak():
        pytest.skip("no ffmpeg with flite here")
    path = tmp_path_factory.mktemp("spoken") / "said.wav"
    ffmpeg("-f", "lavfi", "-i", f"flite=text='{WORDS}':voice=slt", path)
    return path


def heard(found: Recording) -> tuple[float, float, int]:
    """Answer a sample's seconds, its peak (0 to 1) and its channels."""
    with wave.open(io.BytesIO(found.content)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (SAMPLE_RATE, 2)
        samples = array.array("h", file.readframes(file.getnframes()))
        return len(samples) / SAMPLE_RATE, max(map(abs, samples)) / 32768, file.getnchannels()


# ── what is taken ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["mp3", "m4a", "ogg", "flac", "mka"])
def test_any_format_of_sound_becomes_the_same_sample(
    spoken: Path, tmp_path: Path, kind: str
) -> None:
    """What comes out is 16-bit mono WAV of the same speech, whatever went in."""
    ffmpeg("-i", spoken, "-ac", "2", "-ar", "44100", tmp_path / f"said.{kind}")

    found = prepare(tmp_path / f"said.{kind}")

    length, peak, channels = heard(found)
    assert found.speech_s == pytest.approx(13.5, abs=2)
    assert length == pytest.approx(found.duration_s, abs=1)
    assert (peak < 0.9, channels, found.filename) == (True, 1, "voice.wav")
    assert len(found.original_sha256) == 64


def test_loudness_is_brought_to_one_level(spoken: Path, tmp_path: Path) -> None:
    """A quiet and a loud recording come out alike, and what was found is told."""
    levels = []
    for gain in (-25, 0):
        path = tmp_path / f"{gain}.wav"
        ffmpeg("-i", spoken, "-af", f"volume={gain}dB", path)
        found = prepare(path)
        (tmp_path / "voice.wav").write_bytes(found.content)
        again = prepare(tmp_path / "voice.wav")
        levels.append(again.loudness_lufs)
        assert found.loudness_lufs == pytest.approx(-16.6 + gain, abs=2)

    assert levels == [pytest.approx(-18, abs=1), pytest.approx(-18, abs=1)]


def test_silence_is_measured_and_left_out(spoken: Path, tmp_path: Path) -> None:
    """Long pauses are no speech: they are told, and aren't kept."""
    ffmpeg("-i", spoken, "-af", "adelay=20000,apad=pad_dur=25", tmp_path / "long.wav")

    found = prepare(tmp_path / "long.wav")

    assert found.duration_s == pytest.approx(60, abs=3)
    assert found.speech_s == pytest.approx(13.5, abs=2)
    assert heard(found)[0] < 18
    assert any("are no speech" in remark for remark in found.remarks)


def test_clipping_is_told(spoken: Path, tmp_path: Path) -> None:
    """A recording that was too loud is taken, with a word of warning."""
    ffmpeg("-i", spoken, "-af", "volume=30dB", "-c:a", "pcm_s16le", tmp_path / "loud.wav")

    found = prepare(tmp_path / "loud.wav")

    assert found.clipped > 0.1
    assert any("clipped" in remark for remark in found.remarks)
    assert prepare(spoken).clipped == 0


def test_noise_reduction_makes_it_quieter_between_words(spoken: Path, tmp_path: Path) -> None:
    """What is asked for happens: a steady noise loses at least half of its level."""
    noisy = tmp_path / "noisy.wav"
    graph = (
        "anoisesrc=c=white:a=0.02:r=16000:d=20[n];[0:a]apad=pad_dur=0.8[s];[s][n]amix=2:first"
    )
    ffmpeg("-i", spoken, "-filter_complex", graph, noisy)

    def floor(found: Recording) -> float:
        with wave.open(io.BytesIO(found.content)) as file:
            samples = array.array("h", file.readframes(file.getnframes()))
        size = SAMPLE_RATE // 20
        parts = (samples[at : at + size] for at in range(0, len(samples) - size, size))
        return sorted(math.sqrt(sum(x * x for x in part) / size) for part in parts)[5]

    assert floor(prepare(noisy, noise_reduction=True)) < floor(prepare(noisy)) / 2


# ── what is refused ──────────────────────────────────────────────────────────────────────


def wav(path: Path, *, channels: int = 1, seconds: float = 1, rate: int = 16_000) -> Path:
    noise = random.Random(7)
    frames = bytes(noise.randrange(256) for _ in range(4096)) * (
        int(seconds * rate * channels * 2) // 4096 + 1
    )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(frames)
    return path


def lavfi(graph: str, name: str, *options: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        ffmpeg("-f", "lavfi", "-i", graph, *options, folder / name)
        return folder / name

    return make


def text(content: str, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return make


def cut(folder: Path) -> Path:
    ffmpeg("-f", "lavfi", "-i", "sine=d=20", folder / "whole.m4a")
    (folder / "cut.m4a").write_bytes((folder / "whole.m4a").read_bytes()[:9000])
    return folder / "cut.m4a"


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n"
HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an hour of silence": (
        lavfi("anullsrc=r=8000:cl=mono:d=3600", "a.flac"),
        "60 minutes long",
    ),
    "a minute of silence": (lavfi("anullsrc=r=8000:cl=mono:d=60", "a.wav"), "but silence"),
    "a tone": (lavfi("sine=d=20", "a.wav"), "0 s of speech"),
    "noise": (lavfi("anoisesrc=d=20:c=pink", "a.wav"), "0 s of speech"),
    "192 channels": (lambda folder: wav(folder / "a.wav", channels=192), "192 channels"),
    "an odd rate": (lambda folder: wav(folder / "a.wav", rate=1000), "1000 Hz"),
    "a playlist": (text(PLAYLIST, "a.m3u8"), "no sound"),
    "a playlist's disguise": (text(PLAYLIST, "a.mp3"), "no sound"),
    "a list of files": (text("ffconcat version 1.0\nfile /etc/passwd\n", "a.wav"), "no sound"),
    "a text": (text("hello", "a.mp3"), "no sound"),
    "nothing": (text("", "a.wav"), "no sound"),
    "half an M4A": (cut, "no sound"),
    "a film without sound": (
        lavfi("testsrc=d=1:s=64x64", "a.mkv", "-c:v", "mpeg4"),
        "no sound",
    ),
}


@needs_ffmpeg
@pytest.mark.parametrize(("make", "told"), list(HOSTILE.values()), ids=list(HOSTILE))
def test_hostile_recordings_are_refused(
    tmp_path: Path, make: Callable[[Path], Path], told: str
) -> None:
    """Each with its reason; nothing is fetched, and nothing else is read."""
    path = make(tmp_path)

    with pytest.raises(PermanentError, match="can't be used") as caught:
        prepare(path)

    assert told in str(caught.value)
    assert "root:" not in str(caught.value)


@needs_ffmpeg
def test_a_header_that_lies_is_found_out(tmp_path: Path) -> None:
    """Twenty minutes that call themselves ten seconds are cut off, and refused."""
    path = tmp_path / "a.wav"
    ffmpeg("-f", "lavfi", "-i", "sine=d=1200:r=8000", "-c:a", "pcm_s16le", path)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = (0xFFFFFFFF).to_bytes(4, "little")  # As a stream's that has no end.
    path.write_bytes(content)

    with pytest.raises(PermanentError, match="minutes"):
        prepare(path)


def test_only_files_are_heard(tmp_path: Path) -> None:
    """Pipes, devices, links, folders and what is too large are refused without waiting."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(400 << 20)
    cases = {
        tmp_path / "pipe": "a named pipe",
        tmp_path / "link": "a symbolic link",
        tmp_path / "large": "300 MB are the most",
        tmp_path: "a folder",
        Path("/dev/zero"): "a device",
        tmp_path / "no\nsuch.mp3": "no such file",
    }
    for path, told in cases.items():
        with pytest.raises(PermanentError, match=told):
            prepare(path)


@needs_ffmpeg
def test_a_name_is_never_an_option_or_an_address(tmp_path: Path, spoken: Path) -> None:
    """Ffmpeg gets a private copy under a name of ours, whatever the file is called."""
    for name in ("-y.wav", "concat:a|b\n"):
        (tmp_path / name).write_bytes(spoken.read_bytes())
        assert prepare(tmp_path / name).speech_s is not None


# ── without ffmpeg ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "has_ffmpeg", lambda: False)


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a"])
def test_usual_formats_pass_without_ffmpeg(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are taken as they are, by their header's length; what isn't known is said."""
    path = tmp_path / f"a.{kind}"
    ffmpeg("-f", "lavfi", "-i", "sine=d=12", path)
    monkeypatch.setattr(recording, "has_ffmpeg", lambda: False)

    found = prepare(path)

    assert found.content == path.read_bytes()
    assert (found.filename, found.speech_s) == (f"voice.{kind}", None)
    assert found.duration_s == pytest.approx(12, abs=0.3)
    assert "wasn't measured" in found.remarks[0]


@pytest.mark.usefixtures("without_ffmpeg")
def test_other_formats_name_the_package(tmp_path: Path) -> None:
    """The one sentence says what to install."""
    (tmp_path / "a.ogg").write_bytes(b"OggS" + b"\0" * 5000)

    with pytest.raises(PermanentError, match="apt-get install ffmpeg"):
        prepare(tmp_path / "a.ogg")


@pytest.mark.usefixtures("without_ffmpeg")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"RIFF\0\0\0\0WAVE" + b"\0" * 100, "header is damaged"),
        (b"ID3\4\0\0\0\0\0\0" + b"\0" * 100, "no frames follow"),
        (b"\0\0\0\x10ftypM4A " + b"\0" * 100, "doesn't say how long"),
        (b"\0\0\0\0ftyp" + b"\0\0\0\1moov" * 400, "doesn't say how long"),
    ],
)
def test_damaged_headers_are_told(tmp_path: Path, content: bytes, told: str) -> None:
    """What begins like sound, and isn't, is refused by the header."""
    (tmp_path / "a").write_bytes(content)

    with pytest.raises(PermanentError, match=told):
        prepare(tmp_path / "a")


@pytest.mark.usefixtures("without_ffmpeg")
def test_length_and_silence_count_without_ffmpeg(tmp_path: Path) -> None:
    """Ten seconds to five minutes, and not a file of zeros."""
    with pytest.raises(PermanentError, match="10 s to 5 min"):
        prepare(wav(tmp_path / "short.wav", seconds=3))
    with wave.open(str(tmp_path / "still.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8000 * 2 * 12))
    with pytest.raises(PermanentError, match="but silence"):
        prepare(tmp_path / "still.wav")


def test_headers_never_raise_anything_else() -> None:
    """Whatever the bytes, a header is read, refused, or none."""
    noise = random.Random(11)
    for start in (
        b"RIFF0000WAVEfmt ",
        b"ID3\4\0\0\0\0\0\1",
        b"\xff\xfb\x90\0",
        b"\0\0\0\x18ftyp",
    ):
        for _ in range(300):
            content = start + bytes(noise.randrange(256) for _ in range(noise.randrange(200)))
            with contextlib.suppress(HeaderError):
                read_header(content)
