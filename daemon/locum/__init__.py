"""locum goes to meetings in somebody's place, and files what happened there."""

__version__ = "0.1.0"
