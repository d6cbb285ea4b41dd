"""Is something that was said or written meant for us, and what does it want?

Recognisers give words with punctuation or without, and our name in any spelling; so whoever is
called is told by where the name stands among small words: before "could you" or after "what do
you think" it is called, after "I'll ask" or before "said" it is talked about. What can't be told
so is `Meant.PERHAPS`: that is for a model to say, and without one it is a no.

Nothing here obeys anybody. A wish to opt out is `core.consent`'s.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from locum.core import address_words as words
from locum.core.asked_what_we_are import asks_what_we_are
from locum.core.calling import Fit, Names, folded
from locum.core.utterances import (
    Order,
    begins_with_order,
    comes_back,
    is_backchannel,
    is_thanks,
    order_of,
)
from locum.core.vocatives import (
    NAME,
    NEAR,
    OF_NAME,
    OTHER,
    Meant,
    is_question,
    meant_in,
    only_calls,
    requests,
    wants_answer,
)

__all__ = ["Meant", "Names", "Reading", "read"]

_MOST_READ = 1_200
"""Characters of an utterance that are read: its beginning and its end, where one is called."""


@dataclass(frozen=True)
class Reading:
    """What an utterance is to us. `sure_name` False says that the name may be misheard."""

    meant: Meant
    order: Order | None = None
    begins_with_order: bool = False
    backchannel: bool = False
    thanks: bool = False
    asks_what_we_are: bool = False
    question: bool = False
    says_you: bool = False
    wants: bool = False  #: An answer, or something done, of somebody.
    requests: bool = False  #: The same, of whoever it is said to.
    only_calls: bool = False
    comes_back: bool = False  #: They are there again, who had asked to wait.
    leaves_us: bool = False  #: It turns to everybody, or to another topic.
    asks_everybody: bool = False
    of_owner: bool = False  #: The name in it is our owner's, not ours.
    length: int = 0  #: In words.


def read(text: str, names: Names, others: tuple[str, ...] = ()) -> Reading:
    """Read what somebody said; `others` are the names of those in the room, as far as known."""
    return _read(_read_part(text), names, others)


@lru_cache(maxsize=128)
def _read(text: str, names: Names, others: tuple[str, ...]) -> Reading:
    known = _known(names, others)
    sentences = [each for each in _sentences(text, known) if each]
    everything = [word for sentence in sentences for word in sentence]
    bare = [each for each in everything if each[0].isalnum() and each not in {NAME, OTHER}]
    plain = " ".join(bare)
    meant, called = _meant(sentences, known)
    of_owner = meant is not Meant.OPEN and not _says_ours(text, names)
    if of_owner and known.namesakes and meant in {Meant.US, Meant.PERHAPS}:
        meant = Meant.OTHERS  # The owner is there in person.
    order = order_of(plain)
    return Reading(
        meant=meant,
        order=order,
        begins_with_order=begins_with_order(plain),
        backchannel=NAME not in everything and is_backchannel(plain),
        thanks=is_thanks(plain),
        asks_what_we_are=meant is not Meant.OTHERS and asks_what_we_are(_shown(sentences)),
        question=any(is_question(each) for each in sentences),
        wants=any(wants_answer(each) for each in sentences),
        requests=any(requests(each) for each in sentences),
        says_you=any(each in words.YOU for each in bare),
        only_calls=called,
        comes_back=comes_back(plain),
        leaves_us=_leaves_us(sentences),
        asks_everybody=any(_asks_everybody(each) for each in sentences),
        of_owner=of_owner,
        length=len(bare),
    )


def _says_ours(text: str, names: Names) -> bool:
    said = re.findall(r"[^\W_]+", folded(text))
    return any(names.is_ours(each) for each in said)


# ── words ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Known:
    names: Names
    others: frozenset[str]
    namesakes: frozenset[str]  #: Names of ours that somebody in the room bears as well.


_WORD = re.compile(r"@?[^\W_]+(?:['’`][^\W_]+)*['’]?|[,;:—–]|[.!?…]+")
_STAND_IN = re.compile(r"\bstand[\s-]?in\b", re.IGNORECASE)
_THANK_YOU = re.compile(r"\bthank (?:you|u)\b", re.IGNORECASE)
_TITLES = words.word_set("mr mrs ms dr herr frau")


@lru_cache(maxsize=32)
def _known(names: Names, others: tuple[str, ...]) -> _Known:
    found = frozenset(word for each in others[:100] for word in Names.of(each).ours)
    return _Known(names, found - names.whole, found & names.whole)


def _read_part(text: str) -> str:
    if len(text) <= _MOST_READ:
        return text
    half = _MOST_READ // 2
    return f"{text[:half].rsplit(' ', 1)[0]} … {text[-half:].split(' ', 1)[-1]}"


def _sentences(text: str, known: _Known) -> list[list[str]]:
    """Take a text apart into sentences of folded words and marks, names put in capitals."""
    spelt = unicodedata.normalize("NFKC", text)
    for each in known.names.unbroken:
        spelt = spelt.replace(each, f" {each} ")
    spelt = _STAND_IN.sub(
        "standin", "".join(c for c in spelt if unicodedata.category(c) != "Cf")
    )
    found = _WORD.findall(_THANK_YOU.sub("thanks", spelt))
    sentences: list[list[str]] = [[]]
    for i, raw in enumerate(found):
        if raw[0] in ".!?…":
            sentences[-1].append("?" if "?" in raw else ".")
            sentences.append([])
        elif raw[0] in ",;:—–":
            sentences[-1].append(",")
        else:
            follows = found[i + 1] if i + 1 < len(found) else "."
            sentences[-1].append(_as_word(raw, known, sentences[-1], follows))
    return [_joined(each) for each in sentences]


def _as_word(raw: str, known: _Known, before: list[str], follows: str) -> str:
    called = raw.startswith("@")
    word = folded(raw.lstrip("@"))
    stem, apostrophe, ending = (
        word.replace("’", "'").replace("`", "'").rstrip("'").partition("'")
    )
    word = stem + ending
    if apostrophe and ending == "s" and known.names.fit(stem) is Fit.SURE:
        return OF_NAME
    if word in known.others:
        return OTHER
    if word.endswith("s") and word[:-1] in known.names.whole:
        return OF_NAME
    if known.names.fit(word) is Fit.NOT or not (
        called or word not in words.ALSO_WORDS or _stands_like_a_name(raw, before, follows)
    ):
        return word
    if called:
        return "@" + NAME
    return NAME if known.names.fit(word) is Fit.SURE else NEAR


def _stands_like_a_name(raw: str, before: list[str], follows: str) -> bool:
    """Whether a name that is a word too ("Will", "Mark") is a name here."""
    if raw[:1].isupper() and before and before[-1] not in {",", "."}:
        return True
    if not follows[:1].isalnum():
        return not before or before[-1] == "," or before[-1] in words.OPENERS
    return bool(before) and before[-1] in {"hey", "hi", "hello", "thanks", "hallo"}


def _joined(sentence: list[str]) -> list[str]:
    """Make one of a first and a last name, and of "Robin the stand-in", "Alex's assistant"."""
    shown: list[str] = []
    for word in sentence:
        last = shown[-1] if shown else ""
        if word == NAME and last in {NAME, "ai"}:
            shown[-1] = NAME
        elif word == OF_NAME and last == NAME:
            shown[-1] = OF_NAME
        elif word in words.ROLES and last in {OF_NAME, NAME}:
            shown[-1] = NAME
        elif word == OTHER and last == OTHER:
            continue
        elif word == NAME and last in _TITLES:
            shown[-1] = NAME
        else:
            shown.append(word)
    return _with_role_called(shown)


def _with_role_called(sentence: list[str]) -> list[str]:
    """Take "hey bot" and "assistant, …" for our name: not everybody knows it."""
    for i, word in enumerate(sentence[:4]):
        if word not in words.CALLABLE_ROLES:
            if word not in words.OPENERS and word != ",":
                break
            continue
        hailed = i > 0 and sentence[i - 1] in {"hey", "hi", "hello", "hallo", "okay", "ok"}
        if hailed or sentence[i + 1 : i + 2] == [","]:
            return [*sentence[:i], NAME, *sentence[i + 1 :]]
        break
    return sentence


def _shown(sentences: list[list[str]]) -> str:
    return " ".join(word for sentence in sentences for word in sentence)


# ── who is called ────────────────────────────────────────────────────────────────────────


def _meant(sentences: list[list[str]], known: _Known) -> tuple[Meant, bool]:
    """Answer who is meant, and whether all that is said is our name."""
    found = [_meant_by(each) for each in sentences]
    only = [each for each in sentences if any(word[0].isalnum() for word in each)]
    called = bool(only) and all(only_calls(each) for each in only)
    ours = [i for i, each in enumerate(found) if each is Meant.US]
    if ours:
        later = found[ours[-1] + 1 :]
        asked = any(wants_answer(sentences[i]) for i in ours) or called
        if Meant.OTHERS in later and not asked:
            return Meant.OTHERS, False
        if any(_OTHER_FIRST.search(" ".join(each)) for each in sentences[ours[-1] :]):
            return Meant.OTHERS, False
        return (Meant.PERHAPS if known.namesakes else Meant.US), called
    for each in (Meant.OTHERS, Meant.PERHAPS, Meant.NOT_US):
        if each in found:
            return each, False
    return Meant.OPEN, False


_OTHER_FIRST = re.compile(
    r"\b(?:no|wait|actually|sorry|nein|moment)\b.* OTHER ,? ?(?:first|you first|du zuerst|zuerst)\b"
    r"|^(?:no|wait|nein|moment|,| )+OTHER (?:first|zuerst)\b"
)


def _meant_by(sentence: list[str]) -> Meant:
    if NEAR in sentence:
        as_ours = [NAME if each == NEAR else each for each in sentence]
        wants = wants_answer(as_ours) or only_calls(as_ours)
        return Meant.US if wants and meant_in(as_ours) is Meant.US else Meant.OPEN
    return meant_in(sentence)


# ── what it is ───────────────────────────────────────────────────────────────────────────

_TURNS_AWAY = re.compile(
    r"\b(?:lets|let us|we can|so|ok|okay|anyway|alright|now)? ?"
    r"(?:move on|moving on|next (?:topic|item|point|question|up)|back to (?:the|our) (?:agenda|topic)|"
    r"lets continue with|weiter im text|nachster punkt|nachstes thema|machen wir weiter mit|"
    r"kommen wir zu)\b"
    r"|^(?:\S+ ){0,3}(?:everyone|everybody|guys|folks|team|leute|all together|alle zusammen)\b"
    r"|\b(?:what does|what do|does|do|has|hat|haben) (?:everyone|everybody|anyone|anybody|the team|"
    r"the others|the rest|jemand|alle|die anderen)\b"
    r"|\b(?:thanks|thank you|danke) (?:everyone|everybody|all|guys|alle|euch allen)\b"
)


_TO_EVERYBODY = re.compile(
    r"\b(?:does|do|has|have|can|could|would|is|will) (?:anyone|anybody|somebody|someone|one of "
    r"you|any of you)\b|\b(?:who|wer) (?:here )?(?:knows|has|can|remembers|weiss|kann|hat)\b"
    r"|\b(?:any ideas|any thoughts|any questions|anyone know|anybody know|any takers|anyone got)\b"
    r"|\b(?:weiss|hat|kann|kennt) (?:jemand|irgendwer|einer von euch)\b"
)


def _asks_everybody(sentence: list[str]) -> bool:
    return _TO_EVERYBODY.search(" ".join(sentence)) is not None


def _leaves_us(sentences: list[list[str]]) -> bool:
    return any(
        _TURNS_AWAY.search(" ".join(e for e in each if e != ",")) is not None
        for each in sentences
    )
