"""The rules that begin with what Google answers: from the served stage to what a pass would do.

The readings are real, the ledger too; what would be done is asked of the core.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from locum.calendars.google import GoogleCalendarSource
from locum.core.model import (
    Action,
    CalendarRef,
    Code,
    EndReason,
    Phase,
    Plan,
    SessionHandle,
    SessionKey,
    SessionRecord,
)
from locum.core.policy import Policy
from locum.core.reconcile import reconcile
from locum.ledger import Database, Ledger
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
from tests.unit.builders import LEAD, leaves, plan, policy

pytestmark = pytest.mark.anyio

SECOND = CalendarRef("work", BEN)
DAY = timedelta(days=1)
HORIZON = timedelta(hours=48)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def when(start: datetime, end: datetime | None = None) -> dict[str, Any]:
    """Answer an event's times; half an hour unless told."""
    end = end or start + hours(0.5)
    return {"start": {"dateTime": start.isoformat()}, "end": {"dateTime": end.isoformat()}}


def local(start: str, zone: str, minutes: int = 30, **changes: Any) -> dict[str, Any]:
    """Answer the body of an event at a local time, as people write it."""
    end = datetime.fromisoformat(start) + timedelta(minutes=minutes)
    times = {
        "start": {"dateTime": start, "timeZone": zone},
        "end": {"dateTime": end.isoformat(), "timeZone": zone},
    }
    return meeting(**times, **changes)


