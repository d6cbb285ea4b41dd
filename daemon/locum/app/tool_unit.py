"""What runs in locum-tool@.service: one call of one tool, by the config and nothing else.

Somebody in a meeting waits for it: it imports little, and logs by the unit's own stderr.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from locum.actions.programs import SKILL, Program
from locum.actions.unit import SHOW_IT, read_request, serve
from locum.app.programs import program_of
from locum.config.load import load_taken
from locum.config.model import Config
from locum.errors import ConfigError, HumanNeededError, LocumError, PermanentError
from locum.files import UnreadableError, read_regular

_LARGEST_CONFIG = 512 * 1024


async def answer(path: Path, copy: Path) -> bool:
    """Answer the request that waits on stdin, there; False if there was none to answer.

    Args:
        path: Where the config is: what relative paths in it start from.
        copy: What systemd gave us to read of it.
    """
    try:
        source, _ = read_regular(copy, limit=_LARGEST_CONFIG)
        config = load_taken(path, source)
    except (UnreadableError, ConfigError) as error:
        _say(f"The config can't be used: {error}")
        return False
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    try:
        answered = await serve(
            read_request(0),
            lambda name: _program(config, name),
            None if credentials is None else Path(credentials),
        )
    except (LocumError, OSError) as error:
        _say(str(error))
        return False
    os.write(0, answered)
    return True


def _program(config: Config, name: str) -> Program | None:
    """Answer what the config allows by this name: a tool, or the scripts of a skill."""
    if name.startswith(SKILL):
        skill = name.removeprefix(SKILL)
        return _scripts(config, skill) if skill in config.skills.run else None
    return next((each for each in map(program_of, config.tools) if each.name == name), None)


def _scripts(config: Config, name: str) -> Program:
    # Here, because most calls are of no skill, and would wait for it.
    from locum.actions.skills import SkillProgram
    from locum.briefing import Skill, read_skills

    found: list[Skill] = []
    for folder in config.skills.folders:
        with contextlib.suppress(PermanentError):
            found += (each for each in read_skills(folder)[0] if each.name == name)
    if not found:
        raise HumanNeededError(f'The tool\'s unit sees no skill "{name}".', hint=SHOW_IT)
    return SkillProgram.of(found[-1])


def _say(problem: str) -> None:
    sys.stderr.write(f"{problem}\n")
