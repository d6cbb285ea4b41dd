"""`locum tools`, `locum approvals`, `locum approve`, `locum deny`: what personas may do.

Only here, and by the daemon's own socket, is anything approved: nothing that is said or written
in a meeting comes near it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import FAILED, epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    read_config,
    reading_ledger,
    state_of,
    whereabouts,
)
from locum.cli.terminal import (
    clock_time,
    day_and_time,
    heading,
    one_line,
    out,
    out_json,
    plain,
    say,
    table,
    working,
)
from locum.errors import HumanNeededError, PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from locum.actions.servers import Server
    from locum.app.actions import Workbench
    from locum.config.load import LoadedConfig
    from locum.core.requests import Request
    from locum.ports import Finding, Tool, Toolbox

_TOOLS = epilog(
    "locum tools",
    'locum tools build --try \'{"branch": "main"}\'',
    'locum tools calendar --try \'{"day": "thursday", "time": "15:00"}\'',
    "locum tools crm --approve           an MCP server's tools, as they are described now",
    exits="0, 1 there is no such tool, or it failed, 3 nothing confines it here",
)
_APPROVALS = epilog(
    "locum approvals",
    "locum approvals --json | jq '.[] | select(.state == \"open\") | .id'",
    exits="0, 1 the ledger can't be read",
)
_APPROVE = epilog(
    "locum approve k3f9a2",
    exits="0, 1 it doesn't wait for an answer (any more), 4 no daemon is running",
)
_UNIT = epilog(
    "journalctl -u 'locum-tool@*'          why a tool's unit didn't answer",
    "locum tool-unit --config FILE --copy FILE     as systemd gives them",
    exits="0 it answered on the socket, 1 it couldn't",
)
_MOST_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_TOOLS, short_help="List and try what personas may look up and do.")(
        tools
    )
    app.command(epilog=_APPROVALS, short_help="Show what a persona asks your approval for.")(
        approvals
    )
    app.command(epilog=_APPROVE, short_help="Let a persona do what it asked for.")(approve)
    app.command(epilog=_APPROVE.replace("approve k", "deny k"), short_help="Refuse it.")(deny)
    app.command("tool-unit", epilog=_UNIT, short_help="One tool's unit; systemd starts it.")(
        tool_unit
    )


# ── what there is ────────────────────────────────────────────────────────────────────────


def tools(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A tool, or an MCP server.", show_default=False),
    ] = "",
    *,
    try_: Annotated[
        str,
        typer.Option(
            "--try", metavar="JSON", help="Call it with these arguments, as a persona would."
        ),
    ] = "",
    approve_: Annotated[
        bool,
        typer.Option("--approve", help="Approve an MCP server's tools as they are described."),
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List what personas may look up and do, show one tool, or try it from here.

    A tool that is tried runs where it would in a meeting, with the same limits; what only your
    own people may know is told, for nobody else listens here.
    """
    import asyncio

    from locum import logs

    # What a tool of many can't is told in the log, on stderr.
    logs.configure(json=None, level="warning")
    loaded = read_config(config)
    if not name:
        _list(loaded, as_json=json)
        return
    if (found := _unrunnable(loaded).get(name)) is not None:
        raise HumanNeededError(f"{name}: {found.detail}.", hint=found.next_step)
    with reading_ledger(state_of(loaded.config)) as ledger:
        bench = _bench(loaded, ledger)
        server = _server(bench, name)
        if server is not None and (approve_ or not try_):
            asyncio.run(_show_server(server, approve=approve_, as_json=json))
        elif approve_:
            raise PermanentError(f'"{name}" is no MCP server: nothing is to be approved there.')
        else:
            asyncio.run(_one(bench, name, try_, as_json=json))


def _bench(loaded: LoadedConfig, ledger: Any) -> Workbench:
    from locum.app.actions import Workbench
    from locum.app.parts import Workshop, clock_of

    config = loaded.config
    state, clock = state_of(config), clock_of(config)
    workshop = Workshop(clock, state, os.environ)
    return Workbench(
        config=config,
        state=state,
        clock=clock,
        ledger=ledger,
        environ=os.environ,
        sources=lambda: workshop.sources(config),
        config_path=loaded.path,
    )


