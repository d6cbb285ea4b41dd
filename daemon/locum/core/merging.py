"""Makes one transcript of what several sources heard of one meeting.

The most trusted source's words stand as they are. From the others is taken what only they
have, in their own words, and what the trusted one leaves open: who spoke, and when. A word or
two more or less within what both heard is what ears differ in, and no utterance of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from locum.core.alignment import (
    Match,
    Trusted,
    instant_of_word,
    pieces_of,
    skew,
    words_of,
)
from locum.core.rough import without_rough
from locum.core.speakers import may_be_same
from locum.core.transcript import Source, Transcript, Utterance, numbered

_REVISED_WITHIN = timedelta(seconds=1)
_LOOKED_BACK = 8
"""How many captions back a revised one is looked for: few people speak at once."""

_CLOSING = ".,;:!?…\"'”’»)]}。、！？"


def merged(utterances: Iterable[Utterance]) -> Transcript:
    """Merge what is known of one meeting, from any number of sources, into one transcript.

    Ordered by time; what has no instant stands behind what it was given behind. Nothing that
    only one source has is lost, nothing that two have stands twice, and merging the outcome
    again changes nothing. A source whose clock differs is put right by what others heard too.
    What was written in the chat is nobody's repeat. What was heard roughly makes way for what
    was heard better.
    """
    all_given = tuple(utterances)
    if all(each.id == f"u{place}" for place, each in enumerate(all_given, start=1)):
        # Merged already, as its names say. What of it two sources said twice on purpose would
        # look like a repeat now that all else that they agree on is one.
        return Transcript(all_given)
    given = [
        _Item(utterance, place) for place, utterance in enumerate(without_rough(all_given))
    ]
    went: dict[int, _Item] = {}
    whole: list[_Item] = []
    for source in (*(each for each in Source if each is not Source.CHAT), Source.CHAT):
        items = _tidied([each for each in given if each.utterance.source is source], went)
        if items:
            whole = _joined(whole, items, went, matching=source is not Source.CHAT)
    return numbered([each.utterance for each in whole])


@dataclass(eq=False)
class _Item:
    """An utterance on its way; `place` is where it was given.

    What is a part of one (`is_part`) stands behind what the rest of it repeats.
    """

    utterance: Utterance
    place: int
    is_part: bool = False


# ── one source ───────────────────────────────────────────────────────────────────────────


def _tidied(items: Sequence[_Item], went: dict[int, _Item]) -> list[_Item]:
    """Put a source in order, without what it told twice or has revised since."""
    kept: list[_Item] = []
    known: dict[object, _Item] = {}
    for item in items:
        utterance = item.utterance
        if not utterance.text.strip():
            continue
        told = (utterance.speaker, utterance.text, utterance.at or utterance.id or item.place)
        if told in known:
            went[item.place] = known[told]
            continue
        known[told] = item
        revised = _revised_by(item, kept) if utterance.source is Source.CAPTIONS else None
        if revised is None:
            kept.append(item)
            went[item.place] = item
        else:
            revised.utterance = _revision(revised.utterance, utterance)
            went[item.place] = revised
    return _ordered(kept)


def _revised_by(item: _Item, kept: Sequence[_Item]) -> _Item | None:
    """Answer the caption that is the same line at another time: one grows out of the other."""
    new = item.utterance
    for before in reversed(kept[-_LOOKED_BACK:]):
        old = before.utterance
        if old.speaker != new.speaker or old.at is None or new.at is None:
            continue
        began_together = abs(new.at - old.at) <= _REVISED_WITHIN
        if began_together and _grows(old.text, new.text):
            return before
    return None


def _grows(one: str, other: str) -> bool:
    """Whether the longer of two texts begins as the shorter does, but for words heard anew."""
    short, long = sorted((words_of(one), words_of(other)), key=len)
    same = sum(a.plain == b.plain for a, b in zip(short, long, strict=False))
    return bool(short) and same >= len(short) / 2


def _revision(old: Utterance, new: Utterance) -> Utterance:
    """Answer the later text of a caption; one that shrank was cut off on its way."""
    chosen = new if len(words_of(new.text)) >= len(words_of(old.text)) else old
    ends = [each.until for each in (old, new) if each.until is not None]
    return replace(chosen, at=old.at, until=max(ends, default=None))


def _ordered(items: Sequence[_Item]) -> list[_Item]:
    """Order by time; what has none stays behind what it stands behind."""
    instants = _instants(items)
    return [items[n] for n in sorted(range(len(items)), key=lambda n: (instants[n], n))]


def _instants(items: Sequence[_Item]) -> list[float]:
    found: list[float] = []
    last = float("-inf")
    for item in items:
        if item.utterance.at is not None:
            last = item.utterance.at.timestamp()
        found.append(last)
    return found


# ── one source beside what is known already ──────────────────────────────────────────────


def _joined(
    whole: list[_Item], added: list[_Item], went: dict[int, _Item], *, matching: bool
) -> list[_Item]:
    """Add to `whole` what it hasn't yet; `went` notes where each one given has gone."""
    spoken = [each for each in whole if each.utterance.source is not Source.CHAT]
    kept: list[tuple[_Item, _Item | None]] = [(item, None) for item in added]
    if matching and spoken:
        kept = _Joint(spoken, added, went).kept()
    return _inserted(_ordered(whole), kept, went)


