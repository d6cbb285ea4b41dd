"""Is it the same question still? What was thought ahead is said only if it is."""

from __future__ import annotations

import difflib
import re
import unicodedata

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_WEIGHTY = frozenset(
    ["no", "not", "never", "none", "without", "nicht", "kein", "keine", "nie", "ne", "pas"]
)
_NEARLY = 0.9
_ROUGHLY = 0.55
_MORE = 2
_LONGEST = 400  #: Words that are compared; of more, the last.


def same_question(guessed: str, final: str, *, rough: bool = False) -> bool:
    """Whether two hearings of one turn ask the same, so that one answer does for both.

    Nearly the same words do, unless a number or a "not" differs. Ears that hear `rough` words put
    others for the same sounds each time: of theirs it is enough that they are spelt alike, and are
    nearly as many.
    """
    ours, theirs = _words(guessed), _words(final)
    if ours == theirs:
        return bool(ours)
    if not ours or not theirs or _weighty(ours) != _weighty(theirs):
        return False
    if rough and abs(len(ours) - len(theirs)) <= _MORE:
        letters = ("".join(ours)[-_LONGEST:], "".join(theirs)[-_LONGEST:])
        return difflib.SequenceMatcher(None, *letters, autojunk=False).ratio() >= _ROUGHLY
    return difflib.SequenceMatcher(None, ours, theirs, autojunk=False).ratio() >= _NEARLY


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return _WORD.findall(plain)[-_LONGEST:]


def _weighty(words: list[str]) -> list[str]:
    return [
        word
        for word in words
        if word in _WEIGHTY or word.endswith("n't") or any(c.isdigit() for c in word)
    ]
