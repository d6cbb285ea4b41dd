"""What the stand-in itself knows that minutes must have: what it took along, and what it promised.

Both stand in the minutes whoever wrote them, each with the words that were heard. What was taken
along was noted the moment it was; what was promised follows from what was really said: it was held
to the mandate before, so any promise of ours was one that it may make, or the owner's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

from locum.core.commitments import same_person
from locum.core.minutes import (
    ActionItem,
    Claim,
    Evidence,
    Minutes,
    Occasion,
    hold_to_evidence,
)
from locum.core.promising import Bond, Speech, bond_in
from locum.core.stems import content_stems
from locum.core.transcript import Deferral, Transcript, Utterance
from locum.core.when import resolve_due

_SENTENCE = re.compile(r"[^.!?…]+(?:[.](?=\S)[^.!?…]*)*[.!?…]*")
_BEFORE, _AFTER = timedelta(minutes=2), timedelta(seconds=10)
_LIKE = 0.5
_MOST = 100


def with_ours(
    minutes: Minutes,
    transcript: Transcript,
    deferrals: Sequence[Deferral],
    occasion: Occasion,
) -> Minutes:
    """Add what was taken along to what was asked, and what was promised to the owner's actions.

    What a transcript doesn't have isn't added; what the minutes have already isn't twice.
    """
    made = replace(
        minutes,
        asked=(*minutes.asked, *_asked(minutes, transcript, deferrals[:_MOST])),
        actions=(*minutes.actions, *_promised(minutes, transcript, occasion)),
    )
    held = hold_to_evidence(made, transcript)
    # What isn't there was never a claim of whoever wrote the minutes.
    return replace(held, dropped=minutes.dropped)


def _asked(
    minutes: Minutes, transcript: Transcript, deferrals: Sequence[Deferral]
) -> Iterator[Claim]:
    told = {evidence.utterance for claim in minutes.asked for evidence in claim.evidence}
    for each in deferrals:
        found = _heard(each, transcript)
        if found is None or found.utterance in told:
            continue
        told.add(found.utterance)
        who = transcript.by_id[found.utterance].who or each.by
        text = " ".join(each.question.split())
        yield Claim(f"{who}: {text}" if who else text, (found,))


def _heard(deferral: Deferral, transcript: Transcript) -> Evidence | None:
    """Find the words: as they were heard then, or as a better source has them now."""
    claim = Claim(deferral.question or "…", (Evidence("", deferral.question),))
    others = Transcript(tuple(u for u in transcript.utterances if not u.by_us))
    held = hold_to_evidence(Minutes("", asked=(claim,)), others).asked
    if held:
        return held[0].evidence[0]
    best = max(others.utterances, key=lambda each: _likeness(each, deferral), default=None)
    if best is None or _likeness(best, deferral) < _LIKE:
        return None
    return Evidence(best.id, best.text)


def _likeness(utterance: Utterance, deferral: Deferral) -> float:
    """Answer how much of what was asked stands in an utterance of about that moment."""
    if utterance.at is None or not -_BEFORE <= utterance.at - deferral.at <= _AFTER:
        return 0.0
    if utterance.who and deferral.by and not same_person(utterance.who, deferral.by):
        return 0.0
    wanted = frozenset(content_stems(deferral.question))
    shared = wanted & frozenset(content_stems(utterance.text))
    return len(shared) / len(wanted) if wanted else 0.0


def _promised(
    minutes: Minutes, transcript: Transcript, occasion: Occasion
) -> Iterator[ActionItem]:
    told = {evidence.utterance for item in minutes.actions for evidence in item.evidence}
    number = 0
    for utterance in transcript.utterances:
        if not utterance.by_us or utterance.id in told:
            continue
        day = _day(utterance, occasion)
        for sentence in _SENTENCE.findall(utterance.text):
            if not occasion.owner or not _is_promise(sentence, occasion.owner, day):
                continue
            number += 1
            if number > _MOST:
                return
            due = resolve_due(sentence, on=day)
            yield ActionItem(
                f"{sentence.strip()} (said by the stand-in)",
                (Evidence(utterance.id, sentence.strip()),),
                owner=occasion.owner,
                due=None if due is None else due.day,
                due_said=None if due is None else due.said,
            )


def _is_promise(sentence: str, owner: str, day: date) -> bool:
    bond = bond_in(sentence, Speech(owner, day))
    return bond in {Bond.PROMISE, Bond.CONSENT}


def _day(utterance: Utterance, occasion: Occasion) -> date:
    at = utterance.at or occasion.start
    if at is None:
        return date(2000, 1, 3)
    return (at + timedelta(minutes=occasion.utc_offset_minutes)).date()
