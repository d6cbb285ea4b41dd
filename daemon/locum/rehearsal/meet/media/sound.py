"""Sound as numbers: Opus in and out, and how loud it is. 48 kHz, mono, float -1 … 1 inside."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from locum.rehearsal.meet.media.wire import AUDIO_HZ, SILENCE

Samples = NDArray[np.floating[Any]]

FRAME = AUDIO_HZ // 50
"""Samples of one Opus packet as everybody sends it: 20 ms."""


def level_of(samples: Samples) -> int:
    """Loudness as RFC 6464 writes it: -dBov, 0 (full scale) to 127 (silence)."""
    if not len(samples):
        return SILENCE
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    if power <= 1e-13:
        return SILENCE
    return max(0, min(SILENCE, round(-10 * math.log10(power))))


class OpusEar:
    """Decodes one sender's Opus."""

    def __init__(self) -> None:
        self._codec: Any = av.CodecContext.create("opus", "r")

    def decode(self, payload: bytes) -> Samples:
        """The sound of one packet; nothing for one that can't be decoded."""
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError:
            return np.zeros(0, np.float32)
        parts = [_mono(frame) for frame in frames]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def level(self, payload: bytes) -> int:
        return level_of(self.decode(payload))


def _mono(frame: Any) -> Samples:
    array = frame.to_ndarray()
    if array.dtype == np.int16:
        array = array.astype(np.float32) / 32_768
    channels = len(frame.layout.channels)
    if not frame.format.is_planar:
        array = array.reshape(-1, channels).T
    mono: Samples = array.mean(axis=0, dtype=np.float32)
    return mono


class OpusMouth:
    """Encodes mono sound, 20 ms at a time."""

    def __init__(self, bit_rate: int = 32_000) -> None:
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)  # noqa: S101 - narrows the library's union.
        codec.sample_rate = AUDIO_HZ
        codec.format = "flt"
        codec.layout = "mono"
        codec.bit_rate = bit_rate
        codec.time_base = Fraction(1, AUDIO_HZ)
        codec.options = {"application": "voip", "frame_duration": "20"}
        self._codec: Any = codec
        self._at = 0

    def encode(self, samples: Samples) -> list[bytes]:
        """Packets for `FRAME` samples; the first call may give none."""
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, np.float32).reshape(1, -1),
            format="flt",
            layout="mono",
        )
        frame.sample_rate = AUDIO_HZ
        frame.pts = self._at
        frame.time_base = Fraction(1, AUDIO_HZ)
        self._at += len(samples)
        return [bytes(packet) for packet in self._codec.encode(frame)]


def resampled(samples: Samples, rate_hz: int) -> Samples:
    """Mono sound of any rate as 48 kHz, by straight lines: enough for speech on a stage."""
    if rate_hz == AUDIO_HZ or not len(samples):
        return samples
    length = round(len(samples) * AUDIO_HZ / rate_hz)
    at = np.arange(length) * (rate_hz / AUDIO_HZ)
    return np.asarray(np.interp(at, np.arange(len(samples)), samples), np.float32)
