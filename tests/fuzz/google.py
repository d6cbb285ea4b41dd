"""Fuzzed readers of what Google, or whoever stands in its place, answers and keeps."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum.calendars import google_auth
from locum.calendars.google_client import GoogleClient, _service_account
from locum.calendars.google_events import ATTENDEE_LIMIT, Collected, PageContext
from locum.calendars.google_token import GoogleAccount, read_json_file, read_token
from locum.core.model import CalendarEvent, CalendarRef, TimeWindow
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from tests.fuzz.promises import promise, promise_text
from tests.fuzz.reader import Read, Reader
from tests.fuzz.servers import raw_http
from tests.fuzz.texts import promise_room

CALENDAR = CalendarRef("work", "primary")
NOW = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
WINDOW = TimeWindow(NOW, NOW + timedelta(hours=48))

_SAFE = timedelta(days=365)  # What is added to an event's times in planning is far less.

TOKEN: dict[str, object] = {
    "type": "authorized_user",
    "client_id": "1.apps.example.com",
    "client_secret": "GOCSPX-x",
    "refresh_token": "1//04",
    "token": "ya29.a",
    "expiry": "2099-11-23T08:00:00.000000Z",
    "scopes": ["https://www.googleapis.com/auth/calendar.events.readonly"],
    "obtained_at": "2026-11-20T08:00:00Z",
    "refresh_expires_at": "2026-11-27T08:00:00+01:00",
}

_TIMED = {"dateTime": "2026-11-23T10:00:00+01:00", "timeZone": "Europe/Berlin"}
EVENT: dict[str, Any] = {
    "kind": "calendar#event",
    "id": "abc123_20261123T090000Z",
    "status": "confirmed",
    "etag": '"3181161784712000"',
    "iCalUID": "abc123@google.com",
    "recurringEventId": "abc123",
    "originalStartTime": _TIMED,
    "start": _TIMED,
    "end": {"dateTime": "2026-11-23T10:30:00.5Z"},
    "summary": "Weekly sync",
    "description": "<b>Agenda</b>\nlocum: join",
    "location": "https://meet.google.com/abc-mnop-xyz",
    "hangoutLink": "https://meet.google.com/abc-mnop-xyz",
    "visibility": "private",
    "eventType": "default",
    "organizer": {"email": "boss@example.com", "displayName": "Boss"},
    "attendees": [
        {"email": "me@example.com", "self": True, "responseStatus": "accepted"},
        {"email": "boss@example.com", "organizer": True, "optional": True},
        {"email": "room@example.com", "resource": True},
    ],
    "conferenceData": {
        "createRequest": {"status": {"statusCode": "pending"}},
        "entryPoints": [
            {"entryPointType": "video", "uri": "https://meet.google.com/abc-mnop-xyz"}
        ],
    },
}
WHOLE_DAY = {"id": "d", "start": {"date": "2026-11-23"}, "end": {"date": "2026-11-24"}}
PAGE: dict[str, Any] = {
    "kind": "calendar#events",
    "accessRole": "owner",
    "timeZone": "Europe/Berlin",
    "items": [EVENT, WHOLE_DAY, {"id": "gone", "status": "cancelled"}],
}
REFUSAL = {
    "error": {
        "code": 403,
        "message": "Rate Limit Exceeded",
        "errors": [{"domain": "usageLimits", "reason": "rateLimitExceeded"}],
        "details": [{"reason": "RATE_LIMIT_EXCEEDED"}],
    }
}


def written(value: object) -> bytes:
    return json.dumps(value).encode()


def message(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Write an answer that ends with its connection, so that any body is a whole one."""
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(head).encode() + body


# ── events ───────────────────────────────────────────────────────────────────────────────


def read_page(content: bytes) -> None:
    """Read a page, or one event by itself, as it comes out of Google's client."""
    try:
        page = json.loads(content)
    except (ValueError, RecursionError):
        return
    fields = page if isinstance(page, dict) else {}
    items = fields.get("items", [page])
    collected = Collected()
    context = PageContext.of_page(CALENDAR, fields)
    collected.add(items if isinstance(items, list) else [items], context)
    promise_collected(collected)


def promise_collected(collected: Collected) -> None:
    for item_id in collected.removed:
        promise_text(item_id, "an id", most=1024)
    for bad in collected.malformed.values():
        promise_text(bad.item_id, "an id", most=1024)
        promise_text(bad.problem, "a problem", most=500)
    for event in collected.events.values():
        promise_event(event)


def promise_event(event: CalendarEvent) -> None:
    """Raise unless the event can be stored, shown and counted with."""
    for text, most in (
        (event.title, 300),
        (event.event_id, 1024),
        (event.meeting, 1100),
        (event.revision, 100),
        (event.room_problem or "", 500),
    ):
        promise_text(text, "a field", most=most)
    promise_text(event.description, "the description", most=64 * 1024, one_line=False)
    promise(len(event.attendees) <= ATTENDEE_LIMIT, "too many attendees")
    people = [attendee.person for attendee in event.attendees]
    for person in (*people, *([event.organizer] if event.organizer else [])):
        promise_text(person.email + person.name, "a person", most=600)
    for instant in (event.start, event.end, event.original_start):
        if instant is not None:
            promise(instant.tzinfo is timezone.utc, f"{instant} isn't in UTC")
            promise(instant - _SAFE < instant + _SAFE, f"{instant} is at time's end")
    if event.room is not None:
        promise_room(event.room)


