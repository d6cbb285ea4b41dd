"""The shipped unit files: their score, and what really happens when a systemd runs them.

The program that they start here is a small stand-in for the daemon, which notifies, reloads
and answers on the control socket with locum's own code, and tries from inside what the
confinement must prevent. The score alone wouldn't do: a directive can be cancelled by
another, and still count.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.systemd.boot import REPOSITORY, BootError, Machine, booted_systemd, why_not

UNITS = REPOSITORY / "systemd"
UNIT = "locum.service"
HIGHEST_SCORE = 1.5
# systemd 252 says this of the line that 253 needs, and goes on.
TOLERATED = re.compile(r".*Failed to parse service type, ignoring: notify-reload")

needs_analyzer = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)

DAEMON = '''
import asyncio, ctypes, json, mmap, os, resource, shutil, signal, socket, subprocess, sys
from pathlib import Path
from locum.control import ControlServer, call_daemon
from locum.errors import LocumError, PermanentError
from locum.systemd import Notifier, watchdog_interval

command, config = sys.argv[1], Path(sys.argv[3])
state = Path(os.environ.get("STATE_DIRECTORY", os.environ.get("HOME", "/")))
control = Path(os.environ["RUNTIME_DIRECTORY"] if "RUNTIME_DIRECTORY" in os.environ
               else os.environ["XDG_RUNTIME_DIR"]) / "control.sock"
libc = ctypes.CDLL(None, use_errno=True)

def attempt(action):
    """Answer the error's number, 0 if it went through."""
    try:
        action()
    except OSError as problem:
        return problem.errno
    return 0

def syscall(function, *args):
    def call():
        if function(*args) == -1:
            raise OSError(ctypes.get_errno(), "refused")
    return call

def run_from(folder):
    def call():
        program = folder / "program"
        shutil.copy("/bin/true", program)
        program.chmod(0o700)
        subprocess.run([program], check=True)
    return call

def connect(address):
    def call():
        with socket.socket() as sock:
            sock.settimeout(2)
            sock.connect((address, 7777))
    return call

def probe():
    return {
        "write /etc": attempt(lambda: Path("/etc/x").write_text("")),
        "write /opt": attempt(lambda: Path("/opt/locum/bin/x").write_text("")),
        "write config": attempt(lambda: config.write_text("")),
        "read /root": attempt(lambda: os.listdir("/root")),
        "read credstore": attempt(lambda: os.listdir("/etc/credstore")),
        "read other's state": attempt(lambda: os.listdir("/var/lib/stranger")),
        "write state": attempt(lambda: (state / "mine").write_text("")),
        "setuid in state": attempt(lambda: (state / "mine").chmod(0o4755)),
        "run from state": attempt(run_from(state)),
        "run from cache": attempt(run_from(Path(os.environ.get("CACHE_DIRECTORY", "/tmp")))),
        "run from /tmp": attempt(run_from(Path("/tmp"))),
        "write and run memory": attempt(lambda: mmap.mmap(-1, 4096, prot=7)),
        "netlink": attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "packets": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "user namespace": attempt(syscall(libc.unshare, 0x10000000)),
        "mount": attempt(syscall(libc.mount, b"x", b"/tmp", b"tmpfs", 0, None)),
        "set the clock": attempt(lambda: __import__("time").clock_settime(0, 0)),
        "renice": attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)),
        "signal init": attempt(lambda: os.kill(1, 0)),
        "see init": 0 if Path("/proc/1").exists() else 2,
        "kernel settings": attempt(lambda: Path("/proc/sys/kernel/hostname").read_text()),
        "disk": attempt(lambda: os.listdir("/dev/disk")),
        "connect here": attempt(connect("127.0.0.1")),
        "connect nearby": attempt(connect("10.9.9.9")),
    }

