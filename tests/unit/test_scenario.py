"""Scenarios: the built-in ones load and make sense, and a bad file is refused in clear words."""

from __future__ import annotations

import os
import struct
import time
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.model import Answer
from locum.errors import ConfigError
from locum.rehearsal.clock import HandClock, StageClock
from locum.rehearsal.face import face_png
from locum.rehearsal.rooms import Rooms, StepKind
from locum.rehearsal.scenario import (
    EditKind,
    FaultTarget,
    Scenario,
    builtin_scenarios,
    find_scenario,
    load_scenario,
    parse_scenario,
)
from locum.rehearsal.stage import Stage
from tests.campaign.loop import VirtualLoop, VirtualTime

START = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)

GOOD = """
title = "A small one"

[owner]
email = "alex@example.com"
name = "Alex"

[[events]]
id = "standup"
title = "Stand-up"
starts_at = 8
duration = 40.5
organizer = "dana@example.com"
meet = "abc-defg-hij"
attendees = [{ email = "alex@example.com", answer = "accepted" }]
"""

PERSON = """
[[people]]
name = "Dana"
room = "abc-defg-hij"
enters_at = 9
"""


def _problems(text: str | bytes) -> tuple[str, ...]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigError) as caught:
        parse_scenario(content, name="day.toml")
    return caught.value.problems


# ── the built-in ones ────────────────────────────────────────────────────────────────────


_BY_THE_CLOCK = ("cancelled", "crash", "default", "outage", "overrun")
_TALKS = ("customer", "scheduling", "standup", "tutoring")


@pytest.mark.parametrize("name", _BY_THE_CLOCK)
def test_each_builtin_loads_and_is_short(name: str) -> None:
    """It has an event of the owner's to go to, people who speak in its room, and ends in 2 min."""
    scenario = load_scenario(builtin_scenarios()[name])
    event = scenario.events[0]
    answers = {attendee.email: attendee.answer for attendee in event.attendees}
    assert answers[scenario.owner.email] is Answer.ACCEPTED
    assert timedelta(seconds=5) <= event.starts_at <= timedelta(seconds=15)
    assert {person.room for person in scenario.people} == {event.meet}
    assert sum(len(person.says) for person in scenario.people) >= 2
    assert scenario.ends_at <= timedelta(minutes=2)


def test_every_builtin_is_listed_above() -> None:
    """A new scenario is tested too."""
    assert set(builtin_scenarios()) == {*_BY_THE_CLOCK, *_TALKS}


def test_the_default_has_two_invitations_to_leave_alone() -> None:
    """A stranger's unanswered one and a declined one, at the same time, in other rooms."""
    scenario = load_scenario(builtin_scenarios()["default"])
    answers = {
        event.id: attendee.answer
        for event in scenario.events
        for attendee in event.attendees
        if attendee.email == scenario.owner.email
    }
    assert answers == {
        "tide-gauge": Answer.ACCEPTED,
        "stranger": Answer.UNANSWERED,
        "budget": Answer.DECLINED,
    }
    assert len({event.meet for event in scenario.events}) == 3
    assert len({person.name for person in scenario.people}) == 3


def test_the_others_do_what_their_names_say() -> None:
    """Extended in time, cancelled in time, failing on both sides, killed in the meeting."""
    scenarios = {name: load_scenario(path) for name, path in builtin_scenarios().items()}
    for name, kind in (("overrun", EditKind.EXTEND), ("cancelled", EditKind.CANCEL)):
        (edit,) = scenarios[name].edits
        event = scenarios[name].event(edit.event)
        assert edit.kind is kind
        assert event.starts_at < edit.at < event.ends_at
    assert scenarios["overrun"].ends_at == timedelta(seconds=52)
    faults = scenarios["outage"].faults
    assert [fault.target for fault in faults] == [FaultTarget.GOOGLE, FaultTarget.PIKASTREAM]
    assert [fault.fault.status for fault in faults] == [503, 502]
    assert (faults[1].fault.method, faults[1].fault.times) == ("DELETE", 2)
    (killed_at,) = scenarios["crash"].kill_daemon_at
    assert scenarios["crash"].events[0].starts_at < killed_at


