"""Calendars are read from a real server into a real ledger, in fair weather and foul."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from locum.calendars.google import GoogleCalendarSource
from locum.core.model import CalendarAccess, CalendarRef
from locum.core.pacing import Limits
from locum.ledger import Database, Ledger
from locum.ledger.calendars import CalendarState
from locum.metrics import Metrics
from locum.polling import Pace, Polling
from locum.rehearsal.faults import Fault
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.serving import served
from tests.integration.google_rig import (
    ANNA,
    BEN,
    EVENTS,
    NOW,
    PRIMARY,
    GoogleRig,
    StillClock,
    meeting,
)

pytestmark = pytest.mark.anyio

NEAR, IDLE = timedelta(seconds=45), timedelta(minutes=5)
SECOND = CalendarRef("work", BEN)
NOTHING = {"kind": "calendar#events", "accessRole": "owner", "timeZone": "UTC", "items": []}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Agenda:
    """When each calendar's next meeting starts, who shows the same, and what was told of."""

    google: GoogleRig
    starts: dict[CalendarRef, datetime] = field(default_factory=dict)
    others: dict[CalendarRef, set[CalendarRef]] = field(default_factory=dict)
    changes: list[datetime] = field(default_factory=list)

    def near_from(
        self, calendar: CalendarRef, now: datetime, margin: timedelta
    ) -> datetime | None:
        start = self.starts.get(calendar)
        return None if start is None else start - margin

    def changed(self, calendar: CalendarRef) -> set[CalendarRef]:
        self.changes.append(self.google.clock.now())
        return self.others.get(calendar, set())


@dataclass
class PollRig:
    """Anna's calendar and Ben's, read with Anna's sign-in; Ben's is shared with her."""

    google: GoogleRig
    ledger: Ledger
    source: GoogleCalendarSource
    polling: Polling
    agenda: Agenda

    @property
    def changes(self) -> list[datetime]:
        return self.agenda.changes

    @property
    def stage(self) -> GoogleStage:
        return self.google.stage

    @property
    def titles(self) -> list[str]:
        return sorted(event.title for event in self.ledger.calendars.events())

    @property
    def state(self) -> CalendarState:
        return self.ledger.calendars.states()[PRIMARY]

    def is_failing(self) -> bool:
        return self.state.failing_since is not None

    def requests(self) -> list[str]:
        """Answer what was asked since the last call, but for what an old token was refused."""
        answered = [each for each in self.stage.log.matching(EVENTS) if each.status != 401]
        asked = [each.query for each in answered]
        self.stage.log.clear()
        return ["changes" if "timeMin" not in query else "window" for query in asked]

    async def poll(self, calendar: CalendarRef = PRIMARY) -> timedelta:
        wait = await self.polling.poll(calendar)
        assert wait is not None
        return wait


def pace(**changes: int) -> Pace:
    return Pace(
        near=NEAR,
        idle=IDLE,
        horizon=timedelta(hours=48),
        delta_from=changes.get("delta_from", 21),
    )


@pytest.fixture
def google(tmp_path: Path) -> Iterator[GoogleRig]:
    clock = StillClock(NOW)
    stage = GoogleStage(now=clock.now)
    stage.add_account(ANNA, name="Anna", time_zone="Europe/Berlin")
    stage.add_account(BEN, name="Ben", time_zone="America/New_York")
    stage.set_access(BEN, ANNA, "reader")
    with served(google_app(stage)) as server:
        rig = GoogleRig(stage, clock, server.base_url, tmp_path)
        rig.write_sign_in()
        yield rig


@pytest.fixture
async def rig(google: GoogleRig, tmp_path: Path) -> AsyncIterator[PollRig]:
    ledger = Ledger(Database(tmp_path / "ledger.db"))
    source = google.source(calendars=("primary", BEN))
    agenda = Agenda(google)
    polling = Polling(
        ledger=ledger,
        clock=google.clock,
        metrics=Metrics(),
        sources=[source],
        pace=pace(),
        near_from=agenda.near_from,
        on_change=agenda.changed,
    )
    made = PollRig(google, ledger, source, polling, agenda)
    yield made
    await source.aclose()
    ledger.close()


