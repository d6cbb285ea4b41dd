"""Our own engine's browser under the units that we ship: its sandbox on, in their confinement.

The drop-in opens what a Chromium needs and no more; that it suffices is tried with the real
one, as the user locum, in a systemd of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from locum.engines.chromium.browser import BrowserSettings, find_browser
from locum.errors import HumanNeededError
from tests.systemd.boot import REPOSITORY, Machine, booted_systemd, why_not

pytestmark = [pytest.mark.systemd, pytest.mark.xdist_group("systemd")]

UNITS = REPOSITORY / "systemd"
UNIT = "locum.service"
DROP_IN = f"{UNIT}.d/chromium.conf"
USERS_DROP_IN = "locum-user.service.d/chromium.conf"
HIGHEST_SCORE = 1.8

DAEMON = '''
import asyncio, json, os, signal, sys
from pathlib import Path
from locum.engines.chromium import processes
from locum.engines.chromium.browser import BrowserSettings, launched
from locum.engines.chromium.checks import check_browser
from locum.engines.chromium.profiles import Profiles
from locum.systemd import Notifier

CALL = """async () => {
  const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()];
  const gathered = (connection) => new Promise((resolve) => {
    connection.onicecandidate = (event) => { if (!event.candidate) resolve(); };
  });
  const channel = here.createDataChannel("x");
  const said = new Promise((resolve) => {
    there.ondatachannel = (event) => { event.channel.onmessage = (each) => resolve(each.data); };
  });
  channel.onopen = () => channel.send("heard");
  const tried = async () => {
    for (const [one, other] of [[here, there], [there, here]]) {
      const whole = gathered(one);
      await one.setLocalDescription();
      await whole;
      await other.setRemoteDescription(one.localDescription);
    }
    return said;
  };
  const late = new Promise((resolve) => setTimeout(resolve, 30000, "nothing in 30 s"));
  return Promise.race([tried(), late]);
}"""

async def main():
    stop, notifier = asyncio.Event(), Notifier()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    state = Path(os.environ.get("STATE_DIRECTORY") or Path.home() / "state")
    async with Profiles(state).taken("work") as profile:
        async with launched(BrowserSettings(), profile, origin="http://127.0.0.1:1") as context:
            page = await context.new_page()
            await page.goto("chrome://sandbox")
            sandbox = await page.locator("body").inner_text()
            await page.goto("data:text/html,<title>in</title>")
            print(json.dumps({
                "uid": os.getuid(),
                "sandbox": sandbox,
                "call": await page.evaluate(CALL),
                "tree": len(processes.tree_of(profile)),
                "main": processes.main_of(profile) is not None,
                "findings": [[f.subject, f.health.value, f.detail] for f in check_browser(BrowserSettings())],
            }), flush=True)
            notifier.ready()
            while not stop.is_set():
                notifier.watchdog()
                await asyncio.sleep(0.05)
    print(json.dumps({"left": len(processes.tree_of(profile))}), flush=True)

asyncio.run(main())
'''


def score_of(*files: str, folder: Path) -> float:
    """Answer the exposure score of locum.service with some of its drop-ins."""
    for name in files:
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(UNITS / name, target)
    shown = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(folder / UNIT)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"Overall exposure level for locum\.service: ([\d.]+)", shown)
    assert found is not None
    return float(found[1])


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_the_drop_in_opens_no_more_than_it_must(tmp_path: Path) -> None:
    """With a browser's needs, the score stays low; each directive more would raise it."""
    assert score_of(UNIT, folder=tmp_path) < 1.2
    assert score_of(UNIT, DROP_IN, folder=tmp_path) <= HIGHEST_SCORE