@pytest.mark.parametrize("name", _BY_THE_CLOCK)
def test_people_really_say_all_their_lines(name: str) -> None:
    """Played on a clock, every line is heard in its room at its instant."""
    scenario = load_scenario(builtin_scenarios()[name])
    clock = HandClock(START)
    rooms = Rooms(now=clock.now)
    rooms.expect(scenario.room_steps(START))
    clock.advance(scenario.ends_at)
    said = {
        (START + line.at, person.name, line.text)
        for person in scenario.people
        for line in person.says
    }
    heard = rooms.utterances(scenario.events[0].meet or "")
    assert {(one.at, one.speaker, one.text) for one in heard} == said
    assert rooms.present(scenario.events[0].meet or "") == ()


# ── reading ──────────────────────────────────────────────────────────────────────────────


def test_everything_that_a_file_can_say(tmp_path: Path) -> None:
    """Each table arrives as a typed, frozen value; offsets are timedeltas."""
    path = tmp_path / "day.toml"
    path.write_text(
        "\ufeffkill_daemon_at = [12]\n"
        + GOOD
        + """
location = "Room 4"
recurrence = ["RRULE:FREQ=WEEKLY"]

[[edits]]
at = 20
event = "standup"
kind = "move"
to = 300

[[edits]]
at = 21
event = "standup"
kind = "decline"

[[edits]]
at = 22
event = "standup"
kind = "patch"
title = "Stand-up!"

[[people]]
name = "Dana"
room = "abc-defg-hij"
enters_at = 5
says = [{ at = 9, text = "Hello." }]
removes_bots_at = 30
ends_meeting_at = 40

[[faults]]
target = "pikastream"
at = 3
path = "balance"
status = 500
times = "always"

[pikastream]
never_ready = true
hostile = ["session_id"]
balance = 27.5
"""
    )
    scenario = load_scenario(path)
    assert scenario.events[0].ends_at == timedelta(seconds=48.5)
    assert scenario.events[0].meet_url == "https://meet.google.com/abc-defg-hij"
    assert scenario.events[0].recurrence == ("RRULE:FREQ=WEEKLY",)
    assert scenario.edits[0].to == timedelta(seconds=300)
    assert scenario.ends_at == timedelta(seconds=340.5)
    assert [step.kind for step in scenario.room_steps(START)] == [
        StepKind.ENTER,
        StepKind.SAY,
        StepKind.REMOVE_BOTS,
        StepKind.CLOSE,
    ]
    assert (scenario.faults[0].fault.path, scenario.faults[0].fault.times) == ("balance", None)
    assert scenario.pikastream.never_ready
    assert scenario.pikastream.balance * 2 == 55
    assert scenario.kill_daemon_at == (timedelta(seconds=12),)
    assert isinstance(scenario, Scenario)
    assert hash(scenario.owner) == hash(scenario.owner)


def test_transcription_is_off_unless_a_scenario_says() -> None:
    """Without the table nobody has switched it on; with it, in the rooms that it names."""
    without = Stage(parse_scenario(GOOD.encode()))
    assert without.google.meet.transcribed == frozenset()
    everywhere = Stage(parse_scenario(f"{GOOD}[meet]\nready = false".encode()))
    assert everywhere.google.meet.transcribed is None
    assert everywhere.google.meet.transcripts_after is None
    text = f"{GOOD}[meet]\nrooms = ['abc-defg-hij']\ntranscripts_after = 5"
    one = Stage(parse_scenario(text.encode()))
    assert one.google.meet.transcribed == frozenset({"abc-defg-hij"})
    assert one.google.meet.transcripts_after == timedelta(seconds=5)


