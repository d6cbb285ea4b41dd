"""Money: sums that come out exactly, and a verdict that no order of things gets round."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from locum.config.attendance import Budget
from locum.config.load import load
from locum.core.model import BY_HAND, Person, SessionKey, Stay
from locum.core.money import (
    MICROS,
    OVERTIME,
    Allowed,
    Cap,
    Caps,
    Refused,
    Spending,
    cost,
    day_of,
    in_dollars,
    micros,
    month_of,
    organizer_of,
    started_minutes,
    verdict,
    worst_case,
    worst_case_until,
)
from locum.errors import ConfigError
from tests.unit.builders import LEAD, TEN, at, meeting

EVERY = settings(derandomize=True, max_examples=1000, deadline=None)
PRICE = 0.275
LONGEST = timedelta(hours=4)
ZONES = [
    ZoneInfo(name)
    for name in ("UTC", "Europe/Berlin", "America/Havana", "Pacific/Apia", "Asia/Kathmandu")
]

amounts = st.integers(min_value=0, max_value=20 * MICROS)
optional = st.one_of(st.none(), amounts)
instants = st.datetimes(
    min_value=datetime(2001, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds.
    max_value=datetime(2090, 1, 1),  # noqa: DTZ001
    timezones=st.just(timezone.utc),
)
lengths = st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=30))


def stay(minutes: float = 30) -> Stay:
    """Answer a stay from the lead before ten."""
    held = meeting(end=at(minutes))
    return Stay(
        key=SessionKey(held.key),
        room=held.room,
        join_at=TEN - LEAD,
        leave_by=at(minutes),
        persona="robin",
        engine="stage",
        meetings=(held,),
    )


# ── amounts ──────────────────────────────────────────────────────────────────────────────


def test_dollars_are_whole_micros() -> None:
    """Prices as people write them come out exactly, and are shown to the cent."""
    assert micros(0.275) == 275_000
    assert micros(0.1) + micros(0.2) == micros(0.3)
    assert micros(0) == 0
    assert in_dollars(micros(1234.5)) == "$1,234.50"


@pytest.mark.parametrize("amount", [-0.01, math.inf, -math.inf, math.nan])
def test_what_is_no_amount_is_refused(amount: float) -> None:
    """Less than nothing, or nothing that could be counted."""
    with pytest.raises(ValueError, match="no amount of money"):
        micros(amount)


def test_every_started_minute_counts() -> None:
    """A second is a minute; a minute and an instant are two."""
    minutes = [
        started_minutes(timedelta(**length))
        for length in (
            {"seconds": 0},
            {"seconds": 1},
            {"minutes": 1},
            {"minutes": 1, "microseconds": 1},
            {"minutes": 30},
        )
    ]

    assert minutes == [1, 1, 1, 2, 30]
    assert cost(timedelta(minutes=1, seconds=1), PRICE) == 550_000


# ── the worst case ───────────────────────────────────────────────────────────────────────


def test_worst_case_is_the_stay_and_its_overtime() -> None:
    """Half an hour, the lead, and the five minutes after which it leaves unasked."""
    assert worst_case(stay(30), PRICE, TEN - LEAD, LONGEST) == 36 * 275_000


def test_worst_case_of_a_late_join_is_what_is_left() -> None:
    """Before the join the whole stay counts; after it, only what is still to come."""
    wanted = [worst_case(stay(30), PRICE, at(now), LONGEST) for now in (-60, 0, 20, 40)]

    assert wanted == [minutes * 275_000 for minutes in (36, 35, 15, 5)]


def test_worst_case_ends_at_the_longest_presence() -> None:
    """An end that a hostile calendar puts in next year costs no more than the cap on length."""
    endless = replace(stay(), leave_by=TEN + timedelta(days=365))

    assert worst_case(endless, PRICE, TEN, LONGEST) == (240 + 5) * 275_000


@EVERY
@given(begins_after=lengths, lasts=lengths, planned=lengths, price=st.floats(0, 100))
def test_no_presence_costs_more_than_its_worst_case(
    begins_after: timedelta, lasts: timedelta, planned: timedelta, price: float
) -> None:
    """Whenever it is answered, and however long it stays within its overtime."""
    wanted = replace(stay(), leave_by=TEN + planned)
    ends = min(TEN + begins_after + lasts, wanted.leave_by + OVERTIME)
    ends = min(ends, TEN + LONGEST + OVERTIME)
    assume(TEN + begins_after <= ends)

    spent = cost(ends - (TEN + begins_after), price)

    assert spent <= worst_case(wanted, price, TEN, LONGEST)


@EVERY
@given(sooner=lengths, later=lengths)
def test_a_later_end_never_costs_less(sooner: timedelta, later: timedelta) -> None:
    """Extending a meeting can't make money come free."""
    first, last = sorted((sooner, later))
    costs = [
        worst_case_until(TEN + each, PRICE, began=TEN, longest=TEN + LONGEST)
        for each in (first, last)
    ]

    assert costs == sorted(costs)


# ── the verdict ──────────────────────────────────────────────────────────────────────────


def test_a_cap_is_reached_exactly() -> None:
    """What comes out at the cap to the micro-dollar fits; one more doesn't."""
    caps = Caps.of_dollars(per_day=5)
    spent, reserved = Spending(per_day=micros(3)), Spending(per_day=micros(1))

    assert verdict(caps, spent, reserved, micros(1)) == Allowed(micros(1))
    assert isinstance(verdict(caps, spent, reserved, micros(1) + 1), Refused)


