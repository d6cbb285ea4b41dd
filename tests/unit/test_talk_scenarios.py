"""A scenario's conversation: its tables, what makes no sense in it, its world, its recordings."""

from __future__ import annotations

import csv
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from locum.config.load import load
from locum.core.model import Answer
from locum.errors import ConfigError, PermanentError
from locum.rehearsal.clock import LeapingClock, StageClock
from locum.rehearsal.configuring import write_config
from locum.rehearsal.engine import StageEngine
from locum.rehearsal.meet.captions import PER_WORD, revisions
from locum.rehearsal.rooms import StepKind
from locum.rehearsal.scenario import (
    After,
    Expect,
    HearingBy,
    Scenario,
    builtin_scenarios,
    load_scenario,
    parse_scenario,
)
from locum.rehearsal.stage import RECORDINGS, Addresses, Stage
from tests.unit.small_scenario import MEETING, TALK

START = datetime(2026, 12, 1, 9, 0, tzinfo=timezone.utc)
TALKS = ("customer", "scheduling", "standup", "tutoring")


def _problems(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_scenario(text.encode())
    return "\n".join(caught.value.problems)


# ── the built-in ones ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", TALKS)
def test_each_is_a_short_conversation_that_demands_something(name: str) -> None:
    """Owner invited, somebody answered and something filed; each line's sound is there, small."""
    scenario = load_scenario(builtin_scenarios()[name])
    talk, event = scenario.talk, scenario.events[0]
    assert talk is not None
    answers = {each.email: each.answer for each in event.attendees}
    assert answers[scenario.owner.email] is Answer.ACCEPTED
    assert event.meet == talk.room
    assert scenario.filed
    assert any(line.expect is Expect.ANSWERS and line.hears for line in talk.lines)
    aloud = [line for line in talk.lines if line.says]
    sizes = [(RECORDINGS / line.recording).stat().st_size for line in aloud if line.recording]
    assert len(sizes) == len(aloud)
    assert max(sizes) < 20_000


def test_what_a_person_says_is_never_in_what_must_not_be_said() -> None:
    """Else a stand-in that repeats the question would be blamed for the scenario's own words."""
    talks = [load_scenario(path).talk for path in builtin_scenarios().values()]
    texts = [line.says.casefold() for talk in talks if talk for line in talk.lines]
    words = {word for talk in talks if talk for word in talk.never} - {"Thursday"}
    assert not [(word, text) for word in words for text in texts if word.casefold() in text]


# ── reading ──────────────────────────────────────────────────────────────────────────────


def test_everything_that_a_conversation_can_say() -> None:
    """Its tables arrive as typed values."""
    scenario = parse_scenario(
        (
            MEETING
            + """
[persona.conduct]
attention = "active"
update = "All is well."
[hearing]
by = "captions"
[[folders]]
name = "notes"
files = { "docs/a.md" = "A" }
[[folders.commits]]
message = "First"
hours_ago = 3
files = { "b.md" = "B" }
[[contacts]]
email = "kim@example.org"
"""
            + TALK
            + """
[[talk.lines]]
who = "Dana"
after = "voice"
says = "Stop."
expect = "stops"
within = 0.5
[[filed]]
section = "asked"
has = ["far"]
"""
        ).encode()
    )
    assert scenario.talk is not None
    second = scenario.talk.lines[1]
    assert (second.after, second.expect) == (After.VOICE, Expect.STOPS)
    assert second.within == timedelta(seconds=0.5)
    assert scenario.hearing.by is HearingBy.CAPTIONS
    assert scenario.folders[0].commits[0].ago == timedelta(hours=3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MEETING + TALK.replace("abc-", "xyz-"), 'talk.room: no event is in "xyz-defg-hij"'),
        (MEETING + TALK.replace('"Dana"', '"Mallory"'), 'talk.lines #1.who: "Mallory" isn\'t'),
        (MEETING + TALK + 'writes = "x"\n', "talk.lines #1.says: give one of says and writes"),
        (MEETING + TALK + 'recording = "../etc/passwd.wav"\n', "#1.recording: must be a name"),
        (MEETING + TALK + 'after = "voice"\n', "#1.after: nothing comes before the first line"),
        (MEETING + TALK.replace('"answers"', '"stops"'), "#1.expect: only who speaks can stop"),
        (MEETING + TALK + "withn = 3\n", "unknown key 'withn'. Did you mean \"within\"?"),
        (MEETING + TALK + "within = 1e9\n", "within"),
        (MEETING + '[[filed]]\nsection = "asked"\n', "filed: is judged after a talk"),
        (MEETING + TALK + '[[filed]]\nsection = "all"\n', "section"),
        (
            MEETING + TALK + '[[earlier.lines]]\nat = 1\nwho = "A"\nsays = "B"\n',
            "earlier: the first event has no recurrence",
        ),
        (
            MEETING + TALK + '[[folders]]\nname = "a"\nfiles = { "../b" = "C" }\n',
            "folders #1.files",
        ),
        (
            MEETING + TALK + '[[folders]]\nname = "a"\nfiles = { ".git/x" = "C" }\n',
            "folders #1",
        ),
        (
            MEETING + TALK + '[[edits]]\nat = 1\nevent = "standup"\nkind = "cancel"\n',
            "talk: edits and kill_daemon_at have instants",
        ),
    ],
)
def test_what_makes_no_sense_is_named(text: str, says: str) -> None:
    """Each problem with its key; nothing leads out of its folder."""
    assert says in _problems(text)


