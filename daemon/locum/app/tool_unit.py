"""What runs in locum-tool@.service: one call of one tool, by the config and nothing else.

Somebody in a meeting waits for it: it imports little, and logs by the unit's own stderr.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from locum.actions.unit import read_request, serve
from locum.app.programs import program_of
from locum.config.load import load_taken
from locum.errors import ConfigError, LocumError
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
    programs = {each.name: each for each in map(program_of, config.tools)}
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    try:
        answered = await serve(
            read_request(0), programs, None if credentials is None else Path(credentials)
        )
    except (LocumError, OSError) as error:
        _say(str(error))
        return False
    os.write(0, answered)
    return True


def _say(problem: str) -> None:
    sys.stderr.write(f"{problem}\n")
