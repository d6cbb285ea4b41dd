"""A wire between this machine and a network namespace, which loses, delays and is cut at will.

This kernel has no netem, so the wire is a process of ours: two veth pairs, and frames carried by
hand between their far ends. The near end of one stands in this namespace (`OUR_ADDRESS`), that of
the other in a namespace of its own, where `Wire.inside` runs commands. Root only.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

OUR_ADDRESS = "10.77.0.1"
THEIR_ADDRESS = "10.77.0.2"

_SIOCETHTOOL = 0x8946
_SET_TX_CHECKSUM = 0x17
_LARGEST_FRAME = 65_600
_QUEUE_S = 0.15


@dataclass(frozen=True)
class Weather:
    """How the wire is, each way: `loss` from 0 to 1, delays in seconds, `cut` lets nothing by.

    `rate` is in bits a second, None for no limit; what doesn't fit into `_QUEUE_S` of it is lost.
    """

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    rate: float | None = None
    cut: bool = False


class Wire:
    """Carries frames from when it is opened until it is closed; the weather may change at will."""

    def __init__(self, name: str, *, seed: int = 1) -> None:
        self.namespace = name
        self.weather = Weather()
        self.carried = 0
        self.lost = 0
        self._draw = random.Random(seed)
        self._free_at = [0.0, 0.0]
        self._ended = threading.Event()

    def change(self, **weather: float | bool | None) -> None:
        self.weather = replace(self.weather, **weather)  # type: ignore[arg-type]

    def inside(self, command: Sequence[str]) -> list[str]:
        """Answer how `command` is run in the namespace at the other end."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def carry(self, one: str, other: str) -> None:
        """Carry frames between two interfaces until the end. Runs in a thread."""
        sockets = [_raw(one), _raw(other)]
        due: list[tuple[float, int, int, bytes]] = []
        number = 0
        import select

        while not self._ended.is_set():
            now = time.monotonic()
            wait = min(max(due[0][0] - now, 0.0), 0.05) if due else 0.05
            ready, _, _ = select.select(sockets, [], [], wait)
            now = time.monotonic()
            for socket_ in ready:
                side = sockets.index(socket_)
                with contextlib.suppress(OSError):
                    frame, address = socket_.recvfrom(_LARGEST_FRAME)
                    if address[2] == socket.PACKET_OUTGOING:
                        continue
                    number += 1
                    at = self._when(now, side, len(frame))
                    if at is not None:
                        heapq.heappush(due, (at, number, 1 - side, frame))
            while due and due[0][0] <= now:
                _, _, side, frame = heapq.heappop(due)
                with contextlib.suppress(OSError):
                    sockets[side].send(frame)
                    self.carried += 1
        for socket_ in sockets:
            socket_.close()

    def _when(self, now: float, side: int, size: int) -> float | None:
        weather = self.weather
        if weather.cut or self._draw.random() < weather.loss:
            self.lost += 1
            return None
        if weather.rate is not None:
            free_at = max(self._free_at[side], now)
            if free_at - now > _QUEUE_S:
                self.lost += 1
                return None
            now = self._free_at[side] = free_at + size * 8 / weather.rate
        return now + weather.delay_s + self._draw.random() * weather.jitter_s

    def end(self) -> None:
        self._ended.set()


def _raw(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    made.bind((interface, 0))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return made


def why_no_wire() -> str:
    """Say why there can't be one here; empty where there can."""
    if os.geteuid() != 0:
        return "only root can make a network namespace"
    if shutil.which("ip") is None:
        return "there is no ip command (iproute2)"
    tried = subprocess.run(
        ["ip", "link", "add", "locumt0", "type", "veth", "peer", "name", "locumt1"],
        check=False,
        capture_output=True,
        text=True,
    )
    if tried.returncode != 0:
        return f"no veth: {tried.stderr.strip()}"
    subprocess.run(["ip", "link", "del", "locumt0"], check=False, capture_output=True)
    return ""


@contextlib.contextmanager
def wired(name: str = "locumfar", *, seed: int = 1) -> Iterator[Wire]:
    """Lay a wire to a namespace called `name`, and take both away at the end."""
    _tidy(name)
    wire = Wire(name, seed=seed)
    run = _run
    try:
        run("ip", "netns", "add", name)
        run("ip", "link", "add", "locumn0", "type", "veth", "peer", "name", "locumw0")
        run("ip", "link", "add", "locumn1", "type", "veth", "peer", "name", "locumw1")
        run("ip", "link", "set", "locumn1", "netns", name)
        run("ip", "addr", "add", f"{OUR_ADDRESS}/24", "dev", "locumn0")
        run(*wire.inside(["ip", "addr", "add", f"{THEIR_ADDRESS}/24", "dev", "locumn1"]))
        for interface in ("locumn0", "locumw0", "locumw1"):
            run("ip", "link", "set", interface, "up")
        run(*wire.inside(["ip", "link", "set", "locumn1", "up"]))
        run(*wire.inside(["ip", "link", "set", "lo", "up"]))
        # A checksum that is left to the card would never be made: there is no card.
        _without_offload("locumn0")
        run(*wire.inside(["python3", __file__, "locumn1"]))
        carrier = threading.Thread(
            target=wire.carry, args=("locumw0", "locumw1"), name="wire", daemon=True
        )
        carrier.start()
        try:
            yield wire
        finally:
            wire.end()
            carrier.join(5)
    finally:
        _tidy(name)


def _tidy(name: str) -> None:
    for command in (
        ("ip", "netns", "del", name),
        ("ip", "link", "del", "locumn0"),
        ("ip", "link", "del", "locumw1"),
    ):
        subprocess.run(command, check=False, capture_output=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _without_offload(interface: str) -> None:
    value = struct.pack("II", _SET_TX_CHECKSUM, 0)
    import array

    buffer = array.array("B", value)
    address, _ = buffer.buffer_info()
    request = struct.pack("16sP", interface.encode(), address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)


def _relay(listen: str, to: str) -> None:
    """Pass TCP connections on: HOST:PORT to HOST:PORT, until it is killed."""
    import asyncio

    host, _, port = listen.rpartition(":")
    far_host, _, far_port = to.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(far_host, int(far_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async def serve() -> None:
        server = await asyncio.start_server(passed, host, int(port))
        print("relaying", flush=True)
        await server.serve_forever()

    asyncio.run(serve())


@contextlib.contextmanager
def relayed(wire: Wire, port: int) -> Iterator[None]:
    """Let a loopback port of ours be one of the far side's loopback, over the wire.

    A page has a camera on loopback only, or with a certificate.
    """
    here = [sys.executable, __file__, f"{OUR_ADDRESS}:{port}", f"127.0.0.1:{port}"]
    there = [sys.executable, __file__, f"127.0.0.1:{port}", f"{OUR_ADDRESS}:{port}"]
    started = []
    try:
        for command in (here, wire.inside(there)):
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
            started.append(process)
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError(f"the relay of port {port} didn't start")
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _relay(*sys.argv[1:])
    else:
        _without_offload(sys.argv[1])
