"""Draws a rig as its document says, plainly and slowly: what a renderer of ours is held to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from locum.ports import Rig

Frame = npt.NDArray[np.float32]
"""RGB, (720, 1280, 3), 0 to 255."""


@dataclass(frozen=True)
class Pose:
    """Weights of shapes, and the head's turn (radians) and shift (pixels)."""

    weights: Mapping[str, float] = field(default_factory=dict)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)


REST = Pose()


def texture(rig: Rig, name: str) -> Frame:
    """Decode one of a rig's pictures to RGB or RGBA."""
    found = cv2.imdecode(np.frombuffer(rig.textures[name], np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    order = [2, 1, 0, 3][: found.shape[2]]
    return np.asarray(found[:, :, order], np.float32)


def posed(document: Mapping[str, Any], pose: Pose) -> npt.NDArray[np.float64]:
    """Answer where every vertex is: (n, 2)."""
    points = np.array(document["vertices"], np.float64).reshape(-1, 2)
    weights = dict(pose.weights)
    mouth = document["mouth"]
    if mouth is not None and mouth["rest_close"]:
        shut = mouth["rest_close"] * max(0.0, 1 - 3.5 * weights.get("jaw", 0.0))
        weights["close"] = max(weights.get("close", 0.0), shut)
    for name, weight in weights.items():
        shape = document["shapes"][name]
        points[shape["vertices"]] += weight * np.array(shape["moves"]).reshape(-1, 2)
    pivot = np.array(document["pivot"])
    head = np.array(document["head"])
    x, y = (points - pivot).T
    z = -np.array(document["depth"])
    turned_x = x * np.cos(pose.yaw) + z * np.sin(pose.yaw)
    z = z * np.cos(pose.yaw) - x * np.sin(pose.yaw)
    turned_y = y * np.cos(pose.pitch) - z * np.sin(pose.pitch)
    x, y = x + (turned_x - x) * head, y + (turned_y - y) * head
    cos, sin = np.cos(pose.roll * head), np.sin(pose.roll * head)
    moved = np.column_stack([x * cos - y * sin, x * sin + y * cos])
    return np.asarray(pivot + moved + np.outer(head, pose.shift))


def drawn(
    rig: Rig, pose: Pose = REST, *, box: tuple[int, int, int, int] | None = None
) -> Frame:
    """Draw a rig, or of it only what touches `box` (left, upper, right, lower): that is quicker."""
    document = json.loads(rig.document)
    points = posed(document, pose)
    flat = np.array(document["vertices"], np.float64).reshape(-1, 2)
    frame: Frame = texture(rig, "bg")[:, :, :3].copy()
    for quad in document["inside"]:
        picture = texture(rig, quad["texture"])
        height, width = picture.shape[:2]
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
        at = points[quad["vertices"]]
        for three in ([0, 1, 2], [1, 3, 2]):
            _triangle(frame, picture, corners[three], at[three])
    foreground = texture(rig, "fg")
    for corners_of in np.array(document["triangles"]).reshape(-1, 3):
        three = corners_of.tolist()
        if box is not None and not _touches(points[three], box):
            continue
        _triangle(frame, foreground, flat[three], points[three])
    return frame


def _touches(at: npt.NDArray[Any], box: tuple[int, int, int, int]) -> bool:
    (left, upper), (right, lower) = at.min(0), at.max(0)
    return bool(left < box[2] and right > box[0] and upper < box[3] and lower > box[1])


def _triangle(
    frame: Frame, picture: Frame, source: npt.NDArray[Any], at: npt.NDArray[Any]
) -> None:
    height, width = frame.shape[:2]
    low = np.clip(np.floor(at.min(0)), 0, None).astype(int)
    high = np.minimum(np.ceil(at.max(0)).astype(int) + 1, [width, height])
    matrix = np.column_stack([at, np.ones(3)])
    if (high <= low).any() or abs(np.linalg.det(matrix)) < 1e-3:
        return
    back = np.linalg.solve(matrix, np.column_stack([source, np.eye(3)]))
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
    found = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], 1) @ back
    inside = (found[:, 2:] >= -1e-9).all(1).reshape(x.shape)
    u, v = (found[:, axis].reshape(x.shape).astype(np.float32) - 0.5 for axis in (0, 1))
    seen = cv2.remap(picture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = inside[..., None].astype(np.float32)
    if picture.shape[2] == 4:
        alpha = alpha * seen[..., 3:] / 255
    part = frame[low[1] : high[1], low[0] : high[0]]
    part[:] = part * (1 - alpha) + seen[..., :3] * alpha
