"""How Google says no: statuses, reasons and the shape of an error's body.

The reasons are those of the documentation ("Handle API errors") and of answers that people
quoted in public bug reports. Clients decide by status and reason; the words are for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_MESSAGES = {
    "authError": "Invalid Credentials",
    "channelIdNotUnique": "Channel id not unique",
    "badRequest": "Bad Request",
    "backendError": "Backend Error",
    "conditionNotMet": "Precondition Failed",
    "deleted": "Resource has been deleted",
    "duplicate": "The requested identifier already exists.",
    "forbidden": "Forbidden",
    "forbiddenForNonOrganizer": (
        "Shared properties can only be changed by the organizer of the event."
    ),
    "fullSyncRequired": "Sync token is no longer valid, a full sync is required.",
    "insufficientPermissions": "Request had insufficient authentication scopes.",
    "internalError": "Internal Error",
    "notFound": "Not Found",
    "push.webhookUrlUnauthorized": "Unauthorized WebHook callback channel",
    "quotaExceeded": "Calendar usage limits exceeded.",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "requiredAccessLevel": "You need to have writer access to this calendar.",
    "timeRangeEmpty": "The specified time range is empty.",
    "updatedMinTooLongAgo": "The requested minimum modification time lies too far in the past.",
    "userRateLimitExceeded": "User Rate Limit Exceeded",
}
_DOMAINS = {
    "rateLimitExceeded": "usageLimits",
    "userRateLimitExceeded": "usageLimits",
    "quotaExceeded": "usageLimits",
    "forbiddenForNonOrganizer": "calendar",
    "fullSyncRequired": "calendar",
    "requiredAccessLevel": "calendar",
    "timeRangeEmpty": "calendar",
    "updatedMinTooLongAgo": "calendar",
}
_LOCATIONS = {
    "authError": ("header", "Authorization"),
    "conditionNotMet": ("header", "If-Match"),
    "fullSyncRequired": ("parameter", "syncToken"),
    "updatedMinTooLongAgo": ("parameter", "updatedMin"),
}
#: Some errors carry a canonical status too, as Google's newer front ends add it.
_STATUSES = {"authError": "UNAUTHENTICATED", "insufficientPermissions": "PERMISSION_DENIED"}


def error_body(
    status: int, reason: str, message: str | None = None, *, parameter: str | None = None
) -> dict[str, Any]:
    """Answer the body of an error as Calendar v3 sends it."""
    text = message or _MESSAGES.get(reason, reason)
    detail = {"domain": _DOMAINS.get(reason, "global"), "reason": reason, "message": text}
    location = ("parameter", parameter) if parameter else _LOCATIONS.get(reason)
    if location is not None:
        detail["locationType"], detail["location"] = location
    error: dict[str, Any] = {"errors": [detail], "code": status, "message": text}
    if reason in _STATUSES:
        error["status"] = _STATUSES[reason]
    return {"error": error}


@dataclass
class ApiError(Exception):
    """A request that Calendar refuses; what is raised inside is what the client reads."""

    status: int
    reason: str
    message: str | None = None
    parameter: str | None = None

    def __post_init__(self) -> None:
        super().__init__(f"{self.status} {self.reason}: {self.message or ''}")

    @property
    def body(self) -> dict[str, Any]:
        return error_body(self.status, self.reason, self.message, parameter=self.parameter)


def not_found() -> ApiError:
    return ApiError(404, "notFound")


def invalid(parameter: str, message: str | None = None) -> ApiError:
    """Answer the error for a query parameter that can't be taken."""
    return ApiError(400, "invalid", message or "Invalid Value", parameter)


@dataclass
class OAuthError(Exception):
    """A refusal of the sign-in's addresses (RFC 6749, section 5.2)."""

    error: str
    description: str = ""
    status: int = 400

    def __post_init__(self) -> None:
        super().__init__(f"{self.error}: {self.description}")

    @property
    def body(self) -> dict[str, str]:
        body = {"error": self.error}
        if self.description:
            body["error_description"] = self.description
        return body
