"""The config's [[tools]] as programs: by themselves, because a tool's unit reads nothing more."""

from __future__ import annotations

from locum.actions.programs import Parameter, Program, Surroundings, name_for_models
from locum.config.talking import McpTable, ToolTable


def surroundings(table: ToolTable | McpTable) -> Surroundings:
    return Surroundings(
        folder=table.folder,
        reads=table.reads,
        writes=table.writes,
        network=table.network,
        env=table.env,
        secrets=table.secrets,
        memory=table.memory_limit << 20,
    )


def program_of(table: ToolTable) -> Program:
    return Program(
        name=name_for_models(table.name),
        argv=table.argv,
        parameters=tuple(
            Parameter(
                name=name,
                about=each.about,
                integer=each.type == "integer",
                pattern=each.pattern,
                choices=each.choices,
                max_length=each.max_length,
                default=each.default,
                may_be_option=each.may_be_option,
                lines=each.lines,
            )
            for name, each in table.parameters.items()
        ),
        around=surroundings(table),
        timeout=table.timeout,
        output_limit=table.output_limit,
    )
