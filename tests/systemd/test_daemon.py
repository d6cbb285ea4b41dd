"""The real daemon under a real systemd, by the units that we ship, from invite to summary.

The machine is a throw-away one (see `boot`); the stage stays in this process, with its
listeners on the machine's loopback, so that its books can be read while the daemon is being
killed. Everything is installed as the units' comments tell: the key in the credential
store, the sign-in in the state directory, no folder named in the config.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from locum.control import call_daemon
from locum.errors import LocumError
from locum.rehearsal.configuring import write_config
from locum.rehearsal.pikastate import PikaSettings
from locum.rehearsal.scenario import Owner, Scenario, ScenarioEvent, ScenarioPerson
from locum.rehearsal.stage import Addresses, Stage
from tests.systemd.boot import BootError, Machine, booted_systemd, why_not

# They share one machine; with pytest-xdist's `--dist loadgroup` they share a worker too.
pytestmark = [pytest.mark.systemd, pytest.mark.xdist_group("systemd")]

UNIT = "locum.service"
REAPER = "locum-reap.service"
CONFIG = "/etc/locum/locum.toml"
STATE = "/var/lib/locum"
TITLE = "Tide tables: which harbours first"
ROOM = "tid-etab-les"
OWNER = Owner("alex@example.com", "Alex Winter")
JOIN_PATH = "/proxy/realtime/meeting-session"

T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """A machine with locum installed and configured for one stage."""

    machine: Machine
    stage: Stage
    config: str  #: The config as it was written at first.
    journal_start: int  #: How many entries the journal had before: earlier tests' ones.

    def start(self) -> None:
        self.machine.systemctl("start", UNIT)

    def status(self) -> Mapping[str, Any]:
        """Ask the daemon, as root does.

        Raises:
            LocumError: It doesn't answer now.
        """
        return call_daemon(self.machine.path("/run/locum/control.sock"), "status")

    def until_phase(self, phase: str, *, within_s: float = 60) -> Mapping[str, Any]:
        """Wait until the newest session is in that phase, and answer it."""

        def newest() -> Mapping[str, Any] | None:
            sessions: list[Mapping[str, Any]] = self.status()["sessions"]
            return sessions[0] if sessions and sessions[0]["phase"] == phase else None

        return self.until(newest, f"a session that is {phase}", within_s=within_s)

    def messages(self) -> list[str]:
        entries = self.machine.journal(UNIT)[self.journal_start :]
        return [str(entry.get("MESSAGE")) for entry in entries]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Answer what the daemon logged under that name, oldest first."""
        lines = [json.loads(line) for line in self.messages() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def prop(self, name: str) -> str:
        return self.machine.properties(UNIT, name)[name]

    def joins(self) -> int:
        """Count the paid requests, answered or not."""
        return len(self.stage.pikastream.log.matching(JOIN_PATH, "POST"))

    def drop_in(self, text: str, unit: str = UNIT) -> None:
        self.machine.write(f"/etc/systemd/system/{unit}.d/test.conf", f"[Service]\n{text}\n")
        self.machine.systemctl("daemon-reload")

    def until(self, found: Callable[[], T | None], what: str, *, within_s: float = 60) -> T:
        """Wait for the first answer that counts as true, and answer it.

        Raises:
            BootError: It didn't come; with the end of the unit's journal.
        """
        deadline = time.monotonic() + within_s
        while True:
            with contextlib.suppress(LocumError):  # The daemon isn't there yet, or not now.
                if answer := found():
                    return answer
            if time.monotonic() > deadline:
                tail = "\n".join(self.messages()[-30:])
                raise BootError(f"waited {within_s} s for: {what}. The journal:\n{tail}")
            time.sleep(0.1)


def scenario(*, starts_s: float, lasts_s: float) -> Scenario:
    """One meeting that the owner organizes, with somebody in its room."""
    start, length = timedelta(seconds=starts_s), timedelta(seconds=lasts_s)
    return Scenario(
        title="Under systemd",
        owner=OWNER,
        events=(
            ScenarioEvent(
                id="tables",
                title=TITLE,
                starts_at=start,
                duration=length,
                organizer=OWNER.email,
                meet=ROOM,
            ),
        ),
        people=(ScenarioPerson(name="Mira Patel", room=ROOM, enters_at=timedelta(0)),),
        pikastream=PikaSettings(ready_after=timedelta(seconds=0.5)),
    )


def config_text(addresses: Addresses) -> str:
    """A config for the system unit: it names no state, no socket, no key and no sink."""
    return f"""\
[calendar]
api_root = "{addresses.google}/"
token_uri = "{addresses.google}/token"
poll_near = "1s"
poll_idle = "1s"

[[calendar.accounts]]
name = "stage"
client_secrets = "client.json"

[attend]
lead = "2s"
grace = "60s"

[personas.stand-in]
display_name = "Robin"
owner = "{OWNER.name}"
image = "face.png"

[engines.pikastream]
type = "pikastream"
base_url = "{addresses.pikastream}"

[notify]

[stage]
speed = 1.0
"""


def furnish(machine: Machine, stage: Stage, addresses: Addresses, drawer: Path) -> str:
    """Put config, face, key and sign-in where an administrator puts them."""
    write_config(stage, addresses, drawer)
    text = config_text(addresses)
    machine.write(CONFIG, text)
    machine.write("/etc/locum/client.json", (drawer / "client.json").read_text())
    shutil.copy(drawer / "face.png", machine.path("/etc/locum/face.png"))
    key = (drawer / "pika_dev_key").read_text()
    machine.write("/etc/credstore/locum.pika_dev_key", key, mode=0o600)
    urls = (drawer / "notify.urls").read_text()
    machine.write("/etc/credstore/locum.notify_urls", urls, mode=0o600)
    token = (drawer / "token.json").read_text()
    machine.write(f"{STATE}/google/stage.json", token, mode=0o600)
    machine.run(["chown", "--recursive", "locum:locum", STATE])
    return text


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with booted_systemd() as booted:
        booted.install_locum()
        yield booted


Prepare = Callable[[Scenario], Site]


@pytest.fixture
def prepare(machine: Machine, tmp_path: Path) -> Iterator[Prepare]:
    """Answer a function that sets up a stage, not playing yet, and a config for it."""
    with contextlib.ExitStack() as stack:

        def set_up(played: Scenario) -> Site:
            stage = Stage(played)
            with machine.network():
                addresses = stack.enter_context(stage.open())
            text = furnish(machine, stage, addresses, tmp_path)
            # The daemon has to go before the stage that it talks to.
            stack.callback(clear, machine)
            return Site(machine, stage, text, len(machine.journal(UNIT)))

        yield set_up


def clear(machine: Machine) -> None:
    """Leave the machine as it was installed."""
    for unit in (UNIT, REAPER):
        machine.systemctl("stop", unit, check=False)
        machine.systemctl("reset-failed", unit, check=False)
        shutil.rmtree(machine.path(f"/etc/systemd/system/{unit}.d"), ignore_errors=True)
    machine.systemctl("daemon-reload")
    machine.run(["sh", "-c", f"rm -rf {STATE}/* /etc/locum/* /etc/credstore/*"])


def test_a_killed_daemon_takes_its_meeting_up_again(prepare: Prepare) -> None:
    """SIGKILL in a meeting: the next process adopts the same presence, leaves, and files."""
    site = prepare(scenario(starts_s=4, lasts_s=45))
    site.start()
    with site.stage.playing():
        site.until_phase("live")
        (presence,) = site.stage.pikastream.sessions()
        killed = site.prop("MainPID")
        site.machine.systemctl("kill", "--kill-who=main", "--signal=KILL", UNIT)
        site.machine.wait_for(UNIT, ActiveState="active", SubState="running", NRestarts="1")
        assert site.prop("MainPID") != killed
        site.until(lambda: site.logged("session_adopted"), "the adoption")
        (adopted,) = site.stage.pikastream.live_sessions()
        assert adopted.id == presence.id
        filed = site.until_phase("filed", within_s=90)
    (left,) = site.stage.pikastream.sessions()
    assert (left.id, left.live, site.joins()) == (presence.id, False, 1)
    assert (site.stage.pikastream.peak_in_room, site.stage.pikastream.peak_live) == (1, 1)
    assert (filed["attempts"], filed["end_reason"]) == (1, "scheduled_end")
    assert left.ended is not None
    late = left.ended - datetime.fromisoformat(filed["leave_by"])
    assert timedelta(0) <= late < timedelta(seconds=30)
    bot = [entry for entry in site.stage.rooms.log() if entry.name == left.request.bot_name]
    assert [entry.kind for entry in bot] == ["entered", "left"]
    assert_filed_under_state(site, filed)
    # From inside the confinement, by the addresses in the credential; once, killed or not.
    assert [notice.title[:9] for notice in site.stage.receiver.received] == ["Going to "]
    assert_stops_cleanly(site)


def assert_filed_under_state(site: Site, session: Mapping[str, Any]) -> None:
    """Its summary is a file in the state directory, which only locum may read."""
    (summary,) = session["summaries"]
    location = str(summary["location"])
    assert location.startswith(f"{STATE}/summaries/")
    assert f"# {TITLE}" in site.machine.path(location).read_text()
    owner = site.machine.run(["stat", "--format=%U %a", location]).stdout.split()
    assert owner == ["locum", "600"]


def assert_stops_cleanly(site: Site) -> None:
    """`systemctl stop` ends with exit status 0, and nothing is left running."""
    endings = len(site.logged("daemon_stopped"))
    deactivated = f"{UNIT}: Deactivated successfully."
    before = site.messages().count(deactivated)
    site.machine.systemctl("stop", UNIT)
    # The exit status itself is forgotten at once: systemd unloads a unit that ended well.
    assert site.messages().count(deactivated) == before + 1
    assert len(site.logged("daemon_stopped")) == endings + 1
    assert site.stage.pikastream.live_sessions() == ()
    assert not site.machine.path("/run/locum").exists()


def test_a_stop_in_a_meeting_ends_the_presence(prepare: Prepare) -> None:
    """SIGTERM in a meeting: out at once, nothing goes on costing; a start goes back in."""
    site = prepare(scenario(starts_s=3, lasts_s=120))
    site.start()
    with site.stage.playing():
        site.until_phase("live")
        assert_stops_cleanly(site)
        (first,) = site.stage.pikastream.sessions()
        site.start()
        again = site.until(site.stage.pikastream.live_sessions, "the meeting joined again")
        assert again[0].request.room == ROOM
        site.until_phase("live")
        assert_stops_cleanly(site)
    first_again, second = site.stage.pikastream.sessions()
    assert first_again.id == first.id != second.id
    assert first.ended is not None
    assert first.ended <= second.started
    assert (site.joins(), site.stage.pikastream.peak_in_room) == (2, 1)


def test_a_reload_takes_good_edits_only(prepare: Prepare) -> None:
    """A bad edit fails the reload and changes nothing; a good one counts at once."""
    site = prepare(scenario(starts_s=600, lasts_s=60))
    with site.stage.playing():
        site.start()
        process = site.prop("MainPID")
        site.until(lambda: site.status()["next"], "the invitation in the plan")
        bad = site.config.replace("[attend]", '[attend]\npersna = "stand-in"\ncapacity = 0')
        site.machine.write(CONFIG, bad)
        refused = site.machine.systemctl("reload", UNIT, check=False)
        assert refused.returncode != 0
        told = "\n".join(site.messages())
        assert 'locum.toml:12: attend.persna: unknown key. Did you mean "persona"?' in told
        assert "locum.toml:13: attend.capacity: must be at least 1, not 0" in told
        assert site.logged("config_rejected")
        status = site.status()
        assert [event["title"] for event in status["next"]] == [TITLE]
        assert len(status["config_problems"]) == 2
        rule = '\n[[rules]]\nmatch = { title = "*tide*" }\naction = "skip"\n'
        site.machine.write(CONFIG, site.config + rule)
        site.machine.systemctl("reload", UNIT)
        status = site.status()
        assert (status["next"], status["config_problems"]) == ([], [])
        assert site.prop("MainPID") == process
        site.machine.wait_for(UNIT, ActiveState="active", SubState="running", NRestarts="0")


def test_commands_find_the_service(prepare: Prepare) -> None:
    """With the folders in the config, as the unit tells, commands reach daemon and ledger."""
    site = prepare(scenario(starts_s=600, lasts_s=60))
    folders = f'state_dir = "{STATE}"\nruntime_dir = "/run/locum"\n'
    site.machine.write(CONFIG, folders + site.config)

    def ask(account: str) -> tuple[int, Any]:
        status = ["/opt/locum/bin/locum", "status", "--json", "--config", CONFIG]
        asked = site.machine.run(["runuser", "--user", account, "--", *status], check=False)
        return asked.returncode, json.loads(asked.stdout)

    with site.stage.playing():
        site.start()
        site.until(lambda: site.status()["next"], "the invitation in the plan")
        for account in ("locum", "root"):
            code, status = ask(account)
            assert (code, status["pid"]) == (0, int(site.prop("MainPID")))
            assert [event["title"] for event in status["next"]] == [TITLE]
        site.machine.systemctl("stop", UNIT)
        for account in ("root", "locum"):
            code, status = ask(account)
            assert (code, status["running"]) == (4, False)
    strangers = site.machine.run(["find", STATE, "!", "-user", "locum"]).stdout
    assert strangers == "", "root's look has left files that the service can't use"


@pytest.mark.parametrize("text", [None, "[attend]\ncapacity = 0\nlaed = '2s'\n"])
def test_a_config_that_cannot_be_used_ends_it(prepare: Prepare, text: str | None) -> None:
    """Exit 78 with every problem in the journal, and no second try."""
    site = prepare(scenario(starts_s=600, lasts_s=60))
    site.drop_in("RestartSec=100ms")
    site.machine.path(CONFIG).unlink()
    if text is not None:
        site.machine.write(CONFIG, text)
    site.machine.systemctl("start", UNIT, check=False)
    failed = {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    site.machine.wait_for(UNIT, within=timedelta(seconds=60), **failed)
    time.sleep(1)
    site.machine.wait_for(UNIT, within=timedelta(0), **failed)
    told = "\n".join(site.messages())
    wanted = [CONFIG] if text is None else ["attend.capacity", 'Did you mean "lead"?']
    assert [part for part in wanted if part not in told] == []


def test_what_a_daemon_left_that_cannot_be_started_again_is_reaped(prepare: Prepare) -> None:
    """Killed in a meeting: as long as it is started again, nobody reaps; after that, at once."""
    site = prepare(scenario(starts_s=3, lasts_s=600))
    site.drop_in("RestartSec=1s")
    reap = f"/opt/locum/bin/locum reap --wait 2s --within 30s --config {CONFIG}"
    site.drop_in(f"ExecStart=\nExecStart={reap}", REAPER)
    reaped = len(site.machine.journal(REAPER))
    site.start()
    with site.stage.playing():
        site.until_phase("live")
        (presence,) = site.stage.pikastream.sessions()
        site.machine.systemctl("kill", "--kill-who=main", "--signal=KILL", UNIT)
        site.machine.wait_for(UNIT, ActiveState="active", SubState="running", NRestarts="1")
        site.until(lambda: site.logged("session_adopted"), "the adoption")
        assert len(site.machine.journal(REAPER)) == reaped
        # The timer's call beside a daemon that lives: it says so and goes.
        site.machine.systemctl("start", REAPER)
        assert "A daemon is running" in "\n".join(site.machine.messages(REAPER)[reaped:])
        assert [each.id for each in site.stage.pikastream.live_sessions()] == [presence.id]
        # A bad edit does no harm until the daemon dies: then it can't be started again.
        site.machine.write(CONFIG, f"{site.config}\n[atend]\n")
        site.until(lambda: site.logged("config_rejected"), "the refusal")
        site.machine.systemctl("kill", "--kill-who=main", "--signal=KILL", UNIT)
        site.machine.wait_for(UNIT, ActiveState="failed", ExecMainStatus="78")
        site.until(lambda: not site.stage.pikastream.live_sessions(), "the end")
        site.machine.wait_for(REAPER, ActiveState="inactive", Result="success")
    assert [each.id for each in site.stage.pikastream.sessions()] == [presence.id]
    assert site.joins() == 1


def test_the_watchdog_is_fed_by_the_daemon(prepare: Prepare) -> None:
    """It lives on for several times the limit; once it stands still, it is replaced."""
    site = prepare(scenario(starts_s=600, lasts_s=60))
    site.drop_in("WatchdogSec=8s\nTimeoutAbortSec=1s\nRestartSec=100ms")
    site.start()
    fed = site.prop("WatchdogTimestampMonotonic")
    time.sleep(18)
    assert site.prop("NRestarts") == "0"
    assert int(site.prop("WatchdogTimestampMonotonic")) > int(fed) + 8_000_000
    site.machine.systemctl("kill", "--kill-who=main", "--signal=STOP", UNIT)
    site.machine.wait_for(UNIT, ActiveState="active", SubState="running", NRestarts="1")
    assert any("Watchdog timeout" in message for message in site.messages())
    site.until(site.status, "an answer")
