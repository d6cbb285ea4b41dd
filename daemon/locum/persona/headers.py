"""What a sound file's header says, by the standard library alone: where there is no ffmpeg.

WAV (RIFF), MP3 (ISO 11172-3's frames) and M4A (ISO 14496-12's boxes), as far as it takes to
know what it is and how long.
"""

from __future__ import annotations

import array
import io
import struct
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass

_KBIT = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = (44_100, 48_000, 32_000)
_MOST_BOXES = 10_000


class HeaderError(Exception):
    """It is of a kind that we know, and can't be used; the text says why."""


@dataclass(frozen=True)
class Header:
    """`kind` is "wav", "mp3" or "m4a"."""

    kind: str
    duration_s: float


def read_header(content: bytes) -> Header | None:
    """Answer what a file is; None if it is none of the three.

    Raises:
        HeaderError: It is one, and damaged, silent or unusual.
    """
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return _wav(content)
    if content[4:8] == b"ftyp":
        return _m4a(content)
    if content[:3] == b"ID3" or _is_frame(content, 0):
        return _mp3(content)
    return None


def _wav(content: bytes) -> Header:
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate = (
                file.getnchannels(),
                file.getsampwidth(),
                file.getframerate(),
            )
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ValueError, RuntimeError) as error:
        # RuntimeError is what `wave` raises where a chunk is longer than the file.
        told = str(error) or "a chunk is cut short"
        raise HeaderError(f"its header is damaged, or it isn't plain PCM ({told})") from None
    if channels not in {1, 2} or width != 2 or not 8_000 <= rate <= 192_000:
        raise HeaderError(
            f"it has {channels} channels of {8 * width} bits at {rate} Hz; without ffmpeg, 16 "
            "bits and one or two channels are taken"
        )
    samples = array.array("h", frames[: len(frames) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    if not samples or max(map(abs, samples)) < 100:
        raise HeaderError("there is nothing but silence in it")
    return Header("wav", len(samples) / channels / rate)


def _is_frame(content: bytes, at: int) -> bool:
    return _frame(content, at) is not None


def _frame(content: bytes, at: int) -> tuple[int, float] | None:
    """Answer an MPEG layer III frame's bytes and seconds; None if there is none."""
    if at + 4 > len(content):
        return None
    head = struct.unpack_from(">I", content, at)[0]
    version, layer = head >> 19 & 3, head >> 17 & 3
    kbit, rate, padding = head >> 12 & 15, head >> 10 & 3, head >> 9 & 1
    if head >> 21 != 0x7FF or version == 1 or layer != 1 or kbit in {0, 15} or rate == 3:
        return None
    first = version == 3
    hertz = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    bits = (_KBIT if first else _KBIT_LOW)[kbit] * 1000
    size = (144 if first else 72) * bits // hertz + padding
    return size, (1152 if first else 576) / hertz


def _mp3(content: bytes) -> Header:
    at = 0
    if content[:3] == b"ID3" and len(content) >= 10:
        # Its size has seven bits a byte.
        size = content[6] << 21 | content[7] << 14 | content[8] << 7 | content[9]
        at = 10 + size
    seconds, frames = 0.0, 0
    while (found := _frame(content, at)) is not None:
        at += found[0]
        seconds += found[1]
        frames += 1
    if frames < 3:
        raise HeaderError("it begins like an MP3, and no frames follow")
    return Header("mp3", seconds)


def _boxes(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", content, start)
        begin = start + 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", content, start + 8)
            begin = start + 16
        size = size or end - start
        if size < begin - start or start + size > end:
            return
        yield kind, begin, start + size
        start += size


def _m4a(content: bytes) -> Header:
    for kind, begin, end in _boxes(content, 0, len(content)):
        if kind != b"moov":
            continue
        for inner, start, stop in _boxes(content, begin, end):
            if inner == b"mvhd" and stop - start >= 32:
                long = content[start] == 1
                scale, length = struct.unpack_from(
                    ">IQ" if long else ">II", content, start + (20 if long else 12)
                )
                if scale:
                    return Header("m4a", length / scale)
    raise HeaderError("it begins like an M4A, and doesn't say how long it is")
