"""Notice edits of the config within a second, however an editor makes them.

Editors write in place, rename over, or delete and make anew; admins swap symbolic links;
whole folders are moved away and come back. So the folder is watched, and a watch is only a
nudge: what decides is how the file looks now against how it looked last, asked at least
twice a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import anyio
from watchfiles import awatch

_LOOK_MS = 400
_LOOK = _LOOK_MS / 1000
_GATHER_MS = 200  # How long the watch collects before it tells.
_SETTLE = 0.08  # A save counts as over when the file has looked the same for this long …
_SETTLE_ROUNDS = 5  # … but one that is written for ever is told of all the same.

Look = tuple[int, ...] | None
"""How a file looks from outside; None where there is none."""


async def watch(
    path: Path, on_change: Callable[[], Awaitable[None]], stop: anyio.Event | asyncio.Event
) -> None:
    """Call `on_change` after each edit of the file at `path`, until `stop` is set.

    It is called once at the start too: the file may have been edited since it was read.
    Between two calls there can be several edits; a call doesn't say that anything in the
    file is different. The file and its folder may be missing, now or later.
    """
    before = _look(path)
    await on_change()
    async with aclosing(_nudges(path, stop)) as nudges:
        async for edited in nudges:
            if stop.is_set():
                return
            # Where a file system keeps whole seconds only, two saves can look the same: what
            # the watch saw for certain is told in any case.
            if not edited and _look(path) == before:
                continue
            before = await _settled(path)
            await on_change()


async def _settled(path: Path) -> Look:
    look = _look(path)
    for _ in range(_SETTLE_ROUNDS):
        await anyio.sleep(_SETTLE)
        look, last = _look(path), look
        if look == last:
            break
    return look


async def _nudges(path: Path, stop: anyio.Event | asyncio.Event) -> AsyncGenerator[bool, None]:
    """Tell True when the file is touched, False at least every `_LOOK` seconds."""
    while not stop.is_set():
        folder = _look(path.parent)
        if folder is not None:
            try:
                async with aclosing(_folder_events(path, stop)) as events:
                    async for edited in events:
                        yield edited
                        # A watch stays with the folder it was set on, not with its name.
                        if _identity(_look(path.parent)) != _identity(folder):
                            break
            except (OSError, RuntimeError):
                # No folder any more, or no watches left on this machine: looking goes on.
                pass
        with anyio.move_on_after(_LOOK):
            await stop.wait()
        yield False


async def _folder_events(
    path: Path, stop: anyio.Event | asyncio.Event
) -> AsyncGenerator[bool, None]:
    # No filter: what it drops isn't told, and in a busy folder we would never get to look.
    watcher = awatch(
        path.parent,
        watch_filter=None,
        debounce=_GATHER_MS,
        stop_event=_OwnStop(stop),
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
        recursive=False,
        ignore_permission_denied=True,
    )
    async with aclosing(watcher):
        async for changes in watcher:
            yield any(Path(changed).name == path.name for _, changed in changes)


class _OwnStop(asyncio.Event):
    """Follows the caller's stop, and takes for itself that awatch sets it when cancelled."""

    def __init__(self, stop: anyio.Event | asyncio.Event) -> None:
        super().__init__()
        self._stop = stop

    def is_set(self) -> bool:
        return super().is_set() or self._stop.is_set()


def _look(path: Path) -> Look:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _identity(look: Look) -> Look:
    return look[:2] if look else None
