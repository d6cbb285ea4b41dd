"""What became of promises, as far as later meetings tell; and what nobody may conclude."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.commitments import (
    MOST_SIGNS,
    Account,
    Followed,
    Turn,
    follow,
    heir_of,
    promises_of,
    same_person,
    signs_in,
)
from locum.core.minutes import ActionItem, Evidence
from locum.core.model import MeetingKey
from locum.core.remembered import LineId, Ruling, Standing
from locum.core.transcript import Transcript, Utterance
from tests.unit.builders import TEN

EVERY = settings(derandomize=True, max_examples=1000, deadline=None)
FRIDAY = date(2026, 11, 27)
MONDAY = date(2026, 11, 30)

Said = tuple[str, str]
"""Who, and what."""

Given = tuple[str, str | None, date | None]
"""A promise: its words, who makes it, and by when."""


def account(
    number: int, promises: Sequence[Given] = (), said: Sequence[Said] = (), language: str = "en"
) -> Account:
    """Answer a weekly meeting: first somebody promises, then things are said."""
    utterances = [
        Utterance(f"u{n}", owner or "", text)
        for n, (text, owner, _) in enumerate(promises, start=1)
    ]
    utterances += [
        Utterance(f"u{n}", who, text)
        for n, (who, text) in enumerate(said, start=len(promises) + 1)
    ]
    transcript = Transcript(tuple(utterances))
    items = [
        (
            LineId(f"m{number}p{n}"),
            ActionItem(text, (Evidence(f"u{n}", text),), owner=owner, due=due),
        )
        for n, (text, owner, due) in enumerate(promises, start=1)
    ]
    return Account(
        MeetingKey(f"m{number}"),
        TEN + timedelta(days=7 * number),
        promises_of(items, transcript, language),
        signs_in(transcript, language, on=(TEN + timedelta(days=7 * number)).date()),
    )


def after(promise: str, *said: str, owner: str = "Kim", speaker: str = "Kim") -> Followed:
    """Answer how a promise stands once this was said in the next meeting."""
    first = account(0, [(promise, owner, FRIDAY)])
    second = account(1, said=[(speaker, each) for each in said])
    return follow([first, second])[0]


# ── done and dropped ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "said",
    [
        ["What about the budget deck?", "That's sent."],
        ["I've sent the budget deck."],
        ["I finished the budget deck yesterday, by the way."],
        ["The budget deck is done."],
        ["The budget deck has already been sent to everybody."],
    ],
)
def test_what_is_said_to_be_done_is_done(said: list[str]) -> None:
    """A promise is kept once somebody says so, by name or by pointing at what was just said."""
    found = after("Send the budget deck to Dana", *said)

    assert found.standing is Standing.DONE
    assert found.settled_by == "m1"
    assert found.sign is not None
    assert found.sign.quote == said[-1]


@pytest.mark.parametrize(
    "said",
    [
        ["Is the budget deck sent?"],
        ["The budget deck isn't sent yet."],
        ["I haven't sent the budget deck."],
        ["Once the budget deck is sent, call me."],
        ["I think the budget deck is done."],
        ["The budget deck will be done tomorrow."],
        ["I'll have sent the budget deck by Friday."],
        ["The invoice is sent."],
        ["The budget deck is paid."],
        ["The hiring deck is sent."],
        ["That's sent."],
        ["It is a budget."],
        ["We should drop the budget deck."],
    ],
)
def test_what_is_asked_hoped_or_denied_moves_nothing(said: list[str]) -> None:
    """Nothing is done on a guess."""
    assert after("Send the budget deck to Dana", *said).standing is Standing.OPEN


@pytest.mark.parametrize(
    "said",
    [
        "We don't need the budget deck any more.",
        "Let's drop the budget deck.",
        "The budget deck is cancelled.",
        "We decided against the budget deck.",
    ],
)
def test_what_is_taken_back_is_contradicted(said: str) -> None:
    """A promise that nobody wants kept any more isn't open."""
    assert after("Send the budget deck to Dana", said).standing is Standing.CONTRADICTED


