"""One of the room's tracks: the utterances in it, one after the other, and their words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from locum.core.speech import Sound
from locum.core.talk import Heard, VoiceBegan, VoicePaused
from locum.ears.loudness import Loudness
from locum.ears.timeline import Timeline
from locum.ears.voicing import RATE_HZ, Began, Paused, Voicing
from locum.ears.words import Words
from locum.ports import HeardSound
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

NOT_UNDERSTOOD = "(not understood)"
"""What stands for words that no recogniser could give."""

Happened = VoiceBegan | VoicePaused | Heard

_MS = RATE_HZ // 1000
_PREROLL = 300 * _MS
_AFTER = 400 * _MS
"""How much of the silence after a voice the recogniser gets: it ends words by it."""
_SETTLED = 2000 * _MS
_LONG, _BREATH, _LONGEST = 15_000 * _MS, 500 * _MS, 40_000 * _MS
_PLAINLY = 1500 * _MS
"""A voice that lasted so long and gave no words wasn't understood; a shorter one was a sound."""
_OTHER_TURN = 6000 * _MS
_MOST_IN_TURN = 400
"""Utterances of one turn whose words are kept for it."""
_LOOK_FOR_OTHERS = 64 * _MS
_PLAIN_ECHO = 260 * _MS
"""How long a voice must have lasted to be looked at once more, whether it is ours after all."""
_NOT_OURS, _NOT_OURS_YET = 2, 1
"""Looks in a row that must say so: where our voice has come back before, and where it never has."""
_STALLED_S = 0.5


class Surroundings(Protocol):
    """What a track asks of its meeting."""

    def tell(self, happened: Happened) -> None: ...

    @property
    def words_are_captions(self) -> bool: ...

    def words_for(self, track: Track) -> Words | None:
        """Answer a stream for its words; None if there are too many, or there is none at all."""
        ...

    def partial(self) -> timedelta | None: ...

    def may_be_ours(self, at: datetime) -> bool:
        """Whether what is heard at `at` may be our own voice, come back."""
        ...

    def sounds_like_us(self, track: Track, until: datetime) -> bool:
        """Whether a voice that has only begun there is our own, as far as one can tell by then."""
        ...

    def gives_us_back(self, track: Track) -> bool:
        """Whether our own voice is known to come back there."""
        ...

    def was_us(self, track: Track, until: datetime) -> bool:
        """Whether a voice that was taken for somebody's is our own; to be asked once for each."""
        ...

    def are_our_words(self, text: str, at: datetime, until: datetime) -> bool: ...

    def name_of(self, text: str, at: datetime, until: datetime) -> str:
        """Answer who said that, by captions; empty if they don't tell."""
        ...

    async def captioned_words(self, track: Track, since: datetime) -> str:
        """Answer what captions say was said on it since then, and hasn't been asked for."""
        ...


@dataclass
class Utterance:
    """What somebody says between two silences; `begun` is a sample of its track."""

    begun: int
    speaker: str = ""
    guess: str = ""
    guessed: int = 0  #: Up to which sample.


