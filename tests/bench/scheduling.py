"""How late joins are, what watching costs, and how fast a restart is armed again.

`python -m tests.bench.scheduling` prints one `name value unit` a line. Lateness is from the
instant wanted (start - lead) to the first byte of the POST at another process.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from tests.bench.rig import Planned, Rig, rig, soon

HOUR = timedelta(hours=1)


def report(name: str, value: float, unit: str) -> None:
    print(f"{name} {value:.3f} {unit}", flush=True)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(round(share * (len(ordered) - 1)), len(ordered) - 1)]


def lateness(name: str, wanted: Sequence[datetime], arrived: Sequence[float]) -> None:
    late = [
        1000 * (at - instant.timestamp())
        for at, instant in zip(sorted(arrived), sorted(wanted), strict=True)
    ]
    report(f"{name}_joins", len(late), "count")
    report(f"{name}_lateness_p50", statistics.median(late), "ms")
    report(f"{name}_lateness_p99", percentile(late, 0.99), "ms")
    report(f"{name}_lateness_max", max(late), "ms")


def _await_joins(armed: Rig, last: datetime, count: int) -> list[float]:
    deadline = last.timestamp() + 20
    while time.time() < deadline:
        if time.time() > last.timestamp() and len(armed.join_times()) >= count:
            break
        time.sleep(0.5)
    return armed.join_times()


def spread_joins(name: str, others: int, *, lead_s: float) -> None:
    """One join a second, with `others` more meetings armed behind them."""
    first = soon(lead_s)
    wanted = [first + timedelta(seconds=number) for number in range(40)]
    meetings = [Planned(start, start + HOUR) for start in wanted]
    later = first + timedelta(hours=2)
    step = timedelta(hours=44) / max(others, 1)
    meetings += [
        Planned(later + step * number, later + step * number + HOUR / 2)
        for number in range(others)
    ]
    with rig(meetings) as armed:
        lateness(name, wanted, _await_joins(armed, wanted[-1], len(wanted)))
        report(f"{name}_rss", armed.rss_mb(), "MB")


def same_second(count: int) -> None:
    """All of them at one instant."""
    start = soon(20)
    with rig([Planned(start, start + HOUR)] * count) as armed:
        arrived = _await_joins(armed, start, count)
        lateness(f"burst{count}", [start] * count, arrived)


def restart(count: int) -> None:
    """From the start of the process until everything in the ledger is armed."""
    later = datetime.now(timezone.utc) + timedelta(hours=2)
    step = timedelta(hours=44) / count
    meetings = [Planned(later + step * n, later + step * n + HOUR / 2) for n in range(count)]
    with rig(meetings, restart=True) as armed:
        report("restart_to_armed", armed.started_s, "s")


def quiet_hour(name: str, meetings: Sequence[Planned], speed: float) -> None:
    """An hour of the stage's time: what it asks Google, and what it costs the host."""
    with rig(meetings, speed=speed) as armed:
        time.sleep(2)
        before, cpu = armed.google_traffic(), armed.cpu_s()
        time.sleep(3600 / speed)
        after = armed.google_traffic()
        report(f"{name}_requests", after["count"] - before["count"], "per_calendar_hour")
        sent = after["bytes_out"] - before["bytes_out"]
        report(f"{name}_bytes", sent, "per_calendar_hour")
        report(f"{name}_cpu", 100 * (armed.cpu_s() - cpu) / 3600, "percent_of_a_core")
        report(f"{name}_rss", armed.rss_mb(), "MB")


def main() -> None:
    note("40 joins, one each second")
    spread_joins("idle", 0, lead_s=20)
    note("200 joins in the same second")
    same_second(200)
    note("40 joins with 10,000 other meetings armed")
    spread_joins("armed10000", 10_000, lead_s=60)
    note("restart with 10,000 meetings armed")
    restart(10_000)
    note("an hour without a meeting, on a faster clock")
    far = datetime.now(timezone.utc) + timedelta(hours=30)
    quiet_hour("quiet", [Planned(far, far + HOUR)], speed=120)
    note("an hour in which a meeting is always near, on a faster clock")
    near = datetime.now(timezone.utc) + timedelta(minutes=14)
    nearly = [Planned(near + n * HOUR / 4, near + n * HOUR / 4 + HOUR / 60) for n in range(6)]
    quiet_hour("near", nearly, speed=120)


if __name__ == "__main__":
    main()
