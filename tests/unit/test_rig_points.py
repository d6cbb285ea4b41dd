"""A face's points as a person writes them: read, judged, and what is wrong with them told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from locum.errors import PermanentError
from locum.persona.rigging.points import (
    NAMES,
    as_json,
    check_points,
    parsed_points,
    read_points,
    usual_points,
)


@pytest.mark.parametrize("size", [(400, 400), (1200, 300), (300, 1200)])
def test_where_a_face_usually_is_makes_a_face(size: tuple[int, int]) -> None:
    """What the page starts from, where no face was found, could be saved as it is."""
    points = usual_points(size)

    check_points(points, size)
    assert set(points) == set(NAMES)


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    """`--points -` writes what `--points FILE` takes."""
    path = tmp_path / "points.json"
    points = usual_points((640, 480))
    path.write_bytes(as_json(points, "landmarks"))

    assert read_points(path) == points
    assert json.loads(path.read_text())["found_by"] == "landmarks"


def test_toml_and_a_bare_table_do_as_well() -> None:
    """A person writes what they like to write."""
    assert parsed_points(b"[points]\nchin = [1, 2.5]\n", named="x") == {"chin": (1.0, 2.5)}
    assert parsed_points(b'{"chin": [1, 2.5]}', named="x") == {"chin": (1.0, 2.5)}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "neither JSON nor TOML"),
        (b"\xff", "neither JSON nor TOML"),
        (b'{"points": [1]}', 'no table of "points"'),
        (b'{"chim": [1, 2]}', 'unknown point "chim". Did you mean "chin"?'),
        (b'{"chin": [1]}', "chin: not two numbers"),
        (b'{"chin": [1, true]}', "chin: not two numbers"),
        (b'{"chin": [1, 1e300]}', "chin: not two numbers"),
        (b'{"chin": [NaN, 1]}', "chin: not two numbers"),
        (b'{"chin": "0,0", "lip_top": 3}', "chin: not two numbers .x, y.; lip_top"),
        (b"{" + b'"a":{' * 3000, "neither JSON nor TOML"),
    ],
)
def test_a_bad_file_is_told_with_all_that_is_wrong(content: bytes, told: str) -> None:
    """And with its name."""
    with pytest.raises(PermanentError, match=told.replace("?", r"\?")) as caught:
        parsed_points(content, named="my.json")

    assert str(caught.value).startswith("my.json: ")
    assert len(str(caught.value)) < 500


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """Thirty points need no more than a few kilobytes."""
    path = tmp_path / "points.json"
    path.write_bytes(b" " * 100_000)

    with pytest.raises(PermanentError, match="more than"):
        read_points(path)


def test_a_tilted_head_is_fine_and_one_upside_down_too() -> None:
    """Above and left of are meant along the face, not the picture."""
    points = usual_points((400, 400))
    turned = {name: (400 - y, x) for name, (x, y) in points.items()}
    over = {name: (400 - x, 400 - y) for name, (x, y) in points.items()}

    check_points(turned, (400, 400))
    check_points(over, (400, 400))


def test_both_eyes_in_one_place_are_no_face() -> None:
    """There would be no line to measure along."""
    points = usual_points((400, 400))
    for part in ("left", "right", "top", "bottom"):
        points[f"right_eye_{part}"] = points[f"left_eye_{part}"]

    with pytest.raises(PermanentError, match="one place"):
        check_points(points, (400, 400))


def test_a_mouth_that_nobody_would_see_is_refused() -> None:
    """It says what to do about it."""
    points = usual_points((400, 400))
    x, _ = points["lip_top"]
    points |= {"mouth_left": (x - 2, 260), "mouth_right": (x + 2, 260)}

    with pytest.raises(PermanentError, match="avatar set"):
        check_points(points, (400, 400))
