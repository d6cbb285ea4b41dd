"""How many rooms at a time: who gets a place, and that there are never too many."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from locum.core.capacity import Load, Span
from locum.core.model import (
    Answer,
    CalendarEvent,
    Code,
    Meeting,
)
from locum.core.planning import judge, meeting_of
from tests.unit.builders import (
    BOSS,
    LEAD,
    TEN,
    at,
    decision_of,
    event,
    meeting,
    only,
    plan,
    policy,
    record,
    room,
)
from tests.unit.drawn import ROOMS, TRUSTING, calendars, pick, thorough


def numbered(number: int, **changes: Any) -> CalendarEvent:
    return event(f"e{number}", **({"room": room(f"aaa-aaaa-aa{chr(97 + number)}")} | changes))


def test_rule_42_accepted_goes_before_unanswered_then_the_earliest() -> None:
    """The rest is skipped, with the reason and the setting's name."""
    under = policy(capacity=2, trusted_organizers=("boss@example.com",))
    events = [
        numbered(0, answer=Answer.UNANSWERED, organizer=BOSS),
        numbered(1, start=at(10)),
        numbered(2, start=at(5)),
        numbered(3, start=at(20)),
    ]
    found = plan(events, at(-60), under=under)
    assert {each.meetings[0].occurrence for each in found.stays.values()} == {"e1", "e2"}
    for uid in ("e0", "e3"):
        decision = decision_of(found, uid)
        assert decision.code is Code.AT_CAPACITY
        assert "attend.capacity" in decision.reason


def test_rule_42_one_after_another_is_not_at_the_same_time() -> None:
    """With one place, back to back in different rooms: the second waits out its lead."""
    found = plan(
        [numbered(0), numbered(1, start=at(30), end=at(60))], TEN, under=policy(capacity=1)
    )
    assert sorted(each.join_at for each in found.stays.values()) == [TEN - LEAD, at(30)]


def test_rule_42_meetings_in_one_room_share_a_place() -> None:
    """Two overlapping events of a room are one presence."""
    under = policy(capacity=1)
    assert (
        len(
            only(
                [event(), event("second", start=at(20), end=at(50))], TEN, under=under
            ).meetings
        )
        == 2
    )


def test_rule_42_a_meeting_at_capacity_costs_its_rooms_other_meetings_nothing() -> None:
    """What comes later in the same room may be too much; the first one still fits."""
    first = numbered(0, answer=Answer.UNANSWERED, organizer=BOSS)
    second = numbered(1, room=first.room, start=at(30), end=at(60), answer=Answer.UNANSWERED)
    rival = numbered(2, start=at(40), end=at(70))
    under = policy(capacity=1, trusted_organizers=("boss@example.com",))
    found = plan([first, second, rival], TEN, under=under)
    codes = {uid: decision_of(found, uid).code for uid in ("e0", "e1", "e2")}
    assert codes == {
        "e0": Code.TRUSTED_ORGANIZER,
        "e1": Code.AT_CAPACITY,
        "e2": Code.ACCEPTED,
    }


def test_rule_42_nobody_is_walked_out_on_for_a_newcomer() -> None:
    """An open session keeps its place, whoever else comes, even with a lowered capacity."""
    unanswered = meeting(answer=Answer.ACCEPTED)
    found = plan(
        [event(), numbered(1, organized_by_self=True)],
        at(5),
        records=[record(unanswered)],
        under=policy(capacity=1),
    )
    assert [str(key) for key in found.stays] == [event().meeting]
    assert decision_of(found, "e1").code is Code.AT_CAPACITY


@pytest.mark.parametrize("in_hand", [False, True])
def test_rule_42_an_open_session_takes_in_nothing_at_anothers_cost(in_hand: bool) -> None:  # noqa: FBT001 - A parameter.
    """What hasn't begun in its room waits in line, whether the session has it noted or not."""
    under = policy(capacity=1, trusted_organizers=("boss@example.com",))
    unanswered = event("late", start=at(20), end=at(50), answer=Answer.UNANSWERED)
    rival = numbered(1, start=at(35), end=at(60))
    noted = [meeting()]
    if in_hand:
        noted.append(meeting("late", start=at(20), end=at(50)))
    session = record(*noted)
    found = plan([event(), unanswered, rival], at(5), records=[session], under=under)
    stay = found.stays[session.key]
    assert ([each.occurrence for each in stay.meetings], stay.leave_by) == (["weekly"], at(30))
    assert decision_of(found, "late").code is Code.AT_CAPACITY
    assert decision_of(found, "e1").join


