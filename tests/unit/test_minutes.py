"""Minutes are held to their evidence: what has no quote in the transcript doesn't stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.minutes import (
    ActionItem,
    Claim,
    Evidence,
    Minutes,
    Topic,
    hold_to_evidence,
)
from locum.core.transcript import Transcript, Utterance, shares
from tests.unit.builders import TEN, at

SAID = Transcript(
    (
        Utterance(
            "u1", "Anna Weber", "So, I'll send the figures to Ben by Friday.", TEN, at(1)
        ),
        Utterance("u2", "Ben", "Thanks.", at(1)),
        Utterance(
            "u3", "Carla", "The budget is forty thousand – not a cent more!", at(2), at(3)
        ),
        Utterance("u4", "田中", "予算は来週までに決めます。", at(4)),
    )
)


def held(*evidence: Evidence) -> Minutes:
    return hold_to_evidence(Minutes("x", tldr=(Claim("A claim.", evidence),)), SAID)


@pytest.mark.parametrize(
    ("quote", "kept"),
    [
        ("I'll send the figures", "I'll send the figures"),
        ("i'll  SEND, the figures!", "I'll send the figures"),
        ("forty thousand, not a cent", "forty thousand – not a cent"),
        ("来週までに決めます", "来週までに決めます"),
    ],
)
def test_quotes_stand_as_they_were_said(quote: str, kept: str) -> None:
    """Case and punctuation may differ; what is kept is the utterance's own text."""
    minutes = held(Evidence("u1", quote))
    assert minutes.dropped == 0
    assert minutes.tldr[0].evidence[0].quote == kept
    assert kept in SAID.by_id[minutes.tldr[0].evidence[0].utterance].text


@pytest.mark.parametrize(
    "quote",
    [
        "I'll send all figures",
        "send the fig",
        "end the figures",
        "the figures",  # Two words of many prove nothing.
        "予算",
        "",
        "?!",
        "I'll send.*Friday",
    ],
)
def test_what_wasnt_said_is_dropped_and_counted(quote: str) -> None:
    """Changed words, parts of words, and scraps are no evidence."""
    minutes = held(Evidence("u1", quote))
    assert minutes.tldr == ()
    assert minutes.dropped == 1


def test_a_whole_utterance_may_be_short() -> None:
    """One word proves what it says where nothing else was said."""
    assert held(Evidence("u2", "thanks")).tldr[0].evidence == (Evidence("u2", "Thanks"),)


@pytest.mark.parametrize("named", ["u1", "nowhere"])
def test_a_quote_is_moved_to_where_it_stands(named: str) -> None:
    """The wrong utterance, or none, is corrected rather than believed."""
    (claim,) = held(Evidence(named, "the budget is forty thousand")).tldr
    assert claim.evidence[0].utterance == "u3"


def test_one_quote_suffices_and_false_ones_go() -> None:
    """A claim keeps its good evidence, once each."""
    good = Evidence("u1", "send the figures to Ben")
    (claim,) = held(good, Evidence("u1", "never said this"), good).tldr
    assert claim.evidence == (good,)


def test_counts_add_to_those_before() -> None:
    """What a brain has dropped by itself stays counted; every section counts."""
    lie = Claim("No.", (Evidence("u1", "never said this"),))
    minutes = Minutes(
        "x",
        tldr=(lie,),
        decisions=(lie,),
        actions=(ActionItem("No.", lie.evidence),),
        questions=(lie,),
        asked=(lie,),
        unclear=(lie, Claim("Without evidence.", ())),
        topics=(Topic("T", "u1", "u3", points=(lie,)),),
        dropped=2,
    )
    after = hold_to_evidence(minutes, SAID)
    assert after.dropped == 10
    assert after.topics[0].points == ()


_PROMISE = ActionItem(
    "Send the figures.",
    (Evidence("u1", "I'll send the figures"),),
    owner="Anna Weber",
    due=date(2026, 11, 27),
    due_said="by Friday",
)


