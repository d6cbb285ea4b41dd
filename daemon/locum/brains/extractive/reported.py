"""English sentences as minutes report them: "I think we'll use it" → "thought they would use it".

Reported speech moves persons and tenses, and only these; whoever reads it has the quote beside
it. What can't be moved safely (questions, orders) is answered with None and quoted instead.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)*|[^A-Za-z]+", re.ASCII)
_LETTERS = re.compile(r"[a-z]", re.IGNORECASE)

_SHIFTED = {
    "i": "they",
    "me": "them",
    "my": "their",
    "mine": "theirs",
    "myself": "themselves",
    "we": "they",
    "us": "them",
    "our": "their",
    "ours": "theirs",
    "ourselves": "themselves",
    "you": "they",
    "your": "their",
    "yours": "theirs",
    "yourself": "themselves",
    "am": "was",
    "is": "was",
    "are": "were",
    "was": "was",
    "have": "had",
    "has": "had",
    "do": "do",
    "does": "did",
    "will": "would",
    "shall": "should",
    "can": "could",
    "may": "might",
    "cannot": "could not",
    "gonna": "going to",
    "wanna": "want to",
    "gotta": "had to",
    "need": "needed",
    "needs": "needed",
    "want": "wanted",
    "wants": "wanted",
    "think": "thought",
    "thinks": "thought",
    "says": "said",
    "seems": "seemed",
    "means": "meant",
    "makes": "made",
    "gives": "gave",
    "depends": "depended",
    "today": "that day",
    "tomorrow": "the next day",
    "yesterday": "the day before",
    "cuz": "because",
}
_CONTRACTED = {
    "m": "were",
    "re": "were",
    "ve": "had",
    "ll": "would",
    "d": "would",
}
_NEGATED = {
    "don't": "did not",
    "doesn't": "did not",
    "didn't": "did not",
    "isn't": "was not",
    "aren't": "were not",
    "wasn't": "was not",
    "weren't": "were not",
    "can't": "could not",
    "couldn't": "could not",
    "won't": "would not",
    "wouldn't": "would not",
    "shouldn't": "should not",
    "haven't": "had not",
    "hasn't": "had not",
    "hadn't": "had not",
    "mustn't": "must not",
    "needn't": "need not",
    "ain't": "was not",
    "let's": "they should",
}
_BARE_AFTER = frozenset(
    [
        "to",
        "will",
        "would",
        "can",
        "could",
        "may",
        "might",
        "shall",
        "should",
        "must",
        "do",
        "does",
        "did",
        "don't",
        "doesn't",
        "didn't",
        "won't",
        "wouldn't",
        "can't",
        "couldn't",
        "shouldn't",
        "let",
        "make",
        "i'll",
        "we'll",
        "you'll",
        "they'll",
        "it'll",
        "he'll",
        "she'll",
        "that'll",
        "i'd",
        "we'd",
        "you'd",
        "they'd",
        "not",
        "never",
        "cannot",
        "and",
        "or",
        "gonna",
        "wanna",
    ]
)
"""After these a verb is an infinitive, which has no tense to move."""
_INFINITIVES = frozenset(["have", "need", "want", "think", "do"])
_PERSONS = frozenset(["i", "we", "you", "they", "people"])
_ADVERBS = frozenset(
    [
        "always",
        "also",
        "just",
        "only",
        "really",
        "even",
        "still",
        "ever",
        "never",
        "probably",
        "then",
    ]
)
_PAST = {
    "know": "knew",
    "get": "got",
    "go": "went",
    "see": "saw",
    "say": "said",
    "make": "made",
    "come": "came",
    "take": "took",
    "give": "gave",
    "find": "found",
    "use": "used",
    "like": "liked",
    "hope": "hoped",
    "guess": "guessed",
    "believe": "believed",
    "feel": "felt",
    "work": "worked",
    "look": "looked",
    "try": "tried",
    "agree": "agreed",
    "show": "showed",
    "start": "started",
    "talk": "talked",
    "wonder": "wondered",
    "understand": "understood",
    "recognise": "recognised",
    "recognize": "recognized",
    "provide": "provided",
    "continue": "continued",
    "suggest": "suggested",
    "propose": "proposed",
    "expect": "expected",
    "produce": "produced",
    "run": "ran",
    "do": "did",
    "call": "called",
    "decide": "decided",
    "mean": "meant",
    "push": "pushed",
    "press": "pressed",
}
"""What a person does, as opposed to what they would or should do."""
_REPEATED = re.compile(r"\b(\w+) (?:\1 )+(?=\w)", re.IGNORECASE)
_TAKES_OBJECT = frozenset(
    [
        "get",
        "to",
        "for",
        "with",
        "of",
        "at",
        "from",
        "show",
        "tell",
        "give",
        "see",
        "thank",
        "thanks",
        "ask",
        "let",
        "help",
        "by",
        "about",
        "on",
        "send",
        "bring",
        "remind",
    ]
)
_AS_THEY_ARE = frozenset({"US", "May", "IS", "AM"})
_ORDER = re.compile(
    r"(?:please|let me|let's see|remember|look|see|wait|note that|tell|ask|go|don't|do|thank"
    r"|thanks|welcome|hello|sorry|excuse)\b",
    re.IGNORECASE,
)
_GAPS = re.compile(r"\s+")
_STRAY = re.compile(r"\s+([,.;])")
_SUBJECTS = frozenset(
    ["it", "he", "she", "that", "there", "what", "who", "here", "this", "where", "how"]
)


def reported(text: str) -> str | None:
    """Report a statement, without who said it and without a full stop.

    None for what isn't a statement.
    """
    body = text.strip().rstrip(".!…,;: -")
    if not body or "?" in body or '"' in body or "“" in body or _ORDER.match(body):
        return None
    words = _WORD.findall(body)
    last = max((n for n, word in enumerate(words) if _LETTERS.match(word)), default=-1)
    shifted: list[str] = []
    before = ""
    for n, word in enumerate(words):
        if not _LETTERS.match(word):
            shifted.append(word)
            # A verb belongs to a person only where nothing stands between them.
            before = before if word == " " else ""
            continue
        now = _shift(word, before, is_last=n == last)
        shifted.append(now)
        if word.lower() not in _ADVERBS:
            before = now if now == "them" else word.lower()
    joined = _GAPS.sub(" ", "".join(shifted)).strip(" ,")
    return _STRAY.sub(r"\1", _REPEATED.sub(r"\1 ", joined)) or None


def _shift(word: str, before: str, *, is_last: bool) -> str:
    plain = word.lower()
    if "'" in plain:
        return _uncontracted(word)
    if plain == "you" and (is_last or before in _TAKES_OBJECT):
        return "them"
    if plain in {"was", "am"} and before == "i":
        return "were"
    is_infinitive = plain in _INFINITIVES and before in _BARE_AFTER
    if is_infinitive or word in _AS_THEY_ARE:
        return word
    if before in _PERSONS and plain in _PAST:
        return _PAST[plain]
    return _SHIFTED.get(plain, word)


def _uncontracted(word: str) -> str:
    plain = word.lower()
    if plain in _NEGATED:
        return _NEGATED[plain]
    stem, _, clitic = plain.partition("'")
    if clitic == "s" and stem in _SUBJECTS:
        return f"{stem} was"
    if clitic in _CONTRACTED:
        return f"{_SHIFTED.get(stem, word[: len(stem)])} {_CONTRACTED[clitic]}"
    return word
