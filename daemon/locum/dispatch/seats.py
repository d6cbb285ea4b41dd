"""One seat a room: held by the process that may have a browser in it, until that is gone.

The ledger holds a room for one session; a seat holds it for one process tree. A daemon that
was killed is followed by another while the child of the first may still be leaving: whoever
comes next waits for the seat, and ends whoever doesn't get up.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from locum import processes
from locum.errors import PermanentError, TransientError

_log = structlog.get_logger(__name__)

FOLDER = "attending"

POLITE = timedelta(seconds=6)
"""How long whoever sits there has to leave by itself; the host's time, as all here."""

_LOOK_S = 0.05
_TO_END = timedelta(seconds=5)


@dataclass(frozen=True)
class Seat:
    """A room's seat in one state directory; `mark` is on all processes that ever sit there."""

    path: Path
    mark: str

    @classmethod
    def of(cls, state: Path, room: str) -> Seat:
        # Of another state directory's daemon nothing is ended, be it in the same room.
        digest = hashlib.sha256(f"{state.resolve()}\0{room}".encode()).hexdigest()[:32]
        return cls(state / FOLDER / f"{digest}.lock", digest)

    def take(self) -> int:
        """Sit down, for as long as this process or the answered descriptor lives.

        Raises:
            TransientError: Somebody sits there.
            PermanentError: The state directory can't be written.
        """
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise PermanentError(f"{self.path} can't be used: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise TransientError("Another process of this locum is in that room.") from None
        os.ftruncate(descriptor, 0)
        with contextlib.suppress(OSError):  # For people only; a full disk doesn't matter.
            os.write(descriptor, f"{os.getpid()}\n".encode())
        return descriptor

    @property
    def is_taken(self) -> bool:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    async def clear(self, polite: timedelta = POLITE, *, sparing: Collection[int] = ()) -> None:
        """Return when nobody sits there and nothing of theirs runs: who stays is ended.

        Processes in `sparing` wait for their turn to sit there.

        Raises:
            TransientError: Something can't be ended.
        """
        waited = 0.0
        while self.is_taken and waited < polite.total_seconds():
            await asyncio.sleep(_LOOK_S)
            waited += _LOOK_S
        await end(self.mark, sparing=sparing)

    def new_mark(self) -> str:
        """Answer a mark for one process tree among those that sit here, one after the other."""
        return f"{self.mark}.{secrets.token_hex(8)}"

    def forget(self) -> None:
        """Take away the file of a seat that is cleared, unless somebody has come meanwhile."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.path.unlink()
            finally:
                os.close(descriptor)


async def end(
    mark: str, roots: Mapping[int, int] | None = None, *, sparing: Collection[int] = ()
) -> None:
    """End at once all that is marked, or is one of `roots`; see `processes.end_tree`.

    Raises:
        TransientError: Something can't be ended.
    """
    try:
        ended = await asyncio.to_thread(
            processes.end_tree, mark, roots, sparing=sparing, within=_TO_END
        )
    except TimeoutError as error:
        raise TransientError(f"What is left of a meeting goes on: {error}.") from error
    if ended:
        _log.warning("processes_ended", processes=list(ended))


async def sweep(state: Path) -> None:
    """End what an earlier daemon's children have left and nobody has missed since.

    Its open sessions are taken up again, and their seats cleared by that; of others, only
    what hung while it ended can be left. What descends from this process is its own affair.
    """
    await asyncio.sleep(POLITE.total_seconds())
    for path in sorted((state / FOLDER).glob("*.lock")):
        try:
            await end(path.stem, sparing=(os.getpid(),))
        except TransientError as error:
            _log.error("processes_left", problem=str(error))
        Seat(path, path.stem).forget()
