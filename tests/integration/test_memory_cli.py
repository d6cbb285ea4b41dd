"""`locum memory` and `locum ask`, and the daemon's memory over its ledger."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from locum.app.remembering import MemorySetting, Remembering, answer, memory_of
from locum.cli.root import app
from locum.clock import SystemClock
from locum.config.load import load
from locum.control import ControlServer
from locum.core.minutes import Minutes, Occasion
from locum.core.model import SeriesKey
from locum.core.remembered import Compartment, Kind
from locum.core.transcript import Transcript
from locum.errors import LocumError, PermanentError, TransientError
from locum.ledger import Database, Ledger, StateLock
from locum.memory import Boundaries
from locum.ports import Answer, Finding, Passage, Summary
from tests.integration.memory_rig import COLLEAGUE, DANA, OWNER, Held, opened, told
from tests.unit.builders import TEN, meeting

CONFIG = 'state_dir = "state"\nruntime_dir = "state"\n'
WEEKLY = SeriesKey("weekly@google.com")
SETTING = MemorySetting(enabled=True, boundaries=Boundaries(), keep=None)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing of the caller's own set-up be found."""
    for name in list(os.environ):
        if name.startswith(("LOCUM_", "XDG_")) or name.endswith("_DIRECTORY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Answer the config of a machine on which two meetings were remembered."""
    path = tmp_path / "locum.toml"
    path.write_text(CONFIG, "utf-8")
    path.chmod(0o600)
    memory = opened(tmp_path / "state")
    told(memory, meetings())
    memory.close()
    return path


def meetings() -> list[Held]:
    """Answer what was held, long ago by any clock."""
    first = Held(week=-100)
    second = Held(week=-99, people=(OWNER, DANA), series="acme", title="Acme call")
    first.decides("Billing moves to Postgres \x1b[31m")
    first.promises("Send the budget deck", due=date(2026, 11, 27))
    second.decides("The roadmap stays as it is", by=DANA)
    return [first, second]


def does(config: Path, *arguments: str) -> Any:
    command = [*arguments, "--config", str(config)]
    return CliRunner().invoke(app, command, prog_name="locum")


def json_of(config: Path, *arguments: str) -> Any:
    done = does(config, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


# ── showing ──────────────────────────────────────────────────────────────────────────────


def test_show_tells_what_is_open(config: Path) -> None:
    """Without more, it lists what is still to be done, and the series."""
    done = does(config, "memory", "show")
    told = json_of(config, "memory", "show")

    assert "Kim Colleague" in done.stdout
    assert "late: Fri 27 Nov 2026" in done.stdout or "by Fri 27 Nov 2026" in done.stdout
    assert [line["text"] for line in told["open"]] == ["Send the budget deck"]
    assert [each["title"] for each in told["series"]] == ["Acme call", "Weekly sync"]


def test_show_tells_of_a_series_and_of_a_person(config: Path) -> None:
    """A series goes by its title, a person by a name; every line has its quote."""
    series = json_of(config, "memory", "show", "weekly sync")
    person = json_of(config, "memory", "show", "--person", "dana")
    shown = does(config, "memory", "show", "weekly sync").stdout

    assert [line["kind"] for line in series] == ["decision", "commitment"]
    assert [line["quotes"][0]["speaker"] for line in person] == ["Dana Client"]
    assert '"Send the budget deck" (Kim Colleague, ' in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("memory", "show", "nonsense"), "is called"),
        (("memory", "show", "--person", "nobody"), "Nothing is known"),
        (("memory", "search", "zanzibar"), "Nothing was found"),
        (("memory", "approve", "ffff"), "No line has the id"),
        (("memory", "settle", "ffff"), "No line has the id"),
        (("memory", "forget", "--person", "nobody"), "knows nobody"),
        (("ask", "what about zanzibar?"), "I don't know"),
    ],
)
def test_what_isnt_there_is_said(
    config: Path, arguments: tuple[str, ...], expected: str
) -> None:
    """Where nothing goes by that name, it says so, and exits with 1."""
    done = does(config, *arguments)

    assert done.exit_code == 1
    assert expected in done.output


def test_without_memory_it_says_when_it_begins(tmp_path: Path) -> None:
    """Before the first meeting there is no file, and none is made by looking."""
    path = tmp_path / "locum.toml"
    path.write_text(CONFIG, "utf-8")

    done = does(path, "memory", "show")

    assert done.exit_code == 1
    assert "Nothing is remembered yet" in done.output
    assert not (tmp_path / "state" / "memory.sqlite3").exists()


