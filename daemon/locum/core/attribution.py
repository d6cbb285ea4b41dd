"""Who is heard: which name belongs to a source of sound, told from what happens together.

A meeting mixes everybody into a few tracks, and names the contributing sources by numbers
alone. Elsewhere it names people: in captions, beside tiles. Whoever's name comes up just after
only one source was heard, time and again, is that source. Until that is plain the answer is
nobody: a wrong name does more harm than none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

HEARD = 0.02
"""The level, of 1, from which a source counts as heard."""

_LONGEST_MEMORY = timedelta(seconds=8)
_MOST_MOMENTS = 2_000
_MOST_SOURCES = 500
_MOST_NAMES = 200

_LEAST_VOTES = 2.5
_MARGIN = 3.0
"""How many times the votes of the runner-up the first must have."""
_MOST_VOTES = 40.0
"""So that a source that is given to somebody else is learnt anew within minutes."""
_ALONE = 0.75
"""How much of what was heard must have come from one source for it to get the vote."""


@dataclass(frozen=True)
class _Moment:
    at: datetime
    source: int
    level: float


@dataclass
class _Ballot:
    votes: dict[str, float] = field(default_factory=dict)

    def cast(self, name: str, weight: float) -> None:
        self.votes[name] = self.votes.get(name, 0.0) + weight
        total = sum(self.votes.values())
        if total > _MOST_VOTES:
            self.votes = {each: n * _MOST_VOTES / total for each, n in self.votes.items()}
        if len(self.votes) > _MOST_NAMES:
            del self.votes[min(self.votes, key=self.votes.__getitem__)]

    def winner(self) -> str:
        ranked = sorted(self.votes.items(), key=lambda item: -item[1])
        if not ranked or ranked[0][1] < _LEAST_VOTES:
            return ""
        second = ranked[1][1] if len(ranked) > 1 else 0.0
        return ranked[0][0] if ranked[0][1] >= _MARGIN * second else ""


class Attribution:
    """Learns in one meeting. Instants come in order, give or take a second; sources are CSRCs."""

    def __init__(self) -> None:
        self._moments: deque[_Moment] = deque(maxlen=_MOST_MOMENTS)
        self._ballots: dict[int, _Ballot] = {}
        self._others: frozenset[str] | None = None

    def heard(self, source: int, level: float, at: datetime) -> None:
        """Note that a source was heard; `level` is from 0 to 1."""
        if level < HEARD:
            return
        self._moments.append(_Moment(at, source, level))
        while self._moments[0].at < at - _LONGEST_MEMORY:
            self._moments.popleft()

    def named(self, name: str, since: datetime, until: datetime) -> None:
        """Note that the page says: `name` spoke at some time from `since` to `until`.

        It counts only where nearly all that was heard then came from one source.
        """
        if not name:
            return
        shares: dict[int, float] = {}
        for moment in self._moments:
            if since <= moment.at <= until:
                shares[moment.source] = shares.get(moment.source, 0.0) + 1.0
        if not shares:
            return
        source, most = max(shares.items(), key=lambda item: item[1])
        if most < _ALONE * sum(shares.values()):
            return
        if source not in self._ballots and len(self._ballots) >= _MOST_SOURCES:
            del self._ballots[next(iter(self._ballots))]
        self._ballots.setdefault(source, _Ballot()).cast(name, 1.0)

    def present(self, others: Iterable[str]) -> None:
        """Note who else is in the room, completely; whoever isn't there isn't heard."""
        self._others = frozenset(others)

    def forget_present(self) -> None:
        """Who is there isn't known any more."""
        self._others = None

    def name_of(self, source: int) -> str:
        """Answer whose source that is, as far as is known by now; empty if it isn't plain."""
        if self._others is not None and len(self._others) == 1:
            return next(iter(self._others))  # There is nobody else whom it could be.
        ballot = self._ballots.get(source)
        found = "" if ballot is None else ballot.winner()
        if self._others is not None and found not in self._others:
            return ""
        return found
