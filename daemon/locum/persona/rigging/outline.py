"""Where a face's parts are in its picture: from a few named points, or from many landmarks.

An outline is all that a rig is built from, so a face can be had without any model: points come
from a person, from locum's own drawing, or from landmarks; the mesh can't tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LIP_STEPS = 10
"""A lip's edge has one point more, corners included; so has a lid's with its steps."""

LID_STEPS = 8


@dataclass(frozen=True)
class EyeOutline:
    """`upper` and `lower`: LID_STEPS + 1 points each, from the left corner to the right one.

    `pupil` is the half width and half height of a drawn pupil round `iris`, which is all of one
    colour; None for a real eye.
    """

    upper: Array
    lower: Array
    iris: Array
    pupil: Array | None = None

    @property
    def centre(self) -> Array:
        return np.asarray((self.upper[0] + self.upper[-1]) / 2)

    @property
    def width(self) -> float:
        return float(np.linalg.norm(self.upper[0] - self.upper[-1]))


@dataclass(frozen=True)
class Outline:
    """A face, in pixels. `eyes` and `brows` are left and right as seen.

    Lips are LIP_STEPS + 1 points each, left to right. `relief` are (k, 3) samples of depth, in
    the same unit, below 0 nearer to the viewer; None where only points are known. `flatness` is
    how much of a head's usual depth it has: drawings are flatter.
    """

    outer_upper: Array
    inner_upper: Array
    inner_lower: Array
    outer_lower: Array
    eyes: tuple[EyeOutline, EyeOutline]
    brows: tuple[Array, Array]
    forehead: Array
    chin: Array
    side_left: Array
    side_right: Array
    relief: Array | None = None
    flatness: float = 1.0

    @property
    def height(self) -> float:
        return float(np.linalg.norm(self.forehead - self.chin))

    @property
    def width(self) -> float:
        return float(np.linalg.norm(self.side_left - self.side_right))

    @property
    def right(self) -> Array:
        """A unit vector along the line of the eyes."""
        line = self.eyes[1].centre - self.eyes[0].centre
        return np.asarray(line / np.linalg.norm(line))

    @property
    def down(self) -> Array:
        right = self.right
        return np.array([-right[1], right[0]])

    def moved(self, scale: float, shift: Array) -> Outline:
        """Answer it in another frame: every point times `scale`, plus `shift`."""

        def at(points: Array) -> Array:
            return np.asarray(points * scale + shift)

        relief = None
        if self.relief is not None:
            relief = np.column_stack([at(self.relief[:, :2]), self.relief[:, 2] * scale])
        return self._mapped(at, relief, scale)

    def bent(self, from_points: Array, to_points: Array) -> Outline:
        """Answer it with some of its points moved, and what lies near them moved along."""
        moves = to_points - from_points
        reach = max(0.08 * self.height, 1e-6)

        def at(points: Array) -> Array:
            flat = points.reshape(-1, 2)
            far = np.linalg.norm(flat[:, None] - from_points[None], axis=2)
            weight = np.exp(-((far / reach) ** 2)) + 1e-9 / (far + 1e-6)
            total = np.maximum(weight.sum(1, keepdims=True), 1.0)
            # On a moved point itself its own move counts, and nothing of its neighbours'.
            near = far.min(1) < 0.5
            bent = flat + weight @ moves / total
            bent[near] = flat[near] + moves[far[near].argmin(1)]
            return np.asarray(bent.reshape(points.shape))

        return self._mapped(at, self.relief)

    def _mapped(
        self, at: Callable[[Array], Array], relief: Array | None, scale: float = 1.0
    ) -> Outline:
        left, right = (
            EyeOutline(
                at(eye.upper),
                at(eye.lower),
                at(eye.iris),
                None if eye.pupil is None else eye.pupil * scale,
            )
            for eye in self.eyes
        )
        return replace(
            self,
            outer_upper=at(self.outer_upper),
            inner_upper=at(self.inner_upper),
            inner_lower=at(self.inner_lower),
            outer_lower=at(self.outer_lower),
            eyes=(left, right),
            brows=(at(self.brows[0]), at(self.brows[1])),
            forehead=at(self.forehead),
            chin=at(self.chin),
            side_left=at(self.side_left),
            side_right=at(self.side_right),
            relief=relief,
        )


# ── from a few named points ──────────────────────────────────────────────────────────────


def arc(left: Array, middle: Array, right: Array, steps: int) -> Array:
    """Answer `steps` + 1 points from `left` over `middle` to `right`, as lips and lids run.

    A shallow one is a parabola; one as high as half its width is half an ellipse.
    """
    half = (right - left) / 2
    length = float(np.linalg.norm(half)) or 1e-6
    along = half / length
    up = np.array([-along[1], along[0]])
    offset = middle - (left + right) / 2
    height, skew = float(offset @ up), float(offset @ along)
    roundness = float(np.clip((abs(height) / length - 0.4) / 0.4, 0, 1))
    even = np.linspace(-1, 1, steps + 1)
    x = (1 - roundness) * even + roundness * -np.cos(np.pi * (even + 1) / 2)
    inner = np.clip(1 - x * x, 0, 1)
    y = height * ((1 - roundness) * inner + roundness * np.sqrt(inner))
    across = x * length + skew * inner
    return np.asarray((left + right) / 2 + np.outer(across, along) + np.outer(y, up))


def from_points(points: dict[str, tuple[float, float]]) -> Outline:
    """Build an outline of named points alone (see `points.NAMES`); they were checked before."""
    at = {name: np.array(value, dtype=np.float64) for name, value in points.items()}
    left, right = (_eye(at, side) for side in ("left", "right"))
    line = right.centre - left.centre
    between = (left.centre + right.centre) / 2
    chin = at["chin"]
    tall = between - chin
    forehead = at.get("forehead", between + 0.62 * tall)
    half = line * 0.98
    return Outline(
        outer_upper=arc(at["mouth_left"], at["lip_top"], at["mouth_right"], LIP_STEPS),
        inner_upper=_inner(at, "lips_upper"),
        inner_lower=_inner(at, "lips_lower"),
        outer_lower=arc(at["mouth_left"], at["lip_bottom"], at["mouth_right"], LIP_STEPS),
        eyes=(left, right),
        brows=(_brow(at, "left", left, tall), _brow(at, "right", right, tall)),
        forehead=forehead,
        chin=chin,
        side_left=at.get("face_left", between - half),
        side_right=at.get("face_right", between + half),
    )


def _eye(at: dict[str, Array], side: str) -> EyeOutline:
    left, right = at[f"{side}_eye_left"], at[f"{side}_eye_right"]
    top, bottom = at[f"{side}_eye_top"], at[f"{side}_eye_bottom"]
    return EyeOutline(
        arc(left, top, right, LID_STEPS),
        arc(left, bottom, right, LID_STEPS),
        at.get(f"{side}_pupil", (top + bottom) / 2),
    )


def _inner(at: dict[str, Array], middle: str) -> Array:
    """The lips' inner edges meet a little inside of their outer corners."""
    centre = (at["lips_upper"] + at["lips_lower"]) / 2
    left = at["mouth_left"] + 0.06 * (centre - at["mouth_left"]) * [1, 0]
    right = at["mouth_right"] + 0.06 * (centre - at["mouth_right"]) * [1, 0]
    return arc(left, at[middle], right, LIP_STEPS)


