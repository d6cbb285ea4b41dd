"""Memory on a real disk: what it takes in, answers, keeps apart and forgets."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.compartments import CompartmentRule
from locum.core.minutes import ActionItem, Minutes, Topic
from locum.core.model import MeetingKey, Person, SeriesKey
from locum.core.remembered import Compartment, Kind, Quoted, Remembered, Standing
from locum.errors import LocumError
from locum.memory import (
    Boundaries,
    Memory,
    MemoryDamagedError,
    MemoryFile,
    MemoryFileError,
    WishFile,
    open_file,
)
from tests.integration.memory_rig import (
    BEN,
    COLLEAGUE,
    DANA,
    OWNER,
    WEEK,
    Held,
    attendee,
    opened,
    told,
)
from tests.unit.builders import TEN

WEEKLY = SeriesKey("weekly@google.com")
INTERNAL = Compartment("internal")
ACME = Compartment("acme.example")
BETA = Compartment("beta.example")
TODAY = date(2026, 12, 24)
FRIDAY = date(2026, 11, 27)
WITH_DANA = (OWNER, COLLEAGUE, DANA)
WITH_BEN = (OWNER, BEN)


@pytest.fixture(params=[True, False], ids=["fts5", "like"])
def memory(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Memory]:
    """Answer an empty memory: once with FTS5, once as if SQLite had none."""
    made = opened(tmp_path, use_fts=request.param)
    yield made
    made.close()


def texts(lines: tuple[Remembered, ...]) -> list[str]:
    return [line.text for line in lines]


def weekly(week: int = 0, **changes: object) -> Held:
    return Held(week=week, **changes)  # type: ignore[arg-type] # By name.


# ── taking in ────────────────────────────────────────────────────────────────────────────


def test_every_line_has_its_provenance(memory: Memory) -> None:
    """A line knows its meeting, when it was, its words, and who said them when."""
    held = weekly()
    held.promises("Send the budget deck", by=COLLEAGUE, due=FRIDAY)
    [summary] = told(memory, [held])

    [line] = memory.of_series(WEEKLY)

    assert (line.kind, line.text, line.owner, line.due) == (
        Kind.COMMITMENT,
        "Send the budget deck",
        COLLEAGUE.name,
        FRIDAY,
    )
    assert (line.meeting, line.title, line.at) == (summary.key, "Weekly sync", held.start)
    assert (line.series, line.compartment, line.speaker) == (WEEKLY, INTERNAL, COLLEAGUE.name)
    said_at = held.start + timedelta(minutes=1)
    assert line.quotes == (Quoted("u1", "Send the budget deck", COLLEAGUE.name, said_at),)


def test_sections_and_topics_come_in(memory: Memory) -> None:
    """Decisions, promises, questions and points are lines; those of a topic know which."""
    held = weekly()
    held.decides("We take Postgres")
    held.asks("Who pays?")
    held.topics.append(Topic("Databases", "u1", "u1"))
    told(memory, [held])

    found = {line.kind: line.topic for line in memory.of_series(WEEKLY)}

    assert found == {Kind.DECISION: "Databases", Kind.QUESTION: ""}


def test_the_same_summary_twice_changes_nothing(memory: Memory) -> None:
    """Remembering is idempotent, approvals included."""
    held = weekly()
    held.decides("We take Postgres")
    told(memory, [held])
    [line] = memory.of_series(WEEKLY)
    memory.approve(line.id)

    told(memory, [held, held])

    assert memory.of_series(WEEKLY) == (replace(line, approved=True),)


def test_a_later_edition_takes_the_earlier_ones_place(memory: Memory) -> None:
    """Lines that the new one lacks are gone; an older one that comes late changes nothing."""
    first, second = weekly(), weekly(edition=2)
    first.decides("We take Postgres")
    second.decides("We take SQLite")

    told(memory, [first, second, first])

    assert texts(memory.of_series(WEEKLY)) == ["We take SQLite"]
    assert memory.search("postgres") == ()


def test_promises_are_followed_anew_with_an_edition(memory: Memory) -> None:
    """What an edition doesn't say any more isn't settled any more."""
    first, second = weekly(), weekly(1)
    first.promises("Send the budget deck")
    second.says("The budget deck is sent.")
    told(memory, [first, second])
    assert [line.standing for line in memory.of_series(WEEKLY)] == [Standing.DONE]

    told(memory, [weekly(1, edition=2)])

    assert [line.standing for line in memory.of_series(WEEKLY)] == [Standing.OPEN]


def test_what_settled_a_promise_is_quoted(memory: Memory) -> None:
    """A promise that was kept names the meeting, the sentence and who said it."""
    first, second = weekly(), weekly(1)
    first.promises("Send the budget deck")
    second.says("The budget deck is sent.", by=OWNER)
    _, summary = told(memory, [first, second])

    [line] = memory.of_series(WEEKLY)

    assert line.settled_by == summary.key
    said_at = second.start + timedelta(minutes=1)
    last = Quoted("u1", "The budget deck is sent.", OWNER.name, said_at, summary.key)
    assert line.quotes[-1] == last


def test_what_put_a_promise_off_is_quoted(memory: Memory) -> None:
    """An open promise with another day quotes the meeting that named it."""
    first, second = weekly(), weekly(1)
    first.promises("Send the budget deck", due=FRIDAY)
    second.says("The budget deck slips to December 11.")
    _, summary = told(memory, [first, second])

    [line] = memory.of_series(WEEKLY)

    assert (line.standing, line.due) == (Standing.OPEN, date(2026, 12, 11))
    assert line.settled_by is None
    assert [getattr(quote, "meeting", None) for quote in line.quotes] == [None, summary.key]


def test_a_summary_without_minutes_leaves_its_meeting(memory: Memory) -> None:
    """Where nothing was heard there is no line, and the meeting is known to be taken in."""
    summary = replace(weekly().summary(), minutes=None)
    memory.remember(summary)

    assert memory.of_series(WEEKLY) == ()
    assert memory.known() == {(summary.session, summary.key): 1}


def test_hostile_content_is_only_text(memory: Memory) -> None:
    """NULs, lone surrogates, markup and endless lines neither fail nor break out."""
    held = weekly(title="Robert'); DROP TABLE lines;--\0\ud800")
    held.decides("NUL \0, surrogate \ud800, \x1b[31mred\x1b[0m <script>alert(1)</script>")
    held.decides("x" * 100_000)
    told(memory, [held])

    lines = memory.of_series(WEEKLY)

    assert len(lines) == 2
    assert max(len(line.text) for line in lines) == 1000
    assert "\0" not in "".join(texts(lines))
    assert len(memory.search("surrogate markup")) == 1


# ── commitments ──────────────────────────────────────────────────────────────────────────


def test_the_next_meeting_opens_with_what_was_left(memory: Memory) -> None:
    """What isn't done is carried on, the late first; each promise once."""
    first, second = weekly(), weekly(1)
    first.promises("Send the budget deck", due=FRIDAY)
    first.promises("Book the venue", by=OWNER)
    first.promises("Write the launch plan", due=date(2027, 1, 8))
    second.says("The venue is booked.", by=OWNER)
    second.promises("Send the budget deck to everybody")
    told(memory, [first, second])

    found = memory.open_commitments(WEEKLY, INTERNAL, today=TODAY)

    assert [(each.text, each.is_late) for each in found] == [
        ("Send the budget deck", True),
        ("Write the launch plan", False),
    ]


