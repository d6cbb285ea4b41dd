"""How much of what is known about scripted meetings was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from locum.brains.rules import Claims
from locum.core.minutes import Minutes, hold_to_evidence
from tests.meetings import Known, Scripted


@dataclass
class Tally:
    """Found and right, found at all, and known."""

    right: int = 0
    found: int = 0
    known: int = 0

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.known if self.known else 1.0

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass
class Score:
    actions: Tally = field(default_factory=Tally)
    decisions: Tally = field(default_factory=Tally)
    questions: Tally = field(default_factory=Tally)
    asked: Tally = field(default_factory=Tally)
    claims: int = 0
    proved: int = 0
    misses: list[str] = field(default_factory=list)

    @property
    def validity(self) -> float:
        return self.proved / self.claims if self.claims else 1.0


def add(score: Score, meeting: Scripted, claims: Claims) -> None:
    """Count one meeting in: each answer is found by one line, and each line finds one."""
    for kind, matches in (
        ("actions", Known.is_action),
        ("decisions", Known.is_in),
        ("questions", Known.is_in),
        ("asked", Known.is_in),
    ):
        _count(score, meeting, kind, getattr(claims, kind), matches)
    kinds = ("decisions", "actions", "questions", "asked", "unclear")
    found = {kind: getattr(claims, kind) for kind in kinds}
    kept = hold_to_evidence(Minutes("rules", **found), meeting.transcript)
    score.claims += sum(map(len, found.values()))
    score.proved += sum(
        _stands(mine, theirs, meeting)
        for kind in kinds
        for mine, theirs in _paired(found[kind], getattr(kept, kind))
    )


def _paired(found: Sequence[Any], kept: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    left = {id(each): each for each in kept}
    for mine in found:
        theirs = next(
            (each for each in left.values() if each.text == " ".join(mine.text.split())), None
        )
        if theirs is not None:
            del left[id(theirs)]
            yield mine, theirs


def _stands(mine: Any, theirs: Any, meeting: Scripted) -> bool:
    """Whether nothing of a line was taken away, and its quotes stand there letter for letter."""
    return (
        len(mine.evidence) == len(theirs.evidence)
        and getattr(mine, "owner", None) == getattr(theirs, "owner", None)
        and getattr(mine, "due", None) == getattr(theirs, "due", None)
        and all(
            each.quote in meeting.transcript.by_id[each.utterance].text
            for each in mine.evidence
        )
    )


def _count(
    score: Score,
    meeting: Scripted,
    kind: str,
    lines: Sequence[Any],
    matches: Callable[[Known, Any], bool],
) -> None:
    tally: Tally = getattr(score, kind)
    left = list(lines)
    for known in getattr(meeting, kind):
        line = next((each for each in left if matches(known, each)), None)
        if line is None:
            score.misses.append(f"{meeting.name}: {kind} missed {known}")
        else:
            left.remove(line)
            tally.right += 1
    score.misses.extend(f"{meeting.name}: {kind} wrong {_shown(each)}" for each in left)
    tally.found += len(lines)
    tally.known += len(getattr(meeting, kind))


def _shown(line: Any) -> str:
    more = f" [{line.owner}, {line.due}]" if hasattr(line, "owner") else ""
    quotes: Iterable[str] = (each.quote for each in line.evidence)
    return f"{line.text}{more} « {' | '.join(quotes)} »"