def about(duration: timedelta) -> tuple[timedelta, timedelta]:
    return duration * 0.9, duration * 1.1


def is_about(wait: timedelta, duration: timedelta) -> bool:
    least, most = about(duration)
    return least <= wait <= most


# ── fair weather ─────────────────────────────────────────────────────────────────────────


async def test_a_reading_is_applied_and_told_once(rig: PollRig) -> None:
    """A change asks for a pass; the same again doesn't."""
    rig.stage.insert_event(ANNA, meeting())
    assert is_about(await rig.poll(), IDLE)
    assert (rig.titles, len(rig.changes)) == (["Weekly sync"], 1)
    await rig.poll()
    assert len(rig.changes) == 1
    assert rig.state.read_at == NOW
    assert set(rig.polling.calendars) == {PRIMARY, SECOND}


async def test_only_a_calendar_with_a_meeting_near_is_read_more_often(rig: PollRig) -> None:
    """The near pace where the agenda says so, and for no other calendar's sake."""
    rig.agenda.starts[PRIMARY] = NOW + timedelta(minutes=14)
    assert is_about(await rig.poll(), NEAR)
    assert is_about(await rig.poll(SECOND), IDLE)


async def test_an_idle_calendar_is_looked_at_when_its_meeting_comes_near(rig: PollRig) -> None:
    """Not up to five minutes later, when half of the time for edits is gone."""
    rig.agenda.starts[PRIMARY] = NOW + timedelta(minutes=17)
    assert is_about(await rig.poll(), timedelta(minutes=2))


async def test_waits_are_spread_by_a_tenth_and_no_more(rig: PollRig) -> None:
    """A thousand daemons must not ask in the same second, nor any of them at random times."""
    waits = []
    for _ in range(60):
        waits.append(await rig.poll())
        rig.google.clock.advance(timedelta(seconds=1))
    assert all(is_about(wait, IDLE) for wait in waits)
    assert max(waits) - min(waits) > IDLE * 0.05


async def test_an_unwatched_calendar_is_polled_no_more(rig: PollRig) -> None:
    """A reload took it away: its timer ends."""
    await rig.poll()
    rig.polling.change([], pace())
    assert await rig.polling.poll(PRIMARY) is None
    assert rig.polling.calendars == ()


async def test_a_reading_under_way_when_its_calendar_is_dropped_is_dropped(
    rig: PollRig,
) -> None:
    """What a reload took away doesn't come back by the back door."""
    rig.stage.insert_event(ANNA, meeting())

    class DroppedMeanwhile(GoogleCalendarSource):
        async def read(self, calendar, window):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            found = await super().read(calendar, window)
            rig.polling.change([], pace())
            return found

    source = DroppedMeanwhile(rig.google.account, clock=rig.google.clock)
    rig.polling.change([source], pace())
    await rig.poll()
    await source.aclose()
    assert (rig.titles, rig.changes) == ([], [])


async def test_rule_60_a_malformed_event_is_named_and_the_rest_applied(rig: PollRig) -> None:
    """One broken item spoils nothing."""
    rig.stage.insert_event(ANNA, meeting())
    rig.stage.put_raw(ANNA, {"id": "broken", "status": "confirmed", "summary": "no times"})
    with capture_logs() as logged:
        await rig.poll()
    assert rig.titles == ["Weekly sync"]
    [warning] = [each for each in logged if each["event"] == "event_skipped"]
    assert (warning["event_id"], warning["log_level"]) == ("broken", "warning")


async def test_rule_31_a_free_busy_calendar_warns_once(rig: PollRig) -> None:
    """And again only if it showed its details in between."""
    rig.stage.set_access(BEN, ANNA, "freeBusyReader")
    with capture_logs() as logged:
        await rig.poll(SECOND)
        await rig.poll(SECOND)
    events = [each["event"] for each in logged if each["log_level"] == "warning"]
    assert events == ["calendar_without_details"]
    assert rig.ledger.calendars.states()[SECOND].access is CalendarAccess.FREE_BUSY


# ── foul weather ─────────────────────────────────────────────────────────────────────────


