"""Fuzzed readers of the two files that people write: the config, and a rehearsal's scenario."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from locum.config.example import example_text
from locum.config.load import load
from locum.config.model import Config
from locum.config.places import runtime_dir, state_dir
from locum.config.store import describe_changes
from locum.errors import ConfigError
from locum.rehearsal.scenario import builtin_scenarios, parse_scenario
from tests.fuzz.promises import promise, promise_text
from tests.fuzz.reader import Read, Reader, pure

FULL_CONFIG = """\
state_dir = "state"
[calendar]
poll_near = "45s"
api_root = "http://127.0.0.1:8001/"
token_uri = "http://127.0.0.1:8001/token"
accounts = [{name = "work", token_file = "t.json", calendars = ["primary", "x@y"], persona = "robin"}]
[attend]
lead = "30s"
capacity = 4
trusted_organizers = ["boss@example.com", "example.com"]
platforms = ["google_meet", "zoom"]
persona = "robin"
engine = "pika"
[[rules]]
name = "no standups"
match = {title = "*standup*", organizer = "*@example.com", platform = "zoom"}
action = "skip"
[[rules]]
action = "use"
persona = "robin"
engine = "pika"
[personas.robin]
display_name = "Robin"
owner = "Anna"
image = "standin.png"
instructions = '''
Be kind.'''
[engines.pika]
type = "pikastream"
base_url = "http://127.0.0.1:8000"
price_per_minute = 0.275
ready_timeout = "1m30s"
[[sinks]]
type = "markdown"
folder = "~/summaries"
[metrics]
port = 0
[stage]
speed = 60.0
epoch = 2026-11-22T09:00:00Z
epoch_host = 2026-11-22T09:00:00+01:00
"""


@contextlib.contextmanager
def _config_file(folder: Path) -> Iterator[Read]:
    """Load whole config files, with the persona's face beside them."""
    (folder / "standin.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    path = folder / "locum.toml"
    environ = {"HOME": str(folder)}
    before: Config | None = None

    def read(content: bytes) -> None:
        nonlocal before
        # A new file each time: some file systems flush one that is emptied and rewritten.
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        try:
            loaded = load(path, environ=environ)
        except ConfigError as error:
            promise(0 < len(error.problems) <= 102, f"{len(error.problems)} problems")
            for problem in error.problems:
                promise_text(problem, "a problem", most=4000)
                promise(problem.isprintable(), f"it can't be shown: {problem!a}")
        else:
            state_dir(loaded.config, environ)
            runtime_dir(loaded.config, environ)
            describe_changes(before or loaded.config, loaded.config)
            before = loaded.config

    yield read


def read_scenario(content: bytes) -> None:
    try:
        scenario = parse_scenario(content)
    except ConfigError as error:
        promise(0 < len(error.problems) <= 21, f"{len(error.problems)} problems")
        for problem in error.problems:
            promise_text(problem, "a problem", most=1500, one_line=False)
    else:
        promise(scenario.ends_at.total_seconds() >= 0, "it ends before it begins")
        scenario.room_steps(datetime(2026, 11, 23, tzinfo=timezone.utc))


FILES: tuple[Reader, ...] = (
    Reader("config", (FULL_CONFIG.encode(), example_text().encode()), _config_file),
    pure(
        "scenario",
        read_scenario,
        tuple(path.read_bytes() for path in builtin_scenarios().values()),
    ),
)
