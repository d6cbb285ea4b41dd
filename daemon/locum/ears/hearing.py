"""From a room's tracks to what happens in a conversation: who speaks, when, and in which words.

Every instant is counted by samples from when a track's sound reached us, never from when it
was worked through. Nothing here decides whose turn it is: whoever does asks for a track's tail,
how long it has been silent, and the words so far, and says when a turn is over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from locum.core.captioned import Captioned, name_by_captions
from locum.core.echo import OwnWords
from locum.core.speech import Sound
from locum.core.talk import Heard
from locum.ears.track import NOT_UNDERSTOOD, Happened, Track
from locum.ears.voicing import RATE_HZ, Voicing, silero
from locum.ears.words import Words
from locum.ports import HeardSound, Recognizer, Said
from locum.tasks import Tasks

if TYPE_CHECKING:
    from locum.ears.echoes import Echoes, Room

__all__ = ["CAPTIONS", "NOT_UNDERSTOOD", "RATE_HZ", "Happened", "Hearing", "Listening"]

CAPTIONS = "captions"
"""The track of captions of which it can't be told where they were heard."""

_log = structlog.get_logger(__name__)

_IDLE = 60 * RATE_HZ
_TRACKS = 64
_LOOK_S = 0.25
_RETURNS_WITHIN = timedelta(milliseconds=800)
_CAPTIONS_LATE, _CAPTIONS_EARLY = timedelta(seconds=4.5), timedelta(seconds=2)
_CAPTIONS_KEPT = 60


@dataclass(frozen=True)
class Listening:
    """How a room is listened to.

    `partial` is how often the words so far are told while somebody speaks; None never tells
    them (a recogniser that charges for each look). `streams` is how many speakers have a
    recogniser at once: who speaks beyond that is told as not understood. `hints` are names
    and words that are likely to be said.
    """

    partial: timedelta | None = timedelta(milliseconds=320)
    streams: int = 8
    hints: tuple[str, ...] = ()


