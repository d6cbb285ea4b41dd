"""Our own part: what is thought ahead, got ready, said, kept for later, written or dropped.

One answer is ahead (behind its gate), one is current (about to be said, or being said), one is
kept (put off, or cut off for nothing). Whoever decides between them is the floor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from locum.conversation.answer import Answer, Filler, Hooks, Question, Uttered
from locum.conversation.lines import Lines
from locum.conversation.parts import NOT_UNDERSTOOD, Hearing, Settings, Tell, WeSaid
from locum.conversation.posting import Posts
from locum.conversation.resting import Rest
from locum.core.rewording import same_question
from locum.core.speech import Spoken
from locum.core.talk import Cue, Happening, Line, WeBegan, WeEnded
from locum.core.transcript import Source
from locum.errors import LocumError
from locum.ports import (
    Aloud,
    Clock,
    Deferred,
    Embodied,
    InChat,
    Mind,
    Prompted,
    Thought,
    Voice,
)
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_NONE = timedelta(0)
_MILLISECOND = timedelta(milliseconds=1)
_MINUTE = timedelta(minutes=1)
_HUSHED_WITHIN = timedelta(seconds=2)
_MOST_WRITING = 8
_STALE = timedelta(seconds=5)


@dataclass(frozen=True)
class Body:
    """What we talk with. `hearing` is told what we say, so that it doesn't hear us in others."""

    embodied: Embodied
    voice: Voice | None
    mind: Mind
    hearing: Hearing | None
    posts: Posts


