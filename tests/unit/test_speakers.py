"""Who is who, and who isn't anybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.core.model import Person
from locum.core.speakers import identified, is_stand_in, may_be_same, resolve
from locum.core.transcript import Utterance
from tests.unit.drawn import thorough

DANA = Person("dana@example.com", "Dana Reyes")
JONAS = Person("jonas@example.com", "Jonas Lind")
ROTH = Person("dana.roth@acme.com", "Dana Roth")
MIRA = Person("mira.patel@acme.com")
LEE = Person("jlee@example.org", "Lee, Jun-ho")
PEOPLE = (DANA, JONAS, MIRA, LEE)
TILE = "Robin (AI stand-in for Alex Winter)"


@pytest.mark.parametrize(
    ("speaker", "person"),
    [
        ("Dana Reyes", DANA),
        ("dana  REYES", DANA),
        ("Dána Reyes", DANA),
        ("Reyes, Dana", DANA),
        ("Dana R.", DANA),
        ("Dana L. Reyes", DANA),
        ("Dana Reyes (Acme)", DANA),
        ("Dana Reyes [External]", DANA),
        ("Dana Reyes | Acme", DANA),
        ("Dana", DANA),
        ("Reyes", DANA),
        ("dana@example.com", DANA),
        ("DANA@Example.com", DANA),
        ("dana@…", DANA),
        ("Dana <dana@example.com>", DANA),
        ("Mira Patel", MIRA),
        ("mira.patel", MIRA),
        ("Jun-ho Lee", LEE),
        ("J Lee", LEE),
    ],
)
def test_names_as_they_are_shown(speaker: str, person: Person) -> None:
    """Each way in which a meeting writes somebody's name leads to them."""
    assert resolve(speaker, PEOPLE) == person


@pytest.mark.parametrize(
    "speaker",
    [
        "",
        "   ",
        "+49 ••• ••12",
        "(415) ***-**34",
        "+1 415-555-0134",
        "users/1234567890",
        "conferenceRecords/abc/participants/1",
        "Robin (AI stand-in for Dana Reyes)",
        "da…@example.com",
        "Daniela",
        "D R",
        "Altostrat Room",
        "👍",
    ],
)
def test_names_of_nobody_known(speaker: str) -> None:
    """Numbers, ids, rooms, stand-ins and strangers are nobody of ours."""
    assert resolve(speaker, PEOPLE) is None


@pytest.mark.parametrize("speaker", ["Dana", "Dana R.", "dana@…"])
def test_never_one_of_two(speaker: str) -> None:
    """A name that fits two people equally well is neither's."""
    namesake = Person("dana@other.test", "Dana Rossi")
    assert resolve(speaker, [DANA, namesake]) is None


def test_what_stands_beside_a_name_decides_between_two() -> None:
    """A company tells two of one name apart, by where their mail goes."""
    assert resolve("Dana (Acme)", [DANA, ROTH]) == ROTH
    assert resolve("Dana (Initech)", [DANA, ROTH]) is None


def test_a_surer_way_wins() -> None:
    """The whole name is surer than a part of another one's."""
    short = Person("d@example.com", "Dana")
    assert resolve("Dana", [DANA, short]) == short
    assert resolve("Dana Reyes", [DANA, short]) == DANA


def test_listed_twice_is_one() -> None:
    """An attendee who is a contact too isn't two people."""
    again = Person("Dana@example.com", "")
    assert resolve("Dana", [again, DANA]) == DANA


@pytest.mark.parametrize(
    ("shown", "ours"),
    [
        (TILE, True),
        (TILE.upper(), True),
        ("Robin (AI stand-in for Al…", True),
        ("Robin (AI…", True),
        ("Robin…", False),
        ("Robin", False),
        ("", False),
        ("Robin (AI stand-in for Somebody Else)", False),
    ],
)
def test_our_own_tile(shown: str, *, ours: bool) -> None:
    """Our tile is known as a whole or cut off, and never a person's name for it."""
    assert is_stand_in(shown, TILE) is ours


def test_utterances_get_their_people() -> None:
    """Attendees come before contacts, and what we said is ours alone."""
    speakers = ["Dana R.", "Kim Vale", "Robin (AI stand-in for Al…", "+49 ••• ••12", "Dana"]
    contacts = [Person("kim@vale.test", "Kim Vale"), ROTH]
    found = identified(
        [Utterance("", speaker, "Hello there.") for speaker in speakers],
        [DANA, JONAS],
        contacts=contacts,
        tile=TILE,
    )
    assert [each.person for each in found] == [DANA, contacts[0], None, None, DANA]
    assert [each.by_us for each in found] == [False, False, True, False, False]


def test_an_attendee_who_is_unclear_is_no_contact() -> None:
    """Where two attendees fit, a contact of that name isn't taken for either."""
    attendees = [DANA, Person("dana@other.test", "Dana Rossi")]
    [one] = identified([Utterance("", "Dana", "Hi.")], attendees, contacts=[ROTH])
    assert one.person is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("", "Dana", True),
        ("Dana Reyes", "dana reyes", True),
        ("Dana R.", "Dana Reyes", True),
        ("Dana", "Dana Reyes (Acme)", True),
        ("Dana Reyes", "Jonas Lind", False),
        ("Dana R.", "Dana Smith", False),
        ("dana@…", "dana@example.com", True),
        ("dana@a.test", "dana@b.test", False),
        ("Robin (AI stand-in for Dana)", "Dana", False),
    ],
)
def test_names_that_may_be_one(one: str, other: str, *, same: bool) -> None:
    """Two sources' names for one person, either way round."""
    assert may_be_same(one, other) is same
    assert may_be_same(other, one) is same


@thorough
@given(st.text(max_size=60), st.permutations(PEOPLE))
def test_any_text_is_read(speaker: str, people: list[Person]) -> None:
    """Whatever is shown is read, and the order of people decides nothing."""
    assert resolve(speaker, people) == resolve(speaker, PEOPLE)
    may_be_same(speaker, "Dana")
    is_stand_in(speaker, TILE)
