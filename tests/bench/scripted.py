"""How well the rules read 40 scripted meetings: `python -m tests.bench.scripted [--misses]`.

Prints `name value unit` for all of them, for those that the rules were tuned on, and for those
held out. An action is right where its owner is exact and its day the same. `--misses` shows
what was missed or wrong, of the tuned ones; `--heldout` of the others, too: look last.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable

from locum.brains.rules import claims_of
from tests.meetings import Scripted, scripted
from tests.meetings.score import Score, add


def measure(meetings: Iterable[Scripted]) -> tuple[Score, float]:
    """Answer the score, and the seconds that the rules took."""
    score, spent = Score(), 0.0
    for meeting in meetings:
        began = time.perf_counter()
        claims = claims_of(meeting.transcript, meeting.occasion)
        spent += time.perf_counter() - began
        add(score, meeting, claims)
    return score, spent


def report(label: str, meetings: tuple[Scripted, ...]) -> Score:
    score, spent = measure(meetings)
    print(f"{label}_meetings {len(meetings)} count")
    for kind in ("actions", "decisions", "questions", "asked"):
        tally = getattr(score, kind)
        for figure in ("precision", "recall", "f1"):
            print(f"{label}_{kind}_{figure} {getattr(tally, figure):.3f} ratio")
    print(f"{label}_evidence_validity {100 * score.validity:.1f} %")
    print(f"{label}_seconds {spent:.3f} s")
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--heldout", action="store_true")
    asked = parser.parse_args()
    everything = scripted()
    tuned = tuple(each for each in everything if not each.is_heldout)
    heldout = tuple(each for each in everything if each.is_heldout)
    scores = [report("tuned", tuned)]
    if asked.misses:
        print(*scores[0].misses, sep="\n")
    scores.append(report("heldout", heldout))
    if asked.heldout:
        print(*scores[1].misses, sep="\n")
    report("all", everything)


if __name__ == "__main__":
    main()
