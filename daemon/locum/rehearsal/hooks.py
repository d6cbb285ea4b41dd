"""A webhook's receiver on the stage, which believes nothing that isn't signed.

Follows the specification of Standard Webhooks: the signature is checked over the bytes as they
came, a timestamp is good for five minutes, and an id that came before is taken and counts once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from locum.rehearsal.faults import Faults, RequestLog, control_routes, with_faults

_TOLERANCE_S = 300


@dataclass(frozen=True)
class Posted:
    """One request that was taken; `is_repeated` where its id had come before."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    is_repeated: bool


class HookReceiver:
    """What arrived so far. Safe to look at from any thread. `secret` is whsec_ and base64."""

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._lock = threading.Lock()
        self._posted: list[Posted] = []
        self.refused: list[str] = []
        self.faults = Faults()
        self.log = RequestLog()

    @property
    def posted(self) -> tuple[Posted, ...]:
        with self._lock:
            return tuple(self._posted)

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Answer the status: 204, or 401 for what can't be believed."""
        problem = self._problem(headers, body)
        with self._lock:
            if problem:
                self.refused.append(problem)
                return 401
            seen = {each.headers["webhook-id"] for each in self._posted}
            repeated = headers["webhook-id"] in seen
            self._posted.append(Posted(path, headers, body, repeated))
        return 204

    def _problem(self, headers: Mapping[str, str], body: bytes) -> str:
        message_id = headers.get("webhook-id", "")
        stamp = headers.get("webhook-timestamp", "")
        if not message_id or not stamp.isdigit():
            return "unsigned"
        now = datetime.now(timezone.utc).timestamp()
        if abs(now - int(stamp)) > _TOLERANCE_S:
            return "stale"
        signed = b".".join((message_id.encode(), stamp.encode(), body))
        wanted = hmac.new(self._key, signed, hashlib.sha256).digest()
        for given in headers.get("webhook-signature", "").split(" "):
            version, _, coded = given.partition(",")
            if version == "v1" and hmac.compare_digest(
                coded, base64.b64encode(wanted).decode()
            ):
                return ""
        return "forged"


def hook_app(receiver: HookReceiver) -> Starlette:
    """Serve `POST` on every path, with faults around it."""

    async def take(request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        return Response(
            status_code=receiver.take(request.url.path, dict(request.headers), body)
        )

    routes = [
        *control_routes(receiver.faults, receiver.log),
        Route("/{rest:path}", take, methods=["POST"]),
    ]
    return with_faults(Starlette(routes=routes), receiver.faults, receiver.log)
