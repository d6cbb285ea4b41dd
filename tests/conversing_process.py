"""A presence of our own engine in a process of its own, which converses: for benches and tests.

    python -m tests.conversing_process JSON

It joins as a guest, writes what happens as lines of JSON on stdout ({"mark": …, "at": …}, in
CLOCK_MONOTONIC's seconds), takes lines of JSON on stdin, and leaves when that is closed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum.core.speech import Sound, Spoken
from locum.core.talk import Line
from locum.ears.hearing import Hearing, Listening
from locum.ports import (
    Admitted,
    Aloud,
    Endpointer,
    HeardSound,
    MeetingSession,
    Prompted,
    Recognizer,
    Roster,
    Thought,
)
from locum.voices.espeak import EspeakVoice
from tests.presence_process import TILE

RIG_DELAY_S = 0.3
_TONE_S = 0.6


def mark(what: str, at: float | None = None, **words: Any) -> None:
    """Tell that something happened, now or at `at`."""
    line = {"mark": what, "at": time.monotonic() if at is None else at, **words}
    print(json.dumps(line, default=str), flush=True)


@dataclass(frozen=True)
class Wanted:
    """What this process is asked to do: `mode` is "rig" or "converse"."""

    base: str
    room: str
    folder: str
    width: int = 1280
    height: int = 720
    mode: str = "converse"
    called: str = ""  #: By what name too.
    smart_turn: str = ""  #: The model's file, to use smart-turn.
    moonshine: str = ""  #: The model's folder, to hear with Moonshine.
    first_token_s: float = 0.2
    first_sound_s: float = 0.1


async def attend(wanted: Wanted) -> None:
    from locum.app.chromium import chromium_engine
    from locum.clock import SystemClock
    from locum.core.model import Platform, Room, SessionKey
    from locum.engines.chromium.settings import ChromiumSettings
    from locum.ports import Face, JoinRequest, Picture
    from locum.rehearsal.face import face_png

    engine = chromium_engine(
        ChromiumSettings(
            state_dir=Path(wanted.folder),
            account="",
            width=wanted.width,
            height=wanted.height,
            sandbox=os.geteuid() != 0,
            meet_url=wanted.base + "/",
        ),
        SystemClock(),
    )
    face = Face(TILE, Picture.of(face_png()), "")
    if engine._rigger is not None:
        await engine._rigger().rig_of(face.image)  # Made once in a persona's life.
    session = await engine.join(
        JoinRequest(
            SessionKey("bench"),
            Room(Platform.GOOGLE_MEET, wanted.room, f"https://meet.google.com/{wanted.room}"),
            face,
            "",
            datetime.now(timezone.utc) + timedelta(minutes=2),
        )
    )
    body = answer_tones(session) if wanted.mode == "rig" else converse(session, wanted)
    working = asyncio.ensure_future(body)
    working.add_done_callback(_tell_failure)
    try:
        await until_closed()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await session.leave()
        await engine.aclose()


def _tell_failure(working: asyncio.Future[None]) -> None:
    if not working.cancelled() and (error := working.exception()) is not None:
        mark("failed", why="".join(traceback.format_exception(error)))


async def until_closed() -> None:
    """Take orders until stdin is closed."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if "answer" in order:
            StandInMind.words = order["answer"]
            mark("ordered", number=order["number"])


async def admitted(session: MeetingSession) -> None:
    async for event in session.events():
        if isinstance(event, Admitted):
            mark("live")
            return


# ── without a conversation: what the rig itself takes ────────────────────────────────────


def _tone(seconds: float) -> Sound:
    import numpy as np

    at = np.arange(int(48_000 * seconds)) / 48_000
    return Sound(48_000, (0.3 * np.sin(2 * np.pi * 440 * at) * 32_767).astype("<i2").tobytes())


async def answer_tones(session: Any) -> None:
    """Answer the end of each loud sound by a tone, `RIG_DELAY_S` after it was heard here."""
    import numpy as np

    await admitted(session)
    loud_since: dict[str, float] = {}
    tone = _tone(_TONE_S)
    last = 0.0
    skew = time.time() - time.monotonic()

    async def once() -> AsyncIterator[Spoken]:
        yield Spoken(tone)

    async for heard in session.sounds():
        assert isinstance(heard, HeardSound)
        samples = np.frombuffer(heard.sound.pcm, "<i2").astype(np.float32) / 32_768
        bins = np.sqrt(np.mean(np.square(samples.reshape(-1, 80)), axis=1))
        begin = heard.at.timestamp() - skew
        for number, value in enumerate(bins):
            at = begin + number * 0.005
            if value > 0.02:
                loud_since.setdefault(heard.track, at)
                last = at + 0.005
            elif heard.track in loud_since and at - last > 0.05:
                mark("burst", begin=loud_since.pop(heard.track), end=last)
                await asyncio.sleep(max(0.0, RIG_DELAY_S - 0.05))
                mark("say")
                await session.say(once())
                mark("said")


# ── a conversation ───────────────────────────────────────────────────────────────────────


class StandInMind:
    """Answers as a hosted model does that takes so long for its first token, then 50 a second."""

    words = "Yes, that is right."
    name = "a stand-in"

    def __init__(self, first_token_s: float) -> None:
        self._first_token_s = first_token_s

    async def warm(self) -> None:
        pass

    async def answer(self, prompted: Prompted) -> AsyncIterator[Thought]:
        mark("thinking", guessed=prompted.guessed, cue=prompted.cue.value)
        await asyncio.sleep(self._first_token_s)
        mark("token")
        for word in self.words.split(" "):
            yield Aloud(word + " ")
            await asyncio.sleep(0.02)

    async def is_for_us(self, lines: Sequence[Line]) -> bool:
        return True

    async def aclose(self) -> None:
        pass


