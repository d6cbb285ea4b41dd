"""Skills by progressive disclosure: their names first, a text or file when it is needed.

A skill is in here only in the state in which its owner approved it, and that is looked at again
with each call. Its scripts run only where the config names it, and only in the sandbox.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import anyio.to_thread

from locum.actions.lookups import Lookup, in_thread, schema, text_of
from locum.actions.programs import SKILL, Program, Surroundings
from locum.actions.sandbox import Sandbox
from locum.actions.toolbox import Action, Told
from locum.errors import PermanentError
from locum.ports import Tool

_LIMIT = 24 * 1024
_MOST_NAMED = 40
_MOST_ARGUMENTS = 16
_LONGEST_ARGUMENT = 500
_TIMEOUT = timedelta(seconds=30)
_OUTPUT = 16 * 1024
_WITH = {".py": "python3", ".sh": "bash", ".js": "node", ".rb": "ruby", ".pl": "perl"}


class Approved(Protocol):
    """An approved skill; see `locum.briefing.Skill`."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def digest(self) -> str: ...

    def text(self) -> str: ...

    def recheck(self) -> None: ...

    def files(self) -> tuple[str, ...]: ...

    def file(self, name: str) -> str: ...


def skill_tools(
    skills: Sequence[Approved], *, runnable: Sequence[str], sandbox: Sandbox | None
) -> Iterator[Action]:
    """Answer the tools by which skills are read and, in a sandbox, their scripts run."""
    known = {each.name: each for each in skills}
    if not known:
        return
    names = "; ".join(f"{each.name}: {each.description}" for each in skills[:_MOST_NAMED])
    yield Lookup(
        Tool("read_skill", f"How to do something. {names}", schema(name="The skill's name")),
        in_thread(lambda arguments: _text(_skill(known, arguments))),
        limit=_LIMIT,
    )
    yield Lookup(
        Tool(
            "read_skill_file",
            "A file that a skill's instructions refer to.",
            schema(name="The skill's name", path="The file, as references/steps.md"),
        ),
        in_thread(lambda arguments: _skill(known, arguments).file(text_of(arguments, "path"))),
        limit=_LIMIT,
    )
    scripts = {name: each for name, each in known.items() if name in runnable}
    if scripts and sandbox is not None:
        yield SkillScript(scripts, sandbox)


def _text(skill: Approved) -> str:
    files = skill.files()
    there = f"\n\nIts files: {', '.join(files[:_MOST_NAMED])}" if files else ""
    return f"{skill.text()}{there}"


def _skill(known: Mapping[str, Approved], arguments: Mapping[str, Any]) -> Approved:
    name = text_of(arguments, "name")
    if name not in known:
        raise PermanentError(f"There is no skill {name[:80]!r}. Known: {', '.join(known)}.")
    return known[name]


@dataclass(frozen=True)
class SkillScript:
    """Runs a script of a skill's folder, which it can read; nothing can be written."""

    skills: Mapping[str, Approved]
    sandbox: Sandbox
    within: timedelta = _TIMEOUT + timedelta(seconds=10)
    limit: int = _OUTPUT

    @property
    def tool(self) -> Tool:
        listed: dict[str, Any] = {
            "type": "array",
            "items": {"type": "string", "maxLength": _LONGEST_ARGUMENT},
            "maxItems": _MOST_ARGUMENTS,
        }
        parameters = schema(name="The skill's name", path="The script, as scripts/total.py")
        parameters["properties"]["arguments"] = listed
        about = f"Run a script of a skill's: {', '.join(self.skills)}."
        return Tool("run_skill_script", about, parameters, announce="Let me work that out.")

    def wording(self, arguments: Mapping[str, Any]) -> str:
        skill, given = self._asked(arguments)
        return f"{skill.name}: {shlex.join(SkillProgram.of(skill).filled(given))}"

    async def do(self, arguments: Mapping[str, Any]) -> Told:
        skill, given = self._asked(arguments)
        await anyio.to_thread.run_sync(skill.recheck)
        ran = await self.sandbox.run(SkillProgram.of(skill), given)
        return Told(ran.text(), ran.is_cut)

    def _asked(self, arguments: Mapping[str, Any]) -> tuple[Approved, Mapping[str, Any]]:
        skill = _skill(self.skills, arguments)
        given = {name: arguments[name] for name in ("path", "arguments") if name in arguments}
        return skill, {**given, "digest": skill.digest}


@dataclass(frozen=True, kw_only=True)
class SkillProgram(Program):
    """The scripts of one skill, as a program: which of them, and with what, is filled in.

    In a tool's unit the skill is found anew, by the config; so a `digest` is filled in as well,
    that of the state in which it was approved.
    """

    skill: Approved

    @classmethod
    def of(cls, skill: Approved) -> SkillProgram:
        return cls(
            name=f"{SKILL}{skill.name}",
            argv=(),
            around=Surroundings(folder=skill.folder),
            timeout=_TIMEOUT,
            output_limit=_OUTPUT,
            skill=skill,
        )

    def filled(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        skill = self.skill
        if arguments.get("digest") != skill.digest:
            raise PermanentError(f'The skill "{skill.name}" isn\'t what was approved.')
        path = text_of(arguments, "path")
        if path not in skill.files() or PurePosixPath(path).parts[0] != "scripts":
            raise PermanentError(f"{skill.name} has no script {path[:80]!r}.")
        given = arguments.get("arguments", [])
        if not isinstance(given, list) or len(given) > _MOST_ARGUMENTS:
            raise PermanentError(f"arguments: must be a list of at most {_MOST_ARGUMENTS}.")
        for each in given:
            if not isinstance(each, str) or len(each) > _LONGEST_ARGUMENT or "\0" in each:
                raise PermanentError("arguments: each must be text, and short.")
        script = str(skill.folder / path)
        suffix = PurePosixPath(path).suffix
        runner = (_WITH[suffix], script) if suffix in _WITH else (script,)
        # A brace is the program's own here: it has no places to fill in.
        return (*runner, *given)
