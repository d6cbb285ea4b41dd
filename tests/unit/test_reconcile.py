"""What one pass does about the sessions that are open: stay, leave, amend, try again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from locum.core.model import (
    Adopt,
    Amend,
    Answer,
    CalendarEvent,
    Code,
    EndReason,
    EventStatus,
    GiveUp,
    Join,
    Leave,
    Mark,
    OccurrenceKey,
    Phase,
    SessionKey,
    SessionRecord,
    WriteUp,
)
from locum.core.reconcile import next_wakeup
from tests.unit.builders import (
    BOSS,
    LEAD,
    OTHER_ROOM,
    STRANGER,
    TEN,
    act,
    at,
    decision_of,
    ended,
    event,
    joins,
    leaves,
    meeting,
    plan,
    policy,
    record,
    room,
)

KEY = SessionKey(meeting().key)
TOMORROW: dict[str, Any] = {
    "start": TEN + timedelta(days=1),
    "end": TEN + timedelta(days=1, minutes=30),
}
GONE = event(status=EventStatus.CANCELLED)


def waiting(**changes: Any) -> SessionRecord:
    """Answer a session whose first attempt failed, to be tried again at 10:01."""
    base: dict[str, Any] = {
        "phase": Phase.JOINING,
        "retry_at": at(1),
        "end_reason": EndReason.ENGINE_LOST,
        "attempts": 1,
    }
    return record(**(base | changes))


def in_endless(**changes: Any) -> SessionRecord:
    """Answer the session in a meeting without an end, which may last to the cap."""
    session = record(meeting(end=None), **changes)
    return replace(session, leave_by=session.claimed_at + timedelta(hours=4))


def amended(
    events: list[CalendarEvent], now: datetime, session: SessionRecord, **changes: Any
) -> SessionRecord:
    """Answer the session as its one amendment makes it; nothing else must happen."""
    [action] = act(events, now, [session], **changes)
    assert isinstance(action, Amend), action
    return replace(session, leave_by=action.leave_by, meetings=action.meetings)


# ── entering ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-31, 0), (-30, 1), (0, 1), (1799, 1), (1800, 0)]
)
def test_rule_01_02_03_the_join_is_due_from_the_lead_to_the_end(
    seconds: int, expected: int
) -> None:
    """Not a second earlier, and none at the end."""
    assert len(joins(act([event()], TEN + timedelta(seconds=seconds)))) == expected


def test_rule_04_the_stale_time_does_nothing() -> None:
    """At the old S-L of a moved meeting there is nothing to do."""
    assert act([event(start=at(60), end=at(90))], TEN - LEAD) == ()


def test_rule_15_only_the_last_edit_counts() -> None:
    """Level-triggered: a time that the event had in between leaves no trace."""
    assert [stay.meetings[0].start for stay in joins(act([event(start=at(-1))], TEN))] == [
        at(-1)
    ]


def test_rule_42_joins_stay_within_the_capacity_of_what_is_held() -> None:
    """A session that is still leaving holds its place and its room."""
    leaving = record(phase=Phase.LEAVING, end_reason=EndReason.SCHEDULED_END)
    fresh = event("fresh", room=OTHER_ROOM)
    over = event(end=at(4))
    assert act([over, fresh], at(5), [leaving], under=policy(capacity=1)) == ()
    assert len(joins(act([over, fresh], at(5), [leaving], under=policy(capacity=2)))) == 1
    again = event("again")
    assert act([over, again], at(5), [leaving]) == ()


def test_rule_42_a_freed_place_goes_to_the_better_claim() -> None:
    """An accepted meeting enters before one that nobody answered, whichever is earlier."""
    under = policy(capacity=2, trusted_organizers=("boss@example.com",))
    events = [
        event("maybe", answer=Answer.UNANSWERED, organizer=BOSS, room=OTHER_ROOM),
        event("yes", start=at(2), room=room("yyy-yyyy-yyy")),
    ]
    leaving = record(phase=Phase.LEAVING, end_reason=EndReason.CANCELLED)
    [stay] = joins(act(events, at(5), [leaving], under=under))
    assert stay.title == "Weekly sync"
    assert stay.meetings[0].occurrence == "yes"


def test_rule_43_by_hand_in_that_room_already_means_no_second_one() -> None:
    """The open session takes the meeting over, and gives it a summary of its own."""
    by_hand = record(meeting("by-hand", start=at(-20), end=at(200)))
    by_hand_event = event("by-hand", start=at(-20), end=at(200))
    later = amended([by_hand_event, event()], TEN, by_hand)
    assert [each.occurrence for each in later.meetings] == ["by-hand", "weekly"]


# ── moving times, while we are in ────────────────────────────────────────────────────────


def test_rule_07_moved_later_after_we_joined() -> None:
    """Leave if nobody else is there, join again at the new S; the stay there is a new one."""
    moved = event(start=at(60), end=at(90))
    for others in (0, None):
        session = record(others_present=others)
        assert leaves(act([moved], at(5), [session])) == {KEY: EndReason.MOVED}
    gone = ended(EndReason.MOVED, at(6))
    assert act([moved], at(7), [gone]) == ()
    [stay] = joins(act([moved], at(59.5), [gone]))
    assert stay.key == f"{moved.occurrence}@20261123T110000Z"


def test_rule_07_moved_later_with_people_in_the_room() -> None:
    """Nobody walks out on them; once they are gone we are, and come again at the new S."""
    moved = event(start=at(60), end=at(90))
    session = amended([moved], at(5), record(others_present=1))
    assert act([moved], at(20), [session]) == ()
    alone = replace(session, others_present=0)
    assert leaves(act([moved], at(21), [alone])) == {KEY: EndReason.MOVED}
    gone = replace(alone, phase=Phase.FILED, end_reason=EndReason.MOVED, ended_at=at(21))
    assert act([moved], at(59), [gone]) == ()
    assert len(joins(act([moved], at(59.5), [gone]))) == 1


def test_rule_07_those_who_stay_until_the_new_start_are_in_it_already() -> None:
    """Moved by half an hour, nobody left: one presence, and the new E counts."""
    moved = event(start=at(30), end=at(60))
    session = amended([moved], at(5), record(others_present=3))
    session = amended([moved], at(29.5), session)
    assert (session.leave_by, session.meetings[0].start) == (at(60), at(30))
    assert leaves(act([moved], at(60), [session])) == {KEY: EndReason.SCHEDULED_END}


@pytest.mark.parametrize(
    "moved", [event(start=at(60), end=at(90)), event(**TOMORROW), event(end=at(5))]
)
def test_rule_07_08_10_by_setting_people_hold_nobody(moved: CalendarEvent) -> None:
    """With stay_with_people off, whoever is there, we leave."""
    leaving = policy(stay_with_people=False)
    session = record(others_present=3)
    assert list(leaves(act([moved], at(10), [session], under=leaving))) == [KEY]
    assert leaves(act([moved], at(10), [session])) == {}


@pytest.mark.parametrize("minutes", [5, 29, 31, 120])
def test_rule_08_moved_to_another_day_while_people_are_in_the_room(minutes: float) -> None:
    """Stay until the room empties, past the old E too; then leave and come at the new S."""
    moved = event(**TOMORROW)
    session = record(others_present=2)
    session = amended([moved], at(5), session)
    assert leaves(act([moved], at(minutes), [session])) == {}
    empty = replace(session, others_present=0)
    assert leaves(act([moved], at(minutes), [empty])) == {KEY: EndReason.MOVED}


def test_rule_08_staying_with_people_ends_at_the_cap() -> None:
    """Never left running: four hours after the claim it is over, people or not."""
    session = amended([event(**TOMORROW)], at(5), record(others_present=2))
    assert session.leave_by == session.claimed_at + timedelta(hours=4)
    late = act([event(**TOMORROW)], session.leave_by, [session])
    assert leaves(late) == {KEY: EndReason.MOVED}


def test_rule_08_people_seen_before_we_were_dropped_do_not_count() -> None:
    """A session that only waits to be tried again is in no room."""
    dropped = waiting(others_present=2, admitted_at=TEN)
    [action] = act([event(**TOMORROW)], at(2), [dropped])
    assert action == GiveUp(KEY, Phase.ENDED, EndReason.MOVED)


def test_moved_a_little_while_in_it_stays_in_one_presence() -> None:
    """Earlier, or later by less than the merge window: one session, one meeting, new times."""
    for start, end in ((at(-10), at(20)), (at(6), at(36))):
        session = amended([event(start=start, end=end)], at(5), record())
        assert [(each.start, each.end) for each in session.meetings] == [(start, end)]
        assert session.leave_by == end


def test_rule_09_extended_while_in_it() -> None:
    """The new E counts, and at the old one nothing happens."""
    longer = event(end=at(50))
    session = amended([longer], at(10), record())
    assert session.leave_by == at(50)
    assert act([longer], at(31), [session]) == ()
    assert leaves(act([longer], at(50), [session])) == {KEY: EndReason.SCHEDULED_END}


def test_rule_10_shortened_below_now() -> None:
    """Leave in the same pass, unless people are seen; with them until the former end."""
    short = event(end=at(5))
    for others in (0, None):
        actions = act([short], at(10), [record(others_present=others)])
        assert leaves(actions) == {KEY: EndReason.SCHEDULED_END}
    with_people = record(others_present=1)
    assert act([short], at(10), [with_people]) == ()
    assert leaves(act([short], at(30), [with_people])) == {KEY: EndReason.SCHEDULED_END}


def test_rule_06_moved_wholly_into_the_past_while_in_it() -> None:
    """It is over by the calendar: leave, and say that it was moved."""
    actions = act([event(start=at(-60), end=at(-30))], at(5), [record()])
    assert leaves(actions) == {KEY: EndReason.MOVED}


def test_rule_12_cancelled_while_in_it() -> None:
    """Leave in the same pass, whoever is there."""
    for others in (None, 0, 5):
        actions = act([GONE], at(5), [record(others_present=others)])
        assert leaves(actions) == {KEY: EndReason.CANCELLED}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": EventStatus.CANCELLED}, EndReason.CANCELLED),
        ({"answer": Answer.DECLINED}, EndReason.DECLINED),
    ],
)
def test_rule_12_and_20_by_setting_we_stay_to_the_end_or_until_alone(
    change: dict[str, Any], reason: EndReason
) -> None:
    """With leave_when_cancelled off, only an empty room or the end makes us leave."""
    staying = policy(leave_when_cancelled=False)
    for others in (None, 3):
        session = record(others_present=others)
        assert act([event(**change)], at(5), [session], under=staying) == ()
        assert leaves(act([event(**change)], at(30), [session], under=staying)) == {
            KEY: EndReason.SCHEDULED_END
        }
    alone = record(others_present=0)
    assert leaves(act([event(**change)], at(5), [alone], under=staying)) == {KEY: reason}


@pytest.mark.parametrize("phase", [Phase.JOINING, Phase.WAITING])
def test_rule_11_cancelled_before_we_are_in_is_left_even_by_setting(phase: Phase) -> None:
    """The setting is about meetings that we are in."""
    outside = record(phase=phase)
    actions = act([GONE], at(1), [outside], under=policy(leave_when_cancelled=False))
    assert leaves(actions) == {KEY: EndReason.CANCELLED}


def test_rule_11_a_later_meeting_of_the_room_cancelled_in_time_drops_out() -> None:
    """We leave at the first one's end, and the other one gets no summary."""
    both = record(meeting(), meeting("next", start=at(30), end=at(60)))
    gone = event("next", start=at(30), end=at(60), status=EventStatus.CANCELLED)
    for under in (policy(), policy(leave_when_cancelled=False)):
        session = amended([event(), gone], at(5), both, under=under)
        assert (session.leave_by, len(session.meetings)) == (at(30), 1)


