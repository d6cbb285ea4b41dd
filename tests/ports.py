"""A port to listen on later, where somebody else has to know it first."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path


def free_port() -> int:
    """Answer a port that nobody is given by chance: it lies below those that the kernel hands out.

    One of the kernel's own may be another's, a client's even, before it is listened on here.
    """
    handed_out = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii")
    while True:
        port = random.SystemRandom().randrange(10_000, int(handed_out.split()[0]))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