# ── its world ────────────────────────────────────────────────────────────────────────────


_NOWHERE = Addresses(
    google="http://127.0.0.1:1",
    pikastream="http://127.0.0.1:2",
    notices="http://127.0.0.1:3",
    model="http://127.0.0.1:4/v1",
    meet="http://127.0.0.1:5",
    recogniser="http://127.0.0.1:6/v1",
)


def _written(scenario: Scenario, folder: Path) -> Path:
    stage = Stage(scenario)
    return write_config(stage, _NOWHERE, folder, engine=StageEngine.CHROMIUM)


@pytest.mark.skipif(shutil.which("git") is None, reason="git isn't installed")
def test_the_standups_repository_is_a_real_one(tmp_path: Path) -> None:
    """With its history, by its owner, and the config is one that the daemon takes."""
    path = _written(load_scenario(builtin_scenarios()["standup"]), tmp_path)
    log = subprocess.run(
        ["git", "log", "--format=%an: %s"],
        cwd=tmp_path / "work" / "export",
        check=True,
        capture_output=True,
        text=True,
    )
    assert log.stdout.splitlines() == [
        "Alex Winter: Round the water levels to whole centimetres",
        "Alex Winter: Export the water levels of a harbour as CSV",
    ]
    config = load(path).config
    persona = config.personas["stand-in"]
    assert persona.tools == ("workspace",)
    assert persona.update is not None
    assert "alert text" in persona.update.read_text()
    assert [each.folder for each in config.workspace] == [tmp_path / "work" / "export"]
    assert config.hearing.type == "pocketsphinx"


def test_contacts_are_a_table_that_the_daemon_reads(tmp_path: Path) -> None:
    """The customer's scenario names them, with who may hear of which folder."""
    path = _written(load_scenario(builtin_scenarios()["customer"]), tmp_path)
    config = load(path).config
    [file] = config.contacts.files
    with file.open(encoding="utf-8", newline="") as opened:
        [kim] = csv.DictReader(opened)
    assert (kim["email"], kim["company"]) == ("kim@harbourlights.example", "Harbour Lights")
    audiences = {each.name: each.audience for each in config.workspace}
    assert audiences["houston"] == ("houston.example",)


# ── time ─────────────────────────────────────────────────────────────────────────────────


def test_a_leap_is_seen_by_all_who_ask_the_clock() -> None:
    """It goes on from there at the new speed; back it never goes."""
    host = START
    clock = LeapingClock(StageClock(speed=20, host=lambda: host))
    asked = clock.now
    clock.leap(START + timedelta(weeks=1), speed=1.0)
    assert asked() - (START + timedelta(weeks=1)) < timedelta(minutes=1)
    assert clock.speed == 1.0
    with pytest.raises(ValueError, match="never goes back"):
        clock.leap(START, speed=1.0)


def test_captions_of_a_recorded_line_take_as_long_as_it() -> None:
    """Else they would tell the end of a slow speaker's sentence before it is said."""
    words = "one two three four"
    slow = [each.at - START for each in revisions(words, START, timedelta(seconds=4))]
    assert slow[:4] == [timedelta(seconds=each) for each in (1, 2, 3, 4)]
    assert next(revisions(words, START)).at - START == PER_WORD


def test_the_earlier_meeting_is_held_once_the_stand_in_is_there() -> None:
    """Its people come on time, talk from when it is in, and end it for all."""
    scenario = load_scenario(builtin_scenarios()["tutoring"])
    assert scenario.earlier is not None
    entries = scenario.earlier.entries("mat-hsmi-aaa", START)
    assert {step.name for step in entries} == {"Alex Winter", "Mia Sandberg"}
    steps = scenario.earlier.talk("mat-hsmi-aaa", START)
    assert [step.kind for step in steps] == [StepKind.SAY, StepKind.SAY, StepKind.CLOSE]
    assert steps[-1].at > steps[-2].at > START


def test_a_missing_recording_is_named_before_anything_begins(tmp_path: Path) -> None:
    """With what to do about it; nothing has been started by then."""
    pytest.importorskip("aiortc", reason="the extra stage isn't installed")
    scenario = parse_scenario((MEETING + TALK + 'recording = "a/1.opus"\n').encode())
    stage = Stage(scenario, recordings=tmp_path)
    with pytest.raises(PermanentError, match=r"a/1\.opus.*Record it"), stage.open():
        pass


def test_the_recogniser_that_knows_the_script_tells_no_word_before_its_sound() -> None:
    """Words come with the sound; the next stretch of a line goes on where the last one ended."""
    pytest.importorskip("numpy", reason="the extra stage isn't installed")
    from locum.rehearsal.prompter import Prompter

    prompter = Prompter()
    prompter.says("one two three four", timedelta(seconds=4))
    first, second = b"\x00\x40" * 32_000, b"\x00\x30" * 32_000  # Two seconds each.
    assert prompter.hear(bytes(32_000)) == ""
    assert prompter.hear(first[:32_000]) == "one"
    assert prompter.hear(first) == "one two"
    assert prompter.hear(second) == "three four"
    assert prompter.hear(first) == "one two"
    prompter.says("five", timedelta(seconds=1))
    assert prompter.hear(first) == "five"
