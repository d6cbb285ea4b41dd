"""The observer as a program: into the stage's meeting by its socket, and a file of numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from locum.rehearsal.meet import Guests
from locum.rehearsal.meet.media.observer import main
from tests.contract.meet_page_rig import a_scene

pytestmark = pytest.mark.xdist_group("meet_media")


def test_it_sees_a_person_of_the_scenario(tmp_path: Path) -> None:
    """By the display name; frames, sizes and what it heard are in the file."""
    out = tmp_path / "seen.json"
    with a_scene(media=True, guests=Guests.OPEN) as scene:
        code = main(
            [
                *(scene.page, "--seconds", "2", "--out", str(out), "--series"),
                *("--watch", "Dana Reyes", "--region", "mouth=0.4,0.5,0.2,0.2"),
            ]
        )
    assert code == 0
    report = json.loads(out.read_text())
    assert report["picture"]["count"] > 3
    assert set(report["picture"]["sizes"]) == {"320x180"}
    assert report["connected_after_s"] > 0
    assert len(report["series"]["pictures"]) == report["picture"]["count"]
    assert report["series"]["regions"] == ["whole", "mouth"]


def test_where_it_may_not_come_in_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A code that is none, a server that isn't there, an address without a meeting: one line."""
    out = ["--seconds", "1", "--out", str(tmp_path / "none.json")]
    with a_scene(media=False, guests=Guests.OPEN) as scene:
        assert main([scene.page, *out]) == 1
        assert "refused_offer" in capsys.readouterr().err
        assert main([f"{scene.url}/nonsense", *out]) == 1
        assert "error room" in capsys.readouterr().err
    assert main([scene.page, *out]) == 1
    assert scene.url in capsys.readouterr().err
    assert main(["ftp://somewhere/x", *out]) == 1
    assert "give the meeting's page" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
