"""What a persona may look up and do in a meeting, as the config has it: usually nothing.

Everything is off unless `[personas.NAME] tools` names it. What is looked up by ourselves is held
to the meeting's audience; what is run, to the sandbox.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import structlog
from dateutil.tz import tzlocal
from pydantic import BaseModel

from locum.actions.calendar import Diary
from locum.actions.lookups import Lookup, Searched, in_thread, schema, text_of
from locum.actions.program_tool import ProgramTool
from locum.actions.sandbox import (
    NO_BUBBLEWRAP,
    NO_NAMESPACES,
    Bubblewrap,
    Sandbox,
    bubblewrap_works,
    find_bubblewrap,
)
from locum.actions.servers import INSTALL, NOT_INSTALLED, Server, ServerSettings
from locum.actions.skills import skill_tools
from locum.actions.toolbox import Action, Box
from locum.actions.unit import NO_NETWORK, UnitSandbox, socket_is_there
from locum.app.briefing import Desk, desk_of, meeting_for_brief
from locum.app.places import server_tools_path
from locum.app.programs import program_of, surroundings
from locum.app.remembering import memory_of, read_memory
from locum.config.model import Config
from locum.config.places import runtime_dir
from locum.config.talking import Approval, McpTable, ToolTable
from locum.core.briefing import gives_orders
from locum.core.compartments import INTERNAL, readable
from locum.core.model import BY_HAND, CalendarEvent, Meeting, SessionKey, TimeWindow
from locum.core.remembered import Compartment
from locum.core.requests import Request, RequestState
from locum.errors import LocumError, TransientError
from locum.files import DigestFile
from locum.ledger import Ledger
from locum.ports import CalendarSource, Clock, Finding, Health, Tool, Verdict

_log = structlog.get_logger(__name__)

BUILT_IN = ("calendar", "contacts", "workspace", "memory", "skills")

_PATIENCE = timedelta(minutes=15)
"""How long a request waits for the owner: as long as a meeting may still be about it."""

_LOOK_EVERY = timedelta(seconds=1)
_STALE = timedelta(minutes=15)
"""A calendar that was read longer ago is read anew, to say when somebody is free."""

_VERDICTS = {
    Verdict.DONE: RequestState.DONE,
    Verdict.FAILED: RequestState.FAILED,
    Verdict.DENIED: RequestState.DENIED,
    Verdict.EXPIRED: RequestState.EXPIRED,
}


@dataclass(frozen=True)
class Occasion:
    """In which meeting, and as whom; at a terminal without `session`, and `trusted`.

    Trusted, whoever listens may know what one's own people may, and needs to ask nobody.
    """

    persona: str
    owner: str
    meeting: Meeting
    session: SessionKey | None = None
    trusted: bool = False


@dataclass(frozen=True)
class Workbench:
    """What toolboxes are made from. `on_change` tells the daemon that the ledger has news."""

    config: Config
    state: Path
    clock: Clock
    ledger: Ledger | None
    environ: Mapping[str, str]
    sources: Callable[[], Sequence[CalendarSource]] = tuple
    on_change: Callable[[], None] = lambda: None
    config_path: Path | None = None

    def toolbox(self, occasion: Occasion, sandbox: Sandbox | None) -> Box:
        """Make the toolbox of one meeting; `prepare` it before it is used.

        Blocking, for as long as skills and contacts take to be read. Raises nothing: what can't
        be had is logged, and missing.
        """
        persona = self.config.personas.get(occasion.persona)
        wanted = () if persona is None else persona.tools
        actions: list[Action] = []
        if set(wanted) & set(BUILT_IN):
            try:
                with desk_of(self.config, self.state) as desk:
                    actions += self._looking(occasion, desk, wanted, sandbox)
            except LocumError as error:
                _log.error("tools_unavailable", problem=str(error))
        unusable = unrunnable(self.config, sandbox)
        for name in wanted:
            if (found := unusable.get(name)) is not None:
                _log.error(
                    "tool_unavailable", tool=name, problem=found.detail, step=found.next_step
                )
        usable = set(wanted) - unusable.keys()
        if sandbox is not None:
            tools = (each for each in self.config.tools if each.name in usable)
            actions += (program_tool(each, sandbox) for each in tools)
        servers = (each for each in self.config.mcp if each.name in usable)
        sources = [server_of(each, sandbox, self.state) for each in servers]
        asking = occasion.session is not None and self.ledger is not None
        return Box(
            actions,
            sources=sources,
            approvals=_Approvals(self, occasion) if asking else None,
            owner=occasion.owner,
            asks_nobody=occasion.trusted,
        )

    def _looking(
        self, occasion: Occasion, desk: Desk, wanted: Sequence[str], sandbox: Sandbox | None
    ) -> Iterator[Action]:
        audience = INTERNAL if occasion.trusted else desk.audience_of(occasion.meeting)
        if "calendar" in wanted:
            yield self._diary(occasion, audience).lookup()
        if "workspace" in wanted:
            about = f"Search {occasion.owner}'s files and the log of the work, by words."
            yield _search("workspace", about, Searched(desk.workspaces, audience))
        if "contacts" in wanted:
            about = "Look up who somebody is, or an account: by name, company or address."
            yield _search("contacts", about, Searched(desk.people, audience))
        if "memory" in wanted:
            yield self._memory(audience)
        if "skills" in wanted:
            approved = desk.approved_skills()
            runnable = self.config.skills.run
            yield from skill_tools(approved, runnable=runnable, sandbox=sandbox)

    # ── the calendar ─────────────────────────────────────────────────────────────────────

    def _diary(self, occasion: Occasion, audience: Compartment) -> Diary:
        persona = self.config.personas.get(occasion.persona)
        boundaries = memory_of(self.config).boundaries

        def title_of(event: CalendarEvent) -> str:
            if persona is None or not persona.tells_titles or not event.details_visible:
                return ""
            among = boundaries.of_meeting(meeting_for_brief(event))
            return event.title if readable(among, by=audience) else ""

        return Diary(occasion.owner, self.events, self.clock, tzlocal(), audience, title_of)

    async def events(self, window: TimeWindow) -> Sequence[CalendarEvent]:
        """Answer what touches a window: from the ledger as far as it goes, else from Google.

        Raises:
            LocumError: The calendars can't be read now.
        """
        if self._is_known(window) and self.ledger is not None:
            return self.ledger.calendars.events()
        sources = self.sources()
        if not sources:
            # Nothing read isn't the same as nothing planned.
            raise TransientError("The calendar can't be read now.")
        found: list[CalendarEvent] = []
        for source in sources:
            for calendar in source.calendars:
                found += (await source.read(calendar, window)).events
        return found

    def _is_known(self, window: TimeWindow) -> bool:
        """Whether every watched calendar was read lately, as far as the window goes."""
        if self.ledger is None:
            return False
        now = self.clock.now()
        states = self.ledger.calendars.states()
        watched = {
            (account.name, calendar)
            for account in self.config.calendar.accounts
            for calendar in account.calendars
        }
        known = {
            (ref.account, ref.calendar_id)
            for ref, state in states.items()
            if state.read_at is not None and now - state.read_at < _STALE
        }
        return watched <= known and window.end <= now + self.config.calendar.horizon

    # ── memory ───────────────────────────────────────────────────────────────────────────

    def _memory(self, audience: Compartment) -> Lookup:
        def answer(arguments: Mapping[str, Any]) -> str:
            question = text_of(arguments, "question")
            memory = read_memory(self.state) if self.config.memory.enabled else None
            if memory is None:
                return "Nothing is remembered."
            with contextlib.closing(memory):
                hits = memory.answers(question, compartment=audience)
            told = (
                f"{hit.line.title} ({hit.line.at:%Y-%m-%d}): {hit.line.told}"
                for hit in hits
                # Whoever spoke in a meeting could have said it for us to remember.
                if hit.line.approved or not gives_orders(hit.line.text)
            )
            return "\n".join(told) or "Nothing is remembered of that."

        return Lookup(
            Tool(
                "memory",
                "What earlier meetings with these people left: decisions, promises, questions.",
                schema(question="What is to be found, in a few words"),
            ),
            in_thread(answer),
        )


def _search(name: str, about: str, searched: Searched) -> Lookup:
    parameters = schema(query="What is to be found, in a few words")
    return Lookup(Tool(name, about, parameters), in_thread(searched.answer))


# ── programs and where they run ──────────────────────────────────────────────────────────


def program_tool(table: ToolTable, sandbox: Sandbox) -> ProgramTool:
    return ProgramTool(
        program_of(table),
        sandbox,
        table.about,
        effect=table.effect,
        asks_owner=table.approve is Approval.ALWAYS,
        announce=table.announce,
    )


def sandbox_of(
    config: Config, state: Path, environ: Mapping[str, str], config_path: Path | None = None
) -> Sandbox | None:
    """Answer where programs run here; None where nothing confines them. Blocking.

    Under our system service that is a unit of systemd's for each call, elsewhere bubblewrap.
    """
    if socket_is_there():
        return UnitSandbox()
    found = find_bubblewrap()
    if found is None or not bubblewrap_works():
        return None
    hidden = [state, runtime_dir(config, environ), *_secret_files(config)]
    if config_path is not None:
        hidden.append(config_path)
    return Bubblewrap(found, tuple(hidden), environ)


def _secret_files(table: BaseModel) -> Iterator[Path]:
    """Answer every file of the config's that holds a secret: no tool sees one in its folder."""
    for name in type(table).model_fields:
        value = getattr(table, name)
        if isinstance(value, Path) and (
            name.endswith("_file") or name in {"client_secrets", "service_account"}
        ):
            yield value
        elif name == "secrets" and isinstance(value, Mapping):
            yield from value.values()
        else:
            nested = value.values() if isinstance(value, Mapping) else value
            for each in nested if isinstance(nested, tuple | list) else (nested,):
                if isinstance(each, BaseModel):
                    yield from _secret_files(each)


