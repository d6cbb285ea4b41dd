"""Recurring events on the stage's Google: clocks that change, exceptions, splits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.google_rig import ANNA, GoogleRig, google_rig, hour, refusal, timed

WINDOW = {"timeMin": "2026-10-19T00:00:00Z", "timeMax": "2026-11-30T00:00:00Z"}


@pytest.fixture
def rig() -> Iterator[GoogleRig]:
    with google_rig() as ready:
        yield ready


def _occurrences(rig: GoogleRig, **query: Any) -> list[dict[str, Any]]:
    answer = (
        rig.client()
        .events()
        .list(
            calendarId="primary",
            singleEvents=True,
            orderBy="startTime",
            **{**WINDOW, "timeZone": "UTC", **query},
        )
        .execute()
    )
    return list(answer["items"])


def _starts(rig: GoogleRig, **query: Any) -> list[str]:
    return [
        each["start"].get("dateTime", each["start"].get("date"))
        for each in _occurrences(rig, **query)
        if each["status"] != "cancelled"
    ]


def _delta(rig: GoogleRig, token: str, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (
        rig.client().events().list(calendarId="primary", syncToken=token, **query).execute()
    )
    return answer


def _token(rig: GoogleRig, **query: Any) -> str:
    answer = rig.client().events().list(calendarId="primary", **query).execute()
    return str(answer["nextSyncToken"])


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        # Berlin leaves summer time on 25 October, New York on 1 November.
        (
            "Europe/Berlin",
            ["2026-10-23T08:00:00Z", "2026-10-30T09:00:00Z", "2026-11-06T09:00:00Z"],
        ),
        (
            "America/New_York",
            ["2026-10-23T14:00:00Z", "2026-10-30T14:00:00Z", "2026-11-06T15:00:00Z"],
        ),
    ],
)
def test_the_local_time_stays_when_clocks_change(
    rig: GoogleRig, zone: str, expected: list[str]
) -> None:
    """A weekly meeting at ten is at ten before and after, and its ids follow the instant."""
    made = rig.stage.insert_event(
        ANNA,
        timed(
            "2026-10-23T10:00:00",
            "2026-10-23T11:00:00",
            zone,
            recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"],
        ),
    )
    assert _starts(rig) == expected
    stamps = [each.replace("-", "").replace(":", "") for each in expected]
    assert [each["id"] for each in _occurrences(rig)] == [f"{made['id']}_{s}" for s in stamps]
    assert {each["iCalUID"] for each in _occurrences(rig)} == {made["iCalUID"]}


def test_local_times_that_do_not_exist_or_exist_twice(rig: GoogleRig) -> None:
    """In the gap of March the offset before it counts, in the overlap of October the first."""
    rig.stage.insert_event(
        ANNA,
        timed(
            "2026-10-24T02:30:00",
            "2026-10-24T03:00:00",
            recurrence=["RRULE:FREQ=DAILY;COUNT=3"],
        ),
    )
    assert _starts(rig) == [
        "2026-10-24T00:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-26T01:30:00Z",
    ]
    rig.stage.insert_event(
        ANNA,
        timed(
            "2027-03-27T02:30:00",
            "2027-03-27T03:00:00",
            recurrence=["RRULE:FREQ=DAILY;COUNT=3"],
        ),
    )
    spring = {"timeMin": "2027-03-01T00:00:00Z", "timeMax": "2027-04-30T00:00:00Z"}
    assert _starts(rig, **spring) == [
        "2027-03-27T01:30:00Z",
        "2027-03-28T01:30:00Z",
        "2027-03-29T00:30:00Z",
    ]


@pytest.mark.parametrize(
    ("recurrence", "days"),
    [
        (["RRULE:FREQ=DAILY;UNTIL=20261023T080000Z"], [21, 22, 23]),
        (["RRULE:FREQ=DAILY;UNTIL=20261023T075959Z"], [21, 22]),
        (["RRULE:FREQ=DAILY;UNTIL=20261023"], [21, 22, 23]),
        (["RRULE:FREQ=WEEKLY;BYDAY=WE,FR;COUNT=3"], [21, 23, 28]),
        (["RRULE:FREQ=DAILY;COUNT=4", "EXDATE:20261022T080000Z"], [21, 23, 24]),
        (
            [
                "RRULE:FREQ=DAILY;COUNT=4",
                "EXDATE;TZID=Europe/Berlin:20261022T100000,20261023T100000",
            ],
            [21, 24],
        ),
        (
            ["RRULE:FREQ=DAILY;COUNT=4", "EXDATE;TZID=America/New_York:20261022T040000"],
            [21, 23, 24],
        ),
        (
            ["RRULE:FREQ=DAILY;COUNT=2", "RDATE;TZID=Europe/Berlin:20261025T100000"],
            [21, 22, 25],
        ),
        (["RDATE:20261024T080000Z"], [21, 24]),
        (["RRULE:FREQ=DAILY;COUNT=4", "EXRULE:FREQ=DAILY;INTERVAL=2"], [22, 24]),
    ],
)
def test_rules_and_dates(rig: GoogleRig, recurrence: list[str], days: list[int]) -> None:
    """RRULE, RDATE, EXDATE and EXRULE, with times in UTC or in any zone."""
    rig.stage.insert_event(ANNA, hour(21, recurrence=recurrence))
    assert [int(start[8:10]) for start in _starts(rig)] == days


def test_whole_days_recur_by_date(rig: GoogleRig) -> None:
    """All-day occurrences are named and told apart by their day."""
    made = rig.stage.insert_event(
        ANNA,
        {
            "start": {"date": "2026-10-24"},
            "end": {"date": "2026-10-26"},
            "recurrence": ["RRULE:FREQ=DAILY;INTERVAL=3;COUNT=3", "EXDATE;VALUE=DATE:20261027"],
        },
    )
    listed = _occurrences(rig)
    assert [each["id"] for each in listed] == [
        f"{made['id']}_20261024",
        f"{made['id']}_20261030",
    ]
    assert listed[1]["originalStartTime"] == {"date": "2026-10-30"}
    assert listed[1]["end"] == {"date": "2026-11-01"}
    narrow = {"timeMin": "2026-10-25T22:30:00Z", "timeMax": "2026-10-25T22:59:00Z"}
    # Midnight in Berlin is 23:00 UTC once summer time is over: the second day goes on.
    assert [each["id"] for each in _occurrences(rig, **narrow)] == [f"{made['id']}_20261024"]


def test_an_unbounded_series_is_laid_out_for_two_years(rig: GoogleRig) -> None:
    """Without timeMax the expansion ends somewhere; with one it holds the window only."""
    rig.stage.insert_event(ANNA, hour(21, recurrence=["RRULE:FREQ=WEEKLY"]))
    events = rig.client().events()
    answer = events.list(calendarId="primary", singleEvents=True, maxResults=2500).execute()
    assert 100 <= len(answer["items"]) <= 106
    assert len(_starts(rig)) == 6


def test_a_moved_occurrence_keeps_its_identity(rig: GoogleRig) -> None:
    """Moved past its neighbour: the same id and original start, at another time, once."""
    made = rig.stage.insert_event(ANNA, hour(21, recurrence=["RRULE:FREQ=DAILY;COUNT=3"]))
    second = f"{made['id']}_20261022T080000Z"
    events = rig.client().events()
    moved = events.patch(calendarId="primary", eventId=second, body=hour(23, 15)).execute()
    assert moved["recurringEventId"] == made["id"]
    assert moved["originalStartTime"]["dateTime"] == "2026-10-22T10:00:00+02:00"
    assert [each["id"] for each in _occurrences(rig)] == [
        f"{made['id']}_20261021T080000Z",
        f"{made['id']}_20261023T080000Z",
        second,
    ]
    on_the_22nd = {"timeMin": "2026-10-22T00:00:00Z", "timeMax": "2026-10-22T23:00:00Z"}
    assert _starts(rig, **on_the_22nd) == []


def test_a_cancelled_occurrence(rig: GoogleRig) -> None:
    """Gone from the expansion; a tombstone with its original start in a plain list."""
    made = rig.stage.insert_event(ANNA, hour(21, recurrence=["RRULE:FREQ=DAILY;COUNT=3"]))
    second = f"{made['id']}_20261022T080000Z"
    token = _token(rig)
    events = rig.client().events()
    events.delete(calendarId="primary", eventId=second).execute()
    assert [start[8:10] for start in _starts(rig)] == ["21", "23"]
    assert [each["id"] for each in _occurrences(rig, showDeleted=True)][1] == second
    for listed in (
        events.list(calendarId="primary").execute()["items"][1:],
        _delta(rig, token)["items"],
    ):
        (tombstone,) = listed
        assert {k: v for k, v in tombstone.items() if k not in {"kind", "etag"}} == {
            "id": second,
            "status": "cancelled",
            "recurringEventId": made["id"],
            "originalStartTime": {
                "dateTime": "2026-10-22T10:00:00+02:00",
                "timeZone": "Europe/Berlin",
            },
        }
    assert refusal(events.delete(calendarId="primary", eventId=second)) == (410, "deleted")


def test_a_cancelled_series_takes_every_occurrence_with_it(rig: GoogleRig) -> None:
    """With showDeleted its occurrences are listed as cancelled, not the series itself."""
    made = rig.stage.insert_event(ANNA, hour(21, recurrence=["RRULE:FREQ=DAILY;COUNT=3"]))
    rig.stage.patch_event(ANNA, f"{made['id']}_20261022T080000Z", hour(25))
    plain, single = _token(rig), _token(rig, singleEvents=True)
    rig.stage.delete_event(ANNA, made["id"])
    assert _occurrences(rig) == []
    assert rig.client().events().list(calendarId=ANNA).execute()["items"] == []
    cancelled = _occurrences(rig, showDeleted=True)
    assert [each["status"] for each in cancelled] == ["cancelled"] * 3
    delta = _delta(rig, plain)["items"]
    assert {each["status"] for each in delta} == {"cancelled"}
    assert made["id"] in {each["id"] for each in delta}
    revive = (
        rig.client()
        .events()
        .patch(calendarId=ANNA, eventId=cancelled[0]["id"], body={"status": "confirmed"})
    )
    assert refusal(revive) == (410, "deleted")
    gone = _delta(rig, single, singleEvents=True)["items"]
    assert sorted(each["id"] for each in gone) == sorted(each["id"] for each in cancelled)


def test_an_edit_of_the_series_reaches_what_its_exceptions_did_not_change(
    rig: GoogleRig,
) -> None:
    """A renamed occurrence keeps its name and takes the series' new place."""
    made = rig.stage.insert_event(
        ANNA, hour(21, summary="Old", recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    )
    rig.stage.patch_event(ANNA, f"{made['id']}_20261022T080000Z", {"summary": "Special"})
    rig.stage.patch_event(ANNA, made["id"], {"summary": "New", "location": "Room 1"})
    assert [(each["summary"], each["location"]) for each in _occurrences(rig)] == [
        ("New", "Room 1"),
        ("Special", "Room 1"),
    ]


def test_a_series_that_moves_leaves_tombstones_of_its_occurrences(rig: GoogleRig) -> None:
    """In an expanded delta, old ids are cancelled and new ones come, exceptions included."""
    made = rig.stage.insert_event(ANNA, hour(21, recurrence=["RRULE:FREQ=DAILY;COUNT=2"]))
    old = [f"{made['id']}_202610{day}T080000Z" for day in (21, 22)]
    new = [f"{made['id']}_202610{day}T120000Z" for day in (21, 22)]
    rig.stage.patch_event(ANNA, old[1], {"summary": "Special"})
    single, plain = _token(rig, singleEvents=True), _token(rig)
    rig.stage.patch_event(ANNA, made["id"], hour(21, 14))
    delta = _delta(rig, single, singleEvents=True)["items"]
    assert {each["id"]: each["status"] for each in delta} == {
        **dict.fromkeys(old, "cancelled"),
        **dict.fromkeys(new, "confirmed"),
    }
    held = {each["id"]: each["status"] for each in _delta(rig, plain)["items"]}
    assert held == {made["id"]: "confirmed", old[1]: "cancelled"}
    assert [each["id"] for each in _occurrences(rig, showDeleted=True)] == new
    rig.stage.patch_event(ANNA, made["id"], hour(21, 10))
    assert [each["id"] for each in _occurrences(rig)] == old


def test_this_and_following_is_a_shorter_series_and_a_new_one(rig: GoogleRig) -> None:
    """UNTIL before the seam, a new series from it on: each occurrence once."""
    made = rig.stage.insert_event(ANNA, hour(21, recurrence=["RRULE:FREQ=DAILY"]))
    token = _token(rig)
    rig.stage.patch_event(
        ANNA, made["id"], {"recurrence": ["RRULE:FREQ=DAILY;UNTIL=20261023T075959Z"]}
    )
    rest = rig.stage.insert_event(ANNA, hour(23, recurrence=["RRULE:FREQ=DAILY;COUNT=2"]))
    assert _starts(rig) == [f"2026-10-{day}T08:00:00Z" for day in (21, 22, 23, 24)]
    assert rest["iCalUID"] != made["iCalUID"]
    assert [each["id"] for each in _delta(rig, token)["items"]] == [made["id"], rest["id"]]


def test_the_instances_of_one_series(rig: GoogleRig) -> None:
    """In order, in pages, by original start, with the cancelled ones on demand."""
    made = rig.stage.insert_event(ANNA, hour(21, recurrence=["RRULE:FREQ=DAILY;COUNT=4"]))
    rig.stage.insert_event(ANNA, hour(21, recurrence=["RRULE:FREQ=DAILY;COUNT=4"]))
    ids = [f"{made['id']}_202610{day}T080000Z" for day in (21, 22, 23, 24)]
    rig.stage.delete_event(ANNA, ids[0])
    rig.stage.patch_event(ANNA, ids[1], hour(26))
    one = {"calendarId": "primary", "eventId": made["id"]}
    events = rig.client().events()
    first = events.instances(**one, maxResults=2).execute()
    rest = events.instances(**one, maxResults=2, pageToken=first["nextPageToken"]).execute()
    assert [each["id"] for each in first["items"] + rest["items"]] == [ids[2], ids[3], ids[1]]
    deleted = events.instances(**one, showDeleted=True).execute()["items"]
    assert deleted[0]["id"] == ids[0]
    original = events.instances(**one, originalStart="2026-10-22T10:00:00+02:00").execute()
    assert [each["id"] for each in original["items"]] == [ids[1]]
    window = events.instances(
        **one, timeMin="2026-10-24T00:00:00Z", timeMax="2026-10-25T00:00:00Z"
    )
    assert [each["id"] for each in window.execute()["items"]] == [ids[3]]
    assert refusal(events.instances(calendarId="primary", eventId=ids[3]))[0] == 400
    assert refusal(events.instances(calendarId="primary", eventId="nothere"))[0] == 404


def test_only_occurrences_that_exist_can_be_addressed(rig: GoogleRig) -> None:
    """A made-up stamp answers 404; a real one is shown before anybody edited it."""
    made = rig.stage.insert_event(ANNA, hour(21, recurrence=["RRULE:FREQ=DAILY;COUNT=2"]))
    events = rig.client().events()
    for stamp in ("20261021T080001Z", "20261030T080000Z", "20261021", "x"):
        request = events.get(calendarId="primary", eventId=f"{made['id']}_{stamp}")
        assert refusal(request) == (404, "notFound")
    shown = events.get(calendarId="primary", eventId=f"{made['id']}_20261022T080000Z").execute()
    assert (shown["recurringEventId"], shown["etag"]) == (made["id"], made["etag"])
    again = {"recurrence": ["RRULE:FREQ=DAILY"]}
    assert (
        refusal(events.patch(calendarId="primary", eventId=shown["id"], body=again))[0] == 400
    )


def test_a_series_in_a_plain_list_is_found_by_any_of_its_occurrences(rig: GoogleRig) -> None:
    """Unexpanded, a series fits a window if one of its occurrences does."""
    made = rig.stage.insert_event(
        ANNA, hour(21, recurrence=["RRULE:FREQ=WEEKLY;UNTIL=20261104T090000Z"])
    )
    events = rig.client().events()
    for day, expected in (("2026-10-28", [made["id"]]), ("2026-10-29", []), ("2026-11-11", [])):
        window = {"timeMin": f"{day}T00:00:00Z", "timeMax": f"{day}T23:59:59Z"}
        items = events.list(calendarId="primary", **window).execute()["items"]
        assert [each["id"] for each in items] == expected