def test_a_meeting_is_not_its_own_past(memory: Memory) -> None:
    """When a summary is written anew, its own promises don't come from before."""
    first, second = weekly(), weekly(1)
    first.promises("Send the budget deck")
    second.promises("Book the venue")
    second.says("The budget deck is sent.")
    told(memory, [first, second])

    found = memory.open_commitments(WEEKLY, INTERNAL, today=TODAY, before=second.start)

    assert [each.text for each in found] == ["Send the budget deck"]


def test_the_order_of_taking_in_is_nothing(tmp_path: Path) -> None:
    """A memory that is made anew in another order says the same."""
    meetings = [weekly(n) for n in range(3)]
    meetings[0].promises("Send the budget deck")
    meetings[1].promises("Send the budget deck", due=FRIDAY)
    meetings[2].says("The budget deck is sent.")
    for name, order in (("one", meetings), ("two", meetings[::-1])):
        memory = opened(tmp_path / name)
        told(memory, order)
        memory.close()

    one, two = opened(tmp_path / "one"), opened(tmp_path / "two")

    assert one.of_series(WEEKLY) == two.of_series(WEEKLY)
    one.close()
    two.close()


# ── apart ────────────────────────────────────────────────────────────────────────────────


def apart(memory: Memory) -> None:
    """Have the same series met among one's own, with one client, with another, and unknown."""
    companies = {
        "internal": (OWNER, COLLEAGUE),
        "acme": WITH_DANA,
        "beta": WITH_BEN,
        "both": (OWNER, DANA, BEN),
        "unknown": (OWNER, Person("")),
    }
    for week, (name, people) in enumerate(companies.items()):
        held = weekly(week, people=people)
        held.decides(f"Canary {name} is decided", by=OWNER)
        held.promises(f"Canary {name} is to be fed", by=OWNER)
        told(memory, [held])


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        (None, {"internal", "acme", "beta", "both", "unknown"}),
        (INTERNAL, {"internal", "acme", "beta", "both"}),
        (ACME, {"acme", "both"}),
        (BETA, {"beta", "both"}),
        (Compartment("acme.example + beta.example"), {"both"}),
        (Compartment("gamma.example"), set()),
        (Compartment(""), set()),
    ],
)
def test_nobody_is_shown_what_was_said_among_others(
    memory: Memory, audience: Compartment | None, expected: set[str]
) -> None:
    """By whatever way one asks, only what the audience was entitled to comes out."""
    apart(memory)

    def seen(lines: tuple[Remembered, ...]) -> set[str]:
        return {line.text.split()[1] for line in lines}

    assert seen(memory.search("canary", compartment=audience)) == expected
    assert seen(memory.of_series(WEEKLY, compartment=audience)) == expected
    assert seen(memory.of_person("Alex Owner", compartment=audience)) == expected
    assert seen(memory.commitments(compartment=audience)) == expected
    assert seen(memory.newest(compartment=audience)) == expected
    hits = memory.answers("what was decided about the canary?", compartment=audience, limit=50)
    assert seen(tuple(hit.line for hit in hits)) == expected
    passages = memory.passages("canary", compartment=audience, limit=50)
    assert {each.text.split()[1] for each in passages} == expected
    found = memory.open_commitments(WEEKLY, audience, today=TODAY)
    assert {each.text.split()[1] for each in found} == expected


