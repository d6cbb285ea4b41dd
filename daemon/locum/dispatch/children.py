"""Attendances in processes of their own: for an engine that brings a browser.

What such a child does it writes into the ledger, so whatever becomes of it, the daemon goes on
from there. One that died has taken its browser with it, or else that is ended here; its session
is then settled in the ledger by the very code that would have taken it up, only that nothing is
there to be taken up; and the next attempt gets a new child.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import structlog

from locum import processes
from locum.attendance import Attendance, StopSignal
from locum.core.model import EndReason, SessionKey
from locum.dispatch.orders import (
    HEARTBEAT,
    LONGEST_WORD,
    OUTCOMES,
    Order,
    parse,
    stop_line,
)
from locum.dispatch.seats import POLITE, Seat, end
from locum.errors import LocumError, TransientError
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_SILENCE = 15 * HEARTBEAT
"""A child that says nothing for so long hangs, and is ended. While it starts, it has twice that."""

_CRASH_PAUSE_S = 5.0
_TO_EXIT_S = 5.0
_SPARE_S = 15.0
"""How long a child that was begun ahead waits for its attempt; longer ones aren't worth it."""

_LONGEST_LINE = 64 * 1024
_MOST_PROCESSES = 1000

ATTEND = (sys.executable, "-m", "locum", "attend")
"""What begins a child, before its session's key."""

_NOT_FOR_CHILDREN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "PIKA_DEV_KEY")
"""What is between systemd and us, and the key of an engine that needs no child."""


class Count(Protocol):
    """The daemon's figures, as far as children add to them; see `locum.metrics.Metrics`."""

    def join_finished(
        self, *, engine: str, outcome: str, late_by: timedelta | None = None
    ) -> None: ...

    def money_spent(self, *, engine: str, usd: float) -> None: ...


@dataclass(frozen=True)
class Nursery:
    """What children need, and whom they tell.

    Args:
        order: What a child is told at its start.
        engine_of: The engine that a session is for, None if there is no such session.
        seat_of: The seat of a session's room.
        comes_back_soon: Whether a session waits for an attempt that is seconds away.
        settle: Makes the attendance that settles in the ledger what a lost child left; it is
            given why it was lost, empty where that isn't known.
        figures: The daemon's.
        on_change: Called when a child has changed its session in the ledger.
        on_damage: Called with what a child met, where the ledger is damaged.
        command: What begins a child, before the session's key.
    """

    order: Callable[[], Order]
    engine_of: Callable[[SessionKey], str | None]
    seat_of: Callable[[SessionKey], Seat]
    comes_back_soon: Callable[[SessionKey], bool]
    settle: Callable[[SessionKey, StopSignal, str], Attendance]
    figures: Count
    on_change: Callable[[], None]
    on_damage: Callable[[str], None]
    command: Sequence[str] = ATTEND


