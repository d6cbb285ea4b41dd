"""Plays a scenario's conversation: its people react to what the stand-in does, and it is noted.

It knows the stand-in from outside alone: by the sound that the room hands on to the others, and
by the room's chat. What that was worth is judged in `judging`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from locum.rehearsal.meet.meeting import participant_id
from locum.rehearsal.meet.participants import Door, Phase
from locum.rehearsal.meet.voices import StageVoices
from locum.rehearsal.rooms import StepKind
from locum.rehearsal.scenario import After, Expect, Talk, TalkLine
from locum.rehearsal.stage import Stage

if TYPE_CHECKING:
    from locum.rehearsal.meet.media.overhearing import Overhearing, Span

_LOOK_S = 0.02
_BEGINS_WITHIN_S = 4.0
"""A line's first sound: a picture of somebody speaking is drawn before it."""
_LINE_OVER_S = 0.5
_PRESENT_EVERY_S = 0.5
_LONGEST_LINE_S = 40.0
_LONGEST_ANSWER_S = 40.0
_INTRODUCED_S = 1.2
_CHAT_ALONE_S = 6.0
"""Who has introduced itself in the chat is waited for that long to say it aloud too."""


@dataclass(frozen=True)
class Exchange:
    """One line and what the stand-in did about it; seconds, of the host.

    Args:
        line: What was said.
        at: When the stage's clock showed its begin.
        after_s: From its last sound to the stand-in's first; None: there was none. Below
            zero it cut in.
        lasted_s: How long its answer was, pauses included, …
        paused_s: … and the longest of these.
        stopped_s: From this line's begin to the stand-in's last sound, where it was speaking.
        wrote: What it wrote into the chat.
        wrote_after_s: When the first of that came, from the line's last sound on.
    """

    line: TalkLine
    at: datetime
    after_s: float | None = None
    lasted_s: float = 0.0
    paused_s: float = 0.0
    stopped_s: float | None = None
    wrote: tuple[str, ...] = ()
    wrote_after_s: float | None = None


@dataclass(frozen=True)
class Dialogue:
    """All of it. `problem` says why it ended before its last line, where it did."""

    exchanges: tuple[Exchange, ...]
    ended_at: datetime
    problem: str = ""


class _OverError(Exception):
    """The conversation can't go on."""