def test_how_a_promise_stands_is_no_news_from_elsewhere(memory: Memory) -> None:
    """That it was dropped among one's own people isn't shown to the client; it is to them."""
    first = weekly(people=WITH_DANA)
    first.promises("Build the importer", by=COLLEAGUE)
    second = weekly(1)
    second.says("We decided against the importer.")
    told(memory, [first, second])

    [theirs] = memory.search("importer", compartment=ACME)
    [ours] = memory.search("importer", compartment=INTERNAL)
    [owners] = memory.search("importer")

    assert (theirs.standing, theirs.settled_by) == (Standing.OPEN, None)
    assert [quote.quote for quote in theirs.quotes] == ["Build the importer"]
    assert ours.standing is owners.standing is Standing.CONTRADICTED
    assert len(memory.open_commitments(WEEKLY, ACME, today=TODAY)) == 1
    assert memory.open_commitments(WEEKLY, INTERNAL, today=TODAY) == ()


def test_who_speaks_without_being_invited_is_unknown(memory: Memory) -> None:
    """A voice that nobody on the list has leaves its meeting to the owner alone."""
    for week, speaker in enumerate(["Mallory", "+49 30 901820", "Speaker 2", "", "Dana"]):
        held = weekly(week, people=WITH_DANA)
        held.decides(f"Decision {week}", by=OWNER)
        held.says("Hello everybody", by=speaker)
        told(memory, [held])

    found = memory.of_series(WEEKLY, compartment=ACME)

    assert texts(found) == ["Decision 4", "Decision 3", "Decision 2"]


