"""Finds a face's landmarks with models that OpenCV runs: where it is, its mesh, its irises.

The models are those of MediaPipe 0.10.21 (Apache-2.0), as `locum models pull face` fetches them:
BlazeFace for short distances, the face mesh of 468 points, the irises with their lids, and who
is in front of what. All take RGB, 128, 192, 64 and 256 pixels square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from locum.persona.rigging.framing import Pixels
from locum.persona.rigging.layers import Plane
from locum.persona.rigging.mesh import ring_of, widened
from locum.persona.rigging.outline import (
    LEFT_LIDS,
    LID_STEPS,
    RIGHT_LIDS,
    Array,
    Outline,
    from_landmarks,
)
from locum.persona.rigging.relief import ramp

DETECTION = "face_detection_short_range.tflite"
MESH = "face_landmark.tflite"
IRIS = "iris_landmark.tflite"
PERSON = "selfie_segmentation.tflite"
MODELS = (DETECTION, MESH, IRIS, PERSON)

_LEAST_SCORE = 0.5
_LEAST_FACE = 0.0
"""The mesh's own word on whether that was a face, as a logit: a cat gets -2.8."""

_LID_RIM = 0.045  #: Of an eye's width.

_ZOOMS = (1.0, 1.6, 0.6)
"""How the picture is laid before the detector, which wants a face of a fifth of it or more."""


@dataclass(frozen=True)
class _Patch:
    """A turned square of the picture: its middle, side and angle (radians)."""

    centre: Array
    side: float
    angle: float

    def cut(self, image: Pixels, size: int) -> tuple[Pixels, Array]:
        """Answer it at `size` pixels, and the (2, 3) matrix back into the picture."""
        half = self.side / 2
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        corners = (
            self.centre + np.array([[-half, -half], [half, -half], [-half, half]]) @ turn.T
        )
        move = cv2.getAffineTransform(
            corners.astype(np.float32), np.array([[0, 0], [size, 0], [0, size]], np.float32)
        )
        cut = cv2.warpAffine(image, move, (size, size), flags=cv2.INTER_AREA)
        return np.asarray(cut, np.uint8), np.asarray(cv2.invertAffineTransform(move))


def _back(points: Array, move: Array) -> Array:
    return np.asarray(points @ move[:, :2].T + move[:, 2])


def _blob(image: Pixels, *, signed: bool = False) -> Any:
    values = image.astype(np.float32) / 255
    if signed:
        values = values * 2 - 1
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


