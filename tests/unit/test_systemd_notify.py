"""What the service manager hears, read from a real datagram socket."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum import systemd
from locum.systemd import Notifier, watchdog_interval


class Manager:
    """The listening end, as systemd holds it."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(5)
        self.environ = {"NOTIFY_SOCKET": address.replace("\0", "@")}

    def heard(self) -> str:
        return self.socket.recv(65536).decode()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"\0locum-{os.getpid()}"
    listening = Manager(address)
    yield listening
    listening.socket.close()


def test_each_message_is_what_systemd_expects(manager: Manager) -> None:
    """Ready, stopping and the watchdog are their one assignment."""
    notifier = Notifier(manager.environ)
    assert notifier.listened_to
    assert notifier.ready()
    assert manager.heard() == "READY=1"
    assert notifier.stopping()
    assert manager.heard() == "STOPPING=1"
    assert notifier.watchdog()
    assert manager.heard() == "WATCHDOG=1"


def test_reloading_carries_the_kernels_clock(manager: Manager) -> None:
    """A reload names its instant on CLOCK_MONOTONIC in microseconds, in the same datagram."""
    before = time.monotonic_ns() // 1000
    Notifier(manager.environ).reloading()
    after = time.monotonic_ns() // 1000
    first, second = manager.heard().split("\n")
    name, _, instant = second.partition("=")
    assert (first, name) == ("RELOADING=1", "MONOTONIC_USEC")
    assert before <= int(instant) <= after


def test_a_title_in_the_status_cannot_say_more(manager: Manager) -> None:
    """Newlines in a status would be further assignments; they become spaces."""
    Notifier(manager.environ).status("in Weekly\nREADY=1\r\0now")
    assert manager.heard() == "STATUS=in Weekly READY=1  now"


def test_a_long_status_is_cut(manager: Manager) -> None:
    """A status of a megabyte is sent as its beginning, and is still UTF-8."""
    assert Notifier(manager.environ).status("€" * 1_000_000)
    heard = manager.heard()
    assert len(heard.encode()) < 1000
    assert set(heard.removeprefix("STATUS=")) == {"€"}


@pytest.mark.parametrize(
    "address",
    ["", "vsock:2:1234", "relative", "/nowhere/at/all", "/" + "x" * 500, "@", "/a\0b"],
)
def test_where_nobody_listens_nothing_happens(address: str) -> None:
    """No socket, a strange one or a dead one: no error, and it says that it wasn't heard."""
    notifier = Notifier({"NOTIFY_SOCKET": address} if address else {})
    assert not notifier.ready()
    assert not notifier.reloading()
    assert not notifier.status("x")
    assert not notifier.watchdog()
    assert not notifier.stopping()


def test_a_manager_that_reads_nothing_holds_us_up_briefly(manager: Manager) -> None:
    """With the socket's queue full, a message is given up after half a second."""
    notifier = Notifier(manager.environ)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        filler.connect(manager.socket.getsockname())
        with contextlib.suppress(BlockingIOError):
            while True:
                filler.send(b"x")
    assert not notifier.watchdog()
    assert systemd._PATIENCE_S <= 0.5


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, timedelta(seconds=30)),
        (
            {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())},
            timedelta(seconds=30),
        ),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0", "WATCHDOG_PID": str(os.getpid())}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
        ({"WATCHDOG_USEC": "٣"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_limit(
    environ: dict[str, str], expected: timedelta | None
) -> None:
    """Half of WATCHDOG_USEC, if it is meant for this very process and a number at all."""
    assert watchdog_interval(environ) == expected


@given(
    st.dictionaries(
        st.sampled_from(["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]),
        st.text(st.characters(exclude_characters="/@"), max_size=20),
    ),
    st.text(max_size=50),
)
@settings(max_examples=1000, derandomize=True, deadline=None)
def test_no_environment_makes_it_raise(environ: dict[str, str], text: str) -> None:
    """Whatever the environment says, and whatever the status: never an exception."""
    assert not Notifier(environ).status(text)
    interval = watchdog_interval(environ)
    assert interval is None or interval >= timedelta(0)
