"""What was decided of each occurrence last: written down for `why`, and told from what is news.

Judging alone doesn't know of the present: what is over, at capacity or over budget is found by
a pass, and stays decided so until a pass finds otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import structlog

from locum.core.model import Code, Decision, Judged, MeetingKey, OccurrenceKey
from locum.core.planning import meeting_of
from locum.core.policy import Policy
from locum.errors import TransientError
from locum.ledger import Ledger
from locum.ports import Clock

_log = structlog.get_logger(__name__)

_OVER = Decision(join=False, code=Code.OVER, reason="it is over")

_BY_A_PASS = frozenset(
    {Code.OVER, Code.AT_CAPACITY, Code.OVER_BUDGET, Code.ENDED_BEFORE, Code.REMOVED_BEFORE}
)
_TO_JOIN = frozenset(
    {
        Code.ACCEPTED,
        Code.ORGANIZED_BY_SELF,
        Code.TRUSTED_ORGANIZER,
        Code.RULE_JOIN,
        Code.COMMAND_JOIN,
        Code.UNANSWERED_ALLOWED,
        Code.USER_JOIN,
    }
)


class Decisions:
    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._last: dict[OccurrenceKey, tuple[MeetingKey, Code]] = {}
        self._over_budget: set[OccurrenceKey] = set()

    def begin(self) -> None:
        """Take up what the last process wrote down."""
        self._last = self._ledger.calendars.last_decisions()

    # ── what was decided ─────────────────────────────────────────────────────────────────

    def once_joinable(self, judged: Iterable[Judged]) -> frozenset[OccurrenceKey]:
        """Answer which of these were to be joined, when they were last decided."""
        return frozenset(
            item.event.occurrence
            for item in judged
            if (last := self._last.get(item.event.occurrence)) is not None
            and last[1] in _TO_JOIN
        )

    def moved(self, judged: Iterable[Judged]) -> frozenset[OccurrenceKey]:
        """Answer which of these were to be joined at another time."""
        judged = tuple(judged)
        return self.once_joinable(
            item
            for item in judged
            if (last := self._last.get(item.event.occurrence)) is not None
            and last[0] != item.event.meeting
        )

    # ── money ────────────────────────────────────────────────────────────────────────────

    @property
    def over_budget(self) -> frozenset[OccurrenceKey]:
        """The occurrences that a cap keeps us from."""
        return frozenset(self._over_budget)

    def refuse(self, judged: Iterable[Judged], reason: str) -> None:
        """A cap keeps us from these: that stands until money comes free."""
        decision = Decision(join=False, code=Code.OVER_BUDGET, reason=reason)
        refused = [replace(item, decision=decision) for item in judged]
        self.note(refused)
        self._over_budget |= {item.event.occurrence for item in refused}

    def allow(self, occurrences: Collection[OccurrenceKey] | None = None) -> None:
        """Money came free for these; without any named, the caps themselves have changed."""
        if occurrences is None:
            self._over_budget.clear()
        else:
            self._over_budget.difference_update(occurrences)

    # ── writing it down ──────────────────────────────────────────────────────────────────

    def note_judged(self, judged: Iterable[Judged], policy: Policy) -> None:
        """Write down what judging told, as far as a pass hasn't told better."""
        self.note([self._as_first_seen(item, policy) for item in judged if self._tells(item)])

    def _tells(self, item: Judged) -> bool:
        last = self._last.get(item.event.occurrence)
        if last is None or not item.decision.join or last[0] != item.event.meeting:
            return True
        return last[1] not in _BY_A_PASS

    def _as_first_seen(self, item: Judged, policy: Policy) -> Judged:
        """Say of what was over before we knew of it that it is over: nobody missed it."""
        if not item.decision.join or item.event.occurrence in self._last:
            return item
        meeting = meeting_of(item, policy)
        if meeting is None or meeting.end > self._clock.now():
            return item
        return replace(item, decision=_OVER)

    def note(self, judged: Sequence[Judged]) -> None:
        """Write down what is news."""
        news = [
            item
            for item in judged
            # A cap's refusal stands until money comes free: the plan knows nothing of it.
            if not (item.decision.join and item.event.occurrence in self._over_budget)
            if self._last.get(item.event.occurrence) != (item.event.meeting, item.decision.code)
        ]
        if not news:
            return
        try:
            self._ledger.calendars.record_decisions(news, at=self._clock.now())
        except TransientError as error:
            # Deciding goes on; this is for `why`, and is written by a later pass.
            _log.error("decisions_not_recorded", problem=str(error))
            return
        for item in news:
            self._last[item.event.occurrence] = (item.event.meeting, item.decision.code)
            _log.debug(
                "decision_made",
                occurrence=item.event.occurrence,
                verdict=item.decision.verdict,
                code=item.decision.code.value,
            )
