"""Whose turn is it? What happens in a room goes in, what we do about it comes out.

The rules are those of a well-mannered colleague: it answers who addresses it, waits until nobody
speaks, yields to whoever interrupts and goes on if that was nothing, raises its hand where there
is no gap, writes what came too late, and is silent when asked to be. Of what it thinks it knows
nothing: that is a mind's affair, and whether it may be said is the mandate's.

No I/O and no clock: the same happenings always give the same moves. Whatever comes, the state
stays of bounded size.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from locum.core.addressing import Meant, Reading, read
from locum.core.answering import Answering, Owed
from locum.core.calling import Names
from locum.core.consent import wants_out
from locum.core.rewording import same_question
from locum.core.room import OwnWords, Voices, is_same
from locum.core.speakers import is_stand_in
from locum.core.talk import (
    Attention,
    Consider,
    Cue,
    Foreseen,
    HandUp,
    Happening,
    Heard,
    Hush,
    Move,
    Nod,
    Passed,
    Present,
    Told,
    TurnOver,
    VoiceBegan,
    VoicePaused,
    WeBegan,
    WeEnded,
    Write,
    Written,
)
from locum.core.utterances import Order
from locum.core.whose_turn import Standing, Unsure, cue_for, is_expected

FOLLOW_UP = timedelta(seconds=8)
"""So long after our own words they who talked with us still mean us (facts on meetings)."""

CHAT_FOLLOW_UP = timedelta(minutes=2)
"""The same in the chat, where people answer when they come to it."""

OFFERS_APART = timedelta(seconds=30)
"""Who helps unasked more often than this is a nuisance."""

HANDS_FIRST = timedelta(seconds=20)
"""So long after somebody raised their hand we volunteer nothing."""

TOLD_WITHIN = timedelta(seconds=4)
"""A model that takes longer to say whether something was meant for us isn't waited for."""

_AHEAD = timedelta(seconds=5)
_REPEATED = timedelta(seconds=1.5)
_NOD_APART = timedelta(seconds=6)
_MINUTE = timedelta(minutes=1)
_MOST_A_MINUTE = 20
"""Questions to a model, and answers in the chat: a flood of either ends here."""

_MOST_REMEMBERED = 64
_MOST_IN_CIRCLES = 3
_MOST_TEXT = 4_000
_QUIETS = frozenset({Order.SILENCE, Order.WAIT, Order.NEVER_MIND})


