"""Has a rig built, in a bounded process of its own: a stranger's picture, and heavy libraries.

The picture is decoded by one such process (`imaging`), and what comes of it is looked at by
another (`build`): numpy and OpenCV are loaded nowhere else, and cost a daemon nothing.
"""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from locum.errors import PermanentError
from locum.persona.avatar import upright_png
from locum.persona.bounded import Limits, OverLimitError, run_bounded
from locum.persona.rigging.pack import LARGEST_RIG, unpacked
from locum.persona.rigging.points import Points, check_points
from locum.ports import Picture, Rig

_REFUSED = 3
_LIMITS = Limits(memory=6 << 30, output=LARGEST_RIG, cpu_s=60, wall_s=180.0)
_DRAWN_BY_LOCUM = b"tEXtSoftware\0locum, drawn"
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from locum.persona.rigging.build import main; main()"
)
_PACKAGES = str(Path(__file__).parents[3])


@dataclass(frozen=True)
class Wishes:
    """How a rig is to be made. Points and `mouth` (x, y, width) are pixels of the picture.

    `models` is the folder of the landmark models, or None where there are none.
    """

    models: Path | None = None
    points: Points | None = None
    mouth: tuple[float, float, float] | None = None
    is_mascot: bool = False


@dataclass(frozen=True)
class FoundPoints:
    """A face's points in its picture, whose `size` is width and height; none if there is none."""

    source: str
    points: Points
    size: tuple[int, int]


def is_own_drawing(picture: Picture) -> bool:
    """Whether it is a face that locum drew, whose points are known without any model."""
    return _DRAWN_BY_LOCUM in picture.content[:256]


def make_rig(picture: Picture, wishes: Wishes) -> Rig:
    """Build a picture's rig: 1 to 4 s of a processor, so call it beside the loop.

    The same picture, wishes and libraries give the same bytes.

    Raises:
        PermanentError: It can't be read as a picture, its points make no face, or the libraries
            aren't installed.
    """
    png = upright_png(picture.content, named="The picture")
    size = _size(png)
    if wishes.points is not None:
        # What isn't given may be found by a model, or is known: then the builder judges it.
        if wishes.models is None and not is_own_drawing(picture):
            check_points(wishes.points, size)
        else:
            known = _found(picture, png, wishes.models)
            check_points({**known.points, **wishes.points}, size)
            wishes = Wishes(wishes.models, {**known.points, **wishes.points})
    if wishes.mouth is not None:
        _check_mouth(wishes.mouth, size)
    return unpacked(_run("rig", picture, png, wishes))


def find_points(picture: Picture, models: Path | None) -> FoundPoints:
    """Find a face's points in its picture.

    Raises:
        PermanentError: It can't be read as a picture, or the libraries aren't installed.
    """
    return _found(picture, upright_png(picture.content, named="The picture"), models)


def _found(picture: Picture, png: bytes, models: Path | None) -> FoundPoints:
    answer = json.loads(_run("points", picture, png, Wishes(models)))
    points = {str(n): (float(x), float(y)) for n, (x, y) in answer["points"].items()}
    return FoundPoints(answer["source"], points, _size(png))


def _size(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def _check_mouth(mouth: tuple[float, float, float], size: tuple[int, int]) -> None:
    x, y, width = mouth
    if not (x - width / 2 >= 0 and x + width / 2 <= size[0] and 0 <= y <= size[1]):
        raise PermanentError(
            f"A mouth at {x:g},{y:g}, {width:g} wide, isn't in the picture "
            f"({size[0]} × {size[1]} pixels)."
        )
    if width < 0.04 * max(size):
        raise PermanentError(
            f"A mouth {width:g} pixels wide is too small to be seen to move: "
            f"{0.04 * max(size):.0f} are the least here."
        )


def _run(work: str, picture: Picture, png: bytes, wishes: Wishes) -> bytes:
    missing = [name for name in ("numpy", "cv2") if importlib.util.find_spec(name) is None]
    if missing:
        raise PermanentError(
            f"A face that moves needs {' and '.join(missing)}: `pip install 'locum[chromium]'`."
        )
    job = {
        "work": work,
        "picture_sha256": picture.sha256,
        "is_drawn": is_own_drawing(picture),
        "points": wishes.points,
        "mouth": wishes.mouth,
        "models": None if wishes.models is None else str(wishes.models),
        "is_mascot": wishes.is_mascot,
    }
    command: list[str | Path] = [sys.executable, "-I", "-c", _PROGRAM, _PACKAGES]
    given = json.dumps(job).encode() + b"\n" + png
    try:
        done = run_bounded(command, limits=_LIMITS, stdin=given)
    except OverLimitError as error:
        raise PermanentError(f"The picture's rig can't be built: {error}.") from None
    if done.status == _REFUSED:
        raise PermanentError(" ".join(done.errors.split())[:600])
    if done.status != 0:
        last = done.errors.strip().rpartition("\n")[2][:200]
        raise PermanentError(f"The picture's rig can't be built: building it fails ({last}).")
    return done.output