def test_rule_42_what_has_begun_keeps_its_place() -> None:
    """An unanswered meeting that we sit in isn't left for an accepted one."""
    under = policy(capacity=1, trusted_organizers=("boss@example.com",))
    unanswered = event("late", start=at(20), end=at(50), answer=Answer.UNANSWERED)
    rival = numbered(1, start=at(35), end=at(60))
    session = record(meeting(), meeting("late", start=at(20), end=at(50)))
    found = plan([event(), unanswered, rival], at(25), records=[session], under=under)
    assert found.stays[session.key].leave_by == at(50)
    assert decision_of(found, "e1").code is Code.AT_CAPACITY


def test_rule_42_what_follows_in_a_held_room_needs_a_place_only_from_there_on() -> None:
    """With more rooms open than a lowered capacity allows, back to back stays one presence."""
    other = meeting("e1", room=numbered(1).room)
    following = event("next", start=at(30), end=at(60))
    found = plan(
        [event(), following, numbered(1)],
        at(5),
        records=[record(), record(other)],
        under=policy(capacity=1),
    )
    assert found.stays[record().key].leave_by == at(60)
    assert found.stays[record(other).key].leave_by == at(30)


# ── by brute force ───────────────────────────────────────────────────────────────────────


def at_once(spans: list[tuple[datetime, datetime]]) -> int:
    """Count by brute force how many overlap at the worst instant."""
    return max(
        (sum(begin <= instant < until for begin, until in spans) for instant, _ in spans),
        default=0,
    )


@thorough
@given(calendars(), st.integers(1, 3), st.integers(-60, 60))
def test_rule_42_never_above_capacity_and_never_two_in_a_room(
    events: list[CalendarEvent], capacity: int, minutes: int
) -> None:
    """At every instant, by brute force; and every skipped one would have been too many."""
    now = at(minutes)
    under = replace(TRUSTING, capacity=capacity)
    found = plan(events, now, under=under)
    stays = list(found.stays.values())
    assert at_once([(each.join_at, each.leave_by) for each in stays]) <= capacity
    for one, other in itertools.combinations(stays, 2):
        apart = one.meetings[-1].end < other.meetings[0].start
        apart = apart or other.meetings[-1].end < one.meetings[0].start
        assert one.room != other.room or apart
    for stay in stays:
        assert stay.join_at < stay.leave_by
        assert stay.leave_by > now
        assert all(each.decision.join and each.end > now for each in stay.meetings)
    wanted = {each.event.occurrence for each in found.judged if each.decision.join}
    assert wanted == {each.occurrence for stay in stays for each in stay.meetings}


def drawn_rivals(number: int) -> list[CalendarEvent]:
    """Build one that is on at ten, one that follows in its room, and one in another room."""
    ends, follows, lasts, rivals, goes_on = pick(number, 20, 25, 30, 40, 30)
    start, rival = at(follows), at(rivals)
    return [
        event("on", start=at(-1), end=at(1 + ends), room=ROOMS[0]),
        event(
            "follows",
            start=start,
            end=start + timedelta(minutes=1 + lasts),
            room=ROOMS[0],
            answer=Answer.UNANSWERED,
        ),
        event("rival", start=rival, end=rival + timedelta(minutes=1 + goes_on), room=ROOMS[1]),
    ]


