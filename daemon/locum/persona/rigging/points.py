"""The points that a person may correct: their names, their file, and what is no face.

A file is JSON or TOML: `{"points": {"chin": [x, y], …}}`, in pixels of the picture from its upper
left corner; `locum persona avatar rig NAME --points -` prints one to start from.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from locum.errors import PermanentError
from locum.files import UnreadableError, read_regular

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Points = dict[str, tuple[float, float]]

_EYES = tuple(
    f"{side}_eye_{part}"
    for side in ("left", "right")
    for part in ("left", "right", "top", "bottom")
)
REQUIRED = (
    *_EYES, "mouth_left", "mouth_right", "lip_top", "lips_upper", "lips_lower", "lip_bottom",
    "chin",
)  # fmt: skip
"""What a face can't be built without. Left and right are as one sees them in the picture."""

OPTIONAL = (
    "left_pupil", "right_pupil", "forehead", "face_left", "face_right",
    *(f"{side}_brow_{part}" for side in ("left", "right") for part in ("left", "middle", "right")),
)  # fmt: skip
NAMES = (*REQUIRED, *OPTIONAL)

LARGEST_FILE = 4096 * 2
_ABOVE = (
    ("lip_top", "lips_upper"),
    ("lips_upper", "lips_lower"),
    ("lips_lower", "lip_bottom"),
    ("lip_bottom", "chin"),
    ("left_eye_top", "left_eye_bottom"),
    ("right_eye_top", "right_eye_bottom"),
    ("left_eye_bottom", "lip_top"),
    ("right_eye_bottom", "lip_top"),
    ("forehead", "left_eye_top"),
    ("forehead", "right_eye_top"),
    ("left_brow_middle", "left_eye_top"),
    ("right_brow_middle", "right_eye_top"),
)
_LEFT_OF = (
    ("left_eye_left", "left_eye_right"),
    ("left_eye_right", "right_eye_left"),
    ("right_eye_left", "right_eye_right"),
    ("left_eye_left", "left_pupil"),
    ("left_pupil", "left_eye_right"),
    ("right_eye_left", "right_pupil"),
    ("right_pupil", "right_eye_right"),
    ("mouth_left", "lip_top"),
    ("lip_top", "mouth_right"),
    ("face_left", "mouth_left"),
    ("mouth_right", "face_right"),
    ("face_left", "left_eye_left"),
    ("right_eye_right", "face_right"),
)
_LEAST_MOUTH = 0.02  #: Of the picture's larger side.


def read_points(path: Path) -> Points:
    """Read a file of points; `check_points` says whether they make a face.

    Raises:
        PermanentError: It can't be read, or holds anything else.
    """
    try:
        content, _ = read_regular(path, limit=LARGEST_FILE + 1)
    except UnreadableError as error:
        raise PermanentError(f"{path}: {error}.") from None
    if len(content) > LARGEST_FILE:
        raise PermanentError(f"{path}: more than {LARGEST_FILE:,} bytes; points need fewer.")
    return parsed_points(content, named=str(path))


def parsed_points(content: bytes, *, named: str) -> Points:
    """Parse JSON or TOML.

    Raises:
        PermanentError: It is neither, or holds anything but points; says all that is wrong.
    """
    try:
        text = content.decode()
        is_json = text.lstrip().startswith("{")
        values: Any = json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        told = " ".join(str(error).split())[:160]
        raise PermanentError(f"{named}: neither JSON nor TOML: {told}.") from None
    given = values.get("points", values) if isinstance(values, dict) else None
    if not isinstance(given, dict):
        raise PermanentError(f'{named}: no table of "points" in it.')
    problems, found = [], {}
    for name, value in given.items():
        if name not in NAMES:
            problems.append(f'unknown point "{str(name)[:40]}"{_near(str(name))}')
            continue
        point = _pair(value)
        if point is None:
            problems.append(f"{name}: not two numbers [x, y]")
            continue
        found[name] = point
    if problems:
        raise PermanentError(f"{named}: {'; '.join(problems[:8])}.")
    return found


def _near(name: str) -> str:
    near = difflib.get_close_matches(name[:40], NAMES, 1)
    return f'. Did you mean "{near[0]}"?' if near else ""


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    numbers = [v for v in value if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) != 2 or not all(-1e5 < v < 1e5 for v in numbers):
        return None
    return float(numbers[0]), float(numbers[1])