def _unrunnable(loaded: LoadedConfig) -> Mapping[str, Finding]:
    """Answer which tools can't be run here, and why; a sandbox is tried only for those that need it."""
    from locum.app.actions import runs_programs, sandbox_of, unrunnable

    config = loaded.config
    if not runs_programs(config):
        return {}
    return unrunnable(config, sandbox_of(config, state_of(config), os.environ, loaded.path))


def _list(loaded: LoadedConfig, *, as_json: bool) -> None:
    from locum.app.actions import BUILT_IN

    config = loaded.config
    unusable = _unrunnable(loaded)
    programs = {each.name: each.approve for each in config.tools}
    servers = {each.name: each for each in config.mcp}
    rows: list[dict[str, Any]] = []
    for persona, settings in config.personas.items():
        for tool in settings.tools:
            kind = "looks something up" if tool in BUILT_IN else ""
            kind = kind or ("MCP server" if tool in servers else "program")
            asks = tool in programs and programs[tool].value == "always"
            if tool in servers:
                server = servers[tool]
                asks = server.approve.value == "always" and set(server.tools) > set(
                    server.looks
                )
            problem = unusable[tool].detail if tool in unusable else ""
            rows.append(
                {
                    "persona": persona,
                    "tool": tool,
                    "kind": kind,
                    "asks_you": asks,
                    "problem": problem,
                }
            )
    if as_json:
        out_json(rows)
        return
    if not rows:
        say("No persona may look up or do anything: see `tools` of [personas.NAME].")
    table(
        [
            [
                row["persona"],
                row["tool"],
                row["kind"],
                "can't be run here"
                if row["problem"]
                else "asks you"
                if row["asks_you"]
                else "",
            ]
            for row in rows
        ]
    )
    for tool in dict.fromkeys(row["tool"] for row in rows if row["problem"]):
        say(f"{tool}: {unusable[tool].detail}. {unusable[tool].next_step}")


def _server(bench: Workbench, name: str) -> Server | None:
    from locum.app.actions import sandbox_of, server_of

    for each in bench.config.mcp:
        if each.name == name:
            sandbox = sandbox_of(bench.config, bench.state, bench.environ, bench.config_path)
            return server_of(each, sandbox, bench.state)
    return None


async def _show_server(server: Server, *, approve: bool, as_json: bool) -> None:
    from json import dumps

    try:
        with working("Asking it what it offers"):
            offered = await server.offered()
        if approve:
            server.approve(offered)
        rows = [
            {
                "tool": each.name,
                "state": server.state_of(each),
                "about": each.about,
                "parameters": each.schema,
            }
            for each in offered
        ]
    finally:
        await server.aclose()
    if as_json:
        out_json(rows)
        return
    for row in rows:
        # All that is approved, for all of it is what a model reads.
        heading(f"{row['tool']}: {row['state']}")
        out(f"  {one_line(row['about'])}")
        out(f"  {dumps(row['parameters'])}")
    for missing in set(server.settings.tools) - {each.name for each in offered}:
        say(f"It has no tool {missing!r}, which the config names.")


async def _one(bench: Workbench, name: str, arguments: str, *, as_json: bool) -> None:
    from locum.app.actions import Occasion, at_terminal, ready

    persona, settings = next(
        (
            (each, table)
            for each, table in bench.config.personas.items()
            if name in table.tools or any(name.startswith(f"{tool}_") for tool in table.tools)
        ),
        ("", None),
    )
    if settings is None:
        raise PermanentError(f'No persona may use "{name}": see `locum tools`.')
    owner = settings.owner or "the owner"
    box = await ready(bench, Occasion(persona, owner, at_terminal(bench.clock), trusted=True))
    try:
        tool = next((each for each in box.tools if name in {each.name, _known_as(each)}), None)
        if tool is None:
            names = ", ".join(each.name for each in box.tools) or "none"
            raise PermanentError(f'"{name}" can\'t be used now. There are: {names}.')
        if arguments:
            await _try(box, tool, arguments, as_json=as_json)
        else:
            _show(tool, as_json=as_json)
    finally:
        await box.aclose()


def _known_as(tool: Tool) -> str:
    return "skills" if tool.name == "read_skill" else tool.name


