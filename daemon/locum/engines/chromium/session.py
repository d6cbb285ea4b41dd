"""One presence of ours in one room: what happens there as events, and a body to act with.

Its browser dies with this process, so its end is proved by the browser's: leaving by the page's
own button comes first, so that the others see us go at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from locum.core.model import SessionHandle
from locum.core.speech import Spoken
from locum.core.transcript import Utterance
from locum.engines.chromium.evidence import Evidence, FailureFolders
from locum.engines.chromium.hand import raise_hand
from locum.engines.chromium.leaving import leave_room
from locum.engines.chromium.looks import Look
from locum.engines.chromium.media import PageMedia
from locum.engines.chromium.meetpage import MeetPage
from locum.engines.chromium.presence import Presence
from locum.engines.chromium.verdicts import Again, EndedError, Verdict
from locum.engines.chromium.writing import write
from locum.errors import TransientError
from locum.ports import (
    OBSERVED,
    Admitted,
    Clock,
    Ended,
    EngineNote,
    HeardSound,
    Remains,
    Said,
    SessionEvent,
)

_log = structlog.get_logger(__name__)

_CLOSING = timedelta(seconds=40)
_MOST_EVENTS = 10_000
_MOST_NOTES = 200
_MOST_ODD = 3

_EXPECTED = frozenset({Verdict.ENDED, Verdict.REMOVED})
"""Ways to end that need no looking into."""


@dataclass
class Record:
    """What one session leaves: notes for the record, and evidence of what failed."""

    room: str
    clock: Clock
    failures: FailureFolders
    hint: str  #: What a person does where only a person can help.
    notes: list[str] = field(default_factory=list)
    _odd: int = 0

    def note(self, text: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(text)

    async def keep(self, page: MeetPage | None, look: Look | None, error: EndedError) -> str:
        """Keep the evidence of a failure; answers what to say of it, with where that is."""
        if error.verdict in _EXPECTED:
            return str(error)
        picture = None if page is None else await page.screenshot()
        kept = await asyncio.to_thread(
            self.failures.keep,
            self.room,
            Evidence(
                error.verdict.name.lower(),
                error.detail,
                look,
                picture,
                () if page is None else tuple(page.errors),
            ),
            self.clock.now(),
        )
        parts = [str(error)]
        if error.verdict.again is Again.AFTER_A_PERSON:
            parts.append(self.hint)
        if kept is not None:
            parts.append(f"see {kept}")
        return "; ".join(parts)

    async def keep_odd(self, page: MeetPage, look: Look, text: str) -> None:
        """Keep what an unexpected dialog looks like, a few times at most."""
        self._odd += 1
        if self._odd <= _MOST_ODD:
            picture = await page.screenshot()
            evidence = Evidence("unexpected_dialog", text, look, picture, tuple(page.errors))
            await asyncio.to_thread(self.failures.keep, self.room, evidence, self.clock.now())


class ChromiumSession:
    """A session that has a name: `ports.MeetingSession`, and `ports.Embodied` besides.

    Args:
        handle: What it is called.
        presence: Follows the page; its events come here.
        media: The page's camera, microphone and ears.
        body: Closing it ends the browser, with all that it has started.
        record: What is kept.
        on_over: Called once, when it is proved over.
    """

    def __init__(
        self,
        handle: SessionHandle,
        presence: Presence,
        media: PageMedia,
        body: AsyncExitStack,
        record: Record,
        *,
        on_over: Callable[[SessionHandle], None],
    ) -> None:
        self._handle = handle
        self._presence = presence
        self._media = media
        self._body = body
        self._record = record
        self._on_over = on_over
        self._events: asyncio.Queue[SessionEvent] = asyncio.Queue(_MOST_EVENTS)
        self._odd: set[asyncio.Task[None]] = set()
        self._leaving = asyncio.Lock()
        self._remains: Remains | None = None
        self._doubt = ""
        presence.emit = self._emit
        presence.on_odd = self._on_odd
        self._following = asyncio.get_running_loop().create_task(self._follow())

    @property
    def handle(self) -> SessionHandle:
        return self._handle

    def events(self) -> AsyncIterator[SessionEvent]:
        """Tell what happens, until `Ended`. For one reader; being cancelled loses nothing."""
        return _Events(self._events)

    # ── following ────────────────────────────────────────────────────────────────────────

    def _emit(self, event: SessionEvent) -> None:
        if isinstance(event, Admitted):
            _log.info("presence_proved", handle=self._handle)
        if self._events.full():
            self._events.get_nowait()  # Nobody reads; the newest say more.
        self._events.put_nowait(event)

    def _on_odd(self, look: Look, text: str) -> None:
        task = asyncio.get_running_loop().create_task(
            self._record.keep_odd(self._presence.page, look, text)
        )
        self._odd.add(task)
        task.add_done_callback(self._odd.discard)

    async def _follow(self) -> None:
        presence = self._presence
        try:
            await presence.run()
        except EndedError as error:
            ended = error
        except Exception as error:  # noqa: BLE001 - The task's outermost frame.
            _log.error("presence_crashed", handle=self._handle, exc_info=error)
            ended = EndedError(Verdict.NOTHING_KNOWN, type(error).__name__)
        else:  # pragma: no cover - It ends by raising.
            return
        presence.close_outage()
        detail = await self._record.keep(presence.page, presence.last, ended)
        _log.info(
            "presence_ended",
            handle=self._handle,
            verdict=ended.verdict.name.lower(),
            detail=detail,
        )
        self._emit(Ended(presence.clock.now(), ended.verdict.reason, detail))

    # ── acting ───────────────────────────────────────────────────────────────────────────

    async def post(self, text: str) -> None:
        """Write into the room's chat; what stands there already isn't written again.

        Raises:
            TransientError: It isn't seen there; call again.
            PermanentError: This room has no chat for us.
        """
        async with self._presence.acting:
            await write(self._presence.page, text, self._presence.read_chat)

    async def say(self, spoken: AsyncIterable[Spoken]) -> timedelta:
        return await self._media.say(spoken)

    async def hush(self) -> None:
        await self._media.hush()

    async def duck(self, *, down: bool) -> None:
        await self._media.duck(down=down)

    async def listen(self, *, attentive: bool) -> None:
        await self._media.listen(attentive=attentive)

    async def raise_hand(self, *, up: bool) -> None:
        async with self._presence.acting:
            await raise_hand(self._presence.page, up=up)

    def sounds(self) -> AsyncIterator[HeardSound]:
        return self._media.sounds()

    # ── out ──────────────────────────────────────────────────────────────────────────────

    async def leave(self) -> Remains:
        """Leave by the page's own button, then end the browser. Idempotent.

        Raises:
            TransientError: The browser may still be running; call again.
        """
        async with self._leaving:
            if self._remains is None:
                await self._end()
                self._remains = Remains(
                    notes=tuple(EngineNote(OBSERVED, text) for text in self._record.notes),
                    doubt=self._doubt,
                    utterances=tuple(self._unread()),
                )
                self._on_over(self._handle)
            return self._remains

    def _unread(self) -> Iterator[Utterance]:
        """Give what was said last, and that nobody fetched: whoever leaves has stopped reading."""
        while not self._events.empty():
            event = self._events.get_nowait()
            if isinstance(event, Said):
                yield event.as_utterance()

    async def _end(self) -> None:
        for task in (self._following, *self._odd):
            task.cancel()
        await asyncio.gather(self._following, *self._odd, return_exceptions=True)
        self._presence.close_outage()
        page = self._presence.page
        if not page.crashed and not page.hangs:
            async with self._presence.acting:
                said_so = await leave_room(page, self._presence.read_chat)
            if not said_so:
                _log.warning("leaving_unseen", handle=self._handle)
        await self._media.aclose()
        await self.close()

    async def close(self) -> None:
        """End the browser at once, without a word to the others.

        Raises:
            TransientError: It doesn't end.
        """
        self._following.cancel()
        await closed(self._body)


async def closed(body: AsyncExitStack) -> None:
    """Close what holds a browser, within a bounded time.

    Raises:
        TransientError: It doesn't end.
    """
    work = asyncio.ensure_future(body.aclose())
    done, _ = await asyncio.wait([work], timeout=_CLOSING.total_seconds())
    if not done:
        raise TransientError("The browser doesn't end.", retry_after=timedelta(seconds=5))


class _Events:
    """An iterator object, since an async generator that is cancelled once is over."""

    def __init__(self, queue: asyncio.Queue[SessionEvent]) -> None:
        self._queue = queue
        self._over = False

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> SessionEvent:
        if self._over:
            raise StopAsyncIteration
        event = await self._queue.get()
        self._over = isinstance(event, Ended)
        return event
