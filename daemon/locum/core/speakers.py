"""Who is who: from a name as a meeting shows it to somebody whom the calendar or contacts know.

Names are shown in many ways ("Dana R.", "dana@…", "Dana Reyes (Acme)"), and a promise that is
laid at the wrong door does more harm than one without a name. So nothing here is a guess: of
two people whom a name fits equally well it is neither.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from locum.core.model import Person
from locum.core.transcript import Utterance

_LONGEST_NAME = 200
_FEWEST_DIGITS = 4

_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")
_ASIDE = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]|\s[|–—]\s(.*)$")
"""What stands beside a name: a company, a role, a pronoun."""

_RESOURCE = re.compile(r"^(?:users|people|spaces|conferenceRecords|participants|devices)/\S+$")
_PHONE = re.compile(r"[+\d\s().*•·xX/\-–…]+")
_STAND_IN = re.compile(r"\bstand-in for\b", re.IGNORECASE)
_CUT = ("…", "...")


def resolve(speaker: str, people: Sequence[Person]) -> Person | None:
    """Answer who of `people` speaks under that name; None where that can't be told.

    The first way of reading the name that fits anybody decides; should it fit several, then
    nobody is meant.
    """
    name = _read(speaker)
    if name is None:
        return None
    known = _distinct(people)
    for way in _WAYS:
        found = [person for person in known if way(name, person)]
        if len(found) > 1:
            found = [each for each in found if name.is_beside(each.person)]
            return found[0].person if len(found) == 1 else None
        if found:
            return found[0].person
    return None


def is_stand_in(speaker: str, tile: str) -> bool:
    """Whether that name is what stands under our own tile, as a whole or cut off."""
    shown, own = _folded(speaker), _folded(tile)
    if not shown or not own:
        return False
    for cut in _CUT:
        if shown.endswith(cut):
            begun = shown.removesuffix(cut).rstrip()
            # So short a beginning could be anybody's who bears the same first name.
            return " (" in begun and own.startswith(begun)
    return shown == own


def may_be_same(one: str, other: str) -> bool:
    """Whether two shown names may be one person's; a name that is missing may be anybody's."""
    if not one.strip() or not other.strip() or _folded(one) == _folded(other):
        return True
    read, against = _read(one), _read(other)
    if read is None or against is None:
        return not (_STAND_IN.search(one) or _STAND_IN.search(other))
    if read.address and against.address:
        first, second = read.address, against.address
        return _same_address(first, second) or _same_address(second, first)
    return _fits_short(read.words, against.words) or _fits_short(against.words, read.words)


def identified(
    utterances: Iterable[Utterance],
    attendees: Sequence[Person],
    *,
    contacts: Sequence[Person] = (),
    tile: str = "",
) -> tuple[Utterance, ...]:
    """Say of each utterance who spoke, where that can be told, and whether we did.

    Contacts are asked only for whom no attendee fits: who is invited is likelier to be there.
    """
    known: dict[str, Person | None] = {}

    def person_of(speaker: str) -> Person | None:
        if speaker not in known:
            known[speaker] = _among(speaker, attendees, contacts)
        return known[speaker]

    return tuple(
        replace(each, by_us=True, person=None)
        if each.by_us or is_stand_in(each.speaker, tile)
        else replace(each, person=each.person or person_of(each.speaker))
        for each in utterances
    )


def _among(
    speaker: str, attendees: Sequence[Person], contacts: Sequence[Person]
) -> Person | None:
    found = resolve(speaker, attendees)
    if found is not None or _is_ambiguous(speaker, attendees):
        return found
    return resolve(speaker, contacts)


def _is_ambiguous(speaker: str, people: Sequence[Person]) -> bool:
    name = _read(speaker)
    known = _distinct(people)
    return name is not None and any(way(name, each) for way in _WAYS for each in known)


# ── reading names ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Name:
    """A name as it is shown. `address` may be cut off at its end; `beside` is what else is said."""

    words: tuple[str, ...]
    address: str = ""
    beside: frozenset[str] = frozenset()

    def is_beside(self, person: Person) -> bool:
        """Whether what stands beside the name (a company) is where that person's mail goes."""
        domain = _words(person.email.partition("@")[2].replace(".", " "))
        return not self.beside.isdisjoint(word for word in domain if len(word) > 2)


@dataclass(frozen=True)
class _Known:
    person: Person
    words: tuple[str, ...]
    local: tuple[str, ...]


