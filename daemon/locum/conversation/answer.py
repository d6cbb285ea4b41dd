"""One answer: thought, made sound of and, once its turn has come, said. Each while the next is.

It may be thought ahead: then its first clause is made sound of, and nothing of it leaves this
object until `say` or `write_out` is called; dropped, nobody has noticed. A mind that fails is the
answer's `failure`; a voice that fails leaves what it couldn't say to be written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from locum.core.clauses import Clause, Clauses
from locum.core.speech import Spoken
from locum.core.spoken import CUT, Part, heard_of
from locum.core.talk import Cue
from locum.errors import LocumError, PermanentError, TransientError
from locum.ports import (
    Aloud,
    Clock,
    Deferred,
    Doing,
    Embodied,
    InChat,
    Thought,
    Voice,
)

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")

_MOST_ALOUD = 3_000
"""Characters: three minutes of speech. Whoever says more is stopped here."""

_MOST_IN_CHAT = 20
_LONGEST_CLAUSE_LASTS = timedelta(seconds=90)

_MADE_AHEAD = 1
"""Clauses that are made sound of beyond the one that is said."""

_NONE = timedelta(0)


@dataclass(frozen=True)
class Question:
    """What is answered, of whom, and why it is our turn; `at` is when its asking began."""

    at: datetime
    track: str
    speaker: str
    text: str
    cue: Cue
    in_chat: bool = False
    ended: datetime | None = None  #: When the last of it was heard.


@dataclass(frozen=True)
class Filler:
    """A little sound that is ready: "mm-hm"."""

    text: str
    pieces: tuple[Spoken, ...]


@dataclass(frozen=True)
class Uttered:
    """What came of saying it: the room heard `text`, cut with a "—" unless it is `whole`."""

    at: datetime
    until: datetime
    text: str
    whole: bool


@dataclass(frozen=True)
class Hooks:
    """Whom an answer tells of itself. They are quick, and raise nothing."""

    began: Callable[[datetime, str, str], None]
    """The room begins to hear us at this instant, with this text; called again for each clause,
    which is given by itself too."""
    sounds: Callable[[Spoken, datetime], None]
    """The room hears this piece from this instant on."""
    post: Callable[[str], None]
    """This belongs into the chat."""
    noted: Callable[[Deferred], None]
    """This is taken along for the owner."""
    apology: Callable[[LocumError], str]
    """The mind failed: what to say of it, or nothing."""


@dataclass
class _Entry:
    text: str
    made: tuple[Spoken, ...] = ()


@dataclass
class _Saying:
    """One time of saying it: what was given to the room, and since when it sounds."""

    parts: list[Part] = field(default_factory=list)
    at: datetime | None = None
    until: datetime | None = None  #: When all that was given will have sounded.


class Answer:
    """Made for one question. `thoughts` is closed when this is; it may be empty.

    Args:
        question: What is answered.
        thoughts: What the mind makes of it.
        voice: With what it is said; None makes it unsayable.
        clock: Where "now" comes from.
        linger: How long it may take before something is said for it.
        filler: What is said then, if no tool has its own words for it.
        guessed: Whether the turn may not be over.
    """

    def __init__(
        self,
        question: Question,
        thoughts: AsyncIterator[Thought],
        *,
        voice: Voice | None,
        hooks: Hooks,
        clock: Clock,
        linger: timedelta,
        filler: Filler | None = None,
        guessed: bool = False,
    ) -> None:
        self.question = question
        self.guessed = guessed
        self.failure: LocumError | None = None
        self.voice_failure: LocumError | None = None
        self._thoughts = thoughts
        self._voice = voice
        self._hooks = hooks
        self._clock = clock
        self._linger = linger
        self._filler = filler
        self._script: list[_Entry] = []
        self._for_chat: list[str] = []
        self._deferred: list[Deferred] = []
        self._doing: Doing | None = None
        self._thought = False
        self._open = False
        self._first = 0  #: The entry of the script with which saying begins.
        self._parts: list[Part] = []  #: Sound of the script's entries, from the first on.
        self._playing = 0
        self._saying: _Saying | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._thinker: asyncio.Task[None] | None = None
        self._maker: asyncio.Task[None] | None = None
        self._held = False

    # ── thinking ─────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin to think, and to make sound of the first clause."""
        loop = asyncio.get_running_loop()
        self._thinker = loop.create_task(self._think())
        self._maker = loop.create_task(self._make())

    @property
    def is_empty(self) -> bool:
        """Whether all was thought, and it is nothing."""
        nothing = not (self._script or self._for_chat or self._deferred)
        return self._thought and nothing

    @property
    def is_good(self) -> bool:
        """Whether there is, or may come, something of it."""
        return self.failure is None and not self.is_empty

    @property
    def was_in_vain(self) -> bool:
        """Whether it was a guess of which nothing came, or that may only go on for good."""
        return self._thought and (self._is_for_nobody or (self.guessed and self.is_empty))

    @property
    def _is_for_nobody(self) -> bool:
        """Whether it is a guess that failed so that nobody need know: it can be asked again."""
        at_once = isinstance(self.failure, TransientError) and self.failure.retry_after <= _NONE
        return self.guessed and self.failure is not None and (at_once or not self._script)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be said."""
        return self._thought and self._first >= len(self._script)

    async def _think(self) -> None:
        clauses = Clauses()
        try:
            async with aclosing(_each(self._thoughts)) as thoughts:
                async for thought in thoughts:
                    self._take(thought, clauses)
                    if sum(len(entry.text) for entry in self._script) > _MOST_ALOUD:
                        _log.warning("answer_cut", characters=_MOST_ALOUD)
                        break
        except LocumError as error:
            self.failure = error
        except Exception as error:  # noqa: BLE001 - The task's outermost frame.
            _log.error("mind_crashed", exc_info=error)
            self.failure = PermanentError(f"It crashed ({type(error).__name__}).")
        finally:
            self._extend(clauses.rest())
            self._apologise()
            self._thought = True
            self._doing = None
            self._pulse()

    def _apologise(self) -> None:
        """Own up to a failure."""
        if self.failure is None or self._is_for_nobody or not self._open:
            return
        if text := self._hooks.apology(self.failure):
            self._script.append(_Entry(text))
            self._pulse()

    def _take(self, thought: Thought, clauses: Clauses) -> None:
        if not isinstance(thought, Aloud):
            # What comes before it is a whole.
            self._extend(clauses.rest())
        if isinstance(thought, Aloud):
            self._doing = None
            self._extend(clauses.add(thought.text))
        elif isinstance(thought, InChat):
            self._to_chat(thought.text)
        elif isinstance(thought, Doing):
            self._doing = thought
        elif isinstance(thought, Deferred):
            self._deferred.append(thought)
        self._let_out()
        self._pulse()

    def _extend(self, clauses: Iterable[Clause]) -> None:
        for clause in clauses:
            if clause.text:
                self._script.append(_Entry(clause.text))
            for text in clause.for_chat:
                self._to_chat(text)
        self._let_out()
        self._pulse()

    def _to_chat(self, text: str) -> None:
        if text.strip() and len(self._for_chat) < _MOST_IN_CHAT:
            self._for_chat.append(text)

    def _let_out(self) -> None:
        """Let go of what isn't said: behind the gate it waits."""
        if not self._open:
            return
        while self._for_chat:
            self._hooks.post(self._for_chat.pop(0))
        while self._deferred:
            self._hooks.noted(self._deferred.pop(0))

    def _pulse(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def _change(self, within: timedelta | None = None) -> None:
        """Wait until something has changed, or so long; nothing is missed in between."""
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(changed)
        if within is None:
            await changed
            return
        sleeping = asyncio.ensure_future(self._clock.sleep(within))
        try:
            await asyncio.wait((changed, sleeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()

    # ── making sound of it ───────────────────────────────────────────────────────────────

    async def _make(self) -> None:
        """Make sound of one clause after the other, never far ahead of what is said."""
        while self.voice_failure is None:
            index = self._first + len(self._parts)
            if index >= len(self._script):
                if self._thought:
                    return
                await self._change()
                continue
            ahead = len(self._parts) - self._playing
            if (ahead > _MADE_AHEAD) if self._open else self._parts:
                await self._change()
                continue
            entry = self._script[index]
            part = Part(entry.text)
            self._parts.append(part)
            await self._make_part(part, entry)
            self._pulse()

    async def _make_part(self, part: Part, entry: _Entry) -> None:
        if entry.made:
            part.pieces.extend(entry.made)
            part.complete = True
            return
        if self._voice is None:
            self.voice_failure = PermanentError("There is no voice.")
            return
        try:
            async with aclosing(_each(self._voice.speak(part.text))) as pieces:
                async for piece in pieces:
                    part.pieces.append(piece)
                    self._pulse()
                    if part.duration > _LONGEST_CLAUSE_LASTS:
                        _log.warning("clause_cut", characters=len(part.text))
                        break
            part.complete = True
        except LocumError as error:
            self.voice_failure = error
        except Exception as error:  # noqa: BLE001 - The task's outermost frame.
            _log.error("voice_crashed", exc_info=error)
            self.voice_failure = PermanentError(f"It crashed ({type(error).__name__}).")

    # ── saying it ────────────────────────────────────────────────────────────────────────

    async def say(self, body: Embodied) -> Uttered | None:
        """Open the gate and say it, or what is left of it; returns when that is over.

        Answers what the room heard, None if nothing. Cancelled, see `cut_by_clock`.

        Raises:
            LocumError: The body can't speak.
        """
        self._set_open()
        await self._restart_maker()
        saying = self._saying = _Saying()
        self._pulse()
        heard = await body.say(self._pieces(saying))
        return self._came_of(saying, heard)

    async def _restart_maker(self) -> None:
        """Go on after a `hold`; sound that is only half made is made again."""
        maker = self._maker
        if maker is not None and not (self._held or maker.done()):
            return
        if maker is not None:
            await asyncio.gather(maker, return_exceptions=True)
        self._held = False
        whole = [part.complete for part in self._parts]
        del self._parts[whole.index(False) if False in whole else len(whole) :]
        self._maker = asyncio.get_running_loop().create_task(self._make())

    def cut_by_clock(self) -> Uttered | None:
        """Answer what was probably heard, where the room couldn't tell any more."""
        saying = self._saying
        if saying is None or saying.at is None:
            return None
        return self._came_of(saying, self._clock.now() - saying.at)

    def _came_of(self, saying: _Saying, heard: timedelta) -> Uttered | None:
        self._saying = None
        what = heard_of(saying.parts, heard)
        self._first += what.parts
        del self._parts[: what.parts]
        self._playing = 0
        if saying.at is None or not what.text:
            return None
        lasted = sum((part.duration for part in saying.parts), _NONE)
        whole = what.whole and self.is_over
        cut = what.whole and not whole
        text = f"{what.text}{CUT}" if cut else what.text
        return Uttered(saying.at, saying.at + min(heard, lasted), text, whole)

    def _set_open(self) -> None:
        if self._open:
            return
        self._open = True
        if self._thought:
            self._apologise()
        self._let_out()

    async def _pieces(self, saying: _Saying) -> AsyncIterator[Spoken]:
        """Give what there is, as it gets ready; and something for it where that takes long."""
        waited_from = self._clock.now()
        index = 0
        while (part := await self._part(saying, index, waited_from)) is not None:
            saying.parts.append(part)
            self._playing = index
            self._pulse()  # The next one may be made now.
            given = 0
            while not (part.complete and given >= len(part.pieces)):
                if given < len(part.pieces):
                    piece = part.pieces[given]
                    given += 1
                    self._give(saying, piece, first=given == 1)
                    yield piece
                elif self.voice_failure is not None:
                    return
                else:
                    await self._change()
            index += 1
            waited_from = saying.until or self._clock.now()

    async def _part(self, saying: _Saying, index: int, waited_from: datetime) -> Part | None:
        """Answer the next part once there is one; None if there is no more."""
        while index >= len(self._parts):
            if self.voice_failure is not None or (
                self._thought and self._first + index >= len(self._script)
            ):
                return None
            if self._first + index < len(self._script):
                await self._change()
                continue
            left = waited_from + self._linger - self._clock.now()
            if left > _NONE:
                await self._change(left)
            elif not self._bridge(saying):
                await self._change()
        return self._parts[index]

    def _bridge(self, saying: _Saying) -> bool:
        """Say what a tool has to say for taking long, or a sound; once each."""
        if self._doing is not None and self._doing.announce.strip():
            for clause in Clauses().add(self._doing.announce + "\n"):
                if clause.text:
                    self._script.append(_Entry(clause.text))
            self._doing = None
        elif self._filler is not None and saying.at is None and not self._first:
            self._script.append(_Entry(self._filler.text, self._filler.pieces))
        else:
            return False
        self._filler = None
        self._pulse()
        return True

    def _give(self, saying: _Saying, piece: Spoken, *, first: bool) -> None:
        now = self._clock.now()
        if saying.at is None:
            saying.at = now
        at = max(saying.until or now, now)
        saying.until = at + piece.sound.duration
        if first:
            said = [part.text for part in saying.parts]
            self._hooks.began(saying.at, " ".join(said), said[-1])
        self._hooks.sounds(piece, at)

    # ── writing it, or nothing ───────────────────────────────────────────────────────────

    async def write_out(self) -> str:
        """Open the gate, think to the end, and answer all that would have been said."""
        self._set_open()
        if self._maker is not None:
            self._maker.cancel()
        while not self._thought:
            await self._change()
        return " ".join(entry.text for entry in self._script[self._first :])

    def hold(self) -> None:
        """Make no more sound of it for now: it is kept, to be said from where it was cut."""
        self._held = True
        if self._maker is not None:
            self._maker.cancel()

    def stop(self) -> None:
        """Think and make no more; who says it stops at what there is."""
        for task in (self._thinker, self._maker):
            if task is not None:
                task.cancel()

    async def aclose(self) -> None:
        """End all work, and wait until it has ended. Idempotent."""
        self.stop()
        tasks = [task for task in (self._thinker, self._maker) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)


async def _each(source: AsyncIterator[_T]) -> AsyncGenerator[_T, None]:
    """Give what comes, and close where it came from: a mind or a voice works until then."""
    try:
        async for each in source:
            yield each
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()
