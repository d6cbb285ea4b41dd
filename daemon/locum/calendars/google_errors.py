"""What Google's refusals mean to us: the one table from its errors to ours.

Imports Google's libraries, which take a second: import this module where it is needed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import google.auth.exceptions
import googleapiclient.errors
import httplib2

from locum.calendars.google_events import one_line
from locum.calendars.google_token import GoogleAccount
from locum.core.model import CalendarRef
from locum.errors import (
    GoneError,
    HumanNeededError,
    LocumError,
    OutOfQuotaError,
    PermanentError,
    TransientError,
)
from locum.ports import ChannelExistsError

RATE_REASONS = frozenset(
    {
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "quotaExceeded",
        "dailyLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
    }
)
SCOPE_REASONS = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
API_OFF_REASONS = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})

BUSY = timedelta(seconds=30)
RATE_LIMITED = timedelta(seconds=60)
_LONGEST_WAIT = timedelta(hours=1)

TESTING_HINT = (
    'If that happens every week, the OAuth app is in "Testing", where sign-ins end after '
    "7 days: publish it in the Google Cloud console."
)


class SyncTokenExpiredError(TransientError):
    """The delta lane must begin anew; harmless, since it decides nothing by itself."""


@contextlib.contextmanager
def translated(
    account: GoogleAccount,
    calendar: CalendarRef,
    *,
    now: Callable[[], datetime],
    syncing: bool = False,
) -> Iterator[None]:
    """Turn whatever Google's client raises while reading `calendar` into our own errors.

    `syncing` says that the request carried a sync token, which is then what is wrong with a
    bad request: it may stem from another version's query.
    """
    with ladder(
        f"calendar {calendar}",
        "Google",
        account,
        lambda error: _refused(error, account, calendar, now=now(), syncing=syncing),
    ):
        yield


@contextlib.contextmanager
def ladder(
    where: str,
    service: str,
    account: GoogleAccount,
    refused: Callable[[googleapiclient.errors.HttpError], LocumError],
) -> Iterator[None]:
    """Turn whatever Google's client raises into our own errors; `refused` tells what a status is.

    `where` and `service` are for the messages.
    """
    try:
        yield
    except LocumError:
        raise
    except googleapiclient.errors.HttpError as error:
        raise refused(error) from error
    except google.auth.exceptions.RefreshError as error:
        raise not_refreshed(error, account) from error
    except (
        google.auth.exceptions.TransportError,
        httplib2.HttpLib2Error,
        http.client.HTTPException,
        OSError,
    ) as error:
        raise TransientError(
            f"{where}: {service} can't be reached ({told(error)})", retry_after=BUSY
        ) from error
    except (
        googleapiclient.errors.Error,
        google.auth.exceptions.GoogleAuthError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        # A proxy's or captive portal's page, or half an answer. Google's client stumbles
        # over JSON of the wrong shape with whatever exception comes first.
        raise TransientError(
            f"{where}: {service}'s answer can't be read ({type(error).__name__})",
            retry_after=BUSY,
        ) from error


# ── the API ──────────────────────────────────────────────────────────────────────────────


def _refused(
    error: googleapiclient.errors.HttpError,
    account: GoogleAccount,
    calendar: CalendarRef,
    *,
    now: datetime,
    syncing: bool,
) -> LocumError:
    reasons, message = explained(error.content)
    refusal = _Refusal(
        status=int(error.resp.status),
        reasons=reasons,
        message=message,
        wait=retry_after(error.resp.get("retry-after"), now),
    )
    return (
        _for_push(refusal, calendar)
        or _for_now(refusal, calendar, syncing=syncing)
        or _for_a_person(refusal, account)
        or _for_good(refusal, account, calendar)
    )


@dataclass(frozen=True)
class _Refusal:
    status: int
    reasons: frozenset[str]
    message: str
    wait: timedelta | None

    @property
    def is_googles(self) -> bool:
        """Whether it came in Google's own words, rather than as a page of some proxy's."""
        return bool(self.reasons)

    def __str__(self) -> str:
        return f"HTTP {self.status}{f', {self.message}' if self.message else ''}"


def _for_push(refusal: _Refusal, calendar: CalendarRef) -> LocumError | None:
    """Read the refusals that only a request for a push channel meets, 401s among them."""
    if "channelIdNotUnique" in refusal.reasons:
        return ChannelExistsError(f"calendar {calendar}: the channel is open ({refusal})")
    if any(reason.startswith("push.webhookUrl") for reason in refusal.reasons):
        return HumanNeededError(
            f"calendar {calendar}: Google sends no messages to calendar.push.public_url "
            f"({refusal}).",
            hint="It must be https, with a certificate that everybody trusts; for older "
            "projects its domain must also be verified in the Google Cloud console.",
        )
    return None


def _for_now(refusal: _Refusal, calendar: CalendarRef, *, syncing: bool) -> LocumError | None:
    status = refusal.status
    if status == 429 or (status == 403 and refusal.reasons & RATE_REASONS):
        return OutOfQuotaError(
            f"calendar {calendar}: out of quota ({refusal})",
            retry_after=refusal.wait or RATE_LIMITED,
        )
    if (status == 400 and syncing) or (status == 410 and "deleted" not in refusal.reasons):
        return SyncTokenExpiredError(f"calendar {calendar}: a full read is needed ({refusal})")
    if status >= 500 or status == 408 or status < 400:
        return TransientError(
            f"calendar {calendar}: Google is in trouble ({refusal})",
            retry_after=refusal.wait or BUSY,
        )
    return None


def _for_a_person(refusal: _Refusal, account: GoogleAccount) -> LocumError | None:
    if refusal.status == 401:
        return HumanNeededError(
            f"account {account.name}: Google refuses the sign-in ({refusal}).",
            hint=account.login_hint,
        )
    if refusal.status == 403 and refusal.reasons & SCOPE_REASONS:
        return HumanNeededError(
            f"account {account.name}: the sign-in doesn't cover reading calendars ({refusal}).",
            hint=f"{account.login_hint} Leave the calendar permission ticked.",
        )
    if refusal.status == 403 and refusal.reasons & API_OFF_REASONS:
        return HumanNeededError(
            f"account {account.name}: the Google Calendar API is off ({refusal}).",
            hint="Enable it for the OAuth client's project in the Google Cloud console.",
        )
    return None


def _for_good(
    refusal: _Refusal, account: GoogleAccount, calendar: CalendarRef
) -> PermanentError:
    kind: type[PermanentError] = GoneError if refusal.is_googles else PermanentError
    match refusal.status:
        case 404 | 410:
            problem = "not found"
            next_step = f" Check its id, and that it is shared with the account {account.name}."
        case 403:
            problem = "no permission to read it"
            next_step = f" Share it with the account {account.name}."
        case _:
            kind = PermanentError
            problem, next_step = "Google refuses the request", ""
    return kind(f"calendar {calendar}: {problem} ({refusal}).{next_step}")


def explained(content: bytes) -> tuple[frozenset[str], str]:
    """Read the reasons and the message out of Google's error body, if it is one."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return frozenset(), ""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return frozenset(), ""
    entries: list[Any] = []
    for key in ("errors", "details"):
        if isinstance(error.get(key), list):
            entries += error[key]
    reasons = [entry.get("reason") for entry in entries if isinstance(entry, dict)]
    return (
        frozenset(reason for reason in reasons if isinstance(reason, str)),
        one_line(error.get("message"), limit=200),
    )


