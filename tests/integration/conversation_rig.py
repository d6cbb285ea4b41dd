"""A room on virtual time, with people in it who speak, and a conversation that hears them.

The room is a whole `MeetingSession` and `Embodied`: it takes pieces at the pace of their sound,
never far ahead, and knows to the microsecond what it has let sound. The people's words come
through ears that find a voice, a pause and words out as late as real ones do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from locum.conversation.conversation import Conversation
from locum.conversation.parts import Remark, Settings, Timings, WeSaid
from locum.core.calling import Names
from locum.core.model import SessionHandle
from locum.core.speech import Sound, Spoken, Word
from locum.core.talk import Attention, Heard, Line, VoiceBegan, VoicePaused
from locum.core.transcript import Source
from locum.errors import LocumError
from locum.ports import (
    Aloud,
    Finding,
    HeardSound,
    Prompted,
    Remains,
    Roster,
    Said,
    SessionEvent,
    Thought,
)
from tests.campaign.loop import VirtualLoop, VirtualTime

BEGAN = datetime(2026, 11, 30, 9, 0, tzinfo=timezone.utc)
RATE = 16_000
FOUND_OUT_AFTER = timedelta(milliseconds=96)
DETECTED_LATE = timedelta(milliseconds=64)  #: A voice detector's own delay, as measured.
TOLD_EVERY = timedelta(milliseconds=320)
AHEAD = timedelta(seconds=0.9)
NONE = timedelta(0)
FINE = "Yes, it is fine. Everything works as it should."


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


class LoopClock:
    """The loop's time as instants."""

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(max(duration.total_seconds(), 0.0))

    def host_duration(self, duration: timedelta) -> timedelta:
        return duration


CLOCK = LoopClock()


