"""Tools under the system service: each call starts a unit of systemd's, and is checked there.

The service itself may make no namespaces; so systemd makes them. What crosses the socket is a
tool's name and its arguments, never a command: on the other side the config says anew what that
tool is. A daemon that was taken over can ask for what the config allows, and for nothing else.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from locum.actions.programs import Program
from locum.actions.running import Ran, run, told
from locum.actions.sandbox import environ_for, limits_for
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Finding, Health

SOCKET = Path("/run/locum-tool.socket")
SHOW_IT = "Add BindReadOnlyPaths= (or BindPaths=) to it: systemctl edit locum-tool@."
"""What helps where the unit doesn't see a folder."""
NO_LANDLOCK = (
    "the kernel here has no Landlock, without which one tool could read another's secrets"
)
NEEDS_LANDLOCK = (
    "Linux 5.13 or newer, with landlock among the names in /sys/kernel/security/lsm."
)
NO_NETWORK = "Run it elsewhere, or as an MCP server with a `url`."

_LONGEST_REQUEST = 64 * 1024
_LONGEST_ANSWER = 2 * 1024 * 1024
_TO_START_S = 20.0


# ── the daemon's side ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class UnitSandbox:
    """Runs programs by locum-tool.socket."""

    path: Path = SOCKET

    @property
    def name(self) -> str:
        return "systemd"

    async def run(self, program: Program, arguments: Mapping[str, Any]) -> Ran:
        program.filled(arguments)  # Said here already, what would be refused there.
        request = json.dumps({"tool": program.name, "arguments": dict(arguments)})
        within = program.timeout.total_seconds() + _TO_START_S
        try:
            answer = await asyncio.wait_for(self._asked(request), within)
        except asyncio.TimeoutError:
            return Ran(None, b"", b"", timed_out=True)
        except OSError as error:
            raise TransientError(
                f"{self.path} doesn't answer: {error.strerror or error}."
            ) from error
        return _ran(answer, program)

    async def _asked(self, request: str) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        try:
            writer.write(request.encode() + b"\n")
            await writer.drain()
            answer = bytearray()
            while chunk := await reader.read(65_536):
                answer += chunk
                if len(answer) > _LONGEST_ANSWER:
                    raise PermanentError("The tool's unit answered too much.")
            return bytes(answer)
        finally:
            # With the connection, the unit ends, and all that it began.
            writer.close()

    def check(self) -> Finding:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
                tried.settimeout(_TO_START_S)
                tried.connect(str(self.path))
                tried.sendall(b'{"tool": "", "arguments": {}}\n')
                answered = tried.recv(4096)
        except OSError as error:
            return Finding(
                "sandbox",
                Health.BROKEN,
                f"{self.path}: {error.strerror or error}",
                "systemctl status locum-tool.socket",
            )
        if NO_LANDLOCK.encode() in answered:
            return Finding("sandbox", Health.BROKEN, NO_LANDLOCK, NEEDS_LANDLOCK)
        if b"refused" not in answered:
            step = "journalctl -u 'locum-tool@*' says why."
            return Finding("sandbox", Health.BROKEN, "the tool's unit doesn't start", step)
        return Finding("sandbox", Health.OK, "systemd: each tool runs in a unit of its own")