def facts():
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    key = Path(folder, "pika_dev_key") if folder else None
    return {
        "uid": os.getuid(),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "key": key.read_text() if key and key.exists() else None,
        "state mode": oct(state.stat().st_mode & 0o7777),
        "file mode": oct((state / "mine").stat().st_mode & 0o777),
        "watchdog_s": watchdog_interval().total_seconds(),
    }

async def main():
    if "broken" in config.read_text():
        sys.exit(78)
    loop, stop, notifier = asyncio.get_running_loop(), asyncio.Event(), Notifier()
    reloads = []

    def reload_now():
        notifier.reloading()
        reloads.append("refused" not in config.read_text())
        notifier.ready()
        notifier.status(f"reloads: {len(reloads)}")

    async def reload(args):
        reload_now()
        if not reloads[-1]:
            raise PermanentError("locum.toml: refused")
        return {}

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload_now)
    async with ControlServer(control, {"reload": reload}):
        print(json.dumps({"probes": probe(), "facts": facts()}), flush=True)
        await asyncio.sleep(0.3)
        notifier.ready()
        while not stop.is_set():
            if not (state / "stuck").exists():
                notifier.watchdog()
            await asyncio.sleep(0.05)
        notifier.stopping()
        (state / "stopped").write_text("in order")

if command == "run":
    asyncio.run(main())
else:
    try:
        call_daemon(control, "reload")
    except LocumError as problem:
        sys.exit(f"locum: {problem}")
