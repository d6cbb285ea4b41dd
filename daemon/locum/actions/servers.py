"""MCP servers as a source of tools.

A server is a stranger with a long arm: what it says of its tools is read by the model, and may
change between two meetings. So only tools that the config names exist; each counts in the state
in which the owner approved it, name, description and schema; and what the server claims of
their harmlessness counts for nothing. A server that is a program runs in the sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from locum.actions import running
from locum.actions.programs import Surroundings, name_for_models
from locum.actions.running import told
from locum.actions.sandbox import Bubblewrap, secret_of, secrets_of
from locum.actions.toolbox import Action, Told
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.files import DigestFile
from locum.ports import Tool

if TYPE_CHECKING:
    from mcp import Client

_log = structlog.get_logger(__name__)

NOT_INSTALLED = "the library for MCP isn't installed."
INSTALL = "`pip install 'locum[mcp]'`, or `uv sync --extra mcp`."

_TO_START_S = 15.0
_LONGEST_LINE = 1024 * 1024
_MOST_HEARD = 8 * 1024 * 1024
"""Bytes that a program may say between two requests of ours, …"""
_LEAST_A_LINE = 512
"""… of which each line is taken for so many: each becomes a task of its own."""
_LARGEST_SCHEMA = 8 * 1024
_LONGEST_ABOUT = 1000
_MOST_PAGES, _MOST_TOOLS = 10, 500
_MOST_STARTS = 4
_SHOWN = 300


@dataclass(frozen=True)
class ServerSettings:
    """One server; see `locum.config.talking.McpTable`. Either `argv` or `url` is given."""

    name: str
    argv: tuple[str, ...] = ()
    url: str = ""
    token_file: Path | None = None
    tools: tuple[str, ...] = ()
    looks: frozenset[str] = frozenset()
    asks_owner: bool = True
    announce: str = ""
    timeout: timedelta = timedelta(seconds=30)
    limit: int = 16_384
    around: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True)
class Offered:
    """A tool as the server describes it now; the digest names that state."""

    name: str
    about: str
    schema: Mapping[str, Any]
    digest: str


class Server:
    """A connection that is made when it is needed, and made anew if it broke, a few times.

    Args:
        settings: Which server, and what is allowed of it.
        sandbox: What confines it, where it is a program.
        book: Which of its tools were approved, as "SERVER/TOOL", and in which state.
    """

    def __init__(
        self, settings: ServerSettings, sandbox: Bubblewrap | None, book: DigestFile
    ) -> None:
        self.settings = settings
        self._sandbox = sandbox
        self._book = book
        self._serving: asyncio.Task[None] | None = None
        self._client: asyncio.Future[Client] | None = None
        self._stop = asyncio.Event()
        self._starts = 0
        self._secrets: tuple[str, ...] = ()

    async def prepare(self) -> Sequence[Action]:
        try:
            offered = await self.offered()
        except LocumError as error:
            _log.error("mcp_server_unusable", server=self.settings.name, problem=str(error))
            return ()
        return tuple(self._actions(offered))

    async def offered(self) -> tuple[Offered, ...]:
        """Ask which of the allowed tools it has.

        Raises:
            TransientError: It doesn't answer, or not what a server answers.
            HumanNeededError: It can't be begun here; see its hint.
        """
        found: list[Offered] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            with self._translated():
                client = await self._connected()
                page = await asyncio.wait_for(
                    client.list_tools(cursor=cursor), self.settings.timeout.total_seconds()
                )
            found += (_offered(each) for each in page.tools if each.name in self.settings.tools)
            cursor = page.next_cursor
            if not cursor or len(found) > _MOST_TOOLS:
                break
        return tuple(found)

    def _actions(self, offered: Sequence[Offered]) -> Iterator[Action]:
        approved = self._book.approved()
        for each in offered:
            digest = approved.get(self.approval_name(each))
            if digest != each.digest:
                why = "isn't approved" if digest is None else "changed since it was approved"
                _log.error(
                    "mcp_tool_refused",
                    server=self.settings.name,
                    tool=each.name,
                    problem=why,
                    step=f"locum tools {self.settings.name} --approve",
                )
            elif len(json.dumps(each.schema)) > _LARGEST_SCHEMA:
                _log.error(
                    "mcp_tool_refused", tool=each.name, problem="its schema is too large"
                )
            else:
                yield ServerTool(self, each)

    def approval_name(self, offered: Offered) -> str:
        return f"{self.settings.name}/{offered.name}"

    def state_of(self, offered: Offered) -> str:
        """Say whether a tool counts, in a few words."""
        digest = self._book.approved().get(self.approval_name(offered))
        if digest is None:
            return "waits for approval"
        return "approved" if digest == offered.digest else "changed since it was approved"

    def approve(self, offered: Sequence[Offered]) -> None:
        self._book.put({self.approval_name(each): each.digest for each in offered})

    async def ask(self, tool: str, arguments: Mapping[str, Any]) -> Told:
        """Call a tool.

        Raises:
            TransientError: No answer, or not in time.
            PermanentError: The server refuses it.
        """
        with self._translated():
            client = await self._connected()
            result = await asyncio.wait_for(
                client.call_tool(tool, dict(arguments)), self.settings.timeout.total_seconds()
            )
        parts = [_text(each) for each in result.content]
        if not any(parts) and result.structured_content is not None:
            parts = [json.dumps(result.structured_content)]
        content = "\n".join(parts)[: self.settings.limit * 2].encode(errors="replace")
        text = told(content, self._secrets)
        return Told(
            f"It failed: {text}" if result.is_error else text or "(It answered nothing.)"
        )

    async def aclose(self) -> None:
        self._stop.set()
        if self._serving is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._serving), _TO_START_S)
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    # ── the connection ───────────────────────────────────────────────────────────────────

    async def _connected(self) -> Client:
        if self._serving is None or self._serving.done():
            if self._starts >= _MOST_STARTS or self._stop.is_set():
                raise PermanentError(f"{self.settings.name}: it ended again and again.")
            self._starts += 1
            self._client = asyncio.get_running_loop().create_future()
            self._serving = asyncio.ensure_future(self._serve(self._client))
        assert self._client is not None  # noqa: S101 - Made with `_serving`.
        return await asyncio.wait_for(asyncio.shield(self._client), _TO_START_S)

    def _drop(self) -> None:
        """Let the next call connect anew."""
        if self._serving is not None:
            self._serving.cancel()
            self._serving = None

    async def _serve(self, ready: asyncio.Future[Client]) -> None:
        """Hold the connection, in one task from its beginning to its end, as its library wants."""
        from mcp import Client

        for each in ("mcp", "client"):
            # It logs what it can't read, a piece of an answer with it, and as often as a server
            # likes. What failed, we say in our own words.
            logging.getLogger(each).setLevel(logging.CRITICAL)
        try:
            async with contextlib.AsyncExitStack() as stack:
                transport = await self._transport(stack)
                client = await stack.enter_async_context(
                    Client(transport, cache=None, read_timeout_seconds=_TO_START_S * 4)
                )
                ready.set_result(client)
                await self._stop.wait()
        except LocumError as error:
            _fail(ready, error)
        except Exception as error:  # noqa: BLE001 - The task's outermost frame.
            problem = _innermost(error)
            _log.warning("mcp_server_lost", server=self.settings.name, problem=problem)
            _fail(ready, TransientError(f"{self.settings.name}: {problem}"))

    async def _transport(self, stack: contextlib.AsyncExitStack) -> Any:
        settings = self.settings
        if settings.url:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            from locum.actions.wire import BoundedTransport

            headers = {}
            if settings.token_file is not None:
                token = secret_of(settings.token_file)
                headers["Authorization"] = f"Bearer {token}"
                self._secrets = (token,)
            # Longer than a call waits, so that one which is late costs itself alone.
            wire = BoundedTransport(_LONGEST_LINE, settings.timeout * 2)
            http = await stack.enter_async_context(
                httpx2.AsyncClient(
                    headers=headers,
                    timeout=settings.timeout.total_seconds(),
                    transport=wire,
                    trust_env=False,
                )
            )
            return streamable_http_client(
                settings.url, http_client=http, max_sse_event_size=_LONGEST_LINE
            )
        if self._sandbox is None:
            raise HumanNeededError(
                f"{settings.name}: nothing confines it here, so it isn't run.",
                hint="Install bubblewrap, or run the server elsewhere and give its `url`.",
            )
        self._secrets = tuple(secrets_of(settings.around).values())
        command, fds = stack.enter_context(
            self._sandbox.confined(settings.around, settings.argv)
        )
        return _spoken(command, fds)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Say in our own words what went wrong on the other side."""
        name = self.settings.name
        try:
            from mcp import MCPError
            from mcp_types import CONNECTION_CLOSED
        except ImportError as error:
            raise HumanNeededError(f"{name}: {NOT_INSTALLED}", hint=INSTALL) from error
        try:
            yield
        except LocumError:
            raise
        except MCPError as error:
            problem = f"{name}: {_clean(str(error))}"
            if error.code == CONNECTION_CLOSED:
                self._drop()
                raise TransientError(problem) from error
            raise PermanentError(problem) from error
        except asyncio.TimeoutError as error:
            raise TransientError(f"{name}: no answer in time.") from error
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # Its library lets through whatever its streams and its parser raise.
            raise TransientError(f"{name}: {_innermost(error)}") from error


