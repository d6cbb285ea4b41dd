"""Google's own client, kept on a short lead: bounded answers, bounded time, one thread.

httplib2 isn't thread-safe, reads any answer to its end, and has no total timeout. So a
client works for one thread at a time, refuses answers over a limit, and can be aborted from
outside, which cuts its connections. What describes the API is shared by all clients: it holds
no connection, and takes a megabyte.

Imports Google's libraries, which take a second and 49 MB: import this module where it is
needed.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import google.auth.transport
import google.oauth2.credentials
import google.oauth2.service_account
import google_auth_httplib2
import httplib2
from cryptography.exceptions import UnsupportedAlgorithm
from googleapiclient.discovery import build_from_document  # type: ignore[attr-defined]
from googleapiclient.discovery_cache import get_static_doc

from locum.calendars.google_errors import SyncTokenExpiredError, translated
from locum.calendars.google_events import Collected, PageContext, parse_item
from locum.calendars.google_service_errors import (
    DRIVE,
    EVENTS,
    MEET,
    service_translated,
)
from locum.calendars.google_token import (
    GOOGLE_TOKEN_URI,
    GoogleAccount,
    StoredToken,
    is_loopback,
    is_safe_address,
    read_json_file,
    read_token,
    token_lock,
    write_token,
)
from locum.core.model import CalendarAccess, CalendarEvent, CalendarRef, TimeWindow
from locum.errors import GoneError, HumanNeededError, PermanentError, TransientError
from locum.ports import Delta

RESPONSE_LIMIT = 32 * 1024 * 1024
"""Bytes of one answer. A page of 2,500 events has 2 to 10 MB."""

PAGE_LIMIT = 400
REPEAT_LIMIT = 10
PAGE_SIZE = 2500

_EVENT_FIELDS = (
    "id,status,etag,iCalUID,recurringEventId,originalStartTime,start,end,endTimeUnspecified,"
    "summary,description,location,hangoutLink,visibility,transparency,eventType,attendeesOmitted,"
    "conferenceData(createRequest/status,entryPoints(entryPointType,uri)),"
    "organizer(email,displayName,self),"
    "attendees(email,displayName,self,organizer,optional,resource,responseStatus)"
)
_WINDOW_FIELDS = f"kind,nextPageToken,accessRole,timeZone,items({_EVENT_FIELDS})"
_DELTA_FIELDS = "kind,nextPageToken,nextSyncToken,items(id)"

_MANY = 10
"""With so many calendars an account's next poll comes soon enough to keep a connection."""

_KEPT_S = 15.0

# google-auth takes a token for expired a few minutes early; ours must outlast that.
_FRESH_FOR = timedelta(minutes=4)


_FILES = "/drive/v3/files"


class _TooLargeError(http.client.HTTPException):
    """The server goes on sending."""


class _BoundedResponse(http.client.HTTPResponse):
    """A response that gives up on a body over the limit instead of filling the memory."""

    def read(self, amt: int | None = None) -> bytes:
        if amt is not None:
            return super().read(amt)
        if self.length is not None and self.length <= RESPONSE_LIMIT:
            return super().read()
        chunks: list[bytes] = []
        size = 0
        # Not `read`: that takes a chunk of "-1" bytes for all there is, without any limit.
        while chunk := super().read1(1 << 16):
            size += len(chunk)
            if size > RESPONSE_LIMIT:
                raise _TooLargeError(f"its answer is over {RESPONSE_LIMIT} bytes long")
            chunks.append(chunk)
        return b"".join(chunks)


class _SentOnce(http.client.HTTPConnection):
    """Keeps httplib2 from sending again by itself what makes a file: that would be two."""

    _is_making = False

    def connect(self) -> None:
        if self._is_making:
            raise ConnectionResetError(errno.ECONNRESET, "the answer was lost")
        super().connect()

    def request(self, method: str, url: str, *rest: Any, **options: Any) -> None:
        if self.sock is None:
            self.connect()
        self._is_making = method == "POST" and _FILES in url
        super().request(method, url, *rest, **options)

    def getresponse(self) -> http.client.HTTPResponse:
        response = super().getresponse()
        self._is_making = False
        return response


