"""The mesh over a face: rings round mouth and eyes, a lattice over the rest, no gap, no overlap.

Round the mouth and the eyes it is built ring by ring, so that the upper lip's vertices are known
from the lower lip's even where the lips touch, and the hole between them is a hole whatever the
picture. The rest is Delaunay's. The topology is our own: no model's is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from locum.errors import PermanentError
from locum.persona.rigging.document import FRAME
from locum.persona.rigging.outline import LID_STEPS, LIP_STEPS, Array, EyeOutline, Outline

Indices = npt.NDArray[np.int64]
_Fine = Callable[[Array], npt.NDArray[np.bool_]]
"""Says of points whether they want a fine lattice."""

BEYOND = 32.0
"""Pixels by which the mesh reaches beyond the frame, so that no edge of it comes into sight."""

_COARSE = 56.0  #: Pixels between vertices away from the face.
_GRID_ROWS = 3  #: Vertices between the lids, in each of the LID_STEPS - 1 columns.


@dataclass(frozen=True)
class MouthMesh:
    """Rings from the hole outwards, clockwise from the left corner; `quads` as in the document.

    Of a ring's 2 × LIP_STEPS vertices, 0 is the left corner and LIP_STEPS the right one.
    """

    rings: tuple[Indices, ...]
    cavity: Indices
    teeth: Indices


@dataclass(frozen=True)
class EyeMesh:
    """`grid` is (columns, rows): the vertices between the lids, its rows from the top."""

    rings: tuple[Indices, ...]
    grid: Indices


@dataclass
class Mesh:
    """Vertices (n, 2) and triangles (m, 3)."""

    points: Array
    triangles: Indices
    mouth: MouthMesh | None = None
    eyes: tuple[EyeMesh, ...] = ()


@dataclass
class _Growing:
    points: list[Array] = field(default_factory=list)
    triangles: list[Indices] = field(default_factory=list)
    count: int = 0

    def add(self, points: Array) -> Indices:
        ids = np.arange(self.count, self.count + len(points))
        self.points.append(points)
        self.count += len(points)
        return ids

    def strip(self, inner: Indices, outer: Indices) -> None:
        """Fill the space between two rings with triangles."""
        after_inner, after_outer = np.roll(inner, -1), np.roll(outer, -1)
        self.triangles.append(np.column_stack([inner, outer, after_outer]))
        self.triangles.append(np.column_stack([inner, after_outer, after_inner]))

    def made(self) -> tuple[Array, Indices]:
        return np.concatenate(self.points), np.concatenate(self.triangles)


def ring_of(upper: Array, lower: Array) -> Array:
    """Join two edges that share their corners to a ring, clockwise from the left corner."""
    return np.concatenate([upper, lower[-2:0:-1]])


def widened(ring: Array, distance: float) -> Array:
    """Answer a ring's points moved outwards by `distance` pixels."""
    along = np.roll(ring, -1, axis=0) - np.roll(ring, 1, axis=0)
    outwards = np.column_stack([along[:, 1], -along[:, 0]])
    length = np.linalg.norm(outwards, axis=1, keepdims=True)
    outwards = outwards / np.maximum(length, 1e-9)
    for _ in range(2):
        outwards = (
            np.roll(outwards, 1, axis=0) + 2 * outwards + np.roll(outwards, -1, axis=0)
        ) / 4
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-9)
    return np.asarray(ring + outwards * distance)


def face_mesh(outline: Outline) -> Mesh:
    """Build the mesh of a face in the frame.

    Raises:
        PermanentError: Its points lie so that no mesh can be laid over them.
    """
    grown = _Growing()
    mouth, hole = _add_mouth(grown, outline)
    eyes: list[EyeMesh] = []
    holes = [hole]
    for eye in outline.eyes:
        made, around = _add_eye(grown, eye, outline)
        eyes.append(made)
        holes.append(around)
    _refuse_folds(grown)
    _add_rest(grown, holes, _fineness(outline))
    mouth = _add_inside(grown, mouth, outline)
    points, triangles = grown.made()
    return Mesh(points, _turned(points, triangles), mouth, tuple(eyes))


def plain_mesh(outline: Outline | None = None) -> Mesh:
    """Build the mesh of a picture without a face; of `outline` only the mouth counts."""
    grown = _Growing()
    mouth, holes = None, []
    if outline is not None:
        mouth, hole = _add_mouth(grown, outline)
        holes = [hole]
        _refuse_folds(grown)
        _add_rest(grown, holes, _fineness(outline))
        mouth = _add_inside(grown, mouth, outline)
    else:
        _add_rest(grown, holes, lambda points: np.zeros(len(points), dtype=bool), fine=_COARSE)
    points, triangles = grown.made()
    return Mesh(points, _turned(points, triangles), mouth)