class Hearing:
    """One meeting's ears. Made for one session, used by one conversation on one loop.

    Without a `recognizer`, the words are the captions', see `captioned`.
    """

    def __init__(
        self,
        recognizer: Recognizer | None,
        settings: Listening | None = None,
        *,
        voicing: Callable[[], Voicing] = silero,
    ) -> None:
        self._settings = settings or Listening()
        self._recognizer = recognizer
        self._voicing = voicing
        self._tasks = Tasks()
        self._tracks: dict[str, Track] = {}
        self._happened: asyncio.Queue[Happened | None] = asyncio.Queue()
        self._around = _Around(self._happened, self._settings, recognizer, self._tracks)

    @property
    def words_are_captions(self) -> bool:
        """Whether final words come from captions: there is no recogniser, or it is broken."""
        return self._around.words_are_captions

    async def happenings(
        self, sounds: AsyncIterable[HeardSound]
    ) -> AsyncGenerator[Happened, None]:
        """Tell what is heard, until `sounds` ends; called once. Closing it stops all work.

        - `VoiceBegan` some 100 ms after a voice set in (dated when it did), and again when it
          goes on after a pause.
        - `VoicePaused` some 100 ms after it fell silent (dated when it did).
        - `Heard`, not final: the words of the utterance so far, while it lasts.
        - `Heard`, final: an utterance's words for good, from `at` to `until`, each once and in
          order for a track: after `finish`, and by itself where a turn is long (at a pause from
          15 s on, anywhere at 40 s) or nobody finishes it within 2 s of silence. `speaker` is
          "" where it can't be told.

        Our own voice, come back from a loudspeaker, gives none of these once a track is known to
        give it back, which takes two voices there; its words are dropped in any case.
        """
        # The first to speak doesn't wait until a model is read.
        self._around.warm()
        self._tasks.start("listen", self._listen(sounds))
        try:
            while (happened := await self._happened.get()) is not None:
                yield happened
        finally:
            await self.aclose()

    def silence(self, track: str) -> timedelta:
        """Answer how long the track has been silent since somebody spoke; zero while they do."""
        found = self._tracks.get(track)
        return timedelta(0) if found is None else found.silence()

    def hush(self, track: str) -> timedelta:
        """Answer how long the track may have been silent, by loudness: never less than `silence`.

        Known some 60 ms sooner, and wrong about once a second of speech: for thinking ahead.
        """
        found = self._tracks.get(track)
        return timedelta(0) if found is None else found.hush()

    def tail(self, track: str) -> Sound:
        """Answer the last 8 s at most of a track, 16 kHz, with the silence at its end."""
        found = self._tracks.get(track)
        return Sound(RATE_HZ, b"") if found is None else found.line.tail()

    def speaker(self, track: str) -> str:
        """Answer who speaks there, as far as is known by now; empty if it can't be told."""
        found = self._tracks.get(track)
        return "" if found is None else found.who()

    async def guess(self, track: str) -> str:
        """Answer the words of the turn so far: all since the last `finish`.

        Of a turn that is long, with what was told of it as final. After 6 s of silence, what
        was said before is another turn's. Raises nothing: words that can't be had are "".
        """
        found = self._tracks.get(track)
        return "" if found is None else await found.guess()

    async def finish(self, track: str) -> str:
        """End the turn on a track, and answer its words for good.

        Its last utterance is given by `happenings` as `Heard(final=True)` before this returns.
        Called again without anything said since, it answers "". Raises nothing: what no
        recogniser understood is `NOT_UNDERSTOOD`. Where `words_are_captions`, it waits for
        them, some 4 s at most.
        """
        found = self._tracks.get(track)
        return "" if found is None else await found.finish()

    def spoke(self, sound: Sound, at: datetime) -> None:
        """Take what the room begins to hear of us at `at`: a piece, of any rate, in order.

        Others' loudspeakers give it back; by this it is known.
        """
        self._around.spoke(sound, at)

    def said(self, text: str, at: datetime) -> None:
        """Take the words that we say from `at` on."""
        self._around.own_words.said(text, at)

    def captioned(self, said: Said) -> None:
        """Take a caption: its name for an utterance with nearly the same words.

        Where `words_are_captions`, it is told as `Heard(final=True)` itself.
        """
        self._around.captioned(said)

    async def aclose(self) -> None:
        """Close all streams. The recogniser stays open: whoever made it closes it."""
        await self._tasks.cancel()
        for track in self._tracks.values():
            if track.words is not None:
                await track.words.aclose()
                track.words = None
        if (spare := self._around.spare()) is not None:
            await spare.aclose()
        self._tracks.clear()

    # ── listening ────────────────────────────────────────────────────────────────────────

    async def _listen(self, sounds: AsyncIterable[HeardSound]) -> None:
        self._tasks.start("look", self._look_now_and_then())
        try:
            async for heard in sounds:
                track = self._tracks.get(heard.track) or self._new_track(heard.track)
                track.hear(heard)
            for track in tuple(self._tracks.values()):
                await track.cut()
        finally:
            self._happened.put_nowait(None)

    def _new_track(self, name: str) -> Track:
        if len(self._tracks) >= _TRACKS:
            idlest = max(self._tracks.values(), key=lambda each: each.stalled())
            self._close(self._tracks.pop(idlest.name))
        track = Track(name, self._voicing(), self._around, self._tasks)
        self._tracks[name] = track
        return track

    def _close(self, track: Track) -> None:
        words, track.words = track.words, None
        if words is not None:
            self._tasks.start(("close", id(words)), words.aclose())

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            for track in tuple(self._tracks.values()):
                track.look_for_stall()
                if track.words is not None and track.idle() > _IDLE and not track.words.broken:
                    self._close(track)
            for words in self._around.evicted():
                self._tasks.start(("close", id(words)), words.aclose())