def test_a_resolved_guest_counts_as_there(memory: Memory) -> None:
    """Somebody from another client who was let in makes it both clients' meeting."""
    held = weekly(people=WITH_DANA)
    held.decides("We take Postgres", by=BEN)
    told(memory, [held])

    assert memory.of_series(WEEKLY)[0].compartment == "acme.example + beta.example"
    assert memory.of_series(WEEKLY, compartment=ACME) != ()


def test_rules_and_own_domains_decide(tmp_path: Path) -> None:
    """What the config says of people is what counts."""
    rule = CompartmentRule("umbrella", ("acme.example", "beta.example"))
    memory = opened(tmp_path, Boundaries(("own.example",), (rule,)))
    held = weekly(people=(OWNER, DANA, BEN))
    held.decides("We take Postgres", by=BEN)
    told(memory, [held])

    assert memory.of_series(WEEKLY)[0].compartment == "umbrella"
    memory.close()


NAMES = st.sampled_from(["acme", "beta", "gamma", "own", ""])
MEETINGS = st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=1, max_size=4)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(meetings=MEETINGS, audience=st.lists(NAMES, min_size=1, max_size=3))
def test_canaries_stay_where_they_were_put(
    tmp_path_factory: pytest.TempPathFactory,
    meetings: list[list[str]],
    audience: list[str],
) -> None:
    """Whoever met whom: nothing comes out to somebody who wasn't of a party that was there."""

    def people(names: list[str]) -> tuple[Person, ...]:
        return (OWNER, *(Person(f"x@{n}.example" if n else "", n or "?") for n in names))

    memory = opened(tmp_path_factory.mktemp("memory"))
    for week, names in enumerate(meetings):
        held = weekly(week, people=people(names))
        held.decides(f"canary {week}", by=OWNER)
        memory.remember(held.summary())
    asking = Boundaries().of_summary(weekly(99, people=people(audience)).summary())

    found = {int(line.text.split()[1]) for line in memory.search("canary", compartment=asking)}

    memory.close()
    entitled = {
        week
        for week, names in enumerate(meetings)
        if "" not in names + audience and {*audience} - {"own"} <= {*names}
    }
    assert found == entitled


# ── searching ────────────────────────────────────────────────────────────────────────────


def test_words_are_found_in_any_form(memory: Memory) -> None:
    """Endings, case and irregular forms make no difference; the line with all words is first."""
    held = weekly()
    held.decides("The deliveries were written off")
    held.decides("A delivery comes on Monday")
    held.decides("Nothing else")
    told(memory, [held])

    found = texts(memory.search("DELIVERY write"))

    assert found == ["The deliveries were written off", "A delivery comes on Monday"]


def test_other_languages_are_found_too(memory: Memory) -> None:
    """German is stemmed as German, and what has no blanks between words is found by its parts."""
    german = weekly(language="de")
    german.decides("Die Verträge werden verlängert")
    japanese = weekly(1, language="ja")
    japanese.decides("予算は来週までに決定します")
    told(memory, [german, japanese])

    assert texts(memory.search("Vertrag")) == ["Die Verträge werden verlängert"]
    assert texts(memory.search("予算")) == ["予算は来週までに決定します"]


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "NEAR(a b)",
        "said:postgres",
        "postgres*",
        "^postgres OR",
        "') OR 1=1 --",
        "{said around} : x",
        "%",
        "\0\ud800",
        "",
        "the of and",
        "(" * 500,
        "postgres " * 10_000,
    ],
)
def test_no_query_is_more_than_words(memory: Memory, query: str) -> None:
    """Nothing that somebody types is ever read as a query's syntax."""
    held = weekly()
    held.decides("We take Postgres")
    told(memory, [held])

    found = memory.search(query)

    assert texts(found) == (["We take Postgres"] if "postgres" in query else [])


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(query=st.text(max_size=60))
def test_any_text_can_be_asked(tmp_path_factory: pytest.TempPathFactory, query: str) -> None:
    """Whatever is asked, an answer comes, and never an error of SQLite's."""
    memory = _shared(tmp_path_factory)

    memory.search(query)
    memory.answers(query)
    memory.of_person(query)
    memory.faces(query)
    memory.line(query)


