"""What earlier meetings left: lines with their evidence, by series, person and topic.

A file of its own (memory.sqlite3), made from the summaries that the ledger keeps and made
anew from them where it is damaged; so the ledger stays small. Nothing of it is told to an
audience that wasn't entitled to hear it: see `locum.core.compartments`.
"""

from locum.memory.file import MemoryDamagedError, MemoryFile, MemoryFileError, open_file
from locum.memory.finding import Hit
from locum.memory.intake import Boundaries, Face, series_of_meeting
from locum.memory.recall import SeriesEntry
from locum.memory.store import Forgotten, Memory
from locum.memory.wishes import Wishes, WishFile

__all__ = [
    "Boundaries",
    "Face",
    "Forgotten",
    "Hit",
    "Memory",
    "MemoryDamagedError",
    "MemoryFile",
    "MemoryFileError",
    "SeriesEntry",
    "WishFile",
    "Wishes",
    "open_file",
    "series_of_meeting",
]
