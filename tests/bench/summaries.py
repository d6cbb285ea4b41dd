"""How good summaries are without a language model: `python -m tests.bench.summaries DIR`.

DIR holds QMSum's files as published, one JSON a meeting. What is scored is what a user gets:
the overview that `locum summarise FILE` prints first, against each general answer, and what
`locum summarise FILE --ask QUESTION` prints, against each specific one. Only the transcript
and the question are read to make them. Scores are means of ROUGE's F1 over queries, stemmed,
as the rouge-score package reckons them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rouge_score.rouge_scorer import RougeScorer

from locum.brains.extractive.answering import Reader, passages_of
from locum.brains.extractive.summing import minutes_of
from locum.core.minutes import Minutes, Occasion
from locum.core.transcript import Transcript
from locum.transcripts.files import read_transcript

_KINDS = ("rouge1", "rouge2", "rougeL")


@dataclass
class Tally:
    """Scores of one kind of query."""

    sums: list[float] = field(default_factory=lambda: [0.0] * len(_KINDS))
    count: int = 0
    words: int = 0

    def add(self, scorer: Any, wanted: str, given: str) -> None:
        scores = scorer.score(wanted, given)
        for n, kind in enumerate(_KINDS):
            self.sums[n] += 100 * scores[kind].fmeasure
        self.count += 1
        self.words += len(given.split())

    def line(self, name: str) -> str:
        means = [total / max(self.count, 1) for total in self.sums]
        return f"{name} R1={means[0]:.2f} R2={means[1]:.2f} RL={means[2]:.2f}"


@dataclass
class Outcome:
    general: Tally = field(default_factory=Tally)
    specific: Tally = field(default_factory=Tally)
    seconds: list[float] = field(default_factory=list)
    claims: int = 0
    dropped: int = 0
    unanswered: int = 0


def overview(minutes: Minutes) -> str:
    """Answer what stands at the top of a summary, as one text."""
    return "\n".join(claim.text for claim in minutes.tldr)


def measure(path: Path, scorer: Any, outcome: Outcome) -> None:
    transcript = read_transcript(path)
    begun = time.perf_counter()
    minutes = minutes_of(transcript, Occasion())
    outcome.seconds.append(time.perf_counter() - begun)
    outcome.dropped += minutes.dropped
    outcome.claims += sum(
        map(
            len,
            (
                minutes.tldr,
                minutes.decisions,
                minutes.actions,
                minutes.questions,
                minutes.asked,
                minutes.unclear,
                *(topic.points for topic in minutes.topics),
            ),
        )
    )
    wanted = json.loads(path.read_text(encoding="utf-8"))
    for query in wanted.get("general_query_list", ()):
        outcome.general.add(scorer, query["answer"], overview(minutes))
    for question, answer, given in _answers(transcript, wanted.get("specific_query_list", ())):
        del question
        outcome.unanswered += given is None
        outcome.specific.add(scorer, answer, given or "")


def _answers(
    transcript: Transcript, queries: Iterable[dict[str, Any]]
) -> Iterable[tuple[str, str, str | None]]:
    reader = Reader(passages_of(transcript, "meeting"))
    for query in queries:
        answer = reader.answer(query["query"])
        yield query["query"], query["answer"], None if answer is None else answer.text


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="QMSum's files, *.json")
    folder = parser.parse_args(arguments).folder
    files = sorted(folder.glob("*.json"))
    if not files:
        print(f"{folder} holds no *.json. Name a folder with QMSum's files.", file=sys.stderr)
        return 1
    scorer = RougeScorer(list(_KINDS), use_stemmer=True)
    outcome = Outcome()
    for n, path in enumerate(files, start=1):
        measure(path, scorer, outcome)
        if sys.stderr.isatty():
            print(f"\r{n} of {len(files)} meetings", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    general, specific = outcome.general, outcome.specific
    print(f"meetings {len(files)}, claims {outcome.claims}, dropped {outcome.dropped}")
    print(
        f"words a general summary {general.words / max(general.count, 1):.0f}, "
        f"a specific answer {specific.words / max(specific.count, 1):.0f}; "
        f"unanswered {outcome.unanswered} of {specific.count}"
    )
    print(general.line("general"))
    print(specific.line("specific"))
    seconds = outcome.seconds
    print(f"seconds per meeting {sum(seconds) / len(seconds):.2f} (most {max(seconds):.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
