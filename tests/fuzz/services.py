"""Fuzzed readers of what comes over sockets: the engine's answers, commands, metrics' pages."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import socket
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from structlog.testing import capture_logs

from locum.control import ControlServer, DaemonNotRunningError, call_daemon
from locum.core.model import Platform, Room, SessionHandle, SessionKey
from locum.core.secret import Secret
from locum.engines import pikastream_answers as answers
from locum.engines.http import BoundedClient, Payload
from locum.engines.pikastream_api import NoCreditsError, PikaStreamApi
from locum.engines.pikastream_body import LARGEST_IMAGE, SMALLEST_IMAGE, JoinBodies
from locum.engines.pikastream_key import find_key
from locum.errors import (
    AmbiguousError,
    HumanNeededError,
    LocumError,
    PermanentError,
    TransientError,
)
from locum.metrics import Metrics, serve_metrics
from locum.persona import PersonaCard, Wardrobe
from locum.ports import JoinRequest
from tests.fuzz.google import message, written
from tests.fuzz.promises import BrokenPromiseError, promise, promise_text
from tests.fuzz.reader import Read, Reader, pure
from tests.fuzz.servers import raw_http, raw_unix

SOON = timedelta(seconds=5)
KEY = "dk_fuzz_fuzz"
MOST_REQUESTS = 500


# ── the engine ───────────────────────────────────────────────────────────────────────────


def read_answer(content: bytes) -> None:
    """Give one answer to every parser there is."""
    for read in (
        answers.parse_object,
        answers.read_balance,
        answers.read_products,
        answers.read_checkout_url,
        answers.read_session_id,
        answers.read_state,
        answers.read_image,
        answers.read_base_resp,
        answers.read_file_id,
    ):
        try:
            found = read(content)
        except answers.UnreadableError as error:
            promise_text(str(error), "the complaint", most=300)
            promise(str(error).isprintable(), f"it can't be shown: {error!a}")
        else:
            promise_found(found)
    promise_text(answers.quote_detail(content), "the detail", most=answers.LONGEST_DETAIL)
    for note in answers.harvest_notes(content, "body"):
        promise_text(note.text, "a note", most=len(content), one_line=False)


def promise_found(found: object) -> None:
    """Raise unless what a parser found is bounded and safe to go on with."""
    match found:
        case float():
            promise(abs(found) <= 1e15, f"a balance of {found}")
        case str():
            promise(
                found.isascii() and found.isprintable() and len(found) <= 2000, "a bad text"
            )
        case bytes():
            promise(len(found) <= answers.LARGEST_DRAWING, "a picture without bounds")
        case int() | (int(), str()):
            number, told = found if isinstance(found, tuple) else (found, "")
            promise(abs(number) < 2**63, "a number without bounds")
            promise_text(told, "what the voice service says", most=answers.LONGEST_DETAIL)
        case answers.SessionState():
            promise_text(found.detail, "the detail", most=answers.LONGEST_DETAIL + 100)
        case tuple():
            for product in found:
                promise(0 < len(product.product_id) <= 200, "an id without bounds")
        case _:
            promise(isinstance(found, Mapping), f"found {found!r}")


@contextlib.contextmanager
def _engine(_folder: Path) -> Iterator[Read]:
    """Make the engine's calls to a server that answers each with the same bytes."""
    answer = b""
    with raw_http(lambda _request: answer) as port, _portal() as portal:
        client = BoundedClient(f"http://127.0.0.1:{port}", headers={})
        api = PikaStreamApi(
            client, lambda: Secret(KEY), request_deadline=SOON, join_deadline=SOON
        )

        async def call_all() -> None:
            with _engine_errors():
                promise_found(await api.balance())
            with _engine_errors():
                promise_found((await api.look(SessionHandle("s1"))).state)
            with _engine_errors(NoCreditsError, AmbiguousError):
                promise_found(await api.create_session(Payload("text/plain", (b"x",))))
            with _engine_errors(NoCreditsError):
                promise_found(await api.draw_image("x", deadline=SOON))
            with _engine_errors(NoCreditsError):
                sample = Payload("text/plain", (b"x",))
                promise_found(await api.upload_sample(sample, deadline=SOON))
            with _engine_errors(NoCreditsError):
                await api.clone_voice(1, "voice", noise_reduction=True, deadline=SOON)

        def read(content: bytes) -> None:
            nonlocal answer
            answer = content
            portal.call(call_all)

        try:
            yield read
        finally:
            portal.call(client.aclose)


