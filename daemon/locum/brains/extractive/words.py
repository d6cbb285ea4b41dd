"""Words as they are counted: without case, endings and small words."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import snowballstemmer

from locum.brains.extractive.languages import Language

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)*")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_CACHED = 50_000
_LONGEST = 40  #: Characters; what is longer is no word.


def words_of(text: str) -> list[str]:
    """Split into words; what is written without spaces, into pairs of characters."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if _UNSPACED.match(word):
            found.extend(word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        else:
            found.append(word)
    return found


def length_of(text: str) -> int:
    """Count words as people would, two characters of an unspaced script for one."""
    return sum(
        (len(word) + 1) // 2 if _UNSPACED.match(word) else 1 for word in _WORD.findall(text)
    )


class Vocabulary:
    """Turns a language's words into what is counted of them: their stems."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._stemmer = (
            None if language.stemmer is None else snowballstemmer.stemmer(language.stemmer)
        )
        self.stem = lru_cache(maxsize=_CACHED)(self._stem)

    def is_small(self, word: str) -> bool:
        """Whether a word says nothing of what is talked about."""
        plain = word.casefold().replace("’", "'")
        if plain in self.language.stops or len(word) > _LONGEST:
            return True
        stem, apostrophe, _ = plain.partition("'")
        return bool(apostrophe) and stem in self.language.stops

    def _stem(self, word: str) -> str:
        plain = unicodedata.normalize("NFKC", word).casefold().replace("’", "'")
        plain = plain.partition("'")[0] if plain.endswith(("'s", "'")) else plain
        if self._stemmer is None or not plain.isalpha():
            return plain
        return str(self._stemmer.stemWord(plain))

    def content(self, text: str) -> list[str]:
        """Answer the stems of the words that carry a topic, in their order."""
        return [
            self.stem(word)
            for word in words_of(text)
            if not self.is_small(word) and (len(word) > 1 or word.isdigit())
        ]
