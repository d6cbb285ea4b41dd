"""Serves an ASGI application on loopback from a thread of its own, with its own loop.

The stage must go on answering while the daemon under test is blocked, stopped or killed,
so it never shares the daemon's event loop.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp


@dataclass(frozen=True)
class Served:
    """A running server; `base_url` has no trailing slash."""

    base_url: str
    port: int


@contextlib.contextmanager
def served(app: ASGIApp, *, port: int = 0, largest_frame: int = 0) -> Iterator[Served]:
    """Serve `app` on 127.0.0.1 (port 0: any free one) until the block ends.

    With `largest_frame` (bytes), WebSockets too, which needs the extra `stage`; the app is then
    told of its beginning and end.

    Raises:
        OSError: The port is taken.
    """
    # Named, because asyncio sets TCP_NODELAY only on what says that it is TCP: without it each
    # answer on a kept connection waits 40 ms for an acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
        bound = int(listener.getsockname()[1])
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on" if largest_frame else "off",
            ws="websockets-sansio" if largest_frame else "none",
            ws_max_size=largest_frame or 1,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, args=([listener],), name=f"stage:{bound}", daemon=True
        )
        thread.start()
        try:
            yield Served(base_url=f"http://127.0.0.1:{bound}", port=bound)
        finally:
            server.should_exit = True
            thread.join(timeout=5)
