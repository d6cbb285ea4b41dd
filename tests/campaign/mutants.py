"""Ten guards, each taken away in memory: a campaign that doesn't notice is worth nothing.

Where two guards stand behind one promise, both go, because one alone would hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from locum.attendance import Attendance
from locum.composing import attended
from locum.controller import loop as controller_module
from locum.core import history
from locum.core.model import Adopt, EndReason, Join, Phase, SessionRecord
from locum.core.reconcile import reconcile
from locum.debrief import Debrief
from locum.engines.pikastream_session import PikaStreamSession
from locum.ledger import Addressee
from locum.ledger.calendars import CalendarBook
from locum.ledger.sessions import Sessions
from locum.ports import Remains
from locum.wakeups import Wakeups
from tests.campaign import life as life_module

Mutant = Callable[[], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def _replaced(owner: Any, **instead: Any) -> Iterator[None]:
    real = {name: getattr(owner, name) for name in instead}
    for name, value in instead.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in real.items():
            setattr(owner, name, value)


@contextlib.contextmanager
def joins_are_written_after_the_post() -> Iterator[None]:
    """A row without a name isn't found by the next process: it was never written."""
    real = life_module.Life.begin

    def begin(self: Any) -> None:
        execute = self.ledger.database.execute
        for table, column in (("transitions", "session"), ("attempts", "session")):
            execute(
                f"DELETE FROM {table} WHERE {column} IN "
                "(SELECT key FROM sessions WHERE phase = 'joining' AND retry_at IS NULL)"
            )
        execute("DELETE FROM sessions WHERE phase = 'joining' AND retry_at IS NULL")
        real(self)

    with _replaced(life_module.Life, begin=begin):
        yield


@contextlib.contextmanager
def a_room_may_be_held_twice() -> Iterator[None]:
    """The index is dropped, and what is leaving its room doesn't hold it any more."""
    real = life_module.Life.begin

    def begin(self: Any) -> None:
        self.ledger.database.execute("DROP INDEX IF EXISTS sessions_room_held")
        real(self)

    def careless(plan: Any, records: Any, running: Any, policy: Any, now: datetime) -> Any:
        leaving = {r.key for r in records if r.phase is Phase.LEAVING}
        kept = [r for r in records if r.key not in leaving]
        joins = [
            each
            for each in reconcile(plan, kept, running, policy, now)
            if isinstance(each, Join)
        ]
        others = reconcile(plan, records, running, policy, now)
        return (*(each for each in others if not isinstance(each, Join)), *joins)

    with (
        _replaced(life_module.Life, begin=begin),
        _replaced(controller_module, reconcile=careless),
    ):
        yield


@contextlib.contextmanager
def edits_go_unnoticed() -> Iterator[None]:
    """A changed event doesn't reach the plan, and the claim doesn't look whether it is stale."""
    real, real_of = CalendarBook.events, CalendarBook.events_of
    first_seen: dict[str, Any] = {}

    def events(self: CalendarBook) -> Any:
        return tuple(first_seen.setdefault(each.event_id, each) for each in real(self))

    def events_of(self: CalendarBook, calendar: Any) -> Any:
        seen = real_of(self, calendar)
        return tuple(first_seen.setdefault(each.event_id, each) for each in seen)

    def check(self: Sessions, stay: Any) -> None:
        """Nothing is stale."""

    def forget(self: Any, around: Any) -> None:
        if not (around.folder / "ledger.sqlite3").exists():
            first_seen.clear()
        made(self, around)

    made = life_module.Life.__init__
    with (
        _replaced(CalendarBook, events=events, events_of=events_of),
        _replaced(Sessions, _check_revisions=check),
        _replaced(life_module.Life, __init__=forget),
    ):
        yield


@contextlib.contextmanager
def lost_joins_are_repeated_blindly() -> Iterator[None]:
    async def settle(self: Any, engine: Any, why: str) -> None:
        await self._outcomes.try_later(EndReason.LOST_JOIN, why)

    with _replaced(Attendance, _settle=settle):
        yield


@contextlib.contextmanager
def leaving_needs_no_proof() -> Iterator[None]:
    async def leave(self: Any) -> Remains:
        await self._try_to_leave()
        self._on_over(self._handle)
        return Remains()

    with _replaced(PikaStreamSession, leave=leave):
        yield


@contextlib.contextmanager
def nothing_is_adopted() -> Iterator[None]:
    def orphaning(*given: Any) -> Any:
        return tuple(each for each in reconcile(*given) if not isinstance(each, Adopt))

    with _replaced(controller_module, reconcile=orphaning):
        yield


@contextlib.contextmanager
def one_absence_is_believed() -> Iterator[None]:
    def miss(self: Any, calendar: Any, event_id: str) -> int:
        return -int(self._drop(calendar, event_id))

    real = CalendarBook.apply

    def apply(self: Any, reading: Any) -> Any:
        applied = real(self, reading)
        dropped = max(0, -applied.unconfirmed)
        return type(applied)(changed=applied.changed + dropped, unconfirmed=0)

    with _replaced(CalendarBook, _miss=miss, apply=apply):
        yield


@contextlib.contextmanager
def one_returns_wherever_one_was_sent_away() -> Iterator[None]:
    def verdict(self: Any, meeting: Any) -> None:
        """Nothing of the past counts."""

    with _replaced(history.History, verdict=verdict):
        yield


@contextlib.contextmanager
def late_timers_are_dropped() -> Iterator[None]:
    """APScheduler's own default, and no ticker beneath it."""
    real = Wakeups.start

    def start(self: Any) -> None:
        self._scheduler._job_defaults["misfire_grace_time"] = 1
        real(self)
        self._ticker.cancel()

    with _replaced(Wakeups, start=start):
        yield


@contextlib.contextmanager
def summaries_are_kept_only_once_filed() -> Iterator[None]:
    """Nothing stands in the outbox while a sink is tried."""

    async def write_up(self: Any, key: Any) -> None:
        record: SessionRecord | None = self._ledger.sessions.get(key)
        if record is None or record.phase is not Phase.ENDED:
            return
        now = self._clock.now()
        for meeting in attended(record, now):
            material = await self._material(record, meeting)
            summary = await self._write(material, None)
            for sink in self.sinks:
                with contextlib.suppress(Exception):
                    where = await sink.file(summary)
                    self._ledger.outbox.put(summary, [Addressee(sink.name)], at=now)
                    for filing in self._ledger.outbox.of(key):
                        if (filing.sink, filing.meeting) == (sink.name, summary.key):
                            self._ledger.outbox.filed(filing, at=now, location=where)
        self._ledger.sessions.transition(key, Phase.FILED, at=now, retry_at=None)

    with _replaced(Debrief, write_up=write_up):
        yield


MUTANTS: Mapping[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        joins_are_written_after_the_post,
        a_room_may_be_held_twice,
        edits_go_unnoticed,
        lost_joins_are_repeated_blindly,
        leaving_needs_no_proof,
        nothing_is_adopted,
        one_absence_is_believed,
        one_returns_wherever_one_was_sent_away,
        late_timers_are_dropped,
        summaries_are_kept_only_once_filed,
    )
}
