"""A small share of the campaign: the whole daemon on virtual time, judged by the stage's books.

`python -m tests.campaign --seeds 10000` is the whole of it; `--seed N` tells one seed's story.
"""

from __future__ import annotations

import pytest

from tests.campaign.judge import ALSO, KINDS
from tests.campaign.mutants import MUTANTS
from tests.campaign.seed import Result, run_seed

SEEDS = 40
MOST = 100
_SHARES = 10
_FOUND_BY = {"a_room_may_be_held_twice": 50}
"""Where to look first for what takes a rare schedule; only to save time."""

pytestmark = pytest.mark.timeout(300)


def told(result: Result) -> str:
    """Answer what went wrong in a seed, and how to look closer."""
    found = [f"{kind}: {each}" for kind in result.findings for each in result.findings[kind]]
    return "\n".join((*found, f"python -m tests.campaign --seed {result.seed}"))


@pytest.mark.parametrize("share", range(_SHARES))
def test_every_promise_holds_in_every_schedule(share: int) -> None:
    """Nothing due is missed, nothing doubled, left running, lost, uninvited or left early."""
    results = [run_seed(seed) for seed in range(share + 1, SEEDS + 1, _SHARES)]

    for result in results:
        counts = {kind: result.count(kind) for kind in (*KINDS, *ALSO)}
        assert counts == dict.fromkeys(counts, 0), told(result)
    assert sum(result.due for result in results) > 0


def test_a_seed_tells_the_same_story_each_time() -> None:
    """Whatever fails can be replayed: the second telling doesn't differ by a line."""
    first, second = run_seed(7), run_seed(7)

    assert first.story == second.story
    assert first.hash == second.hash


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_fault_is_found(name: str) -> None:
    """The campaign can fail: without its guard, a promise breaks within so many seeds."""
    start = _FOUND_BY.get(name, 1)
    with MUTANTS[name]():
        found = next((seed for seed in range(start, start + MOST) if _breaks(seed)), None)

    assert found is not None, f"python -m tests.campaign --mutants --start {start}"


def _breaks(seed: int) -> bool:
    """Whether a promise breaks, and not merely the daemon."""
    return bool(run_seed(seed).findings.keys() - {"broken"})
