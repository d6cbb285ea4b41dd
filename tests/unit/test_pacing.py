"""What a quota leaves of the wished-for paces, and that nothing goes beyond it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from locum.core.pacing import Bucket, Limits, Periods, paces, stretched
from tests.unit.builders import TEN
from tests.unit.drawn import thorough

MINUTE = timedelta(minutes=1)
WANTED = Periods(near=timedelta(seconds=45), idle=timedelta(minutes=5))
LIMITS = Limits()


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


# ── paces ────────────────────────────────────────────────────────────────────────────────


def test_what_the_quota_has_room_for_is_read_as_wished() -> None:
    """A hundred calendars near a meeting and nine hundred others are no reason to wait."""
    found = paces({"work": (100, 900)}, WANTED, LIMITS)["work"]
    assert (found.periods, found.is_stretched) == (WANTED, False)


def test_the_idle_ones_wait_first() -> None:
    """What is near keeps its pace while the others can be read less often for it."""
    found = stretched(WANTED, 200, 800, 400)
    assert found.near == WANTED.near
    assert WANTED.idle < found.idle <= 3 * WANTED.idle


def test_a_thousand_near_ones_are_stretched_to_what_one_account_may_ask() -> None:
    """At 45 s they would make 1,333 requests a minute, and the quota is 600."""
    found = paces({"work": (1000, 0)}, WANTED, LIMITS)["work"]
    assert found.is_stretched
    assert found.periods.polls_per_minute(1000, 0) == pytest.approx(LIMITS.polls_of_account())
    assert seconds(120) < found.periods.near < seconds(150)


def test_a_thousand_accounts_are_stretched_to_what_a_day_allows() -> None:
    """Each of them is far from its own quota; together they spend the project's day."""
    counts = {f"a{number}": (1, 0) for number in range(1000)}
    found = paces(counts, WANTED, LIMITS)
    period = found["a0"].periods.near
    assert all(each.periods.near == period for each in found.values())
    assert 1000 * (timedelta(days=1) / period) < LIMITS.project_per_day


def test_an_account_with_few_calendars_is_not_slowed_by_anothers_many() -> None:
    """As long as the project has room for both."""
    found = paces({"many": (600, 0), "few": (2, 1)}, WANTED, Limits(project_per_day=10**7))
    assert found["many"].is_stretched
    assert (found["few"].periods, found["few"].is_stretched) == (WANTED, False)


def test_no_calendars_have_a_pace_too() -> None:
    """An account whose calendars were all taken out divides nothing by nothing."""
    assert paces({"work": (0, 0)}, WANTED, LIMITS)["work"].periods == WANTED
    assert paces({}, WANTED, LIMITS) == {}


@thorough
@given(
    st.integers(0, 3000),
    st.integers(0, 3000),
    st.integers(1, 3600),
    st.integers(1, 3600),
    st.integers(5, 10_000),
)
@example(near=1151, idle=1, near_s=1151, idle_s=1, per_minute=60)
def test_stretched_paces_fit_and_are_never_faster_than_wished(
    near: int, idle: int, near_s: int, idle_s: int, per_minute: int
) -> None:
    """However many there are: no more polls than allowed, and none that nobody asked for."""
    wanted = Periods(seconds(near_s), seconds(idle_s))
    found = stretched(wanted, near, idle, per_minute)
    assert found.near >= wanted.near
    assert found.idle >= wanted.idle
    assert found.polls_per_minute(near, idle) <= per_minute * 1.0001
    if found.near > wanted.near:
        assert found.idle >= 3 * wanted.idle
    if wanted.polls_per_minute(near, idle) <= per_minute:
        assert found == wanted


# ── buckets ──────────────────────────────────────────────────────────────────────────────


@thorough
@given(
    st.integers(2, 200),
    st.lists(st.integers(0, 20_000), min_size=1, max_size=300),
    st.booleans(),
)
def test_no_stretch_of_time_sees_more_than_the_limit(
    limit: int,
    pauses_ms: list[int],
    eager: bool,  # noqa: FBT001 - Drawn.
) -> None:
    """Whoever asks whenever they like, or as soon as they may: any minute holds `limit`."""
    bucket = Bucket(limit, MINUTE, TEN)
    now, let_through = TEN, []
    for pause in pauses_ms:
        now += timedelta(milliseconds=pause)
        wait = bucket.wait(now)
        if wait and not eager:
            continue
        now += wait
        assert not bucket.wait(now)
        bucket.take(now)
        let_through.append(now)
    for first in let_through:
        assert sum(first <= each < first + MINUTE for each in let_through) <= limit


def test_a_long_list_is_paid_back_before_the_next_may_go() -> None:
    """What was more than one request delays what comes after it."""
    bucket = Bucket(600, MINUTE, TEN)
    bucket.take(TEN, 60)
    assert bucket.wait(TEN) == pytest.approx(seconds(1 / 9), abs=seconds(0.001))
    bucket.take(TEN, 90)
    assert bucket.wait(TEN) == pytest.approx(seconds(91 / 9), abs=seconds(0.001))


def test_after_a_rest_they_go_one_by_one() -> None:
    """Google said that it was too much: no burst the moment that it is over."""
    bucket = Bucket(600, MINUTE, TEN)
    bucket.rest(TEN, MINUTE)
    assert bucket.wait(TEN) == pytest.approx(MINUTE, abs=seconds(0.001))
    bucket.take(TEN + MINUTE)
    assert bucket.wait(TEN + MINUTE) > seconds(0.1)


def test_a_clock_that_is_set_back_neither_fills_nor_empties_a_bucket() -> None:
    """Nor one that goes on from there."""
    bucket = Bucket(600, MINUTE, TEN)
    bucket.take(TEN, 60)
    before = bucket.wait(TEN)
    assert before
    assert bucket.wait(TEN - timedelta(hours=1)) == before
    assert not bucket.wait(TEN - timedelta(hours=1) + before)


def test_each_start_has_only_a_part_of_the_days_quota_at_once() -> None:
    """A daemon that is restarted again and again doesn't spend the day's in an hour."""
    _, day = LIMITS.project_buckets(TEN)
    day.take(TEN, 9000)
    assert day.wait(TEN)
