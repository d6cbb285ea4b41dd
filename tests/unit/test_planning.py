"""Where we should be: what the calendar says, fitted into stays, before we are in any."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.core.model import (
    Answer,
    CalendarEvent,
    Code,
    EndReason,
    EventStatus,
    Mark,
    Phase,
)
from locum.core.planning import judge, meeting_of
from locum.core.policy import Effect, Rule
from tests.unit.builders import (
    HOME,
    LEAD,
    STRANGER,
    TEN,
    WORK,
    at,
    decision_of,
    ended,
    event,
    instance,
    judged,
    meeting,
    only,
    plan,
    policy,
    record,
    room,
)
from tests.unit.drawn import TRUSTING, calendars, thorough

# ── moving times, before we are in ───────────────────────────────────────────────────────


def test_rule_01_one_stay_from_the_lead_to_the_end() -> None:
    """A meeting ahead is entered at S-L and left at E."""
    stay = only([event()], at(-60))
    assert (stay.join_at, stay.leave_by) == (TEN - LEAD, at(30))
    assert (stay.room, stay.persona, stay.engine) == (room(), "robin", "stage")


@pytest.mark.parametrize("minutes", [-0.4, 0, 15, 29.9])
def test_rule_02_first_seen_while_it_runs_is_due(minutes: float) -> None:
    """Between S-L and E the join is due at once."""
    now = at(minutes)
    stay = only([event()], now)
    assert stay.join_at <= now < stay.leave_by


@pytest.mark.parametrize("minutes", [30, 31, 600])
def test_rule_03_first_seen_after_its_end_is_nothing(minutes: float) -> None:
    """From E on there is neither a join nor, never seen before, anything missed."""
    found = plan([event()], at(minutes))
    assert (dict(found.stays), found.missed) == ({}, ())
    assert decision_of(found).code is Code.OVER


def test_rule_04_moved_later_only_the_new_time_counts() -> None:
    """The plan knows no former times."""
    moved = event(start=at(120), end=at(150))
    assert only([moved], TEN).join_at == at(120) - LEAD


def test_rule_05_moved_earlier_and_running_is_due_now() -> None:
    """Moved into the present, it is entered at once."""
    stay = only([event(start=at(-10), end=at(20))], TEN)
    assert stay.join_at <= TEN < stay.leave_by


def test_rule_06_moved_wholly_into_the_past_is_missed() -> None:
    """What we meant to join, and that is over now, is told as missed, once."""
    gone = event(start=at(-60), end=at(-30))
    found = plan([gone], TEN, once_joinable=frozenset({gone.occurrence}))
    assert dict(found.stays) == {}
    [missed] = found.missed
    assert missed.key == str(gone.meeting)
    noted = record(
        *missed.meetings,
        key=missed.key,
        phase=Phase.MISSED,
        attempts=0,
        end_reason=EndReason.TOO_LATE,
        ended_at=TEN,
    )
    once_joinable = frozenset({gone.occurrence})
    again = plan([gone], at(1), records=[noted], once_joinable=once_joinable)
    assert again.missed == ()


def test_rule_06_what_was_attended_is_not_missed() -> None:
    """Neither while we are in it, nor afterwards."""
    over = frozenset({event().occurrence})
    for session in (record(), ended(EndReason.SCHEDULED_END, at(30))):
        assert plan([event()], at(31), records=[session], once_joinable=over).missed == ()


def test_missed_then_extended_is_joined_after_all() -> None:
    """That nothing was tried in time is no reason to stay away from what runs again."""
    noted = replace(ended(EndReason.TOO_LATE, at(35)), phase=Phase.MISSED, attempts=0)
    stay = only([event(end=at(60))], at(36), records=[noted])
    assert stay.key == f"{event().meeting}~2"


def test_rule_11_and_13_cancelled_is_nothing_until_it_stands_again() -> None:
    """Cancelled before: none. Un-cancelled before E: join."""
    assert not plan([event(status=EventStatus.CANCELLED)], at(-5)).stays
    assert only([event()], at(5)).join_at <= at(5)


def test_rule_14_deleted_and_made_again_is_one_stay() -> None:
    """Another event in the same room at the same time adds no presence."""
    again = event("made-again")
    old = event(status=EventStatus.CANCELLED)
    assert [each.occurrence for each in only([old, again], TEN).meetings] == ["made-again"]
    assert len(only([event(), again], TEN).meetings) == 2


@pytest.mark.parametrize("end", [None, TEN, at(-5)])
def test_rule_17_no_end_of_its_own_means_up_to_the_cap(end: datetime | None) -> None:
    """Without a sensible end, an event lasts until the room empties or the cap."""
    [item] = judged(event(end=end))
    found = meeting_of(item, policy())
    assert found is not None
    assert found.open_ended
    assert found.end == TEN + timedelta(hours=4)
    assert only([event(end=end)], TEN).join_at == TEN - LEAD


def test_rule_18_longer_than_a_day_is_joined_up_to_the_cap() -> None:
    """A presence never outlasts the cap, nor does it hold a place for longer."""
    days = event(end=TEN + timedelta(days=3))
    assert only([days], at(-60)).leave_by == TEN - LEAD + timedelta(hours=4)
    assert only([days], at(1440)).leave_by == at(1440) + timedelta(hours=4)


def test_a_cap_that_was_reached_is_not_begun_anew() -> None:
    """Three days of meeting are four hours of presence, not eighteen times four."""
    days = event(end=TEN + timedelta(days=3))
    capped = record(
        meeting(end=days.end),
        phase=Phase.FILED,
        ended_at=at(240),
        end_reason=EndReason.LENGTH_CAP,
        admitted_at=TEN,
    )
    found = plan([days], at(241), records=[capped])
    assert not found.stays
    assert decision_of(found).code is Code.ENDED_BEFORE


# ── series ───────────────────────────────────────────────────────────────────────────────


def test_rule_25_and_35_one_instance_declined_or_cancelled_is_that_one() -> None:
    """The other instances stay."""
    series = [
        instance(0),
        instance(1, answer=Answer.DECLINED),
        instance(2, status=EventStatus.CANCELLED),
        instance(3),
    ]
    stays = plan(series, at(-60)).stays.values()
    assert [stay.meetings[0].start for stay in stays] == [TEN, TEN + timedelta(days=3)]


def test_rule_33_a_start_is_the_instant_that_the_calendar_gives() -> None:
    """Zones play no part inside: the same instant in two zones is one stay at one time."""
    away = timezone(timedelta(hours=5, minutes=30))
    local = event(start=TEN.astimezone(away), end=at(30).astimezone(away))
    assert only([local], at(-60)).join_at == TEN - LEAD
    assert local.meeting == event().meeting


def test_rule_34_an_instance_moved_past_its_neighbour_leaves_two_joins() -> None:
    """An occurrence is named by its original start, wherever it went."""
    moved = instance(0, start=TEN + timedelta(days=1, hours=2), end=TEN + timedelta(days=1.1))
    stays = plan([moved, instance(1)], at(-60)).stays.values()
    assert sorted(stay.join_at + LEAD for stay in stays) == [
        TEN + timedelta(days=1),
        TEN + timedelta(days=1, hours=2),
    ]


def test_rule_36_a_split_series_has_no_double_join_at_the_seam() -> None:
    """The old series' instance and the new series' first one share the room and the time."""
    assert len(plan([instance(0), event("new-series")], at(-60)).stays) == 1


# ── several calendars ────────────────────────────────────────────────────────────────────


def test_rule_40_one_occurrence_on_two_calendars_is_one_join() -> None:
    """Its sightings name both; a cancelled copy is none."""
    elsewhere = event(calendar=HOME, event_id="other-id")
    [item] = judged(event(), elsewhere)
    assert item.sightings == (HOME, WORK)
    assert len(plan([event(), elsewhere], TEN).stays) == 1
    removed = replace(elsewhere, status=EventStatus.CANCELLED)
    [item] = judged(event(), removed)
    assert (item.decision.join, item.sightings) == (True, (WORK,))


def test_rule_40_declined_on_one_accepted_on_the_other_is_joined() -> None:
    """One yes is enough, and it is told as the reason."""
    [item] = judged(event(answer=Answer.DECLINED), event(calendar=HOME))
    assert item.decision.code is Code.ACCEPTED


@pytest.mark.parametrize("beaten", [{}, {"calendar": HOME}])
def test_rule_27_a_deny_rule_or_a_skip_command_beats_another_calendars_yes(
    beaten: dict[str, Any],
) -> None:
    """Who wrote `locum: skip` means the meeting, not one calendar's copy."""
    [item] = judged(
        event(organized_by_self=True, description="locum: skip"),
        event(description="locum: skip", organizer=STRANGER, calendar=HOME),
    )
    assert item.decision.code is Code.COMMAND_SKIP
    deny = policy(rules=(Rule("deny", Effect.SKIP, calendar="work"),))
    [item] = judged(event(), event(calendar=HOME), event(**beaten), under=deny)
    assert item.decision.code is Code.RULE_SKIP


