"""The core over time: calendars are edited, engines fail, the process dies, and it holds.

A model of the records stands in for the ledger. It allows what `lifecycle` allows, and one
open session a room; attendances behave as they do, but by the draw of the dice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from locum.core.lifecycle import (
    FINAL_FOR_OCCURRENCE,
    WORTH_ANOTHER_TRY,
    closing_phase,
    may_follow,
)
from locum.core.model import (
    OPEN_PHASES,
    Action,
    Adopt,
    Amend,
    Answer,
    CalendarEvent,
    EndReason,
    EventStatus,
    GiveUp,
    Join,
    Leave,
    Mark,
    Meeting,
    OccurrenceKey,
    Phase,
    Plan,
    SessionHandle,
    SessionKey,
    SessionRecord,
    Stay,
)
from locum.core.planning import arrange, judge
from locum.core.policy import Effect, Policy, Rule
from locum.core.reconcile import reconcile
from tests.unit.builders import BOSS, HOME, STRANGER, at, event, policy, room
from tests.unit.drawn import EXAMPLES

POLICY = policy(
    capacity=2,
    max_length=timedelta(minutes=100),
    trusted_organizers=("boss@example.com",),
)
CONFIGS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "one place": {"capacity": 1},
    "all rooms": {"capacity": 3},
    "stays when cancelled": {"leave_when_cancelled": False},
    "leaves people": {"stay_with_people": False},
    "trusts nobody": {"trusted_organizers": ()},
    "goes anywhere": {"join_unanswered": True},
    "skips the first": {"rules": (Rule("never", Effect.SKIP, title="e0"),)},
}
"""What the config may become while all goes on."""

ROOMS = [room("aaa-aaaa-aaa"), room("bbb-bbbb-bbb"), room("ccc-cccc-ccc")]
FINAL = {Phase.FILED, Phase.MISSED, Phase.REFUSED, Phase.FAILED}
FROM_INSIDE = {EndReason.REMOVED, EndReason.MEETING_OVER, EndReason.ROOM_EMPTY}
UNSETTLED = {Phase.JOINING, Phase.AMBIGUOUS, Phase.LEAVING}
SILENCE = (3, None, 0, 3)
"""What an engine tells of the others in the room, if it can see them."""


class Records:
    """The ledger's part: one transition table, one open session a room."""

    def __init__(self) -> None:
        self.by_key: dict[SessionKey, SessionRecord] = {}

    def __iter__(self) -> Iterator[SessionRecord]:
        return iter(self.by_key.values())

    @property
    def open(self) -> list[SessionRecord]:
        return [record for record in self if record.is_open]

    def add(self, record: SessionRecord) -> None:
        assert record.key not in self.by_key
        assert may_follow(None, record.phase)
        taken = {each.room.id for each in self.open}
        assert not (record.is_open and record.room.id in taken), "two of us in a room"
        self.by_key[record.key] = record

    def move(self, key: SessionKey, to: Phase, **changes: Any) -> None:
        before = self.by_key[key]
        assert may_follow(before.phase, to), (before.phase, to)
        self.by_key[key] = replace(before, phase=to, **changes)

    def change(self, key: SessionKey, **changes: Any) -> None:
        self.by_key[key] = replace(self.by_key[key], **changes)


