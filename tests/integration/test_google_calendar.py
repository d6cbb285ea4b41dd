"""The Google source reads a real server over loopback, and names whatever goes wrong."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import anyio.to_thread
import pytest

from locum.calendars import google_client
from locum.calendars.google import GoogleCalendarSource
from locum.calendars.google_token import CALENDAR_SCOPE, GOOGLE_TOKEN_URI, GoogleAccount
from locum.calendars.google_worker import _THREADS
from locum.core.model import (
    Answer,
    CalendarAccess,
    CalendarRef,
    EventStatus,
    TimeWindow,
)
from locum.errors import (
    ConfigError,
    GoneError,
    HumanNeededError,
    PermanentError,
    TransientError,
)
from locum.ports import Delta, Health
from locum.rehearsal.faults import Fault
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.serving import served
from tests.integration.google_rig import (
    ANNA,
    BEN,
    EVENTS,
    NOW,
    PRIMARY,
    WINDOW,
    GoogleRig,
    StillClock,
    meeting,
    write_json,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[GoogleRig]:
    clock = StillClock(NOW)
    stage = GoogleStage(now=clock.now)
    stage.add_account(ANNA, name="Anna", time_zone="Europe/Berlin")
    stage.add_account(BEN, name="Ben", time_zone="America/New_York")
    with served(google_app(stage)) as server:
        rig = GoogleRig(stage, clock, server.base_url, tmp_path)
        rig.write_sign_in()
        yield rig


@pytest.fixture
async def source(rig: GoogleRig) -> AsyncIterator[GoogleCalendarSource]:
    source = rig.source()
    yield source
    await source.aclose()


def await_idle_threads() -> None:
    """Wait until no thread reads a calendar any more."""
    ends = time.monotonic() + 60
    while _THREADS._idle_semaphore._value < len(_THREADS._threads):
        assert time.monotonic() < ends
        time.sleep(0.01)


# ── reading ──────────────────────────────────────────────────────────────────────────────


async def test_an_invitation_is_read_with_our_answer(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """What Ben organises and Anna accepted arrives on Anna's calendar."""
    body = meeting(attendees=[{"email": ANNA}])
    event_id = rig.stage.insert_event(BEN, body)["id"]
    rig.stage.respond(ANNA, event_id, "accepted")
    reading = await source.read(PRIMARY, WINDOW)
    [event] = reading.events
    assert event.title == "Weekly sync"
    assert event.answer is Answer.ACCEPTED
    assert event.organizer is not None
    assert event.organizer.email == BEN
    assert not event.organized_by_self
    assert event.room is not None
    assert event.room.code == "abc-defg-hij"
    assert event.start == NOW + timedelta(hours=1)
    assert event.end == NOW + timedelta(hours=1.5)
    assert (reading.calendar, reading.window, reading.fetched_at) == (PRIMARY, WINDOW, NOW)
    assert reading.access is CalendarAccess.DETAILS
    assert reading.sync_token is None


async def test_an_empty_calendar_is_an_empty_reading(source: GoogleCalendarSource) -> None:
    """Nothing is nothing, and no error."""
    reading = await source.read(PRIMARY, WINDOW)
    assert (reading.events, reading.removed_ids, reading.malformed) == ((), (), ())


