"""Memory itself: takes summaries in, forgets what it is told to, and answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from locum.core.commitments import Promise, Sign, heir_of, speaks_of_the_same
from locum.core.compartments import NOBODY
from locum.core.model import MeetingKey, SeriesKey, SessionKey
from locum.core.remembered import Compartment, LineId, Remembered, Ruling, Standing
from locum.core.stems import folded
from locum.database import write_instant
from locum.memory.accounts import promise_of, settle
from locum.memory.file import MemoryFile
from locum.memory.finding import Finder, Hit
from locum.memory.intake import Boundaries, Entry, Face, Intake, clean, names, take
from locum.memory.recall import Recall, escaped
from locum.memory.wishes import Wishes, WishFile, mark
from locum.ports import Passage, Summary

_MOST_FACES = 50


@dataclass(frozen=True)
class Forgotten:
    """How much was forgotten; sentences that only settled something count too."""

    lines: int
    sentences: int


class Memory(Recall):
    """Over one file. Its only writer is the daemon, or a command while none runs.

    Every method may raise:
        TransientError: The disk is full or failing; nothing was changed.
        MemoryDamagedError: The file is damaged; opened anew, it is put aside.
    """

    def __init__(self, file: MemoryFile, wishes: WishFile, boundaries: Boundaries) -> None:
        super().__init__(file, wishes)
        self._finder = Finder(file, self)
        self.boundaries = boundaries
        """How people are told apart from now on; what is remembered keeps its compartment."""

    def close(self) -> None:
        self._file.close()

    # ── taking in ────────────────────────────────────────────────────────────────────────

    def remember(self, summary: Summary) -> None:
        """Take a summary in. The same one twice changes nothing, nor does an older edition.

        A newer edition takes the place of what was known of its meeting, and the promises of
        the series are followed anew; what was said by hand of one that it words anew stays.
        """
        place = (summary.session, summary.key)
        with self._file.transaction():
            before = self._file.row(
                "SELECT id, edition FROM visits WHERE session = ? AND meeting = ?", place
            )
            if before is not None and before["edition"] > summary.edition:
                return
            intake = self._without_forgotten(take(summary, self.boundaries), summary)
            approved = self._wishes.wishes.approved
            if before is not None:
                self._keep_rulings(before["id"], intake)
                self._drop_visit(before["id"])
            visit = self._add_visit(summary, intake)
            for number, entry in enumerate(intake.entries):
                self._add(visit, number, entry, approved=entry.id in approved)
            for number, (sign, face) in enumerate(intake.signs):
                self._add_sign(visit, number, sign, face)
            settle(self._file, intake.series, self._rulings)
            self._file.note_written_without_index()

    def known(self) -> dict[tuple[SessionKey, MeetingKey], int]:
        """Answer which meetings were taken in, forgotten ones too, in which edition."""
        rows = self._file.rows("SELECT session, meeting, edition FROM visits")
        return {
            (SessionKey(row["session"]), MeetingKey(row["meeting"])): row["edition"]
            for row in rows
        }

    def _without_forgotten(self, intake: Intake, summary: Summary) -> Intake:
        wishes, at = self._wishes.wishes, summary.start
        if wishes.forgets("meeting", summary.key, at) or wishes.forgets(
            "series", intake.series, at
        ):
            return Intake(intake.series, NOBODY, intake.language, "", (), ())
        if not wishes.forgotten:
            return intake
        faces = frozenset(face for entry in intake.entries for face in entry.people)
        faces |= {face for _, face in intake.signs}
        gone = {face for face in faces if _is_forgotten(face, wishes, at)}
        entries = tuple(
            entry
            for entry in intake.entries
            if not wishes.forgets("line", entry.id, at)
            and not entry.people & gone
            and not any(entry.mentions(name) for face in gone for name in _full(face))
        )
        signs = tuple(pair for pair in intake.signs if pair[1] not in gone)
        return Intake(
            intake.series, intake.compartment, intake.language, intake.title, entries, signs
        )

    def _add_visit(self, summary: Summary, intake: Intake) -> int:
        row = self._file.row(
            "INSERT INTO visits (session, meeting, series, compartment, title, at, edition, "
            "language) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                summary.session,
                summary.key,
                intake.series,
                intake.compartment,
                intake.title,
                write_instant(summary.start),
                summary.edition,
                intake.language,
            ),
        )
        return 0 if row is None else int(row["id"])

    def _add(self, visit: int, place: int, entry: Entry, *, approved: bool) -> None:
        promise, due = entry.promise, None if entry.due is None else entry.due.isoformat()
        row = self._file.row(
            "INSERT INTO lines (id, visit, place, kind, text, topic, owner, due, words, "
            "position, hands_over, owner_now, due_now, standing, approved, said, around) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
            (
                entry.id,
                visit,
                place,
                entry.kind.value,
                entry.text,
                entry.topic,
                entry.owner,
                due,
                "" if promise is None else " ".join(sorted(promise.words)),
                0 if promise is None else promise.position,
                promise is not None and promise.hands_over,
                entry.owner,
                due,
                Standing.OPEN.value,
                approved,
                entry.said,
                entry.around,
            ),
        )
        number = 0 if row is None else int(row["number"])
        self._file.index(number, entry.said, entry.around)
        self._file.execute_many(
            "INSERT INTO quotes VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    number,
                    n,
                    quote.utterance,
                    quote.quote,
                    quote.speaker,
                    write_instant(quote.at),
                )
                for n, quote in enumerate(entry.quotes)
            ],
        )
        self._file.execute_many(
            "INSERT INTO people VALUES (?, ?, ?)",
            [(number, *face) for face in sorted(entry.people)],
        )

    def _add_sign(self, visit: int, place: int, sign: Sign, face: Face) -> None:
        self._file.execute(
            "INSERT INTO signs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                visit,
                place,
                sign.turn.value,
                " ".join(sorted(sign.words)),
                " ".join(sorted(sign.context)),
                sign.by_doer,
                clean(sign.speaker, 300),
                *face,
                sign.position,
                clean(sign.utterance, 300),
                clean(sign.quote, 1000),
                write_instant(sign.at),
                None if sign.due is None else sign.due.isoformat(),
            ),
        )

    def _keep_rulings(self, visit: int, intake: Intake) -> None:
        """Let rulings on promises of an edition hold for those that a newer one has instead."""
        rows = self._file.rows(
            "SELECT * FROM lines WHERE visit = ? AND kind = 'commitment'", (visit,)
        )
        before, now = {row["id"] for row in rows}, {entry.id for entry in intake.entries}
        fresh = [entry for entry in intake.entries if entry.promise and entry.id not in before]
        heirs: dict[LineId, LineId] = {}
        for row in rows if fresh else ():
            line = LineId(row["id"])
            if line in self._rulings and line not in now:
                heir = self._heir(promise_of(row), row["number"], fresh)
                if heir is not None:
                    heirs[line] = heir
        if heirs:
            self._wishes.rename(heirs)

    def _heir(self, promise: Promise, number: int, entries: Sequence[Entry]) -> LineId | None:
        """Answer which new line is a promise in other words: said in the same breath, or alike."""
        quotes = self._file.rows("SELECT quote FROM quotes WHERE line = ?", (number,))
        said = {folded(row["quote"]) for row in quotes}
        akin = [
            each
            for each in entries
            if each.promise is not None
            and speaks_of_the_same(each.promise.words, promise.words)
            and any(folded(quote.quote) in said for quote in each.quotes)
        ]
        if len(akin) == 1:
            return akin[0].id
        return heir_of(
            promise.words, [each.promise for each in akin or entries if each.promise]
        )

    def _drop_visit(self, visit: int) -> None:
        rows = self._file.rows("SELECT number FROM lines WHERE visit = ?", (visit,))
        self._file.drop_lines([row["number"] for row in rows])
        self._file.execute("DELETE FROM visits WHERE id = ?", (visit,))

    # ── answering ────────────────────────────────────────────────────────────────────────

    def search(
        self, query: str, *, compartment: Compartment | None = None, limit: int = 20
    ) -> tuple[Remembered, ...]:
        """Answer lines that hold words of a query, the best first."""
        hits = self.ranked(query, compartment=compartment, limit=limit)
        return tuple(hit.line for hit in hits)

    def ranked(
        self, query: str, *, compartment: Compartment | None = None, limit: int = 20
    ) -> tuple[Hit, ...]:
        """As `search`, with ranks."""
        return self._finder.search(query, compartment=compartment, limit=limit)

    def answers(
        self, question: str, *, compartment: Compartment | None = None, limit: int = 8
    ) -> tuple[Hit, ...]:
        """Answer the lines that speak of what a question is about; none where none does."""
        return self._finder.answers(question, compartment, limit)

    def passages(
        self, question: str, *, compartment: Compartment | None = None, limit: int = 8
    ) -> tuple[Passage, ...]:
        """As `answers`, for a brain."""
        return self._finder.passages(question, compartment=compartment, limit=limit)

    # ── what a person says of it ─────────────────────────────────────────────────────────

    def approve(self, line: LineId, *, approved: bool = True) -> None:
        """Note that a person has looked at a line, and it is right."""
        self._wishes.approve(line, approved=approved)
        with self._file.transaction():
            self._file.execute("UPDATE lines SET approved = ? WHERE id = ?", (approved, line))

    def rule(self, line: LineId, standing: Standing | None, *, at: datetime) -> None:
        """Take the owner's word for how a commitment stands; None takes it back.

        It holds for the line, the one that it repeats, and those that repeat that one.
        """
        rows = self._file.rows(
            "SELECT l.id, v.series FROM lines AS l JOIN visits AS v ON v.id = l.visit, "
            "(SELECT coalesce(same_as, id) AS origin FROM lines WHERE id = ?) "
            "WHERE l.id = origin OR l.same_as = origin",
            (line,),
        )
        ruling = None if standing is None else Ruling(standing, at)
        self._wishes.rule([LineId(row["id"]) for row in rows], ruling)
        with self._file.transaction():
            for series in {row["series"] for row in rows}:
                settle(self._file, SeriesKey(series), self._rulings)

    def forget_line(self, line: LineId, *, at: datetime) -> Forgotten:
        self._wishes.forget([mark("line", line)], at=at)
        return self._forget("SELECT number FROM lines WHERE id = ?", (line,))

    def forget_meeting(self, meeting: MeetingKey, *, at: datetime) -> Forgotten:
        """Forget all of one meeting, and take nothing in of it any more."""
        # A later edition of it may come at any time, whatever the clock says.
        self._wishes.forget([mark("meeting", meeting)], at=at + _AGES)
        return self._forget_visits("meeting = ?", (meeting,))

    def forget_series(self, series: SeriesKey, *, at: datetime) -> Forgotten:
        """Forget every meeting of a series that began until `at`."""
        self._wishes.forget([mark("series", series)], at=at)
        return self._forget_visits("series = ? AND at <= ?", (series, write_instant(at)))

    def forget_before(self, at: datetime) -> Forgotten:
        """Forget what is older than one wants to keep."""
        visits = "at < ? AND (title <> '' OR id IN (SELECT visit FROM lines))"
        return self._forget_visits(visits, (write_instant(at),))

    def faces(self, person: str) -> tuple[Face, ...]:
        """Answer whom memory knows by a name, a part of one or an address: names, addresses."""
        wanted = folded(person).strip()
        if not wanted:
            return ()
        values = (wanted, wanted, f"% {escaped(wanted)} %")
        condition = "address = ? OR name = ? OR ' ' || name || ' ' LIKE ? ESCAPE '!'"
        rows = self._file.rows(
            f"SELECT name, address FROM people WHERE {condition} UNION "  # noqa: S608 - Our own condition.
            f"SELECT name, address FROM signs WHERE {condition} ORDER BY 1, 2 LIMIT ?",
            (*values, *values, _MOST_FACES),
        )
        return tuple((row["name"], row["address"]) for row in rows)

    def forget_person(self, faces: Collection[Face], *, at: datetime) -> Forgotten:
        """Forget what somebody said, owns or is named in (in full), until `at`."""
        marks = {mark("person", key) for face in faces for key in face if key}
        self._wishes.forget(sorted(marks), at=at)
        numbers: set[int] = set()
        sentences = 0
        with self._file.transaction():
            for face in faces:
                numbers |= self._lines_of(face)
                sentences += self._file.execute(
                    "DELETE FROM signs WHERE (name, address) = (?, ?)", face
                )
            done = self._drop_lines(numbers)
        self._file.scrub()
        return Forgotten(done, sentences)

    def _lines_of(self, face: Face) -> set[int]:
        rows = self._file.rows("SELECT line FROM people WHERE (name, address) = (?, ?)", face)
        found = {row["line"] for row in rows}
        for name in _full(face):
            # LIKE finds what may name them, whatever the case of A to Z; then we look.
            pattern = f"%{escaped(name.split()[0])}%"
            for row in self._file.rows(
                "SELECT number, text || ' ' || coalesce((SELECT group_concat(quote, ' ') "
                "FROM quotes WHERE line = number), '') AS told FROM lines "
                "WHERE told LIKE ? ESCAPE '!'"
                if name.isascii()
                else "SELECT number, text || ' ' || coalesce((SELECT group_concat(quote, ' ') "
                "FROM quotes WHERE line = number), '') AS told FROM lines WHERE ? <> ''",
                (pattern,),
            ):
                if names(row["told"], name):
                    found.add(row["number"])
        return found

    def _forget(self, query: str, values: Iterable[object]) -> Forgotten:
        with self._file.transaction():
            rows = self._file.rows(query, tuple(values))
            done = self._drop_lines({row["number"] for row in rows})
        self._file.scrub()
        return Forgotten(done, 0)

    def _drop_lines(self, numbers: Collection[int]) -> int:
        series = set()
        for number in numbers:
            row = self._file.row(
                "SELECT v.series FROM lines AS l JOIN visits AS v ON v.id = l.visit "
                "WHERE l.number = ?",
                (number,),
            )
            if row is not None:
                series.add(SeriesKey(row["series"]))
        self._file.drop_lines(sorted(numbers))
        for each in sorted(series):
            settle(self._file, each, self._rulings)
        self._file.note_written_without_index()
        return len(numbers)

    def _forget_visits(self, condition: str, values: tuple[object, ...]) -> Forgotten:
        lines = sentences = 0
        with self._file.transaction():
            visits = self._file.rows(
                f"SELECT id, series FROM visits WHERE {condition}",  # noqa: S608 - Our own condition.
                values,
            )
            for row in visits:
                numbers = self._file.rows(
                    "SELECT number FROM lines WHERE visit = ?", (row["id"],)
                )
                self._file.drop_lines([each["number"] for each in numbers])
                lines += len(numbers)
                sentences += self._file.execute(
                    "DELETE FROM signs WHERE visit = ?", (row["id"],)
                )
                self._file.execute(
                    "UPDATE visits SET title = '', compartment = '' WHERE id = ?", (row["id"],)
                )
            for series in sorted({row["series"] for row in visits}):
                settle(self._file, SeriesKey(series), self._rulings)
            self._file.note_written_without_index()
        if visits:
            self._file.scrub()
        return Forgotten(lines, sentences)


_AGES = timedelta(days=36_500)


def _full(face: Face) -> list[str]:
    """Answer what names a person and nobody else: a full name, an address."""
    name, address = face
    return [each for each in (name if " " in name else "", address) if each]


def _is_forgotten(face: Face, wishes: Wishes, at: datetime) -> bool:
    return any(key and wishes.forgets("person", key, at) for key in face)