def test_what_was_cancelled_before_we_got_in_leaves_the_record() -> None:
    """Another meeting keeps us trying; the cancelled one, never sat in, gets no summary."""
    other = event("other", start=at(1), end=at(40))
    both = waiting(
        meetings=(meeting(), meeting("other", start=at(1), end=at(40))), retry_at=at(5)
    )
    [retry] = joins(act([GONE, other], at(5), [both]))
    assert [each.occurrence for each in retry.meetings] == ["other"]
    sat_in = replace(both, admitted_at=at(1))
    [retry] = joins(act([GONE, other], at(5), [sat_in]))
    assert [each.occurrence for each in retry.meetings] == ["weekly", "other"]
    [retry] = joins(act([event(end=at(4)), other], at(5), [both]))
    assert [each.occurrence for each in retry.meetings] == ["other"]


def test_rule_13_cancelled_and_uncancelled_while_leaving_is_entered_again() -> None:
    """What is leaving isn't called back: it ends, and a new session begins."""
    leaving = record(phase=Phase.LEAVING, end_reason=EndReason.CANCELLED)
    assert act([event()], at(6), [leaving]) == ()
    out = replace(leaving, phase=Phase.ENDED, ended_at=at(6))
    [stay] = joins(act([event()], at(6), [out], running=()))
    assert stay.key == f"{KEY}~2"


