"""What was found of the lives of one state directory, by the stage's books and the files."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from locum.core.model import EndReason, Phase, SessionRecord
from locum.ledger import Database, Ledger
from locum.rehearsal.pikastate import SessionState
from locum.rehearsal.stage import Stage
from tests.campaign.books import FINAL, Told
from tests.campaign.points import LEDGER

KINDS = ("lost", "double", "orphans")
ALSO = ("uninvited", "broken")
_MINUTE = timedelta(minutes=1)
_FILED = "session, meeting, sink FROM filings WHERE filed_at IS NOT NULL"
_A_WHILE = timedelta(seconds=15)
"""Who was in for less may have come in between the last look and our leaving."""


@dataclass
class Verdict:
    """Findings by kind, and the counts beside them."""

    kills: int = 0
    resumed: int = 0
    schedules: int = 0
    failed: int = 0
    findings: dict[str, list[str]] = field(default_factory=dict)

    def find(self, kind: str, what: str) -> None:
        self.findings.setdefault(kind, []).append(what)

    def add(self, other: Verdict) -> None:
        self.kills += other.kills
        self.resumed += other.resumed
        self.failed += bool(other.findings)
        for kind, found in other.findings.items():
            self.findings.setdefault(kind, []).extend(found)

    @property
    def counts(self) -> Counter[str]:
        return Counter({kind: len(self.findings.get(kind, [])) for kind in KINDS + ALSO})

    def lines(self) -> Iterator[str]:
        for kind, found in sorted(self.findings.items()):
            yield from (f"{kind}: {what}" for what in found)


# ── what the dead had promised ───────────────────────────────────────────────────────────


@dataclass
class Promises:
    """What was committed before a kill: none of it may be missing afterwards."""

    moves: set[tuple[int, str, str]] = field(default_factory=set)
    handles: set[tuple[str, str]] = field(default_factory=set)
    filings: set[tuple[str, str, str]] = field(default_factory=set)
    filed: set[tuple[str, str, str]] = field(default_factory=set)

    def take(self, line: dict[str, Any]) -> None:
        self.moves.update((number, key, phase) for number, key, phase in line["moves"])
        self.handles.update((key, handle) for key, handle in line.get("handles", ()))
        for session, meeting, sink, filed_at in line.get("filings", ()):
            self.filings.add((session, meeting, sink))
            if filed_at is not None:
                self.filed.add((session, meeting, sink))

    def missing(self, ledger: Path) -> Iterator[str]:
        """Name what isn't in the ledger, once; looked at in a copy, whose repair harms nobody."""
        if not ledger.exists():
            if self.moves:
                yield "the ledger is gone"
            return
        with tempfile.TemporaryDirectory() as folder:
            for side in ("", "-wal"):
                source = ledger.with_name(ledger.name + side)
                if source.exists():
                    shutil.copy(source, Path(folder) / source.name)
            copy = Path(folder) / ledger.name
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                yield from self._missing(connection)

    def _missing(self, connection: sqlite3.Connection) -> Iterator[str]:
        promises: tuple[tuple[str, set[Any], str], ...] = (
            ("move", self.moves, "id, session, after FROM transitions"),
            ("name", self.handles, "session, handle FROM attempts"),
            ("summary", self.filings, "session, meeting, sink FROM filings"),
            ("filing", self.filed, _FILED),
        )
        for what, promised, columns in promises:
            if promised:  # Else there may be no tables yet.
                gone = promised - set(connection.execute(f"SELECT {columns}"))
                promised.difference_update(gone)
                yield from (f"acknowledged and gone: {what} {each}" for each in sorted(gone))


# ── the stage's books ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Scene:
    """All that is judged when everything is over."""

    stage: Stage
    folder: Path
    sinks: tuple[str, ...]
    running: frozenset[str]  #: What ran when all was settled, before anybody was told to stop.
    closed_rooms: frozenset[str]  #: Where nobody asked us in.


def judge(scene: Scene, verdict: Verdict) -> None:
    with contextlib.closing(
        Database(scene.folder / "state" / LEDGER, read_only=True)
    ) as database:
        ledger = Ledger(database)
        told = Told.by(ledger)
        joined = {
            (row["occurrence"], row["meeting"])
            for row in database.rows('SELECT occurrence, meeting FROM decisions WHERE "join"')
        }
    by_the_books = _Judge(scene, told, verdict)
    by_the_books.judge(meeting for _, meeting in joined)
    by_the_books.a_stay_is_told()


