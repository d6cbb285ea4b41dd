"""Servers that stand still, or answer byte by byte and for ever, around the real daemon.

What is armed is joined from the last reading, a leave is tried until it is proved, and
nobody else has to wait: neither another meeting nor whoever asks how things are.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from locum.rehearsal.clock import StageClock
from tests.acceptance.stage_process import StageProcess
from tests.acceptance.surroundings import DaemonProcess, Site, meeting, on_stage, until

pytestmark = pytest.mark.timeout(240)

# ── servers that stand still ─────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _processes(
    folder: Path, clock: StageClock, events: list[Any]
) -> Iterator[tuple[StageProcess, StageProcess]]:
    """Answer a Google and a PikaStream, each a process."""
    with contextlib.ExitStack() as stack:
        pikastream = StageProcess(folder, clock, events)
        stack.callback(pikastream.close)
        google = StageProcess(folder, clock, events, pikastream=pikastream.address)
        stack.callback(google.close)
        yield google, pikastream


def test_servers_that_are_stopped_cost_time_and_nothing_else(tmp_path: Path) -> None:
    """SIGSTOP over joins, over a leave and over polls: all comes true once they go on."""
    clock = StageClock(speed=10)
    events = [("Late", 90, 130), ("Steady", 120, 240), ("From memory", 250, 110)]
    with _processes(tmp_path, clock, events) as (google, pikastream):
        config = tmp_path / "locum.toml"
        config.write_text(config.read_text().replace('grace = "60s"', 'grace = "1h"'))
        daemon = DaemonProcess(config)
        try:
            daemon.start()
            daemon.until_read()
            beginning = google.play()

            def wait_until(offset: float) -> None:
                left = beginning + timedelta(seconds=offset) - clock.now()
                time.sleep(max(left.total_seconds() / clock.speed, 0.0))

            def phases() -> dict[str, str]:
                return {each["title"]: each["phase"] for each in daemon.status()["sessions"]}

            until(lambda: len(daemon.status()["next"]) == 3, "the plan")
            pikastream.pause()  # Over two joins.
            wait_until(130)
            until(lambda: phases() == {"Late": "joining", "Steady": "joining"}, "two joins")
            pikastream.resume()
            both = {"Late": "live", "Steady": "live"}
            until(lambda: phases() == both, "both joins")
            google.pause()  # Over polls, a leave and a join.
            pikastream.pause()  # For longer than one request may take.
            until(lambda: phases().get("From memory") == "joining", "a join from memory")
            assert phases()["Late"] == "leaving"
            assert phases()["Steady"] == "live"
            google.resume()
            wait_until(335)
            pikastream.resume()
            done = dict.fromkeys((title for title, *_ in events), "filed")
            until(lambda: phases() == done, "all to be filed")
            assert daemon.logged("pass_failed") == []
            assert daemon.stop() == 0
        finally:
            daemon.close()
        books = httpx.get(f"{pikastream.address}/_stage/state", timeout=30).json()
    assert len(books["sessions"]) == 3
    assert (books["live_sessions"], books["peak_in_room"]) == ([], 1)


# ── servers that never come to an end ────────────────────────────────────────────────────

Trap = Callable[[http.server.BaseHTTPRequestHandler], None]


def _drip_headers(handler: http.server.BaseHTTPRequestHandler) -> None:
    """One byte at a time, of a header that never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while True:
        handler.wfile.write(b"a")
        time.sleep(0.05)


def _pour_out(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Blanks, as fast as they go: JSON that never begins."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    handler.wfile.write(b"Content-Length: 1000000000000\r\n\r\n")
    while True:
        handler.wfile.write(b" " * 65536)


class Relay(http.server.ThreadingHTTPServer):
    """Stands before a server, and answers some of its requests in its place, its own way."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self.traps: dict[str, Trap] = {}
        self.sprung: list[str] = []
        super().__init__(("127.0.0.1", 0), _Relaying)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def trap_for(self, request: str) -> Trap | None:
        return next((trap for part, trap in self.traps.items() if part in request), None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The other side hung up: that is what is wanted of it."""


class _Relaying(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def do_GET(self) -> None:
        request = f"{self.command} {self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        trap = self.server.trap_for(request)
        if trap is not None:
            self.server.sprung.append(request)
            self.close_connection = True
            trap(self)
            return
        there = http.client.HTTPConnection(self.server.target, timeout=60)
        with contextlib.closing(there):
            there.request(self.command, self.path, body, dict(self.headers))
            answer = there.getresponse()
            content = answer.read()
        self.send_response_only(answer.status)
        kept = ("content-type", "date", "retry-after", "www-authenticate")
        for name in kept:
            if answer.headers[name]:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Nothing: the server behind keeps the books."""


@contextlib.contextmanager
def _relayed(site: Site) -> Iterator[tuple[Relay, Relay]]:
    """Put a relay before each of the stage's servers; the config names them instead."""
    lines = site.config.read_text().splitlines()
    google = next(line for line in lines if line.startswith("api_root")).split('"')[1]
    pikastream = next(line for line in lines if line.startswith("base_url")).split('"')[1]
    relays = Relay(google), Relay(pikastream)
    site.edit(f'api_root = "{google}', f'api_root = "{relays[0].address}/')
    site.edit(f'base_url = "{pikastream}', f'base_url = "{relays[1].address}')
    for relay in relays:
        threading.Thread(target=relay.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield relays
    finally:
        for relay in relays:
            relay.shutdown()
            relay.server_close()


def _peak_memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def test_answers_without_end_disturb_nobody_else(tmp_path: Path) -> None:
    """Byte by byte or a flood: bounded in time and memory; what is armed is joined."""
    events = (
        meeting("Plagued", 10, 110),
        meeting("Undisturbed", 10, 300),
        meeting("Armed", 90, 100),
    )
    with (
        on_stage(tmp_path, *events, speed=10) as site,
        _relayed(site) as (google, pikastream),
        site.playing(),
    ):
        for title in ("Plagued", "Undisturbed"):
            site.until_phase(title, "live")
        (plagued,) = (
            each
            for each in site.stage.pikastream.live_sessions()
            if each.request.room == events[0].meet
        )
        memory = _peak_memory_mb(site.daemon.process.pid)
        pikastream.traps = {f"GET /proxy/realtime/session/{plagued.id}": _pour_out}
        google.traps = {"/events": _pour_out}
        until(lambda: site.daemon.status()["calendars"][0]["failing_since"], "the failure")
        until(lambda: pikastream.sprung, "a look at the flood")
        google.traps = {"/": _drip_headers}
        pikastream.traps = {f"/proxy/realtime/session/{plagued.id}": _drip_headers}
        site.until_phase("Armed", "live")
        site.until_phase("Plagued", "leaving")
        until(
            lambda: any(each.startswith("DELETE") for each in pikastream.sprung),
            "an end that isn't answered",
        )
        assert plagued.id in {each.id for each in site.stage.pikastream.live_sessions()}
        assert _peak_memory_mb(site.daemon.process.pid) < memory + 128
        site.until_phase("Armed", "filed")
        pikastream.traps = {}
        site.assert_all_well("Plagued", "Undisturbed", "Armed")
        failing = {each["session_key"] for each in site.daemon.logged("session_call_failed")}
        assert len(failing) <= 1
        assert site.joins() == 3
        beginning = site.stage.beginning
        assert beginning is not None
        for event in events[1:]:
            (left,) = (
                each.ended
                for each in site.stage.pikastream.sessions()
                if each.request.room == event.meet
            )
            assert left is not None
            assert left < beginning + event.ends_at + timedelta(seconds=60)
        assert site.daemon.stop() == 0
