"""By what names are we called, and are they among these words, be they misheard?

A recogniser spells a name as it likes ("Robyn", "robbing"), and takes many a word for it. So a
word is a name's for sure where it sounds the same and is spelt nearly so, and near to it where
one letter differs; whoever uses that asks for more signs.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from locum.core.address_words import ALSO_WORDS, COMMON, NICKNAMES, ROLES, word_set

_LONGEST_NAME = 200
_SHORTEST = 2
_ASIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\s[|–—]\s.*$")
_NO_NAMES = ROLES | word_set("the for of von der die das im a an my stand in mr mrs ms dr")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_WITHOUT_BLANKS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
"""Scripts whose words stand without blanks, or whose names carry endings."""


class Fit(enum.IntEnum):
    """How well a word fits a name."""

    NOT = 0
    NEAR = 1
    SURE = 2


@dataclass(frozen=True)
class Names:
    """What we are called, and the one we stand in for. `tile` is our name as the room shows it."""

    tile: str
    ours: tuple[str, ...]
    owners: tuple[str, ...] = ()

    @classmethod
    def of(cls, display_name: str, owner: str = "", *, also: tuple[str, ...] = ()) -> Names:
        """Take them from the persona's display name and its owner's; `also` are more of ours.

        First names, family names and the usual short forms of first names are all taken.
        """
        ours = [*_words_of(display_name), *(word for each in also for word in _words_of(each))]
        owners = [each for each in _words_of(owner) if each not in ours]
        return cls(display_name, _with_short_forms(ours), _with_short_forms(owners))

    @cached_property
    def spoken(self) -> tuple[_Spoken, ...]:
        return tuple(_Spoken(each, sound_of(each)) for each in (*self.ours, *self.owners))

    @cached_property
    def whole(self) -> frozenset[str]:
        return frozenset((*self.ours, *self.owners))

    @cached_property
    def unbroken(self) -> tuple[str, ...]:
        """Names in a script that has no blanks between words."""
        return tuple(each for each in self.whole if _WITHOUT_BLANKS.search(each))

    def is_ours(self, word: str) -> bool:
        """Whether `word`, folded, is one of our own names, and not our owner's."""
        if word.removesuffix("s") in self.owners or word in self.owners:
            return False
        return word in self.ours or (self.fit(word) is not Fit.NOT and self._nearest_ours(word))

    def _nearest_ours(self, word: str) -> bool:
        sound = sound_of(word)
        own, owner = (
            max(
                (_Spoken(each, sound_of(each)).fit(word, sound) for each in part),
                default=Fit.NOT,
            )
            for part in (self.ours, self.owners)
        )
        return own >= owner

    def fit(self, word: str) -> Fit:
        """Answer how well `word`, folded, fits any of the names."""
        if word in self.whole:
            return Fit.SURE
        if len(word) <= _SHORTEST or word in COMMON or word in ALSO_WORDS:
            return Fit.NOT
        sound = sound_of(word)
        return max((each.fit(word, sound) for each in self.spoken), default=Fit.NOT)


@dataclass(frozen=True)
class _Spoken:
    word: str
    sound: str

    def fit(self, word: str, sound: str) -> Fit:
        size = len(self.word)
        if abs(size - len(word)) > 2 or not sound or sound[0] != self.sound[:1]:
            return Fit.NOT
        if size <= 3:
            return Fit.SURE if sound == self.sound and word[0] == self.word[0] else Fit.NOT
        apart = distance(self.word, word, most=2)
        if sound == self.sound and apart <= (1 if size == len(word) == 4 else 2):
            return Fit.SURE
        if apart == 1 and distance(self.sound, sound, most=1) <= 1:
            return Fit.NEAR
        return Fit.NOT


def folded(text: str) -> str:
    """Answer it in lower case, without accents and what can't be seen."""
    spread = unicodedata.normalize("NFKD", text).casefold()
    kept = (
        c for c in spread if not (unicodedata.combining(c) and not "\u3099" <= c <= "\u309a")
    )
    return unicodedata.normalize(
        "NFC", "".join(c for c in kept if unicodedata.category(c) != "Cf")
    )


def _words_of(name: str) -> list[str]:
    shown = _ASIDE.sub(" ", unicodedata.normalize("NFKC", name[:_LONGEST_NAME])).casefold()
    words: list[str] = []
    for each in re.findall(r"[^\W\d_]+", re.sub(r"['’]s\b|['’]", "", shown)):
        spelt = dict.fromkeys((folded(each), folded(each.translate(_UMLAUTS))))
        long = (word for word in spelt if len(word) >= _SHORTEST or not word.isascii())
        words += [word for word in long if word not in _NO_NAMES]
    return words


def _with_short_forms(words: Sequence[str]) -> tuple[str, ...]:
    first = words[:1]
    more = [
        each
        for group in NICKNAMES
        if group.intersection(first)
        for each in sorted(group)
        # Of "Alex" one doesn't know what it is short for; whoever is Alexander is Alex too.
        if len(each) < len(first[0])
    ]
    return tuple(dict.fromkeys((*words, *more)))


_SPELLINGS = (
    (re.compile(r"tsch|sch|tch|sh|ch(?=[aeiouy])"), "x"),
    (re.compile(r"ph|pf|v|w"), "f"),
    (re.compile(r"ng\b|gn\b|kn"), "n"),
    (re.compile(r"gh(?=t|\b)"), ""),
    (re.compile(r"wr|rh"), "r"),
    (re.compile(r"c(?=[eiy])|z|ss|ts"), "s"),
    (re.compile(r"ch|ck|c|q|g"), "k"),
    (re.compile(r"d|th"), "t"),
    (re.compile(r"b"), "p"),
    (re.compile(r"j"), "i"),
)


def sound_of(word: str) -> str:
    """Answer what of a folded word's sound recognisers keep: roughly its consonants.

    Voiced and voiceless ones count as the same, and all vowels at the beginning too.
    """
    if not word.isascii():
        return word
    text = word.replace("x", "ks")
    for pattern, sound in _SPELLINGS:
        text = pattern.sub(sound, text)
    first = "a" if text[:1] in {*"aeiouyh"} and text[:1] else text[:1]
    rest = re.sub(r"[aeiouyh]", "", text[1:])
    return re.sub(r"(.)\1+", r"\1", first + rest)


def distance(one: str, other: str, *, most: int) -> int:
    """Answer how many letters must be changed, added, left out or swapped; above `most`, more.

    The "optimal string alignment" distance, of at most `most` + 1.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        beyond, before = before, row
        row = [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, beyond[j - 2] + 1)
            row.append(best)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
