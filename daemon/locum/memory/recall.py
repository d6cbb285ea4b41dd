"""What memory knows, for whoever may be told: lines by series and person, promises, searches.

Every question names the compartment of the meeting in which its answer will be told, or None
for the owner alone, who may know all. The limit holds in the query itself, and for how a
promise stands too: that it was dropped among others is their business, and one that the owner
dropped by hand is told to nobody else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from locum.core.compartments import NOBODY, readable, readable_among
from locum.core.minutes import Commitment
from locum.core.model import MeetingKey, SeriesKey
from locum.core.remembered import (
    Compartment,
    Kind,
    LineId,
    Quoted,
    Remembered,
    Ruling,
    Standing,
)
from locum.core.stems import folded
from locum.database import read_instant, read_optional_instant
from locum.memory.accounts import played, read_day
from locum.memory.file import MemoryFile
from locum.memory.wishes import WishFile

_LINES = (
    "SELECT l.*, v.session, v.meeting, v.series, v.compartment, v.title, v.at, "
    "s.utterance AS settled_utterance, s.quote AS settled_quote, s.speaker AS settled_speaker, "
    "s.at AS settled_at, w.meeting AS settled_by "
    "FROM lines AS l JOIN visits AS v ON v.id = l.visit "
    "LEFT JOIN signs AS s ON s.visit = l.settled_visit AND s.place = l.settled_place "
    "LEFT JOIN visits AS w ON w.id = l.settled_visit "
)
MOST = 1000
"""Lines in one answer."""

_AT_ONCE = 500  # Parameters of one query.


@dataclass(frozen=True)
class SeriesEntry:
    """A series that something is known of; `title` and `at` are its newest meeting's."""

    key: SeriesKey
    title: str
    at: datetime
    meetings: int
    lines: int


