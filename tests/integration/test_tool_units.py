"""What a tool's unit runs, and what isn't offered where it does: `locum tool-unit`, by a socket.

Without systemd: what it confines is looked at in tests/systemd.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from locum.actions.programs import SKILL
from locum.actions.skills import skill_tools
from locum.actions.unit import UnitSandbox
from locum.app.actions import Occasion, Workbench, at_terminal, unrunnable
from locum.briefing import Skill, read_skills
from locum.clock import StageClock
from locum.config.load import load_taken
from locum.config.model import Config
from locum.ports import Health
from tests.unit.builders import at

CONFIG = """
[personas.robin]
tools = ["build", "fetch", "crm", "far", "skills"]
[skills]
folders = ["skills"]
run = ["totals"]
[[tools]]
name = "build"
about = "Builds."
argv = ["true"]
[[tools]]
name = "fetch"
about = "Fetches."
argv = ["true"]
network = true
[[mcp]]
name = "crm"
argv = ["crm"]
tools = ["find"]
[[mcp]]
name = "far"
url = "http://127.0.0.1:9/mcp"
tools = ["find"]
"""
SCRIPT = "import sys; print(sum(map(int, sys.argv[1:])))\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A config with two skills, of which one may run its script."""
    for name in ("totals", "other"):
        place = tmp_path / "skills" / name
        (place / "scripts").mkdir(parents=True)
        (place / "SKILL.md").write_text(f"---\nname: {name}\ndescription: Adds up.\n---\nx\n")
        (place / "scripts" / "add.py").write_text(SCRIPT)
    (tmp_path / "locum.toml").write_text(CONFIG)
    # Run by root, a tool is nobody.
    for path in (*tmp_path.parents[:2], tmp_path):
        path.chmod(0o755)
    return tmp_path


def config_of(folder: Path) -> Config:
    path = folder / "locum.toml"
    return load_taken(path, path.read_bytes())


@pytest.fixture
def units(folder: Path) -> Iterator[UnitSandbox]:
    """Start a `locum tool-unit` for each connection, as the socket's unit does."""
    config = str(folder / "locum.toml")
    command = (sys.executable, "-m", "locum", "tool-unit", "--config", config, "--copy", config)

    def served(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):  # It was shut down.
            while True:
                connection, _ = listening.accept()
                with connection:
                    subprocess.run(command, stdin=connection.fileno(), check=True, timeout=60)

    path = folder / "tool.socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=served, args=(listening,))
        thread.start()
        yield UnitSandbox(path)
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_skills_script_runs_in_a_unit(folder: Path, units: UnitSandbox) -> None:
    """The unit finds the skill by its own config, and runs only the state that was approved."""
    [other, totals], _ = read_skills(folder / "skills")
    tools = {
        each.tool.name: each
        for each in skill_tools([totals, other], runnable=["totals"], sandbox=units)
    }
    script = tools["run_skill_script"]
    call = {"name": "totals", "path": "scripts/add.py", "arguments": ["2", "40"]}

    assert asyncio.run(script.do(call)).text == "42"

    def refused(skill: Skill, **changes: str) -> str:
        """Ask the unit past all that is looked at here, as whoever took the daemon over would."""
        given = {"path": "scripts/add.py", "digest": skill.digest, **changes}
        answer = asyncio.run(
            units._asked(json.dumps({"tool": SKILL + skill.name, "arguments": given}))
        )
        return str(json.loads(answer)["refused"])

    assert "no tool" in refused(other)
    assert "no script" in refused(totals, path="SKILL.md")
    (totals.folder / "scripts" / "add.py").write_text("print('changed')")
    assert "isn't what was approved" in refused(totals)
    (folder / "skills").rename(folder / "elsewhere")
    assert "BindReadOnlyPaths" in refused(totals)


def test_what_a_unit_cant_run_isnt_offered(folder: Path) -> None:
    """A server's program, and what wants the network: doctor and `locum tools` say why."""
    config = config_of(folder)
    units = UnitSandbox(folder / "nowhere.socket")
    found = unrunnable(config, units)
    assert set(found) == {"fetch", "crm"}
    assert all(each.health is Health.BROKEN and each.next_step for each in found.values())
    bench = Workbench(config, folder, StageClock(epoch=at(-60)), None, os.environ)
    box = bench.toolbox(Occasion("robin", "Alex", at_terminal(bench.clock)), units)
    assert {each.name for each in box.tools} & {"build", "fetch"} == {"build"}
    assert set(unrunnable(config, None)) == {"build", "fetch", "crm"}
