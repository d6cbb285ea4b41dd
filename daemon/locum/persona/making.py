"""Makes personas and changes them: all of a change or nothing, and each one a version."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from locum.errors import HumanNeededError, PermanentError
from locum.files import replace_file
from locum.persona.folder import (
    FACES,
    INSTRUCTIONS,
    KEPT,
    NAME,
    SETTINGS,
    VOICES,
    Settings,
    Snapshot,
    as_toml,
    explain,
    read_snapshot,
)
from locum.persona.versions import Version, held, newest_version, record, refuse_if_locked

_ABOVE = """\
A persona of locum's. Edit it, and instructions.md beside it, as you like: what changes is a
new version. With locked = true every change is refused."""
TRASH = ".trash"


def settings_of(name: str, **values: object) -> Settings:
    """Check the words of a new persona.

    Raises:
        PermanentError: One of them can't be used.
    """
    if not NAME.fullmatch(name):
        raise PermanentError(
            f"{name[:80]!r} is no name for a persona: letters, digits and _.- are, 64 at most."
        )
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise PermanentError(f"{explain(error)}.") from None


def create(
    folder: Path,
    settings: Settings,
    *,
    face: tuple[str, bytes],
    instructions: str,
    at: datetime,
) -> Version:
    """Make a persona's folder; it is there whole, or not at all.

    Raises:
        PermanentError: There is one already, or it can't be written.
        HumanNeededError: What was given can't be a persona.
    """
    if folder.exists():
        raise PermanentError(f"There is a persona in {folder} already.")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
        try:
            # Read under its own name, for the sake of messages.
            inner = draft / folder.name
            inner.mkdir(mode=0o700)
            values = settings.model_dump(mode="json")
            replace_file(inner / SETTINGS, as_toml(values, above=_ABOVE))
            replace_file(inner / INSTRUCTIONS, instructions.encode())
            replace_file(inner / face[0], face[1])
            with held(inner):
                version = record(read_snapshot(inner), at=at, why="made")
            inner.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise PermanentError(f"{folder} can't be made: {error.strerror}.") from error
    return version


def change(
    folder: Path,
    *,
    at: datetime,
    why: str,
    files: Mapping[str, bytes] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Version:
    """Put new files into a persona, and settings into its persona.toml, as one new version.

    A new face takes the place of the old one, a new recording that of the old one. What was
    edited by hand before is recorded first, as a version of its own.

    Raises:
        HumanNeededError: The persona is locked, or what comes out can't be used: then all
            stays as it was.
        PermanentError: The folder can't be written.
    """
    try:
        with held(folder):
            before = read_snapshot(folder)
            refuse_if_locked(before, newest_version(folder))
            if before.settings.locked:
                raise HumanNeededError(
                    f"The persona {folder.name} is locked, and takes no changes.",
                    hint=f"If it is meant, set locked = false in {folder / SETTINGS} first.",
                )
            record(before, at=at, why="its files were changed")
            contents = _changed(before, files or {}, settings or {})
            try:
                _write(folder, contents)
                return record(read_snapshot(folder), at=at, why=why)
            except BaseException:
                _write(folder, before.contents)
                raise
    except OSError as error:
        raise PermanentError(f"{folder} can't be changed: {error.strerror}.") from error


def _changed(
    before: Snapshot, files: Mapping[str, bytes], settings: Mapping[str, str]
) -> dict[str, bytes]:
    contents = dict(before.contents)
    for group in (FACES, VOICES):
        if any(name in files for name in group):
            contents = {name: each for name, each in contents.items() if name not in group}
    contents |= files
    for key, value in settings.items():
        contents[SETTINGS] = _with_setting(contents[SETTINGS], key, value)
    return contents


def _with_setting(content: bytes, key: str, value: str) -> bytes:
    """Set one key of a TOML file without a table, and leave every other word as it stands."""
    text, line = content.decode(), f"{key} = {json.dumps(value, ensure_ascii=False)}"
    pattern = re.compile(rf"^[ \t]*{key}[ \t]*=.*$", re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda _: line, text, count=1).encode()
    return f"{text.rstrip()}\n{line}\n".encode()


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        replace_file(folder / name, content)
    for name in KEPT:
        if name not in contents:
            (folder / name).unlink(missing_ok=True)


# ── away, and back ───────────────────────────────────────────────────────────────────────


def throw_away(folder: Path, *, at: datetime) -> Path:
    """Move a persona to the trash beside it; answers where it is now.

    Raises:
        PermanentError: There is none, or it can't be moved.
    """
    if not (folder / SETTINGS).exists():
        raise PermanentError(f"There is no persona in {folder}.")
    trash = folder.parent / TRASH
    place = trash / f"{folder.name}-{at:%Y%m%dT%H%M%SZ}"
    try:
        trash.mkdir(mode=0o700, exist_ok=True)
        folder.rename(place)
    except OSError as error:
        raise PermanentError(f"{folder} can't be moved away: {error.strerror}.") from error
    return place


def bring_back(folder: Path) -> Path | None:
    """Bring back what was thrown away last under that name; None if nothing was.

    Raises:
        PermanentError: It can't be moved.
    """
    trash = folder.parent / TRASH
    pattern = re.compile(rf"{re.escape(folder.name)}-\d{{8}}T\d{{6}}Z")
    with contextlib.suppress(FileNotFoundError):
        found = sorted(path for path in trash.iterdir() if pattern.fullmatch(path.name))
        if found:
            try:
                found[-1].rename(folder)
            except OSError as error:
                raise PermanentError(
                    f"{found[-1]} can't be brought back: {error.strerror}."
                ) from error
            return found[-1]
    return None
