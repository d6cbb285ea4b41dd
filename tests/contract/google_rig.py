"""A stage's Google, served, with the real client in front of it and a judge at its door."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from googleapiclient import discovery
from googleapiclient.errors import HttpError

from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.google.identity import DEFAULT_SCOPES
from locum.rehearsal.serving import served
from tests.contract.discovery_schema import CALENDAR, Checks, check_answers, document

ANNA = "anna@example.com"
BEN = "ben@example.com"
MORNING = datetime(2026, 10, 20, 9, tzinfo=timezone.utc)


@dataclass
class HandClock:
    """A clock that moves when a test says so."""

    present: datetime = MORNING

    def now(self) -> datetime:
        return self.present

    def advance(self, duration: timedelta) -> None:
        self.present += duration


@dataclass
class GoogleRig:
    stage: GoogleStage
    clock: HandClock
    base_url: str
    checks: Checks
    _clients: list[Any] = field(default_factory=list)

    def credentials(self, email: str, scopes: Iterable[str] = DEFAULT_SCOPES) -> Credentials:
        info = self.stage.authorized_user_info(email, f"{self.base_url}/token", scopes)
        # from_authorized_user_info would put Google's own token address in place of ours.
        del info["type"]
        return Credentials(None, **info)  # type: ignore[no-untyped-call]

    def client(self, email: str = ANNA, scopes: Iterable[str] = DEFAULT_SCOPES) -> Any:
        return self.client_with(self.credentials(email, scopes))

    def client_with(self, credentials: Any, api: str = CALENDAR) -> Any:
        build: Any = discovery.build_from_document  # type: ignore[attr-defined]  # The stubs forgot it.
        client = build(document(self.base_url, api), credentials=credentials)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@contextlib.contextmanager
def google_rig() -> Iterator[GoogleRig]:
    """Serve a Google with two accounts, Anna's in Berlin and Ben's in New York.

    Ends with an assertion that every answer was as Google describes its own.
    """
    clock = HandClock()
    stage = GoogleStage(now=clock.now)
    stage.add_account(ANNA, name="Anna", time_zone="Europe/Berlin")
    stage.add_account(BEN, name="Ben", time_zone="America/New_York")
    app = google_app(stage)
    checks = check_answers(app)
    with served(app) as server:
        rig = GoogleRig(stage, clock, server.base_url, checks)
        try:
            yield rig
        finally:
            rig.close()
    assert checks.problems == []


def timed(start: str, end: str, zone: str = "Europe/Berlin", **more: Any) -> dict[str, Any]:
    """Answer an event's body: local times such as 2026-10-21T10:00:00."""
    return {
        "start": {"dateTime": start, "timeZone": zone},
        "end": {"dateTime": end, "timeZone": zone},
        **more,
    }


def hour(day: int, at: int = 10, month: int = 10, **more: Any) -> dict[str, Any]:
    """Answer the body of an hour's event in Berlin on a day of 2026."""
    stamp = f"2026-{month:02d}-{day:02d}T"
    return timed(f"{stamp}{at:02d}:00:00", f"{stamp}{at + 1:02d}:00:00", **more)


def refusal(request: Any) -> tuple[int, str]:
    """Execute a request that must be refused; answers status and reason."""
    with pytest.raises(HttpError) as caught:
        request.execute()
    details: Any = caught.value.error_details
    return int(caught.value.resp.status), str(details[0]["reason"])
