"""How each vertex moves for one motion of the face: jaw, lips, lids, gaze, brows, breath.

Every shape's weight 1 is as far as still looks natural, so that nobody has to cap it later: a
jaw that drops further looks like a ventriloquist's doll.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from locum.persona.rigging.document import MOUTH_SHAPES
from locum.persona.rigging.mesh import EyeMesh, Mesh, MouthMesh
from locum.persona.rigging.outline import LID_STEPS, LIP_STEPS, Array, Outline
from locum.persona.rigging.relief import Relief, ramp

_JAW = 0.068
"""How far a jaw drops, in face heights: 60% of what a rig of this kind could do."""

_LEAST = 0.02  #: Pixels; a smaller move is none.
_SHUT = 0.97  #: How far an upper lid comes down; the lower one does the rest.
_SHUT_DRAWN = 0.9  #: A drawn one leaves a line: it has no lashes to show where the lid is.

Shapes = dict[str, Array]
"""Moves of every vertex, (n, 2), by the shape's name."""


@dataclass(frozen=True)
class _Near:
    """Where vertices are round the mouth.

    `across` is -1 at the left corner and 1 at the right one; `below` is the distance from the
    line where the lips meet, in face heights, below 0 above it; `chin` is that of the chin.
    """

    across: Array
    below: Array
    width: float
    chin: float


def _near_mouth(mesh: Mesh, mouth: MouthMesh, outline: Outline) -> _Near:
    right, down, height = outline.right, outline.down, outline.height
    left_corner, right_corner = outline.outer_upper[0], outline.outer_upper[-1]
    centre = (left_corner + right_corner) / 2
    width = float(np.linalg.norm(right_corner - left_corner))
    offset = mesh.points - centre
    across = offset @ right / (width / 2)
    meeting = (outline.inner_upper + outline.inner_lower) / 2 - centre
    line = np.interp(across, meeting @ right / (width / 2), meeting @ down)
    below = (offset @ down - line) / height
    # On the rings it is known which lip is which, even where they touch.
    for ring in mouth.rings:
        upper, lower = ring[1:LIP_STEPS], ring[LIP_STEPS + 1 :]
        below[upper] = np.minimum(below[upper], -1e-4)
        below[lower] = np.maximum(below[lower], 1e-4)
    middle = float(np.interp(0, meeting @ right, meeting @ down))
    chin = (float((outline.chin - centre) @ down) - middle) / height
    return _Near(across, below, width, max(chin, 0.08))


def face_shapes(mesh: Mesh, outline: Outline, relief: Relief) -> Shapes:
    """Answer all shapes of a face."""
    found = mouth_shapes(mesh, outline)
    for number, eye in enumerate(mesh.eyes):
        found |= _eye_shapes(mesh, outline, number, eye)
    found["brow"] = _brow(mesh, outline)
    found["breath"] = _breath(mesh, outline, relief)
    return found


# ── the mouth ────────────────────────────────────────────────────────────────────────────


def mouth_shapes(mesh: Mesh, outline: Outline, *, rigid: bool = False) -> Shapes:
    """Answer the shapes of a mouth; a `rigid` one is a mascot's, which has no chin."""
    mouth = mesh.mouth
    if mouth is None:
        return {}
    near = _near_mouth(mesh, mouth, outline)
    right, down, height = outline.right, outline.down, outline.height
    nothing = np.zeros(len(mesh.points))

    def moves(along: Array, downwards: Array) -> Array:
        return np.outer(along, right) + np.outer(downwards, down)

    corners = np.exp(-(((np.abs(near.across) - 1) / 0.55) ** 2)) * np.exp(
        -((near.below / 0.07) ** 2)
    )
    round_lips = np.exp(-((np.maximum(np.abs(near.across) - 1, 0) / 0.45) ** 2)) * np.exp(
        -((near.below / 0.075) ** 2)
    )
    pout = np.exp(-((near.across / 0.7) ** 2)) * np.exp(
        -(((np.abs(near.below) - 0.035) / 0.025) ** 2)
    )
    pressed = np.exp(-((near.across / 0.9) ** 4)) * np.exp(-((near.below / 0.05) ** 2))
    found = {
        "jaw": moves(*_jaw(mouth, near, height, rigid=rigid)),
        "upper": moves(nothing, -0.02 * height * _lip(mouth, near, upper=True)),
        "lower": moves(nothing, 0.02 * height * _lip(mouth, near, upper=False)),
        "wide": moves(
            np.sign(near.across) * 0.07 * near.width * corners, -0.009 * height * corners
        ),
        "pucker": moves(
            -near.across * 0.16 * near.width * round_lips,
            np.sign(near.below) * 0.01 * height * pout,
        ),
        "press": moves(nothing, -0.35 * np.clip(near.below, -0.1, 0.1) * height * pressed),
        "close": _close(mesh, mouth, outline),
    }
    behind = np.concatenate([mouth.cavity, mouth.teeth])
    for made in found.values():
        made[behind] = 0
    # What lies behind the lips: its floor drops with the jaw, its sides go with the corners.
    floor = mouth.cavity[2:]
    found["jaw"][floor] = down * _JAW * height * 1.15
    found["lower"][floor] = down * 0.02 * height
    for side, corner in ((0, -1.0), (1, 1.0)):
        found["wide"][mouth.cavity[[side, side + 2]]] = right * corner * 0.07 * near.width
    return found


