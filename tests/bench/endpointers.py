"""How well endpointers tell a pause from an end: `python -m tests.bench.endpointers`.

Each of our recordings' ends and pauses, natural and drawn out to 0.3 to 1.5 s, with our own
marks; no room, no network, no voice-activity detector. For each endpointer and each wait (how
much silence ends a turn that is surely over), what it would have cut into and how long it would
have waited after real ends, by the conversation's own rule for what lies between.

Silences count from where a voice-activity detector would see them: silero does 160 to 220 ms
after a voice's last sound (measured with the marks in a room). A pause that is over before the wait
is none: nobody can cut in there. "clause" are pauses where a whole clause has been said, which
nothing but patience tells from an end; "inside" are the others.

Words are given as a good recogniser would, without punctuation, or not at all (`--no-words`).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from locum.core.speech import Sound
from locum.ears.endpointing import WordsAndTone
from locum.ears.smart_turn import SmartTurn, unusable
from locum.ports import Endpointer
from tests.speech import RATE_HZ, Recording, recordings

_EVERY_S = 0.128
_FIRST_S = 0.096
_LONGEST_S = 1.6
_LAG_S = 0.06
_CLAUSES = frozenset(("two-cities", "cards-005"))
"""Recordings whose natural pauses all stand after whole clauses; so does jfk's before the last."""


@dataclass(frozen=True)
class Silence:
    """One silence: how long (None: the turn's end), and what was said by then."""

    recording: Recording
    begin: float
    length: float | None
    words: str
    after_clause: bool


def silences(seed: int = 1) -> Iterator[Silence]:
    drawn = random.Random(seed)
    for each in recordings().values():
        for (begin, end), words in zip(each.pauses, each.said, strict=False):
            whole = each.name in _CLAUSES or begin > 7
            yield Silence(each, begin, end - begin, words, whole)
        for joint, (at, words) in enumerate(each.joints):
            for _ in range(2):
                length = drawn.uniform(0.3, 1.5)
                longer = each.drawn_out(joint, length)
                yield Silence(longer, at, length, words, each.name in _CLAUSES)
        yield Silence(each, each.end, None, each.said[-1], after_clause=True)


async def asked(
    endpointer: Endpointer, silence: Silence, *, with_words: bool
) -> list[tuple[float, float]]:
    """Ask as a conversation does, while the silence lasts: (silence so far, certainty)."""
    words = re.sub(r"[.,?!]", "", silence.words).lower() if with_words else ""
    recording = silence.recording.with_tail(_LONGEST_S + 0.2)
    samples = recording.samples
    answers = []
    lasts = silence.length if silence.length is not None else _LONGEST_S
    after = _LAG_S + _FIRST_S
    while after < lasts:
        end = int((silence.begin + after) * RATE_HZ)
        piece = samples[max(0, end - 8 * RATE_HZ) : end]
        pcm = (piece * 32_767).astype("<i2").tobytes()
        answers.append((after, await endpointer.certainty(Sound(RATE_HZ, pcm), words)))
        after += _EVERY_S
    return answers


def decided(answers: list[tuple[float, float]], wait: Callable[[float], float]) -> float | None:
    """When the turn would be taken for over; None where the silence ended before."""
    for (at, certainty), (until, _) in zip(answers, [*answers[1:], (np.inf, 0)], strict=True):
        due = max(at, _LAG_S + wait(certainty))
        if due < until:
            return due if due < np.inf else None
    return None


async def curve(endpointer: Endpointer, *, with_words: bool) -> Iterator[str]:
    rows = []
    cases = list(silences())
    took = []
    all_answers = []
    for case in cases:
        began = time.perf_counter()
        answers = await asked(endpointer, case, with_words=with_words)
        took.append((time.perf_counter() - began) / max(1, len(answers)))
        all_answers.append(answers)
    name = type(endpointer).__name__
    rows.append(f"{name}.call_p50 {1e3 * np.median(took):.1f} ms")
    rows.append(f"{name}.call_max {1e3 * max(took):.1f} ms")
    for sure, sure_from, unsure in (
        (0.20, 0.8, 0.6), (0.25, 0.9, 0.6), (0.30, 0.9, 0.6), (0.20, 0.9, 0.8), (0.25, 0.9, 0.8),
        (0.20, 0.8, 1.5), (0.25, 0.9, 1.2), (0.45, 0.9, 0.6), (0.60, 0.9, 0.8), (0.80, 0.9, 1.5),
    ):  # fmt: skip

        def wait(c: float, s: float = sure, f: float = sure_from, u: float = unsure) -> float:
            return s + (1 - min(c / f, 1)) * (u - s)

        ends: list[float] = []
        cuts: dict[bool, list[bool]] = {True: [], False: []}
        for case, answers in zip(cases, all_answers, strict=True):
            at = decided(answers, wait)
            if case.length is None:
                ends.append(at if at is not None else _LONGEST_S)
            elif case.length >= 0.3:
                cuts[case.after_clause].append(at is not None and at < case.length)
        label = f"{name}.sure_{sure:.2f}_from_{sure_from}_unsure_{unsure:.1f}"
        for kind, values in (("inside", cuts[False]), ("clause", cuts[True])):
            rows.append(f"{label}.cut_in_{kind} {100 * np.mean(values):.0f} % of {len(values)}")
        rows += [
            f"{label}.wait_p{part} {1e3 * np.percentile(ends, part):.0f} ms"
            for part in (50, 95)
        ]
    return iter(rows)


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, help="smart-turn's pulled file")
    parser.add_argument("--no-words", action="store_true")
    given = parser.parse_args()
    endpointers: list[Endpointer] = [WordsAndTone()]
    if given.model and not unusable(given.model):
        endpointers.append(SmartTurn(given.model, WordsAndTone()))
    for each in endpointers:
        for row in await curve(each, with_words=not given.no_words):
            print(row, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