def test_a_scenario_is_found_by_name_or_path(tmp_path: Path) -> None:
    """And an unknown one is answered with the names that there are."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert find_scenario("default") == builtin_scenarios()["default"]
    assert find_scenario(str(path)) == path
    with pytest.raises(ConfigError, match=r"no scenario 'defualt'.*crash, customer, default"):
        find_scenario("defualt")


# ── what is refused ──────────────────────────────────────────────────────────────────────


def test_all_problems_come_at_once_with_key_value_and_suggestion() -> None:
    """One reading of the messages is enough to mend the file."""
    code = "^[a-z]{3}-[a-z]{4}-[a-z]{3}$"
    text = GOOD.replace('"abc-defg-hij"', '"abc"').replace("answer", "anwser") + "colour = 1\n"
    assert _problems(text.replace('title = "A', 'title = 7 # "A')) == (
        "day.toml: title: Input should be a valid string, not 7",
        "day.toml: events #1.attendees #1: unknown key 'anwser'. Did you mean \"answer\"?",
        f"day.toml: events #1.meet: String should match pattern '{code}', not 'abc'",
        "day.toml: events #1: unknown key 'colour'.",
    )


@pytest.mark.parametrize(
    ("added", "says"),
    [
        ("[[events]]\n", 'events #2: "id" is missing'),
        ("[[edits]]\nat = 1\nevent = 'standpu'\nkind = 'cancel'", 'Did you mean "standup"?'),
        ("[[edits]]\nat = -1\nevent = 'standup'\nkind = 'cancel'", "edits #1.at: must not be"),
        ("[[edits]]\nat = 1\nevent = 'standup'\nkind = 'extend'", '"extend" needs by'),
        ("[[edits]]\nat = 1\nevent = 'standup'\nkind = 'patch'", "needs title or"),
        ("[[edits]]\nat = 1\nevent = 'standup'\nkind = 'move'\nby = 4", "by: means nothing"),
        ("[[edits]]\nat = 1\nevent = 'standup'\nkind = 'extend'\nby = -99", "leaves nothing"),
        (
            "[[edits]]\nat = 1\nevent = 'standup'\nkind = 'decline'\nattendee = 'x@y.z'",
            "x@y.z",
        ),
        ("[[people]]\nname = 'D'\nroom = 'the kitchen'\nenters_at = 1", "people #1.room"),
        (
            PERSON + "leaves_at = 9",
            "people #1.leaves_at: must be after",
        ),
        (
            PERSON + "says = [{ at = 2, text = 'hm' }]",
            "people #1.says #1.at: is outside",
        ),
        (
            PERSON + "removes_bots_at = 3\nends_meeting_at = 2",
            "people #1.ends_meeting_at: is outside",
        ),
        (
            "[[faults]]\ntarget = 'gogle'\nat = 1",
            "'google', 'pikastream' or 'model', not 'gogle'",
        ),
        ("[[faults]]\ntarget = 'google'\nat = 1\nstatsu = 5", 'Did you mean "status"?'),
        ("[[faults]]\ntarget = 'google'\nat = 1\nfault = 5", "unknown key 'fault'"),
        ("[[faults]]\ntarget = 'google'\nat = 1\ntimes = 'often'", "faults #1.times"),
        ("[[faults]]\ntarget = 'google'\nat = -1", "faults #1.at"),
        ("[meet]\ntranscripts_after = -1", "meet.transcripts_after"),
        ("[meet]\nrooms = ['lounge']", "meet.rooms #1"),
        ("[meet]\nraedy = false", 'Did you mean "ready"?'),
        ("[pikastream]\nbalance = -1", "negative"),
        ("[pikastream]\nbalance = nan", "pikastream.balance"),
        ("[pikastream]\nready_after = nan", "pikastream.ready_after"),
    ],
)
def test_what_makes_no_sense_is_named(added: str, says: str) -> None:
    """Each rule has its sentence, with the place it is about."""
    assert says in "\n".join(_problems(f"{GOOD}\n{added}\n"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("starts_at = 8", "starts_at = nan", "starts_at: must be a number of seconds within"),
        ("starts_at = 8", "starts_at = 1e300", "starts_at: must be a number of seconds within"),
        ("starts_at = 8", "starts_at = true", "starts_at: must be a number of seconds"),
        ("starts_at = 8", 'starts_at = "soon"', "not 'soon'"),
        ("duration = 40.5", "duration = 0", "duration: must be above 0"),
        ('"accepted"', '"unlisted"', "nobody answers"),
        ('"accepted"', '"maybe"', "not 'maybe'"),
        ('"Alex"', '""', "owner.name"),
        ("[[events]]", "[events]", "events"),
        ("[[events]]", '[[events]]\nid = "a"', "not TOML"),
        ("[owner]", "owner = 3\n[other]", "owner: must be a table, not 3"),
    ],
)
def test_bad_values_are_named(old: str, new: str, says: str) -> None:
    """With the value as it stands in the file."""
    assert says in "\n".join(_problems(GOOD.replace(old, new)))


def test_an_id_can_be_taken_once() -> None:
    """Edits name events by it."""
    events = GOOD[GOOD.index("[[events]]") :]
    assert _problems(GOOD + events) == (
        'day.toml: events #2.id: "standup" is taken by an earlier event',
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"x = " + b"9" * 5000, "a value can't be read"),
        (b"a." * 20_000 + b"b = 1", "over 32 parts"),
        (b'"a" . ' * 20_000 + b"b = 1", "over 32 parts"),
        (b"title = '\xff'", "not UTF-8"),
        (b"# " + b"x" * 300_000, "larger than 256 KiB"),
        (b"a" * 250_000, "not TOML"),
        (b'"' * 250_000, "not TOML"),
        (b"a.b " * 60_000, "not TOML"),
        (b"\x00", "not TOML"),
        (b"", "is missing"),
        (b"x = {" * 300 + b"a = 1" + b"}" * 300, "unknown key 'x'"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value.replace(" ", "-"),
)
def test_hostile_files_are_refused_quickly(content: bytes, says: str) -> None:
    """Whatever stands in it: a sentence, in a second, and no traceback."""
    begun = time.process_time()
    assert says in "\n".join(_problems(content))
    assert time.process_time() - begun < 1


def test_a_thousand_problems_are_cut_short() -> None:
    """The first twenty, and how many more."""
    problems = _problems(GOOD + "[[people]]\n" * 500)
    assert len(problems) == 21
    assert problems[-1] == "day.toml: … and 1480 more problems"


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, and a pipe that would block for ever."""
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    for path, says in (
        (tmp_path / "nope.toml", "nope.toml: No such file"),
        (tmp_path, "is no file"),
        (pipe, "pipe.toml: is no file"),
    ):
        with pytest.raises(ConfigError, match=says):
            load_scenario(path)


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(cut=st.integers(0, len(GOOD)), junk=st.binary(max_size=12))
def test_a_spoiled_file_loads_or_is_refused(cut: int, junk: bytes) -> None:
    """Cut anywhere, with anything put in: a scenario or a ConfigError, nothing else."""
    content = GOOD.encode()
    try:
        parse_scenario(content[:cut] + junk + content[cut + len(junk) :])
    except ConfigError as error:
        assert error.problems  # noqa: PT017 - Both outcomes are right.


