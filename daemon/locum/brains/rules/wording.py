"""A line that can be read by itself: third person, no fillers, the day at its end."""

from __future__ import annotations

import re

from locum.brains.rules.german import DO
from locum.brains.rules.lexicon import Lexicon
from locum.core.when import Due, without_due

_LONGEST = 240

_IRREGULAR = {"have": "has", "be": "is", "do": "does", "go": "goes", "'ll": ""}
_LEADING = frozenset(
    [
        "also",
        "just",
        "quickly",
        "then",
        "still",
        "definitely",
        "gladly",
        "actually",
        "probably",
        "simply",
    ]
)

_GERMAN = {
    "nehme": "nimmt", "gebe": "gibt", "spreche": "spricht", "lese": "liest", "treffe": "trifft",
    "fahre": "fährt", "lade": "lädt", "trage": "trägt", "werde": "wird", "habe": "hat",
    "übernehme": "übernimmt", "bin": "ist", "helfe": "hilft", "sehe": "sieht", "hab": "hat",
    "sammle": "sammelt", "schick": "schickt", "mach": "macht", "frag": "fragt", "ruf": "ruft",
}  # fmt: skip


def clean(text: str, lexicon: Lexicon) -> str:
    """Take fillers and doubled words out."""
    text = lexicon.filler.sub("", text)
    text = re.sub(r"\b(\w+)((?:,? \1\b)+)", r"\1", text, flags=re.IGNORECASE)
    text = re.sub(r"\s+([,.?!;])", r"\1", text)
    return re.sub(r"\s+", " ", text).strip(" ,;-–")


def shortened(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return text[: text.rfind(" ", 0, _LONGEST)].rstrip(" ,;") + " …"


def statement(text: str, lexicon: Lexicon) -> str:
    """Word a decision or a question: its own words, without the talk around them."""
    text = clean(text, lexicon)
    text = _LABEL.sub("", _TALK.sub("", text)).strip(" ,;")
    return shortened(text[:1].upper() + text[1:])


_LABEL = re.compile(
    r"^(?:decided|decision|agreed|resolved|beschlossen|beschluss|entschieden)\s*:\s*(?=\S)",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"^(?:(?:and|so|but|okay|ok|oh|ah|well|right|all right|alright|great|good|fine|anyway|then|"
    r"und|also|gut|prima|dann noch|na gut)\b[,.! ]+)+",
    re.IGNORECASE,
)


def task(owner: str | None, words: str, due: Due | None, lexicon: Lexicon) -> str:
    """Word what somebody is to do; `words` begin with the verb, and people are named in them."""
    if due is not None:
        words = without_due(words, due)
    words = clean(words, lexicon).rstrip(".?!,; ")
    day = f" ({lexicon.by} {_day(due, lexicon)})" if due is not None else ""
    if lexicon.language == "de":
        body = f"{owner}: {_german(words)}" if owner else f"Zu tun: {words}"
    elif owner:
        body = f"{owner} {_third(words)}"
    else:
        body = f"To do: {words}"
    return shortened(body) + day


def _day(due: Due, lexicon: Lexicon) -> str:
    return lexicon.short_date.format(
        weekday=lexicon.weekdays[due.day.weekday()],
        day=due.day.day,
        month=lexicon.months[due.day.month - 1],
    )


def _third(words: str) -> str:
    first, _, rest = words.partition(" ")
    while first.casefold() in _LEADING and rest:
        first, _, rest = rest.partition(" ")
    rest = _AND.sub(lambda match: f"{match[1]}{_conjugated(match[2])}", rest)
    return f"{_conjugated(first)} {rest}".strip()


_AND = re.compile(
    r"(\band (?:then )?)(get|link|send|write|put|make|check|come|let|give|ask|tell|call|post|share|file|"
    r"circulate|report|add|update|upload|publish|mail|forward|bring|book|order|fix|test|try)\b"
)


def _conjugated(verb: str) -> str:
    low = verb.casefold()
    if not re.fullmatch(r"[a-z]+", low):
        return verb
    if low in _IRREGULAR:
        return _IRREGULAR[low]
    if re.search(r"(?:s|x|z|ch|sh|o)$", low):
        return low if low.endswith("s") and not low.endswith("ss") else low + "es"
    if re.search(r"[^aeiou]y$", low):
        return low[:-1] + "ies"
    return low + "s"


def _german(words: str) -> str:
    words = re.sub(
        r"\s*\b(?:ich|du|sie bitte)\b\s*", " ", words, count=1, flags=re.IGNORECASE
    ).strip()

    def turned(match: re.Match[str]) -> str:
        verb = match[0]
        low = verb.casefold()
        if low in _GERMAN:
            return _GERMAN[low]
        stem = low.removesuffix("e")
        return stem + (
            "et"
            if stem.endswith(("t", "d", "n", "chn"))
            and low.endswith(("te", "de", "chne", "dne"))
            else "t"
        )

    first, _, rest = words.partition(" ")
    if re.fullmatch(DO, first, re.IGNORECASE) or first.casefold() in _GERMAN:
        return f"{re.sub('.+', turned, first)} {rest}".strip()
    return words


def in_third_person(words: str, first: str | None, second: str | None, lexicon: Lexicon) -> str:
    """Turn "I" and "you" into whom they mean: a name, or None for whose task it is."""
    if lexicon.language == "de":
        for pattern, name in (
            (r"\b(?:mir|mich)\b", first),
            (r"\b(?:dir|dich|euch|Ihnen)\b", second),
        ):
            words = re.sub(pattern, _literal(name or "sich"), words)
        return re.sub(
            r"\bmein(e|en|em|er|es)?\b", r"sein\1" if first is None else r"\g<0>", words
        )
    for person, name in (("I|me|my|mine|myself", first), ("you|your|yours|yourself", second)):
        mine, whose, subject = _forms(name)
        for pattern, form in zip(
            _FORMS[person], (subject, mine, whose, whose, mine), strict=True
        ):
            words = re.sub(pattern, _literal(form), words)
    return words


_FORMS = {
    "I|me|my|mine|myself": (
        r"\b[Ii](?:'(?:ll|ve|m|d))?(?= \w)",
        r"\bme\b",
        r"\bmy\b",
        r"\bmine\b",
        r"\bmyself\b",
    ),
    "you|your|yours|yourself": (
        r"(?!)",
        r"\byou(?:'(?:ll|ve|re|d))?\b",
        r"\byour\b",
        r"\byours\b",
        r"\byourself\b",
    ),
}


def _forms(name: str | None) -> tuple[str, str, str]:
    if name is None:
        return "them", "their", "they"
    return name, f"{name}'" if name.endswith("s") else f"{name}'s", name


def _literal(text: str) -> str:
    return text.replace("\\", r"\\")