_SHARED: list[Memory] = []


def _shared(factory: pytest.TempPathFactory) -> Memory:
    if not _SHARED:
        _SHARED.append(opened(factory.mktemp("memory")))
        held = weekly()
        held.decides("We take Postgres")
        told(_SHARED[0], [held])
    return _SHARED[0]


@pytest.fixture(autouse=True, scope="module")
def _closing() -> Iterator[None]:
    yield
    while _SHARED:
        _SHARED.pop().close()


def test_questions_find_what_they_are_about(memory: Memory) -> None:
    """A question for decisions finds the decision first; one on nothing finds nothing."""
    held = weekly()
    held.asks("Which database for billing?")
    held.decides("Billing moves to the Postgres database")
    held.promises("Draft the landing page")
    told(memory, [held])

    decided = memory.answers("What did we decide about the billing database?")
    unknown = memory.answers("What did we decide about the moon landing?")

    assert [hit.line.kind for hit in decided] == [Kind.DECISION, Kind.QUESTION]
    assert unknown == ()
    [first, _] = memory.passages("What did we decide about the billing database?")
    assert (first.id, first.meeting, first.speaker) == (
        decided[0].line.id,
        "Weekly sync",
        COLLEAGUE.name,
    )


def test_people_are_found_by_name_and_address(memory: Memory) -> None:
    """What somebody said or owns is found by address, full name or first name; not by a piece."""
    held = weekly(people=WITH_DANA)
    held.promises("Send the contract", by=DANA)
    held.decides("We take Postgres", by=COLLEAGUE)
    told(memory, [held])

    for name in ("dana@acme.example", "Dana Client", "dana"):
        assert texts(memory.of_person(name)) == ["Send the contract"]
    assert memory.of_person("dan") == memory.of_person("%") == memory.of_person(" ") == ()


# ── forgetting ───────────────────────────────────────────────────────────────────────────


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("memory*"))


def test_what_is_forgotten_is_gone_from_the_disk(tmp_path: Path) -> None:
    """Neither the tables nor the index nor the -wal keep a word of it."""
    memory = opened(tmp_path)
    held = weekly()
    held.decides("The zanzibar project is xylophone")
    held.decides("We take Postgres")
    told(memory, [held])
    [line] = memory.search("zanzibar")
    assert b"zanzibar" in on_disk(tmp_path)

    done = memory.forget_line(line.id, at=TEN)

    assert done.lines == 1
    assert b"zanzibar" not in on_disk(tmp_path).lower()
    assert b"xylophon" not in on_disk(tmp_path).lower()
    assert texts(memory.of_series(WEEKLY)) == ["We take Postgres"]
    memory.close()


def forgotten_by(memory: Memory, how: str, later: bool = False) -> None:  # noqa: FBT001, FBT002 - A flag of the test's.
    at = TEN + 10 * WEEK
    if how == "meeting":
        memory.forget_meeting(weekly().summary().key, at=at)
    elif how == "series":
        memory.forget_series(WEEKLY, at=at)
    elif how == "person":
        memory.forget_person(memory.faces("dana"), at=at)


