"""A drawn face for rehearsals: a persona needs an image, and nobody's photograph should do.

Written as a PNG with nothing but zlib, so that no picture is committed and no imaging
library is needed.
"""

from __future__ import annotations

import colorsys
import functools
import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

Colour = tuple[int, int, int]
Span = tuple[float, float]  #: From, to: in pixels, fractions allowed.

_INK: Colour = (52, 46, 56)
_SKIN: Colour = (247, 213, 184)
_CHEEK: Colour = (240, 178, 158)
_WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class _Ellipse:
    """In units of the image's side, as are all shapes here."""

    x: float
    y: float
    rx: float
    ry: float
    colour: Colour
    above: float = 1.0  #: Only the part above this height is drawn.

    def spans(self, y: float) -> Iterable[Span]:
        height = (y - self.y) / self.ry
        if abs(height) < 1 and y < self.above:
            half = self.rx * math.sqrt(1 - height * height)
            yield self.x - half, self.x + half


@dataclass(frozen=True)
class _Smile:
    """The lower half of a ring."""

    x: float
    y: float
    radius: float
    width: float
    colour: Colour

    def spans(self, y: float) -> Iterable[Span]:
        height = y - self.y
        outer = self.radius + self.width / 2
        inner = self.radius - self.width / 2
        if not self.radius * 0.35 < height < outer:
            return
        far = math.sqrt(outer * outer - height * height)
        near = math.sqrt(max(inner * inner - height * height, 0.0))
        yield self.x - far, self.x - near
        yield self.x + near, self.x + far


def _shapes(shirt: Colour, hair: Colour) -> tuple[_Ellipse | _Smile, ...]:
    return (
        _Ellipse(0.5, 1.08, 0.40, 0.30, shirt),
        _Ellipse(0.5, 0.80, 0.11, 0.14, _SKIN),
        _Ellipse(0.5, 0.43, 0.285, 0.315, hair),
        _Ellipse(0.5, 0.50, 0.25, 0.29, _SKIN),
        _Ellipse(0.5, 0.36, 0.255, 0.20, hair, above=0.33),
        _Ellipse(0.36, 0.57, 0.05, 0.035, _CHEEK),
        _Ellipse(0.64, 0.57, 0.05, 0.035, _CHEEK),
        _Ellipse(0.405, 0.47, 0.042, 0.046, _WHITE),
        _Ellipse(0.595, 0.47, 0.042, 0.046, _WHITE),
        _Ellipse(0.408, 0.475, 0.024, 0.028, _INK),
        _Ellipse(0.592, 0.475, 0.024, 0.028, _INK),
        _Ellipse(0.416, 0.465, 0.008, 0.009, _WHITE),
        _Ellipse(0.600, 0.465, 0.008, 0.009, _WHITE),
        _Smile(0.5, 0.555, 0.115, 0.018, _INK),
    )


def _tint(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _paint(row: bytearray, span: Span, colour: Colour) -> None:
    """Fill `span`, blending the two pixels that it covers in part."""
    start, end = max(span[0], 0.0), min(span[1], len(row) / 3)
    if end <= start:
        return
    first, last = math.ceil(start), math.floor(end)
    if last > first:
        row[first * 3 : last * 3] = bytes(colour) * (last - first)
    for pixel, cover in ((first - 1, first - start), (last, end - last)):
        if cover > 0 and 0 <= pixel < len(row) // 3:
            for channel in range(3):
                at = pixel * 3 + channel
                row[at] = round(row[at] + (colour[channel] - row[at]) * min(cover, 1.0))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return (
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body) & 0xFFFFFFFF)
    )


@functools.lru_cache(maxsize=8)
def face_png(side: int = 512, *, hue: float = 0.58) -> bytes:
    """Draw a friendly face, `side` pixels square; `hue` (0 to 1) sets the room and clothes.

    The same arguments always give the same bytes.

    Raises:
        ValueError: A side outside of 64 to 2048 pixels.
    """
    if not 64 <= side <= 2048:
        raise ValueError(f"a face of {side} pixels can't be drawn; choose 64 to 2048")
    shapes = _shapes(_tint(hue + 0.03, 0.62, 0.55), _tint(0.07, 0.55, 0.32))
    rows = bytearray()
    for line in range(side):
        y = (line + 0.5) / side
        row = bytearray(bytes(_tint(hue, 0.30 - 0.18 * y, 0.86 + 0.10 * y)) * side)
        for shape in shapes:
            for start, end in shape.spans(y):
                _paint(row, (start * side, end * side), shape.colour)
        rows += b"\x00" + row
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        # What draws nobody needs nobody's consent, and says so.
        + _chunk(b"tEXt", b"Software\0locum, drawn")
        + _chunk(b"IDAT", zlib.compress(bytes(rows), 9))
        + _chunk(b"IEND", b"")
    )
