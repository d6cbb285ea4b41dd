"""An engine that weighs, without a browser: a tree of real processes, and a room they sit in.

The tree is built as a browser's is: a driver; below it, in a session of its own, the main
process, which is connected to the room; below that, a renderer, without which the main process
says that it has crashed. Nothing in it ends by itself because its parent has: that is the worst
case. `python -m tests.integration.weighty run` is a daemon with such an engine in place of
PikaStream's, `… attend KEY` the child that it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import socketserver
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from locum import processes
from locum.app.parts import Workshop
from locum.clock import SystemClock
from locum.config.model import Config
from locum.core.model import EndReason, Platform, SessionHandle
from locum.errors import TransientError
from locum.ports import (
    Admitted,
    Clock,
    Ended,
    EngineTraits,
    Finding,
    JoinRequest,
    LostJoin,
    MeetingSession,
    PresenceEngine,
    Remains,
    Said,
    SessionEvent,
)

TRAITS = EngineTraits(
    platforms=frozenset({Platform.GOOGLE_MEET}),
    billed=False,
    converses_by_itself=False,
    reports_transcript=False,
    can_chat=False,
    sees_roster=False,
    survives_restart=False,
    weighs=True,
)

DRIVER = """
import subprocess, sys
main = subprocess.Popen([sys.executable, "-S", "-c", sys.argv[1], *sys.argv[2:]],
                        start_new_session=True)