@pytest.mark.parametrize("how", ["meeting", "series", "person"])
def test_what_was_forgotten_stays_so_when_memory_is_made_anew(tmp_path: Path, how: str) -> None:
    """Taken in from the same summaries once more, even in a new file, it doesn't come back."""
    held = weekly(people=WITH_DANA)
    held.decides("Zanzibar it is", by=DANA)
    held.says("The zanzibar deck is sent.", by=DANA)
    memory = opened(tmp_path)
    [summary] = told(memory, [held])
    forgotten_by(memory, how)
    assert memory.of_series(WEEKLY) == ()
    memory.close()
    (tmp_path / "memory.sqlite3").unlink()

    memory = opened(tmp_path)
    memory.remember(summary)
    memory.remember(replace(summary, edition=2))

    assert memory.of_series(WEEKLY) == ()
    assert b"anzibar" not in on_disk(tmp_path)
    assert b"dana" not in (tmp_path / "memory-wishes.json").read_bytes()
    memory.close()


def test_a_person_who_is_forgotten_is_named_nowhere(memory: Memory) -> None:
    """What others said of them by their full name goes too; what others said alone stays."""
    held = weekly(people=WITH_DANA)
    held.decides("Dana Client pays for the venue", by=COLLEAGUE)
    held.decides("The venue costs 500", by=COLLEAGUE)
    held.promises("Pay the venue", by=DANA)
    told(memory, [held])

    memory.forget_person(memory.faces("dana@acme.example"), at=TEN + WEEK)

    assert texts(memory.of_series(WEEKLY)) == ["The venue costs 500"]


def test_later_meetings_of_a_forgotten_series_count_again(memory: Memory) -> None:
    """Forgetting a series is about its past."""
    early, late = weekly(), weekly(5)
    early.decides("Early")
    late.decides("Late")
    told(memory, [early])
    memory.forget_series(WEEKLY, at=TEN + WEEK)

    told(memory, [early, late])

    assert texts(memory.of_series(WEEKLY)) == ["Late"]


def test_what_is_forgotten_settles_nothing(memory: Memory) -> None:
    """With the meeting that said it was done, its being done is gone too."""
    first, second = weekly(), weekly(1)
    first.promises("Send the budget deck")
    second.says("The budget deck is sent.")
    _, summary = told(memory, [first, second])

    memory.forget_meeting(MeetingKey(summary.key), at=TEN)

    [line] = memory.of_series(WEEKLY)
    assert (line.standing, len(line.quotes)) == (Standing.OPEN, 1)


def test_what_is_too_old_goes(memory: Memory) -> None:
    """Retention takes what began before, and doesn't take it for missing afterwards."""
    early, late = weekly(), weekly(1)
    early.decides("Early")
    late.decides("Late")
    told(memory, [early, late])

    done = memory.forget_before(TEN + timedelta(days=1))

    assert done.lines == 1
    assert texts(memory.of_series(WEEKLY)) == ["Late"]
    assert len(memory.known()) == 2
    assert memory.forget_before(TEN + timedelta(days=1)).lines == 0


def test_an_approval_outlives_the_file(tmp_path: Path) -> None:
    """What a person confirmed is so in a memory that is made anew; and can be taken back."""
    held = weekly()
    held.decides("We take Postgres")
    memory = opened(tmp_path)
    [summary] = told(memory, [held])
    memory.approve(memory.of_series(WEEKLY)[0].id)
    memory.close()
    (tmp_path / "memory.sqlite3").unlink()

    memory = opened(tmp_path)
    memory.remember(summary)

    [line] = memory.of_series(WEEKLY)
    assert line.approved
    memory.approve(line.id, approved=False)
    assert not memory.of_series(WEEKLY)[0].approved
    memory.close()


# ── settling by hand ─────────────────────────────────────────────────────────────────────


def promised(memory: Memory, *weeks: int, people: tuple[Person, ...] = WITH_DANA) -> Remembered:
    """Answer a promise that was made in each of these weeks, as it stands for its owner."""
    for week in weeks:
        held = weekly(week, people=people)
        held.promises("Send the budget deck", by=COLLEAGUE, due=FRIDAY)
        told(memory, [held])
    return the_deck(memory)


def the_deck(memory: Memory, compartment: Compartment | None = None) -> Remembered:
    lines = memory.of_series(WEEKLY, compartment=compartment)
    [deck] = [line for line in lines if "deck" in line.text and line.same_as is None]
    return deck


