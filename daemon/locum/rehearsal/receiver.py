"""Where notices arrive on the stage: an ntfy server and a webhook, on one address.

ntfy's answers and refusals are those of its documented API (publishing as JSON); the webhook
takes what apprise's `json://` posts. Both keep what they got.
"""

from __future__ import annotations

import hmac
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from locum.rehearsal.faults import Faults, RequestLog, control_routes, with_faults

_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_LONGEST = 65_536


@dataclass(frozen=True)
class Received:
    """One message: `way` is "ntfy" or "json", `place` its topic or path."""

    at: datetime
    way: str
    place: str
    title: str
    body: str
    severity: str = ""


class Receiver:
    """What arrived so far. Safe to look at from any thread.

    Args:
        now: Where the time of arrival comes from.
        token: What ntfy wants to see; None is an open server.
    """

    def __init__(
        self, now: Callable[[], datetime] | None = None, *, token: str | None = None
    ) -> None:
        self._now = now or (lambda: datetime.now(timezone.utc))
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self.token = token
        self.faults = Faults()
        self.log = RequestLog(self._now)

    @property
    def received(self) -> tuple[Received, ...]:
        with self._lock:
            return tuple(self._received)

    def take(self, way: str, place: str, title: str, body: str, severity: str = "") -> int:
        """Keep a message; answers how many there are."""
        message = Received(self._now(), way, place, title, body, severity)
        with self._lock:
            self._received.append(message)
            return len(self._received)


def receiver_app(receiver: Receiver) -> Starlette:
    """Serve `POST /` (ntfy) and `POST /hook/…` (webhook), with faults around them.

    `GET /_stage/notices` answers what arrived, for other processes.
    """

    async def publish(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        wanted = f"Bearer {receiver.token}"
        if receiver.token and not hmac.compare_digest(given.encode(), wanted.encode()):
            return _refused(401, 40101, "unauthorized")
        message = await _object(request)
        topic = message.get("topic")
        if not isinstance(topic, str) or not _TOPIC.fullmatch(topic):
            return _refused(400, 40009, "invalid request: topic invalid")
        title, body = (str(message.get(key, "")) for key in ("title", "message"))
        number = receiver.take("ntfy", topic, title, body)
        return JSONResponse(
            {
                "id": f"stage{number:06}",
                "time": int(datetime.now(timezone.utc).timestamp()),
                "event": "message",
                "topic": topic,
                "title": title,
                "message": body,
            }
        )

    async def hook(request: Request) -> Response:
        message = await _object(request)
        title, body, severity = (str(message.get(k, "")) for k in ("title", "message", "type"))
        receiver.take("json", request.url.path, title, body, severity)
        return JSONResponse({"ok": True})

    async def show(request: Request) -> Response:
        del request
        return JSONResponse(
            [
                {"way": each.way, "place": each.place, "title": each.title, "body": each.body}
                for each in receiver.received
            ]
        )

    routes = [
        Route("/", publish, methods=["POST"]),
        Route("/hook{rest:path}", hook, methods=["POST"]),
        Route("/_stage/notices", show),
        *control_routes(receiver.faults, receiver.log),
    ]
    return with_faults(Starlette(routes=routes), receiver.faults, receiver.log)


async def _object(request: Request) -> dict[str, Any]:
    try:
        found = json.loads((await request.body())[:_LONGEST])
    except (ValueError, ClientDisconnect):
        return {}
    return found if isinstance(found, dict) else {}


def _refused(status: int, code: int, error: str) -> Response:
    return JSONResponse({"code": code, "http": status, "error": error}, status_code=status)
