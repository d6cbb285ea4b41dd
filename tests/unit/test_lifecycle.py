"""The table of lives: every session ends, and every ending leads somewhere."""

from __future__ import annotations

import pytest

from locum.core.lifecycle import (
    FINAL_FOR_OCCURRENCE,
    FOLLOWS,
    MAY_RETURN,
    WORTH_ANOTHER_TRY,
    closing_phase,
    may_follow,
)
from locum.core.model import OPEN_PHASES, EndReason, Phase

LAST = (Phase.FILED, Phase.MISSED, Phase.REFUSED, Phase.FAILED)


def reachable(start: Phase) -> set[Phase]:
    found: set[Phase] = set()
    ahead = {start}
    while ahead:
        found |= ahead
        ahead = {after for before in ahead for after in FOLLOWS[before]} - found
    return found


def test_the_table_knows_every_phase() -> None:
    """And the state before the first one."""
    assert set(FOLLOWS) == {None, *Phase}


@pytest.mark.parametrize("phase", LAST[1:])
def test_nothing_follows_the_last_phases(phase: Phase) -> None:
    """Missed, refused and failed are for good."""
    assert FOLLOWS[phase] == frozenset()


def test_what_was_filed_can_only_be_written_up_again() -> None:
    """More became known of it; nobody goes back into the room because of that."""
    assert FOLLOWS[Phase.FILED] == {Phase.ENDED}
    assert reachable(Phase.FILED) == {Phase.ENDED, Phase.FILED}


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_can_come_to_an_end(phase: Phase) -> None:
    """No session can get stuck by the table itself."""
    assert reachable(phase) & set(LAST)


@pytest.mark.parametrize("phase", [Phase.LIVE, Phase.ENDED])
def test_what_was_attended_ends_with_a_summary(phase: Phase) -> None:
    """From LIVE the way out leads through ENDED, from there to FILED only."""
    assert FOLLOWS[phase] <= {Phase.JOINING, Phase.LEAVING, Phase.ENDED, Phase.FILED}
    assert FOLLOWS[Phase.ENDED] - {Phase.ENDED} == {Phase.FILED}


def test_what_is_over_never_opens_again() -> None:
    """No ended session comes back into a room: that would be a new one."""
    for phase in set(Phase) - OPEN_PHASES:
        assert not FOLLOWS[phase] & OPEN_PHASES


def test_a_session_begins_as_a_claim_or_as_a_miss() -> None:
    """Nothing is ever written first as being in a room."""
    assert FOLLOWS[None] == {Phase.JOINING, Phase.MISSED}


def test_nothing_calls_a_leaving_session_back_into_the_meeting() -> None:
    """Once told to leave, it is never LIVE or in the lobby again."""
    assert not may_follow(Phase.LEAVING, Phase.LIVE)
    assert not may_follow(Phase.LEAVING, Phase.WAITING)
    assert may_follow(Phase.LEAVING, Phase.ENDED)


def test_endings_by_the_room_and_by_ourselves_are_kept_apart() -> None:
    """What may return is nobody's refusal; what is retried isn't over."""
    assert not FINAL_FOR_OCCURRENCE & MAY_RETURN
    assert not FINAL_FOR_OCCURRENCE & WORTH_ANOTHER_TRY
    assert not MAY_RETURN & WORTH_ANOTHER_TRY


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        (EndReason.DENIED, Phase.REFUSED),
        (EndReason.REMOVED, Phase.REFUSED),
        (EndReason.NOT_ADMITTED, Phase.FAILED),
        (EndReason.ENGINE_LOST, Phase.FAILED),
        (EndReason.ENGINE_REFUSED, Phase.FAILED),
        (EndReason.LOST_JOIN, Phase.FAILED),
        (EndReason.CANCELLED, Phase.MISSED),
        (EndReason.TOO_LATE, Phase.MISSED),
        (EndReason.SCHEDULED_END, Phase.MISSED),
    ],
)
def test_where_a_session_goes_that_never_was_in(reason: EndReason, phase: Phase) -> None:
    """The room's no, a failure, and the meeting passing by are told apart."""
    assert closing_phase(reason) is phase


@pytest.mark.parametrize("reason", list(EndReason))
def test_every_closing_is_allowed_while_a_join_is_tried(reason: EndReason) -> None:
    """Whatever ends a try, the table lets it."""
    for phase in (Phase.JOINING, Phase.WAITING, Phase.LEAVING):
        assert may_follow(phase, closing_phase(reason))
    assert may_follow(Phase.AMBIGUOUS, closing_phase(EndReason.LOST_JOIN))
