"""What the Google tests share: a stage on loopback, an account signed in to it, a source."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum.calendars.google import GoogleCalendarSource
from locum.calendars.google_token import CALENDAR_SCOPE, GoogleAccount
from locum.core.model import CalendarRef, TimeWindow
from locum.rehearsal.clock import HandClock
from locum.rehearsal.google import GoogleStage

ANNA = "anna@example.com"
BEN = "ben@example.com"
NOW = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
WINDOW = TimeWindow(NOW - timedelta(hours=12), NOW + timedelta(hours=48))
PRIMARY = CalendarRef("work", "primary")
EVENTS = "/events?"


class StillClock(HandClock):
    """A clock that stands until a test moves it."""

    async def sleep(self, duration: timedelta) -> None:
        raise AssertionError(f"nobody should sleep here, least of all for {duration}")

    def host_duration(self, duration: timedelta) -> timedelta:
        return duration


@dataclass
class GoogleRig:
    """`account` is Anna's, signed in; each `source` must be closed by who asks for it."""

    stage: GoogleStage
    clock: StillClock
    base_url: str
    folder: Path

    @property
    def account(self) -> GoogleAccount:
        return GoogleAccount(
            name="work",
            calendars=("primary",),
            token_file=self.folder / "work.json",
            client_secrets=self.folder / "client.json",
            api_root=f"{self.base_url}/",
            token_uri=f"{self.base_url}/token",
            request_timeout=timedelta(seconds=5),
            read_deadline=timedelta(seconds=20),
        )

    def source(self, **changes: Any) -> GoogleCalendarSource:
        return GoogleCalendarSource(replace(self.account, **changes), clock=self.clock)

    def write_sign_in(
        self,
        email: str = ANNA,
        *,
        name: str = "work",
        scopes: Iterable[str] = (CALENDAR_SCOPE,),
        **changes: Any,
    ) -> Path:
        info = self.stage.authorized_user_info(email, f"{self.base_url}/token", scopes)
        path = self.folder / f"{name}.json"
        write_json(path, {**info, "scopes": list(scopes), **changes})
        return path

    def write_client(self) -> None:
        write_json(self.folder / "client.json", self.stage.client_secrets(self.base_url))


def write_json(path: Path, content: object) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def meeting(**changes: Any) -> dict[str, Any]:
    """Answer the body of an ordinary event, an hour from the stage's present."""
    return {
        "summary": "Weekly sync",
        "start": {"dateTime": "2026-11-23T09:00:00Z"},
        "end": {"dateTime": "2026-11-23T09:30:00Z"},
        "hangoutLink": "https://meet.google.com/abc-defg-hij",
    } | changes
