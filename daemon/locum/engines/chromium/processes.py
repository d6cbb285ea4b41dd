"""Which processes are ours, and how they end: what a browser starts must not outlive us.

Only `/proc` is asked, and a process is known by its number and the instant it started at, so
that a number given anew is never mistaken for the one that had it before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from locum import processes

_PROC = Path("/proc")
_LONGEST_COMMAND = 64 * 1024
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Process:
    """One process as it was when we looked. `started` counts clock ticks since the boot.

    `command` is its command line with spaces between: Chromium overwrites its own with such
    a one, so where an argument ends can't be told.
    """

    pid: int
    started: int
    parent: int
    command: str = ""


def read_process(pid: int) -> Process | None:
    """Answer a process, or None if it is gone (or a zombie, which is gone but for its name)."""
    seen = processes.process(pid)
    if seen is None or seen.is_zombie:
        return None
    try:
        with (_PROC / str(pid) / "cmdline").open("rb") as file:
            command = file.read(_LONGEST_COMMAND)
    except OSError:
        return None
    text = command.replace(b"\0", b" ").decode("utf-8", "replace").rstrip()
    return Process(pid, seen.started, seen.parent, text)


def all_processes() -> tuple[Process, ...]:
    """Answer every process that we can see; on a confined machine these are our own."""
    return _read(processes.all_processes())


def descendants(pid: int) -> tuple[Process, ...]:
    """Answer the children of a process and all that these started, in any order.

    What detached itself (a crash handler) isn't among them: see `using_folder`.
    """
    return _read(processes.descendants((pid,), processes.all_processes()) - {pid})


def _read(pids: Iterable[int]) -> tuple[Process, ...]:
    found = (read_process(pid) for pid in pids)
    return tuple(process for process in found if process is not None)


def using_folder(folder: Path) -> tuple[Process, ...]:
    """Answer what of this user's runs on a browser's folder, by its command line.

    The browser, its children and its crash handlers all name it, those too whose parent is
    gone.
    """
    own = os.geteuid()
    return tuple(
        process
        for process in all_processes()
        if process.pid != os.getpid()
        and names_folder(process.command, folder)
        and _owner(process) == own
    )


def driver_of(browser: Process) -> Process | None:
    """Answer the Playwright driver that started a browser, if that is its parent still."""
    parent = read_process(browser.parent)
    if parent is not None and " run-driver" in parent.command:
        return parent
    return None


def tree_of(folder: Path) -> frozenset[Process]:
    """Answer all that runs for the browser on a folder: what drives it, and what it started."""
    found = {*using_folder(folder)}
    for browser in tuple(found):
        found.update(descendants(browser.pid))
        driver = driver_of(browser)
        if driver is not None:
            found.add(driver)
    return frozenset(found)


def names_folder(command: str, folder: Path) -> bool:
    own = re.escape(str(folder))
    # The crash handlers keep theirs in a folder below.
    named = rf"(?:^| )(?:--user-data-dir={own}|--database={own}/.*)(?: |$)"
    return re.search(named, command) is not None


def _owner(process: Process) -> int | None:
    with contextlib.suppress(OSError):
        return (_PROC / str(process.pid)).stat().st_uid
    return None


def main_of(folder: Path) -> Process | None:
    """Answer the browser itself among what runs on its folder, or None if it is gone."""
    for process in using_folder(folder):
        if " --remote-debugging-" in process.command and " --type=" not in process.command:
            return process
    return None


@contextlib.contextmanager
def when_gone(process: Process | None, call: Callable[[], None]) -> Iterator[None]:
    """Have `call` called once, by the running loop, if the process ends within the block."""
    loop = asyncio.get_running_loop()
    with _handle(process) as handle:
        if handle is None:
            loop.call_soon(call)
            yield
            return

        def once() -> None:
            loop.remove_reader(handle)
            call()

        # The kernel makes a process's handle readable when it ends.
        loop.add_reader(handle, once)
        try:
            yield
        finally:
            loop.remove_reader(handle)


def still_running(tree: Iterable[Process]) -> tuple[Process, ...]:
    return tuple(process for process in tree if _is_same(process))


def _is_same(process: Process) -> bool:
    now = read_process(process.pid)
    return now is not None and now.started == process.started


async def end(
    tree: Collection[Process],
    *,
    patience: timedelta,
    sign: signal.Signals = signal.SIGKILL,
) -> tuple[Process, ...]:
    """Send `sign` to what still runs, and wait until it is gone; answer what wouldn't go.

    `patience` is in the host's time.
    """
    for process in tree:
        _signal(process, sign)
    return await gone(tree, patience=patience)


async def gone(tree: Collection[Process], *, patience: timedelta) -> tuple[Process, ...]:
    """Wait, for no longer than `patience`, until none runs; answer those that still do."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience.total_seconds()
    left = still_running(tree)
    while left and loop.time() < until:
        await asyncio.sleep(_LOOK_EVERY_S)
        left = still_running(left)
    return left


def _signal(process: Process, sign: signal.Signals) -> None:
    with _handle(process) as handle:
        if handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, sign)


@contextlib.contextmanager
def _handle(process: Process | None) -> Iterator[int | None]:
    """Open a handle on exactly this process, or answer None if it is gone."""
    try:
        handle = None if process is None else os.pidfd_open(process.pid)
    except OSError:
        handle = None
    if process is None or handle is None:
        yield None
        return
    try:
        # The number can't be given anew while we hold the handle: what we see now is it.
        yield handle if _is_same(process) else None
    finally:
        os.close(handle)


def memory_of(tree: Iterable[Process]) -> int:
    """Answer how many bytes these hold, what they share counted once, as far as we may look."""
    return sum(processes.memory_of(process.pid) for process in tree)
