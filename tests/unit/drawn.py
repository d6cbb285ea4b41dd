"""Calendars drawn by hypothesis: crowded, contradictory, and in few rooms."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st

from locum.core.model import Answer, CalendarEvent, EventStatus
from tests.unit.builders import HOME, at, event, policy, room

EXAMPLES = int(os.environ.get("LOCUM_EXAMPLES", "1000"))
"""How much is tried of what is drawn; `python -m tests.campaign --properties N` sets it."""

thorough = settings(max_examples=EXAMPLES, derandomize=True, deadline=None)

ROOMS = [room(f"aaa-aaaa-aa{letter}") for letter in "abcde"]
_ANSWERS = [Answer.ACCEPTED, Answer.ACCEPTED, Answer.UNANSWERED, Answer.DECLINED]


def pick(number: int, *sizes: int) -> list[int]:
    """Take one number apart into several: one draw is much faster than ten."""
    parts = []
    for size in sizes:
        number, part = divmod(number, size)
        parts.append(part)
    return parts


def drawn_event(index: int, number: int) -> list[CalendarEvent]:
    """Build an event in one of five rooms; every other one stands on a second calendar too."""
    begin, lasts, where, answer, status, copied, shift, other = pick(
        number, 100, 46, 5, 4, 4, 2, 11, 4
    )
    start = at(begin - 40)
    first = event(
        f"e{index}",
        start=start,
        end=start + timedelta(minutes=lasts - 1),
        room=ROOMS[where],
        answer=_ANSWERS[answer],
        status=EventStatus.CANCELLED if status == 0 else EventStatus.CONFIRMED,
    )
    if not copied:
        return [first]
    moved = start + timedelta(minutes=shift - 5)
    return [first, replace(first, calendar=HOME, start=moved, answer=_ANSWERS[other])]


_NUMBERS = st.lists(st.integers(0, 100 * 46 * 5 * 4 * 4 * 2 * 11 * 4 - 1), max_size=7)


def calendars() -> st.SearchStrategy[list[CalendarEvent]]:
    return _NUMBERS.map(
        lambda numbers: [
            each for n, number in enumerate(numbers) for each in drawn_event(n, number)
        ]
    )


TRUSTING = policy(trusted_organizers=("boss@example.com",), max_length=timedelta(minutes=50))
