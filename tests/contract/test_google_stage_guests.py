"""Invitations on the stage's Google: copies, answers, what guests may change, Meet links."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.google_rig import ANNA, BEN, GoogleRig, google_rig, hour, refusal

CLARA = "clara@example.com"
STRANGER = "stranger@elsewhere.example"


@pytest.fixture
def rig() -> Iterator[GoogleRig]:
    with google_rig() as ready:
        yield ready


def _invite(rig: GoogleRig, *guests: str, **more: Any) -> dict[str, Any]:
    attendees = [{"email": each} for each in guests]
    return rig.stage.insert_event(ANNA, hour(21, summary="Talk", attendees=attendees, **more))


def _answers(event: dict[str, Any]) -> dict[str, str]:
    return {each["email"]: each["responseStatus"] for each in event["attendees"]}


def test_guests_get_copies(rig: GoogleRig) -> None:
    """The same id and iCalUID on each guest's calendar, marked from where it is seen."""
    made = _invite(rig, BEN, STRANGER, ANNA)
    copy = rig.client(BEN).events().get(calendarId="primary", eventId=made["id"]).execute()
    assert (copy["iCalUID"], copy["summary"]) == (made["iCalUID"], "Talk")
    assert copy["organizer"] == {"email": ANNA, "displayName": "Anna"}
    assert copy["attendees"] == [
        {"email": BEN, "responseStatus": "needsAction", "self": True},
        {"email": STRANGER, "responseStatus": "needsAction"},
        {"email": ANNA, "responseStatus": "needsAction", "organizer": True},
    ]


def test_edits_reach_every_copy(rig: GoogleRig) -> None:
    """A new time, a new guest, a guest struck off, a cancellation."""
    rig.stage.add_account(CLARA)
    made = _invite(rig, BEN)
    rig.stage.patch_event(ANNA, made["id"], {**hour(22), "attendees": [{"email": CLARA}]})
    assert rig.stage.get_event(CLARA, made["id"])["start"]["dateTime"] == "2026-10-22T08:00:00Z"
    struck_off = rig.stage.get_event(BEN, made["id"])
    assert set(struck_off) == {"kind", "etag", "id", "status"}
    assert struck_off["status"] == "cancelled"
    rig.stage.delete_event(ANNA, made["id"])
    assert rig.stage.get_event(CLARA, made["id"])["status"] == "cancelled"
    rig.stage.patch_event(ANNA, made["id"], {"status": "confirmed"})
    assert rig.stage.get_event(CLARA, made["id"])["status"] == "confirmed"


def test_an_answer_is_seen_by_everybody(rig: GoogleRig) -> None:
    """It changes the organizer's event and all copies, not the sequence."""
    rig.stage.add_account(CLARA)
    made = _invite(rig, BEN, CLARA)
    answered = rig.stage.respond(BEN, made["id"], "accepted", comment="Yes!")
    assert (answered["sequence"], answered["etag"] != made["etag"]) == (0, True)
    for email in (ANNA, BEN, CLARA):
        event = rig.stage.get_event(email, made["id"])
        assert _answers(event) == {BEN: "accepted", CLARA: "needsAction"}
        assert event["attendees"][0]["comment"] == "Yes!"