def test_search_ranks_and_limits(config: Path) -> None:
    """The best come first, with their ranks; a compartment sees only its own."""
    found = json_of(config, "memory", "search", "billing", "postgres")
    client = does(config, "memory", "search", "billing", "--compartment", "acme.example")

    assert [line["text"] for line in found] == ["Billing moves to Postgres \x1b[31m"]
    assert found[0]["rank"] > 0
    assert client.exit_code == 1


def test_ask_answers_with_citations(config: Path) -> None:
    """Without a model, the lines that speak of it are the answer, with meeting and quote."""
    told = json_of(config, "ask", "what did we decide about billing?")
    shown = does(config, "ask", "what did we decide about billing?").stdout

    assert told["answer"] is None
    [line] = told["found"]
    assert (line["kind"], line["title"]) == ("decision", "Weekly sync")
    assert shown.startswith("Weekly sync, ")


def test_export_is_whole(config: Path) -> None:
    """Every line is one JSON object, the oldest first."""
    done = does(config, "memory", "export")

    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == [
        "decision",
        "commitment",
        "decision",
    ]


# ── changing ─────────────────────────────────────────────────────────────────────────────


def test_approve_and_take_it_back(config: Path) -> None:
    """A line is named by how its id begins."""
    line = json_of(config, "memory", "search", "billing")[0]["id"]

    assert does(config, "memory", "approve", line[:6]).exit_code == 0
    assert json_of(config, "memory", "search", "billing")[0]["approved"]
    assert does(config, "memory", "approve", line, "--undo").exit_code == 0
    assert not json_of(config, "memory", "search", "billing")[0]["approved"]


def test_settling_a_promise_and_taking_it_back(config: Path) -> None:
    """Done, dropped or open by one's word, until that is taken back; it says how it stands."""
    [deck] = json_of(config, "memory", "show")["open"]
    line = deck["id"][:6]
    done = does(config, "memory", "settle", line)

    assert (done.exit_code, done.stdout) == (0, "Done: Send the budget deck\n")
    assert json_of(config, "memory", "show")["open"] == []
    assert (
        "commitment, done, by your word, Kim" in does(config, "memory", "show", "sync").stdout
    )
    dropped = json_of(config, "memory", "settle", line, "--dropped")
    assert (dropped["standing"], dropped["by_hand"]) == ("dropped", True)
    opened_ = json_of(config, "memory", "settle", line, "--open")
    assert (opened_["standing"], opened_["by_hand"]) == ("open", True)
    undone = does(config, "memory", "settle", line, "--undo")
    assert undone.stdout == "By what was said in meetings: open: Send the budget deck\n"
    assert json_of(config, "memory", "show")["open"] == [deck]


def test_only_a_promise_is_settled_and_in_one_way(config: Path) -> None:
    """A decision has nothing to be done; it says where the promises are."""
    decision = json_of(config, "memory", "search", "billing")[0]["id"]
    wrong = does(config, "memory", "settle", decision)

    assert wrong.exit_code == 1
    assert "is no promise" in wrong.stderr
    assert "`locum memory show`" in wrong.stderr
    assert does(config, "memory", "settle", "x", "--open", "--undo").exit_code == 2


def test_nothing_is_forgotten_unasked(config: Path) -> None:
    """Where nobody can be asked, --yes must be said; one thing at a time."""
    line = json_of(config, "memory", "search", "billing")[0]["id"]

    assert does(config, "memory", "forget", line).exit_code == 1
    assert does(config, "memory", "forget", line, "--person", "dana", "--yes").exit_code == 2
    assert does(config, "memory", "search", "billing").exit_code == 0


@pytest.mark.parametrize(
    ("how", "left"),
    [
        (("--series", "weekly"), ["Acme call"]),
        (("--person", "dana@acme.example"), ["Weekly sync"]),
        (("--person", "Dana Client"), ["Weekly sync"]),
    ],
)
def test_forgetting_by_name(config: Path, how: tuple[str, ...], left: list[str]) -> None:
    """A series or a person goes as a whole."""
    done = does(config, "memory", "forget", *how, "--yes")

    assert done.exit_code == 0, done.output
    assert [each["title"] for each in json_of(config, "memory", "show")["series"]] == left


def test_a_running_daemon_is_asked(config: Path, tmp_path: Path) -> None:
    """Where the lock is held and nobody answers, nothing is changed; the daemon does it itself."""
    line = json_of(config, "memory", "search", "billing")[0]["id"]
    lock = StateLock(tmp_path / "state")
    refused = does(config, "memory", "approve", line)
    remembering = Remembering(tmp_path / "state", None, SystemClock(), SETTING)

    async def serve() -> Any:
        async with ControlServer(tmp_path / "state" / "control.sock", remembering.handlers):
            return await asyncio.to_thread(does, config, "memory", "forget", line, "--yes")

    done = asyncio.run(serve())
    remembering.close()
    lock.release()

    assert refused.exit_code == 1
    assert "uses" in refused.output
    assert done.exit_code == 0, done.output
    assert does(config, "memory", "search", "billing").exit_code == 1


