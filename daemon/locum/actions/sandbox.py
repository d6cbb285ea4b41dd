"""Where a program runs that somebody in a meeting had run: with nothing around it but its own.

Two ways: bubblewrap, which needs namespaces; and, under our system service, which may have
none, a unit of systemd's that is started for each call (`unit`). Without either, no program is
run at all.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from locum.actions.programs import Program, Surroundings
from locum.actions.running import Ran, run
from locum.actions.seccomp import tool_filter
from locum.errors import HumanNeededError, PermanentError
from locum.files import UnreadableError, read_regular
from locum.ports import Finding, Health

PATH = "/usr/local/bin:/usr/bin:/bin"
_NOBODY = 65_534
_MOST_PROCESSES = 128
_LONGEST_SECRET = 4096
_TRY_S = 10.0
_SHOWN = 200

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SETTINGS = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/timezone",
)
_FOR_NETWORK = (
    "/etc/ca-certificates",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)
_OURS = ("/tmp", "/var/tmp", "/run")  # noqa: S108 - The tool's own.
_PRIVATE = (".ssh", ".gnupg", ".aws", ".kube", ".docker", ".netrc", ".config/gcloud")


class Sandbox(Protocol):
    """Runs what the config allows."""

    @property
    def name(self) -> str: ...

    async def run(self, program: Program, arguments: Mapping[str, Any]) -> Ran:
        """Run a program with these arguments, within its limits.

        Raises:
            PermanentError: Not with these arguments; or the sandbox refuses it.
            TransientError: Not now.
            HumanNeededError: Not before a person has done something.
        """
        ...

    def check(self) -> Finding:
        """Try it, with nothing in it. Blocking; raises nothing."""
        ...


@dataclass(frozen=True)
class Bubblewrap:
    """Namespaces of its own for each call, by bwrap.

    `hidden` are folders that no program may see, even where one is given that holds them.
    """

    executable: str
    hidden: tuple[Path, ...] = ()
    environ: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        return "bubblewrap"

    async def run(self, program: Program, arguments: Mapping[str, Any]) -> Ran:
        argv = program.filled(arguments)
        with self.confined(program.around, argv) as (command, fds):
            return await run(
                command, {}, within=program.timeout, limit=program.output_limit, fds=fds
            )

    @contextlib.contextmanager
    def confined(
        self, around: Surroundings, argv: Sequence[str]
    ) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
        """Answer the command that runs an argv confined, and the descriptors that it needs.

        They are ours to close, once it has begun.

        Raises:
            PermanentError: What it is to see isn't there, or is ours.
            HumanNeededError: A secret's file, or the program, isn't there.
        """
        fds: list[int] = []
        try:
            command = [self.executable, *self._namespaces(around)]
            program, extra = _found(argv[0], around)
            reads = (*around.reads, *extra)
            command += _mounts(around, reads)
            command += self._folders(around, reads)
            environ = environ_for(around, os.environ if self.environ is None else self.environ)
            if environ:
                # By a descriptor: what stands in a command line, everybody can read.
                fds.append(_in_memory(_arguments(environ)))
                command += ["--args", str(fds[-1])]
            filter_ = tool_filter()
            if filter_ is not None:
                fds.append(_in_memory(filter_))
                command += ["--seccomp", str(fds[-1])]
            yield (*command, "--", *limits_for(around), program, *argv[1:]), tuple(fds)
        finally:
            for each in fds:
                os.close(each)

    def _namespaces(self, around: Surroundings) -> Iterator[str]:
        yield from ("--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try")
        if not around.network:
            yield "--unshare-net"
        if os.geteuid() != 0:
            # Root needs none, and is nobody inside: root's processes can't be counted.
            yield from ("--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY))
        yield from ("--die-with-parent", "--new-session", "--clearenv", "--hostname", "tool")

    def _folders(self, around: Surroundings, reads: Sequence[Path]) -> Iterator[str]:
        given = [each for each in (around.folder, *reads, *around.writes) if each is not None]
        hidden = [each.resolve() for each in self.hidden]
        for path in given:
            for ours in hidden:
                if path.resolve().is_relative_to(ours):
                    raise PermanentError(f"{path} is locum's own: no tool may see it.")
        parents = {above for path in given for above in path.parents if len(above.parts) > 1}
        for above in sorted(parents - set(map(Path, (*_SYSTEM, *_OURS)))):
            yield from ("--perms", "0755", "--dir", str(above))
        for path in given:
            option = "--bind" if path in around.writes else "--ro-bind"
            yield from (option, str(path), str(path))
        for path in given:
            inside = [each for each in hidden if each.is_relative_to(path.resolve())]
            inside += [path / name for name in _PRIVATE]
            for ours in inside:
                with contextlib.suppress(OSError):
                    kind = os.lstat(ours).st_mode
                    if stat.S_ISDIR(kind):
                        yield from ("--tmpfs", str(ours))
                    elif stat.S_ISREG(kind):
                        yield from ("--ro-bind", os.devnull, str(ours))
        yield from ("--chdir", str(around.folder or "/tmp"))  # noqa: S108 - The tool's own.

    def check(self) -> Finding:
        problem = _trouble(self.executable)
        if problem:
            return Finding("sandbox", Health.BROKEN, f"bubblewrap: {problem}", NO_NAMESPACES)
        return Finding("sandbox", Health.OK, "bubblewrap: tools run confined")


NO_NAMESPACES = (
    "This machine or unit allows no namespaces. Under systemd: install systemd/locum-tool.socket "
    "(system service) or systemd/locum-user.service.d/tools.conf; else see "
    "kernel.unprivileged_userns_clone and AppArmor."
)
NO_BUBBLEWRAP = "sudo apt install bubblewrap"


def find_bubblewrap(path: str = PATH) -> str | None:
    return shutil.which("bwrap", path=path)


def bubblewrap_works() -> bool:
    """Whether it is there and may do here what it needs. Blocking, once."""
    found = find_bubblewrap()
    return found is not None and not _trouble(found)


@functools.lru_cache(maxsize=4)
def _trouble(executable: str) -> str:
    """Say why it can't be used here; empty if it can."""
    sandbox = Bubblewrap(executable)
    try:
        with sandbox.confined(Surroundings(), ("true",)) as (command, fds):
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={},
                pass_fds=fds,
                timeout=_TRY_S,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired, HumanNeededError) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return done.stderr.decode(errors="replace").strip()[-_SHOWN:] or "it fails"