def test_of_several_noes_the_most_telling_is_told() -> None:
    """That one declined says more than that another calendar hides it."""
    hidden = event(calendar=HOME, details_visible=False, room=None)
    [item] = judged(hidden, event(answer=Answer.DECLINED))
    assert item.decision.code is Code.DECLINED


def test_rule_41_the_same_room_overlapping_or_adjoining_is_one_stay() -> None:
    """Until the last E; a gap of the merge window still counts as none."""
    second = event("second", start=at(20), end=at(45))
    third = event("third", start=at(47), end=at(60))
    stay = only([third, event(), second], at(-60))
    assert [each.occurrence for each in stay.meetings] == ["weekly", "second", "third"]
    assert stay.leave_by == at(60)


def test_rule_41_a_gap_over_the_merge_window_is_two_stays() -> None:
    """Two joins, each with its own lead."""
    later = event("later", start=at(32) + timedelta(seconds=1), end=at(60))
    stays = plan([event(), later], at(-60)).stays.values()
    assert [stay.join_at for stay in stays] == [TEN - LEAD, at(31.5) + timedelta(seconds=1)]


def test_a_long_meeting_hides_no_later_one_in_its_room() -> None:
    """A chain ends with its longest meeting, not with its last."""
    inner = event("inner", start=at(5), end=at(10))
    later = event("later", start=at(31), end=at(40))
    assert only([event(), inner, later], at(-60)).leave_by == at(40)


