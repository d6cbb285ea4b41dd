"""Builds a rig; runs as a program of its own, in bounds, because numpy and OpenCV weigh much.

The job comes as a JSON line on stdin with the picture as a PNG behind it (made by `imaging`, so
no stranger's bytes are decoded here); the rig goes to stdout, packed. Exit status 3 means that it
was refused; the reason stands on stderr. One thread, fixed seeds, no clock: the same picture
gives the same bytes.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from locum.errors import PermanentError
from locum.persona.rigging.document import FORMAT, FRAME, written
from locum.persona.rigging.drawn import drawn_outline
from locum.persona.rigging.framing import Pixels, face_placement, laid
from locum.persona.rigging.landmarks import Landmarker
from locum.persona.rigging.layers import by_matte, cavity, on_plain_ground, teeth, whole
from locum.persona.rigging.mascot import Mascot, mascot
from locum.persona.rigging.mesh import Indices, Mesh, face_mesh
from locum.persona.rigging.outline import (
    LID_STEPS,
    LIP_STEPS,
    Array,
    Outline,
    from_points,
    named,
)
from locum.persona.rigging.pack import packed
from locum.persona.rigging.relief import Relief, face_relief
from locum.persona.rigging.shapes import Shapes, face_shapes, sparse
from locum.ports import Rig

REFUSED = 3
_HELD_SHUT = 0.03
"""A mouth open by less than this, in face heights, is held shut at rest."""


@dataclass(frozen=True)
class Job:
    """What to build. `models` is a folder of them, or None; points are the picture's pixels."""

    picture_sha256: str
    is_drawn: bool = False
    points: dict[str, tuple[float, float]] | None = None
    mouth: tuple[float, float, float] | None = None
    models: Path | None = None
    is_mascot: bool = False


def build(job: Job, image: Pixels, alpha: Pixels | None) -> Rig:
    """Build the rig of an RGB picture.

    Raises:
        PermanentError: Its points make no face.
    """
    if job.is_mascot or job.mouth is not None:
        return _mascot_rig(job, mascot(image, alpha, job.mouth))
    marker = None if job.models is None else Landmarker(job.models)
    outline, source = found_outline(job, image, marker)
    if outline is None:
        return _mascot_rig(job, mascot(image, alpha, None))
    return _face_rig(job, image, outline, source, marker)


def found_outline(
    job: Job, image: Pixels, marker: Landmarker | None
) -> tuple[Outline | None, str]:
    """Answer the face's outline in the picture and where it comes from, or None."""
    outline, source = None, "none"
    if job.is_drawn and image.shape[0] == image.shape[1]:
        outline, source = drawn_outline(float(image.shape[1])), "drawn"
    elif marker is not None:
        outline, source = marker.outline(image), "landmarks"
    if job.points is None:
        return outline, source
    if outline is None:
        return from_points(job.points), "points"
    known = named(outline)
    moved = [name for name, at in job.points.items() if known[name] != tuple(at)]
    if not moved:
        return outline, source
    before = np.array([known[name] for name in moved])
    after = np.array([job.points[name] for name in moved])
    return outline.bent(before, after), "points"


# ── a face ───────────────────────────────────────────────────────────────────────────────


