"""The scripted meetings: what the rules must find in them, at least."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum.brains.rules import Claims
from locum.core.minutes import ActionItem, Evidence
from tests.bench.scripted import measure
from tests.meetings import Scripted, load, scripted
from tests.meetings.score import Score, add

MEETINGS = scripted()
HELDOUT = tuple(each for each in MEETINGS if each.is_heldout)


@pytest.fixture(scope="module")
def everything() -> Score:
    return measure(MEETINGS)[0]


@pytest.fixture(scope="module")
def heldout() -> Score:
    return measure(HELDOUT)[0]


def test_there_are_enough() -> None:
    """Forty meetings, twelve of them held out, some long, some in German, some timed."""
    assert len(MEETINGS) >= 40
    assert len(HELDOUT) >= 12
    assert sum(len(each.transcript.utterances) >= 150 for each in MEETINGS) >= 3
    assert sum(each.transcript.utterances[0].at is not None for each in MEETINGS) >= 5


def test_every_line_is_proved(everything: Score) -> None:
    """No line lacks a quote that stands there letter for letter."""
    assert everything.claims > 100
    assert everything.proved == everything.claims


def test_floors_of_all(everything: Score) -> None:
    """Below what was measured, and above what was promised."""
    assert everything.actions.f1 >= 0.85
    assert everything.decisions.precision >= 0.92
    assert everything.decisions.recall >= 0.85
    assert everything.questions.precision >= 0.8
    assert everything.asked.recall >= 0.95


def test_floors_of_those_held_out(heldout: Score) -> None:
    """The rules weren't fitted to these."""
    assert heldout.actions.f1 >= 0.72
    assert heldout.decisions.precision >= 0.85


@pytest.mark.parametrize("meeting", MEETINGS, ids=lambda each: each.name)
def test_answers_stand_in_the_script(meeting: Scripted) -> None:
    """What is known of a meeting is in its words: a mistyped answer can't be found."""
    said = " ".join(u.text for u in meeting.transcript.utterances).casefold()

    for kind in (meeting.actions, meeting.decisions, meeting.questions, meeting.asked):
        for known in kind:
            assert all(word.casefold() in said for word in known.about), known


def test_scoring_can_fail() -> None:
    """A wrong owner is no hit, and a made-up quote is no proof."""
    meeting = next(each for each in MEETINGS if each.actions and each.actions[0].owner)
    known = meeting.actions[0]
    lie = ActionItem(
        " ".join(known.about), (Evidence("u1", "nobody said that"),), "Nobody", known.due
    )
    score = Score()

    add(score, meeting, Claims(actions=(lie,)))

    assert score.actions.right == 0
    assert score.claims == 1
    assert score.proved == 0


def test_bad_line_is_named(tmp_path: Path) -> None:
    """A line that is no utterance is shown."""
    path = tmp_path / "x.toml"
    path.write_text(
        "title = 'x'\nstart = 2026-11-25T10:00:00Z\ntalk = '''\nno colon here\n'''\n"
    )

    with pytest.raises(ValueError, match=r"x\.toml: no utterance: 'no colon here'"):
        load(path)