class _PlainConnection(_SentOnce, httplib2.HTTPConnectionWithTimeout):
    response_class = _BoundedResponse


class _TlsConnection(_SentOnce, httplib2.HTTPSConnectionWithTimeout):
    response_class = _BoundedResponse


class _BoundedHttp(httplib2.Http):
    """Verifies TLS, follows no redirects, and reads no more than the limit."""

    def __init__(self, account: GoogleAccount) -> None:
        super().__init__(
            timeout=account.request_timeout.total_seconds(), decode_limit_hard=RESPONSE_LIMIT
        )
        if is_loopback(account.api_root):
            # A proxy of the environment can't reach a server on our own loopback.
            self.proxy_info = None
        # The API never redirects; a captive portal does.
        self.follow_redirects = False

    def request(  # type: ignore[override]  # One parameter fewer: the type of connection.
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        **options: Any,
    ) -> tuple[httplib2.Response, bytes]:
        tls = uri.lower().startswith("https:")
        options["connection_type"] = _TlsConnection if tls else _PlainConnection
        response, content = super().request(uri, method, body, headers, **options)
        return response, content

    def _auth_from_challenge(self, *_request: Any) -> Iterator[Any]:
        """Answer no way to log in: we have no passwords, and a 401 goes to google-auth.

        httplib2's own reads WWW-Authenticate first, which takes it minutes if the server is
        out for that, and raises where the header is malformed.
        """
        return iter(())

    def cut(self) -> None:
        """Wake whoever waits for an answer. Unlike `close`, safe from any thread."""
        for connection in list(self.connections.values()):
            raw = getattr(connection, "sock", None)
            if raw is not None:
                with contextlib.suppress(OSError):
                    # The plain socket's own method: TLS's would wait for the other side.
                    socket.socket.shutdown(raw, socket.SHUT_RDWR)


@dataclass(frozen=True)
class WindowListing:
    """Every page of one window, put together."""

    collected: Collected
    access: CalendarAccess
    requests: int


