"""Sessions in the ledger: what is refused, what is logged, and who holds a room."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from locum.core.lifecycle import may_follow
from locum.core.model import (
    BY_HAND,
    OPEN_PHASES,
    EndReason,
    Phase,
    SessionHandle,
    SessionKey,
)
from locum.ledger import (
    Database,
    Ledger,
    RoomTakenError,
    StaleError,
)
from locum.ledger.sessions import total_cost
from locum.ports import EngineNote, Remains
from tests.integration.ledger_rig import (
    PRICES,
    claim,
    claimed,
    phase_of,
    reading,
    stay,
)
from tests.unit.builders import HOME, OTHER_ROOM, TEN, at, event, only, room


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger(Database(path))
    yield opened
    opened.close()


# ── claiming ─────────────────────────────────────────────────────────────────────────────


def test_a_claim_writes_the_session_its_first_attempt_and_the_reason(ledger: Ledger) -> None:
    """Before any engine is called, all of it is there, and it reads back whole."""
    key = claimed(ledger)
    record = ledger.sessions.get(key)
    assert record is not None
    assert (record.phase, record.attempts, record.room) == (Phase.JOINING, 1, room())
    assert record.meetings == stay().meetings
    assert (record.claimed_at, record.leave_by) == (TEN, at(30))
    [attempt] = ledger.sessions.attempts(key)
    assert (attempt.number, attempt.engine, attempt.price_per_minute) == (1, "stage", 0.275)
    [transition] = ledger.sessions.transitions(key)
    assert (transition.before, transition.after, transition.at) == (None, Phase.JOINING, TEN)


@pytest.mark.parametrize(
    ("now", "expected"), [(at(-60), at(10)), (at(5), at(15)), (at(25), at(30))]
)
def test_rule_44_the_grace_counts_from_the_start_and_ends_with_the_meeting(
    ledger: Ledger, now: datetime, expected: datetime
) -> None:
    """Entered an hour early by a long lead, a lobby is waited in until after the start."""
    ledger.calendars.apply(reading(event()))
    claim(ledger, stay(), now=now)
    record = ledger.sessions.get(stay().key)
    assert record is not None
    assert record.give_up_at == expected


def test_the_database_itself_refuses_a_second_session_in_a_room(
    ledger: Ledger, path: Path
) -> None:
    """Whoever writes: another code path, another process, a person with a shell."""
    claimed(ledger)
    with sqlite3.connect(path) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(
            "INSERT INTO sessions (key, phase, room_id, room, engine, persona, join_at, "
            "leave_by, meetings, claimed_at, give_up_at) "
            "SELECT 'second', 'live', room_id, room, engine, persona, join_at, leave_by, "
            "meetings, claimed_at, give_up_at FROM sessions"
        )
    other.close()


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase in OPEN_PHASES])
def test_every_open_phase_holds_the_room(ledger: Ledger, path: Path, phase: Phase) -> None:
    """Joining, lost, in the lobby, in, leaving: nobody else of us enters."""
    claimed(ledger)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE sessions SET phase = ?", (phase.value,))
    other.close()
    ledger.calendars.apply(reading(event(), event("second")))
    [outcome] = claim(ledger, stay("second"))
    assert isinstance(outcome, RoomTakenError)


def test_an_ended_session_gives_its_room_back(ledger: Ledger) -> None:
    """A second meeting there is a new session; a second claim of the same key is refused."""
    key = claimed(ledger)
    ledger.sessions.transition(key, Phase.FAILED, at=at(1), ended_at=at(1))
    assert claim(ledger, stay()) != [None]
    assert claimed(ledger, "second") == stay("second").key


def test_a_claim_is_all_or_nothing_for_each_stay_in_one_commit(ledger: Ledger) -> None:
    """Of five, the one in a taken room, the stale and the double one leave no trace."""
    held = claimed(ledger, "held")
    events = [event(f"e{n}", room=room(f"aaa-aaaa-aa{'abc'[n]}")) for n in range(3)]
    ledger.calendars.apply(reading(event("held"), event("late"), *events))
    stale = only([replace(events[1], revision="0")], at(-60))
    stays = [only([each], at(-60)) for each in events]
    wanted = [stays[0], stale, stay("late"), stays[2]]
    kinds = [type(each) for each in claim(ledger, *wanted)]
    assert kinds == [type(None), StaleError, RoomTakenError, type(None)]
    found = {each.key for each in ledger.sessions.newest(20)}
    assert found == {held, stays[0].key, stays[2].key}
    assert ledger.sessions.attempts(stale.key) == ()
    assert ledger.sessions.transitions(stay("late").key) == ()


def test_rule_16_an_edit_between_planning_and_claiming_refuses_the_claim(
    ledger: Ledger,
) -> None:
    """Edited, cancelled or gone meanwhile: plan anew."""
    planned = stay()
    for current in ([event(revision="2")], [event("other")], []):
        ledger.calendars.apply(reading(*current))
        ledger.calendars.apply(reading(*current))
        [outcome] = claim(ledger, planned)
        assert isinstance(outcome, StaleError)
        assert "Weekly sync" in str(outcome)
    assert ledger.sessions.get(planned.key) is None


def test_rule_16_instances_of_a_series_are_told_apart(ledger: Ledger) -> None:
    """That another instance still has the old revision doesn't vouch for the edited one."""
    first = event("series", event_id="series_1", original_start=TEN)
    second = event(
        "series", event_id="series_2", original_start=at(60), start=at(60), end=at(90)
    )
    planned = only([first], at(-60))
    ledger.calendars.apply(reading(replace(first, revision="2"), second))
    [outcome] = claim(ledger, planned)
    assert isinstance(outcome, StaleError)