# ── the clock and the face that a rehearsal needs ────────────────────────────────────────


def test_a_stage_clock_runs_at_its_speed() -> None:
    """Twenty times the host's, from the common instant on, there and back."""
    host = HandClock(START)
    clock = StageClock(speed=20, epoch=START + timedelta(days=1), host=host.now)
    host.advance(timedelta(seconds=3))
    assert clock.now() == START + timedelta(days=1, seconds=60)
    assert clock.to_host(clock.now()) == host.now()
    assert clock.host_duration(timedelta(minutes=1)) == timedelta(seconds=3)


def test_two_clocks_with_the_same_epochs_agree() -> None:
    """That is how the daemon and its stage share a time without talking."""
    host = HandClock(START)
    mine = StageClock(speed=7, host=host.now)
    host.advance(timedelta(seconds=11))
    yours = StageClock(speed=7, epoch=mine.epoch, epoch_host=mine.epoch_host, host=host.now)
    assert mine.now() == yours.now()


def test_a_stage_clock_sleeps_its_own_time() -> None:
    """A minute of the stage's at speed 6,000 is ten milliseconds; the past is no wait at all."""

    async def sleep() -> None:
        clock = StageClock(speed=6000)
        await clock.sleep(timedelta(minutes=1))
        await clock.sleep(timedelta(minutes=-5))

    with VirtualTime(START) as virtual:
        anyio.run(sleep, backend_options={"loop_factory": lambda: VirtualLoop(virtual)})
        assert virtual.elapsed() == pytest.approx(0.01)


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_clock_that_cannot_run_is_refused(speed: float) -> None:
    """Said when it is made, not when it is read."""
    with pytest.raises(ValueError, match="speed"):
        StageClock(speed=speed)
    with pytest.raises(ValueError, match="time zone"):
        HandClock(START.replace(tzinfo=None))


def test_the_face_is_a_whole_png() -> None:
    """Signature, chunks with right sums, and as many pixels as the header says."""
    png = face_png()
    assert len(png) > 1024
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (512, 512, 8, 2, 0, 0, 0)
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == 512 * (1 + 512 * 3)
    assert pixels[:: 1 + 512 * 3] == bytes(512)


def test_faces_differ_by_hue_only_and_are_bounded() -> None:
    """Same arguments, same bytes; a size out of reason is refused."""
    assert face_png(128, hue=0.1) != face_png(128, hue=0.6)
    assert face_png(128, hue=0.1) == face_png.__wrapped__(128, hue=0.1)
    with pytest.raises(ValueError, match="64 to 2048"):
        face_png(5000)