class GoogleClient:
    """Reads calendars as one account. For one thread at a time, except `abort`."""

    def __init__(self, account: GoogleAccount, *, now: Callable[[], datetime]) -> None:
        self._account = account
        self._now = now
        self._http = _BoundedHttp(account)
        self._last_used = time.monotonic()
        self._aborted = threading.Event()
        self._service_token: tuple[str, datetime] | None = None

    def abort(self) -> None:
        """Make the call in progress fail soon. The client is of no use afterwards."""
        self._aborted.set()
        self._http.cut()

    def close(self) -> None:
        """Close what was kept open. For the thread that works with it, or when none does."""
        self._http.close()

    def list_window(self, calendar: CalendarRef, window: TimeWindow) -> WindowListing:
        """Read every event in `window`, all pages or none."""
        collected = Collected()
        access = CalendarAccess.DETAILS
        requests = 0
        for page in self._pages(
            calendar,
            singleEvents=True,
            orderBy="startTime",
            timeMin=_rfc3339(window.start),
            timeMax=_rfc3339(window.end),
            showDeleted=True,
            maxResults=PAGE_SIZE,
            fields=_WINDOW_FIELDS,
        ):
            context = PageContext.of_page(calendar, page)
            access = context.access
            collected.add(_items(page, calendar), context)
            requests += 1
        return WindowListing(collected, access, requests)

    def list_changes(self, calendar: CalendarRef, sync_token: str) -> Delta:
        """Ask what moved since `sync_token`; with an empty one, only where "now" is."""
        changed = False
        # Whatever shapes the answer must be the same in every request of the lane.
        shape = {
            "singleEvents": False,
            "showDeleted": True,
            "maxResults": PAGE_SIZE,
            "fields": _DELTA_FIELDS,
        }
        next_token: object = None
        requests = 0
        try:
            for page in self._pages(calendar, syncToken=sync_token or None, **shape):
                changed = changed or bool(_items(page, calendar))
                next_token = page.get("nextSyncToken")
                requests += 1
        except SyncTokenExpiredError:
            if not sync_token:
                raise
            return Delta(changed=True, sync_token=None, requests=requests + 1)
        if not isinstance(next_token, str) or not next_token:
            # The place to go on from is lost, or never given: reading all of it is always right.
            return Delta(changed=True, sync_token=None, requests=requests)
        return Delta(
            changed=changed and bool(sync_token), sync_token=next_token, requests=requests
        )

    def probe(self, calendar: CalendarRef, window: TimeWindow) -> CalendarAccess:
        """Try whether the calendar can be read, and how much of it."""
        pages = self._pages(
            calendar,
            timeMin=_rfc3339(window.start),
            timeMax=_rfc3339(window.end),
            maxResults=1,
            fields="kind,accessRole,items(id)",
        )
        with contextlib.closing(pages):
            return PageContext.of_page(calendar, next(pages)).access

    def execute(self, calendar: CalendarRef, build: Callable[[Any], Any]) -> object:
        """Send the one request that `build` makes of Google's client; answers what it answers.

        Not repeated here, whatever comes of it.
        """
        with (
            self._signed_in(calendar) as authorized,
            translated(self._account, calendar, now=self._now),
        ):
            if self._aborted.is_set():
                raise TransientError(f"calendar {calendar}: the request was broken off")
            answer: object = build(_service(self._account.api_root)).execute(
                http=authorized, num_retries=0
            )
        return answer

    def execute_meet(self, build: Callable[[Any], Any]) -> object:
        """Send the one request that `build` makes of Google's client for Meet."""
        with service_translated(MEET, self._account, now=self._now):
            return self._execute((self._account.meet_root, "meet", "v2"), build)

    def execute_drive(self, build: Callable[[Any], Any]) -> object:
        """Send the one request that `build` makes of Google's client for Drive."""
        with service_translated(DRIVE, self._account, now=self._now):
            return self._execute((self._account.api_root, "drive", "v3"), build)

    def execute_events(self, build: Callable[[Any], Any]) -> object:
        """Send the one request that `build` makes of Google's client, as one of a filing."""
        with service_translated(EVENTS, self._account, now=self._now):
            return self._execute((self._account.api_root, "calendar", "v3"), build)

    def _execute(self, api: tuple[str, str, str], build: Callable[[Any], Any]) -> object:
        with self._connected():
            authorized = google_auth_httplib2.AuthorizedHttp(
                self._credentials(), http=self._http, max_refresh_attempts=1
            )
            if self._aborted.is_set():
                raise TransientError(
                    f"account {self._account.name}: the request was broken off"
                )
            answer: object = build(_service(*api)).execute(http=authorized, num_retries=0)
        return answer

    def find(self, calendar: CalendarRef, event_id: str) -> CalendarEvent | None:
        """Ask for one event by its id, wherever it has moved to; None if there is none.

        An all-day event counts as none: without its calendar's zone it has no instant.
        """
        try:
            with self._signed_in(calendar) as authorized:
                item = self._ask(
                    calendar,
                    lambda events: events.get(
                        calendarId=calendar.calendar_id, eventId=event_id, fields=_EVENT_FIELDS
                    ),
                    authorized,
                )
        except GoneError:
            return None
        found = parse_item(item, PageContext(calendar))
        return found if isinstance(found, CalendarEvent) and not found.all_day else None

    @contextlib.contextmanager
    def _signed_in(self, calendar: CalendarRef) -> Iterator[Any]:
        with self._connected():
            with translated(self._account, calendar, now=self._now):
                authorized = google_auth_httplib2.AuthorizedHttp(
                    self._credentials(), http=self._http, max_refresh_attempts=1
                )
            yield authorized

    def _pages(
        self, calendar: CalendarRef, **parameters: Any
    ) -> Generator[dict[str, object], None, None]:
        with self._signed_in(calendar) as authorized:
            seen: set[str] = set()
            repeats = 0
            page_token: str | None = None
            for _ in range(PAGE_LIMIT):
                page = self._page(calendar, authorized, pageToken=page_token, **parameters)
                yield page
                following = page.get("nextPageToken")
                if not following:
                    return
                # An empty page may ask us to come again; only so often.
                if not isinstance(following, str):
                    raise TransientError(f"calendar {calendar}: a page token is no text")
                repeats += following in seen
                if repeats > REPEAT_LIMIT:
                    raise TransientError(f"calendar {calendar}: its pages go round in circles")
                seen.add(following)
                page_token = following
            raise TransientError(f"calendar {calendar}: over {PAGE_LIMIT} pages of events")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """Keep the connection for the next calendar, where that comes within seconds.

        Otherwise polls are minutes apart; a connection kept that long is usually dead.
        """
        if time.monotonic() - self._last_used > _KEPT_S:
            self._http.close()
        keeps = False
        try:
            yield
            keeps = len(self._account.calendars) >= _MANY
        finally:
            self._last_used = time.monotonic()
            if not keeps:
                # After an error too: nobody knows what is still to come on it.
                self._http.close()

    def _page(
        self, calendar: CalendarRef, authorized: Any, **parameters: Any
    ) -> dict[str, object]:
        page = self._ask(
            calendar,
            lambda events: events.list(calendarId=calendar.calendar_id, **parameters),
            authorized,
            syncing=parameters.get("syncToken") is not None,
        )
        if not isinstance(page, dict) or not _lists_events(page):
            raise TransientError(f"calendar {calendar}: Google's answer is no list of events")
        return page

    def _ask(
        self,
        calendar: CalendarRef,
        request: Callable[[Any], Any],
        authorized: Any,
        *,
        syncing: bool = False,
    ) -> object:
        if self._aborted.is_set():
            raise TransientError(f"calendar {calendar}: the reading was broken off")
        with translated(self._account, calendar, now=self._now, syncing=syncing):
            events = _events_resource(self._account.api_root)
            # No retries in here: whoever polls us knows better when to ask again.
            answer: object = request(events).execute(http=authorized, num_retries=0)
        return answer

    # ── credentials ──────────────────────────────────────────────────────────────────────

    def _credentials(self) -> google.oauth2.credentials.Credentials:
        """Answer credentials made from the files as they are now: a new sign-in counts at once.

        Google's own are wrapped: the refresh must hold our lock and keep what it gets, and
        a service account's would ask another Google server where it may be used.
        """
        if self._account.service_account is not None:
            token, expiry = self._service_token or (None, None)
            refresh = self._refresh_service_account
        else:
            stored = read_token(self._account)
            # Without an expiry, google-auth would take a token for eternal.
            token = stored.access_token if stored.expiry is not None else None
            expiry = stored.expiry
            refresh = self._refresh_personal

        def refresh_handler(
            request: google.auth.transport.Request, scopes: object
        ) -> tuple[str, datetime]:
            del scopes  # They are bound to the sign-in.
            fresh_token, fresh_expiry = refresh(request, credentials.token)
            # google-auth refuses a token that ends within minutes; a server that hands
            # out such ones will say 401, and then we refresh anyway.
            soonest = datetime.now(timezone.utc) + _FRESH_FOR
            return fresh_token, _naive(max(fresh_expiry, soonest))

        credentials = google.oauth2.credentials.Credentials(  # type: ignore[no-untyped-call]
            token,
            expiry=_naive(expiry) if expiry is not None else None,
            refresh_handler=refresh_handler,
        )
        return credentials

    def _refresh_personal(
        self, request: google.auth.transport.Request, used: str | None
    ) -> tuple[str, datetime]:
        account = self._account
        with token_lock(account.token_file, within=account.request_timeout):
            stored = read_token(account)
            if (
                stored.access_token is not None
                and stored.access_token != used
                and stored.expiry is not None
                and stored.expiry > datetime.now(timezone.utc) + _FRESH_FOR
            ):
                # Another process was faster.
                return stored.access_token, stored.expiry
            inner = google.oauth2.credentials.Credentials(  # type: ignore[no-untyped-call]
                None,
                refresh_token=stored.refresh_token,
                token_uri=account.token_uri,
                client_id=stored.client_id,
                client_secret=stored.client_secret,
            )
            token, expiry = _refreshed(inner, request)
            rotated = str(inner.refresh_token or stored.refresh_token)
            _keep(account, replace(
                stored, access_token=token, expiry=expiry, refresh_token=rotated
            ))  # fmt: skip
            return token, expiry

    def _refresh_service_account(
        self, request: google.auth.transport.Request, used: str | None
    ) -> tuple[str, datetime]:
        del used
        self._service_token = _refreshed(_service_account(self._account), request)
        return self._service_token


