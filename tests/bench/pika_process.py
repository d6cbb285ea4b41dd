"""A PikaStream that does next to nothing, and notes the instant at which each join arrives.

The stage's own would spend longer on a join than the daemon does; this one stamps the first
byte of each POST and answers at once. `python -m tests.bench.pika_process` prints its
address and stays; `GET /_times` answers the stamps, `/_rooms` the first of each Meet code.
"""

from __future__ import annotations

import asyncio
import json
import re
import time

_NOTED: list[float] = []
_ROOMS: dict[str, float] = {}
_CLOSED: set[str] = set()
_MEET_LINK = re.compile(rb"meet\.google\.com/([a-z]{3}-[a-z]{4}-[a-z]{3})")


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._waiting = b""
        self._arrived = 0.0

    def data_received(self, data: bytes) -> None:
        if not self._waiting:
            self._arrived = time.time()
        self._waiting += data
        while (request := self._take()) is not None:
            self._answer(request)

    def _take(self) -> str | None:
        head, found, rest = self._waiting.partition(b"\r\n\r\n")
        if not found:
            return None
        lines = head.decode("latin-1").split("\r\n")
        length = next(
            (int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0
        )
        if len(rest) < length:
            return None
        for code in _MEET_LINK.findall(rest[:length]):
            _ROOMS.setdefault(code.decode(), self._arrived)
        self._waiting = rest[length:]
        return lines[0]

    def _answer(self, request: str) -> None:
        method, path, _ = request.split(" ", 2)
        if method == "POST":
            _NOTED.append(self._arrived)
            body: object = {"session_id": f"s{len(_NOTED)}"}
        elif path == "/_times":
            body = _NOTED
        elif path == "/_rooms":
            body = _ROOMS
        elif path == "/developer/balance":
            body = {"balance": 1_000_000}
        else:
            if method == "DELETE":
                _CLOSED.add(path)
            body = {"status": "closed" if path in _CLOSED else "ready"}
        text = json.dumps(body).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
            + f"content-length: {len(text)}\r\n\r\n".encode()
            + text
        )


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(
        _Connection, "127.0.0.1", 0, backlog=1024
    )
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"address": f"http://127.0.0.1:{port}"}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
