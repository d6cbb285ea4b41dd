"""The property tests of the core, drawn more often than the suite can afford."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_TESTS = (
    "tests/unit/test_simulation.py",
    "tests/unit/test_capacity.py",
    "tests/unit/test_agenda.py",
    "tests/unit/test_planning.py",
    "tests/integration/test_ledger_books.py",
)


def run_properties(examples: int) -> int:
    """Run each property with so many examples, the same each time; answers the exit status.

    The last line says `properties=ok` or `properties=failed`, and how much was drawn.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--timeout", "0", *_TESTS]
    drawn = {"LOCUM_EXAMPLES": str(examples)}
    done = subprocess.run(command, cwd=_ROOT, env=os.environ | drawn, check=False)
    outcome = "failed" if done.returncode else "ok"
    print(f"properties={outcome} examples={examples}")
    return 1 if done.returncode else 0