def test_a_refusal_says_which_cap_and_what_is_gone() -> None:
    """The narrowest cap that is in the way is named, with the setting's key."""
    caps = Caps.of_dollars(per_meeting=2, per_day=5, per_month=5)
    full = Spending(per_day=micros(3), per_month=micros(4))

    found = verdict(caps, full, Spending(per_day=micros(1.1)), micros(1.5))

    assert found == Refused(
        Cap.PER_DAY,
        "over budget: at most $5.00 a day (budget.per_day); $3.00 spent, $1.10 set aside, "
        "and this may cost $1.50",
    )


def test_without_caps_everything_fits() -> None:
    """No budget is no limit, and what costs nothing fits into a spent one too."""
    over = Spending(per_day=micros(9))

    assert verdict(Caps(), over, over, micros(1e6)) == Allowed(micros(1e6))
    assert verdict(Caps.of_dollars(per_day=1), over, over, 0) == Allowed(0)
    assert isinstance(verdict(Caps.of_dollars(per_day=0), Spending(), Spending(), 1), Refused)


@EVERY
@given(
    limits=st.tuples(optional, optional, optional, optional),
    spent=st.tuples(amounts, amounts, amounts, amounts),
    reserved=st.tuples(amounts, amounts, amounts, amounts),
    wanted=st.integers(min_value=1, max_value=20 * MICROS),
)
def test_allowed_exactly_if_it_fits_under_every_cap(
    limits: tuple[int | None, ...],
    spent: tuple[int, ...],
    reserved: tuple[int, ...],
    wanted: int,
) -> None:
    """And a refusal names a cap that is really in the way."""
    in_the_way = {
        cap
        for cap, limit, gone, held in zip(Cap, limits, spent, reserved, strict=True)
        if limit is not None and gone + held + wanted > limit
    }

    found = verdict(Caps(*limits), Spending(*spent), Spending(*reserved), wanted)

    if isinstance(found, Refused):
        assert found.cap in in_the_way
        assert f"budget.{found.cap.value}" in found.reason
    else:
        assert in_the_way == set()
        assert found == Allowed(wanted)


# ── what counts together ─────────────────────────────────────────────────────────────────


@EVERY
@given(instant=instants, zone=st.sampled_from(ZONES))
def test_every_instant_is_in_one_day_and_one_month(instant: datetime, zone: tzinfo) -> None:
    """Days and months follow each other without a gap, also where the clocks change."""
    for window_of in (day_of, month_of):
        window = window_of(instant, zone)
        assert window.start <= instant < window.end
        assert window_of(window.start, zone) == window
        assert window_of(window.end, zone).start == window.end
        last = window.end - timedelta(microseconds=1)
        assert window_of(last, zone) == window


def test_days_and_months_are_local() -> None:
    """The last half hour of November in UTC is December in Berlin."""
    berlin = ZoneInfo("Europe/Berlin")
    night = datetime(2026, 11, 30, 23, 30, tzinfo=timezone.utc)

    assert day_of(night, berlin).start == datetime(2026, 11, 30, 23, tzinfo=timezone.utc)
    assert month_of(night, berlin).start == datetime(2026, 11, 30, 23, tzinfo=timezone.utc)
    assert month_of(night, timezone.utc).start == datetime(2026, 11, 1, tzinfo=timezone.utc)
    spring = datetime(2026, 3, 29, 12, tzinfo=timezone.utc)
    day = day_of(spring, berlin)
    assert day.end - day.start == timedelta(hours=23)


def test_organizers_are_told_apart_by_address() -> None:
    """Not by its case; the unseen share one account, and what one asked for has none."""
    theirs = meeting(organizer=Person("Boss@Example.COM "))

    assert organizer_of(theirs) == "boss@example.com"
    assert organizer_of(replace(theirs, organizer=None)) == ""
    assert organizer_of(replace(theirs, organizer=None, calendar=BY_HAND)) is None


# ── the config ───────────────────────────────────────────────────────────────────────────


def test_every_cap_has_its_setting() -> None:
    """`[budget]` has a key for each cap, in dollars; none is set unless given."""
    caps = {cap.value for cap in Cap}
    assert set(Budget.model_fields) == caps | {"check_ahead"}
    assert Caps.of_dollars(**Budget().model_dump(include=caps)) == Caps()
    given = Budget(per_meeting=8.25, per_organizer_month=30)
    assert Caps.of_dollars(**given.model_dump(include=caps)) == Caps(
        per_meeting=8_250_000, per_organizer_month=30_000_000
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "per_day = 20\nper_month = 10.5",
            "per_day: $20 is more than budget.per_month ($10.5)",
        ),
        ("per_meeting = 2\nper_organizer_month = 1", "more than budget.per_organizer_month"),
        ("per_day = -1", "per_day: must be at least 0"),
        ("per_day = inf", "per_day"),
        ('per_day = "$5"', "per_day"),
        ("per_week = 5", "unknown key"),
        ("per_meeting = 5\nper_day = 5\nper_month = 5", None),
        ("per_meeting = 0", None),
    ],
)
def test_caps_are_checked_with_the_config(text: str, told: str | None, tmp_path: Path) -> None:
    """A cap that would never count is a slip; so is what is no amount."""
    path = tmp_path / "locum.toml"
    path.write_text(f"[budget]\n{text}\n", "utf-8")
    problems: tuple[str, ...] = ()
    try:
        load(path, environ={"HOME": "/home/ada"})
    except ConfigError as error:
        problems = error.problems

    assert len(problems) == (told is not None)
    assert told is None or told in problems[0]
