"""The scripts of this package, put together into one that a page runs before its own."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

from locum.engines.chromium.face import face_source, read_script

#: What draws: one function, whose text a Worker runs too.
_PICTURE = ("pattern.js", "nameplate.js", "painting.js")
_PAGE = (
    "camera.js",
    "voice.js",
    "devices.js",
    "connections.js",
    "ears.js",
    "proof.js",
    "main.js",
)


@functools.cache
def _text(name: str) -> str:
    return read_script(name)


def _picture() -> str:
    # Faces have a scope of their own: no two names can meet.
    face = f"const createFace = (() => {{\n{face_source()}\nreturn createFace;\n}})();"
    picture = "\n".join(map(_text, _PICTURE))
    return (
        f"function pictureCode() {{\n{face}\n{picture}\nreturn {{ createStudio, serve }};\n}}\n"
    )


def worker() -> str:
    """Answer the script of a Worker that draws."""
    return f"{_picture()}pictureCode().serve(globalThis);\n"


def bundle(settings: Mapping[str, object]) -> str:
    """Answer the whole script, for pages to which `settings` apply.

    It does nothing in frames within a page, where a page has no devices (not https), and on
    origins other than `settings["origins"]`, if there are any.
    """
    page = "\n".join(map(_text, _PAGE))
    return (
        "(() => {\n"
        '"use strict";\n'
        f"const SETTINGS = {json.dumps(settings)};\n"
        f"{_text('base.js')}\n"
        "const elsewhere = SETTINGS.origins.length > 0 && "
        "!SETTINGS.origins.includes(location.origin);\n"
        "if (globalThis !== globalThis.top || !navigator.mediaDevices || elsewhere) return;\n"
        f"{_picture()}"
        f"{page}\n"
        "})();\n"
    )
