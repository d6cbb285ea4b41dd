"""No input breaks a reader: no stray exception, no hang, no memory without end.

A thousand mutations each, the same ones every time; `python -m tests.fuzz` goes on from
there. What once broke a reader stands in `corpus/`, or, where it is long, in `ONCE_BROKEN`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from locum.calendars.google_events import Collected, PageContext
from locum.config.load import load
from locum.control import ControlServer, call_daemon
from locum.rehearsal.scenario import parse_scenario
from tests.fuzz.files import FULL_CONFIG
from tests.fuzz.google import CALENDAR, EVENT, PAGE, message, written
from tests.fuzz.mutation import LARGEST, Step, mutated, steps_of
from tests.fuzz.promises import BASE_BYTES, BrokenPromiseError, timed, weighed
from tests.fuzz.reader import Read, Reader, pure
from tests.fuzz.readers import READERS

CORPUS = Path(__file__).with_name("corpus")
WEIGHED_EVERY = 100

STEPS = st.binary(min_size=7, max_size=42).map(steps_of)


@contextlib.contextmanager
def opened(reader: Reader, folder: Path) -> Iterator[Read]:
    """Open a reader and let it read its seeds once, which loads what it needs."""
    with reader.opened(folder) as read:
        for seed in reader.seeds:
            read(seed)
        yield read


@pytest.mark.parametrize("name", READERS)
def test_no_mutation_breaks_a_promise(name: str, tmp_path: Path) -> None:
    """A thousand spoiled inputs: in time all of them, in memory every hundredth."""
    reader = READERS[name]
    count = 0
    with opened(reader, tmp_path) as read:

        @settings(
            max_examples=1000,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(begin=st.integers(0, 2**8), steps=STEPS)
        def holds(begin: int, steps: list[Step]) -> None:
            nonlocal count
            count += 1
            content = mutated(reader.seeds, begin, steps, largest=LARGEST)
            (timed if count % WEIGHED_EVERY else weighed)(read, content)

        holds()
    assert count >= 1000


# ── what once broke them ─────────────────────────────────────────────────────────────────

_OWNER = b'title = "a"\n[owner]\nemail = "a@b"\nname = "b"\n'
_EVENTS = b"".join(
    b'{id="event%04d",title="",starts_at=0,duration=1,organizer="a@b"},\n' % number
    for number in range(2000)
)
_EDITS = b"".join(
    b'{at=0,event="evant%04d",kind="cancel"},\n' % number for number in range(2000)
)
_PERSONAS = "".join(f"personanumber{number}=1\n" for number in range(4000))
_ACCOUNTS = ",".join(f'{{persona="persona{number}"}}' for number in range(1900))


def _pem(der: bytes) -> str:
    label = "PRIVATE KEY"
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n"


ONCE_BROKEN: dict[str, tuple[str, bytes]] = {
    # Each part was imported as a package, from within its parent.
    "a zone of a thousand parts": (
        "google_events",
        written(EVENT | {"start": EVENT["start"] | {"timeZone": "a/" * 1000 + "a"}}),
    ),
    # One byte of a real key's kind, changed; made here, since files with keys alarm people.
    "a key of an unknown kind": (
        "google_key_files",
        written(
            {
                "private_key": _pem(
                    bytes.fromhex("30140201 00300d06 092a8648 86f70d01 0901") + b"\5\0\4\0"
                ),
                "client_email": "robot@example.com",
                "token_uri": "https://oauth2.googleapis.com/token",
            }
        ),
    ),
    # httplib2 takes four minutes to read a challenge like this, of the size that it allows.
    "a long challenge": (
        "google_listing",
        message(b"{}", "401 Who", *["WWW-Authenticate: " + "a b=c, " * 9000 + "d"] * 5),
    ),
    "edits of unknown events": (
        "scenario",
        b'title="a"\nevents=[' + _EVENTS + b"]\nedits=[" + _EDITS + b"]\n" + _OWNER[12:],
    ),
    "thousands of unknown keys": (
        "scenario",
        b"".join(b"people_and_%d=1\n" % number for number in range(14_000)) + _OWNER,
    ),
    "accounts of unknown personas": (
        "config",
        f"[personas]\n{_PERSONAS}[calendar]\naccounts=[{_ACCOUNTS}]\n".encode(),
    ),
    "a command of a megabyte": (
        "control_requests",
        json.dumps({"command": "statsu" * 170_000}).encode() + b"\n",
    ),
}


@pytest.mark.parametrize("case", ONCE_BROKEN)
def test_what_took_too_long_or_too_much_is_read_at_once(case: str, tmp_path: Path) -> None:
    """Long inputs that held a reader up for minutes, or threw it over."""
    name, content = ONCE_BROKEN[case]
    with opened(READERS[name], tmp_path) as read:
        timed(read, content)


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_what_threw_a_reader_over_is_read(path: Path, tmp_path: Path) -> None:
    """Short inputs from which an exception once escaped, each in its reader's folder."""
    with opened(READERS[path.parent.name], tmp_path) as read:
        timed(read, path.read_bytes())


