"""The command line: many seeds, one with its story, the planted faults, or kills."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from tests.campaign.judge import ALSO, KINDS
from tests.campaign.kills import Campaign
from tests.campaign.mutants import MUTANTS
from tests.campaign.plants import PLANTS
from tests.campaign.properties import run_properties
from tests.campaign.seed import Result, run_seed

_TOLD_EVERY_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.mutants or options.mutant:
        names = options.mutant or list(MUTANTS)
        return _run_mutants(names, range(options.start, options.start + options.most))
    if options.properties is not None:
        return run_properties(options.properties)
    if options.kills is not None:
        ways = options.ways.split(",") if options.ways else ()
        campaign = Campaign(options.kills, options.start, ways=ways, plant=options.plant)
        if options.jobs is not None:
            campaign.jobs = options.jobs
        return campaign.play()
    if options.seed is not None:
        result = run_seed(options.seed)
        print("\n".join(result.story))
        print(f"story {result.hash}")
        return _told([result])
    seeds = range(options.start, options.start + options.seeds)
    return _told(_with_progress(_run_all(seeds, options.jobs or 1), len(seeds)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many schedules")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one, and tell its story")
    parser.add_argument("--jobs", type=int, help="how many side by side")
    parser.add_argument("--mutants", action="store_true", help="plant faults, and find them")
    parser.add_argument("--mutant", action="append", choices=list(MUTANTS), help="only this")
    parser.add_argument("--properties", type=int, help="draw so many lives of the core alone")
    parser.add_argument("--kills", type=int, help="kill the real process so many times")
    parser.add_argument("--ways", help="kill in these ways, to play one schedule again")
    parser.add_argument(
        "--plant", choices=sorted(PLANTS), help="with a fault that must be found"
    )
    parser.add_argument("--most", type=int, default=200, help="seeds a planted fault may need")
    return parser


def _run_all(seeds: Sequence[int], jobs: int) -> Iterator[Result]:
    if jobs <= 1:
        yield from map(run_seed, seeds)
        return
    # Spawned, since a fork would share what the libraries keep open.
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=200) as pool:
        yield from pool.imap(run_seed, seeds)


def _with_progress(results: Iterable[Result], total: int) -> Iterator[Result]:
    began = told = time.perf_counter()
    failed = 0
    for done, result in enumerate(results, start=1):
        failed += bool(result.findings)
        yield result
        now = time.perf_counter()
        if now - told >= _TOLD_EVERY_S or done == total:
            told = now
            rate = done / (now - began)
            print(f"{done}/{total} seeds, {failed} failed, {rate:.2f}/s", file=sys.stderr)


def _told(results: Iterable[Result]) -> int:
    """Print what was found, and the figures last; answers the exit status."""
    schedules = due = 0
    counts = dict.fromkeys((*KINDS, *ALSO), 0)
    for result in results:
        schedules += 1
        due += result.due
        for kind, found in sorted(result.findings.items()):
            counts[kind] += len(found)
            for each in found:
                print(f"seed {result.seed}: {kind}: {each}")
    print(" ".join(f"{kind}={counts[kind]}" for kind in ALSO))
    figures = " ".join(f"{kind}={counts[kind]}" for kind in KINDS)
    print(f"schedules={schedules} due={due} {figures}")
    return 1 if any(counts.values()) else 0


def _run_mutants(names: Sequence[str], seeds: Sequence[int]) -> int:
    # What fails without any planted fault proves nothing about one.
    healthy: dict[int, bool] = {}
    caught = 0
    for name in names:
        mutant = MUTANTS[name]
        found = f"not caught by {len(seeds)} seeds"
        for seed in seeds:
            if seed not in healthy:
                healthy[seed] = not run_seed(seed).findings
            if not healthy[seed]:
                continue
            print(f"{name}: seed {seed}", file=sys.stderr)
            with mutant():
                findings = run_seed(seed).findings
            kinds = [kind for kind in KINDS + ALSO if kind in findings and kind != "broken"]
            if kinds:
                what = findings[kinds[0]][0]
                found = f"caught by seed {seed}: {kinds[0]}: {what[:120]}"
                caught += 1
                break
        print(f"{name}: {found}", flush=True)
    print(f"caught={caught}/{len(names)}")
    return 0 if caught == len(names) else 1


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of texts are walked in the order of their hashes: let it be the same each time.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.campaign", *sys.argv[1:]])
    sys.exit(main())
