"""A rig's document: written the same way every time, and checked whole before it is believed.

The format stands in the package's docstring.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from locum.errors import PermanentError

FORMAT = "locum rig 1"
FRAME = (1280, 720)
MOUTH_SHAPES = ("jaw", "upper", "lower", "wide", "pucker", "press", "close")
FACE_SHAPES = (
    *MOUTH_SHAPES, "blink0", "blink1", "gazex0", "gazex1", "gazey0", "gazey1", "brow", "breath",
)  # fmt: skip
LARGEST_DOCUMENT = 2 << 20
_MOST_VERTICES = 20_000
_MOST_INDICES = 3 * 40_000

_Number = Annotated[float, Field(ge=-10_000, le=10_000, allow_inf_nan=False)]
_Index = Annotated[int, Field(ge=0, lt=_MOST_VERTICES)]
_Pair = tuple[_Number, _Number]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Shape(_Part):
    vertices: list[_Index] = Field(max_length=_MOST_VERTICES)
    moves: list[_Number] = Field(max_length=2 * _MOST_VERTICES)


class Inside(_Part):
    texture: Literal["mouth", "teeth"]
    vertices: tuple[_Index, _Index, _Index, _Index]


class MouthPart(_Part):
    corners: tuple[_Index, _Index]
    upper: _Index
    lower: _Index
    rim: list[_Index] = Field(min_length=4, max_length=200)
    centre: _Pair
    width: _Number
    gap: _Number
    rest_close: Annotated[float, Field(ge=0, le=1)]


class Eye(_Part):
    corners: tuple[_Index, _Index]
    upper: _Index
    lower: _Index
    iris: _Pair
    width: _Number


class Glow(_Part):
    centre: _Pair
    radius: _Number
    colour: tuple[
        Annotated[int, Field(ge=0, le=255)],
        Annotated[int, Field(ge=0, le=255)],
        Annotated[int, Field(ge=0, le=255)],
    ]


class Document(_Part):
    """All of a rig but its pictures; see `locum.persona.rigging` for what each part means."""

    format: Literal["locum rig 1"]
    kind: Literal["face", "mascot"]
    picture: _Sha256
    source: Literal["landmarks", "points", "drawn", "none"]
    frame: tuple[Literal[1280], Literal[720]]
    vertices: list[_Number] = Field(max_length=2 * _MOST_VERTICES)
    depth: list[_Number] = Field(max_length=_MOST_VERTICES)
    head: list[Annotated[float, Field(ge=0, le=1)]] = Field(max_length=_MOST_VERTICES)
    triangles: list[_Index] = Field(max_length=_MOST_INDICES)
    shapes: dict[str, Shape] = Field(max_length=40)
    inside: list[Inside] = Field(max_length=4)
    mouth: MouthPart | None
    eyes: list[Eye] = Field(max_length=2)
    pivot: _Pair
    right: _Pair
    down: _Pair
    face_height: Annotated[float, Field(gt=0, le=10_000)]
    glow: Glow | None

    @model_validator(mode="after")
    def _fits_together(self) -> Document:
        count = len(self.depth)
        if len(self.vertices) != 2 * count or len(self.head) != count:
            raise ValueError("vertices, depth and head differ in length")
        if len(self.triangles) % 3:
            raise ValueError("triangles aren't threes of indices")
        for name, shape in self.shapes.items():
            if len(shape.moves) != 2 * len(shape.vertices):
                raise ValueError(f"the shape {name} has other moves than vertices")
        if max(self._indices(), default=-1) >= count:
            raise ValueError("an index beyond the last vertex")
        wanted = FACE_SHAPES if self.kind == "face" else ()
        if self.mouth is not None:
            wanted = (*wanted, *MOUTH_SHAPES)
        missing = sorted(set(wanted) - set(self.shapes))
        if missing:
            raise ValueError(f"no shape {missing[0]}")
        if self.kind == "face" and (self.mouth is None or len(self.eyes) != 2):
            raise ValueError("a face without a mouth or eyes")
        return self

    def _indices(self) -> list[int]:
        found = list(self.triangles)
        for shape in self.shapes.values():
            found += shape.vertices
        for each in self.inside:
            found += each.vertices
        if self.mouth is not None:
            found += [*self.mouth.corners, self.mouth.upper, self.mouth.lower, *self.mouth.rim]
        for eye in self.eyes:
            found += [*eye.corners, eye.upper, eye.lower]
        return found


def written(values: Mapping[str, Any]) -> bytes:
    """Write a document's values as JSON; the same values always give the same bytes.

    Raises:
        ValueError: They make no document (a mistake of the builder's).
    """
    made = Document.model_validate(values)
    return json.dumps(
        made.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def parsed(content: bytes) -> Document:
    """Read a document.

    Raises:
        PermanentError: It is none, or holds what can't be.
    """
    if len(content) > LARGEST_DOCUMENT:
        raise PermanentError(f"A rig's document has {len(content):,} bytes; 2 MB are the most.")
    try:
        return Document.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][:3]) or "it"
        raise PermanentError(f"A rig's document is damaged: {where}: {first['msg']}.") from None