@contextlib.contextmanager
def _engine_errors(*more: type[LocumError]) -> Iterator[None]:
    try:
        yield
    except LocumError as error:
        expected = (TransientError, HumanNeededError, PermanentError, *more)
        promise(isinstance(error, expected), f"it raises {error!r}")
        promise_text(str(error), "the error", most=1500)


@contextlib.contextmanager
def _face(folder: Path) -> Iterator[Read]:
    """Put whatever lies in the persona's image into the body of a join."""
    path = folder / "face.png"
    bodies, wardrobe = JoinBodies(), Wardrobe()
    card = PersonaCard("robin", "Robin", "Alex", path, "v")
    now = datetime(2026, 11, 23, tzinfo=timezone.utc)
    room = Room(Platform.ZOOM, "123456789", "https://zoom.us/j/123456789", "p\r\n")

    async def dressed() -> Payload:
        appearance = await wardrobe.appear(card, engine="pika", now=now)
        return bodies.body(JoinRequest(SessionKey("s"), room, appearance.face, "Be kind.", now))

    with _portal() as portal:

        def read(content: bytes) -> None:
            path.write_bytes(content)
            try:
                body = portal.call(dressed)
            except PermanentError as error:
                promise_text(str(error), "the refusal", most=1000)
            else:
                promise(SMALLEST_IMAGE < len(content) <= LARGEST_IMAGE, "a face of odd size")
                promise(content in body.chunks[1], "another face than the file's")

        yield read


@contextlib.contextmanager
def _key_file(folder: Path) -> Iterator[Read]:
    path = folder / "key"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            key = find_key(path, {}).reveal()
        except HumanNeededError as error:
            promise_text(str(error), "the refusal", most=1000)
        else:
            promise(key.encode() in content and key.startswith("dk_"), "another key")

    yield read


# ── commands ─────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _commands(folder: Path) -> Iterator[Read]:
    """Send lines to the daemon's socket; every one but the last must be answered."""

    async def count(args: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"count": len(args)}

    path = folder / "control"
    with _portal() as portal, capture_logs() as logs:
        server = ControlServer(path, {"status": count, "stop": count, "reload": count})
        with portal.wrap_async_context_manager(server):

            def read(content: bytes) -> None:
                # So many can be answered in the promised time.
                content = b"".join(content.splitlines(keepends=True)[:MOST_REQUESTS])
                received = _exchanged(_unix(path), content)
                lines = received.splitlines()
                promise(len(lines) == content.count(b"\n"), f"{len(lines)} answers")
                for line in lines:
                    promise(isinstance(json.loads(line)["ok"], bool), "an odd answer")
                promise(not [each for each in logs if each["log_level"] == "error"], "an error")

            yield read


@contextlib.contextmanager
def _answers(folder: Path) -> Iterator[Read]:
    """Ask a daemon that answers anything."""
    answer = b""
    path = folder / "control"
    with raw_unix(path, lambda _request: answer):

        def read(content: bytes) -> None:
            nonlocal answer
            answer = content
            try:
                result = call_daemon(path, "status", timeout=SOON)
            except DaemonNotRunningError:
                raise BrokenPromiseError("the daemon does run") from None
            except LocumError:
                return
            promise(isinstance(result, dict), "an odd result")

        yield read


# ── metrics ──────────────────────────────────────────────────────────────────────────────

_STATUSES = {b"200", b"400", b"404", b"405", b"421"}


