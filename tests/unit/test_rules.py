"""Every rule of what the calendar says and what the stand-in does has a test that bears its number.

The tests stand where each rule can be tried best: in the pure core if it can be decided
there, else over real parts. `pytest -k rule_07` runs those of rule 7.
"""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]

RULES = {
    1: "ahead of its start: exactly one join, at the start less the lead",
    2: "first seen while it runs: join now",
    3: "first seen when it is over: none",
    4: "moved later before the join: only the new one; the stale timer does nothing",
    5: "moved earlier and now running: join now",
    6: "moved wholly into the past: none, recorded as missed",
    7: "moved later while in it: leave if nobody else is there, join at the new start",
    8: "moved to another day with people in the room: stay until it empties (policy)",
    9: "extended while in it: leave at the new end",
    10: "shortened below now while in it: leave, unless people are there (policy)",
    11: "cancelled before: none; as a bare tombstone too",
    12: "cancelled while in it: leave within one poll (policy)",
    13: "un-cancelled before its end: join",
    14: "deleted and made again, same room, same time: one join",
    15: "two edits between polls: only the last counts",
    16: "an edit between claiming and joining: dropped and planned anew",
    17: "no end: join; leave when the room empties or at the cap",
    18: "over 24 h: join, up to the cap",
    19: "all-day with a link: none (policy)",
    20: "declined: none; while in it: leave (policy); then accepted: join",
    21: "no answer, or maybe: `join_unanswered` decides",
    22: "no attendees, organized by this account: join",
    23: "the organizer declined, this account accepted: join",
    24: "this account isn't listed: as unanswered, and said",
    25: "one instance of an accepted series declined: only that one is skipped",
    26: "by default: accepted, own, or from a trusted organizer; a stranger's waits",
    27: "deny rules, commands of who has a say, allow rules, the default; with a reason",
    28: "removed or stopped once: never again for that occurrence",
    29: "focus time and its like: none",
    30: "private without details: none, until they appear",
    31: "a free/busy calendar: none, one warning",
    32: "transparent, or status tentative: join",
    33: "across a change of clocks: the local time stays; gaps and overlaps by the API",
    34: "an instance moved: join there, none at its original time",
    35: "one instance cancelled: that one; the series: all that lie ahead",
    36: "this and following: no double join at the seam",
    37: "an untouched instance slides into the horizon: join",
    38: "an unbounded rule: rows stay within the horizon, the reading ends",
    39: "all zones differ: the same instant; an unknown zone with an offset: join",
    40: "one occurrence on two calendars: one join; one calendar's yes is enough",
    41: "events in one room: one presence, each its record; over the merge window: two",
    42: "at capacity: the rest is skipped, by priority",
    43: "in that room already: no second one",
    44: "a failed join: bounded retries inside the grace, never past the end",
    45: "the link changed: the new room only; removed while in it: stay to the end",
    46: "a link added late: join",
    47: "fields disagree: entry point, hangoutLink, location, description",
    48: "links that are taken, in every dress",
    49: "links that are refused, in every disguise",
    50: "the address is always built anew",
    51: "started in the middle: join; back after the end: missed, and told",
    52: "a restart while live: adopt or rejoin once; never two",
    53: "killed between claim and join: settled, one retry",
    54: "suspended over the start: join within the ticker's period after the resume",
    55: "the wall clock jumps, the loop blocks: no double join, bounded lateness",
    56: "410: the old schedule stays armed until the new one is complete",
    57: "thousands of events, short pages, killed while paging: all seen, nothing lost",
    58: "a full read that suddenly answers nothing is read again",
    59: "no sign-in, 5xx, 429: what is armed is joined, none cancelled, one alert",
    60: "a calendar that is gone: kept for a day (policy); a malformed event: skipped",
    61: "push: other channels' messages are ignored, bursts are one read",
}

PENDING: frozenset[int] = frozenset()
"""Rules whose code isn't here yet; a test that bears such a number must take it out."""

_NAME = re.compile(r"test_rule_(?P<numbers>\d\d(?:_(?:and_)?\d\d)*)_[a-z]")


@functools.cache
def _tests() -> tuple[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef], ...]:
    return tuple(
        (f"{path.relative_to(TESTS)}::{node.name}", node)
        for path in sorted(TESTS.rglob("test_*.py"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def _by_rule() -> dict[int, list[str]]:
    found = defaultdict(list)
    for where, node in _tests():
        named = _NAME.match(node.name)
        if named is not None:
            for number in re.findall(r"\d\d", named["numbers"]):
                found[int(number)].append(where)
    return found


def test_every_rule_has_a_test() -> None:
    """From 1 to 61, but for those that wait for their code; and no other number is used."""
    found = _by_rule()
    assert set(range(1, 62)) == set(RULES)
    assert {n: RULES[n] for n in RULES if n not in found and n not in PENDING} == {}
    assert sorted(set(found) - set(RULES)) == []
    assert sorted(set(found) & PENDING) == [], "they have tests now: take them out of PENDING"


def test_what_claims_to_try_a_rule_names_it_and_can_fail() -> None:
    """A misspelt name would count for no rule; a test without a check proves none."""
    claiming = [(where, node) for where, node in _tests() if "_rule_" in node.name]
    unnamed = [
        where
        for where, node in claiming
        if node.name.startswith("test_rule_") and not _NAME.match(node.name)
    ]
    toothless = [
        where
        for where, node in claiming
        if not any(isinstance(each, ast.Assert) or _raises(each) for each in ast.walk(node))
    ]
    assert (unnamed, toothless) == ([], [])


def _raises(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "raises"
