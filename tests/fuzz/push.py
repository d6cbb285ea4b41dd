"""Fuzzed readers of push: Google's answers to a watch request, and what anybody may send us."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from locum.calendars.google_push import _opened
from locum.core.channels import Channel, ChannelState
from locum.core.model import CalendarRef
from locum.core.secret import Secret
from locum.errors import TransientError
from locum.httpserver import HEAD_BYTES, _Door
from locum.push.receiver import Notice, _Receiver
from tests.fuzz.google import NOW, message, written
from tests.fuzz.promises import promise, promise_text
from tests.fuzz.reader import Read, Reader, pure

_ANSWERED = re.compile(rb"HTTP/1\.1 (204|400|404|405|413) ")
_CHANNEL = Channel(
    id="ours",
    calendar=CalendarRef("work", "primary"),
    address="https://locum.example.com/push",
    state=ChannelState.ASKED,
    asked_at=NOW,
    expires_at=NOW + timedelta(days=7),
)
_OPENED: dict[str, object] = {
    "kind": "api#channel",
    "id": "ours",
    "resourceId": "o3hgv1538sdjfh",
    "resourceUri": "https://www.googleapis.com/calendar/v3/calendars/primary/events",
    "token": "t",
    "expiration": str(round((NOW + timedelta(days=3)).timestamp() * 1000)),
}
_HEAD = (
    "POST /push HTTP/1.1\r\nHost: locum.example.com\r\nUser-Agent: APIs-Google\r\n"
    "X-Goog-Channel-ID: ours\r\nX-Goog-Channel-Token: t0k3n\r\n"
    "X-Goog-Message-Number: 10\r\nX-Goog-Resource-State: exists\r\n"
)


def read_opened(content: bytes) -> None:
    """Read what is answered to a watch request, as it comes out of Google's client."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return
    try:
        opened = _opened(answer, _CHANNEL, NOW)
    except TransientError as error:
        promise_text(str(error), "the error", most=200)
        return
    promise(len(opened.resource_id) <= 1024, "a name without end")
    promise(NOW < opened.expires_at <= NOW + timedelta(days=8), f"ends {opened.expires_at}")


@contextlib.contextmanager
def _receiving(_folder: Path) -> Iterator[Read]:
    """Read a request up to the end of its connection, and answer it."""
    heard: list[str] = []

    def notify(channel_id: str, token: Secret, is_first: bool) -> Notice:  # noqa: FBT001 - As it is called.
        heard.append(channel_id)
        if (channel_id, token.reveal()) != ("ours", "t0k3n"):
            return Notice.REFUSED
        return Notice.SYNC if is_first else Notice.CHANGED

    door = _Door(_Receiver(notify, "/push").answer, 1)
    with contextlib.closing(asyncio.new_event_loop()) as loop:

        async def answered(content: bytes) -> bytes:
            reader = asyncio.StreamReader(limit=HEAD_BYTES)
            reader.feed_data(content)
            reader.feed_eof()
            return await door._answer(reader)

        def read(content: bytes) -> None:
            heard.clear()
            answer = loop.run_until_complete(answered(content))
            promise(_ANSWERED.match(answer), f"answers {answer[:40]!r}")
            promise(len(answer) < 500, "a long answer")
            taken = answer.startswith(b"HTTP/1.1 204 ")
            promise(not taken or heard == ["ours"], "taken without being heard")
            promise(not taken or b"t0k3n" in content, "taken without its token")

        yield read


PUSH: tuple[Reader, ...] = (
    pure("push_opened", read_opened, (written(_OPENED), written({"id": "ours"}))),
    Reader(
        "push_message",
        (
            f"{_HEAD}Content-Length: 0\r\n\r\n".encode(),
            f"{_HEAD}Content-Length: 2\r\n\r\n{{}}".encode(),
            f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode(),
            f"{_HEAD}\r\n".encode().replace(b"exists", b"sync"),
            message(b""),
        ),
        _receiving,
    ),
)
