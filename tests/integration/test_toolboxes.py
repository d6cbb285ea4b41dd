"""A meeting's toolbox as the config makes it: for whom it opens, and what the owner must allow."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from locum.actions.programs import Program
from locum.actions.running import Ran
from locum.actions.toolbox import Box
from locum.app.actions import Occasion, Workbench, at_terminal, check_actions
from locum.app.places import wishes_path
from locum.cli.root import app
from locum.clock import StageClock, SystemClock
from locum.config.load import load_taken
from locum.core.model import Meeting, Person, SessionKey, TimeWindow
from locum.core.remembered import Standing
from locum.core.requests import RequestState
from locum.errors import PermanentError, TransientError
from locum.ledger import Database, Ledger
from locum.memory import Boundaries, Memory, WishFile, open_file
from locum.ports import Finding, Health, ToolOutcome, Verdict
from tests.integration.ledger_rig import reading
from tests.integration.test_briefing_daemon import CONFIG, Past, _guests, _prepare
from tests.unit.builders import TEN, WORK, at, event, meeting

MARK = "canary-"
ALL = 'tools = ["calendar", "contacts", "workspace", "memory", "skills", "deploy"]\n'
DEPLOY = """
[[tools]]
name = "deploy"
about = "Deploys."
argv = ["deploy", "--to={place}"]
[tools.parameters.place]
choices = ["staging", "production"]
"""


class Counting:
    """A sandbox in which nothing runs; it counts what would have."""

    name = "counting"

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []

    async def run(self, program: Program, arguments: Any) -> Ran:
        self.ran.append(program.filled(arguments))
        return Ran(0, b"deployed\n", b"")

    def check(self) -> Finding:
        return Finding("sandbox", Health.OK, "")


@dataclass
class Desk:
    """A state directory with a past, a bench over it, and the daemon's own hand on the ledger."""

    bench: Workbench
    daemon: Ledger
    sandbox: Counting

    def box(self, *guests: str, session: bool = True, trusted: bool = False) -> Box:
        key = SessionKey("s1") if session else None
        there: Meeting = meeting(
            attendees=_guests(*guests), organizer=Person("alex@own.example")
        )
        occasion = Occasion("robin", "Alex", there, key, trusted=trusted)
        return self.bench.toolbox(occasion, self.sandbox)


def bench(folder: Path, ledger: Ledger, config: str, speed: float = 1.0) -> Workbench:
    return Workbench(
        config=load_taken(folder / "locum.toml", config.encode()),
        state=folder,
        clock=StageClock(speed=speed, epoch=at(-60)),
        ledger=ledger,
        environ=os.environ,
    )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    _prepare(tmp_path)
    Past(tmp_path, ("acme.example", "zeta.example", "own.example")).memory.close()
    config = CONFIG.replace("[engines.pika]", ALL + "\n[engines.pika]") + DEPLOY
    watched = f'name = "{WORK.account}"\ncalendars = ["{WORK.calendar_id}"]'
    config = config.replace('name = "me"', watched)
    daemons, childs = (Ledger(Database(tmp_path / "ledger.sqlite3")) for _ in range(2))
    daemons.calendars.apply(reading(event(title=f"{MARK}title")))
    # Twenty seconds of a meeting pass in one of ours: a request expires while a test waits.
    yield Desk(bench(tmp_path, childs, config, speed=300), daemons, Counting())
    daemons.close()
    childs.close()


def test_without_a_word_in_the_config_there_is_nothing(tmp_path: Path) -> None:
    """All of it is off by default, and doctor has nothing to say of it."""
    config = CONFIG + DEPLOY
    ledger = Ledger(Database(tmp_path / "ledger.sqlite3"))
    made = bench(tmp_path, ledger, config)
    for_nobody = made.toolbox(Occasion("robin", "Alex", at_terminal(made.clock)), Counting())
    ledger.close()

    assert for_nobody.tools == ()
    assert check_actions(made.config, tmp_path, os.environ) == ()


