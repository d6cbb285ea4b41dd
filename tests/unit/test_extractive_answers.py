"""Answers without a language model: from what was said, with where, or not at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.brains.extractive.answering import Reader, answer_from, passages_of
from locum.core.transcript import Transcript, Utterance, numbered
from locum.ports import Passage
from tests.unit.builders import TEN

SAID = (
    ("Anna Weber", "The launch of the new shop moves to the first week of March."),
    ("Ben Okoro", "The budget for the shop is forty thousand euros, and not a cent more."),
    ("Anna Weber", "I think the budget is too small for television advertising."),
    ("Carla Diaz", "We also have to talk about the parking places behind the building."),
    ("Ben Okoro", "Parking places are rented out until the end of next year."),
)


def passages() -> tuple[Passage, ...]:
    return tuple(
        Passage(f"p{n}", text, "weekly", TEN + timedelta(minutes=n), speaker)
        for n, (speaker, text) in enumerate(SAID)
    )


def test_answer_reports_and_cites_what_fits() -> None:
    """The answer holds what was said of it, and cites the passages that it is made of."""
    answer = answer_from("What did we say about the parking places?", passages())
    assert answer is not None
    assert "rented out until the end of next year" in answer.text
    assert "p4" in answer.cited


def test_who_is_asked_about_is_heard_first() -> None:
    """Of two who spoke of the budget, the one that the question names is in the answer."""
    answer = answer_from("What did Anna think of the budget?", passages())
    assert answer is not None
    assert "Anna Weber thought that the budget was too small" in answer.text


@pytest.mark.parametrize(
    "question", ["What did they say about quantum gravity?", "Who won the football match?"]
)
def test_what_wasnt_said_is_not_answered(question: str) -> None:
    """No passage has a word of it: then there is no answer, rather than some answer."""
    assert answer_from(question, passages()) is None


def test_no_passages_no_answer() -> None:
    """An empty memory answers nothing."""
    assert answer_from("What about the budget?", ()) is None


def test_subject_is_echoed_only_where_it_was_said() -> None:
    """That the group discussed something is claimed of nothing that nobody mentioned."""
    said = answer_from("Summarize the discussion about the parking places.", passages())
    unsaid = answer_from("Summarize the discussion about parking on the moon base.", passages())
    assert said is not None
    assert said.text.startswith("The group discussed the parking places.")
    assert unsaid is not None
    assert "moon" not in unsaid.text


def test_utterances_of_one_meeting_are_passages() -> None:
    """Each passage bears its utterance's id, so that an answer can be looked up."""
    transcript: Transcript = numbered([Utterance("", who, text) for who, text in SAID])
    answer = Reader(passages_of(transcript, "weekly")).answer("When is the launch?")
    assert answer is not None
    assert set(answer.cited) <= set(transcript.by_id)


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(
    st.text(max_size=60)
    | st.sampled_from(["What about the budget?", "Summarize the meeting."]),
    st.lists(st.sampled_from([text for _, text in SAID]) | st.text(max_size=60), max_size=6),
)
def test_citations_are_passages_that_were_given(question: str, texts: list[str]) -> None:
    """Whatever is asked of whatever was said, an answer cites what it was given, and something."""
    given_passages = [
        Passage(f"p{n}", text, "m", TEN, speaker="Anna") for n, text in enumerate(texts)
    ]
    answer = answer_from(question, given_passages)
    if answer is not None:
        assert answer.cited
        assert answer.text
        assert set(answer.cited) <= {passage.id for passage in given_passages}
