"""Boots a real, throw-away systemd, so that units are started, watched and killed for real.

It runs over an overlay of `/` in its own namespaces and its own cgroup: what is installed on
this machine, the repository included, is visible inside; what is written inside is on a
tmpfs, and gone afterwards. `/tmp` and `/run` are empty ones of its own, and its network is
a loopback. Mocking the service manager would test what we believe about it instead.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]

_SYSTEMD = Path("/lib/systemd/systemd")
_ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
_UNITS = Path("etc/systemd/system")
_SHARE = "/share"
_NETWORK_NAMESPACE = 0x40000000  # CLONE_NEWNET; Python has os.setns from 3.12 on only.

# They would wait for hardware or a network that isn't there.
_MASKED = (
    "systemd-udevd.service",
    "systemd-udevd-kernel.socket",
    "systemd-udevd-control.socket",
    "systemd-udev-trigger.service",
    "systemd-logind.service",
    "systemd-timesyncd.service",
    "systemd-networkd-wait-online.service",
    "NetworkManager-wait-online.service",
)
_TARGET = """[Unit]
Requires=sysinit.target dbus.socket
After=sysinit.target dbus.socket
AllowIsolate=yes
"""


class BootError(RuntimeError):
    """The machine didn't come up, or a command in it failed; carries what was printed."""