@dataclass(frozen=True)
class ServerTool:
    """One tool of a server's."""

    server: Server
    offered: Offered

    @property
    def tool(self) -> Tool:
        settings = self.server.settings
        looks = self.offered.name in settings.looks
        return Tool(
            name=name_for_models(f"{settings.name}_{self.offered.name}"),
            about=self.offered.about,
            parameters=self.offered.schema,
            only_looks=looks,
            asks_owner=settings.asks_owner and not looks,
            usually_takes=timedelta(seconds=2),
            announce=settings.announce,
            stranger=True,
        )

    @property
    def within(self) -> timedelta:
        return self.server.settings.timeout + timedelta(seconds=_TO_START_S)

    @property
    def limit(self) -> int:
        return self.server.settings.limit

    def wording(self, arguments: Mapping[str, Any]) -> str:
        given = json.dumps(dict(arguments), ensure_ascii=True)
        return f"{self.server.settings.name}: {self.offered.name} {given}"

    async def do(self, arguments: Mapping[str, Any]) -> Told:
        return await self.server.ask(self.offered.name, arguments)


@contextlib.asynccontextmanager
async def _spoken(command: Sequence[str], fds: Sequence[int]) -> AsyncIterator[tuple[Any, Any]]:
    """Talk to a program over its stdin and stdout, a line a message, none of them endless.

    The library's own transport takes lines of any length, and ends the program by halves.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        pass_fds=tuple(fds),
        start_new_session=True,
        limit=_LONGEST_LINE,
    )
    hearing, heard = anyio.create_memory_object_stream[Any](0)
    saying, said = anyio.create_memory_object_stream[Any](0)

    allowance = _Allowance()
    talking = [
        asyncio.ensure_future(_hear(process, hearing, allowance)),
        asyncio.ensure_future(_say(process, said, allowance)),
    ]
    try:
        yield heard, saying
    finally:
        for each in talking:
            each.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        for stream in (hearing, heard, saying, said):
            stream.close()
        if process.stdin is not None:
            process.stdin.close()
        await running.end(process)


@dataclass
class _Allowance:
    """How much is still heard of a program before we ask it for something again."""

    left: int = _MOST_HEARD

    def spend(self, line: bytes) -> bool:
        """Whether a line is still heard."""
        self.left -= max(len(line), _LEAST_A_LINE)
        return self.left >= 0


async def _hear(process: asyncio.subprocess.Process, into: Any, allowance: _Allowance) -> None:
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    async with into:
        # A line that is too long is a ValueError, and the end.
        with contextlib.suppress(anyio.BrokenResourceError, ValueError):
            while process.stdout is not None and (line := await process.stdout.readline()):
                if not allowance.spend(line):
                    return
                try:
                    message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValueError as error:
                    await into.send(error)
                else:
                    await into.send(SessionMessage(message))


async def _say(process: asyncio.subprocess.Process, said: Any, allowance: _Allowance) -> None:
    from mcp_types import JSONRPCRequest

    async with said:
        async for message in said:
            if isinstance(message.message, JSONRPCRequest):
                allowance.left = _MOST_HEARD
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            if process.stdin is not None:
                with contextlib.suppress(ConnectionError):
                    process.stdin.write(text.encode() + b"\n")
                    await process.stdin.drain()


def _offered(tool: Any) -> Offered:
    schema = tool.input_schema if isinstance(tool.input_schema, dict) else {}
    described = json.dumps([tool.name, tool.description, schema], sort_keys=True)
    digest = hashlib.sha256(described.encode(errors="replace")).hexdigest()
    return Offered(
        tool.name, _clean(tool.description or tool.name, _LONGEST_ABOUT), schema, digest
    )


def _text(content: Any) -> str:
    text = getattr(content, "text", None)
    if isinstance(text, str):
        return text
    return f"[{_clean(str(getattr(content, 'type', 'something')))}, not shown]"


def _clean(text: str, limit: int = _SHOWN) -> str:
    seen = "".join(char if char.isprintable() else " " for char in text[: limit * 2])
    return " ".join(seen.split())[:limit]


def _innermost(error: BaseException) -> str:
    while True:
        inner = getattr(error, "exceptions", None)
        if not inner:
            return _clean(f"{type(error).__name__}: {error}")
        error = inner[0]


def _fail(ready: asyncio.Future[Client], error: LocumError) -> None:
    if not ready.done():
        ready.set_exception(error)
        ready.exception()  # Nobody may be waiting for it any more.