class Floor:
    """One meeting's. Knows no time but what happenings tell: `Passed` comes every 32 to 100 ms."""

    def __init__(self, attention: Attention, names: Names) -> None:
        self._attention = attention
        self._names = names
        self._now: datetime | None = None
        self._ticked: datetime | None = None
        self._skew = timedelta(0)
        self._voices = Voices()
        self._answering = Answering(self._voices)
        self._own = OwnWords()
        self._others: int | None = None
        self._roster: tuple[str, ...] = ()
        self._seen: dict[str, None] = {}
        self._gone = False
        self._silenced = False
        self._talked_with: Owed | None = None
        self._we_ended: datetime | None = None
        self._we_asked = False
        self._wrote_to: tuple[str, datetime] | None = None
        self._doubt: Owed | None = None
        self._verdicts: dict[tuple[str, str], bool | None] = {}
        self._handled: deque[tuple[object, ...]] = deque(maxlen=_MOST_REMEMBERED)
        self._considered: deque[datetime] = deque(maxlen=_MOST_A_MINUTE)
        self._wrote: deque[datetime] = deque(maxlen=_MOST_A_MINUTE)
        self._nodded: datetime | None = None
        self._hand_up: datetime | None = None
        self._offered: datetime | None = None
        self._circle = 0

    def take(self, happening: Happening) -> tuple[Move, ...]:
        """Take in what happened, and answer what to do now, in this order; often nothing.

        Happenings may come twice, and some 2 s out of order. A `Hush` ends our speech for the
        floor at once; the `WeEnded` that follows says what of it was heard. A `Speak` of which
        nothing came is ended by a `WeEnded` without text.
        """
        at = self._in_time(happening)
        moves: list[Move] = []
        self._answering.moves = moves
        self._answering.skew = self._skew
        if self._gone:
            return (Hush("they opted out"),) if isinstance(happening, WeBegan) else ()
        self._take(happening, at)
        if not self._gone:
            self._answering.as_time_goes(self._time)
        return tuple(moves)

    def foresee(self, track: str, speaker: str, text: str) -> Foreseen | None:
        """Answer whether it would be our turn, were `text` all that is said; None if it weren't.

        For thinking ahead while somebody is silent for a moment. Changes nothing.
        """
        if self._gone or self._now is None or self._is_ours(track, speaker, text, self._now):
            return None
        reading = self._read(text)
        if reading.order in _QUIETS:
            return None
        standing = self._standing(track, speaker, self._now)
        verdict = cue_for(reading, standing)
        if verdict is Unsure.CONSIDER and self._verdicts.get((track, text)):
            verdict = Cue.FOR_US
        if not isinstance(verdict, Cue):
            return None
        return Foreseen(verdict, expected=is_expected(reading, standing))

    # ── time ─────────────────────────────────────────────────────────────────────────────

    @property
    def _time(self) -> datetime:
        if self._now is None:
            raise RuntimeError("there is no time before the first happening")
        return self._now

    def _in_time(self, happening: Happening) -> datetime:
        """Answer when it happened, on a clock that never goes back.

        Where the host's clock is set back, ours goes on from where it was. Only `Passed` moves
        it far ahead: one wrong instant must not.
        """
        at = happening.at + self._skew
        if self._now is None:
            self._now = at
        elif isinstance(happening, Passed):
            if at < self._now - _AHEAD:
                self._skew += self._now - at
            self._now = self._ticked = max(self._now, at)
        else:
            if self._ticked is not None:
                at = min(at, self._ticked + _AHEAD)
            self._now = max(self._now, at)
        return at

    # ── what happens ─────────────────────────────────────────────────────────────────────

    def _take(self, happening: Happening, at: datetime) -> None:
        match happening:
            case VoiceBegan() | VoicePaused():
                self._voice(happening, at)
            case Heard():
                self._heard(happening, at)
            case TurnOver():
                self._turn_over(happening, at)
            case Written():
                self._written(happening, at)
            case WeBegan() | WeEnded():
                self._we_speak(happening, at)
            case Present():
                self._others, self._roster = happening.others, happening.names[:100]
            case Told():
                self._told(happening)
            case HandUp():
                self._hand_up = at
            case _:
                pass

    def _voice(self, voice: VoiceBegan | VoicePaused, at: datetime) -> None:
        if isinstance(voice, VoicePaused):
            self._voices.paused(voice.track, voice.speaker, at)
        elif not self._is_our_tile(voice.speaker):
            self._meet(voice.speaker)
            self._voices.began(voice.track, voice.speaker, at)

    def _meet(self, speaker: str) -> None:
        if speaker and speaker not in self._seen:
            if len(self._seen) >= _MOST_REMEMBERED:
                del self._seen[next(iter(self._seen))]
            self._seen[speaker] = None

    def _read(self, text: str) -> Reading:
        known = dict.fromkeys((*self._roster, *self._seen))
        others = tuple(each for each in known if each and not self._is_our_tile(each))
        return read(text, self._names, others)

    def _is_our_tile(self, speaker: str) -> bool:
        return bool(speaker) and is_stand_in(speaker, self._names.tile)

    def _is_ours(self, track: str, speaker: str, text: str, at: datetime) -> bool:
        """Whether these are our own words, that came back."""
        began = self._voices.of(track).began
        return self._is_our_tile(speaker) or self._own.are_in(text, began or at)

    def _heard(self, heard: Heard, at: datetime) -> None:
        track, speaker, text = heard.track, heard.speaker, heard.text[:_MOST_TEXT]
        if self._is_ours(track, speaker, text, at):
            self._voices.marked(track, ours=True)
            return
        self._meet(speaker)
        reading = self._read(text)
        says = not (reading.backchannel or reading.order is Order.GO_ON or not text.strip())
        self._voices.said(track, speaker, self._time, says=says)
        if heard.final:
            self._voices.marked(track, ours=False)
            if self._obeys(reading, track, speaker, text):
                return
        if self._answering.speaks:
            if reading.meant is Meant.US or reading.begins_with_order:
                self._answering.stop("we are called", drop=False, now=self._time)
            return
        verdict = cue_for(reading, self._standing(track, speaker, at))
        if verdict is Cue.NAMED and not heard.final and self._answering.mine is None:
            self._nod()
        elif verdict is Unsure.CONSIDER and heard.final:
            self._consider(track, speaker, text)

    def _turn_over(self, turn: TurnOver, at: datetime) -> None:
        track, speaker, text = turn.track, turn.speaker, turn.text[-_MOST_TEXT:].strip()
        again = self._is_repeated(track, text, at)
        ours = self._is_ours(track, speaker, text, at)
        self._voices.over(track, speaker, at)
        if again or ours or not text:
            return
        self._meet(speaker)
        reading = self._read(text)
        if self._obeys(reading, track, speaker, text):
            return
        self._go_round(speaker)
        verdict = cue_for(reading, self._standing(track, speaker, at))
        if not reading.backchannel:
            self._doubt = None
        if isinstance(verdict, Cue) and (verdict is not Cue.OFFER or self._may_offer()):
            self._answer(verdict, reading, track=track, speaker=speaker, text=text)
            return
        if verdict is Unsure.NOD:
            self._nod()
        if verdict is Unsure.CONSIDER:
            self._in_doubt(reading, track, speaker, text)
        if not (reading.backchannel or reading.thanks or reading.order is Order.GO_ON):
            self._answering.others_went_on(self._time)

    def _may_offer(self) -> bool:
        """Whether there was no offer of ours lately, and nobody waits for their turn."""
        if self._offered is not None and self._time - self._offered < OFFERS_APART:
            return False
        if self._others_first():
            return False
        self._offered = self._time
        return True

    def _others_first(self) -> bool:
        return self._hand_up is not None and self._time - self._hand_up < HANDS_FIRST

    def _is_repeated(self, track: str, text: str, at: datetime) -> bool:
        key = ("turn", track, at, text)
        if key in self._handled:
            return True
        voice = self._voices.of(track)
        went_on = voice.began is not None and (voice.over is None or voice.began > voice.over)
        just_now = voice.over is not None and abs(at - voice.over) < _REPEATED
        same = ("words", track, text) in self._handled
        self._handled.append(key)
        self._handled.append(("words", track, text))
        return same and just_now and not went_on

    def _answer(
        self, cue: Cue, reading: Reading, *, track: str, speaker: str, text: str
    ) -> None:
        """Owe an answer: a new one, or the one that we have kept, if it is that they ask for."""
        named = reading.meant is Meant.US
        if cue is Cue.ASKED_WHAT_WE_ARE and self._silenced and not named:
            self._write(cue, speaker, text)
            return
        if named:
            self._silenced = False
        self._answering.held = False
        answering, now = self._answering, self._time
        pending, saying = answering.pending, answering.saying
        if saying is not None and same_question(saying.text, text):
            return  # Asked by two, or heard on two tracks.
        invited = reading.only_calls or reading.order is Order.GO_ON or " hand" in text
        if pending is not None and (invited or same_question(pending.text, text)):
            if answering.kept is not None:
                answering.take_up(now)
            return
        goes_on = not named and cue is not Cue.ASKED_WHAT_WE_ARE
        before = answering.mine
        if goes_on and before is not None and before.is_to(track, speaker):
            # They went on with what they were asking.
            text = text if before.text in text else f"{before.text} {text}"[-_MOST_TEXT:]
        answering.owe(Owed(cue, track, speaker, text, now, named=named))

    def _obeys(self, reading: Reading, track: str, speaker: str, text: str) -> bool:
        """Do what an order says, if it is one to us; answers whether that is all there is to do."""
        if wants_out(text, names=self._names.tile):
            self._leave()
            return True
        order, answering = reading.order, self._answering
        if order is None:
            return False
        to_us = reading.meant is Meant.US or self._is_about_us(track, speaker)
        if order is Order.GO_ON:
            may = reading.meant is Meant.US or not self._silenced
            if answering.kept is not None and may and reading.meant is not Meant.OTHERS:
                self._silenced = self._silenced and reading.meant is not Meant.US
                answering.held = False
                answering.take_up(self._time)
                return True
            return False
        if not to_us or reading.meant is Meant.OTHERS:
            return True
        if order is Order.WAIT:
            answering.held = True
            answering.stop("we are asked to wait", drop=False, now=self._time)
        else:
            answering.stop("we are asked to stop", drop=True)
            if order is Order.SILENCE:
                self._silenced = True
                self._talked_with = None
                self._doubt = None
                self._nod()
        return True

    def _is_about_us(self, track: str, speaker: str) -> bool:
        """Whether an order without a name is for us: we speak, or are talked with."""
        answering = self._answering
        if answering.speaks or answering.pending is not None or self._others == 1:
            return True
        standing = self._standing(track, speaker, self._time)
        return standing.talking_with_us

    def _leave(self) -> None:
        """They opted out: not a word more."""
        self._answering.stop("they opted out", drop=True)
        self._gone = True

    # ── is it for us? ────────────────────────────────────────────────────────────────────

    def _standing(self, track: str, speaker: str, at: datetime) -> Standing:
        began = self._voices.of(track).began
        over = self._voices.of(track).over
        # Long turns begin long before they end; what counts is when.
        since = began if began is not None and (over is None or began > over) else at
        since = min(since, at)
        recent = self._we_ended is not None and since <= self._we_ended + FOLLOW_UP
        last = self._talked_with
        mine = self._answering.mine
        goes_on = mine is not None and not mine.moved and mine.is_to(track, speaker)
        return Standing(
            attention=self._attention,
            alone=self._others == 1,
            silenced=self._silenced,
            talking_with_us=recent and last is not None and last.is_to(track, speaker),
            near_our_words=recent,
            we_asked=recent and self._we_asked,
            held=self._answering.held,
            cut_us_off=self._answering.was_cut_by(self._voices.of(track)),
            begun=mine.cue if goes_on and mine is not None else None,
            in_circles=self._circle > _MOST_IN_CIRCLES and _is_machine(speaker),
        )

    def _go_round(self, speaker: str) -> None:
        """Count how often stand-ins talked with each other, with no person in between."""
        self._circle = min(self._circle + 1, 99) if _is_machine(speaker) else 0

    def _in_doubt(self, reading: Reading, track: str, speaker: str, text: str) -> None:
        named = reading.meant is Meant.PERHAPS
        doubt = Owed(Cue.FOR_US, track, speaker, text, self._time, named=named)
        if self._others_first() and not named:
            return
        verdict = self._verdicts.get((track, text))
        if verdict:
            self._answering.owe(doubt)
        elif verdict is None:
            self._doubt = doubt
            self._consider(track, speaker, text)

    def _consider(self, track: str, speaker: str, text: str) -> None:
        if (track, text) in self._verdicts or not self._may(self._considered):
            return
        if len(self._verdicts) >= _MOST_REMEMBERED:
            del self._verdicts[next(iter(self._verdicts))]
        self._verdicts[track, text] = None
        self._answering.moves.append(Consider(track, speaker, text))

    def _told(self, told: Told) -> None:
        key = (told.track, told.text)
        if key not in self._verdicts:
            return
        self._verdicts[key] = told.for_us
        doubt = self._doubt
        if doubt is None or key != (doubt.track, doubt.text):
            return
        self._doubt = None
        in_time = self._time - doubt.since <= TOLD_WITHIN
        if told.for_us and in_time and not self._silenced and self._answering.mine is None:
            self._answering.owe(doubt)

    def _may(self, spent: deque[datetime]) -> bool:
        """Take one of a minute's share; answers whether there was one left."""
        if len(spent) == _MOST_A_MINUTE and self._time - spent[0] < _MINUTE:
            return False
        spent.append(self._time)
        return True

    def _nod(self) -> None:
        if self._nodded is None or self._time - self._nodded >= _NOD_APART:
            self._nodded = self._time
            self._answering.moves.append(Nod())

    # ── the chat ─────────────────────────────────────────────────────────────────────────

    def _written(self, written: Written, at: datetime) -> None:
        speaker, text = written.speaker, written.text[:_MOST_TEXT].strip()
        key = ("written", speaker, text, at)
        if key in self._handled or not text or self._is_our_tile(speaker):
            return
        self._handled.append(key)
        self._meet(speaker)
        reading = self._read(text)
        chat = ""
        if self._obeys(reading, chat, speaker, text):
            return
        verdict = cue_for(reading, self._standing_in_chat(speaker))
        if verdict is Unsure.NOD:
            self._nod()
        if not isinstance(verdict, Cue) or verdict is Cue.OFFER:
            return
        pending = self._answering.pending
        if pending is not None and same_question(pending.text, text):
            return
        self._write(verdict, speaker, text)

    def _standing_in_chat(self, speaker: str) -> Standing:
        to = self._wrote_to
        recent = to is not None and self._time - to[1] <= CHAT_FOLLOW_UP
        return Standing(
            attention=self._attention,
            alone=self._others == 1,
            talking_with_us=recent and to is not None and is_same("", speaker, "-", to[0]),
            in_circles=_is_machine(speaker) and self._circle > _MOST_IN_CIRCLES,
        )

    def _write(self, cue: Cue, speaker: str, text: str) -> None:
        if self._may(self._wrote):
            self._wrote_to = (speaker, self._time)
            self._answering.moves.append(Write(cue, speaker, text))

    # ── our own speech ───────────────────────────────────────────────────────────────────

    def _we_speak(self, ours: WeBegan | WeEnded, at: datetime) -> None:
        if self._we_ended is not None and at <= self._we_ended:
            return
        if isinstance(ours, WeBegan):
            self._we_began(ours.text, at)
        else:
            self._we_fell_silent(ours.text, at, whole=ours.whole)

    def _we_began(self, text: str, at: datetime) -> None:
        self._own.add(text[:_MOST_TEXT])
        self._own.until = None
        self._answering.began(at)
        if self._silenced:
            self._answering.stop("we are asked to stop", drop=True)

    def _we_fell_silent(self, text: str, at: datetime, *, whole: bool) -> None:
        self._own.add(text[:_MOST_TEXT])
        said = self._answering.ended(in_vain=not text.strip())
        if not text.strip():
            return
        self._own.until = self._we_ended = at
        self._we_asked = whole and text.rstrip().endswith("?")
        if said is not None and not self._silenced:
            self._talked_with = said


def _is_machine(speaker: str) -> bool:
    shown = speaker.casefold()
    return "stand-in for" in shown or "(ai" in shown
