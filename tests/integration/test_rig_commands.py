"""`locum persona avatar rig` and `locum models` as a user gives the commands."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from locum.app.rigs import rig_finding, rig_store
from locum.cli.root import app
from locum.models.kept import folder_of
from locum.ports import Health, Picture
from tests.integration.painted import as_png, painted_face
from tests.logs_rig import logging_restored

pytestmark = pytest.mark.xdist_group("rigs")
WORDS = ("--display-name", "Robin", "--owner", "Alex")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let nothing of the caller's own set-up be found, nor touched."""
    for name in list(os.environ):
        if name.startswith(("LOCUM_", "XDG_")) or name.endswith("_DIRECTORY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def does(*arguments: str, code: int = 0) -> Any:
    with logging_restored():
        done = CliRunner().invoke(app, list(arguments), prog_name="locum")
    assert done.exit_code == code, done.output
    return done


def rig(*arguments: str, code: int = 0) -> Any:
    return does("persona", "avatar", "rig", *arguments, code=code)


def state(home: Path) -> Path:
    return home / ".local/state/locum"


@pytest.fixture
def robin(own_home: Path) -> Path:
    """Answer the folder of robin, whose face locum drew."""
    does("persona", "new", "robin", *WORDS)
    return state(own_home) / "personas/robin"


def test_a_new_persona_gets_a_face_that_speaks(robin: Path, own_home: Path) -> None:
    """Without any model; a second call makes nothing, and `show` and `check` name the rig."""
    made = json.loads(rig("robin", "--json").stdout)
    again = json.loads(rig("robin", "--json").stdout)

    assert (made["kind"], made["source"], made["was_there"]) == ("face", "drawn", False)
    assert again == {**made, "was_there": True}
    assert json.loads(does("persona", "show", "robin", "--json").stdout)["rig"] == made["rig"]
    assert made["rig"] in does("persona", "check", "robin").stdout
    assert (state(own_home) / "rigs" / f"{made['rig']}.rig").is_file()
    assert "a face that speaks" in rig("robin").stdout


def test_points_are_printed_corrected_and_taken(robin: Path, own_home: Path) -> None:
    """What `--points -` prints is a file that `--points` takes; the earlier rig is kept."""
    first = json.loads(rig("robin", "--json").stdout)
    printed = json.loads(rig("robin", "--points", "-").stdout)
    x, y = printed["points"]["lip_bottom"]
    printed["points"]["lip_bottom"] = [x, y + 5]
    (own_home / "mine.json").write_text(json.dumps(printed))

    made = json.loads(rig("robin", "--points", "mine.json", "--json").stdout)

    assert (made["source"], made["earlier"]) == ("points", [first["rig"]])
    printed["points"]["chin"] = [x, 1]
    (own_home / "mine.json").write_text(json.dumps(printed))
    assert "must be above chin" in rig("robin", "--points", "mine.json", code=1).stderr
    assert json.loads(rig("robin", "--json").stdout)["rig"] == made["rig"]


def test_a_photograph_without_models_is_told_what_to_do(own_home: Path) -> None:
    """Nothing is made of it, and `doctor` has the same to say."""
    photo = own_home / "me.png"
    photo.write_bytes(as_png(painted_face()))
    does("persona", "new", "ann", *WORDS, "--face", str(photo))

    told = rig("ann", code=3).stderr
    assert "locum models pull face" in told
    assert "--edit" in told
    assert not (state(own_home) / "rigs").exists()
    face = state(own_home) / "personas/ann/face.jpg"
    finding = rig_finding("ann", Picture.of(face.read_bytes()), state(own_home))
    assert finding.health is Health.WARNING
    assert "locum models pull face" in finding.next_step
    assert "No face was found" in rig("ann", "--points", "-", code=1).stderr


def test_a_logo_moves_as_a_mascot_and_has_the_mouth_that_it_is_given(own_home: Path) -> None:
    """Its kind says that there is no face; a mouth is only where it is put."""
    logo = own_home / "logo.png"
    logo.write_bytes(as_png(painted_face()))
    does("persona", "new", "acme", *WORDS, "--face", str(logo), "--kind", "logo")

    made = json.loads(rig("acme", "--json").stdout)
    store = rig_store(state(own_home))
    picture = Picture.of((state(own_home) / "personas/acme/face.png").read_bytes())
    assert (made["kind"], made["source"]) == ("mascot", "none")
    assert json.loads(store.get(picture).document)["mouth"] is None
    rig("acme", "--mouth", "320,455,120")
    assert json.loads(store.get(picture).document)["mouth"]["width"] > 50


@pytest.mark.parametrize("given", ["1,2", "a,b,c", "1,2,3,4", ""])
def test_a_mouth_is_three_numbers(robin: Path, given: str) -> None:
    """Anything else is a wrong command line; without one, it is only a look."""
    done = rig("robin", "--mouth", given, code=2 if given else 0)

    assert not given or "X,Y,W" in done.stderr


def test_ways_to_make_one_exclude_each_other(robin: Path) -> None:
    """Two of them at once are a mistake."""
    rig("robin", "--mascot", "--points", "x.json", code=2)


def test_a_locked_persona_keeps_its_rig(own_home: Path) -> None:
    """A first one is made; another one isn't."""
    does("persona", "new", "brand", *WORDS, "--locked")
    first = json.loads(rig("brand", "--json").stdout)

    assert "locked" in rig("brand", "--mascot", code=3).stderr
    assert "locked" in rig("brand", "--anew", code=3).stderr
    assert json.loads(rig("brand", "--json").stdout)["rig"] == first["rig"]


def test_a_damaged_rig_is_told_by_check(robin: Path, own_home: Path) -> None:
    """With the step that its user may take."""
    made = json.loads(rig("robin", "--json").stdout)
    file = state(own_home) / "rigs" / f"{made['rig']}.rig"
    file.chmod(0o600)
    file.write_bytes(b"x")

    assert "avatar rig robin --anew" in does("persona", "check", "robin", code=3).stdout
    assert "--anew" in rig("robin", code=3).stderr


def test_models_are_listed_and_unknown_ones_refused(own_home: Path) -> None:
    """With licence, size and what for; nobody is asked for that."""
    row = json.loads(does("models", "list", "--json").stdout)[0]

    assert (row["name"], row["licence"], row["pulled"]) == ("face", "Apache-2.0", False)
    assert row["bytes"] < row["download_bytes"]
    assert "models pull face" in does("models", "list").stderr
    assert "there is: face" in does("models", "pull", "fase", code=1).stderr
    assert "wasn't here" in does("models", "remove", "face", code=1).stderr
    assert not folder_of(state(own_home), "face").exists()


def test_an_archive_that_is_another_is_refused(own_home: Path) -> None:
    """By its hash, whatever it is called."""
    name = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
    (own_home / name).write_bytes(b"PK\x03\x04")

    told = does("models", "pull", "face", "--archive", name, code=1).stderr

    assert "none of the archives" in told
    assert not folder_of(state(own_home), "face").exists()
