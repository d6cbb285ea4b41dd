"""What every whole-daemon test needs: a scenario played once, at several times its speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from locum.rehearsal.play import Outcome, rehearse
from locum.rehearsal.scenario import builtin_scenarios, load_scenario, parse_scenario

SPEED = 3.0
"""Slow enough that a busy machine of two cores keeps up."""

Play = Callable[[str], Outcome]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Answer a function that plays a built-in scenario by name, or a TOML text."""

    def run(name_or_text: str) -> Outcome:
        builtin = builtin_scenarios()
        if name_or_text in builtin:
            scenario = load_scenario(builtin[name_or_text])
        else:
            scenario = parse_scenario(dedent(name_or_text).encode())
        told: list[str] = []
        outcome = rehearse(scenario, tmp_path, speed=SPEED, tell=told.append)
        # Shown by pytest only when the test fails.
        print("\n".join(told))
        print((tmp_path / "daemon.log").read_text())
        return outcome

    return run
