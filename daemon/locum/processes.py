"""Processes of this machine as /proc shows them: whose they are, what they weigh, their end.

A meeting's browser is a tree of a dozen processes, some of which make sessions of their own
and outlive whoever began them. So a tree is known by three signs: by its root, by a mark in
its environment that children inherit, and by descent from either.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

MARK = "LOCUM_ATTENDS"
"""The environment's variable that all processes of one meeting carry."""

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOK_AGAIN_S = 0.02
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True)
class Process:
    """`started` tells it from a later one of the same number; it counts from the boot."""

    pid: int
    parent: int
    started: int
    is_zombie: bool


def process(pid: int) -> Process | None:
    """Look at one process; None if there is none (any more)."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name comes second, in parentheses, and may hold anything, spaces and ")" too.
    fields = stat[stat.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    return Process(pid, int(fields[1]), int(fields[19]), is_zombie=fields[0] in {b"Z", b"X"})


def all_processes() -> dict[int, Process]:
    return {pid: found for pid in _numbers() if (found := process(pid)) is not None}


def _numbers() -> list[int]:
    return [int(each.name) for each in _PROC.iterdir() if each.name.isdigit()]


def descendants(roots: Collection[int], there: Mapping[int, Process]) -> set[int]:
    """Answer the roots that are there, and all that descend from them."""
    children: dict[int, list[int]] = {}
    for each in there.values():
        children.setdefault(each.parent, []).append(each.pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in there]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, ())
    return found


def marked(mark: str) -> set[int]:
    """Answer the processes that carry `mark`, or it with a dot and more behind it.

    As far as we may read their environment.
    """
    wanted = f"{MARK}={mark}.".encode()
    found = set()
    for pid in _numbers():
        try:
            environ = (_PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue
        if any((line + b".").startswith(wanted) for line in environ.split(b"\0")):
            found.add(pid)
    return found


def end_tree(
    mark: str,
    roots: Mapping[int, int] | None = None,
    *,
    sparing: Collection[int] = (),
    within: timedelta,
) -> tuple[int, ...]:
    """End, unasked, all that is `marked` or is one of `roots`, with all their descendants.

    `roots` are processes by number, with when they `started`; those in `sparing` stay, with
    all below them, as does who calls it. Blocking. Answers the processes that were ended.

    Raises:
        TimeoutError: Some are still there.
    """
    until = time.monotonic() + within.total_seconds()
    ended: set[int] = set()
    while True:
        there = all_processes()
        named = {
            pid
            for pid, started in (roots or {}).items()
            if pid in there and there[pid].started == started
        }
        meant = descendants(marked(mark) | named, there) - descendants(sparing, there)
        left = {pid for pid in meant - {os.getpid()} if not there[pid].is_zombie}
        if not left:
            return tuple(sorted(ended))
        for pid in left:
            _kill(pid)
        ended |= left
        if time.monotonic() > until:
            raise TimeoutError(f"processes {sorted(left)} can't be ended")
        time.sleep(_LOOK_AGAIN_S)


def end_below(pid: int) -> None:
    """Send SIGKILL to all that descends from `pid`, and not to it."""
    for each in descendants((pid,), all_processes()) - {pid, os.getpid()}:
        _kill(each)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # Gone by itself; or it isn't ours at all, and its number was taken anew.


def memory_of_tree(root: int) -> int:
    """Answer how many bytes a process and its descendants take, each shared page once."""
    return sum(memory_of(pid) for pid in descendants((root,), all_processes()))


def memory_of(pid: int) -> int:
    """Answer how many bytes one process takes, its share of what it shares included."""
    folder = _PROC / str(pid)
    try:
        for line in (folder / "smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # A sandboxed renderer shows that to nobody; what it shares is left out then.
    try:
        _, resident, shared, *_ = (folder / "statm").read_bytes().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE


# ── about ourselves ──────────────────────────────────────────────────────────────────────


def keep_orphans() -> None:
    """Let what our descendants leave behind become our children, rather than init's."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def be_told_of_parents_end(number: signal.Signals) -> None:
    """Get the signal `number` as soon as the thread that began us ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