class _Joint:
    """Lays one source beside the trusted ones."""

    def __init__(self, spoken: list[_Item], added: list[_Item], went: dict[int, _Item]) -> None:
        self._spoken = spoken
        self._added = added
        self._went = went
        ours = [each.utterance for each in spoken]
        self._shift = skew(ours, [each.utterance for each in added])
        self._trusted = Trusted(ours)

    def kept(self) -> list[tuple[_Item, _Item | None]]:
        """Answer what is new, each with the one before which it stands, if that is known."""
        found: list[tuple[_Item, _Item | None]] = []
        unplaced: list[int] = []
        for item in self._added:
            shifted = _shifted(item.utterance, self._shift)
            parts, owners = self._new_in(shifted)
            if owners:
                match = self._spoken[owners[-1]]
                self._went[item.place] = match
                self._learn(owners, shifted)
                for number in unplaced:
                    found[number] = (found[number][0], self._spoken[owners[0]])
                unplaced = []
            elif shifted.at is None and item is self._added[0]:
                # The others stand behind it.
                unplaced.append(len(found))
            for part in parts:
                piece = _Item(part, item.place, is_part=bool(owners))
                leads = bool(owners) and shifted.text.startswith(part.text)
                found.append((piece, self._spoken[owners[0]] if leads else None))
                if not owners:
                    self._went[item.place] = piece
        return found

    def _new_in(self, utterance: Utterance) -> tuple[list[Utterance], tuple[int, ...]]:
        """Answer what of an utterance is new, and whose the rest is."""
        spans: list[tuple[int, int]] = []
        owners: list[int] = []
        for piece in pieces_of(utterance, 0, timedelta(0)):
            match: Match | None = self._trusted.find(piece)
            if match is None:
                spans.append((piece.first, piece.first + len(piece.words)))
                continue
            owners += match.owners
            spans += [(piece.first + start, piece.first + end) for start, end in match.extra]
        if not owners:
            return [utterance], ()
        return _fragments(utterance, spans), tuple(dict.fromkeys(owners))

    def _learn(self, owners: Sequence[int], told: Utterance) -> None:
        """Take over what the trusted source leaves open, where the match is one to one."""
        for owner in owners:
            item = self._spoken[owner]
            known = item.utterance
            if known.at is None and told.at is not None:
                known = replace(known, at=told.at, until=told.until)
            if not known.speaker and told.speaker:
                known = replace(known, speaker=told.speaker, person=told.person)
            elif known.person is None and may_be_same(known.speaker, told.speaker):
                known = replace(known, person=told.person)
            item.utterance = replace(known, by_us=known.by_us or told.by_us)


def _shifted(utterance: Utterance, shift: timedelta) -> Utterance:
    if not shift or utterance.at is None:
        return utterance
    until = None if utterance.until is None else utterance.until + shift
    return replace(utterance, at=utterance.at + shift, until=until)


def _fragments(utterance: Utterance, spans: Sequence[tuple[int, int]]) -> list[Utterance]:
    """Cut out what is new, word for word; runs that touch are one."""
    words = words_of(utterance.text)
    runs: list[tuple[int, int]] = []
    for start, end in spans:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return [
        replace(
            utterance,
            text=_cut(utterance.text, words[start].start, words[end - 1].end),
            at=instant_of_word(utterance, start, len(words)),
            until=None
            if utterance.until is None
            else instant_of_word(utterance, end, len(words)),
        )
        for start, end in runs
    ]


def _cut(text: str, start: int, end: int) -> str:
    """Cut words out, with the marks that close them."""
    while end < len(text) and text[end] in _CLOSING:
        end += 1
    return text[start:end]


def _inserted(
    whole: list[_Item],
    kept: Sequence[tuple[_Item, _Item | None]],
    went: dict[int, _Item],
) -> list[_Item]:
    """Put each new item where it belongs: by its instant, or behind what it was given behind."""
    instants = _instants(whole)
    places = {id(item): place for place, item in enumerate(whole)}
    inserts: list[tuple[int, int, _Item]] = []
    for number, (item, successor) in enumerate(kept):
        if item.utterance.at is not None:
            place = bisect_right(instants, item.utterance.at.timestamp())
        elif successor is not None:
            place = places[id(successor)]
        else:
            place = _behind(item, went, places)
        places[id(item)] = place - 1
        inserts.append((place, number, item))
    inserts.sort(key=lambda entry: entry[:2])
    result: list[_Item] = []
    upcoming = 0
    for place in range(len(whole) + 1):
        while upcoming < len(inserts) and inserts[upcoming][0] == place:
            result.append(inserts[upcoming][2])
            upcoming += 1
        if place < len(whole):
            result.append(whole[place])
    return _ordered(result)


def _behind(item: _Item, went: dict[int, _Item], places: dict[int, int]) -> int:
    """Answer the place behind where the one given before it has gone."""
    for place in range(item.place - (not item.is_part), -1, -1):
        before = went.get(place)
        if before is not None and before is not item and id(before) in places:
            return places[id(before)] + 1
    return 0
