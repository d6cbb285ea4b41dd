"""The HTTP client against servers that mean harm: certificates, redirects, compression."""

from __future__ import annotations

import contextlib
import gzip
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import anyio
import httpx
import pytest

from locum.engines.http import Answer, AnswerLostError, BoundedClient, NotSentError, Payload
from locum.engines.shared_call import SharedCall
from locum.errors import LocumError, TransientError

NOTHING = httpx.Headers()
PATIENCE = timedelta(seconds=10)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Handler(BaseHTTPRequestHandler):
    """Answers by path, and remembers what it got."""

    seen: list[tuple[str, str | None, bytes]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"], b""))
        packed = self.path == "/packed"
        content = gzip.compress(b" " * 10_000_000) if packed else b"{}"
        self.send_response(302 if self.path == "/moved" else 200)
        if self.path == "/moved":
            self.send_header("Location", "/elsewhere")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Retry-After", "Mon, 23 Nov 2026 09:02:00 GMT")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["Transfer-Encoding"], content))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        del timestamp
        return "Mon, 23 Nov 2026 09:00:00 GMT"

    def log_message(self, *args: object) -> None:
        del args


@contextlib.contextmanager
def serving(
    context: ssl.SSLContext | None = None,
) -> Iterator[tuple[int, list[tuple[str, str | None, bytes]]]]:
    seen: list[tuple[str, str | None, bytes]] = []
    handler = type("Seeing", (Handler,), {"seen": seen})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # Refused handshakes are meant.
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], seen
        finally:
            server.shutdown()
            thread.join()


@contextlib.asynccontextmanager
async def client_for(
    base_url: str, max_answer_bytes: int = 1024
) -> AsyncIterator[BoundedClient]:
    client = BoundedClient(base_url, headers={}, max_answer_bytes=max_answer_bytes)
    try:
        yield client
    finally:
        await client.aclose()


async def get(base_url: str, path: str, max_answer_bytes: int = 1024) -> Answer:
    async with client_for(base_url, max_answer_bytes) as client:
        return await client.send("GET", path, deadline=PATIENCE, headers=NOTHING)


@pytest.mark.anyio
async def test_redirects_are_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect is not followed, and proxies of the environment are not used."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with serving() as (port, seen):
        answer = await get(f"http://127.0.0.1:{port}", "/moved")
    assert (answer.status, answer.location) == (302, "/elsewhere")
    assert [path for path, _, _ in seen] == ["/moved"]


@pytest.mark.anyio
async def test_a_date_to_come_back_is_measured_by_the_server_s_clock() -> None:
    """Retry-After as a date counts from the answer's own Date."""
    with serving() as (port, _):
        answer = await get(f"http://127.0.0.1:{port}", "/")
    assert answer.retry_after == timedelta(minutes=2)


@pytest.mark.anyio
async def test_a_compressed_answer_is_refused() -> None:
    """Ten megabytes in ten kilobytes are never unpacked."""
    with serving() as (port, _), pytest.raises(AnswerLostError, match="compressed"):
        await get(f"http://127.0.0.1:{port}", "/packed")


@pytest.mark.anyio
async def test_the_cap_is_on_bytes() -> None:
    """An answer of exactly the cap is read, one byte more is not."""
    with serving() as (port, _):
        assert (await get(f"http://127.0.0.1:{port}", "/", max_answer_bytes=2)).body == b"{}"
        with pytest.raises(AnswerLostError, match="over 1 bytes"):
            await get(f"http://127.0.0.1:{port}", "/", max_answer_bytes=1)


@pytest.mark.anyio
async def test_chunks_go_out_as_one_plain_body() -> None:
    """A payload has its length, and no chunked encoding that a proxy could choke on."""
    with serving() as (port, seen):
        async with client_for(f"http://127.0.0.1:{port}/base/") as client:
            payload = Payload("text/plain", (b"one, ", b"two"))
            await client.send("POST", "/x", deadline=PATIENCE, headers=NOTHING, payload=payload)
    assert seen == [("/base/x", None, b"one, two")]


# ── certificates ─────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, which is its own authority; its key lies in the same file."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


def make_certificate(folder: Path, name: str) -> Path:
    key, made = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    wanted = ["-subj", "/CN=stage", "-addext", f"subjectAltName={name}"]
    files = ["-keyout", str(key), "-out", str(made)]
    subprocess.run([*command.split(), *wanted, *files], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes(made.read_bytes() + key.read_bytes())
    return both


def tls_with(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.anyio
async def test_a_self_signed_certificate_is_refused(certificate: Path) -> None:
    """Nothing is sent to a server that nobody vouches for."""
    refused = pytest.raises(NotSentError, match="CERTIFICATE_VERIFY_FAILED")
    with serving(tls_with(certificate)) as (port, seen), refused:
        await get(f"https://127.0.0.1:{port}", "/")
    assert seen == []


@pytest.mark.anyio
async def test_the_operator_s_own_authority_is_trusted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names a private authority, as for every other program."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(tls_with(certificate)) as (port, _):
        assert (await get(f"https://127.0.0.1:{port}", "/")).status == 200


@pytest.mark.anyio
async def test_a_certificate_of_another_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted authority's word for another host is no word for this one."""
    other = make_certificate(tmp_path, "DNS:other.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    refused = pytest.raises(NotSentError, match="CERTIFICATE_VERIFY_FAILED")
    with serving(tls_with(other)) as (port, seen), refused:
        await get(f"https://127.0.0.1:{port}", "/")
    assert seen == []


# ── sharing a call ───────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_cancelled_caller_spoils_nothing_for_the_rest() -> None:
    """Whoever waits behind a cancelled caller makes the call in its place."""
    calls = 0

    async def slow() -> int:
        nonlocal calls
        calls += 1
        await anyio.sleep(0.05)
        return calls

    shared, told = SharedCall(slow), []

    async def ask_behind() -> None:
        await anyio.sleep(0.005)
        told.append(await shared())

    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(0.02):
            tasks.start_soon(ask_behind)
            await shared()
    assert (told, calls) == ([2], 2)


@pytest.mark.anyio
async def test_a_failure_is_shared_but_not_kept() -> None:
    """Ten who wait get the one failure; the next who asks gets a new call."""
    calls = 0

    async def fail_once() -> str:
        nonlocal calls
        calls += 1
        await anyio.sleep(0.01)
        if calls == 1:
            raise TransientError("down")
        return "up"

    shared: SharedCall[str] = SharedCall(fail_once)
    failures: list[LocumError] = []

    async def ask() -> None:
        try:
            await shared()
        except LocumError as error:
            failures.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(ask)
    assert (len(failures), calls) == (10, 1)
    assert await shared() == "up"