@pytest.mark.parametrize("standing", [Standing.DONE, Standing.DROPPED])
def test_what_is_settled_by_hand_is_left_to_nobody(memory: Memory, standing: Standing) -> None:
    """Not to the next meeting, nor in the list of what is open; until that is taken back."""
    deck = promised(memory, 0, 1)
    memory.rule(deck.id, standing, at=TEN + 2 * WEEK)

    settled = the_deck(memory)
    left = memory.open_commitments(WEEKLY, ACME, today=TODAY, before=TEN + WEEK)
    assert (settled.standing, settled.by_hand) == (standing, True)
    assert memory.commitments() == ()
    assert left == ()

    memory.rule(deck.id, None, at=TEN + 3 * WEEK)
    assert the_deck(memory) == deck
    assert len(memory.open_commitments(WEEKLY, ACME, today=TODAY)) == 1


def test_done_is_told_and_dropped_is_the_owners_to_tell(memory: Memory) -> None:
    """A client hears that a thing is done, and nothing of one that its owner dropped."""
    deck = promised(memory, 0)
    memory.rule(deck.id, Standing.DONE, at=TEN + WEEK)
    [passage] = memory.passages("budget deck", compartment=ACME)
    assert passage.text == "Send the budget deck (done)"
    assert the_deck(memory, ACME).standing is Standing.DONE

    memory.rule(deck.id, Standing.DROPPED, at=TEN + WEEK)
    assert memory.passages("budget deck", compartment=ACME) == ()
    assert memory.of_series(WEEKLY, compartment=ACME) == ()
    assert the_deck(memory).standing is Standing.DROPPED


def test_what_settles_a_promise_settles_it_among_others_too(memory: Memory) -> None:
    """Promised to each of two clients, by whichever line it is named; it is one thing."""
    promised(memory, 0)
    promised(memory, 1, people=WITH_BEN)
    [repeat] = memory.of_meeting(weekly(1).summary().key)
    memory.rule(repeat.id, Standing.DONE, at=TEN + 2 * WEEK)

    assert memory.open_commitments(WEEKLY, ACME, today=TODAY) == ()
    assert memory.open_commitments(WEEKLY, BETA, today=TODAY) == ()
    assert the_deck(memory).standing is Standing.DONE


@pytest.mark.parametrize(
    ("quote", "text", "standing"),
    [
        ("Send the budget deck", "Send the deck on the budget to all", Standing.DONE),
        (
            "I'll get the deck over to you, and book a room",
            "Send Dana Client the deck",
            Standing.DONE,
        ),
        ("I'll get the deck over to you, and book a room", "Book a room", Standing.OPEN),
    ],
)
def test_a_new_edition_leaves_what_was_settled(
    memory: Memory, quote: str, text: str, standing: Standing
) -> None:
    """In other words it is the same promise; what only shares its breath is another one."""
    for edition, words in enumerate(["Send the budget deck", text, text], start=1):
        held = weekly(edition=edition)
        said = held.says(quote)
        held.actions.append(ActionItem(words, (said,), owner=COLLEAGUE.name))
        told(memory, [held])
        if edition == 1:
            memory.rule(memory.of_series(WEEKLY)[0].id, Standing.DONE, at=TEN + WEEK)

    [line] = memory.of_series(WEEKLY)
    assert (line.text, line.standing) == (text, standing)
    assert line.by_hand == (standing is Standing.DONE)


def test_what_was_settled_by_hand_outlives_the_file(tmp_path: Path) -> None:
    """Made anew from the ledger's summaries, after a new edition, it stands as it was left."""
    memory = opened(tmp_path)
    memory.rule(promised(memory, 0).id, Standing.DROPPED, at=TEN + WEEK)
    held = weekly(edition=2, people=WITH_DANA)
    held.promises("Send the budget deck to everybody", by=COLLEAGUE)
    [summary] = told(memory, [held])
    memory.close()
    (tmp_path / "memory.sqlite3").unlink()

    memory = opened(tmp_path)
    memory.remember(summary)

    assert the_deck(memory).standing is Standing.DROPPED
    memory.close()