async def test_rule_59_an_outage_keeps_what_is_armed_and_is_told_once(rig: PollRig) -> None:
    """An hour of 503: the waits grow to a quarter of an hour, the events stay, one alert."""
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    rig.stage.faults.add(Fault(path=EVENTS, status=503, times=None))
    waits = []
    with capture_logs() as logged:
        for _ in range(8):
            waits.append(await rig.poll())
            rig.google.clock.advance(waits[-1])
    expected = [30, 30, 60, 120, 240, 480, 900, 900]
    for wait, seconds in zip(waits, expected, strict=True):
        assert is_about(wait, timedelta(seconds=seconds)), (wait, seconds)
    assert (rig.titles, len(rig.changes)) == (["Weekly sync"], 1)
    assert rig.state.failing_since == NOW
    told = [each for each in logged if each["event"] == "calendar_unreadable"]
    assert [each["log_level"] for each in told] == ["error"] + ["debug"] * 7
    assert told[0]["kind"] == "transient"
    rig.stage.faults.clear()
    with capture_logs() as logged:
        assert is_about(await rig.poll(), IDLE)
    assert "calendar_read_again" in [each["event"] for each in logged]
    assert rig.state.problem is None
    assert not rig.is_failing()
    rig.stage.faults.add(Fault(path=EVENTS, status=503))
    assert is_about(await rig.poll(), timedelta(seconds=30))


@pytest.mark.parametrize(
    "fault", [Fault(path=EVENTS, drop=True), Fault(path="/token", status=500)]
)
async def test_rule_59_a_lost_connection_or_token_server_cancels_nothing(
    rig: PollRig, fault: Fault
) -> None:
    """Whatever is in trouble, what is armed stays."""
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    rig.google.clock.advance(timedelta(hours=2))
    for _ in range(3):
        rig.stage.faults.add(fault)
    await rig.poll()
    assert rig.titles == ["Weekly sync"]
    assert rig.state.problem is not None


async def test_rule_59_invalid_grant_says_what_to_do_and_heals(rig: PollRig) -> None:
    """The sign-in ended: armed meetings stay, one alert with the command; then it goes on."""
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    rig.stage.revoke(ANNA)
    with capture_logs() as logged:
        assert is_about(await rig.poll(), timedelta(minutes=5))
        await rig.poll()
    told = [each for each in logged if each["event"] == "calendar_unreadable"]
    assert [each["log_level"] for each in told] == ["error", "debug"]
    assert told[0]["kind"] == "sign_in"
    assert "locum auth login work" in str(rig.state.problem)
    assert rig.titles == ["Weekly sync"]
    rig.google.write_sign_in()
    with capture_logs() as logged:
        await rig.poll()
    assert "calendar_read_again" in [each["event"] for each in logged]
    assert (rig.titles, len(rig.changes)) == (["Weekly sync"], 1)


async def test_rule_60_a_calendar_that_is_gone_keeps_its_events(rig: PollRig) -> None:
    """Not shared any more: one alert, looked at again in minutes, the other one goes on."""
    rig.stage.insert_event(BEN, meeting())
    await rig.poll(SECOND)
    rig.stage.set_access(BEN, ANNA, "none")
    with capture_logs() as logged:
        assert is_about(await rig.poll(SECOND), timedelta(minutes=5))
        await rig.poll(SECOND)
    told = [each for each in logged if each["event"] == "calendar_unreadable"]
    assert [(each["log_level"], each["kind"]) for each in told] == [
        ("error", "refused"),
        ("debug", "refused"),
    ]
    assert rig.titles == ["Weekly sync"]
    assert is_about(await rig.poll(), IDLE)


async def test_rule_58_an_empty_answer_is_read_again_before_it_is_believed(
    rig: PollRig,
) -> None:
    """Once empty: looked at again in seconds; seen again, nothing has happened."""
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    rig.stage.faults.add(Fault(path=EVENTS, status=200, body=NOTHING))
    assert is_about(await rig.poll(), timedelta(seconds=3))
    assert (rig.titles, len(rig.changes)) == (["Weekly sync"], 1)
    assert is_about(await rig.poll(), IDLE)
    assert rig.titles == ["Weekly sync"]
    for _ in range(2):
        rig.stage.faults.add(Fault(path=EVENTS, status=200, body=NOTHING))
    assert is_about(await rig.poll(), timedelta(seconds=3))
    before = len(rig.changes)
    assert is_about(await rig.poll(), IDLE)
    assert (rig.titles, len(rig.changes) - before) == ([], 1)