# ── mouth and eyes ───────────────────────────────────────────────────────────────────────


def _add_mouth(grown: _Growing, outline: Outline) -> tuple[MouthMesh, Array]:
    inner = ring_of(outline.inner_upper, outline.inner_lower)
    outer = ring_of(outline.outer_upper, outline.outer_lower)
    unit = outline.height
    for shrink in (1.0, 0.7, 0.5, 0.3):
        around = [widened(outer, far * unit * shrink) for far in (0.03, 0.075)]
        if all(_is_simple(each) for each in around):
            break
    else:
        raise _folded("the mouth's")
    ids = tuple(grown.add(each) for each in (inner, outer, *around))
    for nearer, farther in pairwise(ids):
        grown.strip(nearer, farther)
    nothing = np.zeros(0, dtype=np.int64)
    return MouthMesh(ids, nothing, nothing), around[-1]


def _add_eye(grown: _Growing, eye: EyeOutline, outline: Outline) -> tuple[EyeMesh, Array]:
    lids = ring_of(eye.upper, eye.lower)
    open_by = float(np.linalg.norm(eye.upper - eye.lower, axis=1).max())
    unit = max(open_by, 0.35 * eye.width)
    apart = float(np.linalg.norm(outline.eyes[0].upper[-1] - outline.eyes[1].upper[0]))
    reach = min(unit, apart * 0.8)
    for shrink in (1.0, 0.7, 0.5, 0.3):
        around = [widened(lids, far * reach * shrink) for far in (0.16, 0.5)]
        if all(_is_simple(each) for each in around):
            break
    else:
        raise _folded("an eye's")
    ids = tuple(grown.add(each) for each in (lids, *around))
    for nearer, farther in pairwise(ids):
        grown.strip(nearer, farther)
    return EyeMesh(ids, _add_lid_grid(grown, ids[0], eye)), around[-1]


def _add_lid_grid(grown: _Growing, lids: Indices, eye: EyeOutline) -> Indices:
    share = np.arange(1, _GRID_ROWS + 1)[None, :, None] / (_GRID_ROWS + 1)
    upper, lower = eye.upper[1:-1, None], eye.lower[1:-1, None]
    between = upper * (1 - share) + lower * share
    if eye.pupil is not None:
        # A drawn eye's vertices lie in its pupil: drawn out, it is the line of a shut eye.
        across = np.linspace(-0.9, 0.9, LID_STEPS - 1)
        tall = 0.75 * np.sqrt(1 - across**2)[:, None] * np.linspace(-1, 1, _GRID_ROWS)
        wide = np.broadcast_to(across[:, None], tall.shape)
        between = eye.iris + eye.pupil * np.stack([wide, tall], axis=-1)
    grid = grown.add(between.reshape(-1, 2)).reshape(LID_STEPS - 1, _GRID_ROWS)
    top, bottom = lids[1:LID_STEPS], lids[:LID_STEPS:-1]
    columns = np.column_stack([top, grid, bottom])
    for left, right in pairwise(columns):
        for row in range(len(left) - 1):
            quad = left[row], right[row], right[row + 1], left[row + 1]
            grown.triangles.append(np.array([quad[:3], (quad[0], quad[2], quad[3])]))
    for corner, column in ((lids[0], columns[0]), (lids[LID_STEPS], columns[-1])):
        fan = [(corner, column[row], column[row + 1]) for row in range(len(column) - 1)]
        grown.triangles.append(np.array(fan))
    return grid


