"""The scripts that draw a face in a page, as one text to put into a function of one's own."""

from __future__ import annotations

from importlib import resources

_DRAWING = (
    "face-mascot.js",
    "face-mesh.js",
    "face-motion.js",
    "face-outline.js",
    "face-patch.js",
    "face-raster.js",
    "face.js",
)
"""In any order: none uses another's names before all are there. All names begin with face,
Face or FACE, but `createFace`."""


def face_source() -> str:
    """Answer what defines `createFace` (see face.js) in the scope that it is put into.

    It takes nothing from the page, leaves nothing there, and needs neither eval nor
    WebAssembly; in a Worker it works as it is.
    """
    return "\n".join(read_script(name) for name in _DRAWING)


def read_script(name: str) -> str:
    """Answer one of this package's scripts."""
    scripts = resources.files("locum.engines.chromium") / "scripts"
    return (scripts / name).read_text(encoding="utf-8")