def test_a_chunk_of_less_than_nothing_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk of "-1" bytes once meant all that the server sends, whatever the limit."""
    monkeypatch.setattr("locum.calendars.google_client.RESPONSE_LIMIT", 1024 * 1024)
    monkeypatch.setattr("tests.fuzz.promises.BYTES_PER_BYTE", 0)
    head = message(b"-1\r\n", "200 OK", "Transfer-Encoding: chunked")
    with opened(READERS["google_listing"], tmp_path) as read:
        weighed(read, head + b" " * (2 * BASE_BYTES))


def test_a_flood_of_requests_holds_nobody_up(tmp_path: Path) -> None:
    """Lines by the megabyte once had the daemon's loop to themselves until the last one."""

    async def status(_args: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    path = tmp_path / "control"
    server = ControlServer(path, {"status": status})
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(server),
        socket.socket(socket.AF_UNIX) as flooder,
    ):
        flooder.connect(str(path))
        flooder.sendall(b"\n" * 60_000)
        answers: list[int] = []
        reading = threading.Thread(target=_count_lines, args=(flooder, answers), daemon=True)
        reading.start()
        assert call_daemon(path, "status", timeout=timedelta(seconds=60)) == {}
        assert sum(answers) < 60_000  # In between, not after it.
        assert reading.is_alive()  # Or else there was no flood.
        flooder.shutdown(socket.SHUT_RDWR)
        reading.join()


def _count_lines(sock: socket.socket, counts: list[int]) -> None:
    while received := sock.recv(65536):
        counts.append(received.count(b"\n"))


# ── the fuzzer itself ────────────────────────────────────────────────────────────────────


def _broken_by_spaces(content: bytes) -> None:
    if b"\r\n" in content:
        raise KeyError(content)


def _slow(content: bytes) -> None:
    for _ in range(2_000_000):
        len(content)


def _greedy(content: bytes) -> None:
    bytearray(64 * 1024 * 1024 + len(content))


def test_a_stray_exception_is_found() -> None:
    """A reader that one token throws over doesn't live through a thousand mutations."""
    reader = pure("broken", _broken_by_spaces, (written(PAGE), b"two words"))

    @settings(
        max_examples=1000,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
    )
    @given(begin=st.integers(0, 2**8), steps=STEPS)
    def holds(begin: int, steps: list[Step]) -> None:
        _broken_by_spaces(mutated(reader.seeds, begin, steps, largest=LARGEST))

    with pytest.raises(KeyError):
        holds()


def test_greed_is_found() -> None:
    """64 MiB for nothing are a broken promise."""
    with pytest.raises(BrokenPromiseError, match="64 MiB"):
        weighed(_greedy, b"x")


def test_slowness_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the promised time is a broken promise."""
    monkeypatch.setattr("tests.fuzz.promises.SECONDS", 0.01)
    with pytest.raises(BrokenPromiseError, match="took"):
        timed(_slow, b"x")


def test_the_seeds_are_good(tmp_path: Path) -> None:
    """What mutations begin with is taken: else they would all die at the same early check."""
    collected = Collected()
    collected.add(PAGE["items"], PageContext.of_page(CALENDAR, PAGE))
    assert (len(collected.events), len(collected.removed)) == (2, 1)
    assert parse_scenario(READERS["scenario"].seeds[0]).events
    (tmp_path / "standin.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    (tmp_path / "locum.toml").write_text(FULL_CONFIG)
    assert load(tmp_path / "locum.toml", environ={}).config.rules


def test_it_runs_by_itself(tmp_path: Path) -> None:
    """`python -m tests.fuzz` runs one reader for a while and says how it went."""
    command = [sys.executable, "-m", "tests.fuzz", "--reader", "link", "--seconds", "0.5"]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": "daemon", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("link ")
    assert list(tmp_path.iterdir()) == []