def test_i_sent_it_is_said_of_ones_own_promises() -> None:
    """What somebody says to have done doesn't settle another one's promise."""
    said = "I've sent the budget deck."

    assert after("Send the budget deck", said, speaker="Ben").standing is Standing.OPEN
    assert after("Send the budget deck", said, speaker="Kim Lee").standing is Standing.DONE
    assert after("Send the budget deck", said, speaker="").standing is Standing.DONE


def test_of_two_that_fit_equally_none_is_settled() -> None:
    """Which of two was meant isn't guessed; what says which one settles that one."""
    first = account(
        0, [("Send the Acme contract", "Kim", None), ("Send the Beta contract", "Kim", None)]
    )

    doubtful = follow([first, account(1, said=[("Kim", "The contract is sent.")])])
    clear = follow([first, account(1, said=[("Kim", "The Beta contract is sent.")])])

    assert [each.standing for each in doubtful] == [Standing.OPEN, Standing.OPEN]
    assert [each.standing for each in clear] == [Standing.OPEN, Standing.DONE]


def test_a_promise_can_be_kept_in_the_meeting_that_it_was_made_in() -> None:
    """What was promised first and done later in one meeting is done; not the other way round."""
    kept = account(
        0, [("I'll send the venue list", "Kim", None)], [("Kim", "Venue list is sent.")]
    )
    early = Account(
        kept.meeting,
        kept.at,
        tuple(each for each in kept.promises),
        tuple(type(sign)(**{**vars(sign), "position": -1}) for sign in kept.signs),
    )

    assert follow([kept])[0].standing is Standing.DONE
    assert follow([early])[0].standing is Standing.OPEN


def test_german_is_understood() -> None:
    """What is done, asked and taken back is known in German too."""
    first = account(0, [("Das Angebot an Acme schicken", "Kim", None)], language="de")

    def standing(text: str) -> Standing:
        return follow([first, account(1, said=[("Kim", text)], language="de")])[0].standing

    assert standing("Ich habe das Angebot an Acme geschickt.") is Standing.DONE
    assert standing("Das Angebot an Acme ist noch nicht verschickt.") is Standing.OPEN
    assert standing("Das Angebot an Acme brauchen wir nicht mehr.") is Standing.CONTRADICTED


@pytest.mark.parametrize(
    ("said", "due"),
    [
        ("The budget deck slips to December 11.", date(2026, 12, 11)),
        ("I need until Friday for the budget deck.", date(2026, 12, 4)),
        ("Let's push the budget deck to Thursday.", date(2026, 12, 3)),
        ("Maybe we push the budget deck to Thursday.", FRIDAY),
        ("Did we push the budget deck to Thursday?", FRIDAY),
        ("We push the budget deck.", FRIDAY),
    ],
)
def test_what_is_put_off_has_another_day(said: str, due: date) -> None:
    """A promise that slips stays open, by the day that was named; and names who said so."""
    found = after("Send the budget deck to Dana", said)

    assert (found.standing, found.due) == (Standing.OPEN, due)
    assert (found.sign is not None) == (due != FRIDAY)


# ── said again ───────────────────────────────────────────────────────────────────────────


def test_what_is_promised_again_is_one_promise() -> None:
    """The second time adds no second line; a due day that it gives is the one that counts."""
    first = account(0, [("I'll send the budget deck", "Kim", FRIDAY)])
    second = account(1, [("Send the budget deck to everybody", "Kim Lee", MONDAY)])
    third = account(2, [("Still have to send the budget deck", "Kim", None)])

    origin, *repeats = follow([first, second, third])

    assert [each.same_as for each in repeats] == ["m0p1", "m0p1"]
    assert origin.due == MONDAY
    assert origin.promised_at == first.at
    assert {each.due for each in repeats} == {MONDAY}


def test_what_is_settled_settles_its_repeats() -> None:
    """All lines of one promise stand alike."""
    first = account(0, [("Send the budget deck", "Kim", None)])
    second = account(1, [("Send the budget deck", "Kim", None)])
    third = account(2, said=[("Kim", "The budget deck is sent.")])

    assert {each.standing for each in follow([first, second, third])} == {Standing.DONE}