async def _try(box: Toolbox, tool: Tool, arguments: str, *, as_json: bool) -> None:
    import json

    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError) as error:
        raise PermanentError(f"--try takes a JSON object: {error}") from None
    if not isinstance(given, dict):
        raise PermanentError('--try takes a JSON object, as \'{"query": "budget"}\'.')
    with working(f"Calling {tool.name}"):
        done = await box.call(tool.name, given)
    if as_json:
        out_json({"text": done.text, "is_cut": done.is_cut})
        return
    out(plain(done.text))
    if done.is_cut:
        say("(There was more: it is cut at its limit.)")


def _show(tool: Tool, *, as_json: bool) -> None:
    if as_json:
        out_json(
            {
                "name": tool.name,
                "about": tool.about,
                "parameters": tool.parameters,
                "only_looks": tool.only_looks,
                "asks_owner": tool.asks_owner,
            }
        )
        return
    heading(tool.name)
    out(one_line(tool.about))
    effect = "It only looks." if tool.only_looks else "It may change something."
    out(f"{effect} {'Each call asks you first.' if tool.asks_owner else 'It asks nobody.'}")
    for name, schema in tool.parameters.get("properties", {}).items():
        out(
            f"  {one_line(name)}: {one_line(schema.get('description', schema.get('type', '')))}"
        )


# ── what it asks for ─────────────────────────────────────────────────────────────────────


def approvals(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show what a persona asks your approval for, and what became of earlier requests."""
    from datetime import datetime, timezone

    place = whereabouts(config)
    with reading_ledger(place.state) as ledger:
        found = () if ledger is None else ledger.requests.newest(_MOST_SHOWN)
    if json:
        out_json([_as_json(each) for each in found])
        return
    now = datetime.now(timezone.utc)
    waiting = [each for each in found if each.state.value == "open" and each.expires_at > now]
    for each in waiting:
        heading(f"{each.id}: may {each.persona} run {each.tool}?")
        by = one_line(each.asked_by) or "somebody"
        out(f"  asked by {by} in {one_line(each.title)}, {day_and_time(each.at)}")
        out(f"  it would run: {_to_the_letter(each.what)}")
        out(f"  locum approve {each.id}   or   locum deny {each.id}")
        out(f"  until {clock_time(each.expires_at)}")
    if not waiting:
        say("Nothing waits for you.")
    others = [each for each in found if each not in waiting]
    if others:
        heading("Before")
        table(
            [
                [each.id, day_and_time(each.at), each.tool, _standing(each, now)]
                for each in others
            ],
            indent=2,
        )


def _to_the_letter(text: str) -> str:
    """Write what would be run in one line, and no space less than there is."""
    return plain(text).replace("\n", "\\n")


def _standing(request: Request, now: Any) -> str:
    state = request.state.value
    if state == "open" and request.expires_at <= now:
        state = "expired"
    return f"{state}: {one_line(request.problem)}" if request.problem else state


def _as_json(request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "state": request.state.value,
        "persona": request.persona,
        "meeting": request.title,
        "tool": request.tool,
        "what": request.what,
        "asked_by": request.asked_by,
        "at": request.at.isoformat(),
        "expires_at": request.expires_at.isoformat(),
        "problem": request.problem,
    }


def approve(
    request: Annotated[str, typer.Argument(metavar="ID", help="The request's id.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Let a persona do what it asked for, once, exactly as `locum approvals` shows it."""
    _decide(request, config, approve=True)
    out(f"Approved: {request} is done now, and what comes of it is said in the meeting.")


def deny(
    request: Annotated[str, typer.Argument(metavar="ID", help="The request's id.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Refuse what a persona asked for; it says so in the meeting."""
    _decide(request, config, approve=False)
    out(f"Denied: {request} isn't done.")


def _decide(request: str, config: Path | None, *, approve: bool) -> None:
    whereabouts(config).call("decide", {"request": request, "approve": approve})


# ── the other side of the socket ─────────────────────────────────────────────────────────


def tool_unit(
    config: Annotated[Path, typer.Option("--config", "-c", help="As what the config is read.")],
    copy: Annotated[Path, typer.Option("--copy", help="Where it can be read.")],
) -> None:
    """Answer one request for a tool on stdin, which is a socket: see locum-tool@.service.

    systemd starts it, once a call, where it is confined; by hand there is nothing to do with it.
    """
    import asyncio

    from locum.app.tool_unit import answer

    sys.stdout.flush()
    raise typer.Exit(FAILED if not asyncio.run(answer(config, copy)) else 0)
