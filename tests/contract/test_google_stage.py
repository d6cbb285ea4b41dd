"""The stage's Google, as Google's own client finds it: events, lists, pages, deltas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from locum.rehearsal.google.identity import SCOPE_ROOT
from tests.contract.discovery_schema import problems_in_answer, validator
from tests.contract.google_rig import ANNA, BEN, GoogleRig, google_rig, hour, refusal, timed


@pytest.fixture
def rig() -> Iterator[GoogleRig]:
    with google_rig() as ready:
        yield ready


def _all_pages(client: Any, **query: Any) -> list[dict[str, Any]]:
    pages = []
    request = client.events().list(calendarId="primary", **query)
    while request is not None:
        page = request.execute()
        pages.append(page)
        request = client.events().list_next(request, page)
    return pages


def _ids(answer: dict[str, Any]) -> list[str]:
    return [item["id"] for item in answer["items"]]


# ── the judge itself ─────────────────────────────────────────────────────────────────────


def test_the_judge_finds_fields_that_google_does_not_have() -> None:
    """An unknown field, a wrong type and a malformed time are each found, at their place."""
    wrong = {"id": 5, "colour": "red", "updated": "yesterday"}
    found = {each.json_path for each in validator("Event").iter_errors(wrong)}
    assert found == {"$", "$.id", "$.updated"}


def test_the_judge_finds_answers_at_addresses_that_google_does_not_have() -> None:
    """An answer from nowhere in the description is a problem of its own."""
    assert problems_in_answer("GET", "/calendar/v3/nonsense", 200, b"{}") != []
    assert problems_in_answer("GET", "/calendar/v3/nonsense", 404, b"{}") != []


# ── events ───────────────────────────────────────────────────────────────────────────────


def test_an_inserted_event_is_completed_as_google_does(rig: GoogleRig) -> None:
    """Ids, times in the calendar's zone, organizer, link and state are the server's."""
    body = hour(21, summary="Standup", nonsense="dropped")
    made = rig.client().events().insert(calendarId="primary", body=body).execute()
    assert made["iCalUID"] == f"{made['id']}@google.com"
    assert made["organizer"] == {"email": ANNA, "displayName": "Anna", "self": True}
    assert made["start"] == {
        "dateTime": "2026-10-21T10:00:00+02:00",
        "timeZone": "Europe/Berlin",
    }
    assert (made["status"], made["eventType"], made["sequence"]) == ("confirmed", "default", 0)
    assert made["created"] == "2026-10-20T09:00:00.000Z"
    assert "nonsense" not in made
    assert rig.client().events().get(calendarId=ANNA, eventId=made["id"]).execute() == made


def test_a_patch_merges_and_an_update_replaces(rig: GoogleRig) -> None:
    """PATCH leaves what it doesn't name and clears by null; PUT drops what it leaves out."""
    events = rig.client().events()
    made = rig.stage.insert_event(ANNA, hour(21, summary="A", location="Here"))
    one = {"calendarId": "primary", "eventId": made["id"]}
    patched = events.patch(**one, body={"summary": "B", "location": None}).execute()
    assert (patched["summary"], "location" in patched) == ("B", False)
    assert patched["start"] == made["start"]
    updated = events.update(**one, body=hour(22, description="C")).execute()
    assert ("summary" in updated, updated["description"]) == (False, "C")
    assert updated["iCalUID"] == made["iCalUID"]
    assert refusal(events.update(**one, body={"summary": "no times"})) == (400, "required")


def test_every_edit_changes_the_etag_and_only_moves_the_sequence(rig: GoogleRig) -> None:
    """The etag changes with any edit, `updated` with the clock, `sequence` when it moves."""
    made = rig.stage.insert_event(ANNA, hour(21))
    rig.clock.advance(timedelta(minutes=1))
    retitled = rig.stage.patch_event(ANNA, made["id"], {"summary": "New"})
    assert retitled["etag"] != made["etag"]
    assert retitled["updated"] == "2026-10-20T09:01:00.000Z"
    assert retitled["sequence"] == 0
    moved = rig.stage.patch_event(ANNA, made["id"], hour(22))
    assert (moved["sequence"], moved["etag"] != retitled["etag"]) == (1, True)