def retry_after(header: object, now: datetime) -> timedelta | None:
    """Read `Retry-After`: seconds or an HTTP date; at most an hour is believed."""
    if not isinstance(header, str):
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), _LONGEST_WAIT.total_seconds()))
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        wait = (at if at.tzinfo else at.replace(tzinfo=timezone.utc)) - now
    return min(max(wait, timedelta(seconds=1)), _LONGEST_WAIT)


# ── the sign-in ──────────────────────────────────────────────────────────────────────────


def not_refreshed(
    error: google.auth.exceptions.RefreshError, account: GoogleAccount
) -> LocumError:
    details = error.args[1] if len(error.args) > 1 else None
    code = details.get("error") if isinstance(details, dict) else None
    if error.retryable or not isinstance(code, str):
        return TransientError(
            f"account {account.name}: the sign-in can't be renewed now", retry_after=BUSY
        )
    told = one_line(code, limit=60)
    described = one_line(details.get("error_description"), limit=200)  # type: ignore[union-attr]
    told = f"{told}: {described}" if described else told
    if account.service_account is not None:
        return HumanNeededError(
            f"account {account.name}: Google refuses the service account ({told}).",
            hint=f"{account.login_hint} A key that was deleted, a subject without domain-wide "
            "delegation and a wrong host clock all look like this.",
        )
    if code == "invalid_grant":
        return HumanNeededError(
            f"account {account.name}: the sign-in has ended ({told}).",
            hint=f"{account.login_hint} {TESTING_HINT}",
        )
    return HumanNeededError(
        f"account {account.name}: the sign-in can't be renewed ({told}).",
        hint=account.login_hint,
    )


def told(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return one_line(error.strerror, limit=120)
    return one_line(str(error), limit=120) or type(error).__name__
