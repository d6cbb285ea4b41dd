"""How near each vertex is, and how far it follows the head: what makes a flat picture turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from locum.persona.rigging.document import FRAME
from locum.persona.rigging.mesh import Mesh
from locum.persona.rigging.outline import Array, Outline

_BEHIND = 0.12
"""How far behind the plane of turning the hair's rim is, in face heights."""

_NEIGHBOURS = 6


def ramp(start: float, end: float, at: Array) -> Array:
    """Answer 0 before `start`, 1 after `end`, and smoothly between."""
    share = np.clip((at - start) / (end - start), 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


@dataclass(frozen=True)
class Relief:
    """For each vertex: `depth` in pixels, `head` from 0 to 1, `body` from 0 to 1 below the neck."""

    depth: Array
    head: Array
    body: Array


def face_relief(mesh: Mesh, outline: Outline, *, whole: bool) -> Relief:
    """Answer the relief of a face's mesh.

    Where the `whole` picture is bent, its ground is too: what follows the head fades out with
    the distance from it, to nothing at the frame's edge. Otherwise only the neck fades.
    """
    points, right, down = mesh.points, outline.right, outline.down
    offset = points - (outline.forehead + outline.chin) / 2
    across = offset @ right / (0.5 * outline.width)
    tall = offset @ down / (0.5 * outline.height)
    radius = np.hypot(across, tall)
    near = _sampled(points, outline) if outline.relief is not None else _rounded(mesh, outline)
    back = ramp(0.8, 1.35, radius)
    depth = near * (1 - back) + _BEHIND * outline.height * back
    below = (points - outline.chin) @ down / outline.height
    head = 1 - 0.92 * ramp(-0.02, 0.62, below)
    if whole:
        # Hair stands above and beside the face, so the head's middle is higher than the face's.
        lifted = (offset + 0.1 * outline.height * down) @ down / (0.5 * outline.height)
        head = head * (1 - ramp(1.45, 2.5, np.hypot(across / 1.05, lifted)))
        head = head * _off_the_edge(points)
    return Relief(depth * outline.flatness, head, ramp(0.1, 0.7, below))


def _off_the_edge(points: Array) -> Array:
    """Answer 0 at the frame's left, right and upper edges, and 1 from 90 pixels on."""
    x, y = points.T
    return np.asarray(ramp(0, 90, np.minimum(np.minimum(x, FRAME[0] - x), y + 40)))


def _sampled(points: Array, outline: Outline) -> Array:
    """Answer depth from the nearest landmarks, smoothly."""
    samples = outline.relief
    if samples is None:  # pragma: no cover - The caller has looked.
        return np.zeros(len(points))
    far = np.linalg.norm(points[:, None] - samples[None, :, :2], axis=2)
    nearest = np.argsort(far, axis=1, kind="stable")[:, :_NEIGHBOURS]
    rows = np.arange(len(points))[:, None]
    weight = 1 / (far[rows, nearest] + 0.01 * outline.height) ** 2
    depth = samples[:, 2][nearest]
    return np.asarray((weight * depth).sum(1) / weight.sum(1))


def _rounded(mesh: Mesh, outline: Outline) -> Array:
    """Answer a head's usual depth where only points are known: an egg with a nose."""
    right, down, height = outline.right, outline.down, outline.height
    offset = mesh.points - (outline.forehead + outline.chin) / 2
    across = offset @ right / (0.55 * outline.width)
    tall = offset @ down / (0.55 * height)
    egg = np.sqrt(np.clip(1 - across**2 - tall**2, 0, 1))
    eyes = (outline.eyes[0].centre + outline.eyes[1].centre) / 2
    mouth = (outline.outer_upper[0] + outline.outer_upper[-1]) / 2
    nose = mesh.points - (0.35 * eyes + 0.65 * mouth)
    bump = np.exp(
        -((nose @ right / (0.09 * height)) ** 2) - (nose @ down / (0.12 * height)) ** 2
    )
    return np.asarray(-height * (0.24 * egg + 0.09 * bump))
