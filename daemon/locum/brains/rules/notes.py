"""What a meeting has come to so far: things still pending, and those that stand."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from datetime import date

from locum.brains.rules.lexicon import Lexicon
from locum.brains.rules.listening import Turn
from locum.brains.rules.sentences import Sentence
from locum.core.minutes import Evidence
from locum.core.when import Due, resolve_due

MOST = 400
"""Lines of one kind: of a day's shouting, no more is kept."""

_PATIENCE = 5  # Utterances: how long a question waits for somebody to say "sure".
_SAME = 0.6  # So much of the shorter one's words in common: it is the same task, told again.


@dataclass(eq=False)
class Task:
    """`owner` is a person's number, or None; `stands` is False until somebody takes it on."""

    owner: int | None
    words: str  #: Masked, beginning with the verb.
    due: Due | None
    evidence: list[Evidence]
    place: int
    speaker: str
    listener: str | None
    lexicon: Lexicon
    keys: frozenset[str]
    stands: bool = True
    is_own: bool = True  #: Whether the words are the owner's own: who "I" and "you" are.
    context: str = ""  #: What was said before it, where it says too little alone.

    def extend(self, *evidence: Evidence) -> None:
        self.evidence.extend(each for each in evidence if each not in self.evidence)


@dataclass(eq=False)
class Request:
    asker: str
    addressee: int | None
    words: str
    due: Due | None
    evidence: list[Evidence]
    place: int
    lexicon: Lexicon
    keys: frozenset[str]
    is_group: bool = False  #: "We need to …": anybody may take it.
    is_need: bool = False  #: It stands by itself, with no owner, if nobody does.
    is_open: bool = True
    context: str = ""
    is_when: bool = False  #: "When can we have it?": a day is an answer.


@dataclass(eq=False)
class Proposal:
    sentence: Sentence
    words: str
    keys: frozenset[str]
    place: int
    lexicon: Lexicon
    is_open: bool = True
    is_question: bool = False


@dataclass(eq=False)
class Decision:
    text: str
    evidence: list[Evidence]
    keys: frozenset[str]
    place: int
    stands: bool = True


@dataclass(eq=False)
class Question:
    sentence: Sentence
    lexicon: Lexicon
    place: int
    replies: int = 0
    is_open: bool = False
    evidence: list[Evidence] = field(default_factory=list)


@dataclass
class Notes:
    """The lists that stand are bounded, those that wait short: time stays linear."""

    on: date | None
    tasks: list[Task] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    asked: list[tuple[str, list[Evidence]]] = field(default_factory=list)
    unclear: list[tuple[str, list[Evidence]]] = field(default_factory=list)
    requests: deque[Request] = field(default_factory=lambda: deque(maxlen=8))
    proposals: deque[Proposal] = field(default_factory=lambda: deque(maxlen=6))
    offers: deque[Task] = field(default_factory=lambda: deque(maxlen=4))
    pending: deque[Question] = field(default_factory=lambda: deque(maxlen=4))

    recent: deque[Turn] = field(default_factory=lambda: deque(maxlen=6))  #: The last turns.
    answered: Task | None = None  #: What the turn that is being heard has taken on.

    def recent_tasks(self, count: int = 40) -> list[Task]:
        return self.tasks[-count:]

    def waiting(self, turn: Turn) -> list[Request]:
        """Answer what was asked lately and not yet answered, the last first."""
        return [
            each
            for each in reversed(self.requests)
            if each.is_open and turn.place - each.place <= _PATIENCE
        ]

    def same(self, owner: int | None, about: frozenset[str]) -> Task | None:
        """Answer the task that is told again."""
        for task in reversed(self.recent_tasks()):
            if task.owner != owner or not task.stands:
                continue
            common = len(task.keys & about)
            if overlap(task.keys, about) >= _SAME and common >= min(2, len(about)):
                return task
        return None

    def add(self, task: Task) -> Task:
        if len(self.tasks) < MOST:
            self.tasks.append(task)
        return task

    def drop_need(self, request: Request) -> None:
        """Strike "we need to …" once it is somebody's, or nobody's any more."""
        for task in self.recent_tasks(6):
            if task.owner is None and task.evidence[0] == request.evidence[0]:
                task.stands = False

    def due(self, text: str) -> Due | None:
        return None if self.on is None else resolve_due(text, on=self.on)


def keys(masked: str, lexicon: Lexicon) -> frozenset[str]:
    """Answer what a sentence is about: its words' beginnings, without the common ones."""
    found = re.findall(r"[^\W_]{3,}", re.sub(r"@\d+@", " ", masked).casefold())
    return frozenset(word[:6] for word in found if word not in lexicon.stop)


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0