class Recall:
    """Reads one file. `compartment` is always that of the audience."""

    def __init__(self, file: MemoryFile, wishes: WishFile) -> None:
        self._file = file
        self._wishes = wishes

    @property
    def _rulings(self) -> Mapping[LineId, Ruling]:
        return self._wishes.wishes.rulings

    def open_commitments(
        self,
        series: SeriesKey,
        compartment: Compartment | None,
        *,
        today: date,
        before: datetime | None = None,
    ) -> tuple[Commitment, ...]:
        """Answer what a series' earlier meetings left to be done, the most urgent first.

        With `before`, only meetings that began earlier count.
        """
        among = self._among(compartment)
        if among is not None and not among:
            return ()
        found = [
            each.commitment(today)
            for each in played(self._file, series, self._rulings, among, before=before)
            if each.standing is Standing.OPEN and each.same_as is None
        ]
        return tuple(sorted(found, key=lambda c: (not c.is_late, c.due or date.max)))

    def of_series(
        self, series: SeriesKey, *, compartment: Compartment | None = None, limit: int = MOST
    ) -> tuple[Remembered, ...]:
        """Answer what is known of a series, the newest meeting first."""
        return self._select("v.series = ?", (series,), compartment, limit)

    def of_meeting(
        self, meeting: MeetingKey, *, compartment: Compartment | None = None
    ) -> tuple[Remembered, ...]:
        return self._select("v.meeting = ?", (meeting,), compartment, MOST)

    def of_person(
        self, person: str, *, compartment: Compartment | None = None, limit: int = MOST
    ) -> tuple[Remembered, ...]:
        """Answer what somebody said or owns, by address, name, or a part of the name."""
        wanted = folded(person).strip()
        if not wanted:
            return ()
        return self._select(
            "l.number IN (SELECT line FROM people WHERE address = ? OR name = ? "
            "OR ' ' || name || ' ' LIKE ? ESCAPE '!')",
            (wanted, wanted, f"% {escaped(wanted)} %"),
            compartment,
            limit,
        )

    def commitments(
        self, *, compartment: Compartment | None = None, limit: int = MOST
    ) -> tuple[Remembered, ...]:
        """Answer what is open in all series, the most urgent first."""
        return self._select(
            "l.kind = 'commitment' AND l.standing = 'open' AND l.same_as IS NULL",
            (),
            compartment,
            limit,
            order="l.due_now IS NULL, l.due_now, v.at DESC, l.place",
        )

    def newest(
        self, *, compartment: Compartment | None = None, limit: int = MOST
    ) -> tuple[Remembered, ...]:
        return self._select("TRUE", (), compartment, limit)

    def every(self) -> Iterator[Remembered]:
        """Answer all there is, the oldest first: for the owner, who takes it with him."""
        after = 0
        while True:
            rows = self._file.rows(
                f"{_LINES} WHERE l.number > ? ORDER BY l.number LIMIT ?",
                (after, _AT_ONCE),
            )
            if not rows:
                return
            yield from self._lines(rows, None)
            after = rows[-1]["number"]

    def series(self, limit: int = MOST) -> tuple[SeriesEntry, ...]:
        """Answer which series there are, for the owner; the latest met first."""
        rows = self._file.rows(
            "SELECT v.series, v.title, max(v.at) AS at, count(DISTINCT v.id) AS meetings, "
            "count(l.number) AS lines FROM visits AS v JOIN lines AS l ON l.visit = v.id "
            "GROUP BY v.series ORDER BY at DESC LIMIT ?",
            (limit,),
        )
        return tuple(
            SeriesEntry(
                SeriesKey(row["series"]),
                row["title"],
                read_instant(row["at"]),
                row["meetings"],
                row["lines"],
            )
            for row in rows
        )

    def line(self, text: str) -> tuple[Remembered, ...]:
        """Answer the lines whose ids begin with a text: for the owner, who types it."""
        pattern = f"{escaped(text)}%"
        return self._select("l.id LIKE ? ESCAPE '!'", (pattern,), None, 10)

    def by_numbers(
        self, numbers: Sequence[int], compartment: Compartment | None
    ) -> dict[int, Remembered]:
        """Answer lines by their numbers in the tables."""
        found: dict[int, Remembered] = {}
        for start in range(0, len(numbers), _AT_ONCE):
            part = numbers[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            rows = self._file.rows(f"{_LINES} WHERE l.number IN ({marks})", part)
            lines = {line.id: line for line in self._lines(rows, compartment)}
            found.update(
                {row["number"]: lines[row["id"]] for row in rows if row["id"] in lines}
            )
        return found

    # ── who may be told ──────────────────────────────────────────────────────────────────

    def _among(self, compartment: Compartment | None) -> frozenset[Compartment] | None:
        """Answer the compartments that may be told of in one; None for the owner: all."""
        if compartment is None:
            return None
        if compartment == NOBODY:
            return frozenset()
        rows = self._file.rows("SELECT DISTINCT compartment FROM visits")
        known = [Compartment(row["compartment"]) for row in rows]
        return readable_among(known, by=compartment)

    def limit_to(self, compartment: Compartment | None) -> tuple[str, tuple[str, ...]]:
        """Answer the same as a condition on `v.compartment`, with its values."""
        among = self._among(compartment)
        if among is None:
            return "TRUE", ()
        everything = {
            row["compartment"]
            for row in self._file.rows("SELECT DISTINCT compartment FROM visits")
        }
        if among == everything - {NOBODY}:
            return "v.compartment <> ''", ()  # One's own people may read thousands.
        if len(among) > _AT_ONCE:
            among = frozenset(sorted(among)[:_AT_ONCE])
        return f"v.compartment IN ({', '.join('?' * len(among))})", tuple(sorted(among))

    # ── reading ──────────────────────────────────────────────────────────────────────────

    def _select(
        self,
        condition: str,
        values: Sequence[object],
        compartment: Compartment | None,
        limit: int,
        *,
        order: str = "v.at DESC, v.id, l.place",
    ) -> tuple[Remembered, ...]:
        allowed, names = self.limit_to(compartment)
        rows = self._file.rows(
            f"{_LINES} WHERE ({condition}) AND {allowed} ORDER BY {order} LIMIT ?",
            (*values, *names, max(min(limit, MOST), 0)),
        )
        return self._lines(rows, compartment)

    def _lines(
        self, rows: Sequence[sqlite3.Row], compartment: Compartment | None
    ) -> tuple[Remembered, ...]:
        quotes = self._quotes([row["number"] for row in rows])
        lines = tuple(_line(row, quotes.get(row["number"], ())) for row in rows)
        if compartment is None:
            return tuple(replace(line, by_hand=self._is_by_hand(line)) for line in lines)
        # Nothing leaves here on the query's word alone.
        lines = tuple(each for each in lines if readable(each.compartment, by=compartment))
        return self._as_seen_by(lines, compartment)

    def _is_by_hand(self, line: Remembered) -> bool:
        ruling = self._rulings.get(line.id)
        return (
            ruling is not None and ruling.standing is line.standing and line.settled_by is None
        )

    def _as_seen_by(
        self, lines: Sequence[Remembered], compartment: Compartment
    ) -> tuple[Remembered, ...]:
        among = self._among(compartment) or frozenset()
        series = {each.series for each in lines if each.kind is Kind.COMMITMENT}
        seen = {
            followed.promise.id: followed
            for each in series
            for followed in played(self._file, each, self._rulings, among)
        }
        made = []
        for line in lines:
            followed = seen.get(line.id)
            own = tuple(q for q in line.quotes if not _is_later(q))
            if line.kind is not Kind.COMMITMENT or followed is None:
                made.append(replace(line, quotes=own))
                continue
            if followed.standing is Standing.DROPPED:
                continue
            sign = followed.sign
            if sign is not None:
                own += (
                    Quoted(sign.utterance, sign.quote, sign.speaker, sign.at, followed.said_in),
                )
            made.append(
                replace(
                    line,
                    quotes=own,
                    owner=followed.owner,
                    due=followed.due,
                    standing=followed.standing,
                    settled_by=followed.settled_by,
                    same_as=followed.same_as,
                )
            )
        return tuple(made)

    def _quotes(self, numbers: Collection[int]) -> dict[int, tuple[Quoted, ...]]:
        found: dict[int, tuple[Quoted, ...]] = {}
        wanted = list(numbers)
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            for row in self._file.rows(
                f"SELECT * FROM quotes WHERE line IN ({marks}) ORDER BY line, place",  # noqa: S608 - Question marks.
                part,
            ):
                quoted = Quoted(
                    utterance=row["utterance"],
                    quote=row["quote"],
                    speaker=row["speaker"],
                    at=read_optional_instant(row["at"]),
                )
                found[row["line"]] = (*found.get(row["line"], ()), quoted)
        return found


def _is_later(quote: object) -> bool:
    return isinstance(quote, Quoted) and quote.meeting is not None


def _line(row: sqlite3.Row, quotes: Iterable[Quoted]) -> Remembered:
    quotes = tuple(quotes)
    if row["settled_quote"] is not None:
        later = Quoted(
            utterance=row["settled_utterance"],
            quote=row["settled_quote"],
            speaker=row["settled_speaker"],
            at=read_optional_instant(row["settled_at"]),
            meeting=MeetingKey(row["settled_by"]),
        )
        quotes = (*quotes, later)
    # What was said last of an open promise put it off.
    is_open = row["standing"] == Standing.OPEN.value
    return Remembered(
        id=LineId(row["id"]),
        kind=Kind(row["kind"]),
        text=row["text"],
        compartment=Compartment(row["compartment"]),
        series=SeriesKey(row["series"]),
        meeting=MeetingKey(row["meeting"]),
        title=row["title"],
        at=read_instant(row["at"]),
        quotes=quotes,
        topic=row["topic"],
        owner=row["owner_now"],
        due=read_day(row["due_now"]),
        standing=Standing(row["standing"]),
        settled_by=None
        if is_open or row["settled_by"] is None
        else MeetingKey(row["settled_by"]),
        approved=bool(row["approved"]),
        same_as=None if row["same_as"] is None else LineId(row["same_as"]),
    )


def escaped(text: str) -> str:
    """Write a text for LIKE … ESCAPE '!', so that it stands for itself."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