class Children:
    """A `Dispatcher` for what weighs. Nothing of its sessions outlives it."""

    def __init__(self, nursery: Nursery, *, on_end: Callable[[], None]) -> None:
        self._nursery = nursery
        self._on_end = on_end
        self._stops: dict[SessionKey, StopSignal] = {}
        self._children: dict[SessionKey, _Child] = {}
        self._handed_over: set[SessionKey] = set()
        self._tasks = Tasks(on_end=self._ended)
        self._spares: dict[SessionKey, _Child] = {}
        self._sparing = Tasks()

    def start(self, key: SessionKey, *, claimed_now: bool) -> None:
        if key in self._tasks:
            return
        stop = self._stops[key] = StopSignal()
        self._tasks.start(key, self._attend(key, stop, claimed_now=claimed_now))

    async def _attend(self, key: SessionKey, stop: StopSignal, *, claimed_now: bool) -> None:
        lost = ""
        while key not in self._handed_over:
            try:
                if self._nursery.engine_of(key) is None:
                    return
                spare = self._spares.get(key)
                sparing = () if spare is None else (spare.pid,)
                await self._nursery.seat_of(key).clear(sparing=sparing)
                ended_well = False
                if claimed_now:
                    ended_well, lost = await self._in_child(key, stop)
                    if key in self._handed_over:
                        return
                if not ended_well:
                    await self._nursery.settle(key, stop, lost).run(claimed_now=False)
            except Exception as error:  # noqa: BLE001 - The task's outermost frame: logged here, and taken up again.
                trace = None if isinstance(error, LocumError) else error
                _log.error(
                    "attendance_crashed", session_key=key, problem=str(error), exc_info=trace
                )
            else:
                await self._begin_ahead(key, stop)
                return
            claimed_now = False
            await asyncio.sleep(_CRASH_PAUSE_S)

    async def _begin_ahead(self, key: SessionKey, stop: StopSignal) -> None:
        """Begin the next attempt's child, if that attempt comes in seconds: it starts slowly."""
        try:
            if not stop.asked and self._nursery.comes_back_soon(key):
                spare = self._spares[key] = await _Child.begin(key, self._nursery)
                self._sparing.start(key, self._keep(key, spare))
        except LocumError as error:
            _log.warning("child_not_begun_ahead", session_key=key, problem=str(error))

    async def _in_child(self, key: SessionKey, stop: StopSignal) -> tuple[bool, str]:
        """Attend in a child; answers whether it did what it was to do, or else why not."""
        child = self._spares.pop(key, None)
        await self._sparing.cancel([key])
        if child is None or not child.runs:
            child = await _Child.begin(key, self._nursery)
        self._children[key] = child
        try:
            return await child.attend(self._nursery.order(), stop)
        finally:
            del self._children[key]
            # Whatever became of it, and of us: nothing of it goes on.
            await asyncio.shield(child.end())

    async def _keep(self, key: SessionKey, spare: _Child) -> None:
        """Keep one that was begun ahead, until it is taken or nobody has come for it."""
        try:
            await asyncio.sleep(_SPARE_S)
        finally:
            if self._spares.get(key) is spare:
                del self._spares[key]
                await asyncio.shield(spare.end())

    def stop(self, key: SessionKey, reason: EndReason) -> None:
        signal_ = self._stops.get(key)
        if signal_ is not None:
            signal_.ask(reason)

    def running(self) -> frozenset[SessionKey]:
        return frozenset(self._stops)

    def memory(self) -> Mapping[SessionKey, int]:
        """Answer how many bytes each child took with its browser when it last looked."""
        return {key: child.memory for key, child in self._children.items()}

    async def hand_over(self, keys: Collection[SessionKey]) -> None:
        """Let these leave their rooms, with the ledger as it is: the next daemon goes back."""
        mine = self._stops.keys() & set(keys)
        self._handed_over |= mine
        leaving = [child for key, child in self._children.items() if key in mine]
        for child in leaving:
            child.dismiss()
        if leaving:
            await asyncio.wait(
                [asyncio.ensure_future(child.over.wait()) for child in leaving],
                timeout=POLITE.total_seconds(),
            )
        await self._tasks.cancel(mine)

    async def drain(self, within: timedelta) -> None:
        await self._sparing.cancel()
        if not await self._tasks.wait(within.total_seconds()):
            _log.error("sessions_abandoned", sessions=sorted(self._stops))
            await self.hand_over(self.running())

    def _ended(self, name: Hashable) -> None:
        for key in [key for key in self._stops if key == name]:
            del self._stops[key]
        self._on_end()


