"""A voice in a process of its own, from the outside: it is asked, listened to, and told to stop.

A library that keeps one state for a whole process, a model that reckons for hundreds of
milliseconds, and a fault in either must not hold up or end a meeting. The process stays for the
next sentence: one who is interrupted answers soon after, and a model takes seconds to load.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from typing import Any

from locum.core.speech import Phone, Sound, Spoken, Word
from locum.errors import PermanentError, TransientError

LONGEST_TEXT = 5_000  #: Characters: some five minutes.

_LONGEST_PIECE = 1 << 22
_LONGEST_LINE = 1 << 18
_CHUNK = 1 << 16
_SHORTEST_RATE, _LONGEST_RATE = 4_000, 192_000

_LONGEST_LETTER_S = 2.0
"""Digits take 0.7 s each and an emoji's name 1.3 s: what goes on for longer never ends."""
_BESIDE_S = 10.0

# It finds modules where we do, however we were told to, and nowhere else.
_START = (
    "import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); "
    "from importlib import import_module; import_module(sys.argv.pop(1)).main()"
)
_KEPT_FROM_IT = ("PIKA_", "LOCUM_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")


class MissingError(PermanentError):
    """What the voice needs isn't installed."""


class SpeakingProcess:
    """One at a time speaks through it; others wait for their turn.

    Args:
        module: Whose `main` runs there (see `locum.voices.pipe`).
        arguments: What stands on its command line.
        name: What an error calls it.
        patience: How long a piece may take; a first one loads what is needed too.
        environ: What it inherits, but for what is none of its business.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        name: str,
        patience: timedelta,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._command = (sys.executable, "-c", _START, module, *arguments)
        self._name = name
        self._patience_s = patience.total_seconds()
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._number = 0
        self._header: dict[str, Any] | None = (
            None  #: Of the frame whose sound is still to come.
        )

    async def speak(
        self, text: str, wanted: Mapping[str, object]
    ) -> AsyncGenerator[Spoken, None]:
        """Say `text`, or only get ready where it is empty; closing the iterator stops the work.

        Raises:
            TransientError: It ended, is silent for too long, or finds no end; the next one is
                made anew.
            PermanentError: It can't speak so. MissingError: nor anything, here.
        """
        async with self._turn:
            self._number += 1
            number, finished = self._number, False
            left = timedelta(seconds=len(text) * _LONGEST_LETTER_S + _BESIDE_S)
            try:
                process = await self._running()
                await self._write(process, {"id": number, "text": text, **wanted})
                while (piece := await self._piece(process, number)) is not None:
                    left = self._left(left, piece)
                    yield piece
                finished = True
            except TransientError:
                await self.aclose()
                raise
            except PermanentError:
                finished = True
                raise
            finally:
                if not finished:
                    # What it gives of this one from now on is passed over by the next.
                    await self._stop(number)

    def _left(self, left: timedelta, piece: Spoken) -> timedelta:
        """Answer how much more sound there can be, once that piece is heard."""
        if piece.sound.duration > left:
            told = f"{self._name} goes on speaking long after the words have ended."
            raise TransientError(told)
        return left - piece.sound.duration

    async def ready(self, wanted: Mapping[str, object]) -> None:
        """Have it started and loaded. Raises as `speak` does."""
        async for _ in self.speak("", wanted):
            pass

    async def _stop(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(TransientError):
                await self._write(self._process, {"stop": number})

    async def _write(
        self, process: asyncio.subprocess.Process, line: Mapping[str, object]
    ) -> None:
        if process.stdin is None:
            raise TransientError(f"{self._name}'s process has no stdin.")
        try:
            process.stdin.write(json.dumps(line).encode() + b"\n")
            await asyncio.wait_for(process.stdin.drain(), self._patience_s)
        except (OSError, asyncio.TimeoutError) as error:
            raise TransientError(f"{self._name}'s process has ended.") from error

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            await self.aclose()
            environ = {
                key: value
                for key, value in self._environ.items()
                if not key.startswith(_KEPT_FROM_IT)
            }
            self._header = None
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                os.pathsep.join(sys.path),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LONGEST_LINE,
                env=environ,
            )
        return self._process

    async def _piece(self, process: asyncio.subprocess.Process, number: int) -> Spoken | None:
        """Read frames up to the next one of this number; None is the end of it."""
        while True:
            try:
                header, pcm = await self._frame(process)
                if int(header["id"]) != number:
                    continue
                if "problem" in header:
                    kind = MissingError if header.get("missing") else PermanentError
                    raise kind(str(header["problem"])[:500])
                return None if header.get("end") else _spoken(header, pcm)
            except (
                asyncio.TimeoutError,
                asyncio.IncompleteReadError,
                ValueError,
                TypeError,
                KeyError,
                OSError,
                OverflowError,
                RuntimeError,  # It is read to its end already: it is being closed.
            ) as error:
                told = f"{self._name}'s process ended, or fell silent."
                raise TransientError(told) from error

    async def _frame(self, process: asyncio.subprocess.Process) -> tuple[dict[str, Any], bytes]:
        """Read one frame. Who is cancelled in it leaves all of it for the next one to read."""
        if process.stdout is None:
            raise ValueError("no stdout")
        if self._header is None:
            line = await asyncio.wait_for(process.stdout.readline(), self._patience_s)
            self._header = json.loads(line)
        header = self._header
        size = int(header["size"])
        if not 0 <= size <= _LONGEST_PIECE:
            raise ValueError("a piece without a size")
        pcm = await asyncio.wait_for(process.stdout.readexactly(size), self._patience_s)
        self._header = None
        return header, pcm

    async def aclose(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.stdout is not None:
            # asyncio sees the end of a process only behind all that it said, and reads no more
            # of that by itself while nobody takes it: what was broken off stands there still.
            with contextlib.suppress(RuntimeError):  # Somebody reads it already.
                while await process.stdout.read(_CHUNK):
                    pass
        await process.wait()


def _spoken(header: dict[str, Any], pcm: bytes) -> Spoken:
    rate = int(header["rate"])
    if not _SHORTEST_RATE <= rate <= _LONGEST_RATE:
        raise ValueError("nobody speaks at such a rate")
    return Spoken(
        Sound(rate, pcm),
        tuple(
            Phone(str(symbol), timedelta(milliseconds=start), timedelta(milliseconds=end))
            for symbol, start, end in header["phones"]
        ),
        words=tuple(
            Word(int(start), int(stop), timedelta(milliseconds=at))
            for start, stop, at in header["words"]
        ),
    )


def sayable(text: str) -> str:
    """Drop what can't be said: control characters, and all past what anybody would listen to.

    Nothing is left of what has no letter and no digit: a voice that is handed a lone "…" says
    nothing, which is an error of a voice that was handed words.
    """
    plain = "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT])
    return " ".join(plain.split()) if any(c.isalnum() for c in plain) else ""
