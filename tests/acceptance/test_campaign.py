"""A small share of the campaign: the whole daemon on virtual time, judged by the stage's books.

`python -m tests.campaign --seeds 10000` is the whole of it; `--seed N` tells one seed's story.
It runs as a command of its own, because a seed is told the same way only in a process whose
hashes are the same.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.mutants import MUTANTS

SEEDS = 40
SHARES = 4
_ROOT = Path(__file__).parents[2]
_LAST_LINE = re.compile(
    r"schedules=(?P<schedules>\d+) due=(?P<due>\d+) "
    r"missed=0 double=0 orphans=0 lost=0 overspend=0"
)
_FOUND_BY = {"a_room_may_be_held_twice": 50, "one_absence_is_believed": 176}
"""Where to look first for what takes a rare schedule; only to save time."""

_SLOWLY_FOUND = {
    "edits_go_unnoticed",
    "late_timers_are_dropped",
    "lost_joins_are_repeated_blindly",
    "summaries_are_kept_only_once_filed",
}
"""What takes from half a minute to more than one; `python -m tests.campaign --mutants` has them."""

pytestmark = pytest.mark.timeout(600)


def campaign(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.campaign", *map(str, arguments)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    return done


@pytest.mark.parametrize("share", range(SHARES))
def test_every_promise_holds_in_every_schedule(share: int) -> None:
    """Nothing due is missed, nothing doubled, left running, lost, uninvited or left early."""
    each = SEEDS // SHARES
    done = campaign("--seeds", each, "--start", 1 + share * each)

    last = _LAST_LINE.fullmatch(done.stdout.splitlines()[-1])
    assert done.returncode == 0
    assert last is not None
    assert int(last["schedules"]) == each
    assert int(last["due"]) > 0


def test_a_seed_tells_the_same_story_each_time() -> None:
    """Whatever fails can be replayed: the second telling doesn't differ by a line."""
    first, second = campaign("--seed", 7), campaign("--seed", 7)

    assert first.stdout == second.stdout
    assert len(first.stdout.splitlines()) > 10


@pytest.mark.parametrize("name", [name for name in MUTANTS if name not in _SLOWLY_FOUND])
def test_a_planted_fault_is_found(name: str) -> None:
    """The campaign can fail: without its guard, a promise breaks within so many seeds."""
    done = campaign("--mutant", name, "--start", _FOUND_BY.get(name, 1))

    assert done.stdout.splitlines()[-1] == "caught=1/1"
    assert done.returncode == 0