class Talking:
    """One conversation's.

    Args:
        body: With what.
        lines: The meeting up to now; what we really said goes there.
        settings: Who we are.
        clock: Where "now" comes from.
        tasks: Where its work runs.
        happen: Called with what our talking makes happen.
        tell: Called with what we really said, and what is taken along.
    """

    def __init__(
        self,
        body: Body,
        lines: Lines,
        *,
        settings: Settings,
        clock: Clock,
        tasks: Tasks,
        happen: Callable[[Happening], None],
        tell: Tell,
    ) -> None:
        self._body = body
        self._lines = lines
        self._settings = settings
        self._clock = clock
        self._tasks = tasks
        self._happen = happen
        self._tell = tell
        timings = settings.timings
        self._mind_rest = Rest(clock, timings.rest, timings.longest_rest)
        self._voice_rest = Rest(clock, timings.rest, timings.longest_rest)
        self._apologised: datetime | None = None
        self._filler: Filler | None = None
        self._speculated: deque[datetime] = deque(maxlen=timings.speculations_a_minute)
        self._ahead: Answer | None = None
        self._current: Answer | None = None
        self._kept: Answer | None = None
        self._sounding: Answer | None = None
        self._mouth = asyncio.Lock()
        self._answers: set[Answer] = set()  #: All that aren't closed yet.
        self._carries: dict[Answer, Hashable] = {}
        self._writing = 0
        self._missed = 0  #: Questions in a row that nobody understood.
        self._works = 0

    @property
    def busy(self) -> bool:
        """Whether we speak, or are about to."""
        return self._current is not None

    @property
    def thinking(self) -> bool:
        return self._current is not None or self._ahead is not None

    async def warm(self) -> None:
        """Have the little sound ready that is made where thinking takes long."""
        await self._body.mind.warm()
        if self._body.voice is None:
            return
        await self._body.voice.warm()
        text = self._settings.sentences.filler
        try:
            pieces = tuple([piece async for piece in self._body.voice.speak(text)])
        except LocumError as error:
            _log.warning("filler_failed", problem=str(error))
        else:
            self._filler = Filler(text, pieces)

    # ── thinking ahead ───────────────────────────────────────────────────────────────────

    def think_ahead(self, question: Question) -> bool:
        """Think an answer to what may be all of a question; answers whether that was begun."""
        if self._current is not None or question.cue is Cue.ASKED_WHAT_WE_ARE:
            return False
        ahead = self._ahead
        if ahead is not None and self._same(ahead.question, question):
            return False
        now = self._clock.now()
        spent = self._speculated
        if len(spent) == spent.maxlen and spent and now - spent[0] < _MINUTE:
            return False
        if not spent.maxlen or self._mind_rest.resting:
            return False
        self.forget_ahead()
        spent.append(now)
        self._ahead = self._begin(question, guessed=True)
        return True

    def forget_ahead(self, track: str | None = None) -> None:
        """Drop what was thought ahead, of whoever is on `track`, or of anybody."""
        ahead = self._ahead
        if ahead is not None and track in {None, ahead.question.track}:
            self._ahead = None
            self._end(ahead)

    def look(self) -> None:
        """Drop what was thought ahead and never asked for."""
        stale = self._speculated and self._clock.now() - self._speculated[-1] > _STALE
        if self._ahead is not None and stale:
            self.forget_ahead()

    async def aclose(self) -> None:
        """End all answers, and wait until they have ended."""
        answers, self._answers = self._answers, set()
        await asyncio.gather(*(answer.aclose() for answer in answers))

    # ── the floor's moves ────────────────────────────────────────────────────────────────

    def speak(self, question: Question, at: datetime) -> None:
        """Say an answer, not before `at`: the one thought ahead, the one kept, or a new one."""
        before, self._current = self._current, None
        if before is not None and before is not self._sounding:
            self._drop(before)
        answer = self._ready(question)
        self.forget_ahead()
        self._forget_kept()
        self._current = answer
        self._carry(answer, self._say(answer, at))

    def write(self, question: Question) -> None:
        """Write an answer into the chat."""
        if self._writing >= _MOST_WRITING:
            _log.warning("question_dropped", writing=self._writing)
            return
        answer = self._ready(question)
        self._carry(answer, self._write(answer))

    def forgo(self, *, drop: bool) -> None:
        """What is being got ready isn't said (yet)."""
        current = self._current
        if current is None:
            if drop:
                self._forget_kept()
        elif current is self._sounding:
            self.hush(drop=drop)
        else:
            self._current = None
            self._tasks.drop(self._carries.get(current))
            self._put_off(current, drop=drop)

    def hush(self, *, drop: bool) -> None:
        """Fall silent at once."""
        current, self._current = self._current, None
        carry = None if current is None else self._carries.get(current)
        self._start("hush", self._hush(carry))
        if current is not None:
            self._put_off(current, drop=drop)

    async def _hush(self, carry: Hashable | None) -> None:
        try:
            await self._body.embodied.hush()
        except LocumError as error:
            _log.warning("hush_failed", problem=str(error))
        # A room that doesn't say how much it heard mustn't keep us from speaking again.
        await self._clock.sleep(_HUSHED_WITHIN)
        self._tasks.drop(carry)

    def _put_off(self, answer: Answer, *, drop: bool) -> None:
        self._forget_kept()
        if drop:
            self._end(answer)
        else:
            answer.hold()
            self._kept = answer

    def _forget_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            self._end(kept)

    def _drop(self, answer: Answer) -> None:
        self._tasks.drop(self._carries.get(answer))
        self._end(answer)

    def _end(self, answer: Answer) -> None:
        answer.stop()
        self._start("end", self._aclose(answer))

    async def _aclose(self, answer: Answer) -> None:
        await answer.aclose()
        self._answers.discard(answer)
        if self._body.voice is not None:
            # One that was stopped may have lost its process, or its connection.
            await self._body.voice.warm()

    def _carry(self, answer: Answer, work: Coroutine[Any, Any, None]) -> None:
        self._carries[answer] = self._start("carry", work)

    def _start(self, what: str, work: Coroutine[Any, Any, None]) -> Hashable:
        self._works += 1
        self._tasks.start(name := (what, self._works), work)
        return name

    # ── answers ──────────────────────────────────────────────────────────────────────────

    def _ready(self, question: Question) -> Answer:
        """Answer what answers it, as far along as there is one."""
        kept, ahead = self._kept, self._ahead
        if kept is not None and not kept.is_over and _continues(kept.question, question):
            self._kept = None
            return kept
        if ahead is not None and ahead.is_good and self._same(ahead.question, question):
            self._ahead = None
            # The words for good, and when the last of them was heard.
            ahead.question = question
            return ahead
        return self._begin(question, guessed=False)

    def _same(self, before: Question, now: Question) -> bool:
        return _same(before, now, rough=self._settings.source is Source.ROUGH)

    def _begin(self, question: Question, *, guessed: bool) -> Answer:
        answer: Answer

        def began(at: datetime, text: str, newest: str) -> None:
            self._began(answer, at, text, newest)

        hooks = Hooks(
            began=began,
            sounds=self._sounds,
            post=self._body.posts.put,
            noted=self._tell,
            apology=lambda error: self._apology(answer, error),
        )
        answer = Answer(
            question,
            self._thoughts(question, guessed=guessed),
            voice=None if self._voice_rest.resting else self._body.voice,
            hooks=hooks,
            clock=self._clock,
            linger=self._settings.timings.linger,
            filler=self._filler,
            guessed=guessed,
        )
        answer.start()
        self._answers.add(answer)
        return answer

    def _thoughts(self, question: Question, *, guessed: bool) -> AsyncIterator[Thought]:
        """Answer what there is to say: by code where it must be true, else by the mind."""
        if question.cue is Cue.ASKED_WHAT_WE_ARE:
            return _given(Aloud(self._settings.the_truth(question.text)))
        if question.text == NOT_UNDERSTOOD:
            return self._not_understood()
        self._missed = 0
        if self._mind_rest.resting:
            return self._excuse(question)
        asked = Line(question.speaker, question.text, question.at, in_chat=question.in_chat)
        lines = self._lines.before(asked)
        return self._body.mind.answer(Prompted(lines, question.cue, guessed=guessed))

    async def _not_understood(self) -> AsyncIterator[Thought]:
        """Ask once, then for it in writing, then no more: who hears badly goes on hearing badly."""
        sentences = self._settings.sentences
        self._missed += 1
        if self._missed == 1:
            yield Aloud(sentences.not_understood)
        elif self._missed == 2:
            yield InChat(sentences.still_not_understood)

    async def _excuse(self, question: Question) -> AsyncIterator[Thought]:
        if text := self._sorry(question, self._settings.sentences.cant_think):
            yield Aloud(text)

    def _apology(self, answer: Answer, error: LocumError) -> str:
        self._mind_rest.failed(error)
        _log.warning("mind_failed", mind=self._body.mind.name, problem=str(error))
        sentences = self._settings.sentences
        begun = answer is self._sounding
        sentence = sentences.cant_go_on if begun else sentences.cant_think
        return self._sorry(answer.question, sentence)

    def _sorry(self, question: Question, sentence: str) -> str:
        """Take the question along; answers what to say of that, where it wasn't said lately."""
        if question.cue in {Cue.OFFER, Cue.RESUME}:
            return ""
        self._tell(Deferred(question.text, question.speaker))
        now = self._clock.now()
        again = self._settings.timings.apologise_every
        if self._apologised is not None and now - self._apologised < again:
            return ""
        self._apologised = now
        return sentence.format(owner=self._settings.owner)

    # ── saying ───────────────────────────────────────────────────────────────────────────

    async def _say(self, answer: Answer, at: datetime) -> None:
        try:
            await self._clock.sleep(max(at - self._clock.now(), _NONE))
            async with self._mouth:
                await self._utter(answer)
            if self._current is answer and answer.was_in_vain:
                # What can't be done for a guess is done now; and what failed is tried once more.
                fresh = self._current = self._begin(answer.question, guessed=False)
                self._carry(fresh, self._say(fresh, at))
                self._end(answer)
        finally:
            self._carries.pop(answer, None)

    async def _utter(self, answer: Answer) -> None:
        """Say it, and tell what was heard of it."""
        uttered: Uttered | None = None
        try:
            uttered = await answer.say(self._body.embodied)
        except asyncio.CancelledError:
            self._uttered(answer, answer.cut_by_clock())
            raise
        except LocumError as error:
            _log.warning("speech_failed", problem=str(error))
            uttered = answer.cut_by_clock()
            answer.voice_failure = answer.voice_failure or error
        goes_on = self._current is answer and answer.was_in_vain
        if not goes_on and self._current is answer:
            self._current = None
            await self._finish(answer)
        if uttered is not None or not goes_on:
            self._uttered(answer, uttered)

    async def _finish(self, answer: Answer) -> None:
        """What the voice owed is written; what went well is noted."""
        if answer.voice_failure is not None:
            self._voice_failed(answer.voice_failure)
            self._body.posts.put(await answer.write_out())
        elif not answer.is_empty:
            self._voice_rest.went_well()
        if answer.failure is None and not answer.is_empty and not self._mind_rest.resting:
            self._mind_rest.went_well()
        self._end(answer)

    def _voice_failed(self, error: LocumError) -> None:
        if self._body.voice is None or self._voice_rest.resting:
            return
        self._voice_rest.failed(error)
        _log.warning("voice_failed", voice=self._body.voice.name, problem=str(error))
        self._body.posts.put(self._settings.sentences.cant_speak)

    async def _write(self, answer: Answer) -> None:
        self._writing += 1
        try:
            text = await answer.write_out()
            if answer.was_in_vain and not text:
                self._carry(
                    fresh := self._begin(answer.question, guessed=False), self._write(fresh)
                )
            self._body.posts.put(text)
        finally:
            self._writing -= 1
            self._carries.pop(answer, None)
            self._end(answer)

    # ── what was heard of us ─────────────────────────────────────────────────────────────

    def _began(self, answer: Answer, at: datetime, text: str, newest: str) -> None:
        if self._sounding is not answer:
            self._sounding = answer
            ended = answer.question.ended
            after_ms = None if ended is None else (at - ended) // _MILLISECOND
            _log.info("answer_began", cue=answer.question.cue.value, after_ms=after_ms)
        if self._body.hearing is not None:
            self._body.hearing.said(newest, at)
        self._happen(WeBegan(at, text))

    def _sounds(self, piece: Spoken, at: datetime) -> None:
        if self._body.hearing is not None:
            self._body.hearing.spoke(piece.sound, at)

    def _uttered(self, answer: Answer, uttered: Uttered | None) -> None:
        if self._sounding is answer:
            self._sounding = None
        if uttered is None:
            self._happen(WeEnded(self._clock.now(), "", whole=answer.is_over))
            return
        self._lines.add(
            Line(self._settings.names.tile, uttered.text, uttered.at, uttered.until, ours=True)
        )
        self._tell(WeSaid(uttered.at, uttered.text, uttered.until, whole=uttered.whole))
        self._happen(WeEnded(uttered.until, uttered.text, whole=uttered.whole))

    def posted(self, text: str) -> None:
        """Take that this stands in the chat now."""
        now = self._clock.now()
        self._lines.add(Line(self._settings.names.tile, text, now, ours=True, in_chat=True))
        self._tell(WeSaid(now, text, now, in_chat=True))


def _same(before: Question, now: Question, *, rough: bool = False) -> bool:
    elsewhere = before.track != now.track and not now.in_chat
    return not elsewhere and same_question(before.text, now.text, rough=rough)


def _continues(before: Question, now: Question) -> bool:
    return now.cue is Cue.RESUME or _same(before, now)


async def _given(thought: Thought) -> AsyncIterator[Thought]:
    yield thought
