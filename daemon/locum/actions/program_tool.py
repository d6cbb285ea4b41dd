"""A program of the config as a tool."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from locum.actions.programs import Program
from locum.actions.sandbox import Sandbox, secrets_of
from locum.actions.toolbox import Told
from locum.errors import HumanNeededError
from locum.ports import Tool

_TO_START = timedelta(seconds=10)


@dataclass(frozen=True)
class ProgramTool:
    """An action that runs a program in the sandbox."""

    program: Program
    sandbox: Sandbox
    about: str
    effect: bool = True
    asks_owner: bool = True
    announce: str = ""

    @property
    def tool(self) -> Tool:
        return Tool(
            name=self.program.name,
            about=self.about,
            parameters=self.program.schema,
            only_looks=not self.effect,
            asks_owner=self.asks_owner,
            usually_takes=timedelta(seconds=2),
            announce=self.announce,
        )

    @property
    def within(self) -> timedelta:
        return self.program.timeout + _TO_START

    @property
    def limit(self) -> int:
        return self.program.output_limit

    def wording(self, arguments: Mapping[str, Any]) -> str:
        return shlex.join(self.program.filled(arguments))

    async def do(self, arguments: Mapping[str, Any]) -> Told:
        ran = await self.sandbox.run(self.program, arguments)
        try:
            secrets = tuple(secrets_of(self.program.around).values())
        except HumanNeededError:
            secrets = ()  # The sandbox reads them by itself, as another account.
        return Told(ran.text(secrets), ran.is_cut)
