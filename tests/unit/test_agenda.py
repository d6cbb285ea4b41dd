"""A pass looks at what is near, and does what it would do if it looked at everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.agenda import Agenda
from locum.core.model import (
    Answer,
    CalendarEvent,
    CalendarRef,
    EndReason,
    EventStatus,
    Mark,
    OccurrenceKey,
)
from locum.core.planning import arrange, judge
from locum.core.policy import Policy
from locum.core.reconcile import reconcile
from tests.unit.builders import (
    BOSS,
    HOME,
    LEAD,
    TEN,
    WORK,
    at,
    event,
    joins,
    policy,
    record,
    room,
)
from tests.unit.drawn import TRUSTING, calendars, pick, thorough

AHEAD = timedelta(minutes=4)


def agenda(*events: CalendarEvent, under: Policy | None = None) -> Agenda:
    made = Agenda()
    made.take(events)
    made.rejudge(under or policy(), {})
    return made


def near(made: Agenda, now: datetime, *also: str) -> list[str]:
    keys = frozenset(OccurrenceKey(key) for key in also)
    return [item.event.uid for item in made.near(now, AHEAD, keys)]


def later(number: int, minutes: float) -> CalendarEvent:
    return event(
        f"e{number}",
        start=at(minutes),
        end=at(minutes + 30),
        room=room(f"aaa-aaaa-a{chr(97 + number // 26)}{chr(97 + number % 26)}"),
    )


def test_an_empty_agenda_holds_nothing() -> None:
    """Before the first reading there is nothing to do, and nothing fails."""
    made = Agenda()
    assert (made.judged, made.armed, near(made, TEN)) == ((), 0, [])
    assert made.instants(TEN, LEAD, 5) == []
    assert made.near_from(WORK, TEN, AHEAD) is None


def test_looking_back_sees_what_an_open_session_serves_wherever_it_moved() -> None:
    """All that has begun, however long ago; and what is ahead only where a session holds it."""
    ahead = later(2, 600)
    made = agenda(event("past", start=at(-900), end=at(-870)), event(), later(1, 300), ahead)
    assert [item.event.uid for item in made.begun_by(TEN)] == ["past", "weekly"]
    assert made.rooms_used_by(at(0)) == {made.judged[0].event.room.id}  # type: ignore[union-attr]
    begun = made.begun_by(TEN, frozenset({ahead.occurrence, OccurrenceKey("gone")}))
    assert [item.event.uid for item in begun] == ["past", "weekly", "e2"]


def test_what_begins_soon_runs_or_ended_lately_is_near() -> None:
    """Half an hour after its end an event is out of sight, and four minutes ahead it comes."""
    made = agenda(event("past", start=at(-90), end=at(-60)), event(), later(1, 120))
    assert near(made, at(-45)) == ["past"]
    assert near(made, at(-4.1)) == []
    assert near(made, at(-4)) == ["weekly"]
    assert near(made, at(60)) == ["weekly"]
    assert near(made, at(60.1)) == []


def test_open_sessions_events_are_near_wherever_they_are() -> None:
    """Moved to tomorrow, or long over: the pass must see why to leave."""
    made = agenda(event(start=at(-600), end=at(-590)), later(1, 600), later(2, 700))
    assert near(made, TEN, "weekly", "e2") == ["weekly", "e2"]


def test_a_running_event_without_an_end_stays_near_until_the_cap() -> None:
    """Its end is the cap's, not its start."""
    made = agenda(event(end=None))
    assert near(made, at(200)) == ["weekly"]
    assert near(made, at(300)) == []


def test_with_a_short_place_the_firm_ones_ahead_are_looked_at_too() -> None:
    """An invitation nobody answered yields to what was accepted for its second half."""
    under = policy(capacity=1, trusted_organizers=("boss@example.com",))
    maybe = event(end=at(60), answer=Answer.UNANSWERED, organizer=BOSS)
    made = agenda(maybe, later(1, 50), later(2, 90), under=under)
    assert near(made, TEN) == ["weekly", "e1"]
    assert near(agenda(event(end=at(60)), later(1, 50)), TEN) == ["weekly"]


def test_skipped_events_are_known_but_not_armed() -> None:
    """Only what is to be joined counts, or makes a timer."""
    made = agenda(event(), event("no", answer=Answer.DECLINED, start=at(120), end=at(150)))
    assert (len(made.judged), made.armed) == (2, 1)
    assert made.instants(at(-5), LEAD, 9) == [TEN - LEAD, at(30)]


def test_marks_are_heard_at_the_next_judging() -> None:
    """`rejudge` decides everything anew."""
    made = agenda(event())
    made.rejudge(policy(), {OccurrenceKey("weekly"): Mark.SKIP})
    assert made.armed == 0


def test_a_calendar_is_near_from_a_margin_before_its_meeting_until_its_end() -> None:
    """While a meeting is near, its calendar is read more often."""
    made = agenda(event(), later(1, 100))
    assert made.near_from(WORK, at(-60), timedelta(minutes=15)) == at(-15)
    assert made.near_from(WORK, at(29), timedelta(minutes=15)) == at(-15)
    assert made.near_from(WORK, at(30), timedelta(minutes=15)) == at(85)
    assert made.near_from(WORK, at(130), timedelta(minutes=15)) is None


