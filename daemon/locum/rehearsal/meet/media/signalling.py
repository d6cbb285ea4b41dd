"""How somebody without a page comes into a room: in this process, or by the page's socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Protocol
from urllib.parse import urlsplit

from locum.errors import PermanentError
from locum.rehearsal.meet.media.room import MediaRoom

_PING_S = 10.0


class NotAdmittedError(PermanentError):
    """The meeting doesn't let us in, or is over; the message says what it answered."""


class Signalling(Protocol):
    """Says offers and hears answers for one participant."""

    async def enter(self) -> None:
        """Come into the meeting.

        Raises:
            NotAdmittedError: It doesn't let us.
        """

    async def exchange(self, offer_sdp: str) -> str:
        """The answer to an offer.

        Raises:
            NotAdmittedError: It was refused.
        """

    def shown(self) -> dict[str, str]:
        """Who is on which video section now: participant by mid."""

    def find(self, name: str) -> str | None:
        """The participant of that id or display name, None while nobody is."""

    async def leave(self) -> None: ...


class RoomSignalling:
    """Into a `MediaRoom` of this process, on its loop."""

    def __init__(self, room: MediaRoom, participant: str = "observer") -> None:
        self._room = room
        self._participant = participant

    async def enter(self) -> None:
        pass

    async def exchange(self, offer_sdp: str) -> str:
        return await self._room.negotiate(self._participant, offer_sdp)

    def shown(self) -> dict[str, str]:
        return _shown(self._room.slots(self._participant))

    def find(self, name: str) -> str | None:
        return name if name in self._room.participants() else None

    async def leave(self) -> None:
        await self._room.leave(self._participant)


class SocketSignalling:
    """Into the stage's meeting, as its page comes in: by the WebSocket at `/ws`.

    Args:
        url: The meeting's page, "http://127.0.0.1:8080/abc-defg-hij".
        name: The name to go by.
        within_s: How long to wait for each answer.
    """

    def __init__(self, url: str, *, name: str = "Observer", within_s: float = 30.0) -> None:
        parts = urlsplit(url)
        code = parts.path.strip("/").rpartition("/")[2]
        if parts.scheme not in {"http", "https"} or not parts.netloc or not code:
            raise ValueError(f"{url}: give the meeting's page, http://HOST:PORT/abc-defg-hij.")
        self._address = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/ws"
        self._code = code
        self._name = name
        self._within_s = within_s
        self._socket: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._slots: dict[str, Any] | None = None
        self._roster: list[dict[str, Any]] = []
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def enter(self) -> None:
        from websockets.asyncio.client import connect

        self._socket = await connect(self._address, open_timeout=self._within_s)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._read()), loop.create_task(self._ping())]
        await self._say({"type": "hello", "room": self._code, "observer": True})
        await self._expect("welcome")
        await self._say(
            {"type": "knock", "name": self._name, "microphone": False, "camera": False}
        )
        while (await self._expect("admitted", "consent"))["type"] == "consent":
            await self._say({"type": "consent", "accept": True})

    async def exchange(self, offer_sdp: str) -> str:
        await self._say({"type": "offer", "sdp": offer_sdp})
        return str((await self._expect("answer"))["sdp"])

    def shown(self) -> dict[str, str]:
        return _shown(self._slots)

    def find(self, name: str) -> str | None:
        for each in self._roster:
            if name in {each.get("id"), each.get("name")}:
                return str(each["id"])
        return None

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await self._say({"type": "leave"})
                await self._socket.close()

    async def _say(self, message: dict[str, Any]) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await self._socket.send(json.dumps(message))
        except ConnectionClosed:
            return  # Whoever waits for the answer is told.

    async def _read(self) -> None:
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                message = json.loads(frame)
                if message.get("type") == "slots":
                    self._slots = message
                elif message.get("type") == "roster":
                    self._roster = list(message.get("people", ()))
                elif message.get("type") in _SAYS_SOMETHING:
                    self._answers.put_nowait(message)
        self._answers.put_nowait({"type": "closed"})

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            await self._say({"type": "ping"})

    async def _expect(self, *types: str) -> dict[str, Any]:
        while True:
            try:
                message = await asyncio.wait_for(self._answers.get(), self._within_s)
            except asyncio.TimeoutError:
                raise NotAdmittedError(
                    f"{self._address}: no {' or '.join(types)} within {self._within_s:g} s."
                ) from None
            if message["type"] in types:
                return message
            if message["type"] in _ENDS:
                why = message.get("why") or message.get("what") or message.get("by") or ""
                raise NotAdmittedError(f"{self._address}: {message['type']} {why}".rstrip())


_ENDS = frozenset(
    ("refused", "refused_offer", "removed", "ended", "replaced", "error", "closed")
)
_SAYS_SOMETHING = _ENDS | {"welcome", "admitted", "consent", "answer"}


def _shown(message: dict[str, Any] | None) -> dict[str, str]:
    if message is None:
        return {}
    return {
        each["mid"]: each["participant"] for each in message["video"] if each["participant"]
    }