def test_a_meeting_by_hand_is_claimed_like_any_other(ledger: Ledger) -> None:
    """It stands among the events, on no calendar."""
    by_hand = event("by-hand", calendar=BY_HAND, organized_by_self=True)
    ledger.calendars.put_by_hand(by_hand)
    assert claim(ledger, only([by_hand], TEN)) == [None]
    assert ledger.calendars.forget_calendars([]) == 0
    assert ledger.calendars.drop_ended_by_hand(at(29)) == 0
    assert ledger.calendars.drop_ended_by_hand(at(31)) == 1


# ── living ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("before", list(Phase))
def test_only_what_the_table_of_lives_allows_is_written(ledger: Ledger, before: Phase) -> None:
    """An illegal step is refused and changes nothing; a legal one is logged with its reason."""
    key = claimed(ledger)
    for after in Phase:
        ledger.database.execute("UPDATE sessions SET phase = ?", (before.value,))
        logged = ledger.sessions.transitions(key)
        changes: dict[str, Any] = {
            "at": at(1),
            "reason": EndReason.MOVED,
            "detail": f"to {after.value}",
        }
        if may_follow(before, after):
            moved = ledger.sessions.transition(key, after, **changes)
            assert (moved.phase, moved.end_reason) == (after, EndReason.MOVED)
            last = ledger.sessions.transitions(key)[-1]
            assert (last.before, last.after, last.reason) == (before, after, "moved")
            assert ledger.sessions.detail(key) == f"to {after.value}"
        else:
            with pytest.raises(StaleError, match=f"from {before.value} to {after.value}"):
                ledger.sessions.transition(key, after, **changes)
            assert phase_of(ledger, key) is before
            assert ledger.sessions.transitions(key) == logged


def test_a_session_that_is_not_there_goes_nowhere(ledger: Ledger) -> None:
    """The message names it; asking about it answers nothing."""
    with pytest.raises(StaleError, match="nobody"):
        ledger.sessions.transition(SessionKey("nobody"), Phase.LIVE, at=TEN)
    assert ledger.sessions.get(SessionKey("nobody")) is None
    assert ledger.sessions.detail(SessionKey("nobody")) == ""