def test_a_stale_etag_is_refused(rig: GoogleRig) -> None:
    """If-Match with another etag than the present one answers 412 and changes nothing."""
    events = rig.client().events()
    made = rig.stage.insert_event(ANNA, hour(21))
    rig.stage.patch_event(ANNA, made["id"], {"summary": "Mine"})
    one = {"calendarId": "primary", "eventId": made["id"]}
    for request in (events.patch(**one, body={"summary": "Late"}), events.delete(**one)):
        request.headers["If-Match"] = made["etag"]
        assert refusal(request) == (412, "conditionNotMet")
    fresh = events.get(**one).execute()
    assert fresh["summary"] == "Mine"
    request = events.patch(**one, body={"summary": "In time"})
    request.headers["If-Match"] = fresh["etag"]
    assert request.execute()["summary"] == "In time"


def test_deleted_events_stay_as_tombstones(rig: GoogleRig) -> None:
    """A deleted event is still got, as cancelled; deleting it again answers 410."""
    events = rig.client().events()
    made = rig.stage.insert_event(ANNA, hour(21, summary="Gone"))
    one = {"calendarId": "primary", "eventId": made["id"]}
    assert events.delete(**one).execute() == ""
    assert events.get(**one).execute()["status"] == "cancelled"
    assert refusal(events.delete(**one)) == (410, "deleted")
    back = events.patch(**one, body={"status": "confirmed"}).execute()
    assert (back["status"], back["summary"]) == ("confirmed", "Gone")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "required"),
        (timed("2026-10-21T11:00:00", "2026-10-21T10:00:00"), "timeRangeEmpty"),
        (timed("2026-10-21T10:00:00", "2026-10-21T11:00:00", "Mars/Olympus"), "invalid"),
        ({"start": {"dateTime": "2026-10-21T10:00:00"}, "end": {}}, "required"),
        (
            {"start": {"date": "2026-10-21"}, "end": {"dateTime": "2026-10-22T10:00:00Z"}},
            "invalid",
        ),
        ({"start": {"date": "21.10.2026"}, "end": {"date": "2026-10-22"}}, "invalid"),
        (hour(21, recurrence=["FREQ=DAILY"]), "invalid"),
        (hour(21, recurrence=["RRULE:FREQ=SECONDLY"]), "invalid"),
        (hour(21, recurrence=["RRULE:FREQ=DAILY;UNTIL=soon"]), "invalid"),
        (hour(21, recurrence=["EXDATE;TZID=Mars/Olympus:20261022T100000"]), "invalid"),
        (hour(21, attendees=[{"email": "nobody"}]), "invalid"),
        (hour(21, attendees=[{"displayName": "No address"}]), "invalid"),
        (hour(21, id="UPPER"), "invalid"),
        (hour(21, status="maybe"), "invalid"),
        (hour(21, eventType="fromGmail"), "invalid"),
    ],
)
def test_impossible_events_are_refused(
    rig: GoogleRig, body: dict[str, Any], reason: str
) -> None:
    """Missing, contradictory and malformed fields answer 400, and nothing is stored."""
    client = rig.client()
    assert refusal(client.events().insert(calendarId="primary", body=body)) == (400, reason)
    assert _ids(client.events().list(calendarId="primary").execute()) == []


def test_recurring_events_need_a_zone(rig: GoogleRig) -> None:
    """An offset is enough for a single event, not for a series."""
    instant = {"dateTime": "2026-10-21T10:00:00+02:00"}
    body: dict[str, Any] = {"start": instant, "end": instant}
    events = rig.client().events()
    assert events.insert(calendarId="primary", body=body).execute()["start"]["timeZone"] == (
        "Europe/Berlin"
    )
    body["recurrence"] = ["RRULE:FREQ=DAILY"]
    assert refusal(events.insert(calendarId="primary", body=body)) == (400, "required")


def test_an_id_is_taken_once(rig: GoogleRig) -> None:
    """A client's own id is kept; the same again answers 409, even after deletion."""
    events = rig.client().events()
    body = hour(21, id="abcde12345")
    assert events.insert(calendarId="primary", body=body).execute()["id"] == "abcde12345"
    events.delete(calendarId="primary", eventId="abcde12345").execute()
    assert refusal(events.insert(calendarId="primary", body=body)) == (409, "duplicate")


# ── lists ────────────────────────────────────────────────────────────────────────────────


