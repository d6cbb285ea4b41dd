"""Commands over the control socket, as a command line and as a hostile neighbour send them."""

# ruff: noqa: ASYNC240 - Files on the local disk are looked at between awaits, on purpose.

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from locum.control import (
    PATH_BYTES,
    REQUEST_BYTES,
    CommandRefusedError,
    ControlClient,
    ControlServer,
    DaemonNotRunningError,
    call_daemon,
)
from locum.errors import HumanNeededError, PermanentError, TransientError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path() -> Iterator[Path]:
    """A short path: pytest's own are nearly too long for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="locum-"))
    yield folder / "control.sock"
    shutil.rmtree(folder)


async def echo(args: Mapping[str, Any]) -> Mapping[str, Any]:
    await asyncio.sleep(0)
    return {"args": dict(args)}


async def topup(_args: Mapping[str, Any]) -> Mapping[str, Any]:
    raise HumanNeededError("The credits are used up.", hint="Top up at https://pika.example.")


async def busy(_args: Mapping[str, Any]) -> Mapping[str, Any]:
    raise TransientError("The calendar is busy.", retry_after=timedelta(seconds=7))


async def broken(_args: Mapping[str, Any]) -> Mapping[str, Any]:
    raise ZeroDivisionError("dk_secret in here")


async def unsayable(_args: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"socket": object()}


async def slow(_args: Mapping[str, Any]) -> Mapping[str, Any]:
    await asyncio.sleep(0.3)
    return {"done": True}


async def stuck(_args: Mapping[str, Any]) -> Mapping[str, Any]:
    await asyncio.sleep(3600)
    return {}


HANDLERS = {
    "echo": echo,
    "topup": topup,
    "busy": busy,
    "broken": broken,
    "unsayable": unsayable,
    "slow": slow,
    "stuck": stuck,
}


@pytest.fixture
async def server(path: Path) -> AsyncIterator[ControlServer]:
    async with ControlServer(path, HANDLERS) as running:
        yield running


async def lines(path: Path, sent: bytes, *, end: bool = True) -> list[dict[str, Any]]:
    """Send bytes as they are; read every line that comes back before the end."""
    reader, writer = await asyncio.open_unix_connection(path)
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        if end:
            writer.write_eof()
        await writer.drain()
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await asyncio.wait_for(reader.read(65536), 60):
            received += chunk
    writer.close()
    return [json.loads(line) for line in received.splitlines()]


# ── asking ───────────────────────────────────────────────────────────────────────────────


async def test_a_command_is_carried_out(server: ControlServer, path: Path) -> None:
    """Arguments go in and the result comes out, whatever JSON they are."""
    client = ControlClient(path)
    result = await client.call("echo", key="€ \n", nested={"a": [1, None, True]})
    assert result == {"args": {"key": "€ \n", "nested": {"a": [1, None, True]}}}


async def test_a_command_line_asks_without_a_loop(server: ControlServer, path: Path) -> None:
    """The plain function does the same; commands need no event loop."""
    result = await anyio.to_thread.run_sync(call_daemon, path, "echo", {"x": 1})
    assert result == {"args": {"x": 1}}


async def test_several_requests_on_one_connection(server: ControlServer, path: Path) -> None:
    """A connection can carry several requests, answered in order."""
    sent = b"".join(
        json.dumps({"command": "echo", "args": {"n": n}}).encode() + b"\n" for n in range(5)
    )
    answers = await lines(path, sent)
    assert [answer["result"]["args"]["n"] for answer in answers] == [0, 1, 2, 3, 4]


async def test_who_asks_much_and_then_hangs_up_gets_every_answer(
    server: ControlServer, path: Path
) -> None:
    """More answers than the kernel takes at once are out before the connection is cut."""
    count = 500
    reader, writer = await asyncio.open_unix_connection(path, limit=1024)
    writer.write(b'{"command": "nothing of the kind"}\n' * count)
    writer.write_eof()
    await asyncio.sleep(0.2)
    answers = (await reader.read()).splitlines()
    writer.close()

    assert len(answers) == count


async def test_many_askers_at_once(server: ControlServer, path: Path) -> None:
    """Askers don't wait for one another, and get their own answers."""
    async with anyio.create_task_group() as group:

        async def ask(n: int) -> None:
            assert await ControlClient(path).call("echo", n=n) == {"args": {"n": n}}

        group.start_soon(ControlClient(path).call, "slow")
        for n in range(10):
            group.start_soon(ask, n)


