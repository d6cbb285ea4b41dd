"""One warm process, of which every life of the daemon is a fork: a start costs no imports.

It has no threads and no loop, only the libraries in its memory, so a fork of it is as good
as a process that was started. What a life runs is `locum`'s own entry, with its arguments.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
_LONGEST = 1 << 16


@dataclass(frozen=True)
class DiskFault:
    """What befalls the process's own disk; see `tests.campaign.disk`."""

    name: str
    calls: tuple[str, ...]
    files: tuple[str, ...]
    error: str | None  #: EIO or ENOSPC; None: the process dies before the call.
    skip: int = 0
    times: int = 1
    dies_after_s: float | None = None  #: From the first failure on.


@dataclass(frozen=True)
class Orders:
    """One life: what it runs, where it writes, and how it is to end."""

    arguments: tuple[str, ...]
    log: str
    diary: str
    point: str | None = None
    count: int = 1
    prefix: str = ""
    disk: DiskFault | None = None
    full_sinks: int = 0  #: So many files can't be written, because the disk is full.
    plant: str | None = None

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Orders:
        disk = told.pop("disk")
        told["disk"] = None if disk is None else DiskFault(**disk)
        return cls(**told)


# ── in the driver ────────────────────────────────────────────────────────────────────────


@dataclass
class LifeProcess:
    """One life, as the driver sees it."""

    _tell: Callable[[dict[str, Any]], None]
    number: int
    over: threading.Event = field(default_factory=threading.Event)
    status: int = 0

    def send(self, number: signal.Signals) -> None:
        """Send a signal; one that has ended already gets none, and nobody else does."""
        with contextlib.suppress(OSError):  # Without a nursery there are no lives.
            self._tell({"signal": int(number), "life": self.number})

    def wait(self, seconds: float) -> bool:
        return self.over.wait(seconds)

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Nursery:
    """Starts lives, from any thread."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        foreign = ("PIKA_", "LOCUM_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")
        environ = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        environ["PYTHONPATH"] = f"{REPOSITORY / 'daemon'}:{REPOSITORY}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.victim"],
            stdin=theirs.fileno(),
            cwd=REPOSITORY,
            env=environ,
            start_new_session=True,  # A Ctrl-C is for the driver.
        )
        theirs.close()
        self._lock = threading.Lock()
        self._lives: dict[int, LifeProcess] = {}
        self._numbers = 0
        self.no_disk_faults: str | None = json.loads(self._ours.recv(_LONGEST))["untried"]
        """Why no disk can be made to fail on this host; None if it can."""
        self._listener = threading.Thread(target=self._listen, name="nursery", daemon=True)
        self._listener.start()

    def start(self, orders: Orders) -> LifeProcess:
        with self._lock:
            self._numbers += 1
            life = LifeProcess(self._tell, self._numbers)
            self._lives[life.number] = life
        self._tell({"start": asdict(orders), "life": life.number})
        return life

    def _tell(self, message: dict[str, Any]) -> None:
        self._ours.send(json.dumps(message).encode())

    def _listen(self) -> None:
        while True:
            said = self._ours.recv(_LONGEST)
            if not said:
                break
            told = json.loads(said)
            with self._lock:
                life = self._lives.pop(told["life"])
            life.status = told["status"]
            life.over.set()
        with self._lock:
            left, self._lives = self._lives, {}
        for life in left.values():
            life.status = 1
            life.over.set()

    def close(self) -> None:
        """End it, and with it every life that still runs."""
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)
        self._process.wait(timeout=30)
        self._listener.join(timeout=5)
        self._ours.close()


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    opened = Nursery()
    try:
        yield opened
    finally:
        opened.close()


# ── in the nursery itself ────────────────────────────────────────────────────────────────


def keep(
    wire: socket.socket, live: Callable[[Orders], int], *, no_disk_faults: str | None
) -> None:
    """Fork a life for each order, pass on signals, and say how each has ended."""
    waking, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    lives: dict[int, int] = {}
    wire.send(json.dumps({"untried": no_disk_faults}).encode())
    _adopt_orphans()
    try:
        while True:
            ready, _, _ = select.select([wire.fileno(), waking], [], [])
            if waking in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(waking, 4096)
                _bury(lives, wire)
            if wire.fileno() in ready:
                said = wire.recv(_LONGEST)
                if not said:
                    return
                _obey(json.loads(said), lives, live, wire)
    finally:
        for pid in lives:
            os.kill(pid, signal.SIGKILL)


def _obey(
    told: dict[str, Any],
    lives: dict[int, int],
    live: Callable[[Orders], int],
    wire: socket.socket,
) -> None:
    if "signal" in told:
        for pid, number in lives.items():
            # Not waited for yet, so the number is still its own.
            if number == told["life"]:
                os.kill(pid, told["signal"])
        return
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            wire.close()
            status = live(Orders.from_json(told["start"]))
        finally:
            os._exit(status)
    lives[pid] = told["life"]


def _adopt_orphans() -> None:
    """Let what a killed life leaves behind be ours to wait for."""
    subreaper = 36  # PR_SET_CHILD_SUBREAPER
    ctypes.CDLL(None).prctl(subreaper, 1, 0, 0, 0)


def _bury(lives: dict[int, int], wire: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            if pid in lives:
                told = {"life": lives.pop(pid), "status": os.waitstatus_to_exitcode(status)}
                with contextlib.suppress(OSError):
                    wire.send(json.dumps(told).encode())
