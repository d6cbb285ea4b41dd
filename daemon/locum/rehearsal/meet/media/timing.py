"""When something was captured, and whether it is speech: the two judgements on passing packets."""

from __future__ import annotations

from collections import deque

from locum.rehearsal.meet.media.wire import CLOCKS, SILENCE, after_32

_LOUD = 50
_LOUD_FOR = 3
_QUIET_AFTER = 0.6
_REPORTS_REMEMBERED = 8


class SenderClock:
    """Puts one sender's timestamps, of sound and of picture, on this machine's wall clock.

    A sender's reports tie both to its own clock; how far that is from ours is the least
    difference seen between a report's time and its arrival. One difference for both, so
    their distance is what the sender says, not what the way did to them.
    """

    def __init__(self) -> None:
        self._reports: dict[str, tuple[float, int]] = {}
        self._delays: deque[float] = deque(maxlen=_REPORTS_REMEMBERED)

    def report(self, kind: str, *, theirs: float, timestamp: int, arrived: float) -> None:
        """Take a report: `timestamp` was at `theirs` (their seconds), it came at `arrived` (ours)."""
        self._reports[kind] = (theirs, timestamp)
        self._delays.append(arrived - theirs)

    def captured(self, kind: str, timestamp: int) -> float | None:
        """When, in seconds of our wall clock; None before the first report on that kind."""
        known = self._reports.get(kind)
        if known is None:
            return None
        theirs, at = known
        return theirs + after_32(timestamp, at) / CLOCKS[kind] + min(self._delays)

    def forget(self) -> None:
        """The sender begins anew, with new timestamps."""
        self._reports.clear()
        self._delays.clear()


class SpeechMark:
    """Is somebody speaking? From the level of each packet (RFC 6464: 0 loud … 127 silence).

    It begins with three loud packets of five (a click is no speech) and ends when none was
    loud for 0.6 s, which is longer than the pauses within a sentence.
    """

    def __init__(self) -> None:
        self.speaking = False
        self.level = SILENCE
        self.loud_at = float("-inf")
        self._recent: deque[bool] = deque(maxlen=5)

    def hear(self, level: int, at: float) -> bool:
        """Take a packet's level; True if the answer changed. `at`: seconds of the loop's time."""
        self.level = level
        loud = level < _LOUD
        self._recent.append(loud)
        if loud:
            self.loud_at = at
        if not self.speaking and sum(self._recent) >= _LOUD_FOR:
            self.speaking = True
            return True
        return self.wait(at)

    def wait(self, at: float) -> bool:
        """Let time pass; True if the answer changed."""
        if self.speaking and at - self.loud_at > _QUIET_AFTER:
            self.speaking = False
            self._recent.clear()
            return True
        return False

    def silence(self) -> bool:
        """Nothing of it is heard any more; True if the answer changed."""
        changed, self.speaking = self.speaking, False
        self.level = SILENCE
        self._recent.clear()
        return changed