def _jaw(mouth: MouthMesh, near: _Near, height: float, *, rigid: bool) -> tuple[Array, Array]:
    across, below = near.across, near.below
    lips = np.clip(1 - np.abs(across) ** 2.2, 0, 1)
    chin = np.exp(-((across / 1.75) ** 2)) * (1 - ramp(1.7, 2.5, np.abs(across)))
    share = ramp(0.012, 0.10, below)
    # The neck's skin gives way, and the shoulders stay where they are.
    end = (0.06, 0.16) if rigid else (near.chin, near.chin + 0.24)
    weight = (lips * (1 - share) + chin * share) * (below > 0) * (1 - ramp(*end, below))
    inner, outer = mouth.rings[0], mouth.rings[1]
    for ring in (inner, outer):
        weight[ring[: LIP_STEPS + 1]] = 0
        weight[ring[LIP_STEPS + 1 :]] = lips[ring[LIP_STEPS + 1 :]]
        weight[ring[[0, LIP_STEPS]]] = 0.06
    # An open mouth is a little narrower.
    beside = np.exp(-(((np.abs(across) - 1) / 0.5) ** 2)) * np.exp(-((below / 0.06) ** 2))
    inwards = -np.sign(across) * np.minimum(np.abs(across), 1) * 0.03 * near.width * beside
    return inwards, _JAW * height * weight


def _lip(mouth: MouthMesh, near: _Near, *, upper: bool) -> Array:
    """Answer how far each vertex goes with its own lip's lift or drop."""
    side = -1 if upper else 1
    narrow = np.exp(-((near.across / 0.75) ** 2))
    weight = narrow * np.exp(-(((side * near.below - 0.025) / 0.037) ** 2))
    weight[side * near.below < 0] = 0
    inner = mouth.rings[0]
    own, other = inner[1:LIP_STEPS], inner[LIP_STEPS + 1 :]
    if not upper:
        own, other = other, own
    weight[own] = narrow[own]
    weight[other] = 0
    weight[inner[[0, LIP_STEPS]]] = 0
    return np.asarray(weight)


def _close(mesh: Mesh, mouth: MouthMesh, outline: Outline) -> Array:
    """Bring the lips of a mouth that is open in the picture together, skin and all."""
    found = np.zeros_like(mesh.points)
    inner, outer = mouth.rings[0], mouth.rings[1]
    upper, lower = inner[1:LIP_STEPS], inner[:-LIP_STEPS:-1]
    meeting = 0.45 * mesh.points[upper] + 0.55 * mesh.points[lower]
    # The jaw brings the lower lip up, rather than the upper one down.
    found[upper] = meeting - mesh.points[upper]
    found[lower] = meeting - mesh.points[lower]
    found[outer[1:LIP_STEPS]] = 0.8 * found[upper]
    found[outer[:-LIP_STEPS:-1]] = 0.8 * found[lower]
    source = np.concatenate([outer[1:LIP_STEPS], outer[LIP_STEPS + 1 :]])
    rest = np.setdiff1d(np.arange(len(mesh.points)), np.concatenate([inner, outer]))
    far = np.linalg.norm(mesh.points[rest, None] - mesh.points[None, source], axis=2)
    weight = np.exp(-((far / (0.05 * outline.height)) ** 2))
    total = np.maximum(weight.sum(1, keepdims=True), 1)
    found[rest] = 0.7 * (weight @ found[source]) / total * np.minimum(1, weight.max(1))[:, None]
    return found


# ── eyes, brows, breath ──────────────────────────────────────────────────────────────────


