"""Lays a picture into the frame that a meeting sees: large enough for its mouth to be read."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from locum.persona.rigging.document import FRAME
from locum.persona.rigging.outline import Array, Outline

Pixels = npt.NDArray[np.uint8]
"""RGB, or one channel, 8 bits each."""

_WANTED_FACE = 0.46
"""Of the frame's height. Meetings show small tiles: a smaller mouth couldn't be seen to move."""

_FOREHEAD_AT = 0.24


def face_placement(outline: Outline, width: int, height: int) -> tuple[float, Array]:
    """Answer the scale and shift that lay a picture with this face into the frame.

    The picture always fills the frame's height, and its width where the face allows.
    """
    wide, tall = FRAME
    fill = tall / height
    wanted = _WANTED_FACE * tall / outline.height
    scale = float(np.clip(wanted, fill, max(fill, wide / width)))
    middle = (outline.side_left[0] + outline.side_right[0]) / 2
    shift = np.array(
        [wide / 2 - middle * scale, tall * _FOREHEAD_AT - outline.forehead[1] * scale]
    )
    shift[1] = np.clip(shift[1], tall - height * scale, 0)
    if width * scale >= wide:
        shift[0] = np.clip(shift[0], wide - width * scale, 0)
    return scale, shift


def laid(image: Pixels, scale: float, shift: Array, *, plain: bool = False) -> Pixels:
    """Lay an RGB picture into the frame; beside it is its own edge, blurred unless `plain`."""
    wide, tall = FRAME
    move = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], dtype=np.float32)
    made = _warped(image, move, cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    there = cv2.warpAffine(np.full(image.shape[:2], 255, np.uint8), move, FRAME)
    if plain or int(there.min()) == 255:
        return made
    small = cv2.resize(made, (wide // 8, tall // 8), interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(
        cv2.GaussianBlur(small, (0, 0), 12), FRAME, interpolation=cv2.INTER_CUBIC
    )
    inner = cv2.erode(there, np.ones((25, 25), np.uint8)).astype(np.float32) / 255
    keep = cv2.GaussianBlur(inner, (0, 0), 9)[..., None]
    return np.asarray(made * keep + blurred * (1 - keep) + 0.5).astype(np.uint8)


def _warped(image: Pixels, move: Any, flags: int) -> Pixels:
    return np.asarray(
        cv2.warpAffine(image, move, FRAME, flags=flags, borderMode=cv2.BORDER_REPLICATE),
        dtype=np.uint8,
    )
