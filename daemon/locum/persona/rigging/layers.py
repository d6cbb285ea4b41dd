"""The pictures of a rig: what moves, what is behind it, and what is seen through the mouth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from locum.persona.rigging.framing import Pixels
from locum.persona.rigging.mesh import Mesh, ring_of, teeth_length
from locum.persona.rigging.outline import LIP_STEPS, Array, Outline
from locum.persona.rigging.relief import ramp

Plane = npt.NDArray[np.float32]
"""One value a pixel, 0 to 1."""

_PLAIN_GROUND = 6.0
"""How far a ground's pixels may be from even, of 255, to be taken for one."""

_LEAST_CUT, _MOST_CUT = 0.03, 0.95
_UNSURE = 0.045
"""The share of the frame where a matte may be of two minds before it is not believed."""

_RIM = 21
"""Pixels of ground that go with the head, faded out: a matte's edge eats hair."""

CAVITY_SIZE, TEETH_SIZE = (160, 256), (96, 256)


@dataclass(frozen=True)
class Ground:
    """What moves (`alpha`; None for the whole picture), and the frame without it."""

    alpha: Plane | None
    behind: Pixels


def on_plain_ground(image: Pixels) -> Ground | None:
    """Cut out what stands on an even ground, or one that changes from top to bottom alone.

    None where the ground is anything else. Holes of the ground's colour stay whole: the white
    of an eye on white paper is no hole.
    """
    left, right = image[:, :6].astype(np.float32), image[:, -6:].astype(np.float32)
    rows = (left.mean(1) + right.mean(1)) / 2
    edges = np.concatenate([left, right], axis=1)
    if float(np.abs(edges - rows[:, None]).mean()) > _PLAIN_GROUND:
        return None
    off = np.abs(image.astype(np.float32) - rows[:, None]).max(2)
    alpha = np.asarray(ramp(4.0, 28.0, off.astype(np.float64)), dtype=np.float32)
    solid = (alpha > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(solid), contours, -1, 1, cv2.FILLED)
    inner = cv2.erode(filled, np.ones((3, 3), np.uint8))
    alpha = np.maximum(alpha, inner.astype(np.float32))
    if not _LEAST_CUT < float(alpha.mean()) < _MOST_CUT:
        return None
    behind = np.repeat(rows[:, None], image.shape[1], axis=1)
    return Ground(alpha, np.clip(behind + 0.5, 0, 255).astype(np.uint8))


def by_matte(image: Pixels, matte: Plane) -> Ground:
    """Cut a person out, generously; the whole picture moves where the matte can't be trusted."""
    share = float(matte.mean())
    unsure = float((4 * matte * (1 - matte)).mean())
    if unsure > _UNSURE or not _LEAST_CUT < share < _MOST_CUT:
        return whole(image)
    solid = (matte > 0.3).astype(np.float32)
    grown = cv2.dilate(solid, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_RIM, _RIM)))
    feathered = cv2.GaussianBlur(grown, (0, 0), _RIM / 4)
    alpha = np.maximum(feathered, cv2.GaussianBlur(solid, (0, 0), 2)).astype(np.float32)
    return Ground(alpha, _filled(image, alpha))


def whole(image: Pixels) -> Ground:
    return Ground(None, image)


def _filled(image: Pixels, alpha: Plane) -> Pixels:
    """Paint over what moves with what is round it; elsewhere the ground stays as it is."""
    height, width = alpha.shape
    size = width // 4, height // 4
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    shrunk = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    gone = cv2.dilate((shrunk > 0.02).astype(np.uint8), np.ones((5, 5), np.uint8))
    painted = cv2.GaussianBlur(
        cv2.inpaint(small, np.asarray(gone * 255, np.uint8), 5, cv2.INPAINT_TELEA), (0, 0), 3
    )
    large = cv2.resize(painted, (width, height), interpolation=cv2.INTER_CUBIC)
    near = cv2.dilate((alpha > 0.02).astype(np.float32), np.ones((9, 9), np.uint8))
    share = cv2.GaussianBlur(near, (0, 0), 4)[..., None]
    return np.asarray(large * share + image * (1 - share) + 0.5, dtype=np.uint8)


# ── the mouth's inside ───────────────────────────────────────────────────────────────────