@dataclass
class Rig:
    """Anna's calendar and Ben's, read with Anna's sign-in, and the sessions that they led to."""

    google: GoogleRig
    ledger: Ledger
    source: GoogleCalendarSource
    pace: Pace = field(default_factory=lambda: Pace(LEAD, LEAD, HORIZON, 21))
    policy: Policy = field(default_factory=policy)
    changes: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin with a process that knows nothing but the ledger."""
        self.polling = Polling(
            ledger=self.ledger,
            clock=self.google.clock,
            metrics=Metrics(),
            sources=[self.source],
            pace=self.pace,
            near_from=lambda _calendar, now, _margin: now,
            on_change=self._changed,
        )

    def _changed(self, _calendar: CalendarRef) -> tuple[CalendarRef, ...]:
        self.changes += 1
        return ()

    def set_pace(self, **changes: Any) -> None:
        settings: dict[str, Any] = {"horizon": HORIZON, "delta_from": 21} | changes
        self.pace = Pace(near=LEAD, idle=LEAD, **settings)
        self.polling.change([self.source], self.pace)

    @property
    def stage(self) -> GoogleStage:
        return self.google.stage

    @property
    def now(self) -> datetime:
        return self.google.clock.now()

    def wait_until(self, instant: datetime) -> None:
        self.google.clock.advance(instant - self.now)

    async def poll(self, calendar: CalendarRef = PRIMARY) -> None:
        assert await self.polling.poll(calendar) is not None

    def records(self) -> tuple[SessionRecord, ...]:
        return self.ledger.sessions.unfinished_and_since(self.now - 30 * DAY)

    def plan(self) -> Plan:
        events = self.ledger.calendars.events()
        return plan(events, self.now, records=self.records(), under=self.policy)

    def act(self) -> tuple[Action, ...]:
        running = [SessionKey(each.key) for each in self.records() if each.is_open]
        return reconcile(self.plan(), self.records(), running, self.policy, self.now)

    def joins(self) -> list[datetime]:
        """Answer the starts of what we mean to enter, each with its lead."""
        return sorted(
            stay.join_at + self.policy.lead
            for stay in self.plan().stays.values()
            if stay.key not in {each.key for each in self.records()}
        )

    def codes(self) -> dict[str, Code]:
        return {item.event.title: item.decision.code for item in self.plan().judged}

    def enter(self, *, others: int | None = None) -> SessionKey:
        """Be in the one meeting that is due."""
        [stay] = self.plan().stays.values()
        outcome = self.ledger.sessions.claim(
            [stay], now=self.now, grace=self.policy.grace, prices={}
        )
        assert outcome == {stay.key: None}
        sessions, at = self.ledger.sessions, self.now
        sessions.transition(stay.key, Phase.WAITING, at=at, handle=SessionHandle("h"))
        sessions.transition(stay.key, Phase.LIVE, at=at, admitted_at=at)
        if others is not None:
            sessions.others_present(stay.key, others)
        return stay.key

    def leave(self, key: SessionKey, reason: EndReason) -> None:
        for phase in (Phase.LEAVING, Phase.ENDED, Phase.FILED):
            self.ledger.sessions.transition(
                key, phase, at=self.now, reason=reason, ended_at=self.now
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
async def rig(google: GoogleRig, tmp_path: Path) -> AsyncIterator[Rig]:
    ledger = Ledger(Database(tmp_path / "ledger.db"))
    source = google.source(calendars=("primary", BEN))
    yield Rig(google, ledger, source)
    await source.aclose()
    ledger.close()


# ── moved out of sight ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_instance", [False, True])
@pytest.mark.parametrize("others", [None, 0, 2])
async def test_rule_07_08_moved_beyond_the_horizon_while_in_it(
    rig: Rig, *, others: int | None, is_instance: bool
) -> None:
    """In no reading any more, and yet not gone: as if it had moved to tomorrow."""
    series: dict[str, Any] = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=1"]}
    body = local("2026-11-23T10:00:00", "Europe/Berlin", **(series if is_instance else {}))
    event_id = rig.stage.insert_event(ANNA, body)["id"]
    if is_instance:
        event_id += "_20261123T090000Z"
    await rig.poll()
    rig.wait_until(NOW + hours(1.1))
    key = rig.enter(others=others)
    later = NOW + 7 * DAY
    rig.stage.patch_event(ANNA, event_id, when(later))
    for _ in range(3):
        await rig.poll()
        told = leaves(rig.act())
        assert told == ({} if others else {key: EndReason.MOVED})
    if others:
        rig.wait_until(NOW + hours(2))
        assert leaves(rig.act()) == {}
        rig.ledger.sessions.others_present(key, 0)
        assert leaves(rig.act()) == {key: EndReason.MOVED}
    rig.leave(key, EndReason.MOVED)
    rig.wait_until(later - hours(1))
    await rig.poll()
    assert rig.joins() == [later]


async def test_rule_35_a_purged_event_is_no_moved_one(rig: Rig) -> None:
    """Gone without a tombstone while we are in it: asked for, not found, left at the second look."""
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    rig.wait_until(NOW + hours(1.1))
    key = rig.enter(others=3)
    [entry] = rig.stage._calendar(ANNA).entries.values()
    rig.stage._calendar(ANNA).entries.clear()
    await rig.poll()
    assert leaves(rig.act()) == {}
    assert rig.stage.log.matching(f"/events/{entry.id}")[-1].status == 404
    await rig.poll()
    assert leaves(rig.act()) == {key: EndReason.UNWANTED}


async def test_rule_58_few_are_sought_when_all_are_missing(rig: Rig) -> None:
    """An empty answer with sixty meetings on is no reason for sixty requests, nor for leaving."""
    for number in range(60):
        rig.stage.insert_event(ANNA, meeting(summary=f"No. {number}"))
    await rig.poll()
    rig.wait_until(NOW + hours(1.1))
    rig.stage.log.clear()
    nothing = {"kind": "calendar#events", "accessRole": "owner", "items": []}
    rig.stage.faults.add(Fault(path=EVENTS, status=200, body=nothing))
    await rig.poll()
    assert 1 < len(rig.stage.log.matching("/events")) < 30
    assert len(rig.ledger.calendars.events()) == 60
    await rig.poll()
    assert len(rig.plan().stays) == 1


async def test_rule_15_two_edits_between_polls(rig: Rig) -> None:
    """Moved twice, unseen in between: only the last time is known."""
    event_id = rig.stage.insert_event(ANNA, meeting())["id"]
    await rig.poll()
    for hour in (3, 5):
        rig.stage.patch_event(ANNA, event_id, when(NOW + hours(hour)))
    await rig.poll()
    assert rig.joins() == [NOW + hours(5)]


# ── whose answer ─────────────────────────────────────────────────────────────────────────


async def test_rule_20_21_22_23_24_26_who_said_what(rig: Rig) -> None:
    """The account's own answer counts, on its own copy, and nobody else's."""
    guests = {"attendees": [{"email": ANNA}]}
    for title, answer in (
        ("yes", "accepted"),
        ("no", "declined"),
        ("maybe", "tentative"),
        ("silence", None),
        ("host away", "accepted"),
    ):
        made = rig.stage.insert_event(BEN, meeting(summary=title, **guests))
        if answer is not None:
            rig.stage.respond(ANNA, made["id"], answer)
        if title == "host away":
            away = {"email": BEN, "organizer": True, "responseStatus": "declined"}
            accepted = {"email": ANNA, "responseStatus": "accepted"}
            rig.stage.patch_event(BEN, made["id"], {"attendees": [away, accepted]})
    rig.stage.insert_event(ANNA, meeting(summary="alone"))
    group = {"email": "all@example.com", "responseStatus": "accepted"}
    stranger = {"email": "stranger@evil.test"}
    rig.stage.insert_event(
        ANNA, meeting(summary="by group", attendees=[group], organizer=stranger)
    )
    await rig.poll()
    assert rig.codes() == {
        "yes": Code.ACCEPTED,
        "no": Code.DECLINED,
        "maybe": Code.WAITING_FOR_ANSWER,
        "silence": Code.WAITING_FOR_ANSWER,
        "host away": Code.ACCEPTED,
        "alone": Code.ORGANIZED_BY_SELF,
        "by group": Code.WAITING_FOR_ANSWER,
    }
    rig.policy = policy(join_unanswered=True)
    assert {rig.codes()[title] for title in ("maybe", "silence", "by group")} == {
        Code.UNANSWERED_ALLOWED
    }


async def test_rule_25_one_instance_declined(rig: Rig) -> None:
    """The series was accepted: tomorrow's instance alone is skipped."""
    body = local(
        "2026-11-23T10:00:00",
        "Europe/Berlin",
        attendees=[{"email": ANNA}],
        recurrence=["RRULE:FREQ=DAILY;COUNT=3"],
    )
    series = rig.stage.insert_event(BEN, body)["id"]
    rig.stage.respond(ANNA, series, "accepted")
    rig.stage.respond(ANNA, f"{series}_20261124T090000Z", "declined")
    rig.set_pace(horizon=7 * DAY)
    await rig.poll()
    first = NOW + hours(1)
    assert rig.joins() == [first, first + 2 * DAY]


