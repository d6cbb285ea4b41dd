"""Keeps a push channel open for every watched calendar, and the receiver that hears them.

Level-triggered: every look compares the channels that the ledger knows with those that are
wanted, and moves a step. What fails is tried again later and later, is said once when it
begins and once when it ends, and never keeps a calendar from being polled.

A stop in order keeps the channels: the next start goes on with them, and what was sent
meanwhile is found by the reads that it begins with. Without a next start they end by
themselves. One whose answer was lost has no name to stop it by, until another channel on the
same calendar tells it.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import anyio
import structlog

from locum.core.channels import (
    Channel,
    ChannelAction,
    ChannelState,
    ForgetChannel,
    OpenChannel,
    StopChannel,
    serving,
    tend,
)
from locum.core.model import CalendarRef
from locum.core.secret import Secret
from locum.errors import LocumError, PermanentError, TransientError
from locum.ledger import Ledger
from locum.metrics import Metrics
from locum.ports import ChannelExistsError, ChannelSource, Clock
from locum.push.known import KnownChannels
from locum.push.receiver import Notice, serve_messages

_log = structlog.get_logger(__name__)

_LOOK = timedelta(seconds=15)
_FIRST_BACKOFF = timedelta(seconds=30)
_SLOWEST_BACKOFF = timedelta(hours=1)
_UNHEARD = timedelta(minutes=5)
"""Google sends a channel's first message within seconds; after so long something is wrong."""

_TELL_REFUSED = timedelta(minutes=10)
_MOST_STEPS = 4
"""Asked for, found to be open, asked for anew, the old one stopped: then the next look."""


@dataclass(frozen=True)
class PushSettings:
    """Where messages are sent (`public_url`), and where they come out behind the proxy."""

    public_url: str
    host: str
    port: int
    lifetime: timedelta

    @property
    def path(self) -> str:
        return urlsplit(self.public_url).path or "/"


@dataclass(frozen=True)
class PushReport:
    """How push does for one calendar; `heard_at` is None while nothing proves that it works."""

    calendar: CalendarRef
    expires_at: datetime | None
    heard_at: datetime | None
    problem: str | None


@dataclass(frozen=True)
class _Trouble:
    problem: str
    retry_at: datetime
    failures: int


