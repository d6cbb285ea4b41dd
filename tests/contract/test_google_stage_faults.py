"""What can go wrong with the stage's Google, asked for by Python and by another process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from locum.rehearsal.faults import Fault
from tests.contract.google_rig import ANNA, BEN, GoogleRig, google_rig, hour, refusal

EVENTS = "/calendar/v3/calendars/primary/events"


@pytest.fixture
def rig() -> Iterator[GoogleRig]:
    with google_rig() as ready:
        yield ready


@pytest.fixture
def web(rig: GoogleRig) -> Iterator[httpx.Client]:
    """A client that shows what really comes over the wire, signed in as Anna."""
    form = rig.stage.authorized_user_info(ANNA, "") | {"grant_type": "refresh_token"}
    with httpx.Client(base_url=rig.base_url, timeout=5) as client:
        token = client.post("/token", data=form).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        rig.stage.log.clear()
        yield client


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "authError"),
        (403, "rateLimitExceeded"),
        (403, "userRateLimitExceeded"),
        (403, "forbidden"),
        (404, "notFound"),
        (410, "fullSyncRequired"),
        (429, "rateLimitExceeded"),
        (500, "backendError"),
        (503, "backendError"),
    ],
)
def test_refusals_look_like_google_s(rig: GoogleRig, status: int, reason: str) -> None:
    """The next matching request is refused, as often as it was said, and no more."""
    request = rig.client().events().list(calendarId="primary")
    request.execute()
    # google-auth answers a 401 by refreshing, three times over, before it hands it on.
    rig.stage.fail(status, reason, times=3 if status == 401 else 1)
    assert refusal(request) == (status, reason)
    assert request.execute()["items"] == []


def test_gone_on_the_first_or_on_a_later_page(rig: GoogleRig) -> None:
    """Parts of the query tell pages apart: 410 strikes where the test wants it."""
    for day in range(21, 24):
        rig.stage.insert_event(ANNA, hour(day))
    events = rig.client().events()
    token = events.list(calendarId="primary").execute()["nextSyncToken"]
    for day in range(24, 27):
        rig.stage.insert_event(ANNA, hour(day))
    rig.stage.fail(410, "fullSyncRequired", path="pageToken=")
    request = events.list(calendarId="primary", syncToken=token, maxResults=2)
    page = request.execute()
    assert refusal(events.list_next(request, page)) == (410, "fullSyncRequired")
    rig.stage.fail(410, "fullSyncRequired", path="syncToken=", unless="pageToken=")
    assert refusal(request) == (410, "fullSyncRequired")
    assert len(request.execute()["items"]) == 2


def test_faults_strike_what_they_match(rig: GoogleRig, web: httpx.Client) -> None:
    """By method and path, after so many that pass, for ever if `times` is None."""
    rig.stage.faults.add(Fault(path="/events", method="get", skip=1, times=None, status=503))
    assert [web.get(EVENTS).status_code for _ in range(3)] == [200, 503, 503]
    assert web.post(EVENTS, json=hour(21)).status_code == 200
    assert web.get("/calendar/v3/users/me/calendarList").status_code == 200
    rig.stage.faults.clear()
    assert web.get(EVENTS).status_code == 200


def test_a_dropped_request_had_no_effect(rig: GoogleRig, web: httpx.Client) -> None:
    """The connection closes without an answer, and nothing was done."""
    rig.stage.faults.add(Fault(path="/events", drop=True))
    # A body that nobody has read yet makes the closing a reset.
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        web.post(EVENTS, json=hour(21))
    assert web.get(EVENTS).json()["items"] == []


def test_a_lost_answer_had_its_effect(rig: GoogleRig, web: httpx.Client) -> None:
    """`after`: the event was made, and the client can't know."""
    rig.stage.faults.add(Fault(path="/events", method="POST", after=True))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        web.post(EVENTS, json=hour(21))
    assert len(web.get(EVENTS).json()["items"]) == 1
    assert [each.status for each in rig.stage.log.requests] == [None, 200]


def test_malformed_and_foreign_bodies(rig: GoogleRig, web: httpx.Client) -> None:
    """Any bytes, any headers; without a status it is a 200."""
    rig.stage.faults.add(Fault(body='{"items": [', headers={"retry-after": "7"}))
    response = web.get(EVENTS)
    assert (response.status_code, response.headers["retry-after"]) == (200, "7")
    with pytest.raises(json.JSONDecodeError):
        response.json()
    rig.stage.faults.add(Fault(body=b"\xff\xfe"))
    assert web.get(EVENTS).content == b"\xff\xfe"
    rig.stage.faults.add(Fault(body={"items": "none"}))
    assert web.get(EVENTS).json() == {"items": "none"}


def test_slow_answers(rig: GoogleRig, web: httpx.Client) -> None:
    """A delay before the answer; a body that drips, whole in the end."""
    rig.stage.faults.add(Fault(delay_s=0.2))
    began = time.monotonic()
    assert web.get(EVENTS).status_code == 200
    assert time.monotonic() - began >= 0.2
    rig.stage.faults.add(Fault(body="slow", drip_s=0.15))
    began = time.monotonic()
    with web.stream("GET", EVENTS) as response:
        parts = list(response.iter_raw())
    assert b"".join(parts) == b"slow"
    assert len(parts) > 1
    assert time.monotonic() - began >= 0.2


def test_a_body_without_end(rig: GoogleRig, web: httpx.Client) -> None:
    """It goes on until the client leaves, and the stage goes on after that."""
    rig.stage.faults.add(Fault(endless=True))
    got = 0
    with web.stream("GET", EVENTS) as response:
        for part in response.iter_raw():
            got += len(part)
            if got > 1_000_000:
                break
    assert web.get(EVENTS).status_code == 200


