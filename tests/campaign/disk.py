"""A disk that fails, or a death at a system call, for one process: by seccomp's notifications.

The kernel (5.5 and later) asks a process of ours before each fsync or write of the victim, and
takes its word: go on, fail with this error, or never return. It needs no root, no tracing, no
compiler, and it sees SQLite's own calls as well as Python's.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import time
from typing import Any

from tests.campaign.nursery import DiskFault
from tests.campaign.points import LEDGER, Diary

_NUMBERS = {
    "x86_64": {"write": 1, "pwrite64": 18, "fsync": 74, "fdatasync": 75, "seccomp": 317},
    "aarch64": {"write": 64, "pwrite64": 68, "fsync": 82, "fdatasync": 83, "seccomp": 277},
}

# linux/seccomp.h, linux/prctl.h, linux/bpf_common.h
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_QUESTION = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif with its seccomp_data
_ANSWER = struct.Struct("=QqiI")  # struct seccomp_notif_resp
_GO_ON = 1


class _Step(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_so", ctypes.c_ubyte),
        ("if_not", ctypes.c_ubyte),
        ("value", ctypes.c_uint),
    )


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(_Step)))


def fail_by(fault: DiskFault, diary: Diary) -> None:
    """Let this process's disk fail by `fault` from now on; a host that can't is written down."""
    victim = os.getpid()
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        try:
            ours.close()
            _keep_watch(theirs, _Disk(fault, diary, victim))
        finally:
            os._exit(0)
    theirs.close()
    try:
        listener = _listen(fault.calls)
    except OSError as error:
        diary.write(untried=f"seccomp: {error.strerror}")
    else:
        socket.send_fds(ours, [b"."], [listener])
        os.close(listener)
    ours.close()


def why_not() -> str | None:
    """Answer why no disk can be made to fail here; None if it can."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _listen(("fsync",))
        except OSError as error:
            os.write(writing, (error.strerror or "unknown").encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        problem = told.read().decode()
    os.waitpid(pid, 0)
    return problem or None


def _listen(calls: tuple[str, ...]) -> int:
    """Have the kernel ask about these calls of this thread and of all that it begins.

    Raises:
        OSError: This machine or its container doesn't allow it.
    """
    numbers = _NUMBERS.get(platform.machine())
    if numbers is None:
        raise OSError(errno.ENOSYS, f"no system calls are known of {platform.machine()}")
    asked = [numbers[call] for call in calls]
    steps = [_Step(_LOAD, 0, 0, 0)]
    steps += [
        _Step(_JUMP_IF_EQUAL, len(asked) - place, 0, number)
        for place, number in enumerate(asked)
    ]
    steps += [_Step(_RETURN, 0, 0, _ALLOW), _Step(_RETURN, 0, 0, _ASK)]
    program = _Filter(len(steps), (_Step * len(steps))(*steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    listener = libc.syscall(
        numbers["seccomp"], _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program)
    )
    if listener < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(listener)


class _Disk:
    """Decides about each call."""

    def __init__(self, fault: DiskFault, diary: Diary, victim: int) -> None:
        self._fault = fault
        self._diary = diary
        self._victim = victim
        self._to_skip = fault.skip
        self._left = fault.times
        self.dies_at: float | None = None

    def decide(self, path: str) -> int:
        """Answer the error with which a call on `path` fails; 0: it is made."""
        fault = self._fault
        if self._left <= 0 or _kind_of(path) not in fault.files:
            return 0
        if self._to_skip > 0:
            self._to_skip -= 1
            return 0
        self._left -= 1
        if fault.error is None:
            self.die()
            return errno.EIO
        if self.dies_at is None:
            self._diary.write(failed=fault.error, path=path)
            after = fault.dies_after_s
            self.dies_at = float("inf") if after is None else time.monotonic() + after
        return {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC}[fault.error]

    def die(self) -> None:
        self._diary.write(died=self._fault.name)
        os.kill(self._victim, signal.SIGKILL)

    @property
    def patience_ms(self) -> float | None:
        if self.dies_at is None or self.dies_at == float("inf"):
            return None
        return max(self.dies_at - time.monotonic(), 0) * 1000


def _kind_of(path: str) -> str:
    name = os.path.basename(path)  # noqa: PTH119 - Texts of another process's files.
    if name == LEDGER:
        return "ledger"
    if name == f"{LEDGER}-wal":
        return "wal"
    if "/backups/" in path:
        return "backup"
    if name.startswith(".locum-"):
        return "summary"
    return "folder" if "/summaries/" in path or "/archive/" in path else "other"


def _keep_watch(wire: socket.socket, disk: _Disk) -> None:
    _, descriptors, _, _ = socket.recv_fds(wire, 1, 1)
    if not descriptors:
        return
    (listener,) = descriptors
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    while True:
        ready = waiting.poll(disk.patience_ms)
        if not ready:
            disk.die()
            return
        if ready[0][1] & select.POLLHUP:
            return  # All that could ask is dead.
        try:
            _answer(listener, disk)
        except FileNotFoundError:
            continue  # Who asked died meanwhile.


def _answer(listener: int, disk: _Disk) -> None:
    question = bytearray(_QUESTION.size)
    fcntl.ioctl(listener, _RECEIVE, question)
    number, pid, *_, descriptor, _1, _2, _3, _4, _5 = _QUESTION.unpack(question)
    failure = disk.decide(_path(pid, descriptor))
    verdict: Any = (number, 0, -failure, 0) if failure else (number, 0, 0, _GO_ON)
    fcntl.ioctl(listener, _SEND, bytearray(_ANSWER.pack(*verdict)))


def _path(pid: int, descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH115 - It needn't exist.
    except OSError:
        return ""