def test_one_occurrence_is_declined_the_series_accepted(rig: GoogleRig) -> None:
    """The exception carries its own answer, on both calendars."""
    made = _invite(rig, BEN, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    rig.stage.respond(BEN, made["id"], "accepted")
    rig.stage.respond(BEN, f"{made['id']}_20261022T080000Z", "declined")
    for email in (ANNA, BEN):
        listed = (
            rig.client(email)
            .events()
            .list(calendarId="primary", singleEvents=True, orderBy="startTime")
        )
        assert [_answers(each)[BEN] for each in listed.execute()["items"]] == [
            "accepted",
            "declined",
            "accepted",
        ]


def test_a_guest_answers_through_the_api(rig: GoogleRig) -> None:
    """With attendeesOmitted, their own entry is enough, and others' stay as they are."""
    made = _invite(rig, BEN, STRANGER)
    answer = {"email": BEN, "responseStatus": "tentative"}
    patched = (
        rig.client(BEN)
        .events()
        .patch(
            calendarId="primary",
            eventId=made["id"],
            body={"attendeesOmitted": True, "attendees": [answer]},
        )
        .execute()
    )
    assert _answers(patched) == {BEN: "tentative", STRANGER: "needsAction"}
    assert _answers(rig.stage.get_event(ANNA, made["id"])) == _answers(patched)


def test_an_array_replaces_the_guests(rig: GoogleRig) -> None:
    """The organizer who patches attendees without the old ones strikes them off."""
    made = _invite(rig, BEN, STRANGER)
    body = {"attendees": [{"email": BEN}]}
    patched = rig.client().events().patch(calendarId=ANNA, eventId=made["id"], body=body)
    assert list(_answers(patched.execute())) == [BEN]


@pytest.mark.parametrize(
    "body",
    [
        {"summary": "Mine now"},
        {"attendees": [{"email": BEN, "responseStatus": "accepted"}]},
        {"extendedProperties": {"shared": {"a": "1"}}},
        {"recurrence": ["RRULE:FREQ=DAILY"]},
    ],
)
def test_guests_can_not_change_what_is_shared(rig: GoogleRig, body: dict[str, Any]) -> None:
    """403 forbiddenForNonOrganizer, also for an attendee list that leaves others out."""
    made = _invite(rig, BEN, STRANGER)
    request = rig.client(BEN).events().patch(calendarId=BEN, eventId=made["id"], body=body)
    assert refusal(request) == (403, "forbiddenForNonOrganizer")


def test_guests_change_what_is_theirs(rig: GoogleRig) -> None:
    """Colour, reminders and visibility stay on their copy and survive the organizer's edits."""
    made = _invite(rig, BEN, colorId="2", transparency="transparent")
    assert not {"colorId", "transparency"} & set(rig.stage.get_event(BEN, made["id"]))
    own = {
        "colorId": "5",
        "visibility": "private",
        "extendedProperties": {"private": {"a": "1"}},
    }
    events = rig.client(BEN).events()
    events.patch(calendarId=BEN, eventId=made["id"], body=own).execute()
    rig.stage.patch_event(ANNA, made["id"], {"summary": "Renamed"})
    theirs = rig.stage.get_event(BEN, made["id"])
    assert {name: theirs[name] for name in own} == own
    assert theirs["summary"] == "Renamed"
    assert rig.stage.get_event(ANNA, made["id"])["colorId"] == "2"


def test_guests_who_may_modify_do(rig: GoogleRig) -> None:
    """With guestsCanModify a guest's edit is the organizer's."""
    made = _invite(rig, BEN, guestsCanModify=True)
    events = rig.client(BEN).events()
    events.patch(calendarId=BEN, eventId=made["id"], body={"summary": "Ours"}).execute()
    assert rig.stage.get_event(ANNA, made["id"])["summary"] == "Ours"


def test_a_guest_who_deletes_their_copy_declines(rig: GoogleRig) -> None:
    """The copy is cancelled with its details; later edits don't bring it back."""
    made = _invite(rig, BEN)
    rig.client(BEN).events().delete(calendarId="primary", eventId=made["id"]).execute()
    assert _answers(rig.stage.get_event(ANNA, made["id"])) == {BEN: "declined"}
    rig.stage.patch_event(ANNA, made["id"], {"summary": "Still on"})
    theirs = rig.stage.get_event(BEN, made["id"])
    assert (theirs["status"], theirs["summary"]) == ("cancelled", "Still on")


def test_an_invitation_by_a_stranger(rig: GoogleRig) -> None:
    """An organizer who isn't on the stage: the rehearsal speaks for them."""
    made = rig.stage.insert_event(
        BEN,
        hour(
            21,
            iCalUID="from-outlook@elsewhere.example",
            organizer={"email": STRANGER, "displayName": "Stranger"},
            attendees=[{"email": BEN}],
        ),
    )
    assert (made["organizer"]["email"], made["iCalUID"]) == (
        STRANGER,
        "from-outlook@elsewhere.example",
    )
    events = rig.client(BEN).events()
    one = {"calendarId": "primary", "eventId": made["id"]}
    assert refusal(events.patch(**one, body={"summary": "x"}))[1] == "forbiddenForNonOrganizer"
    assert _answers(rig.stage.respond(BEN, made["id"], "accepted")) == {BEN: "accepted"}
    rig.stage.patch_event(BEN, made["id"], {"summary": "By the stranger"})
    assert events.get(**one).execute()["summary"] == "By the stranger"
    rig.stage.delete_event(BEN, made["id"])
    assert set(events.get(**one).execute()) == {"kind", "etag", "id", "status"}


def test_guests_may_be_hidden(rig: GoogleRig) -> None:
    """By maxAttendees, and from guests by the organizer: only oneself is left."""
    made = _invite(rig, BEN, STRANGER, guestsCanSeeOtherGuests=False)
    theirs = rig.stage.get_event(BEN, made["id"])
    assert (list(_answers(theirs)), theirs["attendeesOmitted"]) == ([BEN], True)
    seen = rig.stage.get_event(ANNA, made["id"])
    assert (list(_answers(seen)), "attendeesOmitted" in seen) == ([BEN, STRANGER], False)
    events = rig.client().events()
    cut = events.get(calendarId=ANNA, eventId=made["id"], maxAttendees=1).execute()
    assert (cut["attendees"], cut["attendeesOmitted"]) == ([], True)


def test_an_occurrence_can_have_other_guests(rig: GoogleRig) -> None:
    """Invited to one occurrence only, a guest sees that one; struck off one, all others."""
    rig.stage.add_account(CLARA)
    made = _invite(rig, BEN, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    second = f"{made['id']}_20261022T080000Z"
    rig.stage.patch_event(ANNA, second, {"attendees": [{"email": CLARA}]})

    def seen(email: str) -> list[str]:
        listed = rig.client(email).events().list(calendarId="primary", singleEvents=True)
        return sorted(each["start"]["dateTime"][8:10] for each in listed.execute()["items"])

    assert (seen(ANNA), seen(BEN), seen(CLARA)) == (["21", "22", "23"], ["21", "23"], ["22"])


# ── Meet links ───────────────────────────────────────────────────────────────────────────


def _ask_for_link(rig: GoogleRig, version: int = 1) -> dict[str, Any]:
    body = hour(21, conferenceData={"createRequest": {"requestId": "r1"}})
    made: dict[str, Any] = (
        rig.client()
        .events()
        .insert(calendarId="primary", body=body, conferenceDataVersion=version)
        .execute()
    )
    return made


def test_a_meet_link_is_made_on_request(rig: GoogleRig) -> None:
    """The link stands in the entry points and as hangoutLink; each room has its own code."""
    made = _ask_for_link(rig)
    (entry_point,) = made["conferenceData"]["entryPoints"]
    assert entry_point["entryPointType"] == "video"
    assert made["hangoutLink"] == entry_point["uri"]
    assert made["conferenceData"]["createRequest"]["status"] == {"statusCode": "success"}
    assert made["hangoutLink"] != _ask_for_link(rig)["hangoutLink"]
    one = {"calendarId": "primary", "eventId": made["id"]}
    events = rig.client().events()
    again, asked = (
        events.patch(
            **one,
            body={"conferenceData": {"createRequest": {"requestId": request_id}}},
            conferenceDataVersion=1,
        ).execute()
        for request_id in ("r1", "r2")
    )
    assert again["hangoutLink"] == made["hangoutLink"] != asked["hangoutLink"]
    kept = events.patch(**one, body={"summary": "x", "conferenceData": None}).execute()
    assert kept["hangoutLink"] == asked["hangoutLink"]
    gone = events.patch(**one, body={"conferenceData": None}, conferenceDataVersion=1).execute()
    assert not {"conferenceData", "hangoutLink"} & set(gone)


def test_without_the_version_no_link_is_made(rig: GoogleRig) -> None:
    """A client that doesn't say conferenceDataVersion=1 gets none."""
    assert not {"conferenceData", "hangoutLink"} & set(_ask_for_link(rig, version=0))


def test_a_meet_link_may_be_pending(rig: GoogleRig) -> None:
    """Pending first; later it is there, as an edit of its own that guests see too."""
    rig.stage.conference_delay = timedelta(seconds=30)
    made = _invite(rig, BEN, conferenceData={"createRequest": {"requestId": "r1"}})
    assert made["conferenceData"]["createRequest"]["status"] == {"statusCode": "pending"}
    assert "hangoutLink" not in made
    events = rig.client(BEN).events()
    token = events.list(calendarId="primary").execute()["nextSyncToken"]
    rig.clock.advance(timedelta(seconds=31))
    (item,) = events.list(calendarId="primary", syncToken=token).execute()["items"]
    assert item["hangoutLink"].startswith("https://meet.google.com/")
    assert item["etag"] != made["etag"]


def test_a_rehearsal_sets_links_that_disagree(rig: GoogleRig) -> None:
    """Python may put any link in any field."""
    entry_point = {"entryPointType": "video", "uri": "https://meet.google.com/aaa-bbbb-ccc"}
    made = rig.stage.insert_event(
        ANNA,
        hour(
            21,
            hangoutLink="https://meet.google.com/ddd-eeee-fff",
            conferenceData={"entryPoints": [entry_point]},
        ),
    )
    assert made["hangoutLink"].endswith("ddd-eeee-fff")
    assert made["conferenceData"]["entryPoints"] == [entry_point]
