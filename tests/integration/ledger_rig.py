"""What the ledger tests share: readings, claims, and how to look at what was written."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from locum.core.model import (
    CalendarEvent,
    CalendarReading,
    Phase,
    SessionKey,
    Stay,
    TimeWindow,
)
from locum.errors import LocumError
from locum.ledger import (
    Ledger,
)
from tests.unit.builders import TEN, WORK, at, event, only

GRACE = timedelta(minutes=10)
PRICES = {"stage": 0.275}
WINDOW = TimeWindow(at(-720), at(2880))


def reading(*events: CalendarEvent, **changes: Any) -> CalendarReading:
    base = CalendarReading(calendar=WORK, fetched_at=at(-60), window=WINDOW, events=events)
    return replace(base, **changes)


def stay(uid: str = "weekly", **changes: Any) -> Stay:
    return only([event(uid, **changes)], at(-60))


def claim(ledger: Ledger, *stays: Stay, now: datetime = TEN) -> list[LocumError | None]:
    outcome = ledger.sessions.claim(stays, now=now, grace=GRACE, prices=PRICES)
    return [outcome[each.key] for each in stays]


def claimed(ledger: Ledger, uid: str = "weekly", **changes: Any) -> SessionKey:
    """Put an event in and claim its stay."""
    made = event(uid, **changes)
    ledger.calendars.apply(reading(*ledger_events(ledger), made))
    [outcome] = claim(ledger, stay(uid, **changes))
    assert outcome is None
    return stay(uid, **changes).key


def ledger_events(ledger: Ledger) -> list[CalendarEvent]:
    return [each for each in ledger.calendars.events() if each.calendar == WORK]


def phase_of(ledger: Ledger, key: SessionKey) -> Phase:
    record = ledger.sessions.get(key)
    assert record is not None
    return record.phase
