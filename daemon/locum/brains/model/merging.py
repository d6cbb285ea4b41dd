"""Brings the minutes of a meeting's parts together.

A model only says which claims belong together: what they say, and the quotes that prove it,
come from the parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from locum.brains.model.answers import SaidMerge
from locum.brains.model.windows import weight
from locum.core.minutes import ActionItem, Claim, Evidence, Minutes, Topic

_MOST_TLDR = 5
_MOST_EVIDENCE = 8
_SECTIONS = ("tldr", "decisions", "actions", "questions", "asked", "unclear")
_WITHDRAWABLE = ("decisions", "actions")

_ClaimT = TypeVar("_ClaimT", bound=Claim)


@dataclass(frozen=True)
class Entry:
    """A claim as the model is shown it."""

    id: str
    section: str
    claim: Claim

    @property
    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": self.id,
            "section": self.section,
            "text": self.claim.text,
        }
        if isinstance(self.claim, ActionItem):
            shown |= {"owner": self.claim.owner, "due_said": self.claim.due_said}
        return shown


def joined(parts: Sequence[tuple[Minutes, int]]) -> Minutes:
    """Put parts (with their weights) one after the other, and what is there twice together."""
    made = [minutes for minutes, _ in parts]
    spoken: Counter[str] = Counter()
    for minutes, size in parts:
        if minutes.language != "und":
            spoken[minutes.language] += size
    return replace(
        made[0],
        language=spoken.most_common(1)[0][0] if spoken else "und",
        tldr=_once(made, "tldr"),
        decisions=_once(made, "decisions"),
        actions=_once_actions(made),
        questions=_once(made, "questions"),
        asked=_once(made, "asked"),
        unclear=_once(made, "unclear"),
        topics=tuple(_seamless(topic for minutes in made for topic in minutes.topics)),
        dropped=sum(minutes.dropped for minutes in made),
    )


def entries_of(minutes: Minutes) -> tuple[Entry, ...]:
    """Name every claim that a merge could touch; the topics stay as they are."""
    found = [(section, claim) for section in _SECTIONS for claim in getattr(minutes, section)]
    return tuple(Entry(f"c{n}", section, claim) for n, (section, claim) in enumerate(found, 1))


def batches(entries: Iterable[Entry], max_words: int) -> tuple[tuple[Entry, ...], ...]:
    """Part entries into what can be read at once."""
    made: list[list[Entry]] = [[]]
    size = 0
    for entry in entries:
        cost = weight(entry.claim.text) + 8
        if made[-1] and size + cost > max_words:
            made.append([])
            size = 0
        made[-1].append(entry)
        size += cost
    return tuple(tuple(batch) for batch in made if batch)


def merged(minutes: Minutes, entries: Sequence[Entry], said: Iterable[SaidMerge]) -> Minutes:
    """Do what the model said of the entries, as far as it makes sense.

    What it calls withdrawn is moved to what is unclear, and not dropped: it may be wrong.
    """
    by_id = {entry.id: entry for entry in entries}
    tldr: list[Claim] = []
    gone: set[str] = set()
    kept: dict[str, Claim] = {entry.id: entry.claim for entry in entries}
    withdrawn: dict[str, None] = {}
    invented = 0
    for each in said:
        for sentence in each.tldr[:_MOST_TLDR]:
            proof = _evidence(by_id[name].claim for name in sentence.claims if name in by_id)
            if proof and sentence.text.strip():
                tldr.append(Claim(sentence.text, proof))
            else:
                invented += 1
        for group in each.same:
            _fold([by_id[n] for n in dict.fromkeys(group) if n in by_id], kept, gone)
        for name in each.withdrawn:
            if name in by_id and by_id[name].section in _WITHDRAWABLE:
                withdrawn[name] = None
    taken_back = tuple(
        Claim(kept[name].text, kept[name].evidence) for name in withdrawn if name not in gone
    )
    left = {
        section: tuple(
            kept[entry.id]
            for entry in entries
            if entry.section == section and entry.id not in gone and entry.id not in withdrawn
        )
        for section in _SECTIONS
    }
    return _with_sections(
        replace(minutes, dropped=minutes.dropped + invented),
        {
            **left,
            "tldr": tuple(tldr) or left["tldr"][:_MOST_TLDR],
            "unclear": (*left["unclear"], *taken_back),
        },
    )


def _with_sections(minutes: Minutes, found: Mapping[str, tuple[Claim, ...]]) -> Minutes:
    actions = tuple(each for each in found["actions"] if isinstance(each, ActionItem))
    return replace(
        minutes,
        tldr=found["tldr"],
        decisions=found["decisions"],
        actions=actions,
        questions=found["questions"],
        asked=found["asked"],
        unclear=found["unclear"],
    )


def _fold(group: Sequence[Entry], kept: dict[str, Claim], gone: set[str]) -> None:
    """Let one entry of a group stand for all: the one that knows most, else the last."""
    group = [each for each in group if each.id not in gone]
    if len(group) < 2 or len({each.section for each in group}) > 1:
        return
    claims = [kept[each.id] for each in group]
    owners = {each.owner for each in claims if isinstance(each, ActionItem)} - {None}
    if len(owners) > 1:
        return  # Two people's tasks are never one.
    best = max(range(len(group)), key=lambda n: (_known(claims[n]), n))
    kept[group[best].id] = replace(claims[best], evidence=_evidence(claims))
    gone.update(each.id for n, each in enumerate(group) if n != best)


def _known(claim: Claim) -> int:
    if not isinstance(claim, ActionItem):
        return 0
    return (claim.owner is not None) + (claim.due_said is not None)


def _evidence(claims: Iterable[Claim]) -> tuple[Evidence, ...]:
    found = dict.fromkeys(each for claim in claims for each in claim.evidence)
    return tuple(found)[:_MOST_EVIDENCE]


def _once(parts: Iterable[Minutes], section: str) -> tuple[Claim, ...]:
    return _unique(claim for minutes in parts for claim in getattr(minutes, section))


def _once_actions(parts: Iterable[Minutes]) -> tuple[ActionItem, ...]:
    return _unique(item for minutes in parts for item in minutes.actions)


def _unique(claims: Iterable[_ClaimT]) -> tuple[_ClaimT, ...]:
    return tuple({(each.text.casefold(), each.evidence): each for each in claims}.values())


def _seamless(topics: Iterable[Topic]) -> Iterator[Topic]:
    """Join a topic with the next one of the same title: a window ended in its middle."""
    held: Topic | None = None
    for topic in topics:
        if held is not None and held.title.casefold() == topic.title.casefold():
            points = (*held.points, *topic.points)
            held = replace(held, last=topic.last, ended_at=topic.ended_at, points=points)
            continue
        if held is not None:
            yield held
        held = topic
    if held is not None:
        yield held