@thorough
@given(st.integers(0, 20 * 25 * 30 * 40 * 30 - 1).map(drawn_rivals), calendars())
def test_rule_42_whoever_is_skipped_finds_no_place(
    first: list[CalendarEvent], rest: list[CalendarEvent]
) -> None:
    """With one place: what we are in has it, or who is before it in line."""
    under = replace(TRUSTING, capacity=1)
    session = record(meeting("on", start=at(-1), end=first[0].end, room=ROOMS[0]))
    found = plan([*first, *rest], TEN, records=[session], under=under)
    for item in found.judged:
        if item.decision.code is not Code.AT_CAPACITY:
            continue
        [asked] = judge([item.event], under, {})
        skipped = meeting_of(asked, under)
        assert skipped is not None
        # What is close by in its room is one presence with it: the gap takes a place too.
        begin, until = skipped.start - under.merge_window, skipped.end + under.merge_window
        rivals = [
            (min(each.start for each in ahead) - LEAD, max(each.end for each in ahead))
            for stay in found.stays.values()
            if stay.room != skipped.room
            and (ahead := [m for m in stay.meetings if is_before(m, skipped)])
        ]
        assert any(since < until and begin < last for since, last in rivals)


def is_before(one: Meeting, other: Meeting) -> bool:
    """Whether it has the better claim: that which we are in, or what is before it in line."""
    return one.occurrence == "on" or in_line(one) < in_line(other)


def in_line(meeting: Meeting) -> tuple[bool, datetime, str]:
    return meeting.decision.code is not Code.ACCEPTED, meeting.start, meeting.key


@thorough
@given(calendars(), st.integers(1, 2))
def test_the_first_in_line_always_gets_a_place(
    events: list[CalendarEvent], capacity: int
) -> None:
    """Whoever has the best claim is never skipped for capacity."""
    now = at(-120)
    items = judge(events, TRUSTING, {})
    wanted = [found for item in items if (found := meeting_of(item, TRUSTING))]
    skipped = {
        each.event.occurrence
        for each in plan(events, now, under=replace(TRUSTING, capacity=capacity)).judged
        if each.decision.code is Code.AT_CAPACITY
    }
    line = sorted(wanted, key=in_line)
    assert not skipped & {each.occurrence for each in line[:capacity]}


def drawn_span(number: int) -> Span:
    start, before, lasts, where = pick(number, 60, 4, 30, 4)
    begin = at(start - before)
    return Span(begin, at(start + 1 + lasts), at(start), "abcd"[where])


def spans() -> st.SearchStrategy[Span]:
    return st.integers(0, 60 * 4 * 30 * 4 - 1).map(drawn_span)


@thorough
@given(st.lists(spans(), max_size=12), spans(), st.integers(1, 3))
# Of two that begin together in a room, the one that is over first starts last.
@example([drawn_span(number) for number in (2585, 6482, 10801)], drawn_span(0), 1)
def test_a_place_is_free_exactly_if_brute_force_says_so(
    held: list[Span], wanted: Span, capacity: int
) -> None:
    """With the gaps between a room's spans filled, minute by minute; what it holds, it holds."""
    gap = timedelta(minutes=2)
    load = Load(capacity, gap)
    for span in held:
        load.add(span)
    joined = rooms_by_minute(held, gap)
    own = [each for each in held if each.room_id == wanted.room_id]
    free = all(
        len(joined.get(minute, set()) - {wanted.room_id}) < capacity
        for minute in reach(wanted, own, gap)
        if wanted.room_id not in joined.get(minute, set())
    )
    assert load.has_room(wanted) is free


def reach(span: Span, others: list[Span], gap: timedelta) -> set[datetime]:
    """Answer the minutes of the presence that `span` is a part of, found by growing it."""
    part, rest = [span], list(others)
    while near := [each for each in rest if any(each.joins(own, gap) for own in part)]:
        part += near
        rest = [each for each in rest if each not in near]
    begin, until = min(each.begin for each in part), max(each.until for each in part)
    return {
        begin + timedelta(minutes=n) for n in range((until - begin) // timedelta(minutes=1))
    }


def rooms_by_minute(all_spans: list[Span], gap: timedelta) -> dict[datetime, set[str]]:
    held: dict[datetime, set[str]] = {}
    for span in all_spans:
        own = [each for each in all_spans if each.room_id == span.room_id]
        for minute in reach(span, own, gap):
            held.setdefault(minute, set()).add(span.room_id)
    return held
