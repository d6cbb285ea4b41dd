"""A drawn tile that moves: the picture of a person without a browser.

1.6 seconds of it, silent and speaking, are encoded once a seed and played round and round: a
person's picture costs a packet or two a frame and no encoder.
"""

from __future__ import annotations

import functools
import math
import random
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 180
RATE = 10
"""Frames a second."""

_FRAMES = 16
_BIT_RATE = 150_000

Frames = tuple[bytes, ...]


@functools.lru_cache(maxsize=128)
def tile(seed: int, *, speaking: bool = False) -> Frames:
    """VP8 frames that repeat, the first of them a key frame."""
    codec = av.CodecContext.create("libvpx", "w")
    assert isinstance(codec, VideoCodecContext)  # noqa: S101 - narrows the library's union.
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.bit_rate = _BIT_RATE
    codec.time_base = Fraction(1, RATE)
    codec.gop_size = 10 * _FRAMES
    codec.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    encoder: Any = codec
    frames: list[bytes] = []
    for index in range(_FRAMES):
        frame = av.VideoFrame.from_ndarray(
            draw(seed, index / _FRAMES, speaking), format="yuv420p"
        )
        frame.pts, frame.time_base = index, codec.time_base
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    frames += [bytes(packet) for packet in encoder.encode(None)]
    return tuple(frames)


def draw(seed: int, phase: float, speaking: bool) -> NDArray[np.uint8]:  # noqa: FBT001
    """A head and shoulders of flat colours that sways; a mouth that opens when speaking.

    Args:
        seed: Whose: colours and how it sways.
        phase: Where in the loop, 0 … 1.
        speaking: Whether the mouth moves.

    Returns:
        YUV 4:2:0, planes below each other: (HEIGHT × 3 / 2, WIDTH).
    """
    dice = random.Random(seed)  # noqa: S311 - colours, not secrets.
    ground, body, skin = dice.randint(40, 90), dice.randint(90, 150), dice.randint(160, 210)
    tint = [(dice.randint(95, 160), dice.randint(95, 160)) for _ in range(3)]
    turn = 2 * math.pi * phase
    sway = 8 * math.sin(turn + dice.random() * 6)
    y = np.arange(HEIGHT, dtype=np.float32)[:, None]
    x = np.arange(WIDTH, dtype=np.float32)[None, :]
    shoulders = ((x - WIDTH / 2) / 85) ** 2 + ((y - HEIGHT) / 60) ** 2 < 1
    head = ((x - WIDTH / 2 - sway) / 38) ** 2 + ((y - 78) / 48) ** 2 < 1
    wide = 3 + (9 * abs(math.sin(3 * turn)) if speaking else 0)
    mouth = ((x - WIDTH / 2 - sway) / 14) ** 2 + ((y - 100) / wide) ** 2 < 1
    luma = np.full((HEIGHT, WIDTH), ground, np.uint8)
    colour = [np.full((HEIGHT, WIDTH), each, np.uint8) for each in tint[0]]
    for shape, light, shade in ((shoulders, body, tint[1]), (head, skin, tint[2])):
        luma[shape] = light
        for plane, value in zip(colour, shade, strict=True):
            plane[shape] = value
    for eye in (-14, 14):
        luma[((x - WIDTH / 2 - sway - eye) ** 2 + (y - 70) ** 2) < 16] = 30
    luma[mouth] = 40
    chroma = [plane[::2, ::2].reshape(-1, WIDTH) for plane in colour]
    return np.concatenate([luma, *chroma])