def test_a_promise_made_anew_after_it_was_kept_is_another_one() -> None:
    """Last week's report is sent; this week's isn't."""
    first = account(0, [("Send the weekly report", "Kim", None)])
    second = account(1, [("Send the weekly report", "Kim", None)])
    kept = Account(second.meeting, second.at, second.promises, ())
    done = account(1, said=[("Kim", "The weekly report is sent.")])
    third = Account(MeetingKey("m2"), TEN + timedelta(days=14), kept.promises, ())

    found = follow([first, done, third])

    assert [each.standing for each in found] == [Standing.DONE, Standing.OPEN]


def test_it_changes_hands_only_where_that_is_said() -> None:
    """Two people who promise alike have two promises; who takes one over has the one."""
    first = account(0, [("Send the budget deck", "Kim", None)])
    alike = account(1, [("I'll send the budget deck", "Ben", None)])
    over = account(1, [("I'll take over the budget deck", "Ben", None)])

    both = follow([first, alike])
    moved = follow([first, over])

    assert [each.owner for each in both] == ["Kim", "Ben"]
    assert [each.same_as for each in both] == [None, None]
    assert [(each.owner, each.same_as) for each in moved] == [("Ben", None), ("Ben", "m0p1")]


def test_similar_things_are_not_the_same() -> None:
    """Words that fit anything, and a topic that two promises share, make them no one."""
    first = account(0, [("Send the budget deck", "Kim", None)])
    second = account(
        1, [("Update the budget", "Kim", None), ("Send the hiring deck", "Kim", None)]
    )

    assert [each.same_as for each in follow([first, second])] == [None, None, None]


# ── what the owner says ──────────────────────────────────────────────────────────────────

DECK = ("Send the budget deck", "Kim", FRIDAY)
SENT = ("Kim", "The budget deck is sent.")


def ruled(standing: Standing, day: int, line: str = "m0p1") -> dict[LineId, Ruling]:
    return {LineId(line): Ruling(standing, TEN + timedelta(days=day))}


@pytest.mark.parametrize("standing", [Standing.DONE, Standing.DROPPED])
@pytest.mark.parametrize("line", ["m0p1", "m1p1"])
def test_what_is_settled_by_hand_stays_so(standing: Standing, line: str) -> None:
    """The promise and what repeated it before; whoever promises it later does so anew."""
    meetings = [account(n, [DECK]) for n in range(3)]

    found = {each.promise.id: each for each in follow(meetings, ruled(standing, 10, line))}

    assert [each.standing for each in found.values()].count(standing) == 2
    assert found[LineId("m1p1")].same_as == "m0p1"
    later = found[LineId("m2p1")]
    assert (later.standing, later.same_as) == (Standing.OPEN, None)


def test_what_is_opened_by_hand_can_be_settled_by_a_later_meeting() -> None:
    """It was called done too early; a week later it is."""
    early = [account(0, [DECK]), account(1, said=[SENT])]
    again = account(2, said=[SENT])

    [opened] = follow(early, ruled(Standing.OPEN, 8))
    [kept] = follow([*early, again], ruled(Standing.OPEN, 8))

    assert (opened.standing, opened.settled_by, opened.sign) == (Standing.OPEN, None, None)
    assert (kept.standing, kept.settled_by) == (Standing.DONE, "m2")


def test_what_is_said_by_hand_before_the_meeting_is_known_counts_then() -> None:
    """A meeting that began late, by its calendar, was in the past for who spoke of it."""
    [found] = follow([account(0, [DECK])], ruled(Standing.DONE, -1))

    assert found.standing is Standing.DONE


def test_a_promise_in_other_words_is_found_where_only_one_can_be_meant() -> None:
    """It shares most of what it says; of two that do so equally, nobody is taken."""
    [was] = account(0, [DECK]).promises
    now = account(1, [("Send everybody the deck on the budget", "Kim", None)]).promises
    other = account(2, [("Send the hiring plan", "Kim", None)]).promises

    assert heir_of(was.words, [*other, *now]) == "m1p1"
    assert heir_of(was.words, other) is None
    assert heir_of(was.words, [*now, *now]) is None


def test_it_is_late_once_its_day_has_passed() -> None:
    """On the due day itself it isn't; and what is done never is."""
    found = follow([account(0, [("Send the deck", "Kim", FRIDAY)])])[0]

    assert not found.commitment(FRIDAY).is_late
    assert found.commitment(FRIDAY + timedelta(days=1)).is_late


# ── bounds and orders ────────────────────────────────────────────────────────────────────


