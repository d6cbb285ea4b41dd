"""Pictures that become faces: what is taken, what it becomes, and what is refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from locum.errors import PermanentError
from locum.persona.avatar import make_face, read_picture, tile_png
from locum.persona.folder import FaceKind
from locum.rehearsal.face import face_png


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def scene(width: int = 800, height: int = 600, mode: str = "RGB") -> Image.Image:
    """Draw something whose left half is red and whose right half is blue."""
    image = Image.new(mode, (width, height), "red")
    ImageDraw.Draw(image).rectangle((width // 2, 0, width, height), fill="blue")
    return image


def faced(content: bytes, kind: FaceKind = FaceKind.PHOTO) -> Image.Image:
    _, made = make_face(content, kind, named="it")
    image = Image.open(io.BytesIO(made))
    image.load()
    return image


# ── what is taken ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGB"), ("PNG", "P"), ("PNG", "L"), ("PNG", "RGBA"), ("JPEG", "RGB"),
     ("JPEG", "CMYK"), ("WEBP", "RGB"), ("PNG", "1")],
)  # fmt: skip
def test_every_usual_picture_becomes_a_square(kind: str, mode: str) -> None:
    """Whatever its colours are kept as, a face is RGB, square, and not blown up."""
    image = faced(encoded(Image.effect_noise((800, 600), 90).convert(mode), kind))

    assert (image.size, image.mode, image.format) == ((600, 600), "RGB", "JPEG")


def test_a_drawing_stays_whole_on_its_ground() -> None:
    """A logo isn't cut: it is set on its own first pixel's colour, and stays lossless."""
    logo = Image.new("RGB", (900, 300), (10, 200, 30))
    ImageDraw.Draw(logo).ellipse((0, 50, 900, 250), fill="black")

    image = faced(encoded(logo), FaceKind.LOGO)

    assert (image.size, image.format) == ((900, 900), "PNG")
    assert image.getpixel((0, 0)) == (10, 200, 30)


def test_large_pictures_are_made_smaller() -> None:
    """Twelve megapixels come out as 1024 pixels each way."""
    assert faced(encoded(scene(4000, 3000), "JPEG")).size == (1024, 1024)


def test_a_picture_is_turned_upright_and_its_words_are_dropped() -> None:
    """Where, when and with what it was taken stays behind; which way is up counts first."""
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn it by 90° clockwise.
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)  # Where it was taken.
    content = encoded(scene(600, 600), "JPEG", exif=exif, comment=b"secret")

    _, made = make_face(content, FaceKind.PHOTO, named="it")

    image = Image.open(io.BytesIO(made)).convert("RGB")
    red, green, blue = image.getpixel((300, 50))  # type: ignore[misc]
    assert (red > 200, green < 60, blue < 60) == (True, True, True)
    assert b"A camera" not in made
    assert b"secret" not in made
    assert dict(Image.open(io.BytesIO(made)).getexif()) == {}


def test_what_hangs_on_behind_a_picture_is_dropped() -> None:
    """A file that is an archive as well comes out as nothing but pixels."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "secret")
    content = encoded(Image.effect_noise((300, 300), 80), pnginfo=text) + b"PK\x03\x04<script>"

    _, made = make_face(content, FaceKind.DRAWN, named="it")

    assert b"PK\x03\x04" not in made
    assert b"secret" not in made
    assert made.endswith(b"IEND\xaeB`\x82")


def test_the_same_picture_gives_the_same_bytes() -> None:
    """An import can be repeated, and its hash with it."""
    content = encoded(Image.effect_noise((300, 300), 80).convert("RGB"), "JPEG")

    assert make_face(content, FaceKind.PHOTO, named="a") == make_face(
        content, FaceKind.PHOTO, named="b"
    )


def test_a_tile_shows_the_face_and_the_name() -> None:
    """The preview is what a meeting sees; a name of any length and script draws something."""
    tile = Image.open(io.BytesIO(tile_png(face_png(256), "Robin (AI stand-in for Ål 李)" * 5)))

    assert tile.size == (1280, 720)
    assert tile.getpixel((640, 360)) != tile.getpixel((5, 5))
    assert len(tile.crop((0, 640, 1280, 720)).getcolors(10_000) or ()) > 5


# ── what is refused ──────────────────────────────────────────────────────────────────────


def png_bomb() -> bytes:
    """13,000 pixels each way in 20 KB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    head = struct.pack(">IIBBBBB", 13_000, 13_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (1626 * 13_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def animated(kind: str) -> bytes:
    frames = [scene(300, 300), Image.new("RGB", (300, 300))]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bomb": (png_bomb, "13000 × 13000 pixels, and 16 megapixels"),
    "an animated PNG": (lambda: animated("PNG"), "animated"),
    "an animated WebP": (lambda: animated("WEBP"), "animated"),
    "a GIF": (lambda: animated("GIF"), "no PNG, JPEG or WebP"),
    "a TIFF": (lambda: encoded(scene(), "TIFF"), "no PNG, JPEG or WebP"),
    "an SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>' * 99, "SVG"),
    "an SVG in XML": (lambda: b'<?xml version="1.0"?><svg onload="x()"/>', "SVG"),
    "half a PNG": (lambda: encoded(Image.effect_noise((600, 600), 90))[:90_000], "cut short"),
    "half a JPEG": (
        lambda: encoded(Image.effect_noise((600, 600), 90), "JPEG")[:60_000],
        "cut short",
    ),
    "a header alone": (lambda: encoded(scene())[:33], "can't be used"),
    "a stamp": (lambda: encoded(scene(100, 100)), "200 each way"),
    "a strip": (lambda: encoded(scene(2000, 300)), "cut out what is to be seen"),
    "a text": (lambda: b"hello" * 1000, "no PNG, JPEG or WebP"),
    "nothing": (lambda: b"", "no PNG, JPEG or WebP"),
    "a hidden program": (lambda: b"%!PS-Adobe\n(x) run\n" * 99, "no PNG, JPEG or WebP"),
}


@pytest.mark.parametrize(("make", "told"), list(HOSTILE.values()), ids=list(HOSTILE))
def test_hostile_pictures_are_refused(make: Callable[[], bytes], told: str) -> None:
    """Each with its reason, by the header where that tells, and never with a traceback."""
    with pytest.raises(PermanentError, match="can't be used") as caught:
        make_face(make(), FaceKind.PHOTO, named="it.png")

    assert told in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_only_files_are_read(tmp_path: Path) -> None:
    """Pipes, devices, links, folders and what is too large are refused without waiting."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(40 << 20)
    cases = {
        tmp_path / "pipe": "a named pipe",
        tmp_path / "link": "a symbolic link",
        tmp_path / "large": "32 MB are the most",
        tmp_path: "a folder",
        Path("/dev/zero"): "a device",
        tmp_path / "no\nsuch": "no such file",
    }
    for path, told in cases.items():
        with pytest.raises(PermanentError, match=told):
            read_picture(path)
