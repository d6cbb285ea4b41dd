"""Words that were heard roughly make way, by when they were said."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from locum.core.merging import merged
from locum.core.rough import without_rough
from locum.core.transcript import Source, Utterance

_TEN = datetime(2026, 11, 2, 10, tzinfo=timezone.utc)


def said(text: str, at: float, lasts: float | None = 2.0, **changes: object) -> Utterance:
    begin = _TEN + timedelta(seconds=at)
    until = None if lasts is None else begin + timedelta(seconds=lasts)
    given = {"speaker": "Dana", "source": Source.ROUGH, **changes}
    return Utterance("", text=text, at=begin, until=until, **given)  # type: ignore[arg-type]


def test_it_makes_way_for_captions_of_the_same_time() -> None:
    """Half wrong words match nobody's: time alone tells that they are the same."""
    rough = said("tight cage on their day", 10)
    caption = said("The tide gauge on Thursday.", 10.8, source=Source.CAPTIONS)
    assert merged([rough, caption]).utterances[0].text == "The tide gauge on Thursday."
    assert len(merged([rough, caption]).utterances) == 1


def test_it_stands_where_nobody_heard_better() -> None:
    """An outage of the captions, or a meeting without any: poor words are better than none."""
    rough = said("we ship it on friday", 60)
    caption = said("Good morning.", 10, source=Source.CAPTIONS)
    texts = [each.text for each in merged([rough, caption]).utterances]
    assert texts == ["Good morning.", "we ship it on friday"]


def test_our_own_words_and_the_chat_are_no_better_source() -> None:
    """Somebody spoke across us, or while somebody wrote: their words stay."""
    rough = said("hold on a second", 10)
    ours = said("The update is", 9, 4, source=Source.EARS, by_us=True)
    chat = said("see the link", 10, source=Source.CHAT)
    assert rough in without_rough([ours, rough, chat])


def test_a_brush_at_its_edge_takes_nothing_away() -> None:
    """A long turn of one person isn't lost to a word of another's at its end."""
    rough = said("a long story", 10, 20)
    caption = said("Yes.", 29, 1, source=Source.CAPTIONS)
    assert rough in without_rough([rough, caption])


_SPANS = st.lists(
    st.tuples(
        st.floats(0, 100), st.one_of(st.none(), st.floats(0, 30)), st.sampled_from(list(Source))
    ),
    max_size=12,
)


@given(_SPANS)
def test_only_rough_ones_ever_go(spans: list[tuple[float, float | None, Source]]) -> None:
    """Whatever was heard when: nothing but rough words is left out, and the order stays."""
    given = [said(f"w{n}", at, lasts, source=s) for n, (at, lasts, s) in enumerate(spans)]
    kept = without_rough(given)
    assert [each for each in given if each in kept] == list(kept)
    assert all(each in kept for each in given if each.source is not Source.ROUGH)
    if all(each.source is Source.ROUGH for each in given):
        assert kept == tuple(given)
