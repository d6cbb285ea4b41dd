"""Push: the channels that clients open on a calendar, and the messages that go out on them.

A message says only "this calendar changed". Every committed edit sends one for each calendar
that it touched, over real HTTP, from a thread of its own. What can happen to a message on
its way is told by the stage's faults: to them it is a POST to `/_push/CALENDAR?state=STATE`,
where `drop` loses it, `delay_s` lets it come late, a `status` is a proxy's in place of the
receiver's, and `after` loses the receiver's answer, so that the message is sent once more.

After the public guide ("Get push notifications") and the reference of `events.watch`. What
Google does beyond them is marked "unverified".
"""

from __future__ import annotations

import hashlib
import ipaddress
import queue
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError

from locum.rehearsal.faults import Fault, Faults
from locum.rehearsal.google.errors import ApiError
from locum.rehearsal.google.schema import ChannelDraft, ChannelStop
from locum.rehearsal.google.store import Calendar

DEFAULT_LIFETIME = timedelta(seconds=604_800)
LONGEST_LIFETIME = timedelta(days=30)
"""What a longer wish is cut to (unverified); the guide only says that there are limits."""

_PROJECT = "stage"
_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")
_LONGEST_TOKEN = 256
_TRIED_AGAIN = frozenset({500, 502, 503, 504})
_TRIES = 4
_FIRST_PAUSE_S = 0.2
_ANSWER_S = 10.0
_AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"


class CommitLock:
    """A re-entrant lock that calls `committed` when its outermost holder is about to let go."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self.committed: Callable[[], None] = lambda: None

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._depth == 1:
                self.committed()
        finally:
            self._depth -= 1
            self._lock.release()


@dataclass
class Channel:
    """One open channel. `said` counts its messages; the first is the `sync`."""

    id: str
    owner: str
    calendar_id: str
    address: str
    token: str | None
    resource_id: str
    resource_uri: str
    expires_at: datetime
    said: int = 0

    def as_answer(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "kind": "api#channel",
            "id": self.id,
            "resourceId": self.resource_id,
            "resourceUri": self.resource_uri,
            "expiration": str(round(self.expires_at.timestamp() * 1000)),
        }
        if self.token is not None:
            shown["token"] = self.token
        return shown


@dataclass(frozen=True)
class SentMessage:
    """One try to deliver a message; `status` is None where there was no answer."""

    channel_id: str
    calendar_id: str
    state: str
    number: int
    status: int | None = None


@dataclass(frozen=True)
class _Post:
    message: SentMessage
    address: str
    headers: dict[str, str] = field(repr=False)
    tries: int = 0
    late: Fault | None = None  #: What kept it waiting, and may do more to it.


class Channels:
    """All open channels, and their postman. Use under the stage's lock, but for `sent`."""

    def __init__(self, now: Callable[[], datetime], faults: Faults) -> None:
        self._now = now
        self._faults = faults
        self._open: dict[str, Channel] = {}
        self._touched: dict[str, Calendar] = {}
        self._posts: queue.SimpleQueue[_Post] = queue.SimpleQueue()
        self._postman: threading.Thread | None = None
        self._sent: deque[SentMessage] = deque(maxlen=100_000)
        self.longest = LONGEST_LIFETIME

    def open(self, *, calendar_id: str | None = None) -> list[Channel]:
        """Answer the channels that are open now, the oldest first."""
        now = self._now()
        self._open = {each.id: each for each in self._open.values() if each.expires_at > now}
        return [
            replace(each)
            for each in self._open.values()
            if calendar_id in {None, each.calendar_id}
        ]

    @property
    def sent(self) -> list[SentMessage]:
        """Answer every try to deliver a message. Safe from any thread."""
        return list(self._sent)

    # ── what a client asks for ───────────────────────────────────────────────────────────

    def watch(
        self, calendar: Calendar, email: str, payload: object, *, root: str
    ) -> dict[str, Any]:
        """Open a channel and send its `sync` message; answers the resource.

        Raises:
            ApiError: It can't be had as it is asked for.
        """
        draft = _read_draft(payload)
        now = self._now()
        if draft.id in {each.id for each in self.open()}:
            raise ApiError(400, "channelIdNotUnique", f"Channel id {draft.id} not unique")
        channel = Channel(
            id=draft.id,
            owner=email,
            calendar_id=calendar.id,
            address=draft.address,
            token=draft.token,
            resource_id=_resource_id(calendar.id, email),
            resource_uri=f"{root}calendars/{quote(calendar.id)}/events?alt=json",
            expires_at=min(_wished_end(draft, now), now + self.longest),
        )
        self._open[channel.id] = channel
        self._send(channel, "sync")
        return channel.as_answer()

    def stop(self, email: str, payload: object) -> None:
        """Close a channel.

        Raises:
            ApiError: 404, this user has none of that id on that resource.
        """
        try:
            wanted = ChannelStop.model_validate(payload)
        except ValidationError as error:
            raise ApiError(400, "required", "Required") from error
        channel = {each.id: each for each in self.open()}.get(wanted.id)
        if (
            channel is None
            or channel.owner != email
            or channel.resource_id != wanted.resource_id
        ):
            told = f"Channel '{wanted.id}' not found for project '{_PROJECT}'"
            raise ApiError(404, "notFound", told)
        del self._open[channel.id]

    # ── what goes out ────────────────────────────────────────────────────────────────────

    def touch(self, calendar: Calendar) -> None:
        """Note that something on a calendar changed; told of when the edit is whole."""
        self._touched[calendar.id] = calendar

    def tell(self) -> None:
        """Send a message on every channel of what was touched since the last call."""
        touched, self._touched = self._touched, {}
        if not touched or not self._open:
            return
        for channel in self.open():
            calendar = touched.get(channel.calendar_id)
            if calendar is not None and calendar.allows(channel.owner, "freeBusyReader"):
                self._send(self._open[channel.id], "exists")

    def _send(self, channel: Channel, state: str) -> None:
        # Numbers grow, but needn't follow each other.
        channel.said = 1 if state == "sync" else channel.said + 1 + channel.said % 2
        headers = {
            "User-Agent": _AGENT,
            "Accept": "*/*",
            "Content-Length": "0",
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Expiration": format_datetime(
                channel.expires_at.astimezone(timezone.utc).replace(microsecond=0), usegmt=True
            ),
            "X-Goog-Message-Number": str(channel.said),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-State": state,
            "X-Goog-Resource-URI": channel.resource_uri,
        }
        if channel.token is not None:
            headers["X-Goog-Channel-Token"] = channel.token
        message = SentMessage(channel.id, channel.calendar_id, state, channel.said)
        self._posts.put(_Post(message, channel.address, headers))
        if self._postman is None:
            self._postman = threading.Thread(target=self._deliver, name="push", daemon=True)
            self._postman.start()

    def _deliver(self) -> None:
        with httpx.Client(timeout=_ANSWER_S, trust_env=False) as client:
            while True:
                post = self._posts.get()
                message = post.message
                target = f"/_push/{message.calendar_id}?state={message.state}"
                fault = post.late or self._faults.strike("POST", target) or Fault()
                if fault.delay_s > 0 and post.late is None:
                    # The others don't wait for it.
                    self._put_later(replace(post, late=fault), fault.delay_s)
                    continue
                if fault.drop:
                    self._sent.append(message)
                    continue
                status = fault.status or _posted(client, post)
                if fault.after:
                    status = None
                self._sent.append(replace(message, status=status))
                if (status is None or status in _TRIED_AGAIN) and post.tries + 1 < _TRIES:
                    again = replace(post, tries=post.tries + 1, late=None)
                    self._put_later(again, _FIRST_PAUSE_S * 2**post.tries)

    def _put_later(self, post: _Post, wait_s: float) -> None:
        timer = threading.Timer(wait_s, self._posts.put, [post])
        timer.daemon = True
        timer.start()


