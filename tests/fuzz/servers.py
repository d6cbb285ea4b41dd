"""Servers that answer with whatever bytes they are told to, as no library would let them."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Answering = Callable[[bytes], bytes]
"""Gets a request as it came, and answers the bytes to send before hanging up."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@contextlib.contextmanager
def raw_http(answering: Answering) -> Iterator[int]:
    """Answer requests over HTTP on loopback, one a connection; yields the port."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=64) as listener,
        _served(listener, _read_http, answering),
    ):
        yield int(listener.getsockname()[1])


@contextlib.contextmanager
def raw_unix(path: Path, answering: Answering) -> Iterator[None]:
    """Answer requests of one line on a unix socket, one a connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(64)
        with _served(listener, _read_line, answering):
            yield


@contextlib.contextmanager
def _served(
    listener: socket.socket, read: Callable[[socket.socket], bytes], answering: Answering
) -> Iterator[None]:
    stopping = threading.Event()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            if stopping.is_set():
                connection.close()
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                connection.sendall(answering(read(connection)))
                connection.shutdown(socket.SHUT_WR)
                # Closing with something unread would take the answer back.
                while connection.recv(65536):
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        with socket.socket(listener.family, socket.SOCK_STREAM) as waker:
            waker.connect(listener.getsockname())
        thread.join()


def _read_http(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += _received(connection)
    found = _LENGTH.search(request)
    wanted = request.index(b"\r\n\r\n") + 4 + (int(found[1]) if found else 0)
    while len(request) < wanted:
        request += _received(connection)
    return request


def _read_line(connection: socket.socket) -> bytes:
    request = b""
    while not request.endswith(b"\n"):
        request += _received(connection)
    return request


def _received(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    if not piece:
        raise ConnectionResetError
    return piece