def _add_inside(grown: _Growing, mouth: MouthMesh, outline: Outline) -> MouthMesh:
    """Add the corners of what lies behind the lips; they are in no triangle."""
    right, down = outline.right, outline.down
    centre = (outline.outer_upper[0] + outline.outer_upper[-1]) / 2
    inner = ring_of(outline.inner_upper, outline.inner_lower) - centre
    across, along = inner @ right, inner @ down
    width = float(across.max() - across.min())
    slack = 0.03 * outline.height

    def quad(left: float, end: float, top: float, bottom: float) -> Array:
        corners = ((left, top), (end, top), (left, bottom), (end, bottom))
        return np.array([centre + x * right + y * down for x, y in corners])

    cavity = quad(
        across.min() - 0.06 * width,
        across.max() + 0.06 * width,
        along.min() - slack,
        along.max() + slack,
    )
    middle = float((outline.inner_upper[LIP_STEPS // 2] - centre) @ down)
    teeth = quad(
        across.min() * 0.86,
        across.max() * 0.86,
        min(along.min(), middle) - 0.02 * outline.height,
        middle + teeth_length(outline),
    )
    return MouthMesh(mouth.rings, grown.add(cavity), grown.add(teeth))


def teeth_length(outline: Outline) -> float:
    """Answer how far the upper teeth reach below the upper lip's edge, in pixels."""
    width = float(np.linalg.norm(outline.outer_upper[0] - outline.outer_upper[-1]))
    return 0.11 * width


# ── the rest ─────────────────────────────────────────────────────────────────────────────


def _fineness(outline: Outline) -> _Fine:
    centre = (outline.forehead + outline.chin) / 2
    right, down = outline.right, outline.down
    across, tall = 0.62 * outline.width, 0.66 * outline.height

    def is_fine(points: Array) -> npt.NDArray[np.bool_]:
        offset = points - centre
        radius = np.hypot(offset @ right / across, offset @ down / tall)
        return np.asarray(radius < 1)

    return is_fine


def _lattice(spacing: float) -> Array:
    """Answer points over the frame and a little beyond, each a `spacing` from its neighbours."""
    wide, tall = FRAME
    rows = round((tall + 2 * BEYOND) / (spacing * 0.866))
    found = []
    for row, y in enumerate(np.linspace(-BEYOND, tall + BEYOND, max(rows, 2) + 1)):
        columns = round((wide + 2 * BEYOND) / spacing)
        x = np.linspace(-BEYOND, wide + BEYOND, max(columns, 2) + 1)
        if row % 2:
            x = np.concatenate([x[:1], (x[:-1] + x[1:]) / 2, x[-1:]])
        found.append(np.column_stack([x, np.full(len(x), y)]))
    return np.concatenate(found)


def _add_rest(
    grown: _Growing, holes: list[Array], is_fine: _Fine, *, fine: float = 26.0
) -> None:
    coarse = _lattice(_COARSE)
    dense = _lattice(fine)
    lattice = np.concatenate([coarse[~is_fine(coarse)], dense[is_fine(dense)]])
    lattice = lattice[_apart_from(lattice, holes)]
    inner = np.concatenate([grown.add(lattice), _ring_ids(grown, holes)])
    points = np.concatenate(grown.points)
    triangles = _with_edges(points, inner[_delaunay(points[inner])], grown, holes)
    middles = points[triangles].mean(1)
    outside = np.ones(len(triangles), dtype=bool)
    for hole in holes:
        outside &= ~_within(middles, hole, 0.0)
    grown.triangles.append(triangles[outside])


def _ring_ids(grown: _Growing, holes: list[Array]) -> Indices:
    """Find the vertices of the outermost rings again, by where they are."""
    points = np.concatenate(grown.points)
    found = [np.nonzero((points == hole[0]).all(1))[0][0] for hole in holes]
    ids = [
        np.arange(start, start + len(hole)) for start, hole in zip(found, holes, strict=True)
    ]
    return np.concatenate(ids) if ids else np.zeros(0, dtype=np.int64)


def _apart_from(points: Array, holes: list[Array]) -> npt.NDArray[np.bool_]:
    """Whether each point is so far from every ring that the ring's edges stay edges."""
    kept = np.ones(len(points), dtype=bool)
    for hole in holes:
        edge = float(np.linalg.norm(hole - np.roll(hole, 1, axis=0), axis=1).max())
        kept &= ~_within(points, hole, max(edge * 0.6, 6.0))
    # The frame's rim stays: without it the mesh would have notches there.
    wide, tall = FRAME
    x, y = points.T
    rim = (x <= -BEYOND) | (x >= wide + BEYOND) | (y <= -BEYOND) | (y >= tall + BEYOND)
    return np.asarray(kept | rim)


def _within(points: Array, ring: Array, margin: float) -> npt.NDArray[np.bool_]:
    contour = ring.astype(np.float32)[:, None]
    return np.array(
        [
            cv2.pointPolygonTest(contour, (float(x), float(y)), True) > -margin
            for x, y in points
        ],
        dtype=bool,
    )


def _delaunay(points: Array) -> Indices:
    exact = points.astype(np.float32)
    subdivision = cv2.Subdiv2D((-20_000, -20_000, 50_000, 50_000))
    index = {}
    for number, (x, y) in enumerate(exact):
        subdivision.insert((float(x), float(y)))
        index[float(x), float(y)] = number
    found = []
    for x0, y0, x1, y1, x2, y2 in np.asarray(subdivision.getTriangleList()).tolist():
        corners = [index.get(corner) for corner in ((x0, y0), (x1, y1), (x2, y2))]
        if None not in corners:
            found.append(corners)
    return _turned(points, np.array(sorted(found), dtype=np.int64).reshape(-1, 3))


def _with_edges(
    points: Array, triangles: Indices, grown: _Growing, holes: list[Array]
) -> Indices:
    """Make every edge of the outermost rings an edge of the triangles too.

    Delaunay's are blind to rings: a long edge beside a bay of the ring may be crossed.
    """
    kept = [tuple(each) for each in triangles.tolist()]
    there = {frozenset(side) for each in kept for side in _sides(each)}
    for hole in holes:
        ids = _ring_ids(grown, [hole]).tolist()
        for start, end in zip(ids, ids[1:] + ids[:1], strict=True):
            if frozenset((start, end)) in there:
                continue
            crossed = [
                each
                for each in kept
                if any(
                    {start, end}.isdisjoint(side)
                    and _cross(*(points[i] for i in (start, end, *side)))
                    for side in _sides(each)
                )
            ]
            if crossed:
                kept = [each for each in kept if each not in crossed]
                for polygon in _halves(crossed, start, end):
                    kept += _clipped(points, polygon)
    return np.array(kept, dtype=np.int64)


def _sides(triangle: tuple[int, ...]) -> list[tuple[int, int]]:
    a, b, c = triangle
    return [(a, b), (b, c), (c, a)]


def _halves(crossed: list[tuple[int, ...]], start: int, end: int) -> list[list[int]]:
    """Answer the polygons left and right of an edge, of the triangles that it crosses."""
    sides = [side for each in crossed for side in _sides(each)]
    rim = {a: b for a, b in sides if (b, a) not in sides}
    found = []
    for begin, finish in ((start, end), (end, start)):
        polygon = [begin]
        while polygon[-1] != finish and len(polygon) <= len(rim):
            polygon.append(rim[polygon[-1]])
        found.append(polygon)
    return found


def _clipped(points: Array, polygon: list[int]) -> list[tuple[int, ...]]:
    """Cut a small polygon into triangles, ear by ear."""
    rest = list(polygon)
    found: list[tuple[int, ...]] = []
    whole = points[polygon]
    x, y = whole[:, 0], whole[:, 1]
    turn = np.sign(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
    while len(rest) > 2:
        best = max(range(len(rest)), key=lambda at: _ear(points, rest, at, float(turn)))
        ear = rest[best - 1], rest[best], rest[(best + 1) % len(rest)]
        found.append(ear)
        del rest[best]
    return found


def _ear(points: Array, rest: list[int], at: int, turn: float) -> float:
    """Answer how good an ear of a polygon is: its area; below 0 where it is none."""
    corners = rest[at - 1], rest[at], rest[(at + 1) % len(rest)]
    size = turn * float(areas(points, np.array([corners]))[0])
    if size <= 0:
        return size - 1e9
    triangle = points[list(corners)].astype(np.float32)[:, None]
    for other in rest:
        if other in corners:
            continue
        x, y = points[other]
        if cv2.pointPolygonTest(triangle, (float(x), float(y)), False) > 0:
            return -size
    return size


def areas(points: Array, triangles: Indices) -> Array:
    """Answer each triangle's area; below 0 where it runs the other way round."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    (ux, uy), (vx, vy) = (b - a).T, (c - a).T
    return np.asarray((ux * vy - uy * vx) / 2)


def _turned(points: Array, triangles: Indices) -> Indices:
    """Make all triangles run the same way round, and leave out those of no area."""
    sizes = areas(points, triangles)
    flipped = np.where((sizes < 0)[:, None], triangles[:, [0, 2, 1]], triangles)
    return np.asarray(flipped[np.abs(sizes) > 1e-3])


def _refuse_folds(grown: _Growing) -> None:
    points, triangles = grown.made()
    sizes = areas(points, triangles)
    folded = min(float(np.clip(sizes, 0, None).sum()), float(np.clip(-sizes, 0, None).sum()))
    if folded > 0.02 * float(np.abs(sizes).sum()):
        raise _folded("the mouth's or an eye's")


def _is_simple(ring: Array) -> bool:
    """Whether a ring doesn't cross itself."""
    start, end = ring, np.roll(ring, -1, axis=0)
    for first in range(len(ring)):
        for second in range(first + 2, len(ring)):
            if (second + 1) % len(ring) == first:
                continue
            if _cross(start[first], end[first], start[second], end[second]):
                return False
    return True


def _cross(a: Array, b: Array, c: Array, d: Array) -> bool:
    def side(p: Array, q: Array, r: Array) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _folded(whose: str) -> PermanentError:
    return PermanentError(
        f"No mesh can be laid over this face: {whose} points cross each other. Correct them: "
        "`locum persona avatar rig NAME --edit`."
    )
