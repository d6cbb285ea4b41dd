"""An MCP server that answers a call as no server should: without end, or packed.

Over HTTP; run as a program, over stdio.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
import zlib
from collections.abc import AsyncIterator
from typing import Any

CALLS = (
    "honest",
    "endless",
    "stream",
    "packed",
    "packed_stream",
    "resumed",
    "echo",
    "complaint",
)
PIECE = 64 * 1024


class HostileServer:
    """`sent` is how many bytes of bodies it got rid of, `resumed` how often it was asked for more."""

    def __init__(self) -> None:
        self.sent = 0
        self.resumed = 0
        self.unasked = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").lower().split("\r\n")
                fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                if lines[0].startswith("get"):
                    resumes = "last-event-id" in fields
                    self.resumed += resumes
                    self.unasked += not resumes
                    await self._send(writer, "text/event-stream", b"id: 2\nretry: 0\ndata:\n\n")
                elif lines[0].startswith("post"):
                    await self._call(json.loads(body), fields.get("authorization", ""), writer)
                else:
                    await self._send(writer, "text/plain", b"")
        writer.close()

    async def _call(
        self, message: dict[str, Any], token: str, writer: asyncio.StreamWriter
    ) -> None:
        call = message.get("params", {}).get("name")
        event = b'data: {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}\n\n'
        if "id" not in message:
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        elif call == "endless":
            await self._send_endlessly(writer, "application/json", b" " * PIECE)
        elif call == "stream":
            await self._send_endlessly(writer, "text/event-stream", event * 500)
        elif call in {"packed", "packed_stream"}:
            kind = "application/json" if call == "packed" else "text/event-stream"
            packer = zlib.compressobj(wbits=31)
            packed = packer.compress(b" " * (64 << 20)) + packer.flush()
            await self._send(writer, f"{kind}\r\nContent-Encoding: gzip", packed)
        elif call in {"echo", "complaint"}:
            said: dict[str, Any] = {"error": {"code": -32000, "message": token}}
            if call == "echo":
                said = {"result": {"content": [{"type": "text", "text": token}]}}
            answer = {"jsonrpc": "2.0", "id": message["id"], **said}
            await self._send(writer, "application/json", json.dumps(answer).encode())
        elif call == "resumed":
            await self._send(writer, "text/event-stream", b"id: 1\nretry: 0\ndata:\n\n")
        else:
            answer = {"jsonrpc": "2.0", "id": message["id"], **_answered(message)}
            await self._send(writer, "application/json", json.dumps(answer).encode())

    async def _send(self, writer: asyncio.StreamWriter, kind: str, body: bytes) -> None:
        self.sent += len(body)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nMcp-Session-Id: x\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async def _send_endlessly(
        self, writer: asyncio.StreamWriter, kind: str, piece: bytes
    ) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n".encode())
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            self.sent += len(piece)


def _answered(message: dict[str, Any]) -> dict[str, Any]:
    if message["method"] == "initialize":
        version = message["params"]["protocolVersion"]
        info = {"name": "hostile", "version": "1"}
        return {
            "result": {
                "protocolVersion": version,
                "capabilities": {"tools": {}},
                "serverInfo": info,
            }
        }
    if message["method"] == "tools/list":
        schema = {"type": "object"}
        return {"result": {"tools": [{"name": each, "inputSchema": schema} for each in CALLS]}}
    if message["method"] == "tools/call":
        return {"result": {"content": [{"type": "text", "text": "as asked"}]}}
    return {"error": {"code": -32601, "message": "no such method"}}


def _talk() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("params", {}).get("name") == "endless":
            for number in itertools.count():
                print(json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping"}))
        elif "id" in message:
            answer = {"jsonrpc": "2.0", "id": message["id"], **_answered(message)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _talk()
