"""Says what is wrong with a scenario's file: each problem with its key, in a person's words."""

from __future__ import annotations

import difflib
import re
import reprlib
from dataclasses import fields
from typing import Any

from locum.errors import ConfigError
from locum.rehearsal.faults import Fault
from locum.rehearsal.meet.settings import PageSettings
from locum.rehearsal.model import ModelSettings, ScriptedAnswer, ScriptedCall
from locum.rehearsal.pikastate import PikaSettings
from locum.rehearsal.scenario import talk, world
from locum.rehearsal.scenario.tables import (
    FAULT_FIELDS,
    Owner,
    Says,
    Scenario,
    ScenarioAttendee,
    ScenarioEdit,
    ScenarioEvent,
    ScenarioFault,
    ScenarioMeet,
    ScenarioPerson,
    ScenarioPersona,
)

SHOWN_PROBLEMS = 20
_PLAIN_KEY = re.compile(r"[\w-]{1,64}")
_TABLES = (
    *(Scenario, Owner, ScenarioPersona, ScenarioEvent, ScenarioAttendee, ScenarioEdit),
    *(ScenarioPerson, Says, ScenarioFault, Fault, PikaSettings, ModelSettings, ScenarioMeet),
    *(ScriptedAnswer, ScriptedCall),
    *(PageSettings, talk.Talk, talk.TalkLine, talk.Filed, talk.Hearing, talk.Earlier),
    *(talk.Told, world.Conduct, world.Contact, world.Folder, world.Commit),
)


def refused(name: str, problems: list[str], *, more: int = 0) -> ConfigError:
    shown = [f"{name}: {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    if more or len(problems) > len(shown):
        shown.append(f"{name}: … and {f'{more} ' if more else ''}more problems")
    return ConfigError(tuple(shown))


def _known_keys() -> set[str]:
    return {entry.name for table in _TABLES for entry in fields(table)} - {"fault"}


def written(error: Any) -> str:
    """Write one of pydantic's findings as key, fault and value."""
    loc = [part for part in error["loc"] if part != FAULT_FIELDS]
    kind = error["type"]
    if kind == "unexpected_keyword_argument":
        key = str(loc.pop())
        near = difflib.get_close_matches(key, sorted(_known_keys()), n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        return f"{_where(loc)}unknown key {reprlib.repr(key)}.{hint}"
    if kind == "missing":
        key = str(loc.pop())
        return f'{_where(loc)}"{key}" is missing'
    if kind.startswith("dataclass"):
        return f"{_where(loc)}must be a table, not {reprlib.repr(error['input'])}"
    said = error["msg"].removeprefix("Value error, ")
    return f"{_where(loc)}{said}, not {reprlib.repr(error['input'])}"


def _where(loc: list[Any]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f" #{part + 1}"  # Counted as a person counts.
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else reprlib.repr(part)
            path += f".{key}" if path else key
    return f"{path}: " if path else ""