@contextlib.contextmanager
def _pages(_folder: Path) -> Iterator[Read]:
    """Send requests to the metrics' port."""
    with _portal() as portal:
        serving = serve_metrics(Metrics(), port=0, health=lambda: {"live": 1})
        with portal.wrap_async_context_manager(serving) as port:

            def read(content: bytes) -> None:
                received = _exchanged(socket.create_connection(("127.0.0.1", port)), content)
                if received:  # It hangs up on what it can't read to the end.
                    version, status, *_ = received.split(b" ", 2)
                    promise(version == b"HTTP/1.1", f"it answers {received[:40]!r}")
                    promise(status in _STATUSES, f"it answers {status!r}")
                    named = b"\r\nHost: evil" in content.partition(b"\r\n\r\n")[0]
                    promise(not (named and status == b"200"), "it answers to another name")

            yield read


# ── what they share ──────────────────────────────────────────────────────────────────────


class _Complaints(logging.Handler):
    """Keeps what asyncio logs: exceptions that nobody awaited."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@contextlib.contextmanager
def _portal() -> Iterator[BlockingPortal]:
    """Run an event loop beside us; raise at the end if a task of it died."""
    complaints = _Complaints()
    logger = logging.getLogger("asyncio")
    logger.addHandler(complaints)
    try:
        with start_blocking_portal() as portal:
            yield portal
        gc.collect()
        promise(not complaints.told, f"asyncio says {complaints.told[:3]}")
    finally:
        logger.removeHandler(complaints)


def _unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(str(path))
    return sock


def _exchanged(sock: socket.socket, content: bytes) -> bytes:
    """Send, say that this is all, and read to the end."""
    received = bytearray()
    with sock:
        sock.settimeout(5)
        with contextlib.suppress(OSError):  # It may have hung up already.
            sock.sendall(content)
            sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65536):
                received += piece
    return bytes(received)


_STATE = {
    "status": "ready",
    "video_worker_connected": True,
    "meeting_bot_connected": False,
    "error_message": "no",
    "session_id": "ses_1-2",
    "data": {"balance": 1000.5},
    "transcript": [{"speaker": "Anna", "text": "Hello"}, "Bye"],
    "summary": "All well.",
}
_SHOP = {
    "products": [
        {"productId": "p1", "numCredits": 500},
        {"productId": "p2", "numCredits": "9"},
    ],
    "checkout_url": "https://pay.example.com/c/1?x=2",
    "detail": {"message": "no credits"},
    "session_id": 17,
    "balance": "12.5",
}
_PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 5
_JPEG = b"\xff\xd8\xff\xe0" + bytes(1100)

SERVICES: tuple[Reader, ...] = (
    pure("engine_answers", read_answer, (written(_STATE), written(_SHOP))),
    Reader(
        "engine_http",
        (
            message(written(_STATE)),
            message(written(_SHOP), "402 Pay"),
            message(written(_SHOP), "429 Busy", "Retry-After: 17", "Date: x"),
            message(b"", "302 Found", "Location: https://elsewhere.example/"),
            message(b"2\r\n{}\r\n0\r\n\r\n", "503 Down", "Transfer-Encoding: chunked"),
        ),
        _engine,
    ),
    Reader("engine_face", (_PNG, _JPEG, _PNG[:1024]), _face),
    Reader("engine_key", (b"dk_live-AZ_09\n", b" dk_x "), _key_file),
    Reader(
        "control_requests",
        (
            b'{"command": "status"}\n{"command": "stop", "args": {"key": "k", "all": true}}\n',
            b'{"command": "statsu", "args": {}}\n',
        ),
        _commands,
    ),
    Reader(
        "control_answers",
        (
            b'{"ok": true, "result": {"live": [1, 2, {"title": "x"}]}}\n',
            b'{"ok": false, "error": "No such meeting.", "hint": "See `locum plan`."}\n',
        ),
        _answers,
    ),
    Reader(
        "metrics_requests",
        (
            b"GET /metrics HTTP/1.1\r\nHost: localhost:9100\r\nAccept: */*\r\n\r\n",
            b"HEAD /healthz?x HTTP/1.0\r\nHost: [::1]\r\n\r\n",
            b"POST /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\nx",
        ),
        _pages,
    ),
)
