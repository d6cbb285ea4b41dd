"""Where one installation's files are: known to the daemon, and to the commands that look for it.

Apart from the daemon, because a command that only asks it something must start at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from locum.config.attendance import PersonaTable
from locum.config.model import Config
from locum.config.places import runtime_dir


def ledger_path(state: Path) -> Path:
    return state / "ledger.sqlite3"


def memory_path(state: Path) -> Path:
    return state / "memory.sqlite3"


def wishes_path(state: Path) -> Path:
    """Answer where it stands what memory is to forget, however often it is made anew."""
    return state / "memory-wishes.json"


def skills_path(state: Path) -> Path:
    """Answer where it stands which skills were approved."""
    return state / "skills.json"


def server_tools_path(state: Path) -> Path:
    """Answer where it stands which tools of MCP servers were approved, and as what."""
    return state / "mcp-tools.json"


def socket_path(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    return runtime_dir(config, environ) / "control.sock"


def persona_folder(name: str, table: PersonaTable | None, state: Path) -> Path:
    """Answer where a persona's folder is, or would be."""
    named = None if table is None else table.folder
    return named or state / "personas" / name
