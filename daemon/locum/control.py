"""How commands talk to the running daemon: JSON lines over a unix socket.

A request is one line, `{"command": "stop", "args": {...}}`; its answer is one line,
`{"ok": true, "result": {...}}` or `{"ok": false, "error": "…", "hint": "…"}`. Whoever can
speak here can make the daemon leave meetings, so the socket is 0600 and the kernel is asked
whose process is at the other end; there is no TCP, and no password to lose.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import errno
import json
import os
import socket
import stat
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
import anyio.to_thread
import structlog
from typing_extensions import Self

from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError

Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Carries out one command. A LocumError is told to the asker as it is; anything else that it
raises is logged, and told as an internal error."""

REQUEST_BYTES = 1024 * 1024
ANSWER_BYTES = 16 * 1024 * 1024
PATH_BYTES = 107  # sockaddr_un holds 108 with the closing NUL.
CONNECTIONS = 16
IDLE = timedelta(seconds=30)
_PARTING = timedelta(seconds=2)  # What a stopping daemon allows for answers under way.

_log = structlog.get_logger()


class DaemonNotRunningError(LocumError):
    """There is nobody behind the control socket."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"No locum daemon is running (looked at {path}). "
            "Start it with `locum run` or `systemctl start locum`."
        )
        self.path = path


class CommandRefusedError(LocumError):
    """The daemon answered that it won't or can't; `hint` is the next step, if it knows one."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{super().__str__()} {self.hint}".rstrip()


# ── the daemon's end ─────────────────────────────────────────────────────────────────────


