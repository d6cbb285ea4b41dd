"""What was spent, on what and on whose account: the purse's attempts, one by one.

These are the rows that the caps are judged by, so whatever they are added up by, the sums are
those that the purse counts. No bill comes from an engine: what one cost is the minutes that
began between its answer and its proved end, at the price of that day's config.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from locum.core.model import EndReason, OccurrenceKey, SessionKey, TimeWindow
from locum.database import read_instant, write_instant
from locum.ledger.database import Database
from locum.ledger.purse import NEVER_RAN, Sums, excess

_Key = TypeVar("_Key", bound=Hashable)


class Settlement(enum.Enum):
    """How it is known what an attempt cost."""

    OPEN = "open"  #: It may be running: what is set aside counts.
    COUNTED = "counted"  #: By the started minute, from its answer to its proved end.
    NOT_BEGUN = "not_begun"  #: Refused, or never sent: free.
    NEVER_RAN = "never_ran"  #: Its answer was lost, and the balance stood still: free.
    ASSUMED = (
        "assumed"  #: Its answer was lost, and nothing proves that it never ran: all of it.
    )


@dataclass(frozen=True)
class Entry:
    """One attempt that could cost something. Amounts are micro-dollars.

    It counts for the meeting that opened its session, in the day of `claimed_at`.
    `organizer` is None where one asked for it by hand, "" where it isn't seen.
    """

    session: SessionKey
    number: int
    occurrence: OccurrenceKey
    title: str
    organizer: str | None
    persona: str
    engine: str
    claimed_at: datetime
    settlement: Settlement
    sums: Sums


def entries(database: Database, window: TimeWindow, *, now: datetime) -> tuple[Entry, ...]:
    """Answer what was claimed within a window, in that order."""
    rows = database.rows(
        "SELECT attempts.*, persona, "
        # The meeting that opened a session can have dropped out of it since.
        "coalesce((SELECT json_extract(value, '$.title') FROM json_each(meetings) WHERE "
        "json_extract(value, '$.occurrence') = attempts.occurrence), "
        "(SELECT title FROM decisions WHERE decisions.occurrence = attempts.occurrence "
        "ORDER BY id DESC LIMIT 1), json_extract(meetings, '$[0].title'), '') AS title "
        "FROM attempts JOIN sessions ON sessions.key = attempts.session "
        "WHERE attempts.claimed_at >= ? AND attempts.claimed_at < ? "
        "AND (price_per_minute > 0 OR reserved_micros > 0 OR cost_micros > 0) "
        "ORDER BY attempts.claimed_at, session, number",
        (write_instant(window.start), write_instant(window.end)),
    )
    return tuple(_entry(row, now) for row in rows)


def add_up(found: Iterable[Entry], by: Callable[[Entry], _Key]) -> dict[_Key, Sums]:
    """Answer the sums of each group, in the order in which they come first."""
    groups: dict[_Key, Sums] = {}
    for entry in found:
        group = by(entry)
        groups[group] = groups.get(group, Sums()) + entry.sums
    return groups


def total(found: Iterable[Entry]) -> Sums:
    return sum((entry.sums for entry in found), Sums())


def _entry(row: sqlite3.Row, now: datetime) -> Entry:
    settlement = _settlement(row)
    if settlement is Settlement.OPEN:
        more = 0 if row["answered_at"] is None else excess(row, now).amount
        sums = Sums(reserved=row["reserved_micros"] + more)
    else:
        sums = Sums(spent=row["cost_micros"] or 0)
    return Entry(
        session=SessionKey(row["session"]),
        number=row["number"],
        occurrence=OccurrenceKey(row["occurrence"]),
        title=row["title"],
        organizer=row["organizer"],
        persona=row["persona"],
        engine=row["engine"],
        claimed_at=read_instant(row["claimed_at"]),
        settlement=settlement,
        sums=sums,
    )


def _settlement(row: sqlite3.Row) -> Settlement:
    if row["ended_at"] is None:
        return Settlement.OPEN
    if row["answered_at"] is not None:
        return Settlement.COUNTED
    if row["outcome"] == NEVER_RAN:
        return Settlement.NEVER_RAN
    lost = row["outcome"] == EndReason.LOST_JOIN.value
    return Settlement.ASSUMED if lost else Settlement.NOT_BEGUN
