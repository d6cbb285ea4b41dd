"""Keeps the rigs of pictures: a rig once made is the same for ever.

In `rigs` of the state directory lie files named by the SHA-256 of what they hold, which are never
written again, and for each picture one small file that names its rig:

    rigs/1f3c….rig      a rig, packed (see `pack`)
    rigs/9a40….json     {"schema": 1, "rig": "1f3c…", "source": "landmarks", "earlier": […]}

Only a command of its user's makes a picture have another rig; the earlier one stays beside it. A
file that is damaged is an error that says what to do: built anew in silence, it could be another
face, with newer libraries or models, and nobody would have been told.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from locum.core.identity import sha256
from locum.errors import HumanNeededError, PermanentError
from locum.files import UnreadableError, read_regular, replace_file
from locum.persona.rigging.document import parsed
from locum.persona.rigging.making import (
    FoundPoints,
    Wishes,
    find_points,
    is_own_drawing,
    make_rig,
)
from locum.persona.rigging.pack import LARGEST_RIG, packed, unpacked
from locum.ports import Picture, Rig

_log = structlog.get_logger(__name__)

PULL = "locum models pull face"
_LARGEST_POINTER = 64 * 1024
_MOST_EARLIER = 500
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Pointer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(alias="schema")
    rig: _Sha256
    kind: Literal["face", "mascot"]
    source: Literal["landmarks", "points", "drawn", "none"]
    earlier: list[_Sha256] = Field(max_length=_MOST_EARLIER)


@dataclass(frozen=True)
class Kept:
    """Which rig a picture has: its SHA-256, what it is, where its points came from.

    `earlier` are those that it had before, the oldest first.
    """

    rig: str
    kind: str
    source: str
    earlier: tuple[str, ...] = ()


class RigStore:
    """A `Rigger` over the state directory. `models` is the folder of the landmark models."""

    def __init__(self, state: Path, models: Path | None = None) -> None:
        self._home = state / "rigs"
        self._models = models

    async def rig_of(self, picture: Picture) -> Rig:
        """Answer the picture's rig, making it first if there is none, beside the loop.

        A picture that has none yet, on a machine without the landmark models, moves as a
        mascot does; that isn't kept, so that its face is found once they are there.

        Raises:
            PermanentError: It can't be read as a picture, or the libraries are missing.
            HumanNeededError: Its rig is damaged.
        """
        return await asyncio.to_thread(self.get, picture)

    def get(self, picture: Picture) -> Rig:
        """Do what `rig_of` does, here and now."""
        kept = self.known(picture.sha256)
        if kept is None and self.can_look(picture):
            return self._first(picture)
        if kept is None:
            _log.warning("rig_provisional", picture=picture.sha256[:16], next_step=PULL)
            return make_rig(picture, Wishes(is_mascot=True))
        return self._load(picture.sha256, kept)

    def can_look(self, picture: Picture) -> bool:
        """Whether this machine can tell where the picture's face is, or that it has none."""
        return self._models is not None or is_own_drawing(picture)

    def points(self, picture: Picture) -> FoundPoints:
        """Find a face's points in its picture.

        Raises:
            PermanentError: It can't be read as a picture, or the libraries are missing.
        """
        return find_points(picture, self._models)

    def known(self, picture: str) -> Kept | None:
        """Answer which rig the picture of that SHA-256 has; None if none was made yet.

        Raises:
            HumanNeededError: What says it is damaged.
        """
        path = self._pointer(picture)
        try:
            content, _ = read_regular(path, limit=_LARGEST_POINTER + 1, follow=False)
        except UnreadableError as error:
            if str(error) == "no such file":
                return None
            raise _damaged(path, str(error)) from None
        try:
            found = _Pointer.model_validate_json(content)
        except ValidationError:
            raise _damaged(path, "it isn't what locum wrote") from None
        return Kept(found.rig, found.kind, found.source, tuple(found.earlier))

    def remake(self, picture: Picture, wishes: Wishes) -> tuple[Kept, Rig]:
        """Give a picture another rig, because its user says so; the one it had stays beside it.

        Raises:
            PermanentError: As `make_rig`; or it can't be written.
        """
        models = wishes.models or self._models
        made = make_rig(picture, Wishes(models, wishes.points, wishes.mouth, wishes.is_mascot))
        with self._held():
            earlier: tuple[str, ...] = ()
            with contextlib.suppress(HumanNeededError):
                before = self.known(picture.sha256)
                earlier = () if before is None else (*before.earlier, before.rig)
            return self._keep(picture, made, earlier), made

    def load(self, picture: Picture) -> Rig | None:
        """Answer the rig that the picture has, or None; makes none.

        Raises:
            HumanNeededError: It is damaged.
        """
        kept = self.known(picture.sha256)
        return None if kept is None else self._load(picture.sha256, kept)

    # ── files ────────────────────────────────────────────────────────────────────────────

    def _pointer(self, picture: str) -> Path:
        return self._home / f"{picture}.json"

    def _rig(self, digest: str) -> Path:
        return self._home / f"{digest}.rig"

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Let one process at a time make rigs, so that two never make two of one picture."""
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                self._home / ".lock",
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
            )
        except OSError as error:
            raise PermanentError(f"{self._home} can't be written: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _first(self, picture: Picture) -> Rig:
        with self._held():
            kept = self.known(picture.sha256)
            if kept is not None:  # Somebody else made it while we waited.
                return self._load(picture.sha256, kept)
            made = make_rig(picture, Wishes(self._models))
            new = self._keep(picture, made, ())
        _log.info("rig_made", picture=picture.sha256[:16], kind=new.kind, source=new.source)
        return made

    def _keep(self, picture: Picture, made: Rig, earlier: tuple[str, ...]) -> Kept:
        content = packed(made)
        digest = sha256(content)
        source = parsed(made.document).source
        others = [each for each in earlier if each != digest][-_MOST_EARLIER:]
        pointer = _Pointer(
            schema=1, rig=digest, kind=_kind(made), source=source, earlier=others
        )
        path = self._rig(digest)
        try:
            if not self._is_whole(path, digest):
                replace_file(path, content, mode=0o400)
            replace_file(
                self._pointer(picture.sha256), pointer.model_dump_json(by_alias=True).encode()
            )
        except OSError as error:
            raise PermanentError(f"{self._home} can't be written: {error.strerror}.") from error
        return Kept(digest, made.kind, source, tuple(others))

    def _is_whole(self, path: Path, digest: str) -> bool:
        try:
            content, _ = read_regular(path, limit=LARGEST_RIG + 1, follow=False)
        except UnreadableError:
            return False
        return sha256(content) == digest

    def _load(self, picture: str, kept: Kept) -> Rig:
        path = self._rig(kept.rig)
        try:
            content, _ = read_regular(path, limit=LARGEST_RIG + 1, follow=False)
        except UnreadableError as error:
            raise _damaged(path, str(error)) from None
        if sha256(content) != kept.rig:
            raise _damaged(path, "its hash is another one than its name says")
        try:
            rig = unpacked(content)
        except PermanentError as error:
            raise _damaged(path, str(error)) from None
        if rig.picture_sha256 != picture:
            raise _damaged(self._pointer(picture), "it names the rig of another picture")
        return rig


def _kind(rig: Rig) -> Literal["face", "mascot"]:
    return "face" if rig.kind == "face" else "mascot"


def _damaged(path: Path, why: str) -> HumanNeededError:
    return HumanNeededError(
        f"{path}: the rig of a persona's face can't be used: {why}.",
        hint="Bring the file back from a backup, so that the face stays the same; or have it "
        "made anew, which may differ in detail: `locum persona avatar rig NAME --anew`.",
    )
