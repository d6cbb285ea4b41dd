"""Memory, as a command reads it: opened, and searched for the one thing that a text names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from locum.cli.places import Whereabouts
from locum.cli.terminal import one_line
from locum.errors import PermanentError

if TYPE_CHECKING:
    from locum.core.model import SeriesKey
    from locum.core.remembered import Remembered
    from locum.memory import Face, Memory


@contextlib.contextmanager
def reading_memory(place: Whereabouts) -> Iterator[Memory]:
    """Open memory to read it.

    Raises:
        PermanentError: There is none yet.
        LocumError: It can't be read.
    """
    from locum.app.remembering import read_memory

    memory = read_memory(place.state)
    if memory is None:
        raise PermanentError(
            f"Nothing is remembered yet: there is no memory in {place.state}. "
            "It begins with the first meeting that is written up."
        )
    try:
        yield memory
    finally:
        memory.close()


def line_by_id(memory: Memory, text: str) -> Remembered:
    found = memory.line(text.strip()) if text.strip() else ()
    if len(found) == 1:
        return found[0]
    if not found:
        raise PermanentError(f'No line has the id "{text}". `locum memory show` tells the ids.')
    ids = ", ".join(each.id for each in found[:5])
    raise PermanentError(f"{len(found)} lines or more fit; write more of the id: {ids}")


def series_called(memory: Memory, text: str) -> SeriesKey:
    known = memory.series()
    wanted = text.casefold()
    found = [each for each in known if each.key == text] or [
        each for each in known if wanted in each.title.casefold()
    ]
    if len(found) == 1:
        return found[0].key
    if not found:
        raise PermanentError(
            f'No series that is remembered is called "{text}". `locum memory show` lists them.'
        )
    names = "; ".join(f'"{one_line(each.title)}": {each.key}' for each in found[:5])
    raise PermanentError(f"{len(found)} series fit; name one by its key: {names}")


def faces_of(memory: Memory, text: str) -> list[Face]:
    """Answer all faces of one person: those that share a name or an address.

    Raises:
        PermanentError: Nobody, or more than one, goes by that name.
    """
    found = memory.faces(text)
    if not found:
        raise PermanentError(f'Memory knows nobody called "{text}".')
    people = _grouped(found)
    if len(people) == 1:
        return people[0]
    names = "; ".join(" ".join(each for each in person[0] if each) for person in people[:5])
    raise PermanentError(
        f"{len(people)} people fit; name one in full, or by address: {one_line(names)}"
    )


def _grouped(faces: Sequence[Face]) -> list[list[Face]]:
    groups: list[list[Face]] = []
    for face in faces:
        keys = {key for key in face if key}
        joined = [g for g in groups if keys & {key for each in g for key in each if key}]
        merged = [each for group in joined for each in group] + [face]
        groups = [g for g in groups if g not in joined] + [merged]
    return groups


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def today() -> date:
    return datetime.now().astimezone().date()


def lines_as_json(lines: Sequence[Remembered]) -> list[dict[str, Any]]:
    from locum.app.remembering import line_json

    on = today()
    return [line_json(line, on) for line in lines]