@functools.cache
def why_not() -> str | None:
    """Answer why no machine can be booted here, or None if one can. Tries it, once."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    tools = ("unshare", "nsenter", "setpriv", "mount", "umount", "pivot_root", "ip")
    missing = [tool for tool in tools if shutil.which(tool, path=_ENVIRON["PATH"]) is None]
    if missing or not _SYSTEMD.exists():
        return f"not installed here: {', '.join(missing) or 'systemd'}"
    if _cgroup2() is None:
        return "no cgroup2 is mounted here"
    with tempfile.TemporaryDirectory(prefix="locum-boot-") as work:
        command = [*_unshared(), sys.executable, __file__, "try", work]
        tried = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if tried.returncode != 0:
            return f"no namespaces or overlayfs here: {tried.stderr.strip()[-200:]}"
        try:
            _make_cgroup(Path(work).name).rmdir()
        except OSError as problem:
            return f"no cgroup can be made here: {problem}"
    return None


@dataclass(frozen=True)
class Machine:
    """A booted systemd. `pid` is its init as this side sees it."""

    pid: int

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        timeout: timedelta = timedelta(seconds=120),
        given: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root.

        Raises:
            BootError: It failed, and `check` asks.
        """
        done = subprocess.run(
            ["nsenter", "--target", str(self.pid), "--all", *argv],
            capture_output=True,
            text=True,
            input=given or "",
            timeout=timeout.total_seconds(),
            env=_ENVIRON,
            check=False,
        )
        if check and done.returncode != 0:
            raise BootError(f"{list(argv)} → {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def systemctl(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run systemctl inside.

        Raises:
            BootError: It failed, and `check` asks; with the end of the journal.
        """
        done = self.run(["systemctl", "--no-pager", *argv], check=False)
        if check and done.returncode != 0:
            tail = "\n".join(self.messages()[-30:])
            raise BootError(f"systemctl {argv} → {done.returncode}\n{done.stderr}\n{tail}")
        return done

    def path(self, inside: str) -> Path:
        """Answer where this side finds the machine's file `inside` (which is absolute)."""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Let this thread, and those it starts, make their sockets in the machine's network.

        A server that is opened within listens on the machine's loopback for good, and can
        still be looked at from here. Files and processes stay this side's.

        Raises:
            OSError: The namespace can't be entered.
        """
        with (
            Path("/proc/thread-self/ns/net").open("rb") as ours,
            Path(f"/proc/{self.pid}/ns/net").open("rb") as theirs,
        ):
            _enter_network(theirs.fileno())
            try:
                yield
            finally:
                _enter_network(ours.fileno())

    def write(self, inside: str, text: str, *, mode: int = 0o644) -> None:
        """Put a file into the machine, with the folders it needs."""
        file = self.path(inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def install_unit(self, source: Path, name: str = "") -> None:
        """Copy a unit file (or a drop-in: `name` "x.service.d/y.conf") and have it read."""
        inside = f"/{_UNITS}/{name or source.name}"
        self.write(inside, source.read_text())
        self.systemctl("daemon-reload")

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        shown = self.systemctl("show", unit, *(f"--property={name}" for name in names)).stdout
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def wait_for(
        self, unit: str, *, within: timedelta = timedelta(seconds=60), **wanted: str
    ) -> dict[str, str]:
        """Wait until the unit's properties are as wanted: `ActiveState="active"`.

        Raises:
            BootError: They weren't in time; with its state and the end of its journal.
        """
        deadline = time.monotonic() + within.total_seconds()
        while True:
            found = self.properties(unit, *wanted)
            if found == wanted:
                return found
            if time.monotonic() > deadline:
                # Each look at a unit that isn't loaded repeats its parser's complaints.
                tail = "\n".join(list(dict.fromkeys(self.messages(unit)))[-30:])
                raise BootError(f"{unit}: wanted {wanted}, is {found}. Its journal:\n{tail}")
            time.sleep(0.05)

    def journal(self, unit: str = "") -> list[dict[str, Any]]:
        """Read all journal entries, oldest first: of one unit (and about it), or of all."""
        self.run(["journalctl", "--sync"], check=False)
        chosen = ["--unit", unit] if unit else []
        shown = self.run(["journalctl", "--output=json", "--all", "--no-pager", *chosen])
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def messages(self, unit: str = "") -> list[str]:
        return [str(entry.get("MESSAGE")) for entry in self.journal(unit)]

    def install_python(self) -> None:
        """Make this environment's Python /opt/locum/bin/python, for confined units too.

        The interpreter may live under /root or /home, which such units don't see, so it is
        mounted elsewhere together with its packages and our source.
        """
        mounts = {
            "python": sys.base_prefix,
            "packages": sysconfig.get_path("purelib"),
            "source": str(REPOSITORY / "daemon"),
        }
        for name, source in mounts.items():
            self.path(f"/opt/locum/{name}").mkdir(parents=True, exist_ok=True)
            self.run(["mount", "--bind", source, f"/opt/locum/{name}"])
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.write(
            "/opt/locum/bin/python",
            "#!/bin/sh\n"
            "export LD_LIBRARY_PATH=/opt/locum/python/lib PYTHONDONTWRITEBYTECODE=1\n"
            "export PYTHONPATH=/opt/locum/source:/opt/locum/packages\n"
            f'exec /opt/locum/python/bin/{version} "$@"\n',
            mode=0o755,
        )

    def install_program(self, name: str, program: str) -> None:
        """Make `/opt/locum/bin/NAME` a Python program, given as its text."""
        self.write(f"/opt/locum/lib/run-{name}.py", program)
        self.write(
            f"/opt/locum/bin/{name}",
            f'#!/bin/sh\nexec /opt/locum/bin/python /opt/locum/lib/run-{name}.py "$@"\n',
            mode=0o755,
        )

    def install_locum(self) -> None:
        """Make /opt/locum/bin/locum this repository's, and set up what its unit needs."""
        self.install_python()
        self.install_program(
            "locum", "import sys\nfrom locum.cli import main\nsys.exit(main())\n"
        )
        self.install_files()

    def install_files(self) -> None:
        """Put in place what systemd/ ships, by the steps that its comments tell."""
        folder = REPOSITORY / "systemd"
        self.write("/etc/sysusers.d/locum.conf", (folder / "locum.sysusers").read_text())
        self.write("/etc/tmpfiles.d/locum.conf", (folder / "locum.tmpfiles").read_text())
        self.run(["systemd-sysusers"])
        self.run(["systemd-tmpfiles", "--create", "/etc/tmpfiles.d/locum.conf"])
        for name in ("locum.service", "locum-reap.service", "locum-reap.timer"):
            self.install_unit(folder / name)
        for name in ("locum", "locum-reap"):
            text = (folder / f"{name}-user.service").read_text()
            self.write(f"/etc/systemd/user/{name}.service", text)


@contextlib.contextmanager
def booted_systemd(share: Path | None = None) -> Iterator[Machine]:
    """Boot a machine for the length of the block; `share` is at /share inside, writable.

    Raises:
        BootError: It didn't come up within a minute.
    """
    work = Path(tempfile.mkdtemp(prefix="locum-boot-"))
    cgroup = _make_cgroup(work.name)
    log = work / "boot.log"
    enter = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
    inside = [sys.executable, __file__, "boot", str(work), str(share or "")]
    try:
        with (
            log.open("wb") as output,
            subprocess.Popen(
                ["/bin/sh", "-c", enter, str(cgroup), *_unshared(), *inside],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            ) as parent,
        ):
            try:
                yield _wait_for_boot(parent, log)
            finally:
                parent.kill()
    finally:
        _remove_cgroup(cgroup)
        shutil.rmtree(work)


def _wait_for_boot(parent: subprocess.Popen[bytes], log: Path) -> Machine:
    deadline = time.monotonic() + 60
    state = "not started"
    while time.monotonic() < deadline and parent.poll() is None:
        init = _only_child(parent.pid)
        if init is not None and Path(f"/proc/{init}/comm").read_text() == "systemd\n":
            machine = Machine(init)
            state = machine.systemctl("is-system-running", check=False).stdout.strip()
            if state in {"running", "degraded"}:
                return machine
        time.sleep(0.05)
    raise BootError(f"systemd didn't boot ({state}):\n{log.read_text()[-2000:]}")


def _enter_network(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _NETWORK_NAMESPACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"can't change the network namespace: {os.strerror(number)}")


def _only_child(pid: int) -> int | None:
    with contextlib.suppress(OSError, IndexError):  # Gone, or has none yet.
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return None


def _unshared() -> list[str]:
    # It dies with the thread that started it: a killed test run leaves no machine behind.
    spaces = ("--pid", "--mount", "--cgroup", "--uts", "--ipc", "--net")
    return ["setpriv", "--pdeathsig=KILL", "unshare", "--fork", *spaces, "--kill-child=SIGKILL"]


# ── cgroups ──────────────────────────────────────────────────────────────────────────────


def _cgroup2() -> Path | None:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mounted_on, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(mounted_on)
    return None


def _make_cgroup(name: str) -> Path:
    root = _cgroup2()
    if root is None:
        raise BootError("no cgroup2 is mounted here")
    made = root / name
    made.mkdir()
    return made


def _remove_cgroup(cgroup: Path) -> None:
    deadline = time.monotonic() + 60
    while cgroup.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with contextlib.suppress(OSError):  # Its last processes are still going.
                Path(folder).rmdir()
        time.sleep(0.05)


# ── what runs inside the new namespaces ──────────────────────────────────────────────────


def _mount(*argv: str) -> None:
    subprocess.run(["mount", *argv], check=True)


def _make_root(work: Path) -> Path:
    """Lay the overlay of / under `work`; answer where it is."""
    _mount("--make-rprivate", "/")
    root, overlay = work / "root", work / "overlay"
    root.mkdir()
    overlay.mkdir()
    _mount("-t", "tmpfs", "-o", "size=2g", "tmpfs", str(overlay))
    (overlay / "upper").mkdir()
    (overlay / "work").mkdir()
    layers = f"lowerdir=/,upperdir={overlay}/upper,workdir={overlay}/work"
    _mount("-t", "overlay", "overlay", "-o", layers, str(root))
    return root


def _fill_root(root: Path, share: str) -> None:
    _mount("-t", "proc", "proc", f"{root}/proc")
    _mount("-t", "sysfs", "-o", "ro", "sysfs", f"{root}/sys")
    _mount("-t", "cgroup2", "cgroup2", f"{root}/sys/fs/cgroup")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{root}/run")
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/tmp")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{root}/dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (root / "dev" / name).touch()
        _mount("--bind", f"/dev/{name}", f"{root}/dev/{name}")
    for folder in ("dev/pts", "dev/shm", ".old", _SHARE.lstrip("/")):
        (root / folder).mkdir(exist_ok=True)
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", f"{root}/dev/pts")
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/dev/shm")
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    if share:
        _mount("--bind", share, f"{root}{_SHARE}")


def _choose_units(root: Path) -> None:
    units = root / _UNITS
    units.mkdir(parents=True, exist_ok=True)
    (units / "test.target").write_text(_TARGET)
    for name in _MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    (root / "etc/fstab").write_text("")
    # A machine of its own: no identity of the host's in its journal.
    (root / "etc/machine-id").write_text("")


def _boot(work: Path, share: str) -> None:
    root = _make_root(work)
    _fill_root(root, share)
    _choose_units(root)
    os.chdir(root)
    subprocess.run(["pivot_root", ".", ".old"], check=True)
    subprocess.run(["umount", "-l", "/.old"], check=True)
    _mount("--make-rshared", "/")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    argv = ["--system", "--unit=test.target", "--log-target=journal", "--show-status=0"]
    environ = {**_ENVIRON, "container": "locum-test"}
    os.execve(_SYSTEMD, ["systemd", *argv], environ)


if __name__ == "__main__":
    what, work_folder, *rest = sys.argv[1:]
    if what == "boot":
        _boot(Path(work_folder), rest[0])
    else:
        _make_root(Path(work_folder))