# ── kinds and sight ──────────────────────────────────────────────────────────────────────


async def test_rule_19_29_32_what_is_a_meeting(rig: Rig) -> None:
    """Focus time and whole days aren't; "free" and "tentative" say nothing about us."""
    focus = {"eventType": "focusTime", "focusTimeProperties": {}, "transparency": "opaque"}
    day = {"start": {"date": "2026-11-23"}, "end": {"date": "2026-11-24"}}
    rig.stage.insert_event(ANNA, meeting(summary="focus", **focus))
    rig.stage.insert_event(ANNA, meeting(summary="day", **day))
    rig.stage.insert_event(ANNA, meeting(summary="free", transparency="transparent"))
    rig.stage.insert_event(ANNA, meeting(summary="maybe", status="tentative"))
    await rig.poll()
    assert rig.codes() == {
        "focus": Code.NOT_A_MEETING,
        "day": Code.ALL_DAY,
        "free": Code.ORGANIZED_BY_SELF,
        "maybe": Code.ORGANIZED_BY_SELF,
    }


async def test_rule_30_details_that_appear(rig: Rig) -> None:
    """Private on a calendar that we only read: none; made public, it is joined."""
    body = meeting(visibility="private", attendees=[{"email": BEN}])
    made = rig.stage.insert_event(BEN, body)["id"]
    await rig.poll(SECOND)
    assert set(rig.codes().values()) == {Code.NO_DETAILS}
    assert rig.joins() == []
    rig.stage.patch_event(BEN, made, {"visibility": "default"})
    await rig.poll(SECOND)
    assert rig.joins() == [NOW + hours(1)]


