"""Whether we go back: after every ending, to the same meeting, another room or time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from locum.core.model import (
    Code,
    EndReason,
    Phase,
    SessionKey,
)
from tests.unit.builders import (
    OTHER_ROOM,
    TEN,
    at,
    decision_of,
    ended,
    event,
    instance,
    meeting,
    only,
    plan,
)


@pytest.mark.parametrize(
    "reason",
    [
        EndReason.SCHEDULED_END,
        EndReason.CANCELLED,
        EndReason.DECLINED,
        EndReason.MOVED,
        EndReason.LINK_CHANGED,
        EndReason.UNWANTED,
        EndReason.SHUTDOWN,
    ],
)
def test_rule_13_20_51_what_ended_by_our_own_doing_is_entered_again(reason: EndReason) -> None:
    """Un-cancelled, accepted after all, extended, or restarted: a second session."""
    stay = only([event()], at(12), records=[ended(reason, at(10))])
    assert stay.key == f"{event().meeting}~2"
    third = ended(reason, at(11), key=SessionKey(stay.key))
    again = only([event()], at(12), records=[ended(reason, at(10)), third])
    assert again.key == f"{event().meeting}~3"


@pytest.mark.parametrize(
    "reason",
    [
        EndReason.MEETING_OVER,
        EndReason.ROOM_EMPTY,
        EndReason.LENGTH_CAP,
        EndReason.ENGINE_LOST,
        EndReason.ENGINE_REFUSED,
        EndReason.NOT_ADMITTED,
        EndReason.LOST_JOIN,
    ],
)
def test_what_ended_for_the_meetings_sake_is_not_entered_again(reason: EndReason) -> None:
    """Over is over, and a failure that used up its tries isn't tried for ever."""
    found = plan([event()], at(12), records=[ended(reason, at(10))])
    assert not found.stays
    assert decision_of(found).code is Code.ENDED_BEFORE
    assert reason.value in decision_of(found).reason


def test_a_session_that_never_got_in_is_not_told_as_attended() -> None:
    """The words of the reason are true."""
    failed = ended(EndReason.NOT_ADMITTED, at(10), phase=Phase.FAILED, admitted_at=None)
    assert "in vain" in decision_of(plan([event()], at(12), records=[failed])).reason


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (EndReason.REMOVED, Code.REMOVED_BEFORE),
        (EndReason.DENIED, Code.REMOVED_BEFORE),
        (EndReason.STOPPED_BY_USER, Code.STOPPED_BY_USER),
    ],
)
def test_rule_28_sent_away_once_is_for_good_wherever_it_moves(
    reason: EndReason, code: Code
) -> None:
    """Not again for that occurrence: moved, in another room, or under another rule."""
    gone = ended(reason, at(10))
    for later in (event(), event(start=at(120), end=at(150)), event(room=OTHER_ROOM)):
        found = plan([later], at(12), records=[gone])
        assert not found.stays
        assert decision_of(found).code is code


def test_rule_28_the_next_occurrence_is_joined_as_usual() -> None:
    """Being sent away is about one occurrence."""
    gone = ended(EndReason.REMOVED, at(10), meetings=(meeting("series", original_start=TEN),))
    assert len(plan([instance(1)], at(12), records=[gone]).stays) == 1


def test_rule_28_what_had_not_begun_when_we_were_sent_away_is_another_matter() -> None:
    """The next meeting of the room stood in the same session, and is another occurrence."""
    both = (meeting(), meeting("next", start=at(30), end=at(60)))
    events = [event(), event("next", start=at(30), end=at(60))]
    for reason in (EndReason.REMOVED, EndReason.MEETING_OVER, EndReason.LENGTH_CAP):
        gone = ended(reason, at(20), meetings=both)
        stay = only(events, at(21), records=[gone])
        assert [each.occurrence for each in stay.meetings] == ["next"]
        assert stay.join_at == at(29.5)


@pytest.mark.parametrize(
    "reason", [EndReason.ENGINE_LOST, EndReason.NOT_ADMITTED, EndReason.ENGINE_REFUSED]
)
def test_rule_44_each_meeting_of_a_room_has_its_own_grace(reason: EndReason) -> None:
    """The first one's tries are used up: the next one begins with its own, in its own session."""
    both = (meeting(), meeting("next", start=at(5), end=at(60)))
    events = [event(end=at(6)), event("next", start=at(5), end=at(60))]
    gone = ended(reason, at(10), meetings=both)
    stay = only(events, at(11), records=[gone])
    assert str(stay.key) == str(both[1].key)
    assert [each.occurrence for each in stay.meetings] == ["next"]
    later = ended(reason, at(15), meetings=both)
    assert not plan(events, at(16), records=[later]).stays


def test_a_room_where_a_lost_join_may_be_running_is_left_alone() -> None:
    """What may be in there already speaks for all meetings that it was sent to."""
    both = (meeting(), meeting("next", start=at(5), end=at(60)))
    lost = ended(EndReason.LOST_JOIN, at(10), meetings=both)
    assert not plan([event("next", start=at(5), end=at(60))], at(11), records=[lost]).stays


def test_another_room_is_another_try() -> None:
    """A call that failed or broke up, and was moved to a new link, is entered there."""
    over = ended(EndReason.MEETING_OVER, at(10))
    stay = only([event(room=OTHER_ROOM)], at(12), records=[over])
    assert (stay.room, stay.key) == (OTHER_ROOM, f"{event().meeting}~2")


def test_sent_off_with_those_who_met_before_we_come_back_at_the_start() -> None:
    """The room closed in our lead: it was another call's end, and our meeting still comes."""
    early = ended(EndReason.MEETING_OVER, TEN - timedelta(seconds=5))
    stay = only([event()], TEN - timedelta(seconds=4), records=[early])
    assert stay.join_at == TEN


def test_the_later_meetings_of_a_capped_presence_go_on() -> None:
    """The cap is for one meeting, so a day of calls in one room isn't cut short."""
    hours = [meeting(f"h{n}", start=at(60 * n), end=at(60 * n + 60)) for n in range(5)]
    capped = ended(EndReason.LENGTH_CAP, at(239.5), meetings=tuple(hours[:4]))
    events = [event(f"h{n}", start=at(60 * n), end=at(60 * n + 60)) for n in range(5)]
    stay = only(events, at(239.6), records=[capped])
    assert [each.occurrence for each in stay.meetings] == ["h3", "h4"]
