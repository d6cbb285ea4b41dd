"""The judge of a conversation: it sees what was heard, what was said, and what was filed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from locum.rehearsal.conversing import Dialogue, Exchange
from locum.rehearsal.judging import Judged, judge
from locum.rehearsal.scenario import Expect, Filed, Scenario, Section, TalkLine, parse_scenario
from tests.unit.small_scenario import MEETING, TALK

START = datetime(2026, 12, 1, 9, 0, tzinfo=timezone.utc)

_SCENARIO = f"""{MEETING}{TALK}
within = 2
hears = ["done|finished"]
never = ["Thursday"]
"""


def _scenario(**changes: Any) -> Scenario:
    return replace(parse_scenario(_SCENARIO.encode()), **changes)


def _said(seconds: float, text: str, *, by_us: bool = True, name: str = "u1") -> dict[str, Any]:
    return {
        "id": name,
        "speaker": "Robin" if by_us else "Dana",
        "text": text,
        "at": (START + timedelta(seconds=seconds)).isoformat(),
        "source": "ears",
        "by_us": by_us,
    }


def _judged(
    tmp_path: Path,
    *exchanges: Exchange,
    scenario: Scenario | None = None,
    problem: str = "",
    **twin: Any,
) -> Judged:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(twin))
    dialogue = Dialogue(exchanges, START, problem)
    return judge(scenario or _scenario(), dialogue, path)


def _line(**changes: Any) -> TalkLine:
    talk = _scenario().talk
    assert talk is not None
    return replace(talk.lines[0], **changes)


def _fails(judged: Judged) -> list[str]:
    return [each.demand for each in judged.verdicts if not each.holds]


def test_a_good_answer_holds(tmp_path: Path) -> None:
    """Heard in time, with the right word: every demand holds, and its wait is told."""
    answered = Exchange(_line(), START, after_s=0.6, lasted_s=1.2)
    judged = _judged(tmp_path, answered, transcript=[_said(3, "It's Finished.")])
    assert _fails(judged) == []
    assert judged.waits == (0.6,)
    assert [(each.who, each.text, each.ours) for each in judged.dialogue] == [
        ("Dana", "Robin, how far is it?", False),
        ("Robin", "It's Finished.", True),
    ]


@pytest.mark.parametrize(
    ("after_s", "text", "fails"),
    [
        (None, "", ['answers "Robin, how far is it?" within 2 s', 'says "done|finished"']),
        (2.4, "done", ['answers "Robin, how far is it?" within 2 s']),
        (-0.3, "done", ['answers "Robin, how far is it?" within 2 s']),
        (0.5, "It is undone.", ['says "done|finished"']),
        (0.5, "Done on Thursday.", ['doesn\'t say "Thursday"']),
        (0.5, "Done. They pay nine thousand.", ['never says "nine thousand"']),
    ],
)
def test_what_fails(tmp_path: Path, after_s: float | None, text: str, fails: list[str]) -> None:
    """Nothing, too late, too early (a false cut-in), the wrong words: each fails its demand."""
    said = [_said(3, text)] if text else []
    judged = _judged(tmp_path, Exchange(_line(), START, after_s=after_s), transcript=said)
    assert len(_fails(judged)) == len(fails)
    for demand, beginning in zip(_fails(judged), fails, strict=True):
        assert demand.startswith(beginning)


def test_words_belong_to_the_line_that_they_followed(tmp_path: Path) -> None:
    """What was said after the second line answers the second, by its instant."""
    first = Exchange(_line(hears=("one",), never=("two",)), START, after_s=0.5)
    later = START + timedelta(seconds=10)
    second = Exchange(_line(hears=("two",), never=("one",)), later, after_s=0.5)
    said = [_said(3, "one"), _said(13, "two")]
    assert _fails(_judged(tmp_path, first, second, transcript=said)) == []


def test_silence_is_broken_by_a_sound_and_by_the_chat(tmp_path: Path) -> None:
    """Who must be silent may not write either."""
    quiet = _line(expect=Expect.SILENT, hears=(), never=())
    assert _fails(_judged(tmp_path, Exchange(quiet, START))) == []
    assert len(_fails(_judged(tmp_path, Exchange(quiet, START, after_s=1.0)))) == 1
    assert len(_fails(_judged(tmp_path, Exchange(quiet, START, wrote=("Hm.",))))) == 1


def test_who_never_spoke_didnt_stop(tmp_path: Path) -> None:
    """Stopping counts only for who was speaking, and only soon."""
    stop = _line(expect=Expect.STOPS, within=timedelta(seconds=0.5), hears=(), never=())
    found = [
        _fails(_judged(tmp_path, Exchange(stop, START, stopped_s=each)))
        for each in (0.3, 0.6, None)
    ]
    assert [len(each) for each in found] == [0, 1, 1]


def test_the_filed_summary_is_searched_by_section_and_speaker(tmp_path: Path) -> None:
    """An entry counts with its quotes, if who must have said it did."""
    decided = {
        "text": "Ship on Thursday",
        "evidence": [{"utterance": "u7", "quote": "we ship on Thursday"}],
    }
    demands = (
        Filed(Section.DECISIONS, has=("ship", "thursday"), by="Dana"),
        Filed(Section.DECISIONS, has=("ship",), by="Jonas"),
        Filed(Section.ASKED, has=("ship",)),
        Filed(Section.TRANSCRIPT, never=("thursday",)),
        Filed(Section.CARRIED, never=("thursday",)),
    )
    judged = _judged(
        tmp_path,
        scenario=_scenario(filed=demands),
        transcript=[_said(1, "We ship on Thursday.", by_us=False, name="u7")],
        minutes={"decisions": [decided], "asked": []},
        carried=[],
    )
    held = [each.holds for each in judged.verdicts[-len(demands) :]]
    assert held == [True, False, False, False, True]


def test_without_a_summary_or_an_end_nothing_is_taken_for_granted(tmp_path: Path) -> None:
    """A conversation that broke off fails, and so does what should have been filed."""
    scenario = _scenario(filed=(Filed(Section.ASKED, never=("anything",)),))
    dialogue = Dialogue((), START, "the stand-in wasn't in within 45 s")
    verdicts = judge(scenario, dialogue, None).verdicts
    assert [each.holds for each in verdicts] == [False, True, False]