# ── with a brain ─────────────────────────────────────────────────────────────────────────


class Oracle:
    """A brain that answers what it was told to: a stand-in for models that are wrong."""

    name = "oracle"

    def __init__(self, reply: Answer | LocumError | None) -> None:
        self._reply = reply
        self.given: Sequence[Passage] = ()

    async def write_minutes(self, transcript: Transcript, occasion: Occasion) -> Minutes:
        return Minutes("oracle")

    async def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        self.given = passages
        if isinstance(self._reply, LocumError):
            raise self._reply
        return self._reply

    async def check(self) -> tuple[Finding, ...]:
        return ()

    async def aclose(self) -> None:
        return None


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Answer("Postgres.", ("REAL",)), Answer("Postgres.", ("REAL",))),
        (Answer("Postgres.", ("made-up", "REAL", "REAL")), Answer("Postgres.", ("REAL",))),
        (Answer("Oracle.", ("made-up",)), None),
        (Answer("Oracle.", ()), None),
        (Answer("  ", ("REAL",)), None),
        (None, None),
        (TransientError("too slow"), None),
    ],
)
def test_a_brain_is_held_to_its_citations(
    tmp_path: Path, reply: Answer | LocumError | None, expected: Answer | None
) -> None:
    """What cites nothing that it was given is no answer; the lines that were found stay."""
    memory = opened(tmp_path)
    told(memory, meetings())
    real = memory.search("billing")[0].id

    def named(found: Answer) -> Answer:
        return Answer(found.text, tuple(real if c == "REAL" else c for c in found.cited))

    brain = Oracle(named(reply) if isinstance(reply, Answer) else reply)
    found, hits, trouble = asyncio.run(answer(memory, "What about billing?", brain=brain))
    memory.close()

    assert found == (None if expected is None else named(expected))
    assert [hit.line.id for hit in hits] == [real] == [each.id for each in brain.given]
    assert trouble == ("too slow" if isinstance(reply, LocumError) else "")


def test_a_brain_is_not_asked_about_nothing(tmp_path: Path) -> None:
    """Where memory has nothing, no model gets to make something up."""
    memory = opened(tmp_path)
    told(memory, meetings())
    brain = Oracle(Answer("The moon is ours.", ("x",)))

    assert asyncio.run(answer(memory, "Who owns the moon?", brain=brain)) == (None, (), "")
    assert brain.given == ()
    memory.close()


def test_a_model_that_is_gone_leaves_what_was_found(config: Path) -> None:
    """Where the model can't be reached, it says so, and the lines are the answer."""
    with config.open("a", encoding="utf-8") as file:
        file.write(
            '[brain]\nmodel = "any"\nbase_url = "http://127.0.0.1:9/v1"\ntimeout = "2s"\n'
        )

    done = does(config, "ask", "what did we decide about billing?")

    assert done.exit_code == 0, done.output
    assert "The language model gave no answer: " in done.stderr
    assert "Billing moves to Postgres" in done.stdout


# ── in the daemon ────────────────────────────────────────────────────────────────────────


def ledger_with(folder: Path, *summaries: Summary) -> Ledger:
    ledger = Ledger(Database(folder / "ledger.sqlite3"))
    for summary in summaries:
        ledger.outbox.put(summary, (), at=TEN)
    return ledger


def test_what_memory_lacks_is_made_up_for(tmp_path: Path) -> None:
    """At a start it takes in what the ledger has and it hasn't; and then no more."""
    ledger = ledger_with(tmp_path, *(held.summary() for held in meetings()))
    remembering = Remembering(tmp_path, ledger, SystemClock(), SETTING)

    assert asyncio.run(remembering.catch_up()) == 2
    assert asyncio.run(remembering.catch_up()) == 0

    remembering.close()
    ledger.close()


def test_damage_costs_nothing_but_time(tmp_path: Path) -> None:
    """A memory that was damaged is made anew from the ledger; what was forgotten stays so."""
    first, second = (held.summary() for held in meetings())
    ledger = ledger_with(tmp_path, first, second)
    remembering = Remembering(tmp_path, ledger, SystemClock(), SETTING)
    asyncio.run(remembering.catch_up())
    remembering.forget({"meeting": second.key})
    remembering.close()
    (tmp_path / "memory.sqlite3").write_bytes(b"rubbish" * 1000)

    remembering = Remembering(tmp_path, ledger, SystemClock(), SETTING)
    asyncio.run(remembering.catch_up())

    carried = remembering.recall(meeting_of(week=2))
    assert [each.text for each in carried] == ["Send the budget deck"]
    remembering.close()
    ledger.close()
    reader = opened(tmp_path)
    assert {line.title for line in reader.newest()} == {"Weekly sync"}
    reader.close()


