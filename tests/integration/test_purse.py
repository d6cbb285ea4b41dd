"""Money in the real ledger: whatever is claimed, lost or extended, no cap is passed."""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.app.spending import report
from locum.core.model import (
    EndReason,
    Meeting,
    MeetingKey,
    OccurrenceKey,
    Person,
    Phase,
    SessionHandle,
    SessionKey,
    Stay,
)
from locum.core.money import OVERTIME, Cap, Caps, Refused, cost, micros
from locum.errors import LocumError
from locum.ledger import Database, Ledger, RoomTakenError
from locum.ledger.purse import NEVER_RAN, BudgetError, Purse, Sums
from locum.ledger.schema import MIGRATIONS
from tests.unit.builders import at, meeting, room

LONGEST = timedelta(hours=4)
ZONE = timezone(timedelta(hours=1))
PRICE = 0.275
GRACE = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)


def code(number: int) -> str:
    """Answer a room's code of its own for each number."""
    letters = "".join(chr(97 + number // 26**place % 26) for place in range(10))
    return f"{letters[:3]}-{letters[3:7]}-{letters[7:]}"


def held(number: int, begins: datetime, minutes: float, organizer: str = "boss") -> Meeting:
    """Answer a meeting in a room of its own, which no calendar can edit meanwhile."""
    return replace(
        _ORDINARY,
        key=MeetingKey(f"m{number}"),
        occurrence=OccurrenceKey(f"m{number}"),
        start=begins,
        end=begins + timedelta(minutes=minutes),
        room=room(code(number)),
        calendar=None,
        organizer=Person(f"{organizer}@example.com"),
    )


_ORDINARY = meeting()


def stay_of(*meetings: Meeting, key: str | None = None) -> Stay:
    first = meetings[0]
    return Stay(
        key=SessionKey(key or first.key),
        room=first.room,
        join_at=first.start,
        leave_by=max(each.end for each in meetings),
        persona="robin",
        engine="stage",
        meetings=meetings,
    )


@dataclass
class Rig:
    """A ledger, and the purse over it."""

    ledger: Ledger
    caps: Caps = field(default_factory=Caps)
    price: float = PRICE

    @property
    def purse(self) -> Purse:
        return Purse(self.ledger.database, self.caps, max_length=LONGEST, zone=ZONE)

    def claim(self, *stays: Stay, now: datetime) -> dict[str, LocumError | None]:
        outcome = self.ledger.sessions.claim(
            stays, now=now, grace=GRACE, prices={"stage": self.price}, purse=self.purse
        )
        return {str(key): error for key, error in outcome.items()}

    def answer(self, key: str, now: datetime) -> None:
        self.ledger.sessions.transition(
            SessionKey(key), Phase.WAITING, at=now, handle=SessionHandle(f"sess_{key}")
        )

    def close(self, key: str, now: datetime, outcome: str = "scheduled_end") -> None:
        self.ledger.sessions.close_attempt(SessionKey(key), at=now, outcome=outcome)

    def end(self, key: str, now: datetime) -> None:
        self.close(key, now)
        self.ledger.sessions.transition(
            SessionKey(key), Phase.ENDED, at=now, reason=EndReason.SCHEDULED_END, ended_at=now
        )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    ledger = Ledger(Database(tmp_path / "ledger.sqlite3"))
    yield Rig(ledger)
    ledger.close()


# ── one presence ─────────────────────────────────────────────────────────────────────────


def test_money_is_set_aside_with_the_claim_and_settled_with_the_proof(rig: Rig) -> None:
    """Worst case from the claim on; once proved over, what the minutes came to."""
    assert rig.claim(stay_of(held(1, at(0), 30)), now=at(0)) == {"m1": None}
    assert rig.purse.day(at(0)) == Sums(reserved=micros(35 * PRICE))
    rig.answer("m1", at(0.5))
    rig.end("m1", at(10.6))

    assert rig.purse.day(at(11)) == Sums(spent=micros(11 * PRICE))
    assert rig.purse.month(at(11)) == Sums(spent=micros(11 * PRICE))
    assert rig.purse.by_organizer(at(11)) == {
        "boss@example.com": Sums(spent=micros(11 * PRICE))
    }
    assert rig.purse.day(at(24 * 60)) == Sums()


def test_what_is_not_claimed_is_not_set_aside(rig: Rig) -> None:
    """A taken room and a refused stay leave no money behind, nor a session."""
    rig.caps = Caps.of_dollars(per_day=20)
    first, again = held(1, at(0), 30), replace(held(2, at(0), 5), room=room(code(1)))
    outcome = rig.claim(stay_of(first), stay_of(again), now=at(0))
    long = rig.claim(stay_of(held(3, at(0), 60)), now=at(0))

    assert isinstance(outcome["m2"], RoomTakenError)
    refused = long["m3"]
    assert isinstance(refused, BudgetError)
    assert refused.refused.cap is Cap.PER_DAY
    assert "budget.per_day" in str(refused)
    assert rig.ledger.sessions.get(SessionKey("m3")) is None
    assert rig.purse.day(at(0)) == Sums(reserved=micros(35 * PRICE))


def test_claims_of_one_commit_count_for_each_other(rig: Rig) -> None:
    """Of many meetings that begin at once, as many are joined as can be paid."""
    rig.caps = Caps.of_dollars(per_month=3 * 35 * PRICE)
    outcome = rig.claim(*(stay_of(held(n, at(0), 30)) for n in range(10)), now=at(0))

    assert [error is None for error in outcome.values()] == [True] * 3 + [False] * 7


@pytest.mark.parametrize(
    ("outcome", "spent"),
    [(NEVER_RAN, 0), ("engine_refused", 0), ("lost_join", micros(35 * PRICE))],
)
def test_a_lost_answer_keeps_its_money(rig: Rig, outcome: str, spent: int) -> None:
    """Set aside until it is settled; what may have run is taken for spent."""
    rig.claim(stay_of(held(1, at(0), 30)), now=at(0))
    rig.ledger.sessions.transition(SessionKey("m1"), Phase.AMBIGUOUS, at=at(1))

    assert rig.purse.day(at(600)) == Sums(reserved=micros(35 * PRICE))
    rig.close("m1", at(601), outcome)
    rig.close("m1", at(602), "engine_lost")  # Whoever closes it again changes nothing.
    assert rig.purse.day(at(602)) == Sums(spent=spent)


def test_an_end_before_the_beginning_costs_all_that_was_set_aside(rig: Rig) -> None:
    """The clock was set back by an hour in between: better too much than too little."""
    rig.claim(stay_of(held(1, at(0), 30)), now=at(0))
    rig.answer("m1", at(0))
    rig.close("m1", at(-55), "scheduled_end")

    assert rig.purse.day(at(0)) == Sums(spent=micros(35 * PRICE))


def test_what_outruns_its_money_counts_whole(rig: Rig) -> None:
    """Its daemon was dead, so it ran on: each minute of that counts, and nothing more fits."""
    rig.caps = Caps.of_dollars(per_day=12, per_organizer_month=12, per_meeting=12)
    rig.claim(stay_of(held(1, at(0), 30)), now=at(0))
    rig.answer("m1", at(0))

    assert rig.purse.day(at(60)) == Sums(reserved=micros(60 * PRICE))
    refused = rig.claim(stay_of(held(2, at(60), 1)), now=at(60))["m2"]
    assert isinstance(refused, BudgetError)
    rig.end("m1", at(60))
    assert rig.purse.day(at(60)) == Sums(spent=micros(60 * PRICE))


def test_a_meeting_is_one_however_often_it_is_entered(rig: Rig) -> None:
    """Moved and joined again and again, it gets no further money; another one does."""
    rig.caps = Caps.of_dollars(per_meeting=10)
    rig.claim(stay_of(held(1, at(0), 30)), now=at(0))
    rig.answer("m1", at(0))
    rig.end("m1", at(5))

    moved, other = stay_of(held(1, at(6), 30), key="again"), stay_of(held(2, at(6), 30))
    outcome = rig.claim(moved, other, now=at(6))

    assert isinstance(outcome["again"], BudgetError)
    assert outcome["again"].refused.cap is Cap.PER_MEETING
    assert outcome["m2"] is None


def test_what_follows_in_the_room_is_left_out_if_it_can_not_be_paid(rig: Rig) -> None:
    """Three hours in a row don't fit; the first one does, and is joined for itself."""
    rig.caps = Caps.of_dollars(per_meeting=20)
    row = [replace(held(n, at(60 * n), 60), room=room()) for n in range(3)]
    assert rig.claim(stay_of(*row), now=at(0)) == {"m0": None}
    record = rig.ledger.sessions.get(SessionKey("m0"))

    assert record is not None
    assert (record.leave_by, record.meetings) == (at(60), (row[0],))


def test_trying_again_is_paid_again(rig: Rig) -> None:
    """A failed attempt that was in counts; the next one must fit beside it."""
    rig.caps = Caps.of_dollars(per_meeting=10)
    wanted = stay_of(held(1, at(0), 30))
    rig.claim(wanted, now=at(0))
    sessions = rig.ledger.sessions
    for lasted, fits in ((3, True), (3, False)):
        rig.answer("m1", at(0))
        rig.close("m1", at(lasted), "engine_lost")
        record = sessions.transition(
            SessionKey("m1"), Phase.JOINING, at=at(lasted), handle=None, retry_at=at(lasted)
        )
        again = replace(wanted, leave_by=at(30))
        if fits:
            sessions.claim_again(
                record, again, now=at(4), prices={"stage": PRICE}, purse=rig.purse
            )
            assert rig.purse.day(at(4)) == Sums(micros(3 * PRICE), micros(31 * PRICE))
        else:
            with pytest.raises(BudgetError):
                sessions.claim_again(
                    record, again, now=at(4), prices={"stage": 0.4}, purse=rig.purse
                )
    after = sessions.get(SessionKey("m1"))
    assert after is not None
    assert (after.attempts, after.retry_at) == (2, at(3))


def test_an_extension_must_be_paid(rig: Rig) -> None:
    """A longer end is set aside too, or refused; a shorter one frees money once it is named."""
    rig.caps = Caps.of_dollars(per_day=20)
    first = held(1, at(0), 30)
    rig.claim(stay_of(first), now=at(0))
    sessions, key = rig.ledger.sessions, SessionKey("m1")

    def amend(minutes: float) -> Refused | None:
        ends = at(minutes)
        return sessions.amend(
            key,
            leave_by=ends,
            meetings=(replace(first, end=ends),),
            purse=rig.purse,
            now=at(5),
        )

    assert amend(10) is None
    assert rig.purse.day(at(5)) == Sums(reserved=micros(35 * PRICE))
    rig.answer("m1", at(5))
    assert amend(10) is None
    assert rig.purse.day(at(5)) == Sums(reserved=micros(15 * PRICE))
    assert amend(60) is None
    assert rig.purse.day(at(5)) == Sums(reserved=micros(65 * PRICE))
    refused = amend(90)
    record = sessions.get(key)
    assert record is not None
    assert isinstance(refused, Refused)
    assert (refused.cap, record.leave_by, record.meetings[0].end) == (
        Cap.PER_DAY,
        at(60),
        at(60),
    )


def test_without_a_purse_nothing_is_judged(rig: Rig) -> None:
    """What calls the ledger without one is served as ever."""
    sessions = rig.ledger.sessions
    outcome = sessions.claim(
        [stay_of(held(1, at(0), 30))], now=at(0), grace=GRACE, prices={"stage": PRICE}
    )
    refused = sessions.amend(
        SessionKey("m1"), leave_by=at(600), meetings=(held(1, at(0), 600),)
    )

    assert (outcome, refused) == ({"m1": None}, None)
    assert rig.purse.day(at(0)) == Sums()


# ── whatever happens ─────────────────────────────────────────────────────────────────────


@dataclass
class _Run:
    """An attempt as the engine's own books have it, whatever the ledger thinks."""

    key: str
    occurrence: str
    organizer: str
    claimed_at: datetime
    leave_by: datetime
    price: float
    began: datetime | None = None
    ended: datetime | None = None
    lost: bool = False  #: Its answer was lost; if it ran, then until it was thrown out.

    @property
    def must_end(self) -> datetime:
        return min(self.leave_by, self.claimed_at + LONGEST) + OVERTIME

    @property
    def day(self) -> date:
        return self.claimed_at.astimezone(ZONE).date()

    @property
    def month(self) -> date:
        return self.day.replace(day=1)

    def billed(self, now: datetime) -> int:
        if self.began is None or self.began > now:
            return 0
        return cost(min(self.ended or self.must_end, now) - self.began, self.price)


class _World:
    """Does to a ledger what calendars and engines do, and keeps the engine's books."""

    def __init__(self, rig: Rig, now: datetime) -> None:
        self.rig = rig
        self.now = now
        self.runs: list[_Run] = []
        self.retrying: dict[str, Stay] = {}

    def open_runs(self) -> list[_Run]:
        return [run for run in self.runs if run.ended is None and not run.lost]

    def claim(self, which: int, minutes: int, organizer: str) -> None:
        wanted = replace(
            held(which, self.now, minutes, organizer), room=room(code(len(self.runs) + 100))
        )
        key = f"s{len(self.runs)}"
        stay = replace(stay_of(wanted, key=key), persona=("robin", "wren", "finch")[which % 3])
        if self.rig.claim(stay, now=self.now)[key] is None:
            self._claimed(stay)

    def _claimed(self, stay: Stay) -> None:
        first = stay.meetings[0]
        assert first.organizer is not None
        self.runs.append(
            _Run(
                stay.key,
                first.occurrence,
                first.organizer.email,
                self.now,
                stay.leave_by,
                self.rig.price,
            )
        )
        self.retrying[stay.key] = stay

    def answer(self, pick: int) -> None:
        waiting = [run for run in self.open_runs() if run.began is None]
        if waiting:
            run = waiting[pick % len(waiting)]
            run.began = self.now
            self.rig.answer(run.key, self.now)

    def end(self, pick: int) -> None:
        runs = self.open_runs()
        if runs:
            self._end(runs[pick % len(runs)])

    def _end(self, run: _Run) -> None:
        run.ended = self.now
        self.rig.end(run.key, self.now)

    def lose(self, pick: int, *, ran: bool, retried: bool) -> None:
        """Lose a join's answer; it either ran, unseen, to its end, or surely never did."""
        waiting = [run for run in self.open_runs() if run.began is None]
        if not waiting:
            return
        run = waiting[pick % len(waiting)]
        sessions, key = self.rig.ledger.sessions, SessionKey(run.key)
        sessions.transition(key, Phase.AMBIGUOUS, at=self.now)
        run.lost = True
        run.began = run.claimed_at if ran else None
        self.rig.close(run.key, self.now, "lost_join" if ran else NEVER_RAN)
        if ran or not retried:
            sessions.transition(key, Phase.FAILED, at=self.now, ended_at=self.now)
            return
        record = sessions.transition(
            key, Phase.JOINING, at=self.now, handle=None, retry_at=self.now
        )
        stay = self.retrying[run.key]
        try:
            sessions.claim_again(
                record,
                stay,
                now=self.now,
                prices={"stage": self.rig.price},
                purse=self.rig.purse,
            )
        except BudgetError:
            sessions.transition(key, Phase.FAILED, at=self.now, ended_at=self.now)
        else:
            self._claimed(stay)

    def extend(self, pick: int, minutes: int) -> None:
        runs = self.open_runs()
        if not runs:
            return
        run = runs[pick % len(runs)]
        ends = max(run.leave_by + timedelta(minutes=minutes), self.now)
        record = self.rig.ledger.sessions.get(SessionKey(run.key))
        assert record is not None
        refused = self.rig.ledger.sessions.amend(
            record.key,
            leave_by=ends,
            meetings=record.meetings,
            purse=self.rig.purse,
            now=self.now,
        )
        if refused is None and (minutes > 0 or run.began is not None):
            run.leave_by = ends

    def wait(self, minutes: float) -> None:
        """Let time pass; whoever must leave meanwhile does so, at the last instant."""
        until = self.now + timedelta(minutes=minutes)
        for run in sorted(self.open_runs(), key=lambda run: run.must_end):
            if run.must_end <= until:
                self.now = max(run.must_end, self.now)
                self._end(run)
                self.check()
        self.now = until

    def check(self) -> None:
        """Compare the caps with what the ledger counts, and with what the engine bills."""
        caps, purse = self.rig.caps, self.rig.purse
        for one in self.runs:
            day = [run for run in self.runs if run.day == one.day]
            month = [run for run in self.runs if run.month == one.month]
            organizer = [run for run in month if run.organizer == one.organizer]
            occurrence = [run for run in self.runs if run.occurrence == one.occurrence]
            organizers = purse.by_organizer(one.claimed_at)
            self._compare(day, caps.per_day, purse.day(one.claimed_at))
            self._compare(month, caps.per_month, purse.month(one.claimed_at))
            self._compare(organizer, caps.per_organizer_month, organizers[one.organizer])
            self._compare(occurrence, caps.per_meeting, None)

    def check_reports(self) -> None:
        """Add up what `locum spend` tells of each month: against itself, books and caps."""
        for month in {run.month for run in self.runs}:
            noon = datetime(month.year, month.month, 15, 12, tzinfo=ZONE)
            told = report(self.rig.ledger, self.rig.purse, noon, now=self.now, outlook=None)
            whole = _told(told)
            parts = ("by_meeting", "by_persona", "by_organizer", "by_engine", "by_day")
            for part in parts:
                assert sum((_told(row) for row in told[part]), Sums()) == whole, part
            runs = [run for run in self.runs if run.month == month]
            self._check_rows(told, runs)
            billed = sum(run.billed(self.now) for run in runs)
            assert billed <= whole.spent + whole.reserved
            if not any(run.lost for run in runs) and not self.open_runs():
                assert whole == Sums(spent=billed)

    def _check_rows(self, told: Mapping[str, Any], runs: list[_Run]) -> None:
        caps = self.rig.caps
        for part, name, cap in (
            ("by_day", "day", caps.per_day),
            ("by_organizer", "organizer", caps.per_organizer_month),
            ("by_meeting", "occurrence", caps.per_meeting),
        ):
            named = {row[name]: _told(row) for row in told[part]}
            assert cap is None or all(
                sums.spent + sums.reserved <= cap for sums in named.values()
            )
            for key, sums in named.items():
                mine = [
                    run
                    for run in runs
                    if key in {run.day.isoformat(), run.organizer, run.occurrence}
                ]
                billed = sum(run.billed(self.now) for run in mine)
                assert billed <= sums.spent + sums.reserved

    def _compare(self, runs: list[_Run], cap: int | None, counted: Sums | None) -> None:
        billed = sum(run.billed(self.now) for run in runs)
        assert cap is None or billed <= cap
        if counted is not None:
            assert billed <= counted.spent + counted.reserved
            assert cap is None or counted.spent + counted.reserved <= cap


def _told(row: Mapping[str, Any]) -> Sums:
    return Sums(micros(row["spent_usd"]), micros(row["set_aside_usd"]))


picks = st.integers(0, 5)
claims = st.tuples(st.just("claim"), picks, st.integers(1, 90), st.sampled_from(["ann", "bob"]))
answers = st.tuples(st.just("answer"), picks)
extensions = st.tuples(st.just("extend"), picks, st.integers(-60, 120))
deeds = st.one_of(
    claims,
    claims,
    answers,
    answers,
    extensions,
    st.tuples(st.just("end"), picks),
    st.tuples(st.just("lose"), picks, st.booleans(), st.booleans()),
    st.tuples(st.just("price"), st.sampled_from([0.0, 0.1, 0.275, 3.0])),
    st.tuples(st.just("wait"), st.one_of(st.just(0.0), st.floats(1, 300))),
)
limits = st.one_of(st.none(), st.integers(5, 60).map(float))


@pytest.fixture(scope="module")
def swept() -> Iterator[Ledger]:
    """One ledger for all examples, without waiting for the disk; each begins by emptying it."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Database(Path(folder, "ledger.sqlite3")))
        ledger.database._connection.execute("PRAGMA synchronous = OFF")
        yield ledger
        ledger.close()


@pytest.mark.timeout(400)
@settings(derandomize=True, max_examples=1000, deadline=None)
@given(
    caps=st.tuples(limits, limits, limits, limits),
    begins=st.sampled_from([0.0, 13 * 60.0, 7 * 24 * 60 + 12.5 * 60]),
    done=st.lists(deeds, min_size=8, max_size=16),
)
def test_no_cap_is_ever_passed(
    swept: Ledger,
    caps: tuple[float | None, ...],
    begins: float,
    done: list[tuple[object, ...]],
) -> None:
    """Claims, answers, losses, retries, extensions, prices, over midnight and a month's end.

    What is told of it adds up to the same by meeting, persona, organizer, engine and day.
    """
    with swept.database.transaction():
        for table in ("attempts", "transitions", "sessions"):
            swept.database.execute(f"DELETE FROM {table}")
    rig = Rig(swept, Caps(*(None if each is None else micros(each) for each in caps)))
    world = _World(rig, at(begins))
    for deed in done:
        _do(world, *deed)
        world.check()
    world.check_reports()
    world.wait(600)
    world.check()
    world.check_reports()
    assert swept.database.rows("SELECT 1 FROM attempts WHERE ended_at IS NULL") == []


def _do(world: _World, what: object, *how: object) -> None:
    if what == "price":
        (price,) = how
        assert isinstance(price, float)
        world.rig.price = price
    elif what == "wait":
        (minutes,) = how
        assert isinstance(minutes, float)
        world.wait(minutes)
    elif what == "claim":
        which, length, organizer = how
        assert isinstance(which, int)
        assert isinstance(length, int)
        world.claim(which, length, str(organizer))
    else:
        pick, *rest = (int(str(each)) if not isinstance(each, bool) else each for each in how)
        if what == "lose":
            world.lose(pick, ran=bool(rest[0]), retried=bool(rest[1]))
        elif what == "extend":
            world.extend(pick, int(rest[0]))
        else:
            {"answer": world.answer, "end": world.end}[str(what)](pick)


def test_ten_thousand_hostile_invites_cost_five_dollars_at_most(rig: Rig) -> None:
    """From as many strangers, within an hour, with a cap of $5 a day; each is tried again."""
    rig.caps = Caps.of_dollars(per_day=5)
    chance = random.Random(5)
    rig.ledger.database._connection.execute("PRAGMA synchronous = OFF")
    running: dict[str, datetime] = {}
    billed, joined, most = 0, 0, 0
    for minute in range(60):
        now = at(minute)
        for key in [key for key, ends in running.items() if ends <= now]:
            began = rig.ledger.sessions.attempts(SessionKey(key))[0].claimed_at
            rig.end(key, running.pop(key))
            billed += cost(now - began, PRICE)
        invites = [
            stay_of(held(n, now, chance.choice([1, 2, 5, 30, 600]), organizer=f"mallory{n}"))
            for n in range(minute * 167, (minute + 1) * 167)
        ]
        for key, error in rig.claim(*invites, now=now).items():
            if error is None:
                joined += 1
                rig.answer(key, now)
                running[key] = now + chance.choice([1, 2, 3]) * MINUTE
        sums = rig.purse.day(now)
        most = max(most, sums.spent + sums.reserved)
        assert billed <= sums.spent
    for key in running:
        rig.end(key, at(63))

    assert joined >= 2
    assert most <= micros(5)
    assert rig.purse.day(at(63)).reserved == 0
    assert 0 < rig.purse.day(at(63)).spent <= micros(5)


def test_sums_over_ten_thousand_attempts_are_quick(rig: Rig) -> None:
    """A verdict under all four caps stays in milliseconds when the ledger has grown."""
    rig.caps = Caps.of_dollars(
        per_meeting=1e5, per_day=1e5, per_month=1e6, per_organizer_month=1e6
    )
    rig.claim(stay_of(held(0, at(0), 30)), now=at(0))
    with rig.ledger.database.transaction():
        rig.ledger.database.execute_many(
            "INSERT INTO attempts (session, number, engine, price_per_minute, claimed_at, "
            "answered_at, ended_at, reserved_micros, cost_micros, occurrence, organizer) "
            "SELECT session, ?, engine, price_per_minute, claimed_at, claimed_at, claimed_at, "
            "reserved_micros, 1000000, 'm' || ?, 'o' || ? FROM attempts WHERE session = 'm0' AND number = 1",
            [(number, number, number % 50) for number in range(2, 10_002)],
        )

    began = time.process_time()
    for number in range(20):
        rig.purse.tally(at(1)).admit(
            stay_of(held(number + 1, at(1), 30, organizer="o1")), PRICE
        )
    lasted = (time.process_time() - began) / 20

    assert rig.purse.month(at(1)).spent == 10_000 * micros(1)
    print(f"{lasted * 1000:.2f} ms a verdict")
    assert lasted < 0.05


# ── ledgers from before ──────────────────────────────────────────────────────────────────


def test_an_older_ledger_gets_its_money_counted(tmp_path: Path) -> None:
    """What was spent before there were caps counts for them; what is open counts as it runs."""
    path = tmp_path / "ledger.sqlite3"
    rig = Rig(Ledger(Database(path)))
    for number in range(3):
        rig.claim(stay_of(held(number, at(0), 30)), now=at(0))
    rig.ledger.close()
    old = sqlite3.connect(path)
    rows = old.execute("SELECT key, meetings FROM sessions").fetchall()
    assert json.loads(rows[0][1])[0]["organizer"]["email"] == "boss@example.com"
    rows = [tuple(row) for row in old.execute("SELECT * FROM sessions")]
    old.close()
    path.unlink()
    first = sqlite3.connect(path)
    first.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
    columns = len(first.execute("PRAGMA table_info(sessions)").fetchall())
    sessions = [row[:columns] for row in rows]
    marks = ", ".join("?" * columns)
    first.executemany(f"INSERT INTO sessions VALUES ({marks})", sessions)
    first.executemany(
        "INSERT INTO attempts (session, number, engine, price_per_minute, claimed_at, "
        "answered_at, ended_at) VALUES (?, 1, 'stage', 0.275, ?, ?, ?)",
        [
            (
                "m0",
                *(
                    f"2026-11-23T{time}.000000Z"
                    for time in ("10:00:00", "10:00:30", "10:10:31")
                ),
            ),
            ("m1", "2026-11-23T10:00:00.000000Z", None, "2026-11-23T10:01:00.000000Z"),
            ("m2", "2026-11-23T10:00:00.000000Z", "2026-11-23T10:00:00.000000Z", None),
        ],
    )
    first.commit()
    first.close()

    rig = Rig(Ledger(Database(path)))

    assert rig.purse.day(at(20)) == Sums(micros(11 * PRICE), micros(20 * PRICE))
    assert set(rig.purse.by_organizer(at(20))) == {"boss@example.com"}
    rig.ledger.close()
