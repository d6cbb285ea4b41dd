"""The same room, heard by our own ears: recorded people, on virtual time.

Voice activity and endpointing are the real ones. Words come from a recogniser that was told what
is being said, since none that is quick knows; it gives them as they are said.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from locum.conversation.conversation import Conversation
from locum.conversation.parts import Settings, Timings
from locum.core.calling import Names
from locum.core.speech import Sound
from locum.ears.endpointing import WordsAndTone
from locum.ears.hearing import Hearing
from locum.ports import Finding, HeardSound, Recognition, Roster
from tests.campaign.loop import VirtualLoop, VirtualTime, without_threads
from tests.integration.conversation_rig import (
    BEGAN,
    CLOCK,
    PacedVoice,
    Room,
    Script,
    ScriptedMind,
    says,
    seconds,
)
from tests.speech import RATE_HZ, Recording

_PIECE = 640
_ROOM_TONE = 8.0


class HeardRoom(Room):
    """Gives what a microphone heard, 40 ms a time, as late as that takes."""

    def __init__(
        self, heard: np.ndarray[tuple[int], np.dtype[np.float32]], jitter: int
    ) -> None:
        super().__init__()
        self._pcm = (heard * 32_767).astype("<i2").tobytes()
        self._jitter = random.Random(jitter)

    async def sounds(self) -> AsyncGenerator[HeardSound, None]:
        for start in range(0, len(self._pcm) - 2 * _PIECE, 2 * _PIECE):
            began = BEGAN + seconds(start / 2 / RATE_HZ)
            late = seconds(0.04 + self._jitter.uniform(0.0, 0.004))
            await CLOCK.sleep(began + late - CLOCK.now())
            piece = Sound(RATE_HZ, self._pcm[start : start + 2 * _PIECE])
            yield HeardSound(began, "track", "Dana", piece)
        await asyncio.get_running_loop().create_future()


class Prompter:
    """A recogniser that knows what is said when."""

    name = "prompter"

    def __init__(self, words: Sequence[tuple[float, str]]) -> None:
        self.words = words
        self.taken = 0

    async def open(self, *, hints: Sequence[str] = ()) -> Recognition:
        del hints
        return _Prompted(self)

    async def check(self) -> tuple[Finding, ...]:
        return ()

    async def aclose(self) -> None:
        return None


class _Prompted:
    def __init__(self, prompter: Prompter) -> None:
        self._prompter = prompter

    def hear(self, sound: Sound) -> None:
        del sound

    def _now(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        words = self._prompter.words[self._prompter.taken :]
        return [word for end, word in words if end <= now]

    async def guess(self) -> str:
        await CLOCK.sleep(seconds(0.02))
        return " ".join(self._now())

    async def finish(self) -> str:
        await CLOCK.sleep(seconds(0.05))
        words = self._now()
        self._prompter.taken += len(words)
        return " ".join(words)

    async def aclose(self) -> None:
        return None


@dataclass(frozen=True)
class Heard:
    """What came of one turn: when it ended by hand, and when we began; seconds."""

    name: str
    end: float
    began: tuple[float, ...]
    guesses: int

    @property
    def cut_in(self) -> bool:
        return any(at < self.end for at in self.began)

    @property
    def delay(self) -> float | None:
        late = [at - self.end for at in self.began if at >= self.end]
        return late[0] if late else None


def _words(recording: Recording) -> list[tuple[float, str]]:
    """When each word ends: by the share of its letters in its stretch, for want of marks."""
    found: list[tuple[float, str]] = []
    known = 0
    for (begin, end), so_far in zip(recording.stretches, recording.said, strict=True):
        words = so_far.split()[known:]
        known += len(words)
        letters = max(sum(len(word) for word in words), 1)
        said = 0
        for word in words:
            said += len(word)
            found.append((begin + (end - begin) * said / letters, word))
    return found


def hear(
    recording: Recording,
    *,
    jitter: int = 0,
    timings: Timings | None = None,
    script: Script | None = None,
) -> Heard:
    """Play one turn to a conversation that is alone with whoever speaks."""
    lead = 1.2 + 0.007 * jitter
    full = recording.with_tail(5.0)
    quiet = full.room(lead)
    heard = np.concatenate([quiet, full.samples]).astype(np.float32)
    words = [(lead + end, word) for end, word in _words(full)]

    async def main() -> Heard:
        room = HeardRoom(heard, jitter)
        mind = ScriptedMind(script or says("Yes, I think so. Let me tell you more about it."))
        conversation = Conversation(
            room,
            voice=PacedVoice(),
            mind=mind,
            hearing=Hearing(Prompter(words)),
            endpointer=WordsAndTone(),
            settings=Settings(
                names=Names.of("Robin", "Alex Winter"),
                owner="Alex Winter",
                the_truth=lambda _: "I am an AI stand-in for Alex Winter.",
                timings=timings or Timings(),
            ),
            clock=CLOCK,
            tell=lambda _: None,
        )
        running = asyncio.ensure_future(conversation.run())
        conversation.take(Roster(CLOCK.now(), 1))
        await asyncio.sleep(lead + full.end + 4.5)
        running.cancel()
        await asyncio.wait({running})
        began = tuple(_seconds(at) for at in room.given)
        return Heard(recording.name, lead + recording.end, began, len(mind.asked))

    with VirtualTime(BEGAN) as virtual, without_threads():
        loop = VirtualLoop(virtual)
        try:
            return loop.run_until_complete(main())
        finally:
            loop.close()


def _seconds(at: datetime) -> float:
    return (at - BEGAN).total_seconds()
