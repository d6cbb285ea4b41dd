"""Makes a face out of a stranger's picture; runs as a script of its own, in bounds.

`python -I imaging.py face OPTIONS < picture > face` checks the header before it decodes, turns
the picture upright, leaves every other word about it behind, and encodes it anew: what comes
out was written here, and holds nothing but pixels. Exit status 3 means that it was refused; the
reason stands on stderr. Imports nothing of locum's, to start fast and stay small.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from typing import Any, NoReturn

from PIL import Image, ImageCms, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

REFUSED = 3
MOST_PIXELS = 16_000_000
LEAST_SIDE = 200
SIDE = 1024
"""Pixels of a finished face, each way, at most; smaller ones are not blown up."""

FORMATS = ("PNG", "JPEG", "WEBP")
_TILE = (1280, 720)
_TILE_FACE = 400
_ROOM = (32, 33, 36)
_WORDS = (232, 234, 237)


def refuse(reason: str) -> NoReturn:
    sys.stderr.write(reason)
    sys.exit(REFUSED)


def opened(content: bytes) -> Image.Image:
    """Look at the header alone, and refuse what can't be a face by it."""
    if (
        content.lstrip()[:5].lower() in {b"<?xml", b"<svg ", b"<svg>"}
        or b"<svg" in content[:512]
    ):
        refuse("it is an SVG, which is a program as much as a picture; export it as PNG")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        refuse("it is no PNG, JPEG or WebP by its content; save it as one of them")
    except (OSError, SyntaxError, ValueError) as error:
        refuse(f"its header is damaged ({error})")
    width, height = image.size
    if width * height > MOST_PIXELS:
        refuse(
            f"it has {width} × {height} pixels, and 16 megapixels are the most; make it smaller"
        )
    if min(width, height) < LEAST_SIDE:
        refuse(f"it has {width} × {height} pixels; {LEAST_SIDE} each way are the least")
    if max(width, height) > 4 * min(width, height):
        refuse(f"it has {width} × {height} pixels; cut out what is to be seen")
    if getattr(image, "n_frames", 1) > 1 or getattr(image, "is_animated", False):
        refuse("it is animated; take one frame of it")
    return image


def decoded(image: Image.Image, *, keep_alpha: bool = False) -> Image.Image:
    """Decode: upright, in sRGB, without whatever else was in it, on white where it's clear."""
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        image = _in_srgb(image)
        if "A" in image.getbands() or "transparency" in image.info:
            if keep_alpha:
                clear = image.convert("RGBA")
                return Image.frombytes("RGBA", clear.size, clear.tobytes())
            ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(ground, image.convert("RGBA"))
        found = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        refuse(f"it is damaged, or cut short ({error})")
    # A new image: of the old one only pixels are taken.
    return Image.frombytes("RGB", found.size, found.tobytes())


def _in_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in {"RGB", "CMYK", "L"}:
        return image
    try:
        theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image, theirs, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return converted if converted is not None else image


def fitted(image: Image.Image, *, crop: bool) -> Image.Image:
    """Make it square: cut to the middle, a little above it, or set on its own ground."""
    width, height = image.size
    side = min(max(width, height), SIDE)
    if crop:
        least = min(width, height)
        return ImageOps.fit(
            image, (min(least, SIDE),) * 2, Image.Resampling.LANCZOS, centering=(0.5, 0.35)
        )
    ground = tuple(image.crop((0, 0, 1, 1)).tobytes())
    shown = ImageOps.contain(image, (side, side), Image.Resampling.LANCZOS)
    return ImageOps.pad(shown, (side, side), Image.Resampling.LANCZOS, color=ground)


def face(content: bytes, options: dict[str, Any]) -> bytes:
    image = fitted(decoded(opened(content)), crop=bool(options["crop"]))
    out = io.BytesIO()
    if options["photo"]:
        image.save(out, "JPEG", quality=92, subsampling=0, optimize=True)
    else:
        image.save(out, "PNG", optimize=False, compress_level=9)
    return out.getvalue()


def tile(content: bytes, options: dict[str, Any]) -> bytes:
    """Draw what the meeting sees: a dark room, the face in the middle, the name below."""
    picture = decoded(opened(content)).resize((_TILE_FACE,) * 2, Image.Resampling.LANCZOS)
    room = Image.new("RGB", _TILE, _ROOM)
    left, top = (_TILE[0] - _TILE_FACE) // 2, (_TILE[1] - _TILE_FACE) // 2
    room.paste(picture, (left, top))
    font = ImageFont.load_default(28)
    ImageDraw.Draw(room).text((32, _TILE[1] - 56), str(options["name"]), _WORDS, font=font)
    out = io.BytesIO()
    room.save(out, "PNG")
    return out.getvalue()


def upright(content: bytes, options: dict[str, Any]) -> bytes:
    """Decode a picture for a rig: a PNG of its pixels, with what of it is clear."""
    del options
    out = io.BytesIO()
    decoded(opened(content), keep_alpha=True).save(out, "PNG", compress_level=1)
    return out.getvalue()


def main() -> None:
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # `opened` looks at the size itself, and says it.
    work = {"face": face, "tile": tile, "upright": upright}[sys.argv[1]]
    content = sys.stdin.buffer.read()
    try:
        made = work(content, json.loads(sys.argv[2]))
    except MemoryError:
        refuse("it needs more memory than a picture may take")
    sys.stdout.buffer.write(made)


if __name__ == "__main__":
    main()
