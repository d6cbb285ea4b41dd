"""One WebSocket of the meeting page: frames in, messages out, and the clock that drives both.

Runs on the server's loop. Messages may be put from any thread; they are sent in order by one
task. A page that doesn't read loses its connection, not the server's memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect

from locum.rehearsal.meet.participants import Participant, Phase
from locum.rehearsal.meet.protocol import (
    LARGEST_FRAME,
    SILENCE_S,
    Bare,
    FromPage,
    Hello,
    NotUnderstoodError,
    Offer,
    ToPage,
    read_frame,
)
from locum.rehearsal.meet.state import MeetStage
from locum.tasks import Tasks

PUMP_S = 0.05
"""How often the stage looks what is due while anybody is connected, in the host's seconds."""

COOKIE = "SID"
_MOST_WAITING = 2_000
_MOST_FRAMES_A_SECOND = 200
_TRY_AGAIN, _POLICY = 1013, 1008

Negotiate = Callable[[Participant, str], Awaitable[ToPage]]
"""Answers a participant's offer with the message to send; raises nothing."""


class Outbox:
    """What a connection is to be told; `put` may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[ToPage] = deque()
        self._news = asyncio.Event()
        self.overflowed = False

    def put(self, message: ToPage) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self.overflowed = True
        else:
            self._waiting.append(message)
        with contextlib.suppress(RuntimeError):  # The loop has ended, and so has whoever reads.
            self._loop.call_soon_threadsafe(self._news.set)

    async def get(self) -> ToPage | None:
        """Answer the next message, or None where the connection is to be cut."""
        while not self._waiting and not self.overflowed:
            self._news.clear()
            if not self._waiting:
                await self._news.wait()
        if self.overflowed:
            return None
        message = self._waiting.popleft()
        return None if message["type"] == "_drop" else message


class Connections:
    """Serves `/ws`. While anybody is connected, the stage's time passes here."""

    def __init__(self, stage: MeetStage, negotiate: Negotiate | None = None) -> None:
        self._stage = stage
        self._negotiate = negotiate
        self._tasks = Tasks()
        self._open = 0

    async def serve(self, socket: WebSocket) -> None:
        if not _same_origin(socket):
            await socket.close(_POLICY)
            return
        await socket.accept()
        outbox = Outbox(asyncio.get_running_loop())
        self._open += 1
        self._tasks.start("pump", self._pump())
        sender = asyncio.create_task(_send(socket, outbox), name="meet-page-sender")
        participant: Participant | None = None
        try:
            participant = await self._greet(socket, outbox)
            if participant is not None:
                await self._listen(socket, outbox, participant)
        except (WebSocketDisconnect, RuntimeError):
            pass  # starlette raises either, as the other side goes before or after we look.
        finally:
            self._open -= 1
            if participant is not None:
                self._stage.disconnected(participant, outbox.put)
            await _finish(socket, sender)

    async def _greet(self, socket: WebSocket, outbox: Outbox) -> Participant | None:
        """Hear a connection's first message, and answer who it is."""
        while (frame := await _read(socket)) is not None:
            try:
                hello = read_frame(frame)
            except NotUnderstoodError as error:
                outbox.put({"type": "error", "what": str(error)})
                continue
            if not isinstance(hello, Hello):
                outbox.put({"type": "error", "what": f"{hello.type}: say hello first"})
                continue
            return self._welcome(socket, outbox, hello)
        return None

    def _welcome(self, socket: WebSocket, outbox: Outbox, hello: Hello) -> Participant | None:
        account = self._stage.account_of(socket.cookies.get(COOKIE))
        if hello.resume is not None:
            back = self._stage.come_back(hello.room, hello.resume, outbox.put)
            if back is not None:
                return back
        return self._stage.connect(hello.room, outbox.put, account, observer=hello.observer)

    async def _listen(
        self, socket: WebSocket, outbox: Outbox, participant: Participant
    ) -> None:
        pace = _Pace()
        while (frame := await _read(socket)) is not None:
            if not pace.allows():
                return
            try:
                message = read_frame(frame)
            except NotUnderstoodError as error:
                outbox.put({"type": "error", "what": str(error)})
                continue
            answer = await self._answer(participant, message)
            if answer is not None:
                outbox.put(answer)

    async def _answer(self, participant: Participant, message: FromPage) -> ToPage | None:
        if isinstance(message, Bare):
            if message.type == "ping":
                return {"type": "pong"}
            self._stage.leave(participant)
            return None
        if isinstance(message, Offer) and participant.phase is Phase.IN:
            if self._negotiate is None:
                return {"type": "refused_offer", "why": "no media here", "id": message.id}
            return {**await self._negotiate(participant, message.sdp), "id": message.id}
        wrong = self._stage.take(participant, message)
        return None if wrong is None else {"type": "error", "what": wrong}

    async def _pump(self) -> None:
        while self._open:
            self._stage.pump()
            await asyncio.sleep(PUMP_S)


class _Pace:
    """Frames a second, so that one page can't keep the others from being served."""

    def __init__(self) -> None:
        self._second = 0
        self._count = 0

    def allows(self) -> bool:
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= _MOST_FRAMES_A_SECOND


async def _read(socket: WebSocket) -> str | None:
    """Answer the next frame's text, or None where it is over: too large, too long silent."""
    try:
        message = await asyncio.wait_for(socket.receive(), SILENCE_S)
    except asyncio.TimeoutError:
        return None
    if message["type"] != "websocket.receive":
        return None
    text = message.get("text")
    if text is None:
        return ""  # Bytes are no JSON either.
    return None if len(text) > LARGEST_FRAME else str(text)


async def _send(socket: WebSocket, outbox: Outbox) -> None:
    """Send what waits until the connection is to be cut, or is gone."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await outbox.get()) is not None:
            await socket.send_text(json.dumps(message, ensure_ascii=False))
        await socket.close(_TRY_AGAIN)


async def _finish(socket: WebSocket, sender: asyncio.Task[None]) -> None:
    sender.cancel()
    await asyncio.gather(sender, return_exceptions=True)
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(_TRY_AGAIN)


def _same_origin(socket: WebSocket) -> bool:
    """Let other sites' pages out, as browsers say where they are from."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")
