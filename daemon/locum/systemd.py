"""Tells the service manager how we are: ready, reloading, stopping, alive.

sd_notify is one datagram, so it is spoken here directly: the bindings need headers to
build, and the small package for it has not been touched since 2017. Nothing here raises:
a daemon must not fall over because nobody listens to how it is.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from datetime import timedelta

_PATIENCE_S = 0.5  # A manager that reads nothing may hold us up for this long, no more.
_STATUS_BYTES = 900


class Notifier:
    """Speaks to the socket that the manager named; says nothing where there is none.

    Every method answers whether the message was handed over.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))

    @property
    def listened_to(self) -> bool:
        return self._address is not None

    def ready(self) -> bool:
        """Say that start-up, or a reload, is over."""
        return self._send("READY=1")

    def reloading(self) -> bool:
        """Say that a reload begins; `ready` ends it, whether or not it worked."""
        # The manager tells this reload from an older one by the kernel's own clock.
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def stopping(self) -> bool:
        return self._send("STOPPING=1")

    def status(self, text: str) -> bool:
        """Say in one line what we are doing, for `systemctl status`."""
        return self._send(f"STATUS={_one_line(text)}")

    def watchdog(self) -> bool:
        """Say that we are alive; due within each WATCHDOG_USEC, see `watchdog_interval`."""
        return self._send("WATCHDOG=1")

    def _send(self, message: str) -> bool:
        if self._address is None:
            return False
        # Blocking for half a second at worst beats losing READY=1 to a full socket.
        with (
            contextlib.suppress(OSError, ValueError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.settimeout(_PATIENCE_S)
            sock.sendto(message.encode("utf-8", "replace"), self._address)
            return True
        return False


def watchdog_interval(environ: Mapping[str, str] | None = None) -> timedelta | None:
    """Answer how often to feed the watchdog (half its limit), or None if none watches us."""
    environ = os.environ if environ is None else environ
    limit = environ.get("WATCHDOG_USEC", "")
    watched = environ.get("WATCHDOG_PID", "")
    if not _is_number(limit) or int(limit) <= 0:
        return None
    if watched and watched != str(os.getpid()):
        return None  # Meant for our parent: we only inherited its environment.
    return timedelta(microseconds=int(limit) // 2)


def _address(given: str) -> str | bytes | None:
    """Read NOTIFY_SOCKET: a path, or "@name" for the abstract namespace."""
    if given.startswith("/"):
        return given
    if given.startswith("@"):
        return b"\0" + os.fsencode(given[1:])
    return None  # vsock: is for virtual machines' own managers, never for a service.


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _one_line(text: str) -> str:
    """A newline would start another assignment: a meeting's title must not say READY=1."""
    line = "".join(char if char.isprintable() else " " for char in text)
    return line.encode("utf-8", "replace")[:_STATUS_BYTES].decode("utf-8", "ignore")
