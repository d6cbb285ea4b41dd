"""Transcripts from files: each format as it is met in the wild, and what is refused."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.transcript import Source, Utterance
from locum.errors import PermanentError
from locum.transcripts.files import MIDNIGHT, parse, read_stream, read_transcript

TEN = datetime(2026, 11, 23, 10, tzinfo=timezone.utc)


def said(text: str) -> list[tuple[str, str]]:
    return [(u.speaker, u.text) for u in parse(text).utterances]


def times(utterance: Utterance) -> tuple[float, float]:
    assert utterance.at is not None
    assert utterance.until is not None
    return ((utterance.at - TEN).total_seconds(), (utterance.until - TEN).total_seconds())


# ── QMSum ────────────────────────────────────────────────────────────────────────────────


def test_qmsum_is_read_word_for_word() -> None:
    """Turns keep their words and marks; queries and answers are not looked at."""
    meeting = {
        "topic_list": [{"topic": "x"}],
        "general_query_list": "whatever",
        "meeting_transcripts": [
            {"speaker": "Grad A", "content": "OK , we 're {disfmarker} on ."},
            {"speaker": "PhD C", "content": "Yep ."},
        ],
    }
    transcript = parse(json.dumps(meeting))
    assert [(u.id, u.speaker, u.text, u.at, u.source) for u in transcript.utterances] == [
        ("u1", "Grad A", "OK , we 're {disfmarker} on .", None, Source.FILE),
        ("u2", "PhD C", "Yep .", None, Source.FILE),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{",
        '{"meeting_transcripts": 3}',
        '{"meeting_transcripts": [{"speaker": "A"}]}',
        '{"meeting_transcripts": [{"speaker": 1, "content": []}]}',
        '{"a": ' * 100_000,
    ],
)
def test_other_json_is_refused_with_what_it_takes(text: str) -> None:
    """The message names the file, the place, and the shape that can be read."""
    with pytest.raises(PermanentError, match=r"m\.json is JSON but not QMSum's.*speaker"):
        parse(text, "m.json")


# ── WebVTT and SRT ───────────────────────────────────────────────────────────────────────

VTT = """WEBVTT - a meeting

NOTE
made by hand

STYLE
::cue { color: lime }

1
00:00:01.000 --> 00:00:03.500 align:start
<v Anna Weber>We should &amp; will <i>move</i>

00:00:03.600 --> 00:00:05.000
<v Anna Weber>the launch.</v>

01:00:06.000 --> 01:00:07.000
<v.loud Ben>Fine &lt;3.</v> <v Carla>By Friday?

02:07.250 --> 02:08.000
Dana: From here on
"""


def test_webvtt_gives_speakers_and_times() -> None:
    """Voices, their times, and sentences that were parted over cues."""
    utterances = parse(VTT, start=TEN).utterances
    assert [(u.speaker, u.text) for u in utterances] == [
        ("Anna Weber", "We should & will move the launch."),
        ("Ben", "Fine <3."),
        ("Carla", "By Friday?"),
        ("Dana", "From here on"),
    ]
    assert [times(u) for u in utterances] == [
        (1.0, 5.0),
        (3606.0, 3607.0),
        (3606.0, 3607.0),
        (127.25, 128.0),
    ]


def test_srt_is_read_as_it_is() -> None:
    """Commas in times, numbers above them, no heading."""
    text = (
        "1\n00:00:01,000 --> 00:00:02,000\nAnna: Hello there.\n\n"
        "2\n00:00:03,000 --> 00:00:04,000\nNice\nto see you.\n"
    )
    assert said(text) == [("Anna", "Hello there."), ("", "Nice to see you.")]
    assert parse(text).utterances[0].at == MIDNIGHT + timedelta(seconds=1)


def test_loose_cues_are_still_read() -> None:
    """No blank lines between cues, lines that come twice, a cue without words, a bad time."""
    text = (
        "WEBVTT\n00:01.000 --> 00:02.000\nAnna: One.\n2\n00:02.000 --> 00:03.000\nAnna: One.\n"
        "00:03.000 --> 00:04.000\n\n99:99.000 --> 00:05.000\nlost\n\n"
        "00:05.000 --> 00:06.000\nAnna: Two."
    )
    assert said(text) == [("Anna", "One."), ("Anna", "Two.")]


def test_a_pause_ends_an_utterance() -> None:
    """An unfinished sentence goes on within seconds, not after a minute."""
    text = (
        "WEBVTT\n\n00:01.000 --> 00:02.000\n<v A>I was saying\n\n"
        "01:02.000 --> 01:03.000\n<v A>something else"
    )
    assert said(text) == [("A", "I was saying"), ("A", "something else")]


# ── lines ────────────────────────────────────────────────────────────────────────────────


def test_lines_have_speakers_and_go_on() -> None:
    """A line without a speaker belongs to the one before it; blank lines are nothing."""
    text = "Anna Weber: We meet\non Friday.\n\nBen (ACME): See https://acme.test: it's there\n"
    assert said(text) == [
        ("Anna Weber", "We meet on Friday."),
        ("Ben (ACME)", "See https://acme.test: it's there"),
    ]


@pytest.mark.parametrize("stamp", ["[00:01:05] ", "(1:05) ", "00:01:05 ", "01:05 - "])
def test_lines_may_begin_with_a_time(stamp: str) -> None:
    """Times in front of a name are the utterance's instant."""
    (utterance,) = parse(f"{stamp}Anna: Hello there.", start=TEN).utterances
    assert (utterance.speaker, utterance.text) == ("Anna", "Hello there.")
    assert utterance.at == TEN + timedelta(seconds=65)


