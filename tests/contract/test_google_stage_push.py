"""The stage's push, as Google's own client and a receiver over HTTP find it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from locum.rehearsal.faults import Fault
from locum.rehearsal.google.identity import SCOPE_ROOT
from tests.contract.discovery_schema import method_of, validator
from tests.contract.google_rig import ANNA, BEN, GoogleRig, google_rig, hour, refusal
from tests.push_inbox import Inbox, inbox

WEEK = timedelta(days=7)
NOWHERE = Inbox("http://127.0.0.1:9/push")
"""For what is refused before anything is sent."""


@pytest.fixture
def rig() -> Iterator[GoogleRig]:
    with google_rig() as ready:
        yield ready


@pytest.fixture
def box() -> Iterator[Inbox]:
    with inbox() as ready:
        yield ready


def _body(box: Inbox, channel_id: str = "one", **more: Any) -> dict[str, Any]:
    return {
        "id": channel_id,
        "type": "web_hook",
        "address": box.address,
        "token": "t0k3n",
        **more,
    }


def _watch(rig: GoogleRig, body: dict[str, Any], email: str = ANNA, **where: Any) -> Any:
    request = (
        rig.client(email).events().watch(**{"calendarId": "primary", "body": body, **where})
    )
    return request.execute()


def _refused(rig: GoogleRig, body: dict[str, Any]) -> tuple[int, str]:
    return refusal(rig.client().events().watch(calendarId="primary", body=body))


# ── opening ──────────────────────────────────────────────────────────────────────────────


def test_a_channel_is_answered_as_google_describes_it(rig: GoogleRig, box: Inbox) -> None:
    """Kind, ids, the token and the end in milliseconds; seven days where nobody asks."""
    body = _body(box)
    assert list(validator("Channel").iter_errors(body)) == []
    answer = _watch(rig, body)
    assert list(validator("Channel").iter_errors(answer)) == []
    end = datetime.fromtimestamp(int(answer["expiration"]) / 1000, tz=timezone.utc)
    assert answer["kind"] == "api#channel"
    assert (answer["id"], answer["token"]) == ("one", "t0k3n")
    assert end == rig.clock.now() + WEEK
    assert f"/calendars/{ANNA.replace('@', '%40')}/events" in answer["resourceUri"]
    for path in ("/calendar/v3/calendars/primary/events/watch", "/calendar/v3/channels/stop"):
        assert method_of("POST", path) is not None


def test_the_first_message_is_a_sync(rig: GoogleRig, box: Inbox) -> None:
    """It has number 1, every header of the guide, and no body."""
    answer = _watch(rig, _body(box))
    box.stays_at(1)
    [message] = box.messages
    assert box.bodies == [b""]
    assert message["content-length"] == "0"
    assert message["user-agent"].startswith("APIs-Google;")
    assert message["x-goog-channel-id"] == "one"
    assert message["x-goog-channel-token"] == "t0k3n"
    assert message["x-goog-message-number"] == "1"
    assert message["x-goog-resource-id"] == answer["resourceId"]
    assert message["x-goog-resource-uri"] == answer["resourceUri"]
    assert message["x-goog-resource-state"] == "sync"
    expiration = message["x-goog-channel-expiration"]
    assert expiration.endswith("GMT")
    assert parsedate_to_datetime(expiration) == rig.clock.now() + WEEK


def test_a_channel_without_a_token_sends_none(rig: GoogleRig, box: Inbox) -> None:
    """The token is the client's, and optional."""
    answer = _watch(rig, {"id": "bare", "type": "webhook", "address": box.address})
    box.wait_for(1)
    assert "token" not in answer
    assert "x-goog-channel-token" not in box.messages[0]


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"id": None}, 400, "invalid"),
        ({"id": "x" * 65}, 400, "invalid"),
        ({"id": "with blank"}, 400, "invalid"),
        ({"type": "pubsub"}, 400, "push.channelTypeNotSupported"),
        ({"address": "http://example.com/push"}, 401, "push.webhookUrlNotHttps"),
        ({"address": "ftp://127.0.0.1/push"}, 401, "push.webhookUrlNotHttps"),
        ({"token": "t" * 257}, 400, "invalid"),
        ({"params": {"ttl": "0"}}, 400, "invalid"),
        ({"params": {"ttl": "soon"}}, 400, "invalid"),
        ({"params": {"ttl": "9" * 30}}, 400, "invalid"),
        ({"expiration": "1000"}, 400, "invalid"),
    ],
)
def test_what_is_no_channel_is_refused(
    rig: GoogleRig, change: dict[str, Any], status: int, reason: str
) -> None:
    """Each with a reason that clients can tell apart, and nothing is opened."""
    assert _refused(rig, {**_body(NOWHERE), **change}) == (status, reason)
    assert rig.stage.open_channels() == []


