"""One seed from its draw to its verdict; importable, so that other processes can do it too."""

from __future__ import annotations

from dataclasses import dataclass

from tests.campaign.judge import judged
from tests.campaign.schedule import drawn
from tests.campaign.world import played


@dataclass(frozen=True)
class Result:
    """What became of one seed."""

    seed: int
    due: int
    findings: dict[str, tuple[str, ...]]
    story: tuple[str, ...]
    hash: str

    def count(self, kind: str) -> int:
        return len(self.findings.get(kind, ()))


def run_seed(seed: int) -> Result:
    """Play and judge one seed; the same seed gives the same result."""
    with played(drawn(seed)) as world:
        verdict = judged(world)
        return Result(
            seed=seed,
            due=verdict.due,
            findings={kind: tuple(found) for kind, found in verdict.findings.items()},
            story=tuple(world.story.lines),
            hash=world.story.hash,
        )
