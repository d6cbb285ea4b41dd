"""Watches whoever speaks, and says when their turn is over; thinks it through while they pause.

A pause is looked into as soon as it may be one, and again while it lasts: the surer the
endpointer is that they have finished, the less of it is waited for. Who goes on has never paused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from locum.conversation.parts import Hearing, Timings
from locum.core.speech import Sound
from locum.core.talk import Heard, VoiceBegan
from locum.ports import Clock, Endpointer
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_MOST_TURNS = 64
_NONE = timedelta(0)
_BEFORE = timedelta(milliseconds=500)
"""What an endpointer hears of the time before a turn began."""


@dataclass
class Turn:
    """What one speaker is saying now; `text` is what is known of the words."""

    track: str
    began: datetime
    speaker: str = ""
    text: str = ""
    told: str = ""  #: What of it the floor knows.
    speculations: int = 0
    certainty: float = 0.0
    pauses: int = 0
    ended: datetime | None = None  #: When the last of it was heard.
    for_us: bool = False
    expects: bool = True  #: They wait for an answer, as far as is known.
    ending: bool = False  #: Its words are being fetched for good.


def wait_for(certainty: float, timings: Timings, *, expects: bool = True) -> timedelta:
    """Answer how much silence ends a turn that is over with this certainty, from 0 to 1.

    `expects`: its speaker waits for an answer.
    """
    below, wait = timings.waits[0]
    for above, shorter in timings.waits:
        if certainty < above:
            share = max(certainty - below, 0.0) / (above - below) if above > below else 0.0
            wait += share * (shorter - wait)
            break
        below, wait = above, shorter
    return wait if expects else max(wait, timings.wait_if_stated)


def _last(sound: Sound, lasting: timedelta) -> Sound:
    """Answer the end of a sound: what was said in another turn tells nothing of this one."""
    size = 2 * max(0, round(sound.rate * lasting.total_seconds()))
    return sound if size >= len(sound.pcm) else Sound(sound.rate, sound.pcm[-size:])


@dataclass(frozen=True)
class Hooks:
    """Whom turns tell. They are quick, and raise nothing."""

    paused: Callable[[Turn], None]
    """They may have finished: called with the words so far and how sure that is, and again."""
    resumed: Callable[[Turn], None]
    """They go on."""
    over: Callable[[Turn], None]
    """They have finished; the words are final, and none where nothing was understood."""


class Turns:
    """Everybody's turns in one room."""

    def __init__(
        self,
        hearing: Hearing,
        endpointer: Endpointer,
        *,
        timings: Timings,
        clock: Clock,
        tasks: Tasks,
        hooks: Hooks,
    ) -> None:
        self._hearing = hearing
        self._endpointer = endpointer
        self._timings = timings
        self._clock = clock
        self._tasks = tasks
        self._hooks = hooks
        self._turns: dict[str, Turn] = {}

    @property
    def any(self) -> bool:
        return bool(self._turns)

    @property
    def any_for_us(self) -> bool:
        return any(turn.for_us for turn in self._turns.values())

    def of(self, track: str) -> Turn | None:
        return self._turns.get(track)

    def began(self, voice: VoiceBegan) -> None:
        """Take that somebody speaks, or goes on."""
        turn = self._turns.get(voice.track)
        if turn is not None and not turn.ending:
            self._resumed(turn)
        elif len(self._turns) < _MOST_TURNS:
            self._turns[voice.track] = Turn(voice.track, voice.at, voice.speaker)

    def heard(self, heard: Heard) -> Turn | None:
        """Take the words so far of whoever speaks; answers their turn, if there is one."""
        turn = self._turns.get(heard.track)
        if turn is not None and not heard.final:
            turn.text = heard.text
            turn.speaker = heard.speaker or turn.speaker
        return turn

    def look(self) -> None:
        """See who has fallen silent, and who goes on; to be called every few windows."""
        for turn in tuple(self._turns.values()):
            if turn.ending:
                continue
            hush = self._hearing.hush(turn.track)
            if self._pause_of(turn) in self._tasks:
                if hush <= _NONE:
                    self._resumed(turn)
            elif hush >= self._timings.guess_after:
                turn.pauses += 1
                self._tasks.start(self._pause_of(turn), self._pause(turn))

    @staticmethod
    def _pause_of(turn: Turn) -> tuple[str, str, int]:
        return ("pause", turn.track, turn.pauses)

    def _resumed(self, turn: Turn) -> None:
        if self._pause_of(turn) in self._tasks:
            self._tasks.drop(self._pause_of(turn))
            turn.pauses += 1
            turn.certainty = 0.0
            self._hooks.resumed(turn)

    async def _pause(self, turn: Turn) -> None:
        """Look into one pause until the turn is over; cancelled when they go on."""
        hearing, timings = self._hearing, self._timings
        before: float | None = None
        while True:
            turn.text = await self._guess(turn) or turn.text
            turn.speaker = hearing.speaker(turn.track) or turn.speaker
            if turn.text and self._endpointer.by_words(turn.text) >= 0:
                # To think ahead, words that may be whole are enough: how they sound takes longer.
                turn.certainty = max(turn.certainty, timings.plausible_from)
                self._hooks.paused(turn)
            certainty = await self._ask(turn)
            # Asked about the same end of speech: what it says each time counts for half.
            before = certainty if before is None else (before + certainty) / 2
            turn.certainty = before
            self._hooks.paused(turn)
            wait = wait_for(turn.certainty, timings, expects=turn.expects)
            left = max(wait - hearing.hush(turn.track), _NONE)
            await self._clock.sleep(min(left, timings.ask_every))
            # A turn is ended by more than loudness: a voice detector must have noticed.
            noticed = hearing.silence(turn.track) >= timings.speculate_after
            if noticed and hearing.hush(turn.track) >= wait:
                break
        await self._end(turn)

    async def _guess(self, turn: Turn) -> str:
        """Answer the words so far; none if they can't be had soon: what is known must do then.

        A recogniser that this machine is too slow for would let all wait otherwise.
        """
        guessing = asyncio.ensure_future(self._hearing.guess(turn.track))
        waiting = asyncio.ensure_future(self._clock.sleep(self._timings.words_within))
        try:
            await asyncio.wait((guessing, waiting), return_when=asyncio.FIRST_COMPLETED)
            return guessing.result() if guessing.done() else ""
        finally:
            guessing.cancel()
            waiting.cancel()

    async def _ask(self, turn: Turn) -> float:
        """Ask the endpointer; one that is slow keeps nobody from thinking ahead."""
        hearing, timings = self._hearing, self._timings
        sound = _last(hearing.tail(turn.track), self._clock.now() - turn.began + _BEFORE)
        asking = asyncio.ensure_future(self._endpointer.certainty(sound, turn.text))
        try:
            while not asking.done():
                left = timings.speculate_after - hearing.silence(turn.track)
                if left <= _NONE:
                    turn.certainty = max(turn.certainty, timings.plausible_from)
                    self._hooks.paused(turn)
                    return await asking
                waiting = asyncio.ensure_future(self._clock.sleep(left))
                try:
                    await asyncio.wait((asking, waiting), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
            return asking.result()
        finally:
            asking.cancel()

    async def _end(self, turn: Turn) -> None:
        turn.ending = True
        turn.ended = self._clock.now() - self._hearing.silence(turn.track)
        try:
            turn.text = await self._hearing.finish(turn.track)
        finally:
            if self._turns.get(turn.track) is turn:
                del self._turns[turn.track]
        turn.speaker = self._hearing.speaker(turn.track) or turn.speaker
        self._hooks.over(turn)
