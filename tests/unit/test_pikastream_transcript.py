"""Whatever transcript a body of PikaStream's may carry, read word for word and no further."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.core.transcript import Source, Utterance
from locum.engines.pikastream_transcript import MOST_UTTERANCES, read_utterances
from tests.unit.drawn import thorough

AT = datetime(2026, 11, 23, 10, 0, 5, tzinfo=timezone.utc)
WORDS = "We ship on Thursday."


def read(**body: Any) -> list[tuple[str, str]]:
    return [(each.speaker, each.text) for each in read_utterances(json.dumps(body).encode())]


@pytest.mark.parametrize(
    "transcript",
    [
        f"Dana: {WORDS}\nJonas: Agreed.",
        [f"Dana: {WORDS}", "Jonas: Agreed."],
        f"[00:05] Dana: {WORDS}\n[00:09] Jonas: Agreed.",
        f"00:05 - Dana: {WORDS}\n00:00:09.120 Jonas: Agreed.",
        [{"speaker": "Dana", "text": WORDS}, {"speaker": "Jonas", "text": "Agreed."}],
        [{"name": "Dana", "content": WORDS}, {"user": {"name": "Jonas"}, "message": "Agreed."}],
        {"segments": [{"speaker": "Dana", "text": WORDS}, "Jonas: Agreed."]},
    ],
)
def test_the_usual_shapes(transcript: Any) -> None:
    """Lines, lists of lines, lists of objects, and what holds one of them."""
    said = [("Dana", WORDS), ("Jonas", "Agreed.")]
    assert read(transcript=transcript) == said
    assert read(data={"status": "closed", "transcript": transcript}) == said
    if isinstance(transcript, list):
        assert read(utterances=transcript) == said


@pytest.mark.parametrize(
    ("start", "at"),
    [
        ("2026-11-23T10:00:05Z", AT),
        ("2026-11-23T11:00:05+01:00", AT),
        (AT.timestamp(), AT),
        (AT.timestamp() * 1000, AT),
        ("2026-11-23T10:00:05", None),
        (5.25, None),
        ("00:05", None),
        (True, None),
        (-1e300, None),
        ("9999-99-99", None),
        (0, None),
    ],
)
def test_instants(start: object, at: datetime | None) -> None:
    """An instant is taken where it is one; what counts from who knows when is none."""
    body = {"transcript": [{"speaker": "Dana", "text": WORDS, "start": start}]}
    [one] = read_utterances(json.dumps(body).encode())
    assert one == Utterance("", "Dana", WORDS, at, None, Source.ENGINE)


def test_an_end() -> None:
    """An end counts with a beginning before it."""
    item = {"text": WORDS, "start_time": AT.timestamp(), "end_time": AT.timestamp() + 4}
    [one] = read_utterances(json.dumps({"transcript": [item]}).encode())
    assert one.until is not None
    assert (one.until - AT).total_seconds() == 4
    backwards = {**item, "end_time": 1_700_000_000}
    [one] = read_utterances(json.dumps({"transcript": [backwards]}).encode())
    assert one.until is None


def test_what_we_said_ourselves() -> None:
    """The roles that models go by are the stand-in's own."""
    roles = [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Hi."}]
    body = json.dumps({"transcript": roles}).encode()
    assert [each.by_us for each in read_utterances(body)] == [True, False]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"transcript": None},
        {"transcript": 5},
        {"transcript": ""},
        {"transcript": [None, 5, {"speaker": "Dana"}, {"text": "  "}, []]},
        {"notes": "Dana: not a transcript"},
        {"status": "closed", "summary": f"Dana: {WORDS}"},
    ],
)
def test_what_is_no_transcript(body: Any) -> None:
    """A body without one has said nothing."""
    assert read(**body) == []


def test_an_address_is_no_speaker() -> None:
    """What merely holds a colon stays whole."""
    lines = ["https: //example.com is down", "see https://example.com", "no speaker here"]
    assert read(transcript=lines) == [("", line) for line in lines]


def test_bounds() -> None:
    """No body makes more of itself than is taken."""
    many = ["Dana: yes"] * (MOST_UTTERANCES + 10)
    assert len(read(transcript=many)) == MOST_UTTERANCES
    [(speaker, text)] = read(transcript=[{"speaker": "D" * 9000, "text": "x" * 90_000}])
    assert (len(speaker), len(text)) == (200, 16_000)
    deep: Any = "Dana: yes"
    for _ in range(50):
        deep = {"transcript": deep}
    assert read(transcript=deep) == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["transcript", "speaker", "text", "start", "segments", "role"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@thorough
@given(_JSON)
def test_any_body_is_read(value: Any) -> None:
    """Whatever comes, an answer comes of it, and it can be written anywhere."""
    for each in read_utterances(json.dumps({"transcript": value}).encode()):
        assert each.text.strip()
        each.text.encode()
        each.speaker.encode()
