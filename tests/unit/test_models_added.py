"""Models of the user's own: used as they were added, or not at all."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from locum.errors import PermanentError
from locum.models import add, added, find_model, forget

NOW = datetime(2026, 3, 2, 9, tzinfo=timezone.utc)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    (place / "data").mkdir(parents=True)
    (place / "model.onnx").write_bytes(b"weights")
    (place / "data" / "tokens.txt").write_bytes(b"a 1\n")
    return place


@pytest.fixture
def state(tmp_path: Path, folder: Path) -> Path:
    add(tmp_path / "state", "mine", folder, licence="CC0", now=NOW)
    return tmp_path / "state"


def test_what_was_added_is_found_as_it_was(state: Path, folder: Path) -> None:
    """Its folder is answered, it is listed with its licence, and a hidden file is none of it."""
    (folder / ".directory").write_bytes(b"a file manager's")

    assert find_model(state, "mine") == folder
    [(name, made)] = added(state).items()
    assert (name, made.licence, sorted(made.files)) == (
        "mine",
        "CC0",
        ["data/tokens.txt", "model.onnx"],
    )


def test_a_changed_file_makes_it_unusable_until_it_is_added_anew(
    state: Path, folder: Path
) -> None:
    """What changed, went or came is named, with the command that takes it as it is now."""
    model = folder / "model.onnx"
    model.write_bytes(b"Weights")
    with pytest.raises(PermanentError, match=r"model\.onnx was changed.*models add mine"):
        find_model(state, "mine")
    model.unlink()
    with pytest.raises(PermanentError, match=r"model\.onnx is gone"):
        find_model(state, "mine")
    model.write_bytes(b"weights")
    (folder / "more.onnx").write_bytes(b"")
    with pytest.raises(PermanentError, match=r"more\.onnx wasn't there"):
        find_model(state, "mine")

    add(state, "mine", folder, licence="", now=NOW)
    assert find_model(state, "mine") == folder


def test_an_unknown_model_is_told_what_there_is(state: Path) -> None:
    """A name that isn't there says which are, and how one of yours comes to be."""
    with pytest.raises(PermanentError, match=r"voice-joe, mine\. .*models add myne FOLDER"):
        find_model(state, "myne")
    with pytest.raises(PermanentError, match=r"models pull voice-joe"):
        find_model(state, "voice-joe")


def test_names_of_the_list_are_taken(state: Path, folder: Path) -> None:
    """A model of yours can't pass for one whose licence and hashes come with locum."""
    with pytest.raises(PermanentError, match="locum's own list"):
        add(state, "face", folder, licence="", now=NOW)


def test_forgetting_leaves_the_folder(state: Path, folder: Path) -> None:
    """Off the list, its files are where they were."""
    assert forget(state, "mine")
    assert not forget(state, "mine")
    assert (folder / "model.onnx").read_bytes() == b"weights"