class _Child:
    """One running `locum attend`, seen from the daemon."""

    def __init__(
        self,
        key: SessionKey,
        nursery: Nursery,
        process: asyncio.subprocess.Process,
        seat: Seat,
        mark: str,
    ) -> None:
        self._key = key
        self._nursery = nursery
        self._seat = seat
        self._mark = mark
        self._engine = nursery.engine_of(key) or ""
        self._process = process
        self._last_words = ""
        self._tree: dict[int, int] = {}
        self.memory = 0
        self.over = asyncio.Event()

    @classmethod
    async def begin(cls, key: SessionKey, nursery: Nursery) -> _Child:
        """Start the process; it gets ready, and waits to be told to `attend`.

        Raises:
            TransientError: The machine has no process to give now.
        """
        seat = nursery.seat_of(key)
        mark = seat.new_mark()
        environ = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_CHILDREN}
        environ[processes.MARK] = mark
        environ["PYTHONSAFEPATH"] = "1"  # No module comes from where we happen to stand.
        try:
            process = await asyncio.create_subprocess_exec(
                *nursery.command,
                key,
                "--config",
                nursery.order().config,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=None,  # Its log is ours.
                env=environ,
                limit=_LONGEST_LINE,
                start_new_session=True,  # A Ctrl-C is for the daemon, which then tells its children.
            )
        except OSError as error:
            raise TransientError(f"No process can be started: {error.strerror}.") from error
        _log.info("child_started", session_key=key, process=process.pid)
        return cls(key, nursery, process, seat, mark)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.returncode is None

    async def attend(self, order: Order, stop: StopSignal) -> tuple[bool, str]:
        """Give the order, and listen until it ends; answers whether well, or else why not."""
        self._write(order.line())
        telling = asyncio.ensure_future(self._tell_to_stop(stop))
        try:
            await self._listen()
            status = await asyncio.wait_for(self._process.wait(), _TO_EXIT_S)
        except asyncio.TimeoutError:
            status = None
            self._last_words = "the meeting's process hung"
        finally:
            telling.cancel()
        self.over.set()
        if status == 0:
            return True, ""
        lost = self._last_words or _in_words(status)
        _log.error("child_lost", session_key=self._key, process=self._process.pid, why=lost)
        return False, lost

    def dismiss(self) -> None:
        """Close its orders: it leaves its room within seconds, and ends."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def end(self) -> None:
        """End it and all that is left of it; nothing happens to what has ended in order."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        self.dismiss()
        try:
            await end(self._mark, self._tree)
        except TransientError as error:
            _log.error("processes_left", session_key=self._key, problem=str(error))
        self._seat.forget()
        self.over.set()

    def _write(self, line: bytes) -> None:
        # One that has died is noticed by its end, not here.
        with contextlib.suppress(OSError, RuntimeError):
            if self._process.stdin is not None and not self._process.stdin.is_closing():
                self._process.stdin.write(line)

    async def _tell_to_stop(self, stop: StopSignal) -> None:
        await stop.wait()
        self._write(stop_line(stop.reason))

    async def _listen(self) -> None:
        """Take in what it tells until it tells no more.

        Raises:
            asyncio.TimeoutError: It hangs.
        """
        assert self._process.stdout is not None  # noqa: S101 - It was asked for.
        patience = 2 * _SILENCE
        while True:
            try:
                line = await asyncio.wait_for(
                    self._process.stdout.readline(), patience.total_seconds()
                )
            except ValueError:
                continue  # Longer than any of ours; what follows may be readable.
            if not line:
                return
            patience = _SILENCE
            self._take_in(parse(line))

    def _take_in(self, told: Mapping[str, Any]) -> None:
        if "changed" in told:
            self._nursery.on_change()
        if isinstance(told.get("lost"), str):
            self._last_words = told["lost"][:LONGEST_WORD]
        if isinstance(told.get("damaged"), str):
            self._nursery.on_damage(told["damaged"][:LONGEST_WORD])
        if isinstance(told.get("memory"), int):
            self.memory = told["memory"]
        if isinstance(told.get("tree"), list):
            self._tree = dict(_pairs(told["tree"]))
        outcome, spent = told.get("joined"), told.get("spent")
        if isinstance(outcome, str) and outcome in OUTCOMES:
            late = told.get("late_s")
            late_by = timedelta(seconds=late) if isinstance(late, (int, float)) else None
            self._nursery.figures.join_finished(
                engine=self._engine, outcome=outcome, late_by=late_by
            )
        if isinstance(spent, (int, float)) and 0 <= spent < 1e6:
            self._nursery.figures.money_spent(engine=self._engine, usd=spent)


def _pairs(listed: list[Any]) -> list[tuple[int, int]]:
    return [
        (each[0], each[1])
        for each in listed[:_MOST_PROCESSES]
        if isinstance(each, list) and [type(part) for part in each] == [int, int]
    ]


def _in_words(status: int | None) -> str:
    if status is not None and status < 0:
        return f"the meeting's process was ended by {signal.Signals(-status).name}"
    return f"the meeting's process ended with status {status}"
