"""The stage's Google: what tests and rehearsals hold in their hands.

Everything is behind one lock, so a test may edit a calendar while a daemon reads it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from locum.rehearsal.faults import Fault, Faults, RequestLog
from locum.rehearsal.google.channels import Channel, Channels, CommitLock
from locum.rehearsal.google.drafts import read_times
from locum.rehearsal.google.drive import DriveStage
from locum.rehearsal.google.edits import Author, Editor
from locum.rehearsal.google.errors import ApiError, error_body, not_found
from locum.rehearsal.google.identity import (
    CLIENT_ID,
    CLIENT_SECRET,
    DEFAULT_SCOPES,
    Consent,
    Identity,
)
from locum.rehearsal.google.listing import Quirks, Reader
from locum.rehearsal.google.meet import MeetStage, is_meets, meet_error
from locum.rehearsal.google.schema import StagedEvent, View, read_event
from locum.rehearsal.google.store import ROLES, Calendar, Entry, Store

_MINUTE = timedelta(minutes=1)


class GoogleStage:
    """Accounts, calendars and sign-ins, with faults. Safe to use from any thread.

    `now` is the stage's clock: it dates events, ages tokens and counts quotas. Names and
    ids are the same in every rehearsal; tokens are not.

    Knobs, all changeable while it serves: `faults` and `log` (see `rehearsal.faults`),
    `quirks` (short, empty and incomplete pages, quota), `consent` (what the person at the
    consent page does), `conference_delay` (how long a new Meet link is pending),
    `access_lifetime` and `refresh_lifetime` of tokens, `channels` (push, and what was sent),
    `meet` (what Google Meet knows of conferences), `drive` (documents and their room).
    """

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self.now = now
        self.lock = CommitLock()
        self.faults = Faults()
        self.log = RequestLog(now)
        self.quirks = Quirks()
        self.store = Store(now)
        self.editor = Editor(self.store)
        self.identity = Identity(now)
        self.channels = Channels(now, self.faults)
        self.meet = MeetStage(now)
        self.drive = DriveStage(now)
        self.store.on_change = self.channels.touch
        self.lock.committed = self.channels.tell
        self._recent: dict[str, deque[datetime]] = {}

    # ── accounts and calendars ───────────────────────────────────────────────────────────

    def add_account(self, email: str, *, name: str = "", time_zone: str = "UTC") -> None:
        """Open an account, with a primary calendar whose id is the address."""
        with self.lock:
            email = email.lower()
            if email in self.identity.emails:
                raise ValueError(f"{email} has an account already")
            self.identity.emails.add(email)
            self.store.add_calendar(
                Calendar(
                    email,
                    email,
                    summary=email,
                    time_zone=time_zone,
                    primary=True,
                    display_name=name,
                )
            )

    def add_calendar(
        self,
        owner_email: str,
        calendar_id: str,
        *,
        summary: str = "",
        time_zone: str = "UTC",
        access: Mapping[str, str] | None = None,
    ) -> None:
        """Add a secondary calendar; `access` maps addresses to roles, as for `set_access`."""
        with self.lock:
            if calendar_id in self.store.calendars:
                raise ValueError(f"there is a calendar {calendar_id} already")
            self.store.add_calendar(
                Calendar(
                    calendar_id,
                    owner_email.lower(),
                    summary=summary or calendar_id,
                    time_zone=time_zone,
                    primary=False,
                    display_name=summary or calendar_id,
                )
            )
            for email, role in (access or {}).items():
                self.set_access(calendar_id, email, role)

    def set_access(self, calendar_id: str, email: str, role: str) -> None:
        """Share a calendar: none, freeBusyReader, reader, writer or owner."""
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r}: one of {', '.join(ROLES)}")
        with self.lock:
            calendar = self._calendar(calendar_id)
            calendar.access[email.lower()] = role
            # Google lets sync tokens die when access changes.
            calendar.generation += 1
            if role == "none":
                self.store.removals += 1
            self.store.touch(calendar)

    def remove_calendar(self, calendar_id: str) -> None:
        with self.lock:
            del self.store.calendars[self._calendar(calendar_id).id]
            self.store.removals += 1

    def expire_sync_tokens(self, calendar_id: str | None = None) -> None:
        """Let every sync token given so far (for one calendar, or all) answer 410."""
        with self.lock:
            for calendar in self.store.calendars.values():
                if calendar_id in {None, calendar.id}:
                    calendar.generation += 1

    # ── events ───────────────────────────────────────────────────────────────────────────

    def insert_event(self, calendar_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Insert an event and invite its attendees; answers the resource.

        Unlike a client, a rehearsal may set `organizer`, `creator`, `iCalUID`,
        `hangoutLink` and any `eventType`: an invitation by a stranger, for example.
        """
        with self.lock:
            calendar = self._calendar(calendar_id)
            draft = read_event(dict(body), StagedEvent)
            return self._shown(
                calendar, self.editor.insert(calendar, draft, self._author(calendar))
            )

    def patch_event(
        self, calendar_id: str, event_id: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Change an event, a series or one occurrence, as whoever may do so."""
        with self.lock:
            calendar = self._calendar(calendar_id)
            change = read_event(dict(body), StagedEvent)
            entry = self.editor.change(calendar, event_id, change, self._author(calendar))
            return self._shown(calendar, entry)

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        """Cancel an event, a series or one occurrence.

        On a guest's calendar this is the guest removing it if its organizer is on the stage,
        otherwise the organizer cancelling it.
        """
        with self.lock:
            calendar = self._calendar(calendar_id)
            self.editor.delete(calendar, event_id, self._author(calendar))

    def get_event(self, calendar_id: str, event_id: str) -> dict[str, Any]:
        """Answer an event as its calendar's owner sees it."""
        with self.lock:
            self.editor.settle()
            return self.reader(self._calendar(calendar_id), "owner").get(event_id, View())

    def respond(
        self, email: str, event_id: str, status: str, *, comment: str = ""
    ) -> dict[str, Any]:
        """Answer an invitation: accepted, declined, tentative or needsAction."""
        with self.lock:
            calendar = self._calendar(email.lower())
            said = {"responseStatus": status, "comment": comment or None}
            return self._shown(calendar, self.editor.respond(calendar, event_id, said))

    def put_raw(self, calendar_id: str, item: Mapping[str, Any], **times: Any) -> None:
        """Let lists show `item` exactly as it stands, however malformed.

        It is listed as the event that `times` (`start=…, end=…`, as in a body) describe, by
        default an hour from the stage's present on.
        """
        with self.lock:
            calendar = self._calendar(calendar_id)
            start = self.now()
            draft = times or {
                "start": {"dateTime": start.isoformat()},
                "end": {"dateTime": (start + timedelta(hours=1)).isoformat()},
            }
            span, _ = read_times(draft, calendar)
            event_id = str(item.get("id") or self.store.new_id())
            entry = Entry(event_id, {"status": "confirmed"}, span, start, raw=dict(item))
            self.store.put(calendar, entry)

    # ── sign-in ──────────────────────────────────────────────────────────────────────────

    @property
    def consent(self) -> Consent:
        return self.identity.consent

    @consent.setter
    def consent(self, consent: Consent) -> None:
        self.identity.consent = consent

    @property
    def access_lifetime(self) -> timedelta:
        return self.identity.access_lifetime

    @access_lifetime.setter
    def access_lifetime(self, lifetime: timedelta) -> None:
        self.identity.access_lifetime = lifetime

    @property
    def refresh_lifetime(self) -> timedelta | None:
        return self.identity.refresh_lifetime

    @refresh_lifetime.setter
    def refresh_lifetime(self, lifetime: timedelta | None) -> None:
        self.identity.refresh_lifetime = lifetime

    @property
    def conference_delay(self) -> timedelta:
        return self.editor.conference_delay

    @conference_delay.setter
    def conference_delay(self, delay: timedelta) -> None:
        self.editor.conference_delay = delay

    def issue_refresh_token(self, email: str, scopes: Iterable[str] = DEFAULT_SCOPES) -> str:
        with self.lock:
            self._check_account(email.lower())
            return self.identity.issue_refresh_token(email.lower(), scopes)

    def authorized_user_info(
        self, email: str, token_uri: str, scopes: Iterable[str] = DEFAULT_SCOPES
    ) -> dict[str, Any]:
        """Answer a sign-in as `Credentials.from_authorized_user_info` takes it."""
        return {
            "type": "authorized_user",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": self.issue_refresh_token(email, scopes),
            "token_uri": token_uri,
        }

    def service_account_info(
        self, email: str, token_uri: str, *, subjects: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Answer a service account's key file; opens the account if there is none.

        `subjects` are the users for whom it may act by domain-wide delegation.
        """
        with self.lock:
            if email.lower() not in self.identity.emails:
                self.add_account(email)
            return dict(self.identity.new_service_key(email.lower(), token_uri, subjects))

    def client_secrets(self, base_url: str) -> dict[str, Any]:
        """Answer the OAuth client's file, as the Cloud console gives it for desktop apps."""
        return {
            "installed": {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "project_id": "stage",
                "auth_uri": f"{base_url}/o/oauth2/auth",
                "token_uri": f"{base_url}/token",
                "redirect_uris": ["http://localhost"],
            }
        }

    def revoke(self, email: str) -> None:
        """Withdraw every sign-in of `email`: refreshing answers `invalid_grant`."""
        with self.lock:
            self.identity.revoke(email.lower())

    def expire_access_tokens(self, email: str | None = None) -> None:
        with self.lock:
            self.identity.expire_access_tokens(email)

    # ── push ─────────────────────────────────────────────────────────────────────────────

    def open_channels(self, calendar_id: str | None = None) -> list[Channel]:
        """Answer the push channels that are open (on one calendar, or all), oldest first."""
        with self.lock:
            return self.channels.open(calendar_id=calendar_id)

    # ── faults ───────────────────────────────────────────────────────────────────────────

    def fail(
        self,
        status: int,
        reason: str,
        *,
        path: str = "/calendar/v3/",
        unless: str = "",
        times: int | None = 1,
        skip: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Let matching requests be refused with one of Google's error bodies.

        With a `path` of Meet's, it is one of that API's.
        """
        body = error_body(status, reason)
        if is_meets(path):
            status, body = meet_error(status, reason)
        self.faults.add(
            Fault(
                path=path,
                unless=unless,
                times=times,
                skip=skip,
                status=status,
                body=body,
                headers=headers or {},
            )
        )

    def spend_quota(self, email: str) -> None:
        """Count a request of a user.

        Raises:
            ApiError: 403, `rateLimitExceeded`.
        """
        if self.quirks.quota_per_minute is None:
            return
        now = self.now()
        recent = self._recent.setdefault(email, deque())
        while recent and recent[0] <= now - _MINUTE:
            recent.popleft()
        if len(recent) >= self.quirks.quota_per_minute:
            raise ApiError(
                403,
                "rateLimitExceeded",
                "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per "
                "user' of service 'calendar-json.googleapis.com'.",
            )
        recent.append(now)

    # ── what the application uses ────────────────────────────────────────────────────────

    def reader(self, calendar: Calendar, role: str) -> Reader:
        return Reader(self.store, calendar, role, self.quirks)

    def visible_calendar(self, calendar_id: str, email: str, role: str) -> Calendar:
        """Answer a calendar that `email` may use as `role`, "primary" resolved.

        Raises:
            ApiError: 404 where it can't be seen, 403 where that isn't enough.
        """
        name = email if calendar_id == "primary" else calendar_id
        calendar = self.store.calendars.get(name)
        if calendar is None or not calendar.allows(email, "freeBusyReader"):
            raise not_found()
        if not calendar.allows(email, role):
            raise ApiError(403, "requiredAccessLevel")
        return calendar

    def _calendar(self, calendar_id: str) -> Calendar:
        try:
            return self.store.calendars[calendar_id]
        except KeyError:
            known = ", ".join(sorted(self.store.calendars))
            raise KeyError(
                f"no calendar {calendar_id!r} on the stage; it has {known}"
            ) from None

    def _check_account(self, email: str) -> None:
        if email not in self.identity.emails:
            raise KeyError(f"no account {email!r} on the stage; use add_account first")

    def _author(self, calendar: Calendar) -> Author:
        return Author(calendar.owner, omnipotent=True)

    def _shown(self, calendar: Calendar, entry: Entry) -> dict[str, Any]:
        return self.reader(calendar, "owner").get(entry.id, View())