def test_the_window_is_end_after_min_and_start_before_max(rig: GoogleRig) -> None:
    """Both bounds are exclusive: what only touches the window isn't in it."""
    for at in range(8, 13):
        rig.stage.insert_event(ANNA, hour(21, at, summary=str(at)))
    window = {"timeMin": "2026-10-21T10:00:00+02:00", "timeMax": "2026-10-21T12:00:00+02:00"}
    for extra in ({}, {"singleEvents": True, "orderBy": "startTime"}):
        found = rig.client().events().list(calendarId="primary", **window, **extra).execute()
        assert [item["summary"] for item in found["items"]] == ["10", "11"]


def test_whole_days_are_those_of_the_calendar(rig: GoogleRig) -> None:
    """An all-day event covers midnight to midnight in the calendar's zone."""
    rig.stage.insert_event(
        ANNA, {"start": {"date": "2026-10-21"}, "end": {"date": "2026-10-22"}, "summary": "Day"}
    )
    events = rig.client().events()
    late = events.list(calendarId="primary", timeMin="2026-10-21T21:59:00Z").execute()
    assert late["items"][0]["start"] == {"date": "2026-10-21"}
    over = events.list(calendarId="primary", timeMin="2026-10-21T22:00:00Z").execute()
    assert over["items"] == []


def test_times_are_shown_in_the_zone_that_was_asked_for(rig: GoogleRig) -> None:
    """`timeZone` changes how instants are written, not the event's own zone."""
    rig.stage.insert_event(ANNA, hour(21))
    answer = rig.client().events().list(calendarId="primary", timeZone="Asia/Tokyo").execute()
    assert answer["items"][0]["start"] == {
        "dateTime": "2026-10-21T17:00:00+09:00",
        "timeZone": "Europe/Berlin",
    }
    assert answer["timeZone"] == "Europe/Berlin"


def test_lists_are_ordered_on_demand(rig: GoogleRig) -> None:
    """By start, with expanded occurrences in place, or by when they were last changed."""
    late = rig.stage.insert_event(ANNA, hour(23))
    daily = rig.stage.insert_event(ANNA, hour(22, recurrence=["RRULE:FREQ=DAILY;COUNT=2"]))
    rig.clock.advance(timedelta(minutes=1))
    rig.stage.patch_event(ANNA, late["id"], {"summary": "touched"})
    events = rig.client().events()
    by_start = events.list(calendarId="primary", singleEvents=True, orderBy="startTime")
    first, second = f"{daily['id']}_20261022T080000Z", f"{daily['id']}_20261023T080000Z"
    assert _ids(by_start.execute()) == [first, *sorted([late["id"], second])]
    by_update = events.list(calendarId="primary", orderBy="updated").execute()
    assert _ids(by_update) == [daily["id"], late["id"]]


@pytest.mark.parametrize(
    "query",
    [
        {"orderBy": "startTime"},
        {"timeMin": "2026-10-21T10:00:00"},
        {"timeMin": "tomorrow"},
        {"timeZone": "Mars/Olympus"},
        {"maxResults": 0},
        {"pageToken": "nonsense"},
        {"syncToken": "nonsense"},
        {"timeMin": "2026-10-21T10:00:00Z", "timeMax": "2026-10-21T10:00:00Z"},
    ],
)
def test_queries_that_google_refuses_are_refused(rig: GoogleRig, query: dict[str, Any]) -> None:
    """A bad parameter answers 400."""
    assert refusal(rig.client().events().list(calendarId="primary", **query))[0] == 400


def test_lists_can_be_narrowed(rig: GoogleRig) -> None:
    """By iCalUID, event type, words, extended properties, and time of change."""
    stage = rig.stage
    plain = stage.insert_event(ANNA, hour(21, summary="Planning with Ben"))
    focus = stage.insert_event(ANNA, hour(22, eventType="focusTime"))
    marked = stage.insert_event(
        ANNA, hour(23, extendedProperties={"private": {"a": "1"}, "shared": {"b": "2"}})
    )
    rig.clock.advance(timedelta(hours=1))
    stage.delete_event(ANNA, focus["id"])
    for query, expected in (
        ({"iCalUID": plain["iCalUID"]}, [plain["id"]]),
        ({"eventTypes": ["focusTime"], "showDeleted": True}, [focus["id"]]),
        ({"q": "ben PLANNING"}, [plain["id"]]),
        (
            {"privateExtendedProperty": ["a=1"], "sharedExtendedProperty": ["b=2"]},
            [marked["id"]],
        ),
        ({"privateExtendedProperty": ["a=2"]}, []),
        ({"updatedMin": "2026-10-20T10:00:00Z"}, [focus["id"]]),
    ):
        answer = rig.client().events().list(calendarId="primary", **query).execute()
        assert _ids(answer) == expected


