"""Who may be told what: nothing ever reaches somebody who wasn't entitled to hear it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.compartments import (
    INTERNAL,
    NOBODY,
    CompartmentRule,
    clients_of,
    compartment_of,
    parse_compartment_name,
    readable,
    readable_among,
)
from locum.core.model import Answer, Attendee, Person
from locum.core.remembered import Compartment

EVERY = settings(derandomize=True, max_examples=1000, deadline=None)
OWNER = "alex@own.example"
RULES = (
    CompartmentRule("umbrella", ("umbrella.example", "*@*.umbrella.example", "u@gmail.com")),
)


def placed(*addresses: str, complete: bool = True, owner: str = OWNER) -> Compartment:
    return compartment_of(
        [Person(each) for each in addresses], owner_email=owner, rules=RULES, complete=complete
    )


# ── names ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ((OWNER, "kim@own.example"), "internal"),
        ((OWNER, "dana@acme.example"), "acme.example"),
        ((OWNER, "Dana@ACME.example", "kim@own.example"), "acme.example"),
        ((OWNER, "dana@acme.example", "ben@beta.example"), "acme.example + beta.example"),
        ((OWNER, "dana@gmail.com"), "dana@gmail.com"),
        ((OWNER, "u@gmail.com", "v@eu.umbrella.example"), "umbrella"),
        ((OWNER, "c_12@resource.calendar.google.com"), "internal"),
        ((OWNER, "dana@eu.acme.example"), "eu.acme.example"),
    ],
)
def test_those_from_outside_name_the_compartment(
    addresses: tuple[str, ...], expected: str
) -> None:
    """A client's domain, a rule or an address of a public domain; else it is internal."""
    assert placed(*addresses) == expected


@pytest.mark.parametrize(
    "addresses",
    [
        (),
        (OWNER, ""),
        (OWNER, "+49 30 901820"),
        (OWNER, "unknownorganizer@calendar.google.com"),
        (OWNER, "team_1@group.calendar.google.com"),
        (OWNER, "x@internal"),
        (OWNER, "two@at@signs.example"),
        ("c_12@resource.calendar.google.com",),
    ],
)
def test_an_unknown_attendee_empties_the_compartment(addresses: tuple[str, ...]) -> None:
    """Where anybody can't be told, nothing is told; a projector alone is nobody."""
    assert placed(*addresses) == NOBODY


def test_an_omitted_list_empties_the_compartment() -> None:
    """Whoever isn't shown could be anybody."""
    assert placed(OWNER, "dana@acme.example", complete=False) == NOBODY


def test_an_owner_with_a_public_address_has_no_domain_of_strangers() -> None:
    """That the owner is at gmail.com makes nobody else there one of his people."""
    assert placed("me@gmail.com", "dana@gmail.com", owner="me@gmail.com") == "dana@gmail.com"


def test_own_domains_may_be_named() -> None:
    """Named domains take the place of the owner's own, single addresses among them."""
    people = [Person("a@one.example"), Person("b@two.example"), Person("c@gmail.com")]
    own = ("one.example", "@two.example", "c@gmail.com")

    assert compartment_of(people, own_domains=own, owner_email=OWNER) == INTERNAL


def test_attendees_count_as_people() -> None:
    """A calendar's attendees may be given as they are; one who declined may still come."""
    declined = Attendee(Person("dana@acme.example"), Answer.DECLINED)

    assert compartment_of([Person(OWNER), declined], owner_email=OWNER) == "acme.example"


@pytest.mark.parametrize("name", ["", "two words", "a+b", "internal", "x" * 101, "bad\u202e"])
def test_names_of_rules_are_checked(name: str) -> None:
    """A name that could be read as several, or as one's own people, is refused."""
    with pytest.raises(ValueError, match=r"compartment|internal"):
        parse_compartment_name(name)


# ── telling ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "by", "expected"),
    [
        ("internal", "internal", True),
        ("internal", "acme", False),
        ("acme", "internal", True),
        ("acme", "acme", True),
        ("acme", "beta", False),
        ("acme", "acme + beta", False),
        ("acme + beta", "acme", True),
        ("acme + beta", "acme + beta", True),
        ("acme + beta", "acme + gamma", False),
        ("", "internal", False),
        ("acme", "", False),
        ("", "", False),
    ],
)
def test_a_line_is_told_only_to_whom_it_was_said(line: str, by: str, expected: bool) -> None:
    """Internal never to a client, one client's never to another, the empty one to nobody."""
    assert readable(Compartment(line), by=Compartment(by)) is expected


LOCALS = st.sampled_from(["a", "b", "u"])
DOMAINS = st.sampled_from(
    ["own.example", "acme.example", "beta.example", "umbrella.example", "eu.umbrella.example"]
    + ["gmail.com", "internal", "resource.calendar.google.com"]
)
ADDRESSES = st.one_of(
    st.builds("{}@{}".format, LOCALS, DOMAINS), st.sampled_from(["", "+49 30 901820"])
)
COMPANIES = st.lists(ADDRESSES, max_size=5)


def party(address: str) -> str | None:
    """Tell in the test's own words where somebody belongs; None where it can't be told."""
    domain = address.rpartition("@")[2]
    if not address or "@" not in address or domain == "internal":
        return None
    if domain.endswith("umbrella.example") or address == "u@gmail.com":
        return "umbrella"
    return {"own.example": "own", "gmail.com": address}.get(domain, domain)


def people_of(addresses: list[str]) -> list[str]:
    return [each for each in addresses if not each.endswith("resource.calendar.google.com")]


@EVERY
@given(said_to=COMPANIES, told_to=COMPANIES)
def test_nobody_is_told_what_he_was_not_entitled_to(
    said_to: list[str], told_to: list[str]
) -> None:
    """Whatever is told to an audience, each of its members was of a party that heard it.

    One's own people count as having heard what was said to any client.
    """
    line, by = placed(OWNER, *said_to), placed(OWNER, *told_to)
    heard = {party(each) for each in people_of(said_to)}
    audience = {party(each) for each in people_of(told_to)}
    known = None not in heard | audience

    expected = known and all(each == "own" or each in heard for each in audience)

    assert readable(line, by=by) is expected


@EVERY
@given(companies=st.lists(COMPANIES, max_size=6), told_to=COMPANIES)
def test_what_is_readable_among_many_is_so_for_each(
    companies: list[list[str]], told_to: list[str]
) -> None:
    """A choice among many compartments lets through what it would let through alone."""
    known = {placed(OWNER, *each) for each in companies}
    by = placed(OWNER, *told_to)

    assert readable_among(known, by=by) == {each for each in known if readable(each, by=by)}


@EVERY
@given(company=COMPANIES, order=st.randoms(use_true_random=False))
def test_a_compartment_is_the_same_in_any_order(company: list[str], order: object) -> None:
    """Who is named first makes no difference, nor does the case of an address."""
    shuffled = list(company)
    order.shuffle(shuffled)  # type: ignore[attr-defined] # Random, by hypothesis.

    found = placed(*(each.upper() for each in shuffled))

    assert found == placed(*company)
    assert INTERNAL not in clients_of(found)