# ── what people said, and every calendar ─────────────────────────────────────────────────


def test_marks_are_heard() -> None:
    """A person's word about an occurrence is part of the judgement."""
    found = plan([event()], TEN, marks={event().occurrence: Mark.SKIP})
    assert not found.stays
    assert decision_of(found).code is Code.SKIPPED_BY_USER


@thorough
@given(calendars(), st.randoms(use_true_random=False))
def test_judging_does_not_depend_on_the_order_of_events(
    events: list[CalendarEvent], dice: Any
) -> None:
    """Calendars are read in any order: the same events are judged the same."""
    shuffled = list(events)
    dice.shuffle(shuffled)
    assert judge(events, TRUSTING, {}) == judge(shuffled, TRUSTING, {})


def test_rule_55_a_clock_set_back_takes_no_meeting_from_a_session() -> None:
    """An hour back, an earlier meeting of the room is on again: what was sat in stays beside it."""
    earlier = meeting("earlier", start=at(-40), end=at(-10))
    later = meeting("next", start=at(20), end=at(40))
    session = record(earlier, meeting(), later, claimed_at=at(-0.5), admitted_at=at(0))
    events = [
        event("earlier", start=at(-40), end=at(-10)),
        event(),
        event("next", start=at(20), end=at(40)),
    ]
    found = plan(events, at(-35), records=[session])
    kept = [each.occurrence for each in found.stays[session.key].meetings]
    assert kept == [earlier.occurrence, meeting().occurrence, later.occurrence]