def test_a_partial_answer_holds_only_what_was_asked_for(rig: GoogleRig) -> None:
    """`fields` cuts answers down; a malformed mask answers 400."""
    made = rig.stage.insert_event(ANNA, hour(21))
    events = rig.client().events()
    mask = "kind,items(id,start/dateTime)"
    assert events.list(calendarId="primary", fields=mask).execute() == {
        "kind": "calendar#events",
        "items": [{"id": made["id"], "start": {"dateTime": "2026-10-21T10:00:00+02:00"}}],
    }
    for malformed in ("items(id", "items)", "items/", "(id)", ",", "id,,kind"):
        assert refusal(events.list(calendarId="primary", fields=malformed))[0] == 400


# ── pages ────────────────────────────────────────────────────────────────────────────────


def test_pages_hold_everything_once(rig: GoogleRig) -> None:
    """Whatever the size of a page: all events, in order, none twice, the token at the end."""
    for day in range(21, 28):
        rig.stage.insert_event(ANNA, hour(day))
    whole = _all_pages(rig.client())
    pages = _all_pages(rig.client(), maxResults=3)
    assert [len(page["items"]) for page in pages] == [3, 3, 1]
    assert [_ids(page) for page in whole] == [[each for page in pages for each in _ids(page)]]
    assert [("nextSyncToken" in page) for page in pages] == [False, False, True]


def test_pages_may_be_short_or_empty(rig: GoogleRig) -> None:
    """The quirks: a cap below maxResults, and empty pages that still go on."""
    rig.stage.quirks.page_size = 2
    rig.stage.quirks.next_empty_pages = 2
    assert len(_all_pages(rig.client())) == 1  # An empty calendar spends none of them.
    for day in range(21, 26):
        rig.stage.insert_event(ANNA, hour(day))
    pages = _all_pages(rig.client(), maxResults=2500)
    assert [len(page["items"]) for page in pages] == [0, 0, 2, 2, 1]


def test_a_page_token_fits_its_query_only(rig: GoogleRig) -> None:
    """Going on with other parameters answers 400."""
    for day in range(21, 24):
        rig.stage.insert_event(ANNA, hour(day))
    events = rig.client().events()
    token = events.list(calendarId="primary", maxResults=1).execute()["nextPageToken"]
    other = events.list(calendarId="primary", maxResults=1, showDeleted=True, pageToken=token)
    assert refusal(other) == (400, "invalid")


def test_an_edit_between_pages_is_in_the_next_delta(rig: GoogleRig) -> None:
    """What changes while a client pages isn't lost: the sync token is that of page one."""
    made = [rig.stage.insert_event(ANNA, hour(day))["id"] for day in range(21, 24)]
    events = rig.client().events()
    request = events.list(calendarId="primary", maxResults=2)
    page = request.execute()
    rig.stage.patch_event(ANNA, made[0], {"summary": "Changed meanwhile"})
    last = events.list_next(request, page).execute()
    delta = events.list(calendarId="primary", syncToken=last["nextSyncToken"]).execute()
    assert made[0] in _ids(delta)


# ── deltas ───────────────────────────────────────────────────────────────────────────────


