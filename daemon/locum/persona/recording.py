"""From somebody's recording to a sample that a voice can be cloned from.

ffmpeg reads the stranger's file, in bounds, from a private copy: neither a playlist nor a
network address in it leads anywhere. What comes out is 16-bit mono WAV: the speech, without the
long silences, at one loudness (EBU R128). The gain is one number for all of it; a compressor
would change the voice that is to be kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locum.errors import PermanentError
from locum.files import UnreadableError, open_regular
from locum.persona.bounded import Done, Limits, OverLimitError, run_bounded
from locum.persona.folder import LARGEST_SAMPLE
from locum.persona.headers import Header, HeaderError, read_header

LARGEST_SOURCE = 300 << 20
LEAST_SPEECH_S, MOST_SPEECH_S = 10.0, 300.0
LONGEST_S = 900.0
MOST_CHANNELS = 8
SAMPLE_RATE = 32_000
"""Of what is kept: five minutes stay below the 20 MB that the service takes."""

_LOUDNESS = -18.0  # LUFS
_PEAK = -1.5  # dBFS
_LOUD_PEAK = -0.1  # dBFS; what flattens out there was clipped.
_PAD_S = 0.2
_PAUSE_S = 1.0
"""Pauses up to here stay whole; of a longer one, only `_PAD_S` at both ends."""

_FORMATS = (
    "wav,w64,aiff,caf,au,flac,mp3,aac,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,amr,wv,ape,"
    "tta,ac3,eac3"
)
_NEED = (
    "This needs ffmpeg, and it isn't installed (`sudo apt-get install ffmpeg`). Without it, WAV, "
    "MP3 and M4A are taken as they are."
)
_PROBE = Limits(memory=512 << 20, output=1 << 20, cpu_s=5, wall_s=20.0)
_DECODE = Limits(memory=768 << 20, output=128 << 20, cpu_s=60, wall_s=180.0)
_HEAR = Limits(memory=1 << 30, output=8 << 20, cpu_s=90, wall_s=300.0)
_SPEECH = Path(__file__).with_name("speech.py")


@dataclass(frozen=True)
class Recording:
    """A sample, ready to be cloned from, and what was found in its original.

    `speech_s` and the levels are None where ffmpeg wasn't there to measure them. `clipped` is
    the share of samples at the very top of a recording that was too loud.
    """

    filename: str
    content: bytes
    original_sha256: str
    duration_s: float
    speech_s: float | None
    loudness_lufs: float | None
    peak_dbfs: float | None
    clipped: float
    remarks: tuple[str, ...]


def has_ffmpeg() -> bool:
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def prepare(path: Path, *, noise_reduction: bool = False) -> Recording:
    """Make a sample of a file, whatever lies there.

    Raises:
        PermanentError: It can't be one; the message says why, and what to do.
    """
    with tempfile.TemporaryDirectory(prefix="locum-voice-") as private:
        folder = Path(private)
        digest = _copy(path, folder / "source")
        if not has_ffmpeg():
            return _as_it_is(path, folder / "source", digest)
        try:
            return _Preparation(path, folder, digest).run(noise_reduction=noise_reduction)
        except OverLimitError as error:
            raise PermanentError(f"{path} can't be used: {error}.") from None


def _copy(path: Path, target: Path) -> str:
    """Copy the file, so that it is the same from its first look to its last."""
    digest = hashlib.sha256()
    try:
        descriptor, status = open_regular(path, follow=False)
    except UnreadableError as error:
        raise PermanentError(f"{path}: {error}.") from None
    with os.fdopen(descriptor, "rb") as source, target.open("wb") as copy:
        if status.st_size > LARGEST_SOURCE:
            raise PermanentError(
                f"{path} has {status.st_size:,} bytes; 300 MB are the most. Cut out five minutes."
            )
        while chunk := source.read(1 << 20):
            digest.update(chunk)
            copy.write(chunk)
            if copy.tell() > LARGEST_SOURCE:
                raise PermanentError(f"{path} grows while it is read; 300 MB are the most.")
    return digest.hexdigest()


# ── with ffmpeg ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Levels:
    loudness: float
    peak: float
    clipped: float


class _Preparation:
    def __init__(self, path: Path, folder: Path, digest: str) -> None:
        self._path = path
        self._folder = folder
        self._digest = digest

    def run(self, *, noise_reduction: bool) -> Recording:
        self._probe()
        sound = self._decoded(16_000)
        duration = len(sound) / 2 / 16_000
        if duration >= LONGEST_S:
            raise self._refusal("it is longer than 15 minutes; cut out five of clear speech")
        levels = self._levels()
        stretches = self._stretches(sound)
        del sound
        speech = sum(end - begin for begin, end in stretches)
        if speech < LEAST_SPEECH_S:
            raise self._refusal(
                f"there are {speech:.0f} s of speech in its {duration:.0f} s, and 10 s are the "
                "least; record one person, near the microphone, without music"
            )
        kept = _kept(stretches, duration)
        length = sum(end - begin for begin, end in kept)
        if length > MOST_SPEECH_S:
            raise self._refusal(
                f"there are {speech:.0f} s of speech in it ({length:.0f} s with its pauses), and "
                "five minutes are the most; cut it"
            )
        gain = _LOUDNESS - levels.loudness
        whole = self._decoded(SAMPLE_RATE, *_filters(gain, noise_reduction=noise_reduction))
        content = _wav(whole, kept)
        return Recording(
            filename="voice.wav",
            content=content,
            original_sha256=self._digest,
            duration_s=duration,
            speech_s=speech,
            loudness_lufs=levels.loudness,
            peak_dbfs=levels.peak,
            clipped=levels.clipped,
            remarks=_remarks(duration, speech, levels),
        )

    def _probe(self) -> None:
        """Look at the header: what it is, how many channels, how long it says it is."""
        done = self._run(
            _PROBE,
            "ffprobe",
            *_SAFE,
            "-show_entries",
            "format=duration:stream=codec_type,channels,sample_rate",
            "-of",
            "json",
            "file:source",
        )
        try:
            told = json.loads(done.output)
            streams = [s for s in told["streams"] if s.get("codec_type") == "audio"]
            duration = float(told["format"].get("duration", 0.0))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._unread(done) from None
        if done.status != 0:
            raise self._unread(done)
        if not streams:
            raise self._refusal("there is no sound in it")
        channels, rate = _number(streams[0], "channels"), _number(streams[0], "sample_rate")
        if not 1 <= channels <= MOST_CHANNELS:
            raise self._refusal(f"it has {channels} channels; one or two are usual, 8 the most")
        if not 8_000 <= rate <= 192_000:
            raise self._refusal(f"its sample rate is {rate} Hz; 8,000 to 192,000 are taken")
        if duration >= LONGEST_S:
            minutes = duration / 60
            raise self._refusal(
                f"it is {minutes:.0f} minutes long, and 15 are the most; cut out five of clear "
                "speech"
            )

    def _decoded(self, rate: int, *filters: str) -> bytes:
        """Decode the first sound stream to 16-bit mono PCM, up to the longest that is taken."""
        shaping = ("-af", ",".join(filters)) if filters else ()
        done = self._run(
            _DECODE,
            "ffmpeg",
            *_SAFE,
            *_INPUT,
            *shaping,
            "-ac",
            "1",
            "-ar",
            str(rate),
            "-f",
            "s16le",
            "pipe:1",
        )
        if done.status != 0 or not done.output:
            raise self._unread(done)
        return done.output

    def _levels(self) -> _Levels:
        """Measure loudness (EBU R128), true peak and clipping of the original."""
        measure = "astats=measure_perchannel=none,ebur128=peak=true:framelog=verbose"
        loud = (*_SAFE[2:], "-v", "info", "-nostats")
        done = self._run(_DECODE, "ffmpeg", *loud, *_INPUT, "-af", measure, "-f", "null", "-")
        if done.status != 0:
            raise self._unread(done)
        peak = _last(r"Peak level dB: (-?[\d.]+|-?inf)", done.errors)
        count = _last(r"Peak count: ([\d.]+)", done.errors)
        samples = _last(r"Number of samples: (\d+)", done.errors)
        loudness = _last(r"\bI:\s+(-?[\d.]+) LUFS", done.errors)
        if loudness <= -69.0:
            raise self._refusal("there is nothing but silence in it")
        clipped = count / samples if samples and peak >= _LOUD_PEAK else 0.0
        return _Levels(loudness, _last(r"Peak:\s+(-?[\d.]+) dBFS", done.errors), clipped)

    def _stretches(self, sound: bytes) -> list[tuple[float, float]]:
        done = run_bounded([sys.executable, "-I", _SPEECH], limits=_HEAR, stdin=sound)
        if done.status != 0:
            last = done.errors.strip().rpartition("\n")[2][:200]
            raise PermanentError(f"Speech can't be measured here: {last}.")
        return [(float(begin), float(end)) for begin, end in json.loads(done.output)]

    def _run(self, limits: Limits, *command: str) -> Done:
        return run_bounded(command, limits=limits, folder=self._folder)

    def _refusal(self, reason: str) -> PermanentError:
        return PermanentError(f"{self._path} can't be used: {reason}.")

    def _unread(self, done: Done) -> PermanentError:
        lines = [line.strip() for line in done.errors.splitlines() if line.strip()]
        told = re.sub(r"^\[[^]]*\] ", "", lines[-1])[:200] if lines else "it holds nothing"
        return self._refusal(
            f"ffmpeg reads no sound in it ({told.removeprefix('file:source: ')})"
        )


_SAFE = (
    "-v",
    "error",
    "-hide_banner",
    "-protocol_whitelist",
    "file,pipe",
    "-format_whitelist",
    _FORMATS,
)
_INPUT = (
    *("-nostdin", "-threads", "1", "-t", str(LONGEST_S + 1), "-i", "file:source"),
    *("-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"),
)


def _filters(gain: float, *, noise_reduction: bool) -> tuple[str, ...]:
    limit = 10 ** (_PEAK / 20)
    shaped = ("afftdn=nr=12:nf=-40",) if noise_reduction else ()
    # The limiter only catches single peaks that the gain lifts too high.
    return (*shaped, f"volume={gain:.2f}dB", f"alimiter=limit={limit:.4f}:level=false")


def _number(stream: dict[str, Any], key: str) -> int:
    try:
        return int(stream.get(key, 0))
    except (TypeError, ValueError):
        return 0


def _last(pattern: str, text: str) -> float:
    found = re.findall(pattern, text)
    return float(found[-1]) if found else float("-inf")


def _kept(
    stretches: Sequence[tuple[float, float]], duration: float
) -> list[tuple[float, float]]:
    """Answer what stays: the speech, and the pauses within it that aren't long."""
    kept: list[tuple[float, float]] = []
    for begin, end in stretches:
        begin, end = max(begin - _PAD_S, 0.0), min(end + _PAD_S, duration)  # noqa: PLW2901
        if kept and begin - kept[-1][1] < _PAUSE_S - 2 * _PAD_S:
            begin = kept.pop()[0]  # noqa: PLW2901
        kept.append((begin, end))
    return kept