@contextlib.contextmanager
def _listing(folder: Path) -> Iterator[Read]:
    """Read a whole window from a server that answers each request with the same bytes."""
    answer = b""
    (folder / "token.json").write_bytes(written(TOKEN))
    with raw_http(lambda _request: answer) as port:
        client = GoogleClient(_account(folder, port), now=lambda: NOW)

        def read(content: bytes) -> None:
            nonlocal answer
            answer = content
            with _told():
                promise_collected(client.list_window(CALENDAR, WINDOW).collected)
            with _told():
                client.list_changes(CALENDAR, "token")

        yield read


@contextlib.contextmanager
def _renewing(folder: Path) -> Iterator[Read]:
    """Renew a sign-in at a token address that answers anything, and read a window with it."""
    answer = b""
    ended = written(TOKEN | {"expiry": "2020-01-01T00:00:00Z"})

    def answering(request: bytes) -> bytes:
        return answer if request.startswith(b"POST /token") else message(written(PAGE))

    with raw_http(answering) as port:
        client = GoogleClient(_account(folder, port), now=lambda: NOW)

        def read(content: bytes) -> None:
            nonlocal answer
            answer = content
            (folder / "token.json").write_bytes(ended)
            with _told():
                client.list_window(CALENDAR, WINDOW)
            # What was kept of it must be readable.
            read_token(_account(folder, port))

        yield read


def _account(folder: Path, port: int) -> GoogleAccount:
    return GoogleAccount(
        name="work",
        calendars=("primary",),
        token_file=folder / "token.json",
        client_secrets=folder / "client.json",
        api_root=f"http://127.0.0.1:{port}/",
        token_uri=f"http://127.0.0.1:{port}/token",
        request_timeout=timedelta(seconds=5),
    )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Pass over the three errors that a source may raise, if they can be shown."""
    try:
        yield
    except (TransientError, HumanNeededError, PermanentError) as error:
        promise_text(str(error), "the error", most=1500)
        if isinstance(error, TransientError):
            wait = error.retry_after
            promise(timedelta(0) < wait <= timedelta(hours=1), f"a wait of {wait}")


# ── files ────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _token_file(folder: Path) -> Iterator[Read]:
    """Read a sign-in, tell its status and use it, with nobody to answer."""
    account = _account(folder, 9)
    client = GoogleClient(account, now=lambda: NOW)

    def read(content: bytes) -> None:
        account.token_file.write_bytes(content)
        with _told():
            read_token(account).as_json()
            promise_text(google_auth.status(account).summary, "the summary", most=200)
            # As before every request; a token that has ended would be renewed, elsewhere.
            promise(client._credentials().expired in {True, False}, "an odd credential")

    yield read


@contextlib.contextmanager
def _key_files(folder: Path) -> Iterator[Read]:
    """Read an OAuth client's file, and a service account's key."""
    path = folder / "client.json"
    account = _account(folder, 9)
    service = replace(account, service_account=path)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        with contextlib.suppress(PermanentError):
            read_json_file(path, what="it")
        for load in (
            lambda: google_auth._client_file(account),
            lambda: google_auth.status(service),
            lambda: _service_account(service),
        ):
            try:
                load()
            except LocumError as error:
                promise(isinstance(error, HumanNeededError), f"it raises {error!r}")

    yield read


def _service_key() -> dict[str, object]:
    """Write a service account's key anew: none shall lie in a repository."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "private_key": pem.decode(),
        "client_email": "robot@example.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


_CLIENT = {
    "installed": {
        "client_id": "1.apps.example.com",
        "client_secret": "GOCSPX-x",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    }
}
_GRANT = {
    "access_token": "ya29.b",
    "expires_in": 3599,
    "refresh_token": "1//05",
    "scope": "https://www.googleapis.com/auth/calendar.events.readonly",
    "token_type": "Bearer",
}
_CHUNKED = message(
    b"2\r\n{}\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(written(PAGE)), written(PAGE)),
    "200 OK",
    "Transfer-Encoding: chunked",
)

GOOGLE: tuple[Reader, ...] = (
    Reader(
        "google_events",
        (written(EVENT), written(PAGE), written(WHOLE_DAY), written([EVENT, EVENT])),
        lambda _folder: contextlib.nullcontext(read_page),
        pure=True,
    ),
    Reader(
        "google_listing",
        (
            message(written(PAGE)),
            message(written(PAGE | {"nextSyncToken": "s"}), "200 OK", "ETag: 1"),
            message(written({"items": [EVENT], "nextPageToken": "p"})),
            message(written(REFUSAL), "403 Forbidden", "Retry-After: 17"),
            message(written(REFUSAL), "429 Busy", "Retry-After: Mon, 23 Nov 2026 08:01:00 GMT"),
            message(written(REFUSAL), "401 Who", 'WWW-Authenticate: Bearer realm="x", a=b'),
            message(b"", "302 Found", "Location: http://127.0.0.1/"),
            _CHUNKED,
        ),
        _listing,
    ),
    Reader(
        "google_renewal",
        (
            message(written(_GRANT)),
            message(written({"error": "invalid_grant", "error_description": "x"}), "400 No"),
        ),
        _renewing,
    ),
    Reader("google_token_file", (written(TOKEN), written({"refresh_token": 1})), _token_file),
    Reader("google_key_files", (written(_CLIENT), written(_service_key())), _key_files),
)
