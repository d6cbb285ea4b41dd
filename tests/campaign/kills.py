"""The real process, killed again and again: at each point of persistence, and at any instant.

A schedule is one stage with its meetings, one state directory, and a dozen lives over it; the
last one is left alone until all is settled. Several schedules run side by side. What is asked
is judged from the stage's own books, from the files, and from what the dead had promised.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.nursery import Nursery, nursery
from tests.campaign.verdict import ALSO, KINDS, Verdict
from tests.campaign.wards import Pace, Ward
from tests.campaign.ways import DISK, NAMED, RANDOM, Deck, Script

_TOLD_EVERY_S = 2.0
_KILLS_EACH = 12
_MORE_SCHEDULES = 6
"""How many are added at most where a slow machine has let a point go by unhit."""

_RAM = Path("/dev/shm")
ALL_POINTS_BY = 132
"""With so many kills every named point must have been hit."""

Tell = Callable[[str], None]


@dataclass
class Campaign:
    """Many schedules; `play` runs them all and answers what was found."""

    kills: int
    start: int = 1
    jobs: int = 6
    ways: Sequence[str] = ()
    plant: str | None = None
    tell: Tell = lambda line: print(line, file=sys.stderr, flush=True)
    verdict: Verdict = field(default_factory=Verdict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _playing: list[Ward] = field(default_factory=list)
    _pace: Pace = field(default_factory=Pace)
    _began: float = field(default_factory=time.monotonic)

    def play(self) -> int:
        """Answer the exit status; the figures are the last line on stdout."""
        # The nursery goes first: without it, schedules end at once.
        with ThreadPoolExecutor(self.jobs) as pool, nursery() as lives:
            untried = lives.no_disk_faults
            without = () if untried is None else DISK
            deck = Script(self.ways) if self.ways else Deck(self.start, without=without)
            shares = [_KILLS_EACH] * (self.kills // _KILLS_EACH)
            if self.kills % _KILLS_EACH:
                shares.append(self.kills % _KILLS_EACH)
            self._play(shares, pool, lives, deck)
            if self._wants_all_points:
                for _ in range(_MORE_SCHEDULES):
                    if deck.never_hit:
                        deck.look_for_missing()
                        self._play([_KILLS_EACH], pool, lives, deck)
        self._print_table(deck, untried)
        return self._print_figures(deck, untried)

    @property
    def _wants_all_points(self) -> bool:
        return self.kills >= ALL_POINTS_BY and not self.ways and self.plant is None

    # ── playing ──────────────────────────────────────────────────────────────────────────

    def _play(
        self, shares: Sequence[int], pool: ThreadPoolExecutor, lives: Nursery, deck: Deck
    ) -> None:
        """Play a schedule for each share of kills, and tell how far it is meanwhile."""
        before = self.verdict.schedules
        playing = [
            pool.submit(self._one, self.start + before + number, share, lives, deck)
            for number, share in enumerate(shares)
        ]
        try:
            self._wait(before + len(shares))
        finally:
            for each in playing:
                each.cancel()

    def _one(self, seed: int, kills: int, lives: Nursery, deck: Deck) -> None:
        # In memory: a kill loses nothing of that either, and no fsync waits for a busy disk.
        ram = _RAM if _RAM.is_dir() else None
        folder = Path(tempfile.mkdtemp(prefix=f"locum-kills-{seed}-", dir=ram))
        ward = Ward(seed, kills, folder, lives, deck, self._pace, plant=self.plant)
        with self._lock:
            self._playing.append(ward)
        try:
            found = ward.play()
        except Exception:  # noqa: BLE001 - A thread's outermost frame: what broke is a finding.
            found = ward.so_far()
            found.find("broken", f"the schedule itself: {traceback.format_exc()}")
        with self._lock:
            self._playing.remove(ward)
            self.verdict.schedules += 1
            self.verdict.add(found)
        if not found.findings:
            shutil.rmtree(folder, ignore_errors=True)
            return
        folder = _kept(folder)
        again = f"python -m tests.campaign --kills {kills} --start {seed}"
        again += f" --ways {','.join(ward.ways)}"
        again += "" if self.plant is None else f" --plant {self.plant}"
        lines = [f"seed {seed}: {what}" for what in found.lines()]
        lines.append(f"seed {seed}: {folder} is kept; again: {again}")
        with self._lock:
            print("\n".join(lines), flush=True)

    def _wait(self, schedules: int) -> None:
        while True:
            with self._lock:
                done, failed = self.verdict.schedules, self.verdict.failed
                kills = self.verdict.kills + sum(each.kills for each in self._playing)
            rate = kills / max(time.monotonic() - self._began, 0.001)
            self.tell(
                f"{kills}/{self.kills} kills, {done}/{schedules} schedules, {failed} failed, "
                f"{rate:.2f} kills/s"
            )
            if done == schedules:
                return
            time.sleep(_TOLD_EVERY_S)

    # ── telling ──────────────────────────────────────────────────────────────────────────

    def _print_table(self, deck: Deck, untried: str | None) -> None:
        print("where it died, and of how many tries:")
        for way in (*NAMED, *RANDOM):
            if deck.aimed[way] or deck.hit[way]:
                print(f"  {way:<24} {deck.hit[way]:>4} / {deck.aimed[way]}")
        if untried is not None:
            print(f"not tried: {', '.join(DISK)}: {untried}")

    def _print_figures(self, deck: Deck, untried: str | None) -> int:
        counts = self.verdict.counts
        unhit = deck.never_hit if self._wants_all_points else ()
        for way in unhit:
            print(f"never hit: {way}")
        also = " ".join(f"{kind}={counts[kind]}" for kind in ALSO)
        tried = "" if untried is None else " (without failing disks)"
        print(f"{also} unhit={len(unhit)} schedules={self.verdict.schedules}{tried}")
        figures = " ".join(f"{kind}={counts[kind]}" for kind in KINDS)
        print(
            f"kills={self.verdict.kills} resumed={self.verdict.resumed} {figures}", flush=True
        )
        failed = any(counts.values()) or bool(unhit)
        return 1 if failed or self.verdict.kills < self.kills else 0


def _kept(folder: Path) -> Path:
    """Move what failed out of the memory, but for the dead's sockets, which can't be copied."""
    target = Path(tempfile.mkdtemp(prefix="locum-kills-")) / folder.name
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.sock"))
    shutil.rmtree(folder, ignore_errors=True)
    return target
