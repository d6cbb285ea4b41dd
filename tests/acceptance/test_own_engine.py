"""A rehearsal with our own engine: invited, signed in, seen and heard, talked with, filed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from locum.rehearsal.engine import StageEngine
from locum.rehearsal.play import rehearse
from locum.rehearsal.scenario import (
    Hearing,
    HearingBy,
    Scenario,
    Section,
    builtin_scenarios,
    load_scenario,
)

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in ("chromium", "espeak-ng", "git")),
        reason="chromium, espeak-ng or git isn't installed",
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("aiortc") is None, reason="the extra stage isn't installed"
    ),
]

_LINES = (0, 1, 4)
"""Of the stand-up: one that isn't for it, the update, and what it may not promise."""


def _short() -> Scenario:
    scenario = load_scenario(builtin_scenarios()["standup"])
    assert scenario.talk is not None
    lines = tuple(scenario.talk.lines[number] for number in _LINES)
    filed = tuple(each for each in scenario.filed if each.section is not Section.DECISIONS)
    # On a machine that is busy with other tests pocketsphinx hears half of it: the words are
    # the stage's here, and everything else is real. `python -m tests.scenarios` really hears.
    return replace(
        scenario,
        talk=replace(scenario.talk, lines=lines),
        filed=filed,
        hearing=Hearing(HearingBy.STAGE),
    )


def test_a_stand_up_it_takes_part_in(tmp_path: Path) -> None:
    """It hears, is silent, gives the update, defers, files it all; the others saw and heard it."""
    told: list[str] = []
    scenario = _short()
    outcome = rehearse(
        scenario,
        tmp_path / "rehearsal",
        speed=1.0,
        tell=told.append,
        engine=StageEngine.CHROMIUM,
        keep_recording=tmp_path / "seen",
    )
    print("\n".join(told), outcome.judged, (tmp_path / "rehearsal" / "daemon.log").read_text())

    assert outcome.problems == ()
    [session] = outcome.sessions
    assert (session["phase"], session["end_reason"]) == ("filed", "meeting_over")
    assert any("alex@example.com" in line and "signed in" in line for line in told)
    assert outcome.judged is not None
    assert len(outcome.judged.waits) == 2
    # Whose words are whose, in the order in which they were said.
    twin = json.loads(outcome.summaries[-1].with_suffix(".json").read_text())
    ours = [each["by_us"] for each in twin["transcript"] if each["source"] != "chat"]
    assert ours[-4:] == [False, True, False, True]
    [recording] = outcome.recordings
    _is_seen_and_heard(recording)


def _is_seen_and_heard(recording: Path) -> None:
    probed = subprocess.run(
        [
            *("ffprobe", "-v", "error", "-of", "json", "-count_packets"),
            *("-show_entries", "stream=codec_type,width,height,nb_read_packets", recording),
        ],
        check=True,
        capture_output=True,
    )
    streams = {each["codec_type"]: each for each in json.loads(probed.stdout)["streams"]}
    assert int(streams["video"]["nb_read_packets"]) > 200
    assert streams["video"]["height"] >= 180
    loud = subprocess.run(
        ["ffmpeg", "-v", "info", "-i", recording, "-af", "volumedetect", "-f", "null", "-"],
        check=True,
        capture_output=True,
        text=True,
    )
    mean = float(loud.stderr.partition("mean_volume:")[2].split()[0])
    assert mean > -45