@pytest.mark.parametrize("missing", ["id", "type", "address"])
def test_id_type_and_address_are_required(rig: GoogleRig, missing: str) -> None:
    """The guide names these three."""
    body = _body(NOWHERE)
    del body[missing]
    assert _refused(rig, body) == (400, "required")


def test_an_id_is_taken_while_its_channel_is_open(rig: GoogleRig, box: Inbox) -> None:
    """A second watch of the same id is refused, whosever it is; after the end it is free."""
    _watch(rig, _body(box, params={"ttl": "60"}))
    assert _refused(rig, _body(box)) == (400, "channelIdNotUnique")
    request = rig.client(BEN).events().watch(calendarId="primary", body=_body(box))
    assert refusal(request) == (400, "channelIdNotUnique")
    rig.clock.advance(timedelta(seconds=61))
    _watch(rig, _body(box))


@pytest.mark.parametrize(
    ("wish", "lasts"),
    [
        ({"params": {"ttl": "3600"}}, timedelta(hours=1)),
        ({"params": {"ttl": str(3600 * 24 * 365)}}, timedelta(days=30)),
    ],
)
def test_a_channel_lasts_as_long_as_was_asked_within_limits(
    rig: GoogleRig, wish: dict[str, Any], lasts: timedelta
) -> None:
    """Of the wish and the API's own limit, the shorter counts."""
    answer = _watch(rig, _body(NOWHERE, **wish))
    end = datetime.fromtimestamp(int(answer["expiration"]) / 1000, tz=timezone.utc)
    assert end == rig.clock.now() + lasts


def test_only_who_may_see_a_calendar_may_watch_it(rig: GoogleRig) -> None:
    """404 for a stranger's calendar, 403 without a scope for it."""
    request = rig.client(ANNA).events().watch(calendarId=BEN, body=_body(NOWHERE))
    assert refusal(request) == (404, "notFound")
    client = rig.client(ANNA, [SCOPE_ROOT + "calendar.freebusy"])
    request = client.events().watch(calendarId="primary", body=_body(NOWHERE))
    assert refusal(request) == (403, "insufficientPermissions")


# ── messages ─────────────────────────────────────────────────────────────────────────────


def test_each_edit_is_told_once_and_says_nothing_of_it(rig: GoogleRig, box: Inbox) -> None:
    """Insert, change, answer, delete: one message each, numbers growing, no content."""
    _watch(rig, _body(box))
    box.wait_for(1)
    events = rig.client().events()
    made = events.insert(calendarId="primary", body=hour(21, summary="Secret")).execute()
    box.wait_for(2)
    events.patch(calendarId="primary", eventId=made["id"], body={"summary": "x"}).execute()
    box.wait_for(3)
    events.delete(calendarId="primary", eventId=made["id"]).execute()
    box.stays_at(4)
    states, numbers = zip(*box.of("one"), strict=True)
    assert states == ("sync", "exists", "exists", "exists")
    assert list(numbers) == sorted(set(numbers))
    assert box.bodies == [b""] * 4
    assert "Secret" not in str(box.messages)


def test_reading_and_failed_edits_tell_nothing(rig: GoogleRig, box: Inbox) -> None:
    """Only what was committed is told of."""
    _watch(rig, _body(box))
    events = rig.client().events()
    events.list(calendarId="primary").execute()
    assert refusal(events.delete(calendarId="primary", eventId="nope"))[0] == 404
    box.stays_at(1)


def test_a_guests_calendar_is_told_of_an_invitation(rig: GoogleRig, box: Inbox) -> None:
    """An edit is told of on every calendar that it touches, and on no other."""
    _watch(rig, _body(box, "anna"))
    _watch(rig, _body(box, "ben"), BEN)
    box.wait_for(2)
    rig.stage.insert_event(BEN, hour(21, attendees=[{"email": ANNA}]))
    box.wait_for(4)
    rig.stage.insert_event(BEN, hour(22))
    box.stays_at(5)
    assert [state for state, _ in box.of("anna")] == ["sync", "exists"]
    assert [state for state, _ in box.of("ben")] == ["sync", "exists", "exists"]


def test_an_expired_channel_is_silent(rig: GoogleRig, box: Inbox) -> None:
    """It ends on the stage's clock, without a word."""
    _watch(rig, _body(box, params={"ttl": "60"}))
    box.wait_for(1)
    rig.clock.advance(timedelta(seconds=60))
    rig.stage.insert_event(ANNA, hour(21))
    box.stays_at(1)
    assert rig.stage.open_channels() == []