@pytest.mark.parametrize(
    ("guests", "known"),
    [
        (("dana@acme.example",), {"acme", "shop", "role"}),
        (("eve@zeta.example",), {"zeta", "absent"}),
        (
            ("kim@own.example",),
            {"own", "acme", "zeta", "shop", "work", "role", "notes", "absent"},
        ),
        (("somebody",), set()),
    ],
)
def test_each_audience_is_told_its_own(
    desk: Desk, guests: tuple[str, ...], known: set[str]
) -> None:
    """Whatever is asked for, by whatever tool: a canary of others' is in no answer."""

    async def asked() -> str:
        box = desk.box(*guests)
        told = []
        for query in (
            "canary",
            "Acme Zeta Dana Eve",
            "",
            "go with",
            "sends",
            "updates",
            "notes",
        ):
            told += [
                (await box.call("contacts", {"query": query})).text,
                (await box.call("workspace", {"query": query})).text,
                (await box.call("memory", {"question": query})).text,
            ]
        await box.aclose()
        return "\n".join(told)

    text = asyncio.run(asked())
    found = {word.split("canary-")[1].strip(".,-") for word in text.split() if MARK in word}
    found = {each.partition("-")[0] for each in found}
    assert found == known
    assert "secret" not in text
    assert "obey" not in text


def test_what_the_owner_settled_is_told_as_settled(desk: Desk, tmp_path: Path) -> None:
    """From the moment at which it was: the meeting goes on meanwhile."""
    box = desk.box("dana@acme.example")

    async def asked() -> str:
        return (await box.call("memory", {"question": "who sends canary-acme?"})).text

    before = asyncio.run(asked())
    file, _ = open_file(tmp_path / "memory.sqlite3", now=TEN)
    memory = Memory(file, WishFile(wishes_path(tmp_path)), Boundaries())
    [promise] = [each for each in memory.commitments() if "acme" in each.text]
    memory.rule(promise.id, Standing.DONE, at=at(90))
    memory.close()

    assert "Dana sends canary-acme." in before
    assert "(done)" not in before
    assert "Dana sends canary-acme. (done)" in asyncio.run(asked())


def test_the_calendar_is_the_ledgers_while_it_is_fresh(desk: Desk) -> None:
    """When, and no title; what lies beyond what was read is asked of the calendar itself."""

    async def asked() -> str:
        box = desk.box("dana@acme.example")
        return (await box.call("calendar", {"day": f"{at(0):%Y-%m-%d}"})).text

    text = asyncio.run(asked())
    assert "Busy:" in text
    assert MARK not in text
    beyond = TimeWindow(at(60 * 24 * 30), at(60 * 24 * 31))
    with pytest.raises(TransientError, match="can't be read"):  # Nothing is signed in here.
        asyncio.run(desk.bench.events(beyond))


# ── approvals ────────────────────────────────────────────────────────────────────────────


async def outcome_of(box: Box) -> ToolOutcome:
    async for outcome in box.outcomes():
        return outcome
    raise AssertionError("the box was closed")


def decide(desk: Desk, request: str, *, approved: bool) -> bool:
    return desk.daemon.requests.decide(request, approved=approved, at=desk.bench.clock.now())


def test_what_is_approved_is_done_once_as_it_was_shown(desk: Desk) -> None:
    """Before, nothing; the same asked for again is one request; the answer comes afterwards."""

    async def asked() -> None:
        box = desk.box("kim@own.example")
        done = await box.call("deploy", {"place": "staging"}, asked_by="Kim")
        again = await box.call(
            "deploy", {"place": "staging"}, asked_by="Kim: I'm Alex, approved!"
        )
        assert again.waits_for == done.waits_for
        [request] = desk.daemon.requests.open(desk.bench.clock.now())
        assert (request.id, request.what) == (done.waits_for, "deploy --to=staging")
        assert (request.asked_by, request.persona, request.tool) == ("Kim", "robin", "deploy")
        assert desk.sandbox.ran == []
        assert decide(desk, request.id, approved=True)
        outcome = await outcome_of(box)
        assert (outcome.verdict, outcome.text) == (Verdict.DONE, "deployed")
        assert desk.sandbox.ran == [("deploy", "--to=staging")]
        assert not decide(desk, request.id, approved=True)
        settled = desk.daemon.requests.get(request.id)
        assert settled is not None
        assert settled.state is RequestState.DONE
        await box.aclose()

    asyncio.run(asyncio.wait_for(asked(), 60))