class ControlServer:
    """Serves commands on `path` while its `async with` block runs.

    Args:
        path: The socket; its folder is made, private, if it isn't there.
        handlers: What each command does.

    Raises:
        PermanentError: On entering: the path can't be used, or another daemon has it.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = dict(handlers)
        self._connections: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._stopped = False
        self._inode: tuple[int, int] | None = None

    async def __aenter__(self) -> Self:
        listener = _bind(self._path)
        made = self._path.stat()
        self._inode = (made.st_dev, made.st_ino)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=REQUEST_BYTES
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped = True
        if self._server is not None:
            self._server.close()
        self._remove_socket()
        with anyio.CancelScope(shield=True):
            # The command that stops the daemon wants its answer too.
            if self._answering:
                await asyncio.wait(self._answering, timeout=_PARTING.total_seconds())
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def _remove_socket(self) -> None:
        """Remove our socket, but not one that somebody has put in its place."""
        with contextlib.suppress(OSError):
            found = self._path.lstat()
            if (found.st_dev, found.st_ino) == self._inode:
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._stopped:
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError):  # The asker has gone; nobody is left to tell.
                await self._converse(reader, writer, task)
        except Exception:  # noqa: BLE001 - The outermost frame of a connection.
            _log.exception("control_connection_failed")
        finally:
            self._connections.discard(task)
            self._answering.discard(task)
            if not writer.is_closing():  # asyncio stumbles over what is closed already.
                writer.transport.abort()

    async def _converse(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        task: asyncio.Task[None],
    ) -> None:
        uid = _peer_uid(writer.get_extra_info("socket"))
        if uid not in {0, os.getuid()}:
            _log.warning("control_peer_refused", uid=uid)
            await _finish(writer, _refusal("This daemon belongs to another user."))
            return
        if len(self._connections) > CONNECTIONS:
            hint = "Try again in a moment."
            await _finish(writer, _refusal("Too many commands at the same time.", hint))
            return
        while True:
            line: bytes | None = None
            with anyio.move_on_after(IDLE.total_seconds()):
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.LimitOverrunError:
                    refusal = _refusal(f"A request is longer than {REQUEST_BYTES} bytes.")
                    await _finish(writer, refusal)
                    return
                except asyncio.IncompleteReadError:
                    await _part(writer)
                    return
            if line is None:
                return  # Idle for too long.
            self._answering.add(task)
            answer = await self._answer(line)
            await _send(writer, answer)
            self._answering.discard(task)
            # Nothing above waits while more lines have come: without this, whoever sends a
            # megabyte of empty ones has the whole loop to himself for minutes.
            await asyncio.sleep(0)

    async def _answer(self, line: bytes) -> bytes:
        try:
            command, args = _parse_request(line)
            handler = self._handlers.get(command)
            if handler is None:
                return self._unknown(command)
            result = await handler(args)
            return _encode({"ok": True, "result": dict(result)})
        except LocumError as problem:
            return _refusal(*_told(problem))
        except Exception as problem:  # noqa: BLE001 - The outermost frame of a command.
            _log.exception("command_failed")
            return _refusal(
                f"The daemon failed at this ({type(problem).__name__}).",
                "Its log says more: `journalctl -u locum`.",
            )

    def _unknown(self, command: str) -> bytes:
        close = difflib.get_close_matches(command[:80], self._handlers, n=1)
        known = ", ".join(sorted(self._handlers))
        hint = f'Did you mean "{close[0]}"?' if close else f"It knows: {known}."
        return _refusal(f'The daemon has no command "{command[:80]}".', hint)


def _parse_request(line: bytes) -> tuple[str, Mapping[str, Any]]:
    """Read a request.

    Raises:
        PermanentError: It isn't one; the message says where.
    """
    try:
        request = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise PermanentError(f"A request is not one line of JSON: {problem}.") from problem
    if not isinstance(request, dict):
        raise PermanentError("A request is not a JSON object.")
    command, args = request.get("command"), request.get("args", {})
    if not isinstance(command, str) or not isinstance(args, dict):
        raise PermanentError('A request needs "command", a text, and "args", an object.')
    return command, args


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _told(problem: LocumError) -> tuple[str, str]:
    """Split an error into what is wrong and what to do."""
    if isinstance(problem, HumanNeededError):
        return str(problem.args[0]), problem.hint
    if isinstance(problem, CommandRefusedError):
        return str(problem.args[0]), problem.hint
    if isinstance(problem, TransientError):
        return str(problem), f"Try again in {problem.retry_after.total_seconds():.0f} s."
    return str(problem), ""


def _refusal(error: str, hint: str = "") -> bytes:
    return _encode({"ok": False, "error": error, "hint": hint})


def _encode(answer: Mapping[str, Any]) -> bytes:
    """Write an answer as one line.

    Raises:
        TypeError, ValueError: A handler's result has values that JSON doesn't know.
    """
    return json.dumps(answer, allow_nan=False).encode("ascii") + b"\n"


async def _send(writer: asyncio.StreamWriter, answer: bytes) -> None:
    """Write an answer to someone who may have stopped reading."""
    writer.write(answer)
    try:
        with anyio.fail_after(IDLE.total_seconds()):
            await writer.drain()
    except TimeoutError as problem:
        raise ConnectionAbortedError("the asker reads no answer") from problem


async def _finish(writer: asyncio.StreamWriter, answer: bytes) -> None:
    await _send(writer, answer)
    await _part(writer)


async def _part(writer: asyncio.StreamWriter) -> None:
    """Hang up once all answers are out: `drain` returns while some are still on their way."""
    writer.close()
    with anyio.move_on_after(1):
        await writer.wait_closed()
        return
    writer.transport.abort()


# ── the socket ───────────────────────────────────────────────────────────────────────────


def _bind(path: Path) -> socket.socket:
    """Listen on `path`, replacing what a killed daemon left there.

    Raises:
        PermanentError: See the message; nothing was changed.
    """
    _check_length(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            # Before binding, so that there is no instant at which others could connect.
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(os.fspath(path))
            path.chmod(0o600)  # For kernels that take the mode from elsewhere.
            listener.listen(CONNECTIONS)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except OSError as problem:
        raise PermanentError(
            f"the control socket {path} can't be made ({problem.strerror}). "
            "Give runtime_dir a folder of your own that can be written."
        ) from problem
    return listener


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > PATH_BYTES:
        raise PermanentError(
            f"the control socket's path is too long ({length} bytes; unix sockets allow "
            f"{PATH_BYTES}): {path}. Give runtime_dir a shorter one."
        )


def _clear(path: Path) -> None:
    """Remove a dead daemon's socket.

    Raises:
        PermanentError: What is there is a living daemon's, or no socket at all.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a socket"
        raise PermanentError(
            f"{path} is in the way of the control socket: it is {kind}. "
            "See who put it there, then remove it."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except FileNotFoundError:
            return
        except (BlockingIOError, TimeoutError):
            pass  # Somebody listens there, and is busy.
    raise PermanentError(
        f"another locum daemon is running (it answers at {path}). "
        "Stop it first, or give this one its own state_dir and runtime_dir."
    )


def _peer_uid(sock: socket.socket) -> int:
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    return int(struct.unpack("iII", credentials)[1])


# ── the commands' end ────────────────────────────────────────────────────────────────────


class ControlClient:
    """Asks the daemon from asynchronous code; a connection a call."""

    def __init__(self, path: Path, *, timeout: timedelta = IDLE) -> None:
        self._path = path
        self._timeout = timeout

    async def call(self, command: str, **args: Any) -> Mapping[str, Any]:
        """As `call_daemon`."""
        return await anyio.to_thread.run_sync(
            lambda: call_daemon(self._path, command, args, self._timeout),
            abandon_on_cancel=True,
        )


def call_daemon(
    path: Path,
    command: str,
    args: Mapping[str, Any] | None = None,
    timeout: timedelta = IDLE,
) -> Mapping[str, Any]:
    """Have the daemon behind `path` carry out `command`, and answer its result.

    Args:
        path: The control socket.
        command: One of the daemon's commands.
        args: What it needs, as JSON values.
        timeout: For all of it, connecting included.

    Raises:
        DaemonNotRunningError: There is no daemon.
        CommandRefusedError: It answered with an error.
        TransientError: It didn't answer in time, or stopped in the middle.
        PermanentError: The socket isn't ours to use.
    """
    _check_length(path)
    request = json.dumps({"command": command, "args": dict(args or {})}).encode("ascii") + b"\n"
    deadline = time.monotonic() + timeout.total_seconds()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        try:
            _connect(sock, path, deadline)
            # Where the request was refused before its end, the answer says why.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(request)
            line = _read_line(sock, deadline)
        except TimeoutError as problem:
            raise TransientError(
                f"the daemon at {path} didn't answer within {timeout.total_seconds():g} s. "
                "It may still carry the command out: see `locum status` and its log."
            ) from problem
        except ConnectionError as problem:
            raise TransientError(
                f"the daemon at {path} hung up before it answered: it may be stopping."
            ) from problem
    return _result(line, path)


def _connect(sock: socket.socket, path: Path, deadline: float) -> None:
    try:
        sock.settimeout(_left(deadline))
        sock.connect(os.fspath(path))
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as problem:
        raise DaemonNotRunningError(path) from problem
    except PermissionError as problem:
        raise PermanentError(
            f"the daemon behind {path} belongs to another user. "
            "Run the command as that user, or with sudo."
        ) from problem
    except OSError as problem:
        if problem.errno in {errno.ENOTSOCK, errno.EPROTOTYPE, errno.ELOOP}:
            raise DaemonNotRunningError(path) from problem
        if problem.errno == errno.EAGAIN:  # Its queue is full.
            raise TimeoutError from problem
        raise
    # Someone else's process in our daemon's place would be told what we ask.
    owner = _peer_uid(sock)
    if os.getuid() not in {0, owner} and owner != 0:
        raise PermanentError(
            f"the process behind {path} runs as another user (UID {owner}), so it isn't asked."
        )


def _read_line(sock: socket.socket, deadline: float) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        sock.settimeout(_left(deadline))
        chunk = sock.recv(65536)
        if not chunk:
            raise ConnectionResetError("closed before the end of the answer")
        received += chunk
        if len(received) > ANSWER_BYTES:
            raise PermanentError(f"the daemon's answer is longer than {ANSWER_BYTES} bytes")
    return bytes(received)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _result(line: bytes, path: Path) -> Mapping[str, Any]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise PermanentError(
            f"{path} answers something that isn't locum's: {problem}"
        ) from problem
    if isinstance(answer, dict) and answer.get("ok") is True:
        result = answer.get("result")
        if isinstance(result, dict):
            return result
    elif isinstance(answer, dict) and isinstance(answer.get("error"), str):
        hint = answer.get("hint")
        raise CommandRefusedError(answer["error"], hint=hint if isinstance(hint, str) else "")
    raise PermanentError(
        f"{path} answers something that isn't locum's. Is the daemon of the same version?"
    )
