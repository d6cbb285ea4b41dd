"""The life of one session: which phase may follow which, and what an ending leads to."""

from __future__ import annotations

from collections.abc import Mapping

from locum.core.model import EndReason, Phase

FOLLOWS: Mapping[Phase | None, frozenset[Phase]] = {
    None: frozenset({Phase.JOINING, Phase.MISSED}),
    Phase.JOINING: frozenset(
        {
            Phase.JOINING,  # A failed attempt waits for its next one.
            Phase.AMBIGUOUS,
            Phase.WAITING,
            Phase.LIVE,
            Phase.LEAVING,
            Phase.ENDED,
            Phase.MISSED,
            Phase.REFUSED,
            Phase.FAILED,
        }
    ),
    Phase.AMBIGUOUS: frozenset({Phase.JOINING, Phase.ENDED, Phase.FAILED, Phase.MISSED}),
    Phase.WAITING: frozenset(
        {
            Phase.JOINING,
            Phase.LIVE,
            Phase.LEAVING,
            Phase.ENDED,
            Phase.MISSED,
            Phase.REFUSED,
            Phase.FAILED,
        }
    ),
    # An engine that lost us sends us back to JOINING; whatever was heard stays in the record.
    Phase.LIVE: frozenset({Phase.JOINING, Phase.LEAVING, Phase.ENDED}),
    Phase.LEAVING: frozenset(
        {Phase.LEAVING, Phase.JOINING, Phase.ENDED, Phase.MISSED, Phase.REFUSED, Phase.FAILED}
    ),
    Phase.ENDED: frozenset({Phase.ENDED, Phase.FILED}),
    Phase.FILED: frozenset({Phase.ENDED}),  # More is known of it now: written up once more.
    Phase.MISSED: frozenset(),
    Phase.REFUSED: frozenset(),
    Phase.FAILED: frozenset(),
}

FINAL_FOR_OCCURRENCE = frozenset(
    {EndReason.REMOVED, EndReason.DENIED, EndReason.STOPPED_BY_USER}
)
"""Somebody said that we are not wanted: never again for that occurrence, wherever it moves."""

MAY_RETURN = frozenset(
    {
        EndReason.SCHEDULED_END,  # It was extended after we had left.
        EndReason.CANCELLED,
        EndReason.DECLINED,
        EndReason.MOVED,
        EndReason.LINK_CHANGED,
        EndReason.UNWANTED,
        EndReason.SHUTDOWN,
        EndReason.OPTED_OUT,  # The series stands in the ledger; only undone can it come here.
    }
)
"""Endings that were ours, because of what the calendar said then: it may say otherwise now."""

WORTH_ANOTHER_TRY = frozenset({EndReason.NOT_ADMITTED, EndReason.ENGINE_LOST})
"""Endings that are nobody's wish: try again while the grace lasts."""


def may_follow(before: Phase | None, after: Phase) -> bool:
    return after in FOLLOWS[before]


def closing_phase(reason: EndReason) -> Phase:
    """Where a session goes that never was in its room and will not try again."""
    if reason in {EndReason.DENIED, EndReason.REMOVED}:
        return Phase.REFUSED
    if reason in {
        EndReason.ENGINE_LOST,
        EndReason.ENGINE_REFUSED,
        EndReason.LOST_JOIN,
        EndReason.NOT_ADMITTED,
    }:
        return Phase.FAILED
    return Phase.MISSED
