"""Where a calendar's server sends its messages, through the user's reverse proxy.

Anybody on the internet can send here. Of a request we use the channel's id and its token, to
find out whose message it is, and whether it is a channel's first; everything else in it,
body and all, is dropped unread.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus

from locum.core.secret import Secret
from locum.errors import TransientError
from locum.httpserver import Answer, Request, serve

_CONNECTIONS = 64


class Notice(enum.Enum):
    """What came of a message."""

    CHANGED = "changed"
    SYNC = "sync"  #: A channel's first, which says that it works and no more.
    REFUSED = "refused"  #: No channel of ours, or not its token.


Notify = Callable[[str, Secret, bool], Notice]
"""Is told a channel's id, the token that came with it, and whether it is the first message."""


def serve_messages(
    notify: Notify, *, path: str, host: str, port: int
) -> AbstractAsyncContextManager[int]:
    """Take messages on `path` while the block runs; yields the port.

    Raises:
        OSError: The port can't be had.
    """
    receiver = _Receiver(notify, path)
    return serve(receiver.answer, host=host, port=port, connections=_CONNECTIONS)


class _Receiver:
    def __init__(self, notify: Notify, path: str) -> None:
        self._notify = notify
        self._path = path

    def answer(self, request: Request) -> Answer:
        if request.path != self._path:
            return Answer.plain(HTTPStatus.NOT_FOUND)
        if request.method != "POST":
            return Answer.plain(HTTPStatus.METHOD_NOT_ALLOWED, Allow="POST")
        ids = request.header("x-goog-channel-id")
        tokens = request.header("x-goog-channel-token")
        states = request.header("x-goog-resource-state")
        if not len(ids) == len(tokens) == len(states) == 1:
            # Two of one kind: who is to say which of them a proxy has looked at?
            return Answer.plain(HTTPStatus.BAD_REQUEST)
        try:
            notice = self._notify(ids[0], Secret(tokens[0]), states[0] == "sync")
        except TransientError:
            # The ledger can't be asked now. Google sends it again.
            return Answer.plain(HTTPStatus.SERVICE_UNAVAILABLE)
        if notice is Notice.REFUSED:
            # The same for all: nobody learns here which channels there are.
            return Answer.plain(HTTPStatus.NOT_FOUND)
        return Answer(HTTPStatus.NO_CONTENT)