class _Judge:
    def __init__(self, scene: Scene, told: Told, verdict: Verdict) -> None:
        self._scene = scene
        self._told = told
        self._find = verdict.find
        self._presences = scene.stage.pikastream.sessions()

    def judge(self, known: Iterable[str]) -> None:
        self._never_two_in_a_room()
        for each in self._presences:
            runs = each.live or each.id in self._scene.running
            if runs and not self._is_declared(each):
                self._find("orphans", _told(each))
            if each.request.room in self._scene.closed_rooms:
                self._find("uninvited", _told(each))
        for record in self._told.records:
            self._final_and_filed(record)
        meetings = {m.key for record in self._told.records for m in record.meetings}
        for key in known:
            if key not in meetings:
                self._find("lost", f"{key} went by, and no session tells of it")

    def _never_two_in_a_room(self) -> None:
        for number, one in enumerate(self._presences):
            for other in self._presences[number + 1 :]:
                if one.request.room != other.request.room:
                    continue
                if one.ended is not None and one.ended <= other.started:
                    continue
                if not (self._is_declared(one) or self._is_declared(other)):
                    self._find("double", f"{_told(one)}; {_told(other)}")

    def _is_declared(self, presence: SessionState) -> bool:
        """Whether it has no name in the ledger, and the ledger tells a person to look for it."""
        return presence.id not in self._told.named and any(
            record.end_reason is EndReason.LOST_JOIN
            and record.room.code == presence.request.room
            and record.claimed_at - _MINUTE <= presence.started
            and (record.ended_at is None or presence.started <= record.ended_at)
            for record in self._told.records
        )

    def _final_and_filed(self, record: SessionRecord) -> None:
        if record.phase not in FINAL or record.end_reason is None:
            reason = record.end_reason.value if record.end_reason else "no reason"
            self._find("lost", f"{record.key} ends {record.phase.value}, {reason}")
        if record.admitted_at is not None and record.phase is not Phase.FILED:
            self._find("lost", f"{record.key} was in, and is {record.phase.value}")
        files = self._files
        for meeting in record.meetings:
            began = meeting is record.meetings[0] or (
                record.ended_at is not None and meeting.start < record.ended_at
            )
            wanted = int(record.phase is Phase.FILED and began)
            for sink in self._scene.sinks:
                found = files[sink, record.key, meeting.key]
                if found != wanted:
                    what = f"{meeting.key} of {record.key} ({record.phase.value})"
                    self._find("lost", f"{what}: {found} files in {sink}, not {wanted}")

    @property
    def _files(self) -> Counter[tuple[str, str, str]]:
        found: Counter[tuple[str, str, str]] = Counter()
        for sink in self._scene.sinks:
            for path in (self._scene.folder / sink).rglob("*.json"):
                twin = json.loads(path.read_text(encoding="utf-8"))
                # One alone is no summary: people read the other one.
                found[sink, twin["session"], twin["key"]] += path.with_suffix(".md").exists()
        return found

    def a_stay_is_told(self) -> None:
        """Where a presence with a name stayed in its room for a while, a summary says so.

        Even if it came in and went while nobody was up.
        """
        for record in self._told.records:
            handles = self._told.handles[record.key]
            stays = [each for each in self._presences if each.id in handles]
            told = record.phase is Phase.FILED
            if not told and any(self._length(each) > _A_WHILE for each in stays):
                self._find("lost", f"{record.key} was in its room, and is {record.phase.value}")

    def _length(self, presence: SessionState) -> timedelta:
        """Answer how long it was in its room, as the room has it."""
        over = presence.ended or self._scene.stage.clock.now()
        entered = [
            visit.entered_at
            for visit in self._scene.stage.rooms.visits(presence.request.room)
            if visit.is_bot
            and visit.entered_at is not None
            and presence.started <= visit.entered_at <= over
        ]
        return over - min(entered, default=over)


def _told(presence: SessionState) -> str:
    return f"{presence.id[:9]} in {presence.request.room} from {presence.started:%H:%M:%S.%f}"
