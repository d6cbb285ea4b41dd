"""A series' promises as the tables have them, played through: see `locum.core.commitments`."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime

from locum.core.commitments import Account, Followed, Promise, Sign, Turn, follow
from locum.core.model import MeetingKey, SeriesKey
from locum.core.remembered import Compartment, LineId, Ruling
from locum.database import read_instant, read_optional_instant, write_instant
from locum.memory.file import MemoryFile

_MOST_VISITS = 1000
"""Of one series: what is older is settled, or of no use any more."""

_NOWHERE = (None, None)


def played(
    file: MemoryFile,
    series: SeriesKey,
    rulings: Mapping[LineId, Ruling],
    among: Collection[Compartment] | None = None,
    *,
    before: datetime | None = None,
) -> tuple[Followed, ...]:
    """Answer how a series' promises stand, as far as what was said in `among` tells.

    Without `among`, all of it: as only the owner may see it. With `before`, only meetings that
    began earlier count; what the owner said by hand counts whenever it was said.
    """
    visits = file.rows(
        "SELECT id, session, meeting, at, compartment FROM visits WHERE series = ? "
        "AND (? IS NULL OR at < ?) ORDER BY at DESC LIMIT ?",
        (series, write_instant(before), write_instant(before), _MOST_VISITS),
    )
    kept = [row for row in visits if among is None or row["compartment"] in among]
    promises, signs = _promises(file, series), _signs(file, series)
    accounts = [
        Account(
            meeting=MeetingKey(row["meeting"]),
            at=read_instant(row["at"]),
            promises=tuple(promises.get(row["id"], ())),
            signs=tuple(signs.get(row["id"], ())),
            session=row["session"],
        )
        for row in kept
    ]
    lines = (promise.id for account in accounts for promise in account.promises)
    return follow(accounts, {line: rulings[line] for line in lines if line in rulings})


def _promises(file: MemoryFile, series: SeriesKey) -> dict[int, list[Promise]]:
    found: dict[int, list[Promise]] = defaultdict(list)
    for row in file.rows(
        "SELECT l.* FROM lines AS l JOIN visits AS v ON v.id = l.visit "
        "WHERE v.series = ? AND l.kind = 'commitment' ORDER BY l.visit, l.place",
        (series,),
    ):
        found[row["visit"]].append(promise_of(row))
    return found


def promise_of(row: sqlite3.Row) -> Promise:
    return Promise(
        id=LineId(row["id"]),
        text=row["text"],
        owner=row["owner"],
        due=read_day(row["due"]),
        words=frozenset(row["words"].split()),
        position=row["position"],
        hands_over=bool(row["hands_over"]),
    )


def _signs(file: MemoryFile, series: SeriesKey) -> dict[int, list[Sign]]:
    found: dict[int, list[Sign]] = defaultdict(list)
    for row in file.rows(
        "SELECT s.* FROM signs AS s JOIN visits AS v ON v.id = s.visit "
        "WHERE v.series = ? ORDER BY s.visit, s.place",
        (series,),
    ):
        found[row["visit"]].append(sign_of(row))
    return found


def sign_of(row: sqlite3.Row) -> Sign:
    return Sign(
        turn=Turn(row["turn"]),
        words=frozenset(row["words"].split()),
        context=frozenset(row["context"].split()),
        by_doer=bool(row["by_doer"]),
        speaker=row["speaker"],
        position=row["position"],
        utterance=row["utterance"],
        quote=row["quote"],
        at=read_optional_instant(row["at"]),
        due=read_day(row["due"]),
    )


def read_day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def settle(file: MemoryFile, series: SeriesKey, rulings: Mapping[LineId, Ruling]) -> None:
    """Write down how a series' promises stand for the owner; inside a transaction."""
    places = {
        (row["meeting"], row["utterance"], row["quote"]): (row["visit"], row["place"])
        for row in file.rows(
            "SELECT v.meeting, s.visit, s.place, s.utterance, s.quote FROM signs AS s "
            "JOIN visits AS v ON v.id = s.visit WHERE v.series = ?",
            (series,),
        )
    }
    columns = "owner_now, due_now, standing, same_as, settled_visit, settled_place"
    before = {
        row["id"]: tuple(row)[1:]
        for row in file.rows(
            f"SELECT l.id, {columns} FROM lines AS l JOIN visits AS v ON v.id = l.visit "  # noqa: S608 - Our own columns.
            "WHERE v.series = ? AND l.kind = 'commitment'",
            (series,),
        )
    }
    for each in played(file, series, rulings):
        sign = each.sign
        place = None if sign is None else (each.said_in, sign.utterance, sign.quote)
        now = (
            each.owner,
            None if each.due is None else each.due.isoformat(),
            each.standing.value,
            each.same_as,
            *(_NOWHERE if place is None else places.get(place, _NOWHERE)),
        )
        if before[each.promise.id] != now:
            file.execute(
                f"UPDATE lines SET ({columns}) = (?, ?, ?, ?, ?, ?) WHERE id = ?",  # noqa: S608 - As above.
                (*now, each.promise.id),
            )
