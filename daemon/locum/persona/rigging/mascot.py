"""A picture without a face: a logo, a cat, a drawing. It moves as one, gracefully.

A mouth is there only where its user put one: guessing it would make a grimace of a logo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from locum.persona.rigging.document import FRAME, MOUTH_SHAPES
from locum.persona.rigging.framing import Pixels, laid
from locum.persona.rigging.layers import Ground, on_plain_ground, whole
from locum.persona.rigging.mesh import Mesh, plain_mesh
from locum.persona.rigging.outline import Array, Outline, from_points
from locum.persona.rigging.relief import ramp
from locum.persona.rigging.shapes import Shapes, mouth_shapes

_SHARE = 0.84  #: Of the frame's height that a cut picture gets: it wants room to stretch.

_MOST_CUT_AWAY = 1.35
"""A picture fills the frame's width where that enlarges it by less than this."""


@dataclass(frozen=True)
class Mascot:
    """All that a mascot's document is made of; `outline` is None where it has no mouth."""

    image: Pixels
    ground: Ground
    mesh: Mesh
    shapes: Shapes
    head: Array
    base: Array
    height: float
    glow: tuple[Array, float, tuple[int, int, int]]
    outline: Outline | None


def mascot(
    image: Pixels, alpha: Pixels | None, mouth: tuple[float, float, float] | None
) -> Mascot:
    """Build a mascot of an RGB picture.

    Args:
        image: The picture.
        alpha: What of it is to be seen, if it says so itself.
        mouth: Its middle (x, y) and width in pixels of the picture, if its user placed one.
    """
    height, width = image.shape[:2]
    wide, tall = FRAME
    cut = alpha is not None
    stands_free = cut or on_plain_ground(image) is not None
    scale = (_SHARE if stands_free else 1.0) * tall / height
    if not stands_free and wide / width < _MOST_CUT_AWAY * scale:
        scale = max(scale, wide / width)
    shift = np.array([(wide - width * scale) / 2, (tall - height * scale) / 2])
    frame = laid(image, scale, shift, plain=stands_free)
    if alpha is not None:
        found = _by_alpha(frame, alpha, scale, shift)
    else:
        # Beside a picture that is laid into the frame its edge is blurred, and so is even; that
        # makes no ground of it.
        found = (on_plain_ground(frame) if stands_free else None) or whole(frame)
    outline = None
    if mouth is not None:
        x, y, size = mouth
        outline = _mouth_outline(np.array([x, y]) * scale + shift, size * scale, tall)
    mesh = plain_mesh(outline)
    head = _following(mesh, found)
    low, high, middle = _extent(found)
    base = np.array([middle, high])
    shapes = dict.fromkeys(MOUTH_SHAPES, np.zeros_like(mesh.points)) if outline else {}
    if outline is not None:
        shapes |= mouth_shapes(mesh, outline, rigid=True)
    lift = np.clip((base[1] - mesh.points[:, 1]) / max(high - low, 1.0), 0, 1) * head
    shapes["breath"] = np.column_stack([np.zeros(len(lift)), -0.012 * tall * lift])
    colour = _glow_colour(frame, found)
    centre = np.array([middle, (low + high) / 2])
    return Mascot(
        frame, found, mesh, shapes, head, base, high - low, (centre, (high - low) * 0.55, colour),
        outline,
    )  # fmt: skip


def _by_alpha(frame: Pixels, alpha: Pixels, scale: float, shift: Array) -> Ground:
    """Stand it before a calm dark ground, as a meeting's own is."""
    move = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], dtype=np.float32)
    laid_alpha = cv2.warpAffine(alpha, move, FRAME, flags=cv2.INTER_AREA)
    behind = np.empty_like(frame)
    shade = np.linspace(46, 30, frame.shape[0])[:, None]
    behind[:] = np.dstack([shade * 0.92, shade * 0.96, shade * 1.12]).astype(np.uint8)
    return Ground(np.asarray(laid_alpha / 255, dtype=np.float32), behind)


def _extent(ground: Ground) -> tuple[float, float, float]:
    """Answer the upper and lower end of what moves, and its middle across."""
    wide, tall = FRAME
    if ground.alpha is None:
        return 0.12 * tall, 0.96 * tall, wide / 2
    rows = np.nonzero(ground.alpha.max(1) > 0.5)[0]
    columns = np.nonzero(ground.alpha.max(0) > 0.5)[0]
    if not len(rows):
        return 0.12 * tall, 0.96 * tall, wide / 2
    return float(rows[0]), float(rows[-1] + 1), float(columns[0] + columns[-1] + 1) / 2


def _following(mesh: Mesh, ground: Ground) -> Array:
    """Answer how far each vertex goes along: wholly, or less and less towards the frame's edge."""
    if ground.alpha is not None:
        return np.ones(len(mesh.points))
    wide, tall = FRAME
    x, y = mesh.points.T
    across = np.abs(x - wide / 2) / (wide / 2)
    return np.asarray((1 - ramp(0.45, 1.0, across)) * ramp(0, 0.3 * tall, y))


def _glow_colour(frame: Pixels, ground: Ground) -> tuple[int, int, int]:
    """Answer the picture's liveliest colour, lightened: its glow shouldn't be anybody else's."""
    seen = frame if ground.alpha is None else frame[ground.alpha > 0.9]
    pixels = seen.reshape(-1, 3).astype(np.float64)
    if not len(pixels):
        return 200, 200, 210
    lively = pixels.max(1) - pixels.min(1)
    weight = lively[:, None] ** 2 + 1
    tone = (pixels * weight).sum(0) / weight.sum(0)
    red, green, blue = (0.6 * tone + 0.4 * 255).round().astype(int).tolist()
    return red, green, blue


def _mouth_outline(centre: Array, width: float, tall: float) -> Outline:
    """Answer an outline that has a mouth of this width, and a face round it to measure by."""
    half, lip = width / 2, 0.06 * width
    # A face is about two and a half times as high as its mouth is wide.
    high = float(np.clip(2.6 * width, 60, 1.2 * tall))
    x, y = centre
    points: dict[str, tuple[float, float]] = {
        "mouth_left": (x - half, y),
        "mouth_right": (x + half, y),
        "lip_top": (x, y - lip),
        "lips_upper": (x, y),
        "lips_lower": (x, y),
        "lip_bottom": (x, y + lip),
        "chin": (x, y + 0.3 * high),
        "forehead": (x, y - 0.7 * high),
    }
    for side, at in (("left", -0.2 * high), ("right", 0.2 * high)):
        eye = 0.08 * high
        points |= {
            f"{side}_eye_left": (x + at - eye, y - 0.35 * high),
            f"{side}_eye_right": (x + at + eye, y - 0.35 * high),
            f"{side}_eye_top": (x + at, y - 0.38 * high),
            f"{side}_eye_bottom": (x + at, y - 0.32 * high),
        }
    return replace(from_points(points), flatness=0.0)
