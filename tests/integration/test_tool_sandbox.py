"""Programs in bubblewrap: what they can reach from inside, and how they end."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from locum import processes
from locum.actions.program_tool import ProgramTool
from locum.actions.programs import Parameter, Program, Surroundings
from locum.actions.running import Ran
from locum.actions.sandbox import Bubblewrap, bubblewrap_works, find_bubblewrap
from locum.actions.skills import SkillScript, skill_tools
from locum.briefing import read_skills
from locum.errors import HumanNeededError, PermanentError

pytestmark = pytest.mark.skipif(
    not bubblewrap_works(), reason="bubblewrap isn't installed, or may make no namespaces here"
)

PROBE = """
import json, os, socket, sys, time
from pathlib import Path

def attempt(action):
    try:
        action()
    except OSError as problem:
        return type(problem).__name__
    return "done"

def connected(port):
    with socket.socket() as tried:
        tried.settimeout(5)
        tried.connect(("127.0.0.1", port))

state, port = Path(sys.argv[1]), int(sys.argv[2])
print(json.dumps({
    "root": os.getuid() == 0,
    "environ": sorted(os.environ),
    "state": attempt(lambda: list(state.iterdir()) or (state / "x").stat()),
    "key": attempt(lambda: Path("key.pem").read_text() or Path("x").read_text()),
    "home": attempt(lambda: os.listdir("/home")),
    "shadow": attempt(lambda: Path("/etc/shadow").read_text()),
    "others": attempt(lambda: os.kill(int(sys.argv[3]), 0)),
    "network": attempt(lambda: connected(port)),
    "read": attempt(lambda: Path("probe.py").read_text()),
    "write": attempt(lambda: Path("new").write_text("")),
    "write system": attempt(lambda: Path("/usr/new").write_text("")),
    "write out": attempt(lambda: Path("out/new").write_text("x")),
    "write tmp": attempt(lambda: Path("/tmp/new").write_text("x")),
    "namespace": attempt(lambda: os.unshare(0x10000000)) if hasattr(os, "unshare") else "OSError",
}))
"""

FORK = """
import os, time
made = 0
try:
    while made < 3000:
        if os.fork() == 0:
            time.sleep(600)
        made += 1
except OSError:
    pass
