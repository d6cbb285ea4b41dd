"""The committed list of models: `catalogue.toml`, read into values."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}$")]
_Package = Annotated[
    str, Field(pattern=r"^(@[a-z0-9][a-z0-9._-]{0,99}/)?[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}$")
]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Size = Annotated[int, Field(gt=0, le=1 << 30)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Entry):
    """One file that is taken: its name here, and its place in the archive; `size` in bytes."""

    name: _FileName
    member: str
    size: _Size
    sha256: _Sha256


class Archive(_Entry):
    """A file of an index or registry that holds all of a source's parts."""

    name: _FileName
    size: _Size
    sha256: _Sha256


class Source(_Entry):
    """A version of a package, and what is taken of it; any one of its archives will do.

    Those of a package index (`pip`) are wheels; in a registry (`npm`) a version is one tarball.
    """

    kind: Literal["pip", "npm"]
    package: _Package
    version: str
    files: tuple[Part, ...]
    archives: tuple[Archive, ...]

    @model_validator(mode="after")
    def _has_archives(self) -> Self:
        if not self.archives or (self.kind == "npm" and len(self.archives) > 1):
            raise ValueError("a source has archives, and one of npm has one")
        return self

    @property
    def size(self) -> int:
        """Bytes that are taken of it."""
        return sum(part.size for part in self.files)


class Model(_Entry):
    """What can be pulled under one name."""

    title: str
    needed_for: str
    version: str
    licence: str
    origin: str
    sources: tuple[Source, ...]

    @property
    def files(self) -> tuple[Part, ...]:
        """All parts, whichever source they come from."""
        return tuple(part for source in self.sources for part in source.files)

    @property
    def size(self) -> int:
        """Bytes on the disk once it is pulled."""
        return sum(source.size for source in self.sources)

    @property
    def download(self) -> int:
        """Bytes that are fetched for it, at least."""
        return sum(min(archive.size for archive in source.archives) for source in self.sources)


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Model]:
    """Answer every model that can be pulled, by its name."""
    text = files("locum.models").joinpath("catalogue.toml").read_text("utf-8")
    return {name: Model.model_validate(each) for name, each in tomllib.loads(text).items()}