# ── errors ───────────────────────────────────────────────────────────────────────────────


async def test_an_error_of_ours_comes_back_whole(server: ControlServer, path: Path) -> None:
    """What went wrong and the next step arrive apart, and together as a text."""
    with pytest.raises(CommandRefusedError) as caught:
        await ControlClient(path).call("topup")
    assert caught.value.args[0] == "The credits are used up."
    assert caught.value.hint == "Top up at https://pika.example."
    assert str(caught.value) == "The credits are used up. Top up at https://pika.example."


async def test_a_passing_trouble_says_when_to_come_back(
    server: ControlServer, path: Path
) -> None:
    """A TransientError's delay becomes its hint."""
    with pytest.raises(CommandRefusedError) as caught:
        await ControlClient(path).call("busy")
    assert caught.value.hint == "Try again in 7 s."


@pytest.mark.parametrize("command", ["broken", "unsayable"])
async def test_a_bug_is_logged_and_told_without_detail(
    server: ControlServer, path: Path, command: str
) -> None:
    """What a handler didn't mean to raise is in the log only; the daemon goes on."""
    with capture_logs() as logged, pytest.raises(CommandRefusedError) as caught:
        await ControlClient(path).call(command)
    assert "dk_secret" not in str(caught.value)
    assert "journalctl" in caught.value.hint
    assert [entry["event"] for entry in logged] == ["command_failed"]
    assert await ControlClient(path).call("echo") == {"args": {}}


async def test_an_unknown_command_gets_a_suggestion(server: ControlServer, path: Path) -> None:
    """A command of another version is named, with the nearest that exists."""
    with pytest.raises(CommandRefusedError) as caught:
        await ControlClient(path).call("ecko")
    assert str(caught.value) == 'The daemon has no command "ecko". Did you mean "echo"?'


async def test_no_daemon_is_one_clear_sentence(path: Path) -> None:
    """No file, a dead socket or a plain file: the error says where and how to start."""
    expected = (
        f"No locum daemon is running (looked at {path}). "
        "Start it with `locum run` or `systemctl start locum`."
    )
    with pytest.raises(DaemonNotRunningError) as caught:
        await ControlClient(path).call("echo")
    assert str(caught.value) == expected
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(DaemonNotRunningError):
        await ControlClient(path).call("echo")
    path.unlink()
    path.write_text("")
    with pytest.raises(DaemonNotRunningError):
        await ControlClient(path).call("echo")