def test_rule_20_declined_while_in_it_then_accepted_again() -> None:
    """Leave at the no; at the later yes, before E, come back."""
    assert leaves(act([event(answer=Answer.DECLINED)], at(5), [record()])) == {
        KEY: EndReason.DECLINED
    }
    assert len(joins(act([event()], at(9), [ended(EndReason.DECLINED, at(6))]))) == 1


def test_rule_20_declined_and_unlinked_at_once_is_declined() -> None:
    """A link that vanishes doesn't hold whom the account's no sends home."""
    both = event(answer=Answer.DECLINED, room=None)
    assert leaves(act([both], at(5), [record()])) == {KEY: EndReason.DECLINED}


@pytest.mark.parametrize("mark", list(Mark))
def test_rule_28_a_persons_word_ends_it(mark: Mark) -> None:
    """Skipped, stopped by hand or opted out of while we are in: leave, for that reason."""
    actions = act([event()], at(5), [record()], marks={meeting().occurrence: mark})
    opted_out = mark is Mark.OPT_OUT
    reason = EndReason.OPTED_OUT if opted_out else EndReason.STOPPED_BY_USER
    assert leaves(actions) == {KEY: reason}


@pytest.mark.parametrize(
    "change", [{"details_visible": False}, {"answer": Answer.UNANSWERED, "organizer": STRANGER}]
)
def test_what_is_wanted_no_more_is_left(change: dict[str, Any]) -> None:
    """Any other reason not to be there counts as unwanted."""
    assert leaves(act([event(**change)], at(5), [record()])) == {KEY: EndReason.UNWANTED}


