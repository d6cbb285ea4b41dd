"""Words of a recogniser that understands poorly: they count only where nobody heard better.

Words that are half wrong match nobody else's, so they can't be laid beside them; they make way by
when they were said.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from locum.core.transcript import Source, Utterance

_A_WORD = timedelta(milliseconds=400)
_WITHIN = 0.5
"""How much of an utterance others must have heard for ours to make way."""

_LATE_S = 2.0
"""How much later than the sound a caption may be dated."""


def without_rough(utterances: Iterable[Utterance]) -> tuple[Utterance, ...]:
    """Leave out what was heard roughly and, at that time, by a better source too.

    What has no instant stays. Our own words are no better source: we may have spoken across
    somebody's.
    """
    given = tuple(utterances)
    better = _Spans(
        [
            _span(each.at, each)
            for each in given
            if each.source not in {Source.ROUGH, Source.CHAT} and each.at and not each.by_us
        ]
    )
    return tuple(
        each
        for each in given
        if each.source is not Source.ROUGH
        or each.at is None
        or not better.cover(_span(each.at, each))
    )


def _span(at: datetime, utterance: Utterance) -> tuple[float, float]:
    begin = at.timestamp()
    until = utterance.until
    if until is None or until < at:
        until = at + _A_WORD * max(len(utterance.text.split()), 1)
    return begin, max(until.timestamp(), begin + 0.2)


class _Spans:
    def __init__(self, spans: Sequence[tuple[float, float]]) -> None:
        self._spans = sorted((begin - _LATE_S, end) for begin, end in spans)
        self._begins = [begin for begin, _ in self._spans]
        self._latest = list(accumulate((end for _, end in self._spans), max))

    def cover(self, span: tuple[float, float]) -> bool:
        """Whether enough of a span is in these."""
        begin, end = span
        covered, reached = 0.0, begin
        first = bisect_left(self._latest, begin)
        for other_begin, other_end in self._spans[first : bisect_left(self._begins, end)]:
            from_ = max(other_begin, reached)
            to = min(other_end, end)
            if to > from_:
                covered += to - from_
                reached = to
        return covered >= _WITHIN * (end - begin)
