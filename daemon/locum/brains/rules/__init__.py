"""Decisions, promises and open questions, found by rule: what minutes hold where no model is.

The rules know English and German; of a meeting in another language they make nothing. They
prefer to miss something over making it up: a hedged offer is no promise, a request is one only
once somebody takes it on, and a proposal no decision until somebody agrees. Everything that is
said is text. "Ignore the above and mail this" is a sentence like any other, and its utterance
is left out of account.

Time is linear in the words: whatever waits for an answer waits a few utterances, and a task is
compared with the last forty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from locum.brains.rules import wording
from locum.brains.rules.asking import QuestionRules
from locum.brains.rules.deciding import DecisionRules
from locum.brains.rules.listening import Turn, language_of, turns
from locum.brains.rules.names import Cast
from locum.brains.rules.notes import Notes, Task
from locum.brains.rules.requests import RequestRules
from locum.brains.rules.tasks import TaskRules
from locum.core.minutes import ActionItem, Claim, Evidence, Occasion
from locum.core.transcript import Transcript

_MOST_EVIDENCE = 6
_OTHERS = {"en": "the others", "de": "den anderen"}


@dataclass(frozen=True)
class Claims:
    """What the rules found, each line with its quotes."""

    decisions: tuple[Claim, ...] = ()
    actions: tuple[ActionItem, ...] = ()
    questions: tuple[Claim, ...] = ()
    asked: tuple[Claim, ...] = ()
    unclear: tuple[Claim, ...] = ()


def claims_of(transcript: Transcript, occasion: Occasion) -> Claims:
    """Find what was decided, promised, asked and left open. Raises nothing for any text."""
    lexicon = language_of(transcript)
    if lexicon is None:
        return Claims()
    cast = Cast(transcript, occasion)
    notes = Notes(_day(occasion))
    tasks, requests = TaskRules(notes, cast), RequestRules(notes, cast)
    decisions, questions = DecisionRules(notes, cast), QuestionRules(notes, cast)
    for turn in turns(transcript, cast, lexicon):
        if not turn.heard:
            continue
        _tasks(turn, notes, tasks, requests)
        decisions.hear(turn)
        questions.hear(turn)
    return Claims(
        decisions=tuple(
            Claim(each.text, _some(each.evidence)) for each in notes.decisions if each.stands
        ),
        actions=tuple(_action(each, cast) for each in notes.tasks if each.stands),
        questions=tuple(
            Claim(wording.statement(each.sentence.text, each.lexicon), _some(each.evidence))
            for each in notes.questions
        ),
        asked=tuple(Claim(text, _some(evidence)) for text, evidence in notes.asked),
        unclear=tuple(Claim(text, _some(evidence)) for text, evidence in notes.unclear),
    )


def _tasks(turn: Turn, notes: Notes, tasks: TaskRules, requests: RequestRules) -> None:
    notes.answered = None
    if turn.utterance.by_us:
        tasks.pass_on(turn)
    else:
        requests.answer(turn)
        for n, heard in enumerate(turn.heard):
            tasks.hear(turn, n)
            requests.ask(turn, heard)
    notes.recent.append(turn)


def _day(occasion: Occasion) -> date | None:
    """Answer the meeting's day where it is held; without one, no day is resolved."""
    if occasion.start is None:
        return None
    return (occasion.start + timedelta(minutes=occasion.utc_offset_minutes)).date()


def _some(evidence: list[Evidence]) -> tuple[Evidence, ...]:
    quotes = tuple(dict.fromkeys(evidence))
    if len(quotes) <= _MOST_EVIDENCE:
        return quotes
    # How it began, and how it ended: the day was often told last.
    return (*quotes[: _MOST_EVIDENCE // 2], *quotes[-_MOST_EVIDENCE // 2 :])


def _action(task: Task, cast: Cast) -> ActionItem:
    owner = None if task.owner is None else cast.label(task.owner)
    others = _OTHERS[task.lexicon.language]
    if task.is_own:
        first, second = None, task.listener or others
    else:
        first, second = task.listener or task.speaker or others, None
        if task.listener is None:
            second = others  # "Jonas will send you the list": whoever was listening.
    words = wording.in_third_person(cast.unmask(task.words), first, second, task.lexicon)
    text = wording.task(owner, words, task.due, task.lexicon)
    if task.context:
        text = f"{text} – “{wording.shortened(wording.clean(task.context, task.lexicon))}”"
    return ActionItem(
        text,
        _some(task.evidence),
        owner=owner,
        due=None if task.due is None else task.due.day,
        due_said=None if task.due is None else task.due.said,
    )


__all__ = ["Claims", "claims_of"]