def check_actions(
    config: Config, state: Path, environ: Mapping[str, str], config_path: Path | None = None
) -> tuple[Finding, ...]:
    """Look whether what personas may use is there, for `locum doctor`. Blocking."""
    wanted = {name for persona in config.personas.values() for name in persona.tools}
    found: list[Finding] = []
    sandbox = None
    if runs_programs(config):
        sandbox = sandbox_of(config, state, environ, config_path)
        found.append(_check_sandbox(sandbox))
    unusable = unrunnable(config, sandbox)
    for table in config.tools:
        if table.name not in wanted:
            continue
        if table.name in unusable:
            found.append(unusable[table.name])
        for path in (table.folder, *table.reads, *table.writes):
            if path is not None and not path.exists():
                step = "Correct [[tools]] in the config."
                why = f"there is no {path}"
                found.append(Finding(f"tool {table.name}", Health.BROKEN, why, step))
    found += (
        unusable.get(server.name) or _check_server(server, state)
        for server in config.mcp
        if server.name in wanted
    )
    return tuple(found)


def runs_programs(config: Config) -> bool:
    """Whether a persona may use anything that has to be confined."""
    wanted = {name for persona in config.personas.values() for name in persona.tools}
    programs = {each.name for each in config.tools}
    programs |= {each.name for each in config.mcp if each.argv}
    return bool(wanted & programs) or ("skills" in wanted and bool(config.skills.run))


