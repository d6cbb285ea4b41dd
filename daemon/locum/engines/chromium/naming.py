"""A name for what is heard on a track, from what the page knows of who speaks."""

from __future__ import annotations

from locum.core.attribution import HEARD, Attribution
from locum.engines.chromium.media import HeardTrack
from locum.ports import Clock

_DOMINATES = 2.0
"""How many times louder than the next one a source must be to be the one who is heard."""


class Naming:
    """Names tracks in one meeting; asked for every piece of sound, so it does next to nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.attribution = Attribution()

    def speaker_of(self, track: HeardTrack) -> str:
        """Answer who is heard on a track now; empty where that can't be told."""
        now = self._clock.now()
        heard = [each for each in track.contributors if each.level >= HEARD]
        for each in heard:
            self.attribution.heard(each.source, each.level, now)
        if not heard:
            return ""
        loudest, *others = sorted(heard, key=lambda each: -each.level)
        if any(each.level * _DOMINATES > loudest.level for each in others):
            return ""
        return self.attribution.name_of(loudest.source)
