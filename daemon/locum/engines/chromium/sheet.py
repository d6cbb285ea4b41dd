"""One picture with all that a face can do: every mouth, blinks, glances, turns and a nod.

For whoever wants to know, before a meeting, what others will see.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from locum.core.speech import Mouth
from locum.core.visemes import VISEMES
from locum.engines.chromium.browser import BrowserSettings
from locum.engines.chromium.easel import DrawnFace, Easel, Mood, Shot, open_easel
from locum.ports import Rig

if TYPE_CHECKING:
    from PIL.Image import Image

_SIZE = (1280, 720)
_TILE = (320, 240)
_COLUMNS = 5
_CAPTION = 26
_GAP = 8
_PAPER, _INK = (246, 246, 244), (40, 40, 44)
_WORDS = {"sil": "sil (silent)", "nn": "nn (n, l)", "PP": "PP (p, b, m)", "FF": "FF (f, v)"}


@dataclass(frozen=True)
class _Entry:
    """What stands under a tile, and how one gets there: the last of the shots is shown."""

    label: str
    shots: tuple[Shot, ...]


async def picture_sheet(rig: Rig, settings: BrowserSettings | None = None) -> bytes:
    """Draw the sheet of a rig, as a PNG; takes some seconds.

    The same rig is the same sheet.

    Raises:
        HumanNeededError: There is no browser that could draw; `hint` says what to do.
        TransientError: The browser doesn't start.
    """
    async with open_easel(settings) as easel:
        face = await easel.face(rig, *_SIZE)
        entries = [entry async for entry in _entries(rig, easel)]
        pictures = [await _picture(face, entry) for entry in entries]
    box = _box(json.loads(rig.document))
    tiles = [picture.crop(box).resize(_TILE) for picture in pictures]
    return _png(_laid_out([entry.label for entry in entries], tiles))


# ── what to show ─────────────────────────────────────────────────────────────────────────


async def _entries(rig: Rig, easel: Easel) -> Any:
    document = json.loads(rig.document)
    moments = await easel.moments(document["picture"])
    calm = moments["calm"]
    if rig.kind == "mascot":
        for entry in _mascot_entries(moments):
            yield entry
    if document["mouth"] is not None:
        for name, mouth in VISEMES.items():
            yield _Entry(_WORDS.get(name, name), (Shot(calm, mouth),))
    if rig.kind == "face":
        for entry in _face_entries(moments):
            yield entry


def _face_entries(moments: dict[str, timedelta]) -> Iterator[_Entry]:
    for label, moment in (
        ("half a blink", "half_blink"),
        ("a blink", "blink"),
        ("looks left", "left"),
        ("looks right", "right"),
        ("looks up", "up"),
        ("turned left", "turned_left"),
        ("turned right", "turned_right"),
        ("tilted", "tilted"),
    ):
        yield _Entry(label, (Shot(moments[moment]),))
    yield _nod(moments["calm"])
    speaking = Shot(moments["calm"], VISEMES["aa"], Mood(speaking=True))
    yield _Entry("speaks aloud", (speaking,))


def _mascot_entries(moments: dict[str, timedelta]) -> Iterator[_Entry]:
    calm = moments["calm"]
    for label, loud in (("silent", 0.0), ("low", 0.25), ("speaking", 0.5), ("loud", 0.85)):
        shot = Shot(calm, Mouth(jaw=loud), Mood(speaking=loud > 0))
        yield _Entry(label, (shot,))
    yield _Entry("leans left", (Shot(moments["leaning_left"]),))
    yield _Entry("leans right", (Shot(moments["leaning_right"]),))
    yield _nod(calm)


def _nod(at: timedelta) -> _Entry:
    begun = Shot(at, mood=Mood(attentive=True, nod=True))
    deepest = replace(begun, at=at + timedelta(milliseconds=250))
    return _Entry("a nod", (begun, deepest))


# ── as a picture ─────────────────────────────────────────────────────────────────────────


async def _picture(face: DrawnFace, entry: _Entry) -> Image:
    # A face forgets its mood where the clock goes back: no tile depends on the one before.
    before = Shot(entry.shots[0].at + timedelta(hours=1))
    return image_of(await face.last((before, *entry.shots)), *_SIZE)


def image_of(frame: bytes, width: int, height: int) -> Image:
    """Turn a frame in I420 (BT.601, narrow range) into an RGB image."""
    from PIL import Image

    half = (width // 2, height // 2)
    size, quarter = width * height, half[0] * half[1]
    luma = Image.frombytes("L", (width, height), frame[:size])
    chroma = [
        Image.frombytes("L", half, frame[start : start + quarter])
        .resize((width, height), Image.Resampling.BILINEAR)
        .point([_stretched(value, 128, 224) for value in range(256)])
        for start in (size, size + quarter)
    ]
    # Pillow's YCbCr is JPEG's, with the wide range.
    wide = luma.point([_stretched(value, 16, 219) for value in range(256)])
    return Image.merge("YCbCr", (wide, *chroma)).convert("RGB")


def _stretched(value: int, zero: int, span: int) -> int:
    base = 0 if span == 219 else 128
    return min(max(round((value - zero) * 255 / span) + base, 0), 255)


def _box(document: dict[str, Any]) -> tuple[int, int, int, int]:
    """Answer which part of the frame is worth a tile: the head of a face, all of a mascot."""
    width, height = _SIZE
    wanted = height
    x, y = width / 2, height / 2
    if document["kind"] == "face":
        (x, y), (down_x, down_y) = document["mouth"]["centre"], document["down"]
        tall = document["face_height"]
        x, y = x - 0.2 * tall * down_x, y - 0.2 * tall * down_y
        wanted = min(round(1.7 * tall), height)
    across = wanted * _TILE[0] // _TILE[1]
    left = min(max(round(x - across / 2), 0), width - across)
    top = min(max(round(y - wanted / 2), 0), height - wanted)
    return left, top, left + across, top + wanted


def _laid_out(labels: Sequence[str], tiles: Sequence[Image]) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    rows = -(-len(tiles) // _COLUMNS)
    across, down = _TILE[0] + _GAP, _TILE[1] + _CAPTION
    sheet = Image.new("RGB", (_COLUMNS * across + _GAP, rows * down + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=16)
    for i, (label, tile) in enumerate(zip(labels, tiles, strict=True)):
        left, top = _GAP + i % _COLUMNS * across, _GAP + i // _COLUMNS * down
        sheet.paste(tile, (left, top))
        draw.text((left + 2, top + _TILE[1] + 2), label, fill=_INK, font=font)
    return sheet


def _png(image: Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()