# ── the file ─────────────────────────────────────────────────────────────────────────────


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    """What isn't a database any more lies in quarantine, and a new one begins."""
    path = tmp_path / "memory.sqlite3"
    path.write_bytes(b"not a database at all" * 500)

    file, is_new = open_file(path, now=TEN)
    file.close()

    assert is_new
    [kept] = (tmp_path / "quarantine").glob("*/memory.sqlite3")
    assert kept.read_bytes().startswith(b"not a database")


def _read_all(path: Path) -> None:
    file = MemoryFile(path, read_only=True)
    try:
        file.rows("SELECT * FROM lines ORDER BY text")
    finally:
        file.close()


def test_damage_met_while_it_runs_says_so(tmp_path: Path) -> None:
    """A page that rots under an open memory is an error of its own kind; opened anew, it is aside."""
    memory = opened(tmp_path)
    for week in range(20):
        held = weekly(week)
        for number in range(10):
            held.decides(f"Decision {week} {number} {'word ' * 50}")
        told(memory, [held])
    memory.close()
    path = tmp_path / "memory.sqlite3"
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xff" * (len(content) - 12288)
    path.write_bytes(content)

    with pytest.raises((MemoryDamagedError, MemoryFileError)):
        _read_all(path)
    file, is_new = open_file(path, now=TEN)
    file.close()

    assert is_new


def test_a_newer_locums_file_is_left_alone(tmp_path: Path) -> None:
    """It is no damage that we don't understand."""
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "memory.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(MemoryFileError, match="newer locum"):
        open_file(tmp_path / "memory.sqlite3", now=TEN)

    assert not (tmp_path / "quarantine").exists()


def test_an_index_that_was_missing_is_made_up_for(tmp_path: Path) -> None:
    """What was written where SQLite had no FTS5 is found where it has; and what went is gone."""
    memory = opened(tmp_path)
    first, second = weekly(), weekly(1)
    first.decides("We take Postgres")
    second.decides("We take the train")
    told(memory, [first])
    memory.close()
    memory = opened(tmp_path, use_fts=False)
    told(memory, [second])
    memory.forget_meeting(first.summary().key, at=TEN)
    memory.close()

    memory = opened(tmp_path)

    assert texts(memory.search("train")) == ["We take the train"]
    assert memory.search("postgres") == ()
    memory.close()


def test_an_unreadable_list_of_wishes_is_an_error(tmp_path: Path) -> None:
    """Whoever can't tell what is to be forgotten must not go on as if it were nothing."""
    path = tmp_path / "memory-wishes.json"
    path.write_text('{"forgotten": 3')

    with pytest.raises(MemoryFileError, match=r"memory-wishes\.json"):
        WishFile(path)


def test_a_failing_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the wish to forget can't be written down, nothing is deleted, and it is said."""
    memory = opened(tmp_path / "state")
    held = weekly()
    held.decides("We take Postgres")
    told(memory, [held])
    [line] = memory.of_series(WEEKLY)
    (tmp_path / "state").rename(tmp_path / "elsewhere")

    with pytest.raises(LocumError, match="can't be written"):
        memory.forget_line(line.id, at=TEN)

    (tmp_path / "elsewhere").rename(tmp_path / "state")
    assert memory.of_series(WEEKLY) == (line,)
    memory.close()


def test_twelve_hours_are_bounded(memory: Memory) -> None:
    """A meeting of thousands of claims and utterances leaves no more than a thousand lines."""
    held = weekly()
    for number in range(1500):
        held.decides(f"Decision number {number}")
    summary = held.summary()
    memory.remember(summary)

    assert len(memory.of_series(WEEKLY)) == 1000


def test_empty_minutes_are_no_lines(memory: Memory) -> None:
    """Minutes that say nothing leave nothing, whoever was there."""
    summary = replace(weekly().summary(), minutes=Minutes("test"), attendees=(attendee(OWNER),))
    memory.remember(summary)

    assert memory.newest() == ()