# ── what is around a program ─────────────────────────────────────────────────────────────


def _mounts(around: Surroundings, reads: Sequence[Path]) -> Iterator[str]:
    for place in _SYSTEM:
        path = Path(place)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), place)
        elif path.is_dir():
            yield from ("--ro-bind", place, place)
    for place in ("/etc", "/var"):
        # By itself, bwrap makes folders on the way that only root may enter.
        yield from ("--perms", "0755", "--dir", place)
    for place in (*_SETTINGS, *(_FOR_NETWORK if around.network else ())):
        yield from ("--ro-bind-try", place, place)
    yield from ("--proc", "/proc", "--dev", "/dev")
    # In memory, and bounded.
    for place in _OURS:
        if not any(str(path) == place for path in (around.folder, *reads, *around.writes)):
            yield from ("--perms", "1777", "--size", str(64 << 20), "--tmpfs", place)


def _found(program: str, around: Surroundings) -> tuple[str, tuple[Path, ...]]:
    """Answer where a program is, and what must be seen besides for it."""
    if "/" in program and not program.startswith("/") and around.folder is not None:
        return str(around.folder / program), ()
    found = shutil.which(program, path=PATH)
    if found is None:
        raise HumanNeededError(
            f"There is no program {program!r}.",
            hint="Install it, or correct `argv` of [[tools]] in the config.",
        )
    path = Path(found)
    seen = (*map(Path, _SYSTEM), *around.reads, *around.writes)
    known = around.folder is not None and path.is_relative_to(around.folder)
    if known or any(path.is_relative_to(each) for each in seen):
        return found, ()
    return found, (path,)


def environ_for(around: Surroundings, environ: Mapping[str, str]) -> dict[str, str]:
    found = {
        "PATH": PATH,
        "HOME": "/tmp",  # noqa: S108 - The tool's own.
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }
    found |= {name: environ[name] for name in around.env if name in environ}
    return found | secrets_of(around)


def secrets_of(around: Surroundings) -> dict[str, str]:
    """Read the secrets that a program gets.

    Raises:
        HumanNeededError: One can't be read, or others can read it.
    """
    return {name: secret_of(path) for name, path in around.secrets.items()}


def secret_of(path: Path) -> str:
    try:
        content, status = read_regular(path, limit=_LONGEST_SECRET + 1)
    except UnreadableError as error:
        raise HumanNeededError(
            f"The secret {path} can't be read: {error}.", hint="See `secrets` in the config."
        ) from error
    if status.st_mode & 0o077:
        raise HumanNeededError(f"Others can read the secret {path}.", hint=f"chmod 600 {path}")
    if len(content) > _LONGEST_SECRET:
        raise HumanNeededError(
            f"{path} is too large for a secret.", hint="See `secrets` in the config."
        )
    return content.decode("utf-8", "replace").strip()


def _arguments(environ: Mapping[str, str]) -> bytes:
    parts = [part for item in environ.items() for part in ("--setenv", *item)]
    return b"".join(part.encode(errors="surrogateescape") + b"\0" for part in parts)


def _in_memory(content: bytes) -> int:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        copy = os.dup(file.fileno())
    os.set_inheritable(copy, True)
    return copy


def limits_for(around: Surroundings) -> tuple[str, ...]:
    """Answer what limits a program from within: each process, and how many of them."""
    limits = (
        "/usr/bin/prlimit",
        f"--data={around.memory}",
        f"--nproc={_MOST_PROCESSES}",
        "--core=0",
        "--nofile=256",
        f"--fsize={256 << 20}",
        "--",
    )
    if os.geteuid() != 0:
        return limits
    drop = ("--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
    return ("/usr/bin/setpriv", *drop, "--bounding-set=-all", "--inh-caps=-all", *limits)