def check_points(points: Mapping[str, tuple[float, float]], size: tuple[int, int]) -> None:
    """Say whether points can be a face's in a picture of this width and height.

    The order of points is judged along the line of the eyes, so a tilted head is fine.

    Raises:
        PermanentError: Some are missing, outside of the picture, or out of order.
    """
    missing = [name for name in REQUIRED if name not in points]
    if missing:
        raise PermanentError(
            f"These points are missing: {', '.join(missing)}. Mark them, or let them be found "
            "(`locum models pull face`)."
        )
    width, height = size
    outside = [n for n, (x, y) in points.items() if not (0 <= x <= width and 0 <= y <= height)]
    if outside:
        raise PermanentError(
            f"Outside of the picture ({width} × {height} pixels): {', '.join(outside)}."
        )
    turned = _along_the_eyes(points)
    wrong = [
        f"{upper} must be above {lower}"
        for upper, lower in _ABOVE
        if upper in turned and lower in turned and turned[upper][1] > turned[lower][1] + 0.5
    ]
    wrong += [
        f"{left} must be left of {right}"
        for left, right in _LEFT_OF
        if left in turned and right in turned and turned[left][0] >= turned[right][0]
    ]
    if wrong:
        raise PermanentError(f"These points make no face: {'; '.join(wrong[:6])}.")
    mouth = turned["mouth_right"][0] - turned["mouth_left"][0]
    if mouth < _LEAST_MOUTH * max(size):
        raise PermanentError(
            f"The mouth is {mouth:.0f} pixels wide: nobody would see it move. Cut the picture "
            "closer to the face, and set it anew (`locum persona avatar set`)."
        )


def _along_the_eyes(points: Mapping[str, tuple[float, float]]) -> Points:
    """Answer the points with x along the line of the eyes, and y down the face."""
    left = [points[f"left_eye_{part}"] for part in ("left", "right")]
    right = [points[f"right_eye_{part}"] for part in ("left", "right")]
    x = sum(p[0] for p in right) - sum(p[0] for p in left)
    y = sum(p[1] for p in right) - sum(p[1] for p in left)
    length = (x * x + y * y) ** 0.5
    if length < 1:
        raise PermanentError("These points make no face: both eyes are in one place.")
    cos, sin = x / length, y / length
    return {n: (px * cos + py * sin, py * cos - px * sin) for n, (px, py) in points.items()}


def as_json(points: Mapping[str, tuple[float, float]], source: str) -> bytes:
    """Write points for a person to edit, one a line."""
    lines = [
        f"    {json.dumps(name)}: [{points[name][0]:g}, {points[name][1]:g}]"
        for name in NAMES
        if name in points
    ]
    body = ",\n".join(lines)
    return (
        f'{{\n  "found_by": {json.dumps(source)},\n  "points": {{\n{body}\n  }}\n}}\n'.encode()
    )


def usual_points(size: tuple[int, int]) -> Points:
    """Answer where a face often is in a picture: to be dragged from there, where none was found."""
    width, height = size
    unit, x, y = min(size) * 0.5, width / 2, height * 0.48
    found = {
        "forehead": (0.0, -0.55), "chin": (0.0, 0.55), "face_left": (-0.42, 0.0),
        "face_right": (0.42, 0.0), "mouth_left": (-0.17, 0.28), "mouth_right": (0.17, 0.28),
        "lip_top": (0.0, 0.24), "lips_upper": (0.0, 0.28), "lips_lower": (0.0, 0.285),
        "lip_bottom": (0.0, 0.34),
    }  # fmt: skip
    for side, at in (("left", -0.2), ("right", 0.2)):
        found |= {
            f"{side}_eye_left": (at - 0.09, -0.08), f"{side}_eye_right": (at + 0.09, -0.08),
            f"{side}_eye_top": (at, -0.12), f"{side}_eye_bottom": (at, -0.05),
            f"{side}_pupil": (at, -0.085), f"{side}_brow_left": (at - 0.11, -0.2),
            f"{side}_brow_middle": (at, -0.24), f"{side}_brow_right": (at + 0.11, -0.2),
        }  # fmt: skip
    return {n: (round(x + a * unit, 1), round(y + b * unit, 1)) for n, (a, b) in found.items()}
