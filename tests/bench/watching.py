"""What watching many calendars costs, and how soon a change is armed.

`python -m tests.bench.watching` stages 1,000 calendars twice: through one service account,
and through accounts with a sign-in each. It shows progress, then a table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import timedelta

from tests.bench.scheduling import percentile
from tests.bench.watched import Seen, Trial, most_in_a_minute, watch

DAY_S = 86_400


def figures(seen: Seen) -> dict[str, float]:
    """Answer every figure by its name, with the unit in it; NaN where nothing was seen."""
    found: dict[str, float] = {
        "calendars": seen.trial.calendars,
        "accounts": seen.trial.accounts,
        "read_all_after_s": _or_nan(seen.read_all_after_s),
    }
    busiest = max((most_in_a_minute(each) for each in seen.by_user().values()), default=0)
    steady = seen.steady()
    lasted = seen.trial.lasts.total_seconds()
    found |= {
        "requests_per_min": 60 * len(steady) / lasted,
        "requests_per_min_and_account": 60 * len(steady) / lasted / seen.trial.accounts,
        "most_in_60_s_one_account": busiest,
        "most_in_60_s_all": most_in_a_minute([at for at, _, _ in seen.requests]),
        "requests_per_day": DAY_S * len(steady) / lasted,
        "refused_requests": seen.refused,
        "edits": len(seen.edits),
        "edits_armed": len(seen.armed_after_s),
    }
    for name, wanted in (("all", (True, False)), ("near", (True,)), ("idle", (False,))):
        waits = [wait for near, wait in seen.armed_after_s if near in wanted]
        found |= _spread(f"armed_after_{name}", waits, "s", (0.5, 0.95))
    found |= {"joins_due": seen.joins_due, "joins": len(seen.late_ms)}
    found |= _spread("join_lateness", seen.late_ms, "ms", (0.5, 0.99))
    found |= _spread("loop_stall", seen.stalls_ms, "ms", (0.5, 0.99))
    found |= {"cpu_percent_of_a_core": 100 * seen.cpu_share, "rss_mb": seen.rss_mb}
    return found


def _spread(
    name: str, values: Sequence[float], unit: str, shares: Sequence[float]
) -> dict[str, float]:
    if not values:
        return {f"{name}_max_{unit}": float("nan")}
    found = {f"{name}_p{round(100 * each)}_{unit}": percentile(values, each) for each in shares}
    return {**found, f"{name}_max_{unit}": max(values)}


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def show(columns: Sequence[tuple[str, dict[str, float]]]) -> None:
    names = dict.fromkeys(name for _, found in columns for name in found)
    width = max(len(name) for name in names)
    print(f"{'':{width}}" + "".join(f"{title:>20}" for title, _ in columns))
    for name in names:
        values = [found.get(name, float("nan")) for _, found in columns]
        print(f"{name:{width}}" + "".join(f"{value:>20,.1f}" for value in values))


def host() -> dict[str, object]:
    """Answer what the figures depend on, besides the code."""
    return {
        "cores": os.cpu_count(),
        "load_before": os.getloadavg(),
        "python": platform.python_version(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.watching",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--calendars", type=int, default=1000)
    parser.add_argument(
        "--accounts", type=int, help="only this many sign-ins (1: a service account)"
    )
    parser.add_argument("--minutes", type=float, default=20, help="measured, stage's time")
    parser.add_argument("--warm-up", type=float, default=6, help="minutes before that")
    parser.add_argument("--speed", type=float, default=4, help="of the stage's clock")
    parser.add_argument("--near", type=float, default=0.1, help="share with a meeting near")
    parser.add_argument("--events", type=int, default=10, help="a calendar, in two days")
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--settings", default="", help='for [calendar], as "key = value"')
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args(arguments)
    shapes = [1, given.calendars] if given.accounts is None else [given.accounts]
    around = host()
    columns = []
    for accounts in shapes:
        trial = Trial(
            calendars=given.calendars,
            accounts=accounts,
            events=given.events,
            near=given.near,
            edits=given.edits,
            warm_up=timedelta(minutes=given.warm_up),
            lasts=timedelta(minutes=given.minutes),
            speed=given.speed,
            seed=given.seed,
            calendar_settings=given.settings,
        )
        seen = watch(trial, lambda text: print(text, file=sys.stderr, flush=True))
        columns.append((f"{accounts} account(s)", figures(seen)))
        if seen.log:
            print(f"warnings and errors in the log: {dict(seen.log)}", file=sys.stderr)
    if given.json:
        trials = [{"trial": title, **found} for title, found in columns]
        print(json.dumps({"host": around, "trials": trials}, indent=2))
    else:
        print(", ".join(f"{name} {value}" for name, value in around.items()))
        show(columns)


if __name__ == "__main__":
    main()