def test_a_delta_holds_what_changed_and_nothing_else(rig: GoogleRig) -> None:
    """New, edited and deleted events come once; then nothing, with a fresh token."""
    kept, edited, deleted = (
        rig.stage.insert_event(ANNA, hour(day))["id"] for day in range(21, 24)
    )
    events = rig.client().events()
    token = events.list(calendarId="primary").execute()["nextSyncToken"]
    rig.stage.patch_event(ANNA, edited, {"summary": "x"})
    rig.stage.delete_event(ANNA, deleted)
    new = rig.stage.insert_event(ANNA, hour(24))["id"]
    delta = events.list(calendarId="primary", syncToken=token).execute()
    assert _ids(delta) == [edited, deleted, new]
    assert kept not in _ids(delta)
    # Without showDeleted a tombstone shows no details, not even to the organizer.
    tombstone = {k: v for k, v in delta["items"][1].items() if k not in {"kind", "etag"}}
    assert tombstone == {"id": deleted, "status": "cancelled"}
    again = events.list(calendarId="primary", syncToken=delta["nextSyncToken"]).execute()
    assert again["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"iCalUID": "x"},
        {"orderBy": "updated"},
        {"privateExtendedProperty": ["a=1"]},
        {"q": "x"},
        {"sharedExtendedProperty": ["a=1"]},
        {"timeMin": "2026-10-21T10:00:00Z"},
        {"timeMax": "2026-10-21T10:00:00Z"},
        {"updatedMin": "2026-10-21T10:00:00Z"},
        {"showDeleted": False},
        {"singleEvents": True},
        {"eventTypes": ["default"]},
    ],
)
def test_a_sync_token_bears_no_other_query(rig: GoogleRig, query: dict[str, Any]) -> None:
    """Filters beside a token, and parameters other than the first request's, answer 400."""
    events = rig.client().events()
    token = events.list(calendarId="primary").execute()["nextSyncToken"]
    assert refusal(events.list(calendarId="primary", syncToken=token, **query))[0] == 400


def test_expired_sync_tokens_answer_gone(rig: GoogleRig) -> None:
    """410 with fullSyncRequired: when they expire, and when access to the calendar changes."""
    events = rig.client().events()
    spoilers: list[Callable[[], None]] = [
        lambda: rig.stage.expire_sync_tokens(ANNA),
        lambda: rig.stage.set_access(ANNA, BEN, "reader"),
    ]
    for spoil in spoilers:
        token = events.list(calendarId="primary").execute()["nextSyncToken"]
        spoil()
        request = events.list(calendarId="primary", syncToken=token)
        assert refusal(request) == (410, "fullSyncRequired")


def test_ordered_lists_give_no_sync_token(rig: GoogleRig) -> None:
    """A list by start time isn't one that a delta could continue; a plain window is."""
    events = rig.client().events()
    ordered = events.list(
        calendarId="primary", singleEvents=True, orderBy="startTime"
    ).execute()
    window = events.list(calendarId="primary", timeMin="2026-10-21T10:00:00Z").execute()
    assert ("nextSyncToken" in ordered, "nextSyncToken" in window) == (False, True)


def test_deleted_events_are_listed_on_demand(rig: GoogleRig) -> None:
    """With showDeleted the organizer sees what was deleted; as a quirk, only its id."""
    made = rig.stage.insert_event(ANNA, hour(21, summary="Gone"))
    rig.stage.delete_event(ANNA, made["id"])
    events = rig.client().events()
    assert _ids(events.list(calendarId="primary").execute()) == []
    shown = events.list(calendarId="primary", showDeleted=True).execute()["items"]
    assert [(each["status"], each["summary"]) for each in shown] == [("cancelled", "Gone")]
    rig.stage.quirks.bare_tombstones = True
    bare = events.list(calendarId="primary", showDeleted=True).execute()["items"]
    assert [set(each) for each in bare] == [{"kind", "etag", "id", "status"}]


# ── who may see what ─────────────────────────────────────────────────────────────────────


def test_access_to_a_shared_calendar(rig: GoogleRig) -> None:
    """None answers 404, free/busy shows times, readers see details, only writers write."""
    rig.stage.add_calendar(ANNA, "team@group.example.com", summary="Team")
    rig.stage.insert_event(
        "team@group.example.com", hour(21, summary="Secret", description="Who to fire")
    )
    events = rig.client(BEN).events()
    shared = {"calendarId": "team@group.example.com"}
    assert refusal(events.list(**shared)) == (404, "notFound")
    rig.stage.set_access("team@group.example.com", BEN, "freeBusyReader")
    answer = events.list(**shared).execute()
    (item,) = answer["items"]
    assert answer["accessRole"] == "freeBusyReader"
    assert item["start"]["dateTime"] == "2026-10-21T08:00:00Z"
    assert not {"summary", "description", "organizer", "htmlLink"} & set(item)
    rig.stage.set_access("team@group.example.com", BEN, "reader")
    assert events.list(**shared).execute()["items"][0]["summary"] == "Secret"
    assert refusal(events.insert(**shared, body=hour(22))) == (403, "requiredAccessLevel")
    rig.stage.set_access("team@group.example.com", BEN, "writer")
    made = events.insert(**shared, body=hour(22)).execute()
    assert made["organizer"]["email"] == "team@group.example.com"
    assert made["creator"] == {"email": BEN}


