"""Cuts what a mind says, while it says it, into clauses that a voice can speak.

The first clause is cut early, since somebody waits for it; later ones are sentences, which sound
better. What can't be spoken (links, code, tables, long numbers) is set apart for the chat, and
emoji and markup are dropped. How the text was chopped on its way here makes no difference.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_CLAUSE = 240
"""Characters: some 15 s of speech. Who is cut off in a longer one has said too much at once."""

LONGEST_BLOCK = 4_000
"""Characters of code, or of a word without an end, that are kept for the chat at most."""

_FIRST_MAY_JOIN = 5  #: Words of a first clause after which a conjunction ends it.
_FIRST_LONGEST = 14  #: Words after which it ends anywhere.
_SOFT_FROM = 60  #: Characters after which a comma may end a later clause that gets too long.

_FENCE = "```"
_BOUNDARY = re.compile(r"[\s。！？]")
_WORDISH = re.compile(r"\w")
_END = re.compile(r"(?:[.!?…]+|[。！？]+)[\"'”’»)\]*_]*\Z")
_SOFT_END = re.compile(r"[,;:][\"'”’»)\]*_]*\Z")
_DASHES = frozenset("—–-")
_JOINING = re.compile(
    r"(?:and|but|or|so|because|which|who|that|while|when|where|if|then|since|though|although"
    r"|until|und|aber|oder|weil|dass|wenn|also|denn|damit|et|mais|ou|donc|parce|car|que|qui"
    r"|quand|si|y|pero|porque|e|ma|perché)"
)
_ABBREVIATED = re.compile(
    r"(?:mr|mrs|ms|dr|prof|st|vs|fig|approx|e\.g|i\.e|[ap]\.m|cf|inc|ltd|dept"
    r"|z\.b|d\.h|u\.a|o\.ä|bzw|ca|nr|hr|fr|evtl|ggf|vgl|p\.ex|mme|mlle|sr|sra)\.",
    re.IGNORECASE,
)
"""Never the end of a sentence. "no." and "etc." are more often one than not."""
_INITIAL = re.compile(r"\A[^\W\d_]\.\Z")
_NUMBERED = re.compile(r"\A\d{1,3}[.)]\Z")
_BULLET = re.compile(r"\A(?:[-*+•]\s+|#{1,6}\s+|>\s*|\d{1,3}[.)]\s+(?=\S))")
_MARKDOWN_LINK = re.compile(r"!?\[([^\]\n]{0,300})\]\(\s*(\S{1,2000}?)\s*\)")
_LINK = re.compile(r"\b(?:https?://|www\.)[^\s<>\"]{1,2000}", re.IGNORECASE)
_HOST = re.compile(r"\A(?:https?://)?(?:[^/@\s]*@)?(?:www\.)?([^/:?#\s]+)", re.IGNORECASE)
_ADDRESS = re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+\b")
_LONG_NUMBER = re.compile(
    r"(?<![\w.,])(?!\d{4}-\d\d-\d\d(?!\d))\+?\d(?:[\d ()/-]{6,38})\d(?![\w])"
)
_DIGITS_WORTH_READING = 7
_EMPHASIS = re.compile(
    r"\*+(?=[^\s*\d])|(?<=[^\s*\d])\*+|~~|`+|(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)|\*\*+"
)
_AFTER_LINK = ".,;:!?)]}'\"»”’"


@dataclass(frozen=True)
class Clause:
    """`text` is what is said, word for word; empty where there is only something `for_chat`."""

    text: str
    for_chat: tuple[str, ...] = ()


class Clauses:
    """One answer: text goes in as it comes, clauses come out. Nothing is cut within a word."""

    def __init__(self) -> None:
        self._buffer = ""
        self._fence: str | None = None
        self._first = True

    def add(self, text: str) -> tuple[Clause, ...]:
        """Take more of the text, and answer the clauses that are complete."""
        self._buffer += text
        return tuple(self._take(last=False))

    def rest(self) -> tuple[Clause, ...]:
        """Answer what is left: nothing more comes."""
        found = tuple(self._take(last=True))
        self._buffer, self._fence = "", None
        return found

    def _take(self, *, last: bool) -> Iterator[Clause]:
        while True:
            raw = self._next(last=last)
            if raw is None:
                return
            clause = raw if isinstance(raw, Clause) else speakable(raw)
            if clause.text or clause.for_chat:
                self._first = self._first and not clause.text
                yield clause

    def _next(self, *, last: bool) -> str | Clause | None:
        """Cut the next piece off; None where more must come first."""
        if self._fence is not None:
            return self._fenced(last=last)
        before, fence, _ = self._buffer.partition(_FENCE)
        size = self._cut(before if fence else self._buffer)
        if size is None and fence:
            self._buffer = self._buffer[len(before) + len(_FENCE) :]
            self._fence = ""
            return before
        if size is None:
            if not (last and self._buffer):
                return None
            size = len(self._buffer)
        piece, self._buffer = self._buffer[:size], self._buffer[size:]
        return piece

    def _fenced(self, *, last: bool) -> Clause | None:
        inside, fence, after = self._buffer.partition(_FENCE)
        if not fence and not last:
            # The end may have come in part.
            return None
        self._buffer, self._fence = after, None
        _, newline, code = inside.partition("\n")
        text = (code if newline else inside).strip("\n")[:LONGEST_BLOCK]
        return Clause("", (text,) if text.strip() else ())

    def _cut(self, text: str) -> int | None:
        """Answer where the next clause of `text` ends, as far as that can be told by now."""
        cutting = _Cutting(text, first=self._first)
        for match in _BOUNDARY.finditer(text):
            if (end := cutting.at(match)) is not None:
                return end
        if len(text) - cutting.began > LONGEST_BLOCK:
            return len(text)
        return None


class _Cutting:
    """Goes through a text from one end of a word to the next, until a clause may end there.

    Only what stands before such a place counts, so that it doesn't matter how much more there
    is already.
    """

    def __init__(self, text: str, *, first: bool) -> None:
        self.began = 0  #: Where the present word begins.
        self._text = text
        self._first = first
        self._words = 0
        self._soft = 0  #: The last comma at which a clause that gets too long may be ended.

    def at(self, boundary: re.Match[str]) -> int | None:
        """Go on to the next boundary; answers where to cut, if it is time to."""
        began, self.began = self.began, boundary.end()
        is_newline = boundary[0] == "\n"
        is_space = boundary[0].isspace()
        end = boundary.start() if is_space and not is_newline else boundary.end()
        if _WORDISH.search(self._text, 0, boundary.start()) is None:
            return end if is_newline else None
        word = self._text[began : boundary.start() if is_space else boundary.end()]
        if is_newline or not is_space or _ends_sentence(word, self._text[:began]):
            return end
        return self._within(word, began, end) if word else None

    def _within(self, word: str, began: int, end: int) -> int | None:
        """Answer where to cut a sentence that isn't over."""
        is_soft = _SOFT_END.search(word) is not None or word in _DASHES
        if self._first and is_soft and len(_WORDISH.findall(self._text[:end])) > 1:
            return end
        if self._first and self._words >= _FIRST_MAY_JOIN and _JOINING.fullmatch(word):
            return began
        self._words += word not in _DASHES
        self._soft = end if is_soft and end >= _SOFT_FROM else self._soft
        longest = self._first and self._words >= _FIRST_LONGEST
        return (self._soft or end) if longest or end >= LONGEST_CLAUSE else None


