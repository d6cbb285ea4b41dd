"""A painted face, shaded enough that landmark models take it for one; nobody's photograph."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 640
MOUTH = ((262, 455), (378, 455))
"""The lips' corners."""

EYES = ((245, 300), (395, 300))
"""The irises' middles."""

CHIN = (320, 540)


def painted_face(*, turned: float = 0.0) -> Image.Image:
    """Paint a face, looking straight ahead; `turned` are degrees about the picture's middle."""
    image = Image.new("RGB", (SIDE, SIDE), (122, 138, 150))
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 560, 580, 900), fill=(52, 70, 96))
    draw.rectangle((255, 500, 385, 620), fill=(196, 148, 122))
    draw.ellipse((130, 70, 510, 480), fill=(58, 40, 30))
    draw.ellipse((160, 120, 480, 545), fill=(222, 176, 148))
    draw.pieslice((150, 90, 490, 330), 190, 350, fill=(58, 40, 30))
    draw.ellipse((175, 190, 465, 545), fill=(226, 181, 153))
    for x, y in EYES:
        draw.ellipse((x - 48, y - 30, x + 48, y + 30), fill=(206, 158, 132))
        draw.arc((x - 58, y - 62, x + 58, y + 10), 205, 335, fill=(62, 44, 34), width=11)
        draw.ellipse((x - 36, y - 15, x + 36, y + 15), fill=(240, 238, 234))
        draw.ellipse((x - 15, y - 15, x + 15, y + 15), fill=(84, 62, 44))
        draw.ellipse((x - 7, y - 7, x + 7, y + 7), fill=(18, 14, 12))
        draw.ellipse((x + 2, y - 8, x + 7, y - 3), fill=(250, 250, 250))
        draw.arc((x - 38, y - 19, x + 38, y + 19), 190, 350, fill=(40, 28, 24), width=5)
    draw.line((306, 300, 296, 385), fill=(200, 152, 126), width=7)
    draw.ellipse((288, 365, 352, 408), fill=(214, 166, 140))
    draw.ellipse((294, 394, 312, 406), fill=(140, 92, 78))
    draw.ellipse((328, 394, 346, 406), fill=(140, 92, 78))
    (left, y), (right, _) = MOUTH
    draw.polygon(
        [(left, y), (300, y - 16), (320, y - 11), (340, y - 16), (right, y)], fill=(176, 92, 88)
    )
    draw.chord((left, y - 26, right, y + 26), 0, 180, fill=(190, 104, 98))
    draw.line((left, y, right, y), fill=(110, 48, 48), width=4)
    soft = image.filter(ImageFilter.GaussianBlur(2.2))
    shaded = np.asarray(soft, np.float32)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    light = 1.08 - 0.34 * np.abs(columns - 300) / 320 - 0.12 * np.abs(rows - 320) / 320
    grain = np.random.default_rng(7).normal(0, 2.0, shaded.shape)
    made = Image.fromarray(np.clip(shaded * light[..., None] + grain, 0, 255).astype(np.uint8))
    return made.rotate(-turned, Image.Resampling.BICUBIC, fillcolor=(122, 138, 150))


def as_png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()