def _face_rig(
    job: Job, image: Pixels, outline: Outline, source: str, marker: Landmarker | None
) -> Rig:
    height, width = image.shape[:2]
    plain = on_plain_ground(image)
    scale, shift = face_placement(outline, width, height)
    frame = laid(image, scale, shift, plain=plain is not None)
    outline = outline.moved(scale, shift)
    ground = on_plain_ground(frame) if plain is not None else None
    if ground is None:
        ground = whole(frame) if marker is None else by_matte(frame, marker.matte(frame))
    mesh = face_mesh(outline)
    relief = face_relief(mesh, outline, whole=ground.alpha is None)
    shapes = face_shapes(mesh, outline, relief)
    kept = _moving(mesh, relief.head, shapes, ground.alpha)
    values = {
        **_common(job, "face", source, mesh, relief, shapes, kept),
        **_measures(outline),
        "mouth": _mouth(mesh, outline),
        "inside": _inside(mesh),
        "eyes": _eyes(mesh, outline),
        "pivot": _rounded(outline.chin + 0.22 * outline.height * outline.down),
        "glow": None,
    }
    textures = {
        "fg": _png(_with_alpha(frame, ground.alpha)),
        "bg": _png(ground.behind),
        "mouth": _png(cavity(frame, outline)),
        "teeth": _png(teeth(frame, mesh, outline, plain=source == "drawn")),
    }
    return Rig("face", job.picture_sha256, written(values), textures)


def _measures(outline: Outline) -> dict[str, Any]:
    return {
        "right": [round(float(v), 5) for v in outline.right],
        "down": [round(float(v), 5) for v in outline.down],
        "face_height": round(outline.height, 2),
    }


def _mouth(mesh: Mesh, outline: Outline) -> dict[str, Any] | None:
    if mesh.mouth is None:
        return None
    inner, outer = mesh.mouth.rings[0], mesh.mouth.rings[1]
    left, right = outline.outer_upper[0], outline.outer_upper[-1]
    middle = LIP_STEPS // 2
    gap = float(np.linalg.norm(outline.inner_upper[middle] - outline.inner_lower[middle]))
    return {
        "corners": [int(outer[0]), int(outer[LIP_STEPS])],
        "upper": int(inner[middle]),
        "lower": int(inner[LIP_STEPS + middle]),
        "rim": inner.tolist(),
        "centre": _rounded((left + right) / 2),
        "width": round(float(np.linalg.norm(right - left)), 2),
        "gap": round(gap, 2),
        "rest_close": 1.0 if gap < _HELD_SHUT * outline.height else 0.0,
    }


def _inside(mesh: Mesh) -> list[dict[str, Any]]:
    if mesh.mouth is None:
        return []
    return [
        {"texture": "mouth", "vertices": mesh.mouth.cavity.tolist()},
        {"texture": "teeth", "vertices": mesh.mouth.teeth.tolist()},
    ]