def cavity(image: Pixels, outline: Outline) -> Pixels:
    """Paint the dark of the mouth and the tongue, RGB, as bright as the picture's skin is."""
    light = _light(image, outline)
    rows, columns = CAVITY_SIZE
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    x, y = (x / columns - 0.5) * 2, y / rows
    dark = np.array([66.0, 20, 22]) * light
    made = np.repeat(np.repeat(dark[None, None], rows, 0), columns, 1)
    made *= (1 - 0.5 * np.exp(-(((y - 0.4) / 0.35) ** 2)))[..., None]
    tongue = np.exp(-((x / 0.6) ** 4 + ((y - 1.0) / 0.4) ** 4))[..., None]
    pink = np.array([168.0, 74, 76]) * light * (0.65 + 0.35 * y[..., None])
    return np.asarray(np.clip(made * (1 - tongue) + pink * tongue, 0, 255), dtype=np.uint8)


def _light(image: Pixels, outline: Outline) -> float:
    """Answer how bright the skin of the cheeks is; 1 is usual."""
    skin = _skin(image, outline)
    return float(np.clip(skin.mean() / 185, 0.4, 1.1))


def _skin(image: Pixels, outline: Outline) -> Array:
    found = []
    corners = outline.outer_upper[0], outline.outer_upper[-1]
    for eye, corner in zip(outline.eyes, corners, strict=True):
        x, y = ((eye.centre + corner) / 2).round().astype(int)
        patch = image[max(y - 4, 0) : max(y + 5, 1), max(x - 4, 0) : max(x + 5, 1)]
        if patch.size:
            found.append(patch.reshape(-1, 3))
    return np.concatenate(found).astype(np.float64) if found else np.full((1, 3), 185.0)


def teeth(image: Pixels, mesh: Mesh, outline: Outline, *, plain: bool) -> Pixels:
    """Paint the upper teeth, RGBA: their edge follows the upper lip.

    Their colour is the picture's own where it shows teeth, and a warm white as bright as the
    skin elsewhere; a `plain` drawing's are of one colour.
    """
    rows, columns = TEETH_SIZE
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    x, y = (x + 0.5) / columns, (y + 0.5) / rows
    edge = _teeth_edge(mesh, outline, x[0])[None]
    row_height = 1 / rows
    alpha = 1 - ramp(0, 1, (y - edge) / (4 * row_height) + 0.5)
    sides = 1 - ramp(0.88, 1.0, np.abs(x - 0.5) * 2)
    colour = _teeth_colour(image, outline)
    shade = np.ones_like(x)
    if not plain:
        aside = np.abs(x - 0.5) * 2
        gaps = 1 - 0.09 * np.exp(-(((((x * 9 + 0.5) % 1) - 0.5) / 0.06) ** 2))
        length = np.clip((edge - y) / max(float(edge.max()), 1e-6), 0, 1)
        shade = (1 - 0.36 * aside**2.2) * (1 - 0.22 * length) * gaps
    made = np.clip(colour * shade[..., None], 0, 255)
    return np.dstack([made, alpha * sides * 255 + 0.5]).astype(np.uint8)


def _teeth_edge(mesh: Mesh, outline: Outline, across: Array) -> Array:
    """Answer how far down the teeth reach, in parts of their picture's height, at each column."""
    if mesh.mouth is None:
        return np.full(len(across), 0.8)
    corners = mesh.points[mesh.mouth.teeth]
    start, run, fall = corners[0], corners[1] - corners[0], corners[2] - corners[0]
    lip = outline.inner_upper - start
    at, down = lip @ run / (run @ run), lip @ fall / (fall @ fall)
    order = np.argsort(at)
    length = teeth_length(outline) / float(np.linalg.norm(fall))
    aside = np.abs(across - 0.5) * 2
    shorter = length * (1 - 0.35 * aside**2)
    return np.asarray(np.clip(np.interp(across, at[order], down[order]) + shorter, 0, 0.98))


def _teeth_colour(image: Pixels, outline: Outline) -> Array:
    """Answer the colour of teeth: seen between the lips, or a warm white to match the skin."""
    warm = np.array([238.0, 228, 212]) * float(
        np.clip(_skin(image, outline).mean() / 190, 0.62, 1.0)
    )
    ring = ring_of(outline.inner_upper, outline.inner_lower)
    inside = cv2.fillPoly(
        np.zeros(image.shape[:2], np.uint8), [ring.round().astype(np.int32)], 1
    )
    seen = image[inside > 0].astype(np.float64)
    gap = np.linalg.norm(outline.inner_upper - outline.inner_lower, axis=1)[LIP_STEPS // 2]
    if gap < 0.02 * outline.height or len(seen) < 40:
        return warm
    bright = seen[(seen.min(1) > 0.55 * seen.max()) & (seen.max(1) - seen.min(1) < 70)]
    if len(bright) < 0.25 * len(seen):
        return warm
    tone = np.percentile(bright, 85, axis=0)
    # The shade of a photograph's teeth is often blue; theirs isn't.
    tone[2] = min(tone[2], tone[0] * 0.97)
    return np.asarray(tone)