# ── the quota ────────────────────────────────────────────────────────────────────────────


async def test_rule_59_out_of_quota_lets_the_whole_account_rest(rig: PollRig) -> None:
    """Its other calendar isn't asked for either; one alert, and one word when it is over."""
    await rig.poll(SECOND)
    rig.stage.fail(429, "rateLimitExceeded", path=EVENTS)
    rig.requests()
    with capture_logs() as logged:
        assert is_about(await rig.poll(), timedelta(seconds=60))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rig.poll, SECOND)
            await anyio.sleep(0.1)
            assert rig.requests() == ["window"]
            rig.google.clock.advance(timedelta(seconds=61))
            rig.polling.hurry(SECOND)
    assert rig.requests() == ["window"]
    told = [each["event"] for each in logged if each["log_level"] in {"error", "warning"}]
    assert told == ["account_out_of_quota"]
    assert "account_in_quota_again" in [each["event"] for each in logged]
    assert rig.is_failing()


async def test_each_refusal_in_a_row_makes_the_rest_longer(rig: PollRig) -> None:
    """Up to a quarter of an hour; what is refused meanwhile counts once."""
    rig.stage.fail(403, "userRateLimitExceeded", path=EVENTS, times=None)
    waits = []
    for _ in range(7):
        waits.append(await rig.poll())
        rig.google.clock.advance(waits[-1] * 1.2)
    expected = [60, 60, 60, 120, 240, 480, 900]
    for wait, seconds in zip(waits, expected, strict=True):
        assert is_about(wait, timedelta(seconds=seconds)), (wait, seconds)


async def test_too_many_calendars_are_read_less_often_and_that_is_said(rig: PollRig) -> None:
    """Two calendars that want to be read twice a minute, where one may ask ten times."""
    tight = replace(
        pace(), near=timedelta(seconds=5), idle=timedelta(seconds=5), limits=Limits(10)
    )
    with capture_logs() as logged:
        rig.polling.change([rig.source], tight)
        wait = await rig.poll()
        rig.polling.change([rig.source], pace())
        await rig.poll()
    assert is_about(wait, timedelta(seconds=14.8))
    told = [each for each in logged if each["event"].startswith("calendar_pace")]
    assert [each["event"] for each in told] == [
        "calendar_pace_stretched",
        "calendar_pace_restored",
    ]
    assert (told[0]["calendars"], told[0]["idle_every_s"]) == (2, 15)


async def test_near_calendars_come_first_where_all_are_due(rig: PollRig) -> None:
    """At a start, and when a suspended machine wakes."""
    rig.agenda.starts[SECOND] = NOW + timedelta(minutes=5)
    waits = rig.polling.first_waits()
    assert waits[SECOND] == timedelta(0)
    assert timedelta(0) < waits[PRIMARY] < timedelta(seconds=1)


async def test_rule_40_who_shows_the_same_meeting_is_read_next(rig: PollRig) -> None:
    """What changed on one calendar has changed on the other, which is outdated: once."""
    rig.agenda.others[PRIMARY] = {SECOND}
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    assert rig.polling.take_outdated() == {SECOND}
    assert rig.polling.take_outdated() == frozenset()