def _posted(client: httpx.Client, post: _Post) -> int | None:
    """Deliver a message; answers the status, None if there was no answer.

    A stage speaks to its own machine only: to any other address nothing is sent.
    """
    if not _is_loopback(post.address):
        return 200
    try:
        return client.post(post.address, headers=post.headers).status_code
    except httpx.HTTPError:
        return None


def _read_draft(payload: object) -> ChannelDraft:
    try:
        draft = ChannelDraft.model_validate(payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(each) for each in first["loc"]) or "channel"
        reason = "required" if first["type"] == "missing" else "invalid"
        raise ApiError(400, reason, f"Invalid value for: {where}: {first['msg']}") from error
    if _ID.fullmatch(draft.id) is None:
        raise ApiError(400, "invalid", "Invalid value for: id")
    if draft.token is not None and len(draft.token) > _LONGEST_TOKEN:
        raise ApiError(400, "invalid", "Invalid value for: token")
    if draft.type not in {"web_hook", "webhook"}:
        raise ApiError(400, "push.channelTypeNotSupported", f"Unknown type: {draft.type}")
    scheme = draft.address.lower().partition("://")[0]
    if scheme != "https" and not (scheme == "http" and _is_loopback(draft.address)):
        told = f"WebHook callback must be HTTPS: {draft.address}"
        raise ApiError(401, "push.webhookUrlNotHttps", told)
    return draft


def _wished_end(draft: ChannelDraft, now: datetime) -> datetime:
    ends = []
    try:
        if draft.expiration is not None:
            ends.append(datetime.fromtimestamp(draft.expiration / 1000, tz=timezone.utc))
        if draft.params.ttl is not None:
            ends.append(now + timedelta(seconds=draft.params.ttl))
    except (OverflowError, ValueError, OSError) as error:
        raise ApiError(400, "invalid", "Invalid value for: expiration") from error
    end = min(ends, default=now + DEFAULT_LIFETIME)
    if end <= now:
        raise ApiError(400, "invalid", "Invalid value for: expiration")
    return end


def _resource_id(calendar_id: str, email: str) -> str:
    """Name a watched resource: the same for every channel of one user on one calendar."""
    digest = hashlib.sha256(f"events of {calendar_id} as {email}".encode()).hexdigest()
    return digest[:27]


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
