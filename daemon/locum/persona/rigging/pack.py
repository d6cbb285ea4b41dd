"""A rig as one file: its document and its pictures in a zip that is the same every time."""

from __future__ import annotations

import io
import zipfile

from locum.errors import PermanentError
from locum.persona.rigging.document import LARGEST_DOCUMENT, parsed
from locum.ports import Rig

LARGEST_RIG = 24 << 20
_DOCUMENT = "rig.json"
_TEXTURES = ("fg", "bg", "mouth", "teeth")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_PNG = b"\x89PNG\r\n\x1a\n"


def packed(rig: Rig) -> bytes:
    """Pack a rig; nothing of when or where it was made is in it."""
    parts = {_DOCUMENT: rig.document}
    parts |= {f"{name}.png": rig.textures[name] for name in sorted(rig.textures)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name, _LONG_AGO)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return out.getvalue()


def unpacked(content: bytes) -> Rig:
    """Unpack a rig, and check that its parts fit together.

    Raises:
        PermanentError: It is none, or damaged.
    """
    if len(content) > LARGEST_RIG:
        raise PermanentError(f"A rig has {len(content):,} bytes; 24 MB are the most.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {info.filename: _part(archive, info) for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise PermanentError(f"A rig is damaged: {error}.") from None
    raw = parts.pop(_DOCUMENT, b"")
    document = parsed(raw)
    textures = {name.removesuffix(".png"): part for name, part in parts.items()}
    needed = {"fg", "bg"} | {each.texture for each in document.inside}
    if set(textures) != needed or not all(p.startswith(_PNG) for p in textures.values()):
        raise PermanentError("A rig is damaged: its pictures aren't those that it names.")
    return Rig(document.kind, document.picture, raw, textures)


def _part(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    known = {_DOCUMENT, *(f"{name}.png" for name in _TEXTURES)}
    limit = LARGEST_DOCUMENT if info.filename == _DOCUMENT else LARGEST_RIG
    if (
        info.filename not in known
        or info.compress_type != zipfile.ZIP_STORED
        or info.file_size > limit
    ):
        raise ValueError(f"{info.filename[:40]!r} has no place in it")
    return archive.read(info)