def _wav(sound: bytes, kept: Sequence[tuple[float, float]]) -> bytes:
    view = memoryview(sound)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for begin, end in kept:
            file.writeframes(view[int(begin * SAMPLE_RATE) * 2 : int(end * SAMPLE_RATE) * 2])
    return out.getvalue()


def _remarks(duration: float, speech: float, levels: _Levels) -> tuple[str, ...]:
    found = []
    if levels.clipped > 0.0001:
        found.append(
            f"it is clipped ({levels.clipped:.2%} of it at the very top): the clone will sound "
            "harsh; record it anew, farther from the microphone"
        )
    if levels.loudness < -40:
        found.append(f"it is very quiet ({levels.loudness:.0f} LUFS): its noise is lifted too")
    if speech < duration / 2:
        found.append(f"{duration - speech:.0f} of its {duration:.0f} s are no speech: left out")
    if speech < 30:
        found.append(f"{speech:.0f} s of speech are enough; one or two minutes are better")
    return tuple(found)


# ── without ffmpeg ───────────────────────────────────────────────────────────────────────


def _as_it_is(path: Path, source: Path, digest: str) -> Recording:
    """Take a WAV, MP3 or M4A by its header alone."""
    if source.stat().st_size > LARGEST_SAMPLE:
        raise PermanentError(f"{path} has more than 20 MB. {_NEED}")
    content = source.read_bytes()
    try:
        header: Header | None = read_header(content)
    except HeaderError as error:
        raise PermanentError(f"{path} can't be used: {error}.") from None
    if header is None:
        raise PermanentError(f"{path} is no WAV, MP3 or M4A by its content. {_NEED}")
    if not LEAST_SPEECH_S <= header.duration_s <= MOST_SPEECH_S:
        raise PermanentError(
            f"{path} can't be used: it is {header.duration_s:.0f} s long; 10 s to 5 min are taken."
        )
    return Recording(
        filename=f"voice.{header.kind}",
        content=content,
        original_sha256=digest,
        duration_s=header.duration_s,
        speech_s=None,
        loudness_lufs=None,
        peak_dbfs=None,
        clipped=0.0,
        remarks=("ffmpeg isn't installed: how much of it is speech wasn't measured",),
    )