def socket_is_there(path: Path = SOCKET) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _ran(answer: bytes, program: Program) -> Ran:
    try:
        read = json.loads(answer)
        if "refused" in read:
            raise PermanentError(str(read["refused"])[:1000])
        return Ran(
            None if read["status"] is None else int(read["status"]),
            str(read["out"]).encode(errors="replace")[: program.output_limit],
            str(read["err"]).encode(errors="replace")[: program.output_limit],
            is_cut=bool(read["is_cut"]),
            timed_out=bool(read["timed_out"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TransientError("The tool's unit ended without an answer.") from None


# ── the unit's side ──────────────────────────────────────────────────────────────────────


async def serve(
    request: bytes, find: Callable[[str], Program | None], credentials: Path | None
) -> bytes:
    """Answer one request: run what the config allows, in this process's own confinement.

    `find` answers what the config has of a name. `credentials` is the folder in which secrets stand, by their variables' names: the files of
    the config are another account's.
    """
    try:
        if _landlock_version() < 1:
            raise HumanNeededError(f"{NO_LANDLOCK}.", hint=NEEDS_LANDLOCK)
        name, arguments = _parsed(request)
        program = find(name)
        if program is None:
            raise PermanentError(f"The config of the tool's unit has no tool {name[:80]!r}.")
        ran, secrets = await _run(program, arguments, credentials)
    except LocumError as error:
        return json.dumps({"refused": str(error)}).encode()
    answer = {
        "status": ran.status,
        "out": told(ran.out, secrets),
        "err": told(ran.err, secrets),
        "is_cut": ran.is_cut,
        "timed_out": ran.timed_out,
    }
    return json.dumps(answer).encode()


def read_request(descriptor: int) -> bytes:
    """Read one line, bounded, from a socket or pipe. Blocking."""
    content = bytearray()
    while b"\n" not in content and len(content) <= _LONGEST_REQUEST:
        chunk = os.read(descriptor, 65_536)
        if not chunk:
            break
        content += chunk
    return bytes(content)


def _parsed(request: bytes) -> tuple[str, Mapping[str, Any]]:
    try:
        read = json.loads(request[:_LONGEST_REQUEST])
        name, arguments = read["tool"], read["arguments"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PermanentError("That isn't a request for a tool.") from None
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise PermanentError("That isn't a request for a tool.")
    return name, arguments


async def _run(
    program: Program, arguments: Mapping[str, Any], credentials: Path | None
) -> tuple[Ran, tuple[str, ...]]:
    argv = program.filled(arguments)
    around = program.around
    if credentials is not None:
        given = {name: credentials / name for name in around.secrets}
        around = replace(around, secrets=given)
    environ = environ_for(around, os.environ)
    secrets = tuple(environ[name] for name in around.secrets)
    folder = around.folder or Path("/tmp")  # noqa: S108 - The unit's own.
    if not folder.is_dir():
        raise HumanNeededError(
            f"The tool's unit doesn't see {folder}.",
            hint=SHOW_IT,
        )
    if around.network:
        raise HumanNeededError(
            f"{program.name} wants the network, which the tool's unit has not.",
            hint=NO_NETWORK,
        )
    os.chdir(folder)
    readable = (folder, *around.reads, *(map(Path, _SYSTEM)))
    _restrict(readable, (*around.writes, *map(Path, _WRITABLE)))
    ran = await run(
        (*limits_for(around), *argv),
        environ,
        within=program.timeout,
        limit=program.output_limit,
    )
    return ran, secrets


# ── Landlock: of what the unit sees, only what this tool is to see ───────────────────────

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache",
           "/etc/localtime", "/proc", "/dev")  # fmt: skip
_WRITABLE = ("/tmp", "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom")  # noqa: S108 - The unit's own.
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # The same on every machine.
_EXECUTE, _WRITE, _READ, _READ_FOLDER = 1, 1 << 1, 1 << 2, 1 << 3
_BY_VERSION = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF}
_NO_NEW_PRIVILEGES = 38
_TRUNCATE = 1 << 14


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # As Python 3.14 wants to be told, for what is packed.
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _landlock_version() -> int:
    """Answer what the kernel knows of it: 1 or more, or -1."""
    return int(ctypes.CDLL(None).syscall(_CREATE, None, ctypes.c_size_t(0), 1))


def _restrict(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Let this process, and what it starts, see only these.

    Raises:
        HumanNeededError: The kernel can't.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    handled = _BY_VERSION.get(min(_landlock_version(), 3), 0x1FFF)
    attributes = ctypes.c_uint64(handled)
    ruleset = libc.syscall(_CREATE, ctypes.byref(attributes), ctypes.c_size_t(8), 0)
    if ruleset < 0:
        raise HumanNeededError(f"{NO_LANDLOCK}.", hint=NEEDS_LANDLOCK)
    try:
        for path in readable:
            _allow(libc, ruleset, path, _EXECUTE | _READ | _READ_FOLDER)
        for path in writable:
            _allow(libc, ruleset, path, handled)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        if libc.syscall(_RESTRICT, ruleset, 0) != 0:
            raise HumanNeededError(f"{NO_LANDLOCK}.", hint=NEEDS_LANDLOCK)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, allowed: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            allowed &= _EXECUTE | _WRITE | _READ | _TRUNCATE
        rule = _PathBeneath(allowed, opened)
        libc.syscall(_ADD, ruleset, 1, ctypes.byref(rule), 0)
    finally:
        os.close(opened)