class Push:
    """Opens, renews and stops channels; says which calendars ring by themselves.

    Args:
        ring: Called with each calendar that is to be read soon: for a message that a channel
            of ours brought, or because it doesn't ring by itself any more.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        metrics: Metrics,
        ring: Callable[[CalendarRef], None],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._metrics = metrics
        self._ring = ring
        self._known = KnownChannels(ledger.channels)
        self._sources: dict[str, ChannelSource] = {}
        self._wanted: frozenset[CalendarRef] = frozenset()
        self._settings: PushSettings | None = None
        self._receiving: PushSettings | None = None
        self._receiver = AsyncExitStack()
        self._receiver_problem: str | None = None
        self._covered: frozenset[CalendarRef] = frozenset()
        self._open_troubles: dict[CalendarRef, _Trouble] = {}
        self._stop_troubles: dict[str, _Trouble] = {}
        self._told_unheard: set[str] = set()
        self._refused = 0
        self._tell_refused_at: datetime | None = None
        self._asked = asyncio.Event()

    def change(
        self,
        settings: PushSettings | None,
        sources: Sequence[ChannelSource],
        calendars: Collection[CalendarRef],
    ) -> None:
        """Want a channel for each of `calendars`; without settings, for none.

        Sources stay known when they go: their channels are to be stopped through them.
        """
        self._settings = settings
        self._sources.update({source.account: source for source in sources})
        self._wanted = frozenset(calendars)
        # Whoever edits the config wants to see at once whether it works now.
        self._open_troubles.clear()
        self._receiver_problem = None
        self._asked.set()

    def covers(self, calendar: CalendarRef) -> bool:
        """Whether messages of this calendar are proved to arrive."""
        return any(channel.heard_at is not None for channel in self._serving(calendar))

    def reports(self) -> tuple[PushReport, ...]:
        """Answer how it does for each calendar; nothing where push is off."""
        if self._settings is None:
            return ()
        return tuple(self._report(calendar) for calendar in sorted(self._wanted))

    def _report(self, calendar: CalendarRef) -> PushReport:
        channels = self._serving(calendar)
        trouble = self._open_troubles.get(calendar)
        return PushReport(
            calendar=calendar,
            expires_at=max((each.expires_at for each in channels), default=None),
            heard_at=max((each.heard_at for each in channels if each.heard_at), default=None),
            problem=self._receiver_problem or (trouble.problem if trouble else None),
        )

    def _serving(self, calendar: CalendarRef) -> tuple[Channel, ...]:
        if self._settings is None or self._receiving is None or calendar not in self._wanted:
            return ()
        channels = self._known.of(calendar)
        return serving(channels, self._settings.public_url, self._clock.now())

    # ── its life ─────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Look after the channels until cancelled."""
        is_new = True
        try:
            while True:
                self._asked.clear()
                try:
                    if is_new and self._ledger.database.recovered_at is not None:
                        self._known.doubt_all()
                    is_new = False
                    await self.look()
                except Exception:  # noqa: BLE001 - The task's outermost frame: polling goes on without it.
                    _log.exception("push_look_failed")
                # Without push, and without a channel left of it, nothing is to be done.
                idle = self._settings is None and not self._known.all()
                pause = None if idle else self._clock.host_duration(_LOOK).total_seconds()
                with anyio.move_on_after(pause):
                    await self._asked.wait()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Stop receiving. The channels stay open."""
        self._receiving = None
        await self._receiver.aclose()

    async def look(self) -> None:
        """Compare once what is with what is wanted, and do what is to be done now."""
        await self._receive()
        for _ in range(_MOST_STEPS):
            actions = self._due()
            if not actions:
                break
            # Accounts don't wait for each other.
            by_account: dict[str, list[ChannelAction]] = {}
            for action in actions:
                by_account.setdefault(_calendar_of(action).account, []).append(action)
            async with anyio.create_task_group() as tasks:
                for theirs in by_account.values():
                    tasks.start_soon(self._act, theirs)
        self._tell_unheard()
        covered = frozenset(each for each in self._wanted if self.covers(each))
        silent, self._covered = (self._covered - covered) & self._wanted, covered
        for calendar in sorted(silent):
            if self._settings is not None:
                _log.warning("push_silent", calendar=str(calendar))
            # Its next poll may be far, and what was sent in vain is to be seen.
            self._ring(calendar)

    def _due(self) -> list[ChannelAction]:
        """Answer what is to be done, but for what failed and waits, or can't be done."""
        now = self._clock.now()
        # Whoever can't hear needs no messages; what is open meanwhile is left alone.
        hears = self._receiving is not None or self._settings is None
        address = None if self._settings is None else self._settings.public_url
        actions = tend(self._known.all(), self._wanted, address, now)
        return [
            action
            for action in actions
            if isinstance(action, ForgetChannel) or (hears and not self._waits(action, now))
        ]

    def _waits(self, action: OpenChannel | StopChannel, now: datetime) -> bool:
        if _calendar_of(action).account not in self._sources:
            return True  # The account has left the config: its channels end by themselves.
        if isinstance(action, OpenChannel):
            trouble = self._open_troubles.get(action.calendar)
        else:
            trouble = self._stop_troubles.get(action.channel.id)
        return trouble is not None and now < trouble.retry_at

    async def _act(self, actions: Sequence[ChannelAction]) -> None:
        try:
            for action in actions:
                if isinstance(action, ForgetChannel):
                    self._forget(action.channel)
                elif isinstance(action, StopChannel):
                    await self._stop(action.channel)
                else:
                    await self._open(action)
        except TransientError as error:
            # A full disk: the next look finds what is still to be done.
            _log.error("ledger_write_failed", problem=str(error))

    # ── channels ─────────────────────────────────────────────────────────────────────────

    async def _open(self, action: OpenChannel) -> None:
        settings, calendar = self._settings, action.calendar
        if settings is None:
            return  # A reload was faster.
        now = self._clock.now()
        token = Secret(secrets.token_urlsafe(32))
        names = (each.resource_id for each in self._known.of(calendar))
        channel = Channel(
            id=action.again.id if action.again is not None else str(uuid.uuid4()),
            calendar=calendar,
            address=settings.public_url,
            state=ChannelState.ASKED,
            asked_at=now,
            expires_at=now + settings.lifetime,
            resource_id=next((name for name in names if name is not None), None),
        )
        # Known before it is asked for: its first message may overtake the answer.
        self._known.asked(channel, token)
        try:
            opened = await self._sources[calendar.account].open_channel(channel, token)
        except ChannelExistsError:
            # An answer was lost, by a broken connection or by our own end.
            self._known.lost(channel)
            _log.warning("push_channel_lost", calendar=str(calendar), channel=channel.id)
            return
        except LocumError as error:
            if not isinstance(error, TransientError):
                self._known.forget(channel)  # Surely not open.
            before = self._open_troubles.get(calendar)
            self._open_troubles[calendar] = self._next_try(before, error)
            log = _log.error if before is None else _log.debug
            log("push_unavailable", calendar=str(calendar), problem=str(error))
            return
        self._known.opened(channel, opened.resource_id, opened.expires_at)
        if self._open_troubles.pop(calendar, None) is not None:
            _log.info("push_available", calendar=str(calendar))
        _log.info(
            "push_channel_opened",
            calendar=str(calendar),
            channel=channel.id,
            expires_at=opened.expires_at.isoformat(),
        )

    async def _stop(self, channel: Channel) -> None:
        try:
            await self._sources[channel.calendar.account].stop_channel(channel)
        except PermanentError as error:
            _log.debug("push_channel_gone", channel=channel.id, problem=str(error))
        except LocumError as error:
            before = self._stop_troubles.get(channel.id)
            self._stop_troubles[channel.id] = self._next_try(before, error)
            log = _log.warning if before is None else _log.debug
            log("push_channel_not_stopped", channel=channel.id, problem=str(error))
            return
        self._forget(channel)
        _log.info("push_channel_stopped", calendar=str(channel.calendar), channel=channel.id)

    def _next_try(self, before: _Trouble | None, error: LocumError) -> _Trouble:
        failures = 1 if before is None else before.failures + 1
        wait = _SLOWEST_BACKOFF
        if isinstance(error, TransientError):
            backoff = min(_FIRST_BACKOFF * 2 ** min(failures - 1, 10), _SLOWEST_BACKOFF)
            wait = max(error.retry_after, backoff)
        return _Trouble(str(error), self._clock.now() + wait, failures)

    def _forget(self, channel: Channel) -> None:
        self._known.forget(channel)
        self._stop_troubles.pop(channel.id, None)
        self._told_unheard.discard(channel.id)

    def _tell_unheard(self) -> None:
        """Say it once where a channel was opened, and nothing ever came through it."""
        now = self._clock.now()
        for channel in self._known.all():
            is_late = channel.heard_at is None and now - channel.asked_at >= _UNHEARD
            if (
                is_late
                and channel.id not in self._told_unheard
                and channel in self._serving(channel.calendar)
            ):
                self._told_unheard.add(channel.id)
                _log.warning(
                    "push_unheard",
                    calendar=str(channel.calendar),
                    problem="no message has arrived: does the proxy pass on what is sent to "
                    "calendar.push.public_url, with its path as it is? "
                    "Until then, polls go on as without push.",
                )

    # ── messages ─────────────────────────────────────────────────────────────────────────

    async def _receive(self) -> None:
        """Have the receiver where the settings want it."""
        settings = self._settings
        if settings == self._receiving:
            return
        await self.aclose()
        if settings is None:
            return
        served = serve_messages(
            self._notice, path=settings.path, host=settings.host, port=settings.port
        )
        try:
            port = await self._receiver.enter_async_context(served)
        except OSError as error:
            problem = (
                f"push messages can't be received on {settings.host}:{settings.port} "
                f"({error.strerror}). Give [calendar.push] another listen_port, or stop what "
                "uses this one."
            )
            if problem != self._receiver_problem:
                _log.error("push_unavailable", problem=problem)
            self._receiver_problem = problem
            return
        self._receiving, self._receiver_problem = settings, None
        _log.info("push_served", host=settings.host, port=port)

    def _notice(self, channel_id: str, token: Secret, is_first: bool) -> Notice:  # noqa: FBT001 - As `Notify` is called.
        notice = self._judge(channel_id, token, is_first=is_first)
        self._metrics.push_message_received(outcome=notice.value)
        return notice

    def _judge(self, channel_id: str, token: Secret, *, is_first: bool) -> Notice:
        now = self._clock.now()
        channel = self._known.get(channel_id)
        is_ours = self._ledger.channels.matches(channel_id, token.reveal())
        if channel is None or not is_ours or channel.expires_at <= now:
            self._count_refused(now)
            return Notice.REFUSED
        if channel.heard_at is None:
            self._prove(channel, now)
        if is_first:
            return Notice.SYNC
        if channel.calendar in self._wanted:
            self._ring(channel.calendar)
        return Notice.CHANGED

    def _prove(self, channel: Channel, now: datetime) -> None:
        try:
            self._known.heard(channel, at=now)
        except TransientError as error:
            # The message counts all the same; the next one proves it again.
            _log.error("ledger_write_failed", problem=str(error))
            return
        if self.covers(channel.calendar):
            self._covered |= {channel.calendar}
        _log.info("push_heard", calendar=str(channel.calendar), channel=channel.id)
        self._asked.set()  # What it takes over from can be stopped now.

    def _count_refused(self, now: datetime) -> None:
        """Say now and then that there were some: anybody may send them."""
        self._refused += 1
        if self._tell_refused_at is None or now >= self._tell_refused_at:
            _log.warning("push_messages_refused", count=self._refused)
            self._refused = 0
            self._tell_refused_at = now + _TELL_REFUSED


def _calendar_of(action: ChannelAction) -> CalendarRef:
    return action.calendar if isinstance(action, OpenChannel) else action.channel.calendar
