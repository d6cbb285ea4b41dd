"""One track's words: a recogniser's stream, opened when it is needed and replaced when it fails.

What can't be had is said to be missing; nothing here raises, because a conversation goes on
whatever a recogniser does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from locum.core.speech import Sound
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Recognition, Recognizer

_log = structlog.get_logger(__name__)

_GUESS_S, _FINISH_S, _OPEN_S = 3.0, 10.0, 15.0
_MOST_WAITING = timedelta(seconds=30)
"""How much sound waits for a stream that is being opened or finished; then the oldest goes."""
_LONGEST_REST = timedelta(seconds=30)
_LONGEST_TEXT = 10_000


class Words:
    """Makes words of one track. `hear` and `finish` are called in order, by one caller."""

    def __init__(self, recognizer: Recognizer, hints: Sequence[str]) -> None:
        self._recognizer = recognizer
        self._hints = tuple(hints)
        self._stream: Recognition | None = None
        self._opening: asyncio.Task[None] | None = None
        self._waiting: list[Sound] = []
        self._waits = timedelta(0)
        self._finishing = False
        self._lost = False
        self._closed = False
        self._retry_at = 0.0
        self.broken = False  #: A person must act first; see the log.

    def hear(self, sound: Sound) -> None:
        """Take the next sound of the stretch. Never blocks."""
        if self.broken or self._closed:
            return
        if self._stream is not None and not self._finishing:
            self._stream.hear(sound)
            return
        self._waiting.append(sound)
        self._waits += sound.duration
        while self._waits > _MOST_WAITING:
            self._waits -= self._waiting.pop(0).duration
            self._lost = True
        # Else it is opened already, or waits until it may be tried again.
        if self._stream is None:
            self.open()

    def open(self) -> None:
        """Open a stream, unless one is being opened, or was refused a moment ago."""
        loop = asyncio.get_running_loop()
        if self._opening is None and loop.time() >= self._retry_at:
            self._opening = loop.create_task(self._opened())

    async def _opened(self) -> None:
        try:
            stream = await asyncio.wait_for(
                self._recognizer.open(hints=self._hints), timeout=_OPEN_S
            )
        except (LocumError, asyncio.TimeoutError) as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - This task's outermost frame.
            self._failed(error)
        else:
            self._stream = stream
            if not self._finishing:
                self._flush()
        finally:
            self._opening = None

    def _flush(self) -> None:
        if self._stream is None:
            return  # It waits on, for the next one.
        for sound in self._waiting:
            self._stream.hear(sound)
        self._waiting.clear()
        self._waits = timedelta(0)

    def _failed(self, error: BaseException) -> None:
        self._lost = True
        rest = timedelta(seconds=2)
        if isinstance(error, TransientError):
            rest = min(error.retry_after, _LONGEST_REST)
        self._retry_at = asyncio.get_running_loop().time() + rest.total_seconds()
        if isinstance(error, (HumanNeededError, PermanentError)):
            self.broken = True
        _log.warning(
            "recognition_failed",
            recognizer=self._recognizer.name,
            for_good=self.broken,
            problem=str(error) or type(error).__name__,
        )

    async def guess(self) -> str:
        """Answer the words of this stretch so far; "" where they can't be had."""
        if self._stream is None or self._finishing:
            return ""
        try:
            return _bounded(await asyncio.wait_for(self._stream.guess(), _GUESS_S))
        except (LocumError, asyncio.TimeoutError):
            return ""  # It is told when the stretch is finished.

    async def finish(self) -> str | None:
        """End the stretch, and answer its words; None where they are lost.

        What is heard from the call on is the next stretch's.
        """
        lost, self._lost = self._lost, False
        waiting, self._waiting, self._waits = self._waiting, [], timedelta(0)
        self._finishing = True
        try:
            if self._opening is not None:
                await asyncio.wait((self._opening,))
            text = await self._finished(waiting)
        finally:
            self._finishing = False
            self._flush()
        return f"(…) {text}" if lost and text else text

    async def _finished(self, waiting: list[Sound]) -> str | None:
        stream = self._stream
        if stream is None:
            self._lost = False
            return None
        for sound in waiting:
            stream.hear(sound)
        try:
            return _bounded(await asyncio.wait_for(stream.finish(), _FINISH_S))
        except (LocumError, asyncio.TimeoutError) as error:
            self._failed(error)
            self._lost = False
            self._stream = None
            await stream.aclose()
            return None

    async def aclose(self) -> None:
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait((self._opening,))
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.aclose()


def _bounded(text: str) -> str:
    """Answer words on one line; what a recogniser says may be somebody else's text."""
    plain = "".join(c if c.isprintable() else " " for c in text[:_LONGEST_TEXT])
    return " ".join(plain.split())
