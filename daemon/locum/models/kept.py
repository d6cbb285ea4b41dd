"""What was pulled: where it lies, whether it is whole, and taking it away again."""

from __future__ import annotations

import shutil
from pathlib import Path

from locum.core.identity import sha256
from locum.files import UnreadableError, read_regular
from locum.models.catalogue import Model, catalogue

HOME = "models"


def folder_of(state: Path, name: str) -> Path:
    """Answer where a model lies, or would."""
    return state / HOME / name


def trouble_with(folder: Path, model: Model) -> str:
    """Say what is wrong with a pulled model; nothing if all of it is what the list says."""
    for part in model.files:
        try:
            content, _ = read_regular(folder / part.name, limit=part.size + 1, follow=False)
        except UnreadableError as error:
            return f"{part.name}: {error}"
        if sha256(content) != part.sha256:
            return f"{part.name}: its hash is another one than the list says"
    return ""


def is_pulled(state: Path, name: str) -> bool:
    """Whether a model is here, whole; reads all of it."""
    return not trouble_with(folder_of(state, name), catalogue()[name])


def pulled_folder(state: Path, name: str) -> Path | None:
    """Answer the folder of a model that is here and whole, or None."""
    return folder_of(state, name) if is_pulled(state, name) else None


def remove(state: Path, name: str) -> bool:
    """Take a model away, and what a pull left half done; answers whether there was any of it.

    Raises:
        OSError: It can't be deleted.
    """
    home = state / HOME
    found = False
    for path in (folder_of(state, name), *home.glob(f".{name}-*"), *home.glob(f"{name}.part*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.exists() or path.is_symlink():
            path.unlink()
        else:
            continue
        found = True
    return found
