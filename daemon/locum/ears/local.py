"""Recognisers on this machine, as the meeting's process sees them; see `locum.ears.listening`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from locum.core.speech import Sound
from locum.errors import PermanentError, TransientError

RATE_HZ = 16_000

_PATIENCE_S = 15.0
_LONGEST_LINE = 1 << 18
_MOST_WAITING = 20 * 2 * RATE_HZ  #: Bytes of one stream: 20 s.
_MOST_AT_ONCE = RATE_HZ  #: Bytes: half a second.

# It finds modules where we do, however we were told to, and nowhere else.
_START = (
    "import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); "
    "from locum.ears.listening import main; main()"
)
_KEPT_FROM_IT = ("PIKA_", "LOCUM_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")


class LocalProcess:
    """The process of one recogniser: begun when it is first needed, and anew when it ended.

    `arguments` say what listens there; `install` is what to do where that can't be used.
    """

    def __init__(
        self,
        kind: str,
        arguments: Sequence[str] = (),
        *,
        install: str,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._kind = kind
        self._arguments = tuple(arguments)
        self._install = install
        self._environ = environ
        self._process: ListeningProcess | None = None
        self._starting = asyncio.Lock()

    async def running(self) -> ListeningProcess:
        """Answer it, ready.

        Raises:
            PermanentError: It can't be used here.
            TransientError: It doesn't get ready.
        """
        async with self._starting:
            if self._process is None or self._process.ended:
                self._process = await ListeningProcess.start(
                    (self._kind, *self._arguments), self._environ, self._install
                )
            return self._process

    async def aclose(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.aclose()


class LocalRecognition:
    """One speaker's stream."""

    def __init__(self, process: ListeningProcess) -> None:
        self._process = process
        self._number = process.number()
        self._waiting: deque[bytes] = deque()
        self._waits = 0
        self._lost = False
        self._feeding: asyncio.Task[None] | None = None

    def hear(self, sound: Sound) -> None:
        """Take sound of 16 kHz. See `locum.ports.Recognition`."""
        self._waiting.append(sound.pcm)
        self._waits += len(sound.pcm)
        while self._waits > _MOST_WAITING:
            self._waits -= len(self._waiting.popleft())
            self._lost = True
        if self._feeding is None:
            self._feeding = asyncio.get_running_loop().create_task(self._feed())

    async def _feed(self) -> None:
        try:
            while self._waiting:
                await self._process.ask(
                    {"do": "hear", "stream": self._number}, self._take(_MOST_AT_ONCE)
                )
        except TransientError:
            self._waiting.clear()  # Said by `finish`.
            self._waits = 0
        finally:
            self._feeding = None

    def _take(self, most: int) -> bytes:
        """Take the next pieces that wait, some `most` bytes, and one piece at least."""
        taken = bytearray()
        while self._waiting and len(taken) < most:
            taken += self._waiting.popleft()
        self._waits -= len(taken)
        return bytes(taken)

    async def guess(self) -> str:
        await self._hear_waiting()
        answer = await self._process.ask({"do": "guess", "stream": self._number})
        return str(answer.get("text", ""))

    async def finish(self) -> str:
        lost, self._lost = self._lost, False
        await self._hear_waiting()
        answer = await self._process.ask({"do": "finish", "stream": self._number})
        text = str(answer.get("text", ""))
        return f"(…) {text}" if lost and text else text

    async def _hear_waiting(self) -> None:
        """Let it hear all that waits now. Questions are answered in the order they were put."""
        if self._waiting:
            sound = self._take(_MOST_WAITING)
            await self._process.ask({"do": "hear", "stream": self._number}, sound)

    async def aclose(self) -> None:
        self._waiting.clear()
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait((self._feeding,))
        with contextlib.suppress(TransientError):
            await self._process.ask({"do": "close", "stream": self._number})


class ListeningProcess:
    """The listening process; one question at a time."""

    def __init__(self, kind: str, process: asyncio.subprocess.Process) -> None:
        self.kind = kind
        self._process = process
        self._turn = asyncio.Lock()
        self._streams = 0
        self._asking: set[asyncio.Future[dict[str, Any]]] = set()
        self._killed = False

    @classmethod
    async def start(
        cls, arguments: Sequence[str], environ: Mapping[str, str], install: str
    ) -> ListeningProcess:
        """Begin it, and wait until it has read its model.

        Raises:
            PermanentError: It can't be used here.
            TransientError: It doesn't get ready.
        """
        kept = {k: v for k, v in environ.items() if not k.startswith(_KEPT_FROM_IT)}
        started = cls(
            arguments[0],
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _START, *arguments, os.pathsep.join(sys.path)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LONGEST_LINE,
                env=kept,
            ),
        )
        try:
            async with started._turn:
                first = await started._answer()
        except TransientError:
            await started.aclose()
            raise
        if "problem" in first:
            await started.aclose()
            raise PermanentError(f"{first['problem']}. {install}")
        return started

    @property
    def ended(self) -> bool:
        return self._killed or self._process.returncode is not None

    def number(self) -> int:
        self._streams += 1
        return self._streams

    async def ask(self, request: dict[str, Any], pcm: bytes = b"") -> dict[str, Any]:
        """Ask one thing, and answer what it says.

        Whoever is cancelled doesn't wait for the answer: it is read all the same, since it must
        not be taken for the next one's.

        Raises:
            TransientError: It ended, or doesn't answer in time.
        """
        line = json.dumps({**request, "size": len(pcm)}).encode() + b"\n"
        asking = asyncio.ensure_future(self._ask(line + pcm))
        self._asking.add(asking)
        asking.add_done_callback(self._asked)
        return await asyncio.shield(asking)

    def _asked(self, asking: asyncio.Future[dict[str, Any]]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # Whoever asked may be gone.

    async def _ask(self, question: bytes) -> dict[str, Any]:
        async with self._turn:
            answered = False
            try:
                if self._process.stdin is None or self.ended:
                    raise TransientError(f"{self.kind}'s process has ended.")
                self._process.stdin.write(question)
                await self._process.stdin.drain()
                answer = await self._answer()
                answered = True
            except OSError as error:
                raise TransientError(f"{self.kind}'s process has ended.") from error
            finally:
                if not answered:
                    # Its late answer must not be read as the next one.
                    self._kill()
            return answer

    async def _answer(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise TransientError(f"{self.kind}'s process has no stdout.")
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _PATIENCE_S)
            answer = json.loads(line)
        except (asyncio.TimeoutError, ValueError, OSError) as error:
            raise TransientError(f"{self.kind}'s process ended, or fell silent.") from error
        if not isinstance(answer, dict):
            raise TransientError(f"{self.kind}'s process answers nonsense.")
        return answer

    def _kill(self) -> None:
        self._killed = True  # Its end is known a moment later.
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def aclose(self) -> None:
        self._kill()
        await self._process.wait()
        await asyncio.gather(*self._asking, return_exceptions=True)