async def test_a_daemon_that_does_not_answer_is_given_up(
    server: ControlServer, path: Path
) -> None:
    """The whole call has one deadline, and the error says what may still happen."""
    client = ControlClient(path, timeout=timedelta(seconds=0.3))
    with pytest.raises(TransientError, match=r"within 0\.3 s.*locum status"):
        await client.call("stuck")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400\n",
        b"[]\n",
        b"{}\n",
        b'{"ok": true}\n',
        b'{"ok": 1, "result": {}}\n',
        b"[",
    ],
)
async def test_a_stranger_on_the_socket_is_told_apart(path: Path, answer: bytes) -> None:
    """Answers that aren't ours are an error, not a crash of the command."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        writer.close()

    stranger = await asyncio.start_unix_server(reply, path)
    with pytest.raises((PermanentError, TransientError), match=r"locum's|hung up"):
        await ControlClient(path).call("echo")
    stranger.close()


# ── hostile askers ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "request_line",
    [
        b"hello",
        b"[]",
        b"\xff\xfe",
        b'{"command": 5}',
        b'{"command": "echo", "args": []}',
        b'{"command": "echo", "args": {"x": NaN}}',
        b"[" * 200_000,
        b'{"command": "echo", "args": ' + b'{"a":' * 100_000,
    ],
)
async def test_what_is_no_request_is_answered_so(
    server: ControlServer, path: Path, request_line: bytes
) -> None:
    """Malformed requests get an error each; the connection and the daemon go on."""
    good = b'{"command": "echo"}'
    first, second = await lines(path, request_line + b"\n" + good + b"\n")
    assert first["ok"] is False
    assert "request" in first["error"]
    assert second == {"ok": True, "result": {"args": {}}}


@given(st.binary(max_size=200))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_no_bytes_bring_it_down(sent: bytes) -> None:
    """Whatever bytes arrive: every answer is JSON, and the next asker is served."""

    async def exchange() -> None:
        folder = Path(tempfile.mkdtemp(prefix="locum-"))
        try:
            async with ControlServer(folder / "c", HANDLERS):
                for answer in await lines(folder / "c", sent + b"\n"):
                    assert answer["ok"] is False
                assert await lines(folder / "c", b'{"command": "echo"}\n')
        finally:
            shutil.rmtree(folder)

    asyncio.run(exchange())


async def test_an_endless_request_is_cut_off(server: ControlServer, path: Path) -> None:
    """A line over the limit is refused, and holds no more memory than that."""
    with pytest.raises(CommandRefusedError, match=f"longer than {REQUEST_BYTES} bytes"):
        await ControlClient(path).call("echo", x="a" * (4 * REQUEST_BYTES))
    near = "a" * (REQUEST_BYTES - 100)
    assert (await ControlClient(path).call("echo", x=near))["args"]["x"] == near


async def test_half_a_request_is_dropped(server: ControlServer, path: Path) -> None:
    """A request without its newline is not carried out."""
    assert await lines(path, b'{"command": "echo"}') == []


async def test_silent_askers_are_dropped(
    server: ControlServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that says nothing is closed after a while."""
    monkeypatch.setattr("locum.control.IDLE", timedelta(seconds=0.2))
    assert await lines(path, b"", end=False) == []


async def test_connections_are_limited(server: ControlServer, path: Path) -> None:
    """The seventeenth asker at a time is sent away with a reason; then there is room again."""
    held = [await asyncio.open_unix_connection(path) for _ in range(16)]
    with pytest.raises(CommandRefusedError, match="Too many commands"):
        await ControlClient(path).call("echo")
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    with anyio.fail_after(60):
        while await _turned_away(path):  # noqa: ASYNC110 - The other end says nothing.
            await asyncio.sleep(0.02)


async def _turned_away(path: Path) -> bool:
    try:
        return await ControlClient(path).call("echo") != {"args": {}}
    except CommandRefusedError:
        return True


async def test_an_asker_that_hangs_up_disturbs_nobody(
    server: ControlServer, path: Path
) -> None:
    """Gone before the answer: no error in the log, and the next is served."""
    with capture_logs() as logged:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"command": "slow"}\n')
        await writer.drain()
        writer.close()
        await asyncio.sleep(0.5)
        assert await ControlClient(path).call("echo") == {"args": {}}
    assert logged == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can ask as somebody else")
async def test_another_user_is_refused(server: ControlServer, path: Path) -> None:
    """Even with the file's mode thrown open, the kernel's word about the asker decides."""
    path.parent.chmod(0o755)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with _as_nobody(), socket.socket(socket.AF_UNIX) as closed, pytest.raises(PermissionError):
        closed.connect(str(path))
    path.chmod(0o666)
    with socket.socket(socket.AF_UNIX) as stranger:
        with _as_nobody():
            stranger.connect(str(path))  # The kernel notes who, here.
        stranger.sendall(b'{"command": "echo"}\n')
        stranger.settimeout(5)
        with capture_logs() as logged:
            received = await anyio.to_thread.run_sync(stranger.recv, 65536)
    assert json.loads(received)["error"] == "This daemon belongs to another user."
    assert logged == [{"event": "control_peer_refused", "uid": 65534, "log_level": "warning"}]


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


# ── the socket file ──────────────────────────────────────────────────────────────────────


async def test_the_socket_is_private_and_goes_away(path: Path) -> None:
    """0600 in a folder of 0700, gone after the daemon."""
    nested = path.parent / "run" / "control.sock"
    async with ControlServer(nested, HANDLERS):
        assert stat.S_IMODE(nested.stat().st_mode) == 0o600
        assert stat.S_IMODE(nested.parent.stat().st_mode) == 0o700
    assert not nested.exists()


