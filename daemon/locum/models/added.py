"""Models of the user's own: a folder that stays where it is, and the hash of every file in it.

No list of ours knows what such a model is, or under which licence: its user does. What is kept
is that it stays what it was when it was added. A file that changed since, came or went makes the
whole model unusable until its user says anew that it is theirs.
"""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from locum.errors import PermanentError
from locum.files import UnreadableError, open_regular, read_regular, replace_file
from locum.models.catalogue import catalogue
from locum.models.kept import HOME, folder_of, is_pulled

_SUFFIX = ".added.json"
_MOST_FILES = 5_000
"""espeak-ng's data alone, which many voices carry along, are some 350."""
_LARGEST = 8 << 30
_LARGEST_RECORD = 4 << 20
_CHUNK = 1 << 20

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Added(BaseModel):
    """What was added: where it lies, and the SHA-256 of each file, by its path in there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    licence: str = Field(max_length=200)
    added_at: AwareDatetime
    size: int
    files: dict[str, _Sha256]


def add(state: Path, name: str, folder: Path, *, licence: str, now: datetime) -> Added:
    """Take note of a folder and of every file in it, in the place of an earlier one of that name.

    Raises:
        PermanentError: The name is one of the list's, or there is nothing that could be used.
    """
    if name in catalogue():
        raise PermanentError(
            f'"{name}" is a model of locum\'s own list; give this one another name.'
        )
    place = folder.expanduser().absolute()
    files, size = _looked_at(place)
    made = Added(folder=place, licence=licence, added_at=now, size=size, files=files)
    record = _record(state, name)
    try:
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(record, made.model_dump_json(indent=1).encode())
    except OSError as error:
        raise PermanentError(f"{record} can't be written: {error.strerror}.") from error
    return made


def added(state: Path) -> dict[str, Added]:
    """Answer the models that were added, by name; what can't be read is none."""
    found = {}
    for record in sorted((state / HOME).glob(f"*{_SUFFIX}")):
        made = _read(record)
        if made is not None:
            found[record.name.removesuffix(_SUFFIX)] = made
    return found


def forget(state: Path, name: str) -> bool:
    """Take a model off the list; its folder stays. Answers whether it was there.

    Raises:
        OSError: It can't be deleted.
    """
    record = _record(state, name)
    if not record.is_file():
        return False
    record.unlink()
    return True


def change_in(made: Added) -> str:
    """Say what in a model's folder isn't as it was added; nothing if all is. Reads all of it."""
    try:
        files, _ = _looked_at(made.folder)
    except PermanentError as error:
        return str(error).rstrip(".")
    for path in sorted({*files, *made.files}):
        if path not in files:
            return f"{path} is gone"
        if path not in made.files:
            return f"{path} wasn't there when it was added"
        if files[path] != made.files[path]:
            return f"{path} was changed since it was added"
    return ""


def find_model(state: Path, name: str) -> Path:
    """Answer the folder of a pulled or added model, or of one that is named by its path.

    What was pulled or added is held to its hashes, which reads all of it: not on a loop.

    Raises:
        PermanentError: There is none, or it isn't what it was; the message has the next step.
    """
    if "/" in name:
        place = Path(name).expanduser()
        if not place.is_dir():
            raise PermanentError(f"There is no folder {place}, where a model should be.")
        return place
    if name in catalogue():
        if not is_pulled(state, name):
            step = f"Fetch it: `locum models pull {name}`."
            raise PermanentError(f"The model {name} isn't here, or not whole. {step}")
        return folder_of(state, name)
    made = _read(_record(state, name))
    if made is None:
        known = ", ".join([*catalogue(), *added(state)])
        raise PermanentError(
            f'There is no model "{name}"; there is: {known}. A model of yours is added with '
            f"`locum models add {name} FOLDER`."
        )
    trouble = change_in(made)
    if trouble:
        raise PermanentError(
            f"The model {name} isn't used: {trouble}. If that was you, add it anew: `locum "
            f"models add {name} {made.folder}`."
        )
    return made.folder


def _record(state: Path, name: str) -> Path:
    return state / HOME / f"{name}{_SUFFIX}"


def _read(record: Path) -> Added | None:
    try:
        content, _ = read_regular(record, limit=_LARGEST_RECORD, follow=False)
        return Added.model_validate_json(content)
    except (UnreadableError, ValidationError):
        return None


def _looked_at(folder: Path) -> tuple[dict[str, str], int]:
    """Hash every file below a folder; links are followed to files, and to no folder."""
    if not folder.is_dir():
        raise PermanentError(f"There is no folder {folder}.")
    files: dict[str, str] = {}
    size = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue  # A file manager's, or a version control's.
            path = Path(parent, name)
            digest, length = _digest(path)
            files[str(path.relative_to(folder))] = digest
            size += length
            if len(files) > _MOST_FILES or size > _LARGEST:
                raise PermanentError(
                    f"{folder} holds more than a model does ({len(files):,} files, "
                    f"{size / 1e9:.1f} GB); name the model's own folder."
                )
    if not files:
        raise PermanentError(f"{folder} is empty.")
    return files, size


def _digest(path: Path) -> tuple[str, int]:
    try:
        descriptor, status = open_regular(path)
    except UnreadableError as error:
        raise PermanentError(f"{path}: {error}.") from None
    made = hashlib.sha256()
    try:
        while chunk := os.read(descriptor, _CHUNK):
            made.update(chunk)
    except OSError as error:
        raise PermanentError(f"{path} can't be read: {error.strerror}.") from error
    finally:
        os.close(descriptor)
    return made.hexdigest(), status.st_size