class _Around:
    """What tracks have in common: streams for words, our own voice, captions."""

    def __init__(
        self,
        happened: asyncio.Queue[Happened | None],
        settings: Listening,
        recognizer: Recognizer | None,
        tracks: dict[str, Track],
    ) -> None:
        self._happened = happened
        self._settings = settings
        self._recognizer = recognizer
        self._tracks = tracks
        self._evicted: list[Words] = []
        self._spare: Words | None = None
        self._echoes: Echoes | None = None
        self._rooms: dict[str, Room] = {}
        self._captions: deque[_Kept] = deque(maxlen=_CAPTIONS_KEPT)
        self._caption_came = asyncio.Event()
        self.own_words = OwnWords()

    def tell(self, happened: Happened) -> None:
        self._happened.put_nowait(happened)

    def partial(self) -> timedelta | None:
        return self._settings.partial

    # ── streams ──────────────────────────────────────────────────────────────────────────

    @property
    def words_are_captions(self) -> bool:
        return self._recognizer is None or any(
            track.words is not None and track.words.broken for track in self._tracks.values()
        )

    def words_for(self, track: Track) -> Words | None:
        if self._recognizer is None:
            return None
        having = [each for each in self._tracks.values() if each.words is not None]
        if len(having) >= self._settings.streams:
            idlest = max(having, key=lambda each: each.idle())
            if idlest.idle() == 0 or idlest.words is None:
                _log.warning("streams_used_up", track=track.name, streams=len(having))
                return None
            self._evicted.append(idlest.words)
            idlest.words = None
        return self.spare() or Words(self._recognizer, self._settings.hints)

    def warm(self) -> None:
        """Open a stream for whoever speaks first."""
        if self._recognizer is not None:
            self._spare = Words(self._recognizer, self._settings.hints)
            self._spare.open()

    def spare(self) -> Words | None:
        """Answer the stream that was opened ahead, once."""
        spare, self._spare = self._spare, None
        return spare

    def evicted(self) -> list[Words]:
        """Answer the streams that are to be closed, once."""
        evicted, self._evicted = self._evicted, []
        return evicted

    # ── our own voice ────────────────────────────────────────────────────────────────────

    def spoke(self, sound: Sound, at: datetime) -> None:
        if self._echoes is None:
            from locum.ears.echoes import Echoes

            self._echoes = Echoes()
        self._echoes.spoke(sound, at)

    def may_be_ours(self, at: datetime) -> bool:
        echoes = self._echoes
        return (
            echoes is not None
            and echoes.ended is not None
            and (at <= echoes.ended + _RETURNS_WITHIN)
        )

    def sounds_like_us(self, track: Track, until: datetime) -> bool:
        if self._echoes is None:
            return False
        return self._echoes.is_echo(_last_window(track), until, self._room_of(track))

    def was_us(self, track: Track, until: datetime) -> bool:
        if self._echoes is None:
            return False
        return self._echoes.learn(_last_window(track), until, self._room_of(track))

    def gives_us_back(self, track: Track) -> bool:
        room = self._rooms.get(track.name)
        return room is not None and room.delay is not None

    def _room_of(self, track: Track) -> Room:
        from locum.ears.echoes import Room

        return self._rooms.setdefault(track.name, Room())

    def are_our_words(self, text: str, at: datetime, until: datetime) -> bool:
        if not self.may_be_ours(until):
            return False
        return self.own_words.are(text, at, until)

    # ── captions ─────────────────────────────────────────────────────────────────────────

    def name_of(self, text: str, at: datetime, until: datetime) -> str:
        return name_by_captions(text, at, until, (kept.caption for kept in self._captions))

    def captioned(self, said: Said) -> None:
        until = said.until or said.at
        self._captions.append(_Kept(Captioned(said.speaker, said.text, said.at, until)))
        if self.words_are_captions:
            track = self._track_of(said)
            name = CAPTIONS if track is None else track.name
            self.tell(Heard(said.at, name, said.speaker, said.text, until, final=True))
        came, self._caption_came = self._caption_came, asyncio.Event()
        came.set()

    def _track_of(self, said: Said) -> Track | None:
        """Answer on which track that was said; None if it isn't plain."""
        spoke = [each for each in self._tracks.values() if each.ever_spoke]
        named = [each for each in spoke if said.speaker and each.who() == said.speaker]
        if named:
            return named[0] if len(named) == 1 else None
        lately = [
            each
            for each in spoke
            if not each.who() and each.line.instant(each.last_voice) >= said.at - _CAPTIONS_LATE
        ]
        return lately[0] if len(lately) == 1 else None

    async def captioned_words(self, track: Track, since: datetime) -> str:
        """Wait, for some seconds, for what captions say of a track since then."""
        loop = asyncio.get_running_loop()
        last = loop.time() + _CAPTIONS_LATE.total_seconds()
        while True:
            words = [
                kept.take()
                for kept in self._captions
                if not kept.taken
                and kept.caption.until >= since - _CAPTIONS_EARLY
                and (not track.who() or kept.caption.speaker in {track.who(), ""})
            ]
            if words or loop.time() >= last:
                return " ".join(words)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._caption_came.wait(), last - loop.time())


def _last_window(track: Track) -> bytes:
    from locum.ears.echoes import WINDOW_S

    return track.line.cut(track.line.position - round(WINDOW_S * RATE_HZ), track.line.position)


@dataclass
class _Kept:
    caption: Captioned
    taken: bool = False

    def take(self) -> str:
        self.taken = True
        return self.caption.text