async def test_rule_31_nothing_is_joined_from_a_free_busy_calendar(rig: Rig) -> None:
    """It says when, not what; shared with its details, its meetings are joined."""
    rig.stage.insert_event(BEN, meeting())
    rig.stage.set_access(BEN, ANNA, "freeBusyReader")
    await rig.poll(SECOND)
    assert rig.joins() == []
    rig.stage.set_access(BEN, ANNA, "reader")
    await rig.poll(SECOND)
    assert rig.joins() == [NOW + hours(1)]


# ── series and zones ─────────────────────────────────────────────────────────────────────


async def test_rule_33_a_weekly_meeting_across_the_change_of_clocks(rig: Rig) -> None:
    """Ten in Berlin is nine in UTC in winter and eight in summer."""
    rig.wait_until(datetime(2027, 3, 24, tzinfo=timezone.utc))
    rig.set_pace(horizon=14 * DAY)
    rule: dict[str, Any] = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"]}
    rig.stage.insert_event(ANNA, local("2027-03-25T10:00:00", "Europe/Berlin", **rule))
    await rig.poll()
    assert rig.joins() == [
        datetime(2027, 3, 25, 9, tzinfo=timezone.utc),
        datetime(2027, 4, 1, 8, tzinfo=timezone.utc),
    ]


@pytest.mark.parametrize("start", ["2027-03-28T02:30:00", "2026-10-25T02:30:00"])
async def test_rule_33_in_the_gap_and_in_the_overlap_the_api_says_when(
    rig: Rig, start: str
) -> None:
    """A local time that doesn't exist, or exists twice, is one join: at the offset given."""
    naive = datetime.fromisoformat(start)
    rig.wait_until(naive.replace(tzinfo=timezone.utc) - DAY)
    made = rig.stage.insert_event(ANNA, local(start, "Europe/Berlin", 90))
    given = rig.stage.get_event(ANNA, made["id"])["start"]["dateTime"]
    await rig.poll()
    assert rig.joins() == [datetime.fromisoformat(given.replace("Z", "+00:00"))]


async def test_rule_34_an_instance_moved_past_its_neighbour(rig: Rig) -> None:
    """Joined where it went and not where it was; the neighbour too."""
    rule: dict[str, Any] = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=2"]}
    series = rig.stage.insert_event(
        ANNA, local("2026-11-23T10:00:00", "Europe/Berlin", **rule)
    )["id"]
    away = NOW + DAY + hours(5)
    rig.stage.patch_event(ANNA, f"{series}_20261123T090000Z", when(away))
    await rig.poll()
    assert rig.joins() == [NOW + DAY + hours(1), away]


async def test_rule_35_one_instance_cancelled_then_the_series(rig: Rig) -> None:
    """First only that one, then all that lie ahead."""
    rule: dict[str, Any] = {"recurrence": ["RRULE:FREQ=DAILY"]}
    series = rig.stage.insert_event(
        ANNA, local("2026-11-23T10:00:00", "Europe/Berlin", **rule)
    )["id"]
    rig.set_pace(horizon=3 * DAY)
    first = NOW + hours(1)
    rig.stage.delete_event(ANNA, f"{series}_20261124T090000Z")
    await rig.poll()
    assert rig.joins() == [first, first + 2 * DAY]
    rig.stage.delete_event(ANNA, series)
    await rig.poll()
    await rig.poll()
    assert rig.joins() == []


async def test_rule_36_this_and_following(rig: Rig) -> None:
    """The old series ends before the seam, the new one begins at it: each day one join."""
    rule: dict[str, Any] = {"recurrence": ["RRULE:FREQ=DAILY"]}
    series = rig.stage.insert_event(
        ANNA, local("2026-11-23T10:00:00", "Europe/Berlin", **rule)
    )["id"]
    rig.set_pace(horizon=3 * DAY)
    await rig.poll()
    until = {"recurrence": ["RRULE:FREQ=DAILY;UNTIL=20261124T085959Z"]}
    rig.stage.patch_event(ANNA, series, until)
    rig.stage.insert_event(ANNA, local("2026-11-24T10:00:00", "Europe/Berlin", **rule))
    first = NOW + hours(1)
    for _ in range(2):
        await rig.poll()
        assert rig.joins() == [first, first + DAY, first + 2 * DAY]


