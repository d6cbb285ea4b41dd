"""From somebody's file to a face that engines take, and what a meeting will see of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from locum.errors import PermanentError
from locum.files import UnreadableError, read_regular
from locum.persona.bounded import Limits, OverLimitError, run_bounded
from locum.persona.folder import LARGEST_IMAGE, SMALLEST_IMAGE, FaceKind

_SCRIPT = Path(__file__).with_name("imaging.py")
_REFUSED = 3
_LIMITS = Limits(memory=768 << 20, output=32 << 20, cpu_s=15, wall_s=30.0)
_UPRIGHT = Limits(memory=768 << 20, output=80 << 20, cpu_s=15, wall_s=30.0)
LARGEST_SOURCE = 32 << 20


def read_picture(path: Path) -> bytes:
    """Read the file of a picture, whatever lies there.

    Raises:
        PermanentError: It is no file, or too large.
    """
    try:
        content, status = read_regular(path, limit=LARGEST_SOURCE + 1, follow=False)
    except UnreadableError as error:
        raise PermanentError(f"{path}: {error}.") from None
    if len(content) > LARGEST_SOURCE:
        raise PermanentError(
            f"{path} has {status.st_size:,} bytes; 32 MB are the most. Save it smaller."
        )
    return content


def make_face(content: bytes, kind: FaceKind, *, named: str) -> tuple[str, bytes]:
    """Make a face of a picture's bytes; answers its file's name in a persona's folder.

    A photograph is cut to a square around its upper middle; what was drawn is set whole on its
    own ground. The same picture always gives the same bytes.

    Raises:
        PermanentError: It can't be one; the message begins with `named` and says why.
    """
    photo = kind is FaceKind.PHOTO
    crop = kind in {FaceKind.PHOTO, FaceKind.GENERATED}
    made = _imaged("face", content, {"photo": photo, "crop": crop}, named=named)
    if not SMALLEST_IMAGE < len(made) <= LARGEST_IMAGE:
        raise PermanentError(f"{named}: nothing is to be seen on it ({len(made)} bytes).")
    return ("face.jpg" if photo else "face.png"), made


def tile_png(face: bytes, tile: str) -> bytes:
    """Draw a face as a meeting shows it: a PNG of 1280 × 720 pixels, with the name below.

    Raises:
        PermanentError: The face can't be decoded.
    """
    return _imaged("tile", face, {"name": tile}, named="The face")


def upright_png(content: bytes, *, named: str) -> bytes:
    """Answer a picture's pixels as a PNG: upright, in sRGB, RGB or RGBA, at its own size.

    Raises:
        PermanentError: It can't be decoded, or is too large; the message begins with `named`.
    """
    return _imaged("upright", content, {}, named=named, limits=_UPRIGHT)


def _imaged(
    work: str,
    content: bytes,
    options: dict[str, Any],
    *,
    named: str,
    limits: Limits = _LIMITS,
) -> bytes:
    command: list[str | Path] = [sys.executable, "-I", _SCRIPT, work, json.dumps(options)]
    try:
        done = run_bounded(command, limits=limits, stdin=content)
    except OverLimitError as error:
        raise PermanentError(f"{named} can't be used: {error}.") from None
    if done.status == _REFUSED:
        raise PermanentError(f"{named} can't be used: {' '.join(done.errors.split())[:500]}.")
    if done.status != 0:
        last = done.errors.strip().rpartition("\n")[2][:200]
        raise PermanentError(f"{named} can't be used: reading it fails ({last}).")
    return done.output
