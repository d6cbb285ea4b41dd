"""What the brain with a language model makes of long meetings, and of questions.

Bounded in requests, words, time and memory, and nothing is paid for twice.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from locum.brains.model.windows import cut, weight
from locum.core.secret import Secret
from locum.core.transcript import Transcript, Utterance, numbered
from locum.errors import HumanNeededError, PermanentError, TransientError
from locum.ports import Answer, Health
from locum.rehearsal.faults import Fault
from locum.rehearsal.model import Behaviour
from tests.contract.model_rig import KEY, PASSAGES, START, Rig, modelled, proved, transcript_of


@pytest.fixture
def rig() -> Iterator[Rig]:
    with modelled() as made:
        yield made


# ── long meetings ────────────────────────────────────────────────────────────────────────


def long_transcript(words: int, *, per_line: int = 25) -> Transcript:
    """A meeting of that many words, with a decision and a promise now and then."""
    lines = []
    for n in range(words // per_line):
        filler = " ".join(f"word{(n * 7 + k) % 997}" for k in range(per_line - 5))
        if n % 120 == 60:
            lines.append(("Dana", f"Decided: item {n} goes ahead {filler}"))
        elif n % 120 == 90:
            lines.append(("Jonas", f"I will do part {n} {filler} by Wednesday"))
        else:
            lines.append((("Mira", "Jonas", "Dana")[n % 3], f"Well number {n} {filler} then"))
    return transcript_of(lines)


def test_long_meeting_is_read_in_windows_and_merged(rig: Rig) -> None:
    """Every part's decisions are there, in order, and one more request makes the tldr."""
    transcript = long_transcript(12_000)
    windows = cut(transcript, 2000)

    minutes = rig.write(transcript, max_words=2000)

    assert rig.requests == len(windows) + 1
    assert len(windows) in range(6, 12)
    assert [each.evidence[0].utterance for each in minutes.decisions] == [
        each.id for each in transcript.utterances if each.text.startswith("Decided")
    ]
    assert 1 <= len(minutes.tldr) <= 5
    assert len(minutes.topics) >= 1
    assert minutes.topics[0].first == "u1"
    assert minutes.topics[-1].last == transcript.utterances[-1].id
    assert proved(minutes, transcript)
    assert rig.stage.peak <= 4


def test_no_request_is_over_its_words(rig: Rig) -> None:
    """What is sent at once stays within max_words, whatever the meeting's length."""
    rig.write(long_transcript(10_000), max_words=1000)

    for exchange in rig.stage.exchanges:
        prompt = exchange.payload["messages"][-1]["content"]
        data = json.loads(prompt.split("```")[1].removeprefix("json"))
        said = [each.get("said") or each.get("text") for each in next(reversed(data.values()))]
        assert sum(weight(each) for each in said) <= 1000