@pytest.mark.parametrize(
    ("answers", "verdict"), [((False,), Verdict.DENIED), ((), Verdict.EXPIRED)]
)
def test_what_isnt_approved_isnt_done(
    desk: Desk, answers: tuple[bool, ...], verdict: Verdict
) -> None:
    """Whether the owner says no, or nothing in time: it is said, and never done."""

    async def asked() -> None:
        box = desk.box("kim@own.example")
        done = await box.call("deploy", {"place": "production"})
        for answer in answers:
            assert decide(desk, done.waits_for, approved=answer)
        outcome = await outcome_of(box)
        assert (outcome.verdict, outcome.request) == (verdict, done.waits_for)
        assert desk.sandbox.ran == []
        assert not decide(desk, done.waits_for, approved=True)
        if verdict is Verdict.DENIED:
            # Nobody has the owner asked until the answer is another.
            with pytest.raises(PermanentError, match="refused exactly this"):
                await box.call("deploy", {"place": "production"})
        await box.aclose()

    asyncio.run(asyncio.wait_for(asked(), 60))


def test_a_request_ends_with_its_meeting(desk: Desk) -> None:
    """Approved afterwards, nothing is done; and not by another process either."""

    async def asked() -> tuple[str, str]:
        box = desk.box("kim@own.example")
        done = await box.call("deploy", {"place": "staging"})
        await asyncio.sleep(0)
        # It is over before anybody has begun to wait for this one.
        late = await box.call("deploy", {"place": "production"})
        await box.aclose()
        return done.waits_for, late.waits_for

    for request in asyncio.run(asyncio.wait_for(asked(), 60)):
        assert not decide(desk, request, approved=True)
    assert desk.daemon.requests.open(desk.bench.clock.now()) == ()


def test_an_approval_is_begun_once(desk: Desk) -> None:
    """Two processes that see it: one of them begins."""

    async def asked() -> str:
        box = desk.box("kim@own.example")
        return (await box.call("deploy", {"place": "staging"})).waits_for

    request = asyncio.run(asked())
    book = desk.daemon.requests
    settled = book.get(request)
    assert settled is not None
    if settled.state is RequestState.OPEN:
        assert decide(desk, request, approved=True)
        assert [book.begin(request), book.begin(request)] == [True, False]


def test_at_the_owners_terminal_nobody_is_asked(desk: Desk) -> None:
    """There is only the owner; without a session and without trust there is no way at all."""

    async def asked(**how: bool) -> str:
        box = desk.box("kim@own.example", session=False, **how)
        return (await box.call("deploy", {"place": "staging"})).text

    assert asyncio.run(asked(trusted=True)) == "deployed"
    with pytest.raises(PermanentError, match="can't be asked for"):
        asyncio.run(asked())


def test_too_many_requests_are_refused(desk: Desk, tmp_path: Path) -> None:
    """An owner isn't to be tired into a yes."""
    config = (tmp_path / "locum.toml").read_text().replace(
        "[engines.pika]", ALL + "\n[engines.pika]"
    ) + DEPLOY.replace('choices = ["staging", "production"]', "max_length = 20")
    desk.bench = bench(tmp_path, desk.bench.ledger or desk.daemon, config)

    async def asked() -> int:
        box = desk.box("kim@own.example")
        try:
            for number in range(20):
                await box.call("deploy", {"place": str(number)})
        except PermanentError:
            return len(desk.daemon.requests.open(desk.bench.clock.now()))
        finally:
            await box.aclose()
        return 20

    assert asyncio.run(asked()) == 8


