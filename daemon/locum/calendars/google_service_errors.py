"""What refusals of Google's other services mean to us, as `google_errors` says it for calendars.

Imports Google's libraries, which take a second: import this module where it is needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import googleapiclient.errors

from locum.calendars.google_errors import (
    API_OFF_REASONS,
    BUSY,
    RATE_LIMITED,
    RATE_REASONS,
    SCOPE_REASONS,
    explained,
    ladder,
    retry_after,
)
from locum.calendars.google_token import GoogleAccount
from locum.errors import (
    GoneError,
    HumanNeededError,
    LocumError,
    OutOfQuotaError,
    PermanentError,
    TransientError,
)


@dataclass(frozen=True)
class Service:
    """One of Google's services: what it is called, and what its refusals say.

    `passing` are the statuses that may be another next time, beside those of a server in
    trouble; `full` the reasons that mean that there is no room; `does` what the sign-in must
    allow.
    """

    name: str
    api: str
    does: str
    passing: frozenset[int] = frozenset()
    rate: frozenset[str] = RATE_REASONS
    full: frozenset[str] = frozenset()


DRIVE = Service(
    "Google Drive",
    "Google Drive API",
    "file summaries there",
    # Somebody else was quicker: the next try sees what is there now.
    passing=frozenset({409, 412}),
    rate=RATE_REASONS | {"sharingRateLimitExceeded"},
    full=frozenset(
        {
            "storageQuotaExceeded",
            "teamDriveFileLimitExceeded",
            "numChildrenInNonRootLimitExceeded",
            "activeItemCreationLimitExceeded",
        }
    ),
)
EVENTS = Service(
    "Google Calendar",
    "Google Calendar API",
    "write on events where a summary is",
    passing=frozenset({409, 412}),
)
MEET = Service("Google Meet", "Google Meet REST API", "read Google Meet's transcripts")


@contextlib.contextmanager
def service_translated(
    service: Service, account: GoogleAccount, *, now: Callable[[], datetime]
) -> Iterator[None]:
    """Turn whatever Google's client raises while asking a service into our own errors."""
    with ladder(
        f"account {account.name}",
        service.name,
        account,
        lambda error: _refused(error, service, account, now()),
    ):
        yield


def _refused(
    error: googleapiclient.errors.HttpError,
    service: Service,
    account: GoogleAccount,
    now: datetime,
) -> LocumError:
    status = int(error.resp.status)
    reasons, message = explained(error.content)
    wait = retry_after(error.resp.get("retry-after"), now)
    refusal = f"HTTP {status}{f', {message}' if message else ''}"
    who, name = f"account {account.name}", service.name
    if status == 429 or (status == 403 and reasons & service.rate):
        return OutOfQuotaError(
            f"{who}: out of {name}'s quota ({refusal})", retry_after=wait or RATE_LIMITED
        )
    if status >= 500 or status == 408 or status < 400 or status in service.passing:
        return TransientError(
            f"{who}: {name} is in trouble ({refusal})", retry_after=wait or BUSY
        )
    needed = _for_a_person(status, reasons, service, account, refusal)
    if needed is not None:
        return needed
    if status in {404, 410}:
        return GoneError(f"{who}: {name} knows no such thing any more ({refusal})")
    return PermanentError(f"{who}: {name} refuses the request ({refusal})")


def _for_a_person(
    status: int,
    reasons: frozenset[str],
    service: Service,
    account: GoogleAccount,
    refusal: str,
) -> LocumError | None:
    who = f"account {account.name}"
    if status == 401:
        return HumanNeededError(
            f"{who}: Google refuses the sign-in ({refusal}).", hint=account.login_hint
        )
    if reasons & service.full:
        hint = f"Make room in that {service.name}; the summary waits."
        if account.service_account is not None:
            hint = "A service account has no Drive of its own: give it a subject."
        return HumanNeededError(f"{who}: its {service.name} is full ({refusal}).", hint=hint)
    if reasons & SCOPE_REASONS:
        return HumanNeededError(
            f"{who}: the sign-in doesn't allow locum to {service.does} ({refusal}).",
            hint=f"{account.login_hint} Leave all permissions ticked.",
        )
    if reasons & API_OFF_REASONS:
        return HumanNeededError(
            f"{who}: the {service.api} is off ({refusal}).",
            hint="Enable it for the OAuth client's project in the Google Cloud console.",
        )
    return None
