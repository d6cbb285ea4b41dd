"""What is written down while a schedule is played, for the judge: excuses, and locum's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from locum.core.model import Phase, SessionRecord
from locum.ledger import Filing, Ledger

FINAL = frozenset({Phase.FILED, Phase.MISSED, Phase.REFUSED, Phase.FAILED})

Span = tuple[datetime, datetime]


@dataclass
class Excuses:
    """When things went wrong by no fault of the daemon's, in the world's time."""

    engine: list[Span] = field(default_factory=list)
    people: list[Span] = field(default_factory=list)
    lost_joins: list[datetime] = field(default_factory=list)
    deaths: list[datetime] = field(default_factory=list)
    down: list[Span] = field(default_factory=list)
    clock: list[Span] = field(default_factory=list)
    google: list[Span] = field(default_factory=list)
    stops: list[datetime] = field(default_factory=list)


@dataclass(frozen=True)
class Told:
    """What the ledger says in the end."""

    records: tuple[SessionRecord, ...] = ()
    handles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    filings: tuple[Filing, ...] = ()

    @classmethod
    def by(cls, ledger: Ledger) -> Told:
        records = ledger.sessions.newest(10_000)
        handles = {
            str(record.key): frozenset(
                str(each.handle) for each in ledger.sessions.attempts(record.key) if each.handle
            )
            for record in records
        }
        return cls(records, handles, ledger.outbox.newest(10_000))

    @property
    def named(self) -> frozenset[str]:
        return frozenset().union(*self.handles.values())