def _brow(at: dict[str, Array], side: str, eye: EyeOutline, tall: Array) -> Array:
    names = [f"{side}_brow_{part}" for part in ("left", "middle", "right")]
    if all(name in at for name in names):
        return np.array([at[name] for name in names])
    lift = 0.2 * tall
    return np.array(
        [eye.upper[0] + lift, eye.upper[LID_STEPS // 2] + lift, eye.upper[-1] + lift]
    )


# ── from 468 landmarks ───────────────────────────────────────────────────────────────────

# Which landmark of the face mesh is which; all from left to right as seen.
_OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
_INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LEFT_LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133),
    (33, 7, 163, 144, 145, 153, 154, 155, 133),
)
RIGHT_LIDS = (
    (362, 398, 384, 385, 386, 387, 388, 466, 263),
    (362, 382, 381, 380, 374, 373, 390, 249, 263),
)
_LEFT_BROW, _RIGHT_BROW = (70, 63, 105, 66, 107), (336, 296, 334, 293, 300)
_FOREHEAD, _CHIN, _SIDE_LEFT, _SIDE_RIGHT = 10, 152, 234, 454
_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip


def from_landmarks(
    mesh: Array, lids: tuple[Array, Array], irises: tuple[Array, Array]
) -> Outline:
    """Build an outline of landmarks.

    Args:
        mesh: (468, 3), of the face mesh.
        lids: For each eye (2, LID_STEPS + 1, 2): the upper and the lower lid.
        irises: For each eye the iris' middle.
    """
    flat = mesh[:, :2]
    relief = mesh.copy()
    relief[:, 2] -= mesh[list(_OVAL), 2].mean()
    return Outline(
        outer_upper=flat[list(_OUTER_UPPER)],
        inner_upper=flat[list(_INNER_UPPER)],
        inner_lower=flat[list(_INNER_LOWER)],
        outer_lower=flat[list(_OUTER_LOWER)],
        eyes=(
            EyeOutline(lids[0][0], lids[0][1], irises[0]),
            EyeOutline(lids[1][0], lids[1][1], irises[1]),
        ),
        brows=(flat[list(_LEFT_BROW)], flat[list(_RIGHT_BROW)]),
        forehead=flat[_FOREHEAD],
        chin=flat[_CHIN],
        side_left=flat[_SIDE_LEFT],
        side_right=flat[_SIDE_RIGHT],
        relief=relief,
    )


def named(outline: Outline) -> dict[str, tuple[float, float]]:
    """Answer an outline's named points, as `--points -` prints them."""
    middle, lid = LIP_STEPS // 2, LID_STEPS // 2
    found = {
        "forehead": outline.forehead,
        "chin": outline.chin,
        "face_left": outline.side_left,
        "face_right": outline.side_right,
        "mouth_left": outline.outer_upper[0],
        "mouth_right": outline.outer_upper[-1],
        "lip_top": outline.outer_upper[middle],
        "lips_upper": outline.inner_upper[middle],
        "lips_lower": outline.inner_lower[middle],
        "lip_bottom": outline.outer_lower[middle],
    }
    for side, eye, brow in zip(("left", "right"), outline.eyes, outline.brows, strict=True):
        found |= {
            f"{side}_eye_left": eye.upper[0],
            f"{side}_eye_right": eye.upper[-1],
            f"{side}_eye_top": eye.upper[lid],
            f"{side}_eye_bottom": eye.lower[lid],
            f"{side}_pupil": eye.iris,
            f"{side}_brow_left": brow[0],
            f"{side}_brow_middle": brow[len(brow) // 2],
            f"{side}_brow_right": brow[-1],
        }
    return {name: (round(float(p[0]), 1), round(float(p[1]), 1)) for name, p in found.items()}
