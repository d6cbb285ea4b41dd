"""Rooms to listen to: sounds in pieces as a page gives them, faster than life."""

from __future__ import annotations

import array
import asyncio
import math
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from locum.core.speech import Sound
from locum.ears.hearing import Happened, Hearing
from locum.errors import LocumError
from locum.ports import Finding, HeardSound, Recognition

RATE_HZ = 16_000
PIECE = 640
START = datetime(2026, 11, 4, 9, 0, tzinfo=timezone.utc)


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE_HZ))


def spoken(text: str, *, voice: str = "en-gb") -> bytes:
    """Let espeak-ng say `text`; 16 kHz, without silence around it."""
    if shutil.which("espeak-ng") is None:
        raise RuntimeError("espeak-ng isn't installed")
    made = subprocess.run(
        ["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True
    )
    trimmed = ("silence", "1", "0.01", "0.5%", "reverse")
    raw = ("-r", "16000", "-c", "1", "-b", "16", "-e", "signed", "-t", "raw", "-")
    return subprocess.run(
        ["sox", "-t", "wav", "-", *raw, *trimmed, *trimmed],
        input=made.stdout,
        capture_output=True,
        check=True,
    ).stdout


def second_of(at: datetime) -> float:
    return (at - START).total_seconds()


async def sounds(
    tracks: dict[str, bytes], speakers: dict[str, str] | None = None, *, speed: float = 25.0
) -> AsyncIterator[HeardSound]:
    """Give tracks beside each other, `speed` times as fast as they last."""
    longest = max(map(len, tracks.values()))
    for number, start in enumerate(range(0, longest, 2 * PIECE)):
        for name, pcm in tracks.items():
            piece = pcm[start : start + 2 * PIECE]
            at = START + timedelta(seconds=number * PIECE / RATE_HZ)
            full = piece + bytes(2 * PIECE - len(piece))
            yield HeardSound(at, name, (speakers or {}).get(name, ""), Sound(RATE_HZ, full))
        await asyncio.sleep(PIECE / RATE_HZ / speed)


async def all_of(hearing: Hearing, heard: AsyncIterator[HeardSound]) -> list[Happened]:
    return [each async for each in hearing.happenings(heard)]


@dataclass
class Scripted:
    """A recogniser that knows what will be said: each stretch has the next words.

    An error in their place is raised; a guess is the words as far as their number of seconds.
    """

    script: Sequence[str | LocumError]
    opening: LocumError | None = None
    name: str = "scripted"
    opened: list[ScriptedStream] = field(default_factory=list)
    hints: tuple[str, ...] = ()

    async def open(self, *, hints: Sequence[str] = ()) -> Recognition:
        self.hints = tuple(hints)
        if self.opening is not None:
            raise self.opening
        stream = ScriptedStream(list(self.script))
        self.opened.append(stream)
        return stream

    async def check(self) -> tuple[Finding, ...]:
        return ()

    async def aclose(self) -> None:
        return None


@dataclass
class ScriptedStream:
    script: list[str | LocumError]
    heard: list[float] = field(default_factory=lambda: [0.0])  #: Seconds of each stretch.
    closed: bool = False

    def hear(self, sound: Sound) -> None:
        self.heard[-1] += sound.duration.total_seconds()

    async def guess(self) -> str:
        words = self.script[0] if self.script else ""
        return "" if isinstance(words, LocumError) else words

    async def finish(self) -> str:
        words = self.script.pop(0) if self.script else ""
        self.heard.append(0.0)
        if isinstance(words, LocumError):
            raise words
        return words

    async def aclose(self) -> None:
        self.closed = True


def tone(seconds: float, pitch: float = 200.0) -> bytes:
    """Answer something loud, another one for each pitch."""
    return array.array(
        "h",
        (
            round(9000 * math.sin(math.tau * pitch * n / RATE_HZ) + 3000 * math.sin(n * 1.1))
            for n in range(round(seconds * RATE_HZ))
        ),
    ).tobytes()


T = TypeVar("T")


async def eventually(
    ask: Callable[[], Awaitable[T]], wanted: Callable[[T], bool], *, within_s: float = 10.0
) -> T:
    """Ask until the answer is as wanted."""
    last = time.monotonic() + within_s
    while not wanted(answer := await ask()):
        assert time.monotonic() < last, f"last answer: {answer!r}"
        await asyncio.sleep(0.02)
    return answer
