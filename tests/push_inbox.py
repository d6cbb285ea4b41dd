"""A receiver that takes every push message and keeps it: what a stage sends, as it arrives."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from locum.rehearsal.serving import served


@dataclass
class Inbox:
    """Messages in the order of arrival, as headers in lower case; `statuses` answers them."""

    address: str = ""
    statuses: list[int] = field(default_factory=list)
    messages: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        with self._arrived:
            self.messages.append(dict(request.headers))
            self.bodies.append(body)
            status = self.statuses.pop(0) if self.statuses else 204
            self._arrived.notify_all()
        return Response(status_code=status)

    def of(self, channel_id: str) -> list[tuple[str, int]]:
        """Answer the states and numbers of a channel's messages."""
        return [
            (each["x-goog-resource-state"], int(each["x-goog-message-number"]))
            for each in self.messages
            if each["x-goog-channel-id"] == channel_id
        ]

    def wait_for(self, count: int, within_s: float = 60.0) -> None:
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.messages) >= count, within_s)
        assert arrived, f"{len(self.messages)} of {count} messages"

    def stays_at(self, count: int, for_s: float = 0.3) -> None:
        """Check that no more come."""
        self.wait_for(count)
        time.sleep(for_s)
        assert len(self.messages) == count


@contextlib.contextmanager
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    app = Starlette(routes=[Route("/push", made.take, methods=["POST"])])
    with served(app) as server:
        made.address = f"{server.base_url}/push"
        yield made
