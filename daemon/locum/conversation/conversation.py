"""One conversation in one room: what is heard, whose turn it is, what we say, what was heard of it.

Everything that happens goes through the floor, one thing after the other, and what it answers is
done. Nothing in here decides whose turn it is, and nothing of it ends the attendance: a part that
fails is said to have failed, left alone for a while, and done without.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from locum.conversation.answer import Question
from locum.conversation.levers import Lever
from locum.conversation.lines import Lines
from locum.conversation.parts import Hearing, Settings, Tell
from locum.conversation.posting import Posts
from locum.conversation.talking import Body, Talking
from locum.conversation.turns import Hooks, Turn, Turns
from locum.core.floor import Floor
from locum.core.talk import (
    Consider,
    Cue,
    Duck,
    Foreseen,
    Forgo,
    GoOn,
    HandUp,
    Happening,
    Heard,
    Hush,
    Line,
    Move,
    Nod,
    Passed,
    Present,
    RaiseHand,
    Speak,
    Told,
    TurnOver,
    VoiceBegan,
    VoicePaused,
    WeBegan,
    WeEnded,
    Write,
    Written,
)
from locum.core.transcript import Source
from locum.errors import LocumError, PermanentError
from locum.ports import (
    Clock,
    Embodied,
    Endpointer,
    HandRaised,
    MeetingSession,
    Mind,
    Roster,
    Said,
    SessionEvent,
    Voice,
)
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_A_PAUSE = timedelta(seconds=1)
_JUST_OVER = timedelta(seconds=5)
_MOST_ASKED = 64
_CAPTIONS = "captions:"

_SETTLES = timedelta(seconds=1.5)
"""So long after somebody's last sound a caption of it may still be revised."""


