"""What refusals of Google Meet's API mean to us, as `google_errors` says it for calendars.

Imports Google's libraries, which take a second: import this module where it is needed.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import google.auth.exceptions
import googleapiclient.errors
import httplib2

from locum.calendars.google_errors import explained, not_refreshed, retry_after, told
from locum.calendars.google_token import GoogleAccount
from locum.errors import (
    GoneError,
    HumanNeededError,
    LocumError,
    OutOfQuotaError,
    PermanentError,
    TransientError,
)

_RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_SCOPE_REASONS = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
_API_OFF_REASONS = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})

_BUSY = timedelta(seconds=30)
_RATE_LIMITED = timedelta(seconds=60)


@contextlib.contextmanager
def meet_translated(account: GoogleAccount, *, now: Callable[[], datetime]) -> Iterator[None]:
    """Turn whatever Google's client raises while asking Meet into our own errors."""
    try:
        yield
    except LocumError:
        raise
    except googleapiclient.errors.HttpError as error:
        raise _refused(error, account, now()) from error
    except google.auth.exceptions.RefreshError as error:
        raise not_refreshed(error, account) from error
    except (
        google.auth.exceptions.TransportError,
        httplib2.HttpLib2Error,
        http.client.HTTPException,
        OSError,
    ) as error:
        raise TransientError(
            f"account {account.name}: Google Meet can't be reached ({told(error)})",
            retry_after=_BUSY,
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
        raise TransientError(
            f"account {account.name}: Google Meet's answer can't be read "
            f"({type(error).__name__})",
            retry_after=_BUSY,
        ) from error


def _refused(
    error: googleapiclient.errors.HttpError, account: GoogleAccount, now: datetime
) -> LocumError:
    status = int(error.resp.status)
    reasons, message = explained(error.content)
    wait = retry_after(error.resp.get("retry-after"), now)
    refusal = f"HTTP {status}{f', {message}' if message else ''}"
    who = f"account {account.name}"
    if status == 429 or (status == 403 and reasons & _RATE_REASONS):
        return OutOfQuotaError(
            f"{who}: out of Google Meet's quota ({refusal})",
            retry_after=wait or _RATE_LIMITED,
        )
    if status >= 500 or status == 408 or status < 400:
        return TransientError(
            f"{who}: Google Meet is in trouble ({refusal})", retry_after=wait or _BUSY
        )
    needed = _for_a_person(status, reasons, account, refusal)
    if needed is not None:
        return needed
    if status in {404, 410}:
        return GoneError(f"{who}: Google Meet knows no such thing any more ({refusal})")
    return PermanentError(f"{who}: Google Meet refuses the request ({refusal})")


def _for_a_person(
    status: int, reasons: frozenset[str], account: GoogleAccount, refusal: str
) -> LocumError | None:
    who = f"account {account.name}"
    if status == 401:
        return HumanNeededError(
            f"{who}: Google refuses the sign-in ({refusal}).", hint=account.login_hint
        )
    if reasons & _SCOPE_REASONS:
        return HumanNeededError(
            f"{who}: the sign-in doesn't allow locum to read Google Meet's transcripts "
            f"({refusal}).",
            hint=f"{account.login_hint} Leave all permissions ticked.",
        )
    if reasons & _API_OFF_REASONS:
        return HumanNeededError(
            f"{who}: the Google Meet REST API is off ({refusal}).",
            hint="Enable it for the OAuth client's project in the Google Cloud console.",
        )
    return None
