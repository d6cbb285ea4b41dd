"""Tools of MCP servers, with a server by the official package on the other side."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog.testing
from typer.testing import CliRunner

from locum.actions.programs import Surroundings
from locum.actions.sandbox import Bubblewrap, bubblewrap_works, find_bubblewrap
from locum.actions.servers import Server, ServerSettings
from locum.actions.toolbox import Box
from locum.cli.root import app
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.files import DigestFile
from tests.integration.mcp_hostile import CALLS, HostileServer

pytest.importorskip("mcp")

SCRIPT = Path(__file__).with_name("mcp_stand_in.py")
NAMED = ("account", "around", "slow", "broken", "die", "delete", "missing")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The stand-in over HTTP, for all tests that need no sandbox."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
        server.kill()


def settings(url: str = "", **changes: object) -> ServerSettings:
    given: dict[str, object] = {
        "name": "crm",
        "url": url,
        "tools": NAMED,
        "looks": frozenset({"account", "around", "slow", "broken", "die"}),
        "timeout": timedelta(seconds=30),
        **changes,
    }
    return ServerSettings(**given)  # type: ignore[arg-type]


async def approved(server: Server) -> Box:
    server.approve(await server.offered())
    box = Box([], sources=[server])
    await box.prepare()
    return box


async def failing(box: Box, tool: str) -> LocumError:
    with pytest.raises(LocumError) as caught:
        await box.call(tool, {})
    return caught.value


def test_a_servers_tools_are_called_and_bounded(url: str, tmp_path: Path) -> None:
    """Its answer comes without secrets; what fails says so; what is slow ends; effects ask."""

    async def tried() -> None:
        book = DigestFile(tmp_path / "book.json")
        box = await approved(Server(settings(url), None, book))
        try:
            found = {each.name: each for each in box.tools}
            assert set(found) == {f"crm_{each}" for each in NAMED[:-1]}
            assert all(each.stranger for each in found.values())
            assert found["crm_account"].only_looks
            assert not found["crm_account"].asks_owner
            assert found["crm_delete"].asks_owner
            done = await box.call("crm_account", {"name": "Acme"})
            assert done.text == "Acme: gold plan, renewed 2026-10-01"
            assert (await box.call("crm_broken", {})).text.startswith("It failed:")
            assert isinstance(await failing(box, "crm_delete"), PermanentError)
            wrong = await box.call("crm_account", {"nonsense": 1})
            assert wrong.text.startswith("It failed:")
        finally:
            await box.aclose()
        impatient = settings(url, timeout=timedelta(seconds=0.3), tools=("slow",))
        box = await approved(Server(impatient, None, book))
        assert isinstance(await failing(box, "crm_slow"), TransientError)
        await box.aclose()

    asyncio.run(asyncio.wait_for(tried(), 120))


def test_a_servers_token_is_in_no_answer(tmp_path: Path) -> None:
    """Though it gives it back: neither told, nor, where that is a failure, logged."""
    token = tmp_path / "crm.token"
    token.write_text("s3same-open\n")
    token.chmod(0o600)

    async def tried() -> None:
        hostile = HostileServer()
        async with hostile.serving() as url:
            named = settings(url, tools=CALLS, looks=frozenset(CALLS), token_file=token)
            box = await approved(Server(named, None, DigestFile(tmp_path / "book.json")))
            try:
                assert (await box.call("crm_echo", {})).text == "bearer [redacted]"
                with structlog.testing.capture_logs() as logged:
                    await failing(box, "crm_complaint")
            finally:
                await box.aclose()
        assert [each["event"] for each in logged] == ["tool_failed"]
        assert "s3same" not in str(logged)

    asyncio.run(asyncio.wait_for(tried(), 60))


def test_only_what_was_approved_is_there(url: str, tmp_path: Path) -> None:
    """Nothing before an approval, and nothing of what is described otherwise since then."""

    async def tools_of(server: Server) -> set[str]:
        box = Box([], sources=[server])
        await box.prepare()
        await box.aclose()
        return {each.name for each in box.tools}

    async def tried() -> None:
        book = DigestFile(tmp_path / "book.json")
        two = settings(url, tools=("account", "delete"))
        assert await tools_of(Server(two, None, book)) == set()
        asked = Server(two, None, book)
        offered = await asked.offered()
        assert {asked.state_of(each) for each in offered} == {"waits for approval"}
        asked.approve(offered)
        await asked.aclose()
        assert await tools_of(Server(two, None, book)) == {"crm_account", "crm_delete"}
        # As if it had been described otherwise when the owner looked.
        book.put({"crm/delete": "0" * 64})
        assert await tools_of(Server(two, None, book)) == {"crm_account"}
        changed = Server(two, None, book)
        states = {each.name: changed.state_of(each) for each in await changed.offered()}
        await changed.aclose()
        assert states == {"account": "approved", "delete": "changed since it was approved"}

    asyncio.run(asyncio.wait_for(tried(), 120))


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("endless", "larger than the 1024 KiB"),
        ("stream", "larger than the 1024 KiB"),
        ("packed", "packed"),
        ("packed_stream", "packed"),
        ("resumed", "exhausted"),
    ],
)
def test_an_answer_without_end_costs_one_call(
    call: str, problem: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is read so far and no further, as it comes off the wire; the next call is answered."""

    async def tried() -> None:
        caplog.set_level(logging.WARNING)
        hostile = HostileServer()
        async with hostile.serving() as url:
            named = settings(url, tools=CALLS, looks=frozenset(CALLS))
            box = await approved(Server(named, None, DigestFile(tmp_path / "book.json")))
            try:
                assert problem in str(await failing(box, f"crm_{call}"))
                assert (await box.call("crm_honest", {})).text == "as asked"
            finally:
                await box.aclose()
        # What the sockets held besides was sent, and never read.
        assert hostile.sent < 32 << 20
        assert hostile.resumed <= 20
        assert hostile.unasked == 0
        # Nor does the library for MCP fill the log with it.
        assert not [each for each in caplog.records if each.levelno < logging.CRITICAL]

    asyncio.run(asyncio.wait_for(tried(), 60))