def _read(speaker: str) -> _Name | None:
    """Take a shown name apart; None where it names nobody: a number, an id, a stand-in."""
    text = unicodedata.normalize("NFKC", speaker[:_LONGEST_NAME]).strip()
    if not text or _RESOURCE.match(text) or _is_phone(text) or _STAND_IN.search(text):
        return None
    address = _ADDRESS.search(text) or re.search(r"\S+@(?=$|\s)", text)
    if address is not None:
        text = text.replace(address[0], " ")
    beside = frozenset(
        word
        for match in _ASIDE.finditer(text)
        for part in match.groups()
        if part
        for word in _words(part)
    )
    text = _ASIDE.sub(" ", text)
    words = _words(_first_name_first(text))
    if not words and address is None:
        return None
    return _Name(words, _folded(address[0]) if address is not None else "", beside)


def _is_phone(text: str) -> bool:
    digits = sum(each.isdigit() for each in text)
    hidden = sum(each in "•*·" for each in text)
    return digits + hidden >= _FEWEST_DIGITS and _PHONE.fullmatch(text) is not None


def _first_name_first(text: str) -> str:
    """Turn "Reyes, Dana" round; "Dana Reyes, PhD" it would turn too, and that fits nobody."""
    family, comma, given = text.partition(",")
    return f"{given} {family}" if comma and given.strip() else text


def _folded(text: str) -> str:
    """Answer a name without regard to case, accents and how its blanks are written."""
    spread = unicodedata.normalize("NFKD", text).casefold()
    return " ".join("".join(c for c in spread if not unicodedata.combining(c)).split())


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", _folded(text.replace("'", "").replace("’", ""))))


def _distinct(people: Sequence[Person]) -> list[_Known]:
    """Answer people with their words; who is listed twice, by address, counts once."""
    kept: dict[str, Person] = {}
    for person in people:
        key = person.email.casefold() or f" {_folded(person.name)}"
        before = kept.get(key)
        if before is None or (not before.name and person.name):
            kept[key] = person
    return [
        _Known(
            person,
            _words(_first_name_first(_ASIDE.sub(" ", person.name)))
            or _words(person.email.partition("@")[0]),
            _words(person.email.partition("@")[0]),
        )
        for person in kept.values()
    ]


# ── the ways in which a name can fit, the surest first ───────────────────────────────────


def _by_address(name: _Name, known: _Known) -> bool:
    return bool(name.address) and _same_address(name.address, _folded(known.person.email))


def _same_address(shown: str, address: str) -> bool:
    for cut in (*_CUT, "@"):
        if shown.endswith(cut):
            begun = shown.removesuffix(cut)
            # Cut within its first part, it names nobody for sure.
            return "@" in shown and address.startswith(begun.rstrip("@") + "@")
    return shown == address


def _by_name(name: _Name, known: _Known) -> bool:
    return bool(name.words) and name.words == known.words


def _by_words(name: _Name, known: _Known) -> bool:
    """The same words in another order, or with a middle name that only one of them has."""
    shown, own = set(name.words), set(known.words)
    return min(len(shown), len(own)) >= 2 and (shown <= own or own <= shown)


def _by_initials(name: _Name, known: _Known) -> bool:
    return len(name.words) >= 2 and _fits_short(name.words, known.words)


def _by_mailbox(name: _Name, known: _Known) -> bool:
    """The name is the address's first part: "dana.reyes", or "dreyes"."""
    if len(name.words) < 2 or not known.local:
        return False
    written = "".join(known.local)
    return written in {"".join(name.words), name.words[0][0] + name.words[-1]}


def _by_one_word(name: _Name, known: _Known) -> bool:
    """A first name, a last one or a mailbox: none of them is surer than the others."""
    if len(name.words) != 1 or len(name.words[0]) < 2:
        return False
    return name.words in {known.words[:1], known.words[-1:], known.local}


def _fits_short(shown: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether each shown word is the whole name's, or an initial of it, in order.

    The first word stands whole in both: "D. R." may be anybody.
    """
    if not shown or not whole or len(shown) > len(whole) or shown[0] != whole[0]:
        return False
    rest = iter(whole[1:])
    return all(
        any(word == each or (len(word) == 1 and each.startswith(word)) for each in rest)
        for word in shown[1:]
    )


_WAYS: tuple[Callable[[_Name, _Known], bool], ...] = (
    _by_address,
    _by_name,
    _by_words,
    _by_initials,
    _by_mailbox,
    _by_one_word,
)
