"""Plays the four uses one after the other by the command itself, and says what didn't hold.

`python -m tests.scenarios [NAME …]` takes a minute each, and needs Chromium and espeak-ng.
Exits with 0 if all demands held.
"""

from __future__ import annotations

import subprocess
import sys

NAMES = ("standup", "customer", "tutoring", "scheduling")
_WITHIN_S = 240.0


def play(name: str) -> bool:
    """Play one; answers whether everything held. What happens is told on stderr."""
    try:
        played = subprocess.run(
            [sys.executable, "-m", "locum", "rehearse", "--scenario", name],
            check=False,
            timeout=_WITHIN_S,
        )
    except subprocess.TimeoutExpired:
        return False
    return played.returncode == 0


def main(names: list[str]) -> int:
    strangers = sorted(set(names) - set(NAMES))
    if strangers:
        sys.stderr.write(f"{strangers[0]}: give some of {', '.join(NAMES)}, or nothing.\n")
        return 2
    held = {name: play(name) for name in names or NAMES}
    for name, holds in held.items():
        print(f"{name} {'holds' if holds else 'fails'}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
