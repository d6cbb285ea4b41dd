"""How memory bears a hundred thousand lines: `python -m tests.bench.memory`.

Meetings are made of a vocabulary in which few words are frequent and most are rare, as in
speech. What is printed: how many lines there are, how long it takes to remember a meeting of
50 lines and to search (for a rare word, for two of middling frequency, for the most frequent
ones, and as a client sees it), to ask, and how large the file is. Times are the host's.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path

from locum.core.compartments import INTERNAL
from locum.core.model import Person, SeriesKey
from locum.core.remembered import Compartment
from locum.memory import Memory
from tests.integration.memory_rig import COLLEAGUE, OWNER, Held, opened

_LINES_A_MEETING = 50
_SERIES = 100
_CLIENTS = 20
_WORDS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--without-fts", action="store_true", help="as if SQLite lacked FTS5")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="locum-bench-") as folder:
        memory = opened(Path(folder), use_fts=not options.without_fts)
        talk = _Talk(random.Random(7))
        taken = [_taking(memory, talk, n) for n in range(options.lines // _LINES_A_MEETING)]
        lines = sum(each.lines for each in memory.series())
        print(f"lines={lines} meetings={len(taken)} series={_SERIES}")
        _tell("remember, the first 100 meetings", taken[:100])
        _tell("remember, the last 100 meetings", taken[-100:])
        _searches(memory, talk)
        memory.close()
        size = sum(path.stat().st_size for path in Path(folder).glob("memory*"))
        print(f"file={size / 1e6:.1f} MB")


class _Talk:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        syllables = [
            "ba",
            "co",
            "du",
            "fe",
            "gi",
            "ho",
            "ka",
            "le",
            "mi",
            "no",
            "pu",
            "ra",
            "se",
            "ti",
            "vo",
            "xa",
        ]
        self.words = [
            "".join(chance.choice(syllables) for _ in range(2 + chance.randrange(3)))
            for _ in range(_WORDS)
        ]
        self._weights = [1 / (rank + 10) for rank in range(_WORDS)]

    def sentence(self) -> str:
        return " ".join(self._chance.choices(self.words, self._weights, k=14))


def _taking(memory: Memory, talk: _Talk, number: int) -> float:
    client = Person(f"dana@client{number % _CLIENTS}.example", "Dana Client")
    people = (OWNER, COLLEAGUE) if number % 3 else (OWNER, COLLEAGUE, client)
    held = Held(series=f"s{number % _SERIES}", week=number // _SERIES, people=people)
    for place in range(_LINES_A_MEETING):
        text = talk.sentence()
        if place % 10 == 0:
            held.promises(text)
        elif place % 10 == 1:
            held.says(f"The {' '.join(text.split()[:3])} is done.")
            held.decides(text)
        else:
            held.decides(text)
    summary = held.summary()
    begun = time.perf_counter()
    memory.remember(summary)
    return time.perf_counter() - begun


def _searches(memory: Memory, talk: _Talk) -> None:
    rare, middling, frequent = talk.words[5000:5100], talk.words[200:400], talk.words[:60]
    pairs = list(zip(middling[::2], middling[1::2], strict=True))
    client = Compartment("client3.example")
    search, today = memory.search, date(2027, 1, 1)
    asked = [" ".join(pair) for pair in pairs]
    most = [" ".join(frequent[n : n + 3]) for n in range(57)]
    series = [SeriesKey(f"s{n}@google.com") for n in range(20)]
    works: dict[str, list[Callable[[], object]]] = {
        "search, a rare word": [partial(search, word) for word in rare],
        "search, two middling words": [partial(search, each) for each in asked],
        "search, three frequent words": [partial(search, each) for each in most],
        "search, as one's own people": [
            partial(search, each, compartment=INTERNAL) for each in asked
        ],
        "search, as a client": [partial(search, each, compartment=client) for each in asked],
        "ask": [partial(memory.passages, f"What did we decide about {w}?") for w in asked],
        "open commitments of a series": [
            partial(memory.open_commitments, each, INTERNAL, today=today) for each in series
        ],
    }
    for name, calls in works.items():
        _tell(name, [_timed(call) for call in calls])


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _tell(name: str, times: Sequence[float]) -> None:
    cuts = statistics.quantiles(times, n=20)
    p50, p95 = statistics.median(times) * 1000, cuts[18] * 1000
    print(f"{name}: p50={p50:.1f} ms p95={p95:.1f} ms")


if __name__ == "__main__":
    main()
