"""What is, on disk: one SQLite file that every decision starts from and every act ends in.

It is the truth: timers, tasks and memory are rebuilt from it, never the other way round.
One daemon writes it (see `StateLock`), and the children that it starts for single sessions, each
its own session's part; others may read.
"""

from locum.ledger.calendars import Applied, CalendarBook, CalendarState, DecisionEntry
from locum.ledger.channels import ChannelBook
from locum.ledger.database import (
    Database,
    LedgerDamagedError,
    LedgerError,
    StateLock,
    daemon_of,
)
from locum.ledger.fetches import Fetch, FetchBook, FetchOutcome
from locum.ledger.notices import Delivery, NoticeBook, Outcome
from locum.ledger.outbox import Addressee, Edition, Filing, Outbox
from locum.ledger.purse import NEVER_RAN, BudgetError, Purse
from locum.ledger.requests import RequestBook
from locum.ledger.sessions import (
    Attempt,
    RoomTakenError,
    Sessions,
    StaleError,
    Transition,
    identity_of,
)
from locum.ledger.transcripts import TranscriptBook

__all__ = [
    "NEVER_RAN",
    "Addressee",
    "Applied",
    "Attempt",
    "BudgetError",
    "CalendarBook",
    "CalendarState",
    "ChannelBook",
    "Database",
    "DecisionEntry",
    "Delivery",
    "Edition",
    "Fetch",
    "FetchBook",
    "FetchOutcome",
    "Filing",
    "Ledger",
    "LedgerDamagedError",
    "LedgerError",
    "NoticeBook",
    "Outbox",
    "Outcome",
    "Purse",
    "RequestBook",
    "RoomTakenError",
    "Sessions",
    "StaleError",
    "StateLock",
    "TranscriptBook",
    "Transition",
    "daemon_of",
    "identity_of",
]


class Ledger:
    """The ledger's books over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sessions = Sessions(database)
        self.calendars = CalendarBook(database)
        self.channels = ChannelBook(database)
        self.outbox = Outbox(database)
        self.transcripts = TranscriptBook(database)
        self.fetches = FetchBook(database)
        self.notices = NoticeBook(database)
        self.requests = RequestBook(database)

    def close(self) -> None:
        self.database.close()