def test_a_list_without_its_sync_token(rig: GoogleRig) -> None:
    """The quirk strikes the last page, once."""
    rig.stage.quirks.next_without_sync_token = 1
    request = rig.client().events().list(calendarId="primary")
    first, second = request.execute(), request.execute()
    assert ("nextSyncToken" in first, "nextSyncToken" in second) == (False, True)


def test_the_quota_is_counted_a_user_and_a_minute(rig: GoogleRig) -> None:
    """Beyond it 403 rateLimitExceeded, for that user, until a minute has passed."""
    rig.stage.quirks.quota_per_minute = 2
    anna, ben = (rig.client(email).events().list(calendarId="primary") for email in (ANNA, BEN))
    anna.execute()
    rig.clock.advance(timedelta(seconds=30))
    anna.execute()
    assert refusal(anna) == (403, "rateLimitExceeded")
    assert ben.execute()["items"] == []
    rig.clock.advance(timedelta(seconds=30))
    anna.execute()
    assert refusal(anna) == (403, "rateLimitExceeded")


def test_malformed_items_among_good_ones(rig: GoogleRig, web: httpx.Client) -> None:
    """`put_raw` shows an item exactly as it stands, in lists whose window it fits."""
    rig.stage.insert_event(ANNA, hour(21, summary="Good"))
    item = {"id": "bad1", "start": {"dateTime": "soon"}, "etag": 5}
    times = hour(21, 12)
    rig.stage.put_raw(ANNA, item, **times)
    answer = web.get(EVENTS, params={"singleEvents": "true", "orderBy": "startTime"}).json()
    assert [each.get("summary") for each in answer["items"]] == ["Good", None]
    assert answer["items"][1] == item
    late = web.get(EVENTS, params={"timeMin": "2026-10-22T00:00:00Z"}).json()
    assert late["items"] == []
    # The judge sees it too, and rightly objects.
    assert len(rig.checks.problems) == 2
    rig.checks.problems.clear()


# ── from another process ─────────────────────────────────────────────────────────────────


def test_faults_by_http(rig: GoogleRig, web: httpx.Client) -> None:
    """POST arms one or several, GET shows, DELETE clears; `reason` gives Google's body."""
    armed = web.post("/_stage/faults", json={"status": 403, "reason": "rateLimitExceeded"})
    assert armed.json()["faults"][0]["times"] == 1
    response = web.get(EVENTS)
    assert response.status_code == 403
    assert response.json()["error"]["errors"][0]["domain"] == "usageLimits"
    many = [{"path": "/events", "status": 500}, {"path": "/events", "status": 503}]
    web.post("/_stage/faults", json=many)
    assert [web.get(EVENTS).status_code for _ in range(3)] == [500, 503, 200]
    web.post("/_stage/faults", json={"drop": True, "times": None})
    assert len(web.get("/_stage/faults").json()["faults"]) == 1
    assert web.delete("/_stage/faults").json() == {"faults": []}
    assert web.get(EVENTS).status_code == 200


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ({"pth": "/events"}, "pth"),
        ({"times": "often"}, "times"),
        ([{"path": "/events"}, 5], "fault"),
        ("nonsense", "fault"),
    ],
)
def test_bad_faults_are_refused_by_name(web: httpx.Client, payload: Any, named: str) -> None:
    """400 with what was wrong and what a fault has; none of them is armed."""
    response = web.post("/_stage/faults", json=payload)
    assert response.status_code == 400
    assert response.json()["error"].startswith(f"{named}: ")
    assert "drip_s" in response.json()["error"]
    assert web.get("/_stage/faults").json() == {"faults": []}
    assert web.post("/_stage/faults", content=b"{").status_code == 400


def test_quirks_by_http(rig: GoogleRig, web: httpx.Client) -> None:
    """POST replaces all of them; an unknown one answers 400."""
    assert web.post("/_stage/quirks", json={"page_size": 1}).json()["page_size"] == 1
    for day in (21, 22):
        rig.stage.insert_event(ANNA, hour(day))
    assert len(web.get(EVENTS).json()["items"]) == 1
    assert web.post("/_stage/quirks", json={"pagesize": 1}).status_code == 400
    assert web.get("/_stage/quirks").json()["page_size"] == 1


def test_requests_are_counted(rig: GoogleRig, web: httpx.Client) -> None:
    """Counts, bytes and each request, without those to the stage's own addresses."""
    made = web.post(EVENTS, json=hour(21))
    web.get(EVENTS, params={"maxResults": "1"})
    shown = web.get("/_stage/requests").json()
    assert shown["count"] == 2
    first, second = shown["requests"]
    assert (first["method"], first["path"], first["status"]) == ("POST", EVENTS, 200)
    assert (first["bytes_in"], first["bytes_out"]) == (
        len(made.request.content),
        len(made.content),
    )
    assert (second["query"], second["bytes_in"]) == ("maxResults=1", 0)
    assert first["time"] == rig.clock.now().isoformat()
    assert shown["bytes_out"] == first["bytes_out"] + second["bytes_out"]
    assert web.delete("/_stage/requests").json()["count"] == 0


def test_unknown_addresses_answer_as_google_does(web: httpx.Client) -> None:
    """404 with an error body that clients can read; the same for a wrong method."""
    for response in (web.get("/calendar/v3/nonsense"), web.patch(EVENTS)):
        assert response.status_code == 404
        assert response.json()["error"]["errors"][0]["reason"] == "notFound"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b'{"start": 5}'])
def test_bodies_that_are_no_events(web: httpx.Client, body: bytes) -> None:
    """400, never a crash."""
    assert web.post(EVENTS, content=body).status_code == 400
    assert web.post("/calendar/v3/freeBusy", content=body).status_code == 400