def unrunnable(config: Config, sandbox: Sandbox | None) -> Mapping[str, Finding]:
    """Say of each program that can't be run in this sandbox, by its tool's name, why not."""
    found: dict[str, Finding] = {}
    if sandbox is None:
        step = NO_BUBBLEWRAP if find_bubblewrap() is None else NO_NAMESPACES
        why = "nothing confines it here, so it isn't run"
        for table in config.tools:
            found[table.name] = Finding(f"tool {table.name}", Health.BROKEN, why, step)
    elif isinstance(sandbox, UnitSandbox):
        why = "it wants the network, which a tool's unit has not"
        for table in config.tools:
            if table.network:
                found[table.name] = Finding(
                    f"tool {table.name}", Health.BROKEN, why, NO_NETWORK
                )
    if not isinstance(sandbox, Bubblewrap):
        why = "a program is run as a server in bubblewrap alone, which isn't used here"
        step = "Run it elsewhere, and give its `url`."
        for server in config.mcp:
            if server.argv:
                subject = f"MCP server {server.name}"
                found[server.name] = Finding(subject, Health.BROKEN, why, step)
    return found


def _check_sandbox(sandbox: Sandbox | None) -> Finding:
    if sandbox is not None:
        return sandbox.check()
    if find_bubblewrap() is None:
        why = "there is none: no tool is run"
        return Finding("sandbox", Health.BROKEN, why, NO_BUBBLEWRAP)
    why = "bubblewrap can't be used here: no tool is run"
    return Finding("sandbox", Health.BROKEN, why, NO_NAMESPACES)