def meeting_of(week: int) -> Any:
    """Answer the next meeting of the weekly series, as the calendar has it."""
    held = Held(week=week)
    return meeting(
        "weekly@google.com",
        original_start=held.start,
        start=held.start,
        end=held.start + timedelta(minutes=30),
        organizer=OWNER,
        attendees=held.summary().attendees,
    )


def test_what_is_settled_is_left_out_of_what_is_recalled_and_told(tmp_path: Path) -> None:
    """By the daemon, at once and after a restart; a word that it doesn't know changes nothing."""
    remembering = Remembering(tmp_path, None, SystemClock(), SETTING)
    remembering.remember(meetings()[0].summary())
    coming, audience = meeting_of(week=1), Compartment("internal")
    [line] = [
        each for each in remembering.lines(coming, audience) if each.kind is Kind.COMMITMENT
    ]
    with pytest.raises(PermanentError, match="standing is one of done, dropped, open"):
        remembering.settle({"line": line.id, "standing": "contradicted"})

    assert len(remembering.recall(coming)) == 1
    remembering.settle({"line": line.id, "standing": "dropped"})
    assert remembering.recall(coming) == ()
    remembering.close()
    remembering = Remembering(tmp_path, None, SystemClock(), SETTING)
    assert remembering.recall(coming) == ()
    assert [each.kind for each in remembering.lines(coming, audience)] == [Kind.DECISION]
    remembering.close()


def test_who_is_invited_decides_what_is_recalled(tmp_path: Path) -> None:
    """The same series with a client invited opens with nothing of one's own."""
    remembering = Remembering(tmp_path, None, SystemClock(), SETTING)
    remembering.remember(meetings()[0].summary())
    ours = meeting_of(week=1)
    with_client = meeting(
        "weekly@google.com",
        original_start=ours.start,
        start=ours.start,
        end=ours.end,
        organizer=OWNER,
        attendees=Held(people=(OWNER, COLLEAGUE, DANA)).summary().attendees,
    )
    omitted = meeting(
        "weekly@google.com",
        original_start=ours.start,
        start=ours.start,
        end=ours.end,
        organizer=OWNER,
        attendees=ours.attendees,
        attendees_omitted=True,
    )

    assert len(remembering.recall(ours)) == 1
    assert remembering.recall(with_client) == remembering.recall(omitted) == ()
    remembering.close()


def test_memory_that_is_off_takes_and_tells_nothing(tmp_path: Path) -> None:
    """Off, nothing is remembered nor recalled; an age that is too high isn't taken in either."""
    remembering = Remembering(tmp_path, None, SystemClock(), SETTING)
    remembering.remember(meetings()[0].summary())
    remembering.change(MemorySetting(enabled=False, boundaries=Boundaries(), keep=None))

    remembering.remember(meetings()[1].summary())

    assert remembering.recall(meeting_of(week=1)) == ()
    remembering.change(
        MemorySetting(enabled=True, boundaries=Boundaries(), keep=timedelta(days=30))
    )
    remembering.remember(meetings()[1].summary())
    remembering.close()
    reader = opened(tmp_path)
    assert {line.title for line in reader.newest()} == {"Weekly sync"}
    reader.close()


def test_a_memory_that_cant_be_opened_keeps_nobody_from_meetings(tmp_path: Path) -> None:
    """The daemon starts without it; whoever asks is told why."""
    (tmp_path / "memory.sqlite3").mkdir()

    remembering = Remembering(tmp_path, None, SystemClock(), SETTING)

    assert remembering.problem is not None
    with pytest.raises(LocumError, match=r"memory\.sqlite3"):
        remembering.recall(meeting_of(week=1))
    assert asyncio.run(remembering.catch_up()) == 0
    remembering.close()


def test_the_config_says_who_belongs_together(tmp_path: Path) -> None:
    """`[memory]` becomes what people are told apart by."""
    path = tmp_path / "locum.toml"
    path.write_text(
        f'{CONFIG}[memory]\nown_domains = ["own.example"]\nkeep = "365d"\n'
        '[[memory.compartments]]\nname = "acme"\nattendees = ["acme.example", "d@gmail.com"]\n',
        "utf-8",
    )
    path.chmod(0o600)

    setting = memory_of(load(path).config)

    assert setting.enabled
    assert setting.keep == timedelta(days=365)
    assert setting.boundaries.own_domains == ("own.example",)
    assert setting.boundaries.rules[0].compartment == "acme"
