"""Reads and writes files that others may have prepared: pipes, devices, links, half a file.

Nothing here waits for a file that isn't one, and nothing that is written is ever seen in part.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from locum.errors import TransientError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class UnreadableError(Exception):
    """A file can't be read; the text says why, without its path."""


def open_regular(path: Path, *, follow: bool = True) -> tuple[int, os.stat_result]:
    """Open a regular file to read it, without ever waiting; the descriptor is the caller's.

    Without `follow`, a symbolic link in the path's last place is refused.

    Raises:
        UnreadableError: There is none, or it may not be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes to never returns.
        descriptor = os.open(path, flags | (0 if follow else os.O_NOFOLLOW))
    except ValueError:
        raise UnreadableError("its path holds a NUL character") from None
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise UnreadableError("it is a symbolic link; name the file itself") from None
        raise UnreadableError(why_unreadable(error)) from None
    status = os.fstat(descriptor)
    for is_kind, kind in _KINDS:
        if is_kind(status.st_mode):
            os.close(descriptor)
            raise UnreadableError(f"it is {kind}, not a file")
    return descriptor, status


def read_regular(
    path: Path, *, limit: int, follow: bool = True
) -> tuple[bytes, os.stat_result]:
    """Read up to `limit` bytes of a regular file, and never wait for one that isn't.

    Raises:
        UnreadableError: There is none, or it may not be read.
    """
    descriptor, status = open_regular(path, follow=follow)
    try:
        chunks = bytearray()
        while len(chunks) < limit:
            chunk = os.read(descriptor, limit - len(chunks))
            if not chunk:
                break
            chunks += chunk
    except OSError as error:
        raise UnreadableError(why_unreadable(error)) from None
    finally:
        os.close(descriptor)
    return bytes(chunks), status


def why_unreadable(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "no such file"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"user {os.geteuid()} may not read it"
    return (error.strerror or "it can't be read").lower()


def replace_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write all of a file or none of it, on the disk when this returns.

    Raises:
        OSError: It can't be written; what was there stays.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".locum-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


_LARGEST_DIGESTS = 256 * 1024


class DigestFile:
    """What a person approved, by name, and in which state: a JSON file of names and digests."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def approved(self) -> Mapping[str, str]:
        """Answer the approved digests by name. A file that can't be read approves nothing."""
        try:
            read = json.loads(read_regular(self._path, limit=_LARGEST_DIGESTS)[0])
        except (UnreadableError, ValueError, RecursionError):
            return {}
        if not isinstance(read, dict):
            return {}
        return {str(name): str(digest) for name, digest in read.items()}

    def put(self, digests: Mapping[str, str]) -> None:
        """Approve these too.

        Raises:
            TransientError: It can't be written.
        """
        self._write({**self.approved(), **digests})

    def withdraw(self, name: str) -> bool:
        """Take an approval back; False where there was none."""
        known = dict(self.approved())
        found = known.pop(name, None) is not None
        if found:
            self._write(known)
        return found

    def _write(self, known: Mapping[str, str]) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path, json.dumps(known, indent=2, sort_keys=True).encode())
        except OSError as error:
            raise TransientError(f"{self._path} can't be written: {error.strerror}.") from error