def _check_server(table: McpTable, state: Path) -> Finding:
    """Look at what can be told of a server without asking it."""
    subject = f"MCP server {table.name}"
    if find_spec("mcp") is None:
        return Finding(subject, Health.BROKEN, NOT_INSTALLED, INSTALL)
    known = DigestFile(server_tools_path(state)).approved()
    missing = [each for each in table.tools if f"{table.name}/{each}" not in known]
    if missing or not table.tools:
        why = f"not approved: {', '.join(missing)}" if missing else "`tools` names none of its"
        step = f"locum tools {table.name}; then with --approve"
        return Finding(subject, Health.WARNING, why, step)
    return Finding(subject, Health.OK, f"{len(table.tools)} of its tools are approved")


def server_of(table: McpTable, sandbox: Sandbox | None, state: Path) -> Server:
    return Server(
        ServerSettings(
            name=table.name,
            argv=table.argv,
            url=table.url or "",
            token_file=table.token_file,
            tools=table.tools,
            looks=frozenset(table.looks),
            asks_owner=table.approve is Approval.ALWAYS,
            announce=table.announce,
            timeout=table.timeout,
            limit=table.output_limit,
            around=surroundings(table),
        ),
        sandbox if isinstance(sandbox, Bubblewrap) else None,
        DigestFile(server_tools_path(state)),
    )


def at_terminal(clock: Clock) -> Meeting:
    """Answer a meeting that is none: its owner sits at a terminal."""
    now = clock.now()
    event = CalendarEvent(BY_HAND, "terminal", "terminal", now, None, "1")
    return meeting_for_brief(event)


# ── asking the owner ─────────────────────────────────────────────────────────────────────


class _Approvals:
    """Requests in the ledger: written by whoever attends, decided where the owner is."""

    def __init__(self, bench: Workbench, occasion: Occasion) -> None:
        if bench.ledger is None or occasion.session is None:
            raise ValueError("requests need a ledger and a session")
        self._book = bench.ledger.requests
        self._clock = bench.clock
        self._session = occasion.session
        self._occasion = occasion
        self._on_change = bench.on_change

    def ask(self, *, tool: str, what: str, asked_by: str) -> str:
        now = self._clock.now()
        request = Request(
            id=secrets.token_hex(3),
            session=self._session,
            persona=self._occasion.persona,
            title=self._occasion.meeting.title,
            tool=tool,
            what=what,
            asked_by=asked_by,
            at=now,
            expires_at=now + _PATIENCE,
        )
        while self._book.get(request.id) is not None:
            request = replace(request, id=secrets.token_hex(3))
        self._book.put(request)
        _log.info("approval_requested", request=request.id, tool=tool)
        self._on_change()
        return request.id

    async def decided(self, request: str) -> Verdict | None:
        while True:
            found = self._book.get(request)
            if found is None or found.state is RequestState.DENIED:
                return Verdict.DENIED
            if found.state is RequestState.APPROVED:
                # Approved, it is begun once, even if this process is not the first to see it.
                return None if self._book.begin(request) else Verdict.EXPIRED
            if found.state is not RequestState.OPEN or found.expires_at <= self._clock.now():
                return Verdict.EXPIRED
            await self._clock.sleep(_LOOK_EVERY)

    def over(self, request: str, verdict: Verdict, problem: str = "") -> None:
        try:
            self._book.settle(
                request, _VERDICTS[verdict], at=self._clock.now(), problem=problem
            )
        except LocumError as error:
            _log.error("ledger_write_failed", problem=str(error))


async def ready(
    bench: Workbench, occasion: Occasion, *, within: timedelta = timedelta(seconds=20)
) -> Box:
    """Make a toolbox and have it ready: what isn't in time is missing. Raises nothing."""

    def make() -> Sandbox | None:
        return sandbox_of(bench.config, bench.state, bench.environ, bench.config_path)

    sandbox = await anyio.to_thread.run_sync(make)
    # Its queue and locks belong to this loop, so it isn't made in the thread.
    box = bench.toolbox(occasion, sandbox)
    with anyio.move_on_after(within.total_seconds()) as scope:
        await box.prepare()
    if scope.cancelled_caught:
        _log.error("tools_unavailable", problem="a server wasn't ready in time")
    return box
