"""Who speaks at the moment, and which words in the room are our own.

Happenings come twice, late and not at all: of two that contradict each other the later instant
counts, and a voice that brings neither words nor anything else for a while is no voice.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from locum.core.calling import folded
from locum.core.speakers import may_be_same

MOST_TRACKS = 64
"""How many tracks are remembered; a room shows fewer at a time."""

NO_VOICE_AFTER = timedelta(seconds=20)
"""A voice without a word or a new sign for so long is a noise, or its end was lost."""

_LONG_ENOUGH = timedelta(milliseconds=400)
"""Shorter than this nobody says anything that another should wait to hear the end of."""

_BREATH = timedelta(seconds=1.2)
"""Somebody who fell silent in the middle holds the floor for so long. Pauses inside a turn
are rarely longer (Heldner and Edlund, 2010: few above a second)."""


def is_same(track: str, speaker: str, other_track: str, other_speaker: str) -> bool:
    """Whether two who spoke are the same one: by their names, else by where it came from."""
    if speaker.strip() and other_speaker.strip():
        return may_be_same(speaker, other_speaker)
    return track == other_track


@dataclass(frozen=True)
class Voice:
    """What is known of one track. `paused` is None while somebody speaks there."""

    track: str
    speaker: str = ""
    began: datetime | None = None
    sign: datetime | None = None
    paused: datetime | None = None
    over: datetime | None = None  #: When its last turn ended.
    says: bool | None = None  #: Whether its words are more than a "yeah"; None without words.
    alarms: int = 0  #: How often it cut us off for nothing.
    ours: bool = False  #: It gives our own words back.

    def speaks(self, now: datetime) -> bool:
        if self.began is None or self.paused is not None:
            return False
        return now - (self.sign or self.began) < NO_VOICE_AFTER

    def lasted(self, now: datetime) -> timedelta:
        if self.began is None:
            return timedelta(0)
        return max((self.paused or now) - self.began, timedelta(0))

    def breathes(self, now: datetime) -> bool:
        """Whether it may go on: silent for a moment, in the middle of what it had to say."""
        if self.began is None or self.paused is None or now - self.paused >= _BREATH:
            return False
        if self.over is not None and self.over >= self.began:
            return False
        return self.lasted(now) >= _LONG_ENOUGH


class Voices:
    """The others' voices in one room."""

    def __init__(self) -> None:
        self._known: dict[str, Voice] = {}
        self.ended: datetime | None = None  #: When somebody was last heard.

    def __iter__(self) -> Iterator[Voice]:
        return iter(tuple(self._known.values()))

    def of(self, track: str) -> Voice:
        return self._known.get(track, Voice(track))

    def began(self, track: str, speaker: str, at: datetime) -> bool:
        """Take in that a voice began; answers whether that is news."""
        old = self.of(track)
        if old.paused is not None and at <= old.paused:
            return False
        going_on = old.began is not None and old.paused is None
        if going_on:
            self._keep(replace(old, sign=_later(old.sign, at), speaker=speaker or old.speaker))
            return False
        self._keep(replace(old, speaker=speaker, began=at, sign=at, paused=None, says=None))
        return True

    def paused(self, track: str, speaker: str, at: datetime) -> None:
        old = self.of(track)
        if old.began is None or at < old.began or (old.paused is not None):
            return
        self._keep(replace(old, paused=at, speaker=speaker or old.speaker))
        self.ended = _later(self.ended, at)

    def over(self, track: str, speaker: str, at: datetime) -> None:
        """Take in that somebody has said what they wanted to say."""
        self.paused(track, speaker, at)
        old = self.of(track)
        self._keep(replace(old, over=_later(old.over, at), speaker=speaker or old.speaker))
        if old.began is None:
            self.ended = _later(self.ended, at)

    def said(self, track: str, speaker: str, now: datetime, *, says: bool) -> None:
        """Take in words of the stretch that goes on, or has just ended; see `Voice.says`."""
        old = self.of(track)
        sign = _later(old.sign, now) if old.began is not None else old.sign
        # Who has cut us off for a mere "yeah", and now says something, isn't mistrusted for ever.
        alarms = max(old.alarms - 1, 0) if says and not old.says else old.alarms
        self._keep(
            replace(old, says=says, speaker=speaker or old.speaker, sign=sign, alarms=alarms)
        )

    def marked(self, track: str, *, ours: bool | None = None, alarm: bool = False) -> None:
        old = self.of(track)
        self._keep(
            replace(
                old,
                ours=old.ours if ours is None else ours,
                says=False if ours else old.says,
                alarms=min(old.alarms + alarm, 9),
            )
        )

    def speaking(self, now: datetime) -> tuple[Voice, ...]:
        return tuple(each for each in self._known.values() if each.speaks(now))

    def breathing(self, now: datetime) -> bool:
        return any(each.breathes(now) for each in self._known.values())

    def _keep(self, voice: Voice) -> None:
        self._known.pop(voice.track, None)
        if len(self._known) >= MOST_TRACKS:
            silent = (each.track for each in self._known.values() if each.paused is not None)
            del self._known[next(silent, next(iter(self._known)))]
        self._known[voice.track] = voice


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)


# ── our own words ────────────────────────────────────────────────────────────────────────

_LATEST_ECHO = timedelta(milliseconds=700)
"""A loudspeaker in the room gives our words back within 50 to 600 ms (facts on echo)."""

_MOST_WORDS = 400
_SAME_PAIRS = 0.7
"""Share of neighbouring words that must be ours, for all of it to be."""


class OwnWords:
    """What we have said of late. Whoever repeats it later quotes us: that is no echo."""

    def __init__(self) -> None:
        self._said: deque[tuple[str, ...]] = deque(maxlen=4)
        self.until: datetime | None = None  #: When we fell silent; None while we speak.

    def add(self, text: str) -> None:
        words = _words(text)
        if words:
            self._said.append(words)

    def are_in(self, text: str, began: datetime) -> bool:
        """Whether `text`, heard from `began` on, is what we were saying."""
        if self.until is not None and began > self.until + _LATEST_ECHO:
            return False
        words = _words(text)
        pairs = list(pairwise(words))
        if not pairs:
            return False
        ours = {pair for said in self._said for pair in pairwise(said)}
        return sum(pair in ours for pair in pairs) >= _SAME_PAIRS * len(pairs)


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", folded(text[:4_000])))[:_MOST_WORDS]
