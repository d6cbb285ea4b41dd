"""Among whom was something said, and to whom may it be told?

A compartment is named after those in the meeting who aren't one's own people: a client's
domain, or the name that a rule gives, or several of them joined. What was said there may be
told to an audience only if every one of its members was entitled to it:

- One's own people are entitled to every client's compartment, and to what was said among
  themselves ("internal").
- A client is entitled to the compartments that bear its name, and never to "internal".
- Where somebody can't be told (no address, a list that isn't whole, a telephone), the
  compartment is the empty one: nothing is told there, and nobody is told of it but the owner.

It trusts what the calendar says of who is invited; it doesn't know who forwards a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from string import ascii_lowercase, ascii_uppercase

from locum.core.model import Attendee, Person
from locum.core.remembered import Compartment

INTERNAL = Compartment("internal")
NOBODY = Compartment("")
"""What nobody but the owner is told of, and where nothing is told."""

_JOIN = " + "  # No blank stands in an address, a domain or a rule's name.
_MOST_PARTIES = 50

_ADDRESS = re.compile(r"[^\s@,;<>]{1,64}@([^\s@,;<>]{1,253})")

PUBLIC_DOMAINS = frozenset(
    [
        "aol.com",
        "fastmail.com",
        "free.fr",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "hotmail.co.uk",
        "hotmail.com",
        "hotmail.de",
        "hotmail.fr",
        "hotmail.it",
        "icloud.com",
        "laposte.net",
        "libero.it",
        "live.com",
        "live.de",
        "mac.com",
        "mail.com",
        "mail.ru",
        "mailbox.org",
        "me.com",
        "msn.com",
        "naver.com",
        "orange.fr",
        "outlook.com",
        "outlook.de",
        "outlook.fr",
        "pm.me",
        "posteo.de",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "163.com",
        "126.com",
        "rocketmail.com",
        "seznam.cz",
        "t-online.de",
        "tuta.com",
        "tutanota.com",
        "wanadoo.fr",
        "web.de",
        "wp.pl",
        "yahoo.co.jp",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.de",
        "yahoo.fr",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    ]
)
"""Where strangers live side by side: there, each address is a party of its own."""

_ROOMS = "resource.calendar.google.com"  # A projector hears nothing.
_GROUPS = frozenset({"group.calendar.google.com", "calendar.google.com"})
"""Google's own: a calendar as a guest, or "unknownorganizer": nobody knows who that is."""


@dataclass(frozen=True)
class CompartmentRule:
    """Who belongs to one party, whatever their domain: addresses, domains, shell patterns."""

    compartment: str
    attendees: tuple[str, ...]


def parse_compartment_name(value: str) -> str:
    """Check a name that a rule gives.

    Raises:
        ValueError: It could be taken for several, or for none.
    """
    if not re.fullmatch(r"[^\s+]{1,100}", value) or not value.isprintable():
        raise ValueError('the name of a compartment is one word without "+"')
    if value == INTERNAL:
        raise ValueError('"internal" are one\'s own people: name them in own_domains instead')
    return value


def compartment_of(
    attendees: Iterable[Attendee | Person],
    *,
    own_domains: Iterable[str] = (),
    owner_email: str = "",
    rules: Iterable[CompartmentRule] = (),
    complete: bool = True,
) -> Compartment:
    """Answer in which compartment a meeting of these people is.

    Args:
        attendees: Everybody who is, or may be, there.
        own_domains: Those of one's own people; single addresses too. Without any, it is the
            owner's domain, unless that is a public one.
        owner_email: Whom the stand-in stands in for.
        rules: The first that fits somebody decides for him; before `own_domains` do.
        complete: Whether nobody else can be there.
    """
    census = _Census(own_domains, owner_email, tuple(rules))
    parties = set()
    for each in attendees:
        party = census.party_of(each.person if isinstance(each, Attendee) else each)
        if party is None:
            return NOBODY
        parties.add(party)
    parties.discard(NOBODY)
    if not complete or not parties or len(parties) > _MOST_PARTIES:
        return NOBODY
    return joined(parties)


def joined(parties: Iterable[str]) -> Compartment:
    """Answer the compartment of several parties: what each of them may hear, and all together."""
    return Compartment(_JOIN.join(sorted(set(parties) - {INTERNAL}))) or INTERNAL


def clients_of(compartment: Compartment) -> frozenset[str]:
    """Answer whose names a compartment bears: nobody's if it is internal."""
    return frozenset(compartment.split(_JOIN)) - {INTERNAL, NOBODY}


def readable(line: Compartment, *, by: Compartment) -> bool:
    """Whether what was said in one compartment may be told in a meeting that is in another."""
    if NOBODY in {line, by}:
        return False
    return clients_of(by) <= clients_of(line)


def readable_among(known: Iterable[Compartment], *, by: Compartment) -> frozenset[Compartment]:
    return frozenset(each for each in known if readable(each, by=by))


_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def _lower(address: str) -> str:
    """Fold A to Z only: Unicode's folding makes one address of two ("ß" and "ss")."""
    return address.strip().translate(_LOWER)


class _Census:
    def __init__(
        self, own_domains: Iterable[str], owner_email: str, rules: tuple[CompartmentRule, ...]
    ) -> None:
        self._owner = _lower(owner_email)
        self._rules = rules
        self._own = frozenset(_lower(each).removeprefix("@") for each in own_domains)
        found = _ADDRESS.fullmatch(self._owner)
        if not self._own and found is not None and found[1] not in PUBLIC_DOMAINS:
            self._own = frozenset({found[1]})

    def party_of(self, person: Person) -> str | None:
        """Answer whose party a person is of; "" for what is nobody, None where it can't be told."""
        address = _lower(person.email)
        found = _ADDRESS.fullmatch(address)
        if found is None:
            return None
        if address == self._owner:
            return INTERNAL
        for rule in self._rules:
            if any(_fits(pattern, address, found[1]) for pattern in rule.attendees):
                return rule.compartment
        return self._party_by_domain(address, found[1])

    def _party_by_domain(self, address: str, domain: str) -> str | None:
        if domain == _ROOMS:
            return NOBODY
        if domain in _GROUPS:
            return None
        if address in self._own or domain in self._own:
            return INTERNAL
        if "." not in domain:
            return None  # No domain of the world's; and one of them is called "internal".
        return address if domain in PUBLIC_DOMAINS else domain


def _fits(pattern: str, address: str, domain: str) -> bool:
    pattern = _lower(pattern)
    if "@" not in pattern and not any(mark in pattern for mark in "*?["):
        return domain == pattern
    return fnmatchcase(address, pattern)