def test_both_drop_ins_say_the_same() -> None:
    """What the browser needs is no other thing under a person's own manager."""

    def settings(name: str) -> set[str]:
        lines = (UNITS / name).read_text().splitlines()
        return {line for line in lines if "=" in line and not line.startswith("#")}

    assert settings(DROP_IN) - settings(USERS_DROP_IN) == {"ProcSubset=all"}
    assert settings(USERS_DROP_IN) < settings(DROP_IN)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    pytest.importorskip("playwright")
    try:
        find_browser(BrowserSettings())
    except HumanNeededError as error:
        pytest.skip(str(error))
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with booted_systemd() as booted:
        booted.install_python()
        booted.install_program("locum", DAEMON)
        booted.install_files()
        booted.write("/etc/locum/locum.toml", "")
        booted.install_unit(UNITS / DROP_IN, DROP_IN)
        users = f"/etc/systemd/user/{DROP_IN}"
        booted.write(users, (UNITS / USERS_DROP_IN).read_text())
        # A page that may not use devices is told of the way to the internet alone.
        for command in (
            "link add wire type veth peer name end",
            "addr add 192.0.2.7/24 dev wire",
            "link set wire up",
            "link set end up",
            "route add default via 192.0.2.1",
        ):
            booted.run(["ip", *command.split()])
        yield booted


def told(machine: Machine, unit: str = UNIT) -> list[dict[str, Any]]:
    return [json.loads(each) for each in machine.messages(unit) if each.startswith("{")]


def is_sandboxed(said: dict[str, Any]) -> bool:
    """Answer what Chromium itself says of its sandbox, having tried each of its layers."""
    text = str(said["sandbox"])
    layers = ("PID namespaces", "Network namespaces", "Seccomp-BPF sandbox")
    return "adequately sandboxed" in text and all(f"{each}\tYes" in text for each in layers)


def test_a_browser_runs_sandboxed_in_the_unit(machine: Machine) -> None:
    """As the user locum, in all that confines it, Chromium's sandbox is whole, and WebRTC works."""
    machine.systemctl("start", UNIT)
    (said,) = told(machine)
    assert said["uid"] != 0
    assert is_sandboxed(said), said["sandbox"]
    assert said["call"] == "heard"
    assert said["main"]
    assert said["tree"] > 8
    broken = [finding for finding in said["findings"] if finding[1] != "ok"]
    assert broken == []

    machine.systemctl("stop", UNIT)

    machine.wait_for(UNIT, ActiveState="inactive", Result="success")
    assert told(machine)[-1] == {"left": 0}


def test_a_browser_runs_sandboxed_under_a_persons_own_manager(machine: Machine) -> None:
    """The user's unit with its drop-in gives the same, without root anywhere."""
    machine.run(["useradd", "--create-home", "--uid=4243", "guest"])
    machine.run(["install", "-d", "--owner=guest", "--mode=700", "/run/user/4243"])
    machine.write("/home/guest/.config/locum/locum.toml", "")
    machine.run(["install", "-d", "/home/guest/.local/bin"])
    machine.path("/home/guest/.local/bin/locum").symlink_to("/opt/locum/bin/locum")
    machine.run(["chown", "-R", "guest", "/home/guest"])
    runtime = "XDG_RUNTIME_DIR=/run/user/4243"
    manager = ("--property=Delegate=yes", "--property=Type=notify", "/lib/systemd/systemd")
    who = ("--unit=guest", "--uid=4243", "--setenv", runtime, "--setenv", "HOME=/home/guest")
    machine.run(["systemd-run", *who, *manager, "--user"])
    as_guest = ["setpriv", "--reuid=4243", "--clear-groups", "env", runtime, "systemctl"]
    try:
        machine.run([*as_guest, "--user", "start", "locum"])
        said = told(machine, "guest.service")[0]
        assert is_sandboxed(said), said["sandbox"]
        assert said["call"] == "heard"
        machine.run([*as_guest, "--user", "stop", "locum"])
        assert told(machine, "guest.service")[-1] == {"left": 0}
    finally:
        machine.systemctl("stop", "guest")