class Conversation:
    """Plays `talk` on `stage`, in a thread of its own, while that is playing.

    Args:
        stage: Where; its meeting page is served.
        talk: What.
        tell: Takes a line for whoever watches, as soon as there is one.
    """

    def __init__(self, stage: Stage, talk: Talk, tell: Callable[[str], None]) -> None:
        self._stage = stage
        self._talk = talk
        self._tell = tell
        self._stop = threading.Event()
        self._exchanges: list[Exchange] = []
        self._problem = ""
        self._ended_at = stage.clock.now()
        self._ears: Overhearing | None = None
        self._us = ""
        self._chat_seen = 0
        self._looked_at = 0.0
        self._thread = threading.Thread(target=self._play, name="conversation", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def finish(self) -> Dialogue:
        """End it, and answer what there was."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)
        return Dialogue(tuple(self._exchanges), self._ended_at, self._problem)

    # ── the thread ───────────────────────────────────────────────────────────────────────

    def _play(self) -> None:
        try:
            self._wait_until_introduced()
            for number, line in enumerate(self._talk.lines):
                later = self._talk.lines[number + 1 :]
                self._say(line, later[0].after if later else After.ANSWER)
            self._sleep(1.0)  # Who hangs up on somebody's last word?
        except _OverError as over:
            self._problem = str(over)
        self._ended_at = self._stage.clock.now()
        self._stage.meet.end(self._talk.room, by=self._talk.lines[-1].who)

    def _wait_until_introduced(self) -> None:
        talk = self._talk
        event = next(each for each in self._stage.scenario.events if each.meet == talk.room)
        within = (event.starts_at + talk.introduces_within).total_seconds()
        if not self._until(self._is_in, within - self._stage.offset().total_seconds()):
            raise _OverError(f"the stand-in wasn't in within {within:.0f} s")
        voices = self._stage.meet.sound
        if not isinstance(voices, StageVoices):
            raise _OverError("the meeting page has no sound")
        self._ears = voices.overhear(talk.room)
        if not self._until(
            self._has_introduced_itself(), talk.introduces_within.total_seconds()
        ):
            raise _OverError("the stand-in didn't say who it is")
        self._newly_written()

    def _has_introduced_itself(self) -> Callable[[], bool]:
        """It was heard and has ended, or has written and says nothing."""
        wrote: list[float] = []

        def done() -> bool:
            if self._newly_written():
                wrote.append(time.monotonic())
            if self._spans():
                return self._silent_for() > _INTRODUCED_S
            return bool(wrote) and time.monotonic() - wrote[0] > _CHAT_ALONE_S

        return done

    def _is_in(self) -> bool:
        for each in self._stage.meet.participants(self._talk.room):
            if each.phase is Phase.IN and each.came_by is not Door.OBSERVER:
                self._us = each.id
                return True
        return False

    def _say(self, line: TalkLine, then: After) -> None:
        if line.after is After.ANSWER and not self._until(
            lambda: self._silent_for() > 0.2, _LONGEST_ANSWER_S
        ):
            raise _OverError("the stand-in didn't stop speaking")
        self._sleep(line.pause.total_seconds())
        at = self._stage.clock.now()
        if line.writes:
            began = ended = time.monotonic()
            self._stage.rooms.act(StepKind.WRITE, self._talk.room, line.who, line.writes)
            self._stage.meet.pump()
        else:
            began, ended = self._speak(line)
        exchange = self._answered(line, then, at, began, ended)
        self._exchanges.append(exchange)
        self._tell_of(exchange)

    def _tell_of(self, exchange: Exchange) -> None:
        """Its words aren't known yet: they are in the summary."""
        name = self._stage.scenario.persona.display_name
        when = f"{self._stage.offset().total_seconds():6.1f} s [{self._talk.room}] {name}"
        if exchange.stopped_s is not None:
            self._tell(f"{when}: (falls silent after {exchange.stopped_s:.2f} s)")
        if exchange.after_s is not None:
            after, lasted = exchange.after_s, exchange.lasted_s
            self._tell(f"{when}: (spoke after {after:.2f} s, for {lasted:.1f} s)")

    def _speak(self, line: TalkLine) -> tuple[float, float]:
        """Let it be said; answers its first and last sound, as the room hands it on."""
        who = self._participant(line.who)
        asked = time.monotonic()
        if self._stage.prompter is not None:
            self._stage.prompter.says(line.says, self._stage.lasts(line))
        self._stage.rooms.say(self._talk.room, line.who, line.says)
        self._stage.meet.pump()
        if not self._until(lambda: bool(self._spans_of(who, asked)), _BEGINS_WITHIN_S):
            raise _OverError(f'{line.who} couldn\'t be heard saying "{line.says}"')
        began = self._spans_of(who, asked)[0].began
        lasts = self._stage.lasts(line)
        least = began + (0.0 if lasts is None else lasts.total_seconds() - 0.3)

        def said() -> bool:
            quiet = self._ears is not None and self._ears.silent_for(who) > _LINE_OVER_S
            return quiet and time.monotonic() > least

        if line.expect is Expect.STOPS:  # What it does meanwhile is what counts.
            self._until(said, _LONGEST_LINE_S)
        elif not self._until(said, _LONGEST_LINE_S):
            raise _OverError(f'{line.who} didn\'t end to say "{line.says}"')
        return began, self._spans_of(who, asked)[-1].ended

    def _answered(
        self, line: TalkLine, then: After, at: datetime, began: float, ended: float
    ) -> Exchange:
        within = line.within.total_seconds()
        if line.expect is Expect.STOPS:
            return self._stopped(line, at, began)
        wrote: list[str] = []
        wrote_at: float | None = None

        def heard() -> Sequence[Span]:
            # What went on before this line began is no answer to it.
            return [span for span in self._spans() if span.began > began + 0.1]

        def enough() -> bool:
            nonlocal wrote_at
            news = self._newly_written()
            wrote.extend(news)
            if news and wrote_at is None:
                wrote_at = time.monotonic()
            if line.expect is Expect.WRITES:
                return wrote_at is not None
            if then is After.LINE:
                return True
            return line.expect is not Expect.SILENT and bool(heard())

        left = ended + within - time.monotonic()
        self._until(enough, max(left, 0.0))
        if heard() and then is After.ANSWER:
            settle = line.settle.total_seconds()
            if not self._until(lambda: self._silent_for() > settle, _LONGEST_ANSWER_S):
                raise _OverError("the stand-in didn't stop speaking")
            wrote.extend(self._newly_written())
        spans = heard()
        return Exchange(
            line,
            at,
            after_s=spans[0].began - ended if spans else None,
            lasted_s=spans[-1].ended - spans[0].began if spans else 0.0,
            paused_s=max(
                (later.began - span.ended for span, later in itertools.pairwise(spans)),
                default=0.0,
            ),
            wrote=tuple(wrote),
            wrote_after_s=None if wrote_at is None else wrote_at - ended,
        )

    def _stopped(self, line: TalkLine, at: datetime, began: float) -> Exchange:
        """How long the stand-in went on into this line."""
        within = line.within.total_seconds()
        self._until(lambda: self._silent_for() > _LINE_OVER_S, within + 1.0)
        spans = [span for span in self._spans() if span.began <= began]
        was_speaking = bool(spans) and spans[-1].ended > began
        stopped = max(0.0, spans[-1].ended - began) if was_speaking else None
        later = [span for span in self._spans() if span.began > began]
        return Exchange(
            line,
            at,
            stopped_s=stopped,
            after_s=later[0].began - began if later else None,
            lasted_s=later[-1].ended - later[0].began if later else 0.0,
            wrote=self._newly_written(),
        )

    # ── what is known ────────────────────────────────────────────────────────────────────

    def _participant(self, name: str) -> str:
        for visit in self._stage.rooms.present(self._talk.room):
            if visit.name == name and not visit.is_bot:
                return participant_id(self._talk.room, visit.id)
        raise _OverError(f"{name} isn't there")

    def _spans(self) -> tuple[Span, ...]:
        return self._spans_of(self._us)

    def _spans_of(self, who: str, since: float = float("-inf")) -> tuple[Span, ...]:
        return () if self._ears is None else self._ears.spans(who, since)

    def _silent_for(self) -> float:
        return float("inf") if self._ears is None else self._ears.silent_for(self._us)

    def _newly_written(self) -> tuple[str, ...]:
        """Answer what the stand-in wrote since the last look."""
        chat = self._stage.meet.chat(self._talk.room)
        news, self._chat_seen = chat[self._chat_seen :], len(chat)
        return tuple(line.text for line in news if line.id == self._us)

    # ── waiting ──────────────────────────────────────────────────────────────────────────

    def _until(self, claim: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not claim():
            if time.monotonic() >= end:
                return False
            self._sleep(_LOOK_S)
        return True

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _OverError("it was ended early")
        if self._us and time.monotonic() - self._looked_at > _PRESENT_EVERY_S:
            self._looked_at = time.monotonic()
            if not self._is_in():
                raise _OverError("the stand-in isn't in the room any more")
