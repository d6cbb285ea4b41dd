"""A rig's document and its file: checked whole before anything of them is believed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from locum.errors import PermanentError
from locum.persona.rigging.document import MOUTH_SHAPES, parsed, written
from locum.persona.rigging.pack import packed, unpacked
from locum.ports import Rig

PICTURE = "ab" * 32
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def values(**changes: Any) -> dict[str, Any]:
    """Answer the smallest mascot with a mouth that there can be."""
    empty: dict[str, list[float]] = {"vertices": [], "moves": []}
    made: dict[str, Any] = {
        "format": "locum rig 1", "kind": "mascot", "picture": PICTURE, "source": "none",
        "frame": [1280, 720], "vertices": [0.0, 0.0, 9.5, 0.0, 0.0, 9.0, 9.0, 9.0],
        "depth": [0.0] * 4, "head": [1.0] * 4, "triangles": [0, 1, 2, 1, 3, 2],
        "shapes": dict.fromkeys(MOUTH_SHAPES, empty), "eyes": [],
        "inside": [{"texture": "mouth", "vertices": [0, 1, 2, 3]}],
        "mouth": {
            "corners": [0, 1], "upper": 2, "lower": 3, "rim": [0, 1, 2, 3], "centre": [4, 4],
            "width": 9.0, "gap": 0.0, "rest_close": 1.0,
        },
        "pivot": [5.0, 9.0], "right": [1.0, 0.0], "down": [0.0, 1.0], "face_height": 9.0,
        "glow": {"centre": [5, 5], "radius": 4.0, "colour": [1, 2, 3]},
    }  # fmt: skip
    return made | changes


def rig(**changes: Any) -> Rig:
    textures = {"fg": PNG, "bg": PNG, "mouth": PNG}
    return Rig("mascot", PICTURE, written(values(**changes)), textures)


def test_a_document_reads_as_it_was_written() -> None:
    """Its bytes are the same every time, and short."""
    content = written(values())

    assert written(json.loads(content)) == content
    assert parsed(content).mouth is not None
    assert b" " not in content.replace(b"locum rig 1", b"")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": "locum rig 2"}, "format"),
        ({"frame": [640, 360]}, "frame"),
        ({"depth": [0.0] * 3}, "differ in length"),
        ({"triangles": [0, 1]}, "threes"),
        ({"triangles": [0, 1, 4]}, "beyond the last vertex"),
        ({"triangles": [0, 1, -1]}, "triangles"),
        ({"vertices": [1e9] * 8}, "vertices"),
        ({"head": [2.0] * 4}, "head"),
        ({"shapes": {}}, "no shape"),
        ({"shapes": {"jaw": {"vertices": [0], "moves": [1.0]}}}, "other moves than vertices"),
        ({"kind": "face"}, "no shape"),
        ({"script": "x"}, "script"),
        ({"picture": "../../x"}, "picture"),
    ],
)
def test_what_can_not_be_a_rig_is_refused(changes: dict[str, Any], told: str) -> None:
    """Each with the part that is wrong."""
    with pytest.raises(PermanentError, match=told):
        parsed(json.dumps(values(**changes)).encode())


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff\xfe", b"{}", b"x" * (3 << 20)])
def test_what_is_no_document_is_refused(content: bytes) -> None:
    """Whatever its bytes are, and however many."""
    with pytest.raises(PermanentError, match="document"):
        parsed(content)


def test_a_packed_rig_is_the_same_every_time() -> None:
    """When and where it was packed is not in it."""
    assert packed(rig()) == packed(rig())
    assert unpacked(packed(rig())) == rig()


def _zipped(parts: dict[str, bytes], **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def _whole() -> dict[str, bytes]:
    return {"rig.json": written(values()), "fg.png": PNG, "bg.png": PNG, "mouth.png": PNG}


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"PK\x03\x04 and no more",
        lambda: packed(rig())[:-200],
        lambda: _zipped({**_whole(), "../../etc/passwd": b"x"}),
        lambda: _zipped(_whole(), compression=zipfile.ZIP_DEFLATED),
        lambda: _zipped({k: v for k, v in _whole().items() if k != "mouth.png"}),
        lambda: _zipped({**_whole(), "fg.png": b"GIF89a"}),
        lambda: _zipped({"fg.png": PNG}),
        lambda: _zipped({**_whole(), "rig.json": b"{"}),
    ],
)
def test_a_file_that_is_no_rig_is_refused(make: Callable[[], bytes]) -> None:
    """What is cut short, packed otherwise, or holds anything else."""
    with pytest.raises(PermanentError, match=r"rig"):
        unpacked(make())