class Landmarker:
    """Looks for one face. `folder` holds the MODELS, whose hashes somebody else has checked."""

    def __init__(self, folder: Path) -> None:
        self._nets = {name: cv2.dnn.readNetFromTFLite(str(folder / name)) for name in MODELS}
        self._anchors = _anchors()

    def _run(self, name: str, blob: Any) -> list[Any]:
        net = self._nets[name]
        net.setInput(blob)
        names: Sequence[str] = net.getUnconnectedOutLayersNames()
        return list(net.forward(names))

    def outline(self, image: Pixels) -> Outline | None:
        """Answer the outline of the face in an RGB picture, or None if there is none."""
        found = self._detected(image)
        if found is None:
            return None
        patch, mesh = found, np.zeros((0, 3))
        for _ in range(3):  # Each pass frames the face better for the next one.
            cut, move = patch.cut(image, 192)
            outs = self._run(MESH, _blob(cut))
            raw = next(each for each in outs if each.size == 468 * 3).reshape(468, 3)
            sure = next(float(each.reshape(-1)[0]) for each in outs if each.size == 1)
            if sure < _LEAST_FACE:
                return None
            raw = raw.astype(np.float64)
            mesh = np.column_stack([_back(raw[:, :2], move), raw[:, 2] * patch.side / 192])
            low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
            eyes = mesh[263, :2] - mesh[33, :2]
            angle = float(np.arctan2(eyes[1], eyes[0]))
            patch = _Patch((low + high) / 2, float((high - low).max()) * 1.5, angle)
        left = self._eye(image, mesh, LEFT_LIDS, patch.angle, mirrored=False)
        right = self._eye(image, mesh, RIGHT_LIDS, patch.angle, mirrored=True)
        return from_landmarks(mesh, (left[0], right[0]), (left[1], right[1]))

    def _detected(self, image: Pixels) -> _Patch | None:
        height, width = image.shape[:2]
        best: tuple[float, _Patch] | None = None
        for zoom in _ZOOMS:
            side = int(max(height, width) * zoom)
            move = np.array(
                [[1, 0, (side - width) / 2], [0, 1, (side - height) / 2]], dtype=np.float32
            )
            square = cv2.resize(
                cv2.warpAffine(image, move, (side, side)),
                (128, 128),
                interpolation=cv2.INTER_AREA,
            )
            outs = self._run(DETECTION, _blob(np.asarray(square, np.uint8), signed=True))
            scores = next(each for each in outs if each.shape[-1] == 1).reshape(-1)
            boxes = next(each for each in outs if each.shape[-1] == 16).reshape(-1, 16)
            at = int(scores.argmax())
            score = float(1 / (1 + np.exp(-np.clip(scores[at], -50, 50))))
            if best is None or score > best[0]:
                box = boxes[at].astype(np.float64) / 128
                points = (box.reshape(8, 2)[[0, 2, 3]] + self._anchors[at]) * side - move[:, 2]
                line = points[2] - points[1]
                large = float(max(box[2], box[3])) * side * 1.5
                angle = float(np.arctan2(line[1], line[0]))
                best = score, _Patch(points[0], large, angle)
        return best[1] if best is not None and best[0] >= _LEAST_SCORE else None

    def _eye(
        self,
        image: Pixels,
        mesh: Array,
        lids: tuple[tuple[int, ...], tuple[int, ...]],
        angle: float,
        *,
        mirrored: bool,
    ) -> tuple[Array, Array]:
        """Answer one eye's lids (2, LID_STEPS + 1, 2) and the middle of its iris."""
        corners = mesh[[lids[0][0], lids[0][-1]], :2]
        side = float(np.linalg.norm(corners[1] - corners[0])) * 2.3
        cut, move = _Patch(corners.mean(0), side, angle).cut(image, 64)
        outs = self._run(IRIS, _blob(np.ascontiguousarray(cut[:, ::-1]) if mirrored else cut))
        iris = next(each for each in outs if each.size == 15).reshape(5, 3)[0, :2]
        contour = next(each for each in outs if each.size == 213).reshape(71, 3)[:16, :2]
        points = np.concatenate([iris[None], contour]).astype(np.float64)
        if mirrored:
            points[:, 0] = 63 - points[:, 0]
        points = _back(points, move)
        # The contour is the lower lid from the outer corner to the inner one, then the upper's
        # inside; the model knows left eyes, and sees right ones mirrored.
        lower = points[1:10]
        upper = np.concatenate([points[1:2], points[10:17], points[9:10]])
        made = np.array([upper, lower])
        if mirrored:
            made = made[:, ::-1]
        # The contour runs inside of the lids: widened, no rim of the white is left outside.
        around = widened(ring_of(made[0], made[1]), _LID_RIM * side / 2.3)
        made = np.array(
            [around[: LID_STEPS + 1], np.roll(around[::-1], 1, axis=0)[: LID_STEPS + 1]]
        )
        return made, points[0]

    def matte(self, image: Pixels) -> Plane:
        """Answer how likely each pixel of an RGB picture belongs to a person."""
        height, width = image.shape[:2]
        small = np.asarray(
            cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA), np.uint8
        )
        found = self._run(PERSON, _blob(small))[0].reshape(256, 256)
        large = cv2.resize(found, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255, dtype=np.float32)
        guided = _guided(grey, large.astype(np.float32), max(9, width // 60) | 1)
        return np.asarray(ramp(0.15, 0.85, guided.astype(np.float64)), dtype=np.float32)


def _anchors() -> Array:
    found = []
    for stride, each in ((8, 2), (16, 6)):
        cells = 128 // stride
        for y in range(cells):
            for x in range(cells):
                found += [((x + 0.5) / cells, (y + 0.5) / cells)] * each
    return np.array(found)


def _guided(guide: Plane, plane: Plane, size: int) -> Plane:
    """Let a coarse plane follow the edges of a picture (He, Sun and Tang's guided filter)."""

    def mean(values: Plane) -> Any:
        return cv2.boxFilter(values, -1, (size, size))

    guide_mean, plane_mean = mean(guide), mean(plane)
    slope = (mean(guide * plane) - guide_mean * plane_mean) / (
        mean(guide * guide) - guide_mean * guide_mean + 1e-4
    )
    return np.asarray(mean(slope) * guide + mean(plane_mean - slope * guide_mean), np.float32)
