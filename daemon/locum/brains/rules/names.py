"""Who is meant: the names of a meeting, found in what was said and put in their place.

Patterns are written for people in general (`@3@`); a name is put back where a line is worded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from locum.core.minutes import Occasion
from locum.core.transcript import Transcript

WHO = r"@(?P<who>\d+)@"

_MOST_NAMES = 400
_TITLES = frozenset(
    (
        "herr",
        "frau",
        "mr",
        "mr.",
        "mrs",
        "mrs.",
        "ms",
        "ms.",
        "dr",
        "dr.",
        "prof",
        "prof.",
        "sir",
        "the",
    )
)
_NEVER = frozenset(
    [
        "it",
        "that",
        "this",
        "they",
        "we",
        "he",
        "she",
        "what",
        "who",
        "which",
        "there",
        "everybody",
        "everyone",
        "somebody",
        "someone",
        "nobody",
        "i",
        "you",
        "then",
        "and",
        "but",
        "so",
        "or",
        "if",
        "when",
        "how",
        "why",
        "where",
        "here",
        "these",
        "those",
        "now",
        "today",
        "tomorrow",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "nothing",
        "something",
        "anything",
        "everything",
        "people",
        "one",
        "yes",
        "no",
        "okay",
        "well",
        "also",
        "maybe",
        "hopefully",
        "things",
    ]
)
_STRANGER = re.compile(
    r"(?:(?<=^)|(?<=[,;:.] )|(?<=\band )|(?<=\bthat )|(?<=\bso )|(?<=\bthen )|(?<=\bcolleague ))"
    r"(?P<name>[A-Z][a-zà-ÿ]{1,20})(?=(?: will|'ll| is going to| is gonna| has to| needs to) )"
    r"|(?<=\bhave )(?P<had>[A-Z][a-zà-ÿ]{1,20})(?= \w+ )"
    r"|(?P<herr>(?:Herr|Frau|Mr\.|Mrs\.|Ms\.|Dr\.) [A-ZÄÖÜ][\wäöüß-]{1,30})"
)


class Cast:
    """The people of one meeting, by any of the names they go by."""

    def __init__(self, transcript: Transcript, occasion: Occasion) -> None:
        self._labels: list[str] = []
        self._index: dict[str, int] = {}
        self._by_alias: dict[str, int | None] = {}
        self.owner = occasion.owner
        heard = dict.fromkeys(u.who for u in transcript.utterances if u.who and not u.by_us)
        speakers = [who for who in heard if who != occasion.stand_in][:_MOST_NAMES]
        for label in speakers:
            self._enrol(label)
        if occasion.owner:
            self._enrol(occasion.owner)
        for person in occasion.people[:_MOST_NAMES]:
            if person.name:
                self._enrol(person.name)
        self.stand_in: int | None = None
        if occasion.stand_in:
            self.stand_in = self._enrol(occasion.stand_in.split("(")[0].strip() or "stand-in")
        self._is_cased = any(
            char.isupper() for u in transcript.utterances[:200] for char in u.text
        )
        self._pattern = self._compiled()
        self._misspelt = self._misspellings()

    def _enrol(self, label: str) -> int:
        known = self._known(label)
        if known is not None:
            self._by_alias.setdefault(label.casefold(), known)
            return known
        index = len(self._labels)
        self._labels.append(label)
        self._index[label] = index
        for alias in _aliases(label):
            # A first name that two people share says neither.
            taken = self._by_alias.get(alias, index)
            self._by_alias[alias] = index if taken == index else None
        self._by_alias[label.casefold()] = index
        return index

    def _known(self, label: str) -> int | None:
        if label in self._index:
            return self._index[label]
        bare = label.split("(", maxsplit=1)[0].strip()
        whole = self._by_alias.get(bare.casefold())
        if whole is not None:
            return whole
        # "Alex" in the room is "Alex Weber" in the calendar, where only one Alex is about.
        first = self._by_alias.get(_bare(bare).split(" ")[0].casefold())
        if first is not None and (" " not in self._labels[first] or " " not in bare):
            return first
        return None

    def label(self, index: int) -> str:
        return self._labels[index]

    def index_of(self, label: str) -> int | None:
        return self._index.get(label, self._by_alias.get(label.casefold()))

    @property
    def owner_index(self) -> int | None:
        return self.index_of(self.owner) if self.owner else None

    def _compiled(self) -> re.Pattern[str] | None:
        aliases = sorted((a for a, i in self._by_alias.items() if i is not None), key=len)
        if not aliases:
            return None
        alternatives = "|".join(re.escape(alias) for alias in reversed(aliases))
        return re.compile(rf"(?<![\w@.-])(?:{alternatives})(?![\w@-])", re.IGNORECASE)

    def _misspellings(self) -> re.Pattern[str] | None:
        """Find the owner's first name with one letter wrong: captions seldom know names."""
        first = _bare(self.owner).split(" ")[0] if self.owner else ""
        if len(first) < 4:
            return None
        return re.compile(rf"\b[A-Z]\w{{{len(first) - 2},{len(first)}}}\b")

    def mask(self, text: str) -> str:
        """Put people's numbers for their names: "Dana, can you" becomes "@3@, can you"."""
        text = text.replace("@", "＠").replace("’", "'").replace("‘", "'")
        if self._pattern is not None:
            text = self._pattern.sub(self._put, text)
        if self._misspelt is not None:
            text = self._misspelt.sub(self._put_owner, text)
        return _STRANGER.sub(self._put_stranger, text)

    def _put(self, match: re.Match[str]) -> str:
        word = match[0]
        # "grace" and "will" are words too, unless nothing here is capitalised.
        if self._is_cased and not word[0].isupper():
            return word
        index = self._by_alias.get(word.casefold())
        return word if index is None else f"@{index}@"

    def _put_owner(self, match: re.Match[str]) -> str:
        first = _bare(self.owner).split(" ")[0]
        index = self.owner_index
        if index is None or not _differ_by_one(match[0].casefold(), first.casefold()):
            return match[0]
        return f"@{index}@"

    def _put_stranger(self, match: re.Match[str]) -> str:
        name = match["name"] or match["had"] or match["herr"]
        if name.casefold() in _NEVER or len(self._labels) > 4 * _MOST_NAMES:
            return name
        index = self._index.get(name)
        if index is None:
            index = len(self._labels)
            self._labels.append(name)
            self._index[name] = index
        return f"@{index}@"

    def unmask(self, text: str) -> str:
        def put_back(match: re.Match[str]) -> str:
            index = int(match["who"])
            return self._labels[index] if index < len(self._labels) else match[0]

        return re.sub(WHO, put_back, text).replace("＠", "@")

    def named(self, masked: str) -> Iterator[int]:
        for match in re.finditer(WHO, masked):
            if int(match["who"]) < len(self._labels):
                yield int(match["who"])


def _bare(label: str) -> str:
    words = label.split("(", maxsplit=1)[0].split()
    while len(words) > 1 and words[0].casefold() in _TITLES:
        words.pop(0)
    return " ".join(words)


def _aliases(label: str) -> Iterable[str]:
    bare = label.split("(", maxsplit=1)[0].strip()
    words = _bare(bare).split()
    yield bare.casefold()
    if not words:
        return
    has_title = len(bare.split()) > len(words)
    if len(words[0]) > 1:
        yield words[0].casefold()
    if has_title:
        yield words[-1].casefold()
    elif len(words) > 1:
        for title in ("herr", "frau", "mr.", "mrs.", "ms.", "dr."):
            yield f"{title} {words[-1].casefold()}"


def _differ_by_one(one: str, other: str) -> bool:
    if one == other:
        return True
    if len(one) == len(other):
        return sum(a != b for a, b in zip(one, other, strict=True)) == 1
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return len(longer) - len(shorter) == 1 and any(
        longer[:n] + longer[n + 1 :] == shorter for n in range(len(longer))
    )