class Track:
    """Hears one track. All on one loop."""

    def __init__(
        self, name: str, voicing: Voicing, surroundings: Surroundings, tasks: Tasks
    ) -> None:
        self.name = name
        self.line = Timeline()
        self.words: Words | None = None
        self.speaker = ""
        self.utterance: Utterance | None = None
        self.last_voice = 0
        self.ever_spoke = False
        self._voicing = voicing
        self._loudness = Loudness()
        self._around = surroundings
        self._tasks = tasks
        self._turn: list[str] = []
        self._fed = 0
        self._arrived = 0.0
        self._held: int | None = None  # Where a voice began that may be ours.
        self._voice_began, self._looked_again = 0, False
        self._looked = 0
        self._not_ours = 0
        self._cutting = asyncio.Lock()

    # ── what others ask ──────────────────────────────────────────────────────────────────

    @property
    def speaking(self) -> bool:
        return self._voicing.speaking and self._held is None

    def silence(self) -> timedelta:
        """Answer how long nobody has spoken; counts before a pause is one."""
        if not self.ever_spoke:
            return timedelta(0)
        since = self.last_voice
        if self.speaking:
            if self._voicing.is_voice:
                return timedelta(0)
            since = self._voicing.last_voice
        silent = timedelta(seconds=(self.line.position - since) / RATE_HZ)
        return silent + timedelta(seconds=max(self.stalled() - 0.1, 0.0))

    def hush(self) -> timedelta:
        """Answer how long it may have been silent: sooner known than `silence`, oftener wrong."""
        if not self.ever_spoke:
            return timedelta(0)
        return max(self.silence(), timedelta(seconds=self._loudness.quiet / RATE_HZ))

    def stalled(self) -> float:
        """Answer how long no sound has come, in seconds."""
        return asyncio.get_running_loop().time() - self._arrived

    def idle(self) -> int:
        """Answer how many samples ago anybody spoke."""
        return 0 if self.utterance is not None else self.line.position - self.last_voice

    def who(self) -> str:
        return self.utterance.speaker if self.utterance is not None else self.speaker

    async def guess(self) -> str:
        utterance = self.utterance
        now = ""
        if utterance is not None and self.words is not None:
            utterance.guess = await self.words.guess() or utterance.guess
            now = utterance.guess
        return " ".join(part for part in (*self._turn, now) if part)

    async def finish(self) -> str:
        await self.cut()
        words = " ".join(self._turn)
        self._turn.clear()
        return words

    # ── what comes ───────────────────────────────────────────────────────────────────────

    def hear(self, heard: HeardSound) -> None:
        """Take a piece of its sound."""
        self._arrived = asyncio.get_running_loop().time()
        if heard.speaker != self.speaker:
            self._renamed(heard.speaker)
        missing = self.line.take(heard.sound.pcm, heard.at)
        if missing:
            self._judge(self._voicing.skip(missing))
        returns = self._around.gives_us_back(self)
        self._voicing.wary = returns and self._around.may_be_ours(heard.at)
        self._judge(self._voicing.hear(heard.sound.pcm))
        self._loudness.hear(heard.sound.pcm)
        if self._held is not None:
            self._look_for_others()
        elif self.speaking and not returns:
            self._look_for_ourselves()
        self._feed()
        self._look_at_length()

    def look_for_stall(self) -> None:
        """Take it for silence where no sound comes any more."""
        if self.stalled() < _STALLED_S:
            return
        if self._voicing.speaking:
            self._judge(self._voicing.skip(0))
        if self.utterance is not None and self.stalled() > _SETTLED / RATE_HZ:
            self._cut_soon()

    def _renamed(self, speaker: str) -> None:
        before, self.speaker = self.speaker, speaker
        utterance = self.utterance
        if utterance is None or not speaker or utterance.speaker == speaker:
            return
        if not utterance.speaker:
            utterance.speaker = speaker
        elif before:
            self._cut_soon()  # The room has put somebody else on this track.

    def _judge(self, found: list[Began | Paused]) -> None:
        for each in found:
            if isinstance(each, Began):
                if self._around.may_be_ours(self.line.instant(self.line.position)):
                    self._held, self._looked, self._not_ours = each.sample, 0, 0
                else:
                    self._begin(each.sample)
            elif self._held is not None:
                self._held = None
            else:
                self.last_voice = each.sample
                at = self.line.instant(each.sample)
                self._around.tell(VoicePaused(at, self.name, self.who()))

    def _begin(self, sample: int) -> None:
        if self.utterance is None:
            if sample - self.last_voice > _OTHER_TURN:
                self._turn.clear()
            self.utterance = Utterance(sample, self.speaker, guessed=sample)
            self._voicing.in_utterance = True
            self.words = self.words or self._around.words_for(self)
        self.ever_spoke = True
        self._voice_began, self._looked_again = sample, False
        self.last_voice = self.line.position
        self._around.tell(VoiceBegan(self.line.instant(sample), self.name, self.who()))

    def _look_for_others(self) -> None:
        """Let a voice through that was held for ours, as soon as it isn't like it."""
        now = self.line.position
        if self._held is None or now - self._looked < _LOOK_FOR_OTHERS:
            return
        self._looked = now
        until = self.line.instant(now)
        if self._around.may_be_ours(until) and self._around.sounds_like_us(self, until):
            self._not_ours = 0
            self._held = max(self._held, now - _PREROLL)
            return
        self._not_ours += 1
        # Each look is time in which we talk over somebody.
        returns = self._around.gives_us_back(self)
        if self._not_ours >= (_NOT_OURS if returns else _NOT_OURS_YET):
            began, self._held = self._held, None
            self._begin(began)

    def _look_for_ourselves(self) -> None:
        """Find out that a voice which was let through is ours: that track is a loudspeaker's."""
        now = self.line.position
        if self._looked_again or now - self._voice_began < _PLAIN_ECHO:
            return
        self._looked_again = True
        until = self.line.instant(now)
        if self._around.may_be_ours(until) and self._around.was_us(self, until):
            _log.info("echo_learnt", track=self.name)
            self._held = self.last_voice = now
            self._not_ours = 0
            self._around.tell(VoicePaused(until, self.name, self.who()))

    def _feed(self) -> None:
        utterance = self.utterance
        if utterance is None or self.words is None:
            return
        until = self.line.position
        if not self.speaking:
            until = min(until, self.last_voice + _AFTER)
        first = max(self._fed, utterance.begun - _PREROLL)
        if until > first:
            self.words.hear(Sound(RATE_HZ, self.line.cut(first, until)))
            self._fed = until

    def _look_at_length(self) -> None:
        utterance = self.utterance
        if utterance is None:
            return
        now = self.line.position
        length = now - utterance.begun
        silent = 0 if self.speaking else now - self.last_voice
        if silent >= _SETTLED or (length >= _LONG and silent >= _BREATH) or length >= _LONGEST:
            self._cut_soon()
            return
        often = self._around.partial()
        if often is not None and self.speaking and self.words is not None:
            step = round(often.total_seconds() * RATE_HZ)
            if now - utterance.guessed >= step:
                utterance.guessed = now
                self._tasks.start(("partial", self.name), self._tell_partial(utterance))

    async def _tell_partial(self, utterance: Utterance) -> None:
        if self.words is None:
            return
        before, text = utterance.guess, await self.words.guess()
        if not text or text == before or self.utterance is not utterance:
            return
        utterance.guess = text
        at, until = self.line.instant(utterance.begun), self.line.instant(self.line.position)
        if not self._around.are_our_words(text, at, until):
            self._around.tell(Heard(at, self.name, utterance.speaker, text, until))

    # ── where an utterance ends ──────────────────────────────────────────────────────────

    def _cut_soon(self) -> None:
        self._tasks.start(("cut", self.name), self.cut())

    async def cut(self) -> None:
        """End the utterance, if there is one, and tell its words."""
        async with self._cutting:
            utterance, self.utterance = self.utterance, None
            if utterance is None:
                return
            until = self.line.position if self.speaking else self.last_voice
            words = self.words
            if self.speaking:
                # They speak on: that is another utterance, of which this was the beginning.
                self.utterance = Utterance(until, self.speaker, guessed=until)
            else:
                self._voicing.in_utterance = False
            text = None if words is None else await words.finish()
            if self._around.words_are_captions:
                await self._give_captioned(utterance, until)
            else:
                self._give(utterance, until, text)

    def _give(self, utterance: Utterance, ended: int, text: str | None) -> None:
        at, until = self.line.instant(utterance.begun), self.line.instant(ended)
        if not text:
            if text is not None and ended - utterance.begun < _PLAINLY:
                return
            text = NOT_UNDERSTOOD
        elif self._around.are_our_words(text, at, until):
            _log.info("echo_dropped", track=self.name)
            return
        speaker = utterance.speaker or self._around.name_of(text, at, until)
        self._turn.append(text)
        del self._turn[:-_MOST_IN_TURN]
        self._around.tell(Heard(at, self.name, speaker, text, until, final=True))

    async def _give_captioned(self, utterance: Utterance, ended: int) -> None:
        """Wait for what captions make of it; they are told as they come, by whoever has them."""
        text = await self._around.captioned_words(self, self.line.instant(utterance.begun))
        if text:
            self._turn.append(text)
        else:
            self._give(utterance, ended, None)
