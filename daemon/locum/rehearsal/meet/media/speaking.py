"""What a person without a browser says, as packets: a recording, a synthetic voice, a warble."""

from __future__ import annotations

import asyncio
import math
import shutil
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from locum.rehearsal.meet.media.sound import FRAME, OpusMouth, Samples, level_of, resampled
from locum.rehearsal.meet.media.wire import AUDIO_HZ

_LONGEST_TEXT = 2_000
_LONGEST_SOUND_S = 600
_SYLLABLES_S = 14.0
"""Letters a second of ordinary speech."""


@dataclass(frozen=True)
class Said:
    """20 ms of somebody's speech: an Opus packet, and its level (RFC 6464)."""

    payload: bytes
    level: int


def read_sound(file: Path) -> Samples:
    """A recording as 48 kHz mono: a WAV file, or Opus in Ogg.

    Raises:
        ValueError: It is neither, or longer than ten minutes.
    """
    return _read_opus(file) if file.suffix == ".opus" else read_wav(file)


def _read_opus(file: Path) -> Samples:
    parts: list[Samples] = []
    length = 0
    try:
        with av.open(str(file), format="ogg") as opened:
            converted = av.AudioResampler(format="flt", layout="mono", rate=AUDIO_HZ)
            for frame in opened.decode(audio=0):
                for mono in converted.resample(frame):
                    parts.append(np.asarray(mono.to_ndarray(), np.float32).reshape(-1))
                    length += len(parts[-1])
                if length > AUDIO_HZ * _LONGEST_SOUND_S:
                    raise ValueError(f"{file}: longer than {_LONGEST_SOUND_S} s; cut it.")
    except (OSError, av.FFmpegError, IndexError) as error:
        raise ValueError(f"{file} can't be read as Opus in Ogg: {error}") from error
    if not parts:
        raise ValueError(f"{file} can't be read as Opus in Ogg: there is no sound in it.")
    return np.concatenate(parts)


def read_wav(file: Path) -> Samples:
    """A recording as 48 kHz mono.

    Raises:
        ValueError: It is no 16-bit PCM WAV file, or longer than ten minutes.
    """
    try:
        with wave.open(str(file), "rb") as opened:
            width, channels = opened.getsampwidth(), opened.getnchannels()
            rate, length = opened.getframerate(), opened.getnframes()
            if width != 2 or not 1 <= channels <= 8 or not 4_000 <= rate <= 192_000:
                raise ValueError(f"{file}: {8 * width} bit, {rate} Hz; 16-bit PCM is needed.")
            if length > rate * _LONGEST_SOUND_S:
                raise ValueError(f"{file}: longer than {_LONGEST_SOUND_S} s; cut it.")
            raw = opened.readframes(length)
    except (OSError, wave.Error, EOFError) as error:
        raise ValueError(f"{file} can't be read as a WAV file: {error}") from error
    samples = np.frombuffer(raw[: len(raw) // (2 * channels) * 2 * channels], "<i2")
    mono: Samples = samples.reshape(-1, channels).mean(axis=1).astype(np.float32) / 32_768
    return resampled(mono, rate)


async def voice(text: str) -> Samples:
    """The text as sound: espeak-ng's where it is installed, else a warble of that length."""
    text = text[:_LONGEST_TEXT]
    found = shutil.which("espeak-ng")
    if found is None:
        return warble(text)
    speaking = await asyncio.create_subprocess_exec(
        found,
        "--stdin",
        "--stdout",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        answer, _ = await asyncio.wait_for(speaking.communicate(text.encode()), 30)
    except asyncio.TimeoutError:
        answer = b""
    finally:
        if speaking.returncode is None:
            speaking.kill()
            await speaking.wait()
    if speaking.returncode != 0 or len(answer) < 1_000:
        return warble(text)
    # Written to a pipe, its header doesn't know the length: 44 bytes, then 16-bit sound.
    rate = int.from_bytes(answer[24:28], "little") or 22_050
    body = answer[44 : len(answer) - len(answer) % 2]
    return resampled(np.frombuffer(body, "<i2").astype(np.float32) / 32_768, rate)


def warble(text: str) -> Samples:
    """A voice-like buzz, a syllable swell at a time, as long as the text would take."""
    length = max(0.4, len(text) / _SYLLABLES_S)
    at = np.arange(int(length * AUDIO_HZ)) / AUDIO_HZ
    pitch = 120 + 25 * np.sin(2 * math.pi * 0.7 * at)
    phase = 2 * math.pi * np.cumsum(pitch) / AUDIO_HZ
    buzz = np.sum([np.sin(number * phase) / number for number in range(1, 8)], axis=0)
    swell = np.clip(np.sin(2 * math.pi * 4 * at), 0.05, 1)
    return np.asarray(0.2 * buzz * swell, np.float32)


def packets(samples: Samples) -> Iterator[Said]:
    """Opus packets of 20 ms; the last is filled up with silence."""
    mouth = OpusMouth()
    for at in range(0, len(samples), FRAME):
        piece = np.zeros(FRAME, np.float32)
        part = samples[at : at + FRAME]
        piece[: len(part)] = part
        level = level_of(piece)
        for payload in mouth.encode(piece):
            yield Said(payload, level)


def quiet() -> Said:
    """20 ms of silence."""
    mouth = OpusMouth()
    payloads: list[bytes] = []
    while not payloads:
        payloads = mouth.encode(np.zeros(FRAME, np.float32))
    return Said(payloads[0], 127)