async def test_a_calendar_that_waits_for_its_turn_is_not_polled_twice(rig: PollRig) -> None:
    """Somebody is impatient: the one that waits is asked for sooner, and no other."""
    rig.polling._turns.rest("work", timedelta(minutes=1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.poll)
        await anyio.sleep(0.05)
        assert await rig.polling.poll(PRIMARY) is None
        rig.google.clock.advance(timedelta(minutes=1))
        rig.polling.hurry(PRIMARY)
    assert rig.requests() == ["window"]


# ── the delta lane ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def delta_rig(rig: PollRig) -> PollRig:
    rig.polling.change([rig.source], pace(delta_from=2))
    return rig


async def test_with_few_calendars_each_poll_reads_the_window(rig: PollRig) -> None:
    """Below `delta_from` the delta lane isn't used at all."""
    for _ in range(3):
        await rig.poll()
    assert rig.requests() == ["window"] * 3


async def test_with_many_calendars_the_window_is_read_only_on_a_change(
    delta_rig: PollRig,
) -> None:
    """First the window, then where "now" is, and from then on what changed."""
    rig = delta_rig
    await rig.poll()
    await rig.poll()
    assert rig.requests() == ["window", "changes", "window"]
    for _ in range(3):
        assert is_about(await rig.poll(), IDLE)
    assert rig.requests() == ["changes"] * 3
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    assert rig.requests() == ["changes", "window"]
    assert (rig.titles, len(rig.changes)) == (["Weekly sync"], 1)
    await rig.poll()
    assert rig.requests() == ["changes"]


async def test_rule_58_what_vanished_without_a_word_is_looked_for_again(
    delta_rig: PollRig,
) -> None:
    """Two wrong answers in a row don't blind the delta lane until the hour is over."""
    rig = delta_rig
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    await rig.poll()
    rig.polling.read_all_in_full()
    for _ in range(2):
        rig.stage.faults.add(Fault(path=EVENTS, status=200, body=NOTHING))
        await rig.poll()
    assert rig.titles == []
    await rig.poll()
    assert rig.titles == ["Weekly sync"]


async def test_rule_37_the_window_is_read_every_hour_all_the_same(delta_rig: PollRig) -> None:
    """What slides into the horizon without an edit is no change of the calendar's."""
    rig = delta_rig
    later = {"dateTime": (NOW + timedelta(hours=48, minutes=30)).isoformat()}
    end = {"dateTime": (NOW + timedelta(hours=49)).isoformat()}
    rig.stage.insert_event(ANNA, meeting(start=later, end=end))
    await rig.poll()
    await rig.poll()
    rig.requests()
    rig.google.clock.advance(timedelta(minutes=59))
    await rig.poll()
    assert (rig.requests(), rig.titles) == (["changes"], [])
    rig.google.clock.advance(timedelta(minutes=1))
    await rig.poll()
    assert (rig.requests(), rig.titles) == (["window"], ["Weekly sync"])


async def test_after_a_jump_of_time_the_window_is_read_at_once(delta_rig: PollRig) -> None:
    """A suspended machine has missed what slid in."""
    rig = delta_rig
    await rig.poll()
    await rig.poll()
    rig.requests()
    rig.polling.read_all_in_full()
    await rig.poll()
    assert rig.requests() == ["window"]


async def test_rule_56_an_expired_token_means_reading_and_beginning_anew(
    delta_rig: PollRig,
) -> None:
    """410: what is armed stays armed, the window is read, the lane starts over."""
    rig = delta_rig
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    await rig.poll()
    rig.requests()
    rig.stage.expire_sync_tokens()
    await rig.poll()
    assert rig.requests() == ["changes", "window"]
    assert (rig.state.sync_token, rig.titles) == (None, ["Weekly sync"])
    await rig.poll()
    assert rig.requests() == ["changes", "window"]
    await rig.poll()
    assert rig.requests() == ["changes"]


async def test_rule_57_a_change_whose_reading_failed_is_told_again(delta_rig: PollRig) -> None:
    """The token moves on only after the window was read."""
    rig = delta_rig
    await rig.poll()
    await rig.poll()
    token = rig.state.sync_token
    rig.stage.insert_event(ANNA, meeting())
    rig.stage.faults.add(Fault(path="timeMin", status=503))
    await rig.poll()
    assert (rig.state.sync_token, rig.titles) == (token, [])
    await rig.poll()
    assert rig.titles == ["Weekly sync"]


async def test_an_idle_delta_lane_does_not_hide_that_a_failure_is_over(
    delta_rig: PollRig,
) -> None:
    """After an outage the window is read, so that the status tells that all is well."""
    rig = delta_rig
    await rig.poll()
    await rig.poll()
    rig.stage.faults.add(Fault(path=EVENTS, status=503))
    await rig.poll()
    assert rig.is_failing()
    rig.requests()
    await rig.poll()
    assert rig.requests() == ["window"]
    assert not rig.is_failing()
    await rig.poll()
    assert rig.requests() == ["changes"]