class Room:
    """Where the conversation is: what sounded of us, and what stands in the chat."""

    handle = SessionHandle("room")

    def __init__(self) -> None:
        self.sounded: list[tuple[datetime, datetime]] = []
        self.given: list[
            datetime
        ] = []  #: When the first piece of each utterance was handed over.
        self.chat: list[str] = []
        self.ducked: list[bool] = []
        self.hands: list[bool] = []
        self.attentive = False
        self.hushes = 0
        self.post_fails: LocumError | None = None
        self.say_fails: LocumError | None = None
        self._hushed: asyncio.Event | None = None

    def events(self) -> AsyncIterator[SessionEvent]:
        raise NotImplementedError

    async def post(self, text: str) -> None:
        await CLOCK.sleep(seconds(0.05))
        if self.post_fails is not None:
            raise self.post_fails
        self.chat.append(text)

    async def leave(self) -> Remains:
        return Remains()

    async def sounds(self) -> AsyncGenerator[HeardSound, None]:
        await asyncio.get_running_loop().create_future()
        yield HeardSound(CLOCK.now(), "", "", Sound(RATE, b""))

    async def say(self, spoken: AsyncIterable[Spoken]) -> timedelta:
        if self.say_fails is not None:
            raise self.say_fails
        assert self._hushed is None, "two utterances at a time"
        self._hushed = asyncio.Event()
        spans: list[tuple[datetime, datetime]] = []
        playing = asyncio.ensure_future(self._play(spoken, spans))
        hushed = asyncio.ensure_future(self._hushed.wait())
        try:
            await asyncio.wait((playing, hushed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            now = CLOCK.now()
            playing.cancel()
            hushed.cancel()
            await asyncio.wait((playing, hushed))
            self._hushed = None
            cut = [(began, min(ended, now)) for began, ended in spans if began < now]
            self.sounded += cut
        if not playing.cancelled() and (error := playing.exception()) is not None:
            raise error
        return sum((ended - began for began, ended in cut), NONE)

    async def _play(
        self, spoken: AsyncIterable[Spoken], spans: list[tuple[datetime, datetime]]
    ) -> None:
        until = CLOCK.now()
        async with aclosing(_closable(spoken)) as pieces:
            async for piece in pieces:
                if not spans:
                    self.given.append(CLOCK.now())
                began = max(until, CLOCK.now())
                until = began + piece.sound.duration
                spans.append((began, until))
                await CLOCK.sleep(until - CLOCK.now() - AHEAD)
        await CLOCK.sleep(until - CLOCK.now())

    async def hush(self) -> None:
        self.hushes += 1
        await CLOCK.sleep(seconds(0.008))
        if self._hushed is not None:
            self._hushed.set()

    async def listen(self, *, attentive: bool) -> None:
        self.attentive = attentive

    async def duck(self, *, down: bool) -> None:
        self.ducked.append(down)

    async def raise_hand(self, *, up: bool) -> None:
        self.hands.append(up)

    @property
    def silent_since(self) -> datetime | None:
        return self.sounded[-1][1] if self.sounded else None


async def _closable(spoken: AsyncIterable[Spoken]) -> AsyncGenerator[Spoken, None]:
    try:
        async for piece in spoken:
            yield piece
    finally:
        if isinstance(spoken, AsyncGenerator):
            await spoken.aclose()


class PacedVoice:
    """Takes `latency_s` for its first piece; says when each word begins, as espeak-ng does."""

    name = "paced"

    def __init__(self, latency_s: float = 0.1, *, letters_a_second: float = 15) -> None:
        self._latency = seconds(latency_s)
        self._pace = letters_a_second
        self.fails: LocumError | None = None
        self.fails_after = 0  #: Pieces that go well before.
        self.spoken: list[str] = []
        self.working = 0

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        self.spoken.append(text)
        self.working += 1
        try:
            await CLOCK.sleep(self._latency)
            at = 0
            for count, word in enumerate(text.split(" ")):
                if self.fails is not None and count >= self.fails_after:
                    raise self.fails
                pcm = bytes(2 * int(RATE * (len(word) + 1) / self._pace))
                yield Spoken(Sound(RATE, pcm), words=(Word(at, at + len(word), timedelta(0)),))
                await CLOCK.sleep(seconds(0.01))
                at += len(word) + 1
        finally:
            self.working -= 1

    async def warm(self) -> None:
        return None

    async def check(self) -> tuple[Finding, ...]:
        return ()

    async def aclose(self) -> None:
        return None


Script = Callable[[Prompted], "list[Thought | float | LocumError]"]


class ScriptedMind:
    """Thinks by a script: thoughts, seconds that pass before the next, and errors."""

    name = "scripted"

    def __init__(self, script: Script, *, first_token: float = 0.2) -> None:
        self.script = script
        self._first_token = first_token
        self.asked: list[Prompted] = []
        self.working = 0
        self.for_us = False

    async def warm(self) -> None:
        return None

    async def answer(self, prompted: Prompted) -> AsyncGenerator[Thought, None]:
        self.asked.append(prompted)
        self.working += 1
        try:
            await CLOCK.sleep(seconds(self._first_token))
            for step in self.script(prompted):
                if isinstance(step, float):
                    await CLOCK.sleep(seconds(step))
                elif isinstance(step, LocumError):
                    raise step
                elif isinstance(step, Aloud):
                    for token in step.text.split(" "):
                        yield Aloud(token + " ")
                        await CLOCK.sleep(seconds(0.01))
                else:
                    yield step
        finally:
            self.working -= 1

    async def is_for_us(self, lines: Any) -> bool:
        await CLOCK.sleep(seconds(self._first_token))
        return self.for_us

    async def aclose(self) -> None:
        return None


def says(*thoughts: Thought | float | LocumError | str) -> Script:
    """Answer a script that is the same whatever is asked; a string is said aloud."""
    steps = [Aloud(each) if isinstance(each, str) else each for each in thoughts]
    return lambda _: list(steps)


@dataclass
class _Track:
    speaker: str
    speaking: bool = False
    silent_since: datetime | None = None
    began: datetime | None = None
    words: list[str] = field(default_factory=list)
    told: str = ""


class People:
    """Others in the room, and the ears that hear them: `locum.conversation.Hearing`."""

    def __init__(self) -> None:
        self._tracks: dict[str, _Track] = {}
        self._happenings: asyncio.Queue[VoiceBegan | VoicePaused | Heard | LocumError] = (
            asyncio.Queue()
        )
        self.guess_takes = seconds(0.03)
        self.finish_takes = seconds(0.02)
        self.understood = True
        self.heard_of_us: list[str] = []
        self.captions: list[Said] = []
        self.mishear: dict[str, str] = {}
        self.ended_at = BEGAN

    async def say(self, who: str, *parts: str | float) -> None:
        """Let `who` speak: words at 15 letters a second, and pauses in seconds between them."""
        for part in parts:
            if isinstance(part, float):
                await CLOCK.sleep(seconds(part))
            else:
                await self._speak(who, part)

    async def _speak(self, who: str, text: str) -> None:
        track = self._tracks.setdefault(f"track of {who}", _Track(who))
        began = CLOCK.now()
        track.began = track.began or began
        noticing = asyncio.ensure_future(self._notice(who, track, began))
        for word in text.split():
            await CLOCK.sleep(seconds((len(word) + 1) / 15))
            track.words.append(word)
        noticing.cancel()
        track.speaking = False
        track.silent_since = self.ended_at = CLOCK.now()
        asyncio.ensure_future(self._notice_pause(who, track, track.silent_since))  # noqa: RUF006

    async def _notice(self, who: str, track: _Track, began: datetime) -> None:
        await CLOCK.sleep(seconds(0.032))
        track.speaking = True
        await CLOCK.sleep(FOUND_OUT_AFTER - seconds(0.032))
        self._happenings.put_nowait(VoiceBegan(began, f"track of {who}", who))
        while True:
            await CLOCK.sleep(TOLD_EVERY)
            if track.words:
                self._tell(track, final=False)

    async def _notice_pause(self, who: str, track: _Track, at: datetime) -> None:
        await CLOCK.sleep(FOUND_OUT_AFTER)
        if track.silent_since == at and not track.speaking:
            self._happenings.put_nowait(VoicePaused(at, f"track of {who}", who))

    def _tell(self, track: _Track, *, final: bool) -> None:
        name = f"track of {track.speaker}"
        at = track.began or CLOCK.now()
        text = " ".join(track.words)
        until = track.silent_since if final else None
        heard = Heard(at, name, track.speaker, text, until, final=final)
        self._happenings.put_nowait(heard)

    def break_down(self, error: LocumError) -> None:
        self._happenings.put_nowait(error)

    # ── ears ─────────────────────────────────────────────────────────────────────────────

    async def happenings(
        self, sounds: AsyncIterable[HeardSound]
    ) -> AsyncGenerator[VoiceBegan | VoicePaused | Heard, None]:
        del sounds
        while True:
            happening = await self._happenings.get()
            if isinstance(happening, LocumError):
                raise happening
            yield happening

    @property
    def words_are_captions(self) -> bool:
        return False

    def silence(self, track: str) -> timedelta:
        return self._silent(track, DETECTED_LATE, seconds(0.032))

    def hush(self, track: str) -> timedelta:
        return self._silent(track, NONE, seconds(0.016))

    def _silent(self, track: str, late: timedelta, step: timedelta) -> timedelta:
        known = self._tracks.get(track)
        if known is None or known.speaking or known.silent_since is None:
            return NONE
        return max(CLOCK.now() - known.silent_since - late, NONE) // step * step

    def tail(self, track: str) -> Sound:
        return Sound(RATE, b"")

    def speaker(self, track: str) -> str:
        known = self._tracks.get(track)
        return "" if known is None else known.speaker

    async def guess(self, track: str) -> str:
        await CLOCK.sleep(self.guess_takes)
        text = " ".join(self._tracks[track].words)
        return self.mishear.get(text, text)

    async def finish(self, track: str) -> str:
        await CLOCK.sleep(self.finish_takes)
        known = self._tracks[track]
        if not known.words:
            return ""
        if not self.understood:
            known.words = ["(not", "understood)"]
        self._tell(known, final=True)
        text = " ".join(known.words)
        known.words, known.began = [], None
        return text

    def spoke(self, sound: Sound, at: datetime) -> None:
        del sound, at

    def said(self, text: str, at: datetime) -> None:
        del at
        self.heard_of_us.append(text)

    def captioned(self, said: Said) -> None:
        self.captions.append(said)


class SureEndpointer:
    """As sure as `sure` says of the words, of all else that it is the end."""

    name = "sure"

    def __init__(self) -> None:
        self.sure: dict[str, float] = {}
        self.asked = 0

    def by_words(self, text: str) -> float:
        return 1.0 if self.sure.get(text, 1.0) >= 0.5 else -1.0

    async def certainty(self, sound: Sound, text: str) -> float:
        self.asked += 1
        await CLOCK.sleep(seconds(0.01))
        return self.sure.get(text, 1.0)

    def close(self) -> None:
        return None


@dataclass
class Stage:
    """All of it, and what the conversation told."""

    room: Room
    people: People
    mind: ScriptedMind
    voice: PacedVoice
    endpointer: SureEndpointer
    told: list[Remark]
    conversation: Conversation

    @property
    def ours(self) -> list[str]:
        return [each.text for each in self.told if isinstance(each, WeSaid)]

    @property
    def theirs(self) -> list[str]:
        return [each.text for each in self.told if isinstance(each, Said)]

    async def settle(self, within: float = 20.0) -> None:
        """Let so much time pass."""
        await CLOCK.sleep(seconds(within))

    def write(self, who: str, text: str) -> None:
        self.conversation.take(Said(CLOCK.now(), who, text, in_chat=True))

    def present(self, others: int) -> None:
        self.conversation.take(Roster(CLOCK.now(), others))


def play(
    scene: Callable[[Stage], Coroutine[Any, Any, None]],
    script: Script | None = None,
    *,
    attention: Attention = Attention.WHEN_ADDRESSED,
    timings: Timings | None = None,
    voiceless: bool = False,
    deaf: bool = False,
    source: Source = Source.EARS,
) -> Stage:
    """Play a scene on virtual time, in a room of three, and let the conversation end with it.

    Nothing may be left running.
    """
    with VirtualTime(BEGAN) as virtual:
        loop = VirtualLoop(virtual)
        try:
            return loop.run_until_complete(
                _played(
                    scene,
                    script or says(FINE),
                    attention,
                    timings or Timings(),
                    voiceless,
                    deaf,
                    source,
                )
            )
        finally:
            loop.close()


async def _played(
    scene: Callable[[Stage], Coroutine[Any, Any, None]],
    script: Script,
    attention: Attention,
    timings: Timings,
    voiceless: bool,  # noqa: FBT001
    deaf: bool,  # noqa: FBT001
    source: Source,
) -> Stage:
    told: list[Remark] = []
    room, people, mind, voice = Room(), People(), ScriptedMind(script), PacedVoice()
    endpointer = SureEndpointer()
    conversation = Conversation(
        room,
        voice=None if voiceless else voice,
        mind=mind,
        hearing=None if deaf else people,
        endpointer=endpointer,
        settings=Settings(
            names=Names.of("Robin", "Alex Winter"),
            owner="Alex Winter",
            the_truth=lambda _: "I am an AI stand-in for Alex Winter.",
            attention=attention,
            source=source,
            timings=timings,
        ),
        clock=CLOCK,
        tell=told.append,
    )
    stage = Stage(room, people, mind, voice, endpointer, told, conversation)
    running = asyncio.ensure_future(conversation.run())
    try:
        await stage.settle(1.0)
        stage.present(2)
        await scene(stage)
    finally:
        running.cancel()
        await asyncio.wait({running})
        await asyncio.sleep(0)
    here = asyncio.current_task()
    left = {task for task in asyncio.all_tasks() if task is not here and not _of_people(task)}
    assert not left, left
    assert mind.working == 0, "a mind that nobody waits for"
    assert voice.working == 0, "a voice that nobody hears"
    return stage


def _of_people(task: asyncio.Task[Any]) -> bool:
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", "").startswith("People.")


__all__ = ["CLOCK", "Line", "Stage", "play", "says", "seconds"]