@pytest.mark.parametrize("now", [29, 30])
def test_rule_08_28_what_is_skipped_in_a_shared_room_bars_nothing_else(now: int) -> None:
    """Of three in one presence one is skipped; the one that was moved is gone to at its new time.

    Whether the session runs to the first one's end, or is left before, because that is cancelled.
    """
    status = EventStatus.CANCELLED if now < 30 else EventStatus.CONFIRMED
    first, skipped = event(status=status), event("skipped", end=at(45))
    moved = event("moved", start=at(55), end=at(70))
    marks = {OccurrenceKey("skipped"): Mark.SKIP}
    noted = meeting(), meeting("skipped", end=at(45)), meeting("moved", end=at(44))
    session = record(*noted, leave_by=at(30))
    shown = [first, skipped, moved]
    [reason] = leaves(act(shown, at(now), [session], marks=marks)).values()
    assert reason is (EndReason.UNWANTED if now < 30 else EndReason.SCHEDULED_END)
    out = replace(session, phase=Phase.FILED, end_reason=reason, ended_at=at(now + 1))
    [stay] = joins(act(shown, at(54.5), [out], marks=marks))
    assert [each.occurrence for each in stay.meetings] == ["moved"]


def test_rule_60_an_event_out_of_sight_ends_its_session() -> None:
    """Dropped by its calendar: unwanted. Merely over: the scheduled end."""
    assert leaves(act([], at(5), [record()])) == {KEY: EndReason.UNWANTED}
    assert leaves(act([], at(31), [record()])) == {KEY: EndReason.SCHEDULED_END}


def test_rule_17_18_the_cap_ends_what_has_no_end() -> None:
    """Four hours after the claim, an endless meeting is left; not a second before."""
    endless = record(meeting(end=None))
    cap = endless.claimed_at + timedelta(hours=4)
    session = amended([event(end=None)], at(5), endless)
    assert session.leave_by == cap
    assert act([event(end=None)], cap - timedelta(seconds=1), [session]) == ()
    assert leaves(act([event(end=None)], cap, [session])) == {KEY: EndReason.LENGTH_CAP}
    late = record(meeting(end=None), claimed_at=at(3), leave_by=at(240))
    assert leaves(act([event(end=None)], at(240), [late])) == {KEY: EndReason.LENGTH_CAP}


