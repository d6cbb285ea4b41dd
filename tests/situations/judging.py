"""Holds what we did in a situation against what is right there.

Each claim is a sentence; each kind of it stands below with how it reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.situations.room import Done, Room, Script

_SOUNDS = {"begins"}
_REACTIONS = {"begins", "Write"}


@dataclass(frozen=True)
class Played:
    """What came of a script."""

    done: Sequence[Done]
    audible: Sequence[tuple[float, float]]

    def of(self, *kinds: str) -> list[Done]:
        return [each for each in self.done if each.what in kinds]


def play(script: Script) -> Played:
    room = Room(script)
    return Played(room.play(), room.audible)


def wrong_in(played: Played, right: Sequence[str]) -> list[str]:
    """Answer the claims that don't hold."""
    return [each for each in right if not _holds(each, played)]


def _holds(claim: str, played: Played) -> bool:
    for pattern, judge in _CLAIMS:
        match = re.fullmatch(pattern, claim)
        if match is not None:
            return judge(played, match)
    raise ValueError(f"no such claim: {claim}")


def _in_time(at: float, match: re.Match[str]) -> bool:
    groups = match.groupdict()
    after, before = groups.get("after"), groups.get("by")
    return (after is None or at >= float(after)) and (before is None or at <= float(before))


def _speaks(played: Played, match: re.Match[str]) -> bool:
    """It begins to speak to that one, in that time; once, unless said otherwise."""
    begun = [
        each
        for each in played.of("begins")
        if each.to == ("" if match["who"] == "somebody" else match["who"])
    ]
    begun = [each for each in begun if match["cue"] is None or each.cue == match["cue"]]
    return any(_in_time(each.at, match) for each in begun)


def _times(played: Played, match: re.Match[str]) -> bool:
    begun = [each for each in played.of("begins") if each.cue != "resume"]
    return len(begun) == {"once": 1, "twice": 2, "three times": 3}[match["times"]]


def _silent(played: Played, match: re.Match[str]) -> bool:
    since = float(match["since"] or 0.0)
    until = float(match["until"] or "inf")
    overlaps = any(begin < until and end > since for begin, end in played.audible)
    return not overlaps and not any(since <= each.at < until for each in played.of("begins"))


def _any(*kinds: str, to: bool = False) -> Callable[[Played, re.Match[str]], bool]:
    def judge(played: Played, match: re.Match[str]) -> bool:
        return any(
            _in_time(each.at, match) and (not to or each.to == match["who"])
            for each in played.of(*kinds)
        )

    return judge


def _none(*kinds: str) -> Callable[[Played, re.Match[str]], bool]:
    return lambda played, match: not played.of(*kinds)


def _text(played: Played, kinds: tuple[str, ...], match: re.Match[str]) -> bool:
    return any(match["text"].casefold() in each.text.casefold() for each in played.of(*kinds))


def _on_silent(played: Played, match: re.Match[str]) -> bool:
    """Whatever it began, it said to its end, and never fell silent meanwhile."""
    return bool(played.of("begins")) and not played.of("Hush", "stops")


_WHEN = r"(?: after (?P<after>[\d.]+))?(?: by (?P<by>[\d.]+))?"
_CLAIMS: tuple[tuple[str, Callable[[Played, re.Match[str]], bool]], ...] = (
    (rf"speaks to (?P<who>[^,]+?)(?: as (?P<cue>\w+))?{_WHEN}", _speaks),
    (r"speaks (?P<times>once|twice|three times)", _times),
    (r"is silent(?: from (?P<since>[\d.]+))?(?: until (?P<until>[\d.]+))?", _silent),
    (rf"falls silent{_WHEN}", _any("Hush")),
    (r"says it all", _on_silent),
    (rf"goes on{_WHEN}", lambda p, m: any(
        e.cue == "resume" and _in_time(e.at, m) for e in p.of("begins"))),
    (r"doesn't go on", lambda p, m: not any(e.cue == "resume" for e in p.of("begins"))),
    (rf"speaks more quietly{_WHEN}", _any("Duck")),
    (rf"speaks up again{_WHEN}", _any("GoOn")),
    (rf"raises its hand{_WHEN}", _any("RaiseHand")),
    (rf"takes its hand down{_WHEN}", _any("HandDown")),
    (r"raises no hand", _none("RaiseHand")),
    (rf"writes to (?P<who>.+?){_WHEN}", _any("Write", to=True)),
    (r"writes nothing", _none("Write", "written")),
    (rf"asks a model{_WHEN}", _any("Consider")),
    (r"asks no model", _none("Consider")),
    (rf"nods{_WHEN}", _any("Nod")),
    (rf"forgoes it{_WHEN}", _any("Forgo")),
    (r"does nothing", _none("begins", "Write", "RaiseHand", "Consider", "Hush")),
    (r'says "(?P<text>.+)"', lambda p, m: _text(p, ("begins", "written"), m)),
    (r'writes "(?P<text>.+)"', lambda p, m: _text(p, ("written",), m)),
    (r'never says "(?P<text>.+)"', lambda p, m: not _text(p, ("begins", "written"), m)),
    (r'takes along "(?P<text>.+)"', lambda p, m: _text(p, ("takes along",), m)),
    (r'answers "(?P<text>.+)"', lambda p, m: _text(p, ("Speak", "Write"), m)),
)  # fmt: skip