@pytest.mark.parametrize(
    ("owner", "kept"),
    [("Anna Weber", "Anna Weber"), ("ben", "ben"), ("Mallory", None), (None, None)],
)
def test_owners_are_people_of_the_meeting(owner: str | None, kept: str | None) -> None:
    """Who neither speaks nor is named in it gets no task."""
    minutes = Minutes("x", actions=(replace(_PROMISE, owner=owner),))
    assert hold_to_evidence(minutes, SAID).actions[0].owner == kept


@pytest.mark.parametrize(
    ("said", "stays"), [("by Friday", True), ("by Monday", False), (None, False)]
)
def test_due_days_need_their_words(said: str | None, stays: bool) -> None:  # noqa: FBT001
    """A day whose words aren't in what is quoted was made up."""
    minutes = Minutes("x", actions=(replace(_PROMISE, due_said=said),))
    (item,) = hold_to_evidence(minutes, SAID).actions
    assert (item.due is not None) == stays


def test_topics_get_their_times_from_what_they_span() -> None:
    """From the first one's beginning to the last one's end; shares are reckoned anew."""
    minutes = Minutes("x", topics=(Topic("T", "u1", "u3"), Topic("U", "u3", "u4")))
    after = hold_to_evidence(minutes, SAID)
    assert [(t.began_at, t.ended_at) for t in after.topics] == [(TEN, at(3)), (at(2), at(4))]
    assert after.shares == shares(SAID.utterances)


@pytest.mark.parametrize(("first", "last"), [("u3", "u1"), ("u9", "u1"), ("u1", "")])
def test_topics_that_span_nothing_go(first: str, last: str) -> None:
    """A stretch that ends before it begins, or names what isn't there."""
    minutes = Minutes("x", topics=(Topic("T", first, last),))
    assert hold_to_evidence(minutes, SAID).topics == ()


def test_sizes_are_bounded() -> None:
    """A claim is a line, and eight quotes are enough for anything."""
    many = tuple(Evidence("u1", "send the figures to Ben") for _ in range(100))
    lie = Evidence("u1", "never said this")
    (claim,) = hold_to_evidence(
        Minutes("x", tldr=(Claim("word \n " * 1000, (*many[:7], lie, *many)),)), SAID
    ).tldr
    assert len(claim.text) <= 1000
    assert "\n" not in claim.text
    assert held(*(lie for _ in range(8)), many[0]).dropped == 1


_TEXTS = st.text(alphabet="ab ,.'ä我们-\n", max_size=30)


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(
    st.lists(_TEXTS, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 5), _TEXTS), max_size=5),
)
def test_what_stands_was_said_whatever_is_claimed(
    texts: list[str], quotes: list[tuple[int, str]]
) -> None:
    """Kept and dropped add up, and holding twice changes nothing."""
    transcript = Transcript(tuple(Utterance(f"u{n}", "A", t) for n, t in enumerate(texts)))
    claims = tuple(Claim("c", (Evidence(f"u{n}", quote),)) for n, quote in quotes)
    once = hold_to_evidence(Minutes("x", tldr=claims), transcript)
    assert len(once.tldr) + once.dropped == len(claims)
    for claim in once.tldr:
        for evidence in claim.evidence:
            assert evidence.quote in transcript.by_id[evidence.utterance].text
    assert hold_to_evidence(once, transcript) == once


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(["we", "will", "send", "Ben's", "figures", "我们", ",", "–", "."]),
        min_size=3,
        max_size=12,
    ),
    st.data(),
)
def test_any_run_of_three_words_that_was_said_stands(
    words: list[str], data: st.DataObject
) -> None:
    """Whoever quotes faithfully loses nothing."""
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    run = words[start:end]
    said = [word for word in run if any(map(str.isalnum, word))]
    transcript = Transcript((Utterance("u1", "A", " ".join(words)),))
    claim = Claim("c", (Evidence("u1", " ".join(run)),))
    after = hold_to_evidence(Minutes("x", tldr=(claim,)), transcript)
    if len(said) >= 3:
        assert after.dropped == 0
