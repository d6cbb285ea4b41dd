"""What a language says when somebody promises, asks, agrees or takes back.

All patterns are searched in one sentence, with people's names masked (see `names`). Where a
pattern has the group `vp`, it is what is to be done.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def phrase(*alternatives: str) -> re.Pattern[str]:
    """Compile alternatives. Their groups `vp` and `who` are numbered: `re` wants names once."""
    numbers = itertools.count()
    pattern = "|".join(f"(?:{each})" for each in alternatives)
    pattern = re.sub(r"\(\?P<(vp|who)>", lambda m: f"(?P<{m[1]}{next(numbers)}>", pattern)
    return re.compile(pattern, re.IGNORECASE)


@dataclass(frozen=True)
class Lexicon:
    language: str
    marks: frozenset[str]  #: Words that no other language has, to tell it by.
    stop: frozenset[str]  #: Words that don't say what a sentence is about.
    disfluent: re.Pattern[str]  #: Sounds between words, in the way of every other pattern.
    filler: re.Pattern[str]  #: What a line reads better without.
    commit: re.Pattern[str]  #: Where a promise begins; the rest of its clause follows.
    weak_commit: re.Pattern[str]  #: A promise only as an answer, or with a day.
    late_commit: re.Pattern[str]  #: One that tells the thing's end: "you'll have it by Friday".
    hedge: re.Pattern[str]
    no_task: re.Pattern[str]  #: How a clause begins that is talk, not work.
    vague: re.Pattern[str]  #: A clause that only points at what was asked.
    clause_end: re.Pattern[str]
    report_back: re.Pattern[str]  #: Part of the promise before it.
    take: re.Pattern[str]  #: Takes on what was asked, as a whole sentence.
    request: re.Pattern[str]
    no_request: re.Pattern[str]  #: Done at once, in the meeting: "can you hear me?"
    need: re.Pattern[str]  #: Somebody must, nobody named.
    weak_need: re.Pattern[str]
    no_need: re.Pattern[str]
    work: re.Pattern[str]  #: What somebody can be seen to do, so that "we must" is a task.
    assign: re.Pattern[str]
    offer: re.Pattern[str]  #: "I can ask Joachim": a promise once somebody wants it.
    offer_taken: re.Pattern[str]
    who_takes: re.Pattern[str]
    accept: re.Pattern[str]
    refuse: re.Pattern[str]
    retract: re.Pattern[str]
    done: re.Pattern[str]
    decide: re.Pattern[str]
    propose: re.Pattern[str]
    no_proposal: re.Pattern[str]
    sealed: re.Pattern[str]  #: "That's decided": of what was said just before.
    object: re.Pattern[str]
    reverse: re.Pattern[str]
    undecided: re.Pattern[str]
    dunno: re.Pattern[str]
    left_open: re.Pattern[str]  #: A statement that leaves a question.
    small_question: re.Pattern[str]
    asked: re.Pattern[str]
    not_asked: re.Pattern[str]
    unclear: re.Pattern[str]
    short_date: str
    by: str
    months: tuple[str, ...]
    weekdays: tuple[str, ...]


INJECTION = re.compile(
    r"\bignor\w* (?:all |any |the |everything |alle |die )*(?:previous|above|prior|earlier|"
    r"instructions?|rules|vorherigen|obigen|bisherigen|anweisungen)|"
    r"\b(?:system|assistant|developer) ?(?:prompt|message|mode)\b|^\W*(?:system|assistant)\s*:|"
    r"\bSYSTEM:|\bnew instructions\b|\bneue anweisungen\b|\byou are now\b|\bdu bist (?:jetzt|nun)\b|"
    r"\bforget (?:all |your |the |everything )+(?:rules|instructions|above)|"
    r"\bvergiss (?:alle |deine |die )*(?:regeln|anweisungen)|"
    r"\badd an? (?:action item|decision|task)\b|\bmark (?:it|this|that) as a decision\b|"
    r"</?\w+[^>]{0,200}>|\b(?:mail|send|forward) (?:this|the) (?:transcript|summary|minutes) to \S+＠|"
    r"\bdisregard (?:all|the|your|any)\b",
    re.IGNORECASE,
)
"""Words meant for the machine. Whoever says them is not assigning work to anybody."""