@pytest.mark.parametrize("end", [None, TEN])
def test_rule_17_without_an_end_the_empty_room_is_the_end(end: datetime | None) -> None:
    """Left when the last of those who came has gone, and not entered again."""
    endless = event(end=end)
    session = in_endless(others_present=2, accompanied=True)
    assert act([endless], at(40), [session]) == ()
    emptied = replace(session, others_present=0)
    assert act([endless], at(40), [emptied]) == (Leave(KEY, EndReason.ROOM_EMPTY),)
    leaving = replace(emptied, phase=Phase.LEAVING, end_reason=EndReason.ROOM_EMPTY)
    assert act([endless], at(40), [leaving]) == ()
    gone = replace(leaving, phase=Phase.FILED, ended_at=at(41))
    assert act([endless], at(42), [gone]) == ()
    assert decision_of(plan([endless], at(42), records=[gone])).code is Code.ENDED_BEFORE


@pytest.mark.parametrize(
    ("minutes", "others", "came"), [(40, 0, False), (40, None, False), (9, 0, True)]
)
def test_rule_17_a_room_where_nobody_has_come_yet_is_waited_in(
    minutes: float,
    others: int | None,
    came: bool,  # noqa: FBT001 - A case of the table.
) -> None:
    """Nobody came yet, the engine can't see, or those who met before us have just gone."""
    session = in_endless(others_present=others, accompanied=came)
    assert act([event(end=None)], at(minutes), [session]) == ()


@pytest.mark.parametrize("change", [{}, {"room": None}])
def test_rule_09_17_an_end_that_was_given_while_in_it_counts(change: dict[str, Any]) -> None:
    """Whoever gave it an end is coming back: what the session noted before doesn't count."""
    session = in_endless(others_present=0, accompanied=True)
    given = event(end=at(60), **change)
    assert amended([given], at(40), session).leave_by == at(60)
    assert leaves(act([given], at(60), [session])) != {}


def test_rule_17_a_meeting_that_has_an_end_outlives_an_empty_room() -> None:
    """They may be back from their break; and the one after it in the room still comes."""
    session = record(others_present=0, accompanied=True)
    assert act([event()], at(15), [session]) == ()
    endless, later = event("endless", end=None), event("later", start=at(30), end=at(60))
    both = record(meeting("endless", end=None), others_present=0, accompanied=True)
    assert leaves(act([endless, later], at(15), [both])) == {both.key: EndReason.ROOM_EMPTY}


# ── rooms and links ──────────────────────────────────────────────────────────────────────


def test_rule_41_the_next_meeting_in_the_room_prolongs_the_stay() -> None:
    """Overlapping or adjoining: one presence until the last E, and both are written up."""
    follower = event("next", start=at(31), end=at(60))
    session = amended([event(), follower], at(5), record())
    assert session.leave_by == at(60)
    assert act([event(), follower], at(40), [session]) == ()
    assert [each.occurrence for each in session.meetings] == ["weekly", "next"]
    assert leaves(act([event(), follower], at(60), [session])) == {KEY: EndReason.SCHEDULED_END}


def test_rule_41_over_the_merge_window_it_is_left_and_entered_again() -> None:
    """A gap of three minutes: out at the first E, in at the second S-L."""
    follower = event("next", start=at(33), end=at(60))
    assert leaves(act([event(), follower], at(30), [record()])) == {
        KEY: EndReason.SCHEDULED_END
    }
    out = ended(EndReason.SCHEDULED_END, at(30))
    assert act([event(), follower], at(32), [out]) == ()
    assert len(joins(act([event(), follower], at(32.5), [out]))) == 1


def test_rule_45_the_link_changed_while_in_it() -> None:
    """Leave the old room and enter the new one, in one pass."""
    actions = act([event(room=OTHER_ROOM)], at(5), [record()])
    assert actions[0] == Leave(KEY, EndReason.LINK_CHANGED)
    [stay] = joins(actions)
    assert (stay.room, stay.key) == (OTHER_ROOM, f"{KEY}~2")