class Simulation(RuleBasedStateMachine):
    """One daemon, three rooms, two places, and whatever may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.now = at(-30)
        self.policy: Policy = POLICY
        self.events: dict[str, CalendarEvent] = {}
        self.copies: dict[str, CalendarEvent] = {}
        self.marks: dict[OccurrenceKey, Mark] = {}
        self.records = Records()
        self.running: set[SessionKey] = set()
        self.stopping: dict[SessionKey, EndReason] = {}
        self.sent_away: set[OccurrenceKey] = set()
        self.uids: list[str] = []

    # ── the calendar ─────────────────────────────────────────────────────────────────────

    @initialize()
    def something_is_on(self) -> None:
        self.add_event(start=0, lasts=30, where=0, answer=Answer.ACCEPTED)

    @rule(
        start=st.sampled_from([0, -5, -1, 1, 5, 29, 31, 60]),
        lasts=st.sampled_from([30, 0, 1, 20, 45, 200, None]),
        where=st.integers(0, 2),
        answer=st.sampled_from([Answer.ACCEPTED, Answer.ACCEPTED, Answer.UNANSWERED]),
        organizer=st.sampled_from([BOSS, STRANGER]),
    )
    def add_event(
        self, start: int, lasts: int | None, where: int, answer: Answer, organizer: Any = BOSS
    ) -> None:
        if len(self.uids) == 5:
            return
        uid = f"e{len(self.uids)}"
        self.uids.append(uid)
        begin = self.now + timedelta(minutes=start)
        self.events[uid] = event(
            uid,
            title=uid,
            start=begin,
            end=None if lasts is None else begin + timedelta(minutes=lasts),
            room=ROOMS[where],
            answer=answer,
            organizer=organizer,
        )
        self.one_pass()

    @rule(
        which=st.integers(0, 2),
        change=st.sampled_from(["room", "move", "cancel", "extend"])
        | st.sampled_from(["decline", "accept", "unlink", "delete"]),
        by=st.sampled_from([5, -5, 20, -20, 45, 200]),
        where=st.integers(0, 2),
        then=st.sampled_from(["look", "look", "miss it", "undo it"]),
    )
    def edit_event(self, which: int, change: str, by: int, where: int, then: str) -> None:
        known = [uid for uid in self._attended_first() if uid in self.events]
        if not known:
            return
        uid = known[which % len(known)]
        old = self.events[uid]
        shift = timedelta(minutes=by)
        later = None if old.end is None else old.end + shift
        changes: dict[str, dict[str, Any]] = {
            "move": {"start": old.start + shift, "end": later},
            "extend": {"end": (old.end or old.start) + shift},
            "cancel": {"status": EventStatus.CANCELLED},
            "decline": {"answer": Answer.DECLINED},
            "accept": {"answer": Answer.ACCEPTED, "status": EventStatus.CONFIRMED},
            "unlink": {"room": None},
            "room": {"room": ROOMS[where]},
        }
        if change == "delete":
            del self.events[uid]
        else:
            self.events[uid] = replace(old, **changes[change])
        if then != "miss it":
            self.one_pass()
        if then == "undo it":
            self.events[uid] = old
            self.one_pass()

    @rule(
        which=st.integers(0, 2),
        answer=st.sampled_from([Answer.ACCEPTED, Answer.DECLINED, Answer.UNANSWERED, None]),
        moved=st.sampled_from([0, 0, 5]),
    )
    def another_calendar_shows_it(self, which: int, answer: Answer | None, moved: int) -> None:
        """With an answer of its own and maybe an older time; None: it shows it no more."""
        uid = self._attended_first()[which % len(self.uids)]
        if answer is None:
            self.copies.pop(uid, None)
        elif uid in self.events:
            shown = self.events[uid]
            start = shown.start + timedelta(minutes=moved)
            self.copies[uid] = replace(shown, calendar=HOME, answer=answer, start=start)
        self.one_pass()

    def _attended_first(self) -> list[str]:
        """What we were in, or are in, is edited more often than the rest."""
        ours = {occurrence for each in self.records for occurrence in each.occurrences}
        return sorted(self.uids, key=lambda uid: OccurrenceKey(uid) not in ours)

    # ── people, the process and the clock ────────────────────────────────────────────────

    @rule(name=st.sampled_from(list(CONFIGS)))
    def the_config_is_edited(self, name: str) -> None:
        self.policy = replace(POLICY, **CONFIGS[name])
        self.one_pass()

    @rule(
        what=st.sampled_from(["restart", "skip", "unskip", "restart", "stop"]),
        which=st.integers(0, 4),
    )
    def now_and_then(self, what: str, which: int) -> None:
        occurrence = OccurrenceKey(self.uids[which % len(self.uids)])
        if what == "restart":
            self.running.clear()
            self.stopping.clear()
        elif what == "skip":
            self.marks[occurrence] = Mark.SKIP
        elif what == "unskip":
            self.marks.pop(occurrence, None)
        elif (session := self._nth(which, OPEN_PHASES)) is not None:
            self.marks |= {meeting.occurrence: Mark.STOP for meeting in session.meetings}
            self._leave(session.key, EndReason.STOPPED_BY_USER)
        self.one_pass()

    @rule(
        seconds=st.sampled_from([60, 300, 1, 5, 30, 900, 1800]),
        others=st.sampled_from([3, "in silence", 3, 0, 3, None]),
    )
    def time_passes(self, seconds: int, others: Any) -> None:
        self.now += timedelta(seconds=seconds)
        if others != "in silence":
            for session in list(self.records.open):
                if session.key in self.running:
                    self._go_on(session, others, leaving=True)
        self.one_pass()

    # ── what attendances go through ──────────────────────────────────────────────────────

    @rule(others=st.sampled_from(SILENCE), leaving=st.booleans())
    def all_goes_well(self, others: int | None, leaving: bool) -> None:  # noqa: FBT001 - Drawn.
        for session in list(self.records.open):
            if session.key in self.running:
                self._go_on(session, others, leaving=leaving)
        self.one_pass()

    @rule(
        which=st.integers(0, 1),
        what=st.sampled_from(
            [
                EndReason.REMOVED,
                EndReason.REMOVED,
                EndReason.MEETING_OVER,
                EndReason.ENGINE_LOST,
                EndReason.DENIED,
                EndReason.ROOM_EMPTY,
                EndReason.NOT_ADMITTED,
            ]
        )
        | st.sampled_from(["lost", "empty", "people", "out", "gone"]),
    )
    def engine_tells(self, which: int, what: EndReason | str) -> None:
        """Whatever it tells, to whom it can tell it."""
        session = self._nth(which, OPEN_PHASES)
        if session is None:
            return
        if isinstance(what, EndReason):
            self._ends(session, what)
        elif session.phase is Phase.JOINING and what == "lost":
            self.records.move(session.key, Phase.AMBIGUOUS)
        elif session.phase is Phase.LIVE and session.others_present is not None:
            came = session.accompanied or what != "empty"
            others = 0 if what == "empty" else 2
            self.records.change(session.key, others_present=others, accompanied=came)
        elif session.phase is Phase.LEAVING and what == "out":
            self._end(session, session.end_reason or EndReason.UNWANTED)
        elif session.phase in {Phase.WAITING, Phase.LIVE} and what == "gone":
            # It was over when a restart took it up: whether it was in, nobody knows.
            unseen = session.unseen or session.admitted_at is None
            self.records.change(session.key, unseen=unseen)
            self._try_later(self.records.by_key[session.key], EndReason.ENGINE_LOST)
        self.one_pass()

    def _ends(self, session: SessionRecord, reason: EndReason) -> None:
        if session.phase is Phase.JOINING and reason in FROM_INSIDE:
            self._go_on(session, None, leaving=False)
            session = self.records.by_key[session.key]
        if session.phase is Phase.JOINING:
            self._try_later(session, EndReason.ENGINE_LOST)
        elif session.phase is Phase.AMBIGUOUS and reason is EndReason.DENIED:
            self._close(session, EndReason.LOST_JOIN)
        elif session.phase is Phase.AMBIGUOUS:
            self._try_later(session, EndReason.ENGINE_LOST)
        elif session.phase is Phase.LEAVING or reason in WORTH_ANOTHER_TRY:
            self._try_later(session, reason)
        elif session.admitted_at is None and reason is EndReason.DENIED:
            self._close(session, reason)
        else:
            self._end(session, reason)

    def _go_on(self, session: SessionRecord, others: int | None, *, leaving: bool) -> None:
        if session.phase is Phase.JOINING:
            self._answered(session)
            session = self.records.by_key[session.key]
        if session.phase is Phase.WAITING:
            since = session.admitted_at or self.now
            came = session.accompanied or bool(others)
            seen = {"others_present": others, "accompanied": came}
            self.records.move(session.key, Phase.LIVE, admitted_at=since, **seen)
        elif session.phase is Phase.LIVE and None not in {others, session.others_present}:
            came = session.accompanied or bool(others)
            self.records.change(session.key, others_present=others, accompanied=came)
        elif session.phase is Phase.LEAVING and leaving:
            self._end(session, session.end_reason or EndReason.UNWANTED)

    def _answered(self, session: SessionRecord) -> None:
        self.records.move(session.key, Phase.WAITING, handle=SessionHandle("h"))
        if session.key in self.stopping:
            self._leave(session.key, self.stopping[session.key])

    def _nth(self, which: int, phases: Collection[Phase]) -> SessionRecord | None:
        found = [
            each for each in self.records if each.key in self.running and each.phase in phases
        ]
        return found[which % len(found)] if found else None

    def _try_later(self, session: SessionRecord, reason: EndReason) -> None:
        if session.key in self.stopping:
            self._end(session, self.stopping[session.key])
            return
        give_up_at = session.give_up_at
        retry_at = self.now + self.policy.retry.delay_after(session.attempts)
        if session.phase is Phase.LIVE:
            give_up_at = min(self.now + self.policy.grace, session.leave_by)
            retry_at = self.now + timedelta(seconds=1)
        if retry_at >= give_up_at:
            self._close(session, reason)
            return
        changes = {"end_reason": reason, "retry_at": retry_at, "give_up_at": give_up_at}
        gone = {"handle": None, "others_present": None}
        self.records.move(session.key, Phase.JOINING, **changes, **gone)
        self._forget(session.key)

    def _close(self, session: SessionRecord, reason: EndReason) -> None:
        if session.is_owed_summary:
            self._end(session, reason)
        else:
            self._over(session, closing_phase(reason), reason)

    def _end(self, session: SessionRecord, reason: EndReason) -> None:
        self._over(session, Phase.ENDED, reason)

    def _over(self, session: SessionRecord, phase: Phase, reason: EndReason) -> None:
        self.records.move(
            session.key, phase, end_reason=reason, ended_at=self.now, retry_at=None
        )
        self._forget(session.key)
        if reason in FINAL_FOR_OCCURRENCE:
            first = session.meetings[0]
            begun = [m for m in session.meetings if m is first or m.start <= self.now]
            self.sent_away |= {meeting.occurrence for meeting in begun}

    def _leave(self, key: SessionKey, reason: EndReason) -> None:
        self.stopping.setdefault(key, reason)
        if self.records.by_key[key].phase in {Phase.WAITING, Phase.LIVE}:
            self.records.move(key, Phase.LEAVING, end_reason=self.stopping[key])

    def _forget(self, key: SessionKey) -> None:
        self.running.discard(key)
        self.stopping.pop(key, None)

    # ── one pass ─────────────────────────────────────────────────────────────────────────

    def one_pass(self) -> None:
        for _ in range(4):
            plan, actions = self._actions()
            for action in actions:
                self._apply(action, plan)
            if not any(self._brings_more(action) for action in actions):
                break
        assert self._actions()[1] == [], "it doesn't settle"

    def _brings_more(self, action: Action) -> bool:
        """Whether it may bring the next action about.

        So may a freed room or place, an adopted session, or a new one, which takes up what else
        is on in its room. And what began in a room that has emptied since is noted first, so
        that it has its summary and nobody goes back to it; only then can it be left.
        """
        if isinstance(action, Amend):
            session = self.records.by_key[action.record.key]
            return session.accompanied and session.others_present == 0
        return isinstance(action, (GiveUp, Adopt, Join))

    def _actions(self) -> tuple[Plan, list[Action]]:
        shown = (*self.events.values(), *self.copies.values())
        items = judge(shown, self.policy, self.marks)
        once = frozenset(item.event.occurrence for item in items)
        plan = arrange(items, self.policy, self.records, self.now, once_joinable=once)
        actions = reconcile(plan, self.records, self.running, self.policy, self.now)
        # Asking twice to leave is asking once.
        return plan, [
            each
            for each in actions
            if not (isinstance(each, Leave) and each.key in self.stopping)
        ]

    def _apply(self, action: Action, plan: Plan) -> None:
        if isinstance(action, Join):
            self._join(action)
        elif isinstance(action, Adopt):
            assert action.record.key not in self.running
            self.running.add(action.record.key)
            if action.record.phase is Phase.JOINING:
                self.records.move(action.record.key, Phase.AMBIGUOUS)
        elif isinstance(action, Amend):
            self.records.change(
                action.record.key, leave_by=action.leave_by, meetings=action.meetings
            )
        elif isinstance(action, Leave):
            self._check_leave(action, plan)
            self._leave(action.key, action.reason)
        elif isinstance(action, GiveUp):
            self._give_up(action)
        else:
            self.records.move(action.key, Phase.FILED)

    def _join(self, action: Join) -> None:
        stay = action.stay
        self._check_join(stay, fresh=action.record is None)
        if action.record is None:
            self.records.add(self._claimed(stay))
        else:
            assert action.record.phase is Phase.JOINING
            self.records.move(
                stay.key,
                Phase.JOINING,
                attempts=action.record.attempts + 1,
                retry_at=None,
                end_reason=None,
                leave_by=stay.leave_by,
                meetings=stay.meetings,
            )
        self.running.add(stay.key)

    def _claimed(self, stay: Stay) -> SessionRecord:
        return SessionRecord(
            key=stay.key,
            phase=Phase.JOINING,
            room=stay.room,
            engine=stay.engine,
            persona=stay.persona,
            join_at=stay.join_at,
            leave_by=stay.leave_by,
            meetings=stay.meetings,
            claimed_at=self.now,
            give_up_at=min(self.now + self.policy.grace, stay.leave_by),
            attempts=1,
        )

    def _give_up(self, action: GiveUp) -> None:
        if action.stay is None:
            assert action.key not in self.running
            self._over(self.records.by_key[action.key], action.phase, action.reason)
        else:
            missed = replace(
                self._claimed(action.stay),
                phase=action.phase,
                end_reason=action.reason,
                ended_at=self.now,
                attempts=0,
            )
            self.records.add(missed)

    # ── what must hold ───────────────────────────────────────────────────────────────────

    def _check_join(self, stay: Stay, *, fresh: bool) -> None:
        """Judged by hand, not by the code under test."""
        assert stay.join_at <= self.now < stay.leave_by
        why_not = [self._why_not(meeting, stay) for meeting in stay.meetings]
        if fresh:
            assert len(self.records.open) < self.policy.capacity
            assert why_not == [None] * len(why_not)
        else:
            # What was sat in before the engine lost us stays in the record.
            assert None in why_not, why_not

    def _why_not(self, meeting: Meeting, stay: Stay) -> str | None:
        calendar = self.copies if meeting.calendar == HOME else self.events
        now = calendar.get(meeting.occurrence)
        reasons = {
            "over": meeting.end <= self.now,
            "sent away": meeting.occurrence in self.sent_away,
            "a person's word": meeting.occurrence in self.marks,
            "a rule": bool(self.policy.rules) and meeting.occurrence == "e0",
            "gone": now is None,
        }
        if now is not None:
            trusted = bool(self.policy.trusted_organizers) and now.organizer == BOSS
            asked = now.answer is Answer.UNANSWERED and (trusted or self.policy.join_unanswered)
            reasons |= {
                "cancelled": now.status is EventStatus.CANCELLED,
                "uninvited": now.answer is not Answer.ACCEPTED and not asked,
                "moved": now.start != meeting.start,
                "elsewhere": now.room is None or now.room.id != stay.room.id,
            }
        return next((reason for reason, applies in reasons.items() if applies), None)

    def _check_leave(self, action: Leave, plan: Plan) -> None:
        """Nobody walks out of what runs here, nor on people, but where a rule says so."""
        session = self.records.by_key[action.key]
        if self.now >= session.claimed_at + POLICY.max_length:
            return
        capped = any(each.open_ended and each.end <= self.now for each in session.meetings)
        assert capped or action.reason is not EndReason.LENGTH_CAP
        others = session.others_present if session.phase is Phase.LIVE else None
        emptied = session.accompanied and others == 0
        for item in plan.judged:
            here = item.event.room is not None and item.event.room.id == session.room.id
            if item.decision.join and here:
                endless = self._is_endless(item.event)
                assert (endless and emptied) or not self._is_on(item.event)
        if action.reason in {EndReason.CANCELLED, EndReason.DECLINED}:
            held = session.phase is Phase.LIVE and others != 0
            assert self.policy.leave_when_cancelled or not held
        elif action.reason is EndReason.MOVED:
            assert not (others and self.policy.stay_with_people), "walked out on people"
        elif action.reason is EndReason.ROOM_EMPTY:
            assert emptied

    def _is_on(self, shown: CalendarEvent) -> bool:
        return shown.start <= self.now < self._end_of(shown)

    def _is_endless(self, shown: CalendarEvent) -> bool:
        return shown.end is None or shown.end <= shown.start

    def _end_of(self, shown: CalendarEvent) -> datetime:
        if shown.end is None or shown.end <= shown.start:
            return shown.start + POLICY.max_length
        return shown.end

    @invariant()
    def never_two_in_a_room(self) -> None:
        rooms = [each.room.id for each in self.records.open]
        assert len(rooms) == len(set(rooms))

    @invariant()
    def what_is_over_has_its_reason(self) -> None:
        for each in self.records:
            if not each.is_open:
                assert each.end_reason is not None
                assert each.ended_at is not None

    def teardown(self) -> None:
        """Time runs on, every call is answered in the end: nothing stays open."""
        for _ in range(80):
            self.now += timedelta(minutes=10)
            self.one_pass()
            for session in list(self.records.open):
                if session.key in self.running and session.phase in UNSETTLED:
                    self._ends(session, EndReason.ENGINE_LOST)
        self.one_pass()
        assert {each.phase for each in self.records} <= FINAL
        assert all(each.phase is Phase.FILED for each in self.records if each.is_owed_summary)
        assert all(each.end_reason is not None for each in self.records)


Simulation.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
)
TestSimulation = Simulation.TestCase
# Making a failure small takes minutes.
TestSimulation.pytestmark = [pytest.mark.timeout(900)]  # type: ignore[attr-defined]
TestSimulation.__doc__ = "Whatever happens in whatever order, the promises hold."


# ── what was drawn once ──────────────────────────────────────────────────────────────────


def test_what_began_in_a_room_that_emptied_unseen_is_noted_and_left() -> None:
    """A meeting without an end began while nobody looked: it is served first, and then over."""
    life = Simulation()
    life.something_is_on()
    life.add_event(start=1, lasts=1, where=1, answer=Answer.ACCEPTED)
    life.time_passes(seconds=60, others=3)
    life.all_goes_well(others=3, leaving=False)
    life.add_event(start=5, lasts=0, where=1, answer=Answer.ACCEPTED)
    life.time_passes(seconds=900, others=0)
    [session] = [each for each in life.records if each.room == ROOMS[1]]
    assert session.occurrences == {"e1", "e2"}
    assert (session.phase, session.end_reason) == (Phase.LEAVING, EndReason.ROOM_EMPTY)
    life.teardown()
    assert len([each for each in life.records if each.room == ROOMS[1]]) == 1