def test_names_are_compared_as_people_use_them() -> None:
    """A first name is a part of a full one; an address counts by what stands before the @."""
    assert same_person("Kim", "kim Lee")
    assert same_person("kim.lee@own.example", "Kim Lee")
    assert not same_person("Kim Lee", "Kim Ray")
    assert not same_person("", "Kim")
    assert not same_person(None, None)


def test_endless_talk_has_an_end() -> None:
    """No more sentences are kept than anybody can settle promises with, and none that is endless."""
    many = Transcript(tuple(Utterance(f"u{n}", "", "The deck is done.") for n in range(500)))
    long = Transcript((Utterance("u1", "", f"The deck is done {'very ' * 200}."),))

    assert len(signs_in(many, "en")) == MOST_SIGNS
    assert signs_in(long, "en") == ()


def test_a_sign_quotes_its_sentence_alone() -> None:
    """Of an utterance, the quote is the sentence that says it, word for word."""
    text = "Right. The deck is done! What else?"
    [sign] = signs_in(Transcript((Utterance("u7", "Kim", text),)), "en")

    assert (sign.turn, sign.quote, sign.utterance) == (Turn.DONE, "The deck is done!", "u7")


THINGS = st.sampled_from(["budget deck", "venue list", "Acme contract", "launch plan"])
PEOPLE = st.sampled_from(["Kim", "Ben", None])
PROMISES = st.lists(
    st.tuples(THINGS.map("Send the {}".format), PEOPLE, st.sampled_from([None, FRIDAY])),
    max_size=3,
)
SENTENCES = st.lists(
    st.tuples(
        st.sampled_from(["Kim", "Ben"]),
        st.one_of(
            THINGS.map("The {} is sent.".format),
            THINGS.map("I finished the {}.".format),
            THINGS.map("We don't need the {} any more.".format),
            THINGS.map("Is the {} sent?".format),
            st.just("That's done."),
        ),
    ),
    max_size=4,
)
MEETINGS = st.lists(st.tuples(PROMISES, SENTENCES), max_size=5)
RULINGS = st.dictionaries(
    st.sampled_from([LineId(f"m{meeting}p{n}") for meeting in range(5) for n in (1, 2)]),
    st.builds(
        Ruling,
        st.sampled_from([Standing.DONE, Standing.DROPPED, Standing.OPEN]),
        st.integers(0, 35).map(lambda day: TEN + timedelta(days=day)),
    ),
    max_size=3,
)


@EVERY
@given(meetings=MEETINGS, rulings=RULINGS, order=st.randoms(use_true_random=False))
def test_the_order_in_which_meetings_become_known_is_nothing(
    meetings: list[tuple[list[Given], list[Said]]],
    rulings: dict[LineId, Ruling],
    order: object,
) -> None:
    """However accounts come in, the same follows from them and from what was said by hand."""
    accounts = [account(n, *each) for n, each in enumerate(meetings)]
    shuffled = list(accounts)
    order.shuffle(shuffled)  # type: ignore[attr-defined] # Random, by hypothesis.

    assert follow(shuffled, rulings) == follow(accounts, rulings)


@EVERY
@given(meetings=MEETINGS)
def test_what_is_settled_was_said_to_be(
    meetings: list[tuple[list[Given], list[Said]]],
) -> None:
    """Every promise stands once, and is settled only by a sentence said after it was made."""
    accounts = [account(n, *each) for n, each in enumerate(meetings)]
    signs = {(a.meeting, sign.utterance) for a in accounts for sign in a.signs}
    places = {a.meeting: n for n, a in enumerate(accounts)}

    found = follow(accounts)

    assert [each.promise.id for each in found] == list(
        dict.fromkeys(each.promise.id for each in found)
    )
    assert {each.promise.id for each in found} == {
        promise.id for a in accounts for promise in a.promises
    }
    for each in found:
        if each.standing is Standing.OPEN:
            assert each.settled_by is None
            assert each.sign is None
        else:
            assert each.settled_by is not None
            assert each.sign is not None
            assert (each.settled_by, each.sign.utterance) in signs
            origin = next(f for f in found if f.promise.id == (each.same_as or each.promise.id))
            assert places[each.settled_by] >= places[origin.meeting]
