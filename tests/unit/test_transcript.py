"""The core's transcripts: names, sources, shares of speech."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.model import Person
from locum.core.transcript import Share, Source, Transcript, Utterance, numbered, shares
from tests.unit.builders import TEN, at


def test_resolved_people_are_shown_by_their_names() -> None:
    """A person who could be resolved goes before what the source shows."""
    known = Utterance("u1", "anna's iPad", "Hi.", person=Person("anna@example.com", "Anna"))
    assert known.who == "Anna"
    assert Utterance("u2", "anna's iPad", "Hi.").who == "anna's iPad"


def test_sources_come_in_order_of_trust() -> None:
    """Whatever the order of utterances, our own ears are named first."""
    transcript = Transcript(
        tuple(
            Utterance(source.value, "A", "x", source=source)
            for source in (Source.FILE, Source.CAPTIONS, Source.EARS, Source.CAPTIONS)
        )
    )
    assert transcript.sources == (Source.EARS, Source.CAPTIONS, Source.FILE)


def test_every_source_has_a_name_for_people() -> None:
    """A record says where its words come from."""
    assert len({source.label for source in Source}) == len(Source)


def test_within_keeps_the_meetings_own_time() -> None:
    """The start belongs to it, the end doesn't, and what has no instant can't be outside."""
    said = [
        Utterance(name, "A", "x", at=instant)
        for name, instant in (("early", at(-1)), ("start", TEN), ("end", at(30)), ("?", None))
    ]
    kept = Transcript(tuple(said)).within(TEN, at(30))
    assert [u.id for u in kept.utterances] == ["start", "?"]


def test_shares_count_runs_words_and_seconds() -> None:
    """Two utterances in a row are one turn; a missing end leaves the seconds open."""
    said = [
        Utterance("1", "Anna", "one two three", TEN, TEN + timedelta(seconds=4)),
        Utterance("2", "Anna", "four", at(1), at(1) + timedelta(seconds=1)),
        Utterance("3", "Ben", "five six", at(2)),
        Utterance("4", "Anna", "seven", at(3), at(3) - timedelta(seconds=9)),
    ]
    assert shares(said) == (
        Share("Anna", turns=2, words=5, seconds=5.0),
        Share("Ben", turns=1, words=2, seconds=None),
    )


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["A", "B", ""]), st.text(max_size=20)), max_size=20))
def test_shares_add_up(spoken: list[tuple[str, str]]) -> None:
    """Every word is somebody's, and turns are as many as speakers change."""
    transcript = numbered([Utterance("", who, text) for who, text in spoken])
    found = shares(transcript.utterances)
    assert sum(share.words for share in found) == transcript.words
    changes = sum(n == 0 or spoken[n - 1][0] != who for n, (who, _) in enumerate(spoken))
    assert sum(share.turns for share in found) == changes
    assert list(transcript.by_id) == [f"u{n}" for n in range(1, len(spoken) + 1)]
