"""A tool in the unit that we ship for it: what it can reach from inside, with a real systemd."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.systemd.boot import REPOSITORY, Machine, booted_systemd, why_not

pytestmark = [pytest.mark.systemd, pytest.mark.xdist_group("systemd")]

UNITS = REPOSITORY / "systemd"
HIGHEST_SCORE = 0.5

CONFIG = """
state_dir = "/var/lib/locum"
[personas.robin]
tools = ["probe", "fetch", "crm", "skills"]
[skills]
folders = ["/srv/skills"]
run = ["totals"]
[[mcp]]
name = "crm"
argv = ["/usr/bin/crm"]
tools = ["find"]

[[tools]]
name = "probe"
about = "Tries what it mustn't."
argv = ["/usr/bin/python3", "/srv/probe/probe.py", "{what}"]
folder = "/srv/probe"
timeout = "3s"
output_limit = 4096
secrets = { TOKEN = "/etc/locum/probe.token" }
[tools.parameters.what]
choices = ["look", "sleep", "fork", "endless"]

[[tools]]
name = "fetch"
about = "Wants the network."
argv = ["/usr/bin/true"]
network = true
"""

PROBE = """
import json, os, socket, sys, time
from pathlib import Path

def attempt(action):
    try:
        action()
    except OSError as problem:
        return type(problem).__name__
    return "done"

def connected():
    with socket.socket() as tried:
        tried.settimeout(2)
        tried.connect(("127.0.0.1", 22))

what = sys.argv[1]
if what == "sleep":
    if os.fork() == 0:
        os.setsid()
    time.sleep(600)
elif what == "endless":
    while True:
        print("y" * 1000)
elif what == "fork":
    children = 0
    while attempt(lambda: os.fork() or time.sleep(600)) == "done" and children < 500:
        children += 1
    print(json.dumps({"children": children}))
else:
    print(json.dumps({
        "uid": os.getuid(),
        "given": os.environ["TOKEN"][::-1],
        "state": attempt(lambda: os.listdir("/var/lib/locum")),
        "config": attempt(lambda: Path("/etc/locum/locum.toml").read_text()),
        "copy": attempt(lambda: Path(os.environ.get("CREDENTIALS_DIRECTORY", "/run/credentials")).iterdir().__next__()),
        "home": attempt(lambda: list(Path("/root").iterdir()) or Path("/root/x").stat()),
        "other folder": attempt(lambda: Path("/srv/other/private").read_text()),
        "own folder": attempt(lambda: Path("/srv/probe/probe.py").read_text()),
        "write own": attempt(lambda: Path("/srv/probe/x").write_text("")),
        "write /etc": attempt(lambda: Path("/etc/x").write_text("")),
        "write /tmp": attempt(lambda: Path("/tmp/x").write_text("")),
        "network": attempt(connected),
        "socket": attempt(lambda: socket.socket(socket.AF_UNIX).connect("/run/locum-tool.socket")),
    }))
"""

SKILL = "---\nname: totals\ndescription: Adds up.\n---\nRun scripts/add.py with numbers.\n"
ADD = """
import sys
from pathlib import Path
try:
    Path("/srv/probe/probe.py").read_text()
except OSError:
    print(sum(map(int, sys.argv[1:])))
"""

ASK = """
import asyncio, json, sys
from datetime import timedelta
from pathlib import Path
from locum.actions.programs import Parameter, Program
from locum.actions.skills import skill_tools
from locum.actions.unit import UnitSandbox
from locum.briefing import read_skills
from locum.errors import LocumError

async def ask(name, arguments):
    if name == "check":
        return {"detail": UnitSandbox().check().detail}
    if name == "run_skill_script":
        skills, _ = read_skills(Path("/srv/skills"))
        *_, script = skill_tools(skills, runnable=["totals"], sandbox=UnitSandbox())
        return {"out": (await script.do(arguments)).text}
    parameters = tuple(Parameter(each) for each in arguments)
    program = Program(name, ("x",), parameters, timeout=timedelta(seconds=30))
    try:
        ran = await UnitSandbox().run(program, arguments)
    except LocumError as error:
        return {"refused": str(error)}
    return {"status": ran.status, "out": ran.out.decode(), "err": ran.err.decode(),
            "cut": ran.is_cut, "late": ran.timed_out}

async def main():
    print(json.dumps(await asyncio.gather(*(ask(*each) for each in json.loads(sys.argv[1])))))