async def test_rule_38_recurrences_come_expanded_and_cut_to_the_window(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """An unbounded daily series has as many instances as the window has days."""
    body = meeting(
        start={"dateTime": "2026-11-20T10:00:00", "timeZone": "Europe/Berlin"},
        end={"dateTime": "2026-11-20T10:30:00", "timeZone": "Europe/Berlin"},
        recurrence=["RRULE:FREQ=DAILY"],
    )
    rig.stage.insert_event(ANNA, body)
    reading = await source.read(PRIMARY, WINDOW)
    starts = [event.start for event in reading.events]
    first = NOW.replace(hour=9)
    assert starts == [first, first + timedelta(days=1)]
    assert [event.original_start for event in reading.events] == starts
    assert len({event.uid for event in reading.events}) == 1


async def test_rule_11_a_deleted_event_is_cancelled_or_removed(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """With its time it is a cancelled event; bare, only its id is left."""
    event_id = rig.stage.insert_event(ANNA, meeting())["id"]
    rig.stage.delete_event(ANNA, event_id)
    [event] = (await source.read(PRIMARY, WINDOW)).events
    assert event.status is EventStatus.CANCELLED
    rig.stage.quirks.bare_tombstones = True
    reading = await source.read(PRIMARY, WINDOW)
    assert reading.events == ()
    assert reading.removed_ids == (event_id,)


async def test_rule_57_events_on_short_and_empty_pages_are_all_seen(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """Pages may be short or empty and still go on."""
    for index in range(60):
        rig.stage.insert_event(ANNA, meeting(summary=f"No. {index}"))
    rig.stage.quirks.page_size = 7
    rig.stage.quirks.next_empty_pages = 3
    reading = await source.read(PRIMARY, WINDOW)
    assert {event.title for event in reading.events} == {f"No. {i}" for i in range(60)}


async def test_one_malformed_event_is_named_and_the_rest_applied(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """A bad neighbour hides nobody."""
    rig.stage.insert_event(ANNA, meeting())
    rig.stage.put_raw(ANNA, {"id": "bad", "status": "confirmed", "start": {"dateTime": "x"}})
    reading = await source.read(PRIMARY, WINDOW)
    assert [event.title for event in reading.events] == ["Weekly sync"]
    [bad] = reading.malformed
    assert bad.item_id == "bad"
    assert "no RFC 3339 time" in bad.problem


async def test_a_free_busy_calendar_shows_no_details(rig: GoogleRig) -> None:
    """The reading says so, and no event names a room."""
    rig.stage.insert_event(BEN, meeting())
    rig.stage.set_access(BEN, ANNA, "freeBusyReader")
    source = rig.source(calendars=(BEN,))
    reading = await source.read(CalendarRef("work", BEN), WINDOW)
    assert reading.access is CalendarAccess.FREE_BUSY
    [event] = reading.events
    assert not event.details_visible
    assert event.room is None
    await source.aclose()


async def test_a_private_event_of_a_shared_calendar_has_no_details(rig: GoogleRig) -> None:
    """A reader sees when, not what; the owner sees both."""
    rig.stage.insert_event(BEN, meeting(visibility="private"))
    rig.stage.set_access(BEN, ANNA, "reader")
    source = rig.source(calendars=(BEN,))
    [hidden] = (await source.read(CalendarRef("work", BEN), WINDOW)).events
    assert not hidden.details_visible
    rig.stage.set_access(BEN, ANNA, "owner")
    [shown] = (await source.read(CalendarRef("work", BEN), WINDOW)).events
    assert shown.details_visible
    assert shown.title == "Weekly sync"
    await source.aclose()


async def test_calendar_ids_cant_leave_their_place_in_the_address(rig: GoogleRig) -> None:
    """An id with slashes is an id, not a path."""
    source = rig.source(calendars=("../../users/me",))
    with pytest.raises(PermanentError, match=r"work/\.\./\.\./users/me: not found"):
        await source.read(CalendarRef("work", "../../users/me"), WINDOW)
    await source.aclose()


# ── the delta lane ───────────────────────────────────────────────────────────────────────


async def test_the_delta_lane_says_whether_anything_moved(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """An empty token answers where "now" is; after that only changes count."""
    rig.stage.insert_event(ANNA, meeting())
    begun = await source.changes(PRIMARY, "")
    assert not begun.changed
    assert begun.sync_token
    still = await source.changes(PRIMARY, begun.sync_token)
    assert not still.changed
    rig.stage.insert_event(ANNA, meeting(summary="New"))
    assert still.sync_token
    moved = await source.changes(PRIMARY, still.sync_token)
    assert moved.changed
    assert moved.sync_token
    assert not (await source.changes(PRIMARY, moved.sync_token)).changed


async def test_rule_56_an_expired_sync_token_means_read_anew(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """410 is no error of ours: the window must be read, and the lane begun again."""
    token = (await source.changes(PRIMARY, "")).sync_token
    assert token
    rig.stage.expire_sync_tokens()
    assert await source.changes(PRIMARY, token) == Delta(changed=True, sync_token=None)


async def test_a_sync_token_that_is_none_means_read_anew(source: GoogleCalendarSource) -> None:
    """So does one of another version's query, or a corrupted one: 400 for ever otherwise."""
    assert await source.changes(PRIMARY, "junk") == Delta(changed=True, sync_token=None)


async def test_rule_57_a_last_page_without_sync_token_means_read_anew(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """Not "no events": the place to go on is lost, and a plain stand-in never gives one."""
    token = (await source.changes(PRIMARY, "")).sync_token
    for asked in ("", token or ""):
        rig.stage.quirks.next_without_sync_token = 1
        assert await source.changes(PRIMARY, asked) == Delta(changed=True, sync_token=None)
    assert (await source.changes(PRIMARY, "")).sync_token


async def test_rule_56_a_410_at_the_start_of_the_lane_is_transient(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """Without a token there is nothing to forget: back off, don't recurse."""
    rig.stage.fail(410, "fullSyncRequired", path=EVENTS, times=None)
    with pytest.raises(TransientError, match="a full read is needed"):
        await source.changes(PRIMARY, "")
    assert len(rig.stage.log.matching(EVENTS)) == 1


# ── the error table ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "reason", "error", "words"),
    [
        (403, "rateLimitExceeded", TransientError, "out of quota"),
        (403, "userRateLimitExceeded", TransientError, "out of quota"),
        (403, "quotaExceeded", TransientError, "out of quota"),
        (429, "rateLimitExceeded", TransientError, "out of quota"),
        (429, "somethingElse", TransientError, "out of quota"),
        (403, "forbidden", GoneError, "work/primary: no permission to read it"),
        (403, "requiredAccessLevel", GoneError, "no permission to read it"),
        (404, "notFound", GoneError, "work/primary: not found"),
        (410, "deleted", GoneError, "work/primary: not found"),
        (410, "fullSyncRequired", TransientError, "a full read is needed"),
        (410, "updatedMinTooLongAgo", TransientError, "a full read is needed"),
        (400, "badRequest", PermanentError, "refuses the request"),
        (403, "insufficientPermissions", HumanNeededError, "locum auth login work"),
        (403, "accessNotConfigured", HumanNeededError, "Enable it"),
        (302, "moved", TransientError, "HTTP 302"),
        (408, "timeout", TransientError, "HTTP 408"),
        (500, "internalError", TransientError, "HTTP 500"),
        (502, "backendError", TransientError, "HTTP 502"),
        (503, "backendError", TransientError, "HTTP 503"),
    ],
)
async def test_each_refusal_says_whether_to_try_again(
    rig: GoogleRig,
    source: GoogleCalendarSource,
    status: int,
    reason: str,
    error: type[Exception],
    words: str,
) -> None:
    """One table: wait, give this calendar up, or call a person; and never retry inside."""
    rig.stage.fail(status, reason, path=EVENTS, times=None)
    with pytest.raises(error, match=words) as caught:
        await source.read(PRIMARY, WINDOW)
    assert type(caught.value) is error or isinstance(caught.value, TransientError)
    assert len(rig.stage.log.matching(EVENTS)) == 1
    rig.stage.faults.clear()
    assert (await source.read(PRIMARY, WINDOW)).events == ()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("17", timedelta(seconds=17)),
        ("0", timedelta(seconds=1)),
        ("999999999999", timedelta(hours=1)),
        ("Mon, 23 Nov 2026 08:02:00 GMT", timedelta(minutes=2)),
        ("Mon, 23 Nov 2020 08:02:00 GMT", timedelta(seconds=1)),
        ("soon", timedelta(seconds=60)),
        (None, timedelta(seconds=60)),
    ],
)
async def test_retry_after_is_believed_within_reason(
    rig: GoogleRig, source: GoogleCalendarSource, header: str | None, expected: timedelta
) -> None:
    """Seconds or a date by our clock; nonsense counts as absent, an hour is the most."""
    headers = {} if header is None else {"Retry-After": header}
    rig.stage.fail(429, "rateLimitExceeded", path=EVENTS, headers=headers)
    with pytest.raises(TransientError) as caught:
        await source.read(PRIMARY, WINDOW)
    assert caught.value.retry_after == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"<html>Please sign in to the WiFi</html>",
        b'{"kind": "calendar#event", "items": []}',
        b'{"kind": "calendar#events", "items": {}}',
        b'{"kind": null, "items": []}',
        b'{"items": {}}',
        b'{"kind": "calendar#events", "items": [], "nextPageToken": 7}',
        b"[" * 200_000,
        b'{"data": []}',
    ],
)
async def test_rule_58_an_answer_that_makes_no_sense_is_no_empty_calendar(
    rig: GoogleRig, source: GoogleCalendarSource, body: bytes
) -> None:
    """A proxy's page, or half an answer, must never retire what is armed."""
    rig.stage.faults.add(Fault(path=EVENTS, status=200, body=body))
    with pytest.raises(TransientError):
        await source.read(PRIMARY, WINDOW)


async def test_a_stand_in_that_answers_the_least_is_understood(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """No kind, access role, etag or iCalUID: an event that says when and where is enough."""
    invitation = {
        "id": "e1",
        "summary": "Standup",
        "start": {"dateTime": "2026-11-23T10:00:00+01:00"},
        "end": {"dateTime": "2026-11-23T10:15:00+01:00"},
        "attendees": [{"email": ANNA, "self": True, "responseStatus": "accepted"}],
        "hangoutLink": "https://meet.google.com/abc-defg-hij",
    }
    stranger = {**invitation, "id": "e2", "attendees": [{"email": ANNA, "self": True}]}
    pages = ({"items": [invitation], "nextPageToken": "2"}, {"items": [stranger]})
    for page in pages:
        rig.stage.faults.add(Fault(path=EVENTS, status=200, body=page, times=1))
    reading = await source.read(PRIMARY, WINDOW)
    assert reading.access is CalendarAccess.DETAILS
    assert [event.answer for event in reading.events] == [Answer.ACCEPTED, Answer.UNANSWERED]
    assert [event.uid for event in reading.events] == ["e1", "e2"]
    assert reading.events[0].room is not None
    assert reading.events[0].start == datetime(2026, 11, 23, 9, tzinfo=timezone.utc)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b'{"error": {"message": 5}}'])
async def test_a_refusal_without_googles_body_is_still_a_locum_error(
    rig: GoogleRig, source: GoogleCalendarSource, body: bytes
) -> None:
    """Google's client stumbles over such bodies; we don't."""
    rig.stage.faults.add(Fault(path=EVENTS, status=403, body=body))
    with pytest.raises((PermanentError, TransientError), match="work/primary"):
        await source.read(PRIMARY, WINDOW)


async def test_strange_access_roles_and_zones_are_survived(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """A page's own fields are as little to be trusted as its events'."""
    body = {"kind": "calendar#events", "accessRole": [], "timeZone": {}, "items": [7, None]}
    rig.stage.faults.add(Fault(path=EVENTS, status=200, body=body))
    reading = await source.read(PRIMARY, WINDOW)
    assert reading.access is CalendarAccess.DETAILS
    assert [bad.item_id for bad in reading.malformed] == ["(no id)"]


async def test_pages_in_a_circle_are_an_error(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """The same page token again and again would go on for ever."""
    body = {"kind": "calendar#events", "items": [], "nextPageToken": "again"}
    rig.stage.faults.add(Fault(path=EVENTS, status=200, body=body, times=None))
    with pytest.raises(TransientError, match="in circles"):
        await source.read(PRIMARY, WINDOW)
    assert len(rig.stage.log.matching(EVENTS)) == google_client.REPEAT_LIMIT + 2


async def test_pages_without_end_are_an_error(
    rig: GoogleRig, source: GoogleCalendarSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a cap on how far we follow."""
    monkeypatch.setattr(google_client, "PAGE_LIMIT", 5)
    for index in range(10):
        rig.stage.insert_event(ANNA, meeting(summary=f"{index}"))
    rig.stage.quirks.page_size = 1
    with pytest.raises(TransientError, match="over 5 pages"):
        await source.read(PRIMARY, WINDOW)


async def test_rule_56_57_an_error_on_a_later_page_gives_no_partial_reading(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """Complete or nothing: half a list would look like cancellations."""
    for index in range(10):
        rig.stage.insert_event(ANNA, meeting(summary=f"{index}"))
    rig.stage.quirks.page_size = 4
    rig.stage.fail(410, "fullSyncRequired", path="pageToken=")
    with pytest.raises(TransientError):
        await source.read(PRIMARY, WINDOW)
    assert len((await source.read(PRIMARY, WINDOW)).events) == 10


# ── the network ──────────────────────────────────────────────────────────────────────────


async def test_a_lost_connection_is_transient(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """And the next reading works."""
    rig.stage.faults.add(Fault(path=EVENTS, drop=True, times=None))
    with pytest.raises(TransientError, match="can't be reached"):
        await source.read(PRIMARY, WINDOW)
    rig.stage.faults.clear()
    assert (await source.read(PRIMARY, WINDOW)).events == ()


async def test_nobody_there_is_transient(rig: GoogleRig) -> None:
    """A refused connection names what couldn't be reached and why."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        source = rig.source(api_root=nobody)
        with pytest.raises(TransientError, match="refused"):
            await source.read(PRIMARY, WINDOW)
        await source.aclose()


async def test_a_silent_server_is_given_up_after_the_request_timeout(rig: GoogleRig) -> None:
    """One silence is bounded."""
    source = rig.source(request_timeout=timedelta(seconds=0.3))
    rig.stage.faults.add(Fault(path=EVENTS, delay_s=300))
    with pytest.raises(TransientError, match="timed out"):
        await source.read(PRIMARY, WINDOW)
    await source.aclose()


async def test_a_dripping_server_is_given_up_after_the_deadline(rig: GoogleRig) -> None:
    """No silence is long enough for the timeout, yet the reading ends, and its thread too."""
    source = rig.source(read_deadline=timedelta(seconds=3))
    await source.read(PRIMARY, WINDOW)
    rig.stage.faults.add(Fault(path=EVENTS, drip_s=0.2, body=b" " * 10_000))
    with pytest.raises(TransientError, match="took over 3 s"):
        await source.read(PRIMARY, WINDOW)
    # Cut off, not left behind to listen for minutes.
    await anyio.to_thread.run_sync(await_idle_threads)
    assert (await source.read(PRIMARY, WINDOW)).events == ()
    await source.aclose()


async def test_a_cancelled_reading_leaves_no_thread_behind(rig: GoogleRig) -> None:
    """Stopping the daemon doesn't wait for Google."""
    source = rig.source(request_timeout=timedelta(seconds=300))
    await source.read(PRIMARY, WINDOW)
    rig.stage.faults.add(Fault(path=EVENTS, delay_s=300))
    with anyio.move_on_after(0.3) as scope:
        await source.read(PRIMARY, WINDOW)
    assert scope.cancelled_caught
    await anyio.to_thread.run_sync(await_idle_threads)
    await source.aclose()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Count the connections that are opened."""
    opened: list[object] = []

    class Counted(google_client._PlainConnection):
        def connect(self) -> None:
            opened.append(self)
            super().connect()

    monkeypatch.setattr(google_client, "_PlainConnection", Counted)
    return opened


async def test_an_account_with_many_calendars_keeps_its_connection(
    rig: GoogleRig, connections: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For seconds, and never beyond an error: what is left on it might be anything."""
    source = rig.source(calendars=tuple(f"c{number}" for number in range(20)))
    await source.read(PRIMARY, WINDOW)
    at_first = len(connections)  # The token's, and the calendar's.
    await source.read(PRIMARY, WINDOW)
    assert len(connections) == at_first
    rig.stage.faults.add(Fault(path=EVENTS, drop=True, times=2))
    with pytest.raises(TransientError):
        await source.read(PRIMARY, WINDOW)
    rig.stage.faults.clear()
    before = len(connections)
    await source.read(PRIMARY, WINDOW)
    assert len(connections) == before + 1
    monkeypatch.setattr(google_client, "_KEPT_S", 0.0)
    await source.read(PRIMARY, WINDOW)
    assert len(connections) == before + 2
    await source.aclose()


async def test_an_account_with_few_calendars_keeps_none_open(
    rig: GoogleRig, source: GoogleCalendarSource, connections: list[object]
) -> None:
    """A thousand of them would hold a thousand sockets between two polls."""
    await source.read(PRIMARY, WINDOW)
    before = len(connections)
    await source.read(PRIMARY, WINDOW)
    assert len(connections) == before + 1


async def test_a_calendar_that_hangs_does_not_hold_up_the_accounts_others(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """Several are read at the same time."""
    await source.read(PRIMARY, WINDOW)
    rig.stage.faults.add(Fault(path=EVENTS, delay_s=60))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.read, PRIMARY, WINDOW)
        while rig.stage.faults.pending():  # noqa: ASYNC110 - The stage tells nobody.
            await anyio.sleep(0.01)
        assert (await source.read(PRIMARY, WINDOW)).events == ()
        tasks.cancel_scope.cancel()


async def test_every_page_counts_as_a_request(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """Google's quota knows requests, not calendars."""
    for index in range(10):
        rig.stage.insert_event(ANNA, meeting(summary=f"{index}"))
    rig.stage.quirks.page_size = 4
    assert (await source.read(PRIMARY, WINDOW)).requests == 3
    assert (await source.changes(PRIMARY, "")).requests == 3
    rig.stage.quirks.page_size = None
    assert (await source.read(PRIMARY, WINDOW)).requests == 1


async def test_an_endless_answer_is_refused(
    rig: GoogleRig, source: GoogleCalendarSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, whatever the server sends."""
    monkeypatch.setattr(google_client, "RESPONSE_LIMIT", 1 << 20)
    rig.stage.faults.add(Fault(path=EVENTS, endless=True))
    with pytest.raises(TransientError, match="over 1048576 bytes"):
        await source.read(PRIMARY, WINDOW)
    assert (await source.read(PRIMARY, WINDOW)).events == ()


async def test_a_loop_is_not_blocked_while_reading(rig: GoogleRig) -> None:
    """Google's client blocks its own thread, not the daemon's."""
    source = rig.source(request_timeout=timedelta(seconds=100))
    await source.read(PRIMARY, WINDOW)
    rig.stage.faults.add(Fault(path=EVENTS, delay_s=100))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source.read, PRIMARY, WINDOW)
            while rig.stage.faults.pending():  # noqa: ASYNC110 - The stage tells nobody.
                await anyio.sleep(0.01)
            for _ in range(10):
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    await source.aclose()


async def test_readings_of_several_calendars_may_be_asked_at_once(rig: GoogleRig) -> None:
    """One thread serves them one after the other; httplib2 allows no more."""
    rig.stage.insert_event(ANNA, meeting(summary="Anna's"))
    rig.stage.insert_event(BEN, meeting(summary="Ben's"))
    rig.stage.set_access(BEN, ANNA, "reader")
    source = rig.source(calendars=("primary", BEN, "primary"))
    assert [each.calendar_id for each in source.calendars] == ["primary", BEN]
    titles: dict[str, str] = {}

    async def read(calendar: CalendarRef) -> None:
        [event] = (await source.read(calendar, WINDOW)).events
        titles[calendar.calendar_id] = event.title

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            for calendar in source.calendars:
                tasks.start_soon(read, calendar)
    assert titles == {"primary": "Anna's", BEN: "Ben's"}
    await source.aclose()


def impostor_context(folder: Path) -> ssl.SSLContext:
    """Answer a server's TLS context with a certificate that it made itself."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def test_certificates_are_always_checked(rig: GoogleRig, tmp_path: Path) -> None:
    """A server whose certificate nobody vouches for gets no token."""
    context = impostor_context(tmp_path)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    heard.append(tls.recv(1000))
            except OSError:
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        # The token comes from the real stage; only the API is the impostor.
        source = rig.source(api_root=f"https://localhost:{listener.getsockname()[1]}/")
        with pytest.raises(TransientError, match=r"(?i)certificate"):
            await source.read(PRIMARY, WINDOW)
        thread.join(5)
    assert heard in ([], [b""])
    await source.aclose()


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("api_root", "http://www.googleapis.com/"),
        ("token_uri", "http://oauth2.googleapis.com/token"),
        ("auth_uri", "http://127.0.0.1.evil.com/auth"),
        ("api_root", "https://user@www.googleapis.com/"),
        ("api_root", "ftp://127.0.0.1/"),
        ("api_root", "https://"),
        ("api_root", "http://localhost:99999/"),
        ("api_root", "http://[::1"),
    ],
)
def test_secrets_go_over_tls_or_nowhere(key: str, address: str, tmp_path: Path) -> None:
    """Plain http is for this machine only; the message names the account and the key."""
    with pytest.raises(ConfigError, match=f"account work: {key} "):
        GoogleAccount("work", ("primary",), tmp_path / "t.json", **{key: address})  # type: ignore[arg-type]


def test_an_account_without_calendars_is_refused(tmp_path: Path) -> None:
    """Nothing to read is a mistake, not a quiet source."""
    with pytest.raises(ConfigError, match="calendars is empty"):
        GoogleAccount("work", (), tmp_path / "t.json")


def test_importing_the_source_doesnt_import_googles_libraries() -> None:
    """They cost a second and 49 MB: only who reads a calendar pays."""
    code = (
        "import sys, locum.calendars.google, locum.calendars.google_auth\n"
        "heavy = {'googleapiclient', 'google.auth', 'httplib2', 'requests'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.stderr == b""
    assert done.returncode == 0


# ── the sign-in, in use ──────────────────────────────────────────────────────────────────


async def test_an_access_token_that_died_early_is_renewed_once(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """A 401 is answered by one refresh, without anybody noticing."""
    await source.read(PRIMARY, WINDOW)
    rig.stage.expire_access_tokens()
    rig.stage.log.clear()
    assert (await source.read(PRIMARY, WINDOW)).events == ()
    assert len(rig.stage.log.matching("/token", "POST")) == 1
    assert [each.status for each in rig.stage.log.matching(EVENTS)] == [401, 200]


async def test_a_token_refused_after_its_refresh_needs_a_person(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """One refresh, not a loop of them."""
    rig.stage.fail(401, "authError", path=EVENTS, times=None)
    with pytest.raises(HumanNeededError, match="locum auth login work"):
        await source.read(PRIMARY, WINDOW)
    assert len(rig.stage.log.matching(EVENTS)) == 2


async def test_a_revoked_sign_in_needs_a_person_and_heals_by_itself(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """`invalid_grant` names the command and the 7-day trap; a new sign-in counts at once."""
    await source.read(PRIMARY, WINDOW)
    rig.stage.revoke(ANNA)
    with pytest.raises(HumanNeededError) as caught:
        await source.read(PRIMARY, WINDOW)
    assert "locum auth login work" in caught.value.hint
    assert '"Testing"' in caught.value.hint
    assert "7 days" in caught.value.hint
    rig.write_sign_in()
    assert (await source.read(PRIMARY, WINDOW)).events == ()


async def test_signing_in_as_somebody_else_counts_at_once(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """The file is read for every reading: no old token lingers."""
    rig.stage.insert_event(ANNA, meeting(summary="Anna's"))
    rig.stage.insert_event(BEN, meeting(summary="Ben's"))
    [before] = (await source.read(PRIMARY, WINDOW)).events
    rig.write_sign_in(BEN)
    [after] = (await source.read(PRIMARY, WINDOW)).events
    assert (before.title, after.title) == ("Anna's", "Ben's")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="/token", status=500, times=None),
        Fault(path="/token", status=502, body="<html>Bad gateway</html>", times=None),
        Fault(path="/token", status=429, body={"error": "rate_limit_exceeded"}, times=None),
        Fault(path="/token", status=200, body="<html>WiFi</html>", times=None),
        Fault(path="/token", status=200, body=[], times=None),
        Fault(path="/token", status=200, body={}, times=None),
        Fault(path="/token", status=200, body={"access_token": 7}, times=None),
        Fault(path="/token", status=400, body=["x"], times=None),
        Fault(path="/token", drop=True, times=None),
    ],
)
async def test_a_token_server_in_trouble_is_transient(
    rig: GoogleRig, source: GoogleCalendarSource, fault: Fault
) -> None:
    """Only Google's own word ends a sign-in; an outage of an hour doesn't."""
    rig.stage.faults.add(fault)
    with pytest.raises(TransientError):
        await source.read(PRIMARY, WINDOW)
    rig.stage.faults.clear()
    assert (await source.read(PRIMARY, WINDOW)).events == ()


@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client", "deleted_client"])
async def test_a_client_that_google_knows_no_more_needs_a_person(
    rig: GoogleRig, source: GoogleCalendarSource, code: str
) -> None:
    """Waiting won't bring a deleted OAuth client back."""
    rig.stage.faults.add(Fault(path="/token", status=401, body={"error": code}))
    with pytest.raises(HumanNeededError, match=code):
        await source.read(PRIMARY, WINDOW)


async def test_short_lived_tokens_are_used_as_they_are(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """A token of a minute is enough for a reading."""
    rig.stage.access_lifetime = timedelta(minutes=1)
    assert (await source.read(PRIMARY, WINDOW)).events == ()
    assert (await source.read(PRIMARY, WINDOW)).events == ()


async def test_two_accounts_see_each_their_own(rig: GoogleRig) -> None:
    """Sources share nothing."""
    rig.stage.insert_event(ANNA, meeting(summary="Anna's"))
    rig.stage.insert_event(BEN, meeting(summary="Ben's"))
    rig.write_sign_in(BEN, name="home")
    work = rig.source()
    home = rig.source(name="home", token_file=rig.folder / "home.json")
    [at_work] = (await work.read(PRIMARY, WINDOW)).events
    [at_home] = (await home.read(CalendarRef("home", "primary"), WINDOW)).events
    assert (at_work.title, at_home.title) == ("Anna's", "Ben's")
    assert (str(at_work.calendar), str(at_home.calendar)) == ("work/primary", "home/primary")
    await work.aclose()
    await home.aclose()


async def test_a_service_account_reads_what_is_shared_with_it(rig: GoogleRig) -> None:
    """Its key signs it in; one token serves several readings; nobody else is asked."""
    robot = "locum@stage.iam.gserviceaccount.com"
    info = rig.stage.service_account_info(robot, f"{rig.base_url}/token")
    write_json(rig.folder / "robot.json", info)
    rig.stage.insert_event(ANNA, meeting())
    rig.stage.set_access(ANNA, robot, "reader")
    source = rig.source(service_account=rig.folder / "robot.json", calendars=(ANNA,))
    calendar = CalendarRef("work", ANNA)
    for _ in range(2):
        assert len((await source.read(calendar, WINDOW)).events) == 1
    assert len(rig.stage.log.matching("/token", "POST")) == 1
    rig.stage.expire_access_tokens()
    assert len((await source.read(calendar, WINDOW)).events) == 1
    await source.aclose()


async def test_a_service_account_goes_where_its_key_says_unless_told(rig: GoogleRig) -> None:
    """A key names its token address; the config's own, where it has one, comes first."""
    robot = "locum@stage.iam.gserviceaccount.com"
    elsewhere = "http://127.0.0.1:9/token"
    for named, configured in (
        (f"{rig.base_url}/token", GOOGLE_TOKEN_URI),
        (elsewhere, f"{rig.base_url}/token"),
    ):
        info = rig.stage.service_account_info(robot, f"{rig.base_url}/token")
        write_json(rig.folder / "robot.json", {**info, "token_uri": named})
        source = rig.source(service_account=rig.folder / "robot.json", token_uri=configured)
        assert (await source.read(PRIMARY, WINDOW)).events == ()
        await source.aclose()


async def test_a_service_account_acts_for_its_subject_only(rig: GoogleRig) -> None:
    """Domain-wide delegation is pinned to one user; without it a person must act."""
    robot = "locum@stage.iam.gserviceaccount.com"
    info = rig.stage.service_account_info(robot, f"{rig.base_url}/token", subjects=[ANNA])
    write_json(rig.folder / "robot.json", info)
    rig.stage.insert_event(ANNA, meeting())
    source = rig.source(service_account=rig.folder / "robot.json", subject=ANNA)
    assert len((await source.read(PRIMARY, WINDOW)).events) == 1
    await source.aclose()
    other = rig.source(service_account=rig.folder / "robot.json", subject=BEN)
    with pytest.raises(HumanNeededError, match="domain-wide delegation"):
        await other.read(PRIMARY, WINDOW)
    await other.aclose()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"private_key": "x"}', '{"client_email": 5, "private_key": 5}']
)
async def test_a_bad_service_account_key_is_named(rig: GoogleRig, content: str) -> None:
    """The file is named, its content isn't shown."""
    path = rig.folder / "robot.json"
    write_json(path, content)
    source = rig.source(service_account=path)
    with pytest.raises(HumanNeededError, match=r"robot\.json"):
        await source.read(PRIMARY, WINDOW)
    await source.aclose()


# ── self-checks ──────────────────────────────────────────────────────────────────────────


async def test_a_healthy_account_is_found_healthy(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """One finding for the sign-in, one for each calendar."""
    findings = await source.check()
    assert [(each.subject, each.health) for each in findings] == [
        ("Google account work", Health.OK),
        ("calendar work/primary", Health.OK),
    ]


async def test_each_calendar_is_tried(rig: GoogleRig) -> None:
    """A missing one and a free/busy one are named with their next steps."""
    rig.stage.set_access(BEN, ANNA, "freeBusyReader")
    source = rig.source(calendars=("primary", BEN, "gone@example.com"))
    _, primary, shared, gone = await source.check()
    assert primary.health is Health.OK
    assert shared.health is Health.WARNING
    assert "no meeting can be joined" in shared.detail
    assert "See all event details" in shared.next_step
    assert gone.health is Health.BROKEN
    assert "not found" in gone.detail
    assert "gone@example.com" in gone.subject
    assert gone.next_step
    await source.aclose()


async def test_a_missing_sign_in_is_found(rig: GoogleRig) -> None:
    """Every finding says which command helps, and nothing is raised."""
    source = rig.source(token_file=rig.folder / "none.json")
    findings = await source.check()
    assert [each.health for each in findings] == [Health.BROKEN, Health.BROKEN]
    assert all("locum auth login work" in each.next_step for each in findings)
    await source.aclose()


async def test_a_sign_in_for_something_else_is_found(rig: GoogleRig) -> None:
    """The scope is checked in the file, and by trying."""
    other = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
    rig.write_sign_in(scopes=(other,))
    source = rig.source()
    sign_in, calendar = await source.check()
    assert sign_in.health is Health.BROKEN
    assert "doesn't cover reading calendars" in sign_in.detail
    assert calendar.health is Health.BROKEN
    await source.aclose()


async def test_a_broader_scope_is_enough(rig: GoogleRig) -> None:
    """Whoever signed in for more can be read too."""
    rig.write_sign_in(scopes=("https://www.googleapis.com/auth/calendar",))
    source = rig.source()
    assert all(each.health is Health.OK for each in await source.check())
    await source.aclose()


async def test_an_outage_is_a_warning(rig: GoogleRig, source: GoogleCalendarSource) -> None:
    """Nothing of the user's is wrong when Google is down."""
    rig.stage.fail(503, "backendError", path=EVENTS)
    assert (await source.check())[-1].health is Health.WARNING


async def test_warnings_of_the_sign_in_are_findings(
    rig: GoogleRig, source: GoogleCalendarSource
) -> None:
    """A readable token file and an old sign-in are told before they hurt."""
    obtained = (NOW - timedelta(days=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    rig.write_sign_in(obtained_at=obtained).chmod(0o644)
    told = [each.detail for each in await source.check() if each.health is Health.WARNING]
    assert any("can be read by others" in each for each in told)
    assert any("6 days old" in each and '"Testing"' in each for each in told)


async def test_a_closed_source_can_be_closed_again(rig: GoogleRig) -> None:
    """Closing twice, or before any reading, is fine."""
    source = rig.source()
    await source.aclose()
    await source.read(PRIMARY, TimeWindow(NOW, NOW + timedelta(hours=1)))
    await source.aclose()
    await source.aclose()


def test_the_scope_is_the_least_there_is() -> None:
    """Reading events, and nothing else."""
    assert CALENDAR_SCOPE.endswith("/auth/calendar.events.readonly")
    account = GoogleAccount("work", ("primary",), Path("t.json"))
    assert replace(account, service_account=Path("k.json")).login_hint.endswith("k.json.")
