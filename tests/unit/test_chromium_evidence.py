"""What is kept of a failure: bounded, for its owner's eyes, and without secrets."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from locum.engines.chromium.evidence import (
    MOST_FOLDERS,
    Evidence,
    FailureFolders,
    scrubbed,
)
from locum.engines.chromium.looks import Look, Shown

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=timezone.utc)
TOKEN = "ya29.A0AfB_byC3dEf9hIjKlMnOpQrStUv"
LOOK = Look(
    address=f"https://meet.google.com/abc-defg-hij?authuser=0&hl=en&tok={TOKEN}#x={TOKEN}",
    language="de",
    controls=(Shown(1, "button", "Return to home screen"),),
    texts=("You can't join this video call",),
)


def evidence(picture: bytes | None = b"\xff\xd8\xff jpeg") -> Evidence:
    errors = (f"Failed to load https://x.test/a?key={TOKEN}", f"bearer {TOKEN}")
    return Evidence("blocked", f"see https://x.test/?t={TOKEN}", LOOK, picture, errors)


def test_page_is_kept_as_it_was(tmp_path: Path) -> None:
    """A picture, what could be pressed, where it was, in which language, and the verdict."""
    place = FailureFolders(tmp_path).keep("abc-defg-hij", evidence(), NOW)

    assert place == tmp_path / "failures/20261128T090000Z-abc-defg-hij"
    told = json.loads((place / "page.json").read_text("utf-8"))
    assert (place / "page.jpg").read_bytes() == b"\xff\xd8\xff jpeg"
    assert (told["verdict"], told["locale"], told["screen"]) == ("blocked", "de", "blocked")
    assert told["address"] == "https://meet.google.com/abc-defg-hij"
    assert told["buttons"] == [{"role": "button", "name": "Return to home screen"}]


def test_no_secret_is_kept_and_nobody_else_may_read(tmp_path: Path) -> None:
    """Whatever the page's errors and addresses hold."""
    place = FailureFolders(tmp_path).keep("abc-defg-hij", evidence(), NOW)

    assert place is not None
    assert TOKEN not in (place / "page.json").read_text("utf-8")
    assert {each.stat().st_mode & 0o777 for each in place.iterdir()} == {0o600}
    assert {place.stat().st_mode & 0o777, place.parent.stat().st_mode & 0o777} == {0o700}


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    """A room that can't be entered all day long fills no disk."""
    folders = FailureFolders(tmp_path)
    for minute in range(MOST_FOLDERS + 5):
        folders.keep("r", evidence(None), NOW + timedelta(minutes=minute))

    kept = sorted(each.name for each in (tmp_path / "failures").iterdir())
    assert len(kept) == MOST_FOLDERS
    assert kept[0].startswith("20261128T090500Z")


@pytest.mark.parametrize("room", ["../../etc", "a/b", "", "\0"])
def test_room_names_no_other_place(tmp_path: Path, room: str) -> None:
    """A folder's name is made of what a code is made of."""
    place = FailureFolders(tmp_path).keep(room, evidence(b"x" * 3_000_000), NOW)

    assert place is not None
    assert place.parent == tmp_path / "failures"
    assert [each.name for each in place.iterdir()] == ["page.json"]


def test_disk_that_takes_nothing_costs_the_evidence_alone(tmp_path: Path) -> None:
    """The verdict stands without it."""
    (tmp_path / "failures").write_text("in the way")

    assert FailureFolders(tmp_path).keep("r", evidence(), NOW) is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("GET https://h.test/p?q=1 failed", "GET https://h.test/p failed"),
        ("The microphone is off", "The microphone is off"),
        (TOKEN, "(left out)"),
        ("x " * 400, ("x " * 400)[:300]),
    ],
)
def test_scrubbing_takes_tokens_and_leaves_words(text: str, kept: str) -> None:
    """What a person needs to understand it stays."""
    assert scrubbed(text) == kept