def test_text_without_speakers_is_text() -> None:
    """Notes are summarised too; who said them can't be told."""
    assert said("We met.\nIt rained the whole time, and then: nothing.") == [
        ("", "We met."),
        ("", "It rained the whole time, and then: nothing."),
    ]


def test_empty_text_is_an_empty_transcript() -> None:
    """Nothing was said, which is no error."""
    assert said("") == []
    assert said("WEBVTT\n") == []


# ── files ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_the_world(encoding: str, tmp_path: Path) -> None:
    """With or without a byte order mark."""
    path = tmp_path / "m.txt"
    path.write_bytes("Jürgen: Schöne Grüße.".encode(encoding))
    (utterance,) = read_transcript(path).utterances
    assert (utterance.speaker, utterance.text) == ("Jürgen", "Schöne Grüße.")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"J\xfcrgen: Hallo", r"m\.txt is not UTF-8 \(byte 2\).*iconv"),
        (b"\x7fELF\0\0", r"m\.txt isn't a text\. What can be read: QMSum's JSON"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    """The message names the file and what would help."""
    path = tmp_path / "m.txt"
    path.write_bytes(content)
    with pytest.raises(PermanentError, match=told):
        read_transcript(path)


def test_absent_files_and_folders_are_named(tmp_path: Path) -> None:
    """The file's name and the system's reason, rather than a traceback."""
    with pytest.raises(PermanentError, match=r"gone\.vtt can't be read: No such file"):
        read_transcript(tmp_path / "gone.vtt")
    with pytest.raises(PermanentError, match="can't be read: Is a directory"):
        read_transcript(tmp_path)


class _Endless(io.BytesIO):
    """A file that never ends, as /dev/zero doesn't."""

    given = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0, "read to its end, which it doesn't have"
        self.given += size
        return b"a" * size


def test_endless_files_are_refused() -> None:
    """No more is read than the largest transcript has."""
    endless = _Endless()
    with pytest.raises(PermanentError, match="zero is larger than 64 MiB"):
        read_stream(endless, "zero")
    assert endless.given < 66 << 20


def test_sizes_are_bounded() -> None:
    """Names are cut, long speeches are parted between words, and too many turns refused."""
    (first, second) = parse(f"{'N' * 70}: {'word ' * 5000}").utterances
    assert len(first.speaker) <= 120
    assert max(len(first.text), len(second.text)) <= 20_000
    assert f"{first.text} {second.text}".split() == ["word"] * 5000
    with pytest.raises(PermanentError, match="more than 100,000 utterances"):
        parse("A: b\n" * 100_001)


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "WEBVTT",
                "00:01.000 --> 00:02.000",
                "99999:01.000 --> 00:02.000",
                "00:00:01,5 --> 1:02:03,25",
                "<v Anna>",
                "<v",
                "</v>",
                "Anna: hi",
                "[00:01] Ben: yes",
                "[",
                "{",
                '{"meeting_transcripts": []}',
                "&#0;&lt;&amp",
                "\n",
                "\r",
                "\u2028",
            ]
        )
        | st.text(max_size=12),
        max_size=12,
    ),
    st.sampled_from(["\n", "\n\n", "", " "]),
)
def test_no_text_is_too_odd(parts: list[str], between: str) -> None:
    """Whatever stands in a text, it becomes a transcript or a refusal with its name."""
    try:
        transcript = parse(between.join(parts), "odd.txt")
    except PermanentError as error:
        assert "odd.txt" in str(error)  # noqa: PT017 - Either outcome is fine.
        return
    assert [u.id for u in transcript.utterances] == [
        f"u{n}" for n in range(1, len(transcript.utterances) + 1)
    ]
    assert all(u.text.strip() for u in transcript.utterances)