def test_another_calendars_meeting_makes_no_calendar_near() -> None:
    """Nor does one that isn't to be joined, or that it shows as cancelled."""
    made = agenda(
        event(),
        event("no", calendar=HOME, answer=Answer.DECLINED),
        event(calendar=HOME, status=EventStatus.CANCELLED),
    )
    assert made.near_from(HOME, TEN, AHEAD) is None


def test_rule_40_a_meeting_is_near_on_every_calendar_that_shows_it() -> None:
    """Declined on one, accepted on the other: who edits it may do so on either."""
    made = agenda(event(), event(calendar=HOME, answer=Answer.DECLINED))
    assert made.near_from(HOME, TEN, AHEAD) == made.near_from(WORK, TEN, AHEAD) == TEN - AHEAD


def test_rule_40_a_meeting_is_near_at_either_of_its_times() -> None:
    """Moved on one calendar, and not yet read on the other: that one is watched for both."""
    made = agenda(event(), event(calendar=HOME, start=at(60), end=at(90)))
    assert [item.event.start for item in made.judged] == [at(60)]
    assert made.near_from(WORK, at(-60), AHEAD) == TEN - AHEAD
    assert made.near_from(WORK, at(40), AHEAD) == at(60) - AHEAD


def test_rule_40_who_shows_a_meeting_as_it_was_is_outdated() -> None:
    """And is named, to be read at once; who shows it as it is now isn't."""
    third = CalendarRef("third", "primary")
    made = agenda(event(), event(calendar=HOME), event(calendar=third), later(1, 100))
    changed = made.take_calendar(WORK, [event(start=at(5), end=at(30)), later(1, 100)])
    assert changed == {"weekly"}
    assert made.disagreeing(WORK, changed) == {HOME, third}
    changed = made.take_calendar(HOME, [event(calendar=HOME, start=at(5), end=at(30))])
    assert made.disagreeing(HOME, changed) == {third}


@thorough
@given(calendars(), calendars(), st.integers(-60, 70))
def test_judging_what_changed_is_judging_everything(
    before: list[CalendarEvent], after: list[CalendarEvent], minutes: int
) -> None:
    """Calendar by calendar from one state to another: the same as from nothing."""
    made = agenda(*before, under=TRUSTING)
    for calendar in {each.calendar for each in (*before, *after)}:
        made.near_from(calendar, TEN, AHEAD)  # What it keeps for this must not stay.
        shown = [each for each in after if each.calendar == calendar]
        changed = made.take_calendar(calendar, shown)
        made.rejudge_some(changed, TRUSTING, {})
    fresh = agenda(*after, under=TRUSTING)
    assert (made.judged, made.armed) == (fresh.judged, fresh.armed)
    now = at(minutes)
    assert near(made, now) == near(fresh, now)
    assert made.instants(now, LEAD, 5) == fresh.instants(now, LEAD, 5)
    for calendar in {each.calendar for each in after}:
        assert made.near_from(calendar, now, AHEAD) == fresh.near_from(calendar, now, AHEAD)


@thorough
@given(
    st.lists(st.integers(0, 40 * 20 - 1), max_size=12), st.integers(1, 4), st.integers(-5, 30)
)
def test_the_next_instants_are_the_earliest_ones(
    numbers: list[int], limit: int, minutes: int
) -> None:
    """By brute force: no begin or end ahead is left out for a later one."""
    spans = [(begin, begin + 1 + lasts) for begin, lasts in (pick(n, 40, 20) for n in numbers)]
    events = [
        replace(later(number, begin), end=at(end)) for number, (begin, end) in enumerate(spans)
    ]
    now = at(minutes)
    every = {at(begin) - LEAD for begin, _ in spans} | {at(end) for _, end in spans}
    expected = sorted(instant for instant in every if instant > now)[:limit]
    assert agenda(*events).instants(now, LEAD, limit) == expected


@thorough
@given(calendars(), st.integers(1, 3), st.integers(-60, 70))
def test_looking_at_what_is_near_joins_what_looking_at_all_would(
    events: list[CalendarEvent], capacity: int, minutes: int
) -> None:
    """At every instant, with every capacity: the same joins are due."""
    under = replace(TRUSTING, capacity=capacity)
    now = at(minutes)
    everything = judge(events, under, {})
    made = Agenda()
    made.take(events)
    made.rejudge(under, {})
    ahead = under.lead + under.merge_window + timedelta(seconds=60)
    nearby = tuple(made.near(now, ahead, frozenset()))

    def due(items: object) -> list[str]:
        plan = arrange(items, under, (), now)  # type: ignore[arg-type]
        return sorted(stay.key for stay in joins(reconcile(plan, (), (), under, now)))

    assert due(nearby) == due(everything)


@pytest.mark.parametrize("others", [None, 2])
def test_near_enough_to_leave_what_moved_far_away(others: int | None) -> None:
    """A session's own event is in sight although its time isn't."""
    moved = event(start=at(600), end=at(630))
    made = agenda(moved)
    session = record(others_present=others)
    items = tuple(made.near(at(5), AHEAD, session.occurrences))
    plan = arrange(items, policy(), [session], at(5))
    assert dict(plan.endings) == ({session.key: EndReason.MOVED} if others is None else {})