print(made, flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project, in a folder that holds what no tool may see as well."""
    project = tmp_path / "project"
    (project / "out").mkdir(parents=True)
    (project / "state").mkdir()
    (project / "state" / "ledger").write_text("ours")
    (project / "key.pem").write_text("ours")
    (project / "probe.py").write_text(PROBE)
    # Run by root, a tool is nobody.
    for path in (*tmp_path.parents[:2], tmp_path, project):
        path.chmod(0o755)
    (project / "out").chmod(0o777)
    return project


@pytest.fixture
def sandbox(folder: Path) -> Bubblewrap:
    hidden = (folder / "state", folder / "key.pem")
    return Bubblewrap(find_bubblewrap() or "", hidden, {"KEPT": "x", "LOCUM_KEY": "y"})


def run(sandbox: Bubblewrap, *argv: str, **changes: Any) -> Ran:
    given = {"timeout": timedelta(seconds=20), **changes}
    return asyncio.run(sandbox.run(Program("x", argv, **given), {}))


def test_a_tool_reaches_nothing_but_its_own(sandbox: Bubblewrap, folder: Path) -> None:
    """Neither what is ours, wherever it lies, nor the home, the network, or other processes."""
    import socket

    around = Surroundings(folder=folder, writes=(folder / "out",), env=("KEPT",))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        ran = run(
            sandbox,
            "python3",
            "probe.py",
            str(folder / "state"),
            port,
            str(os.getpid()),
            around=around,
        )
    assert ran.status == 0, ran.err
    seen = json.loads(ran.out)
    assert seen.pop("root") is False
    assert not {"LOCUM_KEY"} & set(seen["environ"])
    assert "KEPT" in seen.pop("environ")
    allowed = {"read", "write out", "write tmp"}
    assert {name for name, outcome in seen.items() if outcome == "done"} == allowed, seen
    assert (folder / "out" / "new").read_text() == "x"


def test_what_is_ours_is_never_given(sandbox: Bubblewrap, folder: Path) -> None:
    """A folder of locum's is refused, though the config names it."""
    for around in (
        Surroundings(folder=folder / "state"),
        Surroundings(reads=(folder / "state" / "ledger",)),
    ):
        with pytest.raises(PermanentError, match="locum's own"):
            run(sandbox, "true", around=around)


def marked_processes(mark: str) -> list[int]:
    found = []
    for pid in processes.all_processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in command:
            found.append(pid)
    return found


def test_a_tool_ends_with_its_time_and_all_that_it_began(sandbox: Bubblewrap) -> None:
    """Though its child has a session of its own, nothing is left of it."""
    script = "setsid sleep 612 & setsid sleep 612 & sleep 612"
    ran = run(sandbox, "bash", "-c", script, timeout=timedelta(seconds=0.5))

    assert ran.timed_out
    assert ran.status is None
    assert marked_processes("sleep\x00612") == []


def test_a_cancelled_call_ends_its_tool(sandbox: Bubblewrap) -> None:
    """Whoever is interrupted leaves nothing running."""

    async def interrupted() -> None:
        call = asyncio.ensure_future(sandbox.run(Program("x", ("sleep", "613")), {}))
        while not marked_processes("sleep\x00613"):  # noqa: ASYNC110 - Another process's doing.
            await asyncio.sleep(0.02)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    asyncio.run(asyncio.wait_for(interrupted(), 60))
    assert marked_processes("sleep\x00613") == []


def test_a_tool_prints_no_more_than_its_limit(sandbox: Bubblewrap) -> None:
    """Who prints without end is ended; who prints too much on stderr isn't cut for it."""
    endless = run(sandbox, "yes", output_limit=1000)
    assert (len(endless.out), endless.is_cut) == (1000, True)
    noisy = run(sandbox, "bash", "-c", "yes | head -c 200000 >&2; echo told; exit 3")
    assert (noisy.status, noisy.out, noisy.is_cut) == (3, b"told\n", False)
    assert noisy.text().startswith("It ended with exit status 3.\ntold\n")


def test_a_tool_becomes_no_crowd_and_takes_no_more_memory(sandbox: Bubblewrap) -> None:
    """How many it becomes is limited, and what each may take."""
    crowd = run(sandbox, "python3", "-c", FORK, timeout=timedelta(seconds=5))
    assert int(crowd.out) < 200
    greedy = "print(len(bytearray(200 << 20)))"
    around = Surroundings(memory=64 << 20)
    assert run(sandbox, "python3", "-c", greedy, around=around).status == 1
    assert run(sandbox, "python3", "-c", greedy).out == b"209715200\n"


def test_secrets_reach_the_tool_and_nobody_else(sandbox: Bubblewrap, folder: Path) -> None:
    """By its environment; in no command line, and not in what it answers. Open files are refused."""
    secret = folder / "token"
    secret.write_text("s3same-open\n")
    secret.chmod(0o600)
    around = Surroundings(secrets={"TOKEN": secret})
    program = Program(
        "x", ("sh", "-c", 'echo "it is $TOKEN"; cat /proc/*/cmdline'), around=around
    )
    tool = ProgramTool(program, sandbox, "x")

    told = asyncio.run(tool.do({}))

    assert "it is [redacted]" in told.text
    assert "s3same" not in told.text
    secret.chmod(0o644)
    with pytest.raises(HumanNeededError, match="chmod 600"):
        asyncio.run(tool.do({}))


def test_no_shell_sees_what_is_filled_in(sandbox: Bubblewrap) -> None:
    """What would be a command to a shell is an argument."""
    evil = "$(touch /tmp/x); `id` && rm -rf / | x > /tmp/y"
    program = Program("x", ("printf", "%s", "{text}"), (Parameter("text"),))

    assert asyncio.run(sandbox.run(program, {"text": evil})).out.decode() == evil


# ── scripts of skills ────────────────────────────────────────────────────────────────────


def test_a_skills_script_runs_as_it_was_approved(sandbox: Bubblewrap, folder: Path) -> None:
    """In the sandbox, where the config names it; changed since, not any more."""
    place = folder / "skills" / "totals"
    (place / "scripts").mkdir(parents=True)
    (place / "SKILL.md").write_text(
        "---\nname: totals\ndescription: Adds up.\n---\nRun scripts/add.py with numbers.\n"
    )
    script = place / "scripts" / "add.py"
    script.write_text("import sys; print(sum(map(int, sys.argv[1:])))")
    [skill], _ = read_skills(folder / "skills")
    tools = {
        each.tool.name: each
        for each in skill_tools([skill], runnable=["totals"], sandbox=sandbox)
    }
    names = {each.tool.name for each in skill_tools([skill], runnable=[], sandbox=sandbox)}
    assert names == {"read_skill", "read_skill_file"}
    assert "Adds up." in tools["read_skill"].tool.about

    async def asked(tool: str, **arguments: Any) -> str:
        return (await tools[tool].do({"name": "totals", **arguments})).text

    call: dict[str, Any] = {"path": "scripts/add.py", "arguments": ["2", "40"]}
    assert "Run scripts/add.py" in asyncio.run(asked("read_skill"))
    assert "sum(" in asyncio.run(asked("read_skill_file", path="scripts/add.py"))
    assert asyncio.run(asked("run_skill_script", **call)) == "42"
    for path in ("SKILL.md", "../../probe.py", "/bin/sh", "scripts/none.py"):
        with pytest.raises(PermanentError):
            asyncio.run(asked("run_skill_script", path=path))
    assert isinstance(tools["run_skill_script"], SkillScript)
    script.write_text("print('changed')")
    for tool, arguments in (("read_skill", {}), ("run_skill_script", call)):
        with pytest.raises(PermanentError, match="changed"):
            asyncio.run(asked(tool, **arguments))


def test_a_program_that_isnt_there_is_said_to_be_missing(sandbox: Bubblewrap) -> None:
    """With what to do, and as nothing that another try helps."""
    with pytest.raises(HumanNeededError, match="no program 'nowhere-to-be-found'"):
        run(sandbox, "nowhere-to-be-found")
    assert replace(sandbox, executable="/nowhere/bwrap").check().next_step
