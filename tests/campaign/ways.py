"""The ways in which a life can end before its time, all by name, and who draws which."""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

from tests.campaign.nursery import DiskFault
from tests.campaign.points import POINTS

_SYNC = ("fsync", "fdatasync")
_WRITE = ("write", "pwrite64")
_FOR_GOOD = 1 << 30
_SOON = 8

RANDOM = ("any.running", "any.start", "any.stop", "any.reap")
"""At an instant that nobody chose."""

_FAILURES = {
    # The process dies before the call: what it wrote is not on the disk yet.
    "fsync.wal": (_SYNC, "wal", None),
    "fsync.ledger": (_SYNC, "ledger", None),
    "fsync.summary": (_SYNC, "summary", None),
    "fsync.folder": (_SYNC, "folder", None),
    "fsync.backup": (_SYNC, "backup", None),
    "fsync.fresh": (_SYNC, "ledger", None),
    "write.wal": (_WRITE, "wal", None),
    "write.ledger": (_WRITE, "ledger", None),
    "write.fresh": (_WRITE, "ledger", None),
    # The call fails, and the process dies of something else a little later.
    "eio.wal": (_SYNC, "wal", "EIO"),
    "eio.ledger": (_SYNC, "ledger", "EIO"),
    "eio.summary": (_SYNC, "summary", "EIO"),
    "eio.folder": (_SYNC, "folder", "EIO"),
    "eio.backup": (_SYNC, "backup", "EIO"),
    "eio.fresh": (_SYNC, "ledger", "EIO"),
    "enospc.wal": (_WRITE, "wal", "ENOSPC"),
    "enospc.summary": (_WRITE, "summary", "ENOSPC"),
    "enospc.backup": (_WRITE, "backup", "ENOSPC"),
    "enospc.fresh": (_WRITE, "ledger", "ENOSPC"),
}

DISK = tuple(_FAILURES)
NAMED = (*POINTS, *DISK)

_STOPPING = ("stop.", "any.stop", "fsync.ledger", "write.ledger", "eio.ledger")
_OFTEN = (
    *(("write.wal", 30), ("enospc.wal", 20), ("look.", 12), ("fsync.wal", 10), ("eio.wal", 6)),
    *(("calendar.", 4), ("schema.step", 3), ("sink.", 3), ("fsync.summary", 3)),
    *(("fsync.folder", 3), ("decisions.", 2), ("named.", 2), ("live.", 2), ("leaving.", 2)),
    *(("attempt.", 2), ("ended.", 2), ("outbox-filed.", 2), ("post.", 2), ("delete.", 2)),
)
"""What comes often is let pass a few times, up to so many; the rest is taken at once."""


def is_fresh(way: str) -> bool:
    """Whether it can only happen to a ledger that is being made."""
    return way.startswith("schema.") or way.endswith(".fresh")


def is_stopping(way: str) -> bool:
    """Whether it needs a daemon that was told to stop; only then the -wal goes into the file."""
    return way.startswith(_STOPPING)


def is_reaping(way: str) -> bool:
    return way.startswith("reap.") or way == "any.reap"


def passings(way: str, dice: random.Random) -> int:
    """Draw how often it is passed before, and once more."""
    most = next((most for start, most in _OFTEN if way.startswith(start)), 1)
    return dice.randint(1, most)


def disk_fault(way: str, dice: random.Random) -> DiskFault | None:
    if way not in _FAILURES:
        return None
    calls, files, error = _FAILURES[way]
    return DiskFault(
        name=way,
        calls=calls,
        files=(files,),
        error=error,
        skip=passings(way, dice) - 1,
        times=1 if error is None else dice.choice((1, 1, 3, _FOR_GOOD)),
        dies_after_s=None if error is None else dice.choice((0.0, 0.0, 0.05, 0.4, 0.8)),
    )


class Deck:
    """Deals every way in turn, shuffled; what didn't come about is dealt again soon."""

    def __init__(self, seed: int, *, without: Iterable[str] = ()) -> None:
        self._dice = random.Random(seed)
        left_out = frozenset(without)
        self._ways = tuple(way for way in NAMED if way not in left_out)
        self._lock = threading.Lock()
        self._cards: Mapping[bool, deque[str]] = {True: deque(), False: deque()}
        self.aimed: Counter[str] = Counter()
        self.hit: Counter[str] = Counter()
        self.only_missing = False

    def deal(self, *, fresh: bool) -> str:
        """Answer the next way, for a life whose ledger is `fresh`, or isn't."""
        with self._lock:
            cards = self._cards[fresh]
            if not cards:
                cards.extend(self._shuffled(fresh=fresh))
            way = cards.popleft()
            self.aimed[way] += 1
            return way

    def _shuffled(self, *, fresh: bool) -> list[str]:
        among = self.never_hit if self.only_missing else self._ways
        ways = [way for way in among if is_fresh(way) == fresh]
        if not ways:
            return ["any.start" if fresh else "any.running"]
        if not fresh and not self.only_missing:
            ways += (
                ["any.running"] * 8 + ["any.start"] * 4 + ["any.stop"] * 4 + ["any.reap"] * 2
            )
        self._dice.shuffle(ways)
        return ways

    def note(self, way: str, *, hit: bool) -> None:
        with self._lock:
            if hit:
                self.hit[way] += 1
            elif not self.hit[way]:
                cards = self._cards[is_fresh(way)]
                cards.insert(min(_SOON, len(cards)), way)

    def look_for_missing(self) -> None:
        """From here on deal only what was never hit."""
        with self._lock:
            self.only_missing = True
            for cards in self._cards.values():
                cards.clear()

    @property
    def never_hit(self) -> tuple[str, ...]:
        return tuple(way for way in (*self._ways, *RANDOM) if not self.hit[way])


class Script(Deck):
    """Deals what is written, to play a schedule again."""

    def __init__(self, ways: Sequence[str]) -> None:
        super().__init__(0)
        self._written = deque(ways)

    def deal(self, *, fresh: bool) -> str:
        if not self._written:
            return super().deal(fresh=fresh)
        way = self._written.popleft()
        self.aimed[way] += 1
        return way

    def note(self, way: str, *, hit: bool) -> None:
        self.hit[way] += hit
