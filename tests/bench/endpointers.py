"""How well endpointers tell a pause from an end: `python -m tests.bench.endpointers`.

Each of our recordings' ends and pauses, natural and drawn out to 0.3 to 1.5 s, with our own
marks; no room, no network, no voice-activity detector. For each endpointer and for the
conversation's own table of waits, shortened and lengthened: what it would have cut into, and how
long it would have waited after real ends. As in a conversation, who asks for something is waited
for by that table, and who merely states something for longer.

A pause is cut into where our first sound would have been received before it is over. That takes
some `_WAY_S` longer than the wait: the way in, the last words, the way out (measured in a room). A pause
that is over before is none: nobody can cut in there. "clause" are pauses where a whole clause has
been said, which nothing but patience tells from an end; "inside" are the others.

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

from locum.conversation.parts import Timings
from locum.conversation.turns import wait_for
from locum.core.addressing import read
from locum.core.calling import Names
from locum.core.speech import Sound
from locum.ears.endpointing import WordsAndTone
from locum.ears.smart_turn import SmartTurn, unusable
from locum.ports import Endpointer
from tests.speech import RATE_HZ, Recording, recordings

_FIRST_S, _EVERY_S = 0.096, 0.128
_LONGEST_S = 1.7
_WAY_S = 0.19
_NAMES = Names.of("Robin (AI stand-in for Alex Winter)", "Alex Winter")
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
    words = _plain(silence.words) if with_words else ""
    recording = silence.recording.with_tail(_LONGEST_S + 0.2)
    samples = recording.samples
    answers = []
    lasts = silence.length if silence.length is not None else _LONGEST_S
    after, before = _FIRST_S, None
    while after < lasts:
        end = int((silence.begin + after) * RATE_HZ)
        piece = samples[max(0, end - 8 * RATE_HZ) : end]
        pcm = (piece * 32_767).astype("<i2").tobytes()
        now = await endpointer.certainty(Sound(RATE_HZ, pcm), words)
        before = now if before is None else (before + now) / 2
        answers.append((after, before))
        after += _EVERY_S
    return answers


def _plain(words: str) -> str:
    return re.sub(r"[.,?!]", "", words).lower()


def decided(answers: list[tuple[float, float]], wait: Callable[[float], float]) -> float | None:
    """When the turn would be taken for over; None where the silence ended before."""
    for (at, certainty), (until, _) in zip(answers, [*answers[1:], (np.inf, 0)], strict=True):
        due = max(at, wait(certainty))
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
    timings = Timings()
    for times in (0.7, 1.0, 1.3):
        ends: dict[bool, list[float]] = {True: [], False: []}
        cuts: dict[bool, list[bool]] = {True: [], False: []}
        for case, answers in zip(cases, all_answers, strict=True):
            expects = not with_words or read(_plain(case.words), _NAMES).requests

            def wait(c: float, e: bool = expects, t: float = times) -> float:  # noqa: FBT001
                return t * wait_for(c, timings, expects=e).total_seconds()

            at = decided(answers, wait)
            if case.length is None:
                ends[expects].append(_WAY_S + (at if at is not None else _LONGEST_S))
            elif case.length >= 0.3:
                cut = at is not None and at + _WAY_S < case.length
                cuts[case.after_clause].append(cut)
        label = f"{name}.waits_x{times}"
        for kind, values in (("inside", cuts[False]), ("clause", cuts[True])):
            rows.append(f"{label}.cut_in_{kind} {100 * np.mean(values):.0f} % of {len(values)}")
        rows += [
            f"{label}.{kind}_p{part} {1e3 * np.percentile(ends[expects], part):.0f} ms"
            for kind, expects in (("asked", True), ("stated", False))
            if ends[expects]
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
