"""Our side of the floor: what we owe, what we say, what was cut off, and when to begin or stop.

Nothing here judges whom words are meant for; see `core.floor`. Instants are the floor's own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from locum.core.room import Voice, Voices, is_same
from locum.core.talk import (
    SOON,
    UNASKED,
    Cue,
    Duck,
    Forgo,
    GoOn,
    Hush,
    Move,
    RaiseHand,
    Speak,
    Write,
)

DUCK_AFTER = timedelta(milliseconds=64)
"""So much voice of somebody else makes us quieter: two windows of voice activity."""

YIELD_AFTER = timedelta(milliseconds=160)
"""… and so much makes us stop, while nothing is known of the words."""

YIELD_WARILY_AFTER = timedelta(milliseconds=600)
"""… from somebody who cut us off for a mere "yeah" before."""

YEAH_LASTS = timedelta(seconds=1.5)
"""Who began with "yeah" and speaks for longer than this says more than that."""

HAND_AFTER = timedelta(seconds=3)
"""So long we wait for a gap to answer in; then the hand goes up."""

CHAT_AFTER = timedelta(seconds=12)
"""So long the hand is up; then the answer goes to the chat."""

LULL = timedelta(seconds=2.5)
"""Nobody speaks for so long: one may come back to what was left behind."""

OFFER_AFTER = timedelta(seconds=1.5)
"""What is asked of everybody, the others may answer first."""

TOO_LATE = timedelta(seconds=30)
"""What wasn't begun by then isn't said any more."""

CUT_KEPT = timedelta(seconds=10)
"""So long what was cut off is kept, to go on with it."""

_WORDS_COME_WITHIN = timedelta(seconds=1)
_GOES_ON_WITHIN = timedelta(milliseconds=500)
"""Who says more after a first short sound does so by then."""
_SHORT = timedelta(milliseconds=400)
_HELD_FOR = timedelta(minutes=1)
_MOST_LATER = 2
_LONGEST_SPEECH = timedelta(minutes=3)

VOLUNTEERED = frozenset({Cue.FOR_US, Cue.OFFER})


@dataclass(frozen=True)
class Owed:
    """An answer: to whom, to what, and how far it has got.

    `said` means that a `Speak` was given for it, `ready` since when one holds.
    """

    cue: Cue
    track: str
    speaker: str
    text: str
    since: datetime
    named: bool = False
    said: bool = False
    ready: datetime | None = None
    put_off: datetime | None = None
    hand: datetime | None = None
    moved: bool = False  #: The others have gone on to something else.

    @property
    def volunteered(self) -> bool:
        return self.cue in VOLUNTEERED and not self.named

    def is_to(self, track: str, speaker: str) -> bool:
        return is_same(track, speaker, self.track, self.speaker)


@dataclass(frozen=True)
class _Cut:
    owed: Owed
    at: datetime


@dataclass(frozen=True)
class _Saying:
    """What we say; `owed` is None where it answers nobody, as a greeting."""

    owed: Owed | None
    since: datetime


class Answering:
    """One meeting's. `moves` is where what is to be done is put, in order."""

    def __init__(self, voices: Voices) -> None:
        self._voices = voices
        self.moves: list[Move] = []
        self.skew = timedelta(0)  #: What our instants are ahead of the host's.
        self.mine: Owed | None = None
        self.held = False  #: We were asked to wait.
        self._saying: _Saying | None = None
        self._ducked = False
        self._cut: _Cut | None = None
        self._last: Owed | None = None
        self._later: deque[Owed] = deque(maxlen=_MOST_LATER)

    @property
    def speaks(self) -> bool:
        return self._saying is not None

    def was_cut_by(self, voice: Voice) -> bool:
        """Whether we were speaking when that voice spoke up."""
        cut = self._cut
        if cut is None or voice.began is None or voice.began > cut.at:
            return False
        return voice.paused is None or voice.paused >= cut.at - _SHORT

    @property
    def kept(self) -> Owed | None:
        """What was cut or put off, and could be said yet."""
        if self._cut is not None:
            return self._cut.owed
        return self.mine if self.mine is not None and self.mine.ready is None else None

    @property
    def saying(self) -> Owed | None:
        return None if self._saying is None else self._saying.owed

    @property
    def pending(self) -> Owed | None:
        """What is owed, being said or cut off."""
        return self.mine or self.kept

    # ── what the floor decides ───────────────────────────────────────────────────────────

    def owe(self, owed: Owed) -> None:
        """Let this be what we answer next, instead of whatever else we had.

        Where somebody else waits for an answer, this one comes after that.
        """
        mine = self.mine
        waits = mine is not None and mine.named and not mine.moved and owed.named
        if waits and mine is not None and not mine.is_to(owed.track, owed.speaker):
            self._later.append(owed)
            return
        if self._saying is not None and not owed.volunteered:
            self.stop("somebody asks us something else", drop=True)
        self._hand_down()
        self._cut = None
        self.mine = owed

    def take_up(self, now: datetime) -> None:
        """Say what was kept, now that we are asked to."""
        kept = self.kept
        if kept is not None:
            self._cut = None
            self._hand_down()
            self.mine = replace(kept, since=now, moved=False, ready=None, hand=None, named=True)

    def stop(self, why: str, *, drop: bool, now: datetime | None = None) -> None:
        """Fall silent, if we speak, and don't begin."""
        if self._saying is not None:
            owed, self._saying = self._saying.owed, None
            self._ducked = False
            self._last = owed
            keeps = owed is not None and not drop and now is not None
            self.moves.append(Hush(why, drop=not keeps))
            if owed is not None and now is not None and keeps:
                self._cut = _Cut(owed, now)
        elif self.mine is not None and self.mine.ready is not None and not drop:
            self.mine = replace(self.mine, ready=None, put_off=now)
            self.moves.append(Forgo(why, drop=False))
        if drop:
            self.forget(why)

    def forget(self, why: str) -> None:
        """Drop what is owed and what was cut off."""
        said = self._cut is not None or (self.mine is not None and self.mine.said)
        self._later.clear()
        self._hand_down()
        self._cut = self.mine = None
        if said:
            self.moves.append(Forgo(why))

    def others_went_on(self, now: datetime) -> None:
        """Take in that somebody else said something that wasn't for us."""
        if self.held:
            return
        if self._cut is not None:
            self.forget("they went on to something else")
        mine = self.mine
        if mine is None:
            return
        if mine.ready is not None:
            self.stop("somebody else spoke", drop=False, now=now)
        if mine.volunteered:
            self.forget("somebody else answered")
        elif self.mine is not None:
            self.mine = replace(self.mine, moved=True)
            self._raise_hand(now)

    # ── what the room hears of us ────────────────────────────────────────────────────────

    def began(self, at: datetime) -> None:
        """Take in that the room hears us."""
        if self._saying is not None:
            return
        owed = self.mine if self.mine is not None and self.mine.said else None
        if owed is not None:
            self._hand_down()
            self.mine = None
        elif self._cut is not None:
            owed, self._cut = self._cut.owed, None
        self._saying = _Saying(owed, at)

    def ended(self, *, in_vain: bool) -> Owed | None:
        """Take in that we fell silent; answers what it was that we said. `in_vain`: nothing."""
        saying, self._saying, self._ducked = self._saying, None, False
        last, self._last = self._last, None
        if self._later and self.mine is None and self._cut is None:
            self.mine = self._later.popleft()
        if saying is not None:
            return saying.owed
        if in_vain and last is None and self.mine is not None and self.mine.ready is not None:
            self._hand_down()
            self.mine = None
        return last

    # ── time ─────────────────────────────────────────────────────────────────────────────

    def as_time_goes(self, now: datetime) -> None:
        """Do what is to be done at this instant."""
        if self._saying is not None:
            self._while_saying(self._saying, now)
        if self._cut is not None:
            self._after_cut(self._cut, now)
        if self.mine is not None and self._saying is None and self._cut is None:
            if self.mine.ready is not None:
                self._while_ready(self.mine, now)
            else:
                self._while_held(self.mine, now)

    def _while_saying(self, saying: _Saying, now: datetime) -> None:
        if now - saying.since > _LONGEST_SPEECH:
            # Its end must have been lost.
            self._saying, self._ducked = None, False
            return
        if saying.owed is None:
            # A greeting says who we are: it is said, if quietly, unless we are told to stop.
            return
        others = [each for each in self._voices.speaking(now) if each.says or not each.ours]
        longest = max((each.lasted(now) for each in others), default=timedelta(0))
        if any(each.lasted(now) >= _yields_after(each) for each in others):
            self.stop("somebody speaks", drop=False, now=now)
        elif longest >= DUCK_AFTER and not self._ducked:
            self._ducked = True
            self.moves.append(Duck())
        elif not others and self._ducked:
            self._ducked = False
            self.moves.append(GoOn())

    def _after_cut(self, cut: _Cut, now: datetime) -> None:
        if now - cut.at > (_HELD_FOR if self.held else CUT_KEPT):
            self.forget("it is too late to go on")
            return
        ended = self._voices.ended
        if self.held or self._voices.speaking(now) or ended is None:
            return
        cutters = [v for v in self._voices if v.paused is not None and v.paused >= cut.at]
        silent = now - max((v.paused for v in cutters if v.paused is not None), default=ended)
        if any(each.says for each in cutters):
            if silent >= LULL:
                self.forget("they said something else")
            return
        if silent >= max(map(_settles_after, cutters), default=SOON):
            for each in cutters:
                self._voices.marked(each.track, alarm=True)
            self._cut = None
            self.mine = replace(cut.owed, ready=None, named=True, moved=False, since=now)

    def _while_ready(self, mine: Owed, now: datetime) -> None:
        if mine.ready is not None and now - mine.ready > TOO_LATE:
            self.forget("it took too long")
        elif self._voices.speaking(now):
            self.stop("somebody speaks", drop=False, now=now)

    def _while_held(self, mine: Owed, now: datetime) -> None:
        waited = now - mine.since
        held = now - (mine.put_off or mine.since)
        if mine.hand is not None and now - mine.hand >= CHAT_AFTER:
            self._hand_down()
            self.mine = None
            self.moves.append(Write(mine.cue, mine.speaker, mine.text))
        elif waited > (HAND_AFTER if mine.volunteered else TOO_LATE):
            self.forget("it is too late")
        elif not self.held and self._begins(mine, now):
            return
        elif held >= HAND_AFTER and not self.held and self._voices.speaking(now):
            self._raise_hand(now)

    def _begins(self, mine: Owed, now: datetime) -> bool:
        """Begin, if nobody speaks and nobody is about to go on."""
        if self._voices.speaking(now) or self._voices.breathing(now):
            return False
        begin = (self._voices.ended or mine.since) + _gap(mine)
        again = mine.said or mine.moved or mine.hand is not None
        if again and now < begin:
            return False
        cue = Cue.RESUME if mine.said else mine.cue
        self._hand_down()
        self.mine = replace(mine, said=True, ready=now, hand=None)
        at = max(now, begin) - self.skew
        self.moves.append(Speak(at, cue, mine.track, mine.speaker, mine.text))
        return True

    def _raise_hand(self, now: datetime) -> None:
        if self.mine is not None and self.mine.hand is None:
            self.mine = replace(self.mine, hand=now)
            self.moves.append(RaiseHand())

    def _hand_down(self) -> None:
        if self.mine is not None and self.mine.hand is not None:
            self.mine = replace(self.mine, hand=None)
            self.moves.append(RaiseHand(up=False))


def _gap(mine: Owed) -> timedelta:
    if mine.moved:
        return LULL
    if mine.cue is Cue.OFFER:
        return OFFER_AFTER
    return UNASKED if mine.volunteered or mine.hand is not None else SOON


def _yields_after(voice: Voice) -> timedelta:
    if voice.says is not None:
        return DUCK_AFTER if voice.says else YEAH_LASTS
    return YIELD_WARILY_AFTER if voice.alarms else YIELD_AFTER


def _settles_after(voice: Voice) -> timedelta:
    """How long after a voice's end it is clear that no words come of it, or what they are."""
    lasted = voice.lasted(voice.paused) if voice.paused is not None else timedelta(0)
    if voice.says is not None:
        return SOON
    return _GOES_ON_WITHIN if lasted < _SHORT else _WORDS_COME_WITHIN