class Conversation:
    """Converses in one session until it is cancelled.

    Args:
        session: Where; it must be `Embodied` too.
        voice: With what we speak; None, or one that fails, makes us write instead.
        mind: What thinks. Like the rest of the parts, it is closed by whoever made it.
        hearing: What makes words of sounds; None means that Meet's captions are all we hear.
        endpointer: Tells whether somebody has finished.
        settings: Who we are, and how we behave.
        clock: Where "now" comes from.
        tell: Called for each remark, for the transcript.

    Raises:
        PermanentError: The session has no body.
    """

    def __init__(
        self,
        session: MeetingSession,
        *,
        voice: Voice | None,
        mind: Mind,
        hearing: Hearing | None,
        endpointer: Endpointer,
        settings: Settings,
        clock: Clock,
        tell: Tell,
    ) -> None:
        if not isinstance(session, Embodied):
            raise PermanentError(
                "This engine's sessions have no body: they converse themselves."
            )
        self._body: Embodied = session
        self._mind = mind
        self._hearing = hearing
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._tasks = Tasks()
        self._lines = Lines()
        self._floor = Floor(settings.attention, settings.names)
        self._posts = Posts(session.post, clock, self._posted)
        self._talking = Talking(
            Body(self._body, voice, mind, hearing, self._posts),
            self._lines,
            settings=settings,
            clock=clock,
            tasks=self._tasks,
            happen=self._happen,
            tell=tell,
        )
        self._turns: Turns | None = None
        if hearing is not None:
            hooks = Hooks(paused=self._paused, resumed=self._resumed, over=self._over)
            self._turns = Turns(
                hearing,
                endpointer,
                timings=settings.timings,
                clock=clock,
                tasks=self._tasks,
                hooks=hooks,
            )
        self._quiet = Lever("duck", lambda down: self._body.duck(down=down), self._tasks)
        self._hand = Lever("hand", lambda up: self._body.raise_hand(up=up), self._tasks)
        self._gaze = Lever("listen", lambda yes: self._body.listen(attentive=yes), self._tasks)
        self._nodding_until = clock.now()
        self._deaf = hearing is None
        self._happenings: deque[Happening] = deque()
        self._in_turn = False
        self._asked: dict[str, Question] = {}  #: The last that was said on each track.
        self._over_at: dict[str, datetime] = {}
        self._considered = 0

    async def run(self) -> None:
        """Converse until cancelled. An error of a part is said, waited out, and never raised."""
        try:
            self._tasks.start("warm", self._talking.warm())
            self._tasks.start("posts", self._posts.run())
            self._tasks.start("look", self._look())
            if self._hearing is not None:
                self._tasks.start("hear", self._hear(self._hearing))
            await asyncio.get_running_loop().create_future()
        finally:
            await self._tasks.cancel()
            await self._talking.aclose()

    def take(self, event: SessionEvent) -> None:
        """Take in what the session tells: chat, captions, hands, who is there.

        None of it is told again: whoever gives it has it. Captions only serve to name who
        speaks, as long as we hear by ourselves; they are answered where they are all we have.
        """
        if isinstance(event, Roster):
            self._happen(Present(event.at, event.others))
        elif isinstance(event, HandRaised):
            self._happen(HandUp(event.at, event.speaker))
        elif isinstance(event, Said) and event.in_chat:
            self._remember(event)
            self._happen(Written(event.at, event.speaker, event.text))
        elif isinstance(event, Said):
            self._caption(event)

    def write(self, text: str) -> None:
        """Write into the chat what is nobody's answer, such as what became of a request."""
        self._posts.put(text)

    # ── hearing ──────────────────────────────────────────────────────────────────────────

    async def _hear(self, hearing: Hearing) -> None:
        try:
            async with aclosing(hearing.happenings(self._body.sounds())) as happenings:
                async for happening in happenings:
                    self._heard(happening)
        except LocumError as error:
            self._deafened(str(error))
        except Exception as error:  # noqa: BLE001 - The task's outermost frame.
            _log.error("hearing_crashed", exc_info=error)
            self._deafened(type(error).__name__)

    def _deafened(self, problem: str) -> None:
        """Go on by captions and the chat, and say so where people can read it."""
        _log.warning("hearing_failed", problem=problem)
        self._deaf = True
        self._turns = None
        self._posts.put(self._settings.sentences.cant_hear)

    def _heard(self, happening: VoiceBegan | VoicePaused | Heard) -> None:
        if isinstance(happening, VoiceBegan) and self._turns is not None:
            self._turns.began(happening)
        if isinstance(happening, Heard):
            self._words(happening)
        self._happen(happening)
        if isinstance(happening, Heard) and happening.final and self._is_whole(happening):
            self._whole(happening)

    def _words(self, heard: Heard) -> None:
        if heard.final and heard.text.strip():
            source = self._settings.source
            said = Said(heard.at, heard.speaker, heard.text, until=heard.until, source=source)
            self._remember(said)
            if self._hearing is not None and not self._hearing.words_are_captions:
                self._tell(said)
        elif self._turns is not None and (turn := self._turns.heard(heard)) is not None:
            self._foresee(turn)

    def _remember(self, said: Said) -> None:
        self._lines.add(
            Line(said.speaker, said.text, said.at, said.until, in_chat=said.in_chat)
        )

    def _caption(self, said: Said) -> None:
        if self._hearing is not None and not self._deaf:
            self._hearing.captioned(said)
            if self._settings.source is Source.ROUGH:
                self._heard_better(said)
            return
        self._remember(said)
        track = f"{_CAPTIONS}{said.speaker}"
        heard = Heard(said.at, track, said.speaker, said.text, said.until, final=True)
        self._happen(heard)
        self._whole(heard)

    def _heard_better(self, said: Said) -> None:
        """Take from a caption, though it comes late, that somebody called us whom we misheard.

        Not where we have said something since: that was the answer.
        """
        track = f"{_CAPTIONS}{said.speaker}"
        ours = self._floor.foresee(track, said.speaker, said.text)
        called = ours is not None and ours.cue in {Cue.NAMED, Cue.ASKED_WHAT_WE_ARE}
        missed = called and not self._talking.busy
        if missed and not self._lines.ours_since((said.until or said.at) - _SETTLES):
            _log.info("called_by_caption")
            heard = Heard(said.at, track, said.speaker, said.text, said.until, final=True)
            self._happen(heard)
            self._whole(heard)

    def _is_whole(self, heard: Heard) -> bool:
        """Whether nobody watches for the end of it: words without a voice, as captions are."""
        over = self._over_at.get(heard.track)
        lately = over is not None and self._clock.now() - over < _JUST_OVER
        watched = self._turns is not None and self._turns.of(heard.track) is not None
        return not (lately or watched)

    def _whole(self, heard: Heard) -> None:
        if heard.text.strip():
            question = Question(
                heard.at, heard.track, heard.speaker, heard.text, Cue.NAMED, ended=heard.until
            )
            self._asked_by(question, certainty=1.0)

    # ── turns ────────────────────────────────────────────────────────────────────────────

    def _paused(self, turn: Turn) -> None:
        """Think ahead, where it would be our turn if this were the end of theirs."""
        self._told_so_far(turn)
        timings = self._settings.timings
        silent = self._hearing is not None and (
            self._hearing.silence(turn.track) >= timings.speculate_after
        )
        ours = self._foresee(turn)
        plausible = silent or turn.certainty >= timings.plausible_from
        if ours is None or not plausible or turn.speculations >= timings.speculations_a_turn:
            return
        asked = Question(turn.began, turn.track, turn.speaker, turn.text, ours.cue)
        turn.speculations += self._talking.think_ahead(asked)

    def _told_so_far(self, turn: Turn) -> None:
        """Let the floor know the words at a pause: they come sooner than while somebody speaks."""
        if turn.text.strip() and turn.text != turn.told:
            turn.told = turn.text
            now = self._clock.now()
            self._happen(Heard(turn.began, turn.track, turn.speaker, turn.text, now))

    def _foresee(self, turn: Turn) -> Foreseen | None:
        """See whether it would be our turn, and whether they wait for that."""
        if not turn.text.strip():
            return None
        ours = self._floor.foresee(turn.track, turn.speaker, turn.text)
        turn.for_us = ours is not None
        # Of words that are half wrong one can't tell whether they ask.
        rough = self._settings.source is Source.ROUGH
        turn.expects = rough or ours is None or ours.expected
        return ours

    def _resumed(self, turn: Turn) -> None:
        self._talking.forget_ahead(turn.track)

    def _over(self, turn: Turn) -> None:
        if turn.text.strip():
            self._over_at[turn.track] = self._clock.now()
            question = Question(
                turn.began, turn.track, turn.speaker, turn.text, Cue.NAMED, ended=turn.ended
            )
            self._asked_by(question, certainty=turn.certainty)
        else:
            self._talking.forget_ahead(turn.track)

    def _asked_by(self, question: Question, *, certainty: float) -> None:
        """Somebody has had their say. It may be a question of theirs that we answer, or later."""
        while len(self._asked) >= _MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        self._asked[question.track] = question
        over = TurnOver(
            self._clock.now(), question.track, question.speaker, question.text, certainty
        )
        self._happen(over)

    def _question(self, move: Speak) -> Question:
        asked = self._asked.get(move.track)
        if asked is None:
            now = self._clock.now()
            return Question(now, move.track, move.speaker, move.text, move.cue)
        return replace(asked, speaker=move.speaker, text=move.text, cue=move.cue)

    def _written(self, move: Write) -> Question:
        """Answer what is answered in the chat: mostly, but not always, what was asked there."""
        for asked in self._asked.values():
            if (asked.speaker, asked.text) == (move.speaker, move.text):
                return replace(asked, cue=move.cue)
        now = self._clock.now()
        return Question(now, "", move.speaker, move.text, move.cue, in_chat=True)

    # ── the floor ────────────────────────────────────────────────────────────────────────

    def _happen(self, happening: Happening) -> None:
        """Tell the floor, and do as it says: one happening after the other."""
        self._happenings.append(happening)
        if self._in_turn:
            return
        self._in_turn = True
        try:
            while self._happenings:
                self._take(self._happenings.popleft())
        finally:
            self._in_turn = False

    def _take(self, happening: Happening) -> None:
        if isinstance(happening, WeBegan):
            self._hand.put(wanted=False)
        elif isinstance(happening, WeEnded):
            self._quiet.put(wanted=False)
        try:
            for move in self._floor.take(happening):
                self._do(move)
        except Exception as error:  # noqa: BLE001 - A flaw here costs one move, not the meeting.
            _log.error("move_failed", on=type(happening).__name__, exc_info=error)

    def _do(self, move: Move) -> None:
        match move:
            case Speak():
                self._talking.speak(self._question(move), move.at)
            case Write():
                self._talking.write(self._written(move))
            case Hush():
                _log.info("hushed", why=move.why, drop=move.drop)
                self._talking.hush(drop=move.drop)
            case Forgo():
                _log.info("forgone", why=move.why, drop=move.drop)
                self._talking.forgo(drop=move.drop)
            case Consider():
                self._tasks.drop(("consider", self._considered))
                self._considered += 1
                self._tasks.start(("consider", self._considered), self._consider(move))
            case _:
                self._gesture(move)

    def _gesture(self, move: Move) -> None:
        match move:
            case Duck():
                self._quiet.put(wanted=True)
            case GoOn():
                self._quiet.put(wanted=False)
            case RaiseHand():
                self._hand.put(wanted=move.up)
            case Nod():
                self._nodding_until = self._clock.now() + self._settings.timings.nod

    async def _consider(self, move: Consider) -> None:
        now = self._clock.now()
        lines = self._lines.before(Line(move.speaker, move.text, now))
        for_us = await self._mind.is_for_us(lines)
        self._happen(Told(self._clock.now(), move.track, move.text, for_us))

    def _posted(self, text: str) -> None:
        self._talking.posted(text)

    # ── time ─────────────────────────────────────────────────────────────────────────────

    async def _look(self) -> None:
        timings = self._settings.timings
        while True:
            try:
                self._look_once()
            except Exception as error:  # noqa: BLE001 - The task's outermost frame.
                _log.error("look_failed", exc_info=error)
                await self._clock.sleep(_A_PAUSE)
            busy = self._talking.busy or (self._turns is not None and self._turns.any)
            await self._clock.sleep(timings.look_every if busy else timings.look_idly_every)

    def _look_once(self) -> None:
        now = self._clock.now()
        for_us = False
        if self._turns is not None:
            self._turns.look()
            for_us = self._turns.any_for_us
        self._gaze.put(wanted=for_us or self._talking.thinking or now < self._nodding_until)
        self._talking.look()
        self._happen(Passed(now))