def _refreshed(
    credentials: Any, request: google.auth.transport.Request
) -> tuple[str, datetime]:
    credentials.refresh(request)
    token, expiry = credentials.token, credentials.expiry
    if not isinstance(token, str) or not token:
        raise ValueError("no access token")
    if expiry is None:
        return token, datetime.now(timezone.utc) + timedelta(hours=1)
    return token, expiry.replace(tzinfo=timezone.utc)


def _keep(account: GoogleAccount, token: StoredToken) -> None:
    # Where the folder is read-only (a systemd credential), every start refreshes anew;
    # `check` says so.
    with contextlib.suppress(OSError):
        write_token(account.token_file, token)


def _service_account(account: GoogleAccount) -> google.oauth2.service_account.Credentials:
    assert account.service_account is not None  # noqa: S101 - The caller's branch.
    hint = "Download a new key from the Google Cloud console."
    try:
        info = read_json_file(account.service_account, what="the service account's key")
        token_uri = _token_uri(account, info)
        # google-auth always names Google as whom the assertion is for: right for a proxy in
        # front of Google, wrong for a stage.
        claims = {"aud": token_uri} if is_loopback(token_uri) else {}
        credentials = google.oauth2.service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            {**info, "token_uri": token_uri},
            scopes=list(account.service_scopes),
            subject=account.subject,
            additional_claims=claims,
        )
    except (PermanentError, FileNotFoundError) as error:
        raise HumanNeededError(f"account {account.name}: {error}.", hint=hint) from error
    except (
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        UnsupportedAlgorithm,
    ) as error:
        raise HumanNeededError(
            f"account {account.name}: {account.service_account} is no service account's key.",
            hint=hint,
        ) from error
    assert isinstance(credentials, google.oauth2.service_account.Credentials)  # noqa: S101
    return credentials