def test_twelve_hours_are_bounded(rig: Rig) -> None:
    """200,000 words take some forty requests, and some megabytes beside the transcript."""
    transcript = long_transcript(200_000)
    rig.write()  # The imports are not the meeting's.
    rig.stage.log.clear()

    tracemalloc.start()
    minutes = rig.write(transcript, timeout=timedelta(seconds=100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 30 <= rig.requests <= 45
    assert len(minutes.decisions) == 67
    assert proved(minutes, transcript)
    assert peak < 64 * 1024 * 1024


def test_more_than_is_bounded_is_refused_before_a_request(rig: Rig) -> None:
    """A meeting that would take hundreds of requests is never begun."""
    with pytest.raises(PermanentError, match=r"Raise brain\.max_words"):
        rig.write(long_transcript(40_000), max_words=200)

    assert rig.requests == 0


def test_trying_again_reads_only_the_rest(rig: Rig) -> None:
    """What was read before a failure that passes isn't paid for twice."""
    transcript = long_transcript(6000)
    count = len(cut(transcript, 1000))
    brain = rig.brain(max_words=1000)
    rig.stage.faults.add(Fault("/chat/", status=503, skip=count - 1))

    with pytest.raises(TransientError):
        rig.write(transcript, brain=brain)
    before = rig.requests
    minutes = rig.write(transcript, brain=brain)

    assert before == count
    assert rig.requests == before + 2  # The one that failed, and the merge.
    assert minutes.decisions


def test_what_was_read_is_forgotten_once_written(rig: Rig) -> None:
    """Nothing of a meeting stays in the brain that has its minutes, or has none for good."""
    brain = rig.brain()
    rig.write(brain=brain)
    rig.stage.configure(behaviour=Behaviour.MALFORMED)
    with pytest.raises(PermanentError):
        rig.write(brain=brain)

    assert not brain._kept


def test_lying_merge_loses_nothing(rig: Rig) -> None:
    """A merge that cites claims there aren't leaves the parts' own lines standing."""
    transcript = long_transcript(6000)
    brain = rig.brain(max_words=1000)
    rig.stage.then(*[Behaviour.GOOD] * len(cut(transcript, 1000)), Behaviour.LYING)

    minutes = rig.write(transcript, brain=brain)

    assert 1 <= len(minutes.tldr) <= 5
    assert minutes.dropped == 1
    assert len(minutes.decisions) == 2
    assert proved(minutes, transcript)


def test_windows_end_where_a_topic_does() -> None:
    """Given borders are kept to as far as they fit; each utterance is in one window."""
    transcript = long_transcript(5000)

    windows = cut(transcript, 1000, segment=lambda _: [0, 33, 66, 99, 132, 165])

    starts = [int(w.pieces[0].utterance.id[1:]) - 1 for w in windows]
    assert starts == [0, 33, 66, 99, 132, 165]
    assert [p.utterance.id for w in windows for p in w.pieces] == [
        u.id for u in transcript.utterances
    ]


def test_windows_end_at_a_pause_without_borders() -> None:
    """Left to itself, a cut is made where the talk turns: after a long pause."""
    utterances = [
        Utterance(f"u{n}", "ABC"[n % 3], f"budget plan money number {n} " * 3, at=START)
        for n in range(40)
    ]
    later = [
        replace(
            u,
            id=f"v{n}",
            text=f"holiday beach sun picture {n} " * 3,
            at=START + timedelta(minutes=9),
        )
        for n, u in enumerate(utterances)
    ]
    windows = cut(Transcript((*utterances, *later)), 800)

    assert windows[0].pieces[-1].utterance.id == "u39"


@pytest.mark.parametrize(
    "text", ["word " * 5000, "長" * 20_000, "x" * 50_000, "a b " * 3000 + "y" * 9000]
)
def test_endless_utterance_is_cut(text: str) -> None:
    """One speech over a window, or one word over it, is read in pieces of the same id."""
    windows = cut(numbered([Utterance("", "A", text)]), 500)

    pieces = [piece for window in windows for piece in window.pieces]
    assert all(weight(piece.text) <= 500 for piece in pieces)
    assert {piece.utterance.id for piece in pieces} == {"u1"}
    assert "".join(p.text for p in pieces).replace(" ", "") == text.replace(" ", "")


# ── questions ────────────────────────────────────────────────────────────────────────────


def test_question_is_answered_with_citations(rig: Rig) -> None:
    """The answer names the passage that carries it."""
    answer = rig.ask("When do Brixham and Whitby get the dashboard?", PASSAGES)

    assert answer == Answer(PASSAGES[0].text, ("p1",))


def test_question_beyond_the_passages_has_no_answer(rig: Rig) -> None:
    """Where nothing tells, and where there is nothing to read, there is none."""
    assert rig.ask("Who won the cup?", PASSAGES) is None
    assert rig.requests == 1
    assert rig.ask("Who won the cup?", ()) is None
    assert rig.ask("  ", PASSAGES) is None
    assert rig.requests == 1


def test_made_up_citations_are_no_answer(rig: Rig) -> None:
    """Ids of passages that weren't shown are dropped; an answer without any is none."""
    rig.stage.configure(behaviour=Behaviour.LYING)

    assert rig.ask("When do Brixham and Whitby get the dashboard?", PASSAGES) is None


def test_passages_are_bounded(rig: Rig) -> None:
    """The first passages are read, as many as fit."""
    many = [replace(PASSAGES[1], id=f"p{n}", text="metres " * 100) for n in range(500)]

    rig.ask("What of the metres?", many)

    prompt = rig.stage.exchanges[0].payload["messages"][-1]["content"]
    assert prompt.count('"said"') in range(50, 60)


# ── the self-check ───────────────────────────────────────────────────────────────────────


def test_check_asks_for_the_model_and_costs_nothing(rig: Rig) -> None:
    """A server that answers and knows the model is fine; no completion is asked for."""
    (finding,) = rig.check()

    assert finding.health is Health.OK
    assert "knows stage-1" in finding.detail
    assert rig.requests == 0


@pytest.mark.parametrize(
    ("changes", "health", "told"),
    [
        ({"model": "gpt-99"}, Health.BROKEN, "has no gpt-99; it has stage-1"),
        ({"key": lambda: Secret("wrong")}, Health.BROKEN, "refuses the key (401)"),
        ({"base_url": "http://127.0.0.1:9/v1"}, Health.BROKEN, "isn't reached"),
        ({"base_url": None, "model": "opnai:x"}, Health.BROKEN, "opnai"),
    ],
)
def test_check_names_what_is_wrong(
    rig: Rig, changes: dict[str, Any], health: Health, told: str
) -> None:
    """The model, the key, the address: each is told apart, with a next step."""
    (finding,) = rig.check(**changes)

    assert finding.health is health
    assert told in finding.detail
    assert finding.next_step


def test_check_of_a_server_that_lists_nothing(rig: Rig) -> None:
    """Many servers know neither path: that is no reason to call them broken."""
    rig.stage.faults.add(Fault("/models", status=404, times=None))

    (finding,) = rig.check()

    assert finding.health is Health.WARNING


def test_check_warns_of_an_open_key_file(rig: Rig, tmp_path: Path) -> None:
    """A key that every user can read is told."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o644)

    findings = rig.check(key_file=path)

    assert [each.health for each in findings] == [Health.OK, Health.WARNING]


def test_missing_extra_is_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pydantic-ai, whoever asks for a model is told what to install."""
    monkeypatch.setattr("locum.brains.model.brain.find_spec", lambda _: None)

    (finding,) = rig.check()
    with pytest.raises(HumanNeededError) as error:
        rig.write()

    assert "pip install 'locum[brain]'" in finding.next_step
    assert "pip install 'locum[brain]'" in str(error.value)