async def test_rule_37_38_of_a_touched_endless_series_only_the_horizon_is_known(
    rig: Rig,
) -> None:
    """The reading ends, the rows are few, and what slides in is joined with the next reading."""
    rig.set_pace(delta_from=1)
    rule: dict[str, Any] = {"recurrence": ["RRULE:FREQ=DAILY"]}
    series = rig.stage.insert_event(
        ANNA, local("2026-11-23T10:00:00", "Europe/Berlin", **rule)
    )["id"]
    for _ in range(2):
        await rig.poll()
    first = NOW + hours(1)
    assert rig.joins() == [first, first + DAY]
    rig.stage.patch_event(ANNA, series, {"summary": "Touched"})
    await rig.poll()
    assert len(rig.ledger.calendars.events()) == 2
    rig.google.clock.advance(hours(1.5))
    await rig.poll()
    assert rig.joins() == [first + DAY, first + 2 * DAY]


@pytest.mark.parametrize("host", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
async def test_rule_39_all_zones_differ(
    rig: Rig, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start's, end's, the calendar's and the host's: the same instant."""
    monkeypatch.setitem(os.environ, "TZ", host)
    time.tzset()
    try:
        times = {
            "start": {"dateTime": "2026-11-23T14:30:00", "timeZone": "Asia/Kolkata"},
            "end": {"dateTime": "2026-11-23T18:30:00", "timeZone": "Asia/Tokyo"},
        }
        rig.stage.insert_event(ANNA, meeting(**times))
        await rig.poll()
        [stay] = rig.plan().stays.values()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert stay.join_at == NOW + hours(1) - LEAD
    assert stay.leave_by == NOW + hours(1.5)


# ── several calendars ────────────────────────────────────────────────────────────────────


async def test_rule_40_on_two_calendars(rig: Rig) -> None:
    """One join; declined on one, or removed from one: still; removed from both: none."""
    body = meeting(attendees=[{"email": ANNA}, {"email": BEN, "responseStatus": "accepted"}])
    made = rig.stage.insert_event(BEN, body)["id"]
    rig.stage.respond(ANNA, made, "accepted")

    async def read_both() -> list[datetime]:
        for calendar in (PRIMARY, SECOND, PRIMARY, SECOND):
            await rig.poll(calendar)
        return rig.joins()

    start = NOW + hours(1)
    assert await read_both() == [start]
    [stay] = rig.plan().stays.values()
    assert stay.meetings[0].sightings == (SECOND, PRIMARY)
    rig.stage.respond(ANNA, made, "declined")
    assert await read_both() == [start]
    rig.stage.delete_event(ANNA, made)
    assert await read_both() == [start]
    rig.stage.delete_event(BEN, made)
    assert await read_both() == []


# ── sync ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at_first_page", [True, False])
async def test_rule_56_gone_keeps_the_schedule_until_the_new_one_is_complete(
    rig: Rig, *, at_first_page: bool
) -> None:
    """Twice gone, and the new reading breaks off once: armed all along, then the difference."""
    rig.set_pace(delta_from=1)
    kept = rig.stage.insert_event(ANNA, meeting(summary="kept"))["id"]
    gone = rig.stage.insert_event(ANNA, meeting(summary="gone", **when(NOW + hours(3))))["id"]
    for _ in range(2):
        await rig.poll()
    rig.stage.quirks.page_size = 1
    rig.stage.delete_event(ANNA, gone)
    rig.stage.patch_event(ANNA, kept, when(NOW + hours(4)))
    unless = "pageToken=" if at_first_page else ""
    path = "syncToken=" if at_first_page else "pageToken="
    rig.stage.fail(410, "fullSyncRequired", path=path, unless=unless)
    rig.stage.faults.add(Fault(path="timeMin=", status=503))
    armed = [NOW + hours(1), NOW + hours(3)]
    rig.stage.log.clear()
    await rig.poll()
    assert rig.joins() == armed
    rig.stage.fail(410, "fullSyncRequired", path=EVENTS)
    await rig.poll()
    assert rig.joins() == armed
    assert len(rig.stage.log.matching(EVENTS)) < 8
    for _ in range(2):
        await rig.poll()
    assert rig.joins() == [NOW + hours(4)]


async def test_rule_57_more_events_than_a_page_holds(rig: Rig) -> None:
    """2,600 on one calendar: all of them are there, the last page's too."""
    template = rig.stage.insert_event(ANNA, meeting())["id"]
    shown = rig.stage.get_event(ANNA, template)
    for number in range(2600):
        rig.stage.put_raw(ANNA, {**shown, "id": f"n{number}", "iCalUID": f"n{number}"})
    await rig.poll()
    assert len(rig.ledger.calendars.events()) == 2601
    pages = [each for each in rig.stage.log.matching(EVENTS) if each.status == 200]
    assert len(pages) == 2


async def test_rule_57_killed_while_paging(rig: Rig) -> None:
    """The place to go on isn't moved, nothing is half applied, and the replay makes it good."""
    rig.set_pace(delta_from=1)
    for hour in (1, 2):
        rig.stage.insert_event(ANNA, meeting(**when(NOW + hours(hour))))
    for _ in range(2):
        await rig.poll()
    before = rig.ledger.calendars.states()[PRIMARY].sync_token
    for hour in (3, 4):
        rig.stage.insert_event(ANNA, meeting(**when(NOW + hours(hour))))
    rig.stage.quirks.page_size = 1
    rig.stage.faults.add(Fault(path="pageToken=", unless="syncToken=", drop=True, times=None))
    await rig.poll()
    assert rig.ledger.calendars.states()[PRIMARY].sync_token == before
    assert rig.joins() == [NOW + hours(hour) for hour in (1, 2)]
    rig.stage.faults.clear()
    rig.restart()
    for _ in range(3):
        await rig.poll()
        assert rig.joins() == [NOW + hours(hour) for hour in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("status", "reason"), [(503, "backendError"), (429, "rateLimitExceeded")]
)
async def test_rule_59_what_is_armed_is_joined_in_an_outage(
    rig: Rig, status: int, reason: str
) -> None:
    """An hour of it: the meeting is due at its time all the same, and there was one alert."""
    rig.stage.insert_event(ANNA, meeting())
    await rig.poll()
    rig.stage.fail(status, reason, path=EVENTS, times=None)
    with capture_logs() as logged:
        while rig.now < NOW + hours(1):
            await rig.poll()
            # Longer than an account rests that is out of quota: until then a poll would wait.
            rig.google.clock.advance(timedelta(minutes=20))
    alert = "account_out_of_quota" if status == 429 else "calendar_unreadable"
    assert [each["event"] for each in logged if each["log_level"] == "error"] == [alert]
    [stay] = rig.plan().stays.values()
    assert stay.join_at <= rig.now < stay.leave_by


# ── a calendar that is gone ──────────────────────────────────────────────────────────────


async def _for(rig: Rig, duration: timedelta, calendar: CalendarRef = SECOND) -> list[str]:
    """Look every five minutes or so for that long; answers what was told at error or above."""
    until = rig.now + duration
    with capture_logs() as logged:
        while rig.now < until:
            await rig.poll(calendar)
            rig.google.clock.advance(min(hours(1), until - rig.now))
    return [each["event"] for each in logged if each["log_level"] == "error"]


@pytest.mark.parametrize("how", ["unshared", "removed"])
async def test_rule_60_a_calendar_that_is_gone_keeps_what_is_armed_for_a_day(
    rig: Rig, how: str
) -> None:
    """One alert at the beginning; after 24 hours its meetings go; shared again they come."""
    start = NOW + hours(47)
    rig.stage.insert_event(BEN, meeting(**when(start)))
    await rig.poll(SECOND)
    if how == "unshared":
        rig.stage.set_access(BEN, ANNA, "none")
    else:
        rig.stage.fail(404, "notFound", path=EVENTS, times=None)
    assert await _for(rig, hours(24)) == ["calendar_unreadable"]
    assert rig.joins() == [start]
    changes = rig.changes
    assert await _for(rig, hours(1)) == []
    assert (rig.joins(), rig.changes) == ([], changes + 1)
    rig.stage.faults.clear()
    rig.stage.set_access(BEN, ANNA, "reader")
    await rig.poll(SECOND)
    assert rig.joins() == [start]
    rig.stage.set_access(BEN, ANNA, "none")
    await rig.poll(SECOND)
    assert rig.joins() == [start], "a second time, it has a day again"


async def test_rule_60_an_outage_before_it_does_not_count(rig: Rig) -> None:
    """A day of 503 and then a 404: the calendar is gone since now."""
    start = NOW + hours(47)
    rig.stage.insert_event(BEN, meeting(**when(start)))
    await rig.poll(SECOND)
    rig.stage.fail(503, "backendError", path=EVENTS, times=None)
    await _for(rig, hours(25))
    rig.stage.faults.clear()
    rig.stage.fail(404, "notFound", path=EVENTS, times=None)
    await _for(rig, hours(2))
    assert rig.joins() == [start]


async def test_rule_60_how_long_is_a_setting(rig: Rig) -> None:
    """With keep_refused at an hour, what is armed goes after an hour."""
    rig.set_pace(keep_refused=hours(1))
    rig.stage.insert_event(BEN, meeting(**when(NOW + hours(40))))
    await rig.poll(SECOND)
    rig.stage.set_access(BEN, ANNA, "none")
    await _for(rig, hours(1))
    assert len(rig.joins()) == 1
    await rig.poll(SECOND)
    assert rig.joins() == []


async def test_rule_60_what_we_are_in_is_not_walked_out_of(rig: Rig) -> None:
    """The day is over in the middle of a meeting: it is attended to its end."""
    start = NOW + hours(23.9)
    rig.stage.insert_event(BEN, meeting(**when(start)))
    rig.stage.insert_event(BEN, meeting(**when(NOW + hours(30))))
    await rig.poll(SECOND)
    rig.stage.set_access(BEN, ANNA, "none")
    await _for(rig, hours(23.9))
    [stay, _] = sorted(rig.plan().stays.values(), key=lambda stay: stay.join_at)
    assert rig.ledger.sessions.claim([stay], now=rig.now, grace=hours(1), prices={}) == {
        stay.key: None
    }
    rig.wait_until(start + hours(0.2))
    await rig.poll(SECOND)
    assert (leaves(rig.act()), rig.joins()) == ({}, [])


async def test_rule_60_another_calendars_copy_is_joined(rig: Rig) -> None:
    """Ben's calendar is gone for good; what Anna's has too is still attended."""
    start = NOW + hours(47)
    body = meeting(attendees=[{"email": ANNA}], **when(start))
    made = rig.stage.insert_event(BEN, body)["id"]
    rig.stage.respond(ANNA, made, "accepted")
    for calendar in (PRIMARY, SECOND):
        await rig.poll(calendar)
    rig.stage.set_access(BEN, ANNA, "none")
    await _for(rig, hours(26))
    assert rig.joins() == [start]


@pytest.mark.parametrize("trouble", ["5xx", "sign-in", "quota", "proxy", "scope"])
async def test_rule_60_a_passing_reason_never_cancels(rig: Rig, trouble: str) -> None:
    """Days of it: what can't be read now isn't gone."""
    start = NOW + hours(47)
    rig.stage.insert_event(BEN, meeting(**when(start)))
    await rig.poll(SECOND)
    if trouble == "5xx":
        rig.stage.fail(500, "backendError", path=EVENTS, times=None)
    elif trouble == "sign-in":
        rig.stage.revoke(ANNA)
    elif trouble == "quota":
        rig.stage.fail(403, "quotaExceeded", path=EVENTS, times=None)
    elif trouble == "proxy":
        rig.stage.faults.add(Fault(path=EVENTS, status=403, body="<html>", times=None))
    else:
        rig.stage.fail(403, "insufficientPermissions", path=EVENTS, times=None)
    alert = "account_out_of_quota" if trouble == "quota" else "calendar_unreadable"
    assert await _for(rig, hours(46)) == [alert]
    assert rig.joins() == [start]