def test_rule_45_the_link_removed_before_and_while_in_it() -> None:
    """Before: none. While in it, or in its lobby: stay to E, and to a new E."""
    bare = event(room=None)
    assert act([bare], TEN) == ()
    assert leaves(act([bare], TEN, [record(phase=Phase.JOINING)])) == {KEY: EndReason.UNWANTED}
    for session in (record(), record(phase=Phase.WAITING)):
        assert act([bare], at(5), [session]) == ()
    longer = amended([event(room=None, end=at(40))], at(5), record())
    assert leaves(act([event(room=None, end=at(40))], at(40), [longer])) == {
        KEY: EndReason.SCHEDULED_END
    }
    endless = amended([event(room=None, end=None)], at(29), record())
    assert endless.leave_by == endless.claimed_at + timedelta(hours=4)


def test_rule_45_the_link_removed_after_we_were_dropped() -> None:
    """Nobody enters a room again that the event doesn't name any more."""
    dropped = waiting(admitted_at=TEN)
    [action] = act([event(room=None)], at(2), [dropped])
    assert action == GiveUp(KEY, Phase.ENDED, EndReason.UNWANTED)


def test_rule_45_the_link_removed_and_the_meeting_moved_away() -> None:
    """There is nothing to stay for."""
    assert leaves(act([event(room=None, **TOMORROW)], at(5), [record()])) == {
        KEY: EndReason.UNWANTED
    }


def test_rule_45_a_later_meetings_link_removed_in_time() -> None:
    """Of two in a row, the second has no room any more before it began."""
    both = record(meeting(), meeting("next", start=at(30), end=at(60)))
    bare = event("next", start=at(30), end=at(60), room=None)
    assert amended([event(), bare], at(5), both).leave_by == at(30)


def test_rule_46_a_link_added_late_is_joined() -> None:
    """The event was there without one; before E it gets one."""
    assert act([event(room=None)], at(5)) == ()
    assert len(joins(act([event()], at(20)))) == 1


def test_the_reason_is_that_of_the_meeting_that_was_to_end_last() -> None:
    """An overlapping shorter meeting that is over doesn't hide the cancelled longer one."""
    both = record(meeting(), meeting("short", start=at(5), end=at(10)))
    events = [GONE, event("short", start=at(5), end=at(10))]
    assert leaves(act(events, at(15), [both])) == {KEY: EndReason.CANCELLED}


# ── failed joins ─────────────────────────────────────────────────────────────────────────


def test_rule_44_a_failed_join_is_tried_again_when_due() -> None:
    """Not before; then with the record of what went before."""
    session = waiting()
    assert act([event()], at(0.9), [session]) == ()
    [action] = act([event()], at(1), [session])
    assert isinstance(action, Join)
    assert (action.record, action.stay.key) == (session, KEY)


def test_rule_44_after_the_grace_it_is_given_up() -> None:
    """With the reason of the last failure; and it isn't begun anew."""
    [action] = act([event()], at(10), [waiting()])
    assert action == GiveUp(KEY, Phase.FAILED, EndReason.ENGINE_LOST)
    failed = replace(waiting(), phase=Phase.FAILED, ended_at=at(10), retry_at=None)
    assert act([event()], at(10), [failed]) == ()


def test_rule_44_the_pauses_grow_and_the_last_one_repeats() -> None:
    """Five seconds, fifteen, forty-five, and then a minute and a half each time."""
    pauses = [policy().retry.delay_after(n).total_seconds() for n in range(1, 7)]
    assert pauses == [5, 15, 45, 90, 90, 90]


def test_rule_44_never_past_the_end() -> None:
    """The meeting is over, or was shortened: no further try."""
    late = waiting(give_up_at=at(60))
    assert act([event()], at(30), [late]) == (
        GiveUp(KEY, Phase.MISSED, EndReason.SCHEDULED_END),
    )


@pytest.mark.parametrize("was", [{"admitted_at": TEN}, {"unseen": True}])
def test_what_was_attended_for_a_minute_is_owed_a_summary(was: dict[str, Any]) -> None:
    """Dropped, or gone while nobody was up, and tried again in vain: it ends as attended."""
    dropped = waiting(**was)
    assert act([event()], at(10), [dropped]) == (
        GiveUp(KEY, Phase.ENDED, EndReason.ENGINE_LOST),
    )