main.wait()
"""
MAIN = """
import json, os, select, socket, subprocess, sys
renderer = subprocess.Popen(["sleep", "1000"], start_new_session=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
room = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
here = {"name": sys.argv[2], "main": os.getpid(), "driver": os.getppid(),
        "renderer": renderer.pid, "child": int(sys.argv[3])}
room.sendall(json.dumps(here).encode() + b"\\n")
ballast, rest = [], b""
while True:
    ready, _, _ = select.select([0, room], [], [], 0.05)
    if renderer.poll() is not None:
        print(json.dumps({"crashed": True}), flush=True)
        os._exit(1)
    if 0 in ready:
        if not os.read(0, 1000):
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # Whoever told us is gone; we stay.
            select_from = [room]
            while True:
                select.select(select_from, [], [], 1)
        room.sendall(b'{"bye": true}\\n')
        renderer.kill()
        os._exit(0)
    if room in ready:
        chunk = room.recv(65536)
        if not chunk:
            print(json.dumps({"removed": True}), flush=True)
            os._exit(0)
        rest += chunk
        while b"\\n" in rest:
            line, _, rest = rest.partition(b"\\n")
            told = json.loads(line)
            if "eat_mib" in told:
                ballast.append(bytearray(os.urandom(1024) * 1024 * told["eat_mib"]))
            print(line.decode(), flush=True)
"""


# ── the room ─────────────────────────────────────────────────────────────────────────────


@dataclass
class Presence:
    """One main process in the room, and the processes around it."""

    pids: Mapping[str, int]
    connection: socket.socket
    came: float
    went: float | None = None
    said_goodbye: bool = False


@dataclass
class Room:
    """A room on loopback: who is in, who was, and what is said there."""

    presences: list[Presence] = field(default_factory=list)
    peak: int = 0
    admits: bool = True
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inside(self) -> list[Presence]:
        with self._lock:
            return [each for each in self.presences if each.went is None]

    def say(self, speaker: str, text: str) -> None:
        self._send({"said": text, "by": speaker})

    def feed(self, mib: int) -> None:
        """Let whoever is inside take so much memory more."""
        self._send({"eat_mib": mib})

    def _send(self, told: Mapping[str, Any]) -> None:
        for presence in self.inside():
            with contextlib.suppress(OSError):
                presence.connection.sendall(json.dumps(told).encode() + b"\n")

    def take_in(self, connection: socket.socket) -> None:
        """Serve one connection until it ends."""
        stream = connection.makefile("rb")
        pids = json.loads(stream.readline() or b"{}")
        presence = Presence(pids, connection, time.monotonic())
        with self._lock:
            self.presences.append(presence)
            self.peak = max(self.peak, sum(each.went is None for each in self.presences))
        connection.sendall(b'{"admitted": true}\n')
        with contextlib.suppress(OSError, ValueError):
            for line in stream:
                presence.said_goodbye |= "bye" in json.loads(line)
        with self._lock:
            presence.went = time.monotonic()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    room: Room


class _Seat(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.server.room.take_in(self.request)


@contextlib.contextmanager
def open_room() -> Any:
    """Serve a room while the block runs."""
    with _Server(("127.0.0.1", 0), _Seat) as server:
        server.room = Room()
        server.room.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.room
        finally:
            server.shutdown()
            thread.join()


# ── the engine ───────────────────────────────────────────────────────────────────────────


class WeightySession:
    def __init__(
        self, process: asyncio.subprocess.Process, handle: SessionHandle, clock: Clock
    ) -> None:
        self._process = process
        self._clock = clock
        self.handle = handle

    async def events(self) -> AsyncIterator[SessionEvent]:
        async for told in self._told():
            now = self._clock.now()
            if "admitted" in told:
                yield Admitted(now)
            elif "said" in told:
                yield Said(now, told["by"], told["said"])
            elif "removed" in told:
                yield Ended(now, EndReason.REMOVED, "the room closed the door")
                return
            elif "crashed" in told:
                break
        yield Ended(self._clock.now(), EndReason.ENGINE_LOST, "its browser crashed")

    async def _told(self) -> AsyncIterator[dict[str, Any]]:
        """Give what the main process tells, while it and the driver live."""
        assert self._process.stdout is not None
        reading: asyncio.Future[bytes] | None = None
        try:
            # The main process holds the pipes open, so the driver's end doesn't end them.
            while self._process.returncode is None:
                reading = reading or asyncio.ensure_future(self._process.stdout.readline())
                await asyncio.wait((reading,), timeout=0.05)
                if reading.done():
                    line = reading.result()
                    if not line:
                        return
                    reading = None
                    yield json.loads(line)
        finally:
            if reading is not None:
                reading.cancel()

    async def post(self, text: str) -> None:
        raise TransientError("no chat")

    async def leave(self) -> Remains:
        assert self._process.stdin is not None
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(b"leave\n")
        while self._process.returncode is None:  # noqa: ASYNC110 - As above.
            await asyncio.sleep(0.02)
        return Remains()


@dataclass
class WeightyEngine:
    """`address` names the room's port; what joins there is a tree of processes."""

    address: str
    clock: Clock
    traits: ClassVar[EngineTraits] = TRAITS

    async def prepare(self) -> None: ...

    async def afford(self, dollars: float) -> None: ...

    async def join(self, request: JoinRequest) -> MeetingSession:
        port = self.address.rstrip("/").rpartition(":")[2]
        name, child = request.face.display_name, str(os.getpid())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-c", DRIVER, MAIN, port, name, child),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return WeightySession(process, SessionHandle(f"weighty-{process.pid}"), self.clock)

    async def settle_lost_join(self, *, others_running: int) -> LostJoin:
        raise AssertionError("it isn't billed")

    async def reattach(self, handle: SessionHandle) -> MeetingSession | None:
        return None

    async def check(self) -> tuple[Finding, ...]:
        return ()

    async def aclose(self) -> None: ...


class WeightyWorkshop(Workshop):
    """Builds weighty engines, for rooms at the addresses where PikaStream would be."""

    def engines(self, config: Config) -> dict[str, PresenceEngine]:
        return {
            name: WeightyEngine(str(getattr(table, "base_url", "")), self.clock)
            for name, table in config.engines.items()
        }

    def memory_limit(self, config: Config, engine: str) -> int | None:
        mib = os.environ.get("WEIGHTY_LIMIT_MIB")
        return None if mib is None else int(mib) << 20


def main(arguments: list[str]) -> int:
    if arguments[0] == "attend":
        from locum.cli.attending import main as attend

        return attend(arguments[1], lambda: WeightyWorkshop)
    from locum import logs
    from locum.app.daemon import Daemon
    from locum.config.load import load
    from locum.config.store import ConfigStore

    logs.configure(json=True)
    logs.log_uncaught()
    daemon = Daemon(
        ConfigStore(load(Path(arguments[-1]))),
        workshop_of=WeightyWorkshop,
        child_command=CHILD,
    )
    asyncio.run(daemon.run())
    return 0


CHILD = (sys.executable, "-m", "tests.integration.weighty", "attend")


def clock() -> Clock:
    return SystemClock()


def still_there(pids: Mapping[str, int]) -> dict[str, int]:
    """Answer which of these processes run."""
    found = {name: processes.process(pid) for name, pid in pids.items() if name != "name"}
    return {
        name: each.pid
        for name, each in found.items()
        if each is not None and not each.is_zombie
    }


PATIENCE = timedelta(seconds=60)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