def _token_uri(account: GoogleAccount, key: Mapping[str, Any]) -> str:
    """Answer where a key is exchanged for tokens: as the config says, else as the key says."""
    named = key.get("token_uri")
    if (
        account.token_uri == GOOGLE_TOKEN_URI
        and isinstance(named, str)
        and is_safe_address(named)
    ):
        return named
    return account.token_uri


@functools.lru_cache(maxsize=4)
def _service(api_root: str, name: str = "calendar", version: str = "v3") -> Any:
    """Build the client from the bundled description of the API.

    `client_options.api_endpoint` would leave batches and uploads with Google. Each one takes
    0.9 MB and 4 ms, so accounts share it: the http object is given with each request.
    """
    bundled = get_static_doc(name, version)  # type: ignore[no-untyped-call]
    if bundled is None:
        raise PermanentError(f"google-api-python-client lacks its description of {name}")
    document = json.loads(bundled)
    root = api_root.rstrip("/") + "/"
    document["rootUrl"] = root
    document["baseUrl"] = root + document["servicePath"]
    document.pop("mtlsRootUrl", None)
    return build_from_document(document, http=httplib2.Http())


@functools.lru_cache(maxsize=4)
def _events_resource(api_root: str) -> Any:
    """Keep the events' part: each `events()` writes its methods' docstrings anew, in 10 ms."""
    return _service(api_root).events()


def _lists_events(page: dict[str, object]) -> bool:
    """Tell a list of events from an empty or foreign 200, which is no empty calendar.

    Google names the kind, and may then leave `items` out. Plain stand-ins of it often name
    none; theirs must at least hold a list.
    """
    if "kind" in page:
        return page["kind"] == "calendar#events"
    return isinstance(page.get("items"), list)


def _items(page: dict[str, object], calendar: CalendarRef) -> list[object]:
    items = page.get("items", [])
    if not isinstance(items, list):
        raise TransientError(f"calendar {calendar}: a page's items are no list")
    return items


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def _naive(instant: datetime) -> datetime:
    """google-auth compares naive UTC datetimes."""
    return instant.astimezone(timezone.utc).replace(tzinfo=None)
