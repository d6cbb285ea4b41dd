"""What must hold for the stage's Google whatever is done to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from locum.rehearsal.google import ApiError, GoogleStage
from locum.rehearsal.google.recurrence import Series
from locum.rehearsal.google.schema import ListQuery, read_query
from locum.rehearsal.google.times import Span

ANNA = "anna@example.com"
BEN = "ben@example.com"
UTC = timezone.utc
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]

_days = st.integers(min_value=20, max_value=29)
_hours = st.integers(min_value=0, max_value=22)
_indices = st.integers(min_value=0, max_value=30)
_edits = st.one_of(
    st.tuples(st.just("single"), _days, _hours),
    st.tuples(st.just("series"), _days, _hours),
    st.tuples(st.just("move"), _indices, _days, _hours),
    st.tuples(st.just("rename"), _indices, _days),
    st.tuples(st.just("shorten"), _indices, st.integers(min_value=1, max_value=4)),
    st.tuples(st.just("invite"), _indices),
    st.tuples(st.just("answer"), _indices),
    st.tuples(st.just("delete"), _indices),
    st.tuples(st.just("revive"), _indices),
)


def _hour(day: int, at: int) -> dict[str, Any]:
    return {
        "start": {"dateTime": f"2026-10-{day}T{at:02d}:30:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": f"2026-10-{day}T{at + 1:02d}:30:00", "timeZone": "Europe/Berlin"},
    }


class _Mirror:
    """A client that keeps a calendar by deltas alone."""

    def __init__(self, stage: GoogleStage, email: str, *, single: bool) -> None:
        self._stage = stage
        self._calendar = stage.store.calendars[email]
        self._query = {"singleEvents": "true"} if single else {}
        self._token: str | None = None
        self.items: dict[str, dict[str, Any]] = {}

    def listed(self, page_size: int, **query: str) -> tuple[list[dict[str, Any]], str]:
        items: list[dict[str, Any]] = []
        wanted = {**self._query, **query, "maxResults": str(page_size)}
        while True:
            reader = self._stage.reader(self._calendar, "owner")
            page = reader.list_events(read_query(ListQuery, wanted.items()))
            items += page["items"]
            if "nextPageToken" not in page:
                return items, page["nextSyncToken"]
            wanted["pageToken"] = page["nextPageToken"]

    def update(self, page_size: int) -> None:
        query = {} if self._token is None else {"syncToken": self._token}
        items, self._token = self.listed(page_size, **query)
        for item in items:
            if item["status"] != "cancelled":
                self.items[item["id"]] = item
                continue
            self.items.pop(item["id"], None)
            if self._query:
                continue  # Expanded, every occurrence speaks for itself.
            for other in list(self.items.values()):
                if other.get("recurringEventId") == item["id"]:
                    del self.items[other["id"]]

    def truth(self) -> dict[str, dict[str, Any]]:
        items, _ = self.listed(2500)
        return {each["id"]: each for each in items if each["status"] != "cancelled"}


def _apply(stage: GoogleStage, edit: tuple[Any, ...], known: list[str]) -> None:
    kind, *rest = edit
    if kind in {"single", "series"}:
        rule = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=4"]} if kind == "series" else {}
        made = stage.insert_event(ANNA, {**_hour(*rest), **rule})
        known.append(made["id"])
        return
    # Series, singles and occurrences alike are aimed at, edited before or not.
    reader = stage.reader(stage.store.calendars[ANNA], "owner")
    listing = read_query(ListQuery, [("singleEvents", "true"), ("showDeleted", "true")])
    targets = sorted({*known, *(each["id"] for each in reader.list_events(listing)["items"])})
    if not targets:
        return
    target = targets[rest[0] % len(targets)]
    if kind == "move":
        stage.patch_event(ANNA, target, _hour(*rest[1:]))
    elif kind == "rename":
        stage.patch_event(ANNA, target, {"summary": f"Name {rest[1]}"})
    elif kind == "shorten" and target in known:
        rule = {"recurrence": [f"RRULE:FREQ=DAILY;COUNT={rest[1]}"]}
        stage.patch_event(ANNA, target, rule)
    elif kind == "invite":
        stage.patch_event(ANNA, target, {"attendees": [{"email": BEN}]})
    elif kind == "answer":
        stage.respond(BEN, target, "accepted")
    elif kind == "delete":
        stage.delete_event(ANNA, target)
    elif kind == "revive":
        stage.patch_event(ANNA, target, {"status": "confirmed"})


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    edits=st.lists(st.tuples(_edits, st.booleans()), max_size=10),
    page_size=st.integers(min_value=1, max_value=5),
)
def test_deltas_lead_to_the_same_calendar_as_reading_it_whole(
    edits: Iterable[tuple[tuple[Any, ...], bool]], page_size: int
) -> None:
    """Organizer's and guest's, expanded or not, in pages of any size, field by field."""
    present = datetime(2026, 10, 20, 9, tzinfo=UTC)
    stage = GoogleStage(now=lambda: present)
    stage.add_account(ANNA, time_zone="Europe/Berlin")
    stage.add_account(BEN)
    mirrors = [
        _Mirror(stage, email, single=single)
        for email in (ANNA, BEN)
        for single in (False, True)
    ]
    known: list[str] = []
    for edit, then_sync in edits:
        present += timedelta(minutes=1)
        try:
            _apply(stage, edit, known)
        except ApiError as error:
            # Deleting twice, or answering for somebody who isn't invited (any more).
            assert error.reason in {"deleted", "forbidden", "notFound"}  # noqa: PT017
        if then_sync:
            for mirror in mirrors:
                mirror.update(page_size)
    for mirror in mirrors:
        mirror.update(page_size)
        assert mirror.items == mirror.truth()


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(
    zone_name=st.sampled_from(ZONES),
    second=st.integers(min_value=0, max_value=364 * 86_400),
    rule=st.sampled_from(["DAILY", "WEEKLY", "WEEKLY;INTERVAL=2", "MONTHLY"]),
    offset=st.integers(min_value=0, max_value=300),
    length=st.integers(min_value=1, max_value=60),
)
def test_series_stay_on_the_wall_clock(
    zone_name: str, second: int, rule: str, offset: int, length: int
) -> None:
    """Every start shows the same local time, unless that time doesn't exist that day.

    And a window shows exactly those of all starts that lie in it.
    """
    zone = ZoneInfo(zone_name)
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    wall = start.astimezone(zone).replace(tzinfo=None)
    span = Span(start, start + timedelta(hours=1), False, zone_name, zone_name)
    series = Series(span, (f"RRULE:FREQ={rule};COUNT=40",))
    starts = list(series.starts(None, datetime(2100, 1, 1, tzinfo=UTC)))
    assert starts[0] == start
    assert starts == sorted(set(starts))
    for each in starts:
        seen = each.astimezone(zone).replace(tzinfo=None)
        if seen.time() != wall.time():
            gap = datetime.combine(seen.date(), wall.time(), zone)
            assert gap.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == seen
    after = start + timedelta(days=offset)
    before = after + timedelta(days=length)
    assert list(series.starts(after, before)) == [s for s in starts if after <= s < before]
