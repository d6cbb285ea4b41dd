"""Makes Meet links: at once, or pending for a while as Google sometimes has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from locum.rehearsal.google.errors import ApiError

_SOLUTION = {
    "key": {"type": "hangoutsMeet"},
    "name": "Google Meet",
    "iconUri": "https://fonts.gstatic.com/s/i/productlogos/meet_2020q4/v6/web-512dp/logo_meet_2020q4_color_2x_web_512dp.png",
}


def requested(draft: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any] | None:
    """Answer the request for a new conference in a draft, unless it was met already.

    Raises:
        ApiError: 400, a kind of conference that we don't make.
    """
    request = (draft.get("conferenceData") or {}).get("createRequest")
    if not request:
        return None
    known = (before.get("conferenceData") or {}).get("createRequest") or {}
    if known.get("requestId") == request["requestId"]:
        return None
    kind = (request.get("conferenceSolutionKey") or {}).get("type", "hangoutsMeet")
    if kind != "hangoutsMeet":
        raise ApiError(400, "invalid", "Invalid conference type value.")
    return dict(request)


def pending(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"createRequest": _answered(request, "pending")}


def ready(request: Mapping[str, Any], code: str) -> dict[str, Any]:
    """Answer the conference data of a room that is there."""
    uri = f"https://meet.google.com/{code}"
    return {
        "createRequest": _answered(request, "success"),
        "conferenceId": code,
        "conferenceSolution": _SOLUTION,
        "entryPoints": [
            {"entryPointType": "video", "uri": uri, "label": f"meet.google.com/{code}"}
        ],
    }


def _answered(request: Mapping[str, Any], status: str) -> dict[str, Any]:
    return {
        "requestId": request["requestId"],
        "conferenceSolutionKey": {"type": "hangoutsMeet"},
        "status": {"statusCode": status},
    }


def link(conference: Mapping[str, Any]) -> str | None:
    """Answer the video link, which the event repeats as its `hangoutLink`."""
    for entry_point in conference.get("entryPoints") or ():
        if entry_point.get("entryPointType") == "video":
            return str(entry_point["uri"])
    return None