def _eye_shapes(mesh: Mesh, outline: Outline, number: int, eye: EyeMesh) -> Shapes:
    points, right, down = mesh.points, outline.right, outline.down
    blink = np.zeros_like(points)
    lids = eye.rings[0]
    top, bottom = lids[1:LID_STEPS], lids[:-LID_STEPS:-1]
    drop = points[bottom] - points[top]
    shut = _SHUT if outline.eyes[number].pupil is None else _SHUT_DRAWN
    for ring, upper, lower in zip(
        eye.rings, (shut, 0.6, 0.18), (-0.03, -0.02, -0.005), strict=True
    ):
        blink[ring[1:LID_STEPS]] = upper * drop
        blink[ring[:-LID_STEPS:-1]] = lower * drop
    gaze = np.zeros(len(points))
    width = outline.eyes[number].width
    upper_lid = points[lids[: LID_STEPS + 1]] + blink[lids[: LID_STEPS + 1]]
    around = np.concatenate([lids[:1], lids[: LID_STEPS - 1 : -1]])
    lower_lid = points[around] + blink[around]
    is_drawn = outline.eyes[number].pupil is not None
    blink[eye.grid] = _shut(eye, upper_lid, lower_lid, is_drawn=is_drawn) - points[eye.grid]
    aside = (points[eye.grid] - outline.eyes[number].iris) @ right / (0.4 * width)
    gaze[eye.grid] = 1.0 if is_drawn else np.exp(-(aside**4))
    return {
        f"blink{number}": blink,
        f"gazex{number}": np.outer(gaze * 0.12 * width, right),
        f"gazey{number}": np.outer(gaze * 0.055 * width, down),
    }


def _shut(eye: EyeMesh, upper: Array, lower: Array, *, is_drawn: bool) -> Array:
    """Answer where what is between the lids goes when they are shut: (columns, rows, 2)."""
    columns, rows = eye.grid.shape
    steps = np.arange(LID_STEPS + 1) / LID_STEPS
    # A drawn pupil is drawn out to the line that a shut eye is: from corner to corner.
    at = np.linspace(0.04, 0.96, columns) if is_drawn else steps[1 : columns + 1]
    share = np.arange(1, rows + 1) / (rows + 1)
    if is_drawn:
        share = np.linspace(0.02, 0.98, rows)
    top, bottom = (
        np.column_stack([np.interp(at, steps, lid[:, axis]) for axis in (0, 1)])
        for lid in (upper, lower)
    )
    down = share[None, :, None]
    return np.asarray(top[:, None] * (1 - down) + bottom[:, None] * down)


def _brow(mesh: Mesh, outline: Outline) -> Array:
    height = outline.height
    lift = np.zeros(len(mesh.points))
    for brow in outline.brows:
        steps = np.linspace(0, 1, 9)[:, None]
        pieces = [a * (1 - steps) + b * steps for a, b in pairwise(brow)]
        far = np.linalg.norm(mesh.points[:, None] - np.concatenate(pieces)[None], axis=2).min(1)
        lift = np.maximum(lift, np.exp(-((far / (0.05 * height)) ** 2)))
    for eye in mesh.eyes:
        lift[eye.rings[0]] = 0
        lift[eye.grid] = 0
    if mesh.mouth is not None:
        lift[np.concatenate([mesh.mouth.cavity, mesh.mouth.teeth])] = 0
    return np.outer(-0.026 * height * lift, outline.down)


def _breath(mesh: Mesh, outline: Outline, relief: Relief) -> Array:
    """The chest rises and widens a little; nothing moves at the frame's lower edge."""
    height = outline.height
    from_chin = (mesh.points - outline.chin) @ outline.down / height
    still = 1 - ramp(1.3, 2.2, from_chin)
    chest = (1 - relief.head) * relief.body * still
    aside = np.clip((mesh.points[:, 0] - outline.chin[0]) / (1.2 * height), -1, 1)
    beside = 1 - ramp(1.1, 1.9, np.abs(mesh.points[:, 0] - outline.chin[0]) / height)
    return np.column_stack(
        [0.006 * height * chest * aside * beside, -0.011 * height * chest * beside]
    )


def sparse(shapes: Shapes) -> dict[str, dict[str, list[float] | list[int]]]:
    """Answer shapes as the document has them: only vertices that move, rounded to 0.01 px."""
    found: dict[str, dict[str, list[float] | list[int]]] = {}
    for name, moves in sorted(shapes.items()):
        ids = np.nonzero(np.abs(moves).max(1) > _LEAST)[0]
        found[name] = {
            "vertices": ids.tolist(),
            "moves": np.round(moves[ids], 2).reshape(-1).tolist(),
        }
    return found


def without_motion() -> Shapes:
    """Answer no shapes at all: what a mascot without a mouth has besides its breath."""
    return dict.fromkeys(MOUTH_SHAPES, np.zeros((0, 2)))