def test_a_life_is_written_from_join_to_filing(ledger: Ledger) -> None:
    """With its handle, its instants, the others in the room, the cost and the remains."""
    key = claimed(ledger)
    sessions = ledger.sessions
    sessions.transition(key, Phase.WAITING, at=at(0), handle=SessionHandle("h1"), durable=False)
    sessions.transition(key, Phase.LIVE, at=at(1), admitted_at=at(1))
    for others, accompanied in ((0, False), (3, True), (0, True)):
        sessions.others_present(key, others)
        record = sessions.get(key)
        assert record is not None
        assert (record.others_present, record.accompanied) == (others, accompanied)
        assert (record.handle, record.admitted_at) == ("h1", at(1))
    sessions.transition(key, Phase.LEAVING, at=at(29), reason=EndReason.SCHEDULED_END)
    remains = Remains(notes=(EngineNote("stage", "A note."),), bodies=("{}",))
    sessions.close_attempt(key, at=at(29.1), outcome="scheduled_end", remains=remains)
    sessions.close_attempt(key, at=at(99), outcome="too late to matter")
    sessions.transition(key, Phase.ENDED, at=at(29.1), ended_at=at(29.1), retry_at=None)
    [attempt] = sessions.attempts(key)
    assert (attempt.handle, attempt.outcome) == ("h1", "scheduled_end")
    assert attempt.notes == remains.notes
    assert attempt.cost == pytest.approx(30 * 0.275)
    assert total_cost([attempt, replace(attempt, ended_at=None)]) == attempt.cost
    sessions.transition(key, Phase.FILED, at=at(30))
    phases = [each.after.value for each in sessions.transitions(key)]
    assert phases == ["joining", "waiting", "live", "leaving", "ended", "filed"]


def test_a_failed_join_is_claimed_again_by_one_only(ledger: Ledger) -> None:
    """The second of two actors with the same picture is told that it is stale."""
    key = claimed(ledger)
    waiting = ledger.sessions.transition(
        key, Phase.JOINING, at=at(1), reason=EndReason.ENGINE_LOST, retry_at=at(2)
    )
    longer = replace(stay(), leave_by=at(45))
    ledger.sessions.claim_again(waiting, longer, now=at(2), prices=PRICES)
    record = ledger.sessions.get(key)
    assert record is not None
    assert (record.attempts, record.retry_at, record.end_reason) == (2, None, None)
    assert record.leave_by == at(45)
    assert [each.number for each in ledger.sessions.attempts(key)] == [1, 2]
    with pytest.raises(StaleError, match="not waiting"):
        ledger.sessions.claim_again(waiting, stay(), now=at(2), prices=PRICES)
    assert len(ledger.sessions.attempts(key)) == 2


def test_an_amendment_is_read_back(ledger: Ledger) -> None:
    """A new end, and another meeting in the room."""
    key = claimed(ledger)
    both = only([event(), event("next", start=at(30), end=at(60))], TEN).meetings
    ledger.sessions.amend(key, leave_by=at(60), meetings=both)
    record = ledger.sessions.get(key)
    assert record is not None
    assert (record.leave_by, record.meetings) == (at(60), both)
    [read_again] = ledger.sessions.unfinished_and_since(TEN)
    assert read_again == record


def test_unfinished_sessions_are_always_seen_and_finished_ones_for_a_while(
    ledger: Ledger,
) -> None:
    """A session that ended long ago no longer weighs on every pass."""
    open_key = claimed(ledger)
    done = claimed(ledger, "done", room=OTHER_ROOM)
    ledger.sessions.transition(done, Phase.FAILED, at=at(10), ended_at=at(10))
    ledger.sessions.record_missed(
        stay("missed", room=room("mmm-mmmm-mmm")), now=at(20), reason=EndReason.TOO_LATE
    )
    missed = stay("missed").key

    def seen(since: datetime) -> set[SessionKey]:
        return {each.key for each in ledger.sessions.unfinished_and_since(since)}

    assert seen(at(0)) == {open_key, done, missed}
    assert seen(at(15)) == {open_key, missed}
    assert seen(at(25)) == {open_key}
    assert seen(at(0)) == {open_key, done, missed}


def test_a_missed_meeting_is_written_once(ledger: Ledger) -> None:
    """A second pass, or a second process, changes nothing."""
    for minute in (31, 60):
        ledger.sessions.record_missed(stay(), now=at(minute), reason=EndReason.TOO_LATE)
    record = ledger.sessions.get(stay().key)
    assert record is not None
    assert (record.phase, record.ended_at) == (Phase.MISSED, at(31))
    assert (record.attempts, record.end_reason) == (0, EndReason.TOO_LATE)
    assert len(ledger.sessions.transitions(stay().key)) == 1


def test_one_calendar_is_asked_for_by_itself(ledger: Ledger) -> None:
    """Its events and its state, without those of a thousand others."""
    other = event("other", calendar=HOME)
    ledger.calendars.apply(reading(event()))
    ledger.calendars.apply(reading(other, calendar=HOME))
    assert ledger.calendars.events_of(HOME) == (other,)
    assert ledger.calendars.state(HOME) == ledger.calendars.states()[HOME]
    assert ledger.calendars.state(BY_HAND) is None