'''

FORBIDDEN = {
    "write /etc": {errno.EROFS},
    "write /opt": {errno.EROFS},
    "write config": {errno.EACCES, errno.EROFS},
    "read /root": {errno.EACCES},
    "read credstore": {errno.EACCES},
    "read other's state": {errno.EACCES},
    "setuid in state": {errno.EPERM},
    "run from state": {errno.EACCES},
    "run from cache": {errno.EACCES},
    "run from /tmp": {errno.EACCES},
    "write and run memory": {errno.EPERM, errno.EACCES},
    "netlink": {errno.EAFNOSUPPORT},
    "packets": {errno.EAFNOSUPPORT},
    "user namespace": {errno.EPERM},
    "mount": {errno.EPERM},
    "set the clock": {errno.EPERM},
    "renice": {errno.EPERM},
    "signal init": {errno.EPERM},
    "see init": {errno.ENOENT},
    "kernel settings": {errno.ENOENT, errno.EACCES},
    "disk": {errno.ENOENT},
}
FORBIDDEN_TO_USERS_OWN = (
    "setuid in state",
    "write and run memory",
    "netlink",
    "packets",
    "user namespace",
    "mount",
    "set the clock",
    "renice",
    "signal init",
    "read credstore",
)


# ── on paper ─────────────────────────────────────────────────────────────────────────────


@needs_analyzer
def test_the_system_unit_is_well_confined(tmp_path: Path) -> None:
    """Its exposure score stays low; each directive lost would raise it."""
    # Where it lies, the drop-in beside it (see `test_chromium_unit`) would count too.
    unit = shutil.copy(UNITS / UNIT, tmp_path)
    shown = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"Overall exposure level for locum\.service: ([\d.]+)", shown)
    assert found is not None
    assert float(found[1]) <= HIGHEST_SCORE


@pytest.mark.parametrize("name", ["locum.service", "locum-user.service"])
def test_a_refused_config_is_not_tried_again(name: str) -> None:
    """Both units know exit status 78, the watchdog, and both spellings of notify, in order."""
    text = (UNITS / name).read_text()
    assert "\nRestartPreventExitStatus=78\n" in text
    assert "\nWatchdogSec=60s\n" in text
    assert re.findall(r"^Type=(.*)$", text, re.MULTILINE) == ["notify", "notify-reload"]


def test_no_secret_and_no_private_path_is_shipped() -> None:
    """The files name places on the user's machine, and hold no key."""
    for file in UNITS.rglob("*.*"):
        if file.is_dir():
            continue
        text = file.read_text()
        assert "dk_" not in text
        assert "/work" not in text


# ── for real ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with booted_systemd() as booted:
        booted.install_python()
        booted.install_program("locum", DAEMON)
        booted.install_files()
        booted.run(["install", "-d", "--mode=700", "/var/lib/stranger"])
        booted.run(["ip", "address", "add", "10.9.9.9/32", "dev", "lo"])
        listen = ["/opt/locum/bin/python", "-m", "http.server", "--bind", "0.0.0.0", "7777"]
        booted.run(["systemd-run", "--unit=neighbour", *listen])
        until_it_listens = "until : </dev/tcp/10.9.9.9/7777; do sleep 0.05; done"
        booted.run(["bash", "-c", until_it_listens])
        yield booted


@pytest.fixture
def unit(machine: Machine) -> Iterator[Machine]:
    """The machine with our unit stopped, as installed, and without memory of earlier tests."""
    machine.write("/etc/locum/locum.toml", "")
    yield machine
    machine.systemctl("stop", UNIT, check=False)
    machine.systemctl("reset-failed", UNIT, check=False)
    shutil.rmtree(machine.path(f"/etc/systemd/system/{UNIT}.d"), ignore_errors=True)
    shutil.rmtree(machine.path("/var/lib/locum"), ignore_errors=True)
    machine.path("/etc/credstore/locum.pika_dev_key").unlink(missing_ok=True)
    machine.systemctl("daemon-reload")


def drop_in(machine: Machine, text: str) -> None:
    machine.write(f"/etc/systemd/system/{UNIT}.d/test.conf", f"[Service]\n{text}\n")
    machine.systemctl("daemon-reload")


def told(machine: Machine, name: str = UNIT) -> dict[str, Any]:
    """What the stand-in printed when it started last."""
    printed = [message for message in machine.messages(name) if message.startswith('{"probes"')]
    assert printed, machine.messages(name)
    reply = json.loads(printed[-1])
    assert isinstance(reply, dict)
    return reply


@pytest.mark.systemd
def test_a_minimal_unit_runs_in_the_machine(machine: Machine, tmp_path: Path) -> None:
    """The machine itself: a unit is installed, starts, writes to the journal, ends."""
    file = tmp_path / "hello.service"
    file.write_text(
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/echo hello there\n"
    )
    machine.install_unit(file)
    machine.systemctl("start", "hello")
    machine.wait_for("hello.service", ActiveState="active", Result="success")
    assert "hello there" in machine.messages("hello.service")
    with pytest.raises(BootError, match=r"(?s)wanted .*inactive.*hello there"):
        machine.wait_for("hello.service", within=timedelta(seconds=0.1), ActiveState="inactive")


@pytest.mark.systemd
def test_a_machine_leaves_nothing_behind(tmp_path: Path) -> None:
    """What is written inside stays inside, but for the shared folder; its cgroup is removed."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    before = set(Path("/sys/fs/cgroup").rglob("locum-boot-*"))
    with booted_systemd(tmp_path) as booted:
        booted.write("/etc/locum-was-here", "")
        booted.write("/share/result", "kept")
        assert booted.path("/etc/locum-was-here").exists()
    assert not booted.path("/etc").exists()
    assert not Path("/etc/locum-was-here").exists()
    assert (tmp_path / "result").read_text() == "kept"
    assert set(Path("/sys/fs/cgroup").rglob("locum-boot-*")) <= before


@pytest.mark.systemd
def test_our_units_load_without_complaint(machine: Machine) -> None:
    """Every line of ours is known, but the one that only later versions know."""
    shown = machine.systemctl("cat", UNIT).stdout
    assert "ExecStart=/opt/locum/bin/locum run" in shown
    machine.run(["install", "-D", "--mode=755", "/bin/true", "/root/.local/bin/locum"])
    ours = [UNIT, "locum-reap.service", "locum-reap.timer"]
    users = [f"/etc/systemd/user/{name}.service" for name in ("locum", "locum-reap")]
    for argv in (["verify", *ours], ["--user", "verify", *users]):
        runtime = "XDG_RUNTIME_DIR=/run/user/0"
        machine.run(["install", "-d", "/run/user/0"])
        verified = machine.run(["env", runtime, "systemd-analyze", *argv], check=False)
        said = f"{verified.stdout}{verified.stderr}".splitlines()
        assert [line for line in said if not TOLERATED.fullmatch(line)] == []


@pytest.mark.systemd
def test_start_and_stop_are_in_order(unit: Machine) -> None:
    """Starting waits for READY; stopping lets it finish; its folders are private."""
    began = time.monotonic()
    unit.systemctl("start", UNIT)
    assert time.monotonic() - began > 0.3
    unit.wait_for(UNIT, ActiveState="active", SubState="running", Result="success")
    facts = told(unit)["facts"]
    assert facts["uid"] != 0
    assert facts["core"] == 0
    assert facts["state mode"] == "0o700"
    assert facts["file mode"] == "0o600"
    assert facts["watchdog_s"] == 30
    unit.systemctl("stop", UNIT)
    unit.wait_for(UNIT, ActiveState="inactive", Result="success")
    assert unit.path("/var/lib/locum/stopped").read_text() == "in order"
    assert not unit.path("/run/locum").exists()


@pytest.mark.systemd
def test_the_confinement_holds_from_inside(unit: Machine) -> None:
    """Each forbidden thing is tried by the daemon's own process, and refused."""
    unit.systemctl("start", UNIT)
    probes = told(unit)["probes"]
    allowed = {name: probes[name] for name in FORBIDDEN if probes[name] not in FORBIDDEN[name]}
    assert allowed == {}
    assert probes["write state"] == 0
    assert probes["connect here"] == 0


@pytest.mark.systemd
def test_the_probes_notice_what_is_open(unit: Machine) -> None:
    """Without the confinement, the same account gets through: the probes do try."""
    folders = ("StateDirectory=locum", "CacheDirectory=locum", "RuntimeDirectory=locum")
    properties = [f"--property={name}" for name in ("User=locum", "WatchdogSec=60", *folders)]
    program = ["/opt/locum/bin/locum", "run", "--config", "/etc/locum/locum.toml"]
    unit.run(["systemd-run", "--unit=open", "--property=Type=notify", *properties, *program])
    probes = told(unit, "open.service")["probes"]
    unit.systemctl("stop", "open")
    open_to_anybody = {
        "setuid in state",
        "run from state",
        "run from cache",
        "run from /tmp",
        "write and run memory",
        "netlink",
        "see init",
        "kernel settings",
        "connect nearby",
    }
    assert {name: probes[name] for name in open_to_anybody if probes[name] != 0} == {}


@pytest.mark.systemd
def test_the_network_around_is_closed(unit: Machine) -> None:
    """A private address can't be reached, unless a drop-in allows it."""
    unit.systemctl("start", UNIT)
    if "unit configures an IP firewall, but" in "\n".join(unit.messages()):
        pytest.skip("this kernel gives systemd no IP firewall")
    assert told(unit)["probes"]["connect nearby"] != 0
    unit.systemctl("stop", UNIT)
    drop_in(unit, "IPAddressAllow=10.9.9.9")
    unit.systemctl("start", UNIT)
    assert told(unit)["probes"]["connect nearby"] == 0


@pytest.mark.systemd
@pytest.mark.parametrize("key", [None, "dk_test_key"])
def test_the_key_is_handed_over_if_there_is_one(unit: Machine, key: str | None) -> None:
    """A key in the credential store reaches the daemon; without one it starts all the same."""
    if key:
        unit.write("/etc/credstore/locum.pika_dev_key", key, mode=0o600)
    unit.systemctl("start", UNIT)
    assert told(unit)["facts"]["key"] == key


@pytest.mark.systemd
def test_reload_tells_whether_the_config_was_taken(unit: Machine) -> None:
    """`systemctl reload` succeeds on a good config, and fails on a bad one without harm."""
    unit.systemctl("start", UNIT)
    unit.systemctl("reload", UNIT)
    unit.write("/etc/locum/locum.toml", "refused")
    refused = unit.systemctl("reload", UNIT, check=False)
    assert refused.returncode != 0
    assert "locum: locum.toml: refused" in unit.messages(UNIT)
    unit.wait_for(UNIT, ActiveState="active", SubState="running", NRestarts="0")
    assert unit.properties(UNIT, "StatusText")["StatusText"].startswith("reloads: ")


@pytest.mark.systemd
def test_a_config_that_cannot_be_used_is_not_retried(unit: Machine) -> None:
    """Exit 78 ends in "failed" at once, where any other end is followed by a restart."""
    drop_in(unit, "RestartSec=100ms")
    unit.write("/etc/locum/locum.toml", "broken")
    unit.systemctl("start", UNIT, check=False)
    unit.wait_for(UNIT, ActiveState="failed", ExecMainStatus="78", NRestarts="0")


@pytest.mark.systemd
def test_a_killed_daemon_is_started_again(unit: Machine) -> None:
    """After kill -9 it is back, over the socket that its forerunner left."""
    drop_in(unit, "RestartSec=100ms")
    unit.systemctl("start", UNIT)
    unit.systemctl("kill", "--kill-who=main", "--signal=KILL", UNIT)
    unit.wait_for(UNIT, ActiveState="active", SubState="running", NRestarts="1")
    unit.systemctl("reload", UNIT)


@pytest.mark.systemd
def test_a_daemon_that_hangs_is_started_again(unit: Machine) -> None:
    """If the watchdog isn't fed, systemd kills it and starts another."""
    drop_in(unit, "WatchdogSec=4s\nRestartSec=100ms\nTimeoutAbortSec=1s")
    unit.systemctl("start", UNIT)
    time.sleep(6)
    assert unit.properties(UNIT, "NRestarts") == {"NRestarts": "0"}
    unit.write("/var/lib/locum/stuck", "")
    deadline = time.monotonic() + 60
    while not any("Watchdog timeout" in line for line in unit.messages(UNIT)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    unit.path("/var/lib/locum/stuck").unlink()
    unit.wait_for(UNIT, ActiveState="active", SubState="running", Result="success")
    assert int(unit.properties(UNIT, "NRestarts")["NRestarts"]) >= 1


@pytest.mark.systemd
def test_the_user_unit_runs_without_root(machine: Machine) -> None:
    """Under a person's own manager every directive works, and the confinement holds."""
    machine.run(["useradd", "--create-home", "--uid=4242", "visitor"])
    machine.run(["install", "-d", "--owner=visitor", "--mode=700", "/run/user/4242"])
    machine.write("/home/visitor/.config/locum/locum.toml", "")
    machine.run(["install", "-d", "/home/visitor/.local/bin"])
    machine.path("/home/visitor/.local/bin/locum").symlink_to("/opt/locum/bin/locum")
    machine.run(["chown", "-R", "visitor", "/home/visitor"])
    runtime = "XDG_RUNTIME_DIR=/run/user/4242"
    manager = ("--property=Delegate=yes", "--property=Type=notify", "/lib/systemd/systemd")
    who = ("--unit=visitor", "--uid=4242", "--setenv", runtime)
    machine.run(["systemd-run", *who, *manager, "--user"])
    as_visitor = [
        "setpriv",
        "--reuid=4242",
        "--clear-groups",
        "env",
        runtime,
        "systemctl",
        "--user",
    ]
    try:
        machine.run([*as_visitor, "start", "locum"])
        probes = told(machine, "visitor.service")["probes"]
        through = {name: probes[name] for name in FORBIDDEN_TO_USERS_OWN if probes[name] == 0}
        assert through == {}
        machine.run([*as_visitor, "reload", "locum"])
        machine.run([*as_visitor, "stop", "locum"])
    finally:
        machine.systemctl("stop", "visitor")
