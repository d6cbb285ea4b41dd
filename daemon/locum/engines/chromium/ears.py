"""What a page has heard: pieces of sound by track, for one reader who may be slow."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from locum.core.speech import Sound
from locum.ports import HeardSound

RATE_HZ = 16_000
_SAMPLES = 320
_SILENCE = bytes(2 * _SAMPLES)
_KEPT = 4_000  #: Some ten seconds of eight tracks.
_TRACKS = 256
_OLDEST = timedelta(seconds=10)


@dataclass(frozen=True)
class Contributor:
    """One source that a received track was mixed from; `level` from 0 to 1."""

    source: int  #: CSRC, or the track's own SSRC where nobody mixes.
    level: float


@dataclass(frozen=True)
class HeardTrack:
    """A received audio track, for whoever can put a name to it.

    `contributors` are those of the last instants, loudest first.
    """

    track: str
    streams: tuple[str, ...]
    mid: str
    contributors: tuple[Contributor, ...] = ()


class Ears:
    """Takes what the page's scripts tell of sound; drops the oldest where nobody fetches it."""

    def __init__(
        self, *, now: Callable[[], datetime], speaker_of: Callable[[HeardTrack], str]
    ) -> None:
        self._now = now
        self._speaker_of = speaker_of
        self._tracks: dict[int, HeardTrack] = {}
        self._heard: deque[HeardSound] = deque(maxlen=_KEPT)
        self._arrived = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def track(self, number: int, track: HeardTrack) -> None:
        if len(self._tracks) < _TRACKS:
            self._tracks[number] = track

    def untrack(self, number: int) -> None:
        self._tracks.pop(number, None)

    def contributed(self, number: int, contributors: tuple[Contributor, ...]) -> None:
        if (track := self._tracks.get(number)) is not None:
            self._tracks[number] = replace(track, contributors=contributors)

    def forget(self) -> None:
        """Know no tracks any more: the page is loaded anew."""
        self._tracks.clear()

    def hear(self, message: str) -> None:
        """Take `~TRACK~AGE~PCM`: age in milliseconds, PCM in base64, or nothing for silence.

        Raises:
            ValueError: That isn't what our scripts send.
        """
        _, number, age_ms, coded = message.split("~")
        track = self._tracks.get(int(number))
        if track is None:
            return
        try:
            pcm = base64.b64decode(coded, validate=True) or _SILENCE
        except binascii.Error as error:
            raise ValueError("sound that isn't base64") from error
        if len(pcm) != len(_SILENCE):
            raise ValueError(f"{len(pcm)} bytes of sound instead of {len(_SILENCE)}")
        age = min(max(timedelta(milliseconds=int(age_ms)), timedelta()), _OLDEST)
        if len(self._heard) == _KEPT:
            self.dropped += 1
        self._heard.append(
            HeardSound(
                at=self._now() - age,
                track=track.track,
                speaker=self._speaker_of(track),
                sound=Sound(RATE_HZ, pcm),
            )
        )
        self._arrived.set()

    async def sounds(self) -> AsyncIterator[HeardSound]:
        while True:
            while self._heard:
                yield self._heard.popleft()
            if self._closed:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def close(self) -> None:
        self._closed = True
        self._arrived.set()
