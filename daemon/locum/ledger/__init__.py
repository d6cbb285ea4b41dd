"""What is, on disk: one SQLite file that every decision starts from and every act ends in.

It is the truth: timers, tasks and memory are rebuilt from it, never the other way round.
One process writes it (see `StateLock`); others may read.
"""

from locum.ledger.calendars import Applied, CalendarBook, CalendarState, DecisionEntry
from locum.ledger.database import Database, LedgerError, StateLock
from locum.ledger.outbox import Filing, Outbox
from locum.ledger.purse import NEVER_RAN, BudgetError, Purse
from locum.ledger.sessions import (
    Attempt,
    RoomTakenError,
    Sessions,
    StaleError,
    Transition,
    identity_of,
)

__all__ = [
    "NEVER_RAN",
    "Applied",
    "Attempt",
    "BudgetError",
    "CalendarBook",
    "CalendarState",
    "Database",
    "DecisionEntry",
    "Filing",
    "Ledger",
    "LedgerError",
    "Outbox",
    "Purse",
    "RoomTakenError",
    "Sessions",
    "StaleError",
    "StateLock",
    "Transition",
    "identity_of",
]


class Ledger:
    """The ledger's books over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sessions = Sessions(database)
        self.calendars = CalendarBook(database)
        self.outbox = Outbox(database)

    def close(self) -> None:
        self.database.close()
