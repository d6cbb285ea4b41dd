"""What a persona was, version by version: nothing that ever joined a meeting is overwritten.

Each version is a small manifest, `versions/0003.json`, that names its files by their SHA-256;
the files themselves are kept once each in `blobs/`. Whoever edits a persona's files by hand
makes a new version when it is next looked at; a locked persona refuses that.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from locum.core.identity import sha256
from locum.errors import HumanNeededError, PermanentError
from locum.files import UnreadableError, read_regular, replace_file
from locum.persona.folder import (
    KEPT,
    LARGEST_SAMPLE,
    SETTINGS,
    Snapshot,
    parse_toml,
    read_snapshot,
)

_VERSIONS = "versions"
_BLOBS = "blobs"
_MANIFEST = re.compile(r"(\d{4,9})\.json")
_LARGEST_MANIFEST = 16 * 1024
_HASH = r"^[0-9a-f]{64}$"


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = Field(alias="schema", ge=1, le=1)
    version: int = Field(ge=1)
    at: datetime
    why: str = Field(max_length=500)
    identity: str = Field(pattern=_HASH)
    files: dict[str, str]


@dataclass(frozen=True)
class Version:
    """One recorded state: since when (UTC), what made it, and the SHA-256 of each file."""

    number: int
    at: datetime
    why: str
    identity: str
    files: dict[str, str]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep others from changing a persona at the same time: the daemon, or another command.

    Raises:
        OSError: The folder isn't there, or can't be written.
    """
    descriptor = os.open(
        folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def versions_of(folder: Path) -> tuple[Version, ...]:
    """Answer all versions that can be read, the oldest first."""
    try:
        names = sorted(path.name for path in (folder / _VERSIONS).iterdir())
    except OSError:
        return ()
    numbers = sorted(int(match[1]) for name in names if (match := _MANIFEST.fullmatch(name)))
    found = (_read_version(folder, number) for number in numbers)
    return tuple(version for version in found if version is not None)


def newest_version(folder: Path) -> Version | None:
    found = versions_of(folder)
    return found[-1] if found else None


def _manifest_path(folder: Path, number: int) -> Path:
    return folder / _VERSIONS / f"{number:04}.json"


def _read_version(folder: Path, number: int) -> Version | None:
    path = _manifest_path(folder, number)
    try:
        content, _ = read_regular(path, limit=_LARGEST_MANIFEST, follow=False)
        manifest = _Manifest.model_validate_json(content)
    except (UnreadableError, ValidationError):
        return None
    return Version(
        manifest.version, manifest.at, manifest.why, manifest.identity, manifest.files
    )


def is_changed(snapshot: Snapshot, newest: Version | None) -> bool:
    return newest is None or newest.identity != snapshot.digest


def refuse_if_locked(snapshot: Snapshot, newest: Version | None) -> None:
    """Refuse what differs from the last version, if the persona is locked.

    Raises:
        HumanNeededError: It is, and does.
    """
    if newest is None or not snapshot.settings.locked or not is_changed(snapshot, newest):
        return
    name = snapshot.folder.name
    changed = ", ".join(changed_files(snapshot, newest)) or "its identity"
    raise HumanNeededError(
        f"The persona {name} is locked, and was changed since version {newest.number}: "
        f"{changed}.",
        hint=f"Go back with `locum persona restore {name}`; or, if it is meant, set locked = "
        f"false in {snapshot.folder / 'persona.toml'}.",
    )


def changed_files(snapshot: Snapshot, newest: Version) -> tuple[str, ...]:
    names = sorted({*snapshot.files, *newest.files})
    return tuple(n for n in names if snapshot.files.get(n) != newest.files.get(n))


def record(snapshot: Snapshot, *, at: datetime, why: str) -> Version:
    """Make what stands in the folder the newest version, unless it is already.

    Call it with the folder `held`.

    Raises:
        HumanNeededError: The persona is locked, and this would change it.
        OSError: The folder can't be written.
    """
    newest = newest_version(snapshot.folder)
    if newest is not None and not is_changed(snapshot, newest):
        return newest
    refuse_if_locked(snapshot, newest)
    folder = snapshot.folder
    for name in (_VERSIONS, _BLOBS):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    for name, digest in snapshot.files.items():
        blob = folder / _BLOBS / digest
        if not blob.exists():
            replace_file(blob, snapshot.contents[name], mode=0o400)
    version = Version(
        number=1 if newest is None else newest.number + 1,
        at=at,
        why=why[:500],
        identity=snapshot.digest,
        files=dict(snapshot.files),
    )
    manifest = {
        "schema": 1,
        "version": version.number,
        "at": at.isoformat(),
        "why": version.why,
        "identity": version.identity,
        "files": version.files,
    }
    text = json.dumps(manifest, indent=2) + "\n"
    replace_file(_manifest_path(folder, version.number), text.encode())
    return version


def restore(folder: Path, number: int | None, *, at: datetime) -> Version:
    """Bring an earlier version's files back; it becomes the newest. None takes the last one.

    Raises:
        PermanentError: There is no such version, or its files are damaged.
        HumanNeededError: The persona is locked, and the version is another one.
        OSError: The folder can't be written.
    """
    with held(folder):
        known = versions_of(folder)
        wanted = [v for v in known if number is None or v.number == number]
        if not wanted:
            there = ", ".join(str(version.number) for version in known) or "none"
            raise PermanentError(
                f"The persona {folder.name} has no version {number or ''}; there are: {there}."
            )
        version, newest = wanted[-1], known[-1]
        contents = {name: _blob(folder, name, digest) for name, digest in version.files.items()}
        if version.identity != newest.identity:
            _refuse_locked_version(folder, newest)
        for name, content in contents.items():
            replace_file(folder / name, content)
        for name in KEPT:
            if name not in contents:
                (folder / name).unlink(missing_ok=True)
        return record(read_snapshot(folder), at=at, why=f"version {version.number} restored")


def _refuse_locked_version(folder: Path, newest: Version) -> None:
    """Refuse another version than the newest of a persona that is locked.

    What stands in the folder says so, or, where that can't be read, what was recorded.
    """
    try:
        locked = read_snapshot(folder).settings.locked
    except HumanNeededError:
        recorded = _blob(folder, SETTINGS, newest.files.get(SETTINGS, ""))
        locked = parse_toml(folder, SETTINGS, recorded).get("locked", False)
    if locked:
        raise HumanNeededError(
            f"The persona {folder.name} is locked.",
            hint=f"To change it, set locked = false in {folder / SETTINGS} first.",
        )


def _blob(folder: Path, name: str, digest: str) -> bytes:
    if name not in KEPT or not re.fullmatch(_HASH, digest):
        raise PermanentError(f"The persona {folder.name}: a version's manifest is damaged.")
    try:
        content, _ = read_regular(
            folder / _BLOBS / digest, limit=LARGEST_SAMPLE + 1, follow=False
        )
    except UnreadableError as error:
        raise PermanentError(f"{folder / _BLOBS / digest}: {error}.") from None
    if sha256(content) != digest:
        raise PermanentError(f"{folder / _BLOBS / digest} is damaged: its hash is another one.")
    return content