def _eyes(mesh: Mesh, outline: Outline) -> list[dict[str, Any]]:
    return [
        {
            "corners": [int(eye.rings[0][0]), int(eye.rings[0][LID_STEPS])],
            "upper": int(eye.rings[0][LID_STEPS // 2]),
            "lower": int(eye.rings[0][LID_STEPS + LID_STEPS // 2]),
            "iris": _rounded(seen.iris),
            "width": round(seen.width, 2),
        }
        for eye, seen in zip(mesh.eyes, outline.eyes, strict=True)
    ]


# ── a mascot ─────────────────────────────────────────────────────────────────────────────


def _mascot_rig(job: Job, made: Mascot) -> Rig:
    count = len(made.mesh.points)
    relief = Relief(np.zeros(count), made.head, np.zeros(count))
    kept = _moving(made.mesh, made.head, made.shapes, made.ground.alpha)
    centre, radius, colour = made.glow
    values = {
        **_common(job, "mascot", "none", made.mesh, relief, made.shapes, kept),
        "right": [1.0, 0.0],
        "down": [0.0, 1.0],
        "face_height": round(made.height, 2),
        "mouth": None if made.outline is None else _mouth(made.mesh, made.outline),
        "inside": _inside(made.mesh),
        "eyes": [],
        "pivot": _rounded(made.base),
        "glow": {
            "centre": _rounded(centre),
            "radius": round(radius, 2),
            "colour": list(colour),
        },
    }
    textures = {
        "fg": _png(_with_alpha(made.image, made.ground.alpha)),
        "bg": _png(made.ground.behind),
    }
    if made.outline is not None:
        textures["mouth"] = _png(cavity(made.image, made.outline))
        textures["teeth"] = _png(teeth(made.image, made.mesh, made.outline, plain=True))
    return Rig("mascot", job.picture_sha256, written(values), textures)


# ── what both have ───────────────────────────────────────────────────────────────────────


def _common(  # noqa: PLR0917 - What a document is made of.
    job: Job,
    kind: str,
    source: str,
    mesh: Mesh,
    relief: Relief,
    shapes: Shapes,
    kept: Indices,
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": kind,
        "picture": job.picture_sha256,
        "source": source,
        "frame": list(FRAME),
        "vertices": np.round(mesh.points, 2).reshape(-1).tolist(),
        "depth": np.round(relief.depth, 2).tolist(),
        "head": np.round(np.clip(relief.head, 0, 1), 3).tolist(),
        "triangles": kept.reshape(-1).tolist(),
        "shapes": sparse(shapes),
    }


def _moving(mesh: Mesh, head: Array, shapes: Shapes, alpha: Any) -> Indices:
    """Leave out triangles that show nothing, or never move: the ground shows their pixels."""
    moves = head > 5e-4
    for each in shapes.values():
        moves |= np.abs(each).max(1) > 0.02
    kept = mesh.triangles[moves[mesh.triangles].any(1)]
    if alpha is None:
        return kept
    seen = cv2.dilate((alpha > 0.01).astype(np.uint8), np.ones((9, 9), np.uint8))
    total = cv2.integral(seen)
    wide, tall = FRAME
    corners = mesh.points[kept]
    low = np.clip(np.floor(corners.min(1)), 0, [wide, tall]).astype(int)
    high = np.clip(np.ceil(corners.max(1)), 0, [wide, tall]).astype(int)
    (x0, y0), (x1, y1) = low.T, high.T
    shown = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
    return np.asarray(kept[shown > 0])


def _with_alpha(frame: Pixels, alpha: Any) -> Pixels:
    full = np.full(frame.shape[:2], 255, np.uint8)
    if alpha is not None:
        full = np.asarray(np.clip(alpha, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.dstack([frame, full])


def _rounded(point: Array) -> list[float]:
    return [round(float(point[0]), 2), round(float(point[1]), 2)]


def _png(pixels: Pixels) -> bytes:
    if pixels.shape[2] == 4:
        ordered = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA)
    else:
        ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, made = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    if not done:
        raise PermanentError("A rig's picture can't be encoded.")
    return made.tobytes()


def decoded(png: bytes) -> tuple[Pixels, Pixels | None]:
    """Answer the RGB of a PNG that `imaging` made, and its alpha where it has any.

    Raises:
        PermanentError: It is none.
    """
    found = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.ndim != 3:
        raise PermanentError("The picture can't be decoded.")
    if found.shape[2] == 3:
        return np.asarray(found[:, :, ::-1], np.uint8).copy(), None
    alpha = np.asarray(found[:, :, 3], np.uint8).copy()
    image = np.asarray(found[:, :, 2::-1], np.uint8).copy()
    return image, None if int(alpha.min()) > 250 else alpha


# ── as a program ─────────────────────────────────────────────────────────────────────────


def main() -> None:
    cv2.setNumThreads(1)
    given, _, png = sys.stdin.buffer.read().partition(b"\n")
    options = json.loads(given)
    work = options.pop("work")
    models = options.pop("models")
    job = Job(**options, models=None if models is None else Path(models))
    try:
        image, alpha = decoded(png)
        answer = _points(job, image) if work == "points" else packed(build(job, image, alpha))
    except PermanentError as error:
        sys.stderr.write(str(error))
        sys.exit(REFUSED)
    sys.stdout.buffer.write(answer)


def _points(job: Job, image: Pixels) -> bytes:
    marker = None if job.models is None else Landmarker(job.models)
    outline, source = found_outline(job, image, marker)
    points = {} if outline is None else named(outline)
    return json.dumps({"source": source, "points": points}).encode()


if __name__ == "__main__":
    main()