def test_a_failed_join_without_a_reason_counts_as_too_late() -> None:
    """A ledger that an older version wrote may lack it."""
    bare = waiting(end_reason=None)
    assert act([event()], at(10), [bare]) == (GiveUp(KEY, Phase.MISSED, EndReason.TOO_LATE),)


# ── restarts ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "phase", [Phase.JOINING, Phase.AMBIGUOUS, Phase.WAITING, Phase.LIVE, Phase.LEAVING]
)
def test_rule_52_53_an_open_session_that_nobody_attends_is_adopted(phase: Phase) -> None:
    """Once, whether its meeting is still wanted or not; never is the room entered twice."""
    session = record(phase=phase)
    assert act([event()], at(5), [session], running=()) == (Adopt(session),)
    assert act([GONE], at(5), [session], running=()) == (Adopt(session),)


def test_rule_51_back_before_the_end_joins_back_after_it_misses() -> None:
    """Down over S: join now. Down over E: missed, once, with its reason."""
    over = frozenset({meeting().occurrence})
    assert len(joins(act([event()], at(8), once_joinable=over))) == 1
    [action] = act([event()], at(31), once_joinable=over)
    assert isinstance(action, GiveUp)
    assert (action.phase, action.reason) == (Phase.MISSED, EndReason.TOO_LATE)
    assert action.stay is not None
    assert action.stay.meetings[0].occurrence == "weekly"


@pytest.mark.parametrize("jump", [-60, 60])
def test_rule_55_the_clock_jumps_an_hour_and_back(jump: int) -> None:
    """Never two in the room, and back in at once when the clock is right again."""
    sessions = [record()]
    if jump > 0:
        assert leaves(act([event()], at(5 + jump), sessions)) == {KEY: EndReason.SCHEDULED_END}
        sessions = [ended(EndReason.SCHEDULED_END, at(5 + jump))]
        assert len(joins(act([event()], at(6), sessions))) == 1
    else:
        assert act([event()], at(5 + jump), sessions) == ()
        assert act([event()], at(6), sessions) == ()


def test_a_lead_that_was_lowered_meanwhile_ends_nothing() -> None:
    """Entered by the old lead, the session waits for its meeting."""
    early = record(join_at=at(-60), claimed_at=at(-60))
    assert act([event()], at(-50), [early]) == ()


# ── write-ups and wake-ups ───────────────────────────────────────────────────────────────


def test_an_ended_session_is_written_up_when_due_and_by_one() -> None:
    """Not while somebody is at it, and not before its next try."""
    out = ended(EndReason.SCHEDULED_END, at(30), phase=Phase.ENDED)
    assert act([], at(31), [out], running=()) == (WriteUp(KEY),)
    assert act([], at(31), [out], running=[KEY]) == ()
    later = replace(out, retry_at=at(40))
    assert act([], at(39), [later], running=()) == ()
    assert act([], at(40), [later], running=()) == (WriteUp(KEY),)


def test_the_next_wakeup_is_the_next_join_end_or_retry() -> None:
    """The earliest instant ahead at which there may be something to do."""
    events = [event(), event("later", start=at(60), end=at(90), room=OTHER_ROOM)]

    def wakeup(now: datetime, *sessions: SessionRecord) -> datetime | None:
        return next_wakeup(plan(events, now, records=sessions), sessions, now)

    assert wakeup(at(-5)) == TEN - LEAD
    assert wakeup(at(5), record()) == at(30)
    assert wakeup(at(0.5), waiting()) == at(1)
    assert wakeup(at(1), waiting()) == at(10)
    assert wakeup(at(95)) is None
    retried = ended(EndReason.SCHEDULED_END, at(90), phase=Phase.ENDED, retry_at=at(99))
    assert wakeup(at(95), retried) == at(99)


def test_leaves_come_before_joins() -> None:
    """A room or a place is asked back before it is given away."""
    events = [event(end=at(5)), event("next", start=at(5), room=OTHER_ROOM)]
    kinds = [type(action) for action in act(events, at(5), [record()])]
    assert kinds == [Leave, Join]


def test_a_decision_about_what_we_are_in_stays_join() -> None:
    """`why` doesn't tell of a meeting that we sit in that it is skipped."""
    decision = decision_of(plan([event()], at(5), records=[record()]))
    assert (decision.join, decision.code) == (True, Code.ACCEPTED)