async def test_a_dead_daemons_socket_is_replaced(path: Path) -> None:
    """After kill -9 the file is left; the next daemon takes its place."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    async with ControlServer(path, HANDLERS):
        assert await ControlClient(path).call("echo") == {"args": {}}


async def test_a_living_daemon_is_not_replaced(server: ControlServer, path: Path) -> None:
    """The second daemon says so and leaves the first alone."""
    with pytest.raises(PermanentError, match="another locum daemon is running"):
        async with ControlServer(path, HANDLERS):
            pass
    assert await ControlClient(path).call("echo") == {"args": {}}


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
async def test_what_is_no_socket_is_not_touched(path: Path, kind: str) -> None:
    """A file, folder or link in the way is named and left as it is."""
    precious = path.parent / "precious"
    precious.write_text("keep")
    if kind == "file":
        path.write_text("keep")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(precious if kind == "link" else path.parent / "nothing")
    expected = "symbolic link" if "link" in kind else "not a socket"
    with pytest.raises(PermanentError, match=expected):
        async with ControlServer(path, HANDLERS):
            pass
    assert path.is_symlink() or path.exists()
    assert precious.read_text() == "keep"
    assert not (path.parent / "nothing").exists()


async def test_a_path_too_long_is_said_in_bytes(path: Path) -> None:
    """Up to 107 bytes work; one more is an error that names the setting."""
    room = PATH_BYTES - len(os.fsencode(path.parent)) - 1
    async with ControlServer(path.parent / ("s" * room), HANDLERS):
        pass
    too_long = path.parent / ("ä" * (room // 2) + "s" * (room % 2 + 1))
    with pytest.raises(PermanentError, match=r"108 bytes.*runtime_dir"):
        async with ControlServer(too_long, HANDLERS):
            pass
    with pytest.raises(PermanentError, match="too long"):
        await ControlClient(too_long).call("echo")


async def test_a_folder_that_cannot_be_made_is_named(path: Path) -> None:
    """A runtime_dir that can't exist is an error with the next step."""
    (path.parent / "file").write_text("")
    with pytest.raises(PermanentError, match="Give runtime_dir a folder"):
        async with ControlServer(path.parent / "file" / "control.sock", HANDLERS):
            pass


# ── stopping ─────────────────────────────────────────────────────────────────────────────


async def test_an_answer_under_way_is_finished(path: Path) -> None:
    """A command that runs while the daemon stops still gets its answer."""
    answers: list[Mapping[str, Any]] = []
    begun = asyncio.Event()

    async def linger(_args: Mapping[str, Any]) -> Mapping[str, Any]:
        begun.set()
        await asyncio.sleep(0.3)
        return {"done": True}

    async def ask() -> None:
        answers.append(await ControlClient(path).call("linger"))

    async with anyio.create_task_group() as group:
        async with ControlServer(path, {"linger": linger}):
            group.start_soon(ask)
            await begun.wait()
        assert not path.exists()
    assert answers == [{"done": True}]


async def test_stopping_waits_for_nobody_idle_or_stuck(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle connections end at once, stuck commands after a short grace."""
    monkeypatch.setattr("locum.control._PARTING", timedelta(seconds=0.2))
    with anyio.fail_after(60):
        async with ControlServer(path, HANDLERS):
            idle, idle_writer = await asyncio.open_unix_connection(path)
            hanging, hanging_writer = await asyncio.open_unix_connection(path)
            hanging_writer.write(b'{"command": "stuck"}\n')
            await asyncio.sleep(0.1)
        assert await idle.read() == b""
        with contextlib.suppress(ConnectionError):
            assert await hanging.read() == b""
    idle_writer.close()
    hanging_writer.close()


async def test_another_process_can_ask(server: ControlServer, path: Path) -> None:
    """The command line is another process of the same user."""
    program = (
        "import sys, pathlib; from locum.control import call_daemon;"
        "print(call_daemon(pathlib.Path(sys.argv[1]), 'echo', {'a': 1}))"
    )
    done = await anyio.run_process([sys.executable, "-c", program, str(path)])
    assert done.stdout == b"{'args': {'a': 1}}\n"
    assert done.stderr == b""