def test_whoever_lost_sight_of_a_calendar_hears_no_more_of_it(
    rig: GoogleRig, box: Inbox
) -> None:
    """A share that was taken back takes the messages with it."""
    rig.stage.set_access(BEN, ANNA, "reader")
    _watch(rig, _body(box), calendarId=BEN)
    box.wait_for(1)
    rig.stage.set_access(BEN, ANNA, "none")
    rig.stage.insert_event(BEN, hour(21))
    box.stays_at(1)


# ── stopping ─────────────────────────────────────────────────────────────────────────────


def test_a_stopped_channel_is_silent_and_gone(rig: GoogleRig, box: Inbox) -> None:
    """`channels.stop` answers nothing; a second stop finds nothing."""
    answer = _watch(rig, _body(box))
    box.wait_for(1)
    named = {"id": "one", "resourceId": answer["resourceId"]}
    assert rig.client().channels().stop(body=named).execute() == ""
    rig.stage.insert_event(ANNA, hour(21))
    box.stays_at(1)
    assert refusal(rig.client().channels().stop(body=named)) == (404, "notFound")


def test_only_its_owner_stops_a_channel_by_both_names(rig: GoogleRig, box: Inbox) -> None:
    """Another user, another resource and an unknown id find none; half a name is an error."""
    answer = _watch(rig, _body(box))
    whole = {"id": "one", "resourceId": answer["resourceId"]}
    assert refusal(rig.client(BEN).channels().stop(body=whole)) == (404, "notFound")
    wrong = [{**whole, "resourceId": "other"}, {**whole, "id": "two"}]
    for body in wrong:
        assert refusal(rig.client().channels().stop(body=body)) == (404, "notFound")
    assert refusal(rig.client().channels().stop(body={"id": "one"})) == (400, "required")
    assert [each.id for each in rig.stage.open_channels()] == ["one"]


def test_a_resources_id_is_the_same_on_all_its_channels(rig: GoogleRig, box: Inbox) -> None:
    """It names what is watched, not the channel, whatever the calendar was called."""
    first = _watch(rig, _body(box, "a"))
    second = _watch(rig, _body(box, "b"), calendarId=ANNA)
    other = _watch(rig, _body(box, "c"), BEN)
    assert first["resourceId"] == second["resourceId"] != other["resourceId"]


# ── what happens on the way ──────────────────────────────────────────────────────────────


def test_a_message_can_be_lost(rig: GoogleRig, box: Inbox) -> None:
    """`drop` loses the next change's message for good; the one after it arrives."""
    _watch(rig, _body(box))
    box.wait_for(1)
    rig.stage.faults.add(Fault(path="/_push/", drop=True))
    rig.stage.insert_event(ANNA, hour(21))
    box.stays_at(1)
    rig.stage.insert_event(ANNA, hour(22))
    box.stays_at(2)


def test_a_message_can_come_twice(rig: GoogleRig, box: Inbox) -> None:
    """`after` loses the receiver's answer, so the same message is sent again."""
    _watch(rig, _body(box))
    box.wait_for(1)
    rig.stage.faults.add(Fault(path="state=exists", after=True))
    rig.stage.insert_event(ANNA, hour(21))
    box.stays_at(3)
    assert box.messages[1] == box.messages[2]


def test_a_message_can_come_late_and_be_overtaken(rig: GoogleRig, box: Inbox) -> None:
    """`delay_s` holds one back; the next doesn't wait for it."""
    _watch(rig, _body(box))
    box.wait_for(1)
    rig.stage.faults.add(Fault(path="/_push/", delay_s=1.5))
    rig.stage.insert_event(ANNA, hour(21))
    rig.stage.insert_event(ANNA, hour(22))
    box.stays_at(3)
    numbers = [number for _, number in box.of("one")]
    assert numbers[1] > numbers[2]


def test_an_unwell_receiver_is_tried_again_and_a_refusal_is_final(
    rig: GoogleRig, box: Inbox
) -> None:
    """500, 502, 503 and 504 are worth another try; any other failure loses the message."""
    box.statuses = [503, 204, 404]
    _watch(rig, _body(box))
    box.wait_for(2)
    rig.stage.insert_event(ANNA, hour(21))
    box.stays_at(3)
    assert [each.status for each in rig.stage.channels.sent] == [503, 204, 404]


def test_nothing_is_sent_off_this_machine(rig: GoogleRig, box: Inbox) -> None:
    """An https address elsewhere is taken, as Google takes it, and never called."""
    _watch(rig, _body(box, address="https://push.example.com/x"))
    rig.stage.insert_event(ANNA, hour(21))
    box.stays_at(0)