def _ends_sentence(word: str, before: str) -> bool:
    if _END.search(word) is None:
        return False
    bare = word.strip("\"'“”‘’«»()[]*_")
    if _INITIAL.match(bare) and bare.casefold() != "i.":
        return False
    at_beginning = not before.strip() or before.endswith("\n")
    if at_beginning and _NUMBERED.match(bare):
        return False
    return _ABBREVIATED.fullmatch(bare) is None


def speakable(raw: str) -> Clause:
    """Answer what of a piece of text can be said, and what of it belongs into the chat."""
    text = raw.strip()
    if text.startswith("|") and text.endswith("|") and len(text) > 1:
        # A row of a table.
        return Clause("", () if set(text) <= set("|-: ") else (text[:LONGEST_BLOCK],))
    if len(text) > LONGEST_BLOCK:
        return Clause("", (text[:LONGEST_BLOCK],))
    for_chat: list[str] = []

    def keep(found: str) -> None:
        if found not in for_chat:
            for_chat.append(found)

    def named_link(match: re.Match[str]) -> str:
        keep(match[2])
        return match[1]

    def link(match: re.Match[str]) -> str:
        address = match[0].rstrip(_AFTER_LINK)
        keep(address)
        host = _HOST.match(address)
        return (host[1] if host else "") + match[0][len(address) :]

    def exact(match: re.Match[str]) -> str:
        if sum(c.isdigit() for c in match[0]) >= _DIGITS_WORTH_READING:
            keep(match[0])
        return match[0]

    text = _BULLET.sub("", text)
    text = _MARKDOWN_LINK.sub(named_link, text)
    text = _LINK.sub(link, text)
    for address in _ADDRESS.findall(text):
        keep(address)
    text = _LONG_NUMBER.sub(exact, text)
    text = _EMPHASIS.sub("", text)
    text = "".join(_sayable(c) for c in text)
    text = " ".join(text.split()).lstrip("—–- ,;").strip()
    return Clause(text if _WORDISH.search(text) else "", tuple(for_chat))


def _sayable(character: str) -> str:
    """Drop what has no sound: emoji, arrows, controls, marks that turn the writing around."""
    category = unicodedata.category(character)
    if category in {"Cf", "Cs", "Co", "Cn"}:
        return ""
    if category in {"Cc", "Zl", "Zp"}:
        return " "
    pictured = ord(character) >= 0x2190 and category in {"So", "Sk", "Sm"}
    is_selector = 0xFE00 <= ord(character) <= 0xFE0F
    return " " if pictured else "" if is_selector else character