def test_private_events_hide_their_details_from_readers(rig: GoogleRig) -> None:
    """A reader sees when, a writer what."""
    rig.stage.insert_event(ANNA, hour(21, summary="Doctor", visibility="private"))
    rig.stage.set_access(ANNA, BEN, "reader")
    (hidden,) = rig.client(BEN).events().list(calendarId=ANNA).execute()["items"]
    assert ("summary" in hidden, hidden["visibility"]) == (False, "private")
    rig.stage.set_access(ANNA, BEN, "writer")
    (shown,) = rig.client(BEN).events().list(calendarId=ANNA).execute()["items"]
    assert shown["summary"] == "Doctor"


def test_scopes_open_what_they_name(rig: GoogleRig) -> None:
    """Reading events needs a scope for it; so does the calendar list; so does writing."""
    reading = rig.client(scopes=[f"{SCOPE_ROOT}calendar.events.readonly"])
    assert reading.events().list(calendarId="primary").execute()["items"] == []
    insert = reading.events().insert(calendarId="primary", body=hour(21))
    denied = (403, "insufficientPermissions")
    assert refusal(insert) == denied
    assert refusal(reading.calendarList().list()) == denied
    drive = rig.client(scopes=[f"{SCOPE_ROOT}drive.file"])
    assert refusal(drive.events().list(calendarId="primary")) == denied


def test_the_calendar_list(rig: GoogleRig) -> None:
    """Own and shared calendars, the primary one first, page by page, then only changes."""
    rig.stage.add_calendar(ANNA, "a@group.example.com", access={BEN: "reader"})
    rig.stage.add_calendar(ANNA, "b@group.example.com", access={BEN: "freeBusyReader"})
    calendars = rig.client(BEN).calendarList()
    first = calendars.list(maxResults=2).execute()
    rest = calendars.list(maxResults=2, pageToken=first["nextPageToken"]).execute()
    listed = first["items"] + rest["items"]
    assert [(each["id"], each["accessRole"]) for each in listed] == [
        (BEN, "owner"),
        ("a@group.example.com", "reader"),
        ("b@group.example.com", "freeBusyReader"),
    ]
    assert [each.get("primary", False) for each in listed] == [True, False, False]
    readable = calendars.list(minAccessRole="reader").execute()
    assert [each["id"] for each in readable["items"]] == [BEN, "a@group.example.com"]
    token = rest["nextSyncToken"]
    assert calendars.list(syncToken=token).execute()["items"] == []
    rig.stage.remove_calendar("a@group.example.com")
    assert refusal(calendars.list(syncToken=token)) == (410, "fullSyncRequired")
    assert calendars.get(calendarId="primary").execute()["id"] == BEN


def test_calendars_settings_free_and_busy(rig: GoogleRig) -> None:
    """The small answers around the events."""
    client = rig.client()
    assert client.calendars().get(calendarId="primary").execute()["timeZone"] == "Europe/Berlin"
    assert client.settings().get(setting="timezone").execute()["value"] == "Europe/Berlin"
    assert len(client.settings().list().execute()["items"]) == 3
    assert refusal(client.settings().get(setting="nonsense")) == (404, "notFound")
    rig.stage.insert_event(ANNA, hour(21, 10))
    rig.stage.insert_event(ANNA, hour(21, 11))
    rig.stage.insert_event(ANNA, hour(21, 14, transparency="transparent"))
    body = {
        "timeMin": "2026-10-21T08:30:00Z",
        "timeMax": "2026-10-21T20:00:00Z",
        "items": [{"id": "primary"}, {"id": "nobody@example.com"}],
    }
    busy = client.freebusy().query(body=body).execute()["calendars"]
    assert busy["primary"]["busy"] == [
        {"start": "2026-10-21T08:30:00Z", "end": "2026-10-21T10:00:00Z"}
    ]
    assert busy["nobody@example.com"]["errors"][0]["reason"] == "notFound"