def test_the_owner_sees_all_that_is_approved(url: str, tmp_path: Path) -> None:
    """The schema too, for its descriptions are read by the model."""
    path = tmp_path / "locum.toml"
    path.write_text(
        f'state_dir = "{tmp_path}/state"\n[personas.robin]\ntools = ["crm"]\n'
        f'[[mcp]]\nname = "crm"\nurl = "{url}"\ntools = ["account"]\n'
    )

    def said(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["tools", "crm", *arguments, "--config", str(path)])
        assert done.exit_code == 0, done.output
        return done.stdout

    shown = said()
    assert "account: waits for approval" in shown
    assert '"properties": {"name": {' in shown
    assert "account: approved" in said("--approve")


def test_a_server_that_isnt_there_costs_only_its_tools(tmp_path: Path) -> None:
    """It is logged; a program without a sandbox isn't run at all."""

    async def tried() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            gone = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
        book = DigestFile(tmp_path / "book.json")
        box = Box([], sources=[Server(settings(gone), None, book)])
        await box.prepare()
        assert box.tools == ()
        await box.aclose()
        bare = Server(settings(argv=("touch", str(tmp_path / "ran"))), None, book)
        with pytest.raises(HumanNeededError, match="nothing confines it"):
            await bare.offered()
        await bare.aclose()
        assert not (tmp_path / "ran").exists()

    asyncio.run(asyncio.wait_for(tried(), 120))


def test_a_server_that_is_late_costs_only_its_tools(url: str, tmp_path: Path) -> None:
    """What the others have is there when the time to get ready is over."""

    async def tried() -> None:
        book = DigestFile(tmp_path / "book.json")
        honest = Server(settings(url, tools=("account",)), None, book)
        honest.approve(await honest.offered())
        with socket.create_server(("127.0.0.1", 0)) as silent:
            late = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
            box = Box([], sources=[Server(settings(late, name="late"), None, book), honest])
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(box.prepare(), 5)
        assert [each.name for each in box.tools] == ["crm_account"]
        await box.aclose()

    asyncio.run(asyncio.wait_for(tried(), 120))


@pytest.mark.skipif(not bubblewrap_works(), reason="bubblewrap can't be used here")
def test_a_server_that_is_a_program_is_confined_and_begun_anew(tmp_path: Path) -> None:
    """It is nobody, and sees no more than a tool; one that died is there at the next call."""
    around = Surroundings(reads=(Path(sys.prefix), Path(sys.base_prefix), SCRIPT))
    chosen = settings(argv=(sys.executable, str(SCRIPT), "stdio"), around=around)

    async def tried() -> None:
        sandbox = Bubblewrap(find_bubblewrap() or "")
        box = await approved(Server(chosen, sandbox, DigestFile(tmp_path / "book.json")))
        try:
            assert (await box.call("crm_around", {})).text == "uid=65534 shadow=False"
            assert isinstance(await failing(box, "crm_die"), TransientError)
            assert (await box.call("crm_around", {})).text == "uid=65534 shadow=False"
        finally:
            await box.aclose()

    asyncio.run(asyncio.wait_for(tried(), 120))


@pytest.mark.skipif(not bubblewrap_works(), reason="bubblewrap can't be used here")
def test_a_program_that_doesnt_stop_talking_is_ended(tmp_path: Path) -> None:
    """Whatever it asks of us, each of them small; the next call begins it anew."""
    script = SCRIPT.with_name("mcp_hostile.py")
    around = Surroundings(reads=(Path(sys.prefix), Path(sys.base_prefix), script))
    chosen = settings(
        argv=(sys.executable, str(script)),
        around=around,
        tools=("honest", "endless"),
        looks=frozenset({"honest", "endless"}),
    )

    async def tried() -> None:
        sandbox = Bubblewrap(find_bubblewrap() or "")
        box = await approved(Server(chosen, sandbox, DigestFile(tmp_path / "book.json")))
        try:
            assert "no answer in time" not in str(await failing(box, "crm_endless"))
            assert (await box.call("crm_honest", {})).text == "as asked"
        finally:
            await box.aclose()

    asyncio.run(asyncio.wait_for(tried(), 120))