asyncio.run(main())
"""


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_the_units_score(tmp_path: Path) -> None:
    """Each directive that is lost raises the exposure, and no line of it is unknown here."""
    unit = shutil.copy(UNITS / "locum-tool@.service", tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) <= HIGHEST_SCORE
    assert "Unknown" not in done.stderr


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with booted_systemd() as booted:
        booted.install_locum()
        booted.install_program("ask", ASK)
        booted.write("/etc/locum/locum.toml", CONFIG)
        booted.write("/etc/locum/probe.token", "not-for-anybody", mode=0o600)
        booted.write("/srv/probe/probe.py", PROBE)
        booted.write("/srv/other/private", "x")
        booted.write("/srv/skills/totals/SKILL.md", SKILL)
        booted.write("/srv/skills/totals/scripts/add.py", ADD)
        booted.run(["chmod", "-R", "a+rX", "/srv"])
        for name in ("locum-tool.socket", "locum-tool@.service"):
            booted.install_unit(UNITS / name)
        booted.write(
            "/etc/systemd/system/locum-tool@.service.d/folders.conf",
            "[Service]\nBindReadOnlyPaths=/srv/probe /srv/other /srv/skills\n"
            "LoadCredential=TOKEN:/etc/locum/probe.token\n",
        )
        booted.systemctl("daemon-reload")
        booted.systemctl("start", "locum-tool.socket")
        yield booted


def asked(machine: Machine, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Call tools, all at once, as the daemon's account does."""
    as_locum = ["setpriv", "--reuid=locum", "--regid=locum", "--clear-groups"]
    done = machine.run([*as_locum, "/opt/locum/bin/ask", json.dumps(calls)])
    return list(json.loads(done.stdout))


def test_a_tool_is_let_to_its_own_and_no_further(machine: Machine) -> None:
    """State, config, home, other folders, the network: from inside, none of it can be had."""
    [said] = asked(machine, ("probe", {"what": "look"}))
    assert said["status"] == 0, (said, machine.messages()[-20:])
    seen = json.loads(said["out"])
    assert seen.pop("uid") not in {0, 999}
    assert seen.pop("given") == "not-for-anybody"[::-1]
    allowed = {"own folder", "write /tmp"}
    assert {name for name, outcome in seen.items() if outcome == "done"} == allowed, seen


def test_a_tool_ends_with_its_limits_and_nothing_else_is_run(machine: Machine) -> None:
    """In time, in what it prints, in how many it becomes, with all that it began.

    Whoever has the socket can name no program, fill nothing else in, and reach no network.
    """
    slow, endless, forking, *others = asked(
        machine,
        ("probe", {"what": "sleep"}),
        ("probe", {"what": "endless"}),
        ("probe", {"what": "fork"}),
        ("bash", {}),
        ("probe", {"what": "--version"}),
        ("fetch", {}),
    )
    assert slow["late"]
    assert endless["cut"]
    assert len(endless["out"]) <= 4096
    assert forking["late"] or json.loads(forking["out"])["children"] < 130
    assert [list(each) for each in others] == [["refused"]] * 3, others
    machine.run(["bash", "-c", "while pgrep -f 'probe[.]py'; do sleep 0.1; done"])


def test_a_skills_script_runs_there(machine: Machine) -> None:
    """Let to its own folder, like any tool; which skills there are, the unit's config says."""
    call = {"name": "totals", "path": "scripts/add.py", "arguments": ["2", "40"]}
    assert asked(machine, ("run_skill_script", call)) == [{"out": "42"}]


def test_what_cant_run_there_is_told(machine: Machine) -> None:
    """By `locum tools`, with what to do; what can is listed without a word."""
    as_locum = ["setpriv", "--reuid=locum", "--regid=locum", "--clear-groups"]
    command = [*as_locum, "/opt/locum/bin/locum", "tools", "--config", "/etc/locum/locum.toml"]
    rows = json.loads(machine.run([*command, "--json"]).stdout)
    assert {row["tool"] for row in rows if row["problem"]} == {"fetch", "crm"}
    done = machine.run(command)
    assert done.stdout.count("can't be run here") == 2
    assert "give its `url`" in done.stderr
    one = machine.run([*command, "crm"], check=False)
    assert (one.returncode, one.stdout) == (3, "")
    assert "give its `url`" in one.stderr


def test_without_landlock_nothing_runs(machine: Machine) -> None:
    """All tools' secrets stand in the unit: where nothing keeps them apart, doctor says so."""
    drop_in = "/etc/systemd/system/locum-tool@.service.d/landlock.conf"
    machine.write(drop_in, "[Service]\nSystemCallFilter=~landlock_create_ruleset\n")
    machine.systemctl("daemon-reload")
    try:
        probe, checked = asked(machine, ("probe", {"what": "look"}), ("check", {}))
    finally:
        machine.path(drop_in).unlink()
        machine.systemctl("daemon-reload")
    assert "Landlock" in probe["refused"]
    assert "Landlock" in checked["detail"]
