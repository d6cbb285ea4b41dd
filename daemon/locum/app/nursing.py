"""What the daemon's children are told and given: which sessions get one, and with what config."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from locum import __version__, logs
from locum.app.gone import Gone
from locum.attendance import Attendance, Company, StopSignal
from locum.config.load import LoadedConfig
from locum.core.model import SessionKey, SessionRecord
from locum.dispatch import ATTEND, Nursery, Order, Seat
from locum.errors import PermanentError
from locum.metrics import Metrics
from locum.ports import EngineTraits

_SOON = timedelta(seconds=6)
"""Attempts that are so near, in the host's time, have their process begun ahead."""

_UNKNOWN = EngineTraits(
    platforms=frozenset(),
    billed=False,
    converses_by_itself=False,
    reports_transcript=False,
    can_chat=False,
    sees_roster=False,
    survives_restart=False,
    weighs=True,
)
"""An engine that the config has dropped while a child of ours was in a meeting with it."""


class Nurse:
    """`taken` is the config that the daemon goes by: not what a bad edit has made of its file."""

    def __init__(
        self, state: Path, company: Callable[[], Company], taken: LoadedConfig
    ) -> None:
        self._state = state
        self._company = company
        self.taken = taken

    def nursery(
        self, metrics: Metrics, on_change: Callable[[], None], command: Sequence[str] = ATTEND
    ) -> Nursery:
        return Nursery(
            order=self.order,
            engine_of=self._engine_of,
            seat_of=self._seat_of,
            comes_back_soon=self._comes_back_soon,
            settle=self._settling,
            figures=metrics,
            on_change=on_change,
            on_damage=self._note_damage,
            command=command,
        )

    def order(self) -> Order:
        as_json, level = logs.asked_for()
        return Order(
            version=__version__,
            daemon=os.getpid(),
            state=str(self._state.absolute()),
            config=str(self.taken.path),
            source=self.taken.source.decode("utf-8"),
            log_json=as_json,
            log_level=level,
        )

    def weighs(self, key: SessionKey) -> bool:
        """Whether a session gets a process of its own.

        Raises:
            TransientError: The ledger can't be read now.
        """
        company = self._company()
        record = company.ledger.sessions.get(key)
        if record is None:
            return False
        engine = company.engines.get(record.engine)
        if engine is None:
            # Dropped from the config; where a child was in that room, it was a child's.
            return record.handle is not None and self._seat(record).path.exists()
        return engine.traits.weighs

    def _note_damage(self, problem: str) -> None:
        self._company().ledger.database.note_damage(problem)

    def _engine_of(self, key: SessionKey) -> str | None:
        record = self._company().ledger.sessions.get(key)
        return None if record is None else record.engine

    def _seat_of(self, key: SessionKey) -> Seat:
        record = self._company().ledger.sessions.get(key)
        if record is None:
            raise PermanentError(f"There is no session {key} in the ledger.")
        return self._seat(record)

    def _comes_back_soon(self, key: SessionKey) -> bool:
        company = self._company()
        record = company.ledger.sessions.get(key)
        if record is None or not record.is_open or record.retry_at is None:
            return False
        return company.clock.host_duration(record.retry_at - company.clock.now()) < _SOON

    def _seat(self, record: SessionRecord) -> Seat:
        return Seat.of(self._state, record.room.id)

    def _settling(self, key: SessionKey, stop: StopSignal, why: str) -> Attendance:
        company = self._company()
        name = self._engine_of(key) or ""
        engine = company.engines.get(name)
        gone = Gone(_UNKNOWN if engine is None else engine.traits)
        return Attendance(key, replace(company, engines={name: gone}, lost_because=why), stop)