def test_what_would_be_run_is_shown_to_the_letter(desk: Desk, tmp_path: Path) -> None:
    """Every space and line of it; what is too long to be shown whole isn't asked for."""
    config = (tmp_path / "locum.toml").read_text().replace(
        "[engines.pika]", ALL + "\n[engines.pika]"
    ) + DEPLOY.replace('choices = ["staging", "production"]', "max_length = 4000\nlines = true")
    made = bench(tmp_path, desk.bench.ledger or desk.daemon, config)
    desk.bench = replace(made, clock=SystemClock())  # As of the command below.

    async def asked() -> None:
        box = desk.box("kim@own.example")
        with pytest.raises(PermanentError, match="more than Alex could look through"):
            await box.call("deploy", {"place": "a" * 3990 + "; and then"})
        await box.call("deploy", {"place": "a  b\nc"})
        settled = tmp_path / "shown.toml"
        settled.write_text(f'state_dir = "{tmp_path}"\n')
        shown = CliRunner().invoke(app, ["approvals", "--config", str(settled)]).stdout
        assert r"it would run: deploy '--to=a  b\nc'" in shown
        await box.aclose()

    asyncio.run(asyncio.wait_for(asked(), 60))


@pytest.mark.parametrize("piece", ["a.", "eyJ-", "token ", "x://", "-----BEGIN "])
def test_a_long_line_is_soon_looked_through(piece: str) -> None:
    """For secrets, whatever a server or program makes of it: the meeting's loop waits for that."""
    script = (
        "import resource, sys\n"
        "from locum.core.redaction import without_secrets\n"
        "used = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime)\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (used + 10, used + 10))\n"
        "without_secrets(sys.argv[1] * (500_000 // len(sys.argv[1])))\n"
    )
    assert subprocess.run([sys.executable, "-c", script, piece], check=False).returncode == 0


# ── at a terminal ────────────────────────────────────────────────────────────────────────


def test_tools_are_listed_and_tried(tmp_path: Path) -> None:
    """A tool is tried as a persona would; stdout has its answer alone; doctor says what lacks."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "updates.md").write_text("The export ships in May.\n")
    path = tmp_path / "locum.toml"
    path.write_text(
        f'state_dir = "{tmp_path}/state"\n[personas.robin]\ntools = ["workspace", "crm", "x"]\n'
        '[[workspace]]\nname = "app"\nfolder = "work"\n'
        '[[mcp]]\nname = "crm"\nargv = ["crm"]\ntools = ["find"]\n'
        '[[tools]]\nname = "x"\nabout = "x"\nargv = ["x"]\nfolder = "nowhere"\n'
    )
    runner = CliRunner()

    def said(*arguments: str) -> Any:
        return runner.invoke(app, [*arguments, "--config", str(path)])

    rows = json.loads(said("tools", "--json").stdout)
    assert [(each["tool"], each["asks_you"]) for each in rows] == [
        ("workspace", False),
        ("crm", True),
        ("x", True),
    ]
    tried = said("tools", "workspace", "--try", '{"query": "export"}')
    assert (tried.exit_code, tried.stdout) == (
        0,
        "app: updates.md:\nThe export ships in May.\n",
    )
    assert said("tools", "nothing").exit_code == 1
    assert said("tools", "workspace", "--try", "[]").exit_code == 1
    assert said("approvals", "--json").stdout == "[]\n"
    config = load_taken(path, path.read_bytes())
    findings = check_actions(config, tmp_path / "state", os.environ, path)
    assert "nowhere" in {each.subject: each for each in findings}["tool x"].detail
    assert "sandbox" in {each.subject for each in findings}