class StandInVoice(EspeakVoice):
    """espeak-ng, as slow with its first sound as a neural voice."""

    def __init__(self, first_sound_s: float) -> None:
        super().__init__()
        self._first_sound_s = first_sound_s

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        mark("speaking", text=text)
        due = time.monotonic() + self._first_sound_s
        async for piece in super().speak(text):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            mark("sound")
            yield piece


class MarkedSession:
    """A session that tells when it is asked to speak and to be silent."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def say(self, spoken: AsyncIterable[Spoken]) -> timedelta:
        mark("say")
        heard: timedelta = await self._session.say(self._marked(spoken))
        mark("said", seconds=heard.total_seconds())
        return heard

    async def _marked(self, spoken: AsyncIterable[Spoken]) -> AsyncGenerator[Spoken, None]:
        first = True
        async for piece in spoken:
            if first:
                mark("first_piece")
                first = False
            yield piece

    async def hush(self) -> None:
        mark("hush")
        await self._session.hush()
        mark("hushed")

    async def duck(self, *, down: bool) -> None:
        mark("duck", down=down)
        await self._session.duck(down=down)

    async def raise_hand(self, *, up: bool) -> None:
        mark("hand", up=up)

    def sounds(self) -> AsyncIterator[HeardSound]:
        sounds: AsyncIterator[HeardSound] = self._session.sounds()
        return sounds

    async def post(self, text: str) -> None:
        mark("post", text=text)
        await self._session.post(text)

    async def listen(self, *, attentive: bool) -> None:
        await self._session.listen(attentive=attentive)


class MarkedHearing(Hearing):
    """Ears that tell what they hear."""

    async def happenings(self, sounds: AsyncIterable[HeardSound]) -> AsyncGenerator[Any, None]:
        skew = time.time() - time.monotonic()
        async for happened in super().happenings(sounds):
            mark(
                type(happened).__name__,
                dated=happened.at.timestamp() - skew,
                text=getattr(happened, "text", ""),
                final=getattr(happened, "final", False),
            )
            yield happened

    async def guess(self, track: str) -> str:
        mark("guess")
        words = await super().guess(track)
        mark("guessed", text=words)
        return words


class MarkedEndpointer:
    """An endpointer that tells what it answers."""

    def __init__(self, endpointer: Endpointer) -> None:
        self._endpointer = endpointer

    @property
    def name(self) -> str:
        return self._endpointer.name

    def close(self) -> None:
        self._endpointer.close()

    def by_words(self, text: str) -> float:
        return self._endpointer.by_words(text)

    async def certainty(self, sound: Sound, text: str) -> float:
        asked = time.monotonic()
        answer = await self._endpointer.certainty(sound, text)
        mark("certainty", value=round(answer, 3), took=time.monotonic() - asked)
        return answer


async def converse(session: Any, wanted: Wanted) -> None:
    from locum.app.hearing import LOOK_AGAIN_EVERY
    from locum.clock import SystemClock
    from locum.conversation.conversation import Conversation
    from locum.conversation.parts import Settings
    from locum.core.calling import Names
    from locum.core.transcript import Source
    from locum.ears.endpointing import WordsAndTone
    from locum.ears.moonshine import MoonshineRecognizer
    from locum.ears.smart_turn import SmartTurn
    from locum.ears.sphinx import SphinxRecognizer

    words = WordsAndTone(trust=1.0 if wanted.moonshine else 0.4)
    endpointer: Endpointer = words
    if wanted.smart_turn:
        endpointer = SmartTurn(Path(wanted.smart_turn), words)
    recognizer: Recognizer = SphinxRecognizer()
    listening = Listening()
    if wanted.moonshine:
        recognizer = MoonshineRecognizer(lambda: Path(wanted.moonshine))
        listening = Listening(partial=LOOK_AGAIN_EVERY)
    voice = StandInVoice(wanted.first_sound_s)
    conversation = Conversation(
        MarkedSession(session),
        voice=voice,
        mind=StandInMind(wanted.first_token_s),
        hearing=MarkedHearing(recognizer, listening),
        endpointer=MarkedEndpointer(endpointer),
        settings=Settings(
            Names.of(TILE, "Alex Winter", also=(wanted.called,) if wanted.called else ()),
            "Alex Winter",
            lambda _: "I am an AI stand-in.",
            source=Source.EARS if wanted.moonshine else Source.ROUGH,
        ),
        clock=SystemClock(),
        tell=lambda remark: mark("told", kind=type(remark).__name__, text=str(remark)[:300]),
    )
    running = asyncio.ensure_future(conversation.run())
    try:
        async for told in session.events():
            event = told
            if isinstance(told, Roster):
                # Whoever listens for the bench is nobody that one could be talking to.
                event = replace(told, others=max(0, told.others - 1))
            conversation.take(event)
            mark("event", kind=type(event).__name__, text=str(event)[:200])
            if isinstance(event, Admitted):
                mark("live")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await voice.aclose()
        await recognizer.aclose()


def main() -> None:
    from locum import logs

    logs.configure(json=True, level="warning")
    wanted = Wanted(**json.loads(sys.argv[1]))
    Path(wanted.folder).mkdir(parents=True, exist_ok=True)

    asyncio.run(attend(wanted))


if __name__ == "__main__":
    main()
