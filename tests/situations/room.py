"""A room in which a script is played to the floor: who says what when, and what came of it.

It stands for the ears and the conversation, at their simplest: words come in pieces and late, a
turn is found to be over some 350 ms after its end, an answer is thought for 300 ms and takes as
long to say as words take. Whatever is answered goes through the real mandate, over a model that
says what the script has it say. Nothing waits: an hour of meeting takes no time.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

from locum.core.calling import Names
from locum.core.floor import Floor
from locum.core.mandate import Mandate, Outgoing, answer_by_code
from locum.core.talk import (
    Aloud,
    Attention,
    Consider,
    Cue,
    Deferred,
    Forgo,
    Happening,
    Heard,
    Hush,
    InChat,
    Line,
    Move,
    Passed,
    Present,
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

BEGIN = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)
TILE = "Robin (AI stand-in for Alex Müller)"
NAMES = Names.of(TILE, "Alex Müller")

_TICK = 0.04
_VOICE_KNOWN = 0.09
_YOUNG, _YOUNG_ENDS_KNOWN = 0.192, 0.07
_WORDS_BEHIND = 0.25
_FINAL_BEHIND = 0.15
_OVER_BEHIND = 0.35
_PIECE = 0.3
_TOLD_AFTER = 0.3
_WORDS_A_SECOND = 2.6


@dataclass(frozen=True)
class Remark:
    """One line of a script; seconds from its beginning. `chat` is written, `goes_on` no end."""

    start: float
    end: float
    speaker: str
    text: str
    track: str = ""
    chat: bool = False
    goes_on: bool = False
    ours: bool = False
    voice: bool = True


@dataclass(frozen=True)
class Entry:
    """Another number of people in the room from an instant on."""

    at: float
    names: tuple[str, ...]


@dataclass(frozen=True)
class Script:
    """What happens, and how the persona, its mind and a model are."""

    remarks: tuple[Remark, ...]
    entries: tuple[Entry, ...]
    attention: Attention = Attention.WHEN_ADDRESSED
    answer: str = "It is on track, as far as I know."
    thinks: float = 0.3
    for_us: bool | None = None
    mandate: Mandate = field(
        default_factory=lambda: Mandate(
            TILE.partition(" (")[0], "Alex Müller", rules="Never tell what the Acme file says."
        )
    )
    lasts: float = 0.0


@dataclass(frozen=True)
class Done:
    """One thing that we did, or that was heard or read of us. `what` is its kind, in a word."""

    at: float
    what: str
    to: str = ""
    cue: str = ""
    text: str = ""
    why: str = ""


@dataclass
class _Saying:
    speak: Speak
    text: str
    begins: float
    since: float | None = None
    said: float = 0.0  #: Seconds of it that were heard before.


class Room:
    """Plays one script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._floor = Floor(script.attention, NAMES)
        self._queue: list[tuple[float, int, Happening]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._current: _Saying | None = None
        self._kept: _Saying | None = None
        self._answers: dict[str, str] = {}
        self.done: list[Done] = []
        self.audible: list[tuple[float, float]] = []

    def play(self) -> list[Done]:
        """Play it, and half a minute of silence after it; answers what we did."""
        for entry in self._script.entries:
            self._at(entry.at, Present(_at(entry.at), len(entry.names), entry.names))
        turns: dict[str, list[str]] = {}
        for remark in self._script.remarks:
            self._add(remark, turns)
        last = max((each.end for each in self._script.remarks), default=0.0)
        end = last + 30.0
        while self._now < end:
            while self._queue and self._queue[0][0] <= self._now + 1e-9:
                self._give(heapq.heappop(self._queue)[2])
            self._speak_on()
            self._give(Passed(_at(self._now)))
            self._now = round(self._now + _TICK, 3)
        return self.done

    # ── what happens ─────────────────────────────────────────────────────────────────────

    def _at(self, seconds: float, happening: Happening) -> None:
        heapq.heappush(self._queue, (seconds, next(self._order), happening))

    def _add(self, remark: Remark, turns: dict[str, list[str]]) -> None:
        start, end, who, text = remark.start, remark.end, remark.speaker, remark.text
        track = remark.track or who
        if remark.chat:
            self._at(start, Written(_at(start), who, text))
            return
        if remark.ours:
            self._at(start, WeBegan(_at(start), text))
            self._at(end, WeEnded(_at(end), text))
            return
        if remark.voice:
            self._at(start + _VOICE_KNOWN, VoiceBegan(_at(start), track, who))
            known = _YOUNG_ENDS_KNOWN if end - start < _YOUNG else _VOICE_KNOWN
            self._at(end + known, VoicePaused(_at(end), track, who))
        if not text:
            return
        words = text.split()
        steps = max(int((end - start) / _PIECE), 1) if remark.voice else 0
        for step in range(1, steps):
            when = start + (end - start) * step / steps + _WORDS_BEHIND
            part = " ".join(words[: len(words) * step // steps])
            if part and when < end + _FINAL_BEHIND:
                self._at(when, Heard(_at(start), track, who, part))
        self._at(end + _FINAL_BEHIND, Heard(_at(start), track, who, text, _at(end), final=True))
        said = turns.setdefault(track, [])
        said.append(text)
        if not remark.goes_on:
            self._at(
                end + _OVER_BEHIND,
                TurnOver(_at(end + _OVER_BEHIND), track, who, " ".join(said)),
            )
            said.clear()

    def _give(self, happening: Happening) -> None:
        for move in self._floor.take(happening):
            self._do(move)

    # ── what we do ───────────────────────────────────────────────────────────────────────

    def _do(self, move: Move) -> None:
        kind = type(move).__name__
        if isinstance(move, Speak):
            self._note(kind, move.speaker, move.cue, move.text)
            self._get_ready(move)
        elif isinstance(move, Write):
            self._note(kind, move.speaker, move.cue, move.text)
            self._note("written", move.speaker, move.cue, self._answer_to(move))
        elif isinstance(move, Consider):
            self._note(kind, move.speaker, None, move.text)
            if self._script.for_us is not None:
                told = Told(
                    _at(self._now + _TOLD_AFTER), move.track, move.text, self._script.for_us
                )
                self._at(self._now + _TOLD_AFTER, told)
        elif isinstance(move, (Hush, Forgo)):
            self.done.append(
                Done(self._now, kind, why=move.why, cue="" if move.drop else "kept")
            )
            self._fall_silent(drop=move.drop)
        else:
            up = getattr(move, "up", True)
            self.done.append(Done(self._now, kind if up else "HandDown"))

    def _note(self, what: str, to: str, cue: Cue | None, text: str) -> None:
        self.done.append(Done(self._now, what, to, cue.value if cue else "", text))

    def _get_ready(self, speak: Speak) -> None:
        kept, self._kept = self._kept, None
        begins = (speak.at - BEGIN).total_seconds()
        if speak.cue is Cue.RESUME and kept is not None:
            shown = speak if kept.said else kept.speak
            self._current = _Saying(shown, kept.text, begins, said=kept.said)
            return
        text = self._answer_to(speak)
        self._current = _Saying(speak, text, max(begins, self._now + self._script.thinks))

    def _speak_on(self) -> None:
        current = self._current
        if current is None:
            return
        if current.since is None:
            if self._now >= current.begins:
                current.since = self._now
                self._note("begins", current.speak.speaker, current.speak.cue, current.text)
                self._give(WeBegan(_at(self._now), current.text))
        elif self._now - current.since + current.said >= self._length(current.text):
            self._ended(current, whole=True)
            self._current = None

    def _length(self, text: str) -> float:
        return self._script.lasts or max(len(text.split()) / _WORDS_A_SECOND, 0.5)

    def _fall_silent(self, *, drop: bool) -> None:
        current, self._current = self._current, None
        if current is not None:
            if current.since is not None:
                current.said += self._now - current.since
                self._ended(current, whole=False)
            self._kept = None if drop else current
        elif drop:
            self._kept = None

    def _ended(self, saying: _Saying, *, whole: bool) -> None:
        since = saying.since if saying.since is not None else self._now
        self.audible.append((since, self._now))
        part = min(saying.said / self._length(saying.text), 1.0) if not whole else 1.0
        words = saying.text.split()
        text = " ".join(words[: round(len(words) * part)])
        self.done.append(Done(self._now, "ends" if whole else "stops", text=text))
        self._at(self._now, WeEnded(_at(self._now), text, whole=whole))

    def _answer_to(self, asked: Speak | Write) -> str:
        """Answer by the real mandate, over a model that would say what it is not to say."""
        mandate, on = self._script.mandate, date(2026, 11, 23)
        line = Line(asked.speaker, asked.text, _at(self._now))
        given = answer_by_code(mandate, line, asked.cue, on=on)
        if given is None:
            outgoing = Outgoing(mandate, line, on=on)
            given = (*outgoing.take(self._script.answer), *outgoing.end())
        for each in given:
            if isinstance(each, Deferred):
                self._note("takes along", each.by, None, each.question)
            elif isinstance(each, InChat):
                self._note("written", asked.speaker, None, each.text)
        return "".join(each.text for each in given if isinstance(each, Aloud))


def _at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)
